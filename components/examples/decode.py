"""Decodes serialized tf.Examples into the tensors that a function reads."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.features import (
    are_raw,
    feature_for,
    feature_kinds,
    may_be_missing,
    schema_features,
    shortened,
    with_zeros_for,
)


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
        raw_spec = with_zeros_for(graph.raw_feature_spec(), may_lack)
        transformed_spec = with_zeros_for(graph.transformed_feature_spec(), may_lack)
        if are_raw(present, raw_spec, transformed_spec, from_transform):
            layer = graph.transform_features_layer()

            def transform(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
                features = layer(_parse(serialized, raw_spec, may_lack))
                _require(inputs, sorted(features), "after the transform graph", hint="")
                return {name: _dense(features[name], name, spec) for name, spec in inputs.items()}

            return transform
    spec_of = schema_features(schema) if schema is not None else {}
    spec = {name: spec_of.get(name) or feature_for(name, wanted) for name, wanted in inputs.items()}
    spec = with_zeros_for(spec, may_lack)
    _require(
        {
            name: wanted
            for name, wanted in inputs.items()
            if name not in may_lack and not may_be_missing(spec_of.get(name))
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


def _require(
    inputs: Mapping[str, tf.TensorSpec], found: Sequence[str], where: str, hint: str
) -> None:
    missing = sorted(set(inputs) - set(found))
    if missing:
        raise ExamplesError(
            f"The model reads {shortened(inputs)}; {where} there is {shortened(found)}: "
            f"{shortened(missing)} are missing.{hint}"
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
