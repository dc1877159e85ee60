"""What a model must reach, and how it is measured."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_shrink.errors import ParameterError
from tfx_shrink.measure.metrics import METRICS
from tfx_shrink.parameters import (
    require_above_0,
    require_at_least,
    require_counts,
    require_one_of,
)

_PERCENTILE = re.compile(r"(p50|p95|p99)(?:@([1-9][0-9]*))?")
_AT_MOST_ONE = ("min_sparsity",)
_MORE_THAN_NOTHING = ("max_bytes", "min_size_ratio", "min_speedup")


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What a model must reach; None is not asked for. All that is asked for must hold.

    Attributes:
      max_bytes: Bytes of its files, without `assets.extra/`.
      min_size_ratio: Bytes of the baseline, stripped of what only training needs, over its own.
      max_latency_ms: Milliseconds of a call, by `"p50"`, `"p95"` or `"p99"`, at every batch size,
        or at one: `{"p95": 2.0, "p95@32": 20.0}`.
      min_speedup: The baseline's median time over its own, at every batch size.
      min_sparsity: Share of zeros in all its matrices, convolutions and tables together.
      max_output_difference: The largest difference of any output from the baseline's, in the
        output's own unit.
      max_quality_drop: By how much the metric may be worse than the baseline's, in the metric's own
        unit. It holds where the 95 % bound of the paired difference does.
    """

    max_bytes: int | None = None
    min_size_ratio: float | None = None
    max_latency_ms: Mapping[str, float] | None = None
    min_speedup: float | None = None
    min_sparsity: float | None = None
    max_output_difference: float | None = None
    max_quality_drop: float | None = None

    def latency_limits(self, batch_size: int) -> dict[str, float]:
        """Returns {"p50" | "p95" | "p99": milliseconds} for one batch size."""
        limits = self.max_latency_ms or {}
        found = {name: limit for name, limit in limits.items() if "@" not in name}
        for name, limit in limits.items():
            percentile, _, size = name.partition("@")
            if size and int(size) == batch_size:
                found[percentile] = limit
        return found


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a model is measured.

    Attributes:
      num_examples: How many rows quality and outputs are compared on.
      seed: Chooses the rows, and the order of what is timed.
      label_key: The label's feature; None: quality is not measured.
      metric: `"accuracy"`, `"auc"` or `"mse"`.
      output_name: The output that the metric reads; None where there is one.
      slice_keys: Features of the raw rows; the metric is taken, and the drop must hold, for each of
        their values too.
      batch_sizes: How many rows a timed call gets.
      threads: How many threads it may use.
      rounds: How many times each is sampled.
      time_limit: Seconds after which a process that measures is stopped.
    """

    num_examples: int = 2000
    seed: int = 0
    label_key: str | None = None
    metric: str = "accuracy"
    output_name: str | None = None
    slice_keys: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = (1, 32)
    threads: int = 1
    rounds: int = 100
    time_limit: float = 3600.0


def check_thresholds(values: Mapping[str, Any], batch_sizes: Any = None) -> None:
    """Checks thresholds that are known; a RuntimeParameter is checked when it has its value.

    Args:
      values: Attributes of `Thresholds` by name; None is not asked for.
      batch_sizes: What is timed. Defaults to None: not known yet.

    Raises:
      ParameterError: One is out of its range.
    """
    for name, value in values.items():
        if value is None or name == "max_latency_ms":
            continue
        if name in _MORE_THAN_NOTHING:
            require_above_0({name: value})
        else:
            require_at_least(0, {name: value})
        if name in _AT_MOST_ONE and value > 1:
            raise ParameterError(f"`{name}` is a share, so at most 1. Received: {name}={value!r}.")
    _check_latency(values.get("max_latency_ms"), batch_sizes)


def require_any(values: Mapping[str, Any]) -> None:
    """Checks that at least one threshold is given.

    Raises:
      ParameterError: None is, so every model would be blessed.
    """
    if not any(value not in (None, {}) for value in values.values()):
        names = [field.name for field in dataclasses.fields(Thresholds)]
        raise ParameterError(
            f"No threshold is given, so every model would be blessed. Give at least one of {names}."
        )


def check_settings(settings: Settings, thresholds: Mapping[str, Any]) -> None:
    """Checks how is to be measured.

    Raises:
      ParameterError: A value is out of its range, or a threshold needs one that is missing.
    """
    counts = ("num_examples", "threads", "rounds")
    require_counts({name: getattr(settings, name) for name in counts})
    require_at_least(0, {"seed": settings.seed})
    require_above_0({"time_limit": settings.time_limit})
    sizes = settings.batch_sizes
    if (
        not isinstance(sizes, Sequence)
        or not sizes
        or any(not isinstance(size, int) or size < 1 for size in sizes)
    ):
        raise ParameterError(
            "`batch_sizes` must be numbers of rows, such as [1, 32]. Received: "
            f"batch_sizes={sizes}."
        )
    require_one_of("metric", settings.metric, METRICS)
    if thresholds.get("max_quality_drop") is not None and settings.label_key is None:
        raise ParameterError("`max_quality_drop` needs `label_key`. Received: label_key=None.")
    if settings.slice_keys and settings.label_key is None:
        raise ParameterError(
            f"`slice_keys` needs `label_key`. Received: slice_keys={list(settings.slice_keys)}, "
            "label_key=None."
        )


def _check_latency(limits: Any, batch_sizes: Any) -> None:
    if limits is None:
        return
    if not isinstance(limits, Mapping):
        raise ParameterError(
            "`max_latency_ms` must be milliseconds by percentile, such as {'p95': 2.0}. Received: "
            f"max_latency_ms={limits!r}."
        )
    for name, limit in limits.items():
        found = _PERCENTILE.fullmatch(str(name))
        if found is None:
            raise ParameterError(
                "`max_latency_ms` knows 'p50', 'p95' and 'p99', each for every batch size or for "
                f"one, as in 'p95@32'. Received: {name!r}."
            )
        require_above_0({f"max_latency_ms[{name!r}]": limit})
        if found[2] and batch_sizes is not None and int(found[2]) not in batch_sizes:
            raise ParameterError(
                f"`max_latency_ms` names a batch size that is not timed: {name!r}, and "
                f"batch_sizes={list(batch_sizes)}. Add it to `batch_sizes`."
            )
