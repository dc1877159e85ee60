"""Both are read when TensorFlow is imported, so they stand before any test's imports."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import functools

import pytest


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """`saved("public")` is the directory of `support.models.save_public`'s model, made once."""
    root = tmp_path_factory.mktemp("models")

    @functools.cache
    def save(kind):
        from support import models

        return getattr(models, f"save_{kind}")(os.path.join(root, kind))

    return save
