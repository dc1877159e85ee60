"""A model of TensorFlow Serving 2.16: not the real one, which no package index carries.

It follows the sources of github.com/tensorflow/serving rule by rule, and loads models with the
same C++ code, from TensorFlow's own package. Each file says which source it mirrors; where this
model and the real server differ, the real one is right.

| file | mirrors, below tensorflow_serving/ |
|---|---|
| source.py | sources/storage_path/file_system_storage_path_source.cc |
| servables.py | servables/tensorflow/: saved_model_bundle_factory.cc, tflite_session.cc, |
| | saved_model_warmup.cc, predict_impl.cc |
| manager.py | core/: aspired_versions_manager.cc, availability_preserving_policy.cc, |
| | loader_harness.cc, basic_manager.cc, servable_state_monitor.cc |
| core.py | model_servers/: server_core.cc, server.cc, main.cc |
| command_line.py | model_servers/: main.cc |
| rest.py | model_servers/: http_rest_api_handler.cc, http_server.cc; util/json_tensor.cc |
| services.py | model_servers/: prediction_service_impl.cc, model_service_impl.cc, |
| | get_model_status_impl.cc; servables/tensorflow/get_model_metadata_impl.cc |
| metrics.py | util/prometheus_exporter.cc |

Left out: batching, Classify, Regress and MultiInference, request logging, resource limits, SSL.

Example:
  ```python
  with ModelServer(Flags(model_name="digits", model_base_path="/models/digits")) as server:
      urlopen(f"http://127.0.0.1:{server.rest_port}/v1/models/digits")
  ```
"""

from support.serving_model.core import Flags
from support.serving_model.server import ModelServer
from support.serving_model.status import ServingError

__all__ = ["Flags", "ModelServer", "ServingError"]
