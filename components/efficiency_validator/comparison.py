"""A model beside its baseline, and those in between: sizes, times, outputs and quality."""

import dataclasses
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfx_shrink.efficiency_validator.opened import Question, open_model
from tfx_shrink.efficiency_validator.rows import Judged, judge_rows, judged_output
from tfx_shrink.efficiency_validator.running import (
    CandidateError,
    Rows,
    find_questions,
    load_all,
    run_all,
)
from tfx_shrink.efficiency_validator.settings import Settings
from tfx_shrink.efficiency_validator.stage import BASELINE, MODEL, Stage
from tfx_shrink.errors import ProofError
from tfx_shrink.measure.difference import Histogram, difference_histogram, output_difference
from tfx_shrink.measure.metrics import Quality, two_classes
from tfx_shrink.measure.quality import Drop, quality, quality_drop
from tfx_shrink.measure.timing import Ran

Answers = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What was measured.

    Attributes:
      stages: The baseline, those in between, and the model, each as far as it could be measured.
      drops: By how much the model's quality lies below the baseline's: on all rows (`""`) and by
        slice.
      histogram: How the differences of the outputs are spread; None where there are none.
      failure: What the model could not do; empty if it runs.
      notes: What could not be measured of those in between, and why; how texts differ.
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
    rows: Rows,
    settings: Settings,
) -> Comparison:
    """Measures a model, its baseline, and those in between.

    Models are run in other processes only: one that crashes ends none of this one.

    Args:
      model_dir: The model.
      baseline_dir: The baseline.
      between: Those in between by name, in their order.
      rows: Rows to compare on.
      settings: How to measure.

    Returns:
      What was measured; what is wrong with the model itself is its `failure`.

    Raises:
      ModelError: The baseline does not run, or reads other features.
      ExamplesError: The rows lack what they read, or the label.
      ParameterError: The baseline does not take a batch size, or has no such output.
    """
    dirs = {BASELINE: baseline_dir, **between, MODEL: model_dir}
    # First, since it costs nothing.
    judged = judge_rows(
        rows.sample, settings, transform_graph=rows.transform_graph, schema=rows.schema
    )
    stages: dict[str, Stage] = {}
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        try:
            stages = load_all(dirs, work, settings, notes)
            opened = {name: open_model(dirs[name]) for name in stages}
            questions = find_questions(opened, rows, settings, notes)
            if judged.labels.size:
                judged_output(questions[MODEL].baseline.outputs, settings)
            ran = run_all(opened, questions, settings, work, notes)
        except CandidateError as error:
            return Comparison(stages, failure=str(error), notes=notes)
    stages = {
        name: stage.with_(timings={size: timed[name] for size, timed in ran.timings.items()})
        for name, stage in stages.items()
        if name in ran.answers
    }
    return _compare_answers(stages, questions, ran, judged, settings, notes)


def _compare_answers(
    stages: dict[str, Stage],
    questions: Mapping[str, Question],
    ran: Ran,
    judged: Judged,
    settings: Settings,
    notes: list[str],
) -> Comparison:
    drops: dict[str, Drop] = {}
    histogram = None
    # The model first: its rule of what is a logit holds for the others, too.
    names = sorted(questions, key=lambda name: name != MODEL)
    is_logit = None
    for name in names:
        expected, actual = _numbers(
            ran.answers[BASELINE], _named_alike(ran.answers[name], ran.answers[BASELINE]), notes
        )
        try:
            difference = output_difference(expected, actual) if expected else None
        except ProofError as error:
            if name == MODEL:
                return Comparison(stages, failure=str(error), notes=notes)
            notes.append(f"{name}: {error}")
            continue
        stages[name] = stages[name].with_(difference=difference)
        if name == MODEL and expected:
            histogram = difference_histogram(expected, actual)
        if not judged.labels.size:
            continue
        first, second = (judged.scores(answers, settings) for answers in (expected, actual))
        if settings.metric == "accuracy" and first[0].size == 1:
            is_logit = _are_logits(first, second) if is_logit is None else is_logit
            first, second = two_classes(first, is_logit), two_classes(second, is_logit)
        stages[name] = stages[name].with_(quality=_by_slice(settings, second, judged))
        if name == MODEL:
            stages[BASELINE] = stages[BASELINE].with_(quality=_by_slice(settings, first, judged))
            drops = {
                where: quality_drop(settings.metric, first[chosen], second[chosen], labels)
                for where, chosen, labels in judged.by_slice()
            }
    return Comparison(stages, drops, histogram, notes=notes)


def _by_slice(settings: Settings, scores: np.ndarray, judged: Judged) -> dict[str, Quality]:
    return {
        where: quality(settings.metric, scores[chosen], labels)
        for where, chosen, labels in judged.by_slice()
    }


def _are_logits(*scores: np.ndarray) -> bool:
    return any(values.min() < 0 or values.max() > 1 for values in scores)


def _numbers(expected: Answers, actual: Answers, notes: list[str]) -> tuple[Answers, Answers]:
    """The outputs without those that hold text; a note tells how often these differ."""
    texts = [name for name, values in expected.items() if values.dtype.kind in "OSU"]
    for name in texts:
        if name in actual and actual[name].shape == expected[name].shape:
            differ = (actual[name] != expected[name]).reshape(len(expected[name]), -1).any(axis=1)
            notes.append(f"Output {name!r} holds text; it differs in {int(differ.sum())} rows.")

    def without(answers: Answers) -> Answers:
        return {name: values for name, values in answers.items() if name not in texts}

    return without(expected), without(actual)


def _named_alike(actual: Answers, expected: Answers) -> Answers:
    """Gives a single output the baseline's name for it: call functions name theirs otherwise."""
    if len(actual) == len(expected) == 1:
        return dict(zip(expected, actual.values(), strict=True))
    return actual
