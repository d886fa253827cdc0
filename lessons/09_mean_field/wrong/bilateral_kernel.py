"""Wrong answers to task 9.1."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def features(image, sxy, srgb):
    """Return positions and colours over their widths."""
    y, x = np.indices(image.shape[:2])
    colour = image.astype(float).reshape(-1, image.shape[2]).T
    return np.concatenate([np.stack([x.ravel(), y.ravel()]) / sxy, colour / srgb])


def kernel(f):
    """Return the kernel of features, (N, N), its diagonal zero."""
    k = np.exp(-((f[:, :, None] - f[:, None, :]) ** 2).sum(axis=0) / 2)
    return k - np.diag(np.diag(k))


@wrong("9.1", loses=ALL, hint="The diagonal is 1: a pixel counts itself among its neighbours.")
def keeps_the_diagonal(image, sxy, srgb):
    f = features(image, sxy, srgb)
    return kernel(f) + np.eye(f.shape[1])


@wrong("9.1", loses=ALL, hint="The exponent lacks its factor: a Gaussian has 2 σ² below.")
def forgets_the_half(image, sxy, srgb):
    return kernel(features(image, sxy, srgb) * np.sqrt(2))


@wrong(
    "9.1",
    loses=ALL,
    hint="The exponent has σ once and not squared: divide the differences before you square them.",
)
def width_not_squared(image, sxy, srgb):
    return kernel(features(image, np.sqrt(sxy), np.sqrt(srgb)))


@wrong(
    "9.1",
    loses=ALL,
    hint="Pixels run down the columns here; they are numbered row by row, x fastest.",
)
def counts_columns_first(image, sxy, srgb):
    height, width, _ = image.shape
    order = np.arange(height * width).reshape(height, width).T.ravel()
    return kernel(features(image, sxy, srgb)[:, order])


@wrong(
    "9.1",
    loses=("colours", "bytes", "one channel", "wide in colour"),
    hint="The two widths are mixed up, or one is used for both: colours have a width of their own.",
)
def one_width(image, sxy, srgb):
    return kernel(features(image, sxy, sxy))


@wrong(
    "9.1",
    loses=("bytes",),
    hint="Differences of uint8 wrap around at 256: make the image float before subtracting.",
)
def subtracts_bytes(image, sxy, srgb):
    position = features(image, sxy, srgb)[:2]
    pixels = image.reshape(-1, image.shape[2]).T
    colour = (pixels[:, :, None] - pixels[:, None, :]) / srgb
    k = np.exp(-((position[:, :, None] - position[:, None, :]) ** 2).sum(axis=0) / 2)
    k *= np.exp(-(colour**2).sum(axis=0) / 2)
    return k - np.diag(np.diag(k))


@wrong(
    "9.1",
    loses=("bytes",),
    hint="The squares of uint8 differences wrap around at 256 as well: make the image float first.",
)
def squares_bytes(image, sxy, srgb):
    position = features(image, sxy, srgb)[:2]
    pixels = image.reshape(-1, image.shape[2]).T
    colour = (((pixels[:, :, None] - pixels[:, None, :]) ** 2) / srgb**2).sum(axis=0)
    k = np.exp(-(((position[:, :, None] - position[:, None, :]) ** 2).sum(axis=0) + colour) / 2)
    return k - np.diag(np.diag(k))


@wrong(
    "9.1",
    loses=("bytes",),
    hint="Bytes are divided by 255; the width of colours is given for the values as they are.",
)
def scales_bytes(image, sxy, srgb):
    scale = 255 if image.dtype == np.uint8 else 1
    return kernel(features(image / scale, sxy, srgb))
