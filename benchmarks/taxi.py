"""Taxi trips in Chicago, which TFX carries: words, places and numbers; is the tip above a fifth?"""

import csv
import os
import tempfile
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
import tfx
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

TEST_ROWS = 5000
LABEL = "big_tip"
OUTPUT = "probability"
NUMBERS = ("fare", "trip_miles", "trip_seconds")
WORDS = ("payment_type", "company")
# With the number of their values.
CATEGORIES = {
    "trip_start_hour": 24,
    "trip_start_day": 8,
    "trip_start_month": 13,
    "pickup_community_area": 78,
    "dropoff_community_area": 78,
}
_TIPS = "tips"
_BIG = 0.2
_VOCABULARY = 200
_UNKNOWN_WORDS = 10
_EMBEDDING = 8
_HIDDEN = (512, 512, 256)
_DROPOUT = 0.4
_CSV = "examples/chicago_taxi_pipeline/data/simple/data.csv"


def taxi() -> dict[str, Any]:
    """Returns columns by name, shuffled, what is missing as 0 or ""; the last rows test."""
    with open(os.path.join(os.path.dirname(tfx.__file__), _CSV), newline="") as file:
        trips = list(csv.DictReader(file))
    np.random.RandomState(0).shuffle(trips)
    columns: dict[str, Any] = {name: [trip[name] for trip in trips] for name in WORDS}
    for names, kind in (((*NUMBERS, _TIPS), np.float32), (CATEGORIES, np.int64)):
        for name in names:
            columns[name] = np.array([float(trip[name] or 0) for trip in trips]).astype(kind)
    return columns


def split(columns: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns columns to train on and columns to test with."""
    return (
        {name: column[:-TEST_ROWS] for name, column in columns.items()},
        {name: column[-TEST_ROWS:] for name, column in columns.items()},
    )


def big_tips(columns: Mapping[str, Any]) -> Any:
    """Returns the labels, 0 or 1, of raw columns."""
    return columns[_TIPS] > _BIG * columns["fare"]


def write_transform_graph(columns: Mapping[str, Any], directory: str) -> None:
    """Writes what the stock Transform makes of the rows."""
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(_raw_spec()))
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    with (
        tempfile.TemporaryDirectory(prefix="tfx-shrink-") as temp,
        beam.Pipeline() as pipeline,
        tft_beam.Context(temp_dir=temp),
    ):
        data = (pipeline | beam.Create(rows), metadata)
        transform_fn = data | tft_beam.AnalyzeDataset(_preprocessing_fn)
        _ = transform_fn | tft_beam.WriteTransformFn(directory)
        _ = metadata | tft_beam.WriteMetadata(os.path.join(directory, "metadata"), pipeline)


def transform(graph: tft.TFTransformOutput, rows: list[bytes]) -> tuple[dict[str, Any], Any]:
    """Returns transformed features by name, and labels, of serialized raw rows."""
    layer = graph.transform_features_layer()
    features = layer(tf.io.parse_example(rows, graph.raw_feature_spec()))
    return features, features.pop(LABEL)


def build_model() -> Any:
    """Returns the compiled network: transformed features to one probability."""
    import tf_keras

    numbers = [tf_keras.Input([1], name=_made(name)) for name in NUMBERS]
    sizes = {**CATEGORIES, **dict.fromkeys(WORDS, _VOCABULARY + _UNKNOWN_WORDS)}
    ids = {name: tf_keras.Input([1], name=_made(name), dtype=tf.int64) for name in sizes}
    embedded = [
        tf_keras.layers.Flatten()(tf_keras.layers.Embedding(sizes[name], _EMBEDDING)(number))
        for name, number in ids.items()
    ]
    x = tf_keras.layers.concatenate([*numbers, *embedded])
    for units in _HIDDEN:
        x = tf_keras.layers.Dropout(_DROPOUT)(tf_keras.layers.Dense(units, "relu")(x))
    x = tf_keras.layers.Dense(1, "sigmoid", name=OUTPUT)(x)
    model = tf_keras.Model([*numbers, *ids.values()], x)
    model.compile("adam", "binary_crossentropy")
    return model


def make_signatures(model: Any, graph: tft.TFTransformOutput) -> Mapping[str, Any]:
    """Returns what TFX's own module files serve: raw Examples, and their transformed features."""
    # Attached, so that their tables are saved with the model.
    model.tft_layer = graph.transform_features_layer()
    raw_spec = graph.raw_feature_spec()
    serving_spec = {name: spec for name, spec in raw_spec.items() if name != _TIPS}
    examples = tf.TensorSpec([None], tf.string, name="examples")

    @tf.function(input_signature=[examples])
    def serving_default(examples):
        features = model.tft_layer(tf.io.parse_example(examples, serving_spec))
        return {OUTPUT: model(features, training=False)}

    @tf.function(input_signature=[examples])
    def transform_features(examples):
        return model.tft_layer(tf.io.parse_example(examples, raw_spec))

    return {"serving_default": serving_default, "transform_features": transform_features}


def _made(name: str) -> str:
    return f"{name}_xf"


def _raw_spec() -> dict[str, tf.io.FixedLenFeature]:
    kinds = {
        **dict.fromkeys(WORDS, tf.string),
        **dict.fromkeys((*NUMBERS, _TIPS), tf.float32),
        **dict.fromkeys(CATEGORIES, tf.int64),
    }
    return {name: tf.io.FixedLenFeature([], kind) for name, kind in kinds.items()}


def _preprocessing_fn(inputs: Mapping[str, Any]) -> dict[str, Any]:
    made = {_made(name): tft.scale_to_z_score(inputs[name]) for name in NUMBERS}
    for name in WORDS:
        made[_made(name)] = tft.compute_and_apply_vocabulary(
            inputs[name], top_k=_VOCABULARY, num_oov_buckets=_UNKNOWN_WORDS
        )
    made |= {_made(name): inputs[name] for name in CATEGORIES}
    # A column of one, as the network reads it.
    made = {name: tf.expand_dims(values, -1) for name, values in made.items()}
    return {**made, LABEL: tf.cast(big_tips(inputs), tf.int64)}
