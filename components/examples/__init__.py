"""Rows of tf.Examples: find the files, draw a sample by Beam, decode them for a function."""
