"""The settings of a training run, with the defaults of each network."""

from __future__ import annotations

import dataclasses
from typing import Any


def setting(
    default: Any, text: str, choices: tuple[str, ...] = (), least: int = 0, flag: str = ""
) -> Any:
    """Return a field: the default for the small net, its help text, and its allowed values.

    ``flag`` is a second name of the command line's option.
    """
    metadata = {"text": text, "choices": choices, "least": least, "flag": flag}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run; ``for_model`` gives each network's own defaults.

    Raises ValueError for a value that is out of its range.
    """

    iterations: int = setting(6000, "Updates of the weights in all.", least=1)
    batch_size: int = setting(8, "Images in one forward pass.", least=1)
    iter_size: int = setting(
        1, "Forward passes whose gradients are averaged into one update, to save memory.", least=1
    )
    crop: tuple[int, int] = setting((241, 321), "Height and width of the views, 8k+1 each.")
    scales: tuple[float, ...] = setting((0.5, 1.75), "Range of random scaling.")
    mirror: bool = setting(True, "Flip left and right at random.")
    jitter: float = setting(0.3, "Strength of random colour changes, 0 to 1.")
    optimizer: str = setting("adamw", "Update rule; SGD as in Caffe.", choices=("sgd", "adamw"))
    lr: float = setting(2e-3, "Base learning rate.")
    momentum: float = setting(0.9, "Momentum of SGD.")
    weight_decay: float = setting(2e-2, "Part of the gradient (SGD) or decoupled (AdamW).")
    schedule: str = setting("poly", "Learning rate over time.", ("poly", "step", "constant"))
    power: float = setting(0.9, "Exponent of the poly schedule.")
    step_every: int = setting(2000, "Iterations between drops of the step schedule.", least=1)
    step_factor: float = setting(0.1, "What the step schedule multiplies the rate by.")
    warm_up: int = setting(100, "Iterations of linear rise at the start.")
    class_weights: str = setting(
        "root", "Weights of rare classes in the loss.", ("none", "root", "log", "median")
    )
    loss_at: str = setting(
        "full",
        "Upsample the scores to the labels, or subsample the labels to the scores' stride.",
        ("full", "stride"),
    )
    multi_scale: bool = setting(
        False, "Score crops at three sizes, fuse by maximum, and add the losses of all."
    )
    average: float = setting(0.998, "Decay of the moving average of the weights; 0 for none.")
    seed: int = setting(0, "Seed of initial weights, sampling, augmentation and dropout.")
    validate_every: int = setting(
        0, "Iterations between validations; 0 for none.", flag="--val-every"
    )
    patience: int = setting(
        0, "Stop after so many validations without a better mean IoU; 0 for never."
    )
    checkpoint_every: int = setting(100, "Iterations between checkpoints.", least=1)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, choices = getattr(self, field.name), field.metadata["choices"]
            if isinstance(value, list):  # from JSON
                object.__setattr__(self, field.name, tuple(value))
            elif isinstance(value, str) and value not in choices:
                raise ValueError(f"{field.name}: {value!r}, expected one of {', '.join(choices)}")
            elif isinstance(value, (int, float)) and not value >= field.metadata["least"]:
                least = field.metadata["least"]
                raise ValueError(f"{field.name}: {value}, expected {least} or more")
        if any(length % 8 != 1 or length < 9 for length in self.crop):
            near = " ".join(str(8 * max(1, round((length - 1) / 8)) + 1) for length in self.crop)
            raise ValueError(f"crop: {self.crop}, expected 8k+1 each, such as {near}")
        low, high = self.scales[0], self.scales[-1]
        if low <= 0 or (len(self.scales) == 2 and low > high):
            raise ValueError(
                f"scales: {self.scales}, expected the smaller number first, both above 0"
            )
        if self.patience and not self.validate_every:
            raise ValueError("patience: needs validation; add --val-every (validate_every)")

    @classmethod
    def for_model(cls, name: str, **settings: Any) -> Config:
        """Return the defaults for a network ("small", "largefov", ...), with ``settings`` changed.

        "small" has the defaults of this class, the VGG nets ``AUTHORS``, and ResNet-101 ``AUTHORS``
        changed by ``RESNET``: another rate, scale augmentation, the 10 crops one by one, each at
        three sizes.
        """
        if name == "small":
            return cls(**settings)
        return cls(**(AUTHORS | (RESNET if name.startswith("resnet101") else {}) | settings))


#: The authors' solver of version 2 of the paper, and what differs for their ResNet-101.
AUTHORS: dict[str, Any] = dict(
    iterations=20000, batch_size=10, crop=(321, 321), scales=(1.0, 1.0), jitter=0.0,
    optimizer="sgd", lr=1e-3, weight_decay=5e-4, warm_up=0, class_weights="none",
    loss_at="stride", average=0.0,
)  # fmt: skip
RESNET: dict[str, Any] = dict(
    batch_size=1, iter_size=10, lr=2.5e-4, scales=(0.5, 1.5), multi_scale=True
)
