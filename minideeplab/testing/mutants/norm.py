"""Wrong batch normalisations: which variance, which axes, which statistics, which terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Mutant, backwards, forwards, right

batch_norm = right("batch_norm")

DEFAULTS = {"training": False, "momentum": 0.1, "eps": 1e-5}
State = dict[str, Any]


def _axes(x: np.ndarray) -> tuple[int, ...]:
    return tuple(i for i in range(x.ndim) if i != 1)


def _column(vector: Any, x: np.ndarray) -> np.ndarray:
    return np.reshape(vector, (-1,) + (1,) * (x.ndim - 2))


def _statistics(x: np.ndarray) -> State:
    """Return the right mean, variance and unbiased variance of every channel, in float64."""
    wide = x.astype(np.float64)
    count = x.size / x.shape[1]
    variance = wide.var(_axes(x))
    return {
        "mean": wide.mean(_axes(x)),
        "variance": variance,
        "unbiased": variance * count / max(1.0, count - 1),
    }


def _inverse(variance: np.ndarray, eps: float) -> np.ndarray:
    return 1.0 / np.sqrt(variance + eps)


def _norm(
    statistics: Callable[[np.ndarray], State] = _statistics,
    remembered: str = "unbiased",
    inverse: Callable[[np.ndarray, float], np.ndarray] = _inverse,
    keep: Callable[[float], float] = lambda momentum: 1.0 - momentum,
) -> Callable[..., np.ndarray]:
    """Return batch norm in training with one part replaced; outside training it is right.

    ``keep(momentum)`` is the share of the old running value.
    """

    def forward(
        x: np.ndarray, mean: Any, var: Any, weight: Any = None, bias: Any = None, **options: Any
    ) -> np.ndarray:
        full = DEFAULTS | options
        now = statistics(x) if full["training"] else {"mean": mean, "variance": var}
        share = inverse(np.asarray(now["variance"], np.float64), full["eps"])
        y = (x - _column(now["mean"], x)) * _column(share, x)
        y = y if weight is None else y * _column(weight, x)
        y = y if bias is None else y + _column(bias, x)
        if full["training"] and mean is not None:
            old = keep(full["momentum"])
            mean[...] = old * mean + (1 - old) * now["mean"]
            var[...] = old * var + (1 - old) * now[remembered]
        return y.astype(x.dtype)

    return forward


def _unbiased(x: np.ndarray) -> State:
    now = _statistics(x)
    return now | {"variance": now["unbiased"]}


def _cancelling(x: np.ndarray) -> State:
    """Return E[x^2] - E[x]^2 in the input's own precision."""
    now = _statistics(x)
    variance = np.mean(x * x, _axes(x)) - np.mean(x, _axes(x)) ** 2
    return now | {"variance": np.maximum(variance, 0)}


def _over_everything(x: np.ndarray) -> State:
    wide, channels = x.astype(np.float64), x.shape[1]
    return {
        "mean": np.full(channels, wide.mean()),
        "variance": np.full(channels, wide.var()),
        "unbiased": np.full(channels, wide.var(ddof=1)),
    }


def _deviation(x: np.ndarray) -> State:
    now = _statistics(x)
    return now | {"unbiased": np.sqrt(now["unbiased"])}


def _switched(training: bool) -> Callable[..., np.ndarray]:
    """Return batch norm that is always, or never, in training where it can be."""

    def forward(x: np.ndarray, mean: Any, var: Any, *affine: Any, **options: Any) -> np.ndarray:
        if mean is not None and x.size:
            options["training"] = training
            mean, var = (mean.copy(), var.copy()) if training else (mean, var)
        return batch_norm(x, mean, var, *affine, **options)

    return forward


def _forgetful(x: np.ndarray, mean: Any, var: Any, *affine: Any, **options: Any) -> np.ndarray:
    mean, var = (None if a is None else a.copy() for a in (mean, var))
    return batch_norm(x, mean, var, *affine, **options)


def _no_weight(
    x: np.ndarray, mean: Any, var: Any, weight: Any = None, bias: Any = None, **options: Any
) -> np.ndarray:
    return batch_norm(x, mean, var, None, bias, **options)


def _no_bias(
    x: np.ndarray, mean: Any, var: Any, weight: Any = None, bias: Any = None, **options: Any
) -> np.ndarray:
    return batch_norm(x, mean, var, weight, None, **options)


def _eps_fixed(x: np.ndarray, *rest: Any, **options: Any) -> np.ndarray:
    return batch_norm(x, *rest, **options | {"eps": 1e-5})


def _momentum_fixed(x: np.ndarray, *rest: Any, **options: Any) -> np.ndarray:
    return batch_norm(x, *rest, **options | {"momentum": 0.1})


