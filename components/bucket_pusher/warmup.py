"""Warm-up requests: what TensorFlow Serving sends to a model before it counts as available.

Without them a model whose variables are missing loads, is AVAILABLE, and answers every request
with an error, for ever. With them the load fails and is tried again
(tensorflow_serving/servables/tensorflow/saved_model_warmup.cc). They also take the cost of the
first request, lazy initialization, from the first user.
"""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfx_shrink.bucket_pusher.content import WARMUP_REQUESTS, on_this_machine
from tfx_shrink.errors import ExamplesError, ModelError
from tfx_shrink.examples.batches import batch_size
from tfx_shrink.examples.decode import decode_rows
from tfx_shrink.examples.files import list_files, read_rows
from tfx_shrink.examples.sample import Sample, is_from_transform
from tfx_shrink.model_files import SAVED_MODEL, SERVED_TFLITE, SERVING_DEFAULT
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.cpp_session import CppSession
from tfx_shrink.saved_model.functions import (
    CALL_FUNCTION,
    PREPROCESSING_SIGNATURES,
    ServedFunction,
    list_functions,
    load,
)
from tfx_shrink.tflite.interpreter import TFLiteModel
from tfx_shrink.tflite.signature_defs import read_signature_defs

DEFAULT_REQUESTS = 10
Request = dict[str, np.ndarray]


def write_warmup_requests(
    model_dir: str,
    model_name: str,
    examples: Sequence[str],
    *,
    num_requests: int = DEFAULT_REQUESTS,
    transform_graph: str | None = None,
) -> int:
    """Writes warm-up requests of real rows into a model; each of them has run here first.

    A SavedModel runs in the C++ session that TensorFlow Serving uses, a TFLite model in
    TensorFlow's interpreter. Requests go to `serving_default`, or to the first other signature
    that predicts; one row each, or as many as the signature insists on.

    Args:
      model_dir: The model's directory, on any tf.io.gfile file system.
      model_name: What TensorFlow Serving calls the model.
      examples: Glob patterns of TFRecord files, raw or Transform's.
      num_requests: How many, at most as many as there are rows. Defaults to 10.
      transform_graph: Transform's output directory, for raw rows. Defaults to None.

    Returns:
      How many were written.

    Raises:
      ExamplesError: There is no row, or the rows lack what the signature reads.
      ModelError: The model fails on one of them, or has no signature that can be asked.
    """
    files = list_files(examples)
    rows = list(
        itertools.islice(itertools.chain.from_iterable(map(read_rows, files)), num_requests)
    )
    if not rows:
        raise ExamplesError(f"The Examples are empty: there is no row in {list(examples)}.")
    sample = Sample(rows, is_from_transform(files))
    with on_this_machine(model_dir) as local_dir:
        if os.path.exists(os.path.join(local_dir, SAVED_MODEL)):
            signature, requests = _of_saved_model(local_dir, sample, transform_graph)
        else:
            signature, requests = _of_tflite(local_dir, sample, transform_graph)
    path = os.path.join(model_dir, WARMUP_REQUESTS)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.TFRecordWriter(path) as writer:
        for request in requests:
            writer.write(_prediction_log(model_name, signature, request).SerializeToString())
    return len(requests)


def _of_saved_model(
    model_dir: str, sample: Sample, transform_graph: str | None
) -> tuple[str, list[Request]]:
    loaded = load(model_dir)
    function = _chosen(model_dir, list_functions(loaded))
    source = Source(model_dir, loaded, sample, len(sample.rows), transform_graph)
    rows = source.read(sample.rows, function)
    requests = list(_one_by_one(rows, batch_size(function.inputs) or 1))
    with CppSession(model_dir) as session:
        for request in requests:
            session.run(function.name, request)
    return function.name, requests


def _of_tflite(
    model_dir: str, sample: Sample, transform_graph: str | None
) -> tuple[str, list[Request]]:
    with open(os.path.join(model_dir, SERVED_TFLITE), "rb") as file:
        content = file.read()
    model = TFLiteModel(content)
    served = read_signature_defs(content)
    if SERVING_DEFAULT not in served or set(served[SERVING_DEFAULT].inputs) != set(model.inputs):
        raise ModelError(
            f"TensorFlow Serving finds no signature {SERVING_DEFAULT!r} with the inputs "
            f"{sorted(model.inputs)} in {model_dir}/model.tflite, so no warm-up request can name "
            "them. Convert it with the Quantizer, or leave `examples` out."
        )
    rows = decode_rows(
        sample.rows,
        model.features,
        transform_graph=transform_graph,
        from_transform=sample.from_transform,
    )
    requests = list(_one_by_one(rows, batch_size(model.features) or 1))
    for request in requests:
        model(request)
    return SERVING_DEFAULT, [model.quantize(request) for request in requests]


def _chosen(model_dir: str, functions: Sequence[ServedFunction]) -> ServedFunction:
    others = (CALL_FUNCTION, *PREPROCESSING_SIGNATURES)
    able = [item for item in functions if item.name not in others]
    for function in sorted(able, key=lambda item: (item.name != SERVING_DEFAULT, item.name)):
        if function.inputs:
            return function
    raise ModelError(
        f"{model_dir} has no signature that reads something and predicts. Leave `examples` out: "
        "there is nothing to warm up."
    )


def _one_by_one(rows: Mapping[str, np.ndarray], size: int) -> Iterator[Request]:
    for number in range(len(next(iter(rows.values())))):
        yield {
            name: np.repeat(values[number : number + 1], size, 0) for name, values in rows.items()
        }


def _prediction_log(model_name: str, signature: str, request: Request) -> Any:
    predict = predict_pb2.PredictRequest()
    predict.model_spec.name, predict.model_spec.signature_name = model_name, signature
    for name, values in request.items():
        predict.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=predict)
    )
