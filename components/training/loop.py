"""The one Keras loop: logs, progress, checkpoints, resume."""

import contextlib
import dataclasses
import logging
import math
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from tfx_shrink.errors import TrainingError
from tfx_shrink.training.checkpoints import EpochCheckpoints, forget
from tfx_shrink.training.data import TrainingData

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Trained:
    """What the loop did.

    Attributes:
      steps: Batches in all.
      epochs: Passes over the rows in all; the last one may be shorter.
      resumed_epochs: How many of them an earlier, interrupted run had done.
      final_loss: Training loss, the mean of the last epoch.
    """

    steps: int
    epochs: int
    resumed_epochs: int
    final_loss: float


def train(
    model: tf_keras.Model,
    data: TrainingData,
    num_steps: int,
    *,
    checkpoint_dir: str | None,
    log_dir: str | None = None,
    callbacks: Sequence[tf_keras.callbacks.Callback] = (),
    tracked: Mapping[str, Any] | None = None,
    ended: Callable[[], bool] = lambda: False,
) -> Trained:
    """Trains a compiled model for a number of steps.

    Killed at any time and run again with the same arguments, it goes on after the last epoch that
    was finished.

    Args:
      model: A compiled Keras model.
      data: Its batches.
      num_steps: How many batches.
      checkpoint_dir: Where the state at the end of each epoch is kept; None: only until
        training ends.
      log_dir: TensorBoard's directory. Defaults to None: no logs.
      callbacks: Others that see every batch. Defaults to none.
      tracked: What belongs to the state of training besides model and optimizer. Defaults to
        nothing.
      ended: Whether the run that this one goes on from had ended before its last step. Defaults to
        no.

    Returns:
      How it went.

    Raises:
      TrainingError: The loss or a weight is not finite; checkpoints are left out of the directory.
    """
    epochs = math.ceil(num_steps / data.steps_per_epoch)
    with contextlib.ExitStack() as stack:
        directory = checkpoint_dir or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="tfx-shrink-")
        )
        checkpoints = EpochCheckpoints(directory, model, tracked or {})
        done = checkpoints.restore()
        if done:
            _log.info("Training goes on after epoch %d of %d, from %s.", done, epochs, directory)
        if done < epochs and not ended():
            try:
                model.fit(
                    data.from_epoch(done),
                    initial_epoch=done,
                    epochs=epochs,
                    steps_per_epoch=data.steps_per_epoch,
                    verbose=1 if sys.stdout.isatty() else 0,
                    callbacks=[
                        *callbacks,
                        _Watch(num_steps, epochs),
                        checkpoints,
                        *([tf_keras.callbacks.TensorBoard(log_dir)] if log_dir else []),
                    ],
                )
            except TrainingError:
                forget(directory)  # Going on from there would end here again.
                raise
            except (tf.errors.InvalidArgumentError, ValueError) as error:
                raise TrainingError(
                    f"Keras cannot train the model on these rows: {_cause(error)} Is the loss "
                    "one for these labels and outputs?"
                ) from error
        steps = int(model.optimizer.iterations.numpy())
        return Trained(steps, checkpoints.epochs, done, checkpoints.loss)


class _Watch(tf_keras.callbacks.Callback):
    """Stops at the last step, or where the loss or a weight is not finite."""

    def __init__(self, num_steps: int, epochs: int):
        super().__init__()
        self._num_steps, self._epochs = num_steps, epochs

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not math.isfinite(logs["loss"]):
            raise self._not_finite(f"The loss became {logs['loss']}")
        if int(self.model.optimizer.iterations.numpy()) >= self._num_steps:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # Keras clips probabilities, so that the loss of NaN may be a number.
        for variable in self.model.trainable_variables:
            if not bool(tf.reduce_all(tf.math.is_finite(variable))):
                raise self._not_finite(f"{variable.name.split(':')[0]} became NaN or infinite")
        _log.info("Epoch %d of %d: loss %.4g.", epoch + 1, self._epochs, logs["loss"])

    def _not_finite(self, what: str) -> TrainingError:
        step = int(self.model.optimizer.iterations.numpy())
        return TrainingError(
            f"{what} by step {step}: not finite. Nothing was kept. Lower `learning_rate`, or look "
            "for rows without finite values."
        )


def _cause(error: Exception) -> str:
    """What Keras or TensorFlow say of the cause, amid their tracebacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TensorFlow names the node after the cause; Keras names the error before it.
    ends = [number for number, line in enumerate(lines) if line.startswith("[[{{node")]
    if ends and ends[0] > 0:
        return lines[ends[0] - 1]
    named = [line for line in lines if re.match(r"\w*Error: (?!Exception encountered)", line)]
    return named[-1] if named else lines[0] if lines else type(error).__name__
