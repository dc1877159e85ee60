"""When weights go: every run reaches its target, and has time to recover."""

import pytest

from tfx_shrink.errors import ParameterError
from tfx_shrink.pruner.schedule import SCHEDULES, make_schedule


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 99, 100, 101, 1234, 100_000])
def test_every_run_reaches_its_target_and_leaves_a_fifth_of_its_steps(name, steps):
    schedule = make_schedule(name, 0.8, steps)
    made = [step for step in range(1, steps + 1) if schedule.makes_masks(step)]
    assert schedule.sparsity(made[-1]) == 0.8
    assert made[-1] == schedule.end
    if steps >= 2:
        assert steps - schedule.end >= 0.2 * steps
    assert len(made) <= 201


def test_a_polynomial_schedule_rises_fast_at_first():
    schedule = make_schedule("polynomial", 0.8, 1000)
    half = (schedule.begin + schedule.end) // 2
    sparsities = [schedule.sparsity(step) for step in (schedule.begin, half, schedule.end, 1000)]
    assert sparsities == pytest.approx([0.0, 0.7, 0.8, 0.8], abs=0.005)


def test_a_constant_schedule_is_there_from_the_first_step():
    assert make_schedule("constant", 0.8, 1000).sparsity(1) == 0.8


def test_an_unknown_schedule_is_answered_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"\['polynomial', 'constant'\].*schedule='linear'"):
        make_schedule("linear", 0.8, 10)
