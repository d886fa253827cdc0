"""``minideeplab crf``: refine labels, scribbles or probabilities with the dense CRF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from minideeplab.cli._outputs import refuse_to_overwrite

if TYPE_CHECKING:
    import numpy as np

    from minideeplab.crf.refinement import CRFParameters

UNDECIDED = 1e-6  # difference of the largest and smallest probability
MOST_LABELS = 255  # 255 means unknown
LABEL_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff")


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("annotation", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path),
              help="A .png, or a folder for NAME.png and NAME-overlay.png.")  # fmt: skip
@click.option("--parameters", default="v1-largefov",
              help="Published settings; the paper's names below change single ones.")  # fmt: skip
@click.option("--w1", type=float, help="Weight of the bilateral kernel.")
@click.option("--sigma-alpha", type=click.FloatRange(0, min_open=True), help="Its reach, pixels.")
@click.option("--sigma-beta", type=click.FloatRange(0, min_open=True),
              help="Its reach in colour, of 0..255.")  # fmt: skip
@click.option("--w2", type=float, help="Weight of the smoothness kernel.")
@click.option("--sigma-gamma", type=click.FloatRange(0, min_open=True), help="Its reach, pixels.")
@click.option("--iterations", default=10, type=click.IntRange(0), help="Mean-field updates.")
@click.option("--certainty", default=0.7, type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Probability of the given labels, for a label image.")  # fmt: skip
@click.option("--black", default="auto", type=click.Choice(["auto", "unknown", "label"]),
              help="Black; auto: a label in grey images and in PASCAL VOC's palette.")  # fmt: skip
@click.option("--weights", default="camvid", metavar="FILE",
              help="Probabilities of as many classes get the colours of these weights; others "
              "PASCAL VOC's.")  # fmt: skip
@click.option("--steps", type=click.Path(path_type=Path),
              help="Also write all iterations: .gif an animation, .png a strip.")  # fmt: skip
@click.option("--probabilities", is_flag=True, help="Also write NAME.npy, (C, H, W) float32.")
def command(
    image: Path, annotation: Path, out: Path, parameters: str, iterations: int, certainty: float,
    black: str, weights: str, steps: Path | None, probabilities: bool, **changes: float | None,
) -> None:  # fmt: skip
    """Refine ANNOTATION with the fully connected CRF of IMAGE.

    ANNOTATION is a label image of the same size, or a .npy or .npz file with probabilities
    (C, H, W). In a colour image each colour is a label, in a palette or grey image each
    number; black, transparent and 255 are unknown (see --black), except in a mask of black and
    white. The colours are kept; probabilities get those that segment gives.

    \b
    Example:
      minideeplab crf photo.jpg scribbles.png -o labels.png --steps steps.gif
      minideeplab crf photo.jpg scores.npy --w1 4 --sigma-alpha 49 --sigma-beta 5 -o refined/
    """
    import dataclasses

    import numpy as np

    from minideeplab import inference, io, visualize
    from minideeplab.crf.refinement import crf_parameters
    from minideeplab.visualize.mean_field import check_steps_path

    target = out if out.suffix.lower() in LABEL_SUFFIXES else out / f"{image.stem}.png"
    overlay_path = target.with_name(f"{image.stem}-overlay.png")
    outputs = [target, *([overlay_path] if target is not out else [])]
    outputs += [target.with_suffix(".npy")] if probabilities else []
    outputs += [steps] if steps else []
    refuse_to_overwrite((image, annotation), outputs)
    if steps:
        check_steps_path(steps)
    given = {name: value for name, value in changes.items() if value is not None}
    settings = dataclasses.replace(crf_parameters(parameters), **given)
    pixels = io.read_image(image)
    p, numbers, palette = read_source(annotation, certainty, black, weights)
    for path in outputs:
        io.require_writable(path.parent)

    q = _refine(pixels, p, iterations, settings, steps, palette[numbers])
    labels = numbers[inference.most_probable(q)]
    io.write_labels(target, labels, palette)
    if target is not out:
        overlay = visualize.overlay(pixels, labels, palette)
        io.write_image(overlay_path, overlay)
    if probabilities:
        with io.atomic_write(target.with_suffix(".npy")) as temporary:
            np.save(temporary, q.astype(np.float32))
    click.echo(target)


def _refine(
    image: np.ndarray, probabilities: np.ndarray, iterations: int, settings: CRFParameters,
    steps: Path | None, colours: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return refined probabilities; write all iterations if ``steps`` names a file.

    Pixels whose labels are all equally probable, such as unknown ones at the start, are black, or
    grey where black is a label's colour.
    """
    import numpy as np

    from minideeplab.crf.refinement import build_crf, refine
    from minideeplab.visualize.mean_field import save_steps

    if steps is None:
        return refine(image, probabilities, iterations, settings)
    crf = build_crf(image, probabilities, settings)
    unknown = np.uint8((0, 0, 0) if colours.any(axis=1).all() else (128, 128, 128))
    frames = []
    for labels in crf.label_steps(iterations):
        undecided = np.ptp(crf.q, axis=0) < UNDECIDED if len(colours) > 1 else labels < 0
        frames.append(np.where(undecided[..., None], unknown, colours[labels]))
    save_steps(frames, steps)
    return crf.q


