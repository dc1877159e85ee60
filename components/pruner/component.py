"""Pruner: what a pipeline author sees."""

from collections.abc import Sequence
from typing import Any

from tfx_shrink.parameters import require_one_module
from tfx_shrink.pruner.executor import Executor
from tfx_shrink.pruner.patterns import CHANNEL, TWO_OF_FOUR
from tfx_shrink.pruner.settings import AUTO, Settings
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
    TrainArgs,
    json_utils,
    standard_artifacts,
)
from tfx_shrink.tfx_seam.parameters import as_float, known
from tfx_shrink.tfx_seam.user_modules import package_user_module


class PrunerSpec(ComponentSpec):
    """Channels and parameters of Pruner."""

    PARAMETERS = {
        "target_sparsity": ExecutionParameter(type=float, optional=True),
        "pattern": ExecutionParameter(type=str),
        "schedule": ExecutionParameter(type=str),
        "scope": ExecutionParameter(type=str),
        "method": ExecutionParameter(type=str),
        "label_key": ExecutionParameter(type=str, optional=True),
        "epochs": ExecutionParameter(type=int, optional=True),
        "train_args": ExecutionParameter(type=TrainArgs, optional=True),
        "splits": ExecutionParameter(type=str),
        "batch_size": ExecutionParameter(type=int),
        "learning_rate": ExecutionParameter(type=float, optional=True),
        "loss": ExecutionParameter(type=str, optional=True),
        "layers": ExecutionParameter(type=str, optional=True),
        "skip_layers": ExecutionParameter(type=str),
        "drop_signatures": ExecutionParameter(type=str),
        "strategy": ExecutionParameter(type=str),
        "seed": ExecutionParameter(type=int),
        "work_dir": ExecutionParameter(type=str, optional=True),
        "module_path": ExecutionParameter(type=str, optional=True),
        "module_file": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "base_model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
    }
    OUTPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
    }


