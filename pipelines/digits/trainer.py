"""Trainer's user code: a small convolutional network, saved with three signatures."""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras
from tfx_bsl.public import tfxio

from tfx_shrink.pipelines.digits.data import LABEL, SIDE
from tfx_shrink.pipelines.digits.preprocessing import IMAGE

PROBABILITIES = "probabilities"
_BATCH = 32
_SEED = 1


def run_fn(fn_args: Any) -> None:
    """Trains the network and saves it; called by the stock Trainer."""
    tf_keras.utils.set_random_seed(_SEED)
    graph = tft.TFTransformOutput(fn_args.transform_output)
    model = build_model()
    model.fit(
        _dataset(fn_args, fn_args.train_files, graph),
        steps_per_epoch=fn_args.train_steps,
        validation_data=_dataset(fn_args, fn_args.eval_files, graph),
        validation_steps=fn_args.eval_steps,
        callbacks=[tf_keras.callbacks.TensorBoard(fn_args.model_run_dir, update_freq="epoch")],
        verbose=2,
    )
    # Attached, so that its tables and constants are saved with the model.
    model.tft_layer = graph.transform_features_layer()
    model.save(
        fn_args.serving_model_dir, save_format="tf", signatures=make_signatures(model, graph)
    )


def build_model() -> tf_keras.Model:
    """Returns the compiled network: `image` `[rows, 8, 8, 1]` to ten probabilities."""
    image = tf_keras.Input((SIDE, SIDE, 1), name=IMAGE)
    x = tf_keras.layers.Conv2D(32, 3, padding="same", activation="relu")(image)
    x = tf_keras.layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = tf_keras.layers.MaxPooling2D()(x)
    x = tf_keras.layers.Flatten()(x)
    x = tf_keras.layers.Dense(128, activation="relu")(x)
    x = tf_keras.layers.Dropout(0.4)(x)
    x = tf_keras.layers.Dense(10, activation="softmax", name=PROBABILITIES)(x)
    model = tf_keras.Model({IMAGE: image}, x)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def make_signatures(model: tf_keras.Model, graph: tft.TFTransformOutput) -> dict[str, Any]:
    """Returns what a server answers: raw Examples, transformed features, or dense images."""
    layer = graph.transform_features_layer()
    raw_spec = graph.raw_feature_spec()
    serving_spec = {name: spec for name, spec in raw_spec.items() if name != LABEL}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed = layer(tf.io.parse_example(examples, serving_spec))
        return {PROBABILITIES: model({IMAGE: transformed[IMAGE]}, training=False)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return layer(tf.io.parse_example(examples, raw_spec))

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 1], tf.float32, name=IMAGE)])
    def image(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {PROBABILITIES: model({IMAGE: image}, training=False)}

    return {
        "serving_default": serving_default,
        "transform_features": transform_features,
        "image": image,
    }


def _dataset(fn_args: Any, files: list[str], graph: tft.TFTransformOutput) -> tf.data.Dataset:
    options = tfxio.TensorFlowDatasetOptions(batch_size=_BATCH, label_key=LABEL, shuffle_seed=_SEED)
    schema = graph.transformed_metadata.schema
    return fn_args.data_accessor.tf_dataset_factory(files, options, schema).repeat()
