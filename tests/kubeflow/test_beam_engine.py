"""Every pass over rows runs on a Beam engine elsewhere, by `beam_pipeline_args` alone."""

import os

import apache_beam as beam
import pytest
import tensorflow_data_validation as tfdv
from apache_beam.options.pipeline_options import PipelineOptions
from support import beam_engine, kubeflow_pipelines, models, pipelines, rows
from tfx import v1 as tfx

from tfx_shrink.distiller.job import make_job
from tfx_shrink.distiller.settings import Settings
from tfx_shrink.distiller.soft_targets import write_soft_targets
from tfx_shrink.examples.files import read_rows
from tfx_shrink.examples.sample import Sample, sample_rows
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.functions import load

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine():
    """Beam's own, or the one that `make e2e-flink` has started."""
    if given := os.environ.get("BEAM_ENGINE_OPTIONS"):
        yield given.split()
        return
    with beam_engine.portable_engine() as options:
        yield options


@pytest.fixture
def make_pipeline(engine):
    return lambda: beam.Pipeline(options=PipelineOptions(engine))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    features = models.features(96)
    features["label"] = features["x"][:, : models.CLASSES].argmax(1)
    return rows.write(tmp_path_factory.mktemp("labelled") / "rows", features)


def test_calibration_rows_are_those_of_the_direct_runner(labelled, make_pipeline, tmp_path):
    drawn = sample_rows([labelled], 20, seed=3, make_pipeline=make_pipeline, temp_dir=str(tmp_path))
    assert drawn == sample_rows([labelled], 20, seed=3)


def test_soft_targets_are_those_of_the_direct_runner(saved, labelled, make_pipeline, tmp_path):
    sample = Sample(list(read_rows(labelled))[:40], False)
    source = Source(saved("keras"), load(saved("keras")), sample, 0, None, None)
    job = make_job(source, Settings(label_key="label"), [labelled], {})

    def written(name, **runner):
        shards = write_soft_targets(
            job.examples, str(tmp_path / name), job.teacher, "label", **runner
        )
        return [list(read_rows(shard)) for shard in shards]

    assert written("engine", make_pipeline=make_pipeline) == written("direct")


def test_stock_statistics_are_those_of_the_direct_runner(engine, tmp_path):
    data = kubeflow_pipelines.write_rows(tmp_path / "data", rows=100)

    def statistics(name, options):
        root = str(tmp_path / name)
        read = tfx.components.CsvExampleGen(input_base=data)
        counted = tfx.components.StatisticsGen(examples=read.outputs["examples"])
        counted.with_beam_pipeline_args(options)
        made = pipelines.run(
            kubeflow_pipelines.pipeline(
                [read, counted],
                root=root,
                metadata_connection_config=pipelines.connection(root),
            )
        )
        (found,) = made["StatisticsGen"]["statistics"]
        path = os.path.join(found.uri, "Split-train", "FeatureStats.pb")
        return tfdv.load_stats_binary(path).datasets[0]

    counted, direct = statistics("engine", engine), statistics("direct", [])
    assert counted.num_examples == direct.num_examples > 50
    assert [feature.path.step for feature in counted.features] == [
        feature.path.step for feature in direct.features
    ]
    for ours, theirs in zip(counted.features, direct.features, strict=True):
        assert ours.num_stats.mean == pytest.approx(theirs.num_stats.mean)


def test_beam_options_given_once_reach_every_container():
    options = ["--runner=FlinkRunner", "--flink_master=flink-jobmanager:8081"]
    spec = kubeflow_pipelines.compile_spec(
        kubeflow_pipelines.digits("gs://bucket/root", beam_pipeline_args=options),
        keep_uris=True,
    )
    executors = spec["deploymentSpec"]["executors"]
    assert {"exec-distiller", "exec-pruner", "exec-quantizer", "exec-evaluator"} <= set(executors)
    for label, executor in executors.items():
        arguments = executor["container"]["args"]
        assert [option for option in arguments if option in options] == options, label
        assert "--keep_uris" in arguments, label
