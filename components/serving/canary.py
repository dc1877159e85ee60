"""Watches a canary, promotes it where it is as good as what is served, and else takes it back."""

import dataclasses
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.models_config import Labels
from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.errors import ParameterError, PrometheusError
from tfx_shrink.serving.prometheus import Prometheus
from tfx_shrink.serving.wait import wait_until_served

CANARY, STABLE = "canary", "stable"
_LOG = logging.getLogger(__name__)


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
class Seen:
    """What pods of one track did since the watch began.

    Attributes:
      requests: Requests of clients, answered or failed; probes are not among them.
      error_ratio: The share of them that failed, or None where there were none.
      p99_seconds: The 99th percentile of answers' latency, or None where there were none.
    """

    requests: float
    error_ratio: float | None
    p99_seconds: float | None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a canary.

    Attributes:
      version: Its version.
      promoted: Whether it is stable now; else no label names it any more.
      reason: Why.
      labels: {label: version} afterwards.
      canary: What it did, as last seen.
      stable: What the others did in the same time.
    """

    version: int
    promoted: bool
    reason: str
    labels: Labels
    canary: Seen
    stable: Seen


def promote_watched(
    destination: Destination,
    prometheus_url: str,
    *,
    rule: Rule | None = None,
    namespace: str | None = None,
    address: str | None = None,
    timeout_seconds: float = 600.0,
    poll_seconds: float = 30.0,
    store: Store | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] = time.sleep,
) -> Outcome:
    """Watches a canary under Prometheus, then promotes it or takes it back.

    Canary and stable must run in pods of their own, whose series carry the label `track` with the
    values `canary` and `stable`, as kubeflow/serving has them: TensorFlow Serving's metrics name
    neither version nor label. A canary that is taken back is named by no label any more, so that
    servers unload it; `stable` stays as it is. While Prometheus does not answer nothing is decided;
    if it is silent when the watch ends, the canary is taken back. A watch that dies has decided
    nothing: begin again.

    Example:
      ```python
      outcome = promote_watched(destination, "http://prometheus:9090", rule=Rule(watch_seconds=900))
      ```

    Args:
      destination: From `parse_destination`.
      prometheus_url: Such as `http://prometheus:9090`.
      rule: When a canary is good enough. Defaults to `Rule()`.
      namespace: Of the pods. Defaults to None: any, which is right where one Prometheus sees one
        environment.
      address: TensorFlow Serving's, as `wait_until_served` takes it: the watch begins when all
        servers there serve the canary. Defaults to None: it begins at once.
      timeout_seconds: When to give up waiting for that. Defaults to 600.
      poll_seconds: How long to wait between looks. Defaults to 30.
      store: The destination's store. Defaults to the one that its URL names.
      clock: Seconds that only rise.
      sleep: Waits for seconds.

    Returns:
      What became of it.

    Raises:
      ParameterError: An argument is out of its range, there is no canary, or somebody else moved
        its label meanwhile.
      PrometheusError: Prometheus does not answer at the beginning; nothing was changed.
      NotServedError: A server cannot load the canary, or not in time; nothing was changed.
      PublishError: The destination cannot be used.
    """
    rule = rule or Rule()
    check_rule(rule, poll_seconds)
    prometheus = Prometheus(prometheus_url)
    store = store or open_store(destination)
    version = _canary_of(store, destination)

    def change(how: Callable[[Labels], Labels]) -> Labels:
        return models_config.change_labels(
            store, destination.model_name, destination.served_path, how
        )

    def withdraw(reason: str, canary: Seen, stable: Seen) -> Outcome:
        return Outcome(version, False, reason, change(_withdrawn(version)), canary, stable)

    prometheus.value("vector(1)")
    if address is not None:
        wait_until_served(address, destination.model_name, version, timeout_seconds=timeout_seconds)
    began = clock()
    while True:
        left = began + rule.watch_seconds - clock()
        sleep(max(min(poll_seconds, left), 0.0))
        elapsed = clock() - began
        over = elapsed >= rule.watch_seconds
        try:
            canary, stable = (
                look(prometheus, destination.model_name, track, elapsed, namespace)
                for track in (CANARY, STABLE)
            )
        except PrometheusError as error:
            _LOG.warning("%s", error)
            if over:
                nothing = Seen(0, None, None)
                return withdraw(str(error), nothing, nothing)
            continue
        if _canary_of(store, destination) != version:
            raise ParameterError(_moved(destination, version))
        _LOG.info("canary %s, stable %s", canary, stable)
        worse = why_worse(rule, canary, stable)
        if worse and canary.requests >= rule.min_requests:
            return withdraw(worse, canary, stable)
        unseen = _too_few(rule, canary, stable)
        if over and unseen:
            return withdraw(unseen, canary, stable)
        if over:
            reason = f"Within the bounds for {rule.watch_seconds:g} s."
            labels = change(_promoted(destination, version))
            return Outcome(version, True, reason, labels, canary, stable)


def check_rule(rule: Rule, poll_seconds: float) -> None:
    """Checks a rule's numbers.

    Raises:
      ParameterError: One of them is out of its range.
    """
    if not rule.watch_seconds > 0 or not poll_seconds > 0:
        raise ParameterError(
            "`watch_seconds` and `poll_seconds` must be above 0. Received: "
            f"watch_seconds={rule.watch_seconds}, poll_seconds={poll_seconds}."
        )
    if not 0 <= rule.max_error_increase <= 1:
        raise ParameterError(
            "`max_error_increase` is a share, from 0 to 1. Received: "
            f"max_error_increase={rule.max_error_increase}."
        )
    if not rule.max_latency_ratio >= 1:
        raise ParameterError(
            "`max_latency_ratio` must be at least 1. Received: "
            f"max_latency_ratio={rule.max_latency_ratio}."
        )
    if rule.min_requests < 1:
        raise ParameterError(
            f"`min_requests` must be at least 1. Received: min_requests={rule.min_requests}."
        )


def look(
    prometheus: Prometheus, model_name: str, track: str, seconds: float, namespace: str | None
) -> Seen:
    """Asks what pods of a track did in the last seconds.

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
    return Seen(requests, errors / requests if requests else None, micros / 1e6 if micros else None)


