"""User code as TFX ships it: a module file becomes a wheel that the executor installs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tfx.components.trainer.fn_args_utils import DataAccessor, FnArgs
from tfx.components.util import tfxio_utils, udf_utils
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


def make_fn_args(
    artifacts: Sequence[Any],
    *,
    examples: Sequence[str],
    eval_examples: Sequence[str] | None,
    transform_graph: str | None,
    schema: str | None,
    base_model: str,
    train_steps: int | None,
    model_run_dir: str | None,
) -> FnArgs:
    """Returns what the stock Trainer gives to user code, as far as a component knows it.

    Args:
      artifacts: The Examples; empty on a command line, where there is no `data_accessor`.
      examples: Glob patterns of the rows that are trained on.
      eval_examples: Glob patterns of others, or None.
      transform_graph: Transform's output directory, or None.
      schema: The schema's path, or None.
      base_model: Directory of the model that goes in.
      train_steps: For how many steps, if that was given.
      model_run_dir: TensorBoard's directory, or None.
    """
    accessor = None
    if artifacts:
        telemetry = ["tfx_shrink"]
        accessor = DataAccessor(
            tf_dataset_factory=tfxio_utils.get_tf_dataset_factory_from_artifact(
                artifacts, telemetry
            ),
            record_batch_factory=tfxio_utils.get_record_batch_factory_from_artifact(
                artifacts, telemetry
            ),
            data_view_decode_fn=tfxio_utils.get_data_view_decode_fn_from_artifact(
                artifacts, telemetry
            ),
        )
    return FnArgs(
        train_files=list(examples),
        eval_files=list(eval_examples or []),
        train_steps=train_steps,
        transform_graph_path=transform_graph,
        transform_output=transform_graph,
        schema_path=schema,
        schema_file=schema,
        data_accessor=accessor,
        base_model=base_model,
        model_run_dir=model_run_dir,
    )
