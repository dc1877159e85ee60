"""What is exported of servers that speak TensorFlow Serving's ModelService, and of a bucket."""

import contextlib
import socket
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, generate_latest
from support import bucket
from support.waiting import free_port
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import rollback
from tfx_shrink.cli import main
from tfx_shrink.errors import ParameterError
from tfx_shrink.serving.export_status import Status, export_status

STATES = get_model_status_pb2.ModelVersionStatus.State


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Answers GetModelStatus as get_model_status_impl.cc does, from {model: {version: state}}."""

    def __init__(self, models):
        self.models = models

    def GetModelStatus(self, request, context):  # noqa: N802
        found = self.models.get(request.model_spec.name)
        if not found:
            context.abort(grpc.StatusCode.NOT_FOUND, "Could not find any versions of model")
        answer = get_model_status_pb2.GetModelStatusResponse()
        for version, state in found.items():
            answer.model_version_status.add(version=version, state=STATES.Value(state))
        return answer


@pytest.fixture
def served():
    """(its models, its address) of a server."""
    service = ModelService({"digits": {7: "AVAILABLE", 6: "END"}})
    server = grpc.server(ThreadPoolExecutor(2))
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield service.models, f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 3)


def page(status):
    """What Prometheus reads after one look: {series: value}."""
    status.look_at_servers()
    status.look_at_bucket()
    registry = CollectorRegistry()
    registry.register(status)
    return parse(generate_latest(registry).decode())


def parse(text):
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def state(server, version, word, model="digits"):
    return (
        f'tfserving_model_version_state{{model_name="{model}",server="{server}",'
        f'state="{word}",version="{version}"}}'
    )


def up(server, model="digits"):
    return f'tfserving_status_up{{model_name="{model}",server="{server}"}}'


def test_every_version_s_state_is_exported(served):
    _, address = served
    assert page(Status(address, ["digits"])) == {
        up(address): 1,
        state(address, 7, "AVAILABLE"): 1,
        state(address, 6, "END"): 1,
    }


def test_a_state_that_has_changed_leaves_no_series_behind(served):
    models, address = served
    status = Status(address, ["digits"])
    page(status)
    models["digits"] = {7: "UNLOADING", 8: "AVAILABLE"}
    assert page(status) == {
        up(address): 1,
        state(address, 7, "UNLOADING"): 1,
        state(address, 8, "AVAILABLE"): 1,
    }


def test_a_model_that_a_server_does_not_know_has_no_version(served):
    _, address = served
    found = page(Status(address, ["digits", "taxi"]))
    assert found[up(address, "taxi")] == 1
    assert not any("taxi" in name and "state" in name for name in found)


def test_a_server_that_does_not_answer_is_down():
    assert page(Status("127.0.0.1:9", ["digits"])) == {up("127.0.0.1:9"): 0}


def test_a_name_that_does_not_resolve_is_down():
    assert page(Status("nobody.invalid:8500", ["digits"])) == {up("nobody.invalid:8500"): 0}


def test_every_server_behind_a_name_is_asked(served, monkeypatch):
    _, address = served
    port = int(address.rpartition(":")[2])
    found = [(socket.AF_INET, 0, 0, "", (host, port)) for host in ("127.0.0.1", "127.0.0.2")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    asked = page(Status(f"tfserving-pods:{port}", ["digits"]))
    assert asked[up(address)] == 1
    assert up(f"127.0.0.2:{port}") in asked


def test_in_mode_latest_the_newest_version_is_wanted(served, models, tmp_path):
    for model in models[:2]:
        publish(model, parse_destination(str(tmp_path), "digits"))
    found = page(Status(served[1], ["digits"], f"file://{tmp_path}"))
    assert found['tfserving_published_version{model_name="digits"}'] == 2
    wanted = [name for name in found if name.startswith("tfserving_wanted_version")]
    assert wanted == ['tfserving_wanted_version{model_name="digits",version="2"}']
    assert found["tfserving_bucket_up"] == 1


def test_in_mode_pinned_what_models_config_names_is_wanted(served, models, tmp_path):
    destination = parse_destination(str(tmp_path), "digits")
    publish(models[0], destination, mode="pinned")
    publish(models[1], destination, mode="pinned", label="canary")
    publish(models[2], destination, mode="pinned")
    rollback(destination)
    found = page(Status(served[1], ["digits"], str(tmp_path)))
    assert found['tfserving_published_version{model_name="digits"}'] == 3
    wanted = {name for name in found if name.startswith("tfserving_wanted_version")}
    assert wanted == {
        f'tfserving_wanted_version{{model_name="digits",version="{version}"}}' for version in (1, 2)
    }


def test_a_bucket_that_cannot_be_read_leaves_what_was_known(served, models, tmp_path):
    publish(models[0], parse_destination(str(tmp_path), "digits"), mode="pinned")
    status = Status(served[1], ["digits"], str(tmp_path))
    before = page(status)
    (tmp_path / "models.config").write_text("no config {")
    after = page(status)
    assert after.pop("tfserving_bucket_up") == 0
    assert before.pop("tfserving_bucket_up") == 1
    assert after == before


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (["8500", ["m"]], {}, "`address` must be host:port"),
        (["http://host:8501", ["m"]], {}, "`address` must be that of gRPC"),
        (["host:0", ["m"]], {}, "`address` must be host:port"),
        (["host:8500", []], {}, "`model_names` must name one model"),
        (["host:8500", ["m", "m"]], {}, "each of them once"),
        (["host:8500", ["m"]], {"bucket": "ftp://x"}, "`push_destination` must be"),
        (["host:8500", ["m"]], {"poll_seconds": 0}, "`poll_seconds` must be above 0"),
        (["host:8500", ["m"]], {"port": 70000}, "`port` must be from 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, options, said):
    with pytest.raises(ParameterError, match=said):
        export_status(*arguments, **options)


def test_a_port_that_is_taken_is_named(served):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ParameterError, match=f"`port` {port}"):
            export_status(served[1], ["digits"], port=port)


def test_it_follows_the_servers_until_it_is_stopped(served):
    models, address = served
    port = free_port()
    stop = threading.Event()
    options = {"port": port, "poll_seconds": 0.05, "stop": stop}
    thread = threading.Thread(target=export_status, args=[address, ["digits"]], kwargs=options)
    thread.start()
    try:
        wait_for_series(port, state(address, 7, "AVAILABLE"))
        models["digits"] = {8: "AVAILABLE"}
        wait_for_series(port, state(address, 8, "AVAILABLE"))
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def wait_for_series(port, name):
    deadline = time.monotonic() + 60
    found = {}
    while name not in found:
        assert time.monotonic() < deadline, found
        address = f"http://127.0.0.1:{port}/metrics"
        with contextlib.suppress(OSError), urllib.request.urlopen(address) as answer:
            found = parse(answer.read().decode())
        time.sleep(0.05)


def test_the_command_refuses_with_one_line():
    done = CliRunner().invoke(main, ["export-status", "nowhere", "--model-name", "digits"])
    assert done.exit_code == 1
    assert "Error: `address` must be host:port" in done.output
