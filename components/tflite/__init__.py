"""TFLite models: convert in a process of its own, run with exact rounding, read and label."""
