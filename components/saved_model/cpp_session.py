"""A SavedModel in the C++ session that TensorFlow Serving runs it in.

The TensorFlow package carries the C++ library; its C API reaches the same loader and the same
session as TensorFlow Serving (tensorflow/cc/saved_model/loader.cc, LoadSavedModel).
"""

import ctypes
import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.model_files import SAVED_MODEL

_STRING_BYTES = 24  # sizeof(TF_TString)


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class CppSession:
    """A loaded SavedModel; close it, or use it as a context manager.

    Example:
      ```python
      with CppSession("model") as session:
          outputs = session.run("serving_default", {"examples": np.array([row], object)})
      ```

    Args:
      model_dir: The SavedModel's directory; a local path.
      threads: How many threads one operation may use. Defaults to 0: as many as there are cores.

    Raises:
      ModelError: The C++ loader refuses the directory; the text is its own.
    """

    def __init__(self, model_dir: str, threads: int = 0):
        self._library = _library()
        self._graph = self._pointer("TF_NewGraph")
        options = self._pointer("TF_NewSessionOptions")
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
        ).SerializeToString()
        tags = (ctypes.c_char_p * 1)(b"serve")
        try:
            self._checked("TF_SetConfig", options, config, len(config))
            self._session = self._checked(
                "TF_LoadSessionFromSavedModel",
                *(options, None, model_dir.encode(), tags, 1, self._graph, None),
            )
        except ModelError:
            self._library.TF_DeleteGraph(self._graph)
            raise
        finally:
            self._library.TF_DeleteSessionOptions(options)
        with tf.io.gfile.GFile(os.path.join(model_dir, SAVED_MODEL), "rb") as file:
            saved = saved_model_pb2.SavedModel.FromString(file.read())
        self._signatures = dict(saved.meta_graphs[0].signature_def)

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs one signature on one batch.

        Args:
          signature: Its name.
          inputs: Arrays by input name, numbers of any type; strings as arrays of bytes objects.

        Returns:
          Outputs by name.

        Raises:
          ParameterError: There is no such signature, or it has other inputs.
          ModelError: The session reports an error, such as a missing table.
        """
        definition = self._definition(signature)
        names = list(inputs)
        if sorted(names) != sorted(definition.inputs):
            raise ParameterError(
                f"Signature {signature!r} reads {sorted(definition.inputs)}. "
                f"Received: {sorted(names)}."
            )
        output_names = sorted(definition.outputs)
        typed = {name: _as_type(inputs[name], definition.inputs[name].dtype) for name in names}
        feeds = (_Output * len(names))(*(self._find(definition.inputs[name]) for name in names))
        values = (ctypes.c_void_p * len(names))(*(self._tensor(typed[name]) for name in names))
        fetches = (_Output * len(output_names))(
            *(self._find(definition.outputs[name]) for name in output_names)
        )
        results = (ctypes.c_void_p * len(output_names))()
        try:
            self._checked(
                "TF_SessionRun",
                *(self._session, None, feeds, values, len(names)),
                *(fetches, results, len(output_names), None, 0, None),
            )
            arrays = [self._array(ctypes.c_void_p(result)) for result in results]
        finally:
            for tensor in [*values, *(result for result in results if result)]:
                self._library.TF_DeleteTensor(ctypes.c_void_p(tensor))
        return dict(zip(output_names, arrays, strict=True))

    def inputs(self, signature: str) -> list[str]:
        """Returns the names of a signature's inputs.

        Raises:
          ParameterError: There is no such signature.
        """
        return sorted(self._definition(signature).inputs)

    def close(self) -> None:
        """Frees the session."""
        self._checked("TF_DeleteSession", self._session)
        self._library.TF_DeleteGraph(self._graph)

    def __enter__(self) -> "CppSession":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _definition(self, signature: str) -> Any:
        if signature not in self._signatures:
            raise ParameterError(
                f"`signature` must be one of {sorted(self._signatures)}. "
                f"Received: signature={signature!r}."
            )
        return self._signatures[signature]

    def _pointer(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        return ctypes.c_void_p(getattr(self._library, name)(*arguments))

    def _checked(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        status = self._pointer("TF_NewStatus")
        try:
            result = self._pointer(name, *arguments, status)
            if self._library.TF_GetCode(status):
                raise ModelError(self._library.TF_Message(status).decode(errors="replace"))
            return result
        finally:
            self._library.TF_DeleteStatus(status)

    def _find(self, info: Any) -> _Output:
        name, _, index = info.name.partition(":")
        operation = self._pointer("TF_GraphOperationByName", self._graph, name.encode())
        return _Output(operation, int(index or 0))

    def _tensor(self, array: np.ndarray) -> int:
        array = np.ascontiguousarray(array)
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        is_string = array.dtype == object
        dtype = tf.string if is_string else tf.as_dtype(array.dtype)
        size = array.size * _STRING_BYTES if is_string else array.nbytes
        tensor = self._pointer(
            "TF_AllocateTensor", dtype.as_datatype_enum, dims, array.ndim, ctypes.c_size_t(size)
        )
        data = self._pointer("TF_TensorData", tensor)
        if not is_string:
            ctypes.memmove(data, array.ctypes.data, size)
            return tensor.value or 0
        for number, text in enumerate(array.ravel()):
            string = ctypes.c_void_p((data.value or 0) + number * _STRING_BYTES)
            self._library.TF_StringInit(string)
            self._library.TF_StringCopy(string, text, ctypes.c_size_t(len(text)))
        return tensor.value or 0

    def _array(self, tensor: ctypes.c_void_p) -> np.ndarray:
        shape = [
            self._library.TF_Dim(tensor, axis) for axis in range(self._library.TF_NumDims(tensor))
        ]
        dtype = tf.as_dtype(self._library.TF_TensorType(tensor))
        data = self._pointer("TF_TensorData", tensor)
        if dtype != tf.string:
            size = self._library.TF_TensorByteSize(tensor)
            return np.frombuffer(ctypes.string_at(data, size), dtype.as_numpy_dtype).reshape(shape)
        texts = []
        for number in range(int(np.prod(shape))):
            string = ctypes.c_void_p((data.value or 0) + number * _STRING_BYTES)
            length = self._library.TF_StringGetSize(string)
            texts.append(ctypes.string_at(self._library.TF_StringGetDataPointer(string), length))
        return np.array(texts, object).reshape(shape)


def _as_type(array: np.ndarray, dtype: int) -> np.ndarray:
    if dtype == types_pb2.DT_STRING:
        return array
    return np.asarray(array, tf.as_dtype(dtype).as_numpy_dtype)


@functools.cache
def _library() -> ctypes.CDLL:
    folder = os.path.dirname(tf.__file__)
    ctypes.CDLL(os.path.join(folder, "libtensorflow_framework.so.2"), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(os.path.join(folder, "libtensorflow_cc.so.2"), mode=ctypes.RTLD_GLOBAL)
    pointers = (
        *("TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_LoadSessionFromSavedModel"),
        *("TF_GraphOperationByName", "TF_AllocateTensor", "TF_TensorData"),
        "TF_StringGetDataPointer",
    )
    for name in pointers:
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("TF_TensorByteSize", "TF_StringGetSize"):
        getattr(library, name).restype = ctypes.c_size_t
    library.TF_Dim.restype = ctypes.c_int64
    library.TF_Message.restype = ctypes.c_char_p
    return library
