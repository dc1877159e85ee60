"""Distills in a process of its own that kills itself in epoch 2, as `kill -9` would.

Run as `python killed_distilling.py TEACHER_DIR EXAMPLES OUT WORK_DIR`.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import signal
import sys

import tf_keras

from tfx_shrink.distiller.distill import distill
from tfx_shrink.training import loop

EPOCHS = 3
_STEP = 3 + 2  # 96 rows in batches of 32 are 3 steps an epoch.


def student(activation="relu"):
    x = tf_keras.Input([16], name="x")
    hidden = tf_keras.layers.Dense(8, activation, name="h")(x)
    return tf_keras.Model(x, tf_keras.layers.Dense(3, name="top")(hidden))


def run(teacher_dir, examples, out, work_dir=None, **parameters):
    """The run that is killed."""
    return distill(
        teacher_dir,
        out,
        examples=[examples],
        work_dir=work_dir,
        **{
            "student": student,
            "eval_examples": [examples],
            "label_key": "label",
            "patience": 2,
            "epochs": EPOCHS,
            **parameters,
        },
    )


def main():
    watch = loop._Watch.on_train_batch_end

    def die(self, batch, logs=None):
        watch(self, batch, logs)
        # Steps of an epoch are taken several at a time, before its checkpoint.
        if int(self.model.optimizer.iterations.numpy()) >= _STEP:
            os.kill(os.getpid(), signal.SIGKILL)

    loop._Watch.on_train_batch_end = die
    run(*sys.argv[1:])


if __name__ == "__main__":
    main()
