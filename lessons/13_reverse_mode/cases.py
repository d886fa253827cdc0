"""Lesson 13: its tasks, and the cases that judge them."""

from __future__ import annotations

import given
import numpy as np

from minideeplab.grading import About, Case, Given, Task
from minideeplab.ops import norm

ABOUT = About(
    title="Reverse mode: building the tape",
    minutes=120,
    needs=("08",),
    paper="training by backpropagation, 4.1; batch norm: arXiv 1502.03167",
)

Graph = dict[str, tuple[str, tuple[str, ...]]]


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


# ---------------------------------------------------------------- references


def order_by_iterators(inputs: dict[str, tuple[str, ...]], last: str) -> list[str]:
    """Walk with a stack of iterators, one for each value on the way down."""
    order: dict[str, None] = {}
    open_names, stack = {last}, [(last, iter(inputs[last]))]
    while stack:
        name, rest = stack[-1]
        below = next((one for one in rest if one not in open_names), None)
        if below is None:
            order[name] = None
            stack.pop()
        else:
            open_names.add(below)
            stack.append((below, iter(inputs[below])))
    return list(order)


def sum_over_paths(graph: Graph, order: list[str], values: dict, dy: np.ndarray, pullback) -> dict:
    """Follow every path from the last value to a leaf, and add up what arrives."""
    found: dict[str, np.ndarray] = {}

    def follow(name: str, share: np.ndarray) -> None:
        op, inputs = graph[name]
        if not inputs:
            found[name] = found.get(name, 0.0) + share
            return
        arrays = [values[one] for one in inputs]
        for one, part in zip(inputs, pullback(op, share, arrays, values[name]), strict=True):
            follow(one, part)

    follow(order[-1], np.array(dy))
    return found


