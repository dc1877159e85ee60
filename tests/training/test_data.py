"""Batches to train on: every row once an epoch, in an order that a resumed run finds again."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from support import models, rows

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.sample import sample_rows
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.functions import get_function, load
from tfx_shrink.training.data import given_training_data, read_training_data, some_batches


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("numbered")
    features = models.features(100)
    features["label"] = np.arange(100)
    for part in range(3):
        rows.write(directory / f"rows-{part}", {k: v[part::3] for k, v in features.items()})
    return [str(directory / "rows-*")]


def read(saved, files, seed=0, batch_size=32, label_key="label"):
    loaded = load(saved("keras"))
    sample = sample_rows(files, 10, 0)
    source = Source(saved("keras"), loaded, sample, 0)
    inputs = get_function(loaded, "serving_default").inputs
    return read_training_data(files, source, inputs, label_key, batch_size=batch_size, seed=seed)


def labels(data, first, epochs=1):
    batches = data.from_epoch(first).take(epochs * data.steps_per_epoch)
    seen = np.concatenate([label.numpy() for _, label in batches])
    return [part.tolist() for part in np.split(seen, epochs)]


def test_every_epoch_holds_every_row_once_in_another_order(saved, files):
    data = read(saved, files)
    assert data.steps_per_epoch == 4
    epochs = labels(data, 0, 3)
    assert all(sorted(epoch) == list(range(100)) for epoch in epochs)
    assert all(one != other for one, other in itertools.combinations(epochs, 2))


@pytest.mark.parametrize("seed_of_the_process", [None, 0, 1])
def test_a_resumed_run_sees_the_batches_that_it_would_have_seen(saved, files, seed_of_the_process):
    whole = labels(read(saved, files, seed=5), 0, 3)
    if seed_of_the_process is not None:
        tf.random.set_seed(seed_of_the_process)
    assert labels(read(saved, files, seed=5), 1, 2) == whole[1:]
    assert labels(read(saved, files, seed=6), 0) != whole[:1]


def test_a_label_that_the_rows_lack_is_refused_naming_what_they_hold(saved, files):
    with pytest.raises(ExamplesError, match=r"\['label', 'x'\].*label_key='species'"):
        read(saved, files, label_key="species")


def test_user_batches_must_end():
    one_pass = tf.data.Dataset.from_tensor_slices(({"x": [1.0, 2.0]}, [0, 1])).batch(1)
    data = given_training_data(one_pass)
    assert data.steps_per_epoch == 2
    assert len(list(data.from_epoch(1).take(5))) == 5
    with pytest.raises(ExamplesError, match="repeats for ever"):
        given_training_data(one_pass.repeat())
    with pytest.raises(ExamplesError, match="without a batch"):
        given_training_data(one_pass.take(0))


def test_with_a_number_of_steps_a_dataset_may_have_no_end():
    def forever():
        while True:
            yield np.float32(1)

    spec = tf.TensorSpec([], tf.float32)
    batches = tf.data.Dataset.from_generator(forever, output_signature=spec).batch(2)
    pairs = batches.map(lambda x: ({"x": x}, x))
    data = given_training_data(pairs, num_steps=3)
    assert data.steps_per_epoch == 3
    assert len(list(data.from_epoch(0).take(3))) == 3
    assert given_training_data(pairs.take(4).repeat(), num_steps=5).steps_per_epoch == 5


def test_what_labels_are_is_told_from_more_than_one_small_batch(saved, files):
    looked_at = some_batches(read(saved, files, batch_size=1))
    assert len(looked_at) == 100
