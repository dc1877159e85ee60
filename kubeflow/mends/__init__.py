"""What TFX compiles for Vertex AI, made fit for open-source Kubeflow Pipelines.

Each mend is one function over the pipeline spec with its reason. They run in this order: the last
one renames what the others look for.
"""

from typing import Any

from tfx_shrink.kubeflow.mends.conditions import read_conditions_from_inputs
from tfx_shrink.kubeflow.mends.containers import give_containers_local_paths
from tfx_shrink.kubeflow.mends.example_gen import (
    never_cache_files,
    run_driver_in_the_container,
)
from tfx_shrink.kubeflow.mends.names import name_tasks_for_argo
from tfx_shrink.kubeflow.mends.parameters import (
    name_producers_of_values,
    pass_parameters_into_the_dag,
    type_values_as_their_producers,
)
from tfx_shrink.kubeflow.mends.reports import show_reports

MENDS = (
    never_cache_files,
    run_driver_in_the_container,
    name_producers_of_values,
    type_values_as_their_producers,
    read_conditions_from_inputs,
    pass_parameters_into_the_dag,
    give_containers_local_paths,
    show_reports,
    name_tasks_for_argo,
)


def mend(spec: dict[str, Any]) -> None:
    """Applies every mend to a pipeline spec, in place."""
    for apply in MENDS:
        apply(spec)
