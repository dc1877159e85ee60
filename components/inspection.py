"""What a model serves, what blocks the conversion of each function, and where its bytes are."""

import dataclasses
import os

import tensorflow as tf

from tfx_shrink import lineage
from tfx_shrink.measure.stored import bytes_by_type, stored_weights, tflite_path
from tfx_shrink.saved_model.blockers import blockers
from tfx_shrink.saved_model.functions import ServedFunction, list_functions, load
from tfx_shrink.tflite.contents import constant_bytes
from tfx_shrink.tflite.convert import conversion_blockers
from tfx_shrink.tflite.signature_defs import read_signature_defs

_TRIAL_SECONDS = 3600


@dataclasses.dataclass(frozen=True)
class FunctionReport:
    """One function of a model.

    Attributes:
      name: The signature's name, or `__call__`.
      inputs: `{name: "float32[?,8,8,1]"}`.
      outputs: The same of the outputs.
      blockers: What keeps it from becoming a TFLite model; empty if a trial conversion worked.
    """

    name: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    blockers: list[str]


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What `inspect_model` found.

    Attributes:
      model_dir: The directory.
      container: `"SavedModel"` or `"TFLite"`.
      bytes: Size of all files but `assets.extra/`.
      functions: Signatures, and a SavedModel's own call function.
      weight_bytes: Bytes by type: of a SavedModel, the variables that its functions use and the
        constants of its graph; of a TFLite model, its constants.
      training_bytes: Bytes of variables that no function uses: mostly optimizer slots.
      steps: The compression record, oldest step first.
    """

    model_dir: str
    container: str
    bytes: int
    functions: list[FunctionReport]
    weight_bytes: dict[str, int]
    training_bytes: int
    steps: list[dict[str, object]]


def inspect_model(model_dir: str) -> Inspection:
    """Looks at a model directory; each function that could convert is converted on trial.

    Args:
      model_dir: A SavedModel's directory, or one that `quantize` wrote.

    Returns:
      What was found.

    Raises:
      ModelError: The directory holds no model.
    """
    tflite = tflite_path(model_dir)
    if tflite is not None:
        return _inspect_tflite(model_dir, tflite)
    loaded = load(model_dir)
    functions = list_functions(loaded)
    weights = {
        id(variable): variable for function in functions for variable in function.concrete.variables
    }
    variable_bytes = sum(_bytes(item.shape, item.dtype) for item in weights.values())
    return Inspection(
        model_dir=model_dir,
        container="SavedModel",
        bytes=lineage.model_state(model_dir).bytes,
        functions=[_report(model_dir, function) for function in functions],
        weight_bytes=bytes_by_type(stored_weights(model_dir, loaded)),
        training_bytes=max(0, _checkpoint_bytes(model_dir) - variable_bytes),
        steps=lineage.read(model_dir),
    )


def format_inspection(found: Inspection) -> str:
    """Returns an inspection as text."""
    lines = [f"{found.model_dir}: {found.container}, {found.bytes:,} bytes"]
    for name, size in sorted(found.weight_bytes.items()):
        lines.append(f"  {name} weights: {size:,} bytes")
    if found.container == "SavedModel":
        lines.append(f"  used in training only: {found.training_bytes:,} bytes")
    for function in found.functions:
        lines.append(f"\n{function.name}")
        for kind, tensors in (("in ", function.inputs), ("out", function.outputs)):
            lines += [f"  {kind} {name}: {what}" for name, what in tensors.items()]
        if found.container == "SavedModel":
            verdict = ", ".join(function.blockers)
            lines.append(f"  blocked by: {verdict}" if verdict else "  converts to TFLite")
    for step in found.steps:
        lines.append(f"\nmade by: {step['technique']} {step['parameters']}")
    return "\n".join(lines)


def _report(model_dir: str, function: ServedFunction) -> FunctionReport:
    blocked = blockers(function) or conversion_blockers(
        model_dir, function.name, time_limit=_TRIAL_SECONDS
    )
    return FunctionReport(
        function.name,
        {name: _describe(spec) for name, spec in function.inputs.items()},
        {name: _describe(spec) for name, spec in function.outputs.items()},
        blocked,
    )


def _describe(spec: tf.TypeSpec) -> str:
    if spec.shape.rank is None:
        return f"{spec.dtype.name}[...]"
    sizes = ",".join("?" if size is None else str(size) for size in spec.shape)
    sparse = "" if isinstance(spec, tf.TensorSpec) else f" ({type(spec).__name__})"
    return f"{spec.dtype.name}[{sizes}]{sparse}"


def _bytes(shape: tf.TensorShape, dtype: tf.DType) -> int:
    return (tf.TensorShape(shape).num_elements() or 0) * dtype.size


def _checkpoint_bytes(model_dir: str) -> int:
    """Bytes of every number in the model's checkpoint."""
    prefix = os.path.join(model_dir, "variables", "variables")
    if not tf.io.gfile.exists(prefix + ".index"):
        return 0
    checkpoint = tf.train.load_checkpoint(prefix)
    types = checkpoint.get_variable_to_dtype_map()
    return sum(
        _bytes(shape, types[name])
        for name, shape in checkpoint.get_variable_to_shape_map().items()
        if types[name] != tf.string
    )


def _inspect_tflite(model_dir: str, path: str) -> Inspection:
    with tf.io.gfile.GFile(path, "rb") as file:
        content = file.read()
    functions = [
        FunctionReport(
            name,
            {key: _describe_info(info) for key, info in sorted(signature.inputs.items())},
            {key: _describe_info(info) for key, info in sorted(signature.outputs.items())},
            [],
        )
        for name, signature in sorted(read_signature_defs(content).items())
    ]
    return Inspection(
        model_dir=model_dir,
        container="TFLite",
        bytes=lineage.model_state(model_dir).bytes,
        functions=functions,
        weight_bytes=constant_bytes(content),
        training_bytes=0,
        steps=lineage.read(model_dir),
    )


def _describe_info(info: object) -> str:
    shape = [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]  # type: ignore[attr-defined]
    return _describe(tf.TensorSpec(shape, tf.as_dtype(info.dtype)))  # type: ignore[attr-defined]
