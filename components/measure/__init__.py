"""Measuring models: size, latency, output differences, intervals, and on what machine."""
