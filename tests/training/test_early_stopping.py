"""Training ends when another loss gets no better, with the weights that were best."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfx_shrink.training.data import TrainingData
from tfx_shrink.training.early_stopping import StopEarly
from tfx_shrink.training.loop import train

# The weight grows by 1 an epoch, so the other loss falls up to epoch 3 and rises afterwards.
BEST, EPOCHS = 3, 8


def data(target):
    batch = ({"x": np.ones([1, 1], np.float32)}, np.full([1, 1], target, np.float32))
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    return TrainingData(1, lambda first: dataset)


def network():
    x = tf_keras.Input([1], name="x")
    top = tf_keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="top")
    model = tf_keras.Model(x, top(x))
    # Its slope is -1 as long as the target is far, so that one step adds the learning rate.
    model.compile(tf_keras.optimizers.SGD(1.0), "mae", run_eagerly=True)
    return model


def run(directory, patience, epochs=EPOCHS):
    model = network()
    stop = StopEarly(model, data(BEST), patience)
    trained = train(
        model,
        data(100.0),
        epochs,
        checkpoint_dir=str(directory),
        callbacks=[stop],
        tracked=stop.tracked,
        ended=lambda: stop.stopped,
    )
    return model, stop, trained


def weight(model):
    return float(model.get_weights()[0][0, 0])


@pytest.mark.parametrize("patience", [1, 2])
def test_training_ends_after_patience_epochs_with_the_best_weights(tmp_path, patience):
    model, stop, _ = run(tmp_path, patience)
    assert weight(model) == BEST + patience
    assert stop.facts == {
        "patience": patience,
        "best_epoch": BEST,
        "best_loss": 0.0,
        "epochs": BEST + patience,
    }
    stop.use_best(model)
    assert weight(model) == BEST


def test_without_a_worse_epoch_training_goes_to_its_end(tmp_path):
    model, stop, _ = run(tmp_path, 1, epochs=2)
    assert (weight(model), stop.facts["epochs"], stop.stopped) == (2.0, 2, False)


def test_a_run_that_goes_on_knows_which_epoch_was_best(tmp_path):
    run(tmp_path, 2, epochs=BEST + 1)  # One epoch after the best; then it is killed.
    model, stop, trained = run(tmp_path, 2)
    assert trained.resumed_epochs == BEST + 1
    assert (weight(model), stop.facts["best_epoch"]) == (BEST + 2, BEST)
    stop.use_best(model)
    assert weight(model) == BEST


def test_a_run_that_had_ended_is_not_gone_on_with(tmp_path):
    run(tmp_path, 1)
    model, stop, trained = run(tmp_path, 1)
    assert trained.resumed_epochs == BEST + 1
    assert weight(model) == BEST + 1
    assert stop.facts["epochs"] == BEST + 1
