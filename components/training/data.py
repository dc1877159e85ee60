"""Rows of Examples as a stream of batches to train on."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfx_shrink.errors import ExamplesError, UntrainableError
from tfx_shrink.examples.batches import batch_size as fixed_batch_size
from tfx_shrink.examples.files import count_rows, list_files, read_dataset
from tfx_shrink.examples.labels import make_label_decoder
from tfx_shrink.proof.source import Source, reads_serialized
from tfx_shrink.saved_model.functions import (
    CALL_FUNCTION,
    PREPROCESSING_SIGNATURES,
    ServedFunction,
    list_functions,
)

# Rows that are mixed with each other; files are mixed too.
_SHUFFLED_ROWS = 10_000
_ROWS_TO_LOOK_AT = 200


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Batches of `(features by name, label)`.

    Attributes:
      steps_per_epoch: How many batches one pass over the rows has.
      from_epoch: `from_epoch(n)` gives the batches of epoch n, counted from 0, and of all after it.
    """

    steps_per_epoch: int
    from_epoch: Callable[[int], tf.data.Dataset]


def read_training_data(
    patterns: Sequence[str],
    source: Source,
    inputs: Mapping[str, tf.TypeSpec],
    label_key: str,
    *,
    batch_size: int,
    seed: int,
) -> TrainingData:
    """Reads rows with their labels, mixed anew for every epoch.

    The order depends on the seed and on the number of the epoch only, so training that was
    interrupted goes on with the batches that it would have seen.

    Args:
      patterns: Glob patterns of TFRecord files.
      source: Rows of the same files, raw or transformed, and what transforms them.
      inputs: What the model reads, by feature name.
      label_key: The label's feature.
      batch_size: Rows of a batch; a model that insists on another size gets that.
      seed: Chooses another order.

    Returns:
      The batches.

    Raises:
      ExamplesError: The rows lack a feature or the label, or do not fill one batch of the size that
        the model insists on.
    """
    fixed = fixed_batch_size(inputs)
    decode = source.decoder(inputs)
    decode_label = make_label_decoder(
        source.sample.rows,
        label_key,
        transform_graph=source.transform_graph,
        schema=source.schema,
        from_transform=source.sample.from_transform,
    )
    return shuffled_batches(
        list_files(patterns),
        lambda batch: (decode(batch), decode_label(batch)),
        batch_size=fixed or batch_size,
        seed=seed,
        only_full=fixed is not None,
    )


def shuffled_batches(
    files: Sequence[str],
    decode: Callable[[tf.Tensor], tuple[Any, Any]],
    *,
    batch_size: int,
    seed: int,
    only_full: bool = False,
) -> TrainingData:
    """Reads records, mixed anew for every epoch, in batches.

    Args:
      files: TFRecord files, gzipped or not.
      decode: From records `[rows]` to what a batch holds.
      batch_size: Rows of a batch.
      seed: Chooses another order.
      only_full: Whether rows that fill no batch are left out. Defaults to False.

    Returns:
      The batches.

    Raises:
      ExamplesError: The rows do not fill one batch where it must be full.
    """
    count = count_rows(files)
    steps = count // batch_size if only_full else -(-count // batch_size)
    if not steps:
        raise ExamplesError(
            f"The model insists on batches of {batch_size} rows; there are {count} rows. Give more."
        )

    # There is nothing here for AutoGraph, which would trace the arithmetic of file names too.
    @tf.autograph.experimental.do_not_convert
    def decoded(batch: tf.Tensor) -> tuple[Any, Any]:
        return decode(batch)

    @tf.autograph.experimental.do_not_convert
    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # Of this traced function only: no seed of the process may change the order, and with 0 the
        # tensors below would be compared (tensorflow/python/framework/random_seed.py).
        tf.random.set_seed(1)
        order = tf.constant(seed, tf.int64) + number
        return (
            read_dataset(files, seed=order)
            .shuffle(_SHUFFLED_ROWS, seed=order)
            .batch(batch_size, drop_remainder=only_full)
            .map(decoded, num_parallel_calls=tf.data.AUTOTUNE)
        )

    def from_epoch(first: int) -> tf.data.Dataset:
        numbers = tf.data.Dataset.range(first, tf.int64.max)
        return numbers.flat_map(epoch).prefetch(tf.data.AUTOTUNE)

    return TrainingData(steps, from_epoch)


def given_training_data(dataset: tf.data.Dataset, num_steps: int | None = None) -> TrainingData:
    """Takes the batches of user code: one pass over the rows.

    Args:
      dataset: Batches of `(features, label)`; finite, but where `num_steps` are given.
      num_steps: How many batches are to be taken. Defaults to None: as many as an epoch has.

    Returns:
      The batches, epoch by epoch.

    Raises:
      ExamplesError: It holds no batch, or repeats for ever.
    """
    if num_steps is not None and dataset.cardinality() < 0:
        # Without end, or nobody knows: to count could take for ever.
        return TrainingData(num_steps, lambda first: dataset.repeat())
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ExamplesError(
            "`input_fn` must return one pass over the rows; its dataset repeats for ever. Leave "
            "`.repeat()` out, or give the number of steps."
        )
    steps = int(dataset.reduce(0, lambda count, batch: count + 1))
    if not steps:
        raise ExamplesError("`input_fn` returned a dataset without a batch.")
    return TrainingData(steps, lambda first: dataset.repeat())


def some_batches(data: TrainingData) -> list[tuple[Any, Any]]:
    """Returns batches of enough rows to tell what labels are, or of all there are."""
    batches, rows = [], 0
    for batch in data.from_epoch(0).take(data.steps_per_epoch):
        batches.append(batch)
        rows += int(tf.nest.flatten(batch)[0].shape[0])
        if rows >= _ROWS_TO_LOOK_AT:
            break
    return batches


def function_to_train(
    loaded: Any, source: Source, features: Collection[str] | None = None
) -> ServedFunction:
    """Chooses the function of a SavedModel that training goes through.

    The model's own call function if it has one, which may have a training mode; else a signature
    over dense features.

    Args:
      loaded: The model as `saved_model.functions.load` returned it.
      source: Rows that it must be able to read.
      features: Names of the features that user code gives instead. Defaults to None.

    Returns:
      The function.

    Raises:
      UntrainableError: None reads these rows; the text says why, one by one.
    """
    functions = sorted(list_functions(loaded), key=lambda function: function.name != CALL_FUNCTION)
    reasons = []
    for function in functions:
        if function.name in PREPROCESSING_SIGNATURES:
            continue
        if reads_serialized(function):
            reasons.append(f"{function.name}: reads serialized Examples, not features")
            continue
        try:
            _require_features(function, source, features)
        except ExamplesError as error:
            reasons.append(f"{function.name}: {error}")
        else:
            return function
    listed = "".join(f"\n  {reason}" for reason in reasons)
    raise UntrainableError(f"No function of the model can be trained on these rows.{listed}")


def _require_features(
    function: ServedFunction, source: Source, features: Collection[str] | None
) -> None:
    if features is None:
        source.read(source.sample.rows[:1], function)
    elif missing := sorted(function.inputs.keys() - set(features)):
        raise ExamplesError(f"`input_fn` does not give {missing}")
