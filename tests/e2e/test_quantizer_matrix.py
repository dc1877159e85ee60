"""Every kind of model by every scheme: it passes, or it is refused with the reason given here.

`make e2e-quantizer` runs them all; `make test` a sample that covers each maker.
"""

import functools
import importlib.util
import os

import numpy as np
import pytest
import tensorflow as tf
from support.matrix_runs import TFLITE, quantize_arguments, run_schemes
from support.stack import TFX_1_21

from tfx_shrink.errors import ModelError
from tfx_shrink.lineage import read
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.quantizer.schemes import SCHEMES
from tfx_shrink.quantizer.settings import DEFAULT_LADDER, Search
from tfx_shrink.tflite.interpreter import TFLiteModel

# The first test of a model waits for all of its schemes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

MODELS = ("mlp", "cnn", "strings", "strings_3_signatures", "lstm", "attention", "keras3")
HAS_EDGE = importlib.util.find_spec("ai_edge_quantizer") is not None
CPU_SCHEMES = [
    name
    for name, scheme in SCHEMES.items()
    if scheme.maker in ("converter", "rewrite", "strip") or (name == "int4" and HAS_EDGE)
]
SAMPLE = {
    ("mlp", "int8"),
    ("mlp", "int4"),
    ("strings", "dynamic_range"),
    ("strings", "strip"),
    ("strings", "weight_int8"),
    ("mlp", "weight_float16"),
}

# What is refused, and the words that its text must have. Nothing else may be.
REFUSED = {
    **{
        ("lstm", name): ("TensorListReserve",)
        for name in CPU_SCHEMES
        if SCHEMES[name].container == "tflite"
    },
    ("attention", "int16x8"): ("What blocks each", "The converter was killed by SIGABRT"),
}

# Of probabilities, on rows never seen: the largest difference, and the 99th percentile.
MOVES = {
    "float32": (1e-5, 1e-6),
    "dynamic_range": (0.1, 0.05),
    "float16": (2e-3, 5e-4),
    "int8": (0.5, 0.25),
    "int8_io": (0.5, 0.25),
    "int16x8": (0.05, 0.02),
    "int4": (0.5, 0.25),
    "strip": (1e-6, 1e-6),
    "weight_int8": (0.04, 0.01),
    "weight_bfloat16": (0.01, 5e-3),
    "weight_float16": (2e-3, 5e-4),
}
MAX_ACCURACY_DROP = 0.02
# Bytes of a TFLite file over bytes of the float32 weights, by the type of large weights.
TFLITE_SHARES = {"float32": (0.97, 1.06), "float16": (0.48, 0.57), "int8": (0.24, 0.33)}
TFLITE_SHARES["int4"] = (0.12, 0.33)  # Convolutions stay int8.
# Stored over original bytes of the large weights alone.
STORED_SHARES = {"int8": (0.25, 0.27), "bfloat16": (0.5, 0.52), "float16": (0.5, 0.52)}
GRAPH_BYTES = 200_000  # TFT's graph once in each signature; a model without one needs 80,000.


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """`runs("mlp")`: the model, quantized by every scheme that this session's tests ask for."""
    root = tmp_path_factory.mktemp("matrix")
    asked = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]

    @functools.cache
    def run(model):
        schemes = {found["scheme"] for found in asked if found.get("model") == model}
        return run_schemes(
            model, [name for name in CPU_SCHEMES if name in schemes], str(root / model)
        )

    return run


def accuracy_of(outputs, labels):
    (scores,) = outputs.values()
    return float((scores.argmax(axis=1) == labels).mean())


def cells():
    for model in MODELS:
        for scheme in CPU_SCHEMES:
            marks = [] if (model, scheme) in SAMPLE else [pytest.mark.matrix]
            yield pytest.param(model, scheme, marks=marks, id=f"{model}-{scheme}")


@pytest.mark.parametrize(("model", "scheme"), cells())
def test_model_passes_by_scheme_or_is_refused_as_told(runs, model, scheme):
    found = runs(model)
    cell = found.cells[scheme]
    assert not cell.crash, cell.crash
    if (model, scheme) in REFUSED:
        assert all(text in cell.refusal for text in REFUSED[model, scheme]), cell.refusal
        return
    assert not cell.refusal
    check_bytes(cell, found.weight_bytes)
    check_outputs(cell, found)
    check_fresh_process(cell, found.log)


def check_bytes(cell, weight_bytes):
    scheme, size = SCHEMES[cell.done.scheme], cell.done.result.bytes
    if scheme.container == "tflite":
        low, high = TFLITE_SHARES[scheme.weights]
        assert low <= size / weight_bytes <= high
    elif scheme.maker == "strip":
        assert 0 < size - weight_bytes < GRAPH_BYTES
        assert size < 0.6 * cell.done.source.bytes  # The optimizer's slots are gone.
    else:
        stored = cell.step["stored_weight_bytes"]
        low, high = STORED_SHARES[scheme.weights]
        assert cell.step["source_weight_bytes"] > 0.95 * weight_bytes
        assert low <= stored / cell.step["source_weight_bytes"] <= high
        assert 0 < size - stored < GRAPH_BYTES


