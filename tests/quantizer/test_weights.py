"""Weights in fewer bits."""

import numpy as np
import pytest

from tfx_shrink.quantizer.weights import narrow, widen


def restored(weights, storage):
    narrowed = narrow(weights, storage)
    return widen(narrowed.values, narrowed.scale).numpy()


def test_int8_is_off_by_at_most_half_a_step_of_its_own_channel():
    weights = np.random.RandomState(0).randn(64, 8).astype(np.float32) * 10.0 ** np.arange(-4, 4)
    weights = weights.astype(np.float32)
    step = np.abs(weights).max(axis=0) / 127
    assert (np.abs(restored(weights, "int8") - weights) <= step * 0.501).all()


def test_int8_of_a_depthwise_kernel_has_one_scale_per_channel():
    assert narrow(np.ones((3, 3, 32, 1), np.float32), "int8").scale.shape == (1, 1, 32, 1)


def test_zeros_stay_zeros_also_in_a_channel_of_nothing_else():
    weights = np.zeros((32, 2), np.float32)
    weights[:, 1] = np.linspace(-1, 1, 32)
    weights[5, 1] = 0
    back = restored(weights, "int8")
    assert (back[:, 0] == 0).all()
    assert back[5, 1] == 0


@pytest.mark.parametrize(("storage", "digits"), [("float16", 2**-11), ("bfloat16", 2**-8)])
def test_half_types_are_off_by_their_last_digit_and_take_half_the_bytes(storage, digits):
    weights = np.random.RandomState(0).randn(1000).astype(np.float32)
    assert narrow(weights, storage).bytes == weights.nbytes // 2
    assert (np.abs(restored(weights, storage) - weights) <= np.abs(weights) * digits + 1e-7).all()


def test_float16_saturates_instead_of_overflowing():
    back = restored(np.array([1e6, -1e6], np.float32), "float16")
    assert np.isfinite(back).all()