def read_source(
    path: Path, certainty: float, black: str, weights: str = "camvid"
) -> tuple[np.ndarray, ...]:
    """Return probabilities (C, H, W), the numbers of the labels (C,) and their palette (P, 3).

    Raises:
        FileNotFoundError, ValueError: no such file, neither a label image nor an array, or fewer
            than two labels.
    """
    import numpy as np

    from minideeplab.annotation import read_annotation

    if path.suffix.lower() in (".npy", ".npz"):
        array = read_array(path)
        if len(array) > MOST_LABELS:
            raise ValueError(
                f"{path}: {len(array)} labels; expected at most {MOST_LABELS}, which is what an "
                "8-bit label image holds"
            )
        return array, np.arange(len(array)), palette_of(weights, len(array))
    annotation = read_annotation(path, black)
    if len(annotation.numbers) < 2:
        raise ValueError(
            f"{path}: one label is left, expected at least two; black, transparent and 255 may "
            "count as unknown (see --black)"
        )
    if (annotation.index < 0).any():
        share = (annotation.index < 0).mean()
        click.echo(f"{len(annotation.numbers)} labels, {share:.0%} of the pixels unknown", err=True)
    return annotation.probabilities(certainty), annotation.numbers, annotation.palette


def palette_of(weights: str, classes: int) -> np.ndarray:
    """Return the palette (P, 3) in which ``segment`` writes ``classes`` classes."""
    import numpy as np

    from minideeplab import pretrained
    from minideeplab.models.files import read_npz
    from minideeplab.visualize.palettes import voc_palette

    meta = read_npz(pretrained.find(weights))[1]
    known = meta.get("num_classes") == classes and "palette" in meta
    return np.array(meta["palette"], np.uint8) if known else voc_palette()


def read_array(path: Path) -> np.ndarray:
    """Return probabilities (C, H, W) from a .npy file or the only array of a .npz."""
    from minideeplab.weights import load

    try:
        arrays = list(load(path).values())
    except ValueError as error:
        raise ValueError(f"{path}: not an array file ({error})") from error
    if len(arrays) != 1 or arrays[0].ndim != 3:
        shapes = ", ".join(str(array.shape) for array in arrays)
        flat = len(arrays) == 1 and arrays[0].ndim == 2
        hint = "; for two labels save np.stack([1 - p, p])" if flat else ""
        raise ValueError(f"{path}: expected one array (C, H, W), got {shapes or 'none'}{hint}")
    return arrays[0]
