"""What of training must survive a crash: a checkpoint at the end of every epoch."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from tfx_shrink import lineage
from tfx_shrink.examples.files import list_files
from tfx_shrink.version import __version__


def work_key(
    model_dir: str,
    patterns: Sequence[str],
    parameters: Mapping[str, Any],
    *,
    transform_graph: str | None = None,
    schema: str | None = None,
) -> str:
    """Names the work of one model, these rows and these parameters.

    Args:
      model_dir: The model that is trained.
      patterns: Glob patterns of the rows' files, which are told apart by name, size and time.
      parameters: JSON values.
      transform_graph: Transform's output directory, if there is one. Defaults to None.
      schema: The rows' schema file, if there is one. Defaults to None.

    Returns:
      32 hexadecimal digits.
    """
    files = [(path, tf.io.gfile.stat(path)) for path in list_files(patterns)]
    content = {
        "model": lineage.model_state(model_dir).digest,
        "examples": [(path, stat.length, stat.mtime_nsec) for path, stat in files],
        "parameters": dict(parameters),
        "transform_graph": transform_graph and lineage.model_state(transform_graph).digest,
        "schema": schema and lineage.content_digest(schema),
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def forget(directory: str | None) -> None:
    """Removes what training kept in a directory, if anything."""
    if directory is not None and tf.io.gfile.exists(directory):
        tf.io.gfile.rmtree(directory)


class EpochCheckpoints(tf_keras.callbacks.Callback):
    """Saves weights, optimizer and epoch at the end of every epoch; the last one is kept.

    Args:
      directory: Where to, on any tf.io.gfile file system; made if it does not exist.
      model: The compiled model.
      tracked: What else belongs to the state of training, by name.
    """

    def __init__(self, directory: str, model: tf_keras.Model, tracked: Mapping[str, Any]):
        super().__init__()
        if isinstance(model.optimizer, tf_keras.optimizers.legacy.Optimizer):
            model.optimizer._create_all_weights(model.trainable_variables)
        else:
            model.optimizer.build(model.trainable_variables)
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._loss = tf.Variable(float("nan"), dtype=tf.float32, trainable=False)
        checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=model.optimizer,
            epoch=self._epoch,
            loss=self._loss,
            **tracked,
        )
        self._manager = tf.train.CheckpointManager(checkpoint, directory, max_to_keep=1)

    def restore(self) -> int:
        """Restores the last epoch that was saved, if any; returns how many are done."""
        self._manager.restore_or_initialize()
        return self.epochs

    @property
    def epochs(self) -> int:
        """How many epochs were done when the last one was saved."""
        return int(self._epoch)

    @property
    def loss(self) -> float:
        """The training loss of the last epoch that was saved."""
        return float(self._loss)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves the epoch that just ended."""
        self._epoch.assign(epoch + 1)
        self._loss.assign(logs["loss"])
        self._manager.save()
