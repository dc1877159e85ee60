"""Measures what pruning saves and costs, beside a float model that was trained for as long.

Two networks are trained, with several seeds each: the digits pipeline's, and one over Chicago's
taxi trips, whose words and places go through tables and embeddings. Each is saved as Keras saves
it, and as TFX's module files do, without Keras's metadata. From there they go on for as many epochs
again, with a new optimizer of the same settings: dense, which is the control, and pruned by every
pattern.

The tables tell quality on rows that nobody trained on, with the difference from the control on the
same rows, both as means over the seeds; bytes of the SavedModel, as it is and after gzip, against
the stripped control; bytes of the dynamic-range TFLite after gzip, with the mean ratio over the
seeds; and latency of the float TFLite at batch 1 on one thread, interleaved, with the noise floor
of the same run. Then a model of Keras 3 with tables is pruned at once.

Exits with 1, naming the figure, where a limit below is missed.

    .venv/bin/python benchmarks/pruner.py
"""

import concurrent.futures
import dataclasses
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from keras3_tables import PrunedKeras3, prune_keras3
from limits import check
from pruner_tasks import TASKS, Task
from tables import print_table

from tfx_shrink.measure.interval import paired_difference, wilson_interval
from tfx_shrink.measure.latency import measure_latency
from tfx_shrink.measure.machine import describe_machine
from tfx_shrink.measure.size import ModelSize, model_size, stripped_size
from tfx_shrink.pruner.patterns import BLOCK_1X4, CHANNEL, TWO_OF_FOUR, UNSTRUCTURED
from tfx_shrink.pruner.prune import prune
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.tflite.interpreter import TFLiteModel

HEADLINE = 0.8
QUALITY_LIMIT, CHANNEL_QUALITY_LIMIT = -0.01, -0.015
GZIP_LIMIT = 2.5
CHANNEL_BYTES_LIMIT, CHANNEL_LATENCY_LIMIT = 0.45, 0.75
ONE_SHOT_TOLERANCE = 0.01

# One run of the small network differs from the next by half a point.
SEEDS = {"digits CNN": (1, 2, 3, 4, 5), "taxi MLP": (1, 2, 3)}
ROUNDS = 300
KERAS, PUBLIC = "model.save", "tf.saved_model.save"


@dataclasses.dataclass(frozen=True, order=True)
class Variant:
    """One line of a table: how the model had been saved, and how it was pruned."""

    saved_by: str
    pattern: str
    sparsity: float

    def __str__(self) -> str:
        if self == DENSE:
            return "dense control"
        return f"{self.pattern} {self.sparsity:.0%}, {self.saved_by}"


DENSE = Variant(KERAS, "dense", 0.0)
VARIANTS = [
    *(
        Variant(KERAS, pattern, sparsity)
        for pattern in (UNSTRUCTURED, BLOCK_1X4)
        for sparsity in (0.5, HEADLINE, 0.9)
    ),
    Variant(KERAS, TWO_OF_FOUR, 0.5),
    Variant(KERAS, CHANNEL, 0.5),  # Without Keras's metadata it is refused.
    Variant(PUBLIC, UNSTRUCTURED, HEADLINE),
    Variant(PUBLIC, BLOCK_1X4, HEADLINE),
    Variant(PUBLIC, TWO_OF_FOUR, 0.5),
]


@dataclasses.dataclass(frozen=True)
class Result:
    """One variant of one seed.

    Attributes:
      right: `[test rows]`, whether the SavedModel answers as the label says.
      sparsity: The share of zeros, or of channels that went.
      size: The SavedModel's; the control's without what only training needs.
      tflite_gzip: Bytes of its dynamic-range TFLite after gzip.
      float_tflite: Path of its float TFLite; None but for the first seed.
      fullest_group: The most weights that are not zero, of any four along an input axis.
    """

    right: np.ndarray
    sparsity: float
    size: ModelSize
    tflite_gzip: int
    float_tflite: str | None
    fullest_group: int


@dataclasses.dataclass(frozen=True)
class Made:
    """All variants of one seed, and one row of features to call them with."""

    results: dict[Variant, Result]
    row: dict[str, np.ndarray]


