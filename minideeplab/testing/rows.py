"""Writers of the table's rows, and the rows that every operation needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from minideeplab.testing.case import Array, Case, Fill, normal, placed

TILE = "a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one"


class Rows:
    """Writer of the rows of one operation: ``row = Rows(single, "relu")``, ``row(name, shape)``.

    ``build`` is ``single``, ``weighted`` or another maker of a Case that takes ``tags``, ``note``
    and ``layout``; it gets ``first`` before a row's name and ``given`` besides its details.
    """

    def __init__(self, build: Callable[..., Case], *first: Any, **given: Any) -> None:
        self.build, self.first, self.given = build, first, given

    def __call__(self, name: str, *shapes: Any, **details: Any) -> Case:
        """Return a row."""
        return self.build(*self.first, name, *shapes, **self.given | details)

    def edge(self, name: str, *shapes: Any, tags: str = "", **details: Any) -> Case:
        """Return a row tagged "edge"."""
        return self(name, *shapes, tags=f"edge {tags}", **details)

    def empty(self, *shapes: Any, **details: Any) -> Case:
        """Return the row "empty-batch"."""
        return self("empty-batch", *shapes, tags="empty", **details)

    def tile(self, *shapes: Any, **details: Any) -> Case:
        """Return the row "beyond-a-tile", too large for one tile of a fast kernel."""
        return self("beyond-a-tile", *shapes, note=TILE, **details)

    def large(self, what: str, *shapes: Any, **details: Any) -> Case:
        """Return the row "large-<what>", beyond what a fixed buffer or a short integer holds."""
        return self(f"large-{what}", *shapes, tags="size", **details)

    def laid(self, layout: str, *shapes: Any, **details: Any) -> Case:
        """Return the row "<layout>-input", whose arrays lie in memory as ``layout`` says."""
        name = f"{layout.split()[0].replace('_', '-')}-input"
        return self(name, *shapes, layout=layout, tags="strided", **details)


def make_row(
    op: str,
    name: str,
    arrays: Mapping[str, Array | None],
    differentiable: tuple[str, ...] = ("input",),
    *,
    updated: tuple[str, ...] = (),
    tags: str = "",
    note: str = "",
    **options: Any,
) -> Case:
    """Return a row with its tags in words; what is not named here is an option."""
    kinds = frozenset(tags.split())
    return Case(op, name, arrays, options, differentiable, updated, kinds, note)


def two_layouts(layout: str) -> tuple[str, str]:
    """Return the layouts of the first and the second array: one word for both, or two."""
    first, *rest = layout.split()
    return first, (rest or [first])[0]


def single(
    op: str,
    name: str,
    x: tuple[int, ...],
    *,
    fill: Fill = normal,
    layout: str = "contiguous",
    gradient: bool = True,
    **details: Any,
) -> Case:
    """Return a row of an operation with one array argument, ``input`` of shape ``x``."""
    return make_row(
        op, name, {"input": Array(x, fill, layout)}, ("input",) if gradient else (), **details
    )


def weighted(
    op: str,
    name: str,
    x: tuple[int, ...],
    w: tuple[int, ...],
    b: int | None = None,
    *,
    fill: Fill = normal,
    layout: str = "contiguous",
    **details: Any,
) -> Case:
    """Return a row with an input of shape ``x``, a weight ``w`` and perhaps ``b`` biases."""
    first, second = two_layouts(layout)
    arrays = {"input": Array(x, fill, first), "weight": Array(w, normal, second)}
    if b is not None:
        arrays["bias"] = Array((b,))
    return make_row(op, name, arrays, tuple(arrays), **details)


def nan_in_parameters(
    op: str, x: tuple[int, ...], w: tuple[int, ...], b: int, place: tuple[int, ...]
) -> Case:
    """Return a row with NaN at ``place`` of the weight, infinity and NaN in the bias.

    A network that has diverged must show it: these must not be cleaned away. The input's gradient
    is not judged: which pixels the NaN reaches depends on how the sum is organised.
    """
    arrays = {
        "input": Array(x),
        "weight": Array(w, placed({place: float("nan")})),
        "bias": Array((b,), placed({(0,): float("inf"), (-1,): float("nan")})),
    }
    note = "NaN in the weight and the bias, and infinity, reach every result that they are part of"
    return make_row(op, "nan-parameters", arrays, ("weight", "bias"), tags="nan", note=note)
