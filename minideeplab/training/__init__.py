"""Training: Caffe's SGD and AdamW, schedules, batches, checkpoints and the loop (section 4.1)."""

from __future__ import annotations

from minideeplab.training.average import WeightAverage
from minideeplab.training.batches import Batches, prefetch
from minideeplab.training.config import Config
from minideeplab.training.loop import Diverged, Trainer
from minideeplab.training.loss import class_weights, segmentation_loss
from minideeplab.training.multiscale import fused_scores, multi_scale_loss
from minideeplab.training.optim import SGD, AdamW, caffe_multipliers
from minideeplab.training.parallel import ParallelTrainer
from minideeplab.training.schedule import poly, step, warm_up
from minideeplab.training.validation import evaluate, predictions

__all__ = [
    "SGD", "AdamW", "Batches", "Config", "Diverged", "ParallelTrainer", "Trainer",
    "WeightAverage", "caffe_multipliers", "class_weights", "evaluate", "fused_scores",
    "multi_scale_loss", "poly", "predictions", "prefetch", "segmentation_loss", "step",
    "warm_up",
]  # fmt: skip
