"""A model of Keras 3 that looks words up in tables, exported, and pruned at once."""

import collections
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from examples import write_rows
from taxi import NUMBERS, WORDS, big_tips, split, taxi

from tfx_shrink.pruner.prune import prune

SPARSITIES = (0.5, 0.8)
_OUTPUT = "probability"
_LOOK_UP = "look_up"
_EPOCHS = 4
_RARE = 20
_HIDDEN = 256


@dataclasses.dataclass(frozen=True)
class PrunedKeras3:
    """The model, or what was made of it.

    Attributes:
      target: The sparsity that was asked for, 0 for the source.
      sparsity: The sparsity of the saved model.
      right: `[test rows]`, whether it answers as the label says.
      numbers: `[words, test rows, 1]`, what its tables make of the words.
    """

    target: float
    sparsity: float
    right: np.ndarray
    numbers: np.ndarray


def prune_keras3(root: str) -> list[PrunedKeras3]:
    """Exports a model and prunes it without training.

    Args:
      root: A directory to work in.

    Returns:
      The source, and what was made of it by sparsity.
    """
    columns, test = split(taxi())
    source, rows = os.path.join(root, "keras3"), os.path.join(root, "Split-train", "rows")
    _export(source, columns)
    write_rows(rows, columns)
    found = [_look_at(source, test, 0.0, 0.0)]
    for target in SPARSITIES:
        out = os.path.join(root, f"keras3-{target}")
        done = prune(source, out, examples=[rows], method="one_shot", target_sparsity=target)
        found.append(_look_at(out, test, target, done.sparsity))
    return found


def _export(directory: str, columns: Mapping[str, Any]) -> None:
    import keras

    keras.utils.set_random_seed(0)
    inputs = {name: keras.Input([1], dtype="string", name=name) for name in WORDS}
    look_up = {}
    for name in WORDS:
        counts = collections.Counter(columns[name])
        known = sorted(word for word, count in counts.items() if word and count >= _RARE)
        look_up[name] = keras.layers.StringLookup(vocabulary=known)
    embedded = [
        keras.layers.Flatten()(
            keras.layers.Embedding(look_up[name].vocabulary_size(), 16)(look_up[name](words))
        )
        for name, words in inputs.items()
    ]
    inputs |= {name: keras.Input([1], name=name) for name in NUMBERS}
    scaled = keras.layers.Normalization()
    scaled.adapt(np.stack([columns[name] for name in NUMBERS], axis=1))
    joined = keras.layers.Concatenate()([inputs[name] for name in NUMBERS])
    x = keras.layers.Concatenate()([scaled(joined), *embedded])
    for _ in range(2):
        x = keras.layers.Dense(_HIDDEN, "relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(x))
    model.compile("adam", "binary_crossentropy")
    model.fit(_features(columns), big_tips(columns).astype(np.float32), epochs=_EPOCHS, verbose=0)

    specs = {name: tf.TensorSpec([None, 1], tf.string, name=name) for name in WORDS}
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        lambda features: {_OUTPUT: model(features, training=False)},
        [{**specs, **{name: tf.TensorSpec([None, 1], name=name) for name in NUMBERS}}],
    )
    archive.add_endpoint(
        _LOOK_UP,
        lambda features: {name: look_up[name](words) for name, words in features.items()},
        [specs],
    )
    archive.write_out(directory, verbose=False)


def _features(columns: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(columns[name])[:, tf.newaxis] for name in (*WORDS, *NUMBERS)}


def _look_at(
    model_dir: str, columns: Mapping[str, Any], target: float, sparsity: float
) -> PrunedKeras3:
    features, signatures = _features(columns), tf.saved_model.load(model_dir).signatures
    scores = signatures["serving_default"](**features)[_OUTPUT].numpy()[:, 0]
    numbers = signatures[_LOOK_UP](**{name: features[name] for name in WORDS})
    return PrunedKeras3(
        target,
        sparsity,
        right=(scores > 0.5) == big_tips(columns),
        numbers=np.stack([numbers[name].numpy() for name in WORDS]),
    )
