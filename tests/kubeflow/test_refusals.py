"""What KFP cannot run is refused with the component, the reason and the way out."""

import pytest
from support import kubeflow_pipelines as pipelines
from support.kubeflow_components import Count
from tfx import v1 as tfx
from tfx.types import channel, standard_artifacts

from tfx_shrink.errors import ParameterError
from tfx_shrink.kubeflow.runner import KubeflowRunner


def read(name="CsvExampleGen", base="/data"):
    return tfx.components.CsvExampleGen(input_base=base).with_id(name)


def found(uri="minio://b/examples"):
    return tfx.dsl.Importer(source_uri=uri, artifact_type=standard_artifacts.Examples).with_id(
        "Found"
    )


def refused(made, *words, **settings):
    with pytest.raises(ParameterError) as error:
        pipelines.compile_spec(made, **settings)
    for word in words:
        assert word in str(error.value)


def test_a_resolver():
    made = pipelines.digits(evaluate_float=True)
    refused(
        made,
        "LastBlessedFloatModel: Kubeflow Pipelines has no resolvers.",
        "Importer",
        "RuntimeParameter",
    )


def test_a_module_file(tmp_path):
    module = tmp_path / "module.py"
    module.write_text("def run_fn(fn_args): pass\n")
    examples = read()
    trainer = tfx.components.Trainer(
        module_file=str(module),
        examples=examples.outputs["examples"],
        train_args=tfx.proto.TrainArgs(),
        eval_args=tfx.proto.EvalArgs(),
    )
    refused(pipelines.pipeline([examples, trainer]), "Trainer: a `module_file`", "`run_fn`")


def test_a_union_of_channels():
    one, two = read("One"), read("Two")
    union = channel.union([one.outputs["examples"], two.outputs["examples"]])
    statistics = tfx.components.StatisticsGen(examples=union)
    refused(pipelines.pipeline([one, two, statistics]), "StatisticsGen: its input `examples` joins")


@pytest.mark.parametrize("root", ["file:///artifacts", "/artifacts", "minio://", "az://x/y"])
def test_a_root_that_is_no_bucket(root):
    refused(pipelines.pipeline([read()], root=root), "`pipeline_root` must be", repr(root))


def test_a_name_that_tfx_does_not_compile():
    refused(pipelines.pipeline([read()], name="chicago_taxi"), "'chicago_taxi'; 'chicago-taxi'")


def test_ids_that_collide_once_argo_can_read_them():
    refused(pipelines.pipeline([read("My.Gen"), read("my_gen")]), "My.Gen, my_gen: ", "'my-gen'")


def test_an_importer_of_a_path():
    refused(pipelines.pipeline([found("/models/1")]), "Found: its `source_uri`", "'/models/1'")


def test_an_importer_under_a_condition():
    examples = read()
    count = Count(examples=examples.outputs["examples"])
    with tfx.dsl.Cond(count.outputs["summary"].future()[0].custom_property("enough") == 1):
        imported = found()
    refused(pipelines.pipeline([examples, count, imported]), "Found: ", "outside the `Cond`")


def test_what_only_tfx_knows_is_told_in_its_words():
    examples = read()
    count = Count(examples=examples.outputs["examples"])
    with tfx.dsl.Cond(count.outputs["rows"].future()[0].value == 3):
        again = Count(examples=examples.outputs["examples"]).with_id("Again")
    made = pipelines.pipeline([examples, count, again])
    refused(made, "TFX cannot compile this pipeline for Kubeflow: ", "artifact_value_op")


def test_examples_that_tfx_cannot_open():
    refused(pipelines.pipeline([read(base="s3://bucket/data")]), "CsvExampleGen: its `input_base`")


def test_uris_that_executors_cannot_open():
    refused(pipelines.pipeline([read()]), "`keep_uris=True` needs", keep_uris=True)


def test_a_file_that_kfps_client_does_not_take():
    with pytest.raises(ParameterError, match=r"must end in .yaml"):
        KubeflowRunner("pipeline.json")


def test_two_defaults_of_one_parameter():
    examples = read()
    counts = [
        Count(
            examples=examples.outputs["examples"], minimum=pipelines.runtime_minimum(default)
        ).with_id(f"Count{default}")
        for default in (1, 2)
    ]
    refused(pipelines.pipeline([examples, *counts]), "'minimum' has two defaults, 1 and 2")
