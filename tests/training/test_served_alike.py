"""Training goes through what is served, or is refused."""

import pytest
import tensorflow as tf
import tf_keras
from support import models, rows

from tfx_shrink.errors import UntrainableError
from tfx_shrink.examples.sample import sample_rows
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.functions import CALL_FUNCTION, get_function, load
from tfx_shrink.training.served_alike import require_served_alike


def source(directory, serve):
    x = tf_keras.Input([models.WIDTH], name="x")
    model = tf_keras.Model(x, tf_keras.layers.Dense(models.CLASSES)(x))
    spec = tf.TensorSpec([None, models.WIDTH], tf.float32, name="x")
    signature = tf.function(lambda x: {"scores": serve(model, x)}, input_signature=[spec])
    model.save(str(directory / "model"), save_format="tf", signatures=signature)
    path = rows.write(directory / "rows", models.features(32))
    saved = str(directory / "model")
    return Source(saved, load(saved), sample_rows([path], 32, 0), 0)


def check(source):
    require_served_alike(source, get_function(source.loaded, CALL_FUNCTION), "do otherwise")


@pytest.mark.parametrize("finish", [tf.identity, tf.nn.softmax, tf.sigmoid])
def test_a_signature_may_finish_what_the_model_answers(tmp_path, finish):
    check(source(tmp_path, lambda model, x: finish(model(x))))


def test_a_signature_that_prepares_its_input_otherwise_is_refused_naming_both(tmp_path):
    prepares = source(tmp_path, lambda model, x: model(x / -255.0))
    with pytest.raises(UntrainableError, match=r"__call__.*serving_default.*or do otherwise"):
        check(prepares)
