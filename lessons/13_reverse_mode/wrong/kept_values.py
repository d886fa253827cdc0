"""Wrong answers to task 13.4."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def tracked_values(graph, order, wanted):
    """Values that a wanted leaf leads to."""
    tracked = set(wanted)
    for name in order:
        if tracked & set(graph[name][1]):
            tracked.add(name)
    return tracked


@wrong(
    "13.4",
    loses=("only the weights are wanted", "two layers", "the first layer is frozen",
           "the last layer is frozen", "nothing is wanted"),
    hint="What is read for a cotangent that nobody wants need not be kept.",
)  # fmt: skip
def everything_that_is_read(graph, order, wanted, needs):
    kept = set()
    for name in order:
        op, inputs = graph[name]
        for what in sum(needs.get(op, ()), ()):
            kept.add(name if what == "result" else inputs[what])
    return sorted(kept)


@wrong(
    "13.4",
    loses=("results that are kept", "two layers", "the first layer is frozen",
           "the last layer is frozen"),
    hint="A wanted leaf makes all the values wanted that lead from it to the last one.",
)  # fmt: skip
def leaves_only(graph, order, wanted, needs):
    kept = set()
    for name in order:
        op, inputs = graph[name]
        for place, one in enumerate(inputs):
            if one in wanted:
                kept |= {name if what == "result" else inputs[what] for what in needs[op][place]}
    return sorted(kept)


@wrong(
    "13.4",
    loses=("only the weights are wanted", "two layers", "the first layer is frozen",
           "the last layer is frozen"),
    hint="An operation with one wanted input keeps what the cotangents of all inputs need.",
)  # fmt: skip
def all_inputs_of_a_recorded_operation(graph, order, wanted, needs):
    tracked, kept = tracked_values(graph, order, wanted), set()
    for name in order:
        op, inputs = graph[name]
        if name in tracked and inputs:
            for what in sum(needs[op], ()):
                kept.add(name if what == "result" else inputs[what])
    return sorted(kept)


@wrong(
    "13.4",
    loses=("only the weights are wanted", "results that are kept", "the first layer is frozen",
           "the last layer is frozen", "two layers"),
    hint="The value whose cotangent is wanted is kept itself; look up what its pullback reads.",
)  # fmt: skip
def the_input_itself(graph, order, wanted, needs):
    tracked = tracked_values(graph, order, wanted)
    return sorted({one for name in order for one in graph[name][1] if one in tracked})


@wrong(
    "13.4",
    loses=("a product", "only the weights are wanted", "two layers", "the first layer is frozen",
           "the last layer is frozen"),
    hint="Only results are kept; a product reads its inputs.",
)  # fmt: skip
def results_only(graph, order, wanted, needs):
    tracked = tracked_values(graph, order, wanted)
    return sorted(name for name in order if name in tracked and graph[name][0] in ("exp", "relu"))


def right(graph, order, wanted, needs):
    """Return what is kept, as a set."""
    tracked, kept = tracked_values(graph, order, wanted), set()
    for name in order:
        op, inputs = graph[name]
        for place, one in enumerate(inputs):
            if one in tracked:
                kept |= {name if what == "result" else inputs[what] for what in needs[op][place]}
    return kept


@wrong(
    "13.4",
    loses=("a product", "two layers", "the last layer is frozen", "the first layer is frozen",
           "results that are kept"),
    hint="The names are right but not sorted.",
)  # fmt: skip
def unsorted(graph, order, wanted, needs):
    return sorted(right(graph, order, wanted, needs), reverse=True)


@wrong(
    "13.4",
    loses=("only the weights are wanted", "results that are kept", "two layers",
           "the first layer is frozen", "the last layer is frozen"),
    hint="The wanted leaves are in the list although no pullback reads them.",
)  # fmt: skip
def wanted_leaves_too(graph, order, wanted, needs):
    return sorted(right(graph, order, wanted, needs) | set(wanted))


@wrong("13.4", loses=ALL, hint="All values are kept; that is what the three rules avoid.")
def all_values(graph, order, wanted, needs):
    return sorted(order)
