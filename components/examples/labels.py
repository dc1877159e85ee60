"""Labels of rows: as Transform makes them, else as the rows hold them."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.decode import feature_kinds, make_decoder, shortened, transformed_types

_TYPES = {"int64_list": tf.int64, "float_list": tf.float32}


def make_label_decoder(
    rows: Sequence[bytes],
    label_key: str,
    *,
    transform_graph: str | None = None,
    schema: str | None = None,
    from_transform: bool = False,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns what decodes the labels of rows like these, also inside a tf.data pipeline.

    Args:
      rows: Some of the rows, serialized.
      label_key: The label's feature.
      transform_graph: Transform's output directory, if it makes the label. Defaults to None.
      schema: The rows' schema file. Defaults to None.
      from_transform: Whether the rows are known to be Transform's output. Defaults to False.

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
        dtype = _TYPES.get(kinds[label_key])
    if dtype not in _TYPES.values():
        raise ExamplesError(f"Label {label_key!r} holds text; numbers are needed.")

    def decoder(shape: list[int | None]) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        return make_decoder(
            rows,
            {label_key: tf.TensorSpec(shape, dtype)},
            transform_graph=transform_graph if label_key in made else None,
            schema=schema,
            from_transform=from_transform,
        )

    widths = decoder([None, None])(tf.constant(list(rows)))[label_key].shape[1]
    decode = decoder([None] if widths == 1 else [None, widths])
    return lambda serialized: decode(serialized)[label_key]
