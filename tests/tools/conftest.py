"""Servers from .tools/, each started once."""

import dataclasses
import datetime
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.waiting import free_port

TOOLS = Path(__file__).resolve().parents[2] / ".tools"
# Azurite's own, published with it (github.com/Azure/Azurite, README).
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@pytest.fixture(scope="session")
def s3():
    """moto's endpoint."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with _served([TOOLS / "moto/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)], endpoint):
        yield endpoint


@pytest.fixture(scope="session")
def azure(tmp_path_factory):
    """Azurite's endpoint."""
    port = free_port()
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


@dataclasses.dataclass(frozen=True)
class Gcs:
    """The model of Google Cloud Storage, and how its two clients find it."""

    endpoint: str
    credentials: str
    reader: dict[str, str]


@pytest.fixture(scope="session")
def gcs(tmp_path_factory):
    """fake_gcs.py's endpoint, a credentials file that names it, and TensorFlow's environment."""
    directory = tmp_path_factory.mktemp("gcs")
    certificate, key = _certify(directory, ["www.googleapis.com", "storage.googleapis.com"])
    port, proxy_port = free_port(), free_port()
    endpoint = f"http://127.0.0.1:{port}"
    credentials = directory / "credentials.json"
    account = {"client_email": "", "private_key": "", "private_key_id": ""}
    credentials.write_text(json.dumps({**account, "gcs_base_url": endpoint, "disable_oauth": True}))
    reader = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        "https_proxy": f"http://127.0.0.1:{proxy_port}",
        "CURL_CA_BUNDLE": str(certificate),
        "GOOGLE_AUTH_TOKEN_FOR_TESTING": "anybody",
    }
    server = Path(__file__).with_name("fake_gcs.py")
    command = [sys.executable, server, str(port), str(proxy_port), certificate, key]
    with _served(command, endpoint):
        yield Gcs(endpoint, str(credentials), reader)


def _certify(directory, names):
    """A certificate that is its own authority; returns its path and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


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
