"""``minideeplab warmup``: compile all kernels ahead of their first use."""

from __future__ import annotations

import click


@click.command()
def command() -> None:
    """Compile the fast kernels of inference, training and the dense CRF to disk.

    Kernels are compiled on first use and cached on disk; this uses each of them once. It takes
    about twenty seconds after installation and none when repeated.

    \b
    Example:
      minideeplab warmup
    """
    import time

    from tqdm import tqdm

    start = time.perf_counter()
    for step in tqdm((_run_inference, _run_training, _run_dense_crf), leave=False):
        step()
    click.echo(f"compiled in {time.perf_counter() - start:.1f} s")


def _run_inference() -> None:
    """Run the networks forward, with Winograd's form for cached and for large filters."""
    import numpy as np

    from minideeplab import functional as F
    from minideeplab import models, no_grad

    image = np.zeros((1, 3, 129, 129), np.float32)
    large = np.zeros((1, 320, 24, 24), np.float32), np.zeros((320, 320, 3, 3), np.float32)
    with no_grad():
        F.conv2d(*large, padding=1)  # filters too large for a cache
        for net in (models.deeplab_small(), models.DeepLab("largefov", width=0.25)):
            scores = net.eval()(image)
            scores = F.interpolate(scores, size=(129, 129), mode="bilinear", align_corners=True)
            F.softmax(scores, 1)


def _run_training() -> None:
    """Run a training step of each kind of network."""
    import numpy as np

    from minideeplab import functional as F
    from minideeplab import models

    images = np.zeros((2, 3, 129, 129), np.float32)
    for net in (models.deeplab_small(), models.DeepLab("largefov", width=0.25)):
        scores = net.train()(images)
        scores = F.interpolate(scores, size=(129, 129), mode="bilinear", align_corners=True)
        F.cross_entropy(scores, np.zeros((2, 129, 129), np.int64)).backward()


def _run_dense_crf() -> None:
    """Refine an image with the dense CRF."""
    import numpy as np

    from minideeplab.crf import refine

    probabilities = np.full((2, 32, 32), 0.5, np.float32)
    refine(np.zeros((32, 32, 3), np.uint8), probabilities, iterations=1)
