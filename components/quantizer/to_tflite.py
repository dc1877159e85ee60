"""The schemes that TensorFlow's TFLite converter makes."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfx_shrink.errors import ConversionError, ExamplesError, ModelError, ProofError
from tfx_shrink.model_files import TFLITE_FILES
from tfx_shrink.proof.source import Source, reads_serialized
from tfx_shrink.quantizer.made import Made
from tfx_shrink.quantizer.schemes import Scheme
from tfx_shrink.quantizer.settings import Settings
from tfx_shrink.saved_model.blockers import blockers
from tfx_shrink.saved_model.functions import (
    PREPROCESSING_SIGNATURES,
    ServedFunction,
    get_function,
    list_functions,
)
from tfx_shrink.tflite.contents import constant_bytes, tensorflow_operations
from tfx_shrink.tflite.convert import ConversionOptions, Converted, convert

# What runs TensorFlow's operations inside TFLite; TensorFlow 2.21's package has none.
_FLEX = "Flex delegate"
# TensorFlow's converter leaves smaller weights as they are.
_LARGE_WEIGHTS_BYTES = 1024 * 4


def make_tflite(source: Source, scheme: Scheme, settings: Settings, out_dir: str) -> Made:
    """Converts the first function that converts, and writes it under both names.

    Args:
      source: The model and its rows.
      scheme: A scheme of the container `"tflite"`.
      settings: The Quantizer's parameters.
      out_dir: An existing directory.

    Returns:
      How far the outputs moved, and what to record.

    Raises:
      ModelError: No function converts; the text lists each with what blocks it.
      ExamplesError: The rows lack what the functions read.
      ProofError: The result does not run, holds NaN, or is not what the scheme asks for.
    """
    options = _options(scheme, settings)

    def make(function: ServedFunction) -> Converted:
        converted = convert(
            source.model_dir,
            function.name,
            options,
            calibration=source.calibration_rows(function) if scheme.calibrated else {},
            proof=source.proof_rows(function),
            time_limit=settings.time_limit,
        )
        _check_scheme(converted, scheme)
        return converted

    return make_first(source, settings, out_dir, make, calibrated=scheme.calibrated)


def make_first(
    source: Source,
    settings: Settings,
    out_dir: str,
    make: Callable[[ServedFunction], Converted],
    *,
    calibrated: bool,
) -> Made:
    """Makes a file of the first function that converts, and writes it under both names.

    Args:
      source: The model and its rows.
      settings: The Quantizer's parameters.
      out_dir: An existing directory.
      make: Converts one function. The next is tried after a `ConversionError` or an
        `ExamplesError`.
      calibrated: Whether it calibrates on rows, for the record.

    Returns:
      How far the outputs moved, and what to record.

    Raises:
      ModelError: No function converts; the text lists each with what blocks it.
      ExamplesError: The rows lack what the functions read.
    """
    candidates, blocked = _candidates(source, settings)
    unreadable: ExamplesError | None = None
    for function in candidates:
        try:
            converted = make(function)
        except ConversionError as error:
            blocked[function.name] = str(error)
            continue
        except ProofError as error:
            if not settings.allow_select_tf_ops:
                raise
            blocked[function.name] = str(error)  # Such conversions succeed and then do not run.
            continue
        except ExamplesError as error:
            unreadable = unreadable or error  # Another function may read these rows.
            continue
        write_tflite(converted.content, out_dir)
        return Made(converted.difference, _facts(source, settings, function, converted, calibrated))
    raise unreadable or _nothing_convertible(source.model_dir, blocked, settings)


def write_tflite(content: bytes, out_dir: str) -> None:
    """Writes a TFLite file under the names that its readers look for."""
    for name in TFLITE_FILES:
        with open(os.path.join(out_dir, name), "wb") as file:
            file.write(content)


def _candidates(source: Source, settings: Settings) -> tuple[list[ServedFunction], dict[str, str]]:
    """The functions worth trying, in order, and why the others are not."""
    functions = (
        list_functions(source.loaded)
        if settings.signature_name is None
        else [get_function(source.loaded, settings.signature_name)]
    )
    candidates, blocked = [], {}
    for function in functions:
        seen = blockers(function, select_tf_ops=settings.allow_select_tf_ops)
        if seen:
            blocked[function.name] = ", ".join(seen)
        elif settings.signature_name is None and function.name in PREPROCESSING_SIGNATURES:
            blocked[function.name] = "prepares rows and predicts nothing"
        else:
            candidates.append(function)
    return candidates, blocked


def _nothing_convertible(
    model_dir: str, blocked: Mapping[str, str], settings: Settings
) -> ModelError:
    lines = "\n".join(f"  {name}: {reason}" for name, reason in blocked.items())
    keep = "keep them with allow_select_tf_ops where the runtime has TensorFlow's kernels, "
    if settings.allow_select_tf_ops:
        keep = ""
        if any(_FLEX in reason for reason in blocked.values()):
            lines += (
                f"\nTensorFlow {tf.__version__} comes without the {_FLEX} (2.16 has it), so it "
                "cannot prove a file that keeps TensorFlow's operations."
            )
    return ModelError(
        f"{model_dir} has no function that converts to TFLite. What blocks each:\n{lines}\n"
        "Save a signature over dense tensors without these operations, do their work in "
        f"Transform, {keep}or use a SavedModel scheme such as weight_int8, which keeps every "
        "signature."
    )


def _options(scheme: Scheme, settings: Settings) -> ConversionOptions:
    return ConversionOptions(
        optimize=scheme.weights != "float32",
        float16=scheme.weights == "float16",
        calibrated=scheme.calibrated,
        int16_activations=scheme.activations == "int16",
        integer_io=scheme.integer_io,
        sparse=settings.encode_sparsity,
        select_tf_ops=settings.allow_select_tf_ops,
    )


def _check_scheme(converted: Converted, scheme: Scheme) -> None:
    stored = constant_bytes(converted.content)
    if stored.get("float32", 0) > _LARGE_WEIGHTS_BYTES and not stored.get(scheme.weights):
        raise ProofError(
            f"scheme={scheme.name!r} asks for {scheme.weights} weights, and the converter stored "
            f"none: {stored}. Use another scheme."
        )


def _facts(
    source: Source,
    settings: Settings,
    function: ServedFunction,
    converted: Converted,
    calibrated: bool,
) -> dict[str, Any]:
    notes = []
    if any(reads_serialized(other) for other in list_functions(source.loaded)):
        notes.append("The raw-Example signature was not kept: TFLite cannot parse tf.Examples.")
    if source.may_be_raw:
        notes.append(
            "The rows were taken as they are. If they are raw, and the model reads transformed "
            "features of the same names, calibrate again with `transform_graph`."
        )
    wanted = settings.num_calibration_examples
    if calibrated and source.calibrating < wanted:
        notes.append(f"Calibrated on {source.calibrating} rows, fewer than the {wanted} asked for.")
    kept = tensorflow_operations(converted.content)
    if kept:
        notes.append(
            f"Holds TensorFlow operations {kept}: TensorFlow Serving's TFLite mode has none of "
            "them, and other runtimes need TensorFlow's delegate."
        )
    return {
        "source_signature": function.name,
        "evaluated_signature": function.name,
        "signatures_not_kept": {
            name: "a TFLite model has one signature"
            for name in source.loaded.signatures
            if name != function.name
        },
        "calibration_rows": source.calibrating if calibrated else 0,
        "constant_bytes": constant_bytes(converted.content),
        "notes": notes,
    }
