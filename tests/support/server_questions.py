"""Questions to the model of TensorFlow Serving, and versions for it to find."""

import os
import shutil
import urllib.error
import urllib.request

import grpc

from . import answering
from .serving_model import Flags
from .waiting import wait_for

FAST = {
    "file_system_poll_wait_seconds": 0.02,
    "model_config_file_poll_wait_seconds": 0.02,
    "manage_state_interval_micros": 5000,
    "load_retry_interval_micros": 20_000,
}


def flags(base, **options):
    return Flags(model_name="digits", model_base_path=str(base), **{**FAST, **options})


def add(numbers, base, number, content=None):
    """Puts a version there by a rename."""
    shutil.copytree(numbers[content or number], base / f".{number}")
    os.rename(base / f".{number}", base / str(number))


def states(server, name="digits"):
    return {version: state for version, (state, _) in server.core.manager.states(name).items()}


def wait_until(condition):
    """Waits for what the model of TensorFlow Serving does within milliseconds."""
    wait_for(condition, "what the servers were told to do", seconds=60, every=0.01)


def get(server, path):
    """(status, body) of a GET."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.rest_port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def answered(server, path):
    try:
        return answering.ask_rest(server, path)
    except urllib.error.HTTPError as error:
        return error.code


def channel(server):
    return grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
