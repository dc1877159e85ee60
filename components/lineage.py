"""The compression record: what was done to a model, kept inside its directory.

`assets.extra/compression.json` travels with the model to the bucket and is ignored by TensorFlow
Serving, so a model tells its own story where ML Metadata is absent.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from tfx_shrink.errors import ModelError
from tfx_shrink.model_files import EVALUATED_TFLITE, EXTRA, RECORD, TFLITE_FILES

_PACKAGES = ("tfx-shrink", "tensorflow", "tf-keras", "tfx")
_CHUNK = 1 << 20
# Schemes of the Quantizer that leave every weight a float variable.
_KEEPS_WEIGHTS = ("strip",)


@dataclasses.dataclass(frozen=True)
class ModelState:
    """One model directory at one moment.

    Attributes:
      digest: sha256 over the sorted (path, size, sha256) of its files, without `assets.extra/`.
      bytes: Sum of those files' sizes; a TFLite file that lies there under two names counts once.
    """

    digest: str
    bytes: int


def model_state(model_dir: str) -> ModelState:
    """Digests and measures a model directory, leaving out `assets.extra/`.

    The digest names the content: two directories with equal files have equal digests, wherever
    they lie and whatever records they carry.

    Args:
      model_dir: A SavedModel or TFLite model directory, local or on any tf.io.gfile file system.

    Returns:
      The directory's digest and its size in bytes.
    """
    files = file_digests(model_dir, skip_extra=True)
    canonical = json.dumps(sorted((path, *entry) for path, entry in files.items()))
    names = set(files)
    twice = files[EVALUATED_TFLITE][0] if {*TFLITE_FILES} <= names else 0
    total = sum(size for size, _ in files.values()) - twice
    return ModelState(hashlib.sha256(canonical.encode()).hexdigest(), total)


def file_digests(model_dir: str, *, skip_extra: bool = False) -> dict[str, tuple[int, str]]:
    """Returns {relative path: (bytes, sha256)} of every file below `model_dir`."""
    result = {}
    for directory, _, names in tf.io.gfile.walk(model_dir):
        for name in names:
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, model_dir)
            if skip_extra and relative.split(os.sep)[0] == EXTRA:
                continue
            result[relative] = _digest(path)
    return result


def content_digest(path: str) -> str:
    """Returns the sha256 of a file."""
    return _digest(path)[1]


def _digest(path: str) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def require_order(model_dir: str, technique: str) -> None:
    """Checks that a technique may follow those that a model's record names.

    Weights that were quantized cannot be pruned. Pruned or distilled ones can be quantized, and
    pruned again. A teacher is only asked, so it may be quantized, and its student has weights of
    its own.

    Args:
      model_dir: The model that goes in.
      technique: What is to be done, such as `"prune"`.

    Raises:
      ModelError: It may not follow; the text says what to do.
    """
    if technique != "prune":
        return
    for step in reversed(read(model_dir)):
        if step["technique"] == "distill":
            return
        scheme = step["parameters"].get("scheme")
        if step["technique"] == "quantize" and scheme not in _KEEPS_WEIGHTS:
            raise ModelError(
                f"{model_dir} was quantized (scheme={scheme!r}); {technique} needs float weights. "
                "Give the model that it was made from, and quantize the result."
            )


def read(model_dir: str) -> list[dict[str, Any]]:
    """Returns the steps recorded in `model_dir`, oldest first; none for a Trainer's own model."""
    path = os.path.join(model_dir, RECORD)
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path, "r") as file:
        return json.load(file)["steps"]


def append(
    source_dir: str,
    result_dir: str,
    technique: str,
    parameters: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the record of `result_dir`: the steps of `source_dir`, then this one.

    Args:
      source_dir: The model that went in.
      result_dir: The model that came out, complete but for its record.
      technique: What was done, such as `"quantize"`.
      parameters: The parameters it was done with; JSON values.
      facts: What was measured; JSON values.

    Returns:
      The step that was added.
    """
    step = {
        "technique": technique,
        "parameters": dict(parameters),
        "source": dataclasses.asdict(model_state(source_dir)),
        "result": dataclasses.asdict(model_state(result_dir)),
        "versions": package_versions(_PACKAGES),
        **facts,
    }
    path = os.path.join(result_dir, RECORD)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        json.dump({"steps": [*read(source_dir), step]}, file, indent=1, sort_keys=True)
    return step


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Returns {package: version} of those that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
