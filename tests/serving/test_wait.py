"""Waiting until a version is served."""

import json
import socket
import threading
import time

import pytest
from click.testing import CliRunner
from support.serving_model import Flags, ModelServer

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.cli import main
from tfx_shrink.errors import NotServedError, ParameterError
from tfx_shrink.serving import status
from tfx_shrink.serving.wait import wait_until_served

FAST = {"file_system_poll_wait_seconds": 0.05, "manage_state_interval_micros": 10_000}


@pytest.fixture
def server(numbers, tmp_path):
    """A server of version 1."""
    publish(numbers[1], parse_destination(str(tmp_path), "digits"))
    flags = Flags(
        model_name="digits",
        model_base_path=str(tmp_path / "digits"),
        load_retry_interval_micros=1000,
        **FAST,
    )
    with ModelServer(flags) as server:
        yield server


@pytest.fixture(params=["grpc", "rest"])
def address(request, server):
    if request.param == "grpc":
        return f"grpc://127.0.0.1:{server.grpc_port}"
    return f"http://127.0.0.1:{server.rest_port}"


def test_it_returns_when_the_version_is_available_and_not_before(
    address, server, numbers, tmp_path
):
    assert wait_until_served(address, "digits", 1, timeout_seconds=10)[0].state == "AVAILABLE"
    destination = parse_destination(str(tmp_path), "digits")
    threading.Timer(0.3, publish, [numbers[2], destination]).start()
    wait_until_served(address, "digits", 2, timeout_seconds=60, poll_seconds=0.02)
    assert server.core.manager.states("digits")[2] == ("AVAILABLE", None)


def test_a_version_that_the_server_cannot_load_is_an_error_at_once(address, tmp_path):
    broken = tmp_path / "digits" / "2"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"no model")
    started = time.monotonic()
    with pytest.raises(NotServedError, match=r"says END \(.*does not try it again"):
        wait_until_served(address, "digits", 2, poll_seconds=0.05)
    assert time.monotonic() - started < 300


@pytest.mark.parametrize(("name", "version"), [("digits", 9), ("other", 1)])
def test_what_never_comes_is_given_up_with_the_last_word(address, name, version):
    with pytest.raises(NotServedError, match=rf"Version {version} of {name} .* says UNKNOWN"):
        wait_until_served(address, name, version, timeout_seconds=0.2, poll_seconds=0.05)


@pytest.mark.parametrize("scheme", ["grpc://", "http://"])
def test_a_server_that_does_not_answer_is_waited_for_and_named(scheme):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(NotServedError, match=rf"127\.0\.0\.1:{port} says SILENT"):
        wait_until_served(
            f"{scheme}127.0.0.1:{port}", "m", 1, timeout_seconds=0.3, poll_seconds=0.05
        )
    with pytest.raises(NotServedError, match="no-such-host"):
        wait_until_served(
            f"{scheme}no-such-host.invalid:1", "m", 1, timeout_seconds=0.2, poll_seconds=0.05
        )


def test_every_server_behind_a_name_is_asked(server, monkeypatch):
    """As the pods of a headless Service: one of them is not there yet."""
    with socket.create_server(("127.0.0.2", server.grpc_port)) as slow:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, server.grpc_port))
            for host in ("127.0.0.1", "127.0.0.2")
        ]
        monkeypatch.setattr(status.socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(NotServedError, match=r"127\.0\.0\.1\S* says AVAIL.*127\.0\.0\.2"):
            wait_until_served(
                f"pods:{server.grpc_port}", "digits", 1, timeout_seconds=0.5, poll_seconds=0.05
            )
        slow.close()


@pytest.mark.parametrize("address", ["", "host", "host:0", "host:x", "https://h:1", "a@b:1"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ParameterError, match="`address` must be"):
        wait_until_served(address, "digits", 1)


@pytest.mark.parametrize("wrong", [{"version": -1}, {"timeout_seconds": 0}, {"poll_seconds": -1}])
def test_a_number_out_of_its_range_is_refused(wrong):
    with pytest.raises(ParameterError, match="Received"):
        wait_until_served(**{"address": "h:1", "model_name": "m", "version": 1, **wrong})


def test_the_command_prints_and_exits(address):
    arguments = ["wait-until-served", address, "--model-name", "digits"]
    done = CliRunner().invoke(main, [*arguments, "--version", "1"])
    assert done.exit_code == 0, done.output
    assert "version 1 of digits is AVAILABLE" in done.stdout
    done = CliRunner().invoke(main, [*arguments, "--version", "1", "--json"])
    assert json.loads(done.stdout)[0]["state"] == "AVAILABLE"
    done = CliRunner().invoke(main, [*arguments, "--version", "5", "--timeout-seconds", "0.2"])
    assert done.exit_code == 1
    assert "says UNKNOWN" in done.stderr
