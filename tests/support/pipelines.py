"""Runs pipelines in tests and finds what they made."""

import os

from tfx import v1 as tfx

from tfx_shrink.tfx_seam.runs import RUNNERS, latest_run_outputs


def connection(root):
    path = os.path.join(root, "metadata.sqlite")
    return tfx.orchestration.metadata.sqlite_metadata_connection_config(path)


def stock_components(input_base, module):
    """CsvExampleGen, StatisticsGen, SchemaGen, Transform and Trainer, with a module's user code."""
    rows = tfx.components.CsvExampleGen(input_base=input_base)
    statistics = tfx.components.StatisticsGen(examples=rows.outputs["examples"])
    schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"])
    transform = tfx.components.Transform(
        examples=rows.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn=f"{module}.preprocessing_fn",
    )
    trainer = tfx.components.Trainer(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        run_fn=f"{module}.run_fn",
        train_args=tfx.proto.TrainArgs(num_steps=1),
        eval_args=tfx.proto.EvalArgs(num_steps=1),
    )
    return [rows, statistics, schema, transform, trainer]


def run(pipeline, runner="beam"):
    """Runs a pipeline and returns {node id: {output key: [artifacts]}}."""
    RUNNERS[runner]().run(pipeline)
    return latest_run_outputs(
        pipeline.metadata_connection_config, pipeline.pipeline_info.pipeline_name
    )