class Pruner(BaseBeamComponent):
    """Sets weights that inference does not need to zero, or removes whole channels.

    The zeros are counted in the saved result: a model that misses its sparsity by more than one
    point is an error, never published in silence. Signatures keep their names, and a model that
    Keras loads can be loaded by Keras again. What was not pruned is listed with its reason in the
    compression record.

    Zeros make no file smaller by themselves. They do after gzip, and most so after a Quantizer,
    which keeps them; `pattern="channel"` makes the model itself smaller and faster.

    Example:
      ```python
      pruner = Pruner(
          base_model=trainer.outputs["model"],
          examples=example_gen.outputs["examples"],
          transform_graph=transform.outputs["transform_graph"],
          target_sparsity=0.8,
          label_key="species",
      )
      ```

    Args:
      base_model: Channel of the `Model` to prune, a SavedModel of any origin: Keras, public TFX
        module files (no dense signature, no Keras metadata), Keras 3 exports.
      examples: Channel of `Examples` in TFRecords of tf.Examples, raw with `transform_graph`, or
        transformed.
      transform_graph: Channel of `TransformGraph`. Needed where the examples are raw and the model
        reads transformed features. Defaults to None.
      schema: Channel of `Schema` of the examples: the shapes of features whose length the model
        leaves open, and which may be missing. Defaults to None.
      target_sparsity: Share of zeros in (0, 1); with `"channel"`, share of the channels that go.
        None only with `"2_of_4"`, which is 0.5. Defaults to None.
      pattern: `"unstructured"`: any weights; `"block_1x4"`: four in a row, of matrices;
        `"2_of_4"`: two of four along the input, for NVIDIA's sparse kernels; `"channel"`: whole
        channels of Dense and Conv layers, for a smaller dense model. Defaults to `"unstructured"`.
      schedule: `"polynomial"`: the sparsity rises while the model trains, at first fast;
        `"constant"`: it is there from the first step. Both leave the last fifth of the steps, or
        more, to recover. Defaults to `"polynomial"`.
      scope: `"tensor"`: every weight tensor reaches the share; `"global"`: all of them together.
        Defaults to `"tensor"`.
      method: `"fine_tune"`: prunes while the model trains on; `"one_shot"`: at once, without
        training; `"auto"`: the first where it can be done, and a warning where not. Defaults to
        `"auto"`.
      label_key: Name of the label's feature, transformed or raw. Defaults to None: a `module_path`
        or `module_file` reads it, or nothing is trained.
      epochs: Passes over the rows. Defaults to None: 5, or as `train_args` say.
      train_args: As the stock Trainer takes them: their `num_steps` instead of `epochs`, and their
        `splits`, if any, instead of the parameter. Defaults to None.
      splits: Names of the splits to train on. Defaults to `("train",)`.
      batch_size: Rows of a batch. Defaults to 32.
      learning_rate: Defaults to None: that of the model's own optimizer, else 0.001.
      loss: Name of a Keras loss. Defaults to None: what the model was compiled with, else what
        follows from the label and the output.
      layers: Names or globs of the layers to prune, embeddings too if one names them. Defaults to
        None: every matrix and convolution.
      skip_layers: Names or globs of layers to leave as they are. Defaults to none.
      drop_signatures: With `"channel"`: signatures that need not be kept. Defaults to none.
      strategy: `"one_device"`, or `"mirrored"` over all devices of one machine. Defaults to
        `"one_device"`.
      seed: Chooses the order of the rows. Defaults to 0.
      work_dir: Directory where training keeps its last epoch, so that a killed run goes on from
        there. Defaults to None: `.work` beside the component's outputs, removed on success.
      module_path: Dotted path of a module with `input_fn(files, tf_transform_output, batch_size)`,
        `compile_fn(model)` or `signatures_fn(model, tf_transform_output)`, for what the defaults
        cannot know. Defaults to None.
      module_file: Path of a Python file with the same. Defaults to None.

    Raises:
      ParameterError: A parameter is out of its range, or two contradict each other.
        RuntimeParameters are checked when they have their value, before anything is written.
    """

    SPEC_CLASS = PrunerSpec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        base_model: BaseChannel,
        examples: BaseChannel,
        transform_graph: BaseChannel | None = None,
        schema: BaseChannel | None = None,
        *,
        target_sparsity: float | RuntimeParameter | None = None,
        pattern: str | RuntimeParameter = "unstructured",
        schedule: str | RuntimeParameter = "polynomial",
        scope: str | RuntimeParameter = "tensor",
        method: str | RuntimeParameter = AUTO,
        label_key: str | RuntimeParameter | None = None,
        epochs: int | RuntimeParameter | None = None,
        train_args: TrainArgs | RuntimeParameter | None = None,
        splits: Sequence[str] = ("train",),
        batch_size: int | RuntimeParameter = 32,
        learning_rate: float | RuntimeParameter | None = None,
        loss: str | RuntimeParameter | None = None,
        layers: Sequence[str] | None = None,
        skip_layers: Sequence[str] = (),
        drop_signatures: Sequence[str] = (),
        strategy: str | RuntimeParameter = "one_device",
        seed: int | RuntimeParameter = 0,
        work_dir: str | RuntimeParameter | None = None,
        module_path: str | RuntimeParameter | None = None,
        module_file: str | RuntimeParameter | None = None,
    ):
        check_split_names("splits", splits)
        parameters = {
            "target_sparsity": target_sparsity,
            "pattern": pattern,
            "schedule": schedule,
            "scope": scope,
            "method": method,
            "label_key": label_key,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": as_float(learning_rate),
            "loss": loss,
            "strategy": strategy,
            "seed": seed,
        }
        lists = {"layers": layers, "skip_layers": skip_layers, "drop_signatures": drop_signatures}
        steps = train_args.num_steps if isinstance(train_args, TrainArgs) else 0
        _check({**parameters, **lists, "num_steps": steps or None}, module_path or module_file)
        require_one_module(module_path, module_file)
        super().__init__(
            PrunerSpec(
                base_model=base_model,
                examples=examples,
                transform_graph=transform_graph,
                schema=schema,
                **parameters,
                train_args=train_args,
                splits=json_utils.dumps(list(splits)),
                layers=None if layers is None else json_utils.dumps(list(layers)),
                skip_layers=json_utils.dumps(list(skip_layers)),
                drop_signatures=json_utils.dumps(list(drop_signatures)),
                work_dir=work_dir,
                module_path=module_path,
                module_file=module_file,
                model=Channel(type=standard_artifacts.Model),
                model_run=Channel(type=standard_artifacts.ModelRun),
            )
        )
        package_user_module(self)


def _check(parameters: dict[str, Any], module: Any) -> None:
    """Checks what has its value already, as if RuntimeParameters had one that suits the rest."""
    given = known(parameters)
    later = parameters.keys() - given.keys()
    if "pattern" in later and given["drop_signatures"]:
        given["pattern"] = CHANNEL
    elif "pattern" in later and given.get("target_sparsity", 0) is None:
        given["pattern"] = TWO_OF_FOUR
    if "target_sparsity" in later:
        given["target_sparsity"] = 0.5
    if "label_key" in later and given.get("method") != "one_shot":
        given["label_key"] = "label"
    Settings(**given).check(has_input_fn=bool(module))
