"""The standard TFX pipeline with compression between Trainer and Pusher."""

import contextlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tfx import v1 as tfx

from tfx_shrink import BucketPusher, Distiller, EfficiencyValidator, Pruner, Quantizer
from tfx_shrink.errors import ParameterError

_STANDARD: Mapping[str, Any] = MappingProxyType({})


def create_pipeline(
    pipeline_name: str,
    pipeline_root: str,
    *,
    example_gen: Any,
    trainer: Mapping[str, Any],
    statistics_gen: Mapping[str, Any] = _STANDARD,
    schema_gen: Mapping[str, Any] = _STANDARD,
    example_validator: Mapping[str, Any] | None = _STANDARD,
    transform: Mapping[str, Any] | None = None,
    distiller: Mapping[str, Any] | None = None,
    pruner: Mapping[str, Any] | None = None,
    quantizer: Mapping[str, Any] | None = None,
    evaluator: Mapping[str, Any] | None = None,
    efficiency_validator: Mapping[str, Any] | None = None,
    pusher: Mapping[str, Any] | None = None,
    evaluate_float: bool = False,
    metadata_connection_config: Any = None,
    enable_cache: bool = True,
    beam_pipeline_args: list[str] | None = None,
) -> tfx.dsl.Pipeline:
    """Wires the stock components and those of tfx-shrink into one pipeline.

    ```
    ExampleGen → StatisticsGen → SchemaGen → ExampleValidator → Transform → Trainer
      → Distiller → Pruner → Quantizer
      → Evaluator and EfficiencyValidator (against the Trainer's model) → BucketPusher
    ```

    Each stage is a mapping of its component's own parameters; its channels are wired here. A stage
    that is None is left out. A pipeline author who needs another shape writes it with the
    components themselves, as this function does.

    Example:
      ```python
      pipeline = create_pipeline(
          "taxi",
          "/pipelines/taxi",
          example_gen=tfx.components.CsvExampleGen(input_base="/data/taxi"),
          transform={"preprocessing_fn": "taxi.preprocessing.preprocessing_fn"},
          trainer={
              "run_fn": "taxi.trainer.run_fn",
              "train_args": tfx.proto.TrainArgs(num_steps=1000),
              "eval_args": tfx.proto.EvalArgs(num_steps=50),
          },
          distiller={"module_path": "taxi.student", "label_key": "tips"},
          pruner={"target_sparsity": 0.8, "label_key": "tips"},
          quantizer={"scheme": "int8"},
          evaluator={"eval_config": eval_config},
          efficiency_validator={"min_size_ratio": 3.0, "min_speedup": 1.2},
          pusher={"push_destination": "file:///srv/models", "model_name": "taxi"},
      )
      ```

    Args:
      pipeline_name: The pipeline's name.
      pipeline_root: Where its artifacts go.
      example_gen: Any ExampleGen component.
      trainer: Parameters of the stock Trainer: its user code, `train_args`, `eval_args`.
      statistics_gen: Parameters of StatisticsGen. Defaults to its own.
      schema_gen: Parameters of SchemaGen. Defaults to its own.
      example_validator: Parameters of ExampleValidator. Defaults to its own.
      transform: Parameters of Transform. Defaults to None: the Trainer reads raw examples.
      distiller: Parameters of Distiller, whose teacher is the Trainer's model. Defaults to None:
        the model keeps its layers.
      pruner: Parameters of Pruner. Defaults to None: every weight stays.
      quantizer: Parameters of Quantizer. Defaults to None: the float model goes on.
      evaluator: Parameters of the stock Evaluator, which sees raw examples and, where the model was
        compressed, the Trainer's model as its baseline. Defaults to None: nothing is judged.
      efficiency_validator: Parameters of EfficiencyValidator, which compares with the Trainer's
        model and shows the stages in between. Defaults to None: sizes and times are not judged.
      pusher: Parameters of BucketPusher. Defaults to None: nothing is pushed.
      evaluate_float: Whether a first Evaluator, `FloatEvaluator`, must bless the Trainer's model
        against the last float model that it blessed, with the same `evaluator` parameters, before
        anything is compressed. Defaults to False.
      metadata_connection_config: Where ML Metadata lives; local runners need it.
      enable_cache: Whether unchanged stages are taken from the cache. Defaults to True.
      beam_pipeline_args: Beam options for every component that runs on Beam.

    Returns:
      The pipeline, for any TFX runner.

    Raises:
      ParameterError: A parameter of a compression component is out of its range,
        `evaluate_float` is set and there is no `evaluator`, or there is an `efficiency_validator`
        and nothing that compresses.
    """
    if evaluate_float and evaluator is None:
        raise ParameterError(
            "`evaluate_float=True` needs the parameters of an `evaluator`. Received: "
            "evaluator=None."
        )
    if efficiency_validator is not None and not (distiller or pruner or quantizer):
        raise ParameterError(
            "`efficiency_validator` compares a compressed model with the Trainer's. Received: no "
            "distiller, pruner or quantizer."
        )
    raw = example_gen.outputs["examples"]
    statistics = tfx.components.StatisticsGen(examples=raw, **statistics_gen)
    schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"], **schema_gen)
    components = [example_gen, statistics, schema]
    if example_validator is not None:
        components.append(
            tfx.components.ExampleValidator(
                statistics=statistics.outputs["statistics"],
                schema=schema.outputs["schema"],
                **example_validator,
            )
        )
    rows = {"examples": raw}
    graph = {}
    if transform is not None:
        transformed = tfx.components.Transform(
            examples=raw, schema=schema.outputs["schema"], **transform
        )
        components.append(transformed)
        rows = {"examples": transformed.outputs["transformed_examples"]}
        graph = {"transform_graph": transformed.outputs["transform_graph"]}
    trained = tfx.components.Trainer(**rows, **graph, schema=schema.outputs["schema"], **trainer)
    components.append(trained)

    model, blessing, only_if_blessed = trained.outputs["model"], None, contextlib.nullcontext()
    if evaluate_float:
        gate = _float_gate(trained, raw, evaluator)
        components += gate
        blessing = gate[-1].outputs["blessing"]
        only_if_blessed = tfx.dsl.Cond(blessing.future()[0].custom_property("blessed") == 1)
    made: dict[Any, Any] = {}
    evaluation = infra_blessing = None
    with only_if_blessed:
        for technique, source, parameters in (
            (Distiller, "teacher_model", distiller),
            (Pruner, "base_model", pruner),
            (Quantizer, "base_model", quantizer),
        ):
            if parameters is None:
                continue
            # Raw rows suit every signature: what reads transformed features has them transformed.
            shrunk = technique(
                **{source: model},
                examples=raw,
                **graph,
                schema=schema.outputs["schema"],
                **parameters,
            )
            components.append(shrunk)
            model = shrunk.outputs["model"]
            made[technique] = model
        compressed = model is not trained.outputs["model"]
        if evaluator is not None and (compressed or not evaluate_float):
            judge = _evaluator(
                model, raw, evaluator, baseline=trained.outputs["model"] if compressed else None
            )
            components.append(judge)
            blessing = judge.outputs["blessing"]
            evaluation = judge.outputs["evaluation"]
        if efficiency_validator is not None:
            validator = EfficiencyValidator(
                model=model,
                baseline_model=trained.outputs["model"],
                examples=raw,
                **graph,
                schema=schema.outputs["schema"],
                **_between(made, model),
                evaluation=evaluation,
                **efficiency_validator,
            )
            components.append(validator)
            infra_blessing = validator.outputs["blessing"]
        if pusher is not None:
            components.append(
                BucketPusher(
                    model=model, model_blessing=blessing, infra_blessing=infra_blessing, **pusher
                )
            )

    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=components,
        metadata_connection_config=metadata_connection_config,
        enable_cache=enable_cache,
        beam_pipeline_args=beam_pipeline_args,
    )


