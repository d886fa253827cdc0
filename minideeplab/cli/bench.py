"""``minideeplab bench``: how fast the operations and networks are here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from minideeplab.bench.report import Results


@click.group()
def command() -> None:
    """Measure speed, side by side with torch and pydensecrf where they are installed.

    \b
    Example:
      minideeplab bench cpu --markdown speed.md
    """


@command.command()
@click.option("--picture", default=513, show_default=True, help="Side of the picture, 8k + 1.")
@click.option("--train-picture", default=321, show_default=True, help="Side of training crops.")
@click.option("--batch", default=2, show_default=True, help="Pictures of a training step.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each competitor.")
@click.option("--network", "networks", multiple=True, help="Default: largefov and small.")
@click.option("--layers/--no-layers", default=True, help="Also every layer of LargeFOV.")
@click.option("--markdown", "table_path", type=click.Path(path_type=Path), help="Write the tables.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the numbers.")
def cpu(
    picture: int,
    train_picture: int,
    batch: int,
    rounds: int,
    networks: tuple[str, ...],
    layers: bool,
    table_path: Path | None,
    json_path: Path | None,
) -> None:
    """Compare the numba backend with torch on this CPU: layers, networks, memory.

    Columns "torch ... / ours" tell how many times faster we are than torch in that memory format,
    as the median over interleaved runs. "error" is the largest error against float64, in units of
    the largest result.

    \b
    Example:
      minideeplab bench cpu --no-layers --network largefov --json speed.json
    """
    from tqdm import tqdm

    from minideeplab.bench.cpu import Plan, measure

    plan = Plan(picture, train_picture, batch, rounds, networks or ("largefov", "small"), layers)
    results = measure(plan, lambda steps: tqdm(steps, leave=False))
    _report(results, table_path, json_path)


@command.command()
@click.option("--rounds", default=5, show_default=True, help="Runs of each competitor.")
@click.option("--quick", is_flag=True, help="A small picture only, and no cost curve.")
@click.option("--markdown", "table_path", type=click.Path(path_type=Path), help="Write the tables.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the numbers.")
def crf(rounds: int, quick: bool, table_path: Path | None, json_path: Path | None) -> None:
    """Compare the dense CRF with pydensecrf where it is installed: time, memory, difference.

    A run builds the kernels and iterates ten times. The last table shows the cost for pictures up
    to 2048 x 1024 and for up to 150 labels.

    \b
    Example:
      minideeplab bench crf --quick
    """
    from tqdm import tqdm

    from minideeplab.bench.crf import measure

    _report(measure(rounds, quick, lambda steps: tqdm(steps, leave=False)), table_path, json_path)


def _batch_sizes(ctx: click.Context, param: click.Parameter, text: str) -> tuple[int, ...]:
    """Turn "1,2,4" into numbers."""
    if not all(part.isdecimal() and int(part) for part in text.split(",")):
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 1,2,4")
    return tuple(int(part) for part in text.split(","))


@command.command()
@click.option("--data", default="shapes", show_default=True, help="As of minideeplab train.")
@click.option("--model", default="small", show_default=True, help="As of minideeplab train.")
@click.option("--crop", default=(193, 257), show_default=True, nargs=2, help="Height and width.")
@click.option("--batch-sizes", default="1,2,4,8", show_default=True, callback=_batch_sizes,
              help="One process each.")  # fmt: skip
@click.option("--steps", default=5, show_default=True, help="Steps that are timed.")
@click.option("--markdown", "table_path", type=click.Path(path_type=Path), help="Write the tables.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the numbers.")
def training(
    data: str,
    model: str,
    crop: tuple[int, int],
    batch_sizes: tuple[int, ...],
    steps: int,
    table_path: Path | None,
    json_path: Path | None,
) -> None:
    """Measure training: seconds of a step, of making its batch, and memory, by batch size.

    "loader" is the time to make a batch divided by that of a step. Batches are made in a thread
    while the network trains: below 1 the loader is never waited for.

    \b
    Example:
      minideeplab bench training --data camvid:../camvid --batch-sizes 1,4,8
    """
    from tqdm import tqdm

    from minideeplab.bench.training import Plan, measure

    plan = Plan(data, model, crop, batch_sizes, steps)
    _report(measure(plan, lambda sizes: tqdm(sizes, leave=False)), table_path, json_path)


@command.command()
@click.option("--check-only", is_flag=True, help="Compare results, time nothing.")
@click.option("--op", "ops", multiple=True, help="Check only this operation; may be repeated.")
@click.option("--picture", default=513, show_default=True, help="Side of the picture, 8k + 1.")
@click.option("--train-picture", default=321, show_default=True, help="Side of training crops.")
@click.option("--rounds", default=20, show_default=True, help="Runs of each measurement.")
@click.option("--markdown", "table_path", type=click.Path(path_type=Path), help="Write the tables.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the numbers.")
@click.pass_context
def gpu(
    ctx: click.Context,
    check_only: bool,
    ops: tuple[str, ...],
    picture: int,
    train_picture: int,
    rounds: int,
    table_path: Path | None,
    json_path: Path | None,
) -> None:
    """Check the cuda backend on this GPU, case by case, then time it against torch (cuDNN).

    The exit status is 1 if a result is wrong, or if there is no GPU. "share of the limit" tells how
    close a kernel comes to the copy or the matrix product of this device, whichever binds. The
    table "precision" gives errors in units of the largest result, and their bounds. With
    NUMBA_ENABLE_CUDASIM=1 and --check-only it checks, slowly, without a GPU.

    \b
    Example:
      minideeplab bench gpu --markdown gpu.md
      NUMBA_ENABLE_CUDASIM=1 minideeplab bench gpu --check-only --op conv2d
    """
    from tqdm import tqdm

    from minideeplab.bench.gpu import Plan, measure

    plan = Plan(ops, check_only, picture, train_picture, rounds=rounds)
    results = measure(plan, lambda steps: tqdm(steps, leave=False))
    _report(results, table_path, json_path)
    if any(row["wrong"] for row in results.numbers["checks"]):
        ctx.exit(1)


def _report(results: Results, table_path: Path | None, json_path: Path | None) -> None:
    """Print the tables, and write what was asked for."""
    import json

    from minideeplab.io import atomic_write

    if json_path:
        with atomic_write(json_path) as temporary:
            temporary.write_text(json.dumps(results.numbers, indent=1) + "\n")
    if table_path:
        with atomic_write(table_path) as temporary:
            temporary.write_text(results.text)
    click.echo(results.text, nl=False)
