"""Rows may be raw or transformed: which they are, and what is made of them."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from support import rows
from support.transform import write_transform_graph

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.decode import decode_rows
from tfx_shrink.examples.features import transform_graph_in


def spec(*shape, dtype=tf.float32):
    return tf.TensorSpec(shape, dtype)


RAW = [{"age": [float(age)], "word": ["ab"[age % 2]], "label": [age % 2]} for age in range(11)]


@pytest.fixture(scope="session")
def renaming_graph(tmp_path_factory):
    """`age` becomes `age_xf`, less its mean of 5; `word` may be missing and becomes an index."""
    directory = str(tmp_path_factory.mktemp("renaming"))
    raw = {
        "age": tf.io.FixedLenFeature([1], tf.float32),
        "word": tf.io.VarLenFeature(tf.string),
        "label": tf.io.FixedLenFeature([1], tf.int64),
    }

    def preprocessing_fn(inputs):
        word = tft.sparse_tensor_to_dense_with_shape(inputs["word"], [None, 1], "a")
        return {
            "age_xf": inputs["age"] - tft.mean(inputs["age"]),
            "word_xf": tft.compute_and_apply_vocabulary(word),
            "label": inputs["label"],
        }

    write_transform_graph(directory, RAW, raw, preprocessing_fn)
    return directory


@pytest.fixture(scope="session")
def name_keeping_graph(tmp_path_factory):
    """`x` becomes `x` less its mean of 5."""
    directory = str(tmp_path_factory.mktemp("name_keeping"))
    write_transform_graph(
        directory,
        [{"x": [float(value)]} for value in range(11)],
        {"x": tf.io.FixedLenFeature([1], tf.float32)},
        lambda inputs: {"x": inputs["x"] - tft.mean(inputs["x"])},
    )
    return directory


READ = {"age_xf": spec(None, 1), "word_xf": spec(None, 1, dtype=tf.int64)}


@pytest.mark.parametrize("from_transform", [False, True])
def test_raw_rows_are_transformed(renaming_graph, from_transform):
    serialized = [rows.example(**row) for row in RAW]
    arrays = decode_rows(
        serialized, READ, transform_graph=renaming_graph, from_transform=from_transform
    )
    assert arrays["age_xf"].tolist() == [[age - 5.0] for age in range(11)]
    assert arrays["word_xf"].tolist() == [[age % 2] for age in range(11)]
    assert arrays["word_xf"].dtype == np.int64


def test_raw_rows_may_lack_what_the_transform_does_not_require(renaming_graph):
    serialized = [rows.example(age=1.0, label=0), rows.example(age=6.0, label=1)]
    arrays = decode_rows(serialized, READ, transform_graph=renaming_graph)
    assert arrays["age_xf"].tolist() == [[-4.0], [1.0]]
    assert arrays["word_xf"].tolist() == [[0], [0]]


@pytest.mark.parametrize("from_transform", [False, True])
def test_transformed_rows_are_taken_as_they_are(renaming_graph, from_transform):
    serialized = [rows.example(age_xf=7.5, word_xf=1, label=0)]
    arrays = decode_rows(
        serialized, READ, transform_graph=renaming_graph, from_transform=from_transform
    )
    assert arrays["age_xf"].tolist() == [[7.5]]
    assert arrays["word_xf"].tolist() == [[1]]


@pytest.mark.parametrize(("from_transform", "expected"), [(False, 3.0), (True, 8.0)])
def test_where_rows_look_like_both_their_origin_decides(
    name_keeping_graph, from_transform, expected
):
    arrays = decode_rows(
        [rows.example(x=8.0)],
        {"x": spec(None, 1)},
        transform_graph=name_keeping_graph,
        from_transform=from_transform,
    )
    assert arrays["x"].tolist() == [[expected]]


@pytest.mark.parametrize(
    ("row", "where"),
    [
        (RAW[0], "after the transform graph there is ['age_xf', 'label', 'word_xf']"),
        ({"age_xf": 1.0, "word_xf": 0, "label": 0}, "in the rows there is ['age_xf', 'label', "),
    ],
)
def test_a_transform_graph_that_is_given_is_not_asked_for(renaming_graph, row, where):
    serialized = [rows.example(**row)]
    with pytest.raises(ExamplesError) as error:
        decode_rows(serialized, {"height": spec(None, 1)}, transform_graph=renaming_graph)
    assert where in str(error.value)
    assert "['height'] are missing." in str(error.value)
    assert "Give `transform_graph`" not in str(error.value)


def test_a_directory_without_a_transform_graph_is_refused(tmp_path, renaming_graph):
    assert transform_graph_in(renaming_graph) == renaming_graph
    with pytest.raises(ExamplesError, match="Give the directory that Transform writes") as error:
        transform_graph_in(str(tmp_path))
    assert str(tmp_path) in str(error.value)
