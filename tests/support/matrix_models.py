"""Trained models of every kind that the Quantizer must take, each with rows. All seeded."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import tensorflow as tf
import tf_keras

from support import rows
from support.transform import write_transform_graph

LABEL = "label"
_TRAIN_ROWS = 1400
_COLORS, _MERCHANTS, _CLASSES = 40, 300, 3
_RAW_SPEC = {
    "amount": tf.io.FixedLenFeature([1], tf.float32),
    "color": tf.io.FixedLenFeature([1], tf.string),
    "merchant": tf.io.VarLenFeature(tf.string),
    LABEL: tf.io.FixedLenFeature([1], tf.int64),
}


@dataclasses.dataclass(frozen=True)
class MatrixModel:
    """A trained model and rows it has not seen.

    Attributes:
      directory: The SavedModel's; the last part of the path is `Format-Serving`.
      examples: An Examples artifact's directory, with the splits train and eval.
      rows: The eval split, serialized.
      labels: Its labels, `[rows]`.
      transform_graph: Transform's output directory, or None.
    """

    directory: str
    examples: str
    rows: list[bytes]
    labels: np.ndarray
    transform_graph: str | None = None


def build(kind, root):
    """Trains and saves the model called `kind` below `root`."""
    directory = os.path.join(root, "model", "Format-Serving")
    if kind.startswith("strings"):
        return _strings(root, directory, dense_signature=kind == "strings_3_signatures")
    images, labels = digits()
    examples, serialized = _write_splits(root, {"image": images.reshape(-1, 64), LABEL: labels})
    if kind == "keras3":
        _run_keras3(directory)
    else:
        tf_keras.utils.set_random_seed(0)
        model = _IMAGE_MODELS[kind]()
        shape = [-1, *model.input.shape[1:]]
        _fit(model, images[:_TRAIN_ROWS].reshape(shape), labels[:_TRAIN_ROWS], epochs=15)
        model.save(directory, save_format="tf")  # With optimizer slots, as users save them.
    return MatrixModel(directory, examples, serialized, labels[_TRAIN_ROWS:])


def digits():
    """Handwritten digits: images `[1797, 8, 8]` in [0, 1], and labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.RandomState(0).permutation(len(found.target))  # Sorted by writer.
    return (found.images[order] / 16).astype(np.float32), found.target[order]


def _mlp():
    image = tf_keras.Input([64], name="image")
    hidden = tf_keras.layers.Dense(256, "relu")(image)
    hidden = tf_keras.layers.Dropout(0.2)(hidden)
    hidden = tf_keras.layers.Dense(256, "relu")(hidden)
    return tf_keras.Model(image, tf_keras.layers.Dense(10, "softmax", name="scores")(hidden))


def _cnn():
    image = tf_keras.Input([8, 8, 1], name="image")
    hidden = tf_keras.layers.Conv2D(32, 3, padding="same", activation="relu")(image)
    hidden = tf_keras.layers.DepthwiseConv2D(3, padding="same")(hidden)
    hidden = tf_keras.layers.BatchNormalization(momentum=0.8)(hidden)
    hidden = tf_keras.layers.Conv2D(64, 3, strides=2, activation="relu")(hidden)
    hidden = tf_keras.layers.Conv2D(128, 3, activation="relu")(hidden)
    hidden = tf_keras.layers.GlobalAveragePooling2D()(hidden)
    return tf_keras.Model(image, tf_keras.layers.Dense(10, "softmax", name="scores")(hidden))


def _lstm():
    image = tf_keras.Input([8, 8], name="image")
    hidden = tf_keras.layers.LSTM(128)(image)
    return tf_keras.Model(image, tf_keras.layers.Dense(10, "softmax", name="scores")(hidden))


def _attention():
    image = tf_keras.Input([8, 8], name="image")
    hidden = tf_keras.layers.Dense(64)(image)
    attended = tf_keras.layers.MultiHeadAttention(4, 32)(hidden, hidden)
    hidden = tf_keras.layers.LayerNormalization()(hidden + attended)
    hidden = tf_keras.layers.Dense(128, "gelu")(tf_keras.layers.Flatten()(hidden))
    return tf_keras.Model(image, tf_keras.layers.Dense(10, "softmax", name="scores")(hidden))


_IMAGE_MODELS = {"mlp": _mlp, "cnn": _cnn, "lstm": _lstm, "attention": _attention}


def _fit(model, features, labels, epochs):
    model.compile(tf_keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    # Not `fit`, because AutoGraph takes ten seconds to rewrite Keras's training step.
    step = tf.function(model.train_step, autograph=False)
    rows_in_order = tf.data.Dataset.from_tensor_slices((features, labels))
    for batch in rows_in_order.batch(64, drop_remainder=True).repeat(epochs):
        step(batch)


def _write_splits(root, features):
    directory = os.path.join(root, "examples")
    serialized = rows.examples(features)
    splits = {"train": serialized[:_TRAIN_ROWS], "eval": serialized[_TRAIN_ROWS:]}
    for name, part in splits.items():
        path = os.path.join(directory, f"Split-{name}", "data_tfrecord-00000-of-00001.gz")
        rows.write_serialized(path, part, gzip=True)
    return directory, splits["eval"]


def _run_keras3(directory):
    """Keras 3 as `tf.keras`, which a process decides when it imports TensorFlow."""
    code = f"from support.matrix_models import export_keras3; export_keras3({directory!r})"
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=os.path.dirname(os.path.dirname(__file__)),
        env={**os.environ, "TF_USE_LEGACY_KERAS": "0"},
        check=True,
    )


