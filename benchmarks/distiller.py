"""Measures what distilling gives and costs, over handwritten digits.

Quality: with five seeds the digits pipeline's network is trained, and a student with less than a
twentieth of its weights is distilled from it; the control is the same student, trained on hard
labels alone for as many steps. All three see as many epochs: a teacher that was trained for less
holds its student back. Once all rows have a label, once 150 of 1,257. The unit is the
seed: a difference is the mean over the seeds of accuracy on the same 540 rows, and its interval is
Student's t interval of the five differences. With all labels the mean is tested; with few, the
lower end of the interval too.

Cost: 50,000 rows, made of the digits by seeded shifts and noise, and eight epochs. The teacher's
pass and training as `distill` does them, Beam included, run between two runs of the loop of the
public Keras example, in which the teacher sees every batch of every epoch. Both read the same file,
with the same batches, student and settings. `distill` is called as a whole; of it the time counts
from the first moment of the pass to the last one of training. The rest (a sample of rows, the
proof, sizes, saving) does not grow with rows or epochs and is printed apart, as "fixed".

The teacher's share of the loop, t, is measured in the same run: the same loop without a teacher
runs between the two with one. With e epochs a teacher that is asked once can save at most
1 / (t / e + 1 - t). `distill` is compared with the mean of the loop's two runs, and the second of
them over the first is the noise floor.

Exits with 1, naming the figure, where a limit below is missed.

    .venv/bin/python benchmarks/distiller.py
"""

import concurrent.futures
import dataclasses
import logging
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import apache_beam as beam
import digits
import numpy as np
import tensorflow as tf
import tf_keras
from digits_teachers import (
    HEAVY,
    LIGHT,
    TEACHERS,
    build_student,
    multiplied,
    save_teacher,
    split,
)
from examples import write_rows
from keras_loop import Loop, Spent, now
from limits import check
from scipy import stats
from tables import print_table

from tfx_shrink.distiller.distill import distill
from tfx_shrink.measure.machine import describe_machine
from tfx_shrink.pipelines.digits.data import LABEL
from tfx_shrink.pipelines.digits.preprocessing import IMAGE

logging.disable(logging.WARNING)

PARAMETERS_LIMIT = 1 / 20
TEACHER_LIMIT = -0.01
ALL_LABELS_LIMIT, FEW_LABELS_LIMIT = -0.005, 0.0
HEAVY_SHARE, HEAVY_LIMIT, LIMIT_SHARE = 0.85, 3.0, 0.8
QUALITY_TOLERANCE = 0.01

SEEDS = (1, 2, 3, 4, 5)
FEW = 150
QUALITY = {"epochs": 40, "temperature": 4.0, "learning_rate": 3e-3, "batch_size": 32}
ROWS, TEST_ROWS, EPOCHS, BATCH = 50_000, 5_400, 8, 128
ALPHA, TEMPERATURE, LEARNING_RATE = 0.1, 4.0, 3e-3
ALL, SOME = "all rows", f"{FEW} rows"


@dataclasses.dataclass(frozen=True)
class Quality:
    """Accuracies of one seed on rows that nobody trained on."""

    teacher: float
    student: float
    control: float
    parameters: float


@dataclasses.dataclass(frozen=True)
class Cost:
    """One teacher's times over one set of rows.

    Attributes:
      parameters: The teacher's weights.
      teacher: The teacher's accuracy.
      in_step: What the Keras loop took, before ours and after it.
      unasked: What it took without a teacher.
      ours: What pass and training took.
      fixed: What the rest of `distill` took.
      in_step_accuracy: The mean of the loop's two students.
      our_accuracy: That of our student.
    """

    parameters: int
    teacher: float
    in_step: tuple[Spent, Spent]
    unasked: Spent
    ours: Spent
    fixed: Spent
    in_step_accuracy: float
    our_accuracy: float


