"""The page of util/prometheus_exporter.cc, of the metrics that TensorFlow Serving declares."""

import re
import threading
from collections import defaultdict

COUNTERS = {
    "/tensorflow/cc/saved_model/load_attempt_count": ("model_path", "status"),
    "/tensorflow/cc/saved_model/load_latency": ("model_path",),
    "/tensorflow/core/graph_runs": (),
    "/tensorflow/serving/request_count": ("model_name", "status"),
}
HISTOGRAMS = {
    "/tensorflow/serving/model_warmup_latency": ("model_path", "status"),
    "/tensorflow/serving/request_latency": ("model_name", "API", "entrypoint"),
    "/tensorflow/serving/runtime_latency": ("model_name", "API", "runtime"),
}
# monitoring::Buckets::Exponential(10, 1.8, 33): microseconds.
BOUNDS = [10 * 1.8**power for power in range(33)]


class Metrics:
    """monitoring::CollectionRegistry, of one server."""

    def __init__(self):
        self._lock = threading.Lock()
        self._counts = defaultdict(int)
        self._values = defaultdict(list)

    def count(self, name, *labels, by=1):
        with self._lock:
            self._counts[name, labels] += by

    def observe(self, name, value, *labels):
        with self._lock:
            self._values[name, labels].append(value)

    def page(self):
        """GeneratePage."""
        lines = []
        with self._lock:
            for name in sorted({*COUNTERS, *HISTOGRAMS}):
                if name in COUNTERS:
                    lines += self._counter(name)
                else:
                    lines += self._histogram(name)
        return "\n".join(lines) + "\n"

    def _counter(self, name):
        lines = [f"# TYPE {_metric(name)} counter"]
        for (found, values), count in sorted(self._counts.items()):
            if found == name:
                lines.append(f"{_metric(name)}{{{_labels(COUNTERS[name], values)}}} {count}")
        return lines

    def _histogram(self, name):
        lines = [f"# TYPE {_metric(name)} histogram"]
        for (found, values), observed in sorted(self._values.items()):
            if found != name:
                continue
            labels = _labels(HISTOGRAMS[name], values)
            for bound in BOUNDS:
                below = sum(value < bound for value in observed)
                lines.append(f'{_metric(name)}_bucket{{{labels},le="{bound:.6g}"}} {below}')
            lines.append(f'{_metric(name)}_bucket{{{labels},le="+Inf"}} {len(observed)}')
            lines.append(f"{_metric(name)}_sum{{{labels}}} {sum(observed):.6g}")
            lines.append(f"{_metric(name)}_count{{{labels}}} {len(observed)}")
        return lines


def _metric(name):
    """GetPrometheusMetricName: also the slash at the beginning becomes a colon."""
    return re.sub(r"[^a-zA-Z0-9_]", ":", name)


def _labels(names, values):
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True))
