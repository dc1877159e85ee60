"""A SavedModel without what only training needs."""

from typing import Any

import tensorflow as tf
from tensorflow.python.checkpoint.graph_view import ObjectGraphView
from tensorflow.python.trackable.asset import Asset
from tensorflow.python.trackable.resource import TrackableResource

from tfx_shrink.saved_model.functions import load


def strip(model_dir: str, out_dir: str) -> None:
    """Saves again only what the signatures of a SavedModel use.

    Optimizer slots, which make a trained model up to three times as large, and everything that no
    signature reaches are left behind. Signatures, their names and outputs, tables and assets stay.
    This is the honest float baseline of every size that is reported.

    Args:
      model_dir: The SavedModel's directory.
      out_dir: Directory to write.

    Raises:
      ModelError: There is no SavedModel in `model_dir`.
    """
    loaded = load(model_dir)
    signatures = dict(loaded.signatures)
    module = tf.Module()
    # By identity: variables cannot be compared by value.
    module.used = list(
        {
            id(variable): variable
            for signature in signatures.values()
            for variable in signature.variables
        }.values()
    )
    module.resources = resources_of(loaded)
    tf.saved_model.save(module, out_dir, signatures=signatures)


def resources_of(loaded: Any) -> list[Any]:
    """Returns the tables and assets of a loaded SavedModel, to be attached to what is saved."""
    reachable, _ = ObjectGraphView(loaded).breadth_first_traversal()
    return [item for item in reachable if isinstance(item, (TrackableResource, Asset))]
