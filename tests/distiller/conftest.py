import functools
import os

import pytest
import tf_keras
from support import models, rows


def small(activation=None, units=models.CLASSES):
    """A student of "x" with 163 weights: `small("softmax")` ends in a softmax."""

    def build():
        x = tf_keras.Input([models.WIDTH], name="x")
        hidden = tf_keras.layers.Dense(8, "relu", name="h")(x)
        return tf_keras.Model(x, tf_keras.layers.Dense(units, activation, name="top")(hidden))

    return build


@pytest.fixture(scope="session")
def student():
    return small


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """A file of 96 rows with "x" and "label", the place of the largest of x's first three."""
    features = models.features(96)
    features["label"] = features["x"][:, : models.CLASSES].argmax(1)
    return rows.write(tmp_path_factory.mktemp("labelled") / "rows", features)


@pytest.fixture(scope="session")
def job(saved, labelled):
    """`job("keras", loss="mse")` is what the Distiller sees of a teacher and its rows."""
    from tfx_shrink.distiller.job import make_job
    from tfx_shrink.distiller.settings import Settings
    from tfx_shrink.examples.files import read_rows
    from tfx_shrink.examples.sample import Sample
    from tfx_shrink.proof.source import Source
    from tfx_shrink.saved_model.functions import load

    def make(teacher, examples=labelled, graph=None, sampled=40, functions=None, **parameters):
        parameters.setdefault("label_key", "label")
        directory = teacher if os.path.isdir(teacher) else saved(teacher)
        sample = Sample(list(read_rows(examples))[:sampled], False)
        source = Source(directory, load(directory), sample, 0, graph, None)
        return make_job(source, Settings(**parameters), [examples], functions or {})

    return make


@pytest.fixture(scope="session")
def distilled(saved, labelled, tmp_path_factory):
    """`distilled("keras", control=True)` is (directory, Distilled), made once."""
    from tfx_shrink.distiller.distill import distill

    root = tmp_path_factory.mktemp("distilled")

    @functools.cache
    def make(kind, **parameters):
        out = str(root / f"{kind}-{abs(hash(tuple(parameters.items())))}")
        parameters = {"student": small(), "label_key": "label", "epochs": 2, **parameters}
        return out, distill(
            saved(kind), out, examples=[labelled], eval_examples=[labelled], **parameters
        )

    return make