def make_quality(seed: int, root: str) -> dict[str, Quality]:
    """Distills with one seed, with all labels and with few."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    train, test = split()
    teacher = os.path.join(root, "teacher")
    save_teacher(LIGHT, seed, train, QUALITY["epochs"], teacher)
    write_rows(os.path.join(root, "test", "rows"), test)
    write_rows(os.path.join(root, ALL, "rows"), train)
    # Other rows have a label with every seed; the others lack the feature.
    order = np.random.RandomState(seed).permutation(len(train[LABEL]))
    few, others = order[:FEW], order[FEW:]
    write_rows(os.path.join(root, SOME, "few"), {key: train[key][few] for key in train})
    write_rows(os.path.join(root, SOME, "others"), {IMAGE: train[IMAGE][others]})
    made = {}
    for labels in (ALL, SOME):
        done = distill(
            teacher,
            os.path.join(root, f"student of {labels}"),
            student=build_student,
            examples=[os.path.join(root, labels, "*")],
            eval_examples=[os.path.join(root, "test", "*")],
            user_functions={"signatures_fn": lambda model, _: digits.make_signatures(model)},
            label_key=LABEL,
            control=True,
            seed=seed,
            **QUALITY,
        )
        made[labels] = Quality(
            **{name: done.quality[name] for name in ("teacher", "student", "control")},
            parameters=done.student_parameters / done.teacher_parameters,
        )
    return made


def make_cost(teacher_dir: str, rows: str, test: dict[str, np.ndarray], out_dir: str) -> Cost:
    """Distills both ways in turns."""
    teacher = tf_keras.models.load_model(teacher_dir, compile=False)
    loop = Loop(build_student, rows, BATCH, LEARNING_RATE, ALPHA, TEMPERATURE, seed=1)
    before, took_before = loop.teach(teacher, EPOCHS)
    _, unasked = loop.teach(None, EPOCHS)
    taught, fixed = distill_timed(teacher_dir, out_dir, rows)
    after, took_after = loop.teach(teacher, EPOCHS)
    return Cost(
        parameters=teacher.count_params(),
        teacher=accuracy(teacher, test),
        in_step=(took_before, took_after),
        unasked=unasked,
        ours=taught,
        fixed=fixed,
        in_step_accuracy=(accuracy(before, test) + accuracy(after, test)) / 2,
        our_accuracy=accuracy(tf_keras.models.load_model(out_dir, compile=False), test),
    )


def distill_timed(teacher_dir: str, out: str, rows: str) -> tuple[Spent, Spent]:
    """Distills; returns what pass and training took, and the rest."""
    passes, builds = [], []

    def make_pipeline() -> beam.Pipeline:
        passes.append(now())
        return beam.Pipeline()

    def signatures_fn(model: tf_keras.Model, _: Any) -> Any:
        builds.append(now())
        return digits.make_signatures(model)

    start = now()
    distill(
        teacher_dir,
        out,
        student=build_student,
        examples=[rows],
        user_functions={"signatures_fn": signatures_fn},
        make_pipeline=make_pipeline,
        label_key=LABEL,
        epochs=EPOCHS,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        alpha=ALPHA,
        temperature=TEMPERATURE,
        seed=1,
    )
    whole = now() - start
    # The last pipeline is the teacher's pass; the last signatures are those of the trained student.
    taught = builds[-1] - passes[-1]
    return taught, whole - taught


def accuracy(model: tf_keras.Model, test: dict[str, np.ndarray]) -> float:
    """Returns which share of rows a model answers as their labels say."""
    answers = model.predict(test[IMAGE], batch_size=len(test[LABEL]), verbose=0)
    return float((answers.argmax(axis=1) == test[LABEL]).mean())


def t_interval(values: np.ndarray) -> tuple[float, float]:
    """Returns a mean, and half of its 95 % interval."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(stats.t.ppf(0.975, len(values) - 1) * error)


def report_quality(made: Sequence[dict[str, Quality]], missed: list[str]) -> None:
    """Prints the accuracies; adds what misses its limit."""
    lines = []
    for labels, limit in ((ALL, ALL_LABELS_LIMIT), (SOME, FEW_LABELS_LIMIT)):
        found = {
            name: np.array([getattr(one[labels], name) for one in made])
            for name in ("teacher", "student", "control", "parameters")
        }
        from_teacher, teacher_half = t_interval(found["student"] - found["teacher"])
        from_control, control_half = t_interval(found["student"] - found["control"])
        lines.append(
            [
                labels,
                *(f"{found[name].mean():.4f}" for name in ("teacher", "student", "control")),
                f"{100 * from_teacher:+.2f} ± {100 * teacher_half:.2f}",
                f"{100 * from_control:+.2f} ± {100 * control_half:.2f}",
                f"1/{1 / found['parameters'].max():.1f}",
            ]
        )
        name = f"labels of {labels}: student"
        parameters = found["parameters"].max()
        check(missed, f"{name}'s weights over teacher's", parameters, most=PARAMETERS_LIMIT)
        check(missed, f"{name} minus control", from_control, least=limit)
        if labels == ALL:
            check(missed, f"{name} minus teacher", from_teacher, least=TEACHER_LIMIT)
        else:
            # Above the limit, not on it.
            lowest = from_control - control_half
            above = np.nextafter(limit, 1)
            check(missed, f"{name} minus control, lower end", lowest, least=above)
    print(
        f"Quality: mean over {len(made)} seeds on {digits.TEST_ROWS} test rows; points ± half of "
        "the 95 % t interval over the seeds"
    )
    head = ["labels", "teacher", "student", "control", "student - teacher", "student - control"]
    print_table([*head, "weights"], lines)


