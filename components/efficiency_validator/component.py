"""EfficiencyValidator: what a pipeline author sees."""

from collections.abc import Mapping, Sequence

from tfx_shrink.artifacts import CompressionReport
from tfx_shrink.efficiency_validator.executor import Executor
from tfx_shrink.efficiency_validator.settings import (
    Settings,
    check_settings,
    check_thresholds,
    require_any,
)
from tfx_shrink.errors import ParameterError
from tfx_shrink.tfx_seam.artifacts import check_split_names
from tfx_shrink.tfx_seam.components import (
    BaseBeamComponent,
    BaseChannel,
    BeamExecutorSpec,
    Channel,
    ChannelParameter,
    ComponentSpec,
    ExecutionParameter,
    RuntimeParameter,
    json_utils,
    standard_artifacts,
)
from tfx_shrink.tfx_seam.parameters import as_float, known


class EfficiencyValidatorSpec(ComponentSpec):
    """Channels and parameters of EfficiencyValidator."""

    PARAMETERS = {
        "max_bytes": ExecutionParameter(type=int, optional=True),
        "min_size_ratio": ExecutionParameter(type=float, optional=True),
        "max_latency_ms": ExecutionParameter(type=str, optional=True),
        "min_speedup": ExecutionParameter(type=float, optional=True),
        "min_sparsity": ExecutionParameter(type=float, optional=True),
        "max_output_difference": ExecutionParameter(type=float, optional=True),
        "max_quality_drop": ExecutionParameter(type=float, optional=True),
        "label_key": ExecutionParameter(type=str, optional=True),
        "metric": ExecutionParameter(type=str),
        "output_name": ExecutionParameter(type=str, optional=True),
        "slice_keys": ExecutionParameter(type=str),
        "splits": ExecutionParameter(type=str),
        "num_examples": ExecutionParameter(type=int),
        "batch_sizes": ExecutionParameter(type=str),
        "threads": ExecutionParameter(type=int),
        "rounds": ExecutionParameter(type=int),
        "seed": ExecutionParameter(type=int),
        "time_limit": ExecutionParameter(type=int),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
        "distilled_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "pruned_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing, optional=True),
    }
    OUTPUTS = {
        "blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
        "report": ChannelParameter(type=CompressionReport),
    }


