"""Settings that all experiments share: data, network size, training; and their helpers."""

from __future__ import annotations

import dataclasses
import json
import sys
from concurrent.futures import Executor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab import pretrained
from minideeplab.crf.refinement import PARAMETERS
from minideeplab.data import open_dataset
from minideeplab.data.views import Cached, Scaled, Subset
from minideeplab.evaluation import scores
from minideeplab.experiments.defaults import MOST_SCENES, PHOTOS, PLAIN, SCENES, Defaults
from minideeplab.experiments.fingerprint import fingerprint
from minideeplab.experiments.net import OUTPUT_STRIDE, ExperimentNet
from minideeplab.inference import crf_options
from minideeplab.models import from_checkpoint
from minideeplab.models.deeplab import Variant
from minideeplab.nn import Module
from minideeplab.training import Config, Trainer, checkpoint, evaluate
from minideeplab.training.initial import load_initial


@dataclasses.dataclass(frozen=True)
class Setup:
    """The flags of ``minideeplab experiment``; None takes the default of the data's kind.

    Args:
        data: camvid:FOLDER, voc:FOLDER, own:FOLDER or shapes.
        out: folder for results and for trained networks, which are kept and resumed.
        split: of the data, to train on.
        trunk, width, stride: of ``ExperimentNet``.
        init: weights to start from, a file or an official name; for the trunk "vgg16".
        pretrain: iterations of the trunk with a plain head, from which all networks without
            ``init`` start, as the authors' from ImageNet's; 0 for random weights.
        iterations, batch_size, crop: of the longest training run.
        images: number of images of val to score; None for all.
        scale: factor by which images and labels are resized first, at most 1.
        weights: for the experiments that do not train; None for the bundled ones. If given,
            multi-scale does not train either.
        seed: of weights, sampling, augmentation and dropout.
        executor: distributes scoring; None for this process.
    """

    data: str
    out: Path
    split: str = "train"
    trunk: str = "small"
    width: float = 0.125
    stride: int | None = None
    init: str | None = None
    pretrain: int | None = None
    iterations: int | None = None
    batch_size: int | None = None
    crop: tuple[int, int] | None = None
    images: int | None = None
    scale: float = 1.0
    weights: str | None = None
    seed: int = 0
    executor: Executor | None = None

    @property
    def on_scenes(self) -> bool:
        """Whether the data are the synthetic scenes."""
        return self.data.startswith("shapes")

    @property
    def _defaults(self) -> Defaults:
        return SCENES if self.on_scenes else PHOTOS

    def _open(self, split: str) -> Cached:
        return Cached(Scaled(open_dataset(self.data, split), self.scale))

    @cached_property
    def training_data(self) -> Any:
        """The training images, kept in memory; at most ``MOST_SCENES`` scenes."""
        dataset = self._open(self.split)
        most = MOST_SCENES if self.on_scenes else len(dataset)
        return Subset(dataset, range(min(most, len(dataset))))

    @cached_property
    def validation_data(self) -> Any:
        """The images to score, at most ``images`` of val, kept in memory."""
        dataset = self._open("val")
        return Subset(dataset, range(min(self.images or len(dataset), len(dataset))))

    def config(self, **changes: Any) -> Config:
        """Return the settings of a training run: the data's, the flags', then ``changes``."""
        settings = dict(self._defaults.training)
        for name in ("iterations", "batch_size", "crop"):
            if getattr(self, name) is not None:
                settings[name] = getattr(self, name)
        settings |= {"seed": self.seed, "jitter": 0.2, "average": 0.99, "lr": 3e-3} | changes
        settings.setdefault("warm_up", max(1, settings["iterations"] // 20))
        return Config(**settings)

    def trained(self, name: str, shape: Variant, **changes: Any) -> tuple[Module, Trainer]:
        """Return a network trained with ``config(**changes)``, and its trainer.

        The run is stored in ``out``/runs/``name`` and resumed if it was interrupted. Raises
        ValueError if the folder holds a run with other settings.
        """
        net = self._untrained(shape)
        if self.init:
            load_initial(net, self.init)
        else:
            net.load_state_dict(self._pretrained_trunk, strict=False)
        return self._train(name, net, shape, self.config(**changes))

    @cached_property
    def _pretrained_trunk(self) -> dict[str, np.ndarray]:
        """The trunk's arrays after ``pretrain`` iterations; {} without pretraining."""
        iterations = self._pretraining
        if not iterations:
            return {}
        config = self.config(iterations=iterations)
        net, _ = self._train("trunk", self._untrained(PLAIN), PLAIN, config)
        state = net.state_dict()
        return {name: state[name] for name in state if name.partition(".")[0] in net.trunk}

    @property
    def _pretraining(self) -> int:
        """Iterations of the trunk with the plain head."""
        if self.init:
            return 0
        return self._defaults.pretrain if self.pretrain is None else self.pretrain

    def _untrained(self, shape: Variant) -> ExperimentNet:
        classes, stride = len(self.training_data.classes), self._stride
        return ExperimentNet(shape, classes, self.trunk, self.width, stride, self.seed)

    @property
    def _stride(self) -> int:
        default = self._defaults.stride if self.trunk == "small" else OUTPUT_STRIDE
        return self.stride or default

    def _train(
        self, name: str, net: ExperimentNet, shape: Variant, config: Config
    ) -> tuple[Module, Trainer]:
        names = ("data", "split", "init", "scale", "trunk", "width")
        origin = {name: getattr(self, name) for name in names} | {
            "contents of data or init": fingerprint(self.training_data, self.init),
            "pretrain": 0 if shape is PLAIN else self._pretraining,
            "stride": self._stride,
            "head": dataclasses.asdict(shape),
        }
        folder = Path(self.out, "runs", name)
        trainer = Trainer(net, self.training_data, config, folder, origin=origin)
        if trainer.checkpoint_path.exists():
            _require_same(trainer)
            trainer.resume()
        print(f"{name}: {config.iterations} iterations", file=sys.stderr)
        trainer.run()
        net.load_state_dict(trainer.average.state)
        return net.eval(), trainer

    @property
    def weights_name(self) -> str:
        """The file or bundled set that experiments without training take."""
        return self.weights or ("shapes" if self.on_scenes else "camvid")

    def network(self) -> Module:
        """Return the network of ``weights_name``; ValueError if it has other classes."""
        net = from_checkpoint(pretrained.find(self.weights_name))
        classes = self.validation_data.classes
        if net.num_classes != len(classes):
            raise ValueError(
                f"weights: {self.weights_name} are for {net.num_classes} classes, {self.data} has "
                f"{len(classes)}; --weights names others"
            )
        return net

    def crf(self) -> dict[str, Any]:
        """Return the CRF's settings for this data: those of bundled weights, else the authors'.

        Widths in pixels are multiplied by ``scale``.
        """
        options: dict[str, Any] = {"iterations": 10, "parameters": PARAMETERS["v1-largefov"]}
        for kind in ("shapes", "camvid"):
            if self.data.startswith(kind):
                options = crf_options(True, from_checkpoint(pretrained.find(kind)))
        found = options["parameters"]
        reach = {name: getattr(found, name) * self.scale for name in ("sigma_alpha", "sigma_gamma")}
        return options | {"parameters": dataclasses.replace(found, **reach)}

    def crf_note(self) -> str:
        """Return the CRF's settings, for the notes of a table."""
        options = self.crf()
        values = dataclasses.asdict(options["parameters"])
        named = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items())
        return f"CRF: {options['iterations']} iterations, {named}."

    def mean_iou(self, net: Module, dataset: Any = None, crf: Any = False, **options: Any) -> float:
        """Return the mean IoU in per cent, by default on ``validation_data``.

        ``crf`` and ``options`` are those of ``segment``.
        """
        dataset = self.validation_data if dataset is None else dataset
        confusion = evaluate(net, dataset, crf, self.executor, **options)
        return 100 * scores(confusion).mean_iou

    def data_note(self) -> str:
        """Return the data that is scored, for the notes of a table."""
        height, width = self.validation_data[0][1].shape
        return f"Data: {self.data}, {len(self.validation_data)} of val scored at {height}x{width}"

    def notes(self, optimizer: str = "AdamW of rate 0.003") -> list[str]:
        """Return data, networks and training, for the notes of a table."""
        config = self.config()
        start = f"from {self.init}" if self.init else "from random weights"
        if self._pretraining:
            start = (
                f"first the trunk by itself, {self._pretraining} iterations under a head of 1x1 "
                "convolutions, then from that trunk"
            )
        return [
            f"{self.data_note()}; {len(self.training_data)} images to train on.",
            f"Networks: trunk {self.trunk!r} of stride {self._stride}, {self.width:g} of the "
            "authors' filters in trunk and head; kernels and rates are the authors', and fields of "
            "view those of their network. See minideeplab/experiments/net.py.",
            f"Training: {start}, {config.iterations} iterations of {config.batch_size} crops of "
            f"{config.crop[0]}x{config.crop[1]} unless a row says otherwise, {optimizer}, "
            f"seed {self.seed}; one run a row, so differences of a point or two mean little.",
        ]


def _require_same(trainer: Trainer) -> None:
    """Raise ValueError if the run in the trainer's folder was made with other settings."""
    stored = checkpoint.load(trainer.checkpoint_path)[1]["training"]
    wanted = {**trainer.origin, "config": dataclasses.asdict(trainer.config)}
    for name, value in json.loads(json.dumps(wanted)).items():
        if stored.get(name) != value:
            raise ValueError(
                f"{trainer.out}: holds a run with another {name}; name another --out folder"
            )
