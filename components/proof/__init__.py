"""Proving a result: the same real rows through a model and what was made of it."""
