"""What is seen in a function, without converting it, to keep it from running as TFLite."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from support import models

from tfx_shrink.saved_model.blockers import blockers, operations_of
from tfx_shrink.saved_model.functions import get_function, load


def blockers_of(directory, name="serving_default"):
    loaded = load(directory)
    return blockers(get_function(loaded, name))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("keras", "serving_default"),
        ("keras", "__call__"),
        ("keras3", "serving_default"),
        ("public", "__call__"),
    ],
)
def test_nothing_is_seen_in_a_dense_function(saved, kind, name):
    assert blockers_of(saved(kind), name) == []


def test_raw_example_signature_is_blocked_by_its_parser_and_its_string_input(saved):
    assert blockers_of(saved("public")) == ["ParseExampleV2", "input examples: string"]


def test_hash_table_is_seen_through_nested_functions(saved):
    # The lookup lies in a tf.function that the signature calls.
    assert "LookupTableFindV2" in blockers_of(saved("with_table"))


def test_only_what_the_function_reaches_counts(saved):
    loaded = load(saved("with_table"))
    dense, serving = get_function(loaded, "dense"), get_function(loaded, "serving_default")
    assert blockers(dense) == []

    # A library may hold functions that another signature calls.
    graph = dense.concrete.graph.as_graph_def()
    graph.library.MergeFrom(serving.concrete.graph.as_graph_def().library)
    concrete = mock.Mock(graph=mock.Mock(as_graph_def=lambda: graph))
    beside = dataclasses.replace(dense, concrete=concrete)
    assert operations_of(beside) == operations_of(dense)
    assert blockers(beside) == []


def either(x, branches):
    return tf.cond(tf.reduce_sum(x) > 0, *branches)


def one_of_three(x, branches):
    number = tf.cast(tf.reduce_sum(x), tf.int32)
    return tf.switch_case(number, [branches[0], *branches])


@pytest.mark.parametrize("choose", [either, one_of_three])
def test_operation_inside_a_branch_is_seen(choose, tmp_path):
    def conditional(x):
        text = choose(x, [lambda: tf.fill([1, 4], ""), lambda: tf.strings.as_string(x)])
        return {"y": tf.cast(tf.strings.length(text), tf.float32)}

    directory = models.save_functions(
        tmp_path, serving_default=(conditional, {"x": models.spec([1, 4])})
    )
    assert "AsString" in blockers_of(directory)


def test_dense_string_input_is_seen_even_where_no_operation_is(tmp_path):
    length = (lambda text: {"y": tf.strings.length(text)}, {"text": models.spec([None], tf.string)})
    directory = models.save_functions(tmp_path, serving_default=length)
    assert blockers_of(directory) == ["input text: string"]


def test_sparse_input_is_seen(tmp_path):
    class Summing(tf.Module):
        @tf.function(input_signature=[{"x": tf.SparseTensorSpec([None, 4], tf.float32)}])
        def __call__(self, features):
            return {"sum": tf.sparse.reduce_sum(features["x"], axis=1)}

    tf.saved_model.save(Summing(), str(tmp_path))
    assert blockers_of(str(tmp_path), "__call__") == ["input x: SparseTensorSpec"]


def test_image_decoder_is_seen(tmp_path):
    def decode(x):
        picture = tf.io.decode_png(tf.io.encode_png(tf.cast(x, tf.uint8)))
        return {"y": tf.cast(picture, tf.float32)}

    directory = models.save_functions(
        tmp_path, serving_default=(decode, {"x": models.spec([4, 4, 1])})
    )
    assert "DecodePng" in blockers_of(directory)


def test_python_function_is_seen(tmp_path):
    def shout(x):
        y = tf.numpy_function(np.negative, [x], tf.float32)
        return {"y": tf.ensure_shape(y, [None, 4])}

    directory = models.save_functions(
        tmp_path, serving_default=(shout, {"x": models.spec([None, 4])})
    )
    assert blockers_of(directory) == ["PyFunc"]