def export_keras3(directory):
    """Trains and exports a model of the `keras` 3 package; runs in a process of its own."""
    keras = tf.keras
    assert keras.__version__.startswith("3."), keras.__version__
    keras.utils.set_random_seed(0)
    image = keras.Input([64], name="image")
    hidden = keras.layers.Dense(256)(image)
    hidden = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(hidden))
    hidden = keras.layers.Dense(128, "relu")(hidden)
    model = keras.Model(image, keras.layers.Dense(10, "softmax", name="scores")(hidden))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    images, labels = digits()
    model.fit(images[:_TRAIN_ROWS].reshape(-1, 64), labels[:_TRAIN_ROWS], epochs=12, verbose=0)
    model.export(directory, verbose=False)


def _string_rows(count=2000):
    """Words, some rarer than the vocabulary holds, a merchant that may be missing, an amount."""
    random = np.random.RandomState(0)
    color = np.minimum(random.geometric(0.08, count), _COLORS) - 1
    merchant = random.randint(0, _MERCHANTS, count)
    amount = random.gamma(2.0, 50.0, count).astype(np.float32)
    missing = random.rand(count) < 0.1
    scores = random.randn(_COLORS, _CLASSES)[color] * 2 + random.randn(count, _CLASSES) * 0.2
    scores += np.where(missing[:, None], 0, random.randn(_MERCHANTS, _CLASSES)[merchant])
    scores[:, 0] += (amount - 100) / 50
    return {
        "amount": amount[:, None],
        "color": [[f"color {value}"] for value in color],
        "merchant": [
            None if gone else [f"merchant {value}"]
            for value, gone in zip(merchant, missing, strict=True)
        ],
        LABEL: scores.argmax(1),
    }


def _preprocessing_fn(inputs):
    import tensorflow_transform as tft

    merchant = inputs["merchant"]
    shape = [merchant.dense_shape[0], 1]
    merchant = tf.sparse.to_dense(tf.SparseTensor(merchant.indices, merchant.values, shape), "")
    merchant = tf.ensure_shape(merchant, [None, 1])
    return {
        "amount_xf": tft.scale_to_z_score(inputs["amount"]),
        "color_xf": tft.compute_and_apply_vocabulary(inputs["color"], top_k=25, num_oov_buckets=5),
        "merchant_xf": tft.hash_strings(merchant, 400),
        f"{LABEL}_xf": inputs[LABEL],
    }


def _strings_model():
    inputs = {"amount_xf": tf_keras.Input([1], name="amount_xf")}
    parts = [inputs["amount_xf"]]
    for name, size in (("color_xf", 30), ("merchant_xf", 400)):
        inputs[name] = tf_keras.Input([1], name=name, dtype=tf.int64)
        parts.append(tf_keras.layers.Flatten()(tf_keras.layers.Embedding(size, 16)(inputs[name])))
    hidden = tf_keras.layers.Dense(256, "relu")(tf_keras.layers.concatenate(parts))
    hidden = tf_keras.layers.Dense(256, "relu")(hidden)
    return tf_keras.Model(inputs, tf_keras.layers.Dense(_CLASSES, "softmax")(hidden))


def _strings(root, directory, dense_signature):
    """As TFX's public module files: raw-Example signatures over a transform graph."""
    import tensorflow_transform as tft

    raw = _string_rows()
    examples, serialized = _write_splits(root, raw)
    columns = zip(*raw.values(), strict=True)
    as_lists = [
        {
            name: [] if value is None else np.ravel(value).tolist()
            for name, value in zip(raw, row, strict=True)
        }
        for row in columns
    ]
    graph_dir = os.path.join(root, "transform_graph")
    write_transform_graph(graph_dir, as_lists[:_TRAIN_ROWS], _RAW_SPEC, _preprocessing_fn)
    graph = tft.TFTransformOutput(graph_dir)
    layer = graph.transform_features_layer()
    training = layer(tf.io.parse_example(rows.examples(raw)[:_TRAIN_ROWS], _RAW_SPEC))
    labels = training.pop(f"{LABEL}_xf")
    tf_keras.utils.set_random_seed(0)
    model = _strings_model()
    _fit(model, training, labels, epochs=6)
    tf.saved_model.save(model, directory, signatures=_signatures(model, graph, dense_signature))
    return MatrixModel(directory, examples, serialized, raw[LABEL][_TRAIN_ROWS:], graph_dir)


def _signatures(model, graph, dense_signature):
    model.tft_layer_inference = graph.transform_features_layer()
    model.tft_layer_eval = graph.transform_features_layer()
    examples = tf.TensorSpec([None], tf.string, name="examples")

    @tf.function(input_signature=[examples])
    def serve(examples):
        spec = {name: feature for name, feature in _RAW_SPEC.items() if name != LABEL}
        features = model.tft_layer_inference(tf.io.parse_example(examples, spec))
        return {"outputs": model(features)}

    @tf.function(input_signature=[examples])
    def transform_features(examples):
        return model.tft_layer_eval(tf.io.parse_example(examples, _RAW_SPEC))

    found = {"serving_default": serve, "transform_features": transform_features}
    if dense_signature:
        dense = {
            name: tf.TensorSpec([None, 1], tensor.dtype, name)
            for name, tensor in model.input.items()
        }
        found["dense"] = tf.function(
            lambda **features: {"outputs": model(features)}, autograph=False
        ).get_concrete_function(**dense)
    return found
