"""Reads from a run's outputs whether its model was blessed and pushed, and why not."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import tensorflow_model_analysis as tfma

from tfx_shrink.evaluation.results import slice_name
from tfx_shrink.report import HTML


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of the model of a run.

    Attributes:
      blessed: Whether every Evaluator, and the EfficiencyValidator, that ran blessed it.
      pushed: Whether it was published.
      destination: Where it was published, or None.
      version: Its version, or None.
      reason: Why it was not published; empty if it was.
      report: Where the CompressionReport lies, or None.
    """

    blessed: bool
    pushed: bool
    destination: str | None
    version: str | None
    reason: str
    report: str | None = None


def read_verdict(outputs: Mapping[str, Mapping[str, list[Any]]]) -> Verdict:
    """Reads the verdict.

    Args:
      outputs: `{node id: {output key: [artifacts]}}` of one run, as `latest_run_outputs` returns.

    Returns:
      The verdict; its reason names every threshold that was missed.
    """
    missed = []
    for node, made in outputs.items():
        for blessing in made.get("blessing", []):
            if blessing.get_int_custom_property("blessed") != 1:
                missed.append(f"{node} did not bless the model: {_reasons(blessing, made)}")
    reports = [artifact.uri for made in outputs.values() for artifact in made.get("report", [])]
    report = os.path.join(reports[-1], HTML) if reports else None
    pushes = [artifact for made in outputs.values() for artifact in made.get("pushed_model", [])]
    pushed = [push for push in pushes if push.get_int_custom_property("pushed") == 1]
    if pushed:
        return Verdict(
            blessed=not missed,
            pushed=True,
            destination=pushed[0].get_string_custom_property("pushed_destination"),
            version=pushed[0].get_string_custom_property("pushed_version"),
            reason="",
            report=report,
        )
    reason = "; ".join(missed) or "the pusher did not run"
    return Verdict(not missed, False, None, None, f"not pushed: {reason}", report)


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
