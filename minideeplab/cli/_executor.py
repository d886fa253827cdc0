"""The options ``--jobs`` and ``--dask``, for ``executors.open_executor``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def executor_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the parameters ``jobs: int`` and ``dask: str | None`` to a command."""
    jobs = click.option(
        "--jobs", default=1, type=click.IntRange(1), help="Processes that share the images."
    )
    dask = click.option(
        "--dask",
        metavar="ADDRESS",
        help="Use a Dask cluster instead: tcp://HOST:PORT, or local for --jobs workers here.",
    )
    return jobs(dask(function))
