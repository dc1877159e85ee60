"""Quantizer as a pipeline author constructs it."""

import pytest
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel_utils, standard_artifacts

from tfx_shrink.errors import ParameterError
from tfx_shrink.quantizer.component import Quantizer
from tfx_shrink.tfx_seam.components import json_utils


def quantizer(**parameters):
    return Quantizer(
        base_model=channel_utils.as_channel([standard_artifacts.Model()]),
        examples=channel_utils.as_channel([standard_artifacts.Examples()]),
        **{"scheme": "int8", **parameters},
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("scheme", "int7", "scheme='int7'"),
        ("num_calibration_examples", 0, "num_calibration_examples=0"),
        ("time_limit", 0, "time_limit=0"),
        ("splits", "train", "splits='train'"),
        ("splits", (), r"splits=\(\)"),
    ],
)
def test_parameter_out_of_range_is_refused_before_any_pipeline_runs(name, value, told):
    with pytest.raises(ParameterError, match=f"`{name}` must be .*Received: {told}"):
        quantizer(**{name: value})


def test_model_is_the_one_output():
    made = quantizer()
    assert list(made.outputs) == ["model"]
    assert made.outputs["model"].type is standard_artifacts.Model


def test_parameters_reach_the_executor():
    properties = quantizer(splits=["train", "more"], seed=7, signature_name="dense").exec_properties
    assert properties["scheme"] == "int8"
    assert properties["signature_name"] == "dense"
    assert json_utils.loads(properties["splits"]) == ["train", "more"]
    assert properties["num_calibration_examples"] == 1000
    assert properties["seed"] == 7
    assert properties["time_limit"] == 3600


def test_optional_inputs_may_be_left_out():
    assert sorted(quantizer().inputs) == ["base_model", "examples"]
    with_both = quantizer(
        transform_graph=channel_utils.as_channel([standard_artifacts.TransformGraph()]),
        schema=channel_utils.as_channel([standard_artifacts.Schema()]),
    )
    assert sorted(with_both.inputs) == ["base_model", "examples", "schema", "transform_graph"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("scheme", str),
        ("signature_name", str),
        ("num_calibration_examples", int),
        ("seed", int),
        ("time_limit", int),
    ],
)
def test_runtime_parameter_is_accepted(name, kind):
    parameter = RuntimeParameter(name=name, ptype=kind)
    assert quantizer(**{name: parameter}).exec_properties[name] is parameter


@pytest.mark.parametrize(
    ("runtime", "plain"),
    [("time_limit", "num_calibration_examples"), ("num_calibration_examples", "time_limit")],
)
def test_plain_parameter_is_checked_beside_a_runtime_one(runtime, plain):
    with pytest.raises(ParameterError, match=f"`{plain}` must be"):
        quantizer(**{runtime: RuntimeParameter(name=runtime, ptype=int), plain: 0})


def test_beam_arguments_reach_the_executor():
    made = quantizer().with_beam_pipeline_args(["--direct_num_workers=2"])
    assert "--direct_num_workers=2" in made.executor_spec.beam_pipeline_args
