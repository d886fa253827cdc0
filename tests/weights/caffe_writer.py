"""Writes .caffemodel files: protocol-buffer encoding spelled out, for tests only.

Field numbers are those of Caffe's caffe.proto. ``make_data.py`` writes such files with Google's
protobuf library instead.
"""

from __future__ import annotations

import struct

import numpy as np

V1_CONVOLUTION, V1_INNER_PRODUCT = 4, 14


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def data(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def packed(array: np.ndarray) -> bytes:
    return data(5, array.astype("<f4").tobytes())


def unpacked(array: np.ndarray) -> bytes:
    return b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in array.ravel())


def double(array: np.ndarray) -> bytes:
    return data(8, array.astype("<f8").tobytes())


def blob(array: np.ndarray, values=packed, dims: str = "packed") -> bytes:
    """One BlobProto; ``dims`` is "packed", "unpacked" or "legacy" (num, channels, ...)."""
    if dims == "legacy":
        four = (1,) * (4 - array.ndim) + array.shape
        return b"".join(number(i + 1, size) for i, size in enumerate(four)) + values(array)
    if dims == "unpacked":
        shape = b"".join(number(1, size) for size in array.shape)
    else:
        shape = data(1, b"".join(varint(size) for size in array.shape))
    return values(array) + data(7, shape)


def layer(name: str, kind: str, *blobs: bytes) -> bytes:
    """A LayerParameter as a field of the network."""
    content = data(1, name) + data(2, kind) + b"".join(data(7, blob) for blob in blobs)
    return data(100, content)


def v1_layer(name: str, kind: int, *blobs: bytes) -> bytes:
    """A V1LayerParameter as a field of the network."""
    content = data(2, "bottom") + data(4, name) + number(5, kind)
    return data(2, content + b"".join(data(6, blob) for blob in blobs))


def network(*layers: bytes, name: str = "net") -> bytes:
    return data(1, name) + b"".join(layers)
