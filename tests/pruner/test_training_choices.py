"""What training takes from the model, from the label and from user code."""

import glob
import os

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models, rows, weights

from tfx_shrink import lineage
from tfx_shrink.errors import TrainingError, UntrainableError
from tfx_shrink.pruner.prune import prune


def training(directory):
    return lineage.read(str(directory))[-1]["training"]


def run(source, out, examples, **parameters):
    parameters = {"target_sparsity": 0.8, "num_steps": 8, **parameters}
    return prune(source, str(out), examples=[examples], **parameters)


def test_auto_prunes_at_once_where_there_is_no_label_and_says_why(saved, labelled, tmp_path):
    done = run(saved("keras"), tmp_path / "out", labelled, num_steps=None)
    assert done.method == "one_shot"
    (step,) = lineage.read(str(tmp_path / "out"))
    assert "There is no label" in step["method_reason"] == done.method_reason
    assert step["training"] is None


def test_auto_prunes_at_once_where_no_loss_follows(saved, tmp_path):
    features = models.features(40)
    features["label"] = np.random.RandomState(0).randn(40, 2).astype(np.float32)
    examples = rows.write(tmp_path / "rows", features)
    done = run(saved("keras3"), tmp_path / "out", examples, label_key="label")
    assert done.method == "one_shot"
    assert "No loss follows" in done.method_reason


def test_a_keras_3_export_trains_through_a_signature_with_an_inferred_loss(
    saved, labelled, tmp_path
):
    run(saved("keras3"), tmp_path / "out", labelled, label_key="label")
    found = training(tmp_path / "out")
    assert found["path"] == "call_function"
    assert found["loss"] == "sparse_categorical_crossentropy"
    assert found["origin"] == "inferred from label and output"


def test_a_named_loss_comes_before_the_models_own(saved, labelled, tmp_path):
    run(
        saved("keras"),
        tmp_path / "out",
        labelled,
        label_key="label",
        loss="sparse_categorical_crossentropy",
        learning_rate=0.01,
    )
    assert training(tmp_path / "out")["origin"] == "parameter"


def test_a_model_with_a_loss_of_its_own_is_pruned_and_stays_loadable_by_keras(labelled, tmp_path):
    def mine(labels, outputs):
        return tf.reduce_mean(tf.square(outputs), -1)

    model = models.mlp(trained=True)
    model.compile("adam", mine)
    model.save(str(tmp_path / "source"), save_format="tf")
    run(str(tmp_path / "source"), tmp_path / "out", labelled, label_key="label")
    found = training(tmp_path / "out")
    assert (found["path"], found["loss"]) == ("keras", "sparse_categorical_crossentropy")
    assert found["origin"] == "inferred from label and output"
    weights.load_keras(str(tmp_path / "out"))
    assert weights.optimizer_slots(str(tmp_path / "out")) == 0


def test_a_loss_that_keras_cannot_compute_is_named(saved, labelled, tmp_path):
    with pytest.raises(TrainingError, match="Is the loss one for these labels and outputs"):
        run(
            saved("keras"),
            tmp_path / "out",
            labelled,
            label_key="label",
            loss="categorical_crossentropy",
        )
    assert not (tmp_path / "out").exists()


def test_user_code_reads_the_rows_and_compiles_the_network(saved, tmp_path):
    seen = {}

    def input_fn(files, tf_transform_output, batch_size):
        seen.update(files=files, graph=tf_transform_output, batch_size=batch_size)
        spec = {"x": tf.io.FixedLenFeature([models.WIDTH], tf.float32)}

        def parse(batch):
            features = tf.io.parse_example(batch, spec)
            return features, tf.argmax(features["x"][:, : models.CLASSES], axis=1)

        return tf.data.TFRecordDataset(files).batch(batch_size).map(parse)

    def compile_fn(model):
        model.compile(tf_keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")

    examples = rows.write(tmp_path / "rows", models.features(50))
    run(
        saved("keras"),
        tmp_path / "out",
        examples,
        user_functions={"input_fn": input_fn, "compile_fn": compile_fn},
        batch_size=10,
        num_steps=None,
        epochs=2,
    )
    assert seen == {"files": [examples], "graph": None, "batch_size": 10}
    found = training(tmp_path / "out")
    assert (found["origin"], found["optimizer"]) == ("compile_fn", "SGD")
    assert found["steps"] == 10


def test_user_rows_must_have_what_the_model_reads(saved, dense_rows, tmp_path):
    def input_fn(files, tf_transform_output, batch_size):
        return tf.data.Dataset.from_tensors(({"y": tf.zeros([2, 3])}, tf.zeros([2])))

    with pytest.raises(UntrainableError, match=r"`input_fn` does not give \['x'\]"):
        run(
            saved("keras"),
            tmp_path / "out",
            dense_rows,
            method="fine_tune",
            user_functions={"input_fn": input_fn},
        )


def test_tensorboard_gets_logs(saved, labelled, tmp_path):
    logs = tmp_path / "logs"
    run(saved("keras"), tmp_path / "out", labelled, label_key="label", log_dir=str(logs))
    (events,) = glob.glob(os.path.join(logs, "train", "events.out.tfevents.*"))
    tags = {
        value.tag
        for event in tf.compat.v1.train.summary_iterator(events)
        for value in event.summary.value
    }
    assert "epoch_loss" in tags


def test_the_same_seed_gives_the_same_model(saved, labelled, tmp_path):
    digests = [
        run(saved("keras3"), tmp_path / name, labelled, label_key="label", seed=seed).difference.max
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert digests[0] == pytest.approx(digests[1], rel=1e-3)
    assert digests[0] != pytest.approx(digests[2], rel=1e-3)
