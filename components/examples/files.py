"""Files of tf.Examples."""

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from tfx_shrink.errors import ExamplesError, ParameterError

_GZIP_MAGIC = b"\x1f\x8b"
_FILES_AT_ONCE = 8
_ROWS_AT_ONCE = 1024


def list_files(patterns: Sequence[str]) -> list[str]:
    """Returns the files that match any of the glob patterns, sorted.

    Raises:
      ExamplesError: None does.
      ParameterError: `patterns` is one string instead of a sequence of them.
    """
    if isinstance(patterns, str):
        raise ParameterError(
            "`examples` must be a sequence of glob patterns, such as ['Split-train/*']. "
            f"Received: examples={patterns!r}."
        )
    files = sorted({path for pattern in patterns for path in tf.io.gfile.glob(pattern)})
    if not files:
        raise ExamplesError(
            f"No file matches {list(patterns)}. Give glob patterns of TFRecord files, such as "
            "'examples/Split-train/*', in quotes on a command line."
        )
    directories = [path for path in files if tf.io.gfile.isdir(path)]
    if directories:
        raise ExamplesError(f"{directories} are directories. Give their files, as '<directory>/*'.")
    return files


def read_dataset(files: Sequence[str], seed: int | tf.Tensor) -> tf.data.Dataset:
    """Returns the serialized tf.Examples of TFRecord files, files mixed with each other.

    Args:
      files: Paths, each file gzipped or not.
      seed: Chooses another order of files; a tensor inside another dataset.
    """
    compressions = [_compression(path) for path in files]
    pairs = tf.data.Dataset.from_tensor_slices((list(files), compressions))
    return pairs.shuffle(len(files), seed=seed).interleave(
        lambda path, compression: tf.data.TFRecordDataset(path, compression_type=compression),
        cycle_length=min(len(files), _FILES_AT_ONCE),
    )


def count_rows(files: Sequence[str]) -> int:
    """Returns how many rows TFRecord files hold, by reading them once."""
    kinds = {kind: [path for path in files if _compression(path) == kind] for kind in ("", "GZIP")}
    # One dataset for all files of a kind: each costs more to make than a shard to count.
    batches = [
        tf.data.TFRecordDataset(paths, compression_type=kind).batch(_ROWS_AT_ONCE).map(tf.size)
        for kind, paths in kinds.items()
        if paths
    ]
    try:
        return sum(int(count) for counts in batches for count in counts.as_numpy_iterator())
    except tf.errors.DataLossError:
        # Which file it is, reading them one by one tells.
        return sum(1 for path in files for _ in read_rows(path))


def read_rows(path: str) -> Iterator[bytes]:
    """Yields the serialized tf.Examples of one TFRecord file, gzipped or not.

    Raises:
      ExamplesError: It is another kind of file, or damaged.
    """
    yield from _iterate(path, _records(path))


def read_batches(path: str, size: int) -> Iterator[list[bytes]]:
    """Yields the same in lists of `size` rows; the last one may be shorter."""
    for batch in _iterate(path, _records(path).batch(size)):
        yield batch.tolist()


def _records(path: str) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(path, compression_type=_compression(path))


def _iterate(path: str, dataset: tf.data.Dataset) -> Iterator[Any]:
    try:
        yield from dataset.as_numpy_iterator()
    except tf.errors.DataLossError as error:
        raise ExamplesError(f"{path} is no TFRecord file, or is damaged. Give others.") from error


def _compression(path: str) -> str:
    """What tf.data calls a file's compression."""
    with tf.io.gfile.GFile(path, "rb") as file:
        return "GZIP" if file.read(2) == _GZIP_MAGIC else ""
