"""A student takes its teacher's place: same signatures, loadable, with a record to read."""

import os

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models, rows, weights
from support.transform import write_transform_graph

from tfx_shrink import lineage
from tfx_shrink.distiller.distill import distill
from tfx_shrink.errors import ModelError, ParameterError, UntrainableError

X = models.features(10, seed=3)["x"]


def signature_types(directory):
    """{signature: (inputs, outputs)} with names, types and shapes."""
    loaded = tf.saved_model.load(directory)
    return {
        name: (
            {key: (spec.dtype, spec.shape.as_list()) for key, spec in inputs.items()},
            {
                key: (spec.dtype, spec.shape.as_list())
                for key, spec in function.structured_outputs.items()
            },
        )
        for name, function in loaded.signatures.items()
        for inputs in [function.structured_input_signature[1]]
    }


@pytest.fixture(scope="module")
def whole(distilled):
    """The run with everything: control, and early stopping."""
    return distilled("keras", control=True, patience=2)


def test_the_student_has_its_teachers_signatures_and_is_smaller(saved, whole):
    out, done = whole
    assert signature_types(out) == signature_types(saved("keras"))
    assert done.student_parameters == 163
    assert done.teacher_parameters == 10_627
    assert done.result_gzip < done.source_gzip
    served = tf.saved_model.load(out).signatures["serving_default"](x=tf.constant(X))
    np.testing.assert_allclose(tf.reduce_sum(served["probabilities"], -1), 1, atol=1e-5)


def test_keras_loads_the_student_without_optimizer_slots(whole):
    out, _ = whole
    network = weights.load_keras(out)
    assert weights.optimizer_slots(out) == 0
    served = tf.saved_model.load(out).signatures["serving_default"](x=tf.constant(X))
    np.testing.assert_allclose(network(X), served["probabilities"], atol=1e-5)
    assert network.loss is not None


def test_the_record_holds_quality_control_and_early_stopping(whole):
    out, done = whole
    (step,) = lineage.read(out)
    quality = step["quality"]
    assert quality == done.quality
    assert (quality["metric"], quality["rows"]) == ("accuracy", 96)
    for name in ("teacher", "control"):
        difference = quality[f"student_minus_{name}"]
        assert difference["mean"] == pytest.approx(quality["student"] - quality[name])
        assert difference["half_of_95_percent_interval"] >= 0
    assert sorted(step["training"]) == ["control", "student"]
    assert step["training"]["student"]["early_stopping"]["best_epoch"] in (1, 2)
    assert step["output"] == {"task": "classes", "probabilities": True, "logarithms": False}
    assert step["loss_taken"] == "kl"
    assert not step["student_is_larger"]
    assert step["parameters"]["temperature"] == 4.0


