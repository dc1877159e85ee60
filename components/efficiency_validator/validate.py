"""Blesses a compressed model if it is small, fast and good enough, and reports all of it."""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf

from tfx_shrink import lineage
from tfx_shrink.delivery import deliver, require_new
from tfx_shrink.efficiency_validator import checks
from tfx_shrink.efficiency_validator.checks import Check
from tfx_shrink.efficiency_validator.comparison import Comparison, compare
from tfx_shrink.efficiency_validator.running import Rows
from tfx_shrink.efficiency_validator.servable import serving_problems
from tfx_shrink.efficiency_validator.settings import (
    Settings,
    Thresholds,
    check_settings,
    check_thresholds,
    require_any,
)
from tfx_shrink.efficiency_validator.stage import BASELINE, MODEL
from tfx_shrink.errors import ModelError
from tfx_shrink.examples.features import transform_graph_in
from tfx_shrink.examples.sample import sample_rows
from tfx_shrink.measure.machine import describe_machine
from tfx_shrink.report import HTML
from tfx_shrink.report.write import write_report


@dataclasses.dataclass(frozen=True)
class Validation:
    """What `validate` found.

    Attributes:
      blessed: Whether every check is met.
      checks: Every check, in order.
      report: The path of the HTML report; the JSON lies beside it.
    """

    blessed: bool
    checks: list[Check]
    report: str

    @property
    def reasons(self) -> list[str]:
        """Why it is not blessed, a sentence for each check that is not met."""
        return [str(check) for check in self.checks if check.verdict != checks.MET]


def validate(
    model_dir: str,
    baseline_dir: str,
    out_dir: str,
    *,
    examples: Sequence[str],
    thresholds: Thresholds,
    refused_before: Sequence[Check] = (),
    **parameters: Any,
) -> Validation:
    """Measures a model beside its baseline on the same rows and writes a report of it.

    Whatever is wrong with the model itself, such as a file that a server would not load, a crash or
    NaN, is a check that it does not meet. It answers and is timed in a process of its own, on the
    CPU, in the C++ session that TensorFlow Serving uses or in TFLite's interpreter.

    Example:
      ```python
      from tfx_shrink.efficiency_validator.settings import Thresholds
      from tfx_shrink.efficiency_validator.validate import validate

      found = validate(
          "model_int8",
          "model",
          "report",
          examples=["Split-eval/*"],
          thresholds=Thresholds(min_size_ratio=3.0, min_speedup=1.5, max_quality_drop=0.01),
          label_key="label",
      )
      print(found.blessed, found.reasons)
      ```

    Args:
      model_dir: The model, a SavedModel's directory or one with a TFLite file.
      baseline_dir: What it was made from, or is to be no worse than; either kind.
      out_dir: Directory to make for `report.html` and `report.json`. It must not exist or be empty.
      examples: Glob patterns of TFRecord files of tf.Examples that nothing was trained on.
      thresholds: What the model must reach; at least one.
      refused_before: Checks of others that the model did not meet. Defaults to none.
      **parameters: Those of `describe`.

    Returns:
      Whether it is blessed, why not, and where the report lies.

    Raises:
      ParameterError: No threshold is given, a parameter is out of its range, or `out_dir` is not
        empty.
      ModelError: There is no such directory, the baseline is no model or does not run, or it reads
        other features than the model.
      ExamplesError: There are no rows, or they lack what the models read, or the label.
      PublishError: `out_dir` cannot be written.
    """
    require_any(dataclasses.asdict(thresholds))
    return _report(
        model_dir, baseline_dir, out_dir, examples, thresholds, refused_before, **parameters
    )


