"""The pickle machine: what it reads as ``pickle`` does, and what it refuses."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import struct
import time

import pytest

from minideeplab.weights.torch_tensors import call
from minideeplab.weights.unpickle import Global, unpickle

PLAIN = {
    "none": None, "yes": True, "no": False, "small": 5, "minus": -7, "int": 1 << 20,
    "long": 1 << 70, "huge": -(1 << 3000), "float": 0.1, "text": "Übergrößen\n", "bytes": b"\0\xff",
    "list": [1, [2, [3]]], "tuple": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), "empty": {},
    5: "five", 2.5: "number keys", None: 0,
}  # fmt: skip


def read(data: bytes):
    return unpickle(io.BytesIO(data), call)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_as_pickle_reads_them(protocol):
    data = {**PLAIN, "shared": PLAIN["list"]}
    if protocol < 3:
        del data["bytes"]  # written there as a call of _codecs.encode
    result = read(pickle.dumps(data, protocol))
    assert result == data
    assert result["shared"] is result["list"]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_ordered_dicts_become_dicts(protocol):
    data = collections.OrderedDict(b=1, a=collections.OrderedDict(c=2))
    result = read(pickle.dumps(data, protocol))
    assert result == {"b": 1, "a": {"c": 2}} and list(result) == ["b", "a"]


class Bomb:
    """Pickled, it is a call of ``function``."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("function", [os.system, eval, exec, __import__, getattr, os.mkdir])
def test_calls_are_refused_by_name_and_not_made(function, protocol, tmp_path):
    trace = tmp_path / "was-here"
    data = pickle.dumps({"weights": Bomb(function, str(trace))}, protocol)
    with pytest.raises(ValueError, match=rf"\.{function.__name__}, which is refused"):
        read(data)
    assert not trace.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"(S'touch was-here'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch was-here'\no.",  # OBJ
        b"cos\nsystem\n(S'touch was-here'\ntR.",  # GLOBAL, REDUCE
        b"\x80\x02cos\nsystem\n(X\x01\x00\x00\x00xt\x81.",  # NEWOBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.",  # STACK_GLOBAL
    ],
)
def test_every_way_to_call_is_refused(data):
    with pytest.raises(ValueError, match=r"os\.system"):
        read(data)


def test_a_name_that_is_not_called_stays_a_name():
    assert read(b"\x80\x02cos\nsystem\n.") == Global("os", "system")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "exhausted"),
        (b"\x80\x02", "exhausted"),
        (b"\x80\x02.", "damaged"),  # nothing on the stack
        (b"\x80\x02\x86.", "damaged"),  # TUPLE2 of nothing
        (b"\x80\x02h\x05.", "damaged"),  # GET of an empty slot
        (b"\x80\x02}]]s.", "key of type list"),
        (b"\x80\x02K\x01K\x02a.", "damaged"),  # APPEND to a number
        (b"\x80\x02}(K\x01u.", "key without a value"),
        (b"\xff\xfe\xfd", "damaged"),
        (b"\x80\x02\x8e" + struct.pack("<Q", 1 << 40) + b"x.", "damaged"),  # a terabyte of bytes
        (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.", "damaged"),
        (b"\x80\x02X\xff\xff\xff\x7fx.", "damaged"),  # two gigabytes of text
        (b"\x80\x02X\x01\x00\x00\x00\xff.", "damaged"),  # not UTF-8
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02K\x01Q.", "outside"),  # a persistent identifier, in a file without storages
    ],
)
def test_damaged_pickles(data, message):
    with pytest.raises(ValueError, match=message):
        read(data)


def test_a_memo_slot_with_a_large_number_costs_nothing():
    assert read(b"\x80\x02K\x07r\xff\xff\xff\x7f0j\xff\xff\xff\x7f.") == 7


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02" + b"(" * 900_000 + b".",
        b"\x80\x02" + b"]" * 900_000 + b"a" * 899_999 + b".",  # lists in lists
        b"\x80\x02" + b"K\x01" + b"0K\x01" * 2_000_000 + b".",  # a long way to nowhere
        b"\x80\x02)" + b"2\x86" * 200 + b"}" + b"2\x86" * 5 + b".",  # (x, x) doubled 200 times
        b"\x80\x02}" + b")" + b"2\x86" * 200 + b"K\x01s.",  # ... as a key, whose hash never ends
        b"\x80\x02)" + b"2\x86" * 200 + b")R.",  # ... as a callee, whose text never ends
    ],
    ids=["marks", "nested lists", "endless", "doubled", "doubled key", "doubled callee"],
)
def test_bombs_are_over_in_a_second(data):
    start = time.process_time()
    with contextlib.suppress(ValueError):
        read(data)
    assert time.process_time() - start < 3  # a second on an idle machine
