"""Reader of MATLAB's version 5 to 7 ``.mat`` files, for the types that networks use.

After a header of 128 bytes come data elements: a type and a length (four bytes each), then the
data, padded to eight bytes; short ones share their eight bytes with the tag. An element of type
miMATRIX is an array: flags with its class, dimensions, a name, and its contents, which for cells
and structs are miMATRIX elements again. miCOMPRESSED wraps an element with zlib.
(MathWorks, "MAT-File Format".)

SciPy's reader is not used: it crashes the interpreter on damaged files.
"""

from __future__ import annotations

import math
import mmap
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.budget import Budget, checked_shape, checked_size

HEADER_SIZE = 128
MI_MATRIX, MI_COMPRESSED = 14, 15
NUMBER_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
TEXT_TYPES = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL, STRUCT, OBJECT, CHAR = 1, 2, 3, 4
NUMBER_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
MAX_DEPTH, ELEMENT = 30, 3  # deepest nesting; steps of the budget that an element costs


def read_variables(path: Path, budget: Budget) -> dict[str, Any]:
    """Return every variable by name.

    Arrays are ndarrays of MATLAB's shape, cells flat lists, a struct is a dict, a struct array a
    list of dicts, text a str. Types that networks do not use (sparse and complex arrays, function
    handles) are None.

    Raises:
        ValueError: damaged, truncated, or sizes that the file does not have.
    """
    with open(path, "rb") as handle:
        data = memoryview(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))
    order = {b"IM": "<", b"MI": ">"}.get(bytes(data[126:128]))
    if order is None:
        raise ValueError("the MATLAB header is damaged or truncated")
    return _Parser(order, budget).variables(data[HEADER_SIZE:])


class _Parser:
    """Parser of elements in one byte order."""

    def __init__(self, order: str, budget: Budget) -> None:
        self.order, self.budget = order, budget

    def variables(self, data: memoryview) -> dict[str, Any]:
        """Return the variables in a file's elements."""
        found = {}
        position = 0
        while position + 8 <= len(data):
            kind, content, position = self.element(data, position)
            if kind == MI_COMPRESSED:
                kind, content, _ = self.element(self.unpack(content), 0)
            if kind == MI_MATRIX:
                name, value = self.matrix(content, 0)
                found[name] = value
        return found

    def unpack(self, data: memoryview) -> memoryview:
        """Decompress as many bytes as the budget has."""
        unpacker = zlib.decompressobj()
        try:
            unpacked = unpacker.decompress(data, max(1, self.budget.bytes))
        except zlib.error as error:
            raise ValueError(f"damaged or truncated compressed data ({error})") from error
        if unpacker.unconsumed_tail:
            raise ValueError("its compressed data unpack to an implausible size")
        self.budget.spend("its compressed data", len(unpacked))
        return memoryview(unpacked)

    def element(self, data: memoryview, position: int) -> tuple[int, memoryview, int]:
        """Return the type and content of the element at ``position``, and the next position."""
        self.budget.step(ELEMENT)
        if position + 8 > len(data):
            raise ValueError("truncated (it ends within an array)")
        kind, size = np.frombuffer(data[position : position + 8], self.order + "u4").tolist()
        if kind >> 16:  # short: length and type in one word, up to four bytes of data
            kind, size = kind & 0xFFFF, kind >> 16
            begin, following = position + 4, position + 8
        else:
            begin = position + 8
            following = begin + size + (0 if kind == MI_COMPRESSED else -size % 8)
        if begin + size > len(data) or size > following - begin:
            raise ValueError("truncated or damaged (an element is longer than what holds it)")
        return kind, data[begin : begin + size], following

    def numbers(self, data: memoryview, position: int) -> tuple[np.ndarray, int]:
        """Return an element's numbers, (n,), and the next position."""
        kind, content, position = self.element(data, position)
        if kind not in NUMBER_TYPES:
            raise ValueError(f"damaged (type {kind} where numbers were expected)")
        return np.frombuffer(content, self.order + NUMBER_TYPES[kind]), position

    def matrix(self, data: memoryview, depth: int) -> tuple[str, Any]:
        """Return name and value of an miMATRIX element's content."""
        if depth > MAX_DEPTH:
            raise ValueError(f"cells or structs are nested more than {MAX_DEPTH} deep")
        if not len(data):
            return "", np.empty((0, 0))
        flags, position = self.numbers(data, 0)
        dims, position = self.numbers(data, position)
        _, name, position = self.element(data, position)
        shape, kind = checked_shape("an array", dims), int(flags[0]) & 0xFF
        value: Any = None
        if kind in NUMBER_CLASSES and not int(flags[0]) & 0x0800:
            value = self.array(data, position, shape, NUMBER_CLASSES[kind])
        elif kind == CHAR:
            value = self.text(data, position)
        elif kind == CELL:
            value = self.cells(data, position, shape, depth)[0]
        elif kind == STRUCT:
            value = self.struct(data, position, shape, depth)
        return bytes(name).decode("latin-1"), value

    def array(
        self, data: memoryview, position: int, shape: tuple[int, ...], dtype: str
    ) -> np.ndarray:
        """Return an array; its numbers are column-major and may be stored in a smaller type."""
        values, _ = self.numbers(data, position)
        checked_size("an array", shape, values.itemsize, values.nbytes)
        if values.size != math.prod(shape):
            raise ValueError(f"an array of shape {shape} has {values.size} values")
        self.budget.spend("its arrays", values.size * np.dtype(dtype).itemsize)
        return values.astype(dtype).reshape(shape, order="F")

    def text(self, data: memoryview, position: int) -> str:
        """Return characters as one str."""
        kind, content, _ = self.element(data, position)
        encoding = TEXT_TYPES.get(kind, "latin-1")
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if self.order == "<" else "-be"
        return bytes(content).decode(encoding, "replace")

    def cells(
        self, data: memoryview, position: int, shape: tuple[int, ...], depth: int
    ) -> tuple[list[Any], int]:
        """Return ``prod(shape)`` matrices, each of at least 8 bytes, and the next position."""
        checked_size("a cell or struct array", shape, 8, len(data) - position)
        values = []
        for _ in range(math.prod(shape)):
            _, content, position = self.element(data, position)
            values.append(self.matrix(content, depth + 1)[1])
        return values, position

    def struct(
        self, data: memoryview, position: int, shape: tuple[int, ...], depth: int
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Return a struct as a dict, an array of structs as a list of dicts."""
        lengths, position = self.numbers(data, position)
        _, names, position = self.element(data, position)
        width = max(int(lengths[0]), 1)
        fields = [
            bytes(names[i : i + width]).split(b"\0")[0].decode("latin-1")
            for i in range(0, len(names), width)
        ]
        values, _ = self.cells(data, position, shape + (len(fields),), depth)
        count = len(fields)
        structs = [
            dict(zip(fields, values[i : i + count], strict=True))
            for i in range(0, len(values), max(count, 1))
        ]
        return structs[0] if math.prod(shape) == 1 and structs else structs
