"""Wrong batch normalisations: which variance, which axes, which statistics, which terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Change, Function, on, right, zeroed

batch_norm = right("batch_norm")

Statistics = dict[str, Any]


def _axes(x: np.ndarray) -> tuple[int, ...]:
    return tuple(i for i in range(x.ndim) if i != 1)


def _column(vector: Any, x: np.ndarray) -> np.ndarray:
    return np.reshape(vector, (-1,) + (1,) * (x.ndim - 2))


def _affine(y: np.ndarray, x: np.ndarray, weight: Any, bias: Any) -> np.ndarray:
    y = y if weight is None else y * _column(weight, x)
    return (y if bias is None else y + _column(bias, x)).astype(x.dtype)


def _count(x: np.ndarray) -> float:
    return x.size / x.shape[1]


def _statistics(x: np.ndarray) -> Statistics:
    """Return the right mean, variance and unbiased variance of every channel, in float64."""
    wide, count = x.astype(np.float64), _count(x)
    mean, variance = wide.mean(_axes(x)), wide.var(_axes(x))
    return {"mean": mean, "variance": variance, "unbiased": variance * count / max(1.0, count - 1)}


def _inverse(variance: np.ndarray, eps: float) -> np.ndarray:
    return 1.0 / np.sqrt(variance + eps)


def _norm(
    change: Callable[[np.ndarray, Statistics], Statistics] = lambda x, now: {},
    remembered: str = "unbiased",
    inverse: Callable[[np.ndarray, float], np.ndarray] = _inverse,
    keep: Callable[[float], float] = lambda momentum: 1.0 - momentum,
) -> Function:
    """Return batch norm in training with one part replaced; outside training it is right.

    ``keep(momentum)`` is the share of the old running value.
    """

    def forward(
        x: np.ndarray,
        mean: Any,
        var: Any,
        weight: Any = None,
        bias: Any = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> np.ndarray:
        now = {"mean": mean, "variance": var}
        if training:
            now = _statistics(x)
            now |= change(x, now)
        share = inverse(np.asarray(now["variance"], np.float64), eps)
        y = (x - _column(now["mean"], x)) * _column(share, x)
        if training and mean is not None:
            old = keep(momentum)
            mean[...] = old * mean + (1 - old) * now["mean"]
            var[...] = old * var + (1 - old) * now[remembered]
        return _affine(y, x, weight, bias)

    return forward


def _cancelling(x: np.ndarray, now: Statistics) -> Statistics:
    """Return E[x^2] - E[x]^2 in the input's own precision."""
    variance = np.mean(x * x, _axes(x)) - np.mean(x, _axes(x)) ** 2
    return {"variance": np.maximum(variance, 0)}


def _over_everything(x: np.ndarray, now: Statistics) -> Statistics:
    wide = x.astype(np.float64)
    found = {"mean": wide.mean(), "variance": wide.var(), "unbiased": wide.var(ddof=1)}
    return {name: np.full(x.shape[1], value) for name, value in found.items()}


def _normalised_over(axes: Callable[[int], tuple[int, ...]]) -> Function:
    """Return batch norm in training with its mean and variance over other axes."""

    def forward(
        x: np.ndarray, mean: Any, var: Any, weight: Any = None, bias: Any = None, **options: Any
    ) -> np.ndarray:
        over = axes(x.ndim)
        if not options.get("training") or not over:
            return batch_norm(x, mean, var, weight, bias, **options)
        centred = x - x.mean(over, keepdims=True)
        y = centred / np.sqrt(x.var(over, keepdims=True) + options.get("eps", 1e-5))
        return _affine(y, x, weight, bias)

    return forward


def _switched(training: bool) -> Function:
    """Return batch norm that is always, or never, in training where it can be."""

    def forward(x: np.ndarray, mean: Any, var: Any, *affine: Any, **options: Any) -> np.ndarray:
        if mean is not None and x.size:
            options["training"] = training
            mean, var = (mean.copy(), var.copy()) if training else (mean, var)
        return batch_norm(x, mean, var, *affine, **options)

    return forward


def _statistics_copied(x: np.ndarray, mean: Any, var: Any, *affine: Any, **options: Any) -> Any:
    return x, *(None if a is None else a.copy() for a in (mean, var)), *affine


def _not_centred(
    x: np.ndarray, mean: Any, var: Any, weight: Any = None, bias: Any = None, **options: Any
) -> np.ndarray:
    y = batch_norm(x, mean, var, None, None, **options).astype(np.float64)
    if options.get("training") and x.size:
        now = _statistics(x)
        y += _column(now["mean"] * _inverse(now["variance"], options.get("eps", 1e-5)), x)
    return _affine(y, x, weight, bias)


def _updated_first(x: np.ndarray, mean: Any, *rest: Any, **options: Any) -> np.ndarray:
    y = batch_norm(x, mean, *rest, **options)
    if not options.get("training") or mean is None or not x.size:
        return y
    return batch_norm(x, mean, *rest, **options | {"training": False})


