"""Reads from a run's outputs whether its model was blessed and pushed, and why not."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow_model_analysis as tfma


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of the model of a run.

    Attributes:
      blessed: Whether every Evaluator that ran blessed it.
      pushed: Whether it was published.
      destination: Where it was published, or None.
      version: Its version, or None.
      reason: Why it was not published; empty if it was.
    """

    blessed: bool
    pushed: bool
    destination: str | None
    version: str | None
    reason: str


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
                evaluation = made["evaluation"][0]
                missed.append(
                    f"{node} did not bless the model: {missed_thresholds(evaluation.uri)}"
                )
    pushes = [artifact for made in outputs.values() for artifact in made.get("pushed_model", [])]
    pushed = [push for push in pushes if push.get_int_custom_property("pushed") == 1]
    if pushed:
        return Verdict(
            blessed=not missed,
            pushed=True,
            destination=pushed[0].get_string_custom_property("pushed_destination"),
            version=pushed[0].get_string_custom_property("pushed_version"),
            reason="",
        )
    reason = "; ".join(missed) or "the pusher did not run"
    return Verdict(not missed, False, None, None, f"not pushed: {reason}")


def missed_thresholds(evaluation_uri: str) -> str:
    """Returns a line that names each missed threshold with required and measured value.

    Args:
      evaluation_uri: Where the stock Evaluator wrote its results.
    """
    result = tfma.load_validation_result(evaluation_uri)
    lines = []
    for by_slice in result.metric_validations_per_slice:
        where = ", ".join(
            f"{key.column}={key.bytes_value.decode() or key.int64_value or key.float_value}"
            for key in by_slice.slice_key.single_slice_keys
        )
        for failure in by_slice.failures:
            kind = failure.metric_threshold.WhichOneof("threshold")  # None: both, or change only.
            lines.append(
                f"{failure.metric_key.name}"
                + (" against the baseline" if failure.metric_key.is_diff else "")
                + (f" on {where}" if where else "")
                + f" was {_number(failure.metric_value)}; {_required(failure, kind)}"
            )
    return "; ".join(lines) or "no threshold could be checked"


def _number(value: Any) -> str:
    kind = value.WhichOneof("type")
    if kind is None:
        return "missing"
    number = getattr(value, kind)
    return f"{getattr(number, 'value', number):.4g}"


def _required(failure: Any, kind: str | None) -> str:
    threshold = failure.metric_threshold
    if failure.metric_key.is_diff:
        change = threshold.change_threshold
        return f"a change of at least {change.absolute.value:.4g} was required"
    bounds = threshold.value_threshold
    required = []
    if bounds.HasField("lower_bound"):
        required.append(f"at least {bounds.lower_bound.value:.4g}")
    if bounds.HasField("upper_bound"):
        required.append(f"at most {bounds.upper_bound.value:.4g}")
    return f"{' and '.join(required) or failure.message} was required"
