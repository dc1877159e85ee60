"""Static int8 with ai-edge-quantizer, from a float TFLite file, as its README shows it."""

import numpy.typing  # noqa: F401  # ai-edge-quantizer reads it without importing it.
import tensorflow as tf
from ai_edge_quantizer import quantizer, recipe


def quantize(model_dir: str, signature: str, rows: list[dict], path: str) -> None:
    """Converts one signature to float32 TFLite, and quantizes that; `rows` calibrate."""
    converter = tf.lite.TFLiteConverter.from_saved_model(model_dir, signature_keys=[signature])
    made = quantizer.Quantizer(bytearray(converter.convert()), recipe.static_wi8_ai8())
    made.quantize(made.calibrate({signature: rows})).export_model(path)
