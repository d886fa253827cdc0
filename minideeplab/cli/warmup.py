"""``minideeplab warmup``: compile everything now, so that nothing waits for it later."""

from __future__ import annotations

import click


@click.command()
def command() -> None:
    """Compile the fast kernels of inference, training and the dense CRF to disk.

    They are compiled when they are first used, and kept; this uses all of them once. It takes some
    twenty seconds after installation, and none when repeated.

    \b
    Example:
      minideeplab warmup
    """
    import time

    from tqdm import tqdm

    from minideeplab.bench.warmup import STEPS

    start = time.perf_counter()
    for step in tqdm(STEPS, leave=False):
        step()
    click.echo(f"compiled in {time.perf_counter() - start:.1f} s")
