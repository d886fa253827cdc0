"""Segment a photograph with a student's own functions in the bundled network and its CRF."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab import inference, io, models, pretrained, visualize
from minideeplab.backends import use_backend
from minideeplab.crf import refine
from minideeplab.functional import softmax
from minideeplab.grading.answers import Answers, Usage
from minideeplab.grading.calls import Calls
from minideeplab.grading.catalogue import find_lesson
from minideeplab.grading.grade import Limits, grade_task
from minideeplab.grading.judge import PASS, TaskResult
from minideeplab.grading.model import Lesson
from minideeplab.grading.student_backend import StudentLayers, make_backend
from minideeplab.grading.submissions import Submission, choose, find_submissions
from minideeplab.nn import Module
from minideeplab.tensor import Tensor
from minideeplab.visualize.plots import paint_over, street

FUNCTIONS = (
    "conv2d", "atrous_conv2d", "max_pool2d", "source_positions", "upsample", "aspp",
    "mean_field_step", "elevate", "find_simplex", "barycentric", "splat", "blur",
)  # fmt: skip
"""The lessons' functions that a network and its CRF can run on."""

OURS, THEIRS = "reference", "your code"


@dataclass
class Run:
    """What a run found: verdicts, use of the functions, and the labels by both codes.

    Attributes:
        image: (H, W, 3) uint8, reduced.
        verdicts: of the student's functions that can take part.
        usage: by operation.
        labels: by "reference" and "your code": labels (H, W) of the network, and after the CRF.
        seconds: by the same names.
        net: the network, for its classes and palette.
    """

    image: np.ndarray
    net: Module
    verdicts: list[TaskResult]
    usage: dict[str, Usage] = field(default_factory=dict)
    labels: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def run(
    folders: Sequence[Path], image: np.ndarray, lessons: Path | None = None,
    size: int = 161, seconds: float = 60.0,
) -> Run:  # fmt: skip
    """Return the labels of an image by the bundled network, on our code and on a student's.

    Args:
        folders: of one student's lessons, or their files.
        image: (H, W, 3) uint8; reduced so that plain loops finish.
        lessons: the folder of lessons; None searches for it.
        size: pixels of the longer side that the network gets.
        seconds: for the calls of each lesson's functions; what would take longer runs on our code.

    Raises:
        ValueError: a folder holds no submission or several students', or a lesson twice.
    """
    submissions = _submissions(folders, lessons)
    verdicts = [
        grade_task(one, lesson, task, Limits())
        for lesson, one in submissions
        for task in lesson.tasks
        if task.function in FUNCTIONS
    ]
    if not verdicts:
        raise ValueError(f"no function that a network can run on; expected {', '.join(FUNCTIONS)}")
    reduced = inference.resize(image, min(1.0, size / max(image.shape[:2])))
    found = Run(reduced, models.from_checkpoint(pretrained.find("camvid")), verdicts)
    right = {verdict.task.function for verdict in verdicts if verdict.verdict == PASS}
    with use_backend("numpy"):
        _segment(found, OURS)
    connect = next((x.given.connect for x, _ in submissions if hasattr(x.given, "connect")), None)
    with _processes(submissions, right, seconds) as functions:
        answers = Answers(functions, seconds)
        _replace_aspp(found.net, StudentLayers(answers))
        with use_backend(make_backend(answers, connect)):
            _segment(found, THEIRS)
    found.usage = answers.usage
    return found


def _submissions(folders: Sequence[Path], lessons: Path | None) -> list[tuple[Lesson, Submission]]:
    found: dict[str, tuple[Lesson, Submission]] = {}
    for folder in folders:
        groups = [choose(group) for group in find_submissions(folder)]
        if len({one.name for one in groups}) > 1:
            raise ValueError(f"{folder}: holds several students, expected the lessons of one")
        for one in groups:
            if not one.lesson:
                raise ValueError(f"{folder}: {one.file} does not name its lesson")
            lesson = find_lesson(one.lesson, lessons)
            if lesson.number in found:
                raise ValueError(f"{folder}: lesson {lesson.number} was given before")
            found[lesson.number] = lesson, one
    return [found[number] for number in sorted(found)]


@contextmanager
def _processes(
    submissions: list[tuple[Lesson, Submission]], right: set[str], seconds: float
) -> Iterator[dict[str, Calls]]:
    """Start one process for each lesson with a right function; yield them by function."""
    functions: dict[str, Calls] = {}
    try:
        for lesson, one in submissions:
            names = right & {task.function for task in lesson.tasks}
            if names:
                calls = Calls(lesson, one.cells, one.file, 2 * seconds)
                functions |= dict.fromkeys(names, calls)
        yield functions
    finally:
        for calls in set(functions.values()):
            calls.close()


def _segment(found: Run, name: str) -> None:
    """Run network and CRF with the backend in use."""
    start, image, net = time.perf_counter(), found.image, found.net
    scores = inference.upsample(inference.coarse_scores(image, net), image.shape[:2])
    probabilities = softmax(scores, 0)
    refined = refine(image, probabilities, **inference.crf_options(True, net))
    found.labels[name] = tuple(inference.most_probable(q) for q in (probabilities, refined))
    found.seconds[name] = time.perf_counter() - start


