"""``minideeplab bench``: time operations and networks on this machine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_PATH = click.Path(path_type=Path)
_IMAGE = click.option("--image", default=513, show_default=True, help="Side of the image, 8k + 1.")
_TRAIN_IMAGE = click.option("--train-image", default=321, show_default=True, help="Side of crops.")


@click.group()
def command() -> None:
    """Measure speed against torch, inference engines and pydensecrf where they are installed.

    \b
    Example:
      minideeplab bench cpu --markdown speed.md
    """


def _rounds(count: int) -> Callable:
    return click.option("--rounds", default=count, show_default=True, help="Runs of each.")


def _reports(measure: Callable) -> Callable:
    """A command that prints the results of ``measure(progress, ...)`` and writes them to files."""

    @click.option("--markdown", "table_path", type=_PATH, help="Write the tables.")
    @click.option("--json", "json_path", type=_PATH, help="Write the numbers.")
    @functools.wraps(measure)
    def run(table_path: Path | None, json_path: Path | None, **options: Any) -> None:
        import json

        from tqdm import tqdm

        from minideeplab.io import atomic_write

        results = measure(functools.partial(tqdm, leave=False), **options)
        files = {json_path: json.dumps(results.numbers, indent=1) + "\n", table_path: results.text}
        for path, text in files.items():
            if path:
                with atomic_write(path) as temporary:
                    temporary.write_text(text)
        click.echo(results.text, nl=False)
        if any(row["wrong"] for row in results.numbers.get("checks", ())):
            click.get_current_context().exit(1)

    return run


@command.command()
@_IMAGE
@_TRAIN_IMAGE
@click.option("--batch", default=2, show_default=True, help="Images of a training step.")
@_rounds(5)
@click.option("--network", "networks", multiple=True, help="Default: largefov and small.")
@click.option("--layers/--no-layers", default=True, help="Also every layer of LargeFOV.")
@_reports
def cpu(progress: Callable, networks: tuple[str, ...], **options: Any) -> Any:
    """Compare the numba backend with others on this CPU: layers, networks, memory.

    Others are torch and, for networks forward, onnxruntime and OpenVINO, where installed.
    "... / ours" is another's time over ours, the median over interleaved runs. "error" is the
    largest error against float64, "difference" the largest between ours and any engine's, both in
    units of the largest result. "cores" says whether the first two cores share their last cache
    (near) or not (far), by the time of a word between them before and after the row.

    \b
    Example:
      minideeplab bench cpu --no-layers --network largefov --json speed.json
    """
    from minideeplab.bench.cpu import Plan, measure

    return measure(Plan(networks=networks or ("largefov", "small"), **options), progress)


@command.command()
@_rounds(5)
@click.option("--quick", is_flag=True, help="A small image only, and no cost table.")
@_reports
def crf(progress: Callable, rounds: int, quick: bool) -> Any:
    """Compare the dense CRF with pydensecrf where it is installed: time, memory, difference.

    A run builds the kernels and iterates ten times. The last table shows the cost for images up to
    2048 x 1024 and for up to 150 labels.

    \b
    Example:
      minideeplab bench crf --quick
    """
    from minideeplab.bench.crf import measure

    return measure(rounds, quick, progress)


@command.command()
@click.option("--channels", default=64, show_default=True, help="Of the input.")
@click.option("--filters", default=64, show_default=True, help="Channels of the output.")
@click.option("--dilation", default=1, show_default=True, help="Rate of the kernel.")
@_reports
def accuracy(progress: Callable, **options: Any) -> Any:
    """Measure the error of convolution, each output by its own window, in float32.

    A number is the largest |y - exact| / (eps * sum |w| |x|), with the sum over the values that one
    result adds up: of the definition, of every algorithm, and of torch where it is installed.

    \b
    Example:
      minideeplab bench accuracy --channels 256 --dilation 2
    """
    from minideeplab.bench.accuracy import measure

    return measure(progress, **options)


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
@_reports
def training(progress: Callable, **options: Any) -> Any:
    """Measure training by batch size: seconds of a step and of making its batch, and memory.

    "loader" is the time to make a batch over that of a step. Batches are made in a thread during
    training, so a loader below 1 does not slow it down.

    \b
    Example:
      minideeplab bench training --data camvid:../camvid --batch-sizes 1,4,8
    """
    from minideeplab.bench.training import Plan, measure

    return measure(Plan(**options), progress)


@command.command()
@click.option("--check-only", is_flag=True, help="Compare results, time nothing.")
@click.option("--op", "ops", multiple=True, help="Check only this operation; may be repeated.")
@_IMAGE
@_TRAIN_IMAGE
@_rounds(20)
@_reports
def gpu(progress: Callable, **options: Any) -> Any:
    """Check the cuda backend on this GPU, case by case, then time it against torch (cuDNN).

    The exit status is 1 if a result is wrong, or if there is no GPU. "share of the limit" is the
    lower bound of the time, from the measured copy and matrix product of this device, over the
    time. The table "precision" gives errors in units of the largest result, and their bounds. With
    NUMBA_ENABLE_CUDASIM=1 and --check-only it checks, slowly, without a GPU.

    \b
    Example:
      minideeplab bench gpu --markdown gpu.md
      NUMBA_ENABLE_CUDASIM=1 minideeplab bench gpu --check-only --op conv2d
    """
    from minideeplab.bench.gpu import Plan, measure

    return measure(Plan(**options), progress)
