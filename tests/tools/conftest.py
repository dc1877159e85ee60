"""Servers from .tools/, each started once."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / ".tools"
# Azurite's own, published with it (github.com/Azure/Azurite, README).
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@pytest.fixture(scope="session")
def s3():
    """moto's endpoint."""
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with _served([TOOLS / "moto/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)], endpoint):
        yield endpoint


@pytest.fixture(scope="session")
def azure(tmp_path_factory):
    """Azurite's endpoint."""
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"
    command = [
        TOOLS / "node/bin/node",
        TOOLS / "azurite/node_modules/azurite/dist/src/blob/main.js",
        *("--blobHost", "127.0.0.1", "--blobPort", str(port)),
        *("--location", tmp_path_factory.mktemp("azurite")),
        *("--silent", "--skipApiVersionCheck", "--disableTelemetry"),
    ]
    with _served(command, endpoint):
        yield f"{endpoint}/{AZURITE_ACCOUNT}"


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _served:  # noqa: N801
    def __init__(self, command, endpoint):
        self._command, self._endpoint = [os.fspath(part) for part in command], endpoint

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(300):
            try:
                urllib.request.urlopen(self._endpoint, timeout=5).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                assert self._process.poll() is None, f"{self._command[0]} ended"
                time.sleep(0.2)
        raise AssertionError(f"{self._command[0]} does not answer")

    def __exit__(self, *error):
        self._process.terminate()
        self._process.wait()
