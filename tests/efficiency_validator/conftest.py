import os

import pytest
from support import models, rows

from tfx_shrink.efficiency_validator import comparison, running
from tfx_shrink.efficiency_validator.running import Rows
from tfx_shrink.efficiency_validator.settings import Settings
from tfx_shrink.examples.sample import Sample
from tfx_shrink.measure.loading import Loading
from tfx_shrink.quantizer.quantize import quantize

SETTINGS = {"rounds": 20, "batch_sizes": (1,), "label_key": "label", "slice_keys": ("group",)}


class Models:
    """A float model, what was made of it, and rows with labels, in one directory."""

    def __init__(self, root):
        self.root = root
        self.float = models.save_keras(root / "float")
        features = models.features(400, seed=5)
        groups = ["even" if number % 2 else "odd" for number in range(400)]
        labelled = {
            "x": features["x"],
            "label": features["x"][:, : models.CLASSES].argmax(1),
            "group": groups,
        }
        self.rows = rows.write(root / "rows", labelled)
        self.sample = Sample(rows.examples(labelled), from_transform=False)
        self.int8 = self.quantized("int8")

    def quantized(self, scheme):
        out = str(self.root / scheme)
        if not os.path.exists(out):
            quantize(self.float, out, scheme=scheme, examples=[self.rows])
        return out

    def compare(self, model_dir, *, baseline=None, between=(), **settings):
        return comparison.compare(
            model_dir,
            baseline or self.float,
            dict(between),
            Rows(self.sample, None, None),
            Settings(**{**SETTINGS, **settings}),
        )


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return Models(tmp_path_factory.mktemp("validated"))


@pytest.fixture(scope="session")
def compared(trained):
    """int8 TFLite beside the float model, with a stage between: run once."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        _load_at_once(monkeypatch)
        return trained.compare(trained.int8, between={"pruned": trained.quantized("weight_int8")})


@pytest.fixture
def loads_at_once(monkeypatch):
    _load_at_once(monkeypatch)


def _load_at_once(monkeypatch):
    """Loading a model alone costs a process; tests of other things go without."""
    monkeypatch.setattr(running, "load_alone", lambda *arguments: Loading(0.1, 1000))
