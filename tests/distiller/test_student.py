"""A student serves what its teacher serves, however it ends, and is trained on logits."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models

from tfx_shrink.distiller.outputs import BINARY, CLASSES, REGRESSION, OutputKind
from tfx_shrink.distiller.student import build_student, described, narrow, require_logits
from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.training.keras_models import load_keras

layers = tf_keras.layers
X = models.features(12)["x"]


def ending(*last, units=3):
    """Builds a network that ends in a Dense layer, and what is given after it."""

    def build():
        x = tf_keras.Input([models.WIDTH], name="x")
        hidden = layers.Dense(8, "relu", name="h")(x)
        first, *others = last or (layers.Dense(units, name="top"),)
        hidden = first(hidden)
        for each in others:
            hidden = each(hidden)
        return tf_keras.Model(x, hidden)

    return build


def dense(activation=None):
    return layers.Dense(3, activation, name="top")


SOFTMAX = {
    "logits": lambda: ending(dense()),
    "dense_softmax": lambda: ending(dense("softmax")),
    "softmax_layer": lambda: ending(dense(), layers.Softmax(name="last")),
    "activation_layer": lambda: ending(dense(), layers.Activation("softmax", name="last")),
    "function": lambda: ending(dense(), tf.nn.softmax),
    "dense_of_tensorflows": lambda: ending(dense(tf.nn.softmax)),
    "dense_of_an_object": lambda: ending(dense(layers.Softmax())),
    "activation_layer_of_tensorflows": lambda: ending(
        dense(), layers.Activation(tf.nn.softmax, name="last")
    ),
    "sequential": lambda: (
        lambda: tf_keras.Sequential(
            [
                tf_keras.Input([models.WIDTH], name="x"),
                layers.Dense(8, "relu", name="h"),
                dense("softmax"),
            ]
        )
    ),
}


@pytest.mark.parametrize("end", SOFTMAX)
@pytest.mark.parametrize("probabilities", [True, False])
def test_a_student_of_any_end_is_never_a_softmax_of_a_softmax(end, probabilities):
    student = build_student(SOFTMAX[end](), OutputKind(CLASSES, probabilities), (3,), 0)
    logits = build_student(SOFTMAX["logits"](), OutputKind(CLASSES, False), (3,), 0).body(X)
    np.testing.assert_allclose(student.body(X), logits, atol=1e-5)
    served = tf.nn.softmax(logits) if probabilities else logits
    np.testing.assert_allclose(student.network(X), served, atol=1e-5)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize("probabilities", [True, False])
def test_a_student_of_binary_answers_serves_the_same_kind_as_its_teacher(activation, probabilities):
    student = build_student(ending(dense(activation)), OutputKind(BINARY, probabilities), (3,), 0)
    logits = build_student(ending(dense()), OutputKind(BINARY, False), (3,), 0).body(X)
    np.testing.assert_allclose(student.body(X), logits, atol=1e-5)
    served = tf.sigmoid(logits) if probabilities else logits
    np.testing.assert_allclose(student.network(X), served, atol=1e-5)


@pytest.mark.parametrize("end", ["logits", "dense_softmax"])
def test_a_student_of_a_log_softmax_serves_logarithms_and_keras_loads_it(end, tmp_path):
    kind = OutputKind(CLASSES, False, logarithms=True)
    student = build_student(SOFTMAX[end](), kind, (3,), 0)
    student.network.save(str(tmp_path), save_format="tf")
    logits = build_student(SOFTMAX["logits"](), OutputKind(CLASSES, False), (3,), 0).body(X)
    np.testing.assert_allclose(student.body(X), logits, atol=1e-5)
    for network in (student.network, load_keras(str(tmp_path)).network):
        np.testing.assert_allclose(network(X), tf.nn.log_softmax(logits), atol=1e-5)


def test_a_regression_may_end_in_a_sigmoid_which_is_part_of_its_answer():
    student = build_student(ending(dense("sigmoid")), OutputKind(REGRESSION, False), (3,), 0)
    logits = build_student(ending(dense()), OutputKind(REGRESSION, False), (3,), 0).body(X)
    np.testing.assert_allclose(student.network(X), tf.sigmoid(logits), atol=1e-5)


def test_a_regression_is_served_as_it_is_trained():
    student = build_student(ending(dense()), OutputKind(REGRESSION, False), (3,), 0)
    assert student.network is student.body


def test_the_same_seed_gives_the_same_first_weights():
    kind = OutputKind(CLASSES, False)
    one, same, other = (build_student(ending(dense()), kind, (3,), s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.body(X), same.body(X))
    assert np.abs(one.body(X).numpy() - other.body(X).numpy()).max() > 0.01


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (ending(units=4), r"shape \(3,\); the student's, of layer 'top', has \(4,\)"),
        (ending(dense("sigmoid")), "end in logits or in a softmax.*'top' with a sigmoid"),
        (
            ending(dense(), tf_keras.Sequential([layers.Softmax()], name="inner")),
            "must not end in a model of its own.*'inner'",
        ),
        (lambda: "a model", r"must return a Functional or Sequential.*builtins\.str"),
        (
            lambda: tf_keras.Sequential([layers.Dense(3)]),
            "must return a Functional or Sequential",
        ),
        (lambda: None, "must return a Functional or Sequential"),
    ],
)
def test_what_cannot_take_the_teachers_place_is_refused(build, words):
    with pytest.raises(ParameterError, match=words):
        build_student(build, OutputKind(CLASSES, True), (3,), 0)


def by_hand(logits):
    exponentials = tf.exp(logits)
    return exponentials / tf.reduce_sum(exponentials, -1, keepdims=True)


def checked(build, kind):
    require_logits(build_student(build, kind, (3,), 0), kind, {"x": X})


HIDDEN = {
    "lambda_layer": lambda squash: ending(dense(), layers.Lambda(squash, name="last")),
    "lambda": lambda squash: ending(dense(lambda logits: squash(logits))),
    "under_another_layer": lambda squash: ending(
        dense(squash), layers.Activation("linear", dtype="float32", name="last")
    ),
}


@pytest.mark.parametrize("probabilities", [True, False])
@pytest.mark.parametrize("squash", [tf.nn.softmax, by_hand], ids=["softmax", "by_hand"])
@pytest.mark.parametrize("end", HIDDEN)
def test_a_softmax_that_cannot_be_taken_away_is_refused(end, squash, probabilities):
    kind = OutputKind(CLASSES, probabilities)
    with pytest.raises(ParameterError, match=r"must end in logits.*layer '(top|last)'.*probabilit"):
        checked(HIDDEN[end](squash), kind)


@pytest.mark.parametrize("end", HIDDEN)
def test_a_sigmoid_that_cannot_be_taken_away_is_refused(end):
    with pytest.raises(ParameterError, match=r"must end in logits.*binary outputs"):
        checked(HIDDEN[end](tf.sigmoid), OutputKind(BINARY, True))


def test_logits_that_lie_between_0_and_1_by_chance_are_logits():
    zeros = layers.Dense(3, kernel_initializer="zeros", bias_initializer="ones", name="top")
    for task in (BINARY, CLASSES):
        checked(ending(zeros), OutputKind(task, True))
    checked(ending(dense("sigmoid")), OutputKind(REGRESSION, False))


def test_a_student_of_several_outputs_is_refused():
    def build():
        x = tf_keras.Input([models.WIDTH], name="x")
        outputs = {name: layers.Dense(3, name=name)(x) for name in ("one", "two")}
        return tf_keras.Model(x, outputs)

    with pytest.raises(ParameterError, match=r"must have one output.*\['one', 'two'\]"):
        build_student(build, OutputKind(CLASSES, True), (3,), 0)


class Doubling(layers.Layer):
    """A layer of a user who did not say how it is configured."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, values):
        return self.factor * values


