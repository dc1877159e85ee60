"""A seeded uniform sample of rows, drawn by a Beam transform."""

import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.files import list_files, read_rows

# How the stock Transform names its files (tfx/components/transform/executor.py).
_TRANSFORMED_PREFIX = "transformed_examples"


@dataclasses.dataclass(frozen=True)
class Sample:
    """Rows drawn from Examples.

    Attributes:
      rows: Serialized tf.Examples.
      from_transform: Whether the files' names say that Transform wrote them.
    """

    rows: list[bytes]
    from_transform: bool


def sample_rows(
    patterns: Sequence[str],
    num_rows: int,
    seed: int,
    *,
    make_pipeline: Callable[[], beam.Pipeline] = beam.Pipeline,
    temp_dir: str | None = None,
) -> Sample:
    """Draws rows uniformly, without replacement, from TFRecord files.

    The same files, number and seed give the same rows in the same order, whatever runner and
    however many workers: a row is chosen by a hash of its place, not by the order it arrives in.

    Example:
      ```python
      sample = sample_rows(["examples/Split-train/*"], num_rows=1000, seed=0)
      ```

    Args:
      patterns: Glob patterns of TFRecord files, gzipped or not.
      num_rows: How many rows to draw; all of them are returned if there are fewer.
      seed: Chooses another sample.
      make_pipeline: Makes the Beam pipeline to draw with. Defaults to Beam's direct runner.
      temp_dir: A directory that the workers can write to. Defaults to a local temporary one.

    Returns:
      The rows, in an order that depends on the seed only.

    Raises:
      ExamplesError: No file matches, they are not TFRecord files, or they hold no row.
    """
    files = list_files(patterns)
    next(read_rows(files[0]), None)  # What is no TFRecord file is said before any worker starts.
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as local_dir:
        output = os.path.join(temp_dir or local_dir, "sampled_rows")
        with make_pipeline() as pipeline:
            (
                pipeline
                | SampleRows(files, num_rows, seed)
                | beam.io.WriteToTFRecord(output, shard_name_template="")
            )
        rows = list(read_rows(output))
    if not rows:
        raise ExamplesError(f"The Examples are empty: there is no row in {list(patterns)}.")
    return Sample(rows, is_from_transform(files))


def is_from_transform(files: Sequence[str]) -> bool:
    """Whether the files' names say that Transform wrote them."""
    return all(os.path.basename(path).startswith(_TRANSFORMED_PREFIX) for path in files)


class SampleRows(beam.PTransform):
    """Pipeline -> PCollection of at most `num_rows` serialized tf.Examples, in hashed order.

    Args:
      files: Paths of TFRecord files, gzipped or not.
      num_rows: How many rows to draw.
      seed: Chooses another sample.
    """

    def __init__(self, files: Sequence[str], num_rows: int, seed: int):
        super().__init__()
        self._files, self._num_rows, self._seed = files, num_rows, seed

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Chooses the rows whose places hash lowest."""
        return (
            pipeline
            | "Files" >> beam.Create(list(enumerate(self._files)))
            | "OneFileAWorker" >> beam.Reshuffle()
            | "Read" >> beam.FlatMap(_hashed_rows, self._seed)
            | "Lowest" >> beam.combiners.Top.Smallest(self._num_rows)
            | "Rows" >> beam.FlatMap(lambda chosen: [row for _, row in chosen])
        )


def _hashed_rows(file: tuple[int, str], seed: int) -> Iterator[tuple[bytes, bytes]]:
    number, path = file
    for index, row in enumerate(read_rows(path)):
        place = f"{seed}/{number}/{index}".encode()
        yield hashlib.blake2b(place, digest_size=16).digest(), row
