"""When a canary is good enough: what its pods did, beside what the others did."""

import dataclasses
import json

from tfx_shrink.bucket_pusher.settings import CANARY, STABLE
from tfx_shrink.errors import ParameterError
from tfx_shrink.parameters import require_above_0, require_at_least
from tfx_shrink.serving.prometheus import Prometheus


@dataclasses.dataclass(frozen=True)
class Rule:
    """When a canary is good enough; everything since the watch began counts.

    As soon as the canary has answered `min_requests`, it is taken back at once when it is worse.
    After `watch_seconds` it is promoted if it had so many requests and is not worse, and else taken
    back: what was not seen is not promoted.

    Attributes:
      watch_seconds: How long to watch.
      max_error_increase: By how much its share of failed requests may be above stable's.
      max_latency_ratio: How many times stable's p99 its own may be. TensorFlow Serving's buckets
        lie a factor of 1.8 apart, so much less than 1.5 cannot be told from nothing.
      min_requests: With fewer requests its p99 says nothing.
    """

    watch_seconds: float = 600.0
    max_error_increase: float = 0.01
    max_latency_ratio: float = 1.5
    min_requests: int = 1000


@dataclasses.dataclass(frozen=True)
class Traffic:
    """What pods of one track did since the watch began.

    Attributes:
      requests: Requests of clients, answered or failed; probes are not among them.
      error_ratio: The share of them that failed, or None where there were none.
      p99_seconds: The 99th percentile of answers' latency, or None where there were none.
    """

    requests: float
    error_ratio: float | None
    p99_seconds: float | None


def check_rule(rule: Rule, poll_seconds: float) -> None:
    """Checks a rule's numbers.

    Raises:
      ParameterError: One of them is out of its range.
    """
    require_above_0({"watch_seconds": rule.watch_seconds, "poll_seconds": poll_seconds})
    if not 0 <= rule.max_error_increase <= 1:
        raise ParameterError(
            "`max_error_increase` is a share, from 0 to 1. Received: "
            f"max_error_increase={rule.max_error_increase}."
        )
    names = ("max_latency_ratio", "min_requests")
    require_at_least(1, {name: getattr(rule, name) for name in names})


def look(
    prometheus: Prometheus, model_name: str, track: str, seconds: float, namespace: str | None
) -> Traffic:
    """Asks what pods of a track did in the last seconds.

    Args:
      prometheus: Whom to ask.
      model_name: The model.
      track: `"stable"` or `"canary"`, as the pods are labelled.
      seconds: How far to look back.
      namespace: Where the pods run; None: anywhere.

    Returns:
      Their requests, failures and latency.

    Raises:
      PrometheusError: Prometheus does not answer.
    """
    chosen = f'model_name="{model_name}",track="{track}"'
    if namespace is not None:
        chosen += f",namespace={json.dumps(namespace)}"
    window = f"[{max(round(seconds), 1)}s]"
    # As kubeflow/serving's recording rules have it: without probes and what they are told.
    answered = f':tensorflow:serving:request_latency_count{{{chosen},API!=""}}{window}'
    failed = f':tensorflow:serving:request_count{{{chosen},status!~"OK|NOT_FOUND"}}{window}'
    buckets = f':tensorflow:serving:request_latency_bucket{{{chosen},API!=""}}{window}'
    successes = prometheus.value(f"sum(increase({answered}))") or 0.0
    errors = prometheus.value(f"sum(increase({failed}))") or 0.0
    micros = prometheus.value(f"histogram_quantile(0.99, sum by (le) (increase({buckets})))")
    requests = successes + errors
    return Traffic(
        requests, errors / requests if requests else None, micros / 1e6 if micros else None
    )


def why_worse(rule: Rule, canary: Traffic, stable: Traffic) -> str:
    """Returns a sentence that says what of the canary is worse; empty where nothing is."""
    base = stable.error_ratio or 0.0
    if canary.error_ratio is not None and canary.error_ratio > base + rule.max_error_increase:
        return (
            f"{canary.error_ratio:.2%} of its requests fail, {base:.2%} of stable's; "
            f"{rule.max_error_increase:.2%} more are allowed."
        )
    if canary.p99_seconds is None or stable.p99_seconds is None:
        return ""
    if canary.p99_seconds > stable.p99_seconds * rule.max_latency_ratio:
        return (
            f"Its p99 is {canary.p99_seconds:.4g} s, stable's {stable.p99_seconds:.4g} s; "
            f"{rule.max_latency_ratio:g} times that is allowed."
        )
    return ""


def too_few(rule: Rule, canary: Traffic, stable: Traffic) -> str:
    """Returns a sentence that says which track had too few requests; empty where none had."""
    for track, seen in ((CANARY, canary), (STABLE, stable)):
        if seen.requests < rule.min_requests:
            return (
                f"{track} had {seen.requests:.0f} requests in {rule.watch_seconds:g} s, and "
                f"{rule.min_requests} are needed to compare."
            )
    return ""
