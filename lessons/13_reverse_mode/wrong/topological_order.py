"""Wrong answers to task 13.1."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


@wrong(
    "13.1",
    loses=("1500 layers",),
    hint="Python refuses calls nested a thousand deep, and networks are deeper: keep a stack of "
    "your own.",
)
def recursive(inputs, last):
    order = []

    def visit(name):
        if name not in order:
            for one in inputs[name]:
                visit(one)
            order.append(name)

    visit(last)
    return order


@wrong(
    "13.1",
    loses=("a value used twice", "a short way and a long way"),
    hint="A value that is used twice is in the order twice.",
)
def visits_twice(inputs, last):
    order, stack = [], [(last, False)]
    while stack:
        name, ready = stack.pop()
        if ready:
            order.append(name)
        else:
            stack.append((name, True))
            stack += [(one, False) for one in reversed(inputs[name])]
    return order


@wrong(
    "13.1",
    loses=("a value used twice", "a short way and a long way", "two inputs"),
    hint="A value is put down when it is first met; it may be an input of one that comes later. "
    "When is a value ready?",
)
def reversed_first_visits(inputs, last):
    met, stack = [], [last]
    while stack:
        name = stack.pop()
        if name not in met:
            met.append(name)
            stack += reversed(inputs[name])
    return met[::-1]


@wrong(
    "13.1",
    loses=("two inputs",),
    hint="The inputs are visited from right to left.",
)
def right_to_left(inputs, last):
    order, done, stack = [], set(), [(last, False)]
    while stack:
        name, ready = stack.pop()
        if ready:
            order.append(name)
        elif name not in done:
            done.add(name)
            stack.append((name, True))
            stack += [(one, False) for one in inputs[name] if one not in done]
    return order


@wrong(
    "13.1",
    loses=("values that are not needed",),
    hint="Values are in the order that the last one does not depend on.",
)
def every_value(inputs, last):
    order, done = [], set()
    for root in inputs:
        stack = [(root, False)]
        while stack:
            name, ready = stack.pop()
            if ready and name not in order:
                order.append(name)
            elif not ready and name not in done:
                done.add(name)
                stack.append((name, True))
                stack += [(one, False) for one in reversed(inputs[name])]
    return order


@wrong("13.1", loses=ALL, hint="The last value is missing: it is its own last stop.")
def without_the_last(inputs, last):
    order, done, stack = [], set(), [(last, False)]
    while stack:
        name, ready = stack.pop()
        if ready:
            order.append(name)
        elif name not in done:
            done.add(name)
            stack.append((name, True))
            stack += [(one, False) for one in reversed(inputs[name])]
    return order[:-1]


@wrong(
    "13.1",
    loses=("two inputs",),
    hint="Every value comes after its inputs, but the order is not depth first: an input with all "
    "that it needs comes before the next input.",
)
def level_by_level(inputs, last):
    needed, stack = [], [last]
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.append(name)
            stack += reversed(inputs[name])
    names = [name for name in inputs if name in needed]
    order, missing = [], {name: set(inputs[name]) for name in names}
    while missing:
        ready = [name for name, rest in missing.items() if not rest]
        order += ready
        for name in ready:
            del missing[name]
        for rest in missing.values():
            rest.difference_update(ready)
    return order


@wrong(
    "13.1",
    loses=("two inputs", "a value used twice", "a short way and a long way"),
    hint="Breadth first, turned round, is not enough: a value that is used early and late comes "
    "after one that needs it.",
)
def breadth_first_reversed(inputs, last):
    met = [last]
    for name in met:
        met += [one for one in dict.fromkeys(inputs[name]) if one not in met]
    return met[::-1]


@wrong(
    "13.1",
    loses=("a chain", "two inputs", "a value used twice", "a short way and a long way",
           "values that are not needed", "1500 layers"),
    hint="The last value comes first: a value is put down before its inputs.",
)  # fmt: skip
def last_value_first(inputs, last):
    order, stack = [], [last]
    while stack:
        name = stack.pop()
        if name not in order:
            order.append(name)
            stack += reversed(inputs[name])
    return order


@wrong(
    "13.1",
    loses=("a short way and a long way",),
    hint="A value that waits on the stack may be needed sooner on another way: mark it when it is "
    "taken from the stack, not when it is put there.",
)
def marked_when_pushed(inputs, last):
    order, marked, stack = [], {last}, [(last, False)]
    while stack:
        name, ready = stack.pop()
        if ready:
            order.append(name)
            continue
        stack.append((name, True))
        for one in reversed(inputs[name]):
            if one not in marked:
                marked.add(one)
                stack.append((one, False))
    return order
