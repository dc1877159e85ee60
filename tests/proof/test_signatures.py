"""A result is refused where a signature is gone, answers otherwise in form, or gives NaN."""

import numpy as np
import pytest
import tensorflow as tf
from support import models, rows

from tfx_shrink.errors import ExamplesError, ProofError
from tfx_shrink.examples.sample import sample_rows
from tfx_shrink.proof.signatures import prove_signatures
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.functions import load

KERNEL = np.random.RandomState(0).randn(models.WIDTH, 3).astype(np.float32)
INPUTS = {"x": models.spec()}


def scores(x):
    return {"y": x @ KERNEL}


@pytest.fixture(scope="module")
def source(tmp_path_factory, dense_rows):
    directory = tmp_path_factory.mktemp("source") / "model"
    double = (lambda x: {"y": 2 * x}, INPUTS)
    models.save_functions(directory, scores=(scores, INPUTS), double=double)
    sample = sample_rows([dense_rows], 50, 0)
    return Source(str(directory), load(str(directory)), sample, 0)


def test_the_same_model_differs_by_nothing(source):
    proof = prove_signatures(source, source.model_dir)
    assert proof.difference.max == 0
    assert proof.difference.rows == 50
    assert sorted(proof.predicting) == ["double", "scores"]


def result(tmp_path, **functions):
    return models.save_functions(tmp_path / "result", **functions)


def test_a_lost_signature_is_refused_unless_it_was_not_to_be_kept(source, tmp_path):
    made = result(tmp_path, scores=(scores, INPUTS))
    with pytest.raises(ProofError, match=r"Signature 'double' was lost; the result has \['scores'"):
        prove_signatures(source, made)
    assert prove_signatures(source, made, ["scores"]).predicting == ["scores"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda x: {"z": x @ KERNEL}, r"source \['y'\], result \['z'\]"),
        (lambda x: {"y": x @ KERNEL[:, :2]}, "y"),
        (lambda x: {"y": x @ KERNEL + np.float32("nan")}, "NaN"),
    ],
)
def test_an_answer_of_another_form_is_refused(source, tmp_path, changed, words):
    made = result(tmp_path, scores=(changed, INPUTS))
    with pytest.raises(ProofError, match=words):
        prove_signatures(source, made, ["scores"])


def test_signatures_that_these_rows_do_not_suit_are_listed(tmp_path, dense_rows):
    other = {"words": models.spec([None], tf.float32)}
    directory = models.save_functions(
        tmp_path / "model", scores=(scores, INPUTS), other=(lambda words: {"y": words}, other)
    )
    source = Source(directory, load(directory), sample_rows([dense_rows], 5, 0), 0)
    proof = prove_signatures(source, directory)
    assert list(proof.not_run) == ["other"]
    assert "words" in proof.not_run["other"]


def test_rows_that_suit_no_signature_prove_nothing(source, tmp_path):
    other = rows.write(tmp_path / "rows", {"z": np.zeros((4, 2), np.float32)})
    wrong = Source(source.model_dir, source.loaded, sample_rows([other], 4, 0), 0)
    with pytest.raises(ExamplesError, match=r"No signature could be run(.|\n)*scores: "):
        prove_signatures(wrong, source.model_dir)
