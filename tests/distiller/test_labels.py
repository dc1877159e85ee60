"""Rows without a label are learned from by their soft targets, raw or transformed."""

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models, rows
from support.transform import write_transform_graph

from tfx_shrink.distiller.distill import distill
from tfx_shrink.distiller.lessons import given_lessons, make_lessons
from tfx_shrink.distiller.objective import HAS_LABEL, LABEL
from tfx_shrink.distiller.outputs import REGRESSION, OutputKind
from tfx_shrink.distiller.soft_targets import unpack, write_soft_targets
from tfx_shrink.errors import ExamplesError, ModelError
from tfx_shrink.examples.files import read_rows
from tfx_shrink.examples.labels import labels_that_count

X = models.features(60)["x"]
CLASSES = X[:, : models.CLASSES].argmax(1)


def write(path, labels, name="x", key="label"):
    """Rows of which some have a label; None is none."""
    serialized = [rows.example(**{name: x, key: label}) for x, label in zip(X, labels, strict=True)]
    return rows.write_serialized(path, serialized)


def known(job, tmp_path):
    """What the shards say of the labels, in the order of the rows: `(label, has a label)`."""
    shards = write_soft_targets(
        job.examples, str(tmp_path / "shards"), job.teacher, job.settings.label_key
    )
    records = [record for shard in shards for record in read_rows(shard)]
    serialized, _, labels, there = unpack(tf.constant(records), job.targets)
    order = {row: number for number, row in enumerate(read_rows(job.examples[0]))}
    by_row = dict(
        zip(
            (order[row] for row in serialized.numpy()),
            zip(labels.numpy().tolist(), there.numpy().tolist(), strict=True),
            strict=True,
        )
    )
    return [by_row[number] for number in sorted(by_row)]


def expected(labels):
    return [(0, False) if label is None else (label, label >= 0) for label in labels]


def test_a_missing_label_and_one_of_minus_1_are_no_labels(job, tmp_path):
    labels = [(int(c), None, -1)[n % 3] for n, c in enumerate(CLASSES)]
    made = job("keras", write(tmp_path / "rows" / "0", labels))
    assert known(made, tmp_path) == expected(labels)


def test_a_float_label_of_minus_1_is_no_label(job, tmp_path):
    labels = [(float(c), -1.0)[n % 2] for n, c in enumerate(CLASSES)]
    made = job("keras", write(tmp_path / "rows" / "0", labels))
    assert known(made, tmp_path) == expected(labels)


def test_a_label_of_no_class_is_refused_with_both_sides(job, tmp_path):
    labels = [int(c) + (n == 5) * 7 for n, c in enumerate(CLASSES)]
    words = r"int64 \('rows',\) in \[0, [789]\] do not fit .*\('rows', 3\).*soft targets alone"
    with pytest.raises(ExamplesError, match=words):
        job("keras", write(tmp_path / "rows" / "0", labels))


@pytest.mark.parametrize("kind", [int, float])
def test_a_label_of_no_class_that_no_sampled_row_has_is_no_label(job, tmp_path, kind):
    labels = [kind(c) for c in CLASSES[:58]] + [kind(3), kind(9)]
    made = job("keras", write(tmp_path / "rows" / "0", labels), sampled=20)
    assert [there for _, there in known(made, tmp_path)] == [True] * 58 + [False] * 2


@pytest.mark.parametrize("teacher_pass", ["cached", "in_step"])
def test_rows_of_no_class_are_learned_from_as_rows_without_a_label_on_every_path(
    job, tmp_path, teacher_pass
):
    labels = [int(c) for c in CLASSES[:56]] + [-1, 3, None, 1]
    path = write(tmp_path / "rows" / "0", labels)
    made = job("keras", path, sampled=20, teacher_pass=teacher_pass)
    lessons = make_lessons(made, {"x": models.spec()}, [path], str(tmp_path / "s"), beam.Pipeline)
    has = [batch[HAS_LABEL].numpy() for _, batch in lessons.from_epoch(0).take(2)]
    assert np.concatenate(has).sum() == 57


def gives(labels):
    """An `input_fn` of rows with these labels."""

    def input_fn(files, tf_transform_output, batch_size):
        count = len(labels)
        return tf.data.Dataset.from_tensor_slices(({"x": X[:count]}, labels)).batch(batch_size)

    return {"label_key": None, "teacher_pass": "in_step", "functions": {"input_fn": input_fn}}


@pytest.mark.parametrize(
    ("labels", "counts"),
    [
        ([0.0, -1.0, 2.0, np.nan], [True, False, True, False]),
        ([0, -1, 2, 1], [True, False, True, True]),
        (np.eye(3), [True] * 3),
    ],
)
def test_labels_of_an_input_fn_follow_the_same_rule(job, labels, counts):
    made = job("keras", **gives(labels))
    _, batch = next(iter(given_lessons(made, made.given).from_epoch(0)))
    assert batch[HAS_LABEL].numpy().tolist() == counts


def test_a_label_of_no_class_from_an_input_fn_is_refused_or_past_the_sample_no_label(job):
    with pytest.raises(ExamplesError, match=r"in \[0, 3\] do not fit .*\('rows', 3\)"):
        job("keras", **gives([0, 1, 3]))
    counts = labels_that_count(tf.constant([0, 3]), None, job("keras").teacher.num_classes)
    assert counts.numpy().tolist() == [True, False]


