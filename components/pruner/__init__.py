"""Pruner: zeros that are really there, and smaller files to show for it."""
