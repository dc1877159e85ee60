"""Pruning whole channels: the model itself gets narrower, and faster, and stays dense."""

import tf_keras

from tfx_shrink.errors import ModelError, ProofError
from tfx_shrink.pruner.channel_cut import cut, strongest
from tfx_shrink.pruner.job import Job, UnsavedModel
from tfx_shrink.pruner.selection import check_globs, matches
from tfx_shrink.pruner.settings import Settings
from tfx_shrink.pruner.sparsity import Sparsity
from tfx_shrink.pruner.tuning import Ready, train_on, train_or_not
from tfx_shrink.saved_model.functions import load
from tfx_shrink.saved_model.weights import list_weights
from tfx_shrink.training.channel_graph import ChannelGraph, channel_graph
from tfx_shrink.training.keras_models import save_keras
from tfx_shrink.training.signatures import SignatureBuilder


def prune_channels(job: Job) -> UnsavedModel:
    """Removes the weakest channels of Dense and Conv layers, and trains the narrower model on.

    Signatures are built anew over the narrower network; before anything is cut they are built over
    the whole one and must answer as the source does.

    Args:
      job: The model, its rows and parameters.

    Returns:
      The narrower model.

    Raises:
      ParameterError: A glob matches no layer, or `drop_signatures` names no signature.
      ModelError: Keras did not save the model, no channel can go, or a signature cannot be rebuilt.
      UntrainableError: It was to be trained and cannot be.
      TrainingError: The loss is not finite.
    """
    settings, keras = job.settings, job.opened.keras
    if keras is None:
        raise ModelError(
            "pattern='channel' needs a Functional or Sequential Keras model, saved by Keras; of "
            f"this one {job.opened.why_not_keras}. Save it by `model.save(…, save_format='tf')`, "
            "or use another pattern."
        )
    builder = SignatureBuilder(
        job.source,
        job.transform_output,
        settings.label_key,
        settings.drop_signatures,
        job.functions.get("signatures_fn"),
    )
    whole = _copy(keras.network)
    # What signatures need is attached to the model that they are built over, and cannot be cloned.
    unproven = builder.prove(tf_keras.Model(whole.inputs, whole.outputs))
    graph = channel_graph(whole)
    groups, skipped = _choose(graph, settings)
    stay = strongest(whole, graph, groups, settings.sparsity)

    def prepare(*_: object) -> Ready:
        return Ready(network=cut(whole, graph, stay))

    method, reason, tuned = train_or_not(settings, lambda: train_on(job, prepare))
    network = prepare().network if tuned is None else tuned.ready.network
    widths = {
        name: (graph.sizes[group], len(stay[group]))
        for group in groups
        for name in graph.makers[group]
    }
    return UnsavedModel(
        save=lambda directory: save_keras(
            network, directory, builder.build(network), compiled_like=keras.model
        ),
        prove=lambda directory: _prove(directory, widths),
        signatures=builder.names(),
        facts={
            "method": method,
            "method_reason": reason,
            "path": "keras",
            "path_reason": "channels are cut out of Keras's layers",
            "engine": "cut",
            "saved_as": "keras",
            "skipped": skipped,
            "channels": {
                name: {"before": before, "after": after} for name, (before, after) in widths.items()
            },
            "dropped_signatures": list(settings.drop_signatures),
            "signatures_not_compared": unproven,
            "training": None if tuned is None else tuned.facts,
        },
    )


def _copy(network: tf_keras.Model) -> tf_keras.Model:
    """A network of layers that nothing else uses."""
    try:
        copy = tf_keras.models.clone_model(network)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelError(
            f"pattern='channel' builds the layers anew, and Keras cannot: {error}"
        ) from error
    copy.set_weights(network.get_weights())
    return copy


def _choose(graph: ChannelGraph, settings: Settings) -> tuple[list[int], dict[str, str]]:
    """Groups that lose channels, and why layers keep theirs."""
    makers = [name for names in graph.makers.values() for name in names]
    check_globs(settings.layers, settings.skip_layers, makers)
    chosen, skipped = [], {}
    for group, names in graph.makers.items():
        left = [name for name in names if not _is_asked_for(name, settings)]
        if group in graph.fixed:
            skipped.update(dict.fromkeys(names, graph.fixed[group]))
        elif left:
            skipped.update(dict.fromkeys(names, f"{left} of the same channels are to be left"))
        else:
            chosen.append(group)
    if not chosen:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in skipped.items())
        raise ModelError(
            "The model has no channel that can go. Name other `layers`, or use another `pattern`."
            f"{reasons}"
        )
    return chosen, skipped


def _is_asked_for(name: str, settings: Settings) -> bool:
    if matches(name, settings.skip_layers):
        return False
    return settings.layers is None or matches(name, settings.layers)


def _prove(directory: str, widths: dict[str, tuple[int, int]]) -> Sparsity:
    """Counts the channels of the saved model."""
    saved = {
        weight.layer: weight.variable.shape[-1]
        for weight in list_weights(load(directory))
        if weight.name.endswith("/kernel")
    }
    for name, (_, wanted) in widths.items():
        if saved.get(name) != wanted:
            raise ProofError(f"{name} has {saved.get(name)} channels, not {wanted}.")
    before = sum(was for was, _ in widths.values())
    after = sum(saved[name] for name in widths)
    return Sparsity(
        1 - after / before, {name: 1 - saved[name] / was for name, (was, _) in widths.items()}
    )