class _ASPP(Module):
    """The network's ASPP as lesson 6 has it: a sum of branches of three convolutions."""

    def __init__(self, original: Module, layers: StudentLayers) -> None:
        super().__init__()
        self.original, self.layers = original, layers

    def forward(self, x: Any) -> Tensor:
        """(N, C, H, W) -> (N, channels, H, W)."""
        data = x.data if isinstance(x, Tensor) else x
        return Tensor(
            self.layers.aspp(data, _branches(self.original), lambda: self.original(x).data)
        )


def _branches(aspp: Module) -> list[tuple]:
    """Return (rate, w6, b6, w7, b7, w8, b8) of each branch, batch norm folded into the weights.

    The network concatenates its branches and joins them by a 1 x 1 convolution. That is the sum of
    each branch under its columns of that convolution. There is no layer 7: it is the identity.
    """
    scale, shift = aspp.join.bn.scale_and_shift()
    join = aspp.join.conv.weight.data * scale[:, None, None, None]
    branches, first = [], 0
    for _, branch in aspp.branches.named_children():
        factor, offset = branch.bn.scale_and_shift()
        w6 = branch.conv.weight.data * factor[:, None, None, None]
        count = len(w6)
        w7 = np.eye(count, dtype=w6.dtype)[:, :, None, None]
        w8 = np.ascontiguousarray(join[:, first : first + count])
        b8 = np.zeros_like(shift) if branches else shift
        rate = branch.conv.dilation
        branches.append((rate, w6, offset, w7, np.zeros(count, w6.dtype), w8, b8))
        first += count
    return branches


def _replace_aspp(net: Module, layers: StudentLayers) -> None:
    if layers.answers.has("aspp"):
        net.aspp = _ASPP(net.aspp, layers)


# ---------------------------------------------------------------- what is printed and drawn


def report(
    folders: Sequence[Path], photograph: Path | None, out: Path, lessons: Path | None,
    size: int, seconds: float,
) -> Iterator[str]:  # fmt: skip
    """Run a student's code on a photograph, write images to ``out``, and yield lines to print."""
    io.require_writable(out)
    image = io.read_image(photograph) if photograph else street()
    found = run(folders, image, lessons, size, seconds)
    for verdict in found.verdicts:
        line = f"{verdict.task.id:5} {verdict.task.function:18} {verdict.verdict}"
        yield line + (f": {verdict.hint}" if verdict.hint else "")
    yield ""
    yield from usage_table(found)
    network, crf = agreement(found)
    yield ""
    yield (f"same labels as the reference: {network:.1%} of the pixels after the network, "
           f"{crf:.1%} after the CRF")  # fmt: skip
    yield f"seconds: {found.seconds[OURS]:.1f} reference, {found.seconds[THEIRS]:.1f} your code"
    with io.atomic_write(out / "comparison.png") as temporary:
        draw(found).savefig(temporary)
    for name, stages in found.labels.items():
        painted = paint_over(found.image, stages[1], np.array(found.net.meta["palette"], np.uint8))
        io.write_image(out / f"{name.replace(' ', '-')}.png", painted)
    yield f"written: {out / 'comparison.png'}"


def usage_table(found: Run) -> list[str]:
    """Return the lines of a table: each operation, its calls and seconds on either code."""
    lines = [f"{'operation':24}{'your calls':>11}{'seconds':>9}{'our calls':>11}{'seconds':>9}"]
    for operation, use in sorted(found.usage.items()):
        lines.append(
            f"{operation:24}{use.theirs:>11}{use.their_seconds:>9.2f}"
            f"{use.ours:>11}{use.our_seconds:>9.2f}" + (f"  {use.note}" if use.note else "")
        )
    return lines


def agreement(found: Run) -> tuple[float, float]:
    """Return the part of the pixels with the same label by both codes: network, and CRF."""
    pairs = zip(found.labels[OURS], found.labels[THEIRS], strict=True)
    network, crf = (float((a == b).mean()) for a, b in pairs)
    return network, crf


def draw(found: Run) -> Any:
    """Return a figure: the image, and the labels by network and CRF, ours above, theirs below."""
    palette = np.array(found.net.meta["palette"], np.uint8)
    panels, shown = [], set()
    for name in (OURS, THEIRS):
        if not panels:
            panels.append((f"image, {found.image.shape[1]} x {found.image.shape[0]}", found.image))
        else:
            ours, theirs = found.labels[OURS][1], found.labels[THEIRS][1]
            marked = np.where((ours == theirs)[..., None], np.uint8(235), np.uint8((213, 94, 0)))
            panels.append((f"CRF: {agreement(found)[1]:.1%} alike, others orange", marked))
        for what, labels in zip(("network", "CRF"), found.labels[name], strict=True):
            panels.append((f"{what}, {name}", visualize.overlay(found.image, labels, palette, 0.6)))
            shown |= set(np.unique(labels).tolist())
    legend = [(found.net.meta["classes"][k], palette[k]) for k in sorted(shown)]
    return visualize.panels(panels, 3, "One photograph, two implementations", legend)
