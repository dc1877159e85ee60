"""The teacher: which of its functions is asked, and its answers as soft targets."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from tfx_shrink.distiller.outputs import OutputKind
from tfx_shrink.errors import ExamplesError, ModelError, ParameterError
from tfx_shrink.examples.batches import run_in_batches
from tfx_shrink.examples.sample import Sample
from tfx_shrink.proof.source import Source, reads_serialized
from tfx_shrink.saved_model.functions import (
    CALL_FUNCTION,
    PREPROCESSING_SIGNATURES,
    ServedFunction,
    get_function,
    list_functions,
    load,
)
from tfx_shrink.training.keras_models import load_keras

OUTPUT = "output"


@dataclasses.dataclass(frozen=True)
class TeacherSpec:
    """Everything that a worker needs to ask the teacher; can be pickled.

    Attributes:
      model_dir: The SavedModel's directory.
      function: Name of the function that is asked.
      output: Name of its output.
      kind: What that output is.
      num_classes: Of how many classes a label of it is one; None where it is any number.
      layers: Names of layers whose outputs are wanted too; Keras must be able to load the model.
      sample: Some of the rows, which show what they hold.
      transform_graph: Transform's output directory, or None.
      schema: The rows' schema file, or None.
      may_lack: Features that rows may lack.
    """

    model_dir: str
    function: str
    output: str
    kind: OutputKind
    num_classes: int | None
    layers: tuple[str, ...]
    sample: Sample
    transform_graph: str | None
    schema: str | None
    may_lack: tuple[str, ...]


class Teacher:
    """A loaded teacher.

    Args:
      spec: Which one, and what it is asked.
    """

    def __init__(self, spec: TeacherSpec):
        self._spec = spec
        self._loaded = load(spec.model_dir)
        self._function = get_function(self._loaded, spec.function)
        self._source = Source(
            spec.model_dir,
            self._loaded,
            spec.sample,
            0,
            spec.transform_graph,
            spec.schema,
            spec.may_lack,
        )
        self._network = _with_layers(spec) if spec.layers else None
        self._traced = tf.function(self.answer, autograph=False, reduce_retracing=True)

    @property
    def inputs(self) -> Mapping[str, tf.TypeSpec]:
        """Type of every input, by the name of the feature it reads."""
        return self._function.inputs

    def answer(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns soft targets: the output's logits as `"output"`, and the layers' outputs.

        Args:
          features: Tensors by input name.
        """
        given = {name: features[name] for name in self.inputs}
        if self._network is None:
            answers = {OUTPUT: self._function.call(given)[self._spec.output]}
        else:
            values = self._network(given, training=False)
            answers = dict(zip((OUTPUT, *self._spec.layers), values, strict=True))
        answers[OUTPUT] = self._spec.kind.logits(answers[OUTPUT])
        return {name: tf.cast(value, tf.float32) for name, value in answers.items()}

    def answer_rows(self, rows: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Returns the same for serialized rows, as arrays.

        Raises:
          ExamplesError: The rows lack what the teacher reads.
        """

        def call(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            tensors = {name: tf.constant(batch[name], self.inputs[name].dtype) for name in batch}
            return {name: value.numpy() for name, value in self._traced(tensors).items()}

        return run_in_batches(call, self._read(list(rows)), self.inputs)

    @functools.cached_property
    def _read(self) -> Callable[[list[bytes]], dict[str, np.ndarray]]:
        # Kept, for it may hold a transform graph; a teacher that sees batches needs none.
        return self._source.reader(self._function)


def choose_function(source: Source, name: str | None) -> ServedFunction:
    """Chooses the teacher's function: its own call function, a dense signature, or a raw one.

    Args:
      source: The teacher and its rows.
      name: The one that is asked for; None: the first that reads the rows and gives one output.

    Raises:
      ParameterError: There is none of this name.
      ExamplesError: The rows lack what it reads.
      ModelError: None can be asked; the text says why, one by one.
    """
    if name is not None:
        function = get_function(source.loaded, name)
        _ask_one(source, function)
        if len(function.outputs) != 1:
            raise ParameterError(
                "`signature_name` must be a function with one output. "
                f"Received: signature_name={name!r}, whose outputs are {sorted(function.outputs)}."
            )
        return function
    functions = [
        function
        for function in list_functions(source.loaded)
        if function.name not in PREPROCESSING_SIGNATURES
    ]
    reasons = []
    for function in sorted(
        functions, key=lambda function: (reads_serialized(function), function.name != CALL_FUNCTION)
    ):
        if len(function.outputs) != 1:
            reasons.append(f"{function.name}: it has the outputs {sorted(function.outputs)}")
            continue
        try:
            _ask_one(source, function)
        except ExamplesError as error:
            reasons.append(f"{function.name}: {error}")
        else:
            return function
    listed = "".join(f"\n  {reason}" for reason in reasons)
    raise ModelError(f"No function of the teacher gives one output for these rows.{listed}")


def _ask_one(source: Source, function: ServedFunction) -> None:
    """Asks for one row; a function over serialized rows says only then what they lack."""
    rows = source.read(source.sample.rows[:1], function)
    if not reads_serialized(function):
        return
    try:
        function.call_arrays(rows)
    except tf.errors.InvalidArgumentError as error:
        lines = [line.strip() for line in error.message.splitlines()]
        cause = next((line for line in lines if "Feature:" in line), lines[0])
        raise ExamplesError(f"{function.name} cannot parse the rows: {cause}") from error


def _with_layers(spec: TeacherSpec) -> Callable[..., Sequence[tf.Tensor]]:
    network = load_keras(spec.model_dir).network
    layers = [network.get_layer(name).output for name in spec.layers]
    return tf_keras.Model(network.inputs, [network.output, *layers])
