"""Quantizer: what a pipeline author sees."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_shrink.errors import ParameterError
from tfx_shrink.quantizer.executor import Executor
from tfx_shrink.quantizer.schemes import AUTO
from tfx_shrink.quantizer.settings import Settings, as_search, check_settings
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


class QuantizerSpec(ComponentSpec):
    """Channels and parameters of Quantizer."""

    PARAMETERS = {
        "scheme": ExecutionParameter(type=str),
        "signature_name": ExecutionParameter(type=str, optional=True),
        "splits": ExecutionParameter(type=str),
        "num_calibration_examples": ExecutionParameter(type=int),
        "seed": ExecutionParameter(type=int),
        "time_limit": ExecutionParameter(type=int),
        "max_output_difference": ExecutionParameter(type=float, optional=True),
        "encode_sparsity": ExecutionParameter(type=int),
        "allow_select_tf_ops": ExecutionParameter(type=int),
        "engine_batch_sizes": ExecutionParameter(type=str),
        "edge_recipe": ExecutionParameter(type=str, optional=True),
        "search": ExecutionParameter(type=str, optional=True),
        "report_splits": ExecutionParameter(type=str),
    }
    INPUTS = {
        "base_model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
    }
    OUTPUTS = {"model": ChannelParameter(type=standard_artifacts.Model)}


class Quantizer(BaseBeamComponent):
    """Makes the same model in fewer bits, proven on real rows.

    The result has run on rows that were not used for calibration, beside its source; how far its
    outputs moved stands in the compression record and in the artifact's custom properties. A model
    that cannot be converted is refused, each of its signatures with the operation that blocks it.
    Converters run in a process of their own: one that crashes is an error message.

    With a TFLite scheme the `model` output holds one file under the two names that its readers look
    for, `Format-Serving/tflite` (TFMA) and `Format-Serving/model.tflite` (TensorFlow Serving). With
    a SavedModel scheme it holds a SavedModel with every signature, table and asset. Give either to
    the stock Evaluator with `module_path="tfx_shrink.evaluation"`, and to BucketPusher. For both
    containers use two Quantizers, one `.with_id()`.

    Example:
      ```python
      quantizer = Quantizer(
          base_model=trainer.outputs["model"],
          examples=example_gen.outputs["examples"],
          transform_graph=transform.outputs["transform_graph"],
          scheme="int8",
      )
      ```

    Args:
      base_model: Channel of the `Model` to quantize, a SavedModel of any origin: Keras, public TFX
        module files (no dense signature, no Keras metadata), Keras 3 exports.
      examples: Channel of `Examples` in TFRecords of tf.Examples. Raw rows suit every model, with
        `transform_graph`; transformed rows suit a model that has a dense signature or call function
        over them.
      transform_graph: Channel of `TransformGraph`. Needed where the examples are raw and the model
        reads transformed features. Defaults to None.
      schema: Channel of `Schema` of the examples: the shapes of features whose length the model
        leaves open, and which may be missing. Defaults to None.
      scheme: One of the schemes that the table in `tfx_shrink.quantizer.schemes` explains, such as
        `"int8"` or `"weight_int8"`, or `"auto"`.
      signature_name: The signature to convert to TFLite or TensorRT. Defaults to the first dense
        one that converts, else the model's own call function over its transformed features.
      splits: Names of the splits to draw rows from. Defaults to `("train",)`.
      num_calibration_examples: How many rows set the ranges of activations; a quarter more are
        drawn for the proof. Defaults to 1000. With fewer rows in all, four fifths calibrate, one
        fifth proves, and the record says so.
      seed: Chooses the rows. Defaults to 0.
      time_limit: Seconds that one conversion may take. Defaults to 3600.
      max_output_difference: The largest difference of any output, in the output's own unit, that is
        accepted. Defaults to None: it is recorded, and the Evaluator judges.
      encode_sparsity: Whether TFLite stores pruned weights in its sparse format: the file is
        smaller, and larger after gzip. Defaults to False.
      allow_select_tf_ops: Whether operations without a TFLite counterpart stay TensorFlow's. The
        result still has to run, which takes TensorFlow 2.16: 2.21's package has no Flex delegate.
        TensorFlow Serving's TFLite mode has no such operations. Defaults to False.
      engine_batch_sizes: Batch sizes that TensorRT engines are built for. Defaults to `(1,)`.
      edge_recipe: For `scheme="edge_recipe"`: a recipe of ai-edge-quantizer, as a list of its
        entries or as JSON. Needs `pip install 'tfx-shrink[edge]'` where the component runs.
        Defaults to None.
      search: For `scheme="auto"`: attributes of `tfx_shrink.quantizer.settings.Search`, at least
        `label_key` and `max_drop`. Defaults to None.
      report_splits: Names of the splits on which `"auto"` reports what it has chosen. Defaults to
        `("eval",)`.

    Raises:
      ParameterError: A parameter is out of its range, or does not belong to the scheme.
        RuntimeParameters are checked when they have their value, before anything is written.
    """

    SPEC_CLASS = QuantizerSpec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        base_model: BaseChannel,
        examples: BaseChannel,
        transform_graph: BaseChannel | None = None,
        schema: BaseChannel | None = None,
        *,
        scheme: str | RuntimeParameter,
        signature_name: str | RuntimeParameter | None = None,
        splits: Sequence[str] = ("train",),
        num_calibration_examples: int | RuntimeParameter = 1000,
        seed: int | RuntimeParameter = 0,
        time_limit: int | RuntimeParameter = 3600,
        max_output_difference: float | RuntimeParameter | None = None,
        encode_sparsity: bool = False,
        allow_select_tf_ops: bool = False,
        engine_batch_sizes: Sequence[int] = (1,),
        edge_recipe: str | Sequence[Mapping[str, Any]] | None = None,
        search: Mapping[str, Any] | None = None,
        report_splits: Sequence[str] = ("eval",),
    ):
        parameters = {
            "signature_name": signature_name,
            "num_calibration_examples": num_calibration_examples,
            "time_limit": time_limit,
            "max_output_difference": as_float(max_output_difference),
        }
        options = {
            "encode_sparsity": encode_sparsity,
            "allow_select_tf_ops": allow_select_tf_ops,
            "engine_batch_sizes": list(engine_batch_sizes),
            "edge_recipe": _as_json(edge_recipe),
        }
        check_settings(
            AUTO if isinstance(scheme, RuntimeParameter) else scheme,
            Settings(**known(parameters), **options),
            as_search(search),
        )
        if scheme == AUTO and search is None:
            raise ParameterError(
                "scheme='auto' needs `search`, with at least `label_key` and `max_drop`. "
                "Received: search=None."
            )
        if search is not None and set(splits) & set(report_splits):
            raise ParameterError(
                "`report_splits` must be splits that no decision has seen. Received: "
                f"splits={list(splits)}, report_splits={list(report_splits)}."
            )
        check_split_names("splits", splits)
        check_split_names("report_splits", report_splits)
        super().__init__(
            QuantizerSpec(
                base_model=base_model,
                examples=examples,
                transform_graph=transform_graph,
                schema=schema,
                scheme=scheme,
                splits=json_utils.dumps(list(splits)),
                seed=seed,
                **parameters,
                encode_sparsity=int(encode_sparsity),
                allow_select_tf_ops=int(allow_select_tf_ops),
                engine_batch_sizes=json_utils.dumps(list(engine_batch_sizes)),
                edge_recipe=options["edge_recipe"],
                search=None if search is None else json_utils.dumps(dict(search)),
                report_splits=json_utils.dumps(list(report_splits)),
                model=Channel(type=standard_artifacts.Model),
            )
        )


def _as_json(recipe: str | Sequence[Mapping[str, Any]] | None) -> str | None:
    if recipe is None or isinstance(recipe, str):
        return recipe
    try:
        return json.dumps(recipe)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"`edge_recipe` must hold JSON values ({error}). Received: edge_recipe={recipe!r}."
        ) from error
