"""The digits pipeline: `create_pipeline` with this data, these networks and these thresholds."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx

from tfx_shrink.pipelines.compression import create_pipeline
from tfx_shrink.pipelines.digits.data import LABEL

NAME = "digits"
_USER_CODE = "tfx_shrink.pipelines.digits"
_TRAIN_STEPS = 600
_EVAL_STEPS = 18

# Each as `create_pipeline` takes it.
DISTILLER: Mapping[str, Any] = MappingProxyType(
    {
        "module_path": f"{_USER_CODE}.student",
        "label_key": LABEL,
        "epochs": 40,
        "learning_rate": 3e-3,
        "eval_splits": ["eval"],
    }
)
PRUNER: Mapping[str, Any] = MappingProxyType(
    {"target_sparsity": 0.5, "label_key": LABEL, "epochs": 15}
)
EFFICIENCY_VALIDATOR: Mapping[str, Any] = MappingProxyType(
    {"min_size_ratio": 20.0, "min_speedup": 2.0, "max_quality_drop": 0.03, "label_key": LABEL}
)


def create_digits_pipeline(
    root: str,
    push_to: str,
    *,
    min_accuracy: float = 0.95,
    max_drop: float = 0.01,
    distiller: Mapping[str, Any] | None = DISTILLER,
    pruner: Mapping[str, Any] | None = PRUNER,
    efficiency_validator: Mapping[str, Any] | None = EFFICIENCY_VALIDATOR,
    evaluate_float: bool = False,
    data: str | None = None,
    pipeline_root: str | None = None,
    beam_pipeline_args: list[str] | None = None,
) -> tfx.dsl.Pipeline:
    """Returns the pipeline from `digits.csv` to a small published int8 model.

    Args:
      root: Directory of artifacts and metadata.
      push_to: The root of the bucket, as BucketPusher takes it.
      min_accuracy: Accuracy below which no model is blessed. Defaults to 0.95.
      max_drop: By how much the int8 model's accuracy may lie below the float model's. Defaults to
        0.01.
      distiller: See `create_pipeline`. Defaults to `DISTILLER`.
      pruner: See `create_pipeline`. Defaults to `PRUNER`.
      efficiency_validator: See `create_pipeline`. Defaults to `EFFICIENCY_VALIDATOR`.
      evaluate_float: See `create_pipeline`. Defaults to False.
      data: Directory of `digits.csv`. Defaults to `root/data`.
      pipeline_root: Where artifacts go on a cluster, which keeps metadata itself. Defaults to
        `root/artifacts`, with metadata in `root`.
      beam_pipeline_args: See `create_pipeline`. Defaults to None.
    """
    return create_pipeline(
        NAME,
        pipeline_root or os.path.join(root, "artifacts"),
        example_gen=tfx.components.CsvExampleGen(input_base=data or os.path.join(root, "data")),
        transform={"preprocessing_fn": f"{_USER_CODE}.preprocessing.preprocessing_fn"},
        trainer={
            "run_fn": f"{_USER_CODE}.trainer.run_fn",
            "train_args": tfx.proto.TrainArgs(num_steps=_TRAIN_STEPS),
            "eval_args": tfx.proto.EvalArgs(num_steps=_EVAL_STEPS),
        },
        distiller=distiller,
        pruner=pruner,
        quantizer={"scheme": "int8"},
        evaluator={"eval_config": _eval_config(min_accuracy, max_drop)},
        efficiency_validator=efficiency_validator,
        pusher={"push_destination": push_to, "model_name": NAME},
        evaluate_float=evaluate_float,
        metadata_connection_config=None if pipeline_root else metadata_connection(root),
        beam_pipeline_args=beam_pipeline_args,
    )


def metadata_connection(root: str) -> Any:
    """Returns the connection to the pipeline's own SQLite metadata."""
    return tfx.orchestration.metadata.sqlite_metadata_connection_config(
        os.path.join(root, "metadata.sqlite")
    )


def _eval_config(min_accuracy: float, max_drop: float) -> tfma.EvalConfig:
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": min_accuracy}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -max_drop}
        ),
    )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_default",
                label_key=LABEL,
                preprocessing_function_names=["transform_features"],
            )
        ],
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(class_name="ExampleCount"),
                    tfma.MetricConfig(class_name="SparseCategoricalAccuracy", threshold=threshold),
                ]
            )
        ],
    )
