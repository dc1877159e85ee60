"""What is served under which name: model_servers/server_core.cc and server.cc."""

import contextlib
import dataclasses
import threading

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from support.serving_model import source
from support.serving_model.manager import AVAILABLE, Manager
from support.serving_model.servables import load
from support.serving_model.status import ServingError


@dataclasses.dataclass(frozen=True)
class Flags:
    """main.cc: names and defaults of the binary, but ports, which are free ones, and `enable_*`.

    Seconds may be fractions here, so that tests need not wait.
    """

    model_name: str = "default"
    model_base_path: str = ""
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: float = 0
    file_system_poll_wait_seconds: float = 1
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    num_load_threads: int = 0
    enable_model_warmup: bool = True
    prefer_tflite_model: bool = False
    allow_version_labels_for_unavailable_models: bool = False
    rest_api: bool = True  # --rest_api_port
    prometheus: bool = True  # --monitoring_config_file with prometheus_config { enable: true }
    manage_state_interval_micros: int = 100_000  # no flag of the binary


class Core:
    """ServerCore."""

    def __init__(self, flags, metrics):
        self.flags, self.log = flags, []
        self._config, self._labels = None, {}
        self._config_lock, self._closing = threading.Lock(), threading.Event()
        self._entries, self._threads = [], []
        self.manager = Manager(
            lambda path: load(
                path,
                prefer_tflite_model=flags.prefer_tflite_model,
                enable_model_warmup=flags.enable_model_warmup,
                metrics=metrics,
            ),
            flags.max_num_load_retries,
            flags.load_retry_interval_micros / 1e6,
            flags.num_load_threads,
            flags.manage_state_interval_micros / 1e6,
        )

    def start(self, timeout):
        """Server::BuildAndStart, until its ports would open; raises where it would exit."""
        if self.flags.model_config_file:
            config = self._read_file()
        else:
            config = ModelServerConfig()
            config.model_config_list.config.add(
                name=self.flags.model_name,
                base_path=self.flags.model_base_path,
                model_platform="tensorflow",
            )
        self.reload(config, timeout)
        if self.flags.model_config_file and self.flags.model_config_file_poll_wait_seconds:
            self._every(self.flags.model_config_file_poll_wait_seconds, self._reload_file)

    def reload(self, config, timeout=60):
        """ReloadConfig: labels first; where one of them is refused, nothing else happens."""
        with self._config_lock:
            entries = list(config.model_config_list.config)
            self._validate(entries)
            first = self._config is None
            self._config = config
            self._update_labels(entries)
            known = {entry.name for entry in self._entries}
            for name in known - {entry.name for entry in entries}:
                self.manager.set_aspired(name, {})
            self._entries = entries
            if first:
                self._poll()
                if self.flags.file_system_poll_wait_seconds:
                    self._every(self.flags.file_system_poll_wait_seconds, self._poll)
            self.manager.wait({entry.name for entry in entries} - known, timeout)

    @contextlib.contextmanager
    def servable(self, spec):
        """GetServableHandle of a ModelSpec: (servable, version)."""
        with self.manager.servable(spec.name, self.version_of(spec)) as found:
            yield found

    def version_of(self, spec):
        """The version that a ModelSpec names, or None: the latest."""
        if not spec.name:
            raise ServingError("INVALID_ARGUMENT", "ModelSpec has no name specified.")
        kind = spec.WhichOneof("version_choice")
        if kind == "version":
            return spec.version.value
        if kind == "version_label":
            found = self._labels.get(spec.name, {}).get(spec.version_label)
            if found is None:
                message = f"Unrecognized servable version label: {spec.version_label}"
                raise ServingError("INVALID_ARGUMENT", message)
            return found
        return None

    def close(self):
        self._closing.set()
        for thread in self._threads:
            thread.join()
        self.manager.close()

    def _validate(self, entries):
        names = [entry.name for entry in entries]
        if len(set(names)) < len(names):
            raise ServingError("INVALID_ARGUMENT", "Illegal to list a model multiple times")
        for entry in entries:
            if entry.model_platform != "tensorflow":
                message = f"Model {entry.name} requests unsupported platform"
                raise ServingError("INVALID_ARGUMENT", f"{message} {entry.model_platform}")

    def _update_labels(self, entries):
        """UpdateModelVersionLabelMap."""
        labels = {}
        for entry in entries:
            states = self.manager.states(entry.name)
            before = self._labels.get(entry.name, {})
            for label, version in entry.version_labels.items():
                allowed = (
                    self.flags.allow_version_labels_for_unavailable_models
                    and before.get(label, version) == version
                )
                if not allowed and states.get(version, ("",))[0] != AVAILABLE:
                    raise ServingError(
                        "FAILED_PRECONDITION",
                        f"Request to assign label to version {version} of model {entry.name}, "
                        "which is not currently available for inference",
                    )
                labels.setdefault(entry.name, {})[label] = version
        self._labels = labels

    def _poll(self):
        try:
            found = source.poll(self._entries)
        except ServingError as error:
            self.log.append(error)
            return
        for name, versions in found.items():
            self.manager.set_aspired(name, versions)

    def _reload_file(self):
        """PollFilesystemAndReloadConfig: what fails is logged, and tried again."""
        try:
            self.reload(self._read_file())
        except ServingError as error:
            self.log.append(error)

    def _read_file(self):
        try:
            with tf.io.gfile.GFile(self.flags.model_config_file) as file:
                return text_format.Parse(file.read(), ModelServerConfig())
        except (tf.errors.OpError, text_format.ParseError) as error:
            raise ServingError("INVALID_ARGUMENT", f"Invalid protobuf file: {error}") from error

    def _every(self, seconds, work):
        def run():
            while not self._closing.wait(seconds):
                work()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._threads.append(thread)
