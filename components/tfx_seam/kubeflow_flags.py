"""Flags of the program that TFX runs inside a container of Kubeflow Pipelines v2.

Source: tfx/orchestration/kubeflow/v2/container/kubeflow_v2_run_executor.py
"""

EXECUTOR_FLAG = "--executor_class_path"
# The task, and the types of its inputs.
INVOCATION_FLAG = "--json_serialized_invocation_args"
INPUTS_SPEC_FLAG = "--json_serialized_inputs_spec_args"
