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
MIN_VAL_EVERY = 100  # iterations between validations that nobody asked for
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
        names = filter(None, (flag, field.metadata["flag"]))
        function = click.option(*names, field.name, default=None, help=text + "]", **kind)(function)
    return function


def _show(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@click.command()
@click.option("--data", help="camvid:FOLDER, voc:FOLDER, own:FOLDER, or shapes (synthetic).")
@click.option("--split", default="train", help="Split to train on.")
@click.option("--val-fraction", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Part of --split to validate on, where there is no split val.")  # fmt: skip
@click.option("--val-by", metavar="sequence|random|N",
              help="Which images stay together: names up to the number at their end, no images, "
              "or names with N equal characters at their beginning. [sequence]")  # fmt: skip
@click.option("--check/--no-check", default=True,
              help="Check own data first, as check-data does.")  # fmt: skip
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
    data: str | None, split: str, val_fraction: float | None, val_by: str | None, check: bool,
    model: str | None, init: str | None, out: Path, jobs: int, backend: str | None, resume: bool,
    **settings: Any,
) -> None:  # fmt: skip
    """Train a network; write checkpoint.npz, weights.npz, log.csv and curve.png to --out.

    A run that was stopped, even by kill -9, continues bit for bit with the same command and
    --resume, or with --out and --resume alone. With --val-every the split val, or the part of the
    images that --val-fraction takes, is scored during training: the best weights are kept as
    best.npz, and the scores of every class are in validation.csv. Own data is validated by default.

    \b
    Examples:
      minideeplab train --data shapes --iterations 500 --out runs/shapes
      minideeplab train --data camvid:../camvid --out runs/camvid --val-every 500
      minideeplab train --data own:photos --init camvid --val-fraction 0.2 --out runs/photos
      minideeplab train --data voc:VOCdevkit --split trainaug --model largefov \\
          --init vgg16-caffe --iter-size 5 --batch-size 2 --out runs/voc
      minideeplab train --out runs/voc --resume
    """
    from minideeplab.backends import use_backend
    from minideeplab.io import require_writable
    from minideeplab.models import build
    from minideeplab.training.initial import load_initial
    from minideeplab.training.loop import FILES
    from minideeplab.training.parallel import make_trainer

    if backend == "cuda" and jobs > 1:
        raise click.UsageError("--backend cuda goes with --jobs 1: one GPU, one process")
    require_writable(out)
    given = {name: value for name, value in settings.items() if value is not None}
    origin = {"data": data, "split": split, "model": model or "small", "init": init,
              "val_fraction": val_fraction, "val_by": val_by}  # fmt: skip
    config = _stored_run(out, origin, given, model) if resume else None
    if config is None:
        if data is None:
            raise click.UsageError("--data is needed to start a run")
        if (out / "checkpoint.npz").exists():
            raise ValueError(f"{out} already holds a run; add --resume, or name another folder")
        given = _validated(origin, given)
        resume, config = False, Config.for_model(origin["model"], **given)
    dataset, validation = _open(origin, config)
    refuse_to_overwrite([*dataset_files(dataset), origin["init"]], [out / name for name in FILES])
    if check and not resume and origin["data"].startswith("own:"):
        _check(origin["data"], origin["split"])
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
    if trainer.best >= 0:
        click.echo(f"best:    {out / 'best.npz'} (validation mean IoU {100 * trainer.best:.2f})")
    click.echo(f"weights: {out / 'weights.npz'}")
    click.echo(f"curve:   {out / 'curve.png'}")


def _check(data: str, split: str) -> None:
    """Check own data as check-data does, some pairs only; raise ValueError on a problem."""
    from minideeplab.cli.check_data import print_findings
    from minideeplab.data.folders import split_folders
    from minideeplab.data.own_check import check_own

    root = data.partition(":")[2]
    pairs = [split_folders(root, split)]
    if split != "val" and _has_val(root):
        pairs.append(split_folders(root, "val"))
    _, reports = check_own(root, pairs, quick=True)
    for report in reports:
        if report.problems:
            click.echo(report.title, err=True)
            print_findings(report, notes=False, err=True)
    if any(report.problems for report in reports):
        raise ValueError(
            f"{root}: problems in images or masks; minideeplab check-data {root} shows all; "
            "--no-check trains nevertheless"
        )


def _has_val(root: str) -> bool:
    return Path(root, "val").is_dir() and Path(root, "valannot").is_dir()


def _validated(origin: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings, with validations where images were set apart or own data has a val."""
    kind, _, root = origin["data"].partition(":")
    has_some = origin["val_fraction"] or (kind == "own" and _has_val(root))
    if "validate_every" in given or not has_some:
        return given
    iterations = Config.for_model(origin["model"], **given | {"patience": 0}).iterations
    return {"validate_every": max(MIN_VAL_EVERY, iterations // 10), **given}


def _open(origin: dict[str, Any], config: Config) -> tuple[Any, Any]:
    """Return the data set to train on and the one to validate on, or None."""
    from minideeplab.data import open_dataset
    from minideeplab.data.splits import split_names
    from minideeplab.data.views import Subset

    dataset = open_dataset(origin["data"], origin["split"])
    grey = getattr(dataset, "intensity_range", None)
    if grey:
        text = f"images of more than 8 bits: grey values {grey[0]:.4g} to {grey[1]:.4g}"
        click.echo(f"{text} become 0 to 255, here and with these weights", err=True)
    if origin["val_fraction"]:
        parts = split_names(dataset.names, origin["val_fraction"], origin["val_by"] or "sequence")
        click.echo(f"{len(parts[0])} images to train on, {len(parts[1])} to validate on", err=True)
        return Subset(dataset, parts[0]), Subset(dataset, parts[1])
    if not config.validate_every:
        return dataset, None
    try:
        validation = open_dataset(origin["data"], "val")
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}; or --val-fraction 0.2 takes some of the images"
        ) from None
    if grey:
        validation.intensity_range = grey
    return dataset, validation


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
        if value != known.get(name):
            raise ValueError(
                f"{name}: {_show(value)}, but the run in {out} has {_show(known.get(name))}; "
                "leave it out, or name another folder"
            )
    origin |= {key: stored.get(key) for key in origin}
    return config
