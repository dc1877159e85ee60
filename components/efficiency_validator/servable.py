"""Whether TensorFlow Serving would load the model that was compressed, and not another.

With `--prefer_tflite_model` TensorFlow Serving takes `model.tflite` where there is one, and else
silently the SavedModel beside it (saved_model_bundle_factory.cc, kTfLiteModelFilename). Signatures
it reads from the file's metadata, and serves tensors under made-up names where there is none.
"""

import os

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfx_shrink import lineage
from tfx_shrink.lineage import content_digest
from tfx_shrink.model_files import EVALUATED_TFLITE, SAVED_MODEL, SERVED_TFLITE, SERVING_DEFAULT
from tfx_shrink.tflite.contents import tensorflow_operations
from tfx_shrink.tflite.signature_defs import own_signature_def, read_signature_defs

# What loads tables; no request names it (tensorflow/cc/saved_model/constants.h).
_INITIALIZATION = "__saved_model_init_op"


def serving_problems(model_dir: str, baseline_dir: str) -> list[str]:
    """Lists what keeps TensorFlow Serving from serving this very model in its baseline's place.

    Args:
      model_dir: A model's directory.
      baseline_dir: Its baseline's.

    Returns:
      One sentence each, with what to do; empty where there is nothing.
    """
    names = {name.rstrip("/") for name in tf.io.gfile.listdir(model_dir)}
    tflite_names = sorted(
        name for name in names if name == EVALUATED_TFLITE or name.endswith(".tflite")
    )
    if not tflite_names:
        return _problems_of_saved_model(model_dir, baseline_dir)
    problems = []
    if SERVED_TFLITE not in names:
        problems.append(
            f"The TFLite file is called {tflite_names[0]}; TensorFlow Serving loads "
            f"{SERVED_TFLITE} only, and without it silently falls back to a SavedModel. Rename it."
        )
    if tf.saved_model.contains_saved_model(model_dir):
        problems.append(
            "There are a SavedModel and a TFLite file; which of them is served depends on the "
            "server's --prefer_tflite_model. Keep one of them."
        )
    paths = {name: os.path.join(model_dir, name) for name in tflite_names}
    if len({content_digest(path) for path in paths.values()}) > 1:
        problems.append(
            f"The files {tflite_names} differ; what was judged is not what is served. Keep one."
        )
    with tf.io.gfile.GFile(paths.get(SERVED_TFLITE, paths[tflite_names[0]]), "rb") as file:
        return problems + _problems_of_tflite(file.read())


def _problems_of_saved_model(model_dir: str, baseline_dir: str) -> list[str]:
    if not tf.saved_model.contains_saved_model(model_dir):
        return [
            f"There is neither saved_model.pb nor {SERVED_TFLITE} in {model_dir}. Give the "
            "directory that one of them lies in."
        ]
    names = _signature_names(model_dir)
    if not names:
        return ["The SavedModel has no signature, so no request can name one. Save it with one."]
    if not tf.saved_model.contains_saved_model(baseline_dir):
        return []
    lost = sorted(_signature_names(baseline_dir) - names - _left_out(model_dir))
    if lost:
        return [
            f"The baseline's signatures {lost} are missing, and the record does not say why: "
            "clients that name them would fail. Save the model with them."
        ]
    return []


def _signature_names(model_dir: str) -> set[str]:
    with tf.io.gfile.GFile(os.path.join(model_dir, SAVED_MODEL), "rb") as file:
        saved = saved_model_pb2.SavedModel.FromString(file.read())
    return set(saved.meta_graphs[0].signature_def) - {_INITIALIZATION}


def _left_out(model_dir: str) -> set[str]:
    """Signatures that a technique was told to leave out, or could not keep."""
    names: set[str] = set()
    for step in lineage.read(model_dir):
        names.update(step["parameters"].get("drop_signatures") or ())
        names.update(step.get("signatures_not_kept") or ())
    return names


def _problems_of_tflite(content: bytes) -> list[str]:
    try:
        signatures = read_signature_defs(content)
        operations = tensorflow_operations(content)
        expected = own_signature_def(content)
    except Exception as error:  # A damaged flatbuffer raises whatever it likes.
        return [f"The TFLite file cannot be read: {error}. Convert the model again."]
    problems = []
    if SERVING_DEFAULT not in signatures:
        problems.append(
            f"The TFLite file's metadata lists the signatures {sorted(signatures)}, not "
            f"{SERVING_DEFAULT!r}: TensorFlow Serving would serve tensors under made-up names. "
            "Convert it with tfx-shrink, or add signature_defs_metadata."
        )
    for name, signature in signatures.items():
        if expected is not None and signature != expected:
            problems.append(
                f"Signature {name!r} of the metadata is not the file's own: TensorFlow Serving "
                "would feed and answer with other tensors. Convert it with tfx-shrink."
            )
    if operations:
        problems.append(
            f"The TFLite file holds TensorFlow's own operations {operations}, which TensorFlow "
            "Serving's TFLite mode does not have. Convert without allow_select_tf_ops."
        )
    return problems
