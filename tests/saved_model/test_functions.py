"""Which functions a SavedModel has, by what names, and what loading it refuses."""

import os

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models, rows

from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.saved_model.functions import get_function, list_functions, load


def names(directory):
    return [function.name for function in list_functions(load(directory))]


def test_serving_default_comes_first_and_the_call_function_last(saved, tmp_path):
    assert names(saved("public")) == ["serving_default", "transform_features", "__call__"]
    double = (lambda x: {"y": x * 2}, {"x": models.spec()})
    directory = models.save_functions(tmp_path, zebra=double, serving_default=double, ant=double)
    assert names(directory) == ["serving_default", "ant", "zebra"]


def test_module_that_cannot_be_called_has_only_its_signatures(saved):
    assert names(saved("with_table")) == ["serving_default", "dense"]


def test_signature_is_called_by_feature_name(saved):
    function = get_function(load(saved("keras")), "serving_default")
    assert {name: spec.shape.as_list() for name, spec in function.inputs.items()} == {
        "x": [None, models.WIDTH]
    }
    assert list(function.outputs) == ["probabilities"]
    x = models.features(5)["x"]
    outputs = function.call({"x": tf.constant(x)})
    np.testing.assert_array_equal(
        outputs["probabilities"],
        tf_keras.models.load_model(saved("keras"), compile=False)(x),
    )


def two_inputs(inputs):
    """first - 2 * second + dropout: wrong if inputs are swapped, random if training."""
    first, second = inputs
    difference = tf_keras.layers.subtract([first, 2 * second])
    return tf_keras.layers.Dropout(0.9, seed=0)(difference)


def inputs_of(*names):
    return [tf_keras.Input([4], name=name) for name in names]


@pytest.mark.parametrize("given", ["list", "dict"])
@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_call_function_finds_its_inputs_by_name(given, order, tmp_path):
    inputs = inputs_of(*order)
    named = dict(zip(order, inputs, strict=True)) if given == "dict" else inputs
    tf.saved_model.save(tf_keras.Model(named, two_inputs(inputs)), str(tmp_path))
    function = get_function(load(str(tmp_path)), "__call__")
    assert sorted(function.inputs) == ["a", "b"]
    values = {"a": np.full([3, 4], 5, np.float32), "b": np.full([3, 4], 7, np.float32)}
    (output,) = function.call(values).values()
    expected = 5 - 2 * 7 if order == ("a", "b") else 7 - 2 * 5
    np.testing.assert_array_equal(output, np.full([3, 4], expected))


def test_call_function_takes_a_single_input_in_inference_mode(tmp_path):
    (x,) = inputs_of("x")
    model = tf_keras.Model(x, tf_keras.layers.Dropout(0.9)(x * 3))
    tf.saved_model.save(model, str(tmp_path))
    function = get_function(load(str(tmp_path)), "__call__")
    assert list(function.inputs) == ["x"]
    (output,) = function.call({"x": np.ones([100, 4], np.float32)}).values()
    np.testing.assert_array_equal(output, np.full([100, 4], 3))


class Trained(tf.Module):
    """A module without Keras, whose call function was traced for training and for inference."""

    @tf.function
    def __call__(self, features, training=False):
        return features["x"] * (100 if training else 3)


@pytest.mark.parametrize("traces", [(True, False), (False, True)])
def test_call_function_of_a_module_is_its_trace_for_inference(traces, tmp_path):
    module = Trained()
    for training in traces:
        module.__call__.get_concrete_function({"x": models.spec()}, training=training)
    tf.saved_model.save(module, str(tmp_path))
    function = get_function(load(str(tmp_path)), "__call__")
    answer = function.call(models.features(2))
    np.testing.assert_allclose(answer["outputs"], models.features(2)["x"] * 3)


def test_call_function_answers_under_the_name_of_the_raw_signature(saved):
    loaded = load(saved("public"))
    raw = models.public_features(8)
    serving, call = get_function(loaded, "serving_default"), get_function(loaded, "__call__")
    assert list(call.inputs) == ["a_xf", "b_xf"]
    assert list(call.outputs) == list(serving.outputs) == ["outputs"]
    expected = serving.call({"examples": tf.constant(rows.examples(raw))})
    actual = call.call({name: tf.constant(x) for name, x in models.transformed(raw).items()})
    assert list(actual) == ["outputs"]
    np.testing.assert_allclose(actual["outputs"], expected["outputs"], atol=1e-6)


def test_several_outputs_of_the_call_function_keep_their_own_values(tmp_path):
    (x,) = inputs_of("x")
    once = tf_keras.layers.Rescaling(1.0, name="z_once")(x)
    twice = tf_keras.layers.Rescaling(2.0, name="a_twice")(x)
    tf.saved_model.save(tf_keras.Model({"x": x}, [once, twice]), str(tmp_path))
    function = get_function(load(str(tmp_path)), "__call__")
    answer = function.call({"x": np.ones([2, 4], np.float32)})
    assert sorted(answer) == sorted(function.outputs)
    assert {name: float(value[0, 0]) for name, value in answer.items()} == {
        "a_twice": 2,
        "z_once": 1,
    }


def test_keras3_export_has_its_dense_signatures(saved):
    functions = {function.name: function for function in list_functions(load(saved("keras3")))}
    assert next(iter(functions)) == "serving_default"
    assert list(functions["serving_default"].inputs) == ["x"]
    outputs = functions["serving_default"].call(models.features(4))
    assert [value.shape.as_list() for value in outputs.values()] == [[4, models.CLASSES]]


def test_unknown_function_is_refused_with_a_list_of_the_known(saved):
    with pytest.raises(ParameterError) as refusal:
        get_function(load(saved("public")), "serving")
    assert "['serving_default', 'transform_features', '__call__']" in str(refusal.value)
    assert "signature_name='serving'" in str(refusal.value)


def test_missing_directory_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere.*The directory does not exist"):
        load(os.path.join(tmp_path, "nowhere"))


def test_directory_without_a_model_is_refused_with_a_list_of_what_it_holds(saved, tmp_path):
    os.makedirs(tmp_path / "Format-Serving")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ModelError, match=r"saved_model\.pb is missing") as refusal:
        load(str(tmp_path))
    assert "Format-Serving" in str(refusal.value)
    assert "notes.txt" in str(refusal.value)


def test_tflite_directory_is_refused_as_what_it_is(tmp_path):
    (tmp_path / "tflite").write_bytes(b"TFL3")
    with pytest.raises(ModelError, match="holds a TFLite model"):
        load(str(tmp_path))
