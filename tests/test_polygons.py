"""Polygons of label images: drawn again they are the labels."""

import itertools
import json

import numpy as np
import pytest

from minideeplab.visualize.palettes import voc_palette
from minideeplab.visualize.polygons import geojson, polygons

RNG = np.random.default_rng(0)
RING = np.zeros((5, 6), np.uint8)
RING[1:4, 1:5] = 2
RING[2, 2:4] = 1


def inside(ring, x, y):
    """The even-odd rule, one edge at a time."""
    found = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in itertools.pairwise(ring):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            found ^= crosses & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return found


def drawn(found, shape):
    """Draw polygons (label, rings); every pixel must be in exactly one."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    labels, times = np.zeros(shape, int), np.zeros(shape, int)
    for label, rings in found:
        mask = np.bitwise_xor.reduce([inside(np.asarray(ring), x, y) for ring in rings])
        labels[mask] = label
        times += mask
    assert (times == 1).all()
    return labels


@pytest.mark.parametrize("labels", [
    RING, np.full((3, 4), 7, np.uint8), np.zeros((1, 1), np.uint8),
    np.array([[255, 0, 255]], np.uint8), RNG.integers(0, 3, (12, 9), np.uint8),
    np.repeat(RNG.integers(0, 4, (8, 8)), 3, 1),
])  # fmt: skip
def test_polygons_drawn_again_are_the_labels(labels):
    np.testing.assert_array_equal(drawn(polygons(labels), labels.shape), labels)


def test_a_hole_and_a_straight_side_have_no_points_too_many():
    rings = dict(polygons(RING))
    assert [len(ring) for ring in rings[2]] == [9, 7]  # corners are cut, and the ring is closed
    assert [ring.min(0).tolist() + ring.max(0).tolist() for ring in rings[2]] == [
        [1, 1, 5, 4], [2, 2, 4, 3],
    ]  # fmt: skip
    assert all((ring[0] == ring[-1]).all() for ring in rings[2])


def test_geojson_names_classes_and_colours():
    found = json.loads(json.dumps(geojson(RING, voc_palette(), ["sky", "road", "car"])))
    assert found["type"] == "FeatureCollection" and len(found["features"]) == 3
    car = found["features"][2]
    assert car["properties"]["classification"] == {"name": "car", "color": [0, 128, 0]}
    assert car["properties"]["label"] == 2 and len(car["geometry"]["coordinates"]) == 2
    shapes = [(f["properties"]["label"], f["geometry"]["coordinates"]) for f in found["features"]]
    np.testing.assert_array_equal(drawn(shapes, RING.shape), RING)
