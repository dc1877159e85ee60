"""Whether TensorFlow Serving would load the model that was compressed, and not another.

With `--prefer_tflite_model` TensorFlow Serving takes `model.tflite` where there is one, and else
silently the SavedModel beside it (saved_model_bundle_factory.cc, kTfLiteModelFilename). Signatures
it reads from the file's metadata, and serves tensors under made-up names where there is none.
"""

import os

import tensorflow as tf

from tfx_shrink.lineage import content_digest
from tfx_shrink.tflite.contents import tensor_names, tensorflow_operations
from tfx_shrink.tflite.interpreter import SIGNATURE
from tfx_shrink.tflite.signature_defs import read_signature_defs

_SERVED, _EVALUATED = "model.tflite", "tflite"


def serving_problems(model_dir: str) -> list[str]:
    """Lists what keeps TensorFlow Serving from serving this very model.

    Args:
      model_dir: A model's directory.

    Returns:
      One sentence each, with what to do; empty where there is nothing.
    """
    names = {name.rstrip("/") for name in tf.io.gfile.listdir(model_dir)}
    tflite_names = sorted(name for name in names if name == _EVALUATED or name.endswith(".tflite"))
    if not tflite_names:
        return _problems_of_saved_model(model_dir)
    problems = []
    if _SERVED not in names:
        problems.append(
            f"The TFLite file is called {tflite_names[0]}; TensorFlow Serving loads {_SERVED} only,"
            " and without it silently falls back to a SavedModel. Rename it."
        )
    if tf.saved_model.contains_saved_model(model_dir):
        problems.append(
            "There are a SavedModel and a TFLite file; which of them is served depends on the "
            "server's --prefer_tflite_model. Keep one of them."
        )
    paths = {name: os.path.join(model_dir, name) for name in tflite_names}
    if len({content_digest(path) for path in paths.values()}) > 1:
        problems.append(f"The files {tflite_names} differ; what was judged is not what is served.")
    with tf.io.gfile.GFile(paths.get(_SERVED, paths[tflite_names[0]]), "rb") as file:
        return problems + _problems_of_tflite(file.read())


def _problems_of_saved_model(model_dir: str) -> list[str]:
    if not tf.saved_model.contains_saved_model(model_dir):
        return [f"There is neither saved_model.pb nor {_SERVED} in {model_dir}."]
    return []


def _problems_of_tflite(content: bytes) -> list[str]:
    try:
        signatures = read_signature_defs(content)
        operations = tensorflow_operations(content)
        tensors = tensor_names(content)
    except Exception as error:  # A damaged flatbuffer raises whatever it likes.
        return [f"The TFLite file cannot be read: {error}"]
    problems = []
    if SIGNATURE not in signatures:
        problems.append(
            f"The TFLite file's metadata lists the signatures {sorted(signatures)}, not "
            f"{SIGNATURE!r}: TensorFlow Serving would serve tensors under made-up names. Convert "
            "it with tfx-shrink, or add signature_defs_metadata."
        )
    for name, signature in signatures.items():
        used = {info.name for info in (*signature.inputs.values(), *signature.outputs.values())}
        if lost := sorted(used - tensors):
            problems.append(f"Signature {name!r} names tensors that the file lacks: {lost}.")
    if operations:
        problems.append(
            f"The TFLite file holds TensorFlow's own operations {operations}, which TensorFlow "
            "Serving's TFLite mode does not have. Convert without allow_select_tf_ops."
        )
    return problems
