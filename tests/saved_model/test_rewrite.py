"""Large weights stored in another form, once, behind the same signatures."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from support import models, rows

from tfx_shrink.errors import ModelError
from tfx_shrink.saved_model import rewrite as rewriting
from tfx_shrink.saved_model.cpp_session import CppSession
from tfx_shrink.saved_model.rewrite import rewrite


def halve(array):
    return [array.astype(np.float16)]


def widen(stored):
    return tf.cast(stored[0], tf.float32)


@pytest.fixture(scope="module")
def three_signatures(tmp_path_factory):
    """A vocabulary, a large kernel shared by three signatures, a small bias, a loop."""
    root = tmp_path_factory.mktemp("three")
    random = np.random.RandomState(0)
    module = tf.Module()
    module.kernel = tf.Variable(random.randn(models.WIDTH, 128), dtype=tf.float32)
    module.bias = tf.Variable(random.randn(128), dtype=tf.float32)
    module.unused = tf.Variable(random.randn(512, 512), dtype=tf.float32)
    vocabulary = root / "vocabulary.txt"
    vocabulary.write_text("\n".join(models.VOCABULARY))
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(str(vocabulary), tf.string, line, tf.int64, number), -1
    )

    def score(x):
        return {"scores": x @ module.kernel + module.bias, "again": tf.reduce_sum(x, 1)}

    @tf.function(input_signature=[tf.TensorSpec([None, models.WIDTH], tf.float32, name="x")])
    def dense(x):
        return score(x)

    @tf.function(input_signature=[tf.TensorSpec([None, models.WIDTH], tf.float32, name="x")])
    def looped(x):
        return {
            "sum": tf.while_loop(
                lambda step, total: step < 3,
                lambda step, total: (step + 1, total + x @ module.kernel),
                [0, tf.zeros([tf.shape(x)[0], 128])],
            )[1]
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(examples):
        spec = {
            "x": tf.io.FixedLenFeature([models.WIDTH], tf.float32),
            "color": tf.io.FixedLenFeature([], tf.string),
        }
        row = tf.io.parse_example(examples, spec)
        return {**score(row["x"]), "color": module.table.lookup(row["color"])}

    module.functions = [dense, looped, serving_default]
    signatures = {"serving_default": serving_default, "dense": dense, "looped": looped}
    tf.saved_model.save(module, str(root / "model"), signatures=signatures)
    return str(root / "model")


@pytest.fixture
def serialized():
    colors = [models.VOCABULARY[index % 3] for index in range(8)]
    return rows.examples({**models.features(8), "color": np.array(colors)})


def test_weights_are_stored_once_however_many_signatures_share_them(three_signatures, tmp_path):
    out = str(tmp_path / "out")
    done = rewrite(three_signatures, out, halve, widen)
    assert done.weight_bytes == models.WIDTH * 128 * 4
    assert done.stored_bytes == models.WIDTH * 128 * 2
    with open(os.path.join(out, "saved_model.pb"), "rb") as file:
        graph = file.read()
    source = tf.saved_model.load(three_signatures)
    (kernel,) = (
        variable.numpy()
        for variable in source.signatures["dense"].variables
        if variable.shape.rank == 2
    )
    assert graph.count(kernel.astype(np.float16).tobytes()) == 1
    assert kernel.tobytes() not in graph
    assert (
        sum(
            os.path.getsize(os.path.join(directory, name))
            for directory, _, names in os.walk(out)
            for name in names
        )
        < 512 * 512
    )


def test_every_signature_answers_as_before(three_signatures, serialized, tmp_path):
    out = str(tmp_path / "out")
    rewrite(three_signatures, out, halve, widen)
    source, result = tf.saved_model.load(three_signatures), tf.saved_model.load(out)
    assert sorted(result.signatures) == sorted(source.signatures)
    x = {"x": tf.constant(models.features(8)["x"])}
    inputs = {"dense": x, "looped": x, "serving_default": {"examples": tf.constant(serialized)}}
    for name, tensors in inputs.items():
        expected, actual = source.signatures[name](**tensors), result.signatures[name](**tensors)
        assert sorted(actual) == sorted(expected)
        for key in expected:
            np.testing.assert_allclose(actual[key], expected[key], atol=0.02)
        expected_inputs = source.signatures[name].structured_input_signature[1]
        assert result.signatures[name].structured_input_signature[1] == expected_inputs


def test_tables_and_assets_work_in_a_fresh_process_without_the_source(
    three_signatures, serialized, tmp_path
):
    copy, out = str(tmp_path / "copy"), str(tmp_path / "out")
    shutil.copytree(three_signatures, copy)
    rewrite(copy, out, halve, widen)
    shutil.rmtree(copy)
    code = (
        "import sys, tensorflow as tf; loaded = tf.saved_model.load(sys.argv[1]);"
        "rows = list(tf.data.TFRecordDataset(sys.argv[2]).as_numpy_iterator());"
        "print(loaded.signatures['serving_default'](tf.constant(rows))['color'].numpy().tolist())"
    )
    path = rows.write_serialized(tmp_path / "rows", serialized)
    done = subprocess.run(
        [sys.executable, "-c", code, out, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([index % 3 for index in range(8)])


def test_the_cpp_loader_serves_it_from_raw_examples(three_signatures, serialized, tmp_path):
    out = str(tmp_path / "out")
    rewrite(three_signatures, out, halve, widen)
    with CppSession(three_signatures) as source, CppSession(out) as result:
        inputs = {"examples": np.array(serialized, object)}
        expected = source.run("serving_default", inputs)
        actual = result.run("serving_default", inputs)
    assert sorted(actual) == ["again", "color", "scores"]
    np.testing.assert_array_equal(actual["color"], expected["color"])
    np.testing.assert_allclose(actual["scores"], expected["scores"], atol=0.02)


def test_beyond_the_limit_of_a_graph_weights_become_variables(
    three_signatures, tmp_path, monkeypatch
):
    monkeypatch.setattr(rewriting, "_CONSTANT_LIMIT", 1024)
    out = str(tmp_path / "out")
    assert rewrite(three_signatures, out, halve, widen).as_variables
    size = os.path.getsize(os.path.join(out, "variables", "variables.data-00000-of-00001"))
    assert models.WIDTH * 128 * 2 <= size < models.WIDTH * 128 * 4
    x = tf.constant(models.features(8)["x"])
    expected = tf.saved_model.load(three_signatures).signatures["dense"](x)["scores"]
    actual = tf.saved_model.load(out).signatures["dense"](x)["scores"]
    np.testing.assert_allclose(actual, expected, atol=0.02)
    with CppSession(out) as session:
        served = session.run("dense", models.features(8))["scores"]
    np.testing.assert_allclose(served, expected, atol=0.02)


def test_the_cpp_loader_refuses_what_is_not_a_model(tmp_path):
    with pytest.raises(ModelError, match="Could not find SavedModel"):
        CppSession(str(tmp_path))
