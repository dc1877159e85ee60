"""Pruning single weights: their zeros stay where they are."""

import logging

from tfx_shrink.pruner.fine_tune import fine_tune
from tfx_shrink.pruner.job import Job, UnsavedModel
from tfx_shrink.pruner.masking import mask
from tfx_shrink.pruner.selection import select
from tfx_shrink.pruner.sparsity import prove_sparsity
from tfx_shrink.pruner.tuning import train_or_not

_log = logging.getLogger(__name__)


def prune_weights(job: Job) -> UnsavedModel:
    """Sets the smallest weights to zero by any pattern but `"channel"`.

    Args:
      job: The model, its rows and parameters.

    Returns:
      The pruned model.

    Raises:
      ParameterError: A glob matches no layer.
      ModelError: There is nothing to prune.
      UntrainableError: It was to be trained and cannot be.
      TrainingError: The loss is not finite.
    """
    settings, opened = job.settings, job.opened
    selection = select(opened.weights, settings.pattern, settings.layers, settings.skip_layers)
    method, reason, tuned = train_or_not(settings, lambda: fine_tune(job, selection))
    if tuned is None:
        names = [weight.name for weight in selection.weights]
        variables = [opened.variables[name] for name in names]
        mask(variables, settings.pattern, settings.sparsity, settings.scope)
    else:
        names = tuned.names
    return UnsavedModel(
        save=opened.save,
        prove=lambda directory: prove_sparsity(
            directory, names, settings.pattern, settings.sparsity, settings.scope
        ),
        signatures=None,
        facts={
            "method": method,
            "method_reason": reason,
            "saved_as": "keras" if opened.keras is not None else "saved_model",
            "skipped": {**selection.skipped, **(tuned.skipped if tuned else {})},
            "training": tuned.facts if tuned else None,
        },
    )
