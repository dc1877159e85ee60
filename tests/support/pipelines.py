"""Runs pipelines in tests and finds what they made."""

import os

from tfx import v1 as tfx

from tfx_shrink.tfx_seam.runs import RUNNERS, latest_run_outputs


def connection(root):
    path = os.path.join(root, "metadata.sqlite")
    return tfx.orchestration.metadata.sqlite_metadata_connection_config(path)


def run(pipeline, runner="beam"):
    """Runs a pipeline and returns {node id: {output key: [artifacts]}}."""
    RUNNERS[runner]().run(pipeline)
    return latest_run_outputs(
        pipeline.metadata_connection_config, pipeline.pipeline_info.pipeline_name
    )
