"""Keras models inside SavedModels: which can be loaded, and what is saved again."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models, weights

from tfx_shrink.errors import ModelError
from tfx_shrink.training.assignable import open_assignable
from tfx_shrink.training.keras_models import load_keras


def test_what_is_merely_attached_is_no_layer_of_the_network(tmp_path):
    model = models.mlp()
    model.attached = tf_keras.layers.Dense(3, name="attached")
    model.attached(tf.zeros([1, 2]))
    model.save(str(tmp_path / "model"), save_format="tf")
    loaded = load_keras(str(tmp_path / "model"))
    assert "attached" in [layer.name for layer in loaded.model.layers]
    assert "attached" not in [layer.name for layer in loaded.network.layers]


@pytest.mark.parametrize(
    ("kind", "reason"), [("public", "keras_metadata.pb is missing"), ("keras3", "is missing")]
)
def test_models_without_keras_metadata_are_told_apart(saved, kind, reason):
    opened = open_assignable(saved(kind))
    assert opened.keras is None
    assert reason in opened.why_not_keras


def test_a_subclassed_model_is_no_network(tmp_path):
    class Tower(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.scores = tf_keras.layers.Dense(3)

        def call(self, x):
            return self.scores(x)

    tower = Tower()
    tower(models.features(2)["x"])
    tower.save(str(tmp_path / "model"), save_format="tf")
    with pytest.raises(ModelError, match="no Functional or Sequential Keras model"):
        load_keras(str(tmp_path / "model"))


def test_a_loss_that_keras_does_not_know_keeps_no_model_from_being_loaded(tmp_path):
    def mine(labels, outputs):
        return tf.reduce_mean(tf.square(outputs), -1)

    model = models.mlp()
    model.compile("adam", mine)
    model.save(str(tmp_path / "model"), save_format="tf")
    assert load_keras(str(tmp_path / "model")).model.optimizer is None


def test_a_metric_that_keras_does_not_know_costs_a_model_neither_loss_nor_optimizer(tmp_path):
    def mine(labels, outputs):
        return tf.reduce_mean(outputs, -1)

    model = models.mlp()
    optimizer = tf_keras.optimizers.SGD(0.05)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=[mine])
    model.fit(models.features(32)["x"], np.zeros(32), verbose=0)
    model.save(str(tmp_path / "model"), save_format="tf")
    loaded = load_keras(str(tmp_path / "model")).model
    assert type(loaded.optimizer).__name__ == "SGD"
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.05)
    assert "sparse_categorical_crossentropy" in str(getattr(loaded.loss, "__name__", loaded.loss))


def test_a_saved_model_keeps_signatures_and_weights_and_loses_slots(saved, tmp_path):
    opened = open_assignable(saved("keras"))
    opened.save(str(tmp_path / "out"))
    before, after = weights.read(saved("keras")), weights.read(str(tmp_path / "out"))
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)
    assert weights.optimizer_slots(str(tmp_path / "out")) == 0
    loaded = weights.load_keras(str(tmp_path / "out"))
    assert type(loaded.optimizer).__name__ == "Adam"
