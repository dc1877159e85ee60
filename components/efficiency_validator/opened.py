"""A model and its baseline, opened, and the functions of both that answer the same question."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink import lineage
from tfx_shrink.errors import ExamplesError, ModelError
from tfx_shrink.examples.batches import batch_size
from tfx_shrink.examples.sample import Sample
from tfx_shrink.measure.runtime import ServedModel
from tfx_shrink.measure.stored import tflite_path
from tfx_shrink.model_files import SERVING_DEFAULT
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.export import export_function
from tfx_shrink.saved_model.functions import (
    CALL_FUNCTION,
    PREPROCESSING_SIGNATURES,
    ServedFunction,
    list_functions,
    load,
)
from tfx_shrink.tflite.interpreter import TFLiteModel


@dataclasses.dataclass(frozen=True)
class OpenedModel:
    """A model that can be asked.

    Attributes:
      model_dir: Its directory.
      loaded: The SavedModel, loaded; None of a TFLite model.
      tflite: The TFLite file's path; None of a SavedModel.
      functions: What can be asked, without what only prepares rows.
      source_signature: The function of its source that a TFLite file was made of, where its record
        says so.
    """

    model_dir: str
    loaded: Any
    tflite: str | None
    functions: tuple[ServedFunction, ...]
    source_signature: str | None = None


@dataclasses.dataclass(frozen=True)
class Question:
    """The same question to a model and to its baseline.

    Attributes:
      model: The model's function.
      baseline: The baseline's.
      rows: What both read, `[rows, ...]` by feature name.
    """

    model: ServedFunction
    baseline: ServedFunction
    rows: Mapping[str, np.ndarray]


def open_model(model_dir: str) -> OpenedModel:
    """Opens a SavedModel, or a TFLite file in a directory of its own.

    Raises:
      ModelError: There is neither.
    """
    path = tflite_path(model_dir)
    if path is None:
        loaded = load(model_dir)
        functions = tuple(
            function
            for function in list_functions(loaded)
            if function.name not in PREPROCESSING_SIGNATURES
        )
        return OpenedModel(model_dir, loaded, None, functions)
    with tf.io.gfile.GFile(path, "rb") as file:
        model = TFLiteModel(file.read())
    function = ServedFunction(
        name=SERVING_DEFAULT,
        inputs=model.features,
        outputs=model.outputs,
        concrete=None,
        call=lambda tensors: {
            name: tf.constant(value)
            for name, value in model({key: tensors[key] for key in model.features}).items()
        },
    )
    signatures = [step.get("source_signature") for step in lineage.read(model_dir)]
    return OpenedModel(model_dir, None, path, (function,), signatures[-1] if signatures else None)


def same_question(
    model: OpenedModel,
    baseline: OpenedModel,
    sample: Sample,
    *,
    transform_graph: str | None,
    schema: str | None,
    prefer: str | None = None,
) -> Question:
    """Finds a function of each that can be asked the same rows.

    Functions of the same name go first, `serving_default` before others; else any function of the
    baseline that reads at least what the model reads: a student may read fewer features.

    Args:
      model: The model.
      baseline: What it is compared with.
      sample: The rows.
      transform_graph: Transform's output directory, or None.
      schema: The rows' schema file, or None.
      prefer: The baseline's function to ask where it can be, so that several models are asked the
        same. Defaults to None.

    Returns:
      The functions, and the rows as both read them.

    Raises:
      ModelError: The two read other features.
      ExamplesError: The rows hold neither what the one nor what the other reads.
    """
    source = Source(
        baseline.model_dir, baseline.loaded, sample, len(sample.rows), transform_graph, schema
    )
    reasons = []
    pairs = sorted(_candidates(model, baseline), key=lambda pair: pair[1].name != prefer)
    for own, other in pairs:
        try:
            return Question(own, other, source.read(sample.rows, other))
        except ExamplesError as error:
            reasons.append(f"\n  {other.name}: {error}")
    if reasons:
        raise ExamplesError("No function can be asked these rows:" + "".join(reasons))
    raise ModelError(
        f"The model and its baseline read other features: {_inputs(model)} and "
        f"{_inputs(baseline)}. Give the model that it was made from as the baseline."
    )


def as_served(opened: OpenedModel, function: ServedFunction, work_dir: str) -> ServedModel:
    """Returns how a server would call a function; what is no signature is saved as one.

    Args:
      opened: The model.
      function: One of its functions.
      work_dir: An empty local directory.
    """
    size = batch_size(function.inputs)
    if opened.tflite is not None:
        return ServedModel(_local(opened.tflite, work_dir), batch_size=size)
    if function.name != CALL_FUNCTION:
        path = _local(opened.model_dir, work_dir)
        return ServedModel(path, function.name, batch_size=size)
    names = export_function(function, opened.loaded, work_dir)
    return ServedModel(work_dir, SERVING_DEFAULT, names, size)


def loadable_path(model_dir: str, work_dir: str) -> str:
    """Returns the local path that a server would load: a TFLite file, or a directory."""
    return _local(tflite_path(model_dir) or model_dir, work_dir)


def takes(function: ServedFunction, size: int) -> bool:
    """Whether a function can be called with batches of a size."""
    return batch_size(function.inputs) in (None, size)


def _candidates(
    model: OpenedModel, baseline: OpenedModel
) -> Iterator[tuple[ServedFunction, ServedFunction]]:
    for own in model.functions:
        fitting = [other for other in baseline.functions if set(own.inputs) <= set(other.inputs)]
        names = [own.name, model.source_signature]
        yield from (
            (own, other) for other in sorted(fitting, key=lambda other: other.name not in names)
        )


def _inputs(model: OpenedModel) -> dict[str, list[str]]:
    return {function.name: sorted(function.inputs) for function in model.functions}


def _local(path: str, work_dir: str) -> str:
    """The path itself, or that of a local copy: the runtimes read local files only."""
    if "://" not in path:
        return path
    target = os.path.join(work_dir, "copy")
    if not tf.io.gfile.isdir(path):
        tf.io.gfile.copy(path, target)
        return target
    for name in lineage.file_digests(path):
        file = os.path.join(target, name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        tf.io.gfile.copy(os.path.join(path, name), file)
    return target
