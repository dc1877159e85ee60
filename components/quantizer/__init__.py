"""Quantizer: the same model in fewer bits, proven on real rows."""
