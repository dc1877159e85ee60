"""Quantizes a SavedModel and proves the result on real rows."""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf

from tfx_shrink import lineage
from tfx_shrink.errors import ExamplesError, ModelError, ParameterError, ProofError
from tfx_shrink.examples.decode import decode_rows, transform_graph_in
from tfx_shrink.examples.sample import Sample, sample_rows
from tfx_shrink.measure.difference import OutputDifference
from tfx_shrink.quantizer.schemes import Scheme, check_parameters, get_scheme
from tfx_shrink.saved_model.blockers import blockers
from tfx_shrink.saved_model.functions import (
    PREPROCESSING_SIGNATURES,
    ServedFunction,
    get_function,
    list_functions,
    load,
)
from tfx_shrink.tflite.contents import constant_bytes
from tfx_shrink.tflite.convert import BlockedError, ConversionOptions, Converted, convert

# The name that TFMA and TFX read, and the name that TensorFlow Serving reads.
TFLITE_FILES = ("tflite", "model.tflite")

_PROOF_SHARE = 5
# TensorFlow's converter leaves smaller weights as they are.
_LARGE_WEIGHTS_BYTES = 1024 * 4


@dataclasses.dataclass(frozen=True)
class Quantized:
    """What `quantize` made.

    Attributes:
      source_signature: Which function of the source was converted.
      source: Digest and bytes of the source directory.
      result: Digest and bytes of the result directory.
      difference: How far the outputs moved on rows that were not used for calibration.
    """

    source_signature: str
    source: lineage.ModelState
    result: lineage.ModelState
    difference: OutputDifference


