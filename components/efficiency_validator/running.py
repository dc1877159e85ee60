"""Loads models, each in a process of its own, and runs them side by side in another."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

from tfx_shrink.efficiency_validator.opened import (
    OpenedModel,
    Question,
    as_served,
    same_question,
    takes,
)
from tfx_shrink.efficiency_validator.settings import Settings
from tfx_shrink.efficiency_validator.stage import BASELINE, MODEL, Stage, load_alone, weigh
from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.examples.sample import Sample
from tfx_shrink.measure.timing import Ran, run_models
from tfx_shrink.saved_model.functions import ServedFunction


class CandidateError(ModelError):
    """What the model that is judged could not do; it is a verdict and ends no component."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows, and what decodes them.

    Attributes:
      sample: The rows.
      transform_graph: Transform's output directory, or None.
      schema: The rows' schema file, or None.
    """

    sample: Sample
    transform_graph: str | None
    schema: str | None


def load_all(
    dirs: Mapping[str, str], work: str, settings: Settings, notes: list[str]
) -> dict[str, Stage]:
    """Loads each model in a process of its own, and weighs it.

    Args:
      dirs: Models by name, the baseline first and the model last.
      work: A local directory.
      settings: How to measure.
      notes: Gets what went wrong with those in between.

    Returns:
      The stages that load, in the order of `dirs`.

    Raises:
      CandidateError: The model does not load.
      ModelError: The baseline does not.
    """
    stages = {}
    # The model first, since a failure of it ends everything.
    for name in sorted(dirs, key=lambda name: name != MODEL):
        directory = dirs[name]
        try:
            # Before it is read here: a damaged file may end the process that reads it.
            loading = load_alone(directory, os.path.join(work, f"load-{name}"), settings.time_limit)
            stages[name] = weigh(name, directory, strip=name == BASELINE).with_(loading=loading)
        except ModelError as error:
            if name == BASELINE:
                raise
            if name == MODEL:
                raise CandidateError(str(error)) from error
            notes.append(f"{name}: {error}")
    return {name: stages[name] for name in dirs if name in stages}


def find_questions(
    opened: Mapping[str, OpenedModel], rows: Rows, settings: Settings, notes: list[str]
) -> dict[str, Question]:
    """Finds what each model and the baseline can both be asked.

    Args:
      opened: Models by name.
      rows: Rows to ask.
      settings: With the batch sizes that are to be timed.
      notes: Gets why those in between cannot be asked.

    Returns:
      Questions by model, those in between first; those that cannot be asked have none.

    Raises:
      CandidateError: The model takes no batches of the sizes that are to be timed.
      ModelError: The model reads other features than the baseline.
      ParameterError: The baseline takes no batches of those sizes.
      ExamplesError: The rows lack what they read.
    """

    def find(name: str, prefer: str | None) -> Question:
        return same_question(
            opened[name],
            opened[BASELINE],
            rows.sample,
            transform_graph=rows.transform_graph,
            schema=rows.schema,
            prefer=prefer,
        )

    asked = find(MODEL, None)
    if wrong := _sizes_not_taken(asked.baseline, settings):
        raise ParameterError(_fixed(BASELINE, wrong, settings))
    if wrong := _sizes_not_taken(asked.model, settings):
        raise CandidateError(_fixed(MODEL, wrong, settings))
    questions = {}
    for name in opened:
        if name in (BASELINE, MODEL):
            continue
        try:
            question = find(name, asked.baseline.name)
        except ModelError as error:
            notes.append(f"{name}: {error}")
            continue
        if wrong := _sizes_not_taken(question.model, settings):
            notes.append(_fixed(name, wrong, settings))
            continue
        questions[name] = question
    return {**questions, MODEL: asked}


def run_all(
    opened: Mapping[str, OpenedModel],
    questions: dict[str, Question],
    settings: Settings,
    work: str,
    notes: list[str],
) -> Ran:
    """Asks all models all rows and times them, in one process; those in between may drop out.

    Args:
      opened: Models by name.
      questions: What each is asked; those that drop out are removed.
      settings: How to measure.
      work: A local directory.
      notes: Gets who dropped out.

    Returns:
      Answers and times, the baseline's too.

    Raises:
      CandidateError: The model does not run.
      ModelError: The baseline does not.
    """
    functions = {
        BASELINE: questions[MODEL].baseline,
        **{name: question.model for name, question in questions.items()},
    }
    served = {}
    for number, (name, function) in enumerate(functions.items()):
        directory = os.path.join(work, f"serve-{number}")
        os.makedirs(directory)
        served[name] = as_served(opened[name], function, directory)
    rows = {
        name: values for question in questions.values() for name, values in question.rows.items()
    }

    def run(names: Sequence[str], rounds: int) -> Ran:
        return run_models(
            {name: served[name] for name in names},
            rows,
            batch_sizes=settings.batch_sizes,
            threads=settings.threads,
            rounds=rounds,
            seed=settings.seed,
            time_limit=settings.time_limit,
        )

    try:
        return run(list(served), settings.rounds)
    except ModelError as error:
        # One process runs them all; which of them it was, others tell.
        try:
            run([BASELINE], 1)
        except ModelError as own:
            raise ModelError(f"The baseline does not run: {own}") from error
        try:
            run([BASELINE, MODEL], 1)
        except ModelError as own:
            raise CandidateError(str(own)) from error
    between = [name for name in served if name not in (BASELINE, MODEL)]
    if between:
        notes.append(f"{', '.join(between)}: one of them does not run beside the others.")
    for name in between:
        del questions[name]
    return run([BASELINE, MODEL], settings.rounds)


def _sizes_not_taken(function: ServedFunction, settings: Settings) -> list[int]:
    return [size for size in settings.batch_sizes if not takes(function, size)]


def _fixed(name: str, wrong: list[int], settings: Settings) -> str:
    return (
        f"The {name} takes no batches of {wrong} rows: its batch size is fixed. Received: "
        f"batch_sizes={list(settings.batch_sizes)}."
    )
