"""Bytes of a model: what counts, what does not, and the same number every time."""

import gzip
import os
import shutil

import numpy as np
import pytest

from tfx_shrink import lineage
from tfx_shrink.errors import ModelError
from tfx_shrink.measure.size import model_size, stripped_size
from tfx_shrink.saved_model.strip import strip

CONTENT = bytes(1000) + np.random.RandomState(0).bytes(1000)


@pytest.fixture
def directory(tmp_path):
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(CONTENT)
    (model / "variables" / "data").write_bytes(b"abc" * 100)
    return model


def test_gzip_is_one_stream_over_the_files_by_name(directory):
    size = model_size(str(directory))
    assert size.raw == 2300
    assert size.gzip == len(gzip.compress(CONTENT + b"abc" * 100, compresslevel=6, mtime=0))


def test_a_single_file_has_a_size_too(directory):
    size = model_size(str(directory / "saved_model.pb"))
    assert size.raw == 2000
    assert 1000 < size.gzip < 1100


def test_neither_time_nor_place_matters(directory, tmp_path):
    first = model_size(str(directory))
    copy = tmp_path / "elsewhere" / "copied"
    shutil.copytree(directory, copy)
    os.utime(copy / "saved_model.pb", (0, 0))
    assert model_size(str(copy)) == first


def test_the_record_does_not_count(directory):
    first = model_size(str(directory))
    lineage.append(str(directory), str(directory), "quantize", {}, {})
    assert model_size(str(directory)) == first


def test_a_tflite_file_under_two_names_counts_once(tmp_path):
    for name in ("tflite", "model.tflite"):
        (tmp_path / name).write_bytes(CONTENT)
    assert model_size(str(tmp_path)) == model_size(str(tmp_path / "tflite"))
    assert model_size(str(tmp_path)).raw == lineage.model_state(str(tmp_path)).bytes


def test_stripped_size_leaves_the_optimizer_and_the_model_alone(saved, tmp_path):
    before = lineage.model_state(saved("keras"))
    strip(saved("keras"), str(tmp_path / "stripped"))
    size = stripped_size(saved("keras"))
    # The graph that is saved differs by a few bytes in the names of its functions.
    assert size.raw == pytest.approx(model_size(str(tmp_path / "stripped")).raw, rel=0.01)
    assert size.raw < 0.7 * before.bytes
    assert lineage.model_state(saved("keras")) == before


def test_what_is_not_there_has_no_size(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        model_size(str(tmp_path / "none"))
