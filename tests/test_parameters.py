import pytest

from tfx_shrink.errors import ParameterError
from tfx_shrink.parameters import (
    require_above_0,
    require_at_least,
    require_model_names,
    require_one_of,
)


def test_what_is_not_given_is_not_checked():
    require_above_0({"epochs": None})
    require_at_least(1, {"rounds": None})


@pytest.mark.parametrize("value", [0, -1, float("nan"), True, "5"])
def test_a_value_that_is_not_above_0_is_named(value):
    with pytest.raises(ParameterError) as error:
        require_above_0({"epochs": 3, "num_steps": value})
    assert str(error.value) == f"`num_steps` must be above 0. Received: num_steps={value!r}."


@pytest.mark.parametrize("value", [0, float("nan"), True, "5"])
def test_a_value_below_its_smallest_is_named(value):
    with pytest.raises(ParameterError) as error:
        require_at_least(1, {"rounds": value})
    assert str(error.value) == f"`rounds` must be at least 1. Received: rounds={value!r}."


def test_a_word_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(ParameterError) as error:
        require_one_of("mode", "c", {"a": 1, "b": 2})
    assert str(error.value) == "`mode` must be one of ['a', 'b']. Received: mode='c'."


@pytest.mark.parametrize("names", [[], ["digits", "digits"]])
def test_models_are_named_once_each(names):
    with pytest.raises(ParameterError, match="each of them once"):
        require_model_names(names)
