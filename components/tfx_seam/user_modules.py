"""User code as TFX ships it: a module file becomes a wheel that the executor installs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tfx.components.util import udf_utils
from tfx.utils import io_utils

from tfx_shrink.training.user_code import load_functions


def package_user_module(component: Any) -> None:
    """Has a component's `module_file` packed when the pipeline is compiled.

    The executor finds it wherever it runs, as that of the stock Trainer. TFX packs the other
    Python files of the same folder too.

    Args:
      component: A component whose spec has `module_file` and `module_path`.
    """
    if udf_utils.should_package_user_modules():
        udf_utils.add_user_module_dependency(component, "module_file", "module_path")


@contextmanager
def user_functions(
    exec_properties: Mapping[str, Any], names: Sequence[str]
) -> Iterator[dict[str, Callable[..., Any]]]:
    """Gives the functions of an execution's module while its wheel is installed.

    Args:
      exec_properties: With `module_path` and `module_file`, both optional.
      names: The functions that may be there.

    Yields:
      `{name: function}`; empty where no module was given.

    Raises:
      ParameterError: The module cannot be imported, or has none of the functions.
    """
    module_path, wheels = udf_utils.decode_user_module_key(exec_properties.get("module_path"))
    module_file = exec_properties.get("module_file")
    with udf_utils.TempPipInstallContext(wheels):
        yield load_functions(
            module_path, io_utils.ensure_local(module_file) if module_file else None, names
        )
