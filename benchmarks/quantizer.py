"""Measures what every scheme of the Quantizer saves, costs and changes, and what it costs to run.

Two models of handwritten digits are trained: the digits pipeline's network, with three seeds, and a
larger one. For every scheme that this machine can make, the first tables tell bytes, quality and
how far the outputs moved; the second ones latency, on one thread, interleaved, with the noise floor
of the same run: TFLite against float32 TFLite in the interpreter, SavedModels against the stripped
float model in the C++ session that TensorFlow Serving uses. The last table sets the component, in a
fresh process with real artifacts, against a plain script around TensorFlow's converter, on the same
model and the same calibration rows; the two take turns.

Exits with 1, naming the figure, where a limit below is missed.

    .venv/bin/python benchmarks/quantizer.py
"""

import concurrent.futures
import dataclasses
import importlib.util
import json
import multiprocessing
import os
import statistics
import sys
import tempfile

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from component_time import report_component_time
from digits import TEST_ROWS, digits, make_signatures
from examples import write_rows
from table_models import build_mlp
from tables import print_table
from tensorflow.core.protobuf import saved_model_pb2

from tfx_shrink.errors import ModelError
from tfx_shrink.measure.difference import OutputDifference, output_difference
from tfx_shrink.measure.interval import wilson_interval
from tfx_shrink.measure.latency import Latency, measure_latency
from tfx_shrink.measure.machine import describe_machine
from tfx_shrink.measure.size import ModelSize, model_size
from tfx_shrink.pipelines.digits.data import LABEL, SIDE
from tfx_shrink.pipelines.digits.preprocessing import IMAGE
from tfx_shrink.pipelines.digits.trainer import PROBABILITIES
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.quantizer.schemes import EDGE_RECIPE, SCHEMES, Scheme
from tfx_shrink.saved_model.cpp_session import CppSession
from tfx_shrink.tflite.interpreter import TFLiteModel

WEIGHT_LIMITS = {"weight_int8": 0.27, "weight_bfloat16": 0.52, "weight_float16": 0.52}
LATENCY_LIMIT = 1.10

MODELS = {"digits CNN": (1, 2, 3), "4.4M MLP": (1,)}
BASELINES = {"tflite": "float32", "saved_model": "strip"}
BATCHES = (1, 32)
ROUNDS = {"tflite": 60, "saved_model": 300}
_EPOCHS = 8


@dataclasses.dataclass(frozen=True)
class Result:
    """One scheme of one trained model.

    Attributes:
      model_dir: What was made.
      size: Its size.
      right: `[test rows]`, whether it answers as the label says.
      answers: `[test rows]`, its answers.
      difference: From the stripped float model's probabilities on the test rows.
      weight_bytes: Bytes of weights in the files of a SavedModel, 0 for TFLite.
    """

    model_dir: str
    size: ModelSize
    right: np.ndarray
    answers: np.ndarray
    difference: OutputDifference
    weight_bytes: int


@dataclasses.dataclass(frozen=True)
class Trained:
    """One trained model.

    Attributes:
      size: Its size as it was saved, with its optimizer.
      results: What was made of it, by scheme.
      refused: Why a scheme could not make anything of it.
    """

    size: ModelSize
    results: dict[str, Result]
    refused: dict[str, str]


def train(kind: str, seed: int, model_dir: str) -> None:
    """Trains a model on all rows but the last and saves it with two signatures."""
    import tf_keras

    from tfx_shrink.pipelines.digits.trainer import build_model

    tf_keras.utils.set_random_seed(seed)
    model = build_mlp() if "MLP" in kind else build_model()
    images, labels = digits()
    model.fit(images[:-TEST_ROWS], labels[:-TEST_ROWS], epochs=_EPOCHS, verbose=0)
    model.save(model_dir, save_format="tf", signatures=make_signatures(model))


