"""What the puller knows of itself, for probes and for Prometheus."""

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

# Why a version did not arrive.
BUCKET, DAMAGED, DISK = "bucket", "damaged", "disk"
REASONS = (BUCKET, DAMAGED, DISK)
_PREFIX = "tfx_shrink_pull"


@dataclasses.dataclass
class ModelStatus:
    """One model.

    Attributes:
      name: Its name.
      served: The version that requests without a label reach, or None.
      published: The version that they shall reach, as far as is known, or None.
      behind_since: Since when the directory has not been what the bucket wants, or None.
      bytes: How many were moved from the bucket.
      failures: {reason: how often}.
      error: The last failure, or empty once it has been overcome.
    """

    name: str
    served: int | None = None
    published: int | None = None
    behind_since: float | None = None
    bytes: int = 0
    failures: Counter[str] = dataclasses.field(default_factory=Counter)
    error: str = ""


class Status:
    """All models; a collector of prometheus_client.

    Args:
      model_names: The models.
      clock: Seconds that only rise.
    """

    def __init__(self, model_names: Sequence[str], clock: Callable[[], float] = time.monotonic):
        self.models = {name: ModelStatus(name) for name in model_names}
        self.last_success: float | None = None
        self._clock = clock
        self._alive = clock()

    def still_alive(self) -> None:
        """Says that the work goes on."""
        self._alive = self._clock()

    def idle_seconds(self) -> float:
        """How long the work has not gone on."""
        return self._clock() - self._alive

    def ready(self) -> bool:
        """Whether every model has a version that a server can load."""
        return all(model.served is not None for model in self.models.values())

    def lag_seconds(self, model: ModelStatus) -> float:
        """How long a model has not been served as the bucket wants; 0 where it is."""
        since = model.behind_since
        return 0.0 if since is None else self._clock() - since

    def to_json(self) -> dict[str, Any]:
        """Returns {model: its state}."""
        return {
            model.name: {
                "served": model.served,
                "published": model.published,
                "lag_seconds": round(self.lag_seconds(model), 3),
                "error": model.error,
            }
            for model in self.models.values()
        }

    def collect(self) -> Iterable[Metric]:
        """Yields what prometheus_client exposes."""
        labels = ["model_name"]
        served = GaugeMetricFamily(
            f"{_PREFIX}_served_version", "The version on disk that servers load.", labels=labels
        )
        published = GaugeMetricFamily(
            f"{_PREFIX}_published_version", "The version that the bucket wants.", labels=labels
        )
        lag = GaugeMetricFamily(
            f"{_PREFIX}_lag_seconds",
            "How long the disk has not been as the bucket wants; 0 where it is.",
            labels=labels,
        )
        moved = CounterMetricFamily(
            f"{_PREFIX}_bytes", "Bytes moved from the bucket.", labels=labels
        )
        failures = CounterMetricFamily(
            f"{_PREFIX}_failures",
            "Looks that failed: bucket (it cannot be read), damaged (it is not what was "
            "published), disk (it cannot be written).",
            labels=[*labels, "reason"],
        )
        for model in self.models.values():
            for gauge, version in ((served, model.served), (published, model.published)):
                if version is not None:
                    gauge.add_metric([model.name], version)
            lag.add_metric([model.name], self.lag_seconds(model))
            moved.add_metric([model.name], model.bytes)
            for reason in REASONS:
                failures.add_metric([model.name, reason], model.failures[reason])
        yield from (served, published, lag, moved, failures)
        last = GaugeMetricFamily(
            f"{_PREFIX}_last_success_timestamp_seconds",
            "When every model was last found, or made, as the bucket wants.",
        )
        if self.last_success is not None:
            last.add_metric([], self.last_success)
        yield last
