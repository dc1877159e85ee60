"""Prunes in a process of its own that kills itself in an epoch, as `kill -9` would.

Run as `python killed_pruning.py MODEL_DIR EXAMPLES OUT WORK_DIR EPOCH`; with epoch 0 it lives.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import signal
import sys

from tfx_shrink.pruner.prune import prune
from tfx_shrink.training import loop

EPOCHS = 4


def main():
    model_dir, examples, out, work_dir, epoch = sys.argv[1:]
    watch = loop._Watch.on_train_batch_end

    def die(self, batch, logs=None):
        watch(self, batch, logs)
        steps = int(self.model.optimizer.iterations)
        if int(epoch) and steps == 8 * (int(epoch) - 1) + 4:
            os.kill(os.getpid(), signal.SIGKILL)

    loop._Watch.on_train_batch_end = die
    prune(
        model_dir,
        out,
        examples=[examples],
        target_sparsity=0.8,
        label_key="label",
        epochs=EPOCHS,
        work_dir=work_dir,
    )


if __name__ == "__main__":
    main()
