"""``minideeplab demo``: DeepLab step by step on a synthetic scene and a photograph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np

    from minideeplab.crf import DenseCRF

ITERATIONS = (1, 5, 10)
SCENE = {"count": 21, "size": (121, 161), "seed": 2018}  # the first is shown, all are scored

# What one draws on matplotlib's sample photograph, 512 pixels wide and 600 high.
REGIONS = ("wall", "flag", "face", "hat and uniform")
REGION_COLOURS = ((86, 180, 233), (213, 94, 0), (240, 228, 66), (0, 114, 178))
STROKES = (
    (0, ((420, 40), (470, 250), (440, 330))),
    (0, ((262, 10), (310, 14))),
    (1, ((40, 20), (60, 180), (35, 330))),
    (1, ((120, 20), (120, 230), (90, 330))),
    (1, ((176, 10), (168, 50), (160, 110))),
    (1, ((212, 10), (204, 34))),
    (1, ((142, 20), (146, 260), (150, 335), (192, 312))),
    (1, ((30, 330), (22, 400))),
    (1, ((10, 420), (6, 560))),
    (2, ((210, 150), (320, 160))),
    (2, ((230, 250), (290, 290), (320, 240))),
    (2, ((168, 150), (160, 195), (182, 262))),
    (2, ((260, 350), (265, 385))),
    (3, ((170, 112), (260, 95), (350, 105))),
    (3, ((222, 50), (315, 48))),
    (3, ((80, 400), (180, 430), (110, 560))),
    (3, ((220, 390), (262, 470), (310, 400))),
    (3, ((420, 400), (380, 460), (470, 560))),
)
STROKE_WIDTH = 9
UNMARKED = 255


@click.command()
@click.option("--out", default="minideeplab-demo", type=click.Path(path_type=Path),
              help="Folder for the images.")  # fmt: skip
def command(out: Path) -> None:
    """Show step by step what a DeepLab does.

    Segments a synthetic scene, spreads scribbles over a photograph, and writes the images. Needs
    no data and opens no window. The first run compiles the kernels, which takes most of its
    time.

    \b
    Example:
      minideeplab demo
      minideeplab demo --out images
    """
    from minideeplab import io

    for folder in (out, out / "scene", out / "photograph"):
        io.require_writable(folder)
    tell_scene(out)
    tell_photograph(out)
    click.echo(f"""
Images: {out / "scene.png"} and {out / "photograph.png"}, each panel alone in the folders beside.
Try next:
  minideeplab segment YOUR-PHOTOGRAPH.jpg --out results    road scenes, bundled weights
  minideeplab train --data shapes --out runs/shapes        train the network of the scene yourself
  minideeplab --help                                       everything else""")


# ---------------------------------------------------------------- a scene with known truth


def tell_scene(out: Path) -> None:
    """Segment a synthetic scene: from the network's coarse scores to the CRF's last iteration."""
    from minideeplab import data, models, pretrained

    scenes = data.SyntheticScenes(**SCENE)
    net = models.from_checkpoint(pretrained.find("shapes"))
    click.echo("A synthetic scene, segmented by the bundled weights 'shapes' (mean IoU):")
    panels = _scene_panels(scenes, net)
    legend = list(zip(scenes.classes, scenes.palette, strict=True))
    _write(
        panels, 4, "DeepLab on a synthetic scene: mean IoU after each step", legend, out, "scene"
    )
    before, after = _mean_iou_of_all(scenes, net)
    click.echo(f"  over {len(scenes)} scenes: network {before:.1%}, with the CRF {after:.1%}")


def _scene_panels(scenes: Any, net: Any) -> list[tuple[str, np.ndarray]]:
    from minideeplab import functional as F
    from minideeplab import inference, visualize
    from minideeplab.crf.refinement import build_crf

    image, truth = scenes[0]
    scores = inference.coarse_scores(image, net)  # (C, h, w)
    probabilities = F.softmax(inference.upsample(scores, truth.shape), 0)  # (C, H, W)
    stages = [("bilinear upsampling", probabilities)]
    settings = inference.crf_options(True, net).get("parameters", "v1-largefov")
    for count, q in _crf_stages(build_crf(image, probabilities, settings)):
        stages.append((_after(count), q))

    coarse = _enlarge(visualize.confidence(F.softmax(scores, 0), scenes.palette), truth.shape)
    panels = [("image", image), ("coarse scores", coarse)]
    for name, q in stages:
        labels = inference.most_probable(q)
        iou = _mean_iou([labels], [truth])
        click.echo(f"  {name:<24}{iou:6.1%}")
        panels.append((f"{name}: {iou:.1%}", visualize.colourise(labels, scenes.palette)))
    panels.append(("truth (pale: not counted)", visualize.colourise(truth, scenes.palette)))
    changes = _changes(stages[0][1], stages[-1][1], truth, image)
    panels.append(("fixed blue, broken orange, left black", changes))
    return panels


def _crf_stages(crf: DenseCRF) -> Iterator[tuple[int, np.ndarray]]:
    """Step through mean field and yield (iterations, Q) at ``ITERATIONS``."""
    crf.start()
    for count in range(1, max(ITERATIONS) + 1):
        q = crf.step()
        if count in ITERATIONS:
            yield count, q


def _mean_iou_of_all(scenes: Any, net: Any) -> tuple[float, float]:
    from minideeplab.inference import segment

    images, truths = zip(*scenes, strict=True)
    return tuple(
        _mean_iou([segment(image, net, crf=crf)[0] for image in images], truths)
        for crf in (False, True)
    )


def _mean_iou(labels: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> float:
    from minideeplab import evaluation
    from minideeplab.visualize.palettes import SCENE_CLASSES

    pairs = zip(labels, truths, strict=True)
    confusions = [evaluation.confusion_matrix(p, t, len(SCENE_CLASSES)) for p, t in pairs]
    return evaluation.scores(sum(confusions)).mean_iou


def _changes(
    before: np.ndarray, after: np.ndarray, truth: np.ndarray, image: np.ndarray
) -> np.ndarray:
    """Mark what the CRF corrected (blue), made wrong (orange) and left wrong (black)."""
    import numpy as np

    counted = truth != 255
    was_right, is_right = (q.argmax(axis=0) == truth for q in (before, after))
    painted = np.repeat(image.mean(axis=2, keepdims=True) * 0.5 + 110, 3, axis=2)
    painted[counted & ~was_right & ~is_right] = (40, 40, 40)
    painted[counted & ~was_right & is_right] = (0, 114, 178)
    painted[counted & was_right & ~is_right] = (213, 94, 0)
    return painted.astype(np.uint8)


def _enlarge(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge a small image by nearest neighbours, each score centred at its pixel."""
    import numpy as np

    rows, columns = (
        np.rint(np.linspace(0, small - 1, large)).astype(int)
        for small, large in zip(image.shape[:2], size, strict=True)
    )
    return image[rows[:, None], columns]


