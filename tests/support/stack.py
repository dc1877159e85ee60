"""Which stack the tests run on, for those that know a figure or a message of one of them."""

from importlib.metadata import version

from packaging.version import Version

# Else TFX 1.16 with TensorFlow 2.16.
TFX_1_21 = Version(version("tfx")) >= Version("1.21")
