"""Pruning while the model trains on: real zeros in the saved model, which is what it was."""

import numpy as np
import pytest
import tensorflow as tf
from support import models, rows, weights

from tfx_shrink import lineage
from tfx_shrink.measure.size import model_size
from tfx_shrink.pruner.prune import prune
from tfx_shrink.quantizer.quantize import quantize

KERNELS = ["dense/kernel", "dense_1/kernel", "probabilities/kernel"]
BIASES = ["dense/bias", "dense_1/bias", "probabilities/bias"]


def record(directory):
    return lineage.read(directory)[-1]


def test_a_keras_model_gets_its_zeros_in_every_kernel_and_in_nothing_else(pruned):
    out, done = pruned("keras")
    found = weights.read(out)
    for name in KERNELS:
        assert weights.sparsity(found[name]) == pytest.approx(0.8, abs=0.01)
        assert done.by_weight[name] == weights.sparsity(found[name])
    for name in BIASES:
        assert weights.sparsity(found[name]) == 0
    assert done.method == "fine_tune"
    assert done.sparsity == pytest.approx(0.8, abs=0.01)


def test_a_keras_model_trains_and_stays_loadable_by_keras_without_slots(saved, pruned):
    out, _ = pruned("keras")
    assert weights.optimizer_slots(saved("keras")) > 10
    assert weights.optimizer_slots(out) == 0
    model = weights.load_keras(out)
    assert model.loss.__name__ == "sparse_categorical_crossentropy"
    before, after = weights.read(saved("keras")), weights.read(out)
    assert np.abs(before["dense/bias"] - after["dense/bias"]).max() > 0
    x = models.features(8)["x"]
    served = tf.saved_model.load(out).signatures["serving_default"](x=tf.constant(x))
    np.testing.assert_allclose(model(x), served["probabilities"], atol=1e-6)


def test_the_record_says_which_path_ran_and_why(pruned):
    step = record(pruned("keras")[0])
    assert step["technique"] == "prune"
    assert step["parameters"]["target_sparsity"] == 0.8
    assert step["saved_as"] == "keras"
    training = step["training"]
    assert (training["path"], training["engine"]) == ("keras", "tfmot")
    assert "Keras loads it" in training["path_reason"]
    assert training["origin"] == "saved with the model"
    assert training["steps"] == 16
    assert training["schedule"]["end"] <= 12
    assert step["output_difference"]["rows"] == 200
    assert step["result_gzip_bytes"] < step["source_gzip_bytes"]


def test_two_of_four_holds_in_every_group(pruned):
    out, done = pruned("keras", pattern="2_of_4")
    for name in KERNELS:
        kernel = weights.read(out)[name]
        groups = np.moveaxis(kernel, 0, -1).reshape(kernel.shape[1], -1, 4)
        assert ((groups != 0).sum(-1) <= 2).all()
    assert done.sparsity == pytest.approx(0.5, abs=0.01)


def test_blocks_are_zero_as_a_whole_and_what_tfmot_cannot_is_listed(pruned):
    out, done = pruned("keras", pattern="block_1x4")
    assert list(done.by_weight) == ["dense/kernel", "dense_1/kernel"]
    assert "more than one row and one block" in done.skipped["probabilities/kernel"]
    for name in done.by_weight:
        zeros = (weights.read(out)[name] == 0).reshape(-1, 4)
        assert (zeros.all(1) == zeros.any(1)).all()
        assert zeros.all(1).mean() == pytest.approx(0.8, abs=0.01)


def test_global_scope_reaches_the_share_over_all_weights_together(pruned):
    out, done = pruned("keras", scope="global")
    assert done.sparsity == pytest.approx(0.8, abs=0.01)
    shares = list(done.by_weight.values())
    assert max(shares) - min(shares) > 0.05
    assert record(out)["training"]["engine"] == "masks"


def test_ten_steps_reach_the_sparsity(pruned):
    _, done = pruned("keras", epochs=None, num_steps=10)
    assert done.sparsity == pytest.approx(0.8, abs=0.01)


def test_only_named_layers_are_pruned(pruned):
    _, done = pruned(
        "keras", layers=("dense*",), skip_layers=("dense_1",), num_steps=4, epochs=None
    )
    assert list(done.by_weight) == ["dense/kernel"]
    assert done.skipped["dense_1/kernel"] == "named in `skip_layers`"
    assert done.skipped["probabilities/kernel"] == "not named in `layers`"


