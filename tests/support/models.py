"""Small models, saved in the ways that models are saved in the wild. All seeded."""

import os

import numpy as np
import tensorflow as tf
import tf_keras

WIDTH = 16  # Length of the feature "x" that the dense models read.
CLASSES = 3
VOCABULARY = ("red", "green", "blue")


def features(rows=64, seed=0):
    """Rows for the dense models: {"x": float32 [rows, WIDTH]}."""
    return {"x": np.random.RandomState(seed).randn(rows, WIDTH).astype(np.float32)}


def public_features(rows=64, seed=0):
    """Raw rows for `save_public`; the model itself reads "a_xf" and "b_xf", each [rows, 1]."""
    random = np.random.RandomState(seed)
    return {name: random.randn(rows, 1).astype(np.float32) for name in ("a", "b")}


def transformed(raw):
    """What the transform inside `save_public`'s signatures makes of raw rows."""
    return {f"{name}_xf": values * 2 for name, values in raw.items()}


def mlp(trained=False):
    """A classifier of "x" with 10,000 weights in matrices of more than 1,024; "probabilities"."""
    tf_keras.utils.set_random_seed(0)
    x = tf_keras.Input([WIDTH], name="x")
    # Named, since Keras counts the layers of a whole process.
    hidden = tf_keras.layers.Dense(128, "relu", name="dense")(x)
    hidden = tf_keras.layers.Dropout(0.5)(hidden)
    hidden = tf_keras.layers.Dense(64, "relu", name="dense_1")(hidden)
    probabilities = tf_keras.layers.Dense(CLASSES, "softmax", name="probabilities")(hidden)
    model = tf_keras.Model(x, probabilities, name="model")
    # Eagerly, because AutoGraph takes ten seconds to rewrite Keras's training step.
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    if trained:
        rows = features(512)["x"]
        model.fit(rows, rows[:, :CLASSES].argmax(1), verbose=0)
    return model


def save_keras(directory):
    """A trained Keras model: dense `serving_default` from "x", and two Adam slots a weight."""
    mlp(trained=True).save(str(directory), save_format="tf")
    return str(directory)


def save_regression(directory):
    """A Keras model that predicts one number from "x", compiled with "mse"."""
    tf_keras.utils.set_random_seed(0)
    x = tf_keras.Input([WIDTH], name="x")
    hidden = tf_keras.layers.Dense(64, "relu", name="dense")(x)
    model = tf_keras.Model(x, tf_keras.layers.Dense(1, name="number")(hidden))
    model.compile("adam", "mse")
    model.save(str(directory), save_format="tf")
    return str(directory)


def save_public(directory):
    """What TFX's template module files save: two raw-Example signatures, no dense one."""
    tf_keras.utils.set_random_seed(0)
    inputs = [tf_keras.Input([1], name=name) for name in ("a_xf", "b_xf")]
    hidden = tf_keras.layers.Dense(1024, "relu")(tf_keras.layers.concatenate(inputs))
    hidden = tf_keras.layers.Dropout(0.5)(hidden)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(CLASSES, name="logits")(hidden))
    tf.saved_model.save(model, str(directory), signatures=public_signatures(model, ("a", "b")))
    return str(directory)


def public_signatures(model, names):
    """`serving_default` -> "outputs" and `transform_features`, both from serialized Examples."""

    def parse(serialized):
        spec = {name: tf.io.FixedLenFeature([1], tf.float32) for name in names}
        return transformed(tf.io.parse_example(serialized, spec))

    examples = tf.TensorSpec([None], tf.string, name="examples")

    @tf.function(input_signature=[examples])
    def serve(examples):
        return {"outputs": model(parse(examples))}

    @tf.function(input_signature=[examples])
    def transform_features(examples):
        return parse(examples)

    return {"serving_default": serve, "transform_features": transform_features}


def save_category_encoding(directory):
    """A call function whose int8 conversion ends the converter's process; as TFX's taxi model."""
    tf_keras.utils.set_random_seed(0)
    inputs = {
        "a_xf": tf_keras.Input([1], name="a_xf"),
        "b_xf": tf_keras.Input([1], name="b_xf", dtype=tf.int64),
    }
    hot = tf_keras.layers.CategoryEncoding(num_tokens=8, output_mode="one_hot")(inputs["b_xf"])
    wide = tf_keras.layers.concatenate([tf_keras.layers.Dense(16)(inputs["a_xf"]), hot])
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(1, "sigmoid")(wide))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        spec = {
            "a": tf.io.FixedLenFeature([1], tf.float32),
            "b": tf.io.FixedLenFeature([1], tf.int64),
        }
        raw = tf.io.parse_example(examples, spec)
        return {"outputs": model({f"{name}_xf": value for name, value in raw.items()})}

    tf.saved_model.save(model, str(directory), signatures={"serving_default": serve})
    return str(directory)


def save_keras3(directory):
    """`keras.Model.export` of the `keras` 3 package: signatures `serving_default` and `serve`."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input([WIDTH], name="x")
    hidden = keras.layers.Dense(128, "relu")(x)
    model = keras.Model(x, keras.layers.Dense(CLASSES, name="probabilities")(hidden))
    model.export(str(directory), verbose=False)
    return str(directory)


def save_with_table(directory):
    """`serving_default` looks "color" up in a vocabulary file; `dense` reads "x" alone.

    Both give "scores" [rows, CLASSES].
    """
    random = np.random.RandomState(0)
    module = tf.Module()
    weights, embedding = random.randn(WIDTH, CLASSES), random.randn(len(VOCABULARY) + 1, CLASSES)
    module.weights = tf.Variable(weights, dtype=tf.float32, name="weights")
    module.embedding = tf.Variable(embedding, dtype=tf.float32, name="embedding")
    path = os.path.join(os.path.dirname(str(directory)), "vocabulary.txt")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("\n".join(VOCABULARY) + "\n")
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(path, tf.string, line, tf.int64, number),
        default_value=len(VOCABULARY),
    )

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.string, name="color")])
    def look_up(color):
        return tf.gather(module.embedding, tf.reshape(module.table.lookup(color), [-1]))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        spec = {
            "x": tf.io.FixedLenFeature([WIDTH], tf.float32),
            "color": tf.io.FixedLenFeature([1], tf.string),
        }
        row = tf.io.parse_example(examples, spec)
        return {"scores": row["x"] @ module.weights + look_up(row["color"])}

    @tf.function(input_signature=[tf.TensorSpec([None, WIDTH], tf.float32, name="x")])
    def dense(x):
        return {"scores": x @ module.weights}

    module.serve, module.dense = serve, dense
    signatures = {"serving_default": serve, "dense": dense}
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return str(directory)


def save_functions(directory, **functions):
    """Saves {signature: (function of named tensors, {input name: TensorSpec})}, no call function.

    Example:
      save_functions(path, double=(lambda x: {"y": x * 2}, {"x": spec([None, 4])}))
    """
    module = tf.Module()
    signatures = {}
    for name, (function, inputs) in functions.items():
        specs = {
            key: tf.TensorSpec(value.shape, value.dtype, name=key) for key, value in inputs.items()
        }
        traced = tf.function(function, autograph=False).get_concrete_function(**specs)
        signatures[name] = traced
    module.traced = list(signatures.values())
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return str(directory)


def spec(shape=(None, WIDTH), dtype=tf.float32):
    return tf.TensorSpec(list(shape), dtype)
