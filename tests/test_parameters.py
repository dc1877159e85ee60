import pytest

from tfx_shrink.errors import ParameterError
from tfx_shrink.parameters import (
    require_above_0,
    require_at_least,
    require_counts,
    require_model_names,
    require_one_of,
    require_port,
)


def test_what_is_not_given_is_not_checked():
    require_above_0({"epochs": None})
    require_at_least(1, {"rounds": None})
    require_counts({"epochs": None})


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "5"])
def test_a_value_that_is_not_above_0_is_named(value):
    with pytest.raises(ParameterError) as error:
        require_above_0({"epochs": 3, "num_steps": value})
    assert (
        str(error.value)
        == f"`num_steps` must be above 0, and finite. Received: num_steps={value!r}."
    )


@pytest.mark.parametrize("value", [0, float("nan"), True, "5"])
def test_a_value_below_its_smallest_is_named(value):
    with pytest.raises(ParameterError) as error:
        require_at_least(1, {"rounds": value})
    assert (
        str(error.value) == f"`rounds` must be at least 1, and finite. Received: rounds={value!r}."
    )


@pytest.mark.parametrize("value", [0, 1.5, True, "5"])
def test_a_count_that_is_no_whole_number_from_1_is_named(value):
    with pytest.raises(ParameterError) as error:
        require_counts({"epochs": value})
    assert (
        str(error.value) == f"`epochs` must be at least 1, and whole. Received: epochs={value!r}."
    )


def test_a_port_that_cannot_be_one_is_refused():
    require_port(None)
    require_port(0)
    with pytest.raises(ParameterError, match="Received: port=65536"):
        require_port(65536)


def test_a_word_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(ParameterError) as error:
        require_one_of("mode", ["c"], {"a": 1, "b": 2})
    assert str(error.value) == "`mode` must be one of ['a', 'b']. Received: mode=['c']."


@pytest.mark.parametrize("names", [[], ["digits", "digits"]])
def test_models_are_named_once_each(names):
    with pytest.raises(ParameterError, match="each of them once"):
        require_model_names(names)
