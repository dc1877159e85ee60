"""Distiller: what a pipeline author sees."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfx_shrink.distiller.executor import Executor
from tfx_shrink.distiller.settings import AUTO, CACHED, KL, Settings
from tfx_shrink.errors import ParameterError
from tfx_shrink.parameters import require_one_module
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


class DistillerSpec(ComponentSpec):
    """Channels and parameters of Distiller."""

    PARAMETERS = {
        "student": ExecutionParameter(type=str, optional=True),
        "width": ExecutionParameter(type=float, optional=True),
        "signature_name": ExecutionParameter(type=str, optional=True),
        "temperature": ExecutionParameter(type=float),
        "alpha": ExecutionParameter(type=float),
        "loss": ExecutionParameter(type=str),
        "feature_pairs": ExecutionParameter(type=str, optional=True),
        "label_key": ExecutionParameter(type=str, optional=True),
        "epochs": ExecutionParameter(type=int, optional=True),
        "train_args": ExecutionParameter(type=TrainArgs, optional=True),
        "splits": ExecutionParameter(type=str),
        "eval_splits": ExecutionParameter(type=str),
        "batch_size": ExecutionParameter(type=int),
        "learning_rate": ExecutionParameter(type=float),
        "patience": ExecutionParameter(type=int, optional=True),
        "teacher_pass": ExecutionParameter(type=str),
        "control": ExecutionParameter(type=int),
        "drop_signatures": ExecutionParameter(type=str),
        "strategy": ExecutionParameter(type=str),
        "seed": ExecutionParameter(type=int),
        "work_dir": ExecutionParameter(type=str, optional=True),
        "module_path": ExecutionParameter(type=str, optional=True),
        "module_file": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "teacher_model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
    }
    OUTPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
    }


class Distiller(BaseBeamComponent):
    """Trains a small student to answer as its teacher does, and puts it in the teacher's place.

    The student serves what the teacher served, under the same names of signatures, inputs and
    outputs, so that Evaluator, Quantizer and TensorFlow Serving see no difference; every signature
    ran beside the teacher's on real rows before anything was written. Keras loads the student.
    How good it is, an Evaluator judges, with the teacher as its baseline.

    The teacher sees every row once, in a pass on the pipeline's own Beam runner, so its cost does
    not grow with the epochs. Rows without a label are learned from too, by its answers alone:
    where labels are rare, distillation is worth most.

    Example:
      ```python
      distiller = Distiller(
          teacher_model=trainer.outputs["model"],
          examples=example_gen.outputs["examples"],
          transform_graph=transform.outputs["transform_graph"],
          module_path="penguin.student",  # with student_fn(fn_args)
          label_key="species",
      )
      ```

    Args:
      teacher_model: Channel of the `Model` to learn from, a SavedModel of any origin: Keras, public
        TFX module files (no dense signature, no Keras metadata), Keras 3 exports.
      examples: Channel of `Examples` in TFRecords of tf.Examples, raw with `transform_graph`, or
        transformed.
      transform_graph: Channel of `TransformGraph`. Needed where the examples are raw and the models
        read transformed features, and where a signature over raw Examples is to be kept. Defaults
        to None.
      schema: Channel of `Schema` of the examples: the shapes of features whose length the model
        leaves open, and which may be missing. Defaults to None.
      student: `"auto"`: the teacher, a Functional model saved by Keras, with `width` times the
        channels in every hidden Dense and Conv layer. Defaults to None: user code's
        `student_fn(fn_args)` builds it.
      width: With `student="auto"`, in (0, 1). Defaults to None.
      signature_name: The teacher's function that is learned from. Defaults to None: its own call
        function, else the first signature that reads the rows, if it answers them as
        `serving_default` does.
      temperature: Divides logits before the softmax, above 0; `"mse"` does without. Defaults to
        4.0.
      alpha: Weight of the hard label in [0, 1]; the teacher's answer has the rest. Defaults to 0.1.
      loss: `"kl"`: divergence of softened probabilities (Hinton et al., 2015); `"mse"`: squared
        difference of logits; `"feature"`: the first, and squared differences of the outputs of
        paired layers (Romero et al., 2015). A teacher that predicts numbers is always learned from
        by squared differences. Defaults to `"kl"`.
      feature_pairs: With `"feature"`: `{teacher's layer: student's layer}`. Where their shapes
        differ a projection is learned, and dropped afterwards. Defaults to None.
      label_key: Name of the label's feature, transformed or raw. A row has no label where its
        Example has no value of it, or its class is none of the teacher's, such as -1. Defaults to
        None: soft targets only.
      epochs: Passes over the rows. Defaults to None: 10, or as `train_args` say.
      train_args: As the stock Trainer takes them: their `num_steps` instead of `epochs`, and their
        `splits`, if any, instead of the parameter. Defaults to None.
      splits: Names of the splits to train on. Defaults to `("train",)`.
      eval_splits: Names of the splits that `patience`, `control` and the record's quality look at,
        which nobody trains on. Defaults to none.
      batch_size: Rows of a batch. Defaults to 32.
      learning_rate: Of Adam. Defaults to 0.001.
      patience: After how many epochs without a lower loss on `eval_splits` training ends, with the
        best weights. Defaults to None: never.
      teacher_pass: `"cached"`: the teacher sees every row once; `"in_step"`: every batch, which an
        `input_fn` whose rows differ from epoch to epoch needs. Defaults to `"cached"`.
      control: Whether the same student is trained on hard labels alone too, and compared in the
        record. Defaults to False.
      drop_signatures: Signatures of the teacher that need not be kept. Defaults to none.
      strategy: `"one_device"`, or `"mirrored"` over all devices of one machine. Defaults to
        `"one_device"`.
      seed: Chooses the student's first weights and the order of the rows. Defaults to 0.
      work_dir: Directory where soft targets and the last epoch are kept, so that a killed run goes
        on from there; every Beam worker must reach it. Defaults to None: `.work` beside the
        component's outputs, removed on success.
      module_path: Dotted path of a module with `student_fn(fn_args)`, which returns an uncompiled
        Functional or Sequential tf_keras model over (some of) the transformed features, and with
        `input_fn(files, tf_transform_output, batch_size)` or `signatures_fn(model,
        tf_transform_output)` for what the defaults cannot know. Defaults to None.
      module_file: Path of a Python file with the same. Defaults to None.

    Raises:
      ParameterError: A parameter is out of its range, or two contradict each other.
        RuntimeParameters are checked when they have their value, before anything is written.
    """

    SPEC_CLASS = DistillerSpec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        teacher_model: BaseChannel,
        examples: BaseChannel,
        transform_graph: BaseChannel | None = None,
        schema: BaseChannel | None = None,
        *,
        student: str | RuntimeParameter | None = None,
        width: float | RuntimeParameter | None = None,
        signature_name: str | RuntimeParameter | None = None,
        temperature: float | RuntimeParameter = 4.0,
        alpha: float | RuntimeParameter = 0.1,
        loss: str | RuntimeParameter = KL,
        feature_pairs: Mapping[str, str] | None = None,
        label_key: str | RuntimeParameter | None = None,
        epochs: int | RuntimeParameter | None = None,
        train_args: TrainArgs | RuntimeParameter | None = None,
        splits: Sequence[str] = ("train",),
        eval_splits: Sequence[str] = (),
        batch_size: int | RuntimeParameter = 32,
        learning_rate: float | RuntimeParameter = 1e-3,
        patience: int | RuntimeParameter | None = None,
        teacher_pass: str | RuntimeParameter = CACHED,
        control: bool = False,
        drop_signatures: Sequence[str] = (),
        strategy: str | RuntimeParameter = "one_device",
        seed: int | RuntimeParameter = 0,
        work_dir: str | RuntimeParameter | None = None,
        module_path: str | RuntimeParameter | None = None,
        module_file: str | RuntimeParameter | None = None,
    ):
        check_split_names("splits", splits)
        if eval_splits:
            check_split_names("eval_splits", eval_splits)
        require_one_module(module_path, module_file)
        parameters = {
            "width": width,
            "signature_name": signature_name,
            "temperature": as_float(temperature),
            "alpha": as_float(alpha),
            "loss": loss,
            "label_key": label_key,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": as_float(learning_rate),
            "patience": patience,
            "teacher_pass": teacher_pass,
            "strategy": strategy,
            "seed": seed,
        }
        steps = train_args.num_steps if isinstance(train_args, TrainArgs) else 0
        _check(
            {
                **parameters,
                "feature_pairs": feature_pairs,
                "control": control,
                "num_steps": steps or None,
            },
            student,
            has_module=bool(module_path or module_file),
            evaluates=bool(eval_splits),
        )
        super().__init__(
            DistillerSpec(
                teacher_model=teacher_model,
                examples=examples,
                transform_graph=transform_graph,
                schema=schema,
                **parameters,
                student=student,
                feature_pairs=None if not feature_pairs else json_utils.dumps(dict(feature_pairs)),
                train_args=train_args,
                splits=json_utils.dumps(list(splits)),
                eval_splits=json_utils.dumps(list(eval_splits)),
                control=int(control),
                drop_signatures=json_utils.dumps(list(drop_signatures)),
                work_dir=work_dir,
                module_path=module_path,
                module_file=module_file,
                model=Channel(type=standard_artifacts.Model),
                model_run=Channel(type=standard_artifacts.ModelRun),
            )
        )
        package_user_module(self)


def _check(parameters: dict[str, Any], student: Any, *, has_module: bool, evaluates: bool) -> None:
    """Checks what has its value already, as if RuntimeParameters had one that suits the rest."""
    given = known(parameters)
    later = parameters.keys() - given.keys()
    if not isinstance(student, RuntimeParameter):
        _check_student(student, has_module)
        if student == AUTO and "width" in later:
            given["width"] = 0.5
    elif given.get("width") is not None:
        student = AUTO
    if "label_key" in later:
        given["label_key"] = "label"
    if "loss" in later and given.get("feature_pairs"):
        given["loss"] = "feature"
    Settings(**given).check(
        auto=student == AUTO, has_input_fn=None if has_module else False, evaluates=evaluates
    )


def _check_student(student: Any, has_module: bool) -> None:
    if student not in (None, AUTO):
        raise ParameterError(
            f"`student` must be {AUTO!r} or left out. Received: student={student!r}."
        )
    if student is None and not has_module:
        raise ParameterError(
            "There is no student. Give `module_path` or `module_file` with a "
            "`student_fn(fn_args)`, or student='auto' and a `width`. Received: student=None."
        )
