"""Which raw features a signature parses."""

import tensorflow as tf
from support import models

from tfx_shrink.saved_model.functions import get_function, load
from tfx_shrink.saved_model.parsing import parsed_features


def test_dense_sparse_and_ragged_features_are_found(tmp_path):
    spec = {
        "a": tf.io.FixedLenFeature([1], tf.float32),
        "b": tf.io.VarLenFeature(tf.int64),
        "c": tf.io.RaggedFeature(tf.float32),
    }

    def serve(examples):
        parsed = tf.io.parse_example(examples, spec)
        return {"y": parsed["a"] + tf.cast(tf.sparse.reduce_sum(parsed["b"]), tf.float32)}

    inputs = {"examples": models.spec([None], tf.string)}
    loaded = load(models.save_functions(tmp_path / "model", serve=(serve, inputs)))
    assert parsed_features(get_function(loaded, "serve")) == {"a", "b", "c"}


def test_a_signature_of_a_public_module_file_parses_its_raw_features(saved):
    loaded = load(saved("public"))
    assert parsed_features(get_function(loaded, "serving_default")) == {"a", "b"}
