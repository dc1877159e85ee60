"""Measuring models: output differences and intervals."""
