"""Wrong answers to task 13.5."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

AXES = (0, 2, 3)


def parts(dy, x, eps, ddof=0):
    """(xhat, 1 / sigma, dweight, dbias)."""
    mean = x.mean(AXES, keepdims=True)
    invstd = 1 / np.sqrt(x.var(AXES, keepdims=True, ddof=ddof) + eps)
    xhat = (x - mean) * invstd
    return xhat, invstd, (dy * xhat).sum(AXES), dy.sum(AXES)


def planes(channel):
    """Shape (C,) to combine with (N, C, H, W)."""
    return channel[:, None, None]


@wrong("13.5", loses=ALL, hint="Mean and variance depend on x as well; they are taken as fixed.")
def statistics_fixed(dy, x, weight, eps):
    _, invstd, dweight, dbias = parts(dy, x, eps)
    return planes(weight) * invstd * dy, dweight, dbias


@wrong("13.5", loses=ALL, hint="The mean's share is there, the variance's is missing.")
def variance_fixed(dy, x, weight, eps):
    _, invstd, dweight, dbias = parts(dy, x, eps)
    return planes(weight) * invstd * (dy - dy.mean(AXES, keepdims=True)), dweight, dbias


@wrong("13.5", loses=ALL, hint="The variance's share is there, the mean's is missing.")
def mean_fixed(dy, x, weight, eps):
    xhat, invstd, dweight, dbias = parts(dy, x, eps)
    along = xhat * (dy * xhat).mean(AXES, keepdims=True)
    return planes(weight) * invstd * (dy - along), dweight, dbias


@wrong("13.5", loses=ALL, hint="Sums are taken off dy where their means over N, H and W belong.")
def sums_for_means(dy, x, weight, eps):
    xhat, invstd, dweight, dbias = parts(dy, x, eps)
    dx = dy - planes(dbias) - xhat * planes(dweight)
    return planes(weight) * invstd * dx, dweight, dbias


@wrong("13.5", loses=ALL, hint="The weight is missing in dx.")
def weight_forgotten(dy, x, weight, eps):
    xhat, invstd, dweight, dbias = parts(dy, x, eps)
    count = x[:, 0].size
    return invstd * (dy - planes(dbias / count) - xhat * planes(dweight / count)), dweight, dbias


@wrong("13.5", loses=ALL, hint="The variance divides by N H W, not by one less.")
def unbiased(dy, x, weight, eps):
    xhat, invstd, dweight, dbias = parts(dy, x, eps, ddof=1)
    count = x[:, 0].size
    dx = planes(weight) * invstd * (dy - planes(dbias / count) - xhat * planes(dweight / count))
    return dx, dweight, dbias


@wrong("13.5", loses=ALL, hint="Is eps added to the variance, under the root?")
def eps_outside_the_root(dy, x, weight, eps):
    mean, sigma = x.mean(AXES, keepdims=True), x.std(AXES, keepdims=True)
    invstd = 1 / (sigma + eps)
    xhat = (x - mean) * invstd
    dweight, dbias, count = (dy * xhat).sum(AXES), dy.sum(AXES), x[:, 0].size
    dx = planes(weight) * invstd * (dy - planes(dbias / count) - xhat * planes(dweight / count))
    return dx, dweight, dbias


def right(dy, x, weight, eps):
    """Return dx, dweight and dbias."""
    xhat, invstd, dweight, dbias = parts(dy, x, eps)
    count = x[:, 0].size
    dx = dy - planes(dbias / count) - xhat * planes(dweight / count)
    return planes(weight) * invstd * dx, dweight, dbias


@wrong("13.5", loses=ALL, hint="dweight and dbias are sums over N, H and W, not means.")
def means_for_sums(dy, x, weight, eps):
    dx, dweight, dbias = right(dy, x, weight, eps)
    return dx, dweight / x[:, 0].size, dbias / x[:, 0].size


@wrong("13.5", loses=ALL, hint="dweight is summed with x; the weight multiplies the normalised x.")
def dweight_with_x(dy, x, weight, eps):
    dx, _, dbias = right(dy, x, weight, eps)
    return dx, (dy * x).sum(AXES), dbias


@wrong("13.5", loses=ALL, hint="dweight has the weight as a factor, but y is linear in the weight.")
def dweight_times_weight(dy, x, weight, eps):
    dx, dweight, dbias = right(dy, x, weight, eps)
    return dx, dweight * weight, dbias


@wrong(
    "13.5",
    loses=("two channels", "one image", "a large eps"),
    hint="Mean and variance are over N, H and W, for each channel; here they are over N alone.",
)
def statistics_over_the_batch_alone(dy, x, weight, eps):
    mean = x.mean(0, keepdims=True)
    invstd = 1 / np.sqrt(x.var(0, keepdims=True) + eps)
    xhat, scaled = (x - mean) * invstd, dy * planes(weight)
    along = xhat * (scaled * xhat).mean(0, keepdims=True)
    dx = (scaled - scaled.mean(0, keepdims=True) - along) * invstd
    return dx, (dy * xhat).sum(AXES), dy.sum(AXES)
