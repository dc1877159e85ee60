"""Watches a canary, promotes it where it is as good as what is served, and else takes it back."""

import dataclasses
import logging
import time
from collections.abc import Callable
from typing import Any

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.models_config import Labels
from tfx_shrink.bucket_pusher.settings import CANARY, STABLE
from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.errors import ParameterError, PrometheusError
from tfx_shrink.serving.canary_rule import Rule, Traffic, check_rule, look, too_few, why_worse
from tfx_shrink.serving.prometheus import Prometheus
from tfx_shrink.serving.wait import wait_until_served

_LOG = logging.getLogger(__name__)


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
    canary: Traffic
    stable: Traffic


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

    def withdraw(reason: str, canary: Traffic, stable: Traffic) -> Outcome:
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
                nothing = Traffic(0, None, None)
                return withdraw(str(error), nothing, nothing)
            continue
        if _canary_of(store, destination) != version:
            raise ParameterError(_moved(destination, version))
        _LOG.info("canary %s, stable %s", canary, stable)
        worse = why_worse(rule, canary, stable)
        if worse and canary.requests >= rule.min_requests:
            return withdraw(worse, canary, stable)
        unseen = too_few(rule, canary, stable)
        if over and unseen:
            return withdraw(unseen, canary, stable)
        if over:
            reason = f"Within the bounds for {rule.watch_seconds:g} s."
            labels = change(_promoted(destination, version))
            return Outcome(version, True, reason, labels, canary, stable)


def _canary_of(store: Store, destination: Destination) -> int:
    labels, _ = models_config.read_pins(store, destination.model_name)
    called = f"{destination.model_name} in {destination.url}/{models_config.KEY}"
    version = models_config.canary_of(labels, called)
    if STABLE not in labels:
        raise ParameterError(
            f"{called} has no stable version that a canary could be compared with. "
            "`tfx-shrink promote` without --watch makes it stable."
        )
    if version == labels[STABLE]:
        raise ParameterError(
            f"Version {version} of {destination.model_name} is canary and stable: there is "
            "nothing to watch. Push another canary."
        )
    return version


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
