"""Learning rate schedules: functions of the iteration that return a factor of the base rate."""

from __future__ import annotations

from collections.abc import Callable

from minideeplab.training.config import Config

Schedule = Callable[[int], float]


def poly(iterations: int, power: float = 0.9) -> Schedule:
    """Return (1 - i / iterations) ** power, the paper's choice (section 4.1.2, table 2)."""
    return lambda i: (1.0 - min(i, iterations) / iterations) ** power


def step(every: int = 2000, factor: float = 0.1) -> Schedule:
    """Return factor ** floor(i / every), which the first version of the paper used."""
    return lambda i: factor ** (i // every)


def warm_up(schedule: Schedule, iterations: int) -> Schedule:
    """Return ``schedule`` with a linear rise over the first ``iterations``."""
    return lambda i: schedule(i) * min(1.0, (i + 1) / (iterations + 1))


def make_schedule(config: Config) -> Schedule:
    """Return the schedule of a run: "poly", "step" or "constant", after a linear warm-up."""
    schedules = {
        "poly": poly(config.iterations, config.power),
        "step": step(config.step_every, config.step_factor),
        "constant": lambda _: 1.0,
    }
    return warm_up(schedules[config.schedule], config.warm_up)
