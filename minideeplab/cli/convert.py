"""``minideeplab convert``: convert weight files of other frameworks."""

from __future__ import annotations

from pathlib import Path

import click

from minideeplab.budget import one_line
from minideeplab.cli._outputs import refuse_to_overwrite


@click.command()
@click.argument("src")
@click.argument("dst", required=False, type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["vgg16", "largefov", "aspp-s", "aspp-l"]),
              help="Make this network of a VGG-16; else only the format changes.")  # fmt: skip
@click.option("--classes", default=21, type=click.IntRange(1), help="Classes of a DeepLab.")
@click.option("--source", type=click.Choice(["caffe", "torchvision", "keras", "matconvnet"]),
              help="Whose input the first layer of a VGG-16 expects: needed for retrained weights "
              "under another framework's names.")  # fmt: skip
@click.option("--half", is_flag=True, help="Store float16: half the size.")
def command(
    src: str, dst: Path | None, to: str | None, classes: int, source: str | None, half: bool
) -> None:
    """Read the weights SRC and write them to DST (.npz or .safetensors).

    SRC is a file (.pth, .caffemodel, .caffemodel.h5, .h5, .keras, .npz, .mat, .safetensors) or
    the name of an official file, which is then downloaded and its checksum verified: vgg16-caffe,
    vgg16-torchvision, vgg16_bn-torchvision, vgg16-keras, vgg16-matconvnet. Without DST, SRC is
    only described. No code in a file is executed.

    \b
    Example:
      minideeplab convert vgg16-caffe largefov.npz --to largefov --classes 11
      minideeplab convert old.pth new.safetensors --half
      minideeplab convert checkpoint.pth
    """
    from minideeplab import weights

    if dst is None:
        describe(weights.load(weights.locate(src)))
        return
    if source and not to:
        raise click.UsageError("--source needs --to: without it the arrays stay as they are")
    refuse_to_overwrite([weights.locate(src)], [dst], "DST")
    state = weights.convert(src, dst, to=to, num_classes=classes, half=half, framework=source)
    if state.fresh:
        click.echo(f"new, with random weights: {', '.join(state.fresh)}", err=True)
    click.echo(f"{dst}: {summary(state)}, {dst.stat().st_size / 1e6:,.1f} MB")


def describe(state: dict) -> None:
    """Print every array's name, shape and type."""
    for name, array in state.items():
        click.echo(f"{one_line(name)}  {tuple(array.shape)}  {array.dtype}")
    click.echo(summary(state))


def summary(state: dict) -> str:
    """Return how many arrays and numbers there are."""
    return f"{len(state)} arrays, {sum(array.size for array in state.values()):,} numbers"
