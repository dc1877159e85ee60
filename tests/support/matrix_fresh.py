"""A process that never saw the models' sources: `python -m support.matrix_fresh WORK_DIR`.

Runs each result of a request the way its users do, and leaves the outputs beside the request, one
file a scheme, so that a result that ends the process does not hide the others.
"""

import os
import pickle
import sys
import traceback

import numpy as np
import tensorflow as tf

from tfx_shrink.saved_model.cpp_session import CppSession


def main(work):
    with open(os.path.join(work, "request.pickle"), "rb") as file:
        request = pickle.load(file)
    for scheme, directory in request["directories"].items():
        try:
            outputs = _run(directory, request["inputs"])
        except Exception:
            outputs = {"error": traceback.format_exc()}
        with open(os.path.join(work, scheme), "wb") as file:
            pickle.dump(outputs, file)


def _run(directory, inputs):
    tflite = os.path.join(directory, "model.tflite")
    if os.path.exists(tflite):
        return {"python": {"tflite": _interpret(tflite, inputs["tflite"])}}
    loaded = tf.saved_model.load(directory)
    python, cpp = {}, {}
    with CppSession(directory, threads=1) as session:
        for name, signature in loaded.signatures.items():
            tensors = {key: tf.constant(value) for key, value in inputs[name].items()}
            python[name] = {key: value.numpy() for key, value in signature(**tensors).items()}
            cpp[name] = session.run(name, inputs[name])
    return {"python": python, "cpp": cpp}


def _interpret(path, inputs):
    """The plain interpreter; integers are rounded and widened by the textbook."""
    interpreter = tf.lite.Interpreter(path)
    interpreter.allocate_tensors()  # Only then are the default delegates in use.
    run = interpreter.get_signature_runner("serving_default")
    tensors = {}
    for name, detail in run.get_input_details().items():
        tensors[name] = inputs[name].astype(np.float32)
        if detail["dtype"] == np.int8:
            scale, zero = detail["quantization"]
            steps = np.rint(tensors[name] / np.float32(scale) + zero)
            tensors[name] = np.clip(steps, -128, 127)
        tensors[name] = tensors[name].astype(detail["dtype"])
    outputs = run(**tensors)
    for name, detail in run.get_output_details().items():
        if detail["dtype"] == np.int8:
            scale, zero = detail["quantization"]
            outputs[name] = (outputs[name].astype(np.float32) - zero) * np.float32(scale)
    return outputs


if __name__ == "__main__":
    main(sys.argv[1])
