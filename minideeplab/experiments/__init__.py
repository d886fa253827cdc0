"""The paper's tables and figures, repeated with networks that train on a laptop.

Each module of ``EXPERIMENTS`` has a ``run(setup) -> Outcome``. The folder ``results`` of the
repository has our results.
"""

from __future__ import annotations

import importlib

from minideeplab.experiments.outcome import Outcome
from minideeplab.experiments.setup import Setup
from minideeplab.io import require_writable

__all__ = ["EXPERIMENTS", "Outcome", "Setup", "run"]

#: name: the part of the paper (arXiv 1606.00915). The module's name has _ for -.
EXPERIMENTS = {
    "variants": "table 3: LargeFOV, ASPP-S and ASPP-L before and after the CRF",
    "field-of-view": "table 1: kernel size and rate of fc6",
    "schedules": "table 2: step against poly, batch size, iterations",
    "multi-scale": "table 4: multi-scale input with maximum fusion, scale augmentation",
    "trimap": "figure 10: mean IoU in bands around the boundaries, before and after the CRF",
    "crf-search": "section 4.1: search for the CRF's parameters on a part of val, coarse to fine",
}


def run(name: str, setup: Setup) -> Outcome:
    """Return the outcome of the experiment ``name``; trained networks are stored in ``setup.out``.

    Raises ValueError for another name, OSError if the folder cannot be written to.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment: {name!r}, expected one of {', '.join(EXPERIMENTS)}")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    require_writable(setup.out)  # before hours of work
    return module.run(setup)