def unnamed(units=8, activation="relu", last=()):
    def build():
        x = tf_keras.Input([models.WIDTH], name="x")
        hidden = layers.Dense(units, activation)(x)
        for each in last:
            hidden = each(hidden)
        return tf_keras.Model(x, tf.nn.relu(layers.Dense(3)(hidden)))

    return build


def test_a_description_tells_students_apart_and_not_how_often_one_was_built():
    def describe(build):
        return described(build_student(build, OutputKind(CLASSES, True), (3,), 0))

    one = describe(unnamed())
    assert describe(unnamed()) == one
    others = [
        describe(unnamed(units=7)),
        describe(unnamed(activation="tanh")),
        describe(unnamed(last=[layers.Dropout(0.5)])),
        describe(unnamed(last=[Doubling(2)])),
    ]
    assert len({one, *others}) == 5


def residual():
    """Statistics, a residual add, and an output: 3 hidden layers whose widths go together."""
    x = tf_keras.Input([models.WIDTH], name="x")
    statistics = layers.Normalization(name="statistics")
    trunk = layers.Dense(8, "relu", name="trunk")(statistics(x))
    inner = layers.Dense(6, "relu", name="inner")(trunk)
    outer = layers.Dense(8, name="outer")(inner)
    joined = layers.Add(name="add")([trunk, outer])
    mean, variance = np.full(models.WIDTH, 5.0), np.full(models.WIDTH, 9.0)
    statistics.set_weights([mean, variance, np.array(0)])
    return tf_keras.Model(x, layers.Dense(3, "softmax", name="top")(joined))


