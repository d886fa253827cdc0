"""Learning rates over time: a schedule maps an iteration to a factor of the base rate."""

from __future__ import annotations

from collections.abc import Callable

Schedule = Callable[[int], float]


def poly(iterations: int, power: float = 0.9) -> Schedule:
    """(1 - i / iterations) ** power, the paper's choice (section 4.1.2, table 2)."""
    return lambda i: (1.0 - min(i, iterations) / iterations) ** power


def step(every: int = 2000, factor: float = 0.1) -> Schedule:
    """factor ** floor(i / every), what the first version of the paper used."""
    return lambda i: factor ** (i // every)


def warm_up(schedule: Schedule, iterations: int) -> Schedule:
    """Rise linearly to ``schedule`` over the first ``iterations``."""
    return lambda i: schedule(i) * min(1.0, (i + 1) / (iterations + 1))


def make_schedule(
    name: str,
    iterations: int,
    power: float = 0.9,
    step_every: int = 2000,
    step_factor: float = 0.1,
    warm_up_iterations: int = 0,
) -> Schedule:
    """Build the schedule called ``name``: "poly", "step" or "constant"."""
    schedules = {
        "poly": lambda: poly(iterations, power),
        "step": lambda: step(step_every, step_factor),
        "constant": lambda: lambda _: 1.0,
    }
    if name not in schedules:
        raise ValueError(f"schedule: {name!r}, expected one of {', '.join(schedules)}")
    return warm_up(schedules[name](), warm_up_iterations)