def describe(
    model_dir: str,
    baseline_dir: str,
    out_dir: str,
    *,
    examples: Sequence[str],
    between: Mapping[str, str] | None = None,
    transform_graph: str | None = None,
    schema: str | None = None,
    evaluation: Sequence[Mapping[str, Any]] = (),
    make_pipeline: Callable[[], beam.Pipeline] = beam.Pipeline,
    temp_dir: str | None = None,
    **settings: Any,
) -> str:
    """Writes the same report without a verdict: nothing is asked of the model.

    Args:
      model_dir: As for `validate`.
      baseline_dir: As for `validate`.
      out_dir: As for `validate`.
      examples: As for `validate`.
      between: Models between the two, by name, in their order: measured and shown, not judged.
        Defaults to None.
      transform_graph: Transform's output directory, for raw rows. Defaults to None.
      schema: The rows' schema, a text proto file. Defaults to None.
      evaluation: What an Evaluator found, as `evaluation.results.read_metrics` returns it, to be
        shown. Defaults to nothing.
      make_pipeline: Makes the Beam pipeline that draws the rows. Defaults to the direct runner.
      temp_dir: A directory that the pipeline's workers can write to. Defaults to a local one.
      **settings: Attributes of `settings.Settings`, such as `label_key` and `batch_sizes`.

    Returns:
      The path of the HTML report.

    Raises:
      ShrinkError: As for `validate`.
    """
    return _report(
        model_dir,
        baseline_dir,
        out_dir,
        examples,
        Thresholds(),
        (),
        between=between,
        transform_graph=transform_graph,
        schema=schema,
        evaluation=evaluation,
        make_pipeline=make_pipeline,
        temp_dir=temp_dir,
        **settings,
    ).report


def _report(
    model_dir: str,
    baseline_dir: str,
    out_dir: str,
    examples: Sequence[str],
    thresholds: Thresholds,
    refused_before: Sequence[Check],
    *,
    between: Mapping[str, str] | None = None,
    transform_graph: str | None = None,
    schema: str | None = None,
    evaluation: Sequence[Mapping[str, Any]] = (),
    make_pipeline: Callable[[], beam.Pipeline] = beam.Pipeline,
    temp_dir: str | None = None,
    **parameters: Any,
) -> Validation:
    settings = Settings(**parameters)
    asked = dataclasses.asdict(thresholds)
    check_settings(settings, asked)
    check_thresholds(asked, settings.batch_sizes)
    require_new(out_dir, outside=[model_dir, baseline_dir])
    for directory in (model_dir, baseline_dir):
        if not tf.io.gfile.isdir(directory):
            raise ModelError(
                f"{directory} is not a directory. Give the one that the model lies in."
            )
    if transform_graph is not None:
        transform_graph_in(transform_graph)
    sample = sample_rows(
        examples,
        settings.num_examples,
        settings.seed,
        make_pipeline=make_pipeline,
        temp_dir=temp_dir,
    )
    rows = Rows(sample, transform_graph, schema)
    compared = compare(model_dir, baseline_dir, between or {}, rows, settings)
    found = [
        *refused_before,
        *_check_servable(model_dir, baseline_dir),
        *_check_compared(compared, thresholds, settings),
    ]
    blessed = all(check.verdict == checks.MET for check in found)
    facts = {
        # Nobody asked anything of a model that is only described.
        "blessed": blessed if any(value is not None for value in asked.values()) else None,
        "checks": [dataclasses.asdict(check) for check in found],
        **compared.as_facts(),
        "steps": lineage.read(model_dir),
        "evaluation": [dict(metric) for metric in evaluation],
        "thresholds": asked,
        "settings": dataclasses.asdict(settings),
        "machine": dataclasses.asdict(describe_machine()),
    }
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        write_report(facts, work)
        deliver(work, out_dir)
    return Validation(blessed, found, os.path.join(out_dir, HTML))


def _check_servable(model_dir: str, baseline_dir: str) -> list[Check]:
    required = "what TensorFlow Serving loads"
    problems = serving_problems(model_dir, baseline_dir)
    if not problems:
        return [Check("servable", checks.MET, required, "it is")]
    return [checks.failed_check("servable", required, problem) for problem in problems]


def _check_compared(
    compared: Comparison, thresholds: Thresholds, settings: Settings
) -> list[Check]:
    if compared.failure:
        failed = checks.failed_check("runs", "a model that runs", compared.failure)
        if not {MODEL, BASELINE} <= compared.stages.keys():
            return [failed]
        return [failed, *checks.check_files(compared.model, compared.baseline, thresholds)]
    runs = Check("runs", checks.MET, "a model that runs", "it does")
    return [
        runs,
        *checks.check_model(
            compared.model, compared.baseline, compared.drops, thresholds, settings
        ),
    ]
