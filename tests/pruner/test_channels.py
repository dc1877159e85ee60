"""Pruning whole channels: a narrower dense model, with every signature it had."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models, rows, weights
from support.transform import write_transform_graph

from tfx_shrink import lineage
from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.pruner.channel_cut import cut, strongest
from tfx_shrink.pruner.prune import prune
from tfx_shrink.training.channel_graph import channel_graph

layers = tf_keras.layers


def plain():
    x = tf_keras.Input([8], name="x")
    hidden = layers.Dense(12, "relu", name="first")(x)
    hidden = layers.Dense(10, name="second")(layers.LayerNormalization()(hidden))
    return tf_keras.Model(x, layers.Dense(3, "softmax", name="scores")(hidden))


def convolutions():
    """Conv, BatchNormalization, pooling, depthwise, Flatten, Dense."""
    x = tf_keras.Input([8, 8, 1], name="x")
    hidden = layers.Conv2D(8, 3, padding="same", name="first")(x)
    hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
    hidden = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(hidden)
    hidden = layers.Conv2D(6, 1, activation="relu", name="second")(hidden)
    hidden = layers.Flatten()(layers.MaxPooling2D()(hidden))
    hidden = layers.Dropout(0.2)(layers.Dense(10, "relu", name="third")(hidden))
    return tf_keras.Model(x, layers.Dense(3, name="scores")(hidden))


def residual():
    """Two branches that are added, so that their channels go together."""
    x = tf_keras.Input([8, 8, 2], name="x")
    trunk = layers.Conv2D(8, 3, padding="same", name="first")(x)
    branch = layers.Conv2D(4, 3, padding="same", activation="relu", name="inner")(trunk)
    branch = layers.Conv2D(8, 3, padding="same", name="outer")(branch)
    hidden = layers.GlobalAveragePooling2D()(layers.Add()([trunk, branch]))
    return tf_keras.Model(x, layers.Dense(3, name="scores")(hidden))


@pytest.mark.parametrize(
    ("build", "widths"),
    [
        (convolutions, {"first": 4, "second": 3, "third": 5, "scores": 3}),
        (residual, {"first": 4, "outer": 4, "inner": 2, "scores": 3}),
    ],
)
def test_the_narrower_network_computes_what_the_whole_one_does_with_those_channels_at_zero(
    build, widths
):
    tf_keras.utils.set_random_seed(1)
    network = build()
    for layer in network.layers:  # As after training: no statistic at its beginning.
        layer.set_weights([np.random.randn(*w.shape) ** 2 for w in layer.get_weights()])
    graph = channel_graph(network)
    groups = [group for group in graph.makers if group not in graph.fixed]
    stay = strongest(network, graph, groups, 0.5)
    narrower = cut(network, graph, stay)
    for name, width in widths.items():
        assert narrower.get_layer(name).kernel.shape[-1] == width
    for layer in network.layers:
        group = graph.outputs[layer.name].group
        if layer.get_weights() and group in stay and not isinstance(layer, layers.Flatten):
            gone = np.setdiff1d(np.arange(graph.sizes[group]), stay[group])
            silence(layer, gone)
    x = np.random.randn(5, *network.input_shape[1:]).astype(np.float32)
    np.testing.assert_allclose(narrower(x), network(x), rtol=1e-4, atol=1e-4)


def silence(layer, gone):
    """Sets to zero what a layer gives on some channels."""
    values = []
    for weight, value in zip(layer.weights, layer.get_weights(), strict=True):
        kind = weight.name.split("/")[-1].split(":")[0]
        if kind == "depthwise_kernel":
            value[:, :, gone] = 0
        elif kind in ("kernel", "bias", "gamma", "beta"):
            value[..., gone] = 0
        values.append(value)
    layer.set_weights(values)


def test_residual_branches_are_ranked_together():
    tf_keras.utils.set_random_seed(0)
    network = residual()
    network.get_layer("first").set_weights([np.zeros([3, 3, 2, 8]), np.zeros(8)])
    kernel = np.zeros([3, 3, 4, 8])
    kernel[..., [1, 6]] = 5
    network.get_layer("outer").set_weights([kernel, np.zeros(8)])
    graph = channel_graph(network)
    (group,) = (group for group, names in graph.makers.items() if "first" in names)
    assert graph.makers[group] == ["first", "outer"]
    assert strongest(network, graph, [group], 0.75)[group].tolist() == [1, 6]


def test_what_cannot_be_followed_keeps_its_channels_and_says_why():
    graph = channel_graph(plain())
    reasons = {names[0]: graph.fixed.get(group, "") for group, names in graph.makers.items()}
    assert "LayerNormalization" in reasons["first"]
    assert reasons["second"] == ""
    assert reasons["scores"] == "they are an output of the model"


def test_layers_that_are_used_twice_or_that_mix_channels_are_left():
    x = tf_keras.Input([8], name="x")
    twice = layers.Dense(8, name="twice")
    hidden = layers.Softmax()(layers.Dense(8, name="mixed")(twice(twice(x))))
    joined = layers.Concatenate()([hidden, layers.Dense(4, name="part")(x)])
    graph = channel_graph(tf_keras.Model(x, layers.Dense(2, name="scores")(joined)))
    reasons = {names[0]: graph.fixed.get(group, "") for group, names in graph.makers.items()}
    assert "used more than once" in reasons["twice"]
    assert "Softmax" in reasons["mixed"]
    assert "Concatenate" in reasons["part"]


@pytest.fixture(scope="module")
def labelled_raw(tmp_path_factory):
    """Raw rows "pixels" and "label", and a transform graph that makes "x" of them."""
    directory = tmp_path_factory.mktemp("raw")
    raw = models.features(128)["x"]
    label = raw[:, : models.CLASSES].argmax(1)
    examples = rows.write(directory / "rows", {"pixels": raw, "label": label})
    write_transform_graph(
        str(directory / "graph"),
        [{"pixels": x.tolist(), "label": int(y)} for x, y in zip(raw, label, strict=True)],
        {
            "pixels": tf.io.FixedLenFeature([models.WIDTH], tf.float32),
            "label": tf.io.FixedLenFeature([], tf.int64),
        },
        lambda inputs: {"x": inputs["pixels"] / 2, "label_xf": inputs["label"]},
    )
    return examples, str(directory / "graph")


@pytest.fixture(scope="module")
def templated(labelled_raw, tmp_path_factory):
    """A Keras model with the signatures that TFX's templates give it, and a dense one."""
    import tensorflow_transform as tft

    directory = str(tmp_path_factory.mktemp("templated") / "model")
    graph = tft.TFTransformOutput(labelled_raw[1])
    model = models.mlp(trained=True)
    model.tft_layer = graph.transform_features_layer()
    spec = {"pixels": graph.raw_feature_spec()["pixels"]}
    examples = tf.TensorSpec([None], tf.string, name="examples")

    @tf.function(input_signature=[examples])
    def serve(serialized):
        return {"outputs": model(model.tft_layer(tf.io.parse_example(serialized, spec))["x"])}

    @tf.function(input_signature=[examples])
    def transform_features(serialized):
        return {"x": model.tft_layer(tf.io.parse_example(serialized, spec))["x"]}

    @tf.function(input_signature=[tf.TensorSpec([None, models.WIDTH], tf.float32, name="x")])
    def dense(x):
        return {"probabilities": model(x)}

    signatures = {
        "serving_default": serve,
        "transform_features": transform_features,
        "dense": dense,
    }
    model.save(directory, save_format="tf", signatures=signatures)
    return directory


