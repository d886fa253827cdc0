"""What every experiment starts from: the data, the size of the networks, how long they train."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minideeplab import pretrained
from minideeplab.crf.refinement import PARAMETERS
from minideeplab.data.cached import Cached
from minideeplab.data.specs import open_dataset
from minideeplab.evaluation import scores
from minideeplab.experiments.net import ExperimentNet
from minideeplab.inference import crf_options, resize
from minideeplab.models import from_checkpoint
from minideeplab.models.deeplab import Variant
from minideeplab.nn import Module
from minideeplab.training import Config, Trainer, checkpoint, evaluate
from minideeplab.training.initial import load_initial

MOST_SCENES = 500  # to train on
#: By the data's kind. Scenes are small and simple: minutes do; others need more of everything.
SCENE_SETTINGS: dict[str, Any] = {
    "iterations": 400,
    "batch_size": 8,
    "crop": (97, 97),
    "scales": (0.8, 1.1),
    "class_weights": "none",
}
PHOTO_SETTINGS: dict[str, Any] = {
    "iterations": 3000,
    "batch_size": 8,
    "crop": (193, 257),
    "scales": (0.75, 1.25),
    "class_weights": "log",
}


@dataclasses.dataclass(frozen=True)
class Setup:
    """The flags of ``minideeplab experiment``; None takes the default of the data's kind.

    Args:
        data: camvid:FOLDER, voc:FOLDER, own:FOLDER or shapes.
        out: folder for trained networks (kept, and gone on with) and results.
        split: of the data, to train on.
        trunk, width: of ``ExperimentNet``.
        init: weights to start from, a file or an official name; for the trunk "vgg16".
        iterations, batch_size, crop: of the longest training run.
        pictures: of val, to score; None for all.
        scale: what pictures and labels are shrunk to, before anything else.
        weights: of the experiments that do not train; None for the bundled ones.
        seed: of everything random.
        executor: spreads scoring; None for this process.
    """

    data: str
    out: Path
    split: str = "train"
    trunk: str = "small"
    width: float = 0.125
    init: str | None = None
    iterations: int | None = None
    batch_size: int | None = None
    crop: tuple[int, int] | None = None
    pictures: int | None = None
    scale: float = 1.0
    weights: str | None = None
    seed: int = 0
    executor: Executor | None = None

    @property
    def on_scenes(self) -> bool:
        """Whether the data are the synthetic scenes."""
        return self.data.startswith("shapes")

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
        return Subset(dataset, range(min(self.pictures or len(dataset), len(dataset))))

    def config(self, **changes: Any) -> Config:
        """Return the settings of a training run: the data's, the flags', then ``changes``."""
        settings = dict(SCENE_SETTINGS if self.on_scenes else PHOTO_SETTINGS)
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
        net = ExperimentNet(
            shape, len(self.training_data.classes), self.trunk, self.width, self.seed
        )
        if self.init:
            load_initial(net, self.init)
        origin = {
            "data": self.data,
            "split": self.split,
            "init": self.init,
            "scale": self.scale,
            "trunk": self.trunk,
            "width": self.width,
            "head": dataclasses.asdict(shape),
        }
        folder = Path(self.out, "runs", name)
        trainer = Trainer(net, self.training_data, self.config(**changes), folder, origin=origin)
        if trainer.checkpoint_path.exists():
            _require_same(trainer)
            trainer.resume()
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
        config, where = self.config(), "from random weights"
        if self.init:
            where = f"from {self.init}"
        return [
            f"{self.data_note()}; {len(self.training_data)} pictures to train on.",
            f"Networks: trunk {self.trunk!r}, {self.width:g} of the authors' filters in trunk and "
            "head; kernels and rates are the authors'. See minideeplab/experiments/net.py.",
            f"Training: {where}, {config.iterations} iterations of {config.batch_size} crops of "
            f"{config.crop[0]}x{config.crop[1]} unless a row says otherwise, {optimizer}, "
            f"seed {self.seed}; one run a row, so differences of a point or two mean little.",
        ]


class Scaled:
    """The same data set, smaller: pictures smoothed, labels of the nearest pixel."""

    def __init__(self, dataset: Any, scale: float) -> None:
        if not 0 < scale <= 1:
            raise ValueError(f"scale: {scale}, expected above 0, at most 1")
        self._dataset, self._scale = dataset, scale
        self.names, self.classes, self.palette = dataset.names, dataset.classes, dataset.palette
        self.ignore_index = dataset.ignore_index

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pair ``index``: image (h, w, 3) uint8, labels (h, w) uint8."""
        image, labels = self._dataset[index]
        if self._scale == 1:
            return image, labels
        small = resize(image, self._scale)
        nearest = Image.fromarray(labels).resize(small.shape[1::-1], Image.Resampling.NEAREST)
        return small, np.array(nearest)


class Subset:
    """Some of a data set's pictures, by their places in it."""

    def __init__(self, dataset: Any, places: Sequence[int]) -> None:
        self._dataset, self._places = dataset, places
        self.names = [dataset.names[i] for i in places]
        self.classes, self.palette = dataset.classes, dataset.palette
        self.ignore_index = dataset.ignore_index

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ``index``-th of them: image (H, W, 3) uint8, labels (H, W) uint8."""
        return self._dataset[self._places[index]]


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
