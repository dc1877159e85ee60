"""Asking a running TensorFlow Serving."""
