"""The schemes that stay SavedModels: every signature, table and asset is kept."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ProofError
from tfx_shrink.model_files import SAVED_MODEL
from tfx_shrink.proof.signatures import prove_signatures
from tfx_shrink.proof.source import Source
from tfx_shrink.quantizer.made import Made
from tfx_shrink.quantizer.schemes import Scheme
from tfx_shrink.quantizer.settings import Settings
from tfx_shrink.quantizer.weights import narrow, widen
from tfx_shrink.saved_model.rewrite import Rewritten, rewrite
from tfx_shrink.saved_model.strip import strip

_SAVES = "Saves disk, transfer and loading; TensorFlow computes in float32 as before."


def make_stripped(source: Source, scheme: Scheme, settings: Settings, out_dir: str) -> Made:
    """Removes what only training needs; see `saved_model.strip`.

    Args:
      source: The model and its rows.
      scheme: `strip`.
      settings: The Quantizer's parameters.
      out_dir: The directory to write.

    Returns:
      How far the outputs moved, which is not at all, and what to record.

    Raises:
      ExamplesError: No signature that predicts could be run on the rows.
      ProofError: A signature was lost or answers otherwise in names or shapes.
    """
    strip(source.model_dir, out_dir)
    return _proven(source, out_dir, {})


def make_rewritten(source: Source, scheme: Scheme, settings: Settings, out_dir: str) -> Made:
    """Stores the weights in fewer bits, once for all signatures; see `saved_model.rewrite`.

    Args:
      source: The model and its rows.
      scheme: A scheme whose `weights` say how they are stored.
      settings: The Quantizer's parameters.
      out_dir: The directory to write.

    Returns:
      How far the outputs moved, and what to record.

    Raises:
      ExamplesError: No signature that predicts could be run on the rows.
      ProofError: A signature differs in names or shapes or holds NaN, or there was no weight to
        store in fewer bits.
    """
    rewritten = rewrite(
        source.model_dir, out_dir, lambda weights: _store(weights, scheme.weights), _widen
    )
    if not rewritten.weight_bytes:
        raise ProofError(
            f"scheme={scheme.name!r} asks for {scheme.weights} weights, and no signature uses a "
            "float32 weight of 1,024 elements or more. Use strip."
        )
    return _proven(
        source,
        out_dir,
        {
            "source_weight_bytes": rewritten.weight_bytes,
            "stored_weight_bytes": rewritten.stored_bytes,
            "graph_bytes": _graph_bytes(out_dir, rewritten),
            "weights_as_variables": rewritten.as_variables,
            "notes": [_SAVES],
        },
    )


def _proven(source: Source, out_dir: str, facts: dict[str, object]) -> Made:
    proof = prove_signatures(source, out_dir)
    return Made(
        proof.difference,
        {
            "source_signature": None,
            "evaluated_signature": proof.predicting[0],
            "signatures": {
                name: dataclasses.asdict(difference)
                for name, difference in proof.by_signature.items()
            },
            "signatures_not_run": proof.not_run,
            **facts,
        },
    )


def _store(weights: np.ndarray, storage: str) -> list[np.ndarray]:
    narrowed = narrow(weights, storage)
    return [narrowed.values] if narrowed.scale is None else [narrowed.values, narrowed.scale]


def _widen(stored: list[tf.Tensor]) -> tf.Tensor:
    values, *scale = stored
    return widen(values, scale[0] if scale else None)


def _graph_bytes(out_dir: str, rewritten: Rewritten) -> int:
    size = tf.io.gfile.stat(os.path.join(out_dir, SAVED_MODEL)).length
    return size if rewritten.as_variables else size - rewritten.stored_bytes
