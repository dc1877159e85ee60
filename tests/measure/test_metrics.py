"""How often a classifier is right."""

import numpy as np
import pytest

from tfx_shrink.measure.interval import wilson_interval
from tfx_shrink.measure.metrics import accuracy

SCORES = np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])


@pytest.mark.parametrize("shape", [[4], [4, 1]])
def test_highest_score_is_compared_with_the_label(shape):
    found = accuracy(SCORES, np.array([1, 0, 0, 1]).reshape(shape))
    assert (found.value, found.rows) == (0.75, 4)


def test_interval_belongs_to_the_same_rows():
    found = accuracy(SCORES, np.array([1, 0, 0, 1]))
    assert (found.low, found.high) == wilson_interval(3, 4)
    assert found.low < found.value < found.high
