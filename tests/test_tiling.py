"""Large images in overlapping tiles: every pixel covered, no seams, the same labels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from minideeplab.tiling import blend_tiles, tile_starts


@pytest.mark.parametrize("length, side", [(5, 16), (16, 16), (17, 16), (100, 16), (101, 32)])
def test_tiles_cover_the_length_and_overlap(length, side):
    starts = tile_starts(length, side)
    assert starts[0] == 0 and starts[-1] + side >= length
    assert all(0 < b - a <= side - side // 4 for a, b in pairwise(starts))


def test_a_function_of_each_pixel_alone_is_unchanged_by_tiles():
    image = np.random.default_rng(0).random((50, 70, 3), np.float32)
    result = blend_tiles(image, 16, lambda tile: tile.transpose(2, 0, 1))
    np.testing.assert_allclose(result, image.transpose(2, 0, 1), rtol=1e-6)


def test_results_that_differ_between_tiles_change_gradually():
    count = iter(range(100))
    result = blend_tiles(np.zeros((16, 200, 3)), 32, lambda t: np.full((1, 16, 32), next(count)))
    assert np.abs(np.diff(result[0, 0])).max() < 1 / 4
