"""Wrong answers to task 13.2."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def walk(graph, order, values, dy, pullback, collect):
    """Visit from last to first; ``collect(total, name, part)`` takes up a contribution."""
    total = {order[-1]: np.array(dy)}
    for name in reversed(order):
        op, inputs = graph[name]
        if inputs:
            arrays = [values[one] for one in inputs]
            parts = pullback(op, total[name], arrays, values[name])
            for one, part in zip(inputs, parts, strict=True):
                collect(total, one, part)
    return {name: total[name] for name in order if not graph[name][1]}


@wrong(
    "13.2",
    loses=("a square", "two ways", "a sum whose inputs are used again"),
    hint="A value that is used twice gets a share from each use; the later one replaces the first.",
)
def overwrites(graph, order, values, dy, pullback):
    def collect(total, name, part):
        total[name] = part

    return walk(graph, order, values, dy, pullback, collect)


@wrong(
    "13.2",
    loses=("a square",),
    hint="An operation may use one value for both of its inputs: both shares count.",
)
def one_share_for_each_operation(graph, order, values, dy, pullback):
    total = {order[-1]: np.array(dy)}
    for name in reversed(order):
        op, inputs = graph[name]
        if inputs:
            arrays = [values[one] for one in inputs]
            parts = pullback(op, total[name], arrays, values[name])
            for one, part in dict(zip(inputs, parts, strict=True)).items():
                total[one] = total.get(one, 0) + part
    return {name: total[name] for name in order if not graph[name][1]}


@wrong(
    "13.2",
    loses=("a sum whose inputs are used again",),
    hint="A share is added in place, into an array that is another value's as well.",
)
def adds_in_place(graph, order, values, dy, pullback):
    def collect(total, name, part):
        if name in total:
            total[name] += part
        else:
            total[name] = part

    return walk(graph, order, values, dy, pullback, collect)


@wrong(
    "13.2",
    loses=ALL,
    hint="Only leaves keep a gradient; others are in the dictionary, too.",
)
def all_values(graph, order, values, dy, pullback):
    kept = {}

    def collect(total, name, part):
        total[name] = total.get(name, 0) + part
        kept.update(total)

    walk(graph, order, values, dy, pullback, collect)
    return kept


@wrong(
    "13.2",
    loses=ALL,
    hint="The shares start from ones, not from dy.",
)
def starts_from_ones(graph, order, values, dy, pullback):
    def collect(total, name, part):
        total[name] = total.get(name, 0) + part

    return walk(graph, order, values, np.ones_like(dy), pullback, collect)


@wrong(
    "13.2",
    loses=("two ways",),
    hint="A value passes its share on before all of it has arrived: go from the last to the first.",
)
def passes_on_too_early(graph, order, values, dy, pullback):
    total, met, queue = {order[-1]: np.array(dy)}, set(), [order[-1]]
    while queue:
        name = queue.pop(0)
        op, inputs = graph[name]
        if name in met or not inputs:
            continue
        met.add(name)
        arrays = [values[one] for one in inputs]
        parts = pullback(op, total[name], arrays, values[name])
        for one, part in zip(inputs, parts, strict=True):
            total[one] = total.get(one, 0) + part
            queue.append(one)
    return {name: total[name] for name in order if not graph[name][1]}


def zeros_first(graph, order, values, dy, pullback, names, turn=1):
    """Start all cotangents at zero and visit ``names``; ``turn=-1`` gives shares in reverse."""
    total = {name: np.zeros(np.shape(values[name])) for name in order}
    total[order[-1]] = np.array(dy)
    for name in names:
        op, inputs = graph[name]
        if inputs:
            parts = pullback(op, total[name], [values[one] for one in inputs], values[name])
            for one, part in zip(inputs[::turn], parts, strict=True):
                total[one] = total[one] + part
    return {name: total[name] for name in order if not graph[name][1]}


@wrong(
    "13.2",
    loses=("a product", "two ways", "a matrix product", "a sum whose inputs are used again",
           "a mean"),
    hint="The values are visited from first to last; cotangents go the other way.",
)  # fmt: skip
def forwards(graph, order, values, dy, pullback):
    return zeros_first(graph, order, values, dy, pullback, order)


@wrong(
    "13.2",
    loses=("a product", "two ways", "a sum whose inputs are used again", "a mean"),
    hint="The shares of a product go to the wrong inputs: the first is the first input's.",
)
def swapped_shares(graph, order, values, dy, pullback):
    def other(op, dy, arrays, result):
        parts = pullback(op, dy, arrays, result)
        return parts[::-1] if op == "mul" else parts

    return zeros_first(graph, order, values, dy, other, order[::-1])
