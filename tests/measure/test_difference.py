"""How far two models' outputs lie apart, and what is no answer at all."""

import numpy as np
import pytest

from tfx_shrink.errors import ProofError
from tfx_shrink.measure.difference import OutputDifference, output_difference


def test_largest_and_99th_percentile_are_over_all_outputs_and_elements():
    source = {"a": np.zeros([100, 2], np.float32), "b": np.zeros([100], np.float32)}
    result = {"a": np.zeros([100, 2], np.float32), "b": np.arange(100, dtype=np.float32)}
    # 300 differences: 200 zeros and 0..99. The rank of the 99th percentile is .99 * 299 = 296.01.
    assert output_difference(source, result) == OutputDifference(
        max=99.0, p99=pytest.approx(96.01), rows=100
    )


def test_difference_has_no_sign():
    source = {"a": np.array([1.0, 1.0])}
    assert output_difference(source, {"a": np.array([-2.0, 2.0])}).max == 3.0


def test_small_integers_do_not_wrap():
    source, result = {"a": np.array([100], np.int8)}, {"a": np.array([-100], np.int8)}
    assert output_difference(source, result).max == 200


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_value_that_is_not_finite_is_refused_where_the_source_is(broken):
    source, result = {"score": np.zeros([2, 2])}, {"score": np.array([[0, broken], [0, 0]])}
    with pytest.raises(ProofError, match="'score' holds NaN or infinity in 1 of 4 values"):
        output_difference(source, result)


def test_what_is_not_finite_in_the_source_is_left_out():
    source = {"a": np.array([np.nan, np.inf, 1.0])}
    result = {"a": np.array([7.0, np.nan, 3.0])}
    assert output_difference(source, result) == OutputDifference(max=2.0, p99=2.0, rows=3)


def test_source_without_a_finite_value_is_refused():
    nan = {"a": np.full([3], np.nan)}
    with pytest.raises(ProofError, match="the source itself gives NaN"):
        output_difference(nan, nan)


def test_another_shape_is_refused_with_both():
    source, result = {"a": np.zeros([4, 3])}, {"a": np.zeros([4, 1])}
    with pytest.raises(ProofError) as refusal:
        output_difference(source, result)
    assert "'a'" in str(refusal.value)
    assert "source (4, 3), result (4, 1)" in str(refusal.value)


def test_other_names_are_refused_with_both():
    with pytest.raises(ProofError, match=r"source \['a'\], result \['a', 'b'\]"):
        output_difference({"a": np.zeros(1)}, {"b": np.zeros(1), "a": np.zeros(1)})