@pytest.fixture(scope="module")
def transformed_rows(tmp_path_factory):
    """Rows for `save_public`'s call function, as Transform writes them, with a label."""
    features = models.transformed(models.public_features(128))
    features["label_xf"] = (features["a_xf"] > features["b_xf"]).astype(np.int64)
    return rows.write(tmp_path_factory.mktemp("transformed") / "rows", features)


@pytest.fixture(scope="module")
def public(saved, transformed_rows, tmp_path_factory):
    """A model without Keras's metadata, pruned."""
    out = str(tmp_path_factory.mktemp("public") / "model")
    done = prune(
        saved("public"),
        out,
        examples=[transformed_rows],
        target_sparsity=0.8,
        label_key="label_xf",
        epochs=2,
    )
    return out, done


def test_a_model_without_keras_metadata_trains_through_its_own_call_function(saved, public):
    out, done = public
    training = record(out)["training"]
    assert training["path"] == "call_function"
    assert "keras_metadata.pb is missing" in training["path_reason"]
    assert training["loss"] == "sparse_categorical_crossentropy"
    assert training["origin"] == "inferred from label and output"
    found, before = weights.read(out), weights.read(saved("public"))
    assert done.by_weight.keys() == {name for name in found if name.endswith("/kernel")}
    for name, array in found.items():
        if name in done.by_weight:
            assert weights.sparsity(array) == pytest.approx(0.8, abs=0.01)
        else:
            assert np.abs(array - before[name]).max() > 0


def test_a_model_without_keras_metadata_keeps_every_signature_and_its_call_function(saved, public):
    out, _ = public
    source, result = tf.saved_model.load(saved("public")), tf.saved_model.load(out)
    assert sorted(result.signatures) == sorted(source.signatures)
    raw = tf.constant(rows.examples(models.public_features(4)))
    for name, signature in source.signatures.items():
        expected, given = signature(raw), result.signatures[name](raw)
        assert expected.keys() == given.keys()
    features = {
        name: tf.constant(values)
        for name, values in models.transformed(models.public_features(4)).items()
    }
    np.testing.assert_allclose(
        result([features["a_xf"], features["b_xf"]], training=False),
        result.signatures["serving_default"](raw)["outputs"],
        atol=1e-5,
    )
    assert weights.optimizer_slots(out) == 0


def test_what_was_pruned_can_be_pruned_further(pruned, labelled, tmp_path):
    first, _ = pruned("keras")
    done = prune(
        first,
        str(tmp_path / "again"),
        examples=[labelled],
        target_sparsity=0.9,
        label_key="label",
        num_steps=4,
    )
    assert done.sparsity == pytest.approx(0.9, abs=0.01)
    assert len(lineage.read(str(tmp_path / "again"))) == 2


def stored(tflite, shape):
    """The weight of this shape, output first, as a TFLite file stores it."""
    interpreter = tf.lite.Interpreter(model_content=tflite)
    (found,) = (
        detail
        for detail in interpreter.get_tensor_details()
        if detail["shape"].tolist() == shape and detail["dtype"] in (np.int8, np.float16)
    )
    return interpreter.get_tensor(found["index"])


@pytest.mark.parametrize("scheme", ["dynamic_range", "int8", "float16"])
def test_quantizing_for_tflite_afterwards_keeps_the_zeros(pruned, labelled, tmp_path, scheme):
    source, _ = pruned("keras")
    out = tmp_path / "out"
    quantize(source, str(out), scheme=scheme, examples=[labelled])
    assert [step["technique"] for step in lineage.read(str(out))] == ["prune", "quantize"]
    kernel = weights.read(source)["dense_1/kernel"]
    found = stored((out / "model.tflite").read_bytes(), [64, 128])
    assert (found.T[kernel == 0] == 0).all()


def test_quantizing_the_weights_of_a_saved_model_afterwards_keeps_the_zeros(
    saved, pruned, labelled, tmp_path
):
    sizes = []
    for number, source in enumerate((saved("keras"), pruned("keras")[0])):
        out = str(tmp_path / str(number))
        quantize(source, out, scheme="weight_int8", examples=[labelled])
        sizes.append(model_size(out).gzip)
    dense, sparse = sizes
    assert dense - sparse > 0.6 * 10_432  # 80 % of the bytes of all kernels, less the marks.
