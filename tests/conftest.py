"""Both are read when TensorFlow is imported, so they stand before any test's imports."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import functools

import pytest


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="leave out the tests marked slow")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--quick"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture(autouse=True)
def _no_server_reads_models_config(monkeypatch):
    """So nobody need wait for one."""
    monkeypatch.setattr("tfx_shrink.bucket_pusher.models_config.SETTLE_SECONDS", 0)


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """`saved("public")` is the directory of `support.models.save_public`'s model, made once."""
    root = tmp_path_factory.mktemp("models")

    @functools.cache
    def save(kind):
        from support import models

        return getattr(models, f"save_{kind}")(os.path.join(root, kind))

    return save


@pytest.fixture(scope="session")
def dense_rows(tmp_path_factory):
    """A file of 200 rows for the models that read "x"."""
    from support import models, rows

    directory = tmp_path_factory.mktemp("dense_rows")
    return rows.write(directory / "rows", models.features(200))


@pytest.fixture(scope="session")
def quantized(saved, dense_rows, tmp_path_factory):
    """`quantized("int8")` is (directory, Quantized) of the Keras model, converted once."""
    from tfx_shrink.quantizer.quantize import quantize

    root = tmp_path_factory.mktemp("quantized")

    @functools.cache
    def make(scheme):
        out = str(root / scheme)
        return out, quantize(
            saved("keras"),
            out,
            scheme=scheme,
            examples=[dense_rows],
            num_calibration_examples=80,
            seed=1,
        )

    return make
