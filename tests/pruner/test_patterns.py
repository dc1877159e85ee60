"""Where the zeros stand: exact numbers, the smallest first, groups as the kernels need them."""

import numpy as np
import pytest

from tfx_shrink.pruner.patterns import has_two_of_four, make_masks, uncovered, zero_units

WEIGHTS = np.random.RandomState(0).randn(16, 10).astype(np.float32)


def mask(tensor, pattern, sparsity=0.5):
    (stays,) = make_masks([tensor], pattern, sparsity)
    assert stays.shape == tensor.shape
    return stays


@pytest.mark.parametrize(("sparsity", "zeros"), [(0.5, 80), (0.8, 128), (0.99, 158), (0.999, 159)])
def test_unstructured_masks_take_the_smallest_and_their_number_is_exact(sparsity, zeros):
    stays = mask(WEIGHTS, "unstructured", sparsity)
    assert (~stays).sum() == zeros
    assert np.abs(WEIGHTS[~stays]).max() < np.abs(WEIGHTS[stays]).min()


def test_equal_weights_do_not_all_go_together():
    assert mask(np.ones((10, 10)), "unstructured", 0.8).sum() == 20


def test_blocks_of_four_neighbours_along_the_output_go_by_their_mean_magnitude():
    tensor = np.full((2, 10), 3.0)
    tensor[0, :4] = [0, 0, 0, 11]  # Mean 2.75, though it holds the largest weight.
    tensor[1, 8:] = 2.0  # The last block is only two wide.
    stays = mask(tensor, "block_1x4", 2 / 6)
    assert np.argwhere(~stays).tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 8], [1, 9]]
    assert zero_units(tensor * stays, "block_1x4") == (2, 6)


@pytest.mark.parametrize("shape", [(16, 10), (6, 10), (3, 5), (3, 3, 8, 4)])
def test_of_every_four_along_the_input_the_two_largest_stay(shape):
    tensor = np.random.RandomState(0).randn(*shape)
    stays = mask(tensor, "2_of_4")
    assert has_two_of_four(tensor * stays)
    moved, kept = (np.moveaxis(array, -2, -1).reshape(-1, shape[-2]) for array in (tensor, stays))
    for row, flags in zip(np.abs(moved), kept, strict=True):
        for start in range(0, len(row), 4):
            four, stay = row[start : start + 4], flags[start : start + 4]
            assert stay.sum() == min(2, len(four))
            assert set(four[stay]) == set(sorted(four)[-2:])


def test_three_of_four_are_found():
    tensor = np.zeros((8, 1))
    tensor[[0, 1, 4, 5]] = 1
    assert has_two_of_four(tensor)
    tensor[6] = 1
    assert not has_two_of_four(tensor)


def test_global_scope_takes_more_from_tensors_of_smaller_weights_but_leaves_each_something():
    large, small = 10 * WEIGHTS, WEIGHTS / 1000
    stays = make_masks([large, small, WEIGHTS], "unstructured", 0.6, "global")
    counts = [int(flags.sum()) for flags in stays]
    assert counts[1] == 1
    assert counts[0] > counts[2]
    assert sum(counts) == pytest.approx(0.4 * 480, abs=1)


def test_what_a_pattern_cannot_cover_is_said():
    assert uncovered("unstructured", (3,)) is None
    assert "two-dimensional" in uncovered("block_1x4", (3, 3, 8, 8))
    assert uncovered("2_of_4", (3, 3, 8, 8)) is None
    assert "(2, 8)" in uncovered("2_of_4", (2, 8))
    assert "four-dimensional" in uncovered("2_of_4", (3, 8, 8))
