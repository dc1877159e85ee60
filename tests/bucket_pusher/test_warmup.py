"""Warm-up requests: real rows, as TensorFlow Serving replays them."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from support import models, rows
from tensorflow_serving.apis import prediction_log_pb2

from tfx_shrink.bucket_pusher.content import WARMUP_REQUESTS
from tfx_shrink.bucket_pusher.warmup import write_warmup_requests
from tfx_shrink.errors import ExamplesError, ModelError
from tfx_shrink.saved_model.cpp_session import CppSession


@pytest.fixture
def copied(tmp_path):
    """`copied(model)` is a copy that may be written to."""
    return lambda model: shutil.copytree(model, tmp_path / "model")


@pytest.fixture
def raw_rows(tmp_path):
    return rows.write(tmp_path / "raw", models.public_features(20))


def requests_in(model):
    records = tf.data.TFRecordDataset(os.path.join(model, WARMUP_REQUESTS)).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    return [log.predict_log.request for log in logs]


def test_raw_examples_are_sent_as_they_are(saved, copied, raw_rows):
    model = copied(saved("public"))
    assert write_warmup_requests(str(model), "m", [raw_rows], num_requests=5) == 5
    requests = requests_in(model)
    assert {item.model_spec.name for item in requests} == {"m"}
    assert {item.model_spec.signature_name for item in requests} == {"serving_default"}
    sent = [tf.make_ndarray(item.inputs["examples"])[0] for item in requests]
    assert sent == list(tf.data.TFRecordDataset(raw_rows).take(5).as_numpy_iterator())


def test_dense_features_are_decoded(saved, copied, dense_rows):
    model = copied(saved("keras"))
    assert write_warmup_requests(str(model), "m", [dense_rows]) == 10
    first = tf.make_ndarray(requests_in(model)[0].inputs["x"])
    np.testing.assert_array_equal(first, models.features(200)["x"][:1])


@pytest.mark.parametrize("scheme", ["float32", "int8_io"])
def test_a_tflite_model_gets_what_its_own_inputs_hold(quantized, copied, dense_rows, scheme):
    model = copied(quantized(scheme)[0])
    assert write_warmup_requests(str(model), "m", [dense_rows], num_requests=3) == 3
    (first, *_) = requests_in(model)
    dtype = tf.make_ndarray(first.inputs["x"]).dtype
    assert dtype == (np.float32 if scheme == "float32" else np.int8)


def test_with_them_a_model_without_variables_does_not_become_available(saved, copied, raw_rows):
    model = copied(saved("public"))
    write_warmup_requests(str(model), "m", [raw_rows])
    shutil.rmtree(model / "variables")
    inputs = {"examples": tf.make_ndarray(requests_in(model)[0].inputs["examples"])}
    with CppSession(str(model)) as session, pytest.raises(ModelError):
        session.run("serving_default", inputs)


def test_a_model_that_fails_on_a_row_is_refused_before_it_is_pushed(saved, copied, raw_rows):
    model = copied(saved("public"))
    shutil.rmtree(model / "variables")
    with pytest.raises(Exception, match=r"(?i)variable"):
        write_warmup_requests(str(model), "m", [raw_rows])
    assert not os.path.exists(model / WARMUP_REQUESTS)


def test_rows_that_lack_a_feature_are_refused(saved, copied, raw_rows):
    with pytest.raises(ExamplesError, match="x"):
        write_warmup_requests(str(copied(saved("keras"))), "m", [raw_rows])