# ---------------------------------------------------------------- scribbles on a photograph


def tell_photograph(out: Path) -> None:
    """Segment a photograph from a few strokes with the dense CRF, without a network."""
    import matplotlib.cbook
    import numpy as np

    from minideeplab import io, visualize
    from minideeplab.crf import DenseCRF
    from minideeplab.crf.potentials import unary_from_labels

    image = io.read_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    strokes = draw_strokes(image.shape[:2])
    palette = np.array(REGION_COLOURS, np.uint8)
    crf = DenseCRF(unary_from_labels(strokes, len(REGIONS), certainty=0.97, unknown=UNMARKED))
    crf.add_gaussian(sxy=3, compat=3)
    crf.add_bilateral(image, sxy=80, srgb=12, compat=6)

    marked = np.where(
        (strokes == UNMARKED)[:, :, None], image, visualize.colourise(strokes, palette)
    )
    panels = [("photograph", image), (f"{len(STROKES)} strokes", marked)]
    for count, q in _crf_stages(crf):
        labels = q.argmax(axis=0).astype(np.uint8)
        panels.append((_after(count), visualize.overlay(image, labels, palette, 0.6)))
    alone = np.where(np.isin(labels, (2, 3))[:, :, None], image, np.uint8(255))
    panels.append(("face, hat and uniform alone", alone))
    legend = list(zip(REGIONS, palette, strict=True))
    _write(panels, 3, "Scribbles, spread by the dense CRF", legend, out, "photograph")
    part = (strokes != UNMARKED).mean()
    click.echo(f"A photograph: strokes on {part:.1%} of its pixels, spread over all by the CRF.")


def draw_strokes(size: tuple[int, int]) -> np.ndarray:
    """Draw ``STROKES``: labels (H, W) uint8, 255 where nothing is marked."""
    import numpy as np
    from PIL import Image, ImageDraw

    canvas = Image.new("L", size[::-1], UNMARKED)
    draw = ImageDraw.Draw(canvas)
    for region, points in STROKES:
        draw.line(points, fill=region, width=STROKE_WIDTH, joint="curve")
    return np.asarray(canvas)


# ---------------------------------------------------------------- both


def _after(count: int) -> str:
    return f"CRF, {count} iteration{'s' if count > 1 else ''}"


def _write(
    panels: list[tuple[str, np.ndarray]], columns: int, title: str, legend: list[tuple[str, Any]],
    out: Path, name: str,
) -> None:  # fmt: skip
    """Write one image of all panels, and each panel by itself in a folder."""
    from minideeplab import io, visualize

    with io.atomic_write(out / f"{name}.png") as temporary:
        visualize.panels(panels, columns, title, legend).savefig(temporary)
    for number, (caption, image) in enumerate(panels, start=1):
        words = caption.split(":")[0].split(" (")[0].replace(",", "").replace(" ", "-")
        io.write_image(out / name / f"{number}-{words}.png", image)
