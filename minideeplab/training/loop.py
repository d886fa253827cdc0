"""The training loop: ``Trainer`` writes checkpoints, a log, a curve and weights."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from minideeplab import evaluation
from minideeplab.files import lock, remove_unfinished, require_writable
from minideeplab.models import save_weights
from minideeplab.nn import Module
from minideeplab.training import checkpoint
from minideeplab.training.average import WeightAverage
from minideeplab.training.batches import Batches, prefetch
from minideeplab.training.config import Config
from minideeplab.training.gradients import Batch, accumulate
from minideeplab.training.loss import class_weights
from minideeplab.training.optim import make_optimizer
from minideeplab.training.records import CLASS_COLUMNS, Log, add_class_scores, draw_curve
from minideeplab.training.schedule import make_schedule
from minideeplab.training.validation import evaluate

FILES = (  # of a run
    "checkpoint.npz", "weights.npz", "best.npz", "log.csv", "validation.csv", "curve.png",
)  # fmt: skip


class Diverged(ValueError):
    """The loss or the weights are not finite."""


class Trainer:
    """A training run: ``Trainer(net, dataset, config, out).run()``.

    The folder ``out`` gets checkpoint.npz (all state), log.csv, curve.png, weights.npz (averaged,
    float16) and, with a ``validation`` data set, best.npz and validation.csv. A run that was killed
    continues bit for bit after ``resume()``: batch, augmentation and dropout of an iteration depend
    on (seed, iteration) only.

    ``origin``, a JSON-able description of the data, is stored in the files.
    """

    def __init__(
        self,
        net: Module,
        dataset: Any,
        config: Config,
        out: str | os.PathLike[str],
        validation: Any = None,
        origin: dict[str, Any] | None = None,
    ) -> None:
        self.out = require_writable(out)
        self.net, self.dataset, self.config = net, dataset, config
        self.validation, self.origin = validation, origin or {}
        self.batches = Batches(dataset, net.preprocessing, config)
        self.optimizer = make_optimizer(net.named_parameters(), config)
        self.schedule = make_schedule(config)
        self.average = WeightAverage(net, config.average)
        self.class_weights: np.ndarray | None = None
        self.iteration, self.seconds, self.best = 0, 0.0, -1.0
        self.stale = 0  # validations since the best one
        self.checkpoint_path = self.out / "checkpoint.npz"

    # ------------------------------------------------------------ state

    def save(self) -> None:
        """Write checkpoint.npz; raises Diverged, without writing, if weights are not finite."""
        for name, array in self.net.state_dict().items():
            if not np.isfinite(array).all():
                raise Diverged(self._diverged(f"{name} is not finite"))
        parts = {
            "model": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
        }
        if self.class_weights is not None:
            parts["loss"] = {"class_weights": self.class_weights}
        checkpoint.save(self.checkpoint_path, parts, self.describe())

    def resume(self) -> None:
        """Continue from checkpoint.npz in ``out``; raises FileNotFoundError or ValueError."""
        for name in FILES:
            remove_unfinished(self.out / name)
        parts, meta = checkpoint.load(self.checkpoint_path)
        self.net.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.average.load_state_dict(parts["average"])
        self.class_weights = parts.get("loss", {}).get("class_weights")
        progress = meta["training"]
        self.iteration, self.seconds = progress["iteration"], progress["seconds"]
        self.best, self.stale = progress["best_mean_iou"], progress.get("stale", 0)

    def describe(self) -> dict[str, Any]:
        """Return the metadata of the weight files."""
        intensity_range = getattr(self.dataset, "intensity_range", None)
        return {
            **({"intensity_range": list(intensity_range)} if intensity_range else {}),
            "model": self.net.name,
            "num_classes": self.net.num_classes,
            "classes": list(self.dataset.classes),
            "palette": np.asarray(self.dataset.palette).tolist(),
            "preprocessing": dataclasses.asdict(self.net.preprocessing),
            "image_size": list(self.dataset[0][1].shape),  # of the training images
            "training": {
                **self.origin,
                "iteration": self.iteration,
                "seconds": round(self.seconds, 1),
                "best_mean_iou": self.best,
                "stale": self.stale,
                "config": dataclasses.asdict(self.config),
            },
        }

    # ------------------------------------------------------------ work

    def run(self) -> None:
        """Train up to ``config.iterations``, then write the weights and the curve.

        With ``config.patience`` it stops after so many validations without a better mean IoU.
        The folder is locked meanwhile; ValueError if another process trains in it.

        Raises Diverged when the loss is not finite; the last finite checkpoint is kept.
        """
        try:
            with lock(self.out / ".lock", wait=False):
                self._run()
        except BlockingIOError:
            raise ValueError(f"{self.out}: another process trains in this folder") from None

    def _run(self) -> None:
        config = self.config
        if self.class_weights is None:
            self.class_weights = class_weights(
                config.class_weights, self.dataset, self.net.num_classes
            )
        if not self.checkpoint_path.exists():
            self.save()  # the run can be resumed from the start
        log = Log(self.out / "log.csv", self.iteration)
        if config.validate_every:
            Log(self.out / "validation.csv", self.iteration + 1, CLASS_COLUMNS)
        self.net.train()
        batches = prefetch(
            self.batches, self.iteration * config.iter_size, config.iterations * config.iter_size
        )
        images = config.batch_size * config.iter_size
        progress = tqdm(
            total=config.iterations * images, initial=self.iteration * images, unit="img"
        )
        with progress:
            while self.iteration < config.iterations and not self._stopped_early():
                started = time.perf_counter()
                loss = self.step([next(batches) for _ in range(config.iter_size)])
                self.seconds += time.perf_counter() - started
                row = [self.iteration, repr(loss), self.optimizer.lr, round(self.seconds, 2)]
                self.iteration += 1
                mean_iou = self.validate() if self._due(config.validate_every) else ""
                log.add(*row, mean_iou)
                if self._due(config.checkpoint_every):
                    self.save()
                progress.update(images)
                progress.set_postfix(
                    iteration=self.iteration, loss=f"{loss:.4f}", lr=f"{self.optimizer.lr:.2g}"
                )
        self.finish()

    def step(self, batches: list[Batch]) -> float:
        """Average the gradients of ``batches``, update the weights once; return the loss."""
        total = self.gradients(batches)
        self.optimizer.lr = self.config.lr * self.schedule(self.iteration)
        self.optimizer.step()
        self.average.update()
        return total

    def gradients(self, batches: list[Batch]) -> float:
        """Store the averaged gradients of ``batches`` in the parameters; return the loss."""
        total = accumulate(self.net, batches, self.class_weights, self.config, self.iteration)
        self.require_finite(total)
        return total

    def require_finite(self, loss: float) -> None:
        """Raise Diverged unless the loss is finite."""
        if not np.isfinite(loss):
            raise Diverged(self._diverged(f"the loss became {loss}"))

    def validate(self) -> float:
        """Return the averaged weights' mean IoU on ``validation``; keep the best as best.npz."""
        if self.validation is None:
            raise ValueError("validate_every: needs a validation data set")
        with self.average.applied() as net:
            result = evaluation.scores(evaluate(net, self.validation))
        add_class_scores(self.out / "validation.csv", self.iteration, self.dataset.classes, result)
        line = f"iteration {self.iteration}: validation mean IoU {100 * result.mean_iou:.2f}"
        tqdm.write(line, file=sys.stderr)
        self.stale += 1
        if result.mean_iou > self.best:
            self.best, self.stale = result.mean_iou, 0
            save_weights(self.out / "best.npz", self.average.state, self.describe())
        return result.mean_iou

    def _stopped_early(self) -> bool:
        return 0 < self.config.patience <= self.stale

    def finish(self) -> None:
        """Write the last checkpoint, weights.npz and curve.png."""
        self.save()
        save_weights(self.out / "weights.npz", self.average.state, self.describe())
        draw_curve(self.out / "log.csv", self.out / "curve.png")

    def _due(self, every: int) -> bool:
        return every > 0 and (
            self.iteration % every == 0 or self.iteration == self.config.iterations
        )

    def _diverged(self, what: str) -> str:
        kept = "no checkpoint was written yet"
        if self.checkpoint_path.exists():
            kept = f"the last good checkpoint is {self.checkpoint_path}"
        return (
            f"training diverged at iteration {self.iteration}: {what}; {kept}. "
            "Try a lower learning rate or a longer warm-up."
        )
