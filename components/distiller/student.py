"""The student: built by user code, or a narrower twin of the teacher."""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tfx_shrink.distiller.job import Job
from tfx_shrink.distiller.outputs import BINARY, CLASSES, REGRESSION, OutputKind
from tfx_shrink.distiller.teacher import OUTPUT
from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.examples.batches import run_in_batches
from tfx_shrink.saved_model.functions import ServedFunction
from tfx_shrink.training.activations import activation_name
from tfx_shrink.training.channel_graph import channel_graph
from tfx_shrink.training.keras_models import is_graph, save_keras
from tfx_shrink.training.outputs import ACTIVATIONS, last_operation, sum_to_1
from tfx_shrink.training.signatures import SignatureBuilder

_PROBABILITIES = ("softmax", "sigmoid")


@dataclasses.dataclass(frozen=True)
class Student:
    """A network to train, and what will be served.

    Attributes:
      body: Gives logits, or the numbers of a regression; this is trained.
      network: The same layers, giving what the teacher gives.
    """

    body: tf_keras.Model
    network: tf_keras.Model

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """Type of every input, by the name of the feature it reads."""
        tensors = tf.nest.flatten(self.body.inputs)
        return {
            name: tf.TensorSpec(tensor.shape, tensor.dtype)
            for name, tensor in zip(self.body.input_names, tensors, strict=True)
        }


def described(student: Student) -> str:
    """Describes a student's layers and how they are connected, in whatever process it was built.

    Two students of one description train alike; how user code came to build them does not matter.
    """
    network = student.network
    try:
        text = network.to_json()
    except (NotImplementedError, TypeError, ValueError):  # A layer or function without a config.
        layers = [(type(each).__name__, each.trainable) for each in network.layers]
        weights = [(tuple(each.shape), each.dtype) for each in network.weights]
        return repr((layers, weights))
    # Keras counts the layers of a process, so that the names which it gives differ between two.
    for number, each in enumerate((network, *network.layers)):
        text = text.replace(json.dumps(each.name), f'"#{number}"')
    return json.dumps([network.input_names, text])


def bind_student(
    student_fn: Callable[[Any], tf_keras.Model] | None, fn_args: Any
) -> Callable[[], tf_keras.Model]:
    """Gives user code's `student_fn` its arguments.

    Raises:
      ParameterError: There is none.
    """
    if student_fn is None:
        raise ParameterError(
            "There is no student. Give user code with a `student_fn(fn_args)`, or student='auto' "
            "and a `width`."
        )
    return functools.partial(student_fn, fn_args)


def build_student(
    build: Callable[[], tf_keras.Model], kind: OutputKind, answer_shape: tuple[int, ...], seed: int
) -> Student:
    """Builds a student that gives what its teacher gives.

    Args:
      build: Makes an uncompiled Functional or Sequential model.
      kind: What the teacher's output is. A student that ends in logits is given the softmax, its
        logarithm or the sigmoid that the teacher has; one that ends in a softmax or sigmoid gives
        its logits to training, but for a regression, whose numbers may go through a sigmoid.
      answer_shape: Shape of the teacher's answer to one row.
      seed: Of the student's first weights.

    Raises:
      ParameterError: It is no such model, has several outputs, or gives another shape.
    """
    tf_keras.utils.set_random_seed(seed)
    built = build()
    if not isinstance(built, tf_keras.Model) or not is_graph(built):
        raise ParameterError(
            "`student_fn` must return a Functional or Sequential tf_keras model with inputs named "
            f"as the features are. Received: {type(built).__module__}.{type(built).__name__}."
        )
    if len(built.outputs) != 1:
        raise ParameterError(
            f"The student must have one output, as the teacher has. Received: {built.output_names}."
        )
    shape = tuple(built.output_shape[1:])
    if shape != answer_shape:
        raise ParameterError(
            f"The student must give what the teacher gives. The teacher's answer to a row has the "
            f"shape {answer_shape}; the student's, of layer {_last(built).name!r}, has {shape}."
        )
    body = _without_activation(built, kind)
    if kind.activation == "linear":
        return Student(body, body)
    name = f"{_last(built).name}_{kind.activation}"
    # Keras cannot load its own log_softmax again, but TensorFlow's as a layer.
    own = "linear" if kind.logarithms else kind.activation
    outputs = tf_keras.layers.Activation(own, dtype="float32", name=name)(body.output)
    if kind.logarithms:
        outputs = tf.nn.log_softmax(outputs)
    return Student(body, tf_keras.Model(body.inputs, outputs, name=built.name))


def require_layers(student: Student, names: Iterable[str]) -> None:
    """Checks that the student has the layers that are to be compared with the teacher's.

    Raises:
      ParameterError: It lacks one.
    """
    known = [layer.name for layer in student.body.layers]
    if unknown := sorted(set(names) - set(known)):
        raise ParameterError(
            "`feature_pairs` must name layers of the student for the teacher's; it has "
            f"{known}. Received: {unknown}."
        )


