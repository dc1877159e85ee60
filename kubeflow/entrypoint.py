"""What each container of a compiled pipeline runs: TFX's executor, on Kubeflow Pipelines' terms.

```
python -m tfx_shrink.kubeflow.entrypoint --executor_class_path CLASS
    --json_serialized_invocation_args EXECUTOR_INPUT --json_serialized_inputs_spec_args INPUTS_SPEC
    [--run_example_gen_driver] [--keep_uris] [options of Beam]
```
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence

from tfx_shrink.kubeflow import executor_input as messages
from tfx_shrink.kubeflow.entrypoint_flags import KEEP_URIS, POD_ROOT_VARIABLE, RUN_DRIVER
from tfx_shrink.kubeflow.uris import remote_uri
from tfx_shrink.report import HTML
from tfx_shrink.tfx_seam.kubeflow_flags import EXECUTOR_FLAG, INPUTS_SPEC_FLAG, INVOCATION_FLAG


def run_task(arguments: Sequence[str], pod_root: str = "/") -> None:
    """Runs one task and leaves its output file as KFP's launcher reads it.

    Args:
      arguments: The command line, as above.
      pod_root: Below which the launcher's copies lie. Defaults to `/`.

    Raises:
      Exception: What the executor raised.
    """
    flags, beam_args = _parse(arguments)
    task = json.loads(flags.task)
    pages = messages.pages_to_show(task, pod_root)
    messages.drop_launcher_outputs(task)
    messages.restore_types(task, json.loads(flags.inputs_spec))
    if not flags.keep_uris:
        messages.map_to_local(task, pod_root)
    messages.make_parents(task)

    from tfx_shrink.tfx_seam.kubeflow_container import run_example_gen_driver, run_executor

    launchers_file = task["outputs"]["outputFile"]
    if flags.keep_uris:
        # TFX's temporary files lie beside it, and a Beam engine elsewhere must reach them.
        task["outputs"]["outputFile"] = remote_uri(launchers_file, pod_root)
    output_file = task["outputs"]["outputFile"]
    if flags.run_example_gen_driver:
        run_example_gen_driver(json.dumps(task), flags.inputs_spec)
        messages.take_driver_metadata(task, json.loads(_read(output_file)))
    run_executor(flags.executor, json.dumps(task), flags.inputs_spec, beam_args)
    made = json.loads(_read(output_file))
    for key, page in pages.items():
        (report,) = task["outputs"]["artifacts"][key]["artifacts"]
        _write(page, _read(os.path.join(report["uri"], HTML)))
    messages.map_to_remote(made, pod_root)
    _write(launchers_file, json.dumps(made))


def main() -> None:
    """Runs the task of this container's command line."""
    logging.basicConfig(level=logging.INFO)
    run_task(sys.argv[1:], os.environ.get(POD_ROOT_VARIABLE, "/"))
    sys.stdout.flush()
    sys.stderr.flush()
    # Destructors of C++ libraries can abort an interpreter that has done its work.
    os._exit(0)


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument(EXECUTOR_FLAG, dest="executor", required=True)
    parser.add_argument(INVOCATION_FLAG, dest="task", required=True)
    parser.add_argument(INPUTS_SPEC_FLAG, dest="inputs_spec", required=True)
    parser.add_argument(RUN_DRIVER, action="store_true")
    parser.add_argument(KEEP_URIS, action="store_true")
    return parser.parse_known_args(arguments)


def _read(path: str) -> str:
    from tfx_shrink.tfx_seam.components import fileio

    with fileio.open(path, "r") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
