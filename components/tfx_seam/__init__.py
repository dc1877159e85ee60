"""Every name of TFX that its public API (tfx.v1) does not export, in one place.

Written for TFX 1.16. The rest of the project imports TFX's internals from here and nowhere else.
"""
