"""Models that answer 1, 2 and 3, saved once."""

import shutil

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


@pytest.fixture
def base(numbers, tmp_path):
    """A base path that holds version 1."""
    shutil.copytree(numbers[1], tmp_path / "digits" / "1")
    return tmp_path / "digits"
