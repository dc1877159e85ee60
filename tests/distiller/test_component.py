"""Distiller as a pipeline author constructs it."""

import pytest
from tfx import v1 as tfx
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel_utils, standard_artifacts

from tfx_shrink.distiller.component import Distiller
from tfx_shrink.errors import ParameterError
from tfx_shrink.tfx_seam.components import json_utils


def distiller(**parameters):
    return Distiller(
        teacher_model=channel_utils.as_channel([standard_artifacts.Model()]),
        examples=channel_utils.as_channel([standard_artifacts.Examples()]),
        **{"module_path": "mine", **parameters},
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.0),
        ("alpha", 1.5),
        ("loss", "hinton"),
        ("teacher_pass", "never"),
        ("student", "small"),
        ("width", 0.5),
        ("strategy", "tpu"),
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", -1.0),
        ("splits", "train"),
        ("eval_splits", "eval"),
    ],
)
def test_parameter_out_of_range_is_refused_before_any_pipeline_runs(name, value):
    with pytest.raises(ParameterError, match=f"Received: {name}={value!r}"):
        distiller(**{name: value})


def test_parameters_that_contradict_each_other_are_refused():
    with pytest.raises(ParameterError, match="epochs=2, num_steps=10"):
        distiller(epochs=2, train_args=tfx.proto.TrainArgs(num_steps=10))
    with pytest.raises(ParameterError, match="`module_path` or `module_file`, not both"):
        distiller(module_file="mine.py")
    with pytest.raises(ParameterError, match="There is no student"):
        distiller(module_path=None)
    with pytest.raises(ParameterError, match="width=None"):
        distiller(student="auto")
    with pytest.raises(ParameterError, match="give `label_key`"):
        distiller(control=True, eval_splits=["eval"])
    with pytest.raises(ParameterError, match="give `label_key`"):
        distiller(alpha=1, teacher_pass="in_step", student="auto", width=0.5, module_path=None)
    with pytest.raises(ParameterError, match="give `eval_splits`"):
        distiller(patience=2)
    with pytest.raises(ParameterError, match="belong together"):
        distiller(loss="feature")


def test_model_and_model_run_are_the_outputs():
    outputs = distiller().outputs
    assert {name: channel.type for name, channel in outputs.items()} == {
        "model": standard_artifacts.Model,
        "model_run": standard_artifacts.ModelRun,
    }


def test_parameters_reach_the_executor():
    properties = distiller(
        splits=["train", "more"],
        eval_splits=["eval"],
        loss="feature",
        feature_pairs={"dense": "h"},
        drop_signatures=["serve"],
        train_args=tfx.proto.TrainArgs(num_steps=7),
        temperature=2,
        alpha=1,
        label_key="label",
        control=True,
        work_dir="/work",
    ).exec_properties
    assert json_utils.loads(properties["splits"]) == ["train", "more"]
    assert json_utils.loads(properties["eval_splits"]) == ["eval"]
    assert json_utils.loads(properties["feature_pairs"]) == {"dense": "h"}
    assert json_utils.loads(properties["drop_signatures"]) == ["serve"]
    assert '"num_steps": 7' in properties["train_args"]
    assert (properties["temperature"], properties["alpha"], properties["control"]) == (2.0, 1.0, 1)
    assert (properties["module_path"], properties["work_dir"]) == ("mine", "/work")
    assert (properties["teacher_pass"], properties["batch_size"]) == ("cached", 32)


def test_optional_inputs_may_be_left_out():
    assert sorted(distiller().inputs) == ["examples", "teacher_model"]
    with_both = distiller(
        transform_graph=channel_utils.as_channel([standard_artifacts.TransformGraph()]),
        schema=channel_utils.as_channel([standard_artifacts.Schema()]),
    )
    assert sorted(with_both.inputs) == ["examples", "schema", "teacher_model", "transform_graph"]


@pytest.mark.parametrize(
    ("name", "kind", "others"),
    [
        ("temperature", float, {}),
        ("alpha", float, {}),
        ("loss", str, {}),
        ("loss", str, {"feature_pairs": {"dense": "h"}}),
        ("label_key", str, {"control": True, "eval_splits": ["eval"]}),
        ("student", str, {"width": 0.5}),
        ("width", float, {"student": "auto"}),
        ("teacher_pass", str, {}),
        ("epochs", int, {}),
        ("patience", int, {"eval_splits": ["eval"]}),
        ("work_dir", str, {}),
        ("module_path", str, {}),
    ],
)
def test_parameters_may_be_given_when_the_pipeline_runs(name, kind, others):
    parameter = RuntimeParameter(name=name, ptype=kind)
    assert distiller(**{**others, name: parameter}).exec_properties[name] is parameter


def test_a_module_file_is_packed_as_the_stock_trainers(tmp_path):
    (tmp_path / "mine.py").write_text("def student_fn(fn_args):\n    pass\n")
    made = distiller(module_path=None, module_file=str(tmp_path / "mine.py"))
    assert made._pip_dependencies
