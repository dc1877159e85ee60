"""A model in what serves it: the C++ session that TensorFlow Serving uses, or TFLite."""

import dataclasses
import os
from collections.abc import Callable, Mapping

import numpy as np

from tfx_shrink.model_files import SERVING_DEFAULT
from tfx_shrink.saved_model.cpp_session import CppSession
from tfx_shrink.tflite.interpreter import TFLiteModel

Call = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """What to open, as a child process can be told.

    Attributes:
      path: A TFLite file, or a SavedModel's directory; local.
      signature: The SavedModel's signature to call; a TFLite file has but one. Defaults to None:
        `serving_default`.
      names: The feature that each input of the signature reads, by the input's name. Defaults to
        nothing: inputs are called as their features are.
      batch_size: The only size of batch that it takes. Defaults to None: it takes any.
    """

    path: str
    signature: str | None = None
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    batch_size: int | None = None


def load_served(path: str, threads: int) -> CppSession | TFLiteModel:
    """Loads a TFLite file, or the SavedModel in a directory.

    Raises:
      ModelError: The runtime refuses it.
    """
    if os.path.isdir(path):
        return CppSession(path, threads=threads)
    with open(path, "rb") as file:
        return TFLiteModel(file.read(), threads=threads)


def open_served(model: ServedModel, threads: int) -> Call:
    """Opens a model.

    Args:
      model: What to open.
      threads: How many threads one call may use. TensorFlow keeps what the first session of a
        process was given.

    Returns:
      A function from arrays by feature name to arrays by output name. Other features are ignored.

    Raises:
      ModelError: The runtime refuses the file.
    """
    opened = load_served(model.path, threads)
    if isinstance(opened, TFLiteModel):
        return opened
    session = opened
    signature = model.signature or SERVING_DEFAULT
    names = model.names or {name: name for name in session.inputs(signature)}
    return lambda rows: session.run(
        signature, {key: rows[feature] for key, feature in names.items()}
    )
