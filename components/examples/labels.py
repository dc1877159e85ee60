"""Labels of rows: as Transform makes them, else as the rows hold them."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.decode import make_decoder
from tfx_shrink.examples.features import feature_kinds, is_made, shortened, transformed_types

# Serialized tf.Examples `[rows]` -> labels, and whether each row has one.
LabelReader = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

_TYPES = {"int64_list": tf.int64, "float_list": tf.float32}


def make_label_decoder(
    rows: Sequence[bytes],
    label_key: str,
    *,
    transform_graph: str | None = None,
    schema: str | None = None,
    from_transform: bool = False,
    may_lack: bool = False,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns what decodes the labels of rows like these, also inside a tf.data pipeline.

    Args:
      rows: Some of the rows, serialized.
      label_key: The label's feature.
      transform_graph: Transform's output directory, if it makes the label. Defaults to None.
      schema: The rows' schema file. Defaults to None.
      from_transform: Whether the rows are known to be Transform's output. Defaults to False.
      may_lack: Whether rows may have no label; zeros stand for what is missing. Defaults to False.

    Returns:
      A function from serialized tf.Examples `[rows]` to labels: `[rows]` for a scalar feature,
      `[rows, width]` for a vector; int64 or float32.

    Raises:
      ExamplesError: There is no such feature, it holds text, or rows hold more or fewer numbers
        of it than others.
    """
    made = transformed_types(transform_graph) if transform_graph else {}
    dtype = made.get(label_key)
    if dtype is None:
        kinds = feature_kinds(rows)
        if label_key not in kinds:
            raise ExamplesError(
                f"`label_key` must be a feature of the rows, which hold {shortened(kinds)}. "
                f"Received: label_key={label_key!r}."
            )
        if not kinds[label_key]:
            raise ExamplesError(
                "No row has a value of the label. Give rows that have one, or name another "
                f"feature. Received: label_key={label_key!r}."
            )
        dtype = _TYPES.get(kinds[label_key])
    if dtype not in _TYPES.values():
        raise ExamplesError(
            f"Label {label_key!r} holds text; numbers are needed. Have Transform make a number "
            "of it."
        )

    def decoder(shape: list[int | None]) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        return make_decoder(
            rows,
            {label_key: tf.TensorSpec(shape, dtype)},
            transform_graph=transform_graph if label_key in made else None,
            schema=schema,
            from_transform=from_transform,
            may_lack=[label_key] if may_lack else [],
        )

    ragged = decoder([None, None])
    widths = ragged(tf.constant(list(rows)))[label_key].shape[1]
    if widths == 1 and may_lack:

        def column(serialized: tf.Tensor) -> tf.Tensor:
            labels = ragged(serialized)[label_key]
            # A batch without any label must still have a column of them.
            missing = tf.maximum(0, 1 - tf.shape(labels)[1])
            return tf.reshape(tf.pad(labels, [[0, 0], [0, missing]]), [tf.shape(serialized)[0]])

        return column
    decode = decoder([None] if widths == 1 else [None, widths])
    return lambda serialized: decode(serialized)[label_key]


def make_label_reader(
    rows: Sequence[bytes],
    label_key: str,
    *,
    num_classes: int | None = None,
    transform_graph: str | None = None,
    schema: str | None = None,
    from_transform: bool = False,
) -> LabelReader:
    """Returns what reads labels that rows may lack, also inside a tf.data pipeline.

    A row has a label where its Example holds a value of the feature that counts as one.

    Args:
      rows: Some of the rows, serialized, at least one with a label.
      label_key: The label's feature.
      num_classes: Of how many classes a label is one. Defaults to None: it is any number.
      transform_graph: As for `make_label_decoder`.
      schema: As for `make_label_decoder`.
      from_transform: As for `make_label_decoder`.

    Returns:
      A function from serialized tf.Examples `[rows]` to labels, as `make_label_decoder`'s, and
      booleans `[rows]`: which rows have one.

    Raises:
      ExamplesError: There is no such feature, or it holds text.
    """
    decode = make_label_decoder(
        rows,
        label_key,
        transform_graph=transform_graph,
        schema=schema,
        from_transform=from_transform,
        may_lack=True,
    )
    present = make_presence_decoder(rows, label_key, transform_graph)

    def read(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        labels = decode(serialized)
        return labels, labels_that_count(labels, present(serialized), num_classes)

    return read


def make_presence_decoder(
    rows: Sequence[bytes], label_key: str, transform_graph: str | None = None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns what tells which rows hold a value of a feature, as booleans `[rows]`.

    Args:
      rows: Some of the rows, serialized, at least one with a value if any row has one.
      label_key: The feature.
      transform_graph: Transform's output directory. Where only Transform knows the feature, it
        makes one for every row. Defaults to None.
    """
    kind = feature_kinds(rows).get(label_key)
    if not kind:
        made = transform_graph is not None and is_made(label_key, transform_graph)
        return lambda serialized: tf.fill(tf.shape(serialized)[:1], made)
    spec = {label_key: tf.io.RaggedFeature({**_TYPES, "bytes_list": tf.string}[kind])}
    return lambda serialized: tf.io.parse_example(serialized, spec)[label_key].row_lengths() > 0


def labels_that_count(
    labels: tf.Tensor, there: tf.Tensor | None, num_classes: int | None
) -> tf.Tensor:
    """Returns which rows' labels are labels, as booleans `[rows]`.

    A number that is not finite is none. Of classes, a number counts in `[0, num_classes)`:
    Transform's vocabularies give -1 to what they do not know.

    Args:
      labels: `[rows, ...]`.
      there: Which rows hold a value at all; None: every one.
      num_classes: None where labels are any numbers.
    """
    numbers = tf.reshape(tf.cast(labels, tf.float64), [tf.shape(labels)[0], -1])
    good = tf.math.is_finite(numbers)
    if num_classes is not None:
        good &= (numbers >= 0) & (numbers < num_classes)
    counts = tf.reduce_all(good, axis=1)
    return counts if there is None else tf.logical_and(there, counts)