@pytest.fixture(scope="module")
def residual_job(job, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("residual") / "model")
    model = residual()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(directory, save_format="tf")
    return job(directory)


def test_auto_halves_hidden_layers_and_keeps_branches_that_are_added_consistent(residual_job):
    network = narrow(residual_job, 0.5)
    widths = {name: network.get_layer(name).units for name in ("trunk", "inner", "outer", "top")}
    assert widths == {"trunk": 4, "inner": 3, "outer": 4, "top": 3}
    assert network(X).shape == (12, 3)


def test_auto_copies_what_was_measured_and_learns_the_rest_anew(residual_job):
    network, teacher = narrow(residual_job, 0.99), residual_job.keras.network
    for name in ("mean", "variance"):
        measured = getattr(teacher.get_layer("statistics"), name).numpy()
        assert measured.min() > 4
        np.testing.assert_array_equal(getattr(network.get_layer("statistics"), name), measured)
    assert network.get_layer("trunk").units == 8
    trunk = [each.get_layer("trunk").kernel.numpy() for each in (network, teacher)]
    assert np.abs(trunk[0] - trunk[1]).max() > 0.01


def test_auto_of_a_frozen_backbone_learns_what_became_narrower(job, tmp_path):
    x = tf_keras.Input([models.WIDTH], name="x")
    statistics = layers.BatchNormalization(name="first", trainable=False)(x)
    hidden = layers.Dense(8, "relu", name="frozen", trainable=False)(statistics)
    hidden = layers.BatchNormalization(name="norm", trainable=False)(hidden)
    teacher = tf_keras.Model(x, layers.Dense(3, "softmax", name="top")(hidden))
    teacher.get_layer("first").set_weights([np.full(models.WIDTH, n) for n in (2.0, 3.0, 4.0, 5.0)])
    teacher.save(str(tmp_path / "model"), save_format="tf")
    network = narrow(job(str(tmp_path / "model")), 0.5)
    assert network.get_layer("frozen").units == 4
    assert {layer.name: layer.trainable for layer in network.layers if layer.weights} == {
        "first": False,
        "frozen": True,
        "norm": True,
        "top": True,
    }
    np.testing.assert_array_equal(network.get_layer("first").moving_mean, [4.0] * models.WIDTH)


def test_auto_leaves_at_least_one_channel_and_the_teacher_as_it_was(residual_job):
    before = residual_job.keras.network(X).numpy()
    assert narrow(residual_job, 0.001).get_layer("inner").units == 1
    np.testing.assert_array_equal(residual_job.keras.network(X), before)


def test_auto_of_a_teacher_that_keras_cannot_load_asks_for_a_student_fn(job):
    with pytest.raises(ModelError, match=r"saved by Keras; .*Give user code with a `student_fn"):
        narrow(job("keras3"), 0.5)


def test_auto_of_a_teacher_without_hidden_layers_asks_for_a_student_fn(job, tmp_path):
    x = tf_keras.Input([models.WIDTH], name="x")
    network = tf_keras.Model(x, layers.Dense(3, "softmax", name="only")(x))
    network.save(str(tmp_path / "model"), save_format="tf")
    with pytest.raises(ModelError, match=r"no hidden layer.*`student_fn[\s\S]*'only'\]: ."):
        narrow(job(str(tmp_path / "model")), 0.5)
