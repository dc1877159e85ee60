"""Files of tf.Examples."""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from tfx_shrink.errors import ExamplesError, ParameterError

_GZIP_MAGIC = b"\x1f\x8b"


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


def read_rows(path: str) -> Iterator[bytes]:
    """Yields the serialized tf.Examples of one TFRecord file, gzipped or not.

    Raises:
      ExamplesError: It is another kind of file, or damaged.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        compression = "GZIP" if file.read(2) == _GZIP_MAGIC else ""
    try:
        yield from tf.data.TFRecordDataset(path, compression_type=compression).as_numpy_iterator()
    except tf.errors.DataLossError as error:
        raise ExamplesError(f"{path} is no TFRecord file, or is damaged.") from error
