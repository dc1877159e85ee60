"""Which weights are pruned, and why the others are not."""

import pytest
import tensorflow as tf

from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.pruner.selection import select
from tfx_shrink.saved_model.weights import Weight


def weight(name, use, shape=(16, 16), trainable=True):
    return Weight(name, tf.Variable(tf.ones(shape), trainable=trainable), use)


WEIGHTS = [
    weight("tower/dense/kernel", "matrix"),
    weight("tower/dense/bias", "other", (16,)),
    weight("conv/kernel", "convolution", (3, 3, 16, 16)),
    weight("separable/depthwise_kernel", "depthwise", (3, 3, 16, 1)),
    weight("words/embeddings", "embedding"),
    weight("frozen/kernel", "matrix", trainable=False),
    weight("norm/gamma", "other", (16,)),
]


def chosen(pattern="unstructured", **globs):
    selection = select(WEIGHTS, pattern, **globs)
    return [weight.name for weight in selection.weights], selection.skipped


def test_matrices_and_convolutions_are_pruned_and_the_rest_is_left_alone():
    names, skipped = chosen()
    assert names == ["tower/dense/kernel", "conv/kernel"]
    assert sorted(skipped) == ["frozen/kernel", "separable/depthwise_kernel", "words/embeddings"]
    assert skipped["frozen/kernel"] == "not trainable"
    assert "name its layer in `layers`" in skipped["words/embeddings"]


@pytest.mark.parametrize("glob", ["tower/dense", "dense", "de*", "tower"])
def test_layers_are_named_by_path_part_or_glob(glob):
    names, skipped = chosen(layers=[glob])
    assert names == ["tower/dense/kernel"]
    assert skipped["conv/kernel"] == "not named in `layers`"


def test_an_embedding_is_pruned_where_it_is_named():
    names, _ = chosen(layers=["words", "conv"])
    assert names == ["conv/kernel", "words/embeddings"]


def test_skipped_layers_are_listed():
    names, skipped = chosen(skip_layers=["conv*"])
    assert names == ["tower/dense/kernel"]
    assert skipped["conv/kernel"] == "named in `skip_layers`"


def test_blocks_cover_matrices_only():
    names, skipped = chosen("block_1x4")
    assert names == ["tower/dense/kernel"]
    assert "two-dimensional" in skipped["conv/kernel"]


@pytest.mark.parametrize("parameter", ["layers", "skip_layers"])
def test_a_glob_that_matches_nothing_is_refused_with_the_layers_there_are(parameter):
    with pytest.raises(ParameterError, match=rf"`{parameter}` 'dence' matches no layer.*'conv'"):
        chosen(**{parameter: ["dence"]})


def test_a_model_with_nothing_to_prune_is_refused_with_the_reasons():
    with pytest.raises(ModelError, match=r"no weight to prune(.|\n)*words/embeddings: an embed"):
        select(WEIGHTS[3:5], "unstructured")
