"""Pruning at once: any SavedModel, with nothing but its weights changed."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models, rows, weights

from tfx_shrink import lineage
from tfx_shrink.pruner.prune import prune


def one_shot(source, out, examples, **parameters):
    parameters = {"target_sparsity": 0.8, "method": "one_shot", **parameters}
    return prune(source, str(out), examples=[examples], **parameters)


def test_a_keras_3_export_loses_its_smallest_weights_only(saved, dense_rows, tmp_path):
    done = one_shot(saved("keras3"), tmp_path / "out", dense_rows)
    assert done.method == "one_shot"
    before, after = weights.read(saved("keras3")), weights.read(str(tmp_path / "out"))
    assert before.keys() == after.keys()
    for name in before:
        stays = after[name] != 0
        if name not in done.by_weight:
            np.testing.assert_array_equal(before[name], after[name])
            continue
        assert (~stays).mean() == pytest.approx(0.8, abs=0.001)
        np.testing.assert_array_equal(before[name][stays], after[name][stays])
        assert np.abs(before[name][~stays]).max() <= np.abs(before[name][stays]).min()


def test_a_keras_3_export_gets_smaller_after_gzip_for_no_variable_is_kept_twice(
    saved, dense_rows, tmp_path
):
    done = one_shot(saved("keras3"), tmp_path / "out", dense_rows)
    assert done.result_gzip < 0.8 * done.source_gzip
    source, result = (
        [key for key in weights.checkpoint_keys(path) if "_all_variables" in key]
        for path in (saved("keras3"), str(tmp_path / "out"))
    )
    assert source
    assert not result


@pytest.fixture(scope="module")
def colored(tmp_path_factory):
    features = models.features(64)
    features["color"] = np.resize([*models.VOCABULARY, "unknown"], (64, 1))
    return rows.write(tmp_path_factory.mktemp("colored") / "rows", features)


def test_tables_and_embeddings_survive(saved, colored, tmp_path):
    source, out = saved("with_table"), str(tmp_path / "out")
    done = one_shot(source, out, colored)
    assert list(done.by_weight) == ["weights"]
    assert "name its layer in `layers`" in done.skipped["embedding"]
    found = weights.read(out)
    assert weights.sparsity(found["embedding"]) == 0
    serialized = tf.constant(rows.examples({"x": np.zeros((4, 16), np.float32), "color": COLORS}))
    scores = tf.saved_model.load(out).signatures["serving_default"](serialized)["scores"]
    np.testing.assert_allclose(scores, found["embedding"])


COLORS = np.array([*models.VOCABULARY, "unknown"])


def test_an_embedding_is_pruned_where_it_is_named(saved, colored, tmp_path):
    done = one_shot(saved("with_table"), tmp_path / "out", colored, layers=["embedding"])
    assert list(done.by_weight) == ["embedding"]


def test_a_subclassed_model_keeps_its_signature_and_its_class(dense_rows, tmp_path):
    class Tower(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = tf_keras.layers.Dense(64, "relu")
            self.norm = tf_keras.layers.BatchNormalization()
            self.scores = tf_keras.layers.Dense(models.CLASSES)

        def call(self, inputs):
            return self.scores(self.norm(self.hidden(inputs["x"])))

    tower = Tower()
    tower(models.features(4))
    tower.save(str(tmp_path / "source"), save_format="tf")
    done = one_shot(str(tmp_path / "source"), tmp_path / "out", dense_rows)
    assert len(done.by_weight) == 2
    (step,) = lineage.read(str(tmp_path / "out"))
    assert step["saved_as"] == "saved_model"
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    x = tf.constant(models.features(4)["x"])
    (served,) = loaded.signatures["serving_default"](x=x).values()
    np.testing.assert_allclose(loaded({"x": x}, training=False), served, atol=1e-6)


def test_a_keras_model_stays_loadable_by_keras(saved, dense_rows, tmp_path):
    out = str(tmp_path / "out")
    one_shot(saved("keras"), out, dense_rows)
    weights.load_keras(out)
    assert weights.optimizer_slots(out) == 0


@pytest.mark.parametrize("pattern", ["2_of_4", "block_1x4"])
def test_every_pattern_can_be_had_at_once(saved, dense_rows, tmp_path, pattern):
    sparsity = None if pattern == "2_of_4" else 0.8
    done = one_shot(
        saved("keras3"), tmp_path / "out", dense_rows, pattern=pattern, target_sparsity=sparsity
    )
    assert done.sparsity == pytest.approx(sparsity or 0.5, abs=0.01)


def test_global_scope_counts_all_weights_together(saved, dense_rows, tmp_path):
    done = one_shot(saved("keras"), tmp_path / "out", dense_rows, scope="global")
    assert done.sparsity == pytest.approx(0.8, abs=0.001)
    shares = done.by_weight.values()
    assert max(shares) - min(shares) > 0.1


def test_the_source_is_not_touched(saved, dense_rows, tmp_path):
    before = lineage.file_digests(saved("keras3"))
    one_shot(saved("keras3"), tmp_path / "out", dense_rows)
    assert lineage.file_digests(saved("keras3")) == before
