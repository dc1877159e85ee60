"""Prunes in a process of its own that kills itself in epoch 2, as `kill -9` would.

Run as `python killed_pruning.py MODEL_DIR EXAMPLES OUT WORK_DIR`.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import signal
import sys

from tfx_shrink.pruner.prune import prune
from tfx_shrink.training import loop

EPOCHS, SPARSITY = 4, 0.8
_STEP = 8 + 4  # 256 rows in batches of 32 are 8 steps an epoch.


def main():
    model_dir, examples, out, work_dir = sys.argv[1:]
    watch = loop._Watch.on_train_batch_end

    def die(self, batch, logs=None):
        watch(self, batch, logs)
        if int(self.model.optimizer.iterations.numpy()) == _STEP:
            os.kill(os.getpid(), signal.SIGKILL)

    loop._Watch.on_train_batch_end = die
    prune(
        model_dir,
        out,
        examples=[examples],
        target_sparsity=SPARSITY,
        label_key="label",
        epochs=EPOCHS,
        work_dir=work_dir,
    )


if __name__ == "__main__":
    main()
