"""One small run of everything that is compiled on first use."""

from __future__ import annotations

import numpy as np

from minideeplab import functional as F
from minideeplab import models
from minideeplab.crf import refine
from minideeplab.tensor import no_grad


def inference() -> None:
    """Run the networks forward, in both of Winograd's forms and the exact ones."""
    picture = np.zeros((1, 3, 129, 129), np.float32)
    many = np.zeros((1, 320, 24, 24), np.float32), np.zeros((320, 320, 3, 3), np.float32)
    with no_grad():
        F.conv2d(*many, padding=1)  # filters too large for a cache
        for net in (models.deeplab_small(), models.DeepLab("largefov", width=0.25)):
            scores = net.eval()(picture)
            scores = F.interpolate(scores, size=(129, 129), mode="bilinear", align_corners=True)
            F.softmax(scores, 1)


def training() -> None:
    """Run a training step of each kind of network."""
    picture = np.zeros((2, 3, 129, 129), np.float32)
    for net in (models.deeplab_small(), models.DeepLab("largefov", width=0.25)):
        scores = net.train()(picture)
        scores = F.interpolate(scores, size=(129, 129), mode="bilinear", align_corners=True)
        F.cross_entropy(scores, np.zeros((2, 129, 129), np.int64)).backward()


def dense_crf() -> None:
    """Refine a picture."""
    picture = np.zeros((32, 32, 3), np.uint8)
    refine(picture, np.full((2, 32, 32), 0.5, np.float32), iterations=1)


STEPS = (inference, training, dense_crf)