def count_uses(dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Ask of each entry where broadcasting puts it, and add dy there."""
    places = np.broadcast_to(np.arange(int(np.prod(shape))).reshape(shape), dy.shape)
    sums = np.bincount(places.ravel(), dy.ravel(), int(np.prod(shape)))
    return sums.reshape(shape)


def kept_by_paths(graph: Graph, order: list[str], wanted: list[str], needs: dict) -> list[str]:
    """Ask of each input whether a wanted leaf is below it."""

    def wants(name: str) -> bool:
        return name in wanted or any(map(wants, graph[name][1]))

    kept = set()
    for name in order:
        op, inputs = graph[name]
        for place, one in enumerate(inputs):
            if wants(one):
                kept |= {name if what == "result" else inputs[what] for what in needs[op][place]}
    return sorted(kept)


def normalise_backward(
    dy: np.ndarray, x: np.ndarray, weight: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ask the library."""
    _, mean, invstd = norm.batch_norm(x, None, None, weight, None, True, eps)
    return norm.batch_norm_backward(dy, x, mean, invstd, weight, True)


# ---------------------------------------------------------------- cases


def net(text: str) -> Graph:
    """Parse "y = mul x w; z = exp y": a value that is not computed is a leaf."""
    graph: Graph = {}
    for part in text.split(";"):
        name, _, op, *inputs = part.split()
        for one in inputs:
            graph.setdefault(one, ("leaf", ()))
        graph[name] = op, tuple(inputs)
    return graph


def links(text: str) -> dict[str, tuple[str, ...]]:
    """Return the inputs of each value alone."""
    return {name: inputs for name, (_, inputs) in net(text).items()}


def gradient_case(name: str, text: str, seed: int, shapes: dict | None = None, shown=False) -> Case:
    """Build a case of task 13.2: leaves of shape (2, 3) unless said otherwise."""
    graph = net(text)
    order = order_by_iterators({n: i for n, (_, i) in graph.items()}, list(graph)[-1])
    values: dict[str, np.ndarray] = {}
    for place, one in enumerate(order):
        op, inputs = graph[one]
        shape = (shapes or {}).get(one, (2, 3))
        arrays = [values[n] for n in inputs]
        values[one] = given.forward(op, arrays) if inputs else numbers(seed + place, *shape)
    dy = numbers(seed + 99, *values[order[-1]].shape)
    return Case(name, (graph, order, values, dy, Given("pullback")), shown=shown)


def kept_case(name: str, text: str, wanted: list[str], shown: bool = False) -> Case:
    """Build a case of task 13.4."""
    graph = net(text)
    order = order_by_iterators({n: i for n, (_, i) in graph.items()}, list(graph)[-1])
    return Case(name, (graph, order, wanted, given.NEEDS), shown=shown)


def norm_case(name: str, seed: int, shape: tuple[int, ...], eps: float, shown=False) -> Case:
    """Build a case of task 13.5."""
    x = 2.0 * numbers(seed, *shape) + 3.0
    return Case(
        name, (numbers(seed + 1, *shape), x, 1.5 + numbers(seed + 2, shape[1]), eps), shown=shown
    )


CHAIN = {"v0": ()} | {f"v{i + 1}": (f"v{i}",) for i in range(1500)}
FROZEN = "y = mul x w; z = add y b"
LAYERS = "a = matmul x v; h = relu a; b = matmul h w; y = exp b"

TASKS = (
    Task(
        id="13.1",
        function="topological_order",
        points=2,
        reference=order_by_iterators,
        cases=(
            Case("a chain", (links("a = exp x; b = exp a"), "b"), shown=True),
            Case("two inputs", (links("y = mul x w; z = add y b"), "z"), shown=True),
            Case("a value used twice", (links("a = exp x; b = exp a; c = add a b"), "c")),
            Case(
                "a short way and a long way",
                (links("a = exp x; b = exp a; c = exp b; d = add a c; e = add d x"), "e"),
            ),
            Case("values that are not needed", (links("a = exp x; b = exp a; c = mul a z"), "b")),
            Case("a leaf alone", ({"x": ()}, "x")),
            Case("1500 layers", (CHAIN, "v1500")),
        ),
    ),
    Task(
        id="13.2",
        function="gradients",
        points=2,
        reference=sum_over_paths,
        cases=(
            gradient_case("a product", "y = mul x w; z = exp y", 10, shown=True),
            gradient_case("a square", "y = mul x x", 20, shown=True),
            gradient_case("two ways", "a = exp x; b = mul a x; c = add a b", 30),
            gradient_case("a matrix product", LAYERS, 40, {"v": (3, 4), "w": (4, 5)}),
            gradient_case(
                "a sum whose inputs are used again",
                "w = exp x; s = add x y; t = mul w s",
                50,
            ),
            gradient_case("a mean", "y = mul x w; z = mean y", 60),
        ),
    ),
    Task(
        id="13.3",
        function="sum_to",
        points=2,
        reference=count_uses,
        cases=(
            Case("a row for all rows", (numbers(1, 4, 3), (3,)), shown=True),
            Case("a column for all columns", (numbers(2, 4, 3), (4, 1)), shown=True),
            Case("nothing was repeated", (numbers(3, 2, 3), (2, 3))),
            Case("a number for all", (numbers(4, 2, 3), ())),
            Case("a bias of each channel", (numbers(5, 2, 3, 4, 5), (3, 1, 1))),
            Case("axes of length 1 on both sides", (numbers(6, 2, 1, 4), (1, 1))),
            Case("a square", (numbers(7, 3, 3, 3), (3, 1))),
        ),
    ),
    Task(
        id="13.4",
        function="kept_values",
        points=2,
        reference=kept_by_paths,
        cases=(
            kept_case("a product", "y = mul x w", ["x", "w"], shown=True),
            kept_case("only the weights are wanted", FROZEN, ["b", "w"], shown=True),
            kept_case("results that are kept", "y = exp x; z = relu y; u = mean z", ["x"]),
            kept_case("two layers", LAYERS, ["v", "w"]),
            kept_case("the first layer is frozen", LAYERS, ["w"]),
            kept_case("the last layer is frozen", LAYERS, ["v"]),
            kept_case("nothing is wanted", LAYERS, []),
        ),
    ),
    Task(
        id="13.5",
        function="batch_norm_backward",
        points=2,
        reference=normalise_backward,
        returns=("dx", "dweight", "dbias"),
        cases=(
            norm_case("two channels", 1, (2, 2, 2, 3), 1e-5, shown=True),
            norm_case("one image", 5, (1, 3, 4, 2), 1e-5),
            norm_case("single pixels", 9, (5, 3, 1, 1), 1e-5),
            norm_case("a large eps", 13, (2, 4, 3, 2), 0.7),
        ),
    ),
)
