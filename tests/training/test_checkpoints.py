"""What training goes on from: all of its state, and never another work's."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models, rows

from tfx_shrink import lineage
from tfx_shrink.pruner.prune import prune
from tfx_shrink.training.checkpoints import EpochCheckpoints, work_key
from tfx_shrink.training.loop import train


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    features = models.features(96)
    features["label"] = features["x"][:, : models.CLASSES].argmax(1)
    return rows.write(tmp_path_factory.mktemp("labelled") / "rows", features)


def test_another_transform_graph_or_schema_is_other_work(saved, labelled, tmp_path):
    keys = [work_key(saved("keras"), [labelled], {})]
    for name in ("one", "other"):
        graph, schema = tmp_path / name, tmp_path / f"{name}.pbtxt"
        graph.mkdir()
        (graph / "file").write_text(name)
        schema.write_text(name)
        keys.append(work_key(saved("keras"), [labelled], {}, transform_graph=str(graph)))
        keys.append(work_key(saved("keras"), [labelled], {}, schema=str(schema)))
    assert len(set(keys)) == len(keys)


def test_an_optimizer_of_the_old_kind_can_be_kept(tmp_path):
    model = models.mlp()
    model.compile(tf_keras.optimizers.legacy.Adam(), "sparse_categorical_crossentropy")
    assert EpochCheckpoints(str(tmp_path), model, {}).restore() == 0


def test_moving_averages_of_a_model_without_keras_survive_a_resume(labelled, tmp_path, monkeypatch):
    x = tf_keras.Input([models.WIDTH], name="x")
    hidden = tf_keras.layers.BatchNormalization()(tf_keras.layers.Dense(64, name="first")(x))
    model = tf_keras.Model(x, tf_keras.layers.Dense(models.CLASSES, name="scores")(hidden))
    serve = tf.function(
        lambda x: {"scores": model(x)},
        input_signature=[tf.TensorSpec([None, models.WIDTH], tf.float32, name="x")],
    )
    source = str(tmp_path / "source")
    tf.saved_model.save(model, source, signatures={"serving_default": serve})

    def run(out, work_dir):
        prune(
            source,
            str(tmp_path / out),
            examples=[labelled],
            target_sparsity=0.5,
            label_key="label",
            epochs=2,
            work_dir=work_dir,
        )
        loaded = tf.saved_model.load(str(tmp_path / out))
        return {
            variable.name: variable.numpy()
            for variable in loaded.signatures["serving_default"].variables
        }

    whole = run("whole", None)

    def dies_after_training(*arguments, **keywords):
        train(*arguments, **keywords)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tfx_shrink.pruner.tuning.train", dies_after_training)
        with pytest.raises(KeyboardInterrupt):
            run("killed", str(tmp_path / "work"))
    resumed = run("resumed", str(tmp_path / "work"))
    assert lineage.read(str(tmp_path / "resumed"))[-1]["training"]["resumed_epochs"] == 2
    assert any("moving_mean" in name for name in whole)
    for name, values in whole.items():
        np.testing.assert_allclose(resumed[name], values, atol=1e-5, err_msg=name)
