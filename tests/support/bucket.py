"""A bucket as TensorFlow Serving sees it, and models small enough to publish by the hundred."""

import os
import re

from tfx_shrink.lineage import file_digests

_INT64 = range(-(2**63), 2**63)


def write_model(directory, weights=b"weights"):
    """Files named as a SavedModel's; returns the directory."""
    return _write(
        directory,
        {
            "saved_model.pb": b"graph",
            "variables/variables.index": b"index",
            "variables/variables.data-00000-of-00001": weights,
            "assets/vocabulary.txt": b"red\n",
            "assets.extra/compression.json": b'{"steps": []}',
        },
    )


def write_models(directory, count, **options):
    """That many models of different content; returns their directories."""
    models = []
    for number in range(count):
        models.append(write_model(os.path.join(directory, str(number)), **options))
        with open(os.path.join(models[-1], "assets", "vocabulary.txt"), "w") as file:
            file.write(f"color {number}\n")
    return models


def write_tflite(directory, content=b"flatbuffer"):
    """Files named as Quantizer names them; returns the directory."""
    record = b'{"steps": []}'
    files = {"tflite": content, "model.tflite": content, "assets.extra/compression.json": record}
    return _write(directory, files)


def versions(root, name):
    """{number: directory} of what TensorFlow Serving would load from `<root>/<name>`.

    It takes every child whose name absl::SimpleAtoi parses.
    """
    base = os.path.join(root, name)
    children = os.listdir(base) if os.path.isdir(base) else []
    numbers = {
        int(child): os.path.join(base, child)
        for child in children
        if re.fullmatch(r"\s*[+-]?[0-9]+\s*", child, re.ASCII)
    }
    return {number: path for number, path in numbers.items() if number in _INT64}


def assert_whole(root, name, *models):
    """Checks that every visible version is one of the models, whole; returns their numbers."""
    wanted = [file_digests(model) for model in models]
    found = versions(root, name)
    for path in found.values():
        assert file_digests(path) in wanted, f"{path} holds {sorted(file_digests(path))}"
    return sorted(found)


def staged(root, name):
    """What is left in the staging area."""
    path = os.path.join(root, "_tfx", name, "staging")
    return os.listdir(path) if os.path.isdir(path) else []


def _write(directory, files):
    for path, content in files.items():
        target = os.path.join(directory, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)
    return str(directory)
