"""Where training runs."""

import functools

import tensorflow as tf

from tfx_shrink.parameters import require_one_of

STRATEGIES = ("one_device", "mirrored")


def get_strategy(name: str) -> tf.distribute.Strategy:
    """Returns a strategy: TensorFlow's default device, or a copy on every GPU of the machine.

    Args:
      name: One of `STRATEGIES`.

    Raises:
      ParameterError: It is none of them.
    """
    require_one_of("strategy", name, STRATEGIES)
    if name == "one_device":
        return tf.distribute.get_strategy()
    return _mirrored()


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    # One for the process: a second one would number its collective operations as the first did.
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
