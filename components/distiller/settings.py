"""The Distiller's parameters, checked as far as that goes without a model."""

import dataclasses
from collections.abc import Mapping

from tfx_shrink.errors import ParameterError
from tfx_shrink.parameters import (
    require_above_0,
    require_counts,
    require_one_length,
    require_one_of,
)
from tfx_shrink.training.strategy import STRATEGIES

KL, MSE, FEATURE = "kl", "mse", "feature"
LOSSES = (KL, MSE, FEATURE)
CACHED, IN_STEP = "cached", "in_step"
TEACHER_PASSES = (CACHED, IN_STEP)
AUTO = "auto"
DEFAULT_EPOCHS = 10


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to distill.

    Attributes:
      width: With the student `"auto"`: by what the width of each hidden layer is multiplied, in
        (0, 1). None where user code builds the student.
      signature_name: The teacher's function that gives the soft targets; None: the first that
        reads the rows, its own call function before any.
      temperature: Divides logits before the softmax, above 0; only `"kl"` and `"feature"` use it.
      alpha: Weight of the hard label in [0, 1]; the soft target has the rest.
      loss: `"kl"`: Kullback-Leibler divergence times temperature squared (Hinton et al., 2015);
        `"mse"`: squared difference of logits; `"feature"`: the first, and the squared difference of
        the outputs of paired layers (Romero et al., 2015). Regression always takes squared
        differences.
      feature_pairs: With `"feature"`: a layer of the student for each of some of the teacher's.
      label_key: The label's feature, which rows may lack. None: soft targets only.
      epochs: Passes over the rows; None where `num_steps` is given, else `DEFAULT_EPOCHS`.
      num_steps: Batches, instead of `epochs`.
      batch_size: Rows of a batch.
      learning_rate: Of Adam.
      patience: After how many epochs without a lower loss on other rows training ends, with the
        best weights; None: never.
      teacher_pass: `"cached"`: the teacher sees every row once; `"in_step"`: it sees every batch,
        which rows that change from epoch to epoch need.
      control: Whether the same student is trained on hard labels alone too, for the record.
      drop_signatures: Signatures of the teacher that need not be kept.
      strategy: One of `strategy.STRATEGIES`.
      seed: Order of the rows, and the student's first weights.
    """

    width: float | None = None
    signature_name: str | None = None
    temperature: float = 4.0
    alpha: float = 0.1
    loss: str = KL
    feature_pairs: Mapping[str, str] | None = None
    label_key: str | None = None
    epochs: int | None = None
    num_steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    patience: int | None = None
    teacher_pass: str = CACHED
    control: bool = False
    drop_signatures: tuple[str, ...] = ()
    strategy: str = "one_device"
    seed: int = 0

    def check(
        self, *, auto: bool, has_input_fn: bool | None = False, evaluates: bool = False
    ) -> None:
        """Checks the parameters.

        Args:
          auto: Whether the student is the teacher's narrower twin.
          has_input_fn: Whether user code reads the rows; None: not known yet. Defaults to False.
          evaluates: Whether there are rows that nobody trains on. Defaults to False.

        Raises:
          ParameterError: One is out of its range, or two contradict each other.
        """
        require_one_of("loss", self.loss, LOSSES)
        require_one_of("teacher_pass", self.teacher_pass, TEACHER_PASSES)
        require_one_of("strategy", self.strategy, STRATEGIES)
        self._check_width(auto)
        self._check_numbers()
        if (self.loss == FEATURE) != bool(self.feature_pairs):
            raise ParameterError(
                "`feature_pairs` and loss='feature' belong together: {teacher's layer: student's "
                f"layer}}. Received: loss={self.loss!r}, feature_pairs={self.feature_pairs!r}."
            )
        if has_input_fn and self.teacher_pass == CACHED:
            raise ParameterError(
                "The rows of an `input_fn` may differ from epoch to epoch, so the teacher must see "
                "each batch: give teacher_pass='in_step', or leave `input_fn` out. Received: "
                "teacher_pass='cached'."
            )
        if has_input_fn and self.label_key is not None:
            raise ParameterError(
                "An `input_fn` gives the labels itself. Leave `label_key` out. Received: "
                f"label_key={self.label_key!r}."
            )
        given = has_input_fn or (has_input_fn is None and self.teacher_pass == IN_STEP)
        if self.alpha == 1 and self.label_key is None and not given:
            raise ParameterError(
                "alpha=1 trains on hard labels alone: give `label_key`, or user code with an "
                "`input_fn` that gives them. Received: label_key=None."
            )
        if self.control and self.label_key is None:
            raise ParameterError(
                "control=True trains on hard labels alone: give `label_key`. Received: "
                "label_key=None."
            )
        if (self.control or self.patience is not None) and not evaluates:
            raise ParameterError(
                "`control` and `patience` need rows that nobody trains on: give `eval_splits` "
                "(eval_examples in a notebook, --eval-examples on the command line). Received: "
                f"control={self.control}, patience={self.patience}."
            )

    def _check_width(self, auto: bool) -> None:
        if auto and (self.width is None or not 0 < self.width < 1):
            raise ParameterError(
                "student='auto' needs `width`, between 0 and 1, both excluded: by what the width "
                f"of each hidden layer is multiplied. Received: width={self.width!r}."
            )
        if not auto and self.width is not None:
            raise ParameterError(
                "`width` belongs to student='auto'; user code builds its student as it likes. "
                f"Received: width={self.width!r}."
            )

    def _check_numbers(self) -> None:
        require_above_0({"temperature": self.temperature, "learning_rate": self.learning_rate})
        if not 0 <= self.alpha <= 1:
            raise ParameterError(
                "`alpha` must lie between 0 (soft targets alone) and 1 (hard labels alone). "
                f"Received: alpha={self.alpha!r}."
            )
        counts = ("epochs", "num_steps", "batch_size", "patience")
        require_counts({name: getattr(self, name) for name in counts})
        require_one_length(self.epochs, self.num_steps)
