"""``minideeplab experiment``: repeat the paper's tables at small scale."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from minideeplab.cli._executor import executor_options
from minideeplab.cli._outputs import dataset_files, refuse_to_overwrite

NAMES = ("variants", "field-of-view", "schedules", "multi-scale", "trimap", "crf-search")


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--data", default="shapes",
              help="shapes, camvid:FOLDER, voc:FOLDER or own:FOLDER.")  # fmt: skip
@click.option("--split", default="train", help="Split to train on.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of results.")
@click.option("--iterations", type=click.IntRange(1),
              help="Of the longest run.  [shapes: 300; others: 1500]")  # fmt: skip
@click.option("--pretrain", type=click.IntRange(0),
              help="Iterations of the trunk, at first.  [shapes: 1500; others: 3000]")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1),
              help="Crops of an iteration.  [shapes: 4; others: 8]")  # fmt: skip
@click.option("--crop", type=int, nargs=2,
              help="Height and width, 8k+1.  [shapes: 113 145; others: 193 257]")  # fmt: skip
@click.option("--trunk", default="small", type=click.Choice(["small", "vgg16"]),
              help="Network below the heads: small, from scratch; or VGG-16.")  # fmt: skip
@click.option("--width", default=0.125, type=click.FloatRange(0.01, 1),
              help="Fraction of the authors' filters; 1 for all.")  # fmt: skip
@click.option("--stride", type=int,
              help="Of the small trunk's features, 4 or 8.  [shapes: 4; others: 8]")  # fmt: skip
@click.option("--init", help="Weights to start from: a file or official name, for --trunk vgg16.")
@click.option("--weights", help="What trimap and crf-search score (multi-scale too, which then "
              "trains nothing).  [bundled ones for the data]")  # fmt: skip
@click.option("--images", type=click.IntRange(1), help="Score the first images of val only.")
@click.option("--scale", default=1.0, type=click.FloatRange(0.05, 1),
              help="Scale all images by this factor, to save time.")  # fmt: skip
@click.option("--seed", default=0, type=click.IntRange(0), help="Seed of the random numbers.")
@executor_options
def command(name: str, out: Path, jobs: int, dask: str | None, **options: Any) -> None:
    """Repeat one of the paper's experiments; write NAME.md, NAME.csv and NAME.png to --out.

    \b
                     minutes on the scenes, on one thread of a busy machine
      variants        9  table 3: LargeFOV, ASPP-S, ASPP-L before and after the CRF
      field-of-view  23  table 1: kernel size and rate; parameters, field of view, speed
      schedules       8  table 2: step against poly, batch size, iterations
      multi-scale     9  table 4: three input sizes fused by maximum; scale augmentation
      trimap          1  figure 10: mean IoU around boundaries, before and after the CRF
      crf-search      5  section 4.1: search for the CRF's parameters, coarse to fine

    Heads have the authors' kernels and rates on networks small enough for a laptop. They start
    from one trunk, which the first command trains (2 minutes on the scenes). Trained networks
    stay in OUT/runs, and an interrupted experiment goes on with the same command.

    \b
    Examples:
      minideeplab experiment variants --out results
      minideeplab experiment trimap --data camvid:../camvid --out results
      minideeplab experiment multi-scale --data camvid:../camvid --weights camvid --out results
      minideeplab experiment variants --data camvid:../camvid --scale 0.4 --stride 4 \\
          --crop 97 129 --batch-size 4 --pretrain 800 --iterations 300 --out results
      minideeplab experiment variants --data voc:VOCdevkit --split trainaug --trunk vgg16 \\
          --width 1 --init vgg16-caffe --iterations 20000 --crop 321 321 --out results
    """
    from minideeplab import executors, experiments

    command_line = given_command(click.get_current_context())
    with executors.open_executor(jobs, dask) as executor:
        setup = experiments.Setup(out=out, executor=executor, **options)
        written = [out / f"{name}{ending}" for ending in (".md", ".csv", ".png")]
        refuse_to_overwrite([*dataset_files(setup.validation_data), setup.weights], written)
        outcome = experiments.run(name, setup)
    paths = outcome.write(out, name, command_line)
    click.echo(paths[0].read_text(encoding="utf-8"))
    click.echo("\n".join(map(str, paths)))


def given_command(context: click.Context) -> str:
    """Return the given command line, so that it can be repeated."""
    words = ["minideeplab", str(context.info_name)]
    for parameter in context.command.params:
        if context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            value = context.params[parameter.name]
            values = value if isinstance(value, tuple) else (value,)
            words += [] if isinstance(parameter, click.Argument) else [parameter.opts[0]]
            words += map(str, values)
    return shlex.join(words)
