"""TFLite files made by TensorFlow's converter itself."""

import tempfile

import numpy as np
import tensorflow as tf

from support import models


def linear(width=models.WIDTH, units=128, seed=0):
    """(function, inputs) of one dense layer, x -> y, for `file_of`."""
    weights = np.random.RandomState(seed).randn(width, units).astype(np.float32)
    return (lambda x: {"y": x @ weights}, {"x": models.spec([None, width])})


def file_of(function, inputs, *, weights=None, calibration=None, integer_io=None):
    """Converts one function.

    Args:
      function: From named tensors to a dict of tensors.
      inputs: {name: TensorSpec}.
      weights: None for float32, else tf.int8 or tf.float16.
      calibration: Rows {name: array} that set the ranges of int8 activations.
      integer_io: Type of inputs and outputs, such as tf.int8. Defaults to float.
    """
    with tempfile.TemporaryDirectory() as directory:
        models.save_functions(directory, serving_default=(function, inputs))
        converter = tf.lite.TFLiteConverter.from_saved_model(directory)
        if weights is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == tf.float16:
            converter.target_spec.supported_types = [tf.float16]
        if calibration is not None:
            count = len(next(iter(calibration.values())))
            converter.representative_dataset = lambda: (
                {name: values[row : row + 1] for name, values in calibration.items()}
                for row in range(count)
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if integer_io is not None:
            converter.inference_input_type = converter.inference_output_type = integer_io
        return converter.convert()
