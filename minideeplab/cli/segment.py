"""``minideeplab segment``: label every pixel of images."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minideeplab.budget import one_line
from minideeplab.cli._executor import executor_options
from minideeplab.cli._outputs import refuse_to_overwrite

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np


def parse_scales(
    ctx: click.Context, param: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    """Return "0.5,0.75,1" as numbers."""
    if text is None:
        return None
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 0.5,0.75,1") from None
    if not all(0 < scale <= 8 for scale in scales):
        raise click.BadParameter(f"{text!r}: scales are numbers above 0, at most 8")
    return scales


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="FILE|FOLDER|GLOB...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for results.")
@click.option("--weights", default="camvid", metavar="FILE",
              help="Weights: a .npz of ours, or a bundled set: camvid, shapes.")  # fmt: skip
@click.option("--crf/--no-crf", default=True, help="Refine with the dense CRF.")
@click.option(
    "--scales",
    callback=parse_scales,
    help="Scales to average, as 0.5,0.75,1.  [default: as the weights, else 1]",
)
@click.option("--flip/--no-flip", default=None,
              help="Average with the mirrored image.  [default: as the weights]")  # fmt: skip
@click.option("--max-side", default=1024, type=click.IntRange(16),
              help="Scale larger images down to this, pixels of the longer side.")  # fmt: skip
@click.option("--tile", type=click.IntRange(64), metavar="SIDE",
              help="Label large images at full size, in overlapping tiles.")  # fmt: skip
@click.option("--max-pixels", default=178_956_970, type=click.IntRange(1),
              help="Refuse images of more pixels.")  # fmt: skip
@click.option("--overlay-alpha", default=0.5, type=click.FloatRange(0, 1),
              help="Strength of the colours in the overlay.")  # fmt: skip
@click.option("--save", multiple=True, type=click.Choice(["probabilities", "polygons"]),
              help="Also NAME-probabilities.npy or NAME.geojson; may be repeated.")  # fmt: skip
@click.option("--backend", metavar="NAME", help="Backend: numba, numpy, or cuda for a GPU.")
@executor_options
def command(
    inputs: tuple[str, ...], out: Path, weights: str, overlay_alpha: float, save: tuple[str, ...],
    backend: str | None, jobs: int, dask: str | None, scales: tuple[float, ...] | None,
    flip: bool | None, max_pixels: int, **options: Any,
) -> None:  # fmt: skip
    """Label every pixel of images with a trained network.

    For each image NAME it writes NAME.png, the class numbers as a palette image of the same
    size, and NAME-overlay.png, the colours over the image. Any format, size and mode of image
    is accepted. Larger images than --max-side are scaled down for the network; --tile keeps their
    size. --save adds the class probabilities, (C, H, W) float32, or the regions as GeoJSON
    polygons in pixels, for tools that people label with. An image that cannot be read is reported,
    the others are processed, and the exit status is 1.

    \b
    Example:
      minideeplab segment street.jpg holiday/ 'more/*.png' --out results
      minideeplab segment street.jpg --out results --scales 0.5,0.75,1 --no-crf
      minideeplab segment holiday/ --out results --jobs 4 --save polygons
    """
    from minideeplab import executors, inference, io, models, pretrained
    from minideeplab.backends import use_backend

    io.allow_pixels(max_pixels)
    paths = io.expand(inputs)
    names = unique_names(paths)
    refuse_to_overwrite(paths, [out / file for name in names for file in _files(name)])
    net = models.from_checkpoint(pretrained.find(weights))
    if backend == "cuda":
        net.to("cuda")
    io.require_writable(out)
    options |= inference.views(net, scales, flip)
    with (
        use_backend(backend) if backend else nullcontext(),
        executors.open_executor(jobs, dask) as executor,
    ):
        failed = _segment_all(paths, names, out, net, overlay_alpha, save, executor, options)
    if failed:
        done = len(paths) - len(failed)
        click.echo(f"{done} of {len(paths)} images done; failed: {', '.join(failed)}", err=True)
        click.get_current_context().exit(1)


def _segment_all(
    paths: Sequence[Path], names: Sequence[str], out: Path, net: Any, alpha: float,
    save: Sequence[str], executor: Executor | None, options: dict[str, Any],
) -> list[str]:  # fmt: skip
    """Segment images one by one, or several at a time; return the paths that failed."""
    from tqdm import tqdm

    from minideeplab import inference, io

    failed, waiting = [], deque()
    with tqdm(total=len(paths), unit="image", file=sys.stderr, disable=None) as progress:

        def fail(path: Path, error: Exception) -> None:
            reason = str(error) or "out of memory; try a smaller --max-side"
            progress.write(f"minideeplab: {one_line(reason)}", file=sys.stderr)
            progress.update()
            failed.append(one_line(path))

        def images() -> Iterator[np.ndarray]:
            for path, name in zip(paths, names, strict=True):
                try:
                    image = io.read_image(path, net.meta.get("intensity_range"))
                except (ValueError, OSError, MemoryError) as error:
                    fail(path, error)
                    continue
                waiting.append((path, out / name, image))
                yield image

        both = "probabilities" in save
        results = inference.segment_all(images(), net, executor, True, both, **options)
        for result in results:
            path, target, image = waiting.popleft()
            try:
                if isinstance(result, Exception):
                    raise result
                labels, probabilities = result if both else (result, None)
                line = _write(target, image, labels, net, alpha)
                save_more(target, labels, probabilities, net, "polygons" in save)
            except (ValueError, OSError, MemoryError) as error:
                fail(path, error)
                continue
            progress.write(one_line(line), file=sys.stdout)
            progress.update()
    return failed


def _write(target: Path, image: np.ndarray, labels: np.ndarray, net: Any, alpha: float) -> str:
    """Write the label image and the overlay; return a line with the most frequent classes."""
    from minideeplab import io, visualize

    palette = palette_of(net)
    overlay = visualize.overlay(image, labels, palette, alpha)
    io.write_labels(target.with_name(f"{target.name}.png"), labels, palette)
    io.write_image(target.with_name(f"{target.name}-overlay.png"), overlay)
    return f"{target}.png  {summary(labels, net.meta.get('classes'))}"


def save_more(
    target: Path, labels: np.ndarray, probabilities: np.ndarray | None, net: Any, polygons: bool
) -> None:
    """Write NAME-probabilities.npy, unless they are None, and NAME.geojson if ``polygons``."""
    import json

    import numpy as np

    from minideeplab import io
    from minideeplab.visualize.polygons import geojson

    if probabilities is not None:
        path = target.with_name(f"{target.name}-probabilities.npy")
        with io.atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.save(file, np.asarray(probabilities, np.float32))
    if polygons:
        found = geojson(labels, palette_of(net), net.meta.get("classes"))
        with io.atomic_write(target.with_name(f"{target.name}.geojson")) as temporary:
            temporary.write_text(json.dumps(found), "utf-8")


def palette_of(net: Any) -> np.ndarray:
    """Return the colours of a network's classes, (K, 3) uint8: its own, else PASCAL VOC's."""
    import numpy as np

    from minideeplab.visualize.palettes import voc_palette

    return np.array(net.meta["palette"], np.uint8) if "palette" in net.meta else voc_palette()


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Return a unique name for each image: ``a.jpg`` and ``b/a.png`` become ``a`` and ``a-2``.

    Names differ by more than case, since some file systems ignore it, and no name's overlay is
    another's label image.
    """
    taken: set[str] = set()
    names = []
    for path in paths:
        name, count = path.stem, 1
        while not taken.isdisjoint(_files(name.lower())):
            count += 1
            name = f"{path.stem}-{count}"
        taken.update(_files(name.lower()))
        names.append(name)
    return names


def _files(name: str) -> tuple[str, str]:
    return f"{name}.png", f"{name}-overlay.png"


def summary(labels: Any, classes: Sequence[str] | None) -> str:
    """Return the four most frequent classes: "Road 42%, Sky 30%, Tree 12% ..."."""
    import numpy as np

    counts = sum(np.bincount(row, minlength=256) for row in labels)
    largest = [int(label) for label in np.argsort(-counts, kind="stable")[:4] if counts[label]]
    names = [classes[label] if classes else f"class {label}" for label in largest]
    parts = [round(100 * counts[label] / labels.size) for label in largest]
    return ", ".join(f"{name} {part}%" for name, part in zip(names, parts, strict=True))
