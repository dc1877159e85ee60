"""Runs the stock Evaluator and reads what it found."""

import os

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx

from support import pipelines


def evaluate(
    root, model, examples, eval_config, baseline=None, module_path="tfx_shrink.evaluation"
):
    """Judges the eval split with our module; returns the Evaluator's outputs.

    Args:
      root: A directory for artifacts and metadata.
      model: The candidate's directory; its parent is the artifact's.
      examples: An Examples artifact's directory.
      eval_config: A tfma.EvalConfig.
      baseline: A directory as `model`. Defaults to None.
      module_path: The Evaluator's. Defaults to ours; None leaves it out.
    """
    kinds = tfx.types.standard_artifacts
    nodes = [
        _imported("Candidate", os.path.dirname(model), kinds.Model),
        _imported("Rows", examples, kinds.Examples, split_names='["eval"]'),
    ]
    if baseline:
        nodes.append(_imported("Baseline", os.path.dirname(baseline), kinds.Model))
    judge = tfx.components.Evaluator(
        model=nodes[0].outputs["result"],
        examples=nodes[1].outputs["result"],
        baseline_model=nodes[2].outputs["result"] if baseline else None,
        eval_config=eval_config,
        module_path=module_path,
    )
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="judged",
        pipeline_root=os.path.join(root, "artifacts"),
        components=[*nodes, judge],
        metadata_connection_config=pipelines.connection(root),
    )
    return pipelines.run(pipeline, "local")["Evaluator"]


def _imported(name, uri, kind, **properties):
    node = tfx.dsl.Importer(source_uri=uri, artifact_type=kind, properties=properties)
    return node.with_id(name)


def accuracy_config(min_accuracy, max_drop, **spec):
    """Accuracy on the feature "label", with a bound of its own and one against the baseline."""
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": min_accuracy}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -max_drop}
        ),
    )
    metric = tfma.MetricConfig(class_name="SparseCategoricalAccuracy", threshold=threshold)
    crossentropy = tfma.MetricConfig(class_name="SparseCategoricalCrossentropy")
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name="serving_default", label_key="label", **spec)],
        metrics_specs=[tfma.MetricsSpec(metrics=[metric, crossentropy])],
    )


def is_blessed(outputs):
    return outputs["blessing"][0].get_int_custom_property("blessed") == 1


def metrics(outputs, model_name="candidate"):
    """Overall metrics by name."""
    result = tfma.load_eval_result(outputs["evaluation"][0].uri, model_name=model_name)
    overall = next(values for key, values in result.slicing_metrics if not key)
    return {name: value["doubleValue"] for name, value in overall[""][""].items()}
