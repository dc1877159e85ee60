"""User code by dotted path or by file, for what the defaults cannot know."""

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx_shrink.errors import ParameterError
from tfx_shrink.parameters import require_one_module


def load_functions(
    module_path: str | None, module_file: str | None, names: Sequence[str]
) -> dict[str, Callable[..., Any]]:
    """Returns the functions of a user's module that are asked for and that it has.

    Args:
      module_path: Dotted path of a module, or None.
      module_file: Path of a Python file, or None.
      names: The functions that may be there.

    Returns:
      `{name: function}`; empty where no module is given.

    Raises:
      ParameterError: Both are given, the module cannot be imported, or it has none of the
        functions.
    """
    require_one_module(module_path, module_file)
    if not module_path and not module_file:
        return {}
    module = _import(module_path) if module_path else _import_file(str(module_file))
    found = {name: getattr(module, name) for name in names if hasattr(module, name)}
    if not found:
        raise ParameterError(
            f"{module_path or module_file} must define at least one of {list(names)}; it defines "
            "none of them."
        )
    return found


def code_digest(functions: Mapping[str, Callable[..., Any]]) -> str:
    """Names the code of user functions, so that work done with other code is not taken up."""
    plain = [getattr(function, "func", function) for function in functions.values()]
    # An object that can be called has the source of its class.
    plain = [each if inspect.isroutine(each) else type(each) for each in plain]
    files = sorted({inspect.getsourcefile(each) or "" for each in plain})
    content = hashlib.sha256()
    for path in files:
        content.update(Path(path).read_bytes() if os.path.isfile(path) else path.encode())
    return content.hexdigest()


def _import(path: str) -> Any:
    try:
        return importlib.import_module(path)
    except ImportError as error:
        raise ParameterError(
            f"`module_path` cannot be imported: {error}. It must be installed where the component "
            f"runs. Received: module_path={path!r}."
        ) from error


def _import_file(path: str) -> Any:
    name = f"tfx_shrink_user_{os.path.splitext(os.path.basename(path))[0]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not os.path.isfile(path):
        raise ParameterError(
            f"`module_file` must be a Python file. Received: module_file={path!r}."
        )
    module = importlib.util.module_from_spec(spec)
    # Where functions look for their module, as tf.function does.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
