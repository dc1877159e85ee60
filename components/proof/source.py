"""What a technique is given: a loaded model, and rows to calibrate on and to prove with."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.decode import make_decoder
from tfx_shrink.examples.sample import Sample
from tfx_shrink.saved_model.functions import PREPROCESSING_SIGNATURES, ServedFunction

# One row in five proves; the others may calibrate.
PROOF_SHARE = 5


@dataclasses.dataclass(frozen=True)
class Source:
    """A model and its rows.

    Attributes:
      model_dir: The SavedModel's directory.
      loaded: It, loaded.
      sample: The rows that were drawn.
      calibrating: How many of them, from the first on, calibrate; the others prove.
      transform_graph: Transform's output directory, or None.
      schema: The rows' schema file, or None.
      may_lack: Features that rows may lack, such as a label.
    """

    model_dir: str
    loaded: Any
    sample: Sample
    calibrating: int
    transform_graph: str | None = None
    schema: str | None = None
    may_lack: Collection[str] = ()

    @property
    def rows_to_prove_with(self) -> list[bytes]:
        """The rows that prove, serialized."""
        # A single row must do both.
        return self.sample.rows[min(self.calibrating, len(self.sample.rows) - 1) :]

    @property
    def may_be_raw(self) -> bool:
        """Whether the model has a transform of its own that the rows may not have gone through."""
        transforms = any(name in self.loaded.signatures for name in PREPROCESSING_SIGNATURES)
        return transforms and self.transform_graph is None and not self.sample.from_transform

    def calibration_rows(self, function: ServedFunction) -> dict[str, np.ndarray]:
        """Returns the rows that calibrate, as `function` reads them."""
        return self.read(self.sample.rows[: self.calibrating], function)

    def proof_rows(self, function: ServedFunction) -> dict[str, np.ndarray]:
        """Returns the rows that prove, as `function` reads them."""
        return self.read(self.rows_to_prove_with, function)

    def read(self, rows: list[bytes], function: ServedFunction) -> dict[str, np.ndarray]:
        """Returns any rows as `function` reads them.

        Raises:
          ExamplesError: They lack what it reads.
        """
        return self.reader(function)(rows)

    def reader(self, function: ServedFunction) -> Callable[[list[bytes]], dict[str, np.ndarray]]:
        """Returns what reads any rows for `function`; a transform graph is loaded but once.

        Raises:
          ExamplesError: The rows lack what it reads.
        """
        if reads_serialized(function):
            if self.sample.from_transform:
                raise ExamplesError(
                    f"{function.name} reads raw Examples; these were written by Transform. Give "
                    "the raw examples, and `transform_graph` for what reads transformed features."
                )
            (name,) = function.inputs
            return lambda rows: {name: np.array(rows, object)}
        decode = self.decoder(function.inputs)
        return lambda rows: {
            name: value.numpy() for name, value in decode(tf.constant(rows)).items()
        }

    def decoder(
        self, inputs: Mapping[str, tf.TypeSpec]
    ) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns what decodes batches of serialized rows into `inputs`.

        Raises:
          ExamplesError: The rows lack one of them.
        """
        return make_decoder(
            self.sample.rows,
            inputs,
            transform_graph=self.transform_graph,
            schema=self.schema,
            from_transform=self.sample.from_transform,
            may_lack=self.may_lack,
        )


def make_source(
    model_dir: str,
    loaded: Any,
    sample: Sample,
    num_calibration_examples: int,
    *,
    transform_graph: str | None,
    schema: str | None,
) -> Source:
    """Divides a sample into rows that calibrate and rows that prove.

    Args:
      model_dir: The SavedModel's directory.
      loaded: It, loaded.
      sample: The rows, at best a quarter more than calibrate.
      num_calibration_examples: How many should calibrate.
      transform_graph: Transform's output directory, or None.
      schema: The rows' schema file, or None.
    """
    # A single row must do both.
    available = max(1, len(sample.rows) * (PROOF_SHARE - 1) // PROOF_SHARE)
    return Source(
        model_dir,
        loaded,
        sample,
        min(num_calibration_examples, available),
        transform_graph,
        schema,
    )


def rows_to_draw(num_calibration_examples: int) -> int:
    """Returns how many rows to draw, so that one in `PROOF_SHARE` is left to prove with."""
    return num_calibration_examples + -(-num_calibration_examples // (PROOF_SHARE - 1))


def reads_serialized(function: ServedFunction) -> bool:
    """Whether a function reads serialized tf.Examples."""
    specs = list(function.inputs.values())
    return len(specs) == 1 and specs[0].dtype == tf.string and specs[0].shape.rank == 1