def make_results(kind: str, seed: int, root: str) -> Made:
    """Trains a model, trains it on, and prunes it in every way."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    task, is_first = TASKS[kind](root), seed == SEEDS[kind][0]
    sources = {KERAS: os.path.join(root, "keras"), PUBLIC: os.path.join(root, "public")}
    control = os.path.join(root, "control")
    train(task, seed, sources, control)
    results = {DENSE: measure(task, control, is_first, stripped_size(control), [], 0.0)}
    for number, variant in enumerate(VARIANTS):
        out = os.path.join(root, f"pruned-{number}")
        done = prune(
            sources[variant.saved_by],
            out,
            examples=[task.rows],
            transform_graph=task.transform_graph,
            user_functions=signatures_fn(task) if variant.pattern == CHANNEL else None,
            pattern=variant.pattern,
            target_sparsity=variant.sparsity,
            label_key=task.label_key,
            method="fine_tune",
            epochs=task.epochs,
            batch_size=task.batch_size,
            seed=seed,
        )
        pruned = [] if variant.pattern == CHANNEL else list(done.by_weight)
        results[variant] = measure(task, out, is_first, model_size(out), pruned, done.sparsity)
    row = {name: np.asarray(values[:1]) for name, values in task.features.items()}
    return Made(results, row)


def train(task: Task, seed: int, sources: Mapping[str, str], control: str) -> None:
    """Trains a network and saves it in both ways; then trains it on and saves it as the control."""
    import tf_keras

    tf_keras.utils.set_random_seed(seed)
    model = task.build()

    def fit() -> None:
        model.fit(task.features, task.labels, task.batch_size, epochs=task.epochs, verbose=0)

    fit()
    signatures = task.make_signatures(model)
    model.save(sources[KERAS], save_format="tf", signatures=signatures)
    tf.saved_model.save(model, sources[PUBLIC], signatures=signatures)
    optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    model.compile(optimizer, model.loss)
    fit()
    model.save(control, save_format="tf", signatures=task.make_signatures(model))


def signatures_fn(task: Task) -> dict[str, Callable[..., Any]] | None:
    """Returns user code for signatures that need more than a transform graph to be rebuilt."""
    if task.transform_graph is not None:
        return None
    return {"signatures_fn": lambda model, _: task.make_signatures(model)}


def measure(
    task: Task,
    model_dir: str,
    is_first: bool,
    size: ModelSize,
    pruned: Collection[str],
    sparsity: float,
) -> Result:
    """Measures a SavedModel whose weights of these names were pruned, if any."""
    loaded = tf.saved_model.load(model_dir)
    signature = loaded.signatures["serving_default"]
    (scores,) = signature(tf.constant(task.test_rows)).values()
    scores = scores.numpy()
    answers = scores.argmax(axis=1) if scores.shape[1] > 1 else scores[:, 0] > 0.5
    weights = {variable.name.split(":")[0]: variable for variable in signature.variables}
    rows = {"examples": [task.rows], "transform_graph": task.transform_graph}
    tflite = f"{model_dir}-dynamic_range"
    quantize(model_dir, tflite, scheme="dynamic_range", **rows)
    float_tflite = None
    if is_first:
        float_tflite = os.path.join(f"{model_dir}-float32", "tflite")
        quantize(model_dir, os.path.dirname(float_tflite), scheme="float32", **rows)
    return Result(
        right=answers == task.test_labels,
        sparsity=sparsity,
        size=size,
        tflite_gzip=model_size(tflite).gzip,
        float_tflite=float_tflite,
        fullest_group=max((fullest_group(weights[name].numpy()) for name in pruned), default=0),
    )


def fullest_group(kernel: np.ndarray) -> int:
    """Counts the weights that are not zero in every four along the input axis; returns the most."""
    starts = range(0, kernel.shape[-2], 4)
    return max(int((kernel[..., at : at + 4, :] != 0).sum(axis=-2).max()) for at in starts)


def report(kind: str, made: list[Made], missed: list[str]) -> None:
    """Prints the table of one kind of model; adds what misses its limit."""
    first = made[0]
    models = {}
    for variant, result in first.results.items():
        with open(result.float_tflite or "", "rb") as file:
            models[variant] = TFLiteModel(file.read(), threads=1)
    latency = measure_latency(
        {str(variant): lambda model=model: model(first.row) for variant, model in models.items()},
        rounds=ROUNDS,
    )
    control = np.stack([one.results[DENSE].right for one in made])
    dense = first.results[DENSE]
    lines = []
    for variant, result in first.results.items():
        right = np.stack([one.results[variant].right for one in made])
        low, high = wilson_interval(right.mean() * right.shape[1], right.shape[1])
        change, half = paired_difference(right, control)
        smaller = statistics.mean(
            one.results[DENSE].tflite_gzip / one.results[variant].tflite_gzip for one in made
        )
        time = latency[str(variant)]
        lines.append(
            [
                str(variant),
                f"{result.sparsity:.3f}",
                f"{right.mean():.4f} [{low:.4f}, {high:.4f}]",
                f"{100 * change:+.2f} ± {100 * half:.2f}" if variant != DENSE else "",
                f"{result.size.raw:,}",
                f"{result.size.gzip:,}",
                f"{dense.size.gzip / result.size.gzip:.2f} x",
                f"{result.tflite_gzip:,}",
                f"{smaller:.2f} x",
                f"{time.p50:,.1f}",
                f"{time.ratio:.3f}",
            ]
        )
        name = f"{kind}: {variant}"
        if (variant.pattern, variant.sparsity) == (UNSTRUCTURED, HEADLINE):
            check(missed, f"{name}: accuracy minus control", change, least=QUALITY_LIMIT)
            check(missed, f"{name}: TFLite after gzip, smaller by", smaller, least=GZIP_LIMIT)
        if variant.pattern == TWO_OF_FOUR:
            most = max(one.results[variant].fullest_group for one in made)
            check(missed, f"{name}: weights of four that are not zero", most, most=2)
        if (kind, variant.pattern) == ("digits CNN", CHANNEL):
            check(missed, f"{name}: accuracy minus control", change, least=CHANNEL_QUALITY_LIMIT)
            size = result.size.raw / dense.size.raw
            check(missed, f"{name}: bytes over dense", size, most=CHANNEL_BYTES_LIMIT)
            check(missed, f"{name}: p50 over dense", time.ratio, most=CHANNEL_LATENCY_LIMIT)
    print(
        f"{kind}, {len(made)} seeds, {control.shape[1]} test rows; bytes and latency of the first\n"
        f"p50: microseconds of the float TFLite, 1 row, 1 thread; noise floor "
        f"{latency[str(DENSE)].floor:.3f}"
    )
    head = ["pattern and source", "sparsity", "accuracy [95 % interval]", "points from control"]
    head += ["bytes", "gzip", "smaller", "TFLite gzip", "smaller", "p50", "ratio"]
    print_table(head, lines)


def report_keras3(found: Sequence[PrunedKeras3], missed: list[str]) -> None:
    """Prints what one-shot pruning leaves of a model with tables; adds what misses its limit."""
    source = found[0]
    lines = []
    for pruned in found:
        low, high = wilson_interval(pruned.right.sum(), len(pruned.right))
        same = int((pruned.numbers == source.numbers).sum())
        lines.append(
            [
                f"one-shot {pruned.target:.0%}" if pruned.target else "source",
                f"{pruned.sparsity:.3f}",
                f"{pruned.right.mean():.4f} [{low:.4f}, {high:.4f}]",
                f"{same:,} of {source.numbers.size:,}",
            ]
        )
        name = f"Keras 3, one-shot {pruned.target:.0%}"
        least = pruned.target - ONE_SHOT_TOLERANCE
        check(missed, f"{name}: sparsity", pruned.sparsity, least=least)
        check(missed, f"{name}: words looked up alike", same, least=source.numbers.size)
    distinct = len(np.unique(source.numbers))
    print(f"Keras 3 export with tables; {distinct} different numbers stand for the words")
    print_table(["", "sparsity", "accuracy [95 % interval]", "words looked up alike"], lines)


def main() -> None:
    """Measures, prints the tables and checks the limits."""
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        jobs = [(kind, seed) for kind in reversed(TASKS) for seed in SEEDS[kind]]
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as pool:
            running = {
                job: pool.submit(make_results, *job, os.path.join(work, f"{job[0]}-{job[1]}"))
                for job in jobs
            }
            keras3 = pool.submit(prune_keras3, os.path.join(work, "keras3"))
            made = {job: future.result() for job, future in running.items()}
        for kind in TASKS:
            report(kind, [made[kind, seed] for seed in SEEDS[kind]], missed)
        report_keras3(keras3.result(), missed)
    print(describe_machine())
    if missed:
        sys.exit("\n".join(["Missed:", *missed]))
    print("Every limit is held.")


if __name__ == "__main__":
    main()
