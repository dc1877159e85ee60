"""A model beside its baseline, and those in between: sizes, times, outputs and quality."""

import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfx_shrink.efficiency_validator.opened import (
    OpenedModel,
    Question,
    as_served,
    ask,
    open_model,
    same_question,
    takes,
)
from tfx_shrink.efficiency_validator.rows import Judged, judge_rows
from tfx_shrink.efficiency_validator.settings import Settings
from tfx_shrink.efficiency_validator.stage import Stage, load_alone, weigh
from tfx_shrink.errors import ModelError, ParameterError, ProofError
from tfx_shrink.examples.sample import Sample
from tfx_shrink.measure.difference import Histogram, difference_histogram, output_difference
from tfx_shrink.measure.quality import Drop, quality, quality_drop
from tfx_shrink.measure.runtime import ServedModel
from tfx_shrink.measure.timing import Timing, measure_timings

BASELINE, MODEL = "baseline", "model"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What was measured.

    Attributes:
      stages: The baseline, those in between, and the model, each as far as it could be measured.
      drops: By how much the model's quality lies below the baseline's: on all rows (`""`) and by
        slice.
      histogram: How the differences of the outputs are spread; None where there are none.
      failure: What the model could not do; empty if it runs.
      notes: What could not be measured of those in between, and why.
    """

    stages: dict[str, Stage]
    drops: dict[str, Drop] = dataclasses.field(default_factory=dict)
    histogram: Histogram | None = None
    failure: str = ""
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def model(self) -> Stage:
        """The model that is judged."""
        return self.stages[MODEL]

    @property
    def baseline(self) -> Stage:
        """What it is compared with."""
        return self.stages[BASELINE]

    def as_facts(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        return {
            "stages": [dataclasses.asdict(stage) for stage in self.stages.values()],
            "drops": {name: dataclasses.asdict(drop) for name, drop in self.drops.items()},
            "histogram": None if self.histogram is None else dataclasses.asdict(self.histogram),
            "failure": self.failure,
            "notes": self.notes,
        }


def compare(
    model_dir: str,
    baseline_dir: str,
    between: Mapping[str, str],
    sample: Sample,
    settings: Settings,
    *,
    transform_graph: str | None,
    schema: str | None,
) -> Comparison:
    """Measures a model, its baseline, and those in between.

    Args:
      model_dir: The model.
      baseline_dir: The baseline.
      between: Those in between by name, in their order.
      sample: Rows to compare on.
      settings: How to measure.
      transform_graph: Transform's output directory, or None.
      schema: The rows' schema file, or None.

    Returns:
      What was measured; what is wrong with the model itself is its `failure`.

    Raises:
      ModelError: The baseline does not run, or reads other features.
      ExamplesError: The rows lack what they read, or the label.
      ParameterError: A batch size, or the output, is none of the models'.
    """
    dirs = {BASELINE: baseline_dir, **between, MODEL: model_dir}
    stages: dict[str, Stage] = {}
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        for name in sorted(dirs, key=lambda name: name != MODEL):
            directory = dirs[name]
            try:
                # First, since a damaged file may end the process that reads it.
                loading = load_alone(
                    directory, os.path.join(work, f"load-{name}"), settings.time_limit
                )
                stage = weigh(name, directory, strip=name == BASELINE)
            except ModelError as error:
                if name == BASELINE:
                    raise
                if name == MODEL:
                    return Comparison(stages, failure=str(error), notes=notes)
                notes.append(f"{name}: {error}")
                continue
            stages[name] = stage.with_(loading=loading)
        stages = {name: stages[name] for name in dirs if name in stages}
        opened = {name: open_model(dirs[name]) for name in stages}
        questions = _questions(opened, sample, notes, transform_graph, schema)
        stages = {name: stages[name] for name in stages if name in questions or name == BASELINE}
        try:
            timings = _time(opened, questions, settings, work)
        except ModelError as error:
            return Comparison(stages, failure=str(error), notes=notes)
    for name in stages:
        stages[name] = stages[name].with_(
            timings={size: by_name[name] for size, by_name in timings.items()}
        )
    judged = judge_rows(sample, settings, transform_graph=transform_graph, schema=schema)
    return _compare_answers(stages, questions, judged, settings, notes)


def _questions(
    opened: Mapping[str, OpenedModel],
    sample: Sample,
    notes: list[str],
    transform_graph: str | None,
    schema: str | None,
) -> dict[str, Question]:
    def find(name: str, prefer: str | None) -> Question:
        return same_question(
            opened[name],
            opened[BASELINE],
            sample,
            transform_graph=transform_graph,
            schema=schema,
            prefer=prefer,
        )

    asked = find(MODEL, None)
    questions = {}
    for name in opened:
        if name in (BASELINE, MODEL):
            continue
        try:
            questions[name] = find(name, asked.baseline.name)
        except ModelError as error:
            notes.append(f"{name}: {error}")
    return {**questions, MODEL: asked}


def _time(
    opened: Mapping[str, OpenedModel],
    questions: Mapping[str, Question],
    settings: Settings,
    work: str,
) -> dict[int, dict[str, Timing]]:
    functions = {
        BASELINE: questions[MODEL].baseline,
        **{name: question.model for name, question in questions.items()},
    }
    for name in (BASELINE, MODEL):
        if wrong := [size for size in settings.batch_sizes if not takes(functions[name], size)]:
            raise ParameterError(
                f"The {name} takes no batches of {wrong} rows: its batch size is fixed. Received: "
                f"batch_sizes={list(settings.batch_sizes)}."
            )
    served: dict[str, ServedModel] = {}
    for name, function in functions.items():
        directory = os.path.join(work, f"serve-{len(served)}")
        os.makedirs(directory)
        served[name] = as_served(opened[name], function, directory)
    rows = {
        name: values for question in questions.values() for name, values in question.rows.items()
    }

    def measure(names: Sequence[str], rounds: int) -> dict[int, dict[str, Timing]]:
        return measure_timings(
            {name: served[name] for name in names},
            rows,
            batch_sizes=settings.batch_sizes,
            threads=settings.threads,
            rounds=rounds,
            seed=settings.seed,
            time_limit=settings.time_limit,
        )

    try:
        return measure(list(served), settings.rounds)
    except ModelError as error:
        try:
            measure([BASELINE], 1)
        except ModelError as own:
            raise ParameterError(f"The baseline does not run: {own}") from error
        raise


def _compare_answers(
    stages: dict[str, Stage],
    questions: Mapping[str, Question],
    judged: Judged,
    settings: Settings,
    notes: list[str],
) -> Comparison:
    drops: dict[str, Drop] = {}
    histogram = None
    for name, question in questions.items():
        expected = ask(question.baseline, question.rows)
        actual = _named_alike(ask(question.model, question.rows), expected)
        try:
            difference = output_difference(expected, actual)
        except ProofError as error:
            if name == MODEL:
                return Comparison(stages, failure=str(error), notes=notes)
            notes.append(f"{name}: {error}")
            continue
        stages[name] = stages[name].with_(difference=difference)
        if name == MODEL:
            histogram = difference_histogram(expected, actual)
        if not judged.labels.size:
            continue
        first, second = (judged.scores(answers, settings) for answers in (expected, actual))
        stages[name] = stages[name].with_(quality=_by_slice(settings, second, judged))
        if name == MODEL:
            stages[BASELINE] = stages[BASELINE].with_(quality=_by_slice(settings, first, judged))
            drops = {
                where: quality_drop(settings.metric, first[rows], second[rows], judged.labels[rows])
                for where, rows in judged.slices.items()
            }
    return Comparison(stages, drops, histogram, notes=notes)


def _by_slice(settings: Settings, scores: np.ndarray, judged: Judged) -> dict[str, Any]:
    return {
        where: quality(settings.metric, scores[rows], judged.labels[rows])
        for where, rows in judged.slices.items()
    }


def _named_alike(
    actual: dict[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Gives a single output the baseline's name for it: call functions name theirs otherwise."""
    if len(actual) == len(expected) == 1:
        return dict(zip(expected, actual.values(), strict=True))
    return actual
