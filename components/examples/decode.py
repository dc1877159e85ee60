"""Decodes serialized tf.Examples into the tensors that a function reads."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from tfx_shrink.errors import ExamplesError
from tfx_shrink.model_files import SAVED_MODEL


def decode_rows(
    rows: Sequence[bytes],
    inputs: Mapping[str, tf.TensorSpec],
    *,
    transform_graph: str | None = None,
    schema: str | None = None,
    from_transform: bool = False,
) -> dict[str, np.ndarray]:
    """Decodes rows into one dense array per input.

    Rows may be raw or transformed. With a transform graph, rows that look like what it reads are
    transformed first, and rows that look like what it writes are taken as they are; where they
    look like both, because the transform keeps names and types, `from_transform` decides.

    Args:
      rows: Serialized tf.Examples.
      inputs: Type of every tensor to make, by feature name; the first dimension is the batch.
        Variable-length inputs `[batch, None]` are padded with zeros.
      transform_graph: Directory of Transform's output, for raw rows. Defaults to None.
      schema: The rows' schema, a text proto file, for features of open length or that may be
        missing. Defaults to None.
      from_transform: Whether the rows are known to be Transform's output. Defaults to False.

    Returns:
      Arrays `[rows, ...]` by input name, of the inputs' dtypes.

    Raises:
      ExamplesError: The rows lack a feature that is read, or hold it in another shape or type.
    """
    decode = make_decoder(
        rows,
        inputs,
        transform_graph=transform_graph,
        schema=schema,
        from_transform=from_transform,
    )
    return {name: value.numpy() for name, value in decode(tf.constant(list(rows))).items()}


def make_decoder(
    rows: Sequence[bytes],
    inputs: Mapping[str, tf.TensorSpec],
    *,
    transform_graph: str | None = None,
    schema: str | None = None,
    from_transform: bool = False,
    may_lack: Collection[str] = (),
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns what decodes batches of rows like these, also inside a tf.data pipeline.

    Args:
      rows: Some of the rows; they show which features there are and whether they are raw.
      inputs: As for `decode_rows`.
      transform_graph: As for `decode_rows`.
      schema: As for `decode_rows`.
      from_transform: As for `decode_rows`.
      may_lack: Features that rows may lack, such as a label; zeros stand for what is missing.
        Defaults to none.

    Returns:
      A function from serialized tf.Examples `[rows]` to tensors `[rows, ...]` by input name.

    Raises:
      ExamplesError: The rows lack a feature that is read.
    """
    present = feature_kinds(rows)
    if transform_graph is not None:
        import tensorflow_transform as tft  # Takes seconds, and only raw rows need it.

        graph = tft.TFTransformOutput(transform_graph)
        raw_spec = _lenient(graph.raw_feature_spec(), may_lack)
        transformed_spec = _lenient(graph.transformed_feature_spec(), may_lack)
        if _are_raw(present, raw_spec, transformed_spec, from_transform):
            layer = graph.transform_features_layer()

            def transform(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
                features = layer(_parse(serialized, raw_spec, may_lack))
                _require(inputs, sorted(features), "after the transform graph", hint="")
                return {name: _dense(features[name], name, spec) for name, spec in inputs.items()}

            return transform
    spec_of = _schema_features(schema) if schema is not None else {}
    spec = {name: spec_of.get(name) or _feature(name, wanted) for name, wanted in inputs.items()}
    spec = _lenient(spec, may_lack)
    _require(
        {
            name: wanted
            for name, wanted in inputs.items()
            if name not in may_lack and not _may_be_missing(spec_of.get(name))
        },
        sorted(present),
        "in the rows",
        " Give `transform_graph` if these rows are raw and the model reads transformed features."
        if transform_graph is None
        else "",
    )

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        features = _parse(serialized, spec, may_lack)
        return {name: _dense(features[name], name, wanted) for name, wanted in inputs.items()}

    return parse


def feature_kinds(rows: Sequence[bytes]) -> dict[str, str]:
    """Returns {feature name: "bytes_list", "float_list", "int64_list" or ""} over all rows.

    Raises:
      ExamplesError: A row is no tf.Example.
    """
    kinds: dict[str, str] = {}
    for row in rows:
        try:
            features = tf.train.Example.FromString(row).features.feature
        except DecodeError as error:
            raise ExamplesError(
                f"A row is no tf.Example; it begins with {row[:20]!r}. Give TFRecord files of "
                "serialized tf.Examples."
            ) from error
        for name, feature in features.items():
            kinds[name] = feature.WhichOneof("kind") or kinds.get(name, "")
    return kinds


_KINDS = {tf.float32: "float_list", tf.int64: "int64_list", tf.string: "bytes_list"}


def _lenient(spec: Mapping[str, Any], may_lack: Collection[str]) -> dict[str, Any]:
    """The same features, of which some need not be there."""
    lenient = dict(spec)
    for name in may_lack:
        feature = lenient.get(name)
        if isinstance(feature, tf.io.FixedLenFeature) and feature.default_value is None:
            zeros = np.zeros([size or 0 for size in feature.shape], feature.dtype.as_numpy_dtype)
            # The zero of a string array is an integer.
            zeros = np.full_like(zeros, b"", object) if feature.dtype == tf.string else zeros
            lenient[name] = feature._replace(default_value=zeros.tolist())
    return lenient


def _are_raw(
    present: Mapping[str, str],
    raw: Mapping[str, Any],
    transformed: Mapping[str, Any],
    from_transform: bool,
) -> bool:
    if not _fit(present, raw) or (from_transform and _fit(present, transformed)):
        return False
    return _known(present, raw) >= _known(present, transformed)


def _fit(present: Mapping[str, str], spec: Mapping[str, Any]) -> bool:
    """Whether rows with these features can be parsed by `spec`."""
    required = {name for name, feature in spec.items() if not _may_be_missing(feature)}
    return required <= present.keys() and all(
        present[name] in ("", _KINDS[feature.dtype])
        for name, feature in spec.items()
        if name in present
    )


def _may_be_missing(feature: Any) -> bool:
    """Whether rows without a feature of this kind can be parsed."""
    if feature is None:
        return False
    return not isinstance(feature, tf.io.FixedLenFeature) or feature.default_value is not None


def _known(present: Mapping[str, str], spec: Mapping[str, Any]) -> int:
    return sum(
        name in spec and kind in ("", _KINDS[spec[name].dtype]) for name, kind in present.items()
    )


def _parse(
    serialized: tf.Tensor, spec: Mapping[str, Any], may_lack: Collection[str]
) -> dict[str, Any]:
    fixed = {
        name: spec[name] for name in may_lack if isinstance(spec.get(name), tf.io.FixedLenFeature)
    }
    open_length = {name: tf.io.RaggedFeature(feature.dtype) for name, feature in fixed.items()}
    try:
        parsed = tf.io.parse_example(serialized, {**spec, **open_length})
        return {
            **parsed,
            **{name: _filled(name, parsed[name], feature) for name, feature in fixed.items()},
        }
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        raise ExamplesError(
            f"The Examples cannot be parsed: {_first_line(error)} Give rows as the model reads "
            "them, or a `transform_graph` that makes them so."
        ) from error


def _filled(name: str, values: tf.RaggedTensor, feature: Any) -> tf.Tensor:
    """A feature of fixed length, with its default where a row has no value, or an empty list."""
    size = int(np.prod(feature.shape))
    lengths = values.row_lengths()
    tf.debugging.Assert(
        tf.reduce_all((lengths == 0) | (lengths == size)),
        [f"Feature {name!r} must have {size} values. Received numbers of values:", lengths],
    )
    default = tf.reshape(tf.constant(feature.default_value, feature.dtype), [1, size])
    dense = tf.where(lengths[:, None] == 0, default, values.to_tensor(shape=[None, size]))
    return tf.reshape(dense, [-1, *feature.shape])


def _first_line(error: Exception) -> str:
    return (getattr(error, "message", None) or str(error)).splitlines()[0]


def shortened(names: Iterable[str], most: int = 8) -> str:
    """Returns the names as a list for a message, without most of very many."""
    known = sorted(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return f"{known[:most]}{more}"


def _require(
    inputs: Mapping[str, tf.TensorSpec], found: Sequence[str], where: str, hint: str
) -> None:
    missing = sorted(set(inputs) - set(found))
    if missing:
        raise ExamplesError(
            f"The model reads {shortened(inputs)}; {where} there is {shortened(found)}: "
            f"{shortened(missing)} are missing.{hint}"
        )


def _schema_features(path: str) -> dict[str, Any]:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform.tf_metadata import schema_utils

    with tf.io.gfile.GFile(path, "r") as file:
        schema = text_format.Parse(file.read(), schema_pb2.Schema())
    try:
        return schema_utils.schema_as_feature_spec(schema).feature_spec
    except ValueError as error:
        raise ExamplesError(f"The schema {path} cannot be used: {error}") from error


def _feature(name: str, spec: tf.TensorSpec) -> Any:
    dtype = tf.float32 if spec.dtype.is_floating else spec.dtype
    dtype = tf.int64 if dtype.is_integer or dtype.is_bool else dtype
    if spec.shape.rank is None:
        raise ExamplesError(
            f"Input {name!r} has no known rank, so no row can be decoded for it. Save the model "
            "with a signature that says it."
        )
    shape = spec.shape[1:]
    if shape.is_fully_defined():
        return tf.io.FixedLenFeature(shape, dtype)
    if shape.rank == 1:
        return tf.io.RaggedFeature(dtype)
    raise ExamplesError(
        f"Input {name!r} has the shape {spec.shape}; only the length of a vector may be open. "
        "Save the model with a signature that says the others."
    )


def _dense(tensor: Any, name: str, spec: tf.TensorSpec) -> tf.Tensor:
    if isinstance(tensor, tf.SparseTensor):
        width = spec.shape[1] if spec.shape.rank == 2 else None
        if width is not None:
            count, widest = tensor.dense_shape[0], tensor.dense_shape[1]
            tensor = tf.sparse.reset_shape(tensor, [count, tf.maximum(widest, width)])
        tensor = tf.sparse.to_dense(tensor)
    elif isinstance(tensor, tf.RaggedTensor):
        tensor = tensor.to_tensor()
    if spec.dtype != tf.string:
        tensor = tf.cast(tensor, spec.dtype)
    shape = [tf.shape(tensor)[0], *(-1 if size is None else size for size in spec.shape[1:])]
    try:
        return tf.reshape(tensor, shape)
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        raise ExamplesError(
            f"Feature {name!r} has the shape {tuple(tensor.shape)}; the model reads {spec.shape}. "
            "Give rows that suit it."
        ) from error


def transformed_types(transform_graph: str) -> dict[str, tf.DType]:
    """Returns {feature name: type} of what Transform writes.

    Args:
      transform_graph: Transform's output directory.
    """
    import tensorflow_transform as tft

    spec = tft.TFTransformOutput(transform_graph).transformed_feature_spec()
    return {name: feature.dtype for name, feature in spec.items()}


def transform_graph_in(directory: str) -> str:
    """Checks that `directory` is what Transform writes.

    Raises:
      ExamplesError: It holds no `transform_fn/saved_model.pb`.
    """
    if not tf.io.gfile.exists(os.path.join(directory, "transform_fn", SAVED_MODEL)):
        raise ExamplesError(
            f"{directory} is not a transform graph: transform_fn/saved_model.pb is missing. Give "
            "the directory that Transform writes as `transform_graph`."
        )
    return directory
