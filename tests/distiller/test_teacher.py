"""Any function that gives one output can teach, and what it teaches does not depend on its end."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras
from support import models, rows
from support.transform import write_transform_graph

from tfx_shrink.distiller.outputs import CLASSES, OutputKind
from tfx_shrink.distiller.teacher import OUTPUT, Teacher
from tfx_shrink.errors import ExamplesError, ModelError, ParameterError
from tfx_shrink.saved_model.functions import CALL_FUNCTION

WEIGHTS = np.random.RandomState(0).randn(models.WIDTH, 3).astype(np.float32)


def logits(x):
    return {"scores": x @ tf.constant(WEIGHTS)}


def probabilities(x):
    return {"scores": tf.nn.softmax(x @ tf.constant(WEIGHTS))}


def save(directory, **functions):
    inputs = {"x": models.spec()}
    return models.save_functions(directory, **{n: (f, inputs) for n, f in functions.items()})


def test_a_teacher_of_logits_and_one_of_probabilities_give_the_same_soft_targets(job, tmp_path):
    jobs = [
        job(save(tmp_path / function.__name__, serving_default=function))
        for function in (logits, probabilities)
    ]
    assert [each.kind for each in jobs] == [OutputKind(CLASSES, p) for p in (False, True)]
    some = jobs[0].source.sample.rows[:20]
    answers = [Teacher(each.teacher).answer_rows(some)[OUTPUT] for each in jobs]
    np.testing.assert_allclose(*(tf.nn.softmax(each) for each in answers), atol=1e-5)
    np.testing.assert_allclose(*(tf.nn.softmax(each / 4) for each in answers), atol=1e-4)


def test_its_own_call_function_comes_before_a_signature(job):
    assert job("keras").function.name == CALL_FUNCTION
    assert job("keras", signature_name="serving_default").function.name == "serving_default"


def test_a_teacher_with_a_raw_signature_alone_is_asked_for_serialized_rows(job, tmp_path):
    def serve(examples):
        spec = {"x": tf.io.FixedLenFeature([models.WIDTH], tf.float32)}
        return logits(tf.io.parse_example(examples, spec)["x"])

    inputs = {"examples": models.spec([None], tf.string)}
    raw = job(models.save_functions(tmp_path / "raw", serving_default=(serve, inputs)))
    dense = job(save(tmp_path / "dense", serving_default=logits))
    some = raw.source.sample.rows[:20]
    answers = [Teacher(each.teacher).answer_rows(some)[OUTPUT] for each in (raw, dense)]
    np.testing.assert_allclose(*answers, atol=1e-5)


def test_a_teacher_loads_the_transform_graph_once_for_all_shards(job, tmp_path, monkeypatch):
    write_transform_graph(
        str(tmp_path / "graph"),
        [{"pixels": [float(n)] * models.WIDTH} for n in range(4)],
        {"pixels": tf.io.FixedLenFeature([models.WIDTH], tf.float32)},
        lambda inputs: {"x": inputs["pixels"] / 1},
    )
    raw = rows.write(tmp_path / "rows" / "0", {"pixels": models.features(9)["x"]})
    made = job("keras", raw, str(tmp_path / "graph"), label_key=None)
    loaded = []
    layer = tft.TFTransformOutput.transform_features_layer
    monkeypatch.setattr(
        tft.TFTransformOutput,
        "transform_features_layer",
        lambda self: loaded.append(self) or layer(self),
    )
    teacher, serialized = Teacher(made.teacher), made.source.sample.rows
    answers = [teacher.answer_rows(serialized[at : at + 3])[OUTPUT] for at in (0, 3, 6)]
    assert len(loaded) == 1
    np.testing.assert_allclose(
        np.concatenate(answers), teacher.answer_rows(serialized)[OUTPUT], atol=1e-5
    )


def test_layers_of_a_keras_teacher_are_answered_too(job):
    made = job("keras", loss="feature", feature_pairs={"dense_1": "h"})
    assert made.targets.targets == {OUTPUT: (3,), "dense_1": (64,)}
    answers = Teacher(made.teacher).answer_rows(made.source.sample.rows[:5])
    assert answers["dense_1"].shape == (5, 64)
    assert (answers["dense_1"] >= 0).all()  # After its ReLU.


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A Keras model of logits, with signatures that add a softmax, or take raw Examples."""
    x = tf_keras.Input([models.WIDTH], name="x")
    hidden = tf_keras.layers.Dense(8, "relu", name="hidden")(x)
    model = tf_keras.Model(x, tf_keras.layers.Dense(3, name="top")(hidden))

    @tf.function(input_signature=[tf.TensorSpec([None, models.WIDTH], name="x")])
    def softmax(x):
        return {"scores": tf.nn.softmax(model(x))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def raw(examples):
        spec = {"x": tf.io.FixedLenFeature([models.WIDTH], tf.float32)}
        return {"scores": model(tf.io.parse_example(examples, spec)["x"])}

    directory = str(tmp_path_factory.mktemp("finished") / "model")
    model.save(directory, save_format="tf", signatures={"serving_default": softmax, "raw": raw})
    return directory


@pytest.mark.parametrize(
    ("name", "words"), [("serving_default", "outputs .*network gives"), ("raw", "other inputs")]
)
def test_layers_are_not_asked_beside_another_functions_output(job, finished, name, words):
    pairs = {"loss": "feature", "feature_pairs": {"hidden": "h"}}
    with pytest.raises(ModelError, match=f"{name} has {words}.*signature_name='__call__'"):
        job(finished, signature_name=name, **pairs)
    assert job(finished, **pairs).kind == OutputKind(CLASSES, False)
    assert job(finished, signature_name=name).kind.task == CLASSES


def test_rows_that_lack_what_the_teacher_reads_are_refused_function_by_function(job, tmp_path):
    with pytest.raises(ModelError, match=r"No function[\s\S]*'a_xf'.*are missing") as refused:
        job("public", label_key=None, loss="mse")
    assert "serving_default cannot parse the rows" in str(refused.value)
    assert "Feature: a " in str(refused.value)
    inputs = {"color": models.spec([None, 2])}
    teacher = models.save_functions(tmp_path, serving_default=(lambda color: {"y": color}, inputs))
    with pytest.raises(ExamplesError, match=r"reads \['color'\].*\['label', 'x'\]"):
        job(teacher, signature_name="serving_default")


def test_several_outputs_are_refused_and_named(job, tmp_path):
    def two(x):
        return {"a": x, "b": x}

    teacher = save(tmp_path / "two", serving_default=two)
    with pytest.raises(ModelError, match=r"serving_default: it has the outputs \['a', 'b'\]"):
        job(teacher)
    with pytest.raises(ParameterError, match=r"one output.*'serving_default', whose .*\['a', 'b'"):
        job(teacher, signature_name="serving_default")
    both = save(tmp_path / "both", serving_default=two, more=logits)
    assert job(both).function.name == "more"


def test_a_function_that_is_not_there_is_answered_with_those_that_are(job):
    with pytest.raises(ParameterError, match=r"serving_default.*signature_name='serve'"):
        job("keras", signature_name="serve")


def test_a_layer_that_the_teacher_does_not_have_is_answered_with_those_that_it_has(job):
    with pytest.raises(ParameterError, match=r"teacher, which has \['x', 'dense', .*\['dence'\]"):
        job("keras", loss="feature", feature_pairs={"dence": "h"})


def test_features_of_a_teacher_that_keras_cannot_load_are_refused(job):
    with pytest.raises(ModelError, match=r"saved by Keras; .*Use loss='kl' or loss='mse'"):
        job("keras3", loss="feature", feature_pairs={"dense": "h"})
