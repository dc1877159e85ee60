"""The Quantizer's parameters besides its scheme, checked as far as that goes without a model."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfx_shrink.errors import ParameterError
from tfx_shrink.measure.metrics import METRICS
from tfx_shrink.quantizer.schemes import AUTO, SCHEMES, get_scheme

_DROP_TYPES = ("absolute", "relative")
DEFAULT_LADDER = ("int8", "dynamic_range", "float16", "float32")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to quantize.

    Attributes:
      signature_name: The function to convert, or None for the first that converts.
      num_calibration_examples: How many rows set the ranges of activations.
      time_limit: Seconds that one conversion may take.
      max_output_difference: The largest difference of any output that is accepted, in the output's
        own unit, or None.
      encode_sparsity: Whether TFLite stores mostly-zero weights in its sparse format.
      allow_select_tf_ops: Whether operations without a TFLite counterpart stay TensorFlow's.
      engine_batch_sizes: Batch sizes that TensorRT engines are built for beforehand.
    """

    signature_name: str | None = None
    num_calibration_examples: int = 1000
    time_limit: float = 3600
    max_output_difference: float | None = None
    encode_sparsity: bool = False
    allow_select_tf_ops: bool = False
    engine_batch_sizes: Sequence[int] = (1,)

    def check(self, scheme: str) -> None:
        """Checks these parameters for a scheme.

        Raises:
          ParameterError: One is out of its range, or the scheme does not know it.
        """
        _require_positive("num_calibration_examples", self.num_calibration_examples)
        _require_positive("time_limit", self.time_limit)
        if self.max_output_difference is not None and self.max_output_difference < 0:
            raise ParameterError(
                "`max_output_difference` must not be negative. "
                f"Received: max_output_difference={self.max_output_difference}."
            )
        for size in self.engine_batch_sizes:
            _require_positive("engine_batch_sizes", size)
        if scheme == AUTO:
            return
        if get_scheme(scheme).maker != "converter":
            for name in ("encode_sparsity", "allow_select_tf_ops"):
                if getattr(self, name):
                    raise ParameterError(
                        f"`{name}` belongs to TFLite's converter, and scheme={scheme!r} does not "
                        "use it. Leave it out."
                    )
            if self.signature_name is not None and get_scheme(scheme).maker in ("rewrite", "strip"):
                raise ParameterError(
                    f"scheme={scheme!r} keeps every signature. Leave `signature_name` out. "
                    f"Received: signature_name={self.signature_name!r}."
                )


@dataclasses.dataclass(frozen=True)
class Search:
    """What `scheme="auto"` looks for.

    Schemes are tried in the order of the ladder; the first whose metric lies at most `max_drop`
    below the source's is taken. The choice is made on rows of the examples that calibrate nothing,
    and reported on rows of `report_examples`, which no choice has seen.

    Attributes:
      label_key: The feature that holds the right answer.
      max_drop: By how much the metric may be worse than the source's.
      drop_type: `"absolute"`, or `"relative"`: a share of the source's metric.
      metric: `"accuracy"`, `"auc"` (binary) or `"mse"` (regression; lower is better).
      ladder: Schemes, smallest first, all of one container.
      num_examples: How many rows decide, and how many are reported on.
      max_trials: How many schemes may be tried.
      time_limit: Seconds after which no further scheme is tried.
    """

    label_key: str
    max_drop: float
    drop_type: str = "absolute"
    metric: str = "accuracy"
    ladder: Sequence[str] = DEFAULT_LADDER
    num_examples: int = 1000
    max_trials: int = 8
    time_limit: float = 3600

    def __post_init__(self) -> None:
        """Checks the parameters.

        Raises:
          ParameterError: One is out of its range.
        """
        _require_one_of("drop_type", self.drop_type, _DROP_TYPES)
        _require_one_of("metric", self.metric, list(METRICS))
        if not self.label_key:
            raise ParameterError("`label_key` must name the feature that holds the label.")
        if self.max_drop < 0:
            raise ParameterError(
                f"`max_drop` must not be negative. Received: max_drop={self.max_drop}."
            )
        for name in ("num_examples", "max_trials", "time_limit"):
            _require_positive(name, getattr(self, name))
        containers = {get_scheme(name).container for name in self.ladder}
        if isinstance(self.ladder, str) or len(containers) != 1:
            raise ParameterError(
                "`ladder` must be schemes of one container, all of "
                f"{[name for name in SCHEMES if SCHEMES[name].container == 'tflite']} or all of "
                f"{[name for name in SCHEMES if SCHEMES[name].container == 'saved_model']}. "
                f"Received: ladder={self.ladder!r}."
            )


def check_settings(scheme: str, settings: Settings, search: Search | None) -> None:
    """Checks that parameters are in their ranges and belong to the scheme.

    Args:
      scheme: A scheme's name, or `"auto"`.
      settings: The parameters.
      search: What `"auto"` looks for, or None.

    Raises:
      ParameterError: They do not.
    """
    settings.check(scheme)
    if search is not None and scheme != AUTO:
        raise ParameterError(f"`search` belongs to scheme='auto'. Received: scheme={scheme!r}.")


def _require_positive(name: str, value: Any) -> None:
    if value <= 0:
        raise ParameterError(f"`{name}` must be greater than 0. Received: {name}={value!r}.")


def _require_one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ParameterError(f"`{name}` must be one of {list(known)}. Received: {name}={value!r}.")
