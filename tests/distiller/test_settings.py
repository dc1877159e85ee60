"""What can be refused without a model is refused without one."""

import pytest

from tfx_shrink.distiller.settings import Settings
from tfx_shrink.errors import ParameterError


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("temperature", 0.0, "must be above 0"),
        ("temperature", -1.0, "must be above 0"),
        ("temperature", float("nan"), "must be above 0"),
        ("temperature", float("inf"), "must be above 0"),
        ("alpha", -0.1, "between 0 .* and 1"),
        ("alpha", 1.1, "between 0 .* and 1"),
        ("alpha", float("nan"), "between 0 .* and 1"),
        ("loss", "hinton", r"must be one of \['kl', 'mse', 'feature'\]"),
        ("teacher_pass", "never", r"must be one of \['cached', 'in_step'\]"),
        ("strategy", "tpu", "must be one of"),
        ("epochs", 0, "must be at least 1"),
        ("num_steps", 0, "must be at least 1"),
        ("batch_size", 0, "must be at least 1"),
        ("learning_rate", 0.0, "must be above 0"),
        ("width", 0.5, "belongs to student='auto'"),
    ],
)
def test_a_parameter_out_of_its_range_is_named_with_what_it_may_be(name, value, words):
    with pytest.raises(ParameterError, match=f"{words}.*Received: {name}={value!r}"):
        Settings(**{name: value}).check(auto=False)


@pytest.mark.parametrize("width", [None, 0.0, 1.0, 2.0])
def test_auto_needs_a_width_that_makes_it_narrower(width):
    with pytest.raises(ParameterError, match=f"Received: width={width!r}"):
        Settings(width=width).check(auto=True)


@pytest.mark.parametrize(
    ("parameters", "context", "words"),
    [
        ({"loss": "feature"}, {}, "`feature_pairs` and loss='feature' belong together"),
        ({"feature_pairs": {"a": "b"}}, {}, "`feature_pairs` and loss='feature' belong together"),
        ({}, {"has_input_fn": True}, "give teacher_pass='in_step'"),
        (
            {"teacher_pass": "in_step", "label_key": "y"},
            {"has_input_fn": True},
            "Leave `label_key` out",
        ),
        ({"control": True}, {"evaluates": True}, "give `label_key`"),
        ({"control": True, "label_key": "y"}, {}, "give `eval_splits`"),
        ({"patience": 1}, {}, "give `eval_splits`"),
        ({"alpha": 1.0}, {}, "hard labels alone: give `label_key`"),
        ({"alpha": 1.0}, {"has_input_fn": None}, "hard labels alone: give `label_key`"),
        ({"alpha": 1.0, "teacher_pass": "in_step"}, {}, "hard labels alone: give `label_key`"),
        ({"epochs": 1, "num_steps": 1}, {}, "not both"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(parameters, context, words):
    with pytest.raises(ParameterError, match=words):
        Settings(**parameters).check(auto=False, **context)


def test_the_ends_of_the_ranges_are_allowed():
    Settings(alpha=0.0).check(auto=False)
    Settings(alpha=1.0, label_key="y").check(auto=False)
    for has_input_fn in (True, None):
        Settings(alpha=1.0, teacher_pass="in_step").check(auto=False, has_input_fn=has_input_fn)
    Settings(width=0.01, temperature=0.1).check(auto=True)
