"""Pipelines that use the components: the standard one with compression, and the digits."""
