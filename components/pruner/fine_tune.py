"""Pruning single weights while the model trains on: through TFMOT, or by masks of our own."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from tfx_shrink.errors import ModelError, UntrainableError
from tfx_shrink.pruner.job import Job
from tfx_shrink.pruner.masking import MaskWeights
from tfx_shrink.pruner.schedule import Schedule, make_schedule
from tfx_shrink.pruner.selection import Selection
from tfx_shrink.pruner.settings import Settings
from tfx_shrink.pruner.tuning import Ready, train_on
from tfx_shrink.pruner.wrapping import wrap
from tfx_shrink.saved_model.functions import (
    CALL_FUNCTION,
    ServedFunction,
    get_function,
    load,
    training_function,
)
from tfx_shrink.saved_model.weights import counterparts
from tfx_shrink.training.assignable import AssignableModel
from tfx_shrink.training.served_network import ServedNetwork


@dataclasses.dataclass(frozen=True)
class FineTuned:
    """What training pruned.

    Attributes:
      names: The weights that were pruned.
      skipped: Why weights that were asked for were not, by name.
      facts: What to write into the compression record: which path ran and why, the engine, the
        schedule, loss and optimizer, steps.
    """

    names: list[str]
    skipped: dict[str, str]
    facts: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Pruning(Ready):
    """A network that prunes itself while it trains.

    Attributes:
      weights: Its variables, by name.
      names: The weights that are pruned.
      skipped: Why others are not, by name.
      path: `"keras"`, the layers that Keras loads, or `"call_function"`, the SavedModel's own.
      path_reason: Why this one.
      engine: `"tfmot"` or `"masks"`.
      schedule: How sparse each step leaves the weights.
    """

    weights: Mapping[str, tf.Variable]
    names: list[str]
    skipped: dict[str, str]
    path: str
    path_reason: str
    engine: str
    schedule: Schedule


def fine_tune(job: Job, selection: Selection) -> FineTuned:
    """Trains a job's model on while its weights are pruned; the opened model gets them.

    TFMOT wraps the layers that Keras loads. What TFMOT does not do, one sparsity over all tensors
    together, and what Keras did not save is pruned by masks of the same schedule.

    Args:
      job: The model, its rows and parameters.
      selection: The weights to prune.

    Returns:
      What was pruned and how.

    Raises:
      UntrainableError: There is no label, no loss follows, or no gradient reaches a weight.
      ExamplesError: The rows lack the label.
      TrainingError: The loss is not finite.
    """
    names = [weight.name for weight in selection.weights]

    def prepare(function: ServedFunction, features: Any, num_steps: int) -> _Pruning:
        settings = job.settings
        schedule = make_schedule(settings.schedule, settings.sparsity, num_steps)
        if job.opened.keras is None:
            reason = job.opened.why_not_keras or ""
            return _served(job.opened, names, settings, schedule, function, features, reason)
        try:
            return _keras(job.opened.keras.network, function, names, settings, schedule)
        except ModelError as error:
            reason = str(error).splitlines()[0]
            return _served(job.opened, names, settings, schedule, function, features, reason)

    done = train_on(job, prepare)
    pruning: _Pruning = done.ready
    for name, variable in job.opened.variables.items():
        variable.assign(pruning.weights[name].numpy())
    return FineTuned(
        pruning.names,
        pruning.skipped,
        {
            "path": pruning.path,
            "path_reason": pruning.path_reason,
            "engine": pruning.engine,
            "schedule": dataclasses.asdict(pruning.schedule),
            **done.facts,
        },
    )


def _keras(
    network: tf_keras.Model,
    function: ServedFunction,
    names: list[str],
    settings: Settings,
    schedule: Schedule,
) -> _Pruning:
    if unknown := sorted(set(network.input_names) - function.inputs.keys()):
        raise ModelError(f"its inputs {unknown} are named otherwise in {function.name}")
    try:
        plain = tf_keras.models.clone_model(network)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelError(f"Keras cannot clone its layers: {error}") from error
    plain.set_weights(network.get_weights())
    weights = {variable.name.split(":")[0]: variable for variable in plain.weights}
    reason = "Keras loads it, and its layers can be cloned"
    if settings.scope == "global":
        return _masked(plain, weights, names, settings, schedule, "keras", reason)
    wrapped = wrap(plain, names, settings.pattern, schedule)
    return _Pruning(
        network=wrapped.network,
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
        weights=weights,
        names=wrapped.names,
        skipped=wrapped.skipped,
        path="keras",
        path_reason=reason,
        engine="tfmot",
        schedule=schedule,
    )


def _served(
    opened: AssignableModel,
    names: list[str],
    settings: Settings,
    schedule: Schedule,
    function: ServedFunction,
    features: Any,
    reason: str,
) -> _Pruning:
    inference, training = _functions(opened.loaded, function.name)
    read = {id(variable) for variable in (training or inference).concrete.graph.variables}
    # A frozen layer's variables still say that they are trainable; the model lists what it trains.
    listed = {id(variable) for variable in getattr(opened.loaded, "trainable_variables", ())}
    trained = [
        weight.variable
        for weight in opened.weights
        if weight.variable.trainable
        and id(weight.variable) in read
        and (not listed or id(weight.variable) in listed)
    ]
    own = {weight.name: weight.variable for weight in opened.weights}
    _require_gradients(
        ServedNetwork(opened.loaded, inference, training, trained),
        features,
        {name: own[name] for name in names},
    )
    loaded = load(opened.model_dir)  # Anew, for the strategy to place its variables.
    placed = counterparts(opened.loaded, loaded)
    network = ServedNetwork(
        loaded, *_functions(loaded, function.name), [placed[id(variable)] for variable in trained]
    )
    weights = {name: placed[id(variable)] for name, variable in own.items()}
    pruning = _masked(network, weights, names, settings, schedule, "call_function", reason)
    # What training changes beside the variables that it trains, such as moving averages.
    changed = read - {id(variable) for variable in trained}
    state = [variable for key, variable in placed.items() if key in changed]
    return dataclasses.replace(
        pruning,
        tracked={**pruning.tracked, **{f"state_{n}": variable for n, variable in enumerate(state)}},
    )


def _functions(loaded: Any, name: str) -> tuple[ServedFunction, ServedFunction | None]:
    """A function for inference, and the same for training where there is one."""
    training = training_function(loaded) if name == CALL_FUNCTION else None
    return get_function(loaded, name), training


def _masked(
    network: tf_keras.Model,
    weights: Mapping[str, tf.Variable],
    names: list[str],
    settings: Settings,
    schedule: Schedule,
    path: str,
    reason: str,
) -> _Pruning:
    masks = MaskWeights(
        [weights[name] for name in names], settings.pattern, settings.scope, schedule
    )
    return _Pruning(
        network=network,
        callbacks=[masks],
        tracked=masks.tracked,
        weights=weights,
        names=names,
        skipped={},
        path=path,
        path_reason=reason,
        engine="masks",
        schedule=schedule,
    )


def _require_gradients(
    network: tf_keras.Model, features: Any, weights: Mapping[str, tf.Variable]
) -> None:
    with tf.GradientTape() as tape:
        outputs = tf.nest.flatten(network(features, training=True))
        total = tf.add_n([tf.reduce_sum(tf.cast(output, tf.float32)) for output in outputs])
    gradients = tape.gradient(total, list(weights.values()))
    without = [name for name, found in zip(weights, gradients, strict=True) if found is None]
    if without:
        raise UntrainableError(
            f"No gradient reaches {without}, so they cannot be trained. Use method='one_shot', or "
            "leave them out by `skip_layers`."
        )
