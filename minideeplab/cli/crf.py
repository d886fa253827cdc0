"""``minideeplab crf``: refine labels, scribbles or probabilities with the dense CRF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from minideeplab.cli._outputs import refuse_to_overwrite

if TYPE_CHECKING:
    import numpy as np

    from minideeplab.crf.refinement import CRFParameters

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
@click.option("--steps", type=click.Path(path_type=Path),
              help="Also write all iterations: .gif an animation, .png a strip.")  # fmt: skip
@click.option("--probabilities", is_flag=True, help="Also write NAME.npy, (C, H, W) float32.")
def command(
    image: Path, annotation: Path, out: Path, parameters: str, iterations: int, certainty: float,
    black: str, steps: Path | None, probabilities: bool, **changes: float | None,
) -> None:  # fmt: skip
    """Refine ANNOTATION with the fully connected CRF of IMAGE.

    ANNOTATION is a label image of the same size, or a .npy or .npz file with probabilities
    (C, H, W). In a colour image each colour is a label, in a palette or grey image each
    number; black, transparent and 255 are unknown (see --black). The colours are kept.

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
    p, numbers, palette = read_source(annotation, certainty, black)
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
    """Return refined probabilities; write all iterations if ``steps`` names a file."""
    from minideeplab.crf.refinement import build_crf, refine
    from minideeplab.visualize.mean_field import save_steps

    if steps is None:
        return refine(image, probabilities, iterations, settings)
    crf = build_crf(image, probabilities, settings)
    save_steps([colours[labels] for labels in crf.label_steps(iterations)], steps)
    return crf.q


def read_source(path: Path, certainty: float, black: str) -> tuple[np.ndarray, ...]:
    """Return probabilities (C, H, W), the numbers of the labels (C,) and their palette (P, 3).

    Raises:
        FileNotFoundError, ValueError: no such file, or neither a label image nor an array.
    """
    import numpy as np

    from minideeplab.annotation import read_annotation
    from minideeplab.visualize.palettes import voc_palette

    if path.suffix.lower() in (".npy", ".npz"):
        array = read_array(path)
        return array, np.arange(len(array)), voc_palette()
    annotation = read_annotation(path, black)
    if (annotation.index < 0).any():
        share = (annotation.index < 0).mean()
        click.echo(f"{len(annotation.numbers)} labels, {share:.0%} of the pixels unknown", err=True)
    return annotation.probabilities(certainty), annotation.numbers, annotation.palette


def read_array(path: Path) -> np.ndarray:
    """Return probabilities (C, H, W) from a .npy file or the only array of a .npz."""
    from minideeplab.weights import load

    try:
        arrays = list(load(path).values())
    except ValueError as error:
        raise ValueError(f"{path}: not an array file ({error})") from error
    if len(arrays) != 1 or arrays[0].ndim != 3:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"{path}: expected one array (C, H, W), got {shapes or 'none'}")
    return arrays[0]