def test_labels_of_an_input_fn_tell_what_logits_are(job, tmp_path):
    def serve(x):
        return {"scores": x[:, :3] * 2}

    teacher = models.save_functions(tmp_path, serving_default=(serve, {"x": models.spec()}))
    assert job(teacher, **gives([0, 2, 1])).kind == OutputKind("classes", False)
    with pytest.raises(ModelError, match=r"`label_key` or an `input_fn`"):
        job(teacher, **gives([-1, -1]))


def test_batches_without_a_label_are_refused(job):
    def input_fn(files, tf_transform_output, batch_size):
        return tf.data.Dataset.from_tensors({"x": X})

    given = {**gives([0]), "functions": {"input_fn": input_fn}}
    with pytest.raises(ExamplesError, match=r"batches of \(features by name, label\)"):
        job("keras", **given)


def test_a_label_that_no_sampled_row_has_is_found(job, tmp_path):
    labels = [None] * 55 + [int(c) for c in CLASSES[55:]]
    made = job("keras", write(tmp_path / "rows" / "0", labels), sampled=20)
    assert known(made, tmp_path) == expected(labels)


def test_a_number_that_is_not_finite_is_no_label(job, tmp_path):
    labels = [[float(c), np.nan][n % 2] for n, c in enumerate(CLASSES)]
    made = job("keras", write(tmp_path / "rows" / "0", labels))
    assert [there for _, there in known(made, tmp_path)] == [True, False] * 30


@pytest.mark.parametrize("loss", ["mse", tf_keras.losses.Huber()])
def test_numbers_of_a_regression_are_labels_though_they_look_like_yes_and_no(job, tmp_path, loss):
    x = tf_keras.Input([models.WIDTH], name="x")
    teacher = tf_keras.Model(x, tf_keras.layers.Dense(1)(x))
    teacher.compile("adam", loss)
    teacher.save(str(tmp_path / "teacher"), save_format="tf")
    labels = [int(c > 0) * 2 - 1 for c in CLASSES]
    made = job(str(tmp_path / "teacher"), write(tmp_path / "rows" / "0", labels))
    assert made.kind == OutputKind(REGRESSION, False)
    assert known(made, tmp_path) == [(label, True) for label in labels]


def test_a_label_that_no_row_has_is_refused(job, tmp_path, raw_graph):
    with pytest.raises(ExamplesError, match=r"No row has the label.*\['x'\].*label_key='label'"):
        job("keras", write(tmp_path / "rows" / "0", [None] * 60))
    with pytest.raises(ExamplesError, match="No row has the label"):
        job("keras", write(tmp_path / "raw" / "0", [None] * 60, "pixels"), graph=raw_graph)


@pytest.fixture(scope="module")
def raw_graph(tmp_path_factory):
    """Makes "x" of "pixels" and leaves "label" as it is."""
    directory = str(tmp_path_factory.mktemp("graph"))
    write_transform_graph(
        directory,
        [{"pixels": x.tolist(), "label": int(c)} for x, c in zip(X[:4], CLASSES, strict=False)],
        {
            "pixels": tf.io.FixedLenFeature([models.WIDTH], tf.float32),
            "label": tf.io.FixedLenFeature([], tf.int64),
        },
        lambda inputs: {"x": inputs["pixels"] / 1, "label": inputs["label"]},
    )
    return directory


@pytest.mark.parametrize("first", [2, 50])  # With 50, no sampled row has a label.
def test_raw_rows_of_which_most_lack_the_label_go_through_the_transform(
    job, tmp_path, raw_graph, first
):
    labels = [int(c) if n >= first and n % 5 == 2 else None for n, c in enumerate(CLASSES)]
    raw = write(tmp_path / "rows" / "0", labels, "pixels")
    made = job("keras", raw, graph=raw_graph, sampled=40)
    assert known(made, tmp_path) == expected(labels)


def test_raw_rows_without_most_labels_are_distilled_in_step_too(
    saved, student, tmp_path, raw_graph
):
    labels = [int(c) if n % 10 == 0 else None for n, c in enumerate(CLASSES)]
    raw = write(tmp_path / "rows" / "0", labels, "pixels")
    done = distill(
        saved("keras"),
        str(tmp_path / "out"),
        student=student(),
        examples=[raw],
        eval_examples=[raw],
        transform_graph=raw_graph,
        label_key="label",
        alpha=0.5,
        epochs=1,
        teacher_pass="in_step",
    )
    assert done.quality["rows"] == 6


def test_without_a_label_key_there_is_neither_label_nor_quality(job, tmp_path):
    made = job("keras", write(tmp_path / "rows" / "0", CLASSES), label_key=None)
    assert made.read_labels is None
    assert made.targets.label is None
    lessons = make_lessons(
        made, {"x": models.spec()}, made.examples, str(tmp_path / "shards"), beam.Pipeline
    )
    _, batch = next(iter(lessons.from_epoch(0)))
    assert LABEL not in batch
    assert not batch[HAS_LABEL].numpy().any()
