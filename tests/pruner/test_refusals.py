"""What is refused: a clear error, and nothing written."""

import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from support import models, rows

from tfx_shrink.errors import (
    ExamplesError,
    ModelError,
    ParameterError,
    ProofError,
    TrainingError,
    UntrainableError,
)
from tfx_shrink.pruner import masking, wrapping
from tfx_shrink.pruner.prune import prune


@pytest.fixture
def refused(saved, labelled, tmp_path):
    """Prunes, expects an error and looks that nothing is left behind."""

    def run(kind, words, source="keras", examples=None, **parameters):
        source = saved(source) if source in ("keras", "keras3", "public") else source
        parameters = {"target_sparsity": 0.8, **parameters}
        work = tmp_path / "work"
        with pytest.raises(kind, match=words):
            prune(
                str(source),
                str(tmp_path / "out"),
                examples=[examples or labelled],
                work_dir=str(work),
                **parameters,
            )
        assert not (tmp_path / "out").exists()
        assert not work.exists() or not os.listdir(work)

    return run


def test_a_glob_that_matches_no_layer(refused):
    refused(ParameterError, r"`layers` 'dence\*' matches no layer.*dense", layers=["dence*"])


def test_a_label_that_no_row_has(refused):
    refused(ExamplesError, "labels", label_key="labels")


def test_no_label_where_training_was_asked_for(refused):
    refused(ParameterError, "give `label_key`, or user code", method="fine_tune")


def test_a_loss_that_does_not_follow_from_label_and_output(refused, tmp_path):
    features = models.features(32)
    features["label"] = np.random.RandomState(0).randn(32, 2).astype(np.float32)
    refused(
        UntrainableError,
        "No loss follows from labels float32.*outputs float32.*`loss`.*`compile_fn`",
        source="keras3",
        examples=rows.write(tmp_path / "rows", features),
        label_key="label",
        method="fine_tune",
    )


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("dynamic_range", "holds a TFLite model.*: prune before quantizing"),
        ("weight_int8", "was quantized .*prune needs float weights"),
    ],
)
def test_a_quantized_model(refused, quantized, scheme, words):
    directory, _ = quantized(scheme)
    refused(ModelError, words, source=directory, method="one_shot")


def test_a_directory_without_a_model(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(ModelError, "empty", source=tmp_path / "empty", method="one_shot")


def test_channels_of_a_model_without_keras_metadata(refused):
    refused(
        ModelError,
        "pattern='channel' needs a Functional or Sequential Keras model.*keras_metadata.pb",
        source="keras3",
        pattern="channel",
    )


def test_rows_that_the_model_cannot_read(refused, tmp_path):
    other = rows.write(tmp_path / "rows", {"y": np.zeros((8, 4), np.float32)})
    refused(ExamplesError, "x", examples=other, method="one_shot")


@pytest.mark.parametrize("source", ["keras", "keras3"])
def test_a_loss_that_is_not_finite_stops_training(refused, tmp_path, source):
    features = models.features(128)
    features["label"] = features["x"][:, : models.CLASSES].argmax(1)
    features["x"][100:] = np.nan
    refused(
        TrainingError,
        "not finite.* Nothing was kept",
        source=source,
        examples=rows.write(tmp_path / "rows", features),
        label_key="label",
        epochs=2,
    )


def test_zeros_that_do_not_reach_the_saved_model(refused, monkeypatch):
    monkeypatch.setattr(masking, "make_masks", lambda tensors, *_: [t != 9 for t in tensors])
    refused(
        ProofError,
        "Of 2048 weights of dense/kernel 0 are zero: a sparsity of 0.000 where 0.8 was asked for",
        method="one_shot",
    )


def test_training_that_prunes_nothing(refused, monkeypatch):
    never = tfmot.sparsity.keras.ConstantSparsity(0.8, begin_step=1000)
    monkeypatch.setattr(wrapping, "_as_tfmot", lambda schedule: never)
    refused(ProofError, "a sparsity of 0.000 where 0.8", label_key="label", num_steps=10)


def test_an_output_inside_the_source_or_where_something_is(saved, labelled, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("here before")
    for out in (tmp_path / "out", os.path.join(saved("keras"), "pruned")):
        with pytest.raises(ParameterError):
            prune(saved("keras"), str(out), examples=[labelled], target_sparsity=0.5)
    assert (tmp_path / "out" / "precious").read_text() == "here before"
    assert "pruned" not in os.listdir(saved("keras"))


def test_a_weight_that_no_gradient_reaches(refused, labelled, tmp_path):
    module = tf.Module()
    module.kernel = tf.Variable(models.features(3)["x"].T, name="kernel")

    @tf.function(input_signature=[tf.TensorSpec([None, models.WIDTH], tf.float32, name="x")])
    def serve(x):
        return {"scores": tf.round(x @ module.kernel)}

    tf.saved_model.save(module, str(tmp_path / "rounded"), signatures={"serve": serve})
    refused(
        UntrainableError,
        r"No gradient reaches \['kernel'\].*one_shot",
        source=tmp_path / "rounded",
        label_key="label",
        method="fine_tune",
        loss="sparse_categorical_crossentropy",
    )
