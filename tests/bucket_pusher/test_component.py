"""What BucketPusher accepts from a pipeline's author."""

import pytest
from tfx import v1 as tfx

from tfx_shrink import BucketPusher
from tfx_shrink.errors import ParameterError

KINDS = tfx.types.standard_artifacts


def channel(kind):
    return tfx.dsl.Channel(type=kind)


def pusher(**parameters):
    return BucketPusher(
        **{
            "model": channel(KINDS.Model),
            "push_destination": "/srv/models",
            "model_name": "digits",
            **parameters,
        }
    )


def proto(directory):
    filesystem = tfx.proto.PushDestination.Filesystem(base_directory=directory)
    return tfx.proto.PushDestination(filesystem=filesystem)


def test_it_has_the_channels_of_the_stock_pusher():
    ours = pusher(model_blessing=channel(KINDS.ModelBlessing))
    stock = tfx.components.Pusher(
        model=channel(KINDS.Model),
        model_blessing=channel(KINDS.ModelBlessing),
        push_destination=proto("/srv/models/digits"),
    )
    assert ours.inputs.keys() == stock.inputs.keys()
    assert ours.outputs.keys() == stock.outputs.keys()
    assert ours.outputs["pushed_model"].type is stock.outputs["pushed_model"].type
    assert BucketPusher.SPEC_CLASS.INPUTS.keys() == {
        *stock.SPEC_CLASS.INPUTS,
        "examples",
        "transform_graph",
    }


def test_an_infra_blessing_may_stand_for_the_model():
    assert pusher(model=None, infra_blessing=channel(KINDS.InfraBlessing)).id == "BucketPusher"


def test_without_a_model_there_is_nothing_to_push():
    with pytest.raises(ParameterError, match="Give `model`, or an `infra_blessing`"):
        pusher(model=None, model_blessing=channel(KINDS.ModelBlessing))


@pytest.mark.parametrize("directory", ["/srv/models/digits", "/srv/models/digits/"])
def test_a_stock_destination_names_root_and_model(directory):
    component = pusher(push_destination=proto(directory), model_name=None)
    assert component.exec_properties["push_destination"] == "/srv/models"
    assert component.exec_properties["model_name"] == "digits"


@pytest.mark.parametrize(
    ("directory", "root"),
    [("gs://bucket/digits", "gs://bucket"), ("file:///digits", "file:///")],
)
def test_a_stock_destination_may_be_a_url(directory, root):
    component = pusher(push_destination=proto(directory), model_name=None)
    assert component.exec_properties["push_destination"] == root
    assert component.exec_properties["model_name"] == "digits"


def test_a_stock_destination_that_is_a_bucket_alone_is_refused():
    with pytest.raises(ParameterError, match="Received: base_directory='gs://digits'"):
        pusher(push_destination=proto("gs://digits"), model_name=None)


def test_a_stock_destination_and_a_name_contradict_each_other():
    with pytest.raises(ParameterError, match=r"last segment.*Received: model_name='digits'"):
        pusher(push_destination=proto("/srv/models/digits"))


def test_a_stock_destination_may_be_relative():
    component = pusher(push_destination=proto("digits"), model_name=None)
    assert component.exec_properties["model_name"] == "digits"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"push_destination": "ftp://models"}, r"one of \['file://', .*Received: push_destination"),
        ({"push_destination": proto(""), "model_name": None}, "push_destination"),
        ({"model_name": None}, "`model_name` is missing"),
        ({"model_name": "a/b"}, "Received: model_name='a/b'"),
    ],
)
def test_a_wrong_destination_is_refused_when_the_pipeline_is_written(parameters, words):
    with pytest.raises(ParameterError, match=words):
        pusher(**parameters)


def test_runtime_parameters_wait_for_their_value():
    parameter = tfx.dsl.experimental.RuntimeParameter(name="bucket", ptype=str)
    component = pusher(push_destination=parameter)
    assert component.exec_properties["push_destination"] is parameter
    name = tfx.dsl.experimental.RuntimeParameter(name="name", ptype=str)
    assert pusher(model_name=name).exec_properties["model_name"] is name


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (
            {"mode": "newest"},
            r"`mode` must be one of \['latest', 'pinned'\]. Received: mode='newest'",
        ),
        ({"label": "prod"}, r"`label` must be one of \['stable', 'canary'\].*label='prod'"),
        ({"versioning": "dates"}, r"`versioning` must be one of .*Received: versioning='dates'"),
        ({"versioning": 2**63}, "TensorFlow Serving ignores any other. Received: versioning=9223"),
        ({"versioning": 0}, "Received: versioning=0"),
        ({"versioning": True}, "Received: versioning=True"),
        ({"versioning": 3.7}, "Received: versioning=3.7"),
        ({"settle_seconds": -1}, "Received: settle_seconds=-1"),
        ({"retention": 0}, r"must be at least 1.*Received: 0"),
        ({"num_warmup_requests": 5}, "Received: examples=None"),
        ({"examples": channel(KINDS.Examples), "num_warmup_requests": 1001}, "from 1 to 1000"),
    ],
)
def test_a_wrong_setting_is_refused_when_the_pipeline_is_written(parameters, words):
    with pytest.raises(ParameterError, match=words):
        pusher(**parameters)


def test_every_setting_may_be_a_runtime_parameter():
    text = tfx.dsl.experimental.RuntimeParameter(name="text", ptype=str)
    number = tfx.dsl.experimental.RuntimeParameter(name="number", ptype=int)
    component = pusher(
        examples=channel(KINDS.Examples),
        versioning=text,
        mode=text,
        label=text,
        settle_seconds=number,
        retention=number,
        num_warmup_requests=number,
    )
    assert component.exec_properties["versioning"] is text
    assert component.exec_properties["retention"] is number


def test_there_is_no_parameter_for_credentials():
    words = ("key", "secret", "token", "credential", "password")
    for name in BucketPusher.SPEC_CLASS.PARAMETERS:
        assert not [word for word in words if word in name]