def test_cached_and_in_step_give_the_same_student(distilled):
    cached, _ = distilled("keras")
    in_step, _ = distilled("keras", teacher_pass="in_step")
    losses = [
        lineage.read(out)[-1]["training"]["student"]["final_loss"] for out in (cached, in_step)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    after = weights.read(in_step)
    for name, array in weights.read(cached).items():
        np.testing.assert_allclose(array, after[name], atol=1e-3)


def test_rows_and_labels_of_an_input_fn_are_what_the_student_learns_from(
    saved, labelled, student, tmp_path
):
    def input_fn(files, tf_transform_output, batch_size):
        assert tf_transform_output is None
        (path,) = files
        x = tf.data.TFRecordDataset(path).map(
            lambda row: tf.io.parse_single_example(
                row, {"x": tf.io.FixedLenFeature([models.WIDTH], tf.float32)}
            )
        )
        return x.map(lambda features: (features, tf.constant(2, tf.int64))).batch(batch_size)

    out = str(tmp_path / "out")
    distill(
        saved("keras"),
        out,
        student=student(),
        examples=[labelled],
        user_functions={"input_fn": input_fn},
        teacher_pass="in_step",
        alpha=1.0,
        batch_size=32,
        epochs=20,
        learning_rate=0.05,
    )
    assert lineage.read(out)[-1]["training"]["student"]["steps"] == 20 * 3
    served = tf.saved_model.load(out).signatures["serving_default"](x=tf.constant(X))
    assert served["probabilities"].numpy().argmax(1).tolist() == [2] * len(X)


def test_the_chain_goes_on_through_pruner_and_quantizer(whole, labelled, tmp_path):
    from tfx_shrink.pruner.prune import prune
    from tfx_shrink.quantizer.quantize import quantize

    out, _ = whole
    pruned, int8 = str(tmp_path / "pruned"), str(tmp_path / "int8")
    prune(out, pruned, examples=[labelled], target_sparsity=0.5, method="one_shot")
    quantize(pruned, int8, scheme="int8", examples=[labelled], num_calibration_examples=40)
    assert [step["technique"] for step in lineage.read(int8)] == ["distill", "prune", "quantize"]


def test_a_quantized_model_may_be_a_teacher(quantized, student, labelled, tmp_path):
    teacher, _ = quantized("weight_int8")
    out = str(tmp_path / "out")
    done = distill(
        teacher, out, student=student(), examples=[labelled], label_key="label", epochs=1
    )
    assert [step["technique"] for step in lineage.read(out)] == ["quantize", "distill"]
    # The large ones: a quantized model holds biases and the like as constants.
    assert done.teacher_parameters == models.WIDTH * 128 + 128 * 64
    assert not done.facts["student_is_larger"]


def refused(saved, kind, labelled, tmp_path, error, words, **parameters):
    parameters = {"label_key": "label", "work_dir": str(tmp_path / "work"), **parameters}
    with pytest.raises(error, match=words):
        distill(saved(kind), str(tmp_path / "out"), examples=[labelled], **parameters)
    assert not (tmp_path / "out").exists()
    # Nothing was paid for: the teacher's pass had not begun.
    assert not (tmp_path / "work").exists()


def softmax_in_a_lambda():
    x = tf_keras.Input([models.WIDTH], name="x")
    top = tf_keras.layers.Dense(3, name="top")(x)
    return tf_keras.Model(x, tf_keras.layers.Lambda(tf.nn.softmax, name="last")(top))


@pytest.mark.parametrize(
    ("words", "parameters"),
    [
        ("must end in logits.*layer 'last'", {"student": softmax_in_a_lambda}),
        (r"shape \(3,\); the student's, of layer 'top', has \(5,\)", {"units": 5}),
        (
            r"layers of the student.*it has \['x', 'h', 'top'\]. Received: \['hidden'\]",
            {"loss": "feature", "feature_pairs": {"dense": "hidden"}},
        ),
        (r"Received: student='narrow'", {"student": "narrow"}),
        (r"Received: temperature=0", {"temperature": 0}),
        (r"\['label', 'x'\].*label_key='species'", {"label_key": "species"}),
        (r"drop_signatures.*Received: \['serve'\]", {"drop_signatures": ("serve",)}),
    ],
)
def test_bad_input_is_refused_before_the_teachers_pass(
    saved, student, labelled, tmp_path, words, parameters
):
    parameters = {"student": student(units=parameters.pop("units", 3)), **parameters}
    error = (ParameterError, ModelError, Exception)
    refused(saved, "keras", labelled, tmp_path, error, words, **parameters)


def test_a_student_that_reads_what_the_rows_lack_is_refused(saved, labelled, tmp_path):
    def build():
        x = tf_keras.Input([2], name="color")
        return tf_keras.Model(x, tf_keras.layers.Dense(3)(x))

    refused(saved, "keras", labelled, tmp_path, Exception, "color", student=build)


def public_student(wide=4):
    def build():
        inputs = [tf_keras.Input([1], name=name) for name in ("a_xf", "b_xf")]
        hidden = tf_keras.layers.Dense(wide, "relu")(tf_keras.layers.concatenate(inputs))
        return tf_keras.Model(inputs, tf_keras.layers.Dense(3, "softmax", name="top")(hidden))

    return build


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """Raw rows and the transform graph of `models.save_public`."""
    directory = tmp_path_factory.mktemp("public")
    raw = models.public_features(64)
    label = (raw["a"][:, 0] > 0).astype(np.int64)
    examples = rows.write(directory / "rows", {**raw, "label": label})
    spec = {name: tf.io.FixedLenFeature([1], tf.float32) for name in ("a", "b")}
    write_transform_graph(
        str(directory / "graph"),
        [{name: values[n].tolist() for name, values in raw.items()} for n in range(4)],
        spec,
        lambda inputs: {f"{name}_xf": values * 2 for name, values in inputs.items()},
    )
    return examples, str(directory / "graph")


def test_a_teacher_of_public_module_files_is_distilled_through_a_student_fn(
    saved, public, tmp_path
):
    examples, graph = public
    out = str(tmp_path / "out")
    done = distill(
        saved("public"),
        out,
        student=public_student(),
        examples=[examples],
        transform_graph=graph,
        label_key="label",
        epochs=1,
    )
    assert signature_types(out) == signature_types(saved("public"))
    # The teacher serves logits, so its student does, though it ends in a softmax.
    assert done.facts["output"]["probabilities"] is False
    raw = models.public_features(8, seed=1)
    served = tf.saved_model.load(out).signatures["serving_default"](
        examples=tf.constant(rows.examples(raw))
    )
    network = weights.load_keras(out)
    np.testing.assert_allclose(
        served["outputs"], network(models.transformed(raw)), rtol=1e-4, atol=1e-4
    )
    assert np.abs(np.sum(served["outputs"], -1) - 1).max() > 0.01
    transformed = tf.saved_model.load(out).signatures["transform_features"](
        examples=tf.constant(rows.examples(raw))
    )
    np.testing.assert_allclose(transformed["a_xf"], raw["a"] * 2, atol=1e-6)


def test_a_student_larger_than_its_teacher_is_noted_and_allowed_and_a_raw_teacher_suffices(
    public, tmp_path
):
    """The teacher has `serving_default` over raw Examples alone, and 6 weights."""
    examples, graph = public
    kernel = tf.Variable(np.random.RandomState(0).randn(2, 3).astype(np.float32), name="kernel")

    class Module(tf.Module):
        def __init__(self):
            self.kernel = kernel

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(self, examples):
            spec = {name: tf.io.FixedLenFeature([1], tf.float32) for name in ("a", "b")}
            raw = tf.io.parse_example(examples, spec)
            return {"scores": tf.nn.softmax(tf.concat([raw["a"], raw["b"]], 1) @ self.kernel)}

    module, teacher, out = Module(), str(tmp_path / "teacher"), str(tmp_path / "out")
    tf.saved_model.save(module, teacher, signatures={"serving_default": module.serve})
    done = distill(
        teacher,
        out,
        student=public_student(wide=20),
        examples=[examples],
        transform_graph=graph,
        epochs=1,
    )
    assert signature_types(out) == signature_types(teacher)
    assert (done.teacher_parameters, done.student_parameters) == (6, 123)
    (step,) = lineage.read(out)
    assert step["student_is_larger"]
    assert step["teacher_function"] == "serving_default"
    assert list(step["signatures_not_compared"]) == ["serving_default"]


def test_rows_that_no_signature_reads_as_they_are_teach_no_student(student, tmp_path):
    """Raw rows named as the transformed ones, and only what transforms them is dropped."""
    model = models.mlp()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        spec = {"x": tf.io.FixedLenFeature([models.WIDTH], tf.float32)}
        return {"probabilities": model(tf.io.parse_example(examples, spec)["x"] / -255)}

    teacher, out = str(tmp_path / "teacher"), tmp_path / "out"
    model.save(teacher, save_format="tf", signatures={"serving_default": serve})
    raw = rows.write(tmp_path / "rows" / "0", {"x": models.features(40)["x"] * 255})
    with pytest.raises(UntrainableError, match=r"__call__, which answers rows otherwise than serv"):
        distill(
            teacher,
            str(out),
            student=student(),
            examples=[raw],
            drop_signatures=("serving_default",),
            epochs=1,
        )
    assert not out.exists()


def test_a_signature_that_cannot_be_rebuilt_is_named_and_may_be_dropped(saved, student, tmp_path):
    examples = rows.write(tmp_path / "rows" / "0", {**models.features(40), "color": ["red"] * 40})
    parameters = {"student": student(), "examples": [examples], "loss": "mse", "epochs": 1}
    out = tmp_path / "out"
    with pytest.raises(ModelError, match=r"'serving_default' cannot be rebuilt: .*`drop_signatur"):
        distill(saved("with_table"), str(out), **parameters)
    assert not out.exists()
    parameters["drop_signatures"] = ("serving_default",)
    # What it gives for "color" would be lost unasked.
    with pytest.raises(UntrainableError, match=r"dense.*serving_default.*signature_name='dense'"):
        distill(saved("with_table"), str(out), **parameters)
    distill(saved("with_table"), str(out), signature_name="dense", **parameters)
    assert list(signature_types(str(out))) == ["dense"]
    assert os.listdir(out)
