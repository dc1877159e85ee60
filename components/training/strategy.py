"""Where training runs."""

import functools

import tensorflow as tf

from tfx_shrink.errors import ParameterError

STRATEGIES = ("one_device", "mirrored")


def check_strategy(name: str) -> None:
    """Checks the name of a strategy.

    Raises:
      ParameterError: It is none of `STRATEGIES`.
    """
    if name not in STRATEGIES:
        raise ParameterError(
            f"`strategy` must be one of {list(STRATEGIES)}. Received: strategy={name!r}."
        )


def get_strategy(name: str) -> tf.distribute.Strategy:
    """Returns a strategy: TensorFlow's default device, or a copy on every GPU of the machine.

    Args:
      name: One of `STRATEGIES`.

    Raises:
      ParameterError: It is none of them.
    """
    check_strategy(name)
    if name == "one_device":
        return tf.distribute.get_strategy()
    return _mirrored()


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    # One for the process: a second one would number its collective operations as the first did.
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
