"""What distilling is given, looked at before anything is trained."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from tfx_shrink import lineage
from tfx_shrink.distiller.outputs import OutputKind, teacher_output
from tfx_shrink.distiller.settings import Settings
from tfx_shrink.distiller.soft_targets import TargetSpec
from tfx_shrink.distiller.teacher import OUTPUT, Teacher, TeacherSpec, choose_function
from tfx_shrink.errors import ExamplesError, ModelError, ParameterError
from tfx_shrink.examples.batches import run_in_batches
from tfx_shrink.examples.features import feature_kinds, is_made, shortened
from tfx_shrink.examples.files import list_files, read_rows
from tfx_shrink.examples.labels import LabelReader, labels_that_count, make_label_reader
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.functions import CALL_FUNCTION, ServedFunction
from tfx_shrink.saved_model.weights import list_weights
from tfx_shrink.training.data import TrainingData, given_training_data, some_batches
from tfx_shrink.training.keras_models import LoadedKeras, load_keras
from tfx_shrink.training.losses import shown


@dataclasses.dataclass(frozen=True)
class Job:
    """One teacher, and rows to teach with.

    Attributes:
      source: The teacher with rows to prove with, some of them with a label if any row has one.
      settings: The Distiller's parameters.
      examples: Glob patterns of all rows.
      functions: User code by name.
      keras: The teacher as Keras loads it; None where it cannot.
      why_not_keras: Why it cannot; None where it can.
      function: The teacher's function that is asked.
      kind: What its output is.
      teacher: How a worker asks it.
      targets: What a record of soft targets holds.
      read_labels: Reads labels of serialized rows; None where there are none.
      given: Batches of `(features by name, label)` of user code's `input_fn`; None where there is
        none.
    """

    source: Source
    settings: Settings
    examples: Sequence[str]
    functions: Mapping[str, Callable[..., Any]]
    keras: LoadedKeras | None
    why_not_keras: str | None
    function: ServedFunction
    kind: OutputKind
    teacher: TeacherSpec
    targets: TargetSpec
    read_labels: LabelReader | None
    given: TrainingData | None

    @property
    def transform_output(self) -> Any:
        """The transform graph as user code takes it, or None."""
        graph = self.source.transform_graph
        return None if graph is None else tft.TFTransformOutput(graph)

    def rows_for(self, inputs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
        """Returns some rows as a student with these inputs reads them.

        Raises:
          ExamplesError: They lack one of them.
        """
        if self.given is not None:
            return _given_rows(self.given, inputs)
        features = self.source.decoder(inputs)(tf.constant(self.source.sample.rows))
        return {name: value.numpy() for name, value in features.items()}

    @property
    def teacher_parameters(self) -> int:
        """How many weights the teacher's functions read; of a quantized one, the large weights."""
        weights = list_weights(self.source.loaded)
        count = sum(int(weight.variable.shape.num_elements()) for weight in weights)
        # A rewritten model holds its weights in no variable; its record says what they were.
        steps = lineage.read(self.source.model_dir)
        return count + (steps[-1].get("source_weight_bytes", 0) // 4 if steps else 0)


def make_job(
    source: Source,
    settings: Settings,
    examples: Sequence[str],
    functions: Mapping[str, Callable[..., Any]],
) -> Job:
    """Looks at teacher and rows, and refuses what cannot be taught.

    Args:
      source: The teacher, and a sample of the rows.
      settings: The Distiller's parameters.
      examples: Glob patterns of all rows.
      functions: User code by name.

    Raises:
      ParameterError: A layer of a feature pair does not exist.
      ExamplesError: The rows lack what the teacher reads, no row has the label, labels do not fit
        what the teacher gives, or an `input_fn` gives no batches of features and label.
      ModelError: No function of the teacher can be asked, what its output is cannot be told, or it
        does not answer as the layers of a feature pair do.
    """
    keras, why_not_keras = _keras(source.model_dir)
    layers = tuple(settings.feature_pairs or {})
    if layers:
        _check_layers(keras, why_not_keras, layers)
    reader = None
    if settings.label_key is not None:
        source = _with_a_label(source, examples, settings.label_key)
        read = functools.partial(
            make_label_reader,
            source.sample.rows,
            settings.label_key,
            transform_graph=source.transform_graph,
            schema=source.schema,
            from_transform=source.sample.from_transform,
        )
        reader = read(num_classes=None)
    given = None
    if "input_fn" in functions:
        given = _given_batches(functions["input_fn"], source, settings, examples)
    function = choose_function(source, settings.signature_name)
    output = next(iter(function.outputs))
    rows = source.read(source.sample.rows, function)
    values = run_in_batches(function.call_arrays, rows, function.inputs)[output]
    if layers and keras is not None:
        _require_network(keras, function, rows, values)
    kind = teacher_output(
        function,
        output,
        values,
        labels=_labels(reader, source, given),
        saved_loss=None if keras is None else getattr(keras.model, "loss", None),
        loss=settings.loss,
    )
    spec = TeacherSpec(
        source.model_dir,
        function.name,
        output,
        kind,
        kind.num_classes(values.shape[1:]),
        layers,
        source.sample,
        source.transform_graph,
        source.schema,
        tuple(source.may_lack),
    )
    answers = Teacher(spec).answer_rows(source.sample.rows[-2:])
    label = None
    if reader is not None:
        reader = read(num_classes=spec.num_classes)
        some, _ = reader(tf.constant(source.sample.rows))
        label = tf.TensorSpec(some.shape[1:], some.dtype)
    return Job(
        source=source,
        settings=settings,
        examples=examples,
        functions=functions,
        keras=keras,
        why_not_keras=why_not_keras,
        function=function,
        kind=kind,
        teacher=spec,
        targets=TargetSpec({name: value.shape[1:] for name, value in answers.items()}, label),
        read_labels=reader,
        given=given,
    )


def answer_shape(job: Job) -> tuple[int, ...]:
    """Returns the shape of the teacher's answer to one row."""
    return tuple(job.targets.targets[OUTPUT])


def _keras(model_dir: str) -> tuple[LoadedKeras | None, str | None]:
    try:
        return load_keras(model_dir), None
    except ModelError as error:
        return None, str(error)


def _check_layers(
    keras: LoadedKeras | None, why_not_keras: str | None, layers: Sequence[str]
) -> None:
    if keras is None:
        raise ModelError(
            "loss='feature' needs a Functional or Sequential teacher that was saved by Keras; of "
            f"this one {why_not_keras}. Use loss='kl' or loss='mse'."
        )
    known = [layer.name for layer in keras.network.layers]
    if unknown := sorted(set(layers) - set(known)):
        raise ParameterError(
            f"`feature_pairs` must name layers of the teacher, which has {known}. "
            f"Received: {unknown}."
        )


def _require_network(
    keras: LoadedKeras, function: ServedFunction, rows: Mapping[str, np.ndarray], values: np.ndarray
) -> None:
    """Checks that a function answers as the network does whose layers are asked with it."""
    network, difference = keras.network, "other inputs"
    if set(network.input_names) <= rows.keys():

        def call(batch: Mapping[str, np.ndarray]) -> dict[str, Any]:
            given = {name: batch[name] for name in network.input_names}
            return {OUTPUT: network(given, training=False)}

        own = run_in_batches(call, rows, function.inputs)[OUTPUT]
        if own.shape == values.shape and np.allclose(own, values, 1e-3, 1e-4, equal_nan=True):
            return
        difference = f"outputs {shown(values)} where the network gives {shown(own)}"
    raise ModelError(
        f"loss='feature' asks layers of the Keras model together with its output, and "
        f"{function.name} has {difference}. Learn from the model's own call function "
        f"(signature_name={CALL_FUNCTION!r}, on rows that it reads), or use loss='kl' or "
        "loss='mse'."
    )


def _with_a_label(source: Source, examples: Sequence[str], label_key: str) -> Source:
    """The same with a row in its sample that has the label, which few rows may have."""
    source = dataclasses.replace(source, may_lack=(label_key,))
    graph = source.transform_graph
    if feature_kinds(source.sample.rows).get(label_key):
        return source
    if graph is not None and is_made(label_key, graph):
        return source
    for path in list_files(examples):
        for row in read_rows(path):
            if feature_kinds([row]).get(label_key):
                rows = [*source.sample.rows, row]
                return dataclasses.replace(
                    source, sample=dataclasses.replace(source.sample, rows=rows)
                )
    raise ExamplesError(
        "No row has the label. Leave `label_key` out to learn from soft targets alone, or name a "
        f"feature of the rows, which hold {shortened(feature_kinds(source.sample.rows))}. "
        f"Received: label_key={label_key!r}."
    )


def _given_batches(
    input_fn: Callable[..., Any], source: Source, settings: Settings, examples: Sequence[str]
) -> TrainingData:
    graph = source.transform_graph
    transform_output = None if graph is None else tft.TFTransformOutput(graph)
    dataset = input_fn(list_files(examples), transform_output, settings.batch_size)
    spec = dataset.element_spec
    pair = isinstance(spec, tuple) and len(spec) == 2
    if not pair or not isinstance(spec[1], tf.TensorSpec):
        raise ExamplesError(
            "`input_fn` must return batches of (features by name, label). Received batches of "
            f"{spec}."
        )
    return given_training_data(dataset, settings.num_steps)


def _given_rows(given: TrainingData, inputs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    batches = [features for features, _ in some_batches(given)]
    if missing := sorted(inputs.keys() - batches[0].keys()):
        raise ExamplesError(
            f"The student reads {sorted(inputs)}; `input_fn` gives {sorted(batches[0])}: "
            f"{missing} are missing."
        )
    return {name: np.concatenate([batch[name] for batch in batches]) for name in inputs}


def _labels(
    reader: LabelReader | None, source: Source, given: TrainingData | None
) -> np.ndarray | None:
    """Labels of some rows as they stand."""
    if given is not None:
        labels = np.concatenate([label.numpy() for _, label in some_batches(given)])
        labels = labels.astype(np.int64) if labels.dtype == bool else labels
        return labels[labels_that_count(labels, None, None).numpy()]
    if reader is None:
        return None
    labels, there = reader(tf.constant(source.sample.rows))
    return labels.numpy()[there.numpy()]
