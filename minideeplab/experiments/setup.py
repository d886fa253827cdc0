"""What every experiment starts from: the data, the size of the networks, how long they train."""

from __future__ import annotations

import dataclasses
import sys
from concurrent.futures import Executor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab import pretrained
from minideeplab.crf.refinement import PARAMETERS
from minideeplab.data.cached import Cached
from minideeplab.data.specs import open_dataset
from minideeplab.evaluation import scores
from minideeplab.experiments.defaults import MOST_SCENES, PHOTOS, PLAIN, SCENES, Defaults
from minideeplab.experiments.net import OUTPUT_STRIDE, ExperimentNet
from minideeplab.experiments.pictures import Scaled, Subset
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
        out: folder for trained networks (kept, and gone on with) and results.
        split: of the data, to train on.
        trunk, width, stride: of ``ExperimentNet``.
        init: weights to start from, a file or an official name; for the trunk "vgg16".
        pretrain: iterations of the trunk under the plain head, of which all networks without
            ``init`` start, as the authors' start from ImageNet's; 0 for random weights.
        iterations, batch_size, crop: of the longest training run.
        images: of val, to score; None for all.
        scale: what pictures and labels are shrunk to, before anything else.
        weights: of the experiments that do not train; None for the bundled ones. With them,
            multi-scale does not train either.
        seed: of everything random.
        executor: spreads scoring; None for this process.
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

    @cached_property
    def training_data(self) -> Any:
        """The pictures to train on, kept in memory; of the scenes, so many as to be drawn fast."""
        dataset = Cached(Scaled(open_dataset(self.data, self.split), self.scale))
        if self.on_scenes:
            return Subset(dataset, range(min(MOST_SCENES, len(dataset))))
        return dataset

    @cached_property
    def validation_data(self) -> Any:
        """The pictures to score, ``pictures`` of val at most, kept in memory."""
        dataset = Cached(Scaled(open_dataset(self.data, "val"), self.scale))
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

        The run is kept in ``out``/runs/``name`` and gone on with when it was interrupted. Raises
        ValueError when one with other settings is there.
        """
        net = self._untrained(shape)
        if self.init:
            load_initial(net, self.init)
        else:
            net.load_state_dict(self._pretrained_trunk, strict=False)
        return self._train(name, net, shape, self.config(**changes))

    @cached_property
    def _pretrained_trunk(self) -> dict[str, np.ndarray]:
        """The trunk's arrays after ``pretrain`` iterations, kept as any run; {} without them."""
        iterations = self._pretraining
        if not iterations:
            return {}
        config = self.config(iterations=iterations)
        net, _ = self._train("trunk", self._untrained(PLAIN), PLAIN, config)
        state = net.state_dict()
        return {name: state[name] for name in state if name.partition(".")[0] in net.trunk}

    @property
    def _pretraining(self) -> int:
        """Iterations of the trunk by itself."""
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
        origin = {
            "data": self.data,
            "split": self.split,
            "init": self.init,
            "pretrain": 0 if shape is PLAIN else self._pretraining,
            "scale": self.scale,
            "trunk": self.trunk,
            "width": self.width,
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
        """Return the CRF's settings for this data: found for bundled weights, else the authors'.

        Its reach in pixels shrinks with the pictures.
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
        """Return what is scored, for the notes of a table."""
        height, width = self.validation_data[0][1].shape
        return f"Data: {self.data}, {len(self.validation_data)} of val scored at {height}x{width}"

    def notes(self, optimizer: str = "AdamW of rate 0.003") -> list[str]:
        """Return what tables of trained networks must say about themselves."""
        config = self.config()
        start = f"from {self.init}" if self.init else "from random weights"
        if self._pretraining:
            start = (
                f"first the trunk by itself, {self._pretraining} iterations under a head of 1x1 "
                "convolutions, then from that trunk"
            )
        return [
            f"{self.data_note()}; {len(self.training_data)} pictures to train on.",
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
    described = trainer.describe()["training"]
    asked = {**trainer.origin, "config": described["config"]}
    for name, value in asked.items():
        if _plain(stored.get(name)) != _plain(value):
            raise ValueError(
                f"{trainer.out}: holds a run with another {name}; name another --out folder"
            )


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON gives it back."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
