"""``minideeplab verify``: does everything here agree?"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--op", "ops", multiple=True, metavar="NAME", help="One operation; all by default.")
@click.option("--backend", "backends", multiple=True, help="All that work here by default.")
@click.option("--markdown", "path", type=click.Path(path_type=Path), help="Write the report.")
@click.pass_context
def command(
    ctx: click.Context, ops: tuple[str, ...], backends: tuple[str, ...], path: Path | None
) -> None:
    """Run every operation of every backend against the definition and the frameworks installed.

    The table counts, for each of them, the rows on which it agrees with the NumPy definition, and
    tells how far each two are apart, in units in the last place.

    \b
    Example:
      minideeplab verify --markdown agreement.md
    """
    from tqdm import tqdm

    from minideeplab.io import atomic_write
    from minideeplab.testing.operations import NAMES, find
    from minideeplab.testing.runner import DTYPES
    from minideeplab.testing.verify import parties, table, verify

    for op in ops:
        find(op)  # a name that is unknown is an error before anything runs
    judged = parties(backends or None)
    sections, unanimous = [], True
    for dtype in DTYPES:
        found = [verify(op, judged, dtype) for op in tqdm(ops or NAMES, dtype, leave=False)]
        unanimous = unanimous and all(agreement.unanimous for agreement in found)
        sections.append(table(found, dtype))
    report = "\n".join(sections)
    if path:
        with atomic_write(path) as temporary:
            temporary.write_text(f"# Agreement of {', '.join(p.name for p in judged)}\n\n{report}")
    click.echo(report, nl=False)
    ctx.exit(0 if unanimous else 1)
