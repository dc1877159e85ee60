"""Which features rows hold, and which a schema, a transform or a model knows of."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from tfx_shrink.errors import ExamplesError
from tfx_shrink.model_files import SAVED_MODEL

_KINDS = {tf.float32: "float_list", tf.int64: "int64_list", tf.string: "bytes_list"}


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


def schema_features(path: str) -> dict[str, Any]:
    """Returns {feature name: how it is parsed} of a schema, a text proto file.

    Raises:
      ExamplesError: The schema says of a feature what no parser can do.
    """
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform.tf_metadata import schema_utils

    with tf.io.gfile.GFile(path, "r") as file:
        schema = text_format.Parse(file.read(), schema_pb2.Schema())
    try:
        return schema_utils.schema_as_feature_spec(schema).feature_spec
    except ValueError as error:
        raise ExamplesError(f"The schema {path} cannot be used: {error}") from error


def transformed_types(transform_graph: str) -> dict[str, tf.DType]:
    """Returns {feature name: type} of what Transform writes.

    Args:
      transform_graph: Transform's output directory.
    """
    import tensorflow_transform as tft

    spec = tft.TFTransformOutput(transform_graph).transformed_feature_spec()
    return {name: feature.dtype for name, feature in spec.items()}


def is_made(name: str, transform_graph: str) -> bool:
    """Tells whether a feature is one that Transform makes of others, under a name of its own.

    Args:
      name: The feature.
      transform_graph: Transform's output directory.
    """
    import tensorflow_transform as tft

    graph = tft.TFTransformOutput(transform_graph)
    return name in graph.transformed_feature_spec() and name not in graph.raw_feature_spec()


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


def feature_for(name: str, spec: tf.TensorSpec) -> Any:
    """Returns how a feature is parsed that becomes a tensor `[batch, ...]` of this type.

    Raises:
      ExamplesError: The type leaves more open than the length of a vector.
    """
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


def may_be_missing(feature: Any) -> bool:
    """Tells whether rows without a feature of this kind can be parsed."""
    if feature is None:
        return False
    return not isinstance(feature, tf.io.FixedLenFeature) or feature.default_value is not None


def with_zeros_for(spec: Mapping[str, Any], may_lack: Collection[str]) -> dict[str, Any]:
    """Returns the same features, of which some need not be there: zeros stand for them."""
    made = dict(spec)
    for name in may_lack:
        feature = made.get(name)
        if isinstance(feature, tf.io.FixedLenFeature) and feature.default_value is None:
            zeros = np.zeros([size or 0 for size in feature.shape], feature.dtype.as_numpy_dtype)
            # The zero of a string array is an integer.
            zeros = np.full_like(zeros, b"", object) if feature.dtype == tf.string else zeros
            made[name] = feature._replace(default_value=zeros.tolist())
    return made


def are_raw(
    present: Mapping[str, str],
    raw: Mapping[str, Any],
    transformed: Mapping[str, Any],
    from_transform: bool,
) -> bool:
    """Tells whether rows are what a transform reads, and not what it writes.

    Args:
      present: Kinds of the features that rows hold, by name.
      raw: How the features are parsed that the transform reads.
      transformed: How those are parsed that it writes.
      from_transform: What decides where the rows look like both.
    """
    if not _fit(present, raw) or (from_transform and _fit(present, transformed)):
        return False
    return _known(present, raw) >= _known(present, transformed)


def shortened(names: Iterable[str], most: int = 8) -> str:
    """Returns the names as a list for a message, without most of very many."""
    known = sorted(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return f"{known[:most]}{more}"


def _fit(present: Mapping[str, str], spec: Mapping[str, Any]) -> bool:
    """Whether rows with these features can be parsed by `spec`."""
    required = {name for name, feature in spec.items() if not may_be_missing(feature)}
    return required <= present.keys() and all(
        present[name] in ("", _KINDS[feature.dtype])
        for name, feature in spec.items()
        if name in present
    )


def _known(present: Mapping[str, str], spec: Mapping[str, Any]) -> int:
    return sum(
        name in spec and kind in ("", _KINDS[spec[name].dtype]) for name, kind in present.items()
    )
