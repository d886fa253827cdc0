"""Polygons of label images, as GeoJSON for the tools that people label with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minideeplab.visualize.palettes import full_palette

Rings = list[np.ndarray]


def polygons(labels: np.ndarray) -> Iterator[tuple[int, Rings]]:
    """Yield (label, rings) of each connected region of labels (H, W).

    The first ring is the outline, others are holes: closed, (P, 2), x and y in pixels from the
    upper left corner of the image, so that pixel (i, j) has its centre at (j + 0.5, i + 0.5). Lines
    pass halfway between the centres of pixels: those inside the polygons of a label are its pixels.
    """
    import contourpy

    padded = np.pad(labels.astype(np.int64), 1, constant_values=-1)
    for label in np.unique(labels):
        generator = contourpy.contour_generator(
            z=(padded == label).astype(float), fill_type=contourpy.FillType.OuterOffset
        )
        for points, offsets in zip(*generator.filled(0.5, 1.5), strict=True):
            rings = np.split(points - 0.5, offsets[1:-1])  # the padding is one pixel
            yield int(label), [_without_midpoints(ring) for ring in rings]


def geojson(
    labels: np.ndarray,
    palette: np.ndarray,
    classes: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return a GeoJSON FeatureCollection with a Polygon for each connected region of labels (H, W).

    Coordinates are pixels, as in :func:`polygons`. A feature's properties have its label, and the
    name and colour of its class in the form that QuPath reads.
    """
    features, colours = [], full_palette(palette).tolist()
    for label, rings in polygons(labels):
        name = classes[label] if classes else f"class {label}"
        colour = {"name": name, "color": colours[label & 255]}
        features.append({
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring.tolist() for ring in rings]},
            "properties": {"objectType": "annotation", "label": label, "classification": colour},
        })  # fmt: skip
    return {"type": "FeatureCollection", "features": features}


def _without_midpoints(ring: np.ndarray) -> np.ndarray:
    """Return a closed ring (P, 2) without the points between two others on a straight line."""
    points = ring[:-1]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    corners = points[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    return np.concatenate([corners, corners[:1]])
