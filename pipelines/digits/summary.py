"""The table at the end of the main job: the same digits through the model of every stage."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.examples.decode import decode_rows
from tfx_shrink.examples.files import list_files, read_rows
from tfx_shrink.measure.difference import output_difference
from tfx_shrink.measure.metrics import Quality, accuracy
from tfx_shrink.measure.size import ModelSize, model_size, stripped_size
from tfx_shrink.measure.stored import tflite_path
from tfx_shrink.pipelines.digits.data import LABEL, SIDE
from tfx_shrink.pipelines.digits.preprocessing import IMAGE
from tfx_shrink.pipelines.digits.trainer import PROBABILITIES
from tfx_shrink.saved_model.functions import get_function, load
from tfx_shrink.tflite.interpreter import TFLiteModel

_INPUTS = {
    IMAGE: tf.TensorSpec([None, SIDE, SIDE, 1], tf.float32),
    LABEL: tf.TensorSpec([None, 1], tf.int64),
}


# What each stage makes of the model before it, in words.
_STAGES = {"Distiller": "student", "Pruner": "pruned", "Quantizer": "int8 TFLite"}


@dataclasses.dataclass(frozen=True)
class ModelRow:
    """One model of the table.

    Attributes:
      name: What it is.
      bytes: Its size.
      gzip: Its size after gzip.
      accuracy: On the eval split, with its 95 % interval.
      max_difference: How far any probability lies from the Trainer's model's.
    """

    name: str
    bytes: int
    gzip: int
    accuracy: Quality
    max_difference: float


def compare_models(outputs: Mapping[str, Mapping[str, list[Any]]]) -> list[ModelRow]:
    """Runs the eval split through the model of every stage.

    Args:
      outputs: What the run made, as `latest_run_outputs` returns it.

    Returns:
      The Trainer's model without what only training needs, then one row for every stage that ran.
    """
    trained = _serving_dir(outputs["Trainer"]["model"][0])
    examples = outputs["Transform"]["transformed_examples"][0].uri
    eval_rows = [
        row
        for path in list_files([os.path.join(examples, "Split-eval", "*")])
        for row in read_rows(path)
    ]
    arrays = decode_rows(eval_rows, _INPUTS)
    reference = _scores(trained, arrays[IMAGE])

    def row(name: str, size: ModelSize, scores: np.ndarray) -> ModelRow:
        moved = output_difference({PROBABILITIES: reference}, {PROBABILITIES: scores})
        return ModelRow(name, size.raw, size.gzip, accuracy(scores, arrays[LABEL]), moved.max)

    made = [
        row("teacher" if "Distiller" in outputs else "float", stripped_size(trained), reference)
    ]
    for stage, name in _STAGES.items():
        if stage in outputs:
            directory = _serving_dir(outputs[stage]["model"][0])
            made.append(row(name, model_size(directory), _scores(directory, arrays[IMAGE])))
    return made


def format_table(models: list[ModelRow]) -> str:
    """Returns the table as text."""
    head = ["model", "bytes", "gzip", "smaller", "accuracy [95 % interval]", "max difference"]
    lines = [head]
    for model in models:
        quality = model.accuracy
        lines.append(
            [
                model.name,
                f"{model.bytes:,}",
                f"{model.gzip:,}",
                f"{models[0].gzip / model.gzip:.1f} x",
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


def _scores(model_dir: str, images: np.ndarray) -> np.ndarray:
    tflite = tflite_path(model_dir)
    if tflite is not None:
        with tf.io.gfile.GFile(tflite, "rb") as file:
            return TFLiteModel(file.read())({IMAGE: images})[PROBABILITIES]
    loaded = load(model_dir)
    image = get_function(loaded, IMAGE)
    return image.call({IMAGE: tf.constant(images)})[PROBABILITIES].numpy()
