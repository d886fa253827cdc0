"""Make the animations and the README's first image, in .github/images.

python notebooks/animations.py              all of them, in a few minutes
python notebooks/animations.py atrous       one: atrous, stride-to-rate, mean-field,
                                            training or segmentation
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab import inference
from minideeplab.crf import DenseCRF, refine, unary_from_labels
from minideeplab.training import optim, schedule
from minideeplab.training.loss import segmentation_loss
from minideeplab.visualize.palettes import CAMVID_CLASSES, SCENE_CLASSES
from minideeplab.visualize.plots import (
    BLUE,
    CAMVID_COLOURS,
    ORANGE,
    SCENE_COLOURS,
    add_legend,
    paint,
    paint_over,
    paint_strokes,
    show,
    street,
)

FOLDER = Path(__file__).resolve().parent.parent / ".github" / "images"
SIZE_LIMIT = 1_000_000  # bytes of an animation


def main() -> int:
    """Write the files asked for, or all; return 1 if one is too large."""
    makers = {
        "atrous": (atrous, 150),
        "stride-to-rate": (stride_to_rate, 500),
        "mean-field": (mean_field, 600),
        "training": (training, 400),
    }
    chosen, large = sys.argv[1:] or [*makers, "segmentation"], False
    plt.style.use("minideeplab.visualize.lecture")
    for name in chosen:
        if name == "segmentation":
            path = FOLDER / "segmentation.png"
            render(segmentation(), 110).save(path, optimize=True)  # rare colours stay
        else:
            frames, duration = makers[name]
            path = FOLDER / f"{name}.gif"
            save(list(frames()), path, duration)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)
        large = large or path.stat().st_size > SIZE_LIMIT
    return int(large)


def save(frames: list[Image.Image], path: Path, duration: int) -> None:
    """Write frames as an endless GIF of ``duration`` ms each; the last one stays for 2 s."""
    first, *others = [frame.quantize(128, dither=Image.Dither.NONE) for frame in frames]
    times = [duration] * len(others) + [2000]
    first.save(path, save_all=True, append_images=others, duration=times, loop=0, optimize=True)


def render(figure: plt.Figure, dpi: int = 80) -> Image.Image:
    """Draw a figure and close it."""
    with io.BytesIO() as file:
        figure.savefig(file, dpi=dpi, format="png")
        plt.close(figure)
        return Image.open(file).convert("RGB")


def atrous() -> Iterator[Image.Image]:
    """A 3 x 3 filter of rates 1 and 2 slides over 7 x 7 pixels and fills its output."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.2, 1, (1, 1, 7, 7))
    w = np.full((1, 1, 3, 3), 1 / 9)
    outputs = [F.conv2d(x, w, padding=rate, dilation=rate)[0, 0] for rate in (1, 2)]
    for position in np.ndindex(7, 7):
        figure, panels = plt.subplots(2, 2, figsize=(6.4, 6.6))
        for row, rate, output in zip(panels, (1, 2), outputs, strict=True):
            draw_slide(row, x[0, 0], output, position, rate)
        yield render(figure, 60)


def draw_slide(
    row: np.ndarray, x: np.ndarray, output: np.ndarray, position: tuple[int, int], rate: int
) -> None:
    """Draw the taps at one position on the padded input, and the output so far."""
    left, right = row
    padded = np.full((11, 11), np.nan)
    padded[2:9, 2:9] = x
    show(left, padded, f"input, taps of rate {rate}", cmap="gray", vmin=0, vmax=1)
    taps = np.array(np.meshgrid((-rate, 0, rate), (-rate, 0, rate))).reshape(2, -1)
    centre = 2 + np.array(position[::-1])[:, None]
    left.add_patch(plt.Rectangle((1.5, 1.5), 7, 7, fill=False, ec="0.6", lw=1))
    left.plot(*(centre + taps), "o", ms=11, mfc=ORANGE, mec="black", mew=1.2)
    done = np.full(49, np.nan)
    upto = 7 * position[0] + position[1] + 1
    done[:upto] = output.ravel()[:upto]
    show(right, done.reshape(7, 7), "output", cmap="gray", vmin=0, vmax=1)
    right.add_patch(plt.Rectangle((-0.5, -0.5), 7, 7, fill=False, ec="0.6", lw=1))
    square = (position[1] - 0.5, position[0] - 0.5)
    right.add_patch(plt.Rectangle(square, 1, 1, fill=False, ec=ORANGE, lw=3))


