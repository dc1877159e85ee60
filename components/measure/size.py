"""How many bytes a model takes on disk, and on the wire."""

import dataclasses
import os
import tempfile
import zlib

import tensorflow as tf

from tfx_shrink import lineage
from tfx_shrink.errors import ModelError
from tfx_shrink.model_files import EVALUATED_TFLITE, TFLITE_FILES
from tfx_shrink.saved_model.strip import strip

_CHUNK = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS  # zlib then writes gzip's header, with no name and with time 0.


@dataclasses.dataclass(frozen=True)
class ModelSize:
    """A model's size.

    Attributes:
      raw: Bytes of its files.
      gzip: Bytes of one gzip stream, at gzip's own level 6, over the contents of its files in the
        order of their names. The same content gives the same number, on any day and anywhere.
    """

    raw: int
    gzip: int


def model_size(path: str) -> ModelSize:
    """Measures a model.

    What lies in `assets.extra/`, such as the compression record, does not count, and a TFLite file
    that lies in a directory under two names counts once, as in `lineage.model_state`.

    Example:
      ```python
      print(model_size("model_int8").raw / model_size("model").raw)
      ```

    Args:
      path: A model's directory, or one file, local or on any tf.io.gfile file system.

    Returns:
      Its size in bytes.

    Raises:
      ModelError: There is nothing at `path`.
    """
    if not tf.io.gfile.exists(path):
        raise ModelError(f"{path} does not exist, so it has no size.")
    paths = [os.path.join(path, name) for name in _files(path)] or [path]
    packer = zlib.compressobj(level=6, wbits=_GZIP)
    raw = packed = 0
    for name in paths:
        with tf.io.gfile.GFile(name, "rb") as file:
            while chunk := file.read(_CHUNK):
                raw += len(chunk)
                packed += len(packer.compress(chunk))
    return ModelSize(raw, packed + len(packer.flush()))


def stripped_size(model_dir: str) -> ModelSize:
    """Measures what the signatures of a SavedModel use: the honest float baseline.

    Args:
      model_dir: The SavedModel's directory; nothing is written there.

    Returns:
      The size in bytes that `saved_model.strip` would leave.

    Raises:
      ModelError: There is no SavedModel in `model_dir`.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        strip(model_dir, work)
        return model_size(work)


def _files(path: str) -> list[str]:
    """Names below a directory that count, sorted; none for a file."""
    if not tf.io.gfile.isdir(path):
        return []
    names = set(lineage.file_digests(path, skip_extra=True))
    if {*TFLITE_FILES} <= names:
        names.remove(EVALUATED_TFLITE)
    return sorted(names)
