"""The Pruner's parameters, checked as far as that goes without a model."""

import dataclasses
from collections.abc import Sequence

from tfx_shrink.errors import ParameterError
from tfx_shrink.parameters import (
    require_above_0,
    require_counts,
    require_one_length,
    require_one_of,
)
from tfx_shrink.pruner.patterns import CHANNEL, PATTERNS, TWO_OF_FOUR
from tfx_shrink.pruner.schedule import SCHEDULES
from tfx_shrink.training.losses import check_loss_name
from tfx_shrink.training.strategy import STRATEGIES

FINE_TUNE, ONE_SHOT, AUTO = "fine_tune", "one_shot", "auto"
METHODS = (FINE_TUNE, ONE_SHOT, AUTO)
SCOPES = ("tensor", "global")
DEFAULT_EPOCHS = 5


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to prune.

    Attributes:
      target_sparsity: Share of zeros, or of channels that go, in (0, 1). None only with
        `"2_of_4"`, which is 0.5.
      pattern: One of `patterns.PATTERNS`.
      schedule: One of `schedule.SCHEDULES`.
      scope: `"tensor"`: the share holds for every weight tensor; `"global"`: for all together.
      method: `"fine_tune"`: while the model trains on; `"one_shot"`: at once; `"auto"`: the first
        where it can be done.
      label_key: The label's feature.
      epochs: Passes over the rows; None where `num_steps` is given, else `DEFAULT_EPOCHS`.
      num_steps: Batches, instead of `epochs`.
      batch_size: Rows of a batch.
      learning_rate: None: that of the model's own optimizer, else 0.001.
      loss: Name of a Keras loss; None: the model's own, else what the label calls for.
      layers: Globs of the layers to prune; None: every matrix and convolution.
      skip_layers: Globs of layers to leave.
      drop_signatures: With `"channel"`: signatures that need not be kept.
      strategy: One of `strategy.STRATEGIES`.
      seed: Order of the rows.
    """

    target_sparsity: float | None = None
    pattern: str = "unstructured"
    schedule: str = "polynomial"
    scope: str = "tensor"
    method: str = AUTO
    label_key: str | None = None
    epochs: int | None = None
    num_steps: int | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    loss: str | None = None
    layers: Sequence[str] | None = None
    skip_layers: Sequence[str] = ()
    drop_signatures: Sequence[str] = ()
    strategy: str = "one_device"
    seed: int = 0

    @property
    def sparsity(self) -> float:
        """The share that is asked for, as a number."""
        return 0.5 if self.target_sparsity is None else self.target_sparsity

    def check(self, *, has_input_fn: bool = False) -> None:
        """Checks the parameters.

        Args:
          has_input_fn: Whether user code reads the rows, so that no label need be named. Defaults
            to False.

        Raises:
          ParameterError: One is out of its range, or two contradict each other.
        """
        require_one_of("pattern", self.pattern, PATTERNS)
        require_one_of("schedule", self.schedule, SCHEDULES)
        require_one_of("strategy", self.strategy, STRATEGIES)
        require_one_of("scope", self.scope, SCOPES)
        require_one_of("method", self.method, METHODS)
        self._check_sparsity()
        if self.scope == "global" and self.pattern in (CHANNEL, TWO_OF_FOUR):
            raise ParameterError(
                f"pattern={self.pattern!r} holds for every tensor. Leave `scope` out. Received: "
                "scope='global'."
            )
        if self.drop_signatures and self.pattern != CHANNEL:
            raise ParameterError(
                "Every signature is kept but with pattern='channel'. Leave `drop_signatures` out. "
                f"Received: pattern={self.pattern!r}, "
                f"drop_signatures={list(self.drop_signatures)}."
            )
        self._check_training(has_input_fn)
        for name, globs in (("layers", self.layers), ("skip_layers", self.skip_layers)):
            if isinstance(globs, str) or (name == "layers" and globs is not None and not globs):
                raise ParameterError(
                    f"`{name}` must be a sequence of layers' names or globs, such as ['dense*']. "
                    f"Received: {name}={globs!r}."
                )

    def _check_sparsity(self) -> None:
        value = self.target_sparsity
        if self.pattern == TWO_OF_FOUR:
            if value not in (None, 0.5):
                raise ParameterError(
                    "pattern='2_of_4' means a sparsity of 0.5. Leave `target_sparsity` out. "
                    f"Received: target_sparsity={value}."
                )
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
            raise ParameterError(
                "`target_sparsity` must lie between 0 and 1, both excluded. "
                f"Received: target_sparsity={value!r}."
            )

    def _check_training(self, has_input_fn: bool) -> None:
        counts = ("epochs", "num_steps", "batch_size")
        require_counts({name: getattr(self, name) for name in counts})
        require_above_0({"learning_rate": self.learning_rate})
        require_one_length(self.epochs, self.num_steps)
        if self.loss is not None:
            check_loss_name(self.loss)
        if self.method == FINE_TUNE and self.label_key is None and not has_input_fn:
            raise ParameterError(
                "method='fine_tune' needs a label: give `label_key`, or user code with an "
                "`input_fn`. Received: label_key=None."
            )
        if self.method == ONE_SHOT:
            for name in ("label_key", "epochs", "num_steps", "learning_rate", "loss"):
                if getattr(self, name) is not None:
                    raise ParameterError(
                        f"`{name}` belongs to training, and method='one_shot' does not train. "
                        f"Leave it out. Received: {name}={getattr(self, name)!r}."
                    )
