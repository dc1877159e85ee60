"""The recipes of the table: what is made of a trained model, by us and by others."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
from table_models import CNN, MLP, MOBILE, Data, digits_rows

from tfx_shrink.distiller.distill import distill
from tfx_shrink.pruner.prune import prune
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.quantizer.schemes import EDGE_RECIPE, SCHEMES

Step = Callable[[str, str, Data, int], Any]

_SPARSITY = 0.8
_EPOCHS, _STUDENT_EPOCHS = 4, 20
_CALIBRATION_ROWS = 500
_DIGITS = (CNN, MLP)


def _quantize(scheme: str) -> Step:
    def step(source: str, out: str, data: Data, seed: int) -> None:
        quantize(
            source,
            out,
            scheme=scheme,
            examples=[data.train],
            transform_graph=data.graph,
            num_calibration_examples=_CALIBRATION_ROWS,
        )

    return step


def _prune(**parameters: Any) -> Step:
    def step(source: str, out: str, data: Data, seed: int) -> None:
        prune(
            source,
            out,
            examples=[data.train],
            transform_graph=data.graph,
            label_key=data.label_key,
            epochs=_EPOCHS,
            seed=seed,
            **parameters,
        )

    return step


def _prune_channels(source: str, out: str, data: Data, seed: int) -> None:
    step = _prune(target_sparsity=0.5, pattern="channel", drop_signatures=_not_rebuilt(data))
    step(source, out, data, seed)


def _not_rebuilt(data: Data) -> tuple[str, ...]:
    """The signature that nobody can build anew for other layers without a transform graph."""
    return () if data.graph else ("serving_default",)


def _distill(source: str, out: str, data: Data, seed: int) -> None:
    distill(
        source,
        out,
        examples=[data.train],
        transform_graph=data.graph,
        student="auto",
        width=0.25,
        label_key=data.label_key,
        epochs=_STUDENT_EPOCHS,
        learning_rate=3e-3,
        seed=seed,
        drop_signatures=_not_rebuilt(data),
    )


def _tflite_script(source: str, out: str, data: Data, seed: int) -> None:
    from peers.tflite_script import quantize as peer

    os.makedirs(out)
    peer(source, "image", _calibration_rows(), os.path.join(out, "model.tflite"))


def _ai_edge_quantizer(source: str, out: str, data: Data, seed: int) -> None:
    from peers.ai_edge_quantizer_script import quantize as peer

    os.makedirs(out)
    peer(source, "image", _calibration_rows(), os.path.join(out, "model.tflite"))


def _calibration_rows() -> list[dict[str, np.ndarray]]:
    features, _ = digits_rows()
    return [
        {name: values[index : index + 1] for name, values in features.items()}
        for index in range(_CALIBRATION_ROWS)
    ]


def _tfx_rewriter(source: str, out: str, data: Data, seed: int) -> None:
    from peers.tfx_rewriter import rewrite

    rewrite(source, "image", out)
    shutil.move(os.path.join(out, "tflite"), os.path.join(out, "model.tflite"))


def _tfmot_script(source: str, out: str, data: Data, seed: int) -> None:
    from peers.tfmot_script import prune as peer

    features, labels = digits_rows()
    peer(source, features, labels, _SPARSITY, _EPOCHS, out)


def _keras_loop(source: str, out: str, data: Data, seed: int) -> None:
    import tf_keras
    from peers.keras_distillation import distill as peer

    from tfx_shrink.pipelines.digits.preprocessing import IMAGE

    image = tf_keras.Input((8, 8, 1), name=IMAGE)
    x = tf_keras.layers.Conv2D(8, 3, activation="relu")(image)
    x = tf_keras.layers.Conv2D(16, 3, activation="relu")(x)
    x = tf_keras.layers.Dense(32, activation="relu")(tf_keras.layers.Flatten()(x))
    student = tf_keras.Model(image, tf_keras.layers.Dense(10, "softmax")(x))
    features, labels = digits_rows()
    peer(source, student, features, np.asarray(labels), _STUDENT_EPOCHS)
    student.save(out, save_format="tf")


_SCHEMES = [name for name in SCHEMES if not name.startswith("tensorrt") and name != EDGE_RECIPE]

RECIPES: dict[str, list[Step]] = {
    **{name: [_quantize(name)] for name in _SCHEMES},
    "prune 80 %": [_prune(target_sparsity=_SPARSITY)],
    "prune 80 %, blocks of 4": [_prune(target_sparsity=_SPARSITY, pattern="block_1x4")],
    "prune 2 of 4": [_prune(pattern="2_of_4", target_sparsity=0.5)],
    "prune half the channels": [_prune_channels],
    "distill": [_distill],
    "prune 80 % → int8": [_prune(target_sparsity=_SPARSITY), _quantize("int8")],
    "distill → int8": [_distill, _quantize("int8")],
    "distill → prune 50 % → int8": [_distill, _prune(target_sparsity=0.5), _quantize("int8")],
    "others: TFLite's converter, int8": [_tflite_script],
    "others: ai-edge-quantizer, int8": [_ai_edge_quantizer],
    "others: TFX's rewriter": [_tfx_rewriter],
    "others: TFMOT, 80 %": [_tfmot_script],
    "others: Keras's distillation loop": [_keras_loop],
}
QUICK = (
    *("strip", "float32", "dynamic_range", "int8", "weight_int8"),
    *("prune 80 % → int8", "distill → int8", "others: TFLite's converter, int8"),
)


def recipes_for(model: str, quick: bool) -> list[str]:
    """Returns the recipes that a model can go through."""
    if model == MOBILE:
        names = _SCHEMES  # Random weights: sizes and times are all that is asked.
    else:
        peers = model in _DIGITS
        names = [name for name in RECIPES if peers or not name.startswith("others: ")]
        if model == MLP:
            names = [name for name in names if name != "others: Keras's distillation loop"]
    if quick:
        names = [name for name in names if name in QUICK]
        if model == MLP:
            names = ["strip", "float32", "int8"]
    return names
