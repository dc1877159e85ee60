"""TFX's own TFLite rewriter, as a Trainer's run_fn calls it."""

from tfx.components.trainer.rewriting import converters, rewriter, rewriter_factory


def rewrite(model_dir: str, signature: str, out_dir: str) -> None:
    """Quantizes weights to int8; the rewriter sets no integer types of activations."""
    tflite = rewriter_factory.create_rewriter(
        rewriter_factory.TFLITE_REWRITER,
        signature_key=signature,
        quantization_optimizations=["OPTIMIZE_DEFAULT"],
    )
    converters.rewrite_saved_model(model_dir, out_dir, tflite, rewriter.ModelType.TFLITE_MODEL)