def prune_channels(source, out, examples, **parameters):
    parameters = {"target_sparsity": 0.5, "num_steps": 8, **parameters}
    return prune(source, str(out), examples=[examples], pattern="channel", **parameters)


@pytest.fixture(scope="module")
def narrower(templated, labelled_raw, tmp_path_factory):
    out = str(tmp_path_factory.mktemp("narrower") / "model")
    examples, graph = labelled_raw
    done = prune_channels(templated, out, examples, transform_graph=graph, label_key="label_xf")
    return out, done


def test_half_of_the_channels_are_gone_from_the_saved_model(templated, narrower):
    out, done = narrower
    found = weights.read(out)
    assert found["dense/kernel"].shape == (models.WIDTH, 64)
    assert found["dense_1/kernel"].shape == (64, 32)
    assert found["probabilities/kernel"].shape == (32, models.CLASSES)
    assert done.sparsity == 0.5
    assert done.skipped == {"probabilities": "they are an output of the model"}
    assert done.result_gzip < 0.7 * done.source_gzip
    (step,) = lineage.read(out)
    assert step["channels"]["dense"] == {"before": 128, "after": 64}
    assert step["training"]["steps"] == 8


def test_every_signature_is_built_anew_from_the_transform_graph(templated, narrower, labelled_raw):
    out, _ = narrower
    source, result = tf.saved_model.load(templated), tf.saved_model.load(out)
    assert sorted(source.signatures) == sorted(result.signatures)
    x = models.features(6, seed=3)["x"]
    raw = tf.constant(rows.examples({"pixels": x}))
    served = result.signatures["serving_default"](examples=raw)["outputs"]
    dense = result.signatures["dense"](x=tf.constant(x / 2))["probabilities"]
    np.testing.assert_allclose(served, dense, atol=1e-5)
    (transformed,) = result.signatures["transform_features"](examples=raw).values()
    np.testing.assert_allclose(transformed, x / 2, atol=1e-6)


