"""DeepLab (arXiv 1606.00915) from scratch: operations, networks, training and the dense CRF.

::

    import minideeplab as mdl
    import minideeplab.functional as F

    image = mdl.io.read_image("street.jpg")                         # (H, W, 3) uint8
    net = mdl.models.from_checkpoint(mdl.pretrained.find("camvid"))
    labels, probabilities = mdl.segment(image, net)                 # (H, W), (C, H, W)
    q = mdl.crf.refine(image, probabilities)                        # the dense CRF alone

    x = mdl.Tensor(net.preprocessing(image)[None])                  # (1, 3, H, W)
    y = F.conv2d(x, weight, padding=2, dilation=2)                  # as in torch.nn.functional
    y.backward(dy)                                                  # gradients in .grad

=============  ==============================================================================
``ops``        the definitions in NumPy, forward beside backward; ``ops.crf``: the dense CRF
``backends``   the same names, fast: ``use_backend("numpy" | "numba" | "cuda")``
``functional`` operations called as in ``torch.nn.functional``
``nn``         layers; ``models``: LargeFOV, ASPP and others; ``pretrained``: bundled weights
``weights``    readers of PyTorch, Caffe, Keras, MATLAB, NumPy and safetensors files
``crf``        ``DenseCRF``, ``refine``; ``compat``: a drop-in for pydensecrf
``data``       data sets; ``training``, ``evaluation``, ``experiments``, ``inference``
``testing``    ``check_op`` and ``gradcheck``: is your operation right?
``visualize``  label colours and overlays; ``io``: reading and writing images
=============  ==============================================================================

Submodules load on first use, so that ``import minideeplab`` and ``minideeplab --help`` stay quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ATTRIBUTES = {
    "Tensor": "minideeplab.tensor",
    "no_grad": "minideeplab.tensor",
    "use_backend": "minideeplab.backends",
    "available_backends": "minideeplab.backends",
    "segment": "minideeplab.inference",
    "doctor": "minideeplab.environment",
}
_SUBMODULES = {
    "backends",
    "compat",
    "crf",
    "data",
    "evaluation",
    "executors",
    "experiments",
    "functional",
    "inference",
    "io",
    "models",
    "nn",
    "ops",
    "pretrained",
    "testing",
    "training",
    "visualize",
    "weights",
}

__all__ = ["__version__", *sorted(_ATTRIBUTES), *sorted(_SUBMODULES)]

if TYPE_CHECKING:
    from minideeplab.backends import available_backends as available_backends
    from minideeplab.backends import use_backend as use_backend
    from minideeplab.inference import segment as segment
    from minideeplab.tensor import Tensor as Tensor
    from minideeplab.tensor import no_grad as no_grad


def __getattr__(name: str) -> Any:
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(_ATTRIBUTES[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"minideeplab.{name}")
    raise AttributeError(f"module 'minideeplab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
