"""What is published of a model directory, and the name of that content."""

import base64
import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tfx_shrink.errors import ModelError, PublishError
from tfx_shrink.model_files import EXTRA, RECORD, SAVED_MODEL, SERVED_TFLITE

# What TensorFlow Serving opens first, so it is written last; the first of them that a model has.
SENTINELS = (SAVED_MODEL, SERVED_TFLITE)
FILES_AT_ONCE = 8
_EXTRA = f"{EXTRA}/"
# Where TensorFlow Serving looks for them.
WARMUP_REQUESTS = f"{EXTRA}/tf_serving_warmup_requests"
_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True)
class File:
    """One file's size in bytes and sha256."""

    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Content:
    """What is published.

    Attributes:
      files: {path: File}, paths with slashes.
      digest: sha256 over the sorted (path, bytes, sha256) without `assets.extra/`, whose timings
        and warm-up requests differ from run to run.
      directory: Where the files are on this machine.
      fingerprint: fingerprint.pb in base64, or None.
      compression: The steps of the compression record.
      stored: {path: File} as the store holds them, where that is compressed; else None.
    """

    files: Mapping[str, File]
    digest: str
    directory: str = ""
    fingerprint: str | None = None
    compression: tuple[Mapping[str, Any], ...] = ()
    stored: Mapping[str, File] | None = None

    @property
    def in_store(self) -> Mapping[str, File]:
        """{path: File} as the store holds them."""
        return self.files if self.stored is None else self.stored

    @property
    def bytes(self) -> int:
        """Sum of the sizes of its files."""
        return sum(file.bytes for file in self.files.values())

    @property
    def sentinel(self) -> str:
        """The file that makes it a model to a server."""
        return sentinel_of(self.files)

    @property
    def body(self) -> list[str]:
        """Every path but the sentinel, the largest first, so that no worker ends late."""
        return sorted(set(self.files) - {self.sentinel}, key=lambda path: -self.files[path].bytes)

    @property
    def staging_name(self) -> str:
        """Names the content with `assets.extra/`: what may be resumed is every file."""
        rows = sorted((path, file.bytes, file.sha256) for path, file in self.files.items())
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def path(self, name: str) -> str:
        """Where a file is on this machine."""
        return os.path.join(self.directory, *name.split("/"))

    def to_json(self) -> dict[str, Any]:
        """Returns what `from_json` reads."""
        return {
            "digest": self.digest,
            **self.manifest(),
            "fingerprint": self.fingerprint,
            "compression": list(self.compression),
        }

    def manifest(self) -> dict[str, Any]:
        """Returns what each file is, and what the store holds of it where that differs."""
        kinds = {"files": self.files, **({} if self.stored is None else {"stored": self.stored})}
        return {
            kind: {path: dataclasses.asdict(file) for path, file in files.items()}
            for kind, files in kinds.items()
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Content":
        """Returns the content that a record names, without a directory."""
        files = {path: File(**entry) for path, entry in record["files"].items()}
        stored = {path: File(**entry) for path, entry in record.get("stored", {}).items()}
        return cls(
            files,
            record["digest"],
            fingerprint=record.get("fingerprint"),
            compression=tuple(record.get("compression", ())),
            stored=stored or None,
        )


def sentinel_of(names: Collection[str]) -> str:
    """Returns which of a model's files makes it one to a server; empty where none does."""
    return next((name for name in SENTINELS if name in names), "")


def digest_of(files: Mapping[str, File]) -> str:
    """Returns the content's name; equal to lineage.model_state's digest of the same files."""
    rows = [
        (path, file.bytes, file.sha256)
        for path, file in files.items()
        if not path.startswith(_EXTRA)
    ]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def read_content(model_dir: str) -> Content:
    """Reads what is to be published of a local model directory.

    Of a TFLite model that is only `model.tflite`, the name that TensorFlow Serving reads, and
    `assets.extra/`.

    Raises:
      ModelError: It holds no model.
      PublishError: It cannot be read.
    """
    paths = sorted(_paths(model_dir))
    if SAVED_MODEL in paths:
        chosen = paths
    elif SERVED_TFLITE in paths:
        chosen = [path for path in paths if path == SERVED_TFLITE or path.startswith(_EXTRA)]
    else:
        raise ModelError(
            f"{model_dir} holds no model to publish: neither saved_model.pb nor model.tflite. It "
            f"holds {paths}. Give the directory that they lie in, in a pipeline …/Format-Serving."
        )
    try:
        with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
            read = list(threads.map(lambda path: hash_file(os.path.join(model_dir, path)), chosen))
        files = dict(zip(chosen, read, strict=True))
        fingerprint = None
        if "fingerprint.pb" in files:
            with open(os.path.join(model_dir, "fingerprint.pb"), "rb") as file:
                fingerprint = base64.b64encode(file.read()).decode()
        steps: list[Any] = []
        if RECORD in files:
            with open(os.path.join(model_dir, RECORD)) as file:
                steps = json.load(file)["steps"]
    except OSError as error:
        raise PublishError(f"Cannot read {model_dir}: {error}.") from error
    return Content(files, digest_of(files), model_dir, fingerprint, tuple(steps))


@contextlib.contextmanager
def on_this_machine(model_dir: str) -> Iterator[str]:
    """Gives a model directory as a local path, fetched first where it lies elsewhere.

    Raises:
      PublishError: It cannot be fetched.
    """
    if "://" not in model_dir:
        yield model_dir
        return
    import tensorflow as tf  # Local directories need no TensorFlow, which takes 500 MB.

    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as local:
        try:
            for directory, _, names in tf.io.gfile.walk(model_dir):
                target = os.path.join(local, os.path.relpath(directory, model_dir))
                os.makedirs(target, exist_ok=True)
                for name in names:
                    tf.io.gfile.copy(os.path.join(directory, name), os.path.join(target, name))
        except (OSError, tf.errors.OpError) as error:
            raise PublishError(
                f"Cannot read {model_dir}: {error}. Check that it exists and can be read from here."
            ) from error
        yield local


def hash_file(path: str) -> File:
    """Returns a local file's size and sha256."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return File(size, digest.hexdigest())


def _paths(model_dir: str) -> Iterator[str]:
    for directory, _, names in os.walk(model_dir):
        for name in names:
            yield os.path.relpath(os.path.join(directory, name), model_dir).replace(os.sep, "/")
