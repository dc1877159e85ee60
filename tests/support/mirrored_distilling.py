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
    for teacher_pass in ("cached", "in_step"):
        run(
            teacher_dir,
            examples,
            os.path.join(out, teacher_pass),
            strategy="mirrored",
            teacher_pass=teacher_pass,
        )
    print(get_strategy("mirrored").num_replicas_in_sync)


if __name__ == "__main__":
    main()
