"""Exports which version every TensorFlow Serving serves, since it exports none itself."""

import dataclasses
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.books import Books
from tfx_shrink.bucket_pusher.destination import Destination, parse_destination
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.errors import ParameterError, ShrinkError
from tfx_shrink.parameters import require_above_0, require_model_names, require_port
from tfx_shrink.serving.status import model_status, parse_address, servers_of

_ANSWER_SECONDS = 5.0
_PARALLEL = 16
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Told:
    """What one server says of one model.

    Attributes:
      server: Which server, `<ip>:<port>`.
      answers: Whether it answers at all; one that does not know the model does.
      states: {version: START, LOADING, AVAILABLE, UNLOADING or END}.
    """

    server: str
    answers: bool
    states: Mapping[int, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class InBucket:
    """What a bucket holds of one model.

    Attributes:
      published: The newest version that a server can load, or None.
      wanted: What servers shall load: what models.config names, else the newest version.
    """

    published: int | None
    wanted: frozenset[int]


def export_status(
    address: str,
    model_names: Sequence[str],
    *,
    bucket: str | None = None,
    port: int = 8503,
    poll_seconds: float = 15.0,
    stop: threading.Event | None = None,
) -> None:
    """Serves Prometheus metrics of served and published versions until it is stopped.

    | metric | labels | value |
    |---|---|---|
    | `tfserving_status_up` | server, model_name | 1 if the server answers |
    | `tfserving_model_version_state` | server, model_name, version, state | 1 |
    | `tfserving_published_version` | model_name | the newest version in the bucket |
    | `tfserving_wanted_version` | model_name, version | 1 if servers shall load it |
    | `tfserving_bucket_up` | | 1 if the bucket could be read |

    While the bucket cannot be read, what was last known of it stays. Servers that go lose their
    series at once. It changes nothing, and asks every `poll_seconds`, however often it is scraped.

    Example:
      ```python
      export_status("tfserving-pods:8500", ["digits"], bucket="s3://models/prod")
      ```

    Args:
      address: `host:8500`, TensorFlow Serving's gRPC. Every server that the name resolves to is
        asked, so a headless Service stands for all of its pods.
      model_names: The models.
      bucket: Root of the bucket that they come from. Defaults to None: nothing is said of it.
      port: Where to serve `/metrics`, on every interface; 0 for one that is free. Defaults to 8503.
      poll_seconds: How long to wait between questions. Defaults to 15.
      stop: Ends the work when it is set. Defaults to None: it never ends.

    Raises:
      ParameterError: An argument is out of its range, or the port is taken.
    """
    status = Status(address, model_names, bucket)
    require_above_0({"poll_seconds": poll_seconds})
    require_port(port)
    stop = stop or threading.Event()
    registry = CollectorRegistry()
    registry.register(status)
    status.look_at_servers()
    status.look_at_bucket()
    try:
        server, thread = start_http_server(port, registry=registry)
    except OSError as error:
        raise ParameterError(
            f"Nothing can be served on `port` {port}: {error}. Give another one."
        ) from error
    _LOG.info("Serving /metrics on port %d", server.server_port)

    def follow_bucket() -> None:
        while not stop.wait(poll_seconds):
            status.look_at_bucket()

    # Alone, since a bucket that cannot be reached is asked for minutes.
    threading.Thread(target=follow_bucket, daemon=True).start()
    try:
        while not stop.wait(poll_seconds):
            status.look_at_servers()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Status:
    """What was last known of servers and bucket; a collector of prometheus_client.

    Args:
      address: `host:port` of gRPC.
      model_names: The models.
      bucket: Root of the bucket, or None.
    """

    def __init__(self, address: str, model_names: Sequence[str], bucket: str | None = None):
        self._address = parse_address(address)
        if self._address.rest:
            raise ParameterError(
                "`address` must be that of gRPC, host:port or grpc://host:port: REST would count "
                f"every question as a request. Received: address={address!r}."
            )
        require_model_names(model_names)
        self._names = list(model_names)
        self._places = [parse_destination(bucket, name) for name in model_names] if bucket else []
        self._told: dict[str, list[Told]] = {}
        self._bucket: dict[str, InBucket] = {}
        self._bucket_up = False

    def look_at_servers(self) -> None:
        """Asks every server for every model."""
        try:
            servers = servers_of(self._address)
        except OSError as error:
            _LOG.warning("%s: %s", self._address.host, error)
            servers = []
        questions = [(server, name) for name in self._names for server in servers]
        told: dict[str, list[Told]] = {name: [] for name in self._names}
        with ThreadPoolExecutor(_PARALLEL) as pool:
            answers = pool.map(lambda question: ask_server(*question), questions)
            for (_, name), answer in zip(questions, answers, strict=True):
                told[name].append(answer)
        nobody = [Told(f"{self._address.host}:{self._address.port}", answers=False)]
        self._told = {name: answers or nobody for name, answers in told.items()}

    def look_at_bucket(self) -> None:
        """Reads the bucket; where that fails, what was known of it stays."""
        if not self._places:
            return
        try:
            self._bucket = {place.model_name: read_bucket(place) for place in self._places}
            self._bucket_up = True
        except ShrinkError as error:
            self._bucket_up = False
            _LOG.warning("%s", error)

    def collect(self) -> Iterable[Metric]:
        """Yields what prometheus_client exposes."""
        up = GaugeMetricFamily(
            "tfserving_status_up", "1 if the server answers.", labels=["server", "model_name"]
        )
        state = GaugeMetricFamily(
            "tfserving_model_version_state",
            "1 for the state that a server says a version is in.",
            labels=["server", "model_name", "version", "state"],
        )
        for name, told in self._told.items():
            for one in told:
                up.add_metric([one.server, name], int(one.answers))
                for version, word in one.states.items():
                    state.add_metric([one.server, name, str(version), word], 1)
        yield from (up, state)
        if not self._places:
            return
        published = GaugeMetricFamily(
            "tfserving_published_version",
            "The newest version in the bucket that a server can load.",
            labels=["model_name"],
        )
        wanted = GaugeMetricFamily(
            "tfserving_wanted_version",
            "1 for a version that servers shall load: models.config names it, or it is the newest.",
            labels=["model_name", "version"],
        )
        for name, found in self._bucket.items():
            if found.published is not None:
                published.add_metric([name], found.published)
            for version in sorted(found.wanted):
                wanted.add_metric([name, str(version)], 1)
        read = GaugeMetricFamily("tfserving_bucket_up", "1 if the bucket could be read.")
        read.add_metric([], int(self._bucket_up))
        yield from (published, wanted, read)


def ask_server(server: str, model_name: str, timeout: float = _ANSWER_SECONDS) -> Told:
    """Asks one server for the states of all versions of a model, by GetModelStatus.

    Args:
      server: `<ip>:<port>` of gRPC.
      model_name: The model.
      timeout: How many seconds its answer may take. Defaults to 5.

    Returns:
      What it says.
    """
    import grpc

    try:
        found = model_status(server, model_name, timeout)
    except grpc.RpcError as error:
        return Told(server, answers=error.code() == grpc.StatusCode.NOT_FOUND)
    return Told(server, True, {version: told.state for version, told in found.items()})


def read_bucket(destination: Destination) -> InBucket:
    """Reads which versions of a model a bucket holds, and which of them servers shall load.

    Args:
      destination: From `parse_destination`.

    Returns:
      What it holds.

    Raises:
      PublishError: The bucket cannot be read.
    """
    store = open_store(destination)
    complete = Books(store, destination.model_name).look().complete
    _, named = models_config.read_pins(store, destination.model_name)
    return InBucket(complete[-1] if complete else None, frozenset(named or complete[-1:]))
