"""Lesson 4: its tasks, and the cases that judge them."""

from __future__ import annotations

import numpy as np

from minideeplab.grading import About, Case, Task

ABOUT = About(
    title="Dense features: from output stride 32 to 8",
    minutes=120,
    needs=("02", "03"),
    paper="3.1, figures 2 and 3; 4.1.1, table 1",
)

Layers = list[tuple[int, int, int]]


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def cut(seed: int, stride: int, height: int, width: int) -> list[list[np.ndarray]]:
    """Take a random map apart."""
    dense = numbers(seed, height, width)
    return [[dense[a::stride, b::stride].copy() for b in range(stride)] for a in range(stride)]


def look_up(parts: list[list[np.ndarray]]) -> np.ndarray:
    """Ask for each place which part has it."""
    stride = len(parts)
    height = sum(len(row[0]) for row in parts)
    width = sum(part.shape[1] for part in parts[0])
    return np.array(
        [
            [parts[y % stride][x % stride][y // stride, x // stride] for x in range(width)]
            for y in range(height)
        ]
    )


def take_strides_out(layers: Layers, output_stride: int) -> Layers:
    """Take out one stride after the other."""
    layers, kept = list(layers), 1
    for i in range(len(layers)):
        kernel, stride, rate = layers[i]
        if kept * stride <= output_stride:
            kept *= stride
            continue
        behind = [(k, s, r * stride) for k, s, r in layers[i + 1 :]]
        layers = [*layers[:i], (kernel, 1, rate), *behind]
    return layers


def run(x: np.ndarray, layers: list[tuple]) -> np.ndarray:
    """Run a network for signals as it is, with its strides."""
    for kind, what, stride in layers:
        if kind == "relu":
            x = x * (x > 0)
            continue
        taps = len(what) if kind == "conv" else what
        windows = [x[p : p + taps] for p in range(0, len(x) - taps + 1, stride)]
        x = np.array([window @ what if kind == "conv" else max(window) for window in windows])
    return x


def run_from_everywhere(x: np.ndarray, layers: list[tuple]) -> np.ndarray:
    """Run the network on the signal from each position on, and keep its first output."""
    outputs = [run(x[p:], layers) for p in range(len(x))]
    return np.array([output[0] for output in outputs if len(output)])


def take(
    weight: np.ndarray, bias: np.ndarray, rate: int, kept: np.ndarray, tap_step: int,
    after: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:  # fmt: skip
    """Pick axis by axis."""
    weight, bias, after = (
        np.take(array, kept, axis) for array, axis in ((weight, 0), (bias, 0), (after, 1))
    )
    for axis in (2, 3):
        weight = np.take(weight, range(0, weight.shape[axis], max(1, abs(tap_step))), axis)
    return weight, bias, rate * tap_step, after


def middle_of_what_is_seen(layers: list[tuple[int, int, int, int]]) -> tuple[float, int]:
    """Walk down from scores 0 and 1 to the first and last pixels that they see."""
    middles = []
    for score in (0, 1):
        first = last = score
        for kernel, stride, rate, padding in reversed(layers):
            first = first * stride - padding
            last = last * stride - padding + (kernel - 1) * rate
        middles.append((first + last) / 2)
    return middles[0], round(middles[1] - middles[0])


VGG = [
    (kernel, stride, 1)
    for convolutions in (2, 2, 3, 3, 3)
    for kernel, stride in [(3, 1)] * convolutions + [(2, 2)]
]
BY_CAFFE = [(k, s, r, 1 if k == 3 else 0) for k, s, r in VGG]
DEEPLAB = [
    (3, stride, rate, rate)
    for block, convolutions in enumerate((2, 2, 3, 3, 3), 1)
    for stride, rate in [(1, 2 if block == 5 else 1)] * convolutions + [(2 if block < 4 else 1, 1)]
]

TASKS = (
    Task(
        id="4.1",
        function="stitch",
        points=2,
        reference=look_up,
        cases=(
            Case("stride 2", (cut(1, 2, 4, 6),), shown=True),
            Case("stride 3", (cut(2, 3, 6, 9),), shown=True),
            Case("stride 2, a row and a column left over", (cut(3, 2, 5, 7),)),
            Case("stride 4, parts of different sizes", (cut(4, 4, 9, 6),)),
            Case("stride 1", (cut(5, 1, 3, 4),)),
        ),
    ),
    Task(
        id="4.2",
        function="dense_layers",
        points=2,
        reference=take_strides_out,
        cases=(
            Case(
                "three strides, output stride 2",
                ([(3, 2, 1), (3, 2, 1), (3, 2, 1), (3, 1, 1)], 2),
                shown=True,
            ),
            Case("nothing to do", ([(3, 1, 1), (2, 2, 1), (3, 1, 2)], 2), shown=True),
            Case("VGG-16 and fc6, output stride 8", ([*VGG, (7, 1, 1)], 8)),
            Case("output stride 1", ([(5, 3, 1), (3, 2, 1), (3, 2, 1), (3, 1, 1)], 1)),
            Case("rates that are there already", ([(3, 2, 1), (3, 2, 3), (3, 1, 2)], 2)),
            Case("a smaller stride behind a lost one", ([(3, 2, 1), (3, 4, 1), (3, 2, 1)], 4)),
        ),
    ),
    Task(
        id="4.3",
        function="dense_response",
        points=3,
        reference=run_from_everywhere,
        cases=(
            Case("one filter", (numbers(6, 9), [("conv", numbers(7, 3), 2)]), shown=True),
            Case(
                "two filters",
                (numbers(8, 14), [("conv", numbers(9, 3), 2), ("conv", numbers(10, 2), 1)]),
                shown=True,
            ),
            Case(
                "a maximum behind a stride",
                (numbers(11, 15), [("conv", numbers(12, 2), 3), ("max", 3, 1)]),
            ),
            Case(
                "filter, ReLU, maximum, filter",
                (
                    numbers(13, 17),
                    [
                        ("conv", numbers(14, 3), 1),
                        ("relu", None, 1),
                        ("max", 2, 2),
                        ("conv", numbers(15, 4), 1),
                    ],
                ),
            ),
            Case(
                "strides 2, 3 and 2",
                (
                    numbers(16, 40),
                    [
                        ("max", 2, 2),
                        ("conv", numbers(17, 3), 3),
                        ("max", 3, 2),
                        ("conv", numbers(18, 2), 1),
                    ],
                ),
            ),
        ),
    ),
    Task(
        id="4.4",
        function="decimate",
        points=1,
        reference=take,
        returns=("weight", "bias", "rate", "after"),
        cases=(
            Case(
                "fc6: a quarter of the filters, rate 4",
                (
                    numbers(19, 8, 2, 7, 7),
                    numbers(20, 8),
                    4,
                    np.array([1, 6]),
                    3,
                    numbers(27, 3, 8, 1, 1),
                ),
                shown=True,
            ),
            Case(
                "fc7: all taps stay",
                (
                    numbers(21, 6, 5, 1, 1),
                    numbers(22, 6),
                    1,
                    np.array([0, 2, 5]),
                    1,
                    numbers(28, 4, 6, 1, 1),
                ),
            ),
            Case(
                "a flat filter, drawn in any order",
                (
                    numbers(23, 5, 3, 3, 5),
                    numbers(24, 5),
                    3,
                    np.array([4, 0, 2]),
                    2,
                    numbers(29, 5, 5, 1, 1),
                ),
            ),
            Case(
                "a layer with taps behind",
                (
                    numbers(25, 6, 4, 4, 4),
                    numbers(26, 6),
                    3,
                    np.array([3, 1]),
                    2,
                    numbers(30, 2, 6, 3, 3),
                ),
            ),
        ),
    ),
    Task(
        id="4.5",
        function="score_grid",
        points=2,
        reference=middle_of_what_is_seen,
        returns=("first", "jump"),
        cases=(
            Case("two 2 × 2 windows", ([(2, 2, 1, 0), (2, 2, 1, 0)],), shown=True),
            Case("filters without padding", ([(3, 2, 1, 0), (3, 1, 1, 0)],), shown=True),
            Case("rate 4, padding 2", ([(2, 2, 1, 0), (3, 3, 4, 2)],)),
            Case("VGG-16", (BY_CAFFE,)),
            Case("DeepLab", (DEEPLAB,)),
            Case("too much padding", ([(3, 2, 1, 2), (2, 2, 1, 1)],)),
            Case("no layer", ([],)),
        ),
    ),
)
