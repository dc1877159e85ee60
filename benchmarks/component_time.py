"""The Quantizer component against a plain script around the converter; see quantizer.py."""

import os
import statistics
import sys

import numpy as np
import tensorflow as tf
from examples import write_rows
from tables import print_table

from tfx_shrink.child_process import ChildRun, run_child
from tfx_shrink.examples.sample import sample_rows
from tfx_shrink.measure.difference import output_difference
from tfx_shrink.pipelines.digits.preprocessing import IMAGE
from tfx_shrink.pipelines.digits.trainer import PROBABILITIES
from tfx_shrink.proof.source import rows_to_draw
from tfx_shrink.tflite.interpreter import TFLiteModel

TIME_LIMIT = 1.15
LEAST_SECONDS = 60
CALIBRATION = 1000
TURNS = 2
_LARGE_SHAPE = (64, 64, 3)
_LARGE_CHANNELS = 112

# As its user would write it.
BARE = """
import sys
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

model_dir, signature, rows, out, *shape = sys.argv[1:]
spec = {"image": tf.io.FixedLenFeature([int(side) for side in shape], tf.float32)}

def representative_dataset():
    for row in tf.data.TFRecordDataset(rows):
        yield {"image": tf.io.parse_single_example(row, spec)["image"][None]}

converter = tf.lite.TFLiteConverter.from_saved_model(model_dir, signature_keys=[signature])
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = representative_dataset
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
with open(out, "wb") as file:
    file.write(converter.convert())
"""

# As a TFX runner calls it, and how long the runner would have waited for TFX alone.
COMPONENT = """
import sys, time
started = time.perf_counter()
from tfx import v1 as tfx
imported = time.perf_counter() - started
import apache_beam as beam
from tfx_shrink.quantizer.executor import Executor

def artifact(kind, uri):
    made = kind()
    made.uri = uri
    return made

model_dir, signature, examples_dir, out, calibration, work = sys.argv[1:]
kinds = tfx.types.standard_artifacts
examples = artifact(kinds.Examples, examples_dir)
examples.split_names = '["train"]'
context = Executor.Context(make_beam_pipeline_fn=beam.Pipeline, tmp_dir=work, unique_id="1")
Executor(context).Do(
    {"base_model": [artifact(kinds.Model, model_dir)], "examples": [examples]},
    {"model": [artifact(kinds.Model, out)]},
    {
        "scheme": "int8", "signature_name": signature, "splits": '["train"]', "seed": 0,
        "num_calibration_examples": int(calibration), "time_limit": 3600, "encode_sparsity": 0,
        "allow_select_tf_ops": 0, "engine_batch_sizes": "[1]", "report_splits": "[]",
    },
)
print(imported)
"""


def save_large_model(root: str) -> None:
    """Saves a convolutional network of generated weights, and generated rows."""
    random = np.random.RandomState(0)

    def kernel(*shape: int) -> tf.Variable:
        return tf.Variable(
            random.randn(*shape) * np.sqrt(2 / np.prod(shape[:-1])), dtype=tf.float32
        )

    few, many = _LARGE_CHANNELS, 2 * _LARGE_CHANNELS
    module = tf.Module()
    module.kernels = [
        kernel(3, 3, *channels)
        for channels in [
            (_LARGE_SHAPE[-1], few),
            *[(few, few)] * 3,
            (few, many),
            *[(many, many)] * 3,
        ]
    ]
    module.last = kernel(many, 10)

    @tf.function(input_signature=[tf.TensorSpec([None, *_LARGE_SHAPE], tf.float32, name=IMAGE)])
    def image(image):
        for weights in module.kernels:
            stride = 2 if weights.shape[2] != weights.shape[3] and image.shape[3] == few else 1
            image = tf.nn.relu(tf.nn.conv2d(image, weights, stride, "SAME"))
        return {PROBABILITIES: tf.nn.softmax(tf.reduce_mean(image, [1, 2]) @ module.last)}

    tf.saved_model.save(module, os.path.join(root, "model"), signatures={"image": image})
    images = random.rand(rows_to_draw(CALIBRATION), *_LARGE_SHAPE).astype(np.float32)
    rows = os.path.join(root, "Split-train", "rows")
    write_rows(rows, {IMAGE: images})


