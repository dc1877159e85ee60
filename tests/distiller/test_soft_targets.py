"""The teacher's pass asks every row once, on any runner, however often it is killed."""

import os
import pickle
import shutil
import signal
import subprocess
import sys

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.local_job_service import LocalJobServicer
from support import killed_pass

from tfx_shrink.distiller import soft_targets
from tfx_shrink.distiller.soft_targets import unpack, write_soft_targets
from tfx_shrink.distiller.teacher import OUTPUT
from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.files import read_rows

ROWS = 96  # Of the fixture `labelled`.


@pytest.fixture(scope="module")
def taught(job):
    return job("keras")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(soft_targets, "_SHARD_ROWS", killed_pass.SHARD_ROWS)


@pytest.fixture
def asked(monkeypatch):
    """How many rows the teacher was asked, call by call."""
    counts = []
    answer = soft_targets.Teacher.answer_rows

    def counting(self, serialized):
        counts.append(len(serialized))
        return answer(self, serialized)

    monkeypatch.setattr(soft_targets.Teacher, "answer_rows", counting)
    return counts


def write(job, directory, **context):
    return write_soft_targets(job.examples, str(directory), job.teacher, "label", **context)


def contents(job, shards):
    """{row: (logits, label, has a label)} of all shards; a row must be there once."""
    records = [record for shard in shards for record in read_rows(shard)]
    serialized, targets, labels, there = unpack(tf.constant(records), job.targets)
    found = dict(
        zip(
            serialized.numpy(),
            zip(targets[OUTPUT].numpy(), labels.numpy(), there.numpy(), strict=True),
            strict=True,
        )
    )
    assert len(found) == len(records)
    return found


def test_every_row_is_there_once_with_the_teachers_logits_and_its_label(taught, tmp_path, asked):
    shards = write(taught, tmp_path)
    assert len(shards) == 6
    assert sum(asked) == ROWS
    found = contents(taught, shards)
    assert sorted(found) == sorted(read_rows(taught.examples[0]))
    serve = tf.saved_model.load(taught.teacher.model_dir).signatures["serving_default"]
    for row, (logits, label, there) in found.items():
        example = tf.train.Example.FromString(row).features.feature
        x = tf.constant([example["x"].float_list.value])
        served = serve(x=x)["probabilities"][0]
        np.testing.assert_allclose(tf.nn.softmax(logits), served, atol=1e-5)
        assert (label, there) == (example["label"].int64_list.value[0], True)


def test_a_pass_that_was_killed_goes_on_with_the_shards_that_are_missing(taught, tmp_path, asked):
    (tmp_path / "spec").write_bytes(pickle.dumps((taught.examples, taught.teacher)))
    command = [sys.executable, killed_pass.__file__, tmp_path / "spec", tmp_path / "shards"]
    died = subprocess.run(command, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
    left = sorted(os.listdir(tmp_path / "shards"))
    whole = [name for name in left if name.endswith(".tfrecord")]
    # It died with the last of its shards written and not yet renamed.
    assert (len(whole), len(left)) == (killed_pass.WHOLE, killed_pass.WHOLE + 1)
    before = {name: os.stat(tmp_path / "shards" / name).st_mtime_ns for name in whole}

    shards = write(taught, tmp_path / "shards")
    assert sum(asked) == ROWS - killed_pass.WHOLE * killed_pass.SHARD_ROWS
    assert len(contents(taught, shards)) == ROWS
    for name, time in before.items():
        assert os.stat(tmp_path / "shards" / name).st_mtime_ns == time
    del asked[:]
    assert write(taught, tmp_path / "shards") == shards
    assert asked == []


def test_rows_that_changed_under_the_shards_are_noticed(taught, tmp_path):
    shards = write(taught, tmp_path)
    shutil.copy(shards[0], tmp_path / "00009-0000000.tfrecord")
    with pytest.raises(ExamplesError, match=f"answered 112 rows in .* there are {ROWS} in"):
        write(taught, tmp_path)


def test_beams_portable_runner_gives_the_same_soft_targets_as_the_direct_one(taught, tmp_path):
    service = LocalJobServicer(str(tmp_path / "staging"))
    port = service.start_grpc_server(0)
    options = PipelineOptions(
        runner="PortableRunner",
        job_endpoint=f"localhost:{port}",
        environment_type="LOOPBACK",
    )
    try:
        portable = write(
            taught,
            tmp_path / "portable",
            make_pipeline=lambda: beam.Pipeline(options=options),
        )
    finally:
        service.stop()
    direct = contents(taught, write(taught, tmp_path / "direct"))
    there = contents(taught, portable)
    assert there.keys() == direct.keys()
    for row, (logits, label, has_label) in there.items():
        np.testing.assert_allclose(logits, direct[row][0], atol=1e-5)
        assert (label, has_label) == direct[row][1:]