FORWARD = forwards(
    "batch_norm",
    {
        "unbiased": (_norm(_unbiased), "it normalises by the unbiased variance"),
        "running-biased": (
            _norm(remembered="variance"),
            "the biased variance goes into the running one",
        ),
        "running-deviation": (_norm(_deviation), "the running variance collects deviations"),
        "cancelling": (
            _norm(_cancelling),
            "E[x^2] - E[x]^2 loses the digits when the mean is large",
        ),
        "eps-outside": (
            _norm(inverse=lambda v, eps: 1.0 / (np.sqrt(v) + eps)),
            "eps is added to the deviation instead of the variance",
        ),
        "eps-forgotten": (
            _norm(inverse=lambda v, eps: 1.0 / np.sqrt(np.maximum(v, 1e-30))),
            "eps is not added",
        ),
        "eps-fixed": (_eps_fixed, "eps is ignored: always 1e-5"),
        "not-rooted": (
            _norm(inverse=lambda v, eps: 1.0 / (v + eps)),
            "it divides by the variance instead of the deviation",
        ),
        "momentum-inverted": (
            _norm(keep=lambda momentum: momentum),
            "momentum is the share of the old value, as in other frameworks",
        ),
        "momentum-fixed": (_momentum_fixed, "momentum is ignored: always 0.1"),
        "over-everything": (
            _norm(_over_everything),
            "one mean and variance for all channels together",
        ),
        "always-training": (_switched(True), "training=False is ignored"),
        "never-training": (_switched(False), "training=True is ignored"),
        "forgetful": (_forgetful, "the running statistics are not updated"),
        "weight-ignored": (_no_weight, "the weight is ignored"),
        "bias-ignored": (_no_bias, "the bias is ignored"),
    },
)


def _pieces(dy: np.ndarray, arrays: Any, options: State) -> tuple[np.ndarray, np.ndarray]:
    """Return x hat, and dy times weight over deviation, in training."""
    x, weight = arrays[0], arrays[3]
    now = _statistics(x)
    share = _inverse(now["variance"], options.get("eps", 1e-5))
    hat = (x - _column(now["mean"], x)) * _column(share, x)
    gain = share if weight is None else share * weight
    return hat, dy * _column(gain, x)


def _input_gradient(mean: bool, product: bool, count: Callable[[np.ndarray], float]) -> Any:
    """Return dx in training with or without its terms; its sums are divided by ``count(x)``."""

    def change(given: Any, dy: np.ndarray, arrays: Any, options: State) -> dict[int, Any]:
        if not options.get("training"):
            return {}
        x, axes = arrays[0], _axes(arrays[0])
        hat, scaled = _pieces(dy, arrays, options)
        dx = scaled
        if mean:
            dx = dx - scaled.sum(axes, keepdims=True) / count(x)
        if product:
            dx = dx - hat * (scaled * hat).sum(axes, keepdims=True) / count(x)
        return {0: dx.astype(x.dtype)}

    return change


def _all(x: np.ndarray) -> float:
    return x.size / x.shape[1]


def _weight_by_input(given: Any, dy: np.ndarray, arrays: Any, options: State) -> dict[int, Any]:
    return {3: (dy * arrays[0]).sum(_axes(arrays[0]))}


def _as_in_training(given: Any, dy: np.ndarray, arrays: Any, options: State) -> dict[int, Any]:
    if options.get("training") or arrays[0].size < 2 * arrays[0].shape[1]:
        return {}
    change = _input_gradient(True, True, _all)
    return change(given, dy, arrays, options | {"training": True})


BATCH_NORM: list[Mutant] = FORWARD + backwards(
    "batch_norm",
    {
        "statistics-constant": (
            _input_gradient(False, False, _all),
            "dx treats mean and variance as constants",
        ),
        "variance-constant": (
            _input_gradient(True, False, _all),
            "dx treats the variance as a constant",
        ),
        "mean-constant": (_input_gradient(False, True, _all), "dx treats the mean as a constant"),
        "mean-over-batch": (
            _input_gradient(True, True, len),
            "dx divides its sums by the batch size, not by the number of pixels",
        ),
        "eval-as-training": (
            _as_in_training,
            "outside training dx still differentiates the statistics",
        ),
        "dweight-by-input": (_weight_by_input, "dweight uses x instead of normalised x"),
        "dweight-zero": (
            lambda g, dy, a, o: {} if g[3] is None else {3: 0 * g[3]},
            "dweight is all zero",
        ),
        "dbias-mean": (
            lambda g, dy, a, o: {} if g[4] is None else {4: g[4] / max(1.0, _all(a[0]))},
            "dbias averages instead of summing",
        ),
    },
)
