"""What a model's files and its main signature are called, and by whom they are looked for."""

# TensorFlow's loaders.
SAVED_MODEL = "saved_model.pb"
# TensorFlow Serving, with --prefer_tflite_model.
SERVED_TFLITE = "model.tflite"
# TFMA, and so the stock Evaluator.
EVALUATED_TFLITE = "tflite"
TFLITE_FILES = (SERVED_TFLITE, EVALUATED_TFLITE)
# TensorFlow Serving ignores what lies here, but for warm-up requests.
EXTRA = "assets.extra"
# What was done to the model: the compression record.
RECORD = f"{EXTRA}/compression.json"
# The signature that a request without a name asks for.
SERVING_DEFAULT = "serving_default"
