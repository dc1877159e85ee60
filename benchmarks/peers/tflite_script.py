"""Full-integer quantization as TensorFlow's guide to post-training quantization shows it."""

import tensorflow as tf


def quantize(model_dir: str, signature: str, batches: list[dict], path: str) -> None:
    """Converts one signature; `batches` are single rows to calibrate on."""
    converter = tf.lite.TFLiteConverter.from_saved_model(model_dir, signature_keys=[signature])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter(batches)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with open(path, "wb") as file:
        file.write(converter.convert())
