"""``minideeplab train``: train a DeepLab, from scratch or from given weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from minideeplab.cli._outputs import dataset_files, refuse_to_overwrite
from minideeplab.training.config import AUTHORS, RESNET, Config

VGG = ("largefov", "aspp-s", "aspp-l")
MODELS = ("small", *VGG, *(f"resnet101-{variant}" for variant in VGG))


def setting_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each setting of ``Config``."""
    for field in reversed(dataclasses.fields(Config)):
        flag, default = "--" + field.name.replace("_", "-"), field.default
        text = f"{field.metadata['text']} [small: {_show(default)}"
        for nets, defaults in {"others": AUTHORS, "ResNet-101": RESNET}.items():
            if field.name in defaults:
                text += f"; {nets}: {_show(defaults[field.name])}"
        kind: dict[str, Any] = {"type": type(default)}
        if field.metadata["choices"]:
            kind = {"type": click.Choice(field.metadata["choices"])}
        elif isinstance(default, tuple):
            kind = {"type": type(default[0]), "nargs": len(default)}
        elif isinstance(default, bool):
            flag, kind = f"{flag}/{flag.replace('--', '--no-', 1)}", {}
        function = click.option(flag, field.name, default=None, help=text + "]", **kind)(function)
    return function


def _show(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@click.command()
@click.option("--data", help="camvid:FOLDER, voc:FOLDER, own:FOLDER, or shapes (synthetic).")
@click.option("--split", default="train", help="Split to train on.")
@click.option("--model", type=click.Choice(MODELS), help="Network. [small]")
@click.option("--init", type=click.Path(),
              help="Weights to start from: a file, official or bundled name.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option(
    "--jobs",
    default=1,
    type=click.IntRange(1),
    help="Processes that share every batch; gradients are equal to rounding.",
)
@click.option("--backend", metavar="NAME", help="Backend: numba, numpy, or cuda for a GPU.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in --out.")
@setting_options
def command(
    data: str | None, split: str, model: str | None, init: str | None, out: Path, jobs: int,
    backend: str | None, resume: bool, **settings: Any,
) -> None:  # fmt: skip
    """Train a network; write checkpoint.npz, weights.npz, log.csv and curve.png to --out.

    A run that was stopped, even by kill -9, continues bit for bit with the same command and
    --resume, or with --out and --resume alone. With --validate-every the validation split is
    scored during training and the best weights are kept as best.npz.

    \b
    Examples:
      minideeplab train --data shapes --iterations 500 --out runs/shapes
      minideeplab train --data camvid:../camvid --out runs/camvid --validate-every 500
      minideeplab train --data voc:VOCdevkit --split trainaug --model largefov \\
          --init vgg16-caffe --iter-size 5 --batch-size 2 --out runs/voc
      minideeplab train --out runs/voc --resume
    """
    from minideeplab.backends import use_backend
    from minideeplab.data import open_dataset
    from minideeplab.io import require_writable
    from minideeplab.models import build
    from minideeplab.training.initial import load_initial
    from minideeplab.training.loop import FILES
    from minideeplab.training.parallel import make_trainer

    if backend == "cuda" and jobs > 1:
        raise click.UsageError("--backend cuda goes with --jobs 1: one GPU, one process")
    require_writable(out)
    given = {name: value for name, value in settings.items() if value is not None}
    origin = {"data": data, "split": split, "model": model or "small", "init": init}
    config = _stored_run(out, origin, given, model) if resume else None
    if config is None:
        if data is None:
            raise click.UsageError("--data is needed to start a run")
        if (out / "checkpoint.npz").exists():
            raise ValueError(f"{out} already holds a run; add --resume, or name another folder")
        resume, config = False, Config.for_model(origin["model"], **given)
    dataset = open_dataset(origin["data"], origin["split"])
    refuse_to_overwrite([*dataset_files(dataset), origin["init"]], [out / name for name in FILES])
    validation = open_dataset(origin["data"], "val") if config.validate_every else None
    net = build(origin["model"], len(dataset.classes), config.seed)
    if origin["init"] and not resume:
        click.echo(load_initial(net, origin["init"]), err=True)
    if backend == "cuda":
        net.to("cuda")
    with use_backend(backend) if backend else nullcontext():
        trainer = make_trainer(jobs, net, dataset, config, out, validation, origin)
        if resume:
            trainer.resume()
        trainer.run()
    click.echo(f"weights: {out / 'weights.npz'}")
    click.echo(f"curve:   {out / 'curve.png'}")


def _stored_run(
    out: Path, origin: dict[str, Any], given: dict[str, Any], model: str | None
) -> Config | None:
    """Return the settings of the run in ``out`` and put its data into ``origin``; None if none.

    Raises ValueError if the command line contradicts them.
    """
    from minideeplab.training import checkpoint

    if not (out / "checkpoint.npz").exists():
        return None
    stored = checkpoint.load(out / "checkpoint.npz")[1]["training"]
    config = Config(**stored["config"])
    asked = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    asked |= {k: v for k, v in {**origin, "model": model}.items() if v is not None and k != "split"}
    known = {**dataclasses.asdict(config), **stored}
    for name, value in asked.items():
        if value != known[name]:
            raise ValueError(
                f"{name}: {_show(value)}, but the run in {out} has {_show(known[name])}; "
                "leave it out, or name another folder"
            )
    origin |= {key: stored[key] for key in origin}
    return config