class EfficiencyValidator(BaseBeamComponent):
    """Blesses a compressed model that is small, fast and good enough, and shows all of it.

    The `blessing` is the InfraValidator's: the stock Pusher and BucketPusher take it as
    `infra_blessing`. A model that is not blessed says why, each threshold with what was required
    and what was measured, in the log, in the blessing's custom property `reasons`, and in the
    report. A threshold that the measurement cannot decide, because it lies within the noise of this
    machine or the interval of so few rows, does not bless, and says how to decide it. Always
    checked is that the model runs and that it is what TensorFlow Serving would load.

    The `report` holds one page, `report.html`, that loads nothing, and the same as `report.json`.

    Example:
      ```python
      validator = EfficiencyValidator(
          model=quantizer.outputs["model"],
          baseline_model=trainer.outputs["model"],
          examples=example_gen.outputs["examples"],
          transform_graph=transform.outputs["transform_graph"],
          min_size_ratio=3.0,
          min_speedup=1.2,
          max_quality_drop=0.02,
          label_key="label",
      )
      pusher = BucketPusher(
          model=quantizer.outputs["model"],
          infra_blessing=validator.outputs["blessing"],
          push_destination="gs://models/prod",
          model_name="digits",
      )
      ```

    Args:
      model: Channel of the `Model` to judge, SavedModel or TFLite.
      baseline_model: Channel of the `Model` that it was made from.
      examples: Channel of `Examples`, raw or transformed.
      transform_graph: Channel of Transform's graph, for raw rows. Defaults to None.
      schema: Channel of `Schema` of the examples. Defaults to None.
      distilled_model: Channel of a `Model` between the two; it is measured and shown, not judged.
        Defaults to None.
      pruned_model: The same of the Pruner's. Defaults to None.
      evaluation: Channel of the Evaluator's `ModelEvaluation`, whose metrics are shown. Defaults to
        None.
      infra_blessing: Channel of an `InfraBlessing` that must bless the model, too. Defaults to
        None.
      max_bytes: The most bytes of the model's files. Defaults to None, as all thresholds: not
        asked for.
      min_size_ratio: The least ratio of the baseline's bytes, without what only training needs, to
        the model's.
      max_latency_ms: The most milliseconds that a call may take, by `"p50"`, `"p95"` or `"p99"`, at
        every batch size or at one: `{"p95": 2.0, "p95@32": 20.0}`.
      min_speedup: The least ratio of the baseline's median time to the model's, at every batch
        size.
      min_sparsity: The least share of zeros in all matrices, convolutions and tables together,
        `[0, 1]`.
      max_output_difference: The largest difference of any output from the baseline's, in the
        output's own unit.
      max_quality_drop: By how much the metric may lie below the baseline's, in its own unit. It
        holds where the 95 % bound of the paired difference on the same rows does.
      label_key: The label's feature; `max_quality_drop` needs it. Defaults to None.
      metric: `"accuracy"`, `"auc"` or `"mse"`. Defaults to `"accuracy"`.
      output_name: The output that the metric reads. Defaults to None: the only one.
      slice_keys: Features of the raw rows; `max_quality_drop` must hold for each of their values,
        too. Defaults to none.
      splits: Names of the splits to draw rows from. Defaults to `("eval",)`.
      num_examples: How many rows to compare on; all of them where there are fewer. Defaults to
        2000.
      batch_sizes: How many rows a timed call gets. Defaults to `(1, 32)`.
      threads: How many threads it may use. Defaults to 1.
      rounds: How many times each model is sampled. Defaults to 100.
      seed: Chooses the rows and the order. Defaults to 0.
      time_limit: Seconds after which a process that measures is stopped. Defaults to 3600.

    Raises:
      ParameterError: No threshold is given, or a parameter is out of its range. RuntimeParameters
        are checked when they have their value.
    """

    SPEC_CLASS = EfficiencyValidatorSpec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        model: BaseChannel,
        baseline_model: BaseChannel,
        examples: BaseChannel,
        transform_graph: BaseChannel | None = None,
        schema: BaseChannel | None = None,
        distilled_model: BaseChannel | None = None,
        pruned_model: BaseChannel | None = None,
        evaluation: BaseChannel | None = None,
        infra_blessing: BaseChannel | None = None,
        *,
        max_bytes: int | RuntimeParameter | None = None,
        min_size_ratio: float | RuntimeParameter | None = None,
        max_latency_ms: Mapping[str, float] | None = None,
        min_speedup: float | RuntimeParameter | None = None,
        min_sparsity: float | RuntimeParameter | None = None,
        max_output_difference: float | RuntimeParameter | None = None,
        max_quality_drop: float | RuntimeParameter | None = None,
        label_key: str | RuntimeParameter | None = None,
        metric: str | RuntimeParameter = "accuracy",
        output_name: str | RuntimeParameter | None = None,
        slice_keys: Sequence[str] = (),
        splits: Sequence[str] = ("eval",),
        num_examples: int | RuntimeParameter = 2000,
        batch_sizes: Sequence[int] = (1, 32),
        threads: int | RuntimeParameter = 1,
        rounds: int | RuntimeParameter = 100,
        seed: int | RuntimeParameter = 0,
        time_limit: int | RuntimeParameter = 3600,
    ):
        shares = {
            "min_size_ratio": min_size_ratio,
            "min_speedup": min_speedup,
            "min_sparsity": min_sparsity,
            "max_output_difference": max_output_difference,
            "max_quality_drop": max_quality_drop,
        }
        thresholds = {"max_bytes": max_bytes, "max_latency_ms": max_latency_ms, **shares}
        require_any(thresholds)
        check_thresholds(known(thresholds), batch_sizes)
        check_split_names("splits", splits)
        settings = {
            "num_examples": num_examples,
            "label_key": label_key,
            "metric": metric,
            "threads": threads,
            "rounds": rounds,
        }
        if isinstance(slice_keys, str):
            raise ParameterError(
                "`slice_keys` must be a sequence of features' names, such as ['hour']. Received: "
                f"slice_keys={slice_keys!r}."
            )
        check_settings(
            Settings(
                **{
                    # A label that is given with the run is there.
                    "label_key": "known when it runs",
                    **known({**settings, "seed": seed, "time_limit": time_limit}),
                },
                batch_sizes=batch_sizes,
                slice_keys=tuple(slice_keys),
            ),
            thresholds,
        )
        super().__init__(
            EfficiencyValidatorSpec(
                model=model,
                baseline_model=baseline_model,
                examples=examples,
                transform_graph=transform_graph,
                schema=schema,
                distilled_model=distilled_model,
                pruned_model=pruned_model,
                evaluation=evaluation,
                infra_blessing=infra_blessing,
                max_bytes=max_bytes,
                max_latency_ms=(
                    None if max_latency_ms is None else json_utils.dumps(dict(max_latency_ms))
                ),
                **{name: as_float(value) for name, value in shares.items()},
                **settings,
                output_name=output_name,
                slice_keys=json_utils.dumps(list(slice_keys)),
                splits=json_utils.dumps(list(splits)),
                batch_sizes=json_utils.dumps(list(batch_sizes)),
                seed=seed,
                time_limit=time_limit,
                blessing=Channel(type=standard_artifacts.InfraBlessing),
                report=Channel(type=CompressionReport),
            )
        )