def test_the_result_is_loadable_by_keras_without_slots_and_can_be_pruned_again(
    narrower, labelled_raw, tmp_path
):
    out, _ = narrower
    examples, graph = labelled_raw
    weights.load_keras(out)
    assert weights.optimizer_slots(out) == 0
    done = prune_channels(
        out, tmp_path / "again", examples, transform_graph=graph, method="one_shot", num_steps=None
    )
    assert weights.read(str(tmp_path / "again"))["dense/kernel"].shape == (models.WIDTH, 32)
    assert done.method == "one_shot"


def test_a_signature_that_cannot_be_rebuilt_is_named_with_both_remedies(templated, tmp_path):
    rows_of_x = rows.write(tmp_path / "x" / "rows", models.features(20))
    with pytest.raises(
        ModelError,
        match=r"'serving_default' cannot be rebuilt: .*no transform graph.*`signatures_fn.*`drop_",
    ):
        prune_channels(templated, tmp_path / "out", rows_of_x, method="one_shot", num_steps=None)
    assert not (tmp_path / "out").exists()


def test_dropped_signatures_need_not_be_rebuilt(templated, tmp_path):
    rows_of_x = rows.write(tmp_path / "x" / "rows", models.features(20))
    out = str(tmp_path / "out")
    dropped = ["serving_default", "transform_features"]
    prune_channels(
        templated, out, rows_of_x, method="one_shot", num_steps=None, drop_signatures=dropped
    )
    assert list(tf.saved_model.load(out).signatures) == ["dense"]
    (step,) = lineage.read(out)
    assert step["dropped_signatures"] == dropped


def test_a_signature_to_drop_that_is_not_there_is_refused(templated, labelled_raw, tmp_path):
    examples, graph = labelled_raw
    with pytest.raises(ParameterError, match=r"\['dense', 'serving_default'.*Received: \['serve'"):
        prune_channels(
            templated,
            tmp_path / "out",
            examples,
            transform_graph=graph,
            label_key="label_xf",
            drop_signatures=["serve"],
        )


def test_user_code_returns_signatures_that_are_not_known_here(saved, labelled, tmp_path):
    seen = []

    def signatures_fn(model, tf_transform_output):
        seen.append(tf_transform_output)

        @tf.function(input_signature=[tf.TensorSpec([None, models.WIDTH], tf.float32, name="x")])
        def serve(x):
            return {"probabilities": model(x)}

        return {"serving_default": serve}

    done = prune(
        saved("keras"),
        str(tmp_path / "out"),
        examples=[labelled],
        user_functions={"signatures_fn": signatures_fn},
        pattern="channel",
        target_sparsity=0.5,
        method="one_shot",
    )
    assert done.sparsity == 0.5
    assert set(seen) == {None}


def test_user_signatures_that_answer_otherwise_are_refused(saved, labelled, tmp_path):
    def signatures_fn(model, tf_transform_output):
        @tf.function(input_signature=[tf.TensorSpec([None, models.WIDTH], tf.float32, name="x")])
        def serve(x):
            return {"probabilities": model(2 * x)}

        return {"serving_default": serve}

    with pytest.raises(ModelError, match="its output 'probabilities' would be another"):
        prune(
            saved("keras"),
            str(tmp_path / "out"),
            examples=[labelled],
            user_functions={"signatures_fn": signatures_fn},
            pattern="channel",
            target_sparsity=0.5,
            method="one_shot",
        )


def test_only_named_layers_lose_channels(saved, labelled, tmp_path):
    done = prune(
        saved("keras"),
        str(tmp_path / "out"),
        examples=[labelled],
        pattern="channel",
        target_sparsity=0.5,
        method="one_shot",
        layers=["dense_1"],
    )
    assert list(done.by_weight) == ["dense_1"]
    assert "are to be left" in done.skipped["dense"]
