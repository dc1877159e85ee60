"""TFX's own TFLite rewriter, as a Trainer's run_fn calls it."""

import os

import tensorflow as tf
from tfx.components.trainer.rewriting import rewriter, rewriter_factory


def rewrite(model_dir: str, signature: str, out_dir: str) -> None:
    """Quantizes weights to int8; the rewriter sets no integer types of activations."""
    tflite = rewriter_factory.create_rewriter(
        rewriter_factory.TFLITE_REWRITER,
        name="tflite",
        signature_key=signature,
        quantization_optimizations=[tf.lite.Optimize.DEFAULT],
    )
    os.makedirs(out_dir)
    kinds = rewriter.ModelType
    tflite.perform_rewrite(
        rewriter.ModelDescription(kinds.SAVED_MODEL, model_dir),
        rewriter.ModelDescription(kinds.TFLITE_MODEL, out_dir),
    )
