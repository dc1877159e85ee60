"""Distills with a copy of the student on each of two logical CPUs, which needs a new process.

Run as `python mirrored_distilling.py TEACHER_DIR EXAMPLES OUT`; prints the number of copies.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import sys

import tensorflow as tf

from tfx_shrink.training.strategy import get_strategy


def main():
    # Beside this file only where it is run.
    from killed_distilling import run

    (cpu,) = tf.config.list_physical_devices("CPU")
    logical = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, logical)
    teacher_dir, examples, out = sys.argv[1:]
    # The teacher on every device too.
    run(teacher_dir, examples, out, strategy="mirrored", teacher_pass="in_step", epochs=2)
    print(get_strategy("mirrored").num_replicas_in_sync)


if __name__ == "__main__":
    main()
