"""``minideeplab verify``: cross-check backends, definitions and frameworks."""

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

    The table counts the rows on which each of them agrees with the NumPy definition, and shows the
    largest distance of each pair, in units in the last place.

    \b
    Example:
      minideeplab verify --markdown agreement.md
    """
    from tqdm import tqdm

    from minideeplab.io import atomic_write
    from minideeplab.testing.operations import NAMES, find
    from minideeplab.testing.runner import DTYPES
    from minideeplab.testing.verify import implementations, table, verify

    for op in ops:
        find(op)  # a name that is unknown is an error before anything runs
    judged = implementations(backends or None)
    sections, complete = [], True
    for dtype in DTYPES:
        found = [verify(op, judged, dtype) for op in tqdm(ops or NAMES, dtype, leave=False)]
        complete = complete and all(agreement.complete for agreement in found)
        sections.append(table(found, dtype))
    report = "\n".join(sections)
    if path:
        with atomic_write(path) as temporary:
            temporary.write_text(
                f"# Agreement of {', '.join(one.name for one in judged)}\n\n{report}"
            )
    click.echo(report, nl=False)
    ctx.exit(0 if complete else 1)