def require_logits(student: Student, kind: OutputKind, rows: Mapping[str, np.ndarray]) -> None:
    """Checks that training is given logits, wherever a student may hide its softmax or sigmoid.

    Args:
      student: Built for `kind`.
      kind: What the teacher's output is.
      rows: Some rows as arrays `[rows, ...]` by input name.

    Raises:
      ParameterError: It is given probabilities.
    """
    if kind.task == REGRESSION:
        return
    body, inputs = student.body, student.inputs

    @tf.autograph.experimental.do_not_convert
    def answer(features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {OUTPUT: body(features, training=False)}

    specs = {n: tf.TensorSpec(spec.shape, spec.dtype, name=n) for n, spec in inputs.items()}
    traced = tf.function(answer, autograph=False).get_concrete_function(specs)
    function = ServedFunction("student", inputs, traced.structured_outputs, traced, answer)
    values = run_in_batches(function.call_arrays, rows, inputs)[OUTPUT]
    # One number of a student that has learned nothing may lie between 0 and 1 by chance.
    several = values.ndim > 1 and values.shape[-1] > 1
    if last_operation(function, OUTPUT) in ACTIVATIONS or (several and sum_to_1(values)):
        raise ParameterError(
            "The student must end in logits, or in a layer whose `activation` is softmax or "
            "sigmoid, which training leaves out. Received: layer "
            f"{_last(body).name!r}, whose {kind.task} outputs on real rows are probabilities in "
            f"[{values.min():.3g}, {values.max():.3g}]."
        )


def narrow(job: Job, width: float) -> tf_keras.Model:
    """Builds the teacher's network again, with hidden layers of another width and new weights.

    Frozen layers keep their weights where their width stays; else they learn anew, unfrozen.

    Args:
      job: The teacher.
      width: By what the number of channels of each hidden Dense and Conv layer is multiplied; at
        least one stays.

    Raises:
      ModelError: Keras cannot load the teacher, or it has no hidden layer whose width may change.
    """
    if job.keras is None:
        raise ModelError(
            "student='auto' needs a Functional or Sequential teacher that was saved by Keras; of "
            f"this one {job.why_not_keras}. Give user code with a `student_fn(fn_args)`."
        )
    teacher = job.keras.network
    graph = channel_graph(teacher)
    widths = {
        name: max(1, round(graph.sizes[group] * width))
        for group, names in graph.makers.items()
        if group not in graph.fixed
        for name in names
    }
    if not widths:
        reasons = "".join(f"\n  {names}: {graph.fixed[g]}" for g, names in graph.makers.items())
        raise ModelError(
            "The teacher has no hidden layer whose width may change. Give user code with a "
            f"`student_fn(fn_args)`.{reasons}"
        )

    def scaled(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in widths:
            config["units" if "units" in config else "filters"] = widths[layer.name]
        return type(layer).from_config(config)

    student = tf_keras.models.clone_model(teacher, clone_function=scaled)
    for layer in teacher.layers:
        if not layer.weights or layer.trainable_weights:
            continue
        twin = student.get_layer(layer.name)
        if [each.shape for each in twin.weights] == [each.shape for each in layer.weights]:
            # What was measured on the rows, such as a normalization's mean, is not learned.
            twin.set_weights(layer.get_weights())
        else:
            twin.trainable = True  # Frozen weights of another width do not fit.
    return student


def _last(network: tf_keras.Model) -> Any:
    return network.output._keras_history.layer


def _without_activation(network: tf_keras.Model, kind: OutputKind) -> tf_keras.Model:
    """A network over the same layers that gives logits."""
    last = _last(network)
    activation = activation_name(getattr(last, "activation", None))
    if isinstance(last, tf_keras.layers.Softmax):
        activation = "softmax"
    elif hasattr(last, "symbol"):  # A TensorFlow function as a layer, such as nn.softmax.
        activation = str(last.symbol).rpartition(".")[2]
    elif isinstance(last, tf_keras.Model):
        raise ParameterError(
            "The student must not end in a model of its own, whose softmax would not be seen: "
            f"call its layers instead. Received: {last.name!r}."
        )
    if activation not in _PROBABILITIES or (kind.task, activation) == (REGRESSION, "sigmoid"):
        return network
    expected = "softmax" if kind.task == CLASSES else "sigmoid"
    if activation != expected:
        raise ParameterError(
            f"The student must end in logits or in a {expected}, as the teacher's {kind.task} "
            f"call for. Received: layer {last.name!r} with a {activation}."
        )
    if not last.weights:
        return tf_keras.Model(network.inputs, last.input, name=network.name)
    # Layers look at their activation when they are called, so this holds for every later trace.
    last.activation = tf_keras.activations.linear
    return network


def save_student(job: Job, student: Student, builder: SignatureBuilder, out_dir: str) -> None:
    """Saves a student with its teacher's signatures, compiled so that a Pruner can go on.

    Args:
      job: The teacher.
      student: The student.
      builder: Builds the signatures.
      out_dir: Directory to write.
    """
    losses, from_logits = tf_keras.losses, not job.kind.probabilities
    if job.kind.task == REGRESSION:
        loss = losses.MeanSquaredError()
    elif job.kind.task == BINARY:
        loss = losses.BinaryCrossentropy(from_logits=from_logits)
    elif job.targets.label is None or job.targets.label.shape.rank == 0:
        loss = losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    else:
        loss = losses.CategoricalCrossentropy(from_logits=from_logits)
    network = student.network
    network.compile(tf_keras.optimizers.Adam(job.settings.learning_rate), loss)
    save_keras(network, out_dir, builder.build(network), compiled_like=network)
