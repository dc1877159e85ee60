"""A stripped model weighs less and answers the same, alone."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models, rows

from tfx_shrink.errors import ModelError
from tfx_shrink.lineage import model_state
from tfx_shrink.saved_model.functions import load
from tfx_shrink.saved_model.strip import strip

_ASK = """
import json, sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
examples = tf.constant([bytes.fromhex(row) for row in json.loads(sys.argv[2])])
print(json.dumps(model.signatures["serving_default"](examples=examples)["scores"].numpy().tolist()))
"""


def variable_names(directory):
    prefix = os.path.join(directory, "variables", "variables")
    return list(tf.train.load_checkpoint(prefix).get_variable_to_shape_map())


def test_optimizer_slots_are_left_behind(saved, tmp_path):
    assert any("optimizer" in name for name in variable_names(saved("keras")))
    strip(saved("keras"), str(tmp_path))
    weights = sum(value.size for value in models.mlp().get_weights()) * 4
    variables = os.path.join("variables", "variables.data-00000-of-00001")
    assert os.path.getsize(os.path.join(saved("keras"), variables)) > 3 * weights
    assert os.path.getsize(tmp_path / variables) < 1.1 * weights
    assert not any("optimizer" in name for name in variable_names(str(tmp_path)))
    assert model_state(str(tmp_path)).bytes < model_state(saved("keras")).bytes


@pytest.mark.parametrize("kind", ["keras", "keras3", "public", "with_table"])
def test_signatures_and_outputs_stay_bit_for_bit(saved, kind, tmp_path):
    strip(saved(kind), str(tmp_path))
    before, after = load(saved(kind)), load(str(tmp_path))
    assert sorted(before.signatures) == sorted(after.signatures)
    dense = models.features(32)
    colors = np.resize(["red", "blue", "none"], [32, 1])
    raw = rows.examples({**dense, **models.public_features(32), "color": colors})
    for name, signature in before.signatures.items():
        other = after.signatures[name]
        assert signature.structured_input_signature == other.structured_input_signature
        inputs = signature.structured_input_signature[1]
        feed = {"examples": tf.constant(raw)} if "examples" in inputs else dense
        expected, actual = signature(**feed), other(**feed)
        assert sorted(expected) == sorted(actual)
        for key in expected:
            np.testing.assert_array_equal(expected[key], actual[key])


def test_tables_and_assets_work_in_another_process_without_the_source(tmp_path):
    source = models.save_with_table(tmp_path / "source" / "model")
    features = {**models.features(3), "color": np.array([["green"], ["red"], ["none"]])}
    raw = rows.examples(features)
    expected = load(source).signatures["serving_default"](examples=tf.constant(raw))["scores"]
    strip(source, str(tmp_path / "stripped"))
    shutil.rmtree(tmp_path / "source")

    assert os.listdir(tmp_path / "stripped" / "assets") == ["vocabulary.txt"]
    asked = json.dumps([row.hex() for row in raw])
    answer = subprocess.run(
        [sys.executable, "-c", _ASK, str(tmp_path / "stripped"), asked],
        capture_output=True,
        text=True,
        check=True,
    )
    np.testing.assert_array_equal(np.array(json.loads(answer.stdout), np.float32), expected)


def test_vocabulary_that_was_learned_stays(tmp_path):
    color = tf_keras.Input([1], dtype=tf.string, name="color")
    lookup = tf_keras.layers.StringLookup()
    lookup.adapt(np.array([["red"], ["green"], ["green"]]))
    number = tf.cast(lookup(color), tf.float32)
    model = tf_keras.Model(color, tf_keras.layers.Dense(2, name="scores")(number))
    model.save(str(tmp_path / "source"), save_format="tf")
    strip(str(tmp_path / "source"), str(tmp_path / "stripped"))
    colors = tf.constant([["green"], ["red"], ["none"]])
    stripped = load(str(tmp_path / "stripped"))
    np.testing.assert_array_equal(
        stripped.signatures["serving_default"](color=colors)["scores"], model(colors)
    )


def test_missing_model_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(ModelError, match="holds no SavedModel"):
        strip(str(tmp_path / "nowhere"), str(tmp_path / "out"))
    assert not os.path.exists(tmp_path / "out")
