"""Labels are read as Transform makes them, else as the rows hold them."""

import numpy as np
import pytest
import tensorflow as tf
from support import rows
from support.transform import write_transform_graph

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.labels import make_label_decoder, make_presence_decoder


def labels(serialized, key, **context):
    return make_label_decoder(serialized, key, **context)(tf.constant(serialized)).numpy()


def test_scalars_and_vectors_keep_their_type_and_shape():
    serialized = rows.examples({"one": np.array([3, 1, 2]), "many": np.eye(3)})
    assert labels(serialized, "one").tolist() == [3, 1, 2]
    assert labels(serialized, "one").dtype == np.int64
    assert labels(serialized, "many").tolist() == np.eye(3).tolist()
    assert labels(serialized, "many").dtype == np.float32


def test_a_transformed_label_comes_before_a_raw_one(tmp_path):
    raw = [{"species": name} for name in ("cat", "dog", "dog", "bee")]
    write_transform_graph(
        str(tmp_path),
        raw,
        {"species": tf.io.FixedLenFeature([], tf.string)},
        lambda inputs: {"species": tf.cast(tf.equal(inputs["species"], "dog"), tf.int64)},
    )
    serialized = rows.examples({"species": np.array(["cat", "dog", "dog", "bee"])})
    found = labels(serialized, "species", transform_graph=str(tmp_path))
    assert found.tolist() == [0, 1, 1, 0]


def test_labels_that_are_missing_or_text_are_refused():
    serialized = rows.examples({"species": np.array(["cat", "dog"])})
    with pytest.raises(ExamplesError, match=r"\['species'\].*label_key='label'"):
        labels(serialized, "label")
    with pytest.raises(ExamplesError, match="holds text"):
        labels(serialized, "species")


def test_a_label_that_some_rows_lack_is_refused():
    serialized = [rows.example(label=1, x=1.0), rows.example(x=2.0)]
    with pytest.raises(ExamplesError, match="label"):
        labels(serialized, "label")


def test_rows_that_may_lack_the_label_have_zeros_for_it():
    serialized = [
        rows.example(label=1, x=1.0),
        rows.example(x=2.0),
        rows.example(label=np.array([], int), x=1.0),
    ]
    found = labels(serialized[:2], "label", may_lack=True)
    assert found.tolist() == [1, 0]
    decode = make_label_decoder(serialized, "label", may_lack=True)
    assert decode(tf.constant(serialized[1:])).numpy().tolist() == [0, 0]
    present = make_presence_decoder(serialized, "label")
    assert present(tf.constant(serialized)).numpy().tolist() == [True, False, False]


@pytest.mark.parametrize("key", ["label", "label_xf"])
def test_a_transform_makes_labels_of_rows_that_may_lack_them(tmp_path, key):
    raw = [{"label": 1, "x": 1.0}, {"label": 2, "x": 2.0}]
    write_transform_graph(
        str(tmp_path),
        raw,
        {"label": tf.io.FixedLenFeature([], tf.int64), "x": tf.io.FixedLenFeature([], tf.float32)},
        lambda inputs: {"x": inputs["x"], key: inputs["label"] + 0},
    )
    serialized = [rows.example(**row) for row in raw]
    context = {"transform_graph": str(tmp_path), "may_lack": True}
    assert labels(serialized, key, **context).tolist() == [1, 2]
    if key == "label":
        without = [rows.example(x=1.0), rows.example(x=1.0, label=np.array([], int))]
        assert labels([*serialized, *without], key, **context).tolist() == [1, 2, 0, 0]
        with pytest.raises(ExamplesError, match="'label' must have 1 values"):
            labels([*serialized, rows.example(x=1.0, label=[1, 2])], key, **context)


def test_presence_is_told_for_every_type_of_label():
    for value in (1, 1.5, "cat"):
        serialized = [rows.example(label=value), rows.example(x=1)]
        present = make_presence_decoder(serialized, "label")
        assert present(tf.constant(serialized)).numpy().tolist() == [True, False]


def test_rows_without_a_label_that_the_transform_only_passes_on_have_none(tmp_path):
    raw = [{"label": 1, "x": 1.0}, {"label": 2, "x": 2.0}]
    write_transform_graph(
        str(tmp_path),
        raw,
        {"label": tf.io.FixedLenFeature([], tf.int64), "x": tf.io.FixedLenFeature([], tf.float32)},
        lambda inputs: {"label": inputs["label"] + 0, "made": inputs["label"] * 2},
    )
    without = [rows.example(x=1.0), rows.example(x=2.0)]
    for key, there in (("label", False), ("made", True)):
        present = make_presence_decoder(without, key, str(tmp_path))
        assert present(tf.constant(without)).numpy().tolist() == [there, there]


def test_labels_that_are_empty_everywhere_are_refused_as_that():
    serialized = [tf.train.Example.FromString(rows.example(x=1.0))]
    serialized[0].features.feature["label"].SetInParent()
    with pytest.raises(ExamplesError, match=r"No row has a value.*label_key='label'"):
        labels([serialized[0].SerializeToString()], "label")
