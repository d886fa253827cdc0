"""Wrong answers to task 7.4."""

from minideeplab.grading import wrong


@wrong(
    "7.4",
    loses=("past the end",),
    hint="Past the end a negative number is raised to a power; the rate is 0 there.",
)
def past_the_end(base, iteration, iterations, power):
    return base * abs(1 - iteration / iterations) ** power


@wrong(
    "7.4",
    loses=("halfway", "another power"),
    hint="The power is applied to the share that is done; it is for what remains, 1 - i/i_max.",
)
def power_of_what_is_done(base, iteration, iterations, power):
    return base * max(0.0, 1 - (iteration / iterations) ** power)


@wrong(
    "7.4",
    loses=("another power",),
    hint="The power is fixed at 0.9; it is an argument.",
)
def fixed_power(base, iteration, iterations, power):
    return base * max(0.0, 1 - iteration / iterations) ** 0.9


@wrong(
    "7.4",
    loses=("the first", "halfway", "another power"),
    hint="Iterations are counted from 0: the first one has the full rate.",
)
def counts_from_one(base, iteration, iterations, power):
    return base * max(0.0, 1 - (iteration + 1) / iterations) ** power


@wrong(
    "7.4",
    loses=("past the end",),
    hint="Past the end the base of the power is negative, and Python returns a complex number; the "
    "rate is 0 there.",
)
def complex_past_the_end(base, iteration, iterations, power):
    return base * (1 - iteration / iterations) ** power
