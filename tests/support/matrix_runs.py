"""Quantizes one model by many schemes and runs every result again in one fresh process."""

import dataclasses
import os
import pickle
import shutil
import subprocess
import sys
import traceback

import numpy as np
import tensorflow as tf

from support import matrix_models
from tfx_shrink import lineage
from tfx_shrink.errors import ShrinkError
from tfx_shrink.quantizer.quantize import Quantized, quantize
from tfx_shrink.tflite.interpreter import TFLiteModel

# Where a TFLite model's inputs and outputs stand among those of signatures.
TFLITE = "tflite"


@dataclasses.dataclass
class Cell:
    """What became of one model and one scheme.

    Attributes:
      directory: The result, if there is one.
      done: What `quantize` returned.
      refusal: Type and text of a refusal.
      crash: The traceback of anything else.
      recorded: Outputs where it was made: {signature: {output: array}}.
      fresh: The same in another process, by `"python"` and, for a SavedModel, `"cpp"`.
    """

    directory: str | None = None
    done: Quantized | None = None
    refusal: str = ""
    crash: str = ""
    recorded: dict = dataclasses.field(default_factory=dict)
    fresh: dict = dataclasses.field(default_factory=dict)

    @property
    def step(self):
        """The newest step of the compression record."""
        return lineage.read(self.directory)[-1]


@dataclasses.dataclass
class Runs:
    """One model and its cells.

    Attributes:
      model: The model; it is still there.
      inputs: The eval rows, by signature; `TFLITE` is what a TFLite model reads.
      expected: The source's outputs: {signature: {output: array}}.
      weight_bytes: Bytes of the float32 variables that `serving_default` uses.
      cells: By scheme.
      log: What the fresh process printed.
    """

    model: matrix_models.MatrixModel
    inputs: dict
    expected: dict
    weight_bytes: int
    cells: dict
    log: str


def run_schemes(kind, schemes, root):
    """Builds a model, quantizes a copy of it by each scheme, removes the copy, runs the results."""
    model = matrix_models.build(kind, os.path.join(root, "kept"))
    copy = os.path.join(root, "copy")
    shutil.copytree(os.path.join(root, "kept"), copy)
    copied = dataclasses.replace(
        model,
        **{
            name: os.path.join(copy, os.path.relpath(path, os.path.join(root, "kept")))
            for name in ("directory", "examples", "transform_graph")
            if (path := getattr(model, name)) is not None
        },
    )
    cells = {
        scheme: _quantize(copied, scheme, os.path.join(root, "results", scheme, "Format-Serving"))
        for scheme in schemes
    }
    shutil.rmtree(copy)

    loaded = tf.saved_model.load(model.directory)
    inputs = inputs_of(model, loaded)
    expected = {name: _call(loaded.signatures[name], inputs[name]) for name in loaded.signatures}
    weights = {id(v): v for v in loaded.signatures["serving_default"].variables}
    weight_bytes = sum(4 * int(np.prod(variable.shape)) for variable in weights.values())
    made = {scheme: cell for scheme, cell in cells.items() if cell.directory}
    for cell in made.values():
        cell.recorded = _record(cell.directory, inputs)
    log = _run_fresh(made, inputs, os.path.join(root, "fresh")) if made else ""
    return Runs(model, inputs, expected, weight_bytes, cells, log)


def quantize_arguments(model):
    """What `quantize` is told of a model, besides the scheme."""
    return {
        "examples": [os.path.join(model.examples, "Split-train", "*")],
        "transform_graph": model.transform_graph,
        "num_calibration_examples": 500,
    }


def _quantize(model, scheme, result):
    try:
        done = quantize(model.directory, result, scheme=scheme, **quantize_arguments(model))
    except ShrinkError as error:
        return Cell(refusal=f"{type(error).__name__}: {error}")
    except Exception:
        return Cell(crash=traceback.format_exc())
    return Cell(result, done)


def inputs_of(model, loaded):
    """The eval rows as each signature reads them, and as a TFLite model does."""
    serialized = {"examples": np.array(model.rows, object)}
    if model.transform_graph is None:
        (spec,) = loaded.signatures["serving_default"].structured_input_signature[1].values()
        images = matrix_models.digits()[0][-len(model.rows) :]
        dense = {"image": images.reshape(-1, *spec.shape[1:])}
    else:
        dense = _call(loaded.signatures["transform_features"], serialized)
        del dense[f"{matrix_models.LABEL}_xf"]
    inputs = {
        name: serialized if "examples" in signature.structured_input_signature[1] else dense
        for name, signature in loaded.signatures.items()
    }
    return {**inputs, TFLITE: dense}


def _call(signature, inputs):
    outputs = signature(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def _record(directory, inputs):
    if os.path.exists(os.path.join(directory, "tflite")):
        with open(os.path.join(directory, "tflite"), "rb") as file:
            return {TFLITE: TFLiteModel(file.read())(inputs[TFLITE])}
    loaded = tf.saved_model.load(directory)
    return {name: _call(loaded.signatures[name], inputs[name]) for name in loaded.signatures}


def _run_fresh(cells, inputs, work):
    """Fills `fresh` of each cell; returns what the process printed."""
    os.makedirs(work)
    request = {scheme: cell.directory for scheme, cell in cells.items()}
    with open(os.path.join(work, "request.pickle"), "wb") as file:
        pickle.dump({"directories": request, "inputs": inputs}, file)
    ended = subprocess.run(
        [sys.executable, "-m", "support.matrix_fresh", work],
        cwd=os.path.dirname(os.path.dirname(__file__)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    for scheme, cell in cells.items():
        path = os.path.join(work, scheme)
        if os.path.exists(path):
            with open(path, "rb") as file:
                cell.fresh = pickle.load(file)
    return f"exit code {ended.returncode}\n{ended.stdout[-4000:]}"
