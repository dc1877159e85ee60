"""`tfx-shrink pull` as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from click.testing import CliRunner
from support import bucket, pulling, stores
from support.waiting import free_port

from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.cli import main
from tfx_shrink.lineage import file_digests

COMMAND = [sys.executable, "-m", "tfx_shrink.cli", "pull"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 2)


def ready(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
        return json.load(answer)


def wait_until(process, true):
    deadline = time.monotonic() + 60
    while not true():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_once_exits_when_everything_is_there_and_prints_it(models, tmp_path):
    destination, _ = stores.new_directory(tmp_path / "bucket")
    publish(models[0], destination)
    served = tmp_path / "served"
    arguments = ["pull", destination.url, str(served), "--model-name", "digits", "--once"]
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.stdout) == (0, "digits: 1\n")
    assert pulling.served(served) == {1: file_digests(models[0])}


def test_once_fails_with_the_reason_where_something_is_missing(tmp_path):
    arguments = ["pull", str(tmp_path / "bucket"), str(tmp_path / "served"), "--once"]
    done = CliRunner().invoke(main, [*arguments, "--model-name", "digits"])
    assert done.exit_code == 1
    assert "holds no version that tfx-shrink published. Push one." in done.stderr


def test_it_serves_every_push_and_ends_on_sigterm(models, tmp_path):
    destination, _ = stores.new_directory(tmp_path / "bucket")
    served, port = tmp_path / "served", free_port()
    publish(models[0], destination)
    process = subprocess.Popen(
        [
            *(*COMMAND, destination.url, str(served), "--model-name", "digits"),
            *("--poll-seconds", "0.05", "--port", str(port)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(process, (served / "digits" / "1").exists)
    publish(models[1], destination)
    wait_until(process, (served / "digits" / "2").exists)
    wait_until(process, lambda: ready(port)["digits"]["served"] == 2)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, "digits: 2\n"), stderr
    pulling.assert_tidy(served)


def test_it_ends_on_sigterm_though_a_request_has_no_answer(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = subprocess.Popen(
            [*COMMAND, "s3://models", str(tmp_path), "--model-name", "digits", "--port", "0"],
            env={
                **os.environ,
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "AWS_ACCESS_KEY_ID": "id",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_REGION": "us-east-1",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
        connection.close()
    assert process.returncode == 0, stderr


def test_a_side_car_does_not_import_tensorflow():
    code = (
        "import sys, tfx_shrink.cli, tfx_shrink.puller.pull, tfx_shrink.bucket_pusher.object_store;"
        "print(sorted({'tensorflow', 'tfx', 'apache_beam', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
