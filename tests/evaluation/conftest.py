"""A float model behind a transform that keeps its features' names, its int8 twin, and raw rows."""

import dataclasses
import functools
import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras
from support import evaluator
from support.transform import write_transform_graph

from tfx_shrink.model_files import TFLITE_FILES
from tfx_shrink.quantizer.quantize import quantize

FEATURES, LABEL, CLASSES = 4, "label", 3
SPEC = {
    "x": tf.io.FixedLenFeature([FEATURES], tf.float32),
    LABEL: tf.io.FixedLenFeature([1], tf.int64),
}


def preprocessing_fn(inputs):
    # The same names before and after: matching by name would feed raw values.
    return {"x": (inputs["x"] - 500.0) / 100.0, LABEL: inputs[LABEL]}


@dataclasses.dataclass
class World:
    """Everything an Evaluator is given, as directories and arrays."""

    raw_examples: str
    transformed_examples: str
    float_model: str
    layer_only_model: str
    int8_model: str
    int8_io_model: str
    x: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    random = np.random.RandomState(0)
    labels = random.randint(0, CLASSES, 600)
    centres = random.randn(CLASSES, FEATURES) * 0.9
    x = (centres[labels] + random.randn(600, FEATURES) * 0.8).astype(np.float32)
    raw = [
        {"x": [float(value) for value in row * 100 + 500], LABEL: [int(label)]}
        for row, label in zip(x, labels, strict=True)
    ]
    graph_dir = str(root / "graph")
    write_transform_graph(graph_dir, raw, SPEC, preprocessing_fn)
    raw_examples = write_split(root / "raw", "data_tfrecord", raw)
    rows = [{**row, "x": list(map(float, values))} for row, values in zip(raw, x, strict=True)]
    transformed_examples = write_split(root / "transformed", "transformed_examples", rows)

    model = train(x, labels)
    graph = tft.TFTransformOutput(graph_dir)
    float_model = str(root / "float" / "Format-Serving")
    model.tft_layer = graph.transform_features_layer()
    signatures = make_signatures(model, graph)
    tf.saved_model.save(model, float_model, signatures=signatures)
    layer_only_model = str(root / "layer_only" / "Format-Serving")
    model.save(
        layer_only_model,
        save_format="tf",
        signatures={"serving_default": signatures["serving_default"]},
    )
    int8_model = str(root / "int8" / "Format-Serving")
    quantize(
        float_model,
        int8_model,
        scheme="int8",
        examples=[os.path.join(raw_examples, "Split-eval", "*")],
        transform_graph=graph_dir,
    )
    int8_io_model = str(root / "int8_io" / "Format-Serving")
    write_int8_io(model, x, int8_io_model)
    return World(
        raw_examples,
        transformed_examples,
        float_model,
        layer_only_model,
        int8_model,
        int8_io_model,
        x,
        labels,
    )


def write_split(root, prefix, rows):
    directory = root / "Split-eval"
    directory.mkdir(parents=True)
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    path = str(directory / f"{prefix}-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, options) as writer:
        for row in rows:
            writer.write(
                tf.train.Example(
                    features=tf.train.Features(
                        feature={
                            "x": tf.train.Feature(float_list=tf.train.FloatList(value=row["x"])),
                            LABEL: tf.train.Feature(
                                int64_list=tf.train.Int64List(value=row[LABEL])
                            ),
                        }
                    )
                ).SerializeToString()
            )
    return str(root)


def train(x, labels):
    tf_keras.utils.set_random_seed(0)
    feature = tf_keras.Input((FEATURES,), name="x")
    hidden = tf_keras.layers.Dense(64, activation="relu")(feature)
    output = tf_keras.layers.Dense(CLASSES, activation="softmax", name="scores")(hidden)
    model = tf_keras.Model({"x": feature}, output)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit({"x": x}, labels, epochs=5, verbose=0)
    return model


def make_signatures(model, graph):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(examples):
        spec = {"x": SPEC["x"]}
        return {"outputs": model(model.tft_layer(tf.io.parse_example(examples, spec)))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(examples):
        return model.tft_layer(tf.io.parse_example(examples, SPEC))

    return {"serving_default": serving_default, "transform_features": transform_features}


def write_int8_io(model, x, directory):
    """A file with integer inputs, calibrated on a narrow range so that real rows saturate."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.representative_dataset = lambda: ({"x": row[None] * 0.5} for row in x[:100])
    content = converter.convert()
    os.makedirs(directory)
    for name in TFLITE_FILES:
        with open(os.path.join(directory, name), "wb") as file:
            file.write(content)


@pytest.fixture
def evaluate(tmp_path):
    """Runs the stock Evaluator with our module; returns its outputs."""
    return functools.partial(evaluator.evaluate, str(tmp_path))
