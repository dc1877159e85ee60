"""The configuration files of TensorFlow Serving whose messages its Python package leaves out.

Field by field as in tensorflow_serving/config/monitoring_config.proto and
tensorflow_serving/servables/tensorflow/session_bundle_config.proto of 2.16.
"""

from typing import Any

from google.protobuf import descriptor_pb2, message_factory, text_format
from google.protobuf import wrappers_pb2 as wrappers

from tfx_shrink.errors import ParameterError

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tensorflow.serving"
_INT64, _STRING = wrappers.Int64Value.DESCRIPTOR, wrappers.StringValue.DESCRIPTOR
_MESSAGES = {
    "PrometheusConfig": [("enable", 1, _Field.TYPE_BOOL), ("path", 2, _Field.TYPE_STRING)],
    "MonitoringConfig": [("prometheus_config", 1, f".{_PACKAGE}.PrometheusConfig")],
    "BatchingParameters": [
        ("max_batch_size", 1, f".{_INT64.full_name}"),
        ("batch_timeout_micros", 2, f".{_INT64.full_name}"),
        ("max_enqueued_batches", 3, f".{_INT64.full_name}"),
        ("num_batch_threads", 4, f".{_INT64.full_name}"),
        ("thread_pool_name", 5, f".{_STRING.full_name}"),
        ("allowed_batch_sizes", 6, _Field.TYPE_INT64),
        ("pad_variable_length_inputs", 7, _Field.TYPE_BOOL),
    ],
}
_REPEATED = {"allowed_batch_sizes"}


def _make_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="tfx_shrink/serving_config.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[_INT64.file.name],
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = _Field.LABEL_REPEATED if field in _REPEATED else _Field.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _Field.TYPE_MESSAGE, kind
            else:
                added.type = kind
    wrapped = descriptor_pb2.FileDescriptorProto()
    _INT64.file.CopyToProto(wrapped)
    return message_factory.GetMessages([wrapped, file])


_CLASSES = _make_classes()


def parse_monitoring(text: str) -> Any:
    """Returns a monitoring.config as a MonitoringConfig.

    Raises:
      ParameterError: TensorFlow Serving would not start with it.
    """
    return _parse(text, "MonitoringConfig", "monitoring.config")


def parse_batching(text: str) -> Any:
    """Returns a batching file as BatchingParameters.

    Raises:
      ParameterError: TensorFlow Serving would not start with it.
    """
    found = _parse(text, "BatchingParameters", "batching.config")
    sizes = list(found.allowed_batch_sizes)
    if sizes and (sizes != sorted(set(sizes)) or sizes[-1] != found.max_batch_size.value):
        raise ParameterError(
            "`allowed_batch_sizes` must rise, and end in `max_batch_size`. Received: "
            f"{sizes} with max_batch_size {found.max_batch_size.value}."
        )
    return found


def _parse(text: str, message: str, file: str) -> Any:
    try:
        return text_format.Parse(text, _CLASSES[f"{_PACKAGE}.{message}"]())
    except text_format.ParseError as error:
        raise ParameterError(f"{file} is no {message} in text: {error}.") from error