def make_results(kind: str, seed: int, root: str) -> Trained:
    """Trains a model and quantizes it by every scheme."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    model_dir, rows = os.path.join(root, "model"), os.path.join(root, "Split-train", "rows")
    train(kind, seed, model_dir)
    images, labels = digits()
    write_rows(rows, {IMAGE: images[:-TEST_ROWS], LABEL: labels[:-TEST_ROWS]})
    images, labels = images[-TEST_ROWS:], labels[-TEST_ROWS:]
    results: dict[str, Result] = {}
    refused: dict[str, str] = {}
    reference = None
    # The baseline that the others' outputs are compared with comes first.
    for scheme in sorted(schemes(), key=lambda scheme: scheme.name != "strip"):
        out = os.path.join(root, scheme.name)
        try:
            quantize(model_dir, out, scheme=scheme.name, examples=[rows], **parameters(scheme))
        except ModelError as error:
            if scheme.maker != "edge":  # Its files are for another runtime.
                raise
            refused[scheme.name] = str(error).splitlines()[0]
            continue
        scores = open_model(out, scheme)(images)
        reference = scores if reference is None else reference
        answers = scores.argmax(axis=1)
        results[scheme.name] = Result(
            out,
            model_size(out),
            answers == labels,
            answers,
            output_difference({PROBABILITIES: reference}, {PROBABILITIES: scores}),
            weight_bytes(out) if scheme.container == "saved_model" else 0,
        )
    in_order = {name: results[name] for name in SCHEMES if name in results}
    return Trained(model_size(model_dir), in_order, refused)


def schemes() -> list[Scheme]:
    """Returns the schemes that can be made here."""
    return [scheme for scheme in SCHEMES.values() if not left_out(scheme)]


def parameters(scheme: Scheme) -> dict[str, str]:
    """Returns what a scheme needs besides its name: a recipe, int8 dense layers for example."""
    if scheme.name != EDGE_RECIPE:
        return {}
    entry = {
        "regex": ".*",
        "operation": "FULLY_CONNECTED",
        "algorithm_key": "min_max_uniform_quantize",
        "op_config": {
            "weight_tensor_config": {
                "num_bits": 8,
                "symmetric": True,
                "granularity": "CHANNELWISE",
                "dtype": "INT",
            },
            "compute_precision": "INTEGER",
            "explicit_dequantize": False,
        },
    }
    return {"edge_recipe": json.dumps([entry])}


def left_out(scheme: Scheme) -> str:
    """Returns why a scheme is not measured; nothing if it is."""
    if scheme.maker == "tensorrt":
        return "needs an NVIDIA GPU"
    if scheme.maker == "edge" and importlib.util.find_spec("ai_edge_quantizer") is None:
        return "needs the extra [edge]"
    return ""


def open_model(model_dir: str, scheme: Scheme):
    """Returns a function from images to probabilities, on one thread."""
    if scheme.container == "tflite":
        with open(os.path.join(model_dir, "tflite"), "rb") as file:
            model = TFLiteModel(file.read(), threads=1)
        return lambda images: model({IMAGE: images})[PROBABILITIES]
    session = CppSession(model_dir, threads=1)
    return lambda images: session.run("image", {IMAGE: images})[PROBABILITIES]


def weight_bytes(model_dir: str) -> int:
    """Returns the bytes of all weights in the files: variables, and constants of the graph."""
    with open(os.path.join(model_dir, "saved_model.pb"), "rb") as file:
        saved = saved_model_pb2.SavedModel.FromString(file.read())
    graph = saved.meta_graphs[0].graph_def
    kinds = (tf.float32, tf.float16, tf.bfloat16, tf.int8)
    total = 0
    for node in [*graph.node, *(node for part in graph.library.function for node in part.node_def)]:
        if node.op == "Const" and tf.as_dtype(node.attr["dtype"].type) in kinds:
            total += tf.make_ndarray(node.attr["value"].tensor).nbytes
    for name, shape in tf.train.list_variables(os.path.join(model_dir, "variables", "variables")):
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name:
            total += int(np.prod(shape)) * tf.float32.size
    return total


def report_results(kind: str, trained: list[Trained], missed: list[str]) -> None:
    """Prints bytes, quality and differences; adds what misses its limit."""
    source, first = trained[0].size, trained[0].results
    print(f"{kind}, {len(trained)} seed(s), {TEST_ROWS} test rows; as trained {source.raw:,} bytes")
    for name, reason in trained[0].refused.items():
        print(f"{name} is left out: {reason}")
    lines = []
    for name, result in first.items():
        every = [one.results[name] for one in trained]
        base = first[BASELINES[SCHEMES[name].container]]
        share = statistics.mean(one.right.mean() for one in every)
        low, high = wilson_interval(share * TEST_ROWS, TEST_ROWS)
        changed = sum(
            int((one.results[name].answers != one.results["strip"].answers).sum())
            for one in trained
        )
        graph = weight = "-"
        if result.weight_bytes:
            graph = f"{result.size.raw - result.weight_bytes:,}"
            worst = max(
                one.results[name].weight_bytes / one.results["strip"].weight_bytes
                for one in trained
            )
            weight = f"{worst:.3f}"
            if worst > WEIGHT_LIMITS.get(name, np.inf):
                missed.append(f"{kind}: {name} weights {worst:.3f} > {WEIGHT_LIMITS[name]}")
        lines.append(
            [
                name,
                f"{result.size.raw:,}",
                f"{result.size.gzip:,}",
                f"{base.size.raw / result.size.raw:.2f} x",
                weight,
                graph,
                f"{share:.4f} [{low:.4f}, {high:.4f}]",
                f"{changed}/{TEST_ROWS * len(trained)}",
                f"{max(one.difference.max for one in every):.2g}",
                f"{max(one.difference.p99 for one in every):.2g}",
            ]
        )
    head = ["scheme", "bytes", "gzip", "smaller", "weights", "graph bytes"]
    head += ["accuracy [95 % interval]", "answers changed", "max diff", "p99 diff"]
    print_table(head, lines)


def report_latency(kind: str, results: dict[str, Result], missed: list[str]) -> None:
    """Prints latencies; adds what misses its limit."""
    images = digits()[0][-TEST_ROWS:]
    lines = []
    for container, baseline in BASELINES.items():
        names = [name for name in results if SCHEMES[name].container == container]
        names.sort(key=lambda name: name != baseline)
        models = {name: open_model(results[name].model_dir, SCHEMES[name]) for name in names}
        by_batch: dict[int, dict[str, Latency]] = {}
        for batch in BATCHES:
            calls = {
                name: lambda model=model, batch=batch: model(images[:batch])
                for name, model in models.items()
            }
            by_batch[batch] = measure_latency(calls, rounds=ROUNDS[container])
        for name in names:
            line = [name]
            for batch, latencies in by_batch.items():
                one = latencies[name]
                line += [f"{one.p50:,.0f}", f"{one.p95:,.0f}", f"{one.ratio:.3f}"]
                line.append(f"{one.floor:.3f}" if name == baseline else "")
                if name in WEIGHT_LIMITS and one.ratio > LATENCY_LIMIT:
                    missed.append(
                        f"{kind}: {name} p50 at batch {batch} {one.ratio:.3f} > {LATENCY_LIMIT} "
                        f"of strip (floor {one.floor:.3f})"
                    )
            lines.append(line)
    print(f"{kind}: microseconds, 1 thread; ratio of p50 to float32 and strip; floor: these again")
    head = ["scheme"]
    for batch in BATCHES:
        head += [f"p50 at {batch}", "p95", "ratio", "floor"]
    print_table(head, lines)


def main() -> None:
    """Measures, prints the tables and checks the limits."""
    # What the first session in a process says of threads, all that come later must live with.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    missed: list[str] = []
    for scheme in SCHEMES.values():
        if left_out(scheme):
            print(f"{scheme.name} is left out: it {left_out(scheme)}.")
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        jobs = [(kind, seed) for kind, seeds in MODELS.items() for seed in seeds]
        roots = [os.path.join(work, f"{kind}-{seed}".replace(" ", "-")) for kind, seed in jobs]
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as pool:
            kinds, seeds = zip(*jobs, strict=True)
            made = list(pool.map(make_results, kinds, seeds, roots))
        for kind in MODELS:
            trained = [one for one, job in zip(made, jobs, strict=True) if job[0] == kind]
            report_results(kind, trained, missed)
            report_latency(kind, trained[0].results, missed)

        report_component_time(roots[0], (SIDE, SIDE, 1), os.path.join(work, "large"), missed)
    print(describe_machine())
    if missed:
        sys.exit("\n".join(["Missed:", *missed]))
    print("Every limit is held.")


if __name__ == "__main__":
    main()
