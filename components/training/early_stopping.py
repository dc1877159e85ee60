"""Stopping when a loss on other rows gets no better, with the best weights."""

import logging
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from tfx_shrink.training.data import TrainingData

_log = logging.getLogger(__name__)


class StopEarly(tf_keras.callbacks.Callback):
    """Evaluates a model after every epoch, and ends training where that gets no better.

    The model has the weights of its best epoch afterwards. All state is in variables, so that
    training that was interrupted goes on as if it had not been: give `tracked` to the loop.

    Args:
      network: The compiled model.
      data: Rows that it is not trained on.
      patience: After how many epochs without a lower loss training ends.
    """

    def __init__(self, network: tf_keras.Model, data: TrainingData, patience: int):
        super().__init__()
        self._data, self._patience = data, patience
        self._best = tf.Variable(float("inf"), trainable=False)
        self._best_epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._epochs = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._weights = [tf.Variable(value, trainable=False) for value in network.get_weights()]

    @property
    def tracked(self) -> Mapping[str, Any]:
        """What a checkpoint must hold, by name."""
        return {
            "stop_early": tf.train.Checkpoint(
                best=self._best,
                best_epoch=self._best_epoch,
                epochs=self._epochs,
                weights=self._weights,
            )
        }

    @property
    def stopped(self) -> bool:
        """Whether training has ended, in this run or in one that this one goes on from."""
        return int(self._epochs.numpy()) - int(self._best_epoch.numpy()) >= self._patience

    @property
    def facts(self) -> dict[str, Any]:
        """What to write into the compression record."""
        return {
            "patience": self._patience,
            "best_epoch": int(self._best_epoch.numpy()),
            "best_loss": float(self._best.numpy()),
            "epochs": int(self._epochs.numpy()),
        }

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Evaluates, and keeps the weights if they are the best so far."""
        rows = self._data.from_epoch(0)
        loss = self.model.evaluate(rows, steps=self._data.steps_per_epoch, verbose=0)
        logs["val_loss"] = loss
        self._epochs.assign(epoch + 1)
        if loss < float(self._best.numpy()):
            self._best.assign(loss)
            self._best_epoch.assign(epoch + 1)
            for kept, value in zip(self._weights, self.model.get_weights(), strict=True):
                kept.assign(value)
        elif self.stopped:
            _log.info(
                "Epoch %d was no better than %d: stopped.", epoch + 1, int(self._best_epoch.numpy())
            )
            self.model.stop_training = True

    def use_best(self, network: tf_keras.Model) -> None:
        """Gives a network the weights of the best epoch."""
        network.set_weights([value.numpy() for value in self._weights])
