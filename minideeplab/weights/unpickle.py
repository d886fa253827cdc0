"""An unpickler that builds data and executes nothing.

A pickle is a program for a stack machine, and two of its instructions (GLOBAL and REDUCE) import
any function and call it: ``pickle.load`` on a file from the internet can execute anything. This
machine implements the instructions that data need and keeps names as :class:`Global` values. A
call is passed to one function of the caller, which decides by name what it means.

Memory is bounded by the pickle's length: memo slots are dictionary keys and lengths are checked.
Only scalars may be dictionary keys, since hashing nested tuples can take exponential time.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from minideeplab.budget import Budget

SCALARS = (str, bytes, int, float, bool, type(None))
MARK = object()


class Global(NamedTuple):
    """A name that the pickle would import; it is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Inert:
    """Placeholder of an object that is not built; ``what`` is its class."""

    def __init__(self, what: object) -> None:
        self.what = what


Call = Callable[..., Any]
Persistent = Callable[[Any], Any]


def unpickle(
    file: BinaryIO,
    call: Call,
    persistent: Persistent | None = None,
    budget: Budget | None = None,
) -> Any:
    """Return the object of one pickle, read from ``file``'s position on.

    Args:
        file: an in-memory or mapped file, whose ``read(n)`` never allocates more than is there.
        call: ``call(callee, arguments)`` gives the value of a REDUCE, and with ``new=True`` that of
            a NEWOBJ; ``callee`` is a :class:`Global` or whatever an earlier call gave.
        persistent: gives the value of a persistent identifier (in torch: a storage).
        budget: has a step for each instruction; None for one of this pickle alone.

    Raises:
        ValueError: the pickle is damaged, needs an instruction that data do not need, or one of
            the two functions raised.
    """
    machine = _Machine(call, persistent)
    for name, argument in _instructions(file, budget or Budget(0)):
        try:
            if name == "STOP":
                return machine.stack.pop()
            machine.step(name, argument)
        except (IndexError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the pickle is damaged ({name}: {type(error).__name__})") from error
    raise ValueError("the pickle is damaged (it does not end)")


def _instructions(file: BinaryIO, budget: Budget) -> Iterator[tuple[str, Any]]:
    """Yield the pickle's instructions, name and argument, up to and with STOP."""
    try:
        for opcode, argument, _ in pickletools.genops(file):
            budget.step()
            yield opcode.name, argument
    except (ValueError, OverflowError) as error:
        raise ValueError(f"the pickle is damaged ({error})") from error


# Instructions that push their argument, a constant, a tuple of stack items, or nothing.
LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "MARK": lambda: MARK,
    "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": list,
}  # fmt: skip
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
IGNORED = {"PROTO", "FRAME"}


class _Machine:
    """The stack, the memo, and one method for each instruction that does more than push."""

    def __init__(self, call: Call, persistent: Persistent | None) -> None:
        self.call, self.persistent = call, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Run one instruction."""
        if name in LITERALS:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name]())
        elif name in TUPLES:
            items = [self.stack.pop() for _ in range(TUPLES[name])]
            self.stack.append(tuple(items[::-1]))
        elif name not in IGNORED:
            method = getattr(self, "op_" + name.lower(), None)
            if method is None:
                raise ValueError(f"the pickle uses {name}, which data do not need")
            method(argument)

    def since_mark(self) -> list[Any]:
        """Pop everything down to the last MARK."""
        items = []
        while (item := self.stack.pop()) is not MARK:
            items.append(item)
        return items[::-1]

    # ---- memo: PUT stores the top of the stack, GET pushes it again

    def op_put(self, index: int) -> None:
        self.memo[int(index)] = self.stack[-1]

    op_binput = op_long_binput = op_put

    def op_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def op_get(self, index: int) -> None:
        self.stack.append(self.memo[int(index)])

    op_binget = op_long_binget = op_get

    # ---- stack

    def op_pop(self, _: None) -> None:
        self.stack.pop()

    def op_pop_mark(self, _: None) -> None:
        self.since_mark()

    def op_dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    # ---- containers

    def op_tuple(self, _: None) -> None:
        self.stack.append(tuple(self.since_mark()))

    def op_list(self, _: None) -> None:
        self.stack.append(self.since_mark())

    op_frozenset = op_list

    def op_dict(self, _: None) -> None:
        items = self.since_mark()
        self.stack.append({})
        self._update(items)

    def op_append(self, _: None) -> None:
        self._extend([self.stack.pop()])

    def op_appends(self, _: None) -> None:
        self._extend(self.since_mark())

    op_additems = op_appends

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], Inert):
            self.stack[-1].extend(items)

    def op_setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def op_setitems(self, _: None) -> None:
        self._update(self.since_mark())

    def _update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Inert):
            return
        if len(items) % 2:
            raise ValueError("the pickle is damaged (a key without a value)")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, SCALARS):
                raise ValueError(f"the pickle has a dictionary key of type {type(key).__name__}")
            target[key] = value

    # ---- names and calls; calls are passed to the caller

    def op_global(self, argument: str) -> None:
        self.stack.append(Global(*argument.split(" ", 1)))

    def op_stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("the pickle is damaged (a name that is not text)")
        self.stack.append(Global(module, name))

    def op_reduce(self, _: None) -> None:
        arguments, callee = self.stack.pop(), self.stack.pop()
        if not isinstance(arguments, tuple):
            raise ValueError("the pickle is damaged (a call without an argument tuple)")
        self.stack.append(self.call(callee, arguments))

    def op_newobj(self, _: None) -> None:
        arguments, callee = self.stack.pop(), self.stack.pop()
        self.stack.append(self.call(callee, arguments, new=True))

    def op_obj(self, _: None) -> None:
        callee, *arguments = self.since_mark()
        self.stack.append(self.call(callee, tuple(arguments)))

    def op_inst(self, argument: str) -> None:
        arguments = tuple(self.since_mark())
        self.stack.append(self.call(Global(*argument.split(" ", 1)), arguments))

    def op_newobj_ex(self, _: None) -> None:
        self.stack.pop()  # keyword arguments: data have none that matter
        self.op_newobj(None)

    def op_build(self, _: None) -> None:
        """Set an object's attributes: a state dict's ``_metadata`` and the like, not needed."""
        self.stack.pop()

    def op_binpersid(self, _: None) -> None:
        identifier = self.stack.pop()
        if self.persistent is None:
            raise ValueError("the pickle refers to data outside of it")
        self.stack.append(self.persistent(identifier))
