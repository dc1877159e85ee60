"""Models that answer 1, 2 and 3, saved once."""

import pytest
from support import answering


@pytest.fixture(scope="session")
def numbers(tmp_path_factory):
    """Directories of SavedModels by what they answer."""
    root = tmp_path_factory.mktemp("answering")
    return {number: answering.save(root / str(number), number) for number in (1, 2, 3)}


@pytest.fixture(scope="session")
def tflite(tmp_path_factory):
    """A directory of a TFLite model that answers 7."""
    return answering.save_tflite(tmp_path_factory.mktemp("answering") / "7", 7)
