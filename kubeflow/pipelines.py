"""The pipelines that the command line can compile."""

import importlib
import inspect
import os
from typing import Any

from tfx_shrink.errors import ParameterError
from tfx_shrink.kubeflow.uris import DEFAULT_PIPELINE_ROOT


def digits_pipeline(
    output: str, data: str | None, push_to: str | None, pipeline_root: str | None
) -> Any:
    """Returns the digits pipeline; by default one that this machine can run.

    Args:
      output: The compiled file, beside which the defaults lie.
      data: Directory of `digits.csv`. Defaults to one beside `output`, which is written.
      push_to: Root of the bucket. Defaults to a directory beside `output`.
      pipeline_root: Where artifacts go. Defaults to KFP's own default.
    """
    from tfx_shrink.pipelines.digits.data import write_csv
    from tfx_shrink.pipelines.digits.pipeline import create_digits_pipeline

    beside = os.path.splitext(os.path.abspath(output))[0]
    if data is None:
        data = f"{beside}-data"
        write_csv(data)
    return create_digits_pipeline(
        beside,
        push_to or f"file://{beside}-bucket",
        data=data,
        pipeline_root=pipeline_root or DEFAULT_PIPELINE_ROOT,
    )


def load_pipeline(path: str) -> Any:
    """Returns the pipeline of a function.

    Args:
      path: Its dotted path, such as `taxi.pipeline.create`.

    Raises:
      ParameterError: There is no such function, or it returns no pipeline.
    """
    from tfx_shrink.tfx_seam.kubeflow import Pipeline

    module, _, name = path.rpartition(".")
    if not module:
        raise ParameterError(
            "PIPELINE must be digits or the dotted path of a function, such as "
            f"{path}.create. Received: {path!r}."
        )
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ParameterError(
            "PIPELINE must be digits or the dotted path of a function in a module that can be "
            f"imported from here. Received: {path!r}: {error}."
        ) from error
    if callable(function):
        try:
            inspect.signature(function).bind()
        except TypeError as error:
            raise ParameterError(
                f"{path} is called without arguments: {error}. Give each a default, or write a "
                "function that gives them."
            ) from error
    pipeline = function() if callable(function) else function
    if not isinstance(pipeline, Pipeline):
        raise ParameterError(
            f"{path} must return a TFX pipeline. Received: {type(pipeline).__name__}."
        )
    return pipeline
