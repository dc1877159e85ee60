"""What the Pruner's benchmark trains: two networks, and their rows."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import digits
import numpy as np
import taxi
import tensorflow_transform as tft
from examples import write_rows

from tfx_shrink.pipelines.digits.data import LABEL
from tfx_shrink.pipelines.digits.preprocessing import IMAGE
from tfx_shrink.pipelines.digits.trainer import build_model


@dataclasses.dataclass(frozen=True)
class Task:
    """Something to learn, and how.

    Attributes:
      features: What the network reads of the training rows, by name.
      labels: Their labels.
      rows: File of the same rows, raw.
      transform_graph: Transform's output, or None where the network reads raw rows.
      label_key: The label's feature.
      test_rows: Other rows, raw and serialized.
      test_labels: Their labels.
      build: Makes a compiled network.
      make_signatures: Makes the signatures of a network.
      epochs: Passes over the rows, and as many again after them.
      batch_size: Rows of a batch.
    """

    features: Mapping[str, Any]
    labels: Any
    rows: str
    transform_graph: str | None
    label_key: str
    test_rows: list[bytes]
    test_labels: np.ndarray
    build: Callable[[], Any]
    make_signatures: Callable[[Any], Mapping[str, Any]]
    epochs: int
    batch_size: int


def digits_task(root: str) -> Task:
    """Returns the digits pipeline's network, and its rows."""
    images, labels = digits.digits()
    train, test = (
        {IMAGE: images[part], LABEL: labels[part]}
        for part in (slice(None, -digits.TEST_ROWS), slice(-digits.TEST_ROWS, None))
    )
    rows = os.path.join(root, "Split-train", "rows")
    write_rows(rows, train)
    return Task(
        features={IMAGE: train[IMAGE]},
        labels=train[LABEL],
        rows=rows,
        transform_graph=None,
        label_key=LABEL,
        test_rows=write_rows(os.path.join(root, "Split-eval", "rows"), test),
        test_labels=test[LABEL],
        build=build_model,
        make_signatures=digits.make_signatures,
        epochs=8,
        batch_size=32,
    )


def taxi_task(root: str) -> Task:
    """Returns the taxi network, and its rows."""
    train, test = taxi.split(taxi.taxi())
    rows, graph_dir = os.path.join(root, "Split-train", "rows"), os.path.join(root, "graph")
    taxi.write_transform_graph(train, graph_dir)
    graph = tft.TFTransformOutput(graph_dir)
    features, labels = taxi.transform(graph, write_rows(rows, train))
    return Task(
        features=features,
        labels=labels,
        rows=rows,
        transform_graph=graph_dir,
        label_key=taxi.LABEL,
        test_rows=write_rows(os.path.join(root, "Split-eval", "rows"), test),
        test_labels=taxi.big_tips(test).astype(np.int64),
        build=taxi.build_model,
        make_signatures=lambda model: taxi.make_signatures(model, graph),
        epochs=3,  # After six the dense control begins to get worse.
        batch_size=128,
    )


TASKS = {"digits CNN": digits_task, "taxi MLP": taxi_task}