def check_outputs(cell, found):
    scheme = SCHEMES[cell.done.scheme]
    if scheme.container == "tflite":
        expected = {TFLITE: found.expected["serving_default"]}
    else:
        expected = found.expected
    assert sorted(cell.recorded) == sorted(expected)
    for name, outputs in expected.items():
        assert sorted(cell.recorded[name]) == sorted(outputs)
        for key, values in outputs.items():
            actual = cell.recorded[name][key]
            assert (actual.dtype, actual.shape) == (values.dtype, values.shape)
            if name == "transform_features":
                np.testing.assert_allclose(actual, values, rtol=1e-6, atol=0)
                continue
            moved = np.abs(actual - values)
            largest, p99 = MOVES[scheme.name]
            assert moved.max() <= largest
            assert np.percentile(moved, 99) <= p99
            assert cell.done.difference.max <= largest
            drop = accuracy_of(outputs, found.model.labels) - accuracy_of(
                cell.recorded[name], found.model.labels
            )
            assert drop <= MAX_ACCURACY_DROP


def check_fresh_process(cell, log):
    """The source was removed before; only the result's own files are left."""
    assert cell.fresh, f"It ended the process: {log}"
    assert "error" not in cell.fresh, cell.fresh["error"]
    is_tflite = SCHEMES[cell.done.scheme].container == "tflite"
    assert sorted(cell.fresh) == (["python"] if is_tflite else ["cpp", "python"])
    for place, signatures in cell.fresh.items():
        assert sorted(signatures) == sorted(cell.recorded), place
        for name, outputs in signatures.items():
            assert sorted(outputs) == sorted(cell.recorded[name]), place
            for key, values in outputs.items():
                np.testing.assert_allclose(values, cell.recorded[name][key], rtol=0, atol=1e-5)


@pytest.mark.matrix
@pytest.mark.parametrize("scheme", ["float32", "dynamic_range", "float16", "int8"])
def test_lstm_becomes_tflite_with_tensorflow_operations(runs, tmp_path, scheme):
    found, out = runs("lstm"), str(tmp_path / "out")
    arguments = quantize_arguments(found.model)
    arguments.update(scheme=scheme, allow_select_tf_ops=True)
    if TFX_1_21:
        words = (
            r"(?s)comes without the Flex delegate \(2\.16 has it\).*Transform, or use a SavedModel"
        )
        with pytest.raises(ModelError, match=words):
            quantize(found.model.directory, out, **arguments)
        return
    quantize(found.model.directory, out, **arguments)
    (expected,) = found.expected["serving_default"].values()
    (actual,) = tflite_model(out)(found.inputs[TFLITE]).values()
    assert np.abs(actual - expected).max() <= MOVES[scheme][0]
    assert any(
        "TensorFlow operations ['TensorListReserve" in note for note in read(out)[0]["notes"]
    )


def tflite_model(directory):
    with open(os.path.join(directory, "tflite"), "rb") as file:
        return TFLiteModel(file.read())


@pytest.mark.matrix
@pytest.mark.parametrize("ladder", [DEFAULT_LADDER, ("weight_int8", "strip")])
@pytest.mark.parametrize("kind", ["mlp", "strings"])
def test_auto_takes_the_smallest_that_holds_and_reports_on_other_rows(runs, tmp_path, kind, ladder):
    found, out = runs(kind), str(tmp_path / "out")
    done = quantize(
        found.model.directory,
        out,
        scheme="auto",
        search=Search("label", max_drop=MAX_ACCURACY_DROP, ladder=ladder),
        report_examples=[os.path.join(found.model.examples, "Split-eval", "*")],
        **quantize_arguments(found.model),
    )
    search = read(out)[-1]["search"]
    assert [trial["scheme"] for trial in search["trials"]][-1] == done.scheme == ladder[0]
    assert search["trials"][-1]["drop"] <= MAX_ACCURACY_DROP
    if SCHEMES[done.scheme].container == "tflite":
        outputs = tflite_model(out)(found.inputs[TFLITE])
    else:
        loaded = tf.saved_model.load(out)
        ((key, values),) = found.inputs["serving_default"].items()
        outputs = loaded.signatures["serving_default"](**{key: tf.constant(values)})
        outputs = {name: value.numpy() for name, value in outputs.items()}
    labels = found.model.labels
    assert search["report"] == {
        "metric": "accuracy",
        "rows": len(labels),
        "source": pytest.approx(accuracy_of(found.expected["serving_default"], labels)),
        "result": pytest.approx(accuracy_of(outputs, labels)),
    }
