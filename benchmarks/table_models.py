"""The models of the table: what each is trained on, and its rows on disk."""

import dataclasses
import os
import tempfile
from collections.abc import Callable
from typing import Any

import digits
import numpy as np
import tf_keras
from examples import write_rows
from pruner_tasks import TASKS

from tfx_shrink.pipelines.digits.data import LABEL, SIDE
from tfx_shrink.pipelines.digits.preprocessing import IMAGE
from tfx_shrink.pipelines.digits.trainer import PROBABILITIES

CNN, MLP, TAXI, MOBILE = "digits CNN", "digits MLP", "taxi, words", "MobileNetV2 6.1M"
_MOBILE_SIDE, _MOBILE_ROWS = 96, 120


@dataclasses.dataclass(frozen=True)
class Data:
    """Where a model and its rows lie.

    Attributes:
      root: Their directory.
      label_key: The label's feature; None where weights are random and quality means nothing.
      transform_graph: Whether there is one, in `graph`.
    """

    root: str
    label_key: str | None
    transform_graph: bool = False

    @property
    def train(self) -> str:
        """The file to train and calibrate on."""
        return os.path.join(self.root, "Split-train", "rows")

    @property
    def test(self) -> str:
        """The file to judge on."""
        return os.path.join(self.root, "Split-eval", "rows")

    @property
    def graph(self) -> str | None:
        """Transform's output, if the model reads transformed features."""
        return os.path.join(self.root, "graph") if self.transform_graph else None


def data_of(model: str, root: str) -> Data:
    """Returns where a model's rows lie below `root`."""
    labels: dict[str, str | None] = {TAXI: "big_tip", MOBILE: None}
    return Data(os.path.join(root, "data"), labels.get(model, LABEL), model == TAXI)


def train(model: str, seed: int, root: str) -> None:
    """Trains a model and saves it as `root/<seed>/base`; the first leaves its rows there."""
    tf_keras.utils.set_random_seed(seed)
    os.makedirs(root, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as work:
        made, data = os.path.join(work, "data"), os.path.join(root, "data")
        _TRAIN[model](made, os.path.join(root, str(seed), "base"))
        # Rows are the same for every seed, and others may be reading them.
        if not os.path.exists(data):
            os.rename(made, data)


def _task(name: str, build: Callable[[], Any] | None = None) -> Callable[[str, str], None]:
    def run(data: str, out: str) -> None:
        task = TASKS[name](data)
        network = (build or task.build)()
        network.fit(
            task.features,
            task.labels,
            epochs=task.epochs,
            batch_size=task.batch_size,
            verbose=0,
        )
        network.save(out, save_format="tf", signatures=task.make_signatures(network))
        np.save(os.path.join(data, "labels.npy"), task.test_labels)

    return run


def build_mlp(width: int = 2048) -> Any:
    """Returns a network over the digits with two hidden layers; by default 4.4 million weights."""
    image = tf_keras.Input((SIDE, SIDE, 1), name=IMAGE)
    x = tf_keras.layers.Flatten()(image)
    for _ in range(2):
        x = tf_keras.layers.Dropout(0.2)(tf_keras.layers.Dense(width, activation="relu")(x))
    x = tf_keras.layers.Dense(10, activation="softmax", name=PROBABILITIES)(x)
    model = tf_keras.Model({IMAGE: image}, x)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def _mobile(data: str, out: str) -> None:
    """MobileNetV2 with random weights, over noise: bytes and latency are its own, quality none."""
    shape = (_MOBILE_SIDE, _MOBILE_SIDE, 3)
    network = tf_keras.applications.MobileNetV2(shape, alpha=1.4, weights=None, classes=1000)
    images = np.random.RandomState(0).rand(_MOBILE_ROWS, *shape).astype(np.float32)
    for split in ("train", "eval"):
        write_rows(os.path.join(data, f"Split-{split}", "rows"), {network.input_names[0]: images})
    network.save(out, save_format="tf")


_TRAIN = {
    CNN: _task("digits CNN"),
    MLP: _task("digits CNN", lambda: build_mlp(512)),
    TAXI: _task("taxi MLP"),
    MOBILE: _mobile,
}
MODELS = list(_TRAIN)


def digits_rows() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns what the digits' networks are trained on."""
    images, labels = digits.digits()
    return {IMAGE: images[: -digits.TEST_ROWS]}, labels[: -digits.TEST_ROWS]