def quantize(
    model_dir: str,
    out_dir: str,
    *,
    scheme: str,
    examples: Sequence[str],
    transform_graph: str | None = None,
    schema: str | None = None,
    signature_name: str | None = None,
    num_calibration_examples: int = 1000,
    seed: int = 0,
    time_limit: float = 3600,
    make_pipeline: Callable[[], beam.Pipeline] = beam.Pipeline,
    temp_dir: str | None = None,
) -> Quantized:
    """Converts a SavedModel to a quantized TFLite model that has run on real rows.

    `out_dir` is complete or untouched: it is written only after the result has run on rows that
    were not used for calibration, beside its source. It then holds the file under two names,
    `tflite` for TFMA and `model.tflite` for TensorFlow Serving, and the compression record.

    Example:
      ```python
      from tfx_shrink.quantizer.quantize import quantize

      done = quantize("model", "model_int8", scheme="int8", examples=["Split-train/*"])
      print(done.result.bytes / done.source.bytes, done.difference.max)
      ```

    Args:
      model_dir: The SavedModel's directory, the one that holds `saved_model.pb`.
      out_dir: Directory to make. It must not exist or be empty.
      scheme: One of `schemes.SCHEMES`.
      examples: Glob patterns of TFRecord files of tf.Examples, raw or transformed.
      transform_graph: Transform's output directory, for raw rows. Defaults to None.
      schema: The examples' schema, a text proto file, for features of open length or that may be
        missing. Defaults to None.
      signature_name: The function to convert. Defaults to the first dense signature that converts,
        else the model's own call function.
      num_calibration_examples: How many rows set the ranges of activations; a quarter more are
        drawn for the proof. Defaults to 1000. With fewer rows in all, four fifths of them
        calibrate, one fifth proves, and the record says so.
      seed: Chooses the rows. Defaults to 0.
      time_limit: Seconds that one conversion may take. Defaults to 3600.
      make_pipeline: Makes the Beam pipeline that draws the rows. Defaults to the direct runner.
      temp_dir: A directory that the pipeline's workers can write to. Defaults to a local one.

    Returns:
      Sizes, the function that was converted and how far its outputs moved.

    Raises:
      ParameterError: A parameter is out of its range, or `out_dir` is not empty.
      ModelError: There is no SavedModel, or no function of it converts; the text lists each with
        what blocks it.
      ExamplesError: There are no rows, or they lack what the function reads.
      ProofError: The result does not run, holds NaN, or is not what was asked for.
    """
    check_parameters(scheme, num_calibration_examples, time_limit)
    _require_empty(out_dir)
    chosen = get_scheme(scheme)
    loaded = load(model_dir)
    candidates, blocked = _candidates(loaded, signature_name)
    if transform_graph is not None:
        transform_graph_in(transform_graph)
    # The proof's fifth of the whole is a quarter of what calibrates.
    wanted = num_calibration_examples + -(-num_calibration_examples // (_PROOF_SHARE - 1))
    sample = sample_rows(examples, wanted, seed, make_pipeline=make_pipeline, temp_dir=temp_dir)
    calibrating = min(
        num_calibration_examples, len(sample.rows) * (_PROOF_SHARE - 1) // _PROOF_SHARE
    )

    unreadable: ExamplesError | None = None
    for function in candidates:
        try:
            calibration, proof = _split_rows(
                sample, function, calibrating, transform_graph=transform_graph, schema=schema
            )
            converted = convert(
                model_dir,
                function.name,
                _options(chosen),
                calibration=calibration if chosen.calibrated else {},
                proof=proof,
                time_limit=time_limit,
            )
        except BlockedError as error:
            blocked[function.name] = str(error)
            continue
        except ExamplesError as error:
            unreadable = unreadable or error  # Another function may read these rows.
            continue
        _check_scheme(converted, chosen)
        parameters = {
            "scheme": scheme,
            "signature_name": signature_name,
            "num_calibration_examples": num_calibration_examples,
            "seed": seed,
        }
        facts = {
            "source_signature": function.name,
            "signatures_not_kept": {
                other.name: "a TFLite model has one signature"
                for other in list_functions(loaded)
                if other.name in loaded.signatures and other.name != function.name
            },
            "calibration_rows": calibrating if chosen.calibrated else 0,
            "output_difference": dataclasses.asdict(converted.difference),
            "notes": _notes(chosen, calibrating, num_calibration_examples),
        }
        step = _write(model_dir, out_dir, converted.content, parameters, facts)
        return Quantized(
            source_signature=function.name,
            source=lineage.ModelState(**step["source"]),
            result=lineage.ModelState(**step["result"]),
            difference=converted.difference,
        )
    raise unreadable or _nothing_convertible(model_dir, blocked)


def _require_empty(out_dir: str) -> None:
    if tf.io.gfile.exists(out_dir) and (
        not tf.io.gfile.isdir(out_dir) or tf.io.gfile.listdir(out_dir)
    ):
        raise ParameterError(
            f"{out_dir} exists and is not an empty directory. Nothing is overwritten: give another "
            "one, or remove it first."
        )


def _candidates(
    loaded: Any, signature_name: str | None
) -> tuple[list[ServedFunction], dict[str, str]]:
    """The functions worth trying, in order, and why the others are not."""
    functions = (
        list_functions(loaded) if signature_name is None else [get_function(loaded, signature_name)]
    )
    candidates, blocked = [], {}
    for function in functions:
        seen = blockers(function)
        if seen:
            blocked[function.name] = ", ".join(seen)
        elif signature_name is None and function.name in PREPROCESSING_SIGNATURES:
            blocked[function.name] = "prepares rows and predicts nothing"
        else:
            candidates.append(function)
    if not candidates:
        raise _nothing_convertible("The SavedModel", blocked)
    return candidates, blocked


def _nothing_convertible(what: str, blocked: dict[str, str]) -> ModelError:
    lines = "\n".join(f"  {name}: {reason}" for name, reason in blocked.items())
    return ModelError(
        f"{what} has no function that converts to TFLite. What blocks each:\n{lines}\n"
        "Save a signature over dense tensors without these operations, or do their work in "
        "Transform."
    )


def _split_rows(
    sample: Sample,
    function: ServedFunction,
    calibrating: int,
    **context: str | None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    arrays = decode_rows(
        sample.rows, function.inputs, from_transform=sample.from_transform, **context
    )
    # A single row both calibrates and proves.
    first_proof = min(calibrating, len(sample.rows) - 1)
    return (
        {name: values[: max(1, calibrating)] for name, values in arrays.items()},
        {name: values[first_proof:] for name, values in arrays.items()},
    )


def _options(scheme: Scheme) -> ConversionOptions:
    return ConversionOptions(
        optimize=scheme.optimize,
        calibrated=scheme.calibrated,
        float16=scheme.weight_type == "float16",
    )


def _check_scheme(converted: Converted, scheme: Scheme) -> None:
    stored = constant_bytes(converted.content)
    if stored.get("float32", 0) > _LARGE_WEIGHTS_BYTES and not stored.get(scheme.weight_type):
        raise ProofError(
            f"scheme={scheme.name!r} asks for {scheme.weight_type} weights, and the converter "
            f"stored none: {stored}. Use another scheme."
        )


def _notes(scheme: Scheme, calibrating: int, wanted: int) -> list[str]:
    notes = ["The raw-Example signature was not kept: TFLite cannot parse tf.Examples."]
    if scheme.calibrated and calibrating < wanted:
        notes.append(f"Calibrated on {calibrating} rows, fewer than the {wanted} asked for.")
    return notes


def _write(
    model_dir: str,
    out_dir: str,
    content: bytes,
    parameters: dict[str, Any],
    facts: dict[str, Any],
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as local:
        for name in TFLITE_FILES:
            with open(os.path.join(local, name), "wb") as file:
                file.write(content)
        step = lineage.append(model_dir, local, "quantize", parameters, facts)
        for path in lineage.file_digests(local):
            target = os.path.join(out_dir, path)
            tf.io.gfile.makedirs(os.path.dirname(target))
            tf.io.gfile.copy(os.path.join(local, path), target, overwrite=True)
    return step
