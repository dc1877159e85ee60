"""What a compiled pipeline takes for granted of its pods is said to the person who compiles it."""

from support import kubeflow_pipelines
from support.pipelines import stock_components
from tfx import v1 as tfx

from tfx_shrink.kubeflow.pod_needs import pod_needs

MOUNTED = {"CsvExampleGen": {"volumes": {"/data": "rows"}}}


def test_a_path_to_read_without_a_volume_is_told_and_one_below_a_volume_is_not():
    told = ["the image, or a volume (--platform), must hold /data/digits: CsvExampleGen"]
    pipeline = kubeflow_pipelines.sample("/data/digits")
    assert [need for need in pod_needs(pipeline, {}) if "/data" in need] == told
    assert not [need for need in pod_needs(pipeline, MOUNTED) if "/data" in need]
    other = kubeflow_pipelines.sample("/database")
    assert [need for need in pod_needs(other, MOUNTED) if "/data" in need]


def test_modules_of_the_author_are_told_with_their_components():
    components = stock_components("gs://rows", "cancer")
    rows, *_, trainer = components
    evaluator = tfx.components.Evaluator(
        examples=rows.outputs["examples"],
        model=trainer.outputs["model"],
        module_path="tfx_shrink.evaluation",
    )
    pipeline = tfx.dsl.Pipeline("cancer", "gs://root", components=[*components, evaluator])
    assert pod_needs(pipeline, {}) == ["the image must hold the module cancer: Transform, Trainer"]
