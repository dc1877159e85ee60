"""Pruner as a pipeline author constructs it."""

import pytest
from tfx import v1 as tfx
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel_utils, standard_artifacts

from tfx_shrink.errors import ParameterError
from tfx_shrink.pruner.component import Pruner
from tfx_shrink.tfx_seam.components import json_utils


def pruner(**parameters):
    return Pruner(
        base_model=channel_utils.as_channel([standard_artifacts.Model()]),
        examples=channel_utils.as_channel([standard_artifacts.Examples()]),
        **{"target_sparsity": 0.8, **parameters},
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_sparsity", 1.5),
        ("pattern", "4_of_8"),
        ("schedule", "cosine"),
        ("scope", "model"),
        ("method", "train"),
        ("strategy", "tpu"),
        ("loss", "doom"),
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", -1.0),
        ("splits", "train"),
        ("layers", "dense"),
    ],
)
def test_parameter_out_of_range_is_refused_before_any_pipeline_runs(name, value):
    with pytest.raises(ParameterError, match=f"Received: {name}={value!r}"):
        pruner(**{name: value})


def test_parameters_that_contradict_each_other_are_refused():
    with pytest.raises(ParameterError, match="epochs=2, num_steps=10"):
        pruner(epochs=2, train_args=tfx.proto.TrainArgs(num_steps=10))
    with pytest.raises(ParameterError, match="`module_path` or `module_file`, not both"):
        pruner(module_path="mine", module_file="mine.py")
    with pytest.raises(ParameterError, match="needs a label"):
        pruner(method="fine_tune")
    with pytest.raises(ParameterError, match="target_sparsity=None"):
        pruner(target_sparsity=None)


def test_model_and_model_run_are_the_outputs():
    outputs = pruner().outputs
    assert {name: channel.type for name, channel in outputs.items()} == {
        "model": standard_artifacts.Model,
        "model_run": standard_artifacts.ModelRun,
    }


def test_parameters_reach_the_executor():
    properties = pruner(
        splits=["train", "more"],
        layers=["dense*"],
        skip_layers=["head"],
        train_args=tfx.proto.TrainArgs(num_steps=7),
        learning_rate=1,
        module_path="mine",
        work_dir="/work",
    ).exec_properties
    assert json_utils.loads(properties["splits"]) == ["train", "more"]
    assert json_utils.loads(properties["layers"]) == ["dense*"]
    assert json_utils.loads(properties["skip_layers"]) == ["head"]
    assert '"num_steps": 7' in properties["train_args"]
    assert properties["learning_rate"] == 1.0
    assert properties["module_path"] == "mine"
    assert properties["work_dir"] == "/work"
    assert properties["target_sparsity"] == 0.8
    assert (properties["pattern"], properties["batch_size"]) == ("unstructured", 32)


def test_optional_inputs_may_be_left_out():
    assert sorted(pruner().inputs) == ["base_model", "examples"]
    with_both = pruner(
        transform_graph=channel_utils.as_channel([standard_artifacts.TransformGraph()]),
        schema=channel_utils.as_channel([standard_artifacts.Schema()]),
    )
    assert sorted(with_both.inputs) == ["base_model", "examples", "schema", "transform_graph"]


@pytest.mark.parametrize(
    ("name", "kind", "others"),
    [
        ("target_sparsity", float, {"pattern": "unstructured"}),
        ("pattern", str, {}),
        ("pattern", str, {"target_sparsity": None}),
        ("label_key", str, {"method": "fine_tune"}),
        ("epochs", int, {}),
        ("work_dir", str, {}),
        ("module_path", str, {}),
    ],
)
def test_parameters_may_be_given_when_the_pipeline_runs(name, kind, others):
    parameter = RuntimeParameter(name=name, ptype=kind)
    assert pruner(**{**others, name: parameter}).exec_properties[name] is parameter


def test_a_module_file_is_packed_as_the_stock_trainers(tmp_path):
    (tmp_path / "mine.py").write_text("def compile_fn(model):\n    pass\n")
    made = pruner(module_file=str(tmp_path / "mine.py"))
    dependency = made._pip_dependencies
    assert dependency