def _evaluator(model: Any, examples: Any, parameters: Mapping[str, Any], baseline: Any) -> Any:
    return tfx.components.Evaluator(
        model=model,
        baseline_model=baseline,
        examples=examples,
        **{"module_path": "tfx_shrink.evaluation", **parameters},
    )


def _between(made: Mapping[Any, Any], model: Any) -> dict[str, Any]:
    """Stages before the last one, as EfficiencyValidator calls them."""
    names = {Distiller: "distilled_model", Pruner: "pruned_model"}
    return {
        name: made[technique]
        for technique, name in names.items()
        if technique in made and made[technique] is not model
    }


def _float_gate(trained: Any, examples: Any, parameters: Mapping[str, Any]) -> list[Any]:
    """A Resolver for the last blessed float model, and the Evaluator that compares with it."""
    name = "FloatEvaluator"
    # Compressed models are blessed too, by another Evaluator: the producers keep them apart.
    resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(
            type=tfx.types.standard_artifacts.Model,
            producer_component_id=trained.id,
            output_key="model",
        ),
        model_blessing=tfx.dsl.Channel(
            type=tfx.types.standard_artifacts.ModelBlessing,
            producer_component_id=name,
            output_key="blessing",
        ),
    ).with_id("LastBlessedFloatModel")
    judge = _evaluator(
        trained.outputs["model"], examples, parameters, baseline=resolver.outputs["model"]
    ).with_id(name)
    return [resolver, judge]