def report_cost(name: str, cost: Cost, missed: list[str] | None) -> list[str]:
    """Returns the line of one teacher; adds what misses its limit, where there is one."""
    first, second = cost.in_step
    columns = []
    for unit in ("wall", "cpu"):
        runs = [getattr(first, unit), getattr(second, unit)]
        in_step, ours = sum(runs) / 2, getattr(cost.ours, unit)
        share = 1 - getattr(cost.unasked, unit) / in_step
        faster, limit = in_step / ours, 1 / (share / EPOCHS + 1 - share)
        columns += [
            *(f"{share:.3f}", f"{in_step:.1f}", f"{ours:.1f}", f"{faster:.2f} x"),
            *(f"{limit:.2f} x", f"{faster / limit:.0%}", f"{runs[1] / runs[0]:.3f}"),
        ]
        if missed is not None:
            if name == HEAVY:
                check(missed, f"{name}: the teacher's share, {unit}", share, least=HEAVY_SHARE)
                check(missed, f"{name}: less {unit} time by", faster, least=HEAVY_LIMIT)
            text = f"{name}: less {unit} time by, of its limit"
            check(missed, text, faster / limit, least=LIMIT_SHARE)
    apart = abs(cost.in_step_accuracy - cost.our_accuracy)
    if missed is not None:
        check(missed, f"{name}: accuracies apart", apart, most=QUALITY_TOLERANCE)
    return [
        name,
        f"{cost.parameters:,}",
        *columns,
        f"{cost.fixed.wall:.1f}",
        *(f"{share:.4f}" for share in (cost.teacher, cost.in_step_accuracy, cost.our_accuracy)),
    ]


def print_costs(title: str, lines: list[list[str]]) -> None:
    """Prints the table of one set of rows."""
    print(f"{title}; {EPOCHS} epochs of batches of {BATCH}; seconds")
    times = ["in step", "distill", "less", "limit", "of limit", "noise floor"]
    head = ["teacher", "weights", "wall: t", *times, "CPU: t", *times, "fixed"]
    print_table([*head, "accuracy: teacher", "in step", "distill"], lines)


def main() -> None:
    """Measures, prints the tables and checks the limits."""
    missed: list[str] = []
    # A teacher that takes both cores at once would leave none to read rows with.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as pool:
            roots = [os.path.join(work, str(seed)) for seed in SEEDS]
            report_quality(list(pool.map(make_quality, SEEDS, roots)), missed)
        train, test = split()
        many, many_tests = multiplied(train, ROWS), multiplied(test, TEST_ROWS)
        few_rows, many_rows = (os.path.join(work, name, "rows") for name in ("few", "many"))
        write_rows(few_rows, train)
        write_rows(many_rows, many)
        some = {key: values[:10_000] for key, values in many.items()}
        lines: dict[str, list[list[str]]] = {many_rows: [], few_rows: []}
        for kind in TEACHERS:
            teacher = os.path.join(work, kind)
            save_teacher(kind, 1, some, 1, teacher)
            for rows, tested in ((many_rows, many_tests), (few_rows, test)):
                out = os.path.join(f"{rows}-{kind}", "student")
                cost = make_cost(teacher, rows, tested, out)
                judged = missed if rows == many_rows else None
                lines[rows].append(report_cost(kind, cost, judged))
        print_costs(f"Cost: {ROWS:,} rows", lines[many_rows])
        print_costs(f"Digits as they are: {len(train[LABEL]):,} rows", lines[few_rows])
    print(describe_machine())
    if missed:
        sys.exit("\n".join(["Missed:", *missed]))
    print("Every limit is held.")


if __name__ == "__main__":
    main()
