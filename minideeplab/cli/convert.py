"""``minideeplab convert``: convert weight files, and export networks to ONNX."""

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
@click.option("--upsample", is_flag=True, help="ONNX: scores for every pixel, as segment has them.")
@click.option("--argmax", is_flag=True, help="ONNX: labels instead of scores.")
def command(
    src: str, dst: Path | None, to: str | None, classes: int, source: str | None, half: bool,
    upsample: bool, argmax: bool,
) -> None:  # fmt: skip
    """Read the weights SRC and write them to DST (.npz, .safetensors or .onnx).

    SRC is a file (.pth, .caffemodel, .caffemodel.h5, .h5, .keras, .npz, .mat, .safetensors), the
    name of bundled weights, or the name of an official file, which is then downloaded and its
    checksum verified: vgg16-caffe, vgg16-torchvision, vgg16_bn-torchvision, vgg16-keras,
    vgg16-matconvnet. Without DST, SRC is only described. No code in a file is executed.

    A .onnx file holds a whole network: SRC is a weight file of minideeplab, or a VGG-16 with --to.
    Input: images (N, 3, H, W) float32, preprocessed as the file's metadata say. Output: scores at
    the network's stride, unless --upsample or --argmax are given.

    \b
    Example:
      minideeplab convert vgg16-caffe largefov.npz --to largefov --classes 11
      minideeplab convert old.pth new.safetensors --half
      minideeplab convert runs/own/weights.npz own.onnx --upsample
      minideeplab convert checkpoint.pth
    """
    from minideeplab import weights
    from minideeplab.weights.onnx_export import import_onnx

    if dst is None:
        describe(weights.load(weights.locate(src)))
        return
    onnx = dst.suffix.lower() == ".onnx"
    if source and (onnx or not to):
        raise click.UsageError("--source needs --to and a DST of .npz or .safetensors")
    if onnx and (half or to == "vgg16"):
        option = "--half" if half else "--to vgg16"
        raise click.UsageError(f"{option} does not go with .onnx: float32 DeepLabs are exported")
    if not onnx and (upsample or argmax):
        raise click.UsageError(f"--upsample and --argmax go with a DST of .onnx; got {dst}")
    if onnx:
        import_onnx()  # before a download
    refuse_to_overwrite([weights.locate(src)], [dst], "DST")
    if onnx:
        _export(src, dst, to, classes, upsample, argmax)
        return
    state = weights.convert(src, dst, to=to, num_classes=classes, half=half, framework=source)
    if state.fresh:
        click.echo(f"new, with random weights: {', '.join(state.fresh)}", err=True)
    click.echo(f"{dst}: {summary(state)}, {dst.stat().st_size / 1e6:,.1f} MB")


def _export(
    src: str, dst: Path, to: str | None, classes: int, upsample: bool, argmax: bool
) -> None:
    """Write a network to an ONNX file and print its input and output."""
    from minideeplab import weights
    from minideeplab.weights.conversion import network

    net = network(src, to, classes)
    weights.export_onnx(net, dst, upsample, argmax)
    height, width = ("H", "W") if upsample else ("H'", "W'")
    output = f"labels (N, {height}, {width})"
    if not argmax:
        output = f"scores (N, {net.num_classes}, {height}, {width})"
    size = dst.stat().st_size / 1e6
    click.echo(f"{dst}: input images (N, 3, H, W), output {output}, {size:,.1f} MB")


def describe(state: dict) -> None:
    """Print every array's name, shape and type."""
    for name, array in state.items():
        click.echo(f"{one_line(name)}  {tuple(array.shape)}  {array.dtype}")
    click.echo(summary(state))


def summary(state: dict) -> str:
    """Return how many arrays and numbers there are."""
    return f"{len(state)} arrays, {sum(array.size for array in state.values()):,} numbers"
