"""The table at the end of the main job: the same digits through float and int8."""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink import lineage
from tfx_shrink.examples.decode import decode_rows
from tfx_shrink.examples.files import list_files, read_rows
from tfx_shrink.measure.difference import output_difference
from tfx_shrink.measure.metrics import Accuracy, accuracy
from tfx_shrink.pipelines.digits.data import LABEL, SIDE
from tfx_shrink.pipelines.digits.preprocessing import IMAGE
from tfx_shrink.pipelines.digits.trainer import PROBABILITIES
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.saved_model.functions import get_function, load
from tfx_shrink.saved_model.strip import strip
from tfx_shrink.tflite.interpreter import TFLiteModel

_INPUTS = {
    IMAGE: tf.TensorSpec([None, SIDE, SIDE, 1], tf.float32),
    LABEL: tf.TensorSpec([None, 1], tf.int64),
}


@dataclasses.dataclass(frozen=True)
class ModelRow:
    """One model of the table.

    Attributes:
      name: What it is.
      bytes: Its size.
      accuracy: On the eval split, with its 95 % interval.
      max_difference: How far any probability lies from the stripped float SavedModel's.
    """

    name: str
    bytes: int
    accuracy: Accuracy
    max_difference: float


def compare_models(outputs: Mapping[str, Mapping[str, list[Any]]]) -> list[ModelRow]:
    """Runs the eval split through the float SavedModel, float TFLite and the int8 model.

    Args:
      outputs: What the run made, as `latest_run_outputs` returns it.

    Returns:
      Three rows, the stripped float SavedModel first.
    """
    trained = _serving_dir(outputs["Trainer"]["model"][0])
    quantized = _serving_dir(outputs["Quantizer"]["model"][0])
    examples = outputs["Transform"]["transformed_examples"][0].uri
    eval_rows = [
        row
        for path in list_files([os.path.join(examples, "Split-eval", "*")])
        for row in read_rows(path)
    ]
    arrays = decode_rows(eval_rows, _INPUTS)
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        stripped, float_tflite = os.path.join(work, "stripped"), os.path.join(work, "float32")
        strip(trained, stripped)
        quantize(
            trained,
            float_tflite,
            scheme="float32",
            examples=[os.path.join(examples, "Split-train", "*")],
        )
        loaded = load(stripped)
        image = get_function(loaded, IMAGE)
        reference = image.call({IMAGE: tf.constant(arrays[IMAGE])})[PROBABILITIES].numpy()

        def row(name: str, model_dir: str, predict: Callable[[np.ndarray], np.ndarray]) -> ModelRow:
            scores = predict(arrays[IMAGE])
            moved = output_difference({PROBABILITIES: reference}, {PROBABILITIES: scores})
            size = lineage.model_state(model_dir).bytes
            return ModelRow(name, size, accuracy(scores, arrays[LABEL]), moved.max)

        return [
            row("float SavedModel, stripped", stripped, lambda _: reference),
            row("float TFLite", float_tflite, _tflite(float_tflite)),
            row("int8 TFLite", quantized, _tflite(quantized)),
        ]


def format_table(models: list[ModelRow]) -> str:
    """Returns the table as text."""
    head = [
        "model",
        "bytes",
        "smaller",
        "than TFLite",
        "accuracy [95 % interval]",
        "max difference",
    ]
    lines = [head]
    for model in models:
        quality = model.accuracy
        lines.append(
            [
                model.name,
                f"{model.bytes:,}",
                f"{models[0].bytes / model.bytes:.2f} x",
                f"{models[1].bytes / model.bytes:.2f} x",
                f"{quality.value:.4f} [{quality.low:.4f}, {quality.high:.4f}]",
                f"{model.max_difference:.2g}",
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _serving_dir(model: Any) -> str:
    return os.path.join(model.uri, "Format-Serving")


def _tflite(model_dir: str) -> Callable[[np.ndarray], np.ndarray]:
    with tf.io.gfile.GFile(os.path.join(model_dir, "tflite"), "rb") as file:
        model = TFLiteModel(file.read())
    return lambda images: model({IMAGE: images})[PROBABILITIES]
