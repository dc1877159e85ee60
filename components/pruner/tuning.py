"""Training a network on while it is pruned: what every way of pruning shares."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import tensorflow as tf
import tf_keras

from tfx_shrink.errors import UntrainableError
from tfx_shrink.pruner.job import Job
from tfx_shrink.pruner.settings import AUTO, FINE_TUNE, ONE_SHOT, Settings
from tfx_shrink.saved_model.functions import ServedFunction
from tfx_shrink.training.compiling import Compiled, compile_network
from tfx_shrink.training.data import some_batches
from tfx_shrink.training.loop import Trained, train
from tfx_shrink.training.served_alike import require_served_alike
from tfx_shrink.training.strategy import get_strategy

_log = logging.getLogger(__name__)
_Tuned = TypeVar("_Tuned")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ready:
    """A network to train.

    Attributes:
      network: Not yet compiled.
      callbacks: What prunes it, if anything does.
      tracked: What a checkpoint must hold besides model and optimizer, by name.
    """

    network: tf_keras.Model
    callbacks: Sequence[tf_keras.callbacks.Callback] = ()
    tracked: Mapping[str, tf.Variable] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """A network that was trained on.

    Attributes:
      ready: The network.
      compiled: Its loss and optimizer.
      trained: Steps and loss.
    """

    ready: Any
    compiled: Compiled
    trained: Trained

    @property
    def facts(self) -> dict[str, Any]:
        """What to write into the compression record."""
        return {**dataclasses.asdict(self.compiled), **dataclasses.asdict(self.trained)}


def train_on(
    job: Job, prepare: Callable[[ServedFunction, Mapping[str, tf.Tensor], int], Ready]
) -> TrainedOn:
    """Trains what `prepare` makes of a job's model.

    Args:
      job: The model, its rows and parameters.
      prepare: Makes the network from the function of the SavedModel that it computes, from features
        of a batch and from the number of steps; called where the strategy places variables.

    Returns:
      The network, trained.

    Raises:
      UntrainableError: There is no label, no loss follows, or no function can be trained.
      ExamplesError: The rows lack the label.
      TrainingError: The loss is not finite.
    """
    settings, keras = job.settings, job.opened.keras
    data, function = job.training_data()
    num_steps = job.num_steps(data)
    batches = some_batches(data)
    require_served_alike(job.source, function, "use method='one_shot'")
    with get_strategy(settings.strategy).scope():
        ready = prepare(function, batches[0][0], num_steps)
        compiled = compile_network(
            ready.network,
            batches,
            function,
            saved=None if keras is None else keras.model,
            compile_fn=job.functions.get("compile_fn"),
            loss=settings.loss,
            learning_rate=settings.learning_rate,
        )
    trained = train(
        ready.network,
        data,
        num_steps,
        checkpoint_dir=job.checkpoint_dir,
        log_dir=job.log_dir,
        callbacks=ready.callbacks,
        tracked=ready.tracked,
    )
    return TrainedOn(ready, compiled, trained)


def train_or_not(settings: Settings, train: Callable[[], _Tuned]) -> tuple[str, str, _Tuned | None]:
    """Trains where the method asks for it or, with `"auto"`, where it can be done.

    Args:
      settings: The Pruner's parameters.
      train: Trains; raises UntrainableError before it changes anything.

    Returns:
      The method that was taken, why, and what `train` returned, None for `"one_shot"`.
    """
    if settings.method == ONE_SHOT:
        return ONE_SHOT, "asked for", None
    try:
        tuned = train()
    except UntrainableError as error:
        if settings.method != AUTO:
            raise
        _log.warning("Pruned at once, for it cannot be trained: %s", error)
        return ONE_SHOT, f"it cannot be trained: {error}", None
    return FINE_TUNE, "asked for" if settings.method == FINE_TUNE else "it can be trained", tuned