def _correction_inverted(
    x: np.ndarray, mean: Any, var: Any, *affine: Any, **options: Any
) -> np.ndarray:
    before = None if var is None else var.copy()
    y = batch_norm(x, mean, var, *affine, **options)
    if options.get("training") and var is not None and x.size:
        count, kept = _count(x), 1 - options.get("momentum", 0.1)
        var[...] = kept * before + (var - kept * before) * ((count - 1) / count) ** 2
    return y


FORWARD = {
    "unbiased": (_norm(lambda x, now: {"variance": now["unbiased"]}),
                 "it normalises by the unbiased variance"),
    "running-biased": (_norm(remembered="variance"),
                       "the biased variance goes into the running one"),
    "running-deviation": (_norm(lambda x, now: {"unbiased": np.sqrt(now["unbiased"])}),
                          "the running variance collects deviations"),
    "cancelling": (_norm(_cancelling), "E[x^2] - E[x]^2 loses the digits when the mean is large"),
    "eps-outside": (_norm(inverse=lambda v, eps: 1.0 / (np.sqrt(v) + eps)),
                    "eps is added to the deviation instead of the variance"),
    "eps-forgotten": (_norm(inverse=lambda v, eps: 1.0 / np.sqrt(np.maximum(v, 1e-30))),
                      "eps is not added"),
    "eps-fixed": (batch_norm.without("eps"), "eps is ignored: always 1e-5"),
    "not-rooted": (_norm(inverse=lambda v, eps: 1.0 / (v + eps)),
                   "it divides by the variance instead of the deviation"),
    "momentum-inverted": (_norm(keep=lambda momentum: momentum),
                          "momentum is the share of the old value, as in other frameworks"),
    "momentum-fixed": (batch_norm.without("momentum"), "momentum is ignored: always 0.1"),
    "over-everything": (_norm(_over_everything), "one mean and variance for all channels together"),
    "always-training": (_switched(True), "training=False is ignored"),
    "never-training": (_switched(False), "training=True is ignored"),
    "forgetful": (batch_norm.before(_statistics_copied), "the running statistics are not updated"),
    "weight-ignored": (batch_norm.before(lambda x, m, v, w=None, b=None, **o: (x, m, v, None, b)),
                       "the weight is ignored"),
    "bias-ignored": (batch_norm.before(lambda x, m, v, w=None, b=None, **o: (x, m, v, w, None)),
                     "the bias is ignored"),
    "layer": (_normalised_over(lambda n: tuple(range(1, n))),
              "it is layer norm: every image by itself, over all channels"),
    "instance": (_normalised_over(lambda n: tuple(range(2, n))),
                 "it is instance norm: every image by itself"),
    "not-centred": (_not_centred, "the mean is not subtracted"),
    "updated-first": (_updated_first,
                      "in training it normalises by the running statistics, just updated"),
    "correction-inverted": (
        _correction_inverted,
        "the running variance is corrected by (n - 1) / n instead of n / (n - 1)"),
    "over-batch": (_normalised_over(lambda n: (0,)),
                   "every pixel is normalised over the images alone"),
}  # fmt: skip


def _input_gradient(
    mean: bool = True, product: bool = True, count: Callable[[np.ndarray], float] = _count,
    training: bool = True,
) -> Change:  # fmt: skip
    """Return dx in training with or without its terms; its sums are divided by ``count(x)``.

    ``training``: the rows that are changed; the others stay.
    """

    def change(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> Any:
        x, weight, axes = arrays[0], arrays[3], _axes(arrays[0])
        if bool(options.get("training")) != training or (not training and _count(x) < 2):
            return {}
        now = _statistics(x)
        share = _inverse(now["variance"], options.get("eps", 1e-5))
        hat = (x - _column(now["mean"], x)) * _column(share, x)
        dx = scaled = dy * _column(share if weight is None else share * weight, x)
        if mean:
            dx = dx - scaled.sum(axes, keepdims=True) / count(x)
        if product:
            dx = dx - hat * (scaled * hat).sum(axes, keepdims=True) / count(x)
        return dx.astype(x.dtype)

    return change


BACKWARD = {
    "statistics-constant": (_input_gradient(mean=False, product=False),
                            "dx treats mean and variance as constants"),
    "variance-constant": (_input_gradient(product=False), "dx treats the variance as a constant"),
    "mean-constant": (_input_gradient(mean=False), "dx treats the mean as a constant"),
    "mean-over-batch": (_input_gradient(count=len),
                        "dx divides its sums by the batch size, not by the number of pixels"),
    "eval-as-training": (_input_gradient(training=False),
                         "outside training dx still differentiates the statistics"),
    "dweight-by-input": (lambda g, dy, a, o: {3: (dy * a[0]).sum(_axes(a[0]))},
                         "dweight uses x instead of normalised x"),
    "dweight-zero": (on(3, zeroed), "dweight is all zero"),
    "dbias-mean": (lambda g, dy, a, o: on(4, lambda db: db / max(1.0, _count(a[0])))(g),
                   "dbias averages instead of summing"),
}  # fmt: skip
