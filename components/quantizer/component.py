"""Quantizer: what a pipeline author sees."""

from collections.abc import Sequence

from tfx_shrink.errors import ParameterError
from tfx_shrink.quantizer.executor import Executor
from tfx_shrink.quantizer.schemes import check_parameters, get_scheme
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


class QuantizerSpec(ComponentSpec):
    """Channels and parameters of Quantizer."""

    PARAMETERS = {
        "scheme": ExecutionParameter(type=str),
        "signature_name": ExecutionParameter(type=str, optional=True),
        "splits": ExecutionParameter(type=str),
        "num_calibration_examples": ExecutionParameter(type=int),
        "seed": ExecutionParameter(type=int),
        "time_limit": ExecutionParameter(type=int),
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

    The `model` output holds a TFLite file under the two names that its readers look for,
    `Format-Serving/tflite` (TFMA) and `Format-Serving/model.tflite` (TensorFlow Serving). Give it
    to the stock Evaluator with `module_path="tfx_shrink.evaluation"`, and to BucketPusher.

    Example:
      ```python
      quantizer = Quantizer(
          base_model=trainer.outputs["model"],
          examples=transform.outputs["transformed_examples"],
          transform_graph=transform.outputs["transform_graph"],
          scheme="int8",
      )
      ```

    Args:
      base_model: Channel of the `Model` to quantize, a SavedModel of any origin: Keras, public TFX
        module files (no dense signature, no Keras metadata), Keras 3 exports.
      examples: Channel of `Examples`, raw or transformed, in TFRecords of tf.Examples.
      transform_graph: Channel of `TransformGraph`. Needed where the examples are raw and the model
        reads transformed features. Defaults to None.
      schema: Channel of `Schema` of the examples: the shapes of features whose length the model
        leaves open, and which may be missing. Defaults to None.
      scheme: `"float32"`, `"dynamic_range"`, `"float16"` or `"int8"`; see
        `tfx_shrink.quantizer.schemes` for what each keeps in float, and what profits.
      signature_name: The signature to convert. Defaults to the first dense one that converts, else
        the model's own call function over its transformed features.
      splits: Names of the splits to draw rows from. Defaults to `("train",)`.
      num_calibration_examples: How many rows set the ranges of activations; a quarter more are
        drawn for the proof. Defaults to 1000. With fewer rows in all, four fifths calibrate, one
        fifth proves, and the record says so.
      seed: Chooses the rows. Defaults to 0.
      time_limit: Seconds that one conversion may take. Defaults to 3600.

    Raises:
      ParameterError: A parameter is out of its range. RuntimeParameters are checked when they have
        their value, before anything is written.
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
    ):
        if isinstance(scheme, str):
            get_scheme(scheme)
        if isinstance(num_calibration_examples, int) and isinstance(time_limit, int):
            check_parameters("float32", num_calibration_examples, time_limit)
        if isinstance(splits, str) or not splits:
            raise ParameterError(
                "`splits` must be a sequence of at least one split's name, such as ['train']. "
                f"Received: splits={splits!r}."
            )
        super().__init__(
            QuantizerSpec(
                base_model=base_model,
                examples=examples,
                transform_graph=transform_graph,
                schema=schema,
                scheme=scheme,
                signature_name=signature_name,
                splits=json_utils.dumps(list(splits)),
                num_calibration_examples=num_calibration_examples,
                seed=seed,
                time_limit=time_limit,
                model=Channel(type=standard_artifacts.Model),
            )
        )
