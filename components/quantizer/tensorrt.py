"""The schemes that TensorFlow's TensorRT integration makes, for NVIDIA GPUs.

Source: tensorflow/python/compiler/tensorrt/trt_convert.py (`tf.experimental.tensorrt`). TensorFlow
2.16 is built against TensorRT 8.6.
"""

import ctypes
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ModelError
from tfx_shrink.examples.batches import batch_size, full_batches
from tfx_shrink.proof.signatures import prove_signatures
from tfx_shrink.proof.source import Source
from tfx_shrink.quantizer.made import Made
from tfx_shrink.quantizer.schemes import Scheme
from tfx_shrink.quantizer.settings import Settings
from tfx_shrink.saved_model.blockers import blockers
from tfx_shrink.saved_model.functions import (
    CALL_FUNCTION,
    PREPROCESSING_SIGNATURES,
    ServedFunction,
    get_function,
    list_functions,
)

_LIBRARIES = ("libnvinfer.so.8", "libnvinfer_plugin.so.8")
_PRECISION = {"tensorrt_fp16": "FP16", "tensorrt_int8": "INT8"}
_CALIBRATION_BATCH = 32


def check_tensorrt() -> None:
    """Checks that this machine can build TensorRT engines.

    TensorFlow's own message, "has not been built with TensorRT support", is shown for missing
    libraries too; this one names what is missing.

    Raises:
      ModelError: There is no NVIDIA GPU, or TensorRT 8.6's libraries cannot be loaded.
    """
    missing = [] if tf.config.list_physical_devices("GPU") else ["an NVIDIA GPU"]
    for library in _LIBRARIES:
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(library)
    if missing:
        raise ModelError(
            f"TensorRT schemes need what this machine lacks: {', '.join(missing)}. Run this "
            "component where there is a GPU and TensorRT 8.6 is on the library path, for example "
            "in an image with the package tensorrt 8.6, or use weight_float16."
        )


def make_tensorrt(source: Source, scheme: Scheme, settings: Settings, out_dir: str) -> Made:
    """Converts one dense signature with TensorRT and builds its engines.

    Args:
      source: The model and its rows.
      scheme: `tensorrt_fp16` or `tensorrt_int8`.
      settings: The Quantizer's parameters; engines are built for `engine_batch_sizes`.
      out_dir: The directory to write.

    Returns:
      How far the outputs moved, and what to record.

    Raises:
      ModelError: The machine lacks what TensorRT needs, or the model has no dense signature.
    """
    check_tensorrt()
    function = _dense_signature(source, settings.signature_name)
    converter = tf.experimental.tensorrt.Converter(
        input_saved_model_dir=source.model_dir,
        input_saved_model_signature_key=function.name,
        precision_mode=_PRECISION[scheme.name],
        use_calibration=scheme.calibrated,
        # One engine for each batch size that is built.
        maximum_cached_engines=len(settings.engine_batch_sizes),
    )
    if scheme.calibrated:
        calibration = source.calibration_rows(function)
        # Calibration wants every batch of one shape.
        size = batch_size(function.inputs) or _CALIBRATION_BATCH
        converter.convert(calibration_input_fn=lambda: full_batches(calibration, size))
    else:
        converter.convert()
    proof = source.proof_rows(function)
    converter.build(input_fn=lambda: _one_each(proof, settings.engine_batch_sizes))
    converter.save(out_dir)
    proven = prove_signatures(source, out_dir, [function.name])
    return Made(
        proven.difference,
        {
            "source_signature": function.name,
            "evaluated_signature": function.name,
            "signatures_not_kept": {
                name: "TensorRT converts one signature"
                for name in source.loaded.signatures
                if name != function.name
            },
            "engine_batch_sizes": list(settings.engine_batch_sizes),
            "calibration_rows": source.calibrating if scheme.calibrated else 0,
        },
    )


def _dense_signature(source: Source, name: str | None) -> ServedFunction:
    if name is not None:
        return get_function(source.loaded, name)
    reasons = {}
    for function in list_functions(source.loaded):
        if function.name == CALL_FUNCTION or function.name in PREPROCESSING_SIGNATURES:
            continue
        blocked = blockers(function)
        if not blocked:
            return function
        reasons[function.name] = ", ".join(blocked)
    lines = "".join(f"\n  {name}: {reason}" for name, reason in reasons.items())
    raise ModelError(
        f"TensorRT needs a signature over dense tensors; {source.model_dir} has none:{lines}\n"
        "Save one, or use weight_float16, which keeps every signature."
    )


def _one_each(
    rows: Mapping[str, np.ndarray], sizes: Sequence[int]
) -> Iterator[dict[str, np.ndarray]]:
    for size in sizes:
        yield next(iter(full_batches(rows, size)))
