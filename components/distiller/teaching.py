"""Training a student, and for comparison the same one on hard labels alone."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
import tf_keras

from tfx_shrink.distiller.job import Job
from tfx_shrink.distiller.lessons import given_lessons, make_lessons
from tfx_shrink.distiller.objective import Lesson
from tfx_shrink.distiller.settings import CACHED, DEFAULT_EPOCHS
from tfx_shrink.distiller.student import Student
from tfx_shrink.distiller.teacher import OUTPUT, Teacher
from tfx_shrink.training.data import TrainingData
from tfx_shrink.training.early_stopping import StopEarly
from tfx_shrink.training.loop import train
from tfx_shrink.training.strategy import get_strategy

STUDENT, CONTROL = "student", "control"
_STEPS_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Places:
    """Where training leaves what.

    Attributes:
      soft_targets: Rows with the teacher's answers.
      checkpoints: The last epoch; None: nowhere.
      logs: TensorBoard's directory; None: nowhere.
    """

    soft_targets: str
    checkpoints: str | None
    logs: str | None


def teach_all(
    job: Job,
    build: Callable[[], Student],
    eval_examples: Sequence[str] | None,
    places: Places,
    make_pipeline: Callable[[], beam.Pipeline],
) -> tuple[dict[str, Student], dict[str, Any]]:
    """Trains the student and, where it is asked for, its control.

    Args:
      job: The teacher and its rows.
      build: Makes the student, with the same first weights each time.
      eval_examples: Glob patterns of rows that nobody trains on, or None.
      places: Where training leaves what.
      make_pipeline: Makes the Beam pipelines of the teacher's pass.

    Returns:
      The trained students, and what to write of each into the compression record, both by name.

    Raises:
      ExamplesError: The rows lack what the student reads.
      TrainingError: The loss or a weight is not finite.
    """
    settings, inputs = job.settings, build().inputs

    def lessons(patterns: Sequence[str], name: str) -> TrainingData:
        return make_lessons(
            job, inputs, patterns, os.path.join(places.soft_targets, name), make_pipeline
        )

    data = given_lessons(job, job.given) if job.given else lessons(job.examples, "train")
    eval_data = None
    if eval_examples and settings.patience is not None:
        eval_data = lessons(eval_examples, "eval")
    weights = {STUDENT: settings.alpha, **({CONTROL: 1.0} if settings.control else {})}
    students, facts = {}, {}
    for name, alpha in weights.items():
        students[name], facts[name] = _teach(
            job,
            build,
            data,
            eval_data,
            alpha,
            dataclasses.replace(
                places,
                checkpoints=places.checkpoints and os.path.join(places.checkpoints, name),
                logs=places.logs and os.path.join(places.logs, name),
            ),
        )
    return students, facts


def _teach(
    job: Job,
    build: Callable[[], Student],
    data: TrainingData,
    eval_data: TrainingData | None,
    alpha: float,
    places: Places,
) -> tuple[Student, dict[str, Any]]:
    settings = job.settings
    num_steps = settings.num_steps or (settings.epochs or DEFAULT_EPOCHS) * data.steps_per_epoch
    with get_strategy(settings.strategy).scope():
        student = build()
        shapes = {name: shape for name, shape in job.targets.targets.items() if name != OUTPUT}
        # Loaded here, where the strategy places its variables too.
        ask = None if settings.teacher_pass == CACHED else Teacher(job.teacher).answer
        lesson = Lesson(student.body, job.kind.task, settings, alpha, shapes, ask)
        lesson.compile(
            tf_keras.optimizers.Adam(settings.learning_rate),
            steps_per_execution=_steps_at_once(num_steps, data),
        )
        stop = None if eval_data is None else StopEarly(lesson, eval_data, settings.patience or 1)
    trained = train(
        lesson,
        data,
        num_steps,
        checkpoint_dir=places.checkpoints,
        log_dir=places.logs,
        callbacks=[stop] if stop else [],
        tracked=stop.tracked if stop else {},
        ended=lambda: stop is not None and stop.stopped,
    )
    if stop:
        stop.use_best(lesson)
    return student, {
        **dataclasses.asdict(trained),
        "early_stopping": stop.facts if stop else None,
    }


def _steps_at_once(num_steps: int, data: TrainingData) -> int:
    """How many steps Keras takes without a word to Python, whose loop costs as much as a student.

    One by one where training ends amid an epoch, since Keras counts executions there.
    """
    return 1 if num_steps % data.steps_per_epoch else _STEPS_AT_ONCE
