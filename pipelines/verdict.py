"""Reads from a run's outputs whether its model was blessed and pushed, and why not."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import tensorflow_model_analysis as tfma

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.versions import versions
from tfx_shrink.errors import PublishError
from tfx_shrink.evaluation.results import slice_name
from tfx_shrink.report import HTML


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of the model of a run.

    Attributes:
      blessed: Whether every Evaluator, and the EfficiencyValidator, that ran blessed it; None where
        none ran.
      pushed: Whether it is published.
      destination: Where it was published, or None.
      version: Its version, or None.
      reason: Why it is not published; empty if it is.
      report: Where the CompressionReport lies, or None.
      earlier: Whether an earlier run published it, whose result TFX's cache gave.
    """

    blessed: bool | None
    pushed: bool
    destination: str | None
    version: str | None
    reason: str
    report: str | None = None
    earlier: bool = False

    @property
    def summary(self) -> str:
        """One line for a person."""
        if not self.pushed:
            return self.reason
        if self.earlier:
            return f"nothing new, published by an earlier run: {self.destination}"
        judged = (
            "published, and nothing judged it" if self.blessed is None else "blessed and published"
        )
        return f"{judged}: {self.destination}"


def read_verdict(
    outputs: Mapping[str, Mapping[str, list[Any]]], started: float | None = None
) -> Verdict:
    """Reads the verdict.

    Args:
      outputs: `{node id: {output key: [artifacts]}}` of one run, as `latest_run_outputs` returns.
      started: When the run started, in seconds since 1970; what was made before came from the
        cache. Defaults to None: nobody knows.

    Returns:
      The verdict; its reason names every threshold that was missed.
    """
    missed, judged = [], False
    for node, made in outputs.items():
        for blessing in made.get("blessing", []):
            judged = True
            if blessing.get_int_custom_property("blessed") != 1:
                missed.append(f"{node} did not bless the model: {_reasons(blessing, made)}")
    reports = [artifact.uri for made in outputs.values() for artifact in made.get("report", [])]
    report = os.path.join(reports[-1], HTML) if reports else None
    pushes = [artifact for made in outputs.values() for artifact in made.get("pushed_model", [])]
    pushed = [push for push in pushes if push.get_int_custom_property("pushed") == 1]
    blessed = not missed if judged else None
    if pushed:
        destination = pushed[0].get_string_custom_property("pushed_destination")
        version = pushed[0].get_string_custom_property("pushed_version")
        made_at = pushed[0].mlmd_artifact.create_time_since_epoch / 1000
        earlier = started is not None and made_at < started
        if not earlier or _is_there(destination, version):
            return Verdict(blessed, True, destination, version, "", report, earlier)
        missed.append(
            f"an earlier run published {destination}, which is gone, and TFX's cache took that "
            "run's result. Run with `enable_cache=False`, or publish it by `tfx-shrink push`"
        )
    reason = "; ".join(missed) or "the pusher did not run"
    return Verdict(blessed, False, None, None, f"not pushed: {reason}", report)


def _is_there(destination: str, version: str) -> bool:
    root, model_name, _ = destination.rsplit("/", 2)
    try:
        found = versions(parse_destination(root, model_name))
    except PublishError:
        return True  # Nobody can say that it is gone.
    return any(str(item.version) == version and item.state != "incomplete" for item in found)


def _reasons(blessing: Any, made: Mapping[str, list[Any]]) -> str:
    if "evaluation" in made:
        return missed_thresholds(made["evaluation"][0].uri)
    return "; ".join(blessing.get_string_custom_property("reasons").splitlines())


def missed_thresholds(evaluation_uri: str) -> str:
    """Returns a line that names each missed threshold with required and measured value.

    Args:
      evaluation_uri: Where the stock Evaluator wrote its results.
    """
    result = tfma.load_validation_result(evaluation_uri)
    missed = [
        f"{failure.metric_key.name}{_where(by_slice.slice_key)} {_measured(failure)}, "
        f"required {_required(failure.metric_threshold)}"
        for by_slice in result.metric_validations_per_slice
        for failure in by_slice.failures
    ]
    missed += [f"no rows in slice {' '.join(str(key).split())}" for key in result.missing_slices]
    return "; ".join(missed) or "no threshold was checked"


def _where(slice_key: Any) -> str:
    name = slice_name(slice_key.single_slice_keys)
    return f" on {name}" if name else ""


def _measured(failure: Any) -> str:
    if not failure.HasField("metric_value"):
        return failure.message or "missing"
    kind = "changed by" if failure.metric_key.is_diff else "was"
    return f"{kind} {failure.metric_value.double_value.value:.4g}"


def _required(threshold: Any) -> str:
    if threshold.HasField("change_threshold"):
        change = threshold.change_threshold
        side = (
            "at least" if change.direction == tfma.MetricDirection.HIGHER_IS_BETTER else "at most"
        )
        return " and ".join(
            f"{side} {bound.value:.4g}{' of the baseline' if name == 'relative' else ''}"
            for name in ("absolute", "relative")
            for bound in [getattr(change, name)]
            if change.HasField(name)
        )
    value = threshold.value_threshold
    return " and ".join(
        f"{side} {getattr(value, name).value:.4g}"
        for name, side in (("lower_bound", "at least"), ("upper_bound", "at most"))
        if value.HasField(name)
    )
