"""Every name of TFX that its public API (tfx.v1) does not export, in one place.

Tried on TFX 1.16 and 1.21, whose names here are the same; one that needs a version says so. The
rest of the project imports TFX's internals from here and nowhere else.
"""
