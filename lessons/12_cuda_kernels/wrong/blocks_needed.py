"""Wrong answers to task 12.1."""

from minideeplab.grading import wrong


@wrong(
    "12.1",
    loses=("some threads left over", "fewer elements than threads"),
    hint="Rounded down: the elements behind the last whole block get no thread.",
)
def rounds_down(n, threads):
    return n // threads


@wrong(
    "12.1",
    loses=("no thread left over", "nothing to do"),
    hint="One block too many where the elements fill whole blocks.",
)
def always_one_more(n, threads):
    return n // threads + 1


@wrong(
    "12.1",
    loses=("nothing to do",),
    hint="Without elements there is no block.",
)
def at_least_one(n, threads):
    return max(1, -(-n // threads))
