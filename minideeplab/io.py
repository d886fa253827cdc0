"""Read and write images and label images."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from minideeplab.files import (  # noqa: F401
    atomic_write,
    remove_unfinished,
    require_file,
    require_writable,
)
from minideeplab.visualize.palettes import VOID_COLOUR, full_palette, voc_palette

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm",
)  # fmt: skip
WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # one channel, more than 8 bits


# ---------------------------------------------------------------- images in


def read_image(
    path: str | os.PathLike[str], intensity_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Read any image that Pillow knows as an upright RGB image.

    EXIF rotation is applied, transparency is laid over white, 16-bit grey keeps its upper 8 bits,
    palettes, CMYK and 1-bit are converted, and of an animation the first frame is taken.

    Args:
        path: the image.
        intensity_range: grey values (low, high) of images of more than 8 bits that become 0 and
            255, such as (0, 4095) for scans of 12 bits.

    Returns:
        (H, W, 3) uint8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an image, or a damaged one.
    """
    with open_image(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode in WIDE_MODES:
            grey = _wide_to_uint8(np.asarray(image), intensity_range)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.array(_over_white(image))


def read_labels(path: str | os.PathLike[str], palette: np.ndarray | None = None) -> np.ndarray:
    """Read a label image: palette indices or grey values as they are.

    Args:
        path: the image.
        palette: (K, 3) uint8; with it an RGB label image is decoded colour by colour.

    Returns:
        (H, W) uint8, 255 for "ignored".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an image, has colours that no palette explains, or labels
            above 255.
    """
    with open_image(path) as image:
        if image.mode in ("P", "L", "1"):
            return np.array(image, dtype=np.uint8)
        if image.mode in WIDE_MODES:
            return _narrow_labels(np.asarray(image), path)
        if palette is None:
            raise ValueError(
                f"{path}: labels are colours ({image.mode}); expected class numbers in a palette "
                "or grey image, or the palette that explains the colours"
            )
        return _decode_colours(np.asarray(image.convert("RGB")), np.asarray(palette), path)


@contextmanager
def open_image(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Open and decode an image; any error of a decoder becomes a ValueError.

    A device or pipe is refused, since reading it may never end.
    """
    with open(require_file(path, "an image"), "rb") as file:
        try:
            image = Image.open(file)
            image.load()
        except Image.DecompressionBombError:
            raise ValueError(
                f"{path}: more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels; segment --max-pixels, "
                "in Python io.allow_pixels, raises the limit"
            ) from None
        except Image.UnidentifiedImageError:
            raise ValueError(f"{path}: not an image in any format known here") from None
        except Exception as error:  # decoders of damaged files raise nearly anything
            raise ValueError(f"{path}: cannot be decoded as an image ({error})") from error
        yield image


def allow_pixels(count: int) -> None:
    """Let images of up to ``count`` pixels be read; 178,956,970 by default, for safety."""
    Image.MAX_IMAGE_PIXELS = -(-count // 2)  # Pillow warns above this, and refuses twice as many
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def _wide_to_uint8(
    values: np.ndarray, intensity_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Bring 16-bit, 32-bit or float grey values to 0..255."""
    if intensity_range is not None:
        low, high = intensity_range
        scaled = 255 * (np.nan_to_num(values.astype(np.float64)) - low) / (high - low)
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    if values.dtype.kind != "f":
        wide = values.astype(np.int64)
        return np.clip(wide // 257 if wide.max(initial=0) > 255 else wide, 0, 255).astype(np.uint8)
    values = np.nan_to_num(values.astype(np.float64))
    if values.max(initial=0) <= 1:
        values = values * 255  # a float image in 0..1
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _over_white(image: Image.Image) -> Image.Image:
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _narrow_labels(values: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    low, high = values.min(), values.max()
    if low < 0 or high > 255 or not np.array_equal(values, values.astype(np.uint8)):
        raise ValueError(f"{path}: labels from {low} to {high}; expected whole numbers in 0..255")
    return values.astype(np.uint8)


def _decode_colours(
    image: np.ndarray, palette: np.ndarray, path: str | os.PathLike[str]
) -> np.ndarray:
    """Map every RGB colour to its index in the palette, the void colour to 255."""
    code = np.array([1 << 16, 1 << 8, 1])
    labels_of = {int(np.dot(VOID_COLOUR, code)): 255}
    labels_of |= {int(np.dot(colour, code)): index for index, colour in enumerate(palette)}
    colours, inverse = np.unique(image.astype(np.int64) @ code, return_inverse=True)
    unknown = [f"#{colour:06x}" for colour in colours if int(colour) not in labels_of]
    if unknown:
        raise ValueError(f"{path}: colours not in the palette: {', '.join(unknown[:5])}")
    table = np.array([labels_of[int(colour)] for colour in colours], dtype=np.uint8)
    return table[inverse].reshape(image.shape[:2])


# ---------------------------------------------------------------- images out


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write an (H, W, 3) uint8 image, whole or not at all."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image: expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
    _save(Image.fromarray(image), path)


def write_labels(
    path: str | os.PathLike[str], labels: np.ndarray, palette: np.ndarray | None = None
) -> None:
    """Write labels as an 8-bit palette PNG: the class numbers are the pixel values.

    Args:
        path: where; the suffix should be ``.png``.
        labels: (H, W) integers in 0..255, 255 for "ignored".
        palette: (K, 3) uint8 colours, PASCAL VOC's by default.

    Raises:
        ValueError: labels of another shape, or without a colour in the palette.
    """
    colours = voc_palette() if palette is None else np.asarray(palette, dtype=np.uint8)
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(f"labels: expected (H, W) integers, got {labels.dtype} {labels.shape}")
    bad = labels[(labels < 0) | (labels >= len(colours)) & (labels != 255)]
    if bad.size:
        raise ValueError(
            f"labels: found {bad[0]}; the palette has colours for 0..{len(colours) - 1}"
        )
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(full_palette(colours).tobytes())
    _save(image, path)


def _save(image: Image.Image, path: str | os.PathLike[str]) -> None:
    with atomic_write(path) as temporary:
        image.save(temporary)


# ---------------------------------------------------------------- files


def expand(inputs: Iterable[str | os.PathLike[str]] | str | os.PathLike[Any]) -> list[Path]:
    """Turn files, folders and globs into a list of image paths, each once, in order.

    A folder is replaced by the images directly in it, sorted by name, without hidden ones, such as
    those that a killed process leaves. A name that matches nothing
    is kept, so that the reader can report it and continue.

    Raises:
        ValueError: a folder without images.
    """
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    found: dict[Path, None] = {}
    for item in inputs:
        found.update(dict.fromkeys(_expand_one(Path(item))))
    return list(found)


def _expand_one(path: Path) -> list[Path]:
    if path.is_dir():
        inside = sorted(
            p
            for p in path.iterdir()
            if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")
        )
        if not inside:
            raise ValueError(f"{path}: a folder without images ({', '.join(IMAGE_SUFFIXES)})")
        return inside
    if not path.exists() and glob.has_magic(str(path)):
        matches = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
        return [match for match in matches if match.is_file()] or [path]
    return [path]
