"""Prunes with a copy of the model on each of two logical CPUs, which only a new process can have.

Run as `python mirrored_pruning.py EXAMPLES MODEL_DIR OUT [MODEL_DIR OUT …]`; prints the number of
copies.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import sys

import tensorflow as tf

from tfx_shrink.pruner.prune import prune
from tfx_shrink.training.strategy import get_strategy


def main():
    _, examples, *directories = sys.argv
    (cpu,) = tf.config.list_physical_devices("CPU")
    logical = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, logical)
    for model_dir, out in zip(directories[::2], directories[1::2], strict=True):
        prune(
            model_dir,
            out,
            examples=[examples],
            target_sparsity=0.8,
            label_key="label",
            num_steps=10,
            strategy="mirrored",
            method="fine_tune",
        )
    print(get_strategy("mirrored").num_replicas_in_sync)


if __name__ == "__main__":
    main()