def stride_to_rate() -> Iterator[Image.Image]:
    """Two layers of 3 taps: stride 2 then rate 1, and with the stride removed rate 2."""
    for output in range(0, 9, 2):
        yield draw_layers(2, output, "stride 2, then rate 1: an output at every second position")
    for output in range(9):
        yield draw_layers(
            1, output, "stride 1, then rate 2: the same outputs, and new ones between them"
        )


def draw_layers(stride: int, output: int, title: str) -> Image.Image:
    """Draw input, hidden and output positions, and the connections of one output."""
    rate = 2 // stride
    figure, axes = plt.subplots(figsize=(8, 3.4))
    reach = 2 // stride * stride  # distance between taps of layer 2, in input positions
    hidden_taps = output + reach * np.array([-1, 0, 1])
    for tap in hidden_taps:
        axes.plot([output, tap], [2, 1], color=ORANGE, lw=2)
        for pixel in tap + np.array([-1, 0, 1]):
            axes.plot([tap, pixel], [1, 0], color=BLUE, lw=1.2)
    axes.plot(np.arange(-3, 12), np.zeros(15), "s", ms=13, color="0.6")
    hidden = np.arange(-2, 11)
    kept = hidden % stride == 0
    axes.plot(hidden[kept], np.ones(kept.sum()), "o", ms=14, color=BLUE)
    for position in range(0, 9, stride):
        old = position % 2 == 0
        colour = (ORANGE if old else "#E69F00") if position <= output else "white"
        axes.plot(position, 2, "o" if old else "D", ms=14, color=colour, mec="black")
    axes.set(yticks=(0, 1, 2), xticks=[], xlim=(-3.5, 11.5), ylim=(-0.3, 2.3), title=title)
    axes.set_yticklabels(["input", f"layer 1, stride {stride}", f"layer 2, rate {rate}"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return render(figure, 75)


REGIONS = ("Sky", "Building", "Tree", "Road", "Car")
STROKES = (
    ("Sky", [(20, 20), (120, 15)]), ("Sky", [(160, 45), (200, 20)]),
    ("Building", [(280, 20), (270, 100)]), ("Building", [(215, 100), (230, 60)]),
    ("Building", [(300, 95), (310, 10)]),
    ("Tree", [(20, 75), (60, 85)]), ("Tree", [(115, 50), (112, 95)]),
    ("Tree", [(240, 130), (300, 128)]), ("Tree", [(160, 90), (172, 100)]),
    ("Road", [(60, 215), (190, 200)]), ("Road", [(150, 150), (175, 170)]),
    ("Road", [(10, 200), (40, 212)]),
    ("Car", [(12, 158), (90, 155)]), ("Car", [(40, 135), (70, 140)]),
)  # fmt: skip


def mean_field() -> Iterator[Image.Image]:
    """Strokes on the street photograph, and the labels after each mean-field iteration."""
    photograph = np.asarray(Image.fromarray(street()).resize((320, 240)))
    canvas = Image.new("L", (320, 240), 255)
    for name, points in STROKES:
        ImageDraw.Draw(canvas).line(points, fill=REGIONS.index(name), width=5, joint="curve")
    marks = np.array(canvas)
    palette = CAMVID_COLOURS[[CAMVID_CLASSES.index(name) for name in REGIONS]]
    crf = DenseCRF(unary_from_labels(marks, len(REGIONS), certainty=0.97, unknown=255))
    crf.add_gaussian(sxy=3, compat=3)
    crf.add_bilateral(photograph, sxy=50, srgb=10, compat=6)
    crf.start()
    yield draw_step(paint_strokes(photograph, marks, palette), "strokes", palette)
    for step in range(1, 11):
        labels = crf.step().argmax(0)
        title = f"mean field, iteration {step}"
        yield draw_step(paint_over(photograph, labels, palette), title, palette)


def draw_step(image: np.ndarray, title: str, palette: np.ndarray) -> Image.Image:
    """Draw one labelled photograph with the legend of its regions."""
    figure, axes = plt.subplots(figsize=(5.4, 4.8))
    show(axes, image, title)
    add_legend(figure, REGIONS, palette)
    return render(figure, 75)


def training(iterations: int = 1500, batch: int = 4) -> Iterator[Image.Image]:
    """The small network's labels of one new scene, from random weights on."""
    scenes = mdl.data.SyntheticScenes(4 * iterations, size=(97, 129), seed=1)
    image, truth = mdl.data.SyntheticScenes(40, size=(121, 161), seed=5)[24]
    net = mdl.models.deeplab_small(num_classes=6, seed=0)
    optimizer = optim.make_optimizer("adamw", net.named_parameters(), 2e-3, 0.02, 0.9)
    rate = schedule.make_schedule("poly", iterations, warm_up_iterations=20)
    losses = []
    for iteration in range(iterations + 1):
        if iteration in (0, 5, 10, 20, 40, 70) or iteration % 100 == 0:
            labels, _ = mdl.segment(image, net.eval(), crf=False)
            yield draw_progress(image, truth, labels, losses, iterations)
        images, masks = zip(
            *(scenes[(batch * iteration + k) % len(scenes)] for k in range(batch)), strict=True
        )
        x = np.stack([net.preprocessing(one) for one in images])
        net.train().zero_grad()
        loss = segmentation_loss(net(x), np.stack(masks).astype(np.int64))
        loss.backward()
        losses.append(loss.item())
        optimizer.lr = 2e-3 * rate(iteration)
        optimizer.step()


def draw_progress(
    image: np.ndarray, truth: np.ndarray, labels: np.ndarray, losses: list[float], iterations: int
) -> Image.Image:
    """Draw image, truth, labels now, and the loss so far."""
    figure = plt.figure(figsize=(9, 5))
    panels = figure.subplot_mosaic("ABC\nDDD", height_ratios=(1, 0.7))
    show(panels["A"], image, "new image")
    show(panels["B"], paint(truth), "truth")
    show(panels["C"], paint(labels), f"iteration {len(losses)}")
    panels["D"].plot(losses, lw=1.2)
    panels["D"].set(xlim=(0, iterations), ylim=(0, 2.5), xlabel="iteration", ylabel="loss")
    add_legend(figure, SCENE_CLASSES, SCENE_COLOURS, ignored=True)
    return render(figure, 70)


def segmentation() -> plt.Figure:
    """Photograph, coarse scores, upsampled labels and CRF, whole and closer."""
    photograph = np.asarray(Image.fromarray(street()).resize((480, 360), Image.Resampling.LANCZOS))
    net = mdl.models.from_checkpoint(mdl.pretrained.find("camvid"))
    coarse = inference.coarse_scores(photograph, net)
    full = F.softmax(inference.upsample(coarse, photograph.shape[:2]), 0)
    q = refine(photograph, full, **inference.crf_options(True, net))
    blocks = coarse.argmax(0).repeat(4, 0).repeat(4, 1)[2:362, 2:482]  # centred on their pixels
    steps = {
        "photograph": photograph,
        f"coarse scores, {coarse.shape[1]} × {coarse.shape[2]}": paint(blocks, CAMVID_COLOURS),
        "bilinear upsampling": paint(full.argmax(0), CAMVID_COLOURS),
        "fully connected CRF": paint(q.argmax(0), CAMVID_COLOURS),
    }
    figure, panels = plt.subplots(2, 4, figsize=(11, 5.2))
    closer = (slice(60, 168), slice(60, 204))
    for column, (title, image) in zip(panels.T, steps.items(), strict=True):
        show(column[0], image, title)
        column[0].add_patch(plt.Rectangle((60, 60), 144, 108, fill=False, ec="white", lw=1.5))
        show(column[1], image[closer])
    add_legend(figure, CAMVID_CLASSES, CAMVID_COLOURS, columns=6)
    return figure


if __name__ == "__main__":
    sys.exit(main())
