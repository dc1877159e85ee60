"""What pruning is given, and what it gives back."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow_transform as tft

from tfx_shrink.errors import UntrainableError
from tfx_shrink.examples.files import list_files
from tfx_shrink.proof.source import Source
from tfx_shrink.pruner.settings import DEFAULT_EPOCHS, Settings
from tfx_shrink.pruner.sparsity import Sparsity
from tfx_shrink.saved_model.functions import ServedFunction
from tfx_shrink.training.assignable import AssignableModel
from tfx_shrink.training.data import (
    TrainingData,
    function_to_train,
    given_training_data,
    read_training_data,
)


@dataclasses.dataclass(frozen=True)
class Job:
    """One model to prune.

    Attributes:
      opened: The model; its weights may be changed.
      source: The same with rows to prove with.
      settings: The Pruner's parameters.
      examples: Glob patterns of all rows.
      functions: User code by name.
      checkpoint_dir: Where training keeps its last epoch, or None.
      log_dir: TensorBoard's directory, or None.
    """

    opened: AssignableModel
    source: Source
    settings: Settings
    examples: Sequence[str]
    functions: Mapping[str, Callable[..., Any]]
    checkpoint_dir: str | None
    log_dir: str | None

    @property
    def transform_output(self) -> Any:
        """The transform graph as user code takes it, or None."""
        graph = self.source.transform_graph
        return None if graph is None else tft.TFTransformOutput(graph)

    def training_data(self) -> tuple[TrainingData, ServedFunction]:
        """Returns the batches, and the function of the model that reads them.

        Raises:
          UntrainableError: There is no label, or no function that can be trained.
          ExamplesError: The rows lack the label.
        """
        settings, loaded = self.settings, self.opened.loaded
        if "input_fn" in self.functions:
            files = list_files(self.examples)
            dataset = self.functions["input_fn"](files, self.transform_output, settings.batch_size)
            function = function_to_train(loaded, self.source, list(dataset.element_spec[0]))
            return given_training_data(dataset, settings.num_steps), function
        if settings.label_key is None:
            raise UntrainableError(
                "There is no label. Give `label_key`, or user code with an `input_fn`."
            )
        function = function_to_train(loaded, self.source)
        data = read_training_data(
            self.examples,
            self.source,
            function.inputs,
            settings.label_key,
            batch_size=settings.batch_size,
            seed=settings.seed,
        )
        return data, function

    def num_steps(self, data: TrainingData) -> int:
        """Returns for how many steps to train."""
        return self.settings.num_steps or (
            (self.settings.epochs or DEFAULT_EPOCHS) * data.steps_per_epoch
        )


@dataclasses.dataclass(frozen=True)
class UnsavedModel:
    """A pruned model that was not yet saved.

    Attributes:
      save: Writes it to a directory.
      prove: Measures the sparsity of what was saved there, or raises ProofError.
      signatures: Names of the signatures that were kept; None for all.
      facts: What to write into the compression record, with `"method"` and `"skipped"`.
    """

    save: Callable[[str], None]
    prove: Callable[[str], Sparsity]
    signatures: list[str] | None
    facts: dict[str, Any]
