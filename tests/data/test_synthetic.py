"""Synthetic scenes: the same on every machine, with every class and exact borders."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from minideeplab.data import SyntheticScenes

CHECKSUMS = [4140948369, 3244043107, 139566787, 3147297555]


def test_scenes_are_the_same_everywhere():
    ds = SyntheticScenes(1000, (97, 129), seed=4)
    sums = [zlib.crc32(array.tobytes()) for i in (0, 999) for array in ds[i]]
    assert sums == CHECKSUMS


def test_seed_and_index_make_the_scene_not_the_count():
    a, b = SyntheticScenes(3, seed=1)[2], SyntheticScenes(9, seed=1)[2]
    np.testing.assert_array_equal(a[0], b[0])
    assert (SyntheticScenes(3, seed=2)[2][0] != a[0]).any()
    assert (SyntheticScenes(3, seed=1)[1][0] != a[0]).any()


def test_every_class_and_the_border_occur():
    ds = SyntheticScenes(30)
    parts = np.zeros(256)
    for image, labels in ds:
        assert image.shape == (121, 161, 3) and image.dtype == labels.dtype == np.uint8
        parts += np.bincount(labels.ravel(), minlength=256) / labels.size / len(ds)
    assert set(np.flatnonzero(parts)) == {*range(6), 255}
    assert parts[:6].min() > 0.005 and 0.04 < parts[255] < 0.2


def test_two_classes_never_touch_without_a_border():
    for _, labels in SyntheticScenes(10, seed=3):
        for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
            assert not ((a != b) & (a != 255) & (b != 255)).any()


def test_border_zero_gives_no_ignored_pixel():
    assert (SyntheticScenes(1, border=0)[0][1] != 255).all()


def test_indices_like_a_list():
    ds = SyntheticScenes(2)
    np.testing.assert_array_equal(ds[-1][0], ds[1][0])
    with pytest.raises(IndexError):
        ds[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count"),
        ({"count": 1, "size": (8, 100)}, "size"),
        ({"count": 1, "seed": -1}, "seed"),
        ({"count": 1, "border": -1}, "border"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"{message}: expected"):
        SyntheticScenes(**arguments)
