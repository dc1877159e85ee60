"""Commands of `tfx-shrink`, and how they print."""
