"""A TFLite model answers as the device would, rounding included."""

import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import tensorflow as tf
from support import models
from support.tflite import file_of, linear
from tensorflow.lite.tools import flatbuffer_utils

from tfx_shrink.errors import ModelError
from tfx_shrink.tflite.interpreter import TFLiteModel

RANGE = 4.0  # What the int8 file was calibrated on, less one step at the upper end.


def negated(integer=tf.int8):
    """y = -x from integers to integers, in steps of exactly 1/32."""
    ramp = np.linspace(-RANGE, RANGE - 1 / 32, 64, dtype=np.float32)
    return file_of(
        lambda x: {"y": -x},
        {"x": models.spec([None, 1])},
        weights=tf.int8,
        calibration={"x": ramp.reshape(-1, 1)},
        integer_io=integer,
    )


@pytest.fixture(scope="module")
def int8_file():
    return negated()


def by_hand(content, x):
    """Runs one batch on TensorFlow's interpreter, rounding value by value in Python."""
    interpreter = tf.lite.Interpreter(model_content=content)
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    low, high = np.iinfo(source["dtype"]).min, np.iinfo(source["dtype"]).max
    scale, zero = source["quantization"]
    steps = [min(max(round(float(value) / scale + zero), low), high) for value in x.ravel()]
    interpreter.resize_tensor_input(source["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], np.array(steps, source["dtype"]).reshape(x.shape))
    interpreter.invoke()
    scale, zero = target["quantization"]
    answer = interpreter.get_tensor(target["index"])
    return (answer.astype(np.float64) - zero) * scale, np.array(steps)


def input_quantization(content):
    return tf.lite.Interpreter(model_content=content).get_input_details()[0]["quantization"]


def test_no_caller_is_warned_of_tensorflows_own_interpreter(int8_file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TFLiteModel(int8_file)


@pytest.mark.parametrize("integer", [tf.int8, tf.uint8])
def test_integer_inputs_and_outputs_are_rounded_as_by_hand(integer):
    content = negated(integer=integer)
    assert TFLiteModel(content).inputs["x"]["dtype"] == integer.as_numpy_dtype
    x = np.random.RandomState(0).uniform(-1.5 * RANGE, 1.5 * RANGE, [500, 1]).astype(np.float32)
    expected, _ = by_hand(content, x)
    actual = TFLiteModel(content)({"x": x})["y"]
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    # A wrapped or truncated value would lie further off than half a step on either side.
    inside = np.abs(x) < RANGE * 0.99
    scale, _ = input_quantization(content)
    assert np.abs(actual + x)[inside].max() <= 1.01 * scale


def test_values_beyond_the_calibrated_range_saturate(int8_file):
    x = np.array([[-1e6], [-2 * RANGE], [2 * RANGE], [1e6]], np.float32)
    answer = TFLiteModel(int8_file)({"x": x})["y"].ravel()
    np.testing.assert_allclose(answer, [RANGE, RANGE, -RANGE, -RANGE], rtol=0.02)


def test_halves_go_to_the_even_step(int8_file):
    assert input_quantization(int8_file) == (1 / 32, 0)
    steps = np.arange(-20, 20)
    x = ((steps + 0.5) / 32).astype(np.float32).reshape(-1, 1)
    expected, by_hand_steps = by_hand(int8_file, x)
    np.testing.assert_array_equal(by_hand_steps, np.where(steps % 2 == 0, steps, steps + 1))
    np.testing.assert_array_equal(TFLiteModel(int8_file)({"x": x})["y"], expected)


def test_integer_features_that_are_not_quantized_go_in_as_they_are():
    inputs = {"count": models.spec([None, 2], tf.int64)}
    model = TFLiteModel(file_of(lambda count: {"y": count * 2}, inputs))
    answer = model({"count": np.array([[1, 2**40]])})["y"]
    assert answer.dtype == np.int64
    np.testing.assert_array_equal(answer, [[2, 2**41]])


def test_missing_inputs_are_named(int8_file):
    with pytest.raises(ModelError) as refusal:
        TFLiteModel(int8_file)({"other": np.zeros([1, 1])})
    assert "['x'] are missing" in str(refusal.value)
    assert "['other']" in str(refusal.value)


def test_features_that_the_model_does_not_read_are_ignored(int8_file):
    x = np.ones([2, 1], np.float32)
    model = TFLiteModel(int8_file)
    np.testing.assert_array_equal(
        model({"x": x, "label": np.zeros([2])})["y"], model({"x": x})["y"]
    )


def test_rows_of_a_column_may_come_flat(int8_file):
    model = TFLiteModel(int8_file)
    flat = np.array([1.0, 2.0, 3.0], np.float32)
    np.testing.assert_array_equal(model({"x": flat})["y"], model({"x": flat[:, None]})["y"])


def test_batches_of_any_size_follow_each_other():
    function, inputs = linear()
    model = TFLiteModel(file_of(function, inputs))
    for count in (1, 5, 2):
        rows = models.features(count, seed=count)
        np.testing.assert_allclose(model(rows)["y"], function(rows["x"])["y"], rtol=1e-4, atol=1e-5)


def test_answers_stay_after_the_next_call(int8_file):
    model = TFLiteModel(int8_file)
    first = model({"x": np.ones([1, 1])})["y"]
    kept = first.copy()
    model({"x": -np.ones([1, 1])})
    np.testing.assert_array_equal(first, kept)


def test_two_threads_at_once_get_their_own_answers():
    model = TFLiteModel(file_of(*linear()))
    batches = [models.features(rows, seed=rows) for rows in (3, 50)]
    expected = [model(batch)["y"] for batch in batches]
    wrong = []

    def ask(number):
        for _ in range(300):
            try:
                same = np.array_equal(model(batches[number])["y"], expected[number])
            except Exception as error:
                same = error
            if same is not True:
                wrong.append(same)

    threads = [threading.Thread(target=ask, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_file_without_a_signature_is_refused(int8_file):
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(int8_file))
    model.signatureDefs = []
    with pytest.raises(ModelError, match="has no signature"):
        TFLiteModel(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))


def test_default_delegates_are_in_use(int8_file, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(int8_file)
    code = (
        "import sys, numpy as np; from tfx_shrink.tflite.interpreter import TFLiteModel;"
        "TFLiteModel(open(sys.argv[1], 'rb').read())({'x': np.zeros([3, 1], np.float32)})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert "Created TensorFlow Lite XNNPACK delegate" in done.stderr