def compare_with_bare(root: str, shape: tuple[int, ...]) -> tuple[list[ChildRun], list[ChildRun]]:
    """Returns the component's runs and the bare script's, which took turns."""
    model_dir = os.path.join(root, "model")
    served = os.path.join(root, "served", "Format-Serving")
    if not os.path.exists(served):
        os.makedirs(os.path.dirname(served))
        os.symlink(model_dir, served)
    drawn = sample_rows([os.path.join(root, "Split-train", "*")], rows_to_draw(CALIBRATION), 0)
    calibrating = os.path.join(root, "calibration")
    with tf.io.TFRecordWriter(calibrating) as writer:
        for row in drawn.rows[:CALIBRATION]:
            writer.write(row)
    component, bare = [], []
    for turn in range(TURNS):
        out, plain = (os.path.join(root, f"{name}_{turn}") for name in ("component", "bare"))
        sides = [str(side) for side in shape]
        ours = [os.path.dirname(served), "image", root, out, str(CALIBRATION), f"{root}/tmp"]
        theirs = [model_dir, "image", calibrating, plain, *sides]
        component.append(run_child([sys.executable, "-c", COMPONENT, *ours]))
        bare.append(run_child([sys.executable, "-c", BARE, *theirs]))
    with open(os.path.join(out, "Format-Serving", "tflite"), "rb") as file:
        quantized = TFLiteModel(file.read())
    with open(plain, "rb") as file:
        plainly = TFLiteModel(file.read())
    rows = np.random.RandomState(1).rand(4, *shape).astype(np.float32)
    difference = output_difference(plainly({IMAGE: rows}), quantized({IMAGE: rows}))
    if difference.max:
        raise SystemExit(f"Component and script made different models: outputs {difference}.")
    return component, bare


def report_times(name: str, runs: tuple[list[ChildRun], list[ChildRun]]) -> tuple[list[str], float]:
    """Returns a line of the table, and the component's time over the script's."""
    component, bare = runs
    imported = [float(run.output.split()[-1]) for run in component]
    working = [run.seconds - wait for run, wait in zip(component, imported, strict=True)]
    plain = [run.seconds for run in bare]
    ratio = statistics.mean(working) / statistics.mean(plain)
    line = [name, *(" ".join(f"{one:.1f}" for one in times) for times in (working, plain))]
    line += [f"{statistics.mean(working) - statistics.mean(plain):+.1f}", f"{ratio:.3f}"]
    line.append(f"{max(max(times) / min(times) for times in (working, plain)):.3f}")
    line.append(f"{statistics.mean(imported):.1f}")
    line += [f"{max(run.peak_bytes for run in kind) / 2**20:,.0f}" for kind in (component, bare)]
    return line, ratio


def report_component_time(
    digits: str, digits_shape: tuple[int, ...], large: str, missed: list[str]
) -> None:
    """Prints what the component takes beside a plain script, and checks the limit.

    Args:
      digits: Directory of a small model and its rows.
      digits_shape: The shape of its images.
      large: A directory for the model that takes a minute to convert.
      missed: Gets each limit that is missed.
    """
    save_large_model(large)
    print(
        f"int8 with {CALIBRATION} calibration rows: seconds, component and plain script in "
        "turns\n(whole processes; the import of TFX, which a pipeline pays once, is apart)"
    )
    small_line, _ = report_times("digits CNN", compare_with_bare(digits, digits_shape))
    large_runs = compare_with_bare(large, _LARGE_SHAPE)
    large_line, ratio = report_times("large CNN", large_runs)
    head = ["model", "component", "script", "more", "ratio", "floor", "import tfx"]
    print_table([*head, "peak MiB", "script's"], [small_line, large_line])
    shortest = min(run.seconds for run in large_runs[1])
    if shortest < LEAST_SECONDS:
        missed.append(f"large CNN: converts in {shortest:.0f} s; {LEAST_SECONDS} s are needed")
    if ratio > TIME_LIMIT:
        missed.append(f"large CNN: component over script {ratio:.3f} > {TIME_LIMIT}")