def why_worse(rule: Rule, canary: Seen, stable: Seen) -> str:
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


def _too_few(rule: Rule, canary: Seen, stable: Seen) -> str:
    for track, seen in ((CANARY, canary), (STABLE, stable)):
        if seen.requests < rule.min_requests:
            return (
                f"{track} had {seen.requests:.0f} requests in {rule.watch_seconds:g} s, and "
                f"{rule.min_requests} are needed to compare."
            )
    return ""


def _canary_of(store: Store, destination: Destination) -> int:
    labels, _ = models_config.read_pins(store, destination.model_name)
    if CANARY not in labels:
        raise ParameterError(
            f"{destination.model_name} has no canary in {destination.url}/{models_config.KEY}. "
            "Push one in mode 'pinned' with label 'canary'."
        )
    if STABLE not in labels:
        raise ParameterError(
            f"{destination.model_name} has no stable version in "
            f"{destination.url}/{models_config.KEY} that a canary could be compared with. "
            "`tfx-shrink promote` without --watch makes it stable."
        )
    if labels[CANARY] == labels[STABLE]:
        raise ParameterError(
            f"Version {labels[CANARY]} of {destination.model_name} is canary and stable: there is "
            "nothing to watch. Push another canary."
        )
    return labels[CANARY]


def _promoted(destination: Destination, version: int) -> Callable[[Labels], Labels]:
    def change(labels: Labels) -> Labels:
        if labels.get(CANARY) != version:
            raise ParameterError(_moved(destination, version))
        return models_config.point(STABLE, version)(labels)

    return change


def _withdrawn(version: int) -> Callable[[Labels], Labels]:
    """Takes the label canary away from a version, if it still has it."""

    def change(labels: Labels) -> Labels:
        if labels.get(CANARY) != version:
            return labels
        return {label: number for label, number in labels.items() if label != CANARY}

    return change


def _moved(destination: Destination, version: int) -> str:
    return (
        f"The canary of {destination.model_name} was {version}, and is it no longer: somebody else "
        "moved the label. Watch again."
    )
