"""`scheme="auto"`: the smallest scheme whose quality holds."""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfx_shrink import lineage
from tfx_shrink.errors import ModelError, ShrinkError
from tfx_shrink.measure.metrics import METRICS
from tfx_shrink.proof.predictions import check_output, predict, read_labels
from tfx_shrink.proof.source import Source
from tfx_shrink.quantizer.made import Made
from tfx_shrink.quantizer.schemes import Scheme, get_scheme
from tfx_shrink.quantizer.settings import Search

Make = Callable[[Scheme, str], Made]


@dataclasses.dataclass(frozen=True)
class Found:
    """What the search took.

    Attributes:
      scheme: The scheme.
      made: What its maker returned, with every trial and the report among its facts.
      model_dir: Where the model lies.
    """

    scheme: Scheme
    made: Made
    model_dir: str


def search_scheme(
    source: Source, search: Search, report_rows: Sequence[bytes], make: Make, work_dir: str
) -> Found:
    """Tries the schemes of a ladder in order and takes the first whose metric drops little enough.

    Every scheme decides on the same rows, which calibrate nothing. A scheme that cannot be made
    counts as a trial, with its reason.

    Args:
      source: The model and its rows.
      search: What is looked for.
      report_rows: Other rows, of which no decision knows; the chosen model is reported on them.
      make: Makes one scheme into an empty directory.
      work_dir: A directory for the trials.

    Returns:
      The scheme that was taken.

    Raises:
      ModelError: None was good enough; the text lists all trials.
      ParameterError: No function of the model has the one output that the metric needs.
      ExamplesError: The label is missing or holds text.
    """
    metric, output = METRICS[search.metric], search.output_name
    check_output(source, output)
    rows = source.rows_to_prove_with
    labels = read_labels(source, rows, search.label_key)
    report_labels = read_labels(source, report_rows, search.label_key)
    deadline = time.monotonic() + search.time_limit
    baselines: dict[str, float] = {}
    trials: list[dict[str, Any]] = []
    for number, name in enumerate(search.ladder):
        if number >= search.max_trials or (number and time.monotonic() > deadline):
            break
        started = time.monotonic()
        trial: dict[str, Any] = {"scheme": name}
        trials.append(trial)
        model_dir = os.path.join(work_dir, name)
        os.makedirs(model_dir)
        try:
            made = make(get_scheme(name), model_dir)
        except ShrinkError as error:
            trial |= {"error": str(error), "seconds": time.monotonic() - started}
            continue
        function = made.facts["evaluated_signature"]
        if function not in baselines:
            baselines[function] = metric.compute(predict(source, rows, function, output), labels)
        value = metric.compute(predict(source, rows, function, output, model_dir), labels)
        drop = _drop(baselines[function], value, search)
        trial |= {
            "bytes": lineage.model_state(model_dir).bytes,
            search.metric: value,
            "drop": drop,
            "max_output_difference": made.difference.max,
            "seconds": time.monotonic() - started,
        }
        if drop <= search.max_drop:
            report = {
                "metric": search.metric,
                "rows": len(report_rows),
                "source": metric.compute(
                    predict(source, report_rows, function, output), report_labels
                ),
                "result": metric.compute(
                    predict(source, report_rows, function, output, model_dir), report_labels
                ),
            }
            facts = {
                **made.facts,
                "search": {
                    **dataclasses.asdict(search),
                    "rows": len(rows),
                    "source": baselines[function],
                    "trials": trials,
                    "report": report,
                },
            }
            return Found(get_scheme(name), Made(made.difference, facts), model_dir)
    tried = "".join(f"\n  {_line(trial, search.metric)}" for trial in trials)
    raise ModelError(
        f"No scheme of {list(search.ladder)} kept {search.metric} within max_drop="
        f"{search.max_drop} ({search.drop_type}):{tried}\nAllow a larger drop, more trials, or a "
        "longer ladder."
    )


def _drop(source: float, result: float, search: Search) -> float:
    worse = source - result if METRICS[search.metric].higher_is_better else result - source
    if search.drop_type == "absolute" or worse <= 0:
        return worse
    return worse / abs(source) if source else float("inf")


def describe_search(found: Mapping[str, Any]) -> str:
    """Returns the trials and the report of a search as text.

    Args:
      found: The record's `search`.
    """
    report = found["report"]
    lines = [f"  {_line(trial, found['metric'])}" for trial in found["trials"]]
    return "\n".join(
        [
            f"tried on {found['rows']} rows, where the source has {found['source']:.4f}:",
            *lines,
            f"on {report['rows']} other rows: {report['metric']} {report['source']:.4f} -> "
            f"{report['result']:.4f}",
        ]
    )


def _line(trial: Mapping[str, Any], metric: str) -> str:
    if "error" in trial:
        return f"{trial['scheme']}: {trial['error']}"
    return f"{trial['scheme']}: {metric} {trial[metric]:.4f}, drop {trial['drop']:.4f}"
