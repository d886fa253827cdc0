"""The content of PyTorch's pickles: storages, tensors as views of them, permitted calls."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minideeplab.budget import AXES, Budget
from minideeplab.weights.state import StateDict, bfloat16_to_float32
from minideeplab.weights.unpickle import Global, Inert

#: PyTorch's storage classes and dtypes; bfloat16, unknown to NumPy, travels as uint16.
DTYPES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "u2",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "?", "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16", "UntypedStorage": "u1",
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2", "int64": "i8",
    "int32": "i4", "int16": "i2", "int8": "i1", "uint8": "u1", "bool": "?", "uint16": "u2",
    "uint32": "u4", "uint64": "u8", "complex64": "c8", "complex128": "c16",
}  # fmt: skip

#: Types that occur beside the weights in checkpoints (losses, options, dates); left out.
INERT = {
    "argparse.Namespace", "builtins.set", "builtins.frozenset", "builtins.slice",
    "__builtin__.set", "__builtin__.frozenset", "__builtin__.slice",
    "collections.Counter", "collections.defaultdict", "collections.deque", "_codecs.encode",
    "datetime.datetime", "datetime.date", "datetime.timedelta", "pathlib.Path",
    "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath", "numpy.dtype", "numpy.ndarray",
    "numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar", "numpy._core.multiarray._reconstruct", "torch.device",
}  # fmt: skip

#: PyTorch's functions that make a tensor: before 0.4, since, and of dtypes without storage class.
REBUILD = tuple(f"torch._utils._rebuild_tensor{version}" for version in ("", "_v2", "_v3"))
PARAMETERS = {
    "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer",
}  # fmt: skip

#: Keys under which checkpoints hold the state dict, and prefixes of keys with other tensors.
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module",
            "weights", "params")  # fmt: skip
NOT_WEIGHTS = ("optim", "sched", "scaler", "rng")
#: Prefixes that DataParallel and torch.compile add to every name.
PREFIXES = ("module.", "_orig_mod.")
MAX_DEPTH = 50


class Storage(NamedTuple):
    """``count`` elements, from ``start`` on, of the storage ``key``; kind as in ``DTYPES``."""

    key: str
    kind: str
    count: int
    start: int = 0


class TensorView(NamedTuple):
    """A tensor as the pickle describes it: offset, shape and strides in elements of ``kind``."""

    storage: Storage
    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def dtype_of(kind: str) -> np.dtype:
    """Return the little-endian NumPy dtype of a storage class or torch dtype."""
    if kind not in DTYPES:
        raise ValueError(f"tensors of type {kind} are not supported")
    return np.dtype("<" + DTYPES[kind])


# ---------------------------------------------------------------- what a pickle may call


def call(callee: Any, arguments: tuple[Any, ...], new: bool = False) -> Any:
    """Return the value of a call in a PyTorch pickle: a tensor, a dict, a size or an `Inert`.

    ``new``: the call makes an object of the class ``callee``; an unknown class is left out.

    Raises:
        ValueError: any other name; nothing is ever imported or run.
    """
    if isinstance(callee, Inert) or (isinstance(callee, Global) and str(callee) in INERT):
        return Inert(callee)
    match (str(callee) if isinstance(callee, Global) else "", *arguments):
        case ("collections.OrderedDict",):
            return {}
        case ("collections.OrderedDict", list() as items):
            made = {key: value for key, value in items if isinstance(key, str)}
            items.clear()  # a list that is kept for further calls must not be copied by each
            return made
        case ("torch.Size", list() | tuple() as sizes) if len(sizes) <= AXES:
            return tuple(sizes)
        case ("torch._tensor._rebuild_from_type_v2", inner, _, tuple() as inner_arguments, *_):
            return call(inner, inner_arguments)
        case (name, Storage() as storage, offset, shape, strides) if name == REBUILD[0]:
            return _tensor(storage, storage.kind, offset, shape, strides)
        case (name, Storage() as storage, offset, shape, strides, *_) if name == REBUILD[1]:
            return _tensor(storage, storage.kind, offset, shape, strides)
        case (name, Storage() as storage, offset, shape, strides, _, _, Global() as kind, *_) if (
            name == REBUILD[2]
        ):
            return _tensor(storage, kind.name, offset, shape, strides)
        case (name, TensorView() as tensor, *_) if name in PARAMETERS:
            return tensor
    kind = callee if new and not arguments else _reconstructed(callee, arguments)
    if isinstance(kind, Global) and not kind.module.startswith("torch."):
        return Inert(kind)
    raise ValueError(_refusal(callee, arguments))


def _reconstructed(callee: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the class of which ``copyreg._reconstructor`` makes an object; None for all else."""
    match callee, arguments:
        case Global("copyreg" | "copy_reg", "_reconstructor"), (kind, Global(_, "object"), None):
            return kind
    return None


def _tensor(storage: Storage, kind: str, offset: Any, shape: Any, strides: Any) -> TensorView:
    if len(shape) != len(strides) or len(shape) > AXES:
        raise ValueError(f"a tensor has {len(shape):,} axes and {len(strides):,} strides")
    numbers = (offset, *shape, *strides)
    if not all(isinstance(number, int) and 0 <= number < 1 << 63 for number in numbers):
        raise ValueError("a tensor has an impossible offset, shape or stride")
    return TensorView(storage, kind, offset, tuple(shape), tuple(strides))


def _refusal(callee: Any, arguments: tuple[Any, ...]) -> str:
    if callee == Global("copyreg", "_reconstructor") and arguments:
        callee = arguments[0]
    name = str(callee) if isinstance(callee, Global) else type(callee).__name__
    advice = "in PyTorch, save model.state_dict() instead of the model"
    if name.startswith("torch.nn."):
        return f"it holds a whole pickled module ({name}), not a state dict; {advice}"
    return f"its pickle asks for {name}, which is refused: only tensors are read; {advice}"


# ---------------------------------------------------------------- which tensors are the weights


def find_state(saved: Any, budget: Budget | None = None) -> dict[str, TensorView]:
    """Return the state dict in a checkpoint, whether nested, wrapped or at the top.

    ``{"state_dict": ...}``, ``{"model": ...}`` and the like are opened, an optimizer's tensors
    are left out, further nesting becomes dots in the names, and a ``module.`` before every name
    is dropped. A bare tensor is called "tensor".

    Raises:
        ValueError: there is no tensor.
    """
    budget = budget or Budget(0)
    for _ in range(MAX_DEPTH):
        inner = _wrapped(saved, budget)
        if inner is None:
            break
        saved = inner
    state = dict(_tensors(saved, (), set(), budget))
    foreign = None if state else next(_foreign(saved), None)
    if foreign:
        raise ValueError(_refusal(foreign, ()))
    if not state:
        raise ValueError("it holds no tensors; expected a state dict")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _wrapped(saved: Any, budget: Budget) -> Any | None:
    """Return the value of a wrapper key; None if there is none or tensors are beside it."""
    if not isinstance(saved, dict):
        return None
    if any(isinstance(value, TensorView) for value in saved.values()):
        return None
    for key in WRAPPERS:
        if next(_foreign(saved.get(key)), None):
            return saved[key]
        if isinstance(saved.get(key), dict) and any(_tensors(saved[key], (), set(), budget)):
            return saved[key]
    return None


def _foreign(saved: Any) -> Iterator[Global]:
    """Yield the class of an object that was left out, alone or in a dict."""
    for value in saved.values() if isinstance(saved, dict) else (saved,):
        if isinstance(value, Inert) and isinstance(value.what, Global):
            if str(value.what) not in INERT:
                yield value.what


def _tensors(
    saved: Any, path: tuple[str, ...], seen: set[int], budget: Budget
) -> Iterator[tuple[str, TensorView]]:
    """Yield every tensor with its dotted name; a container that appears twice counts once."""
    budget.step()
    if isinstance(saved, TensorView):
        budget.spend("its names", sum(map(len, path)))
        yield ".".join(path) or "tensor", saved
        return
    if not isinstance(saved, dict | list | tuple) or id(saved) in seen:
        return
    seen.add(id(saved))
    if len(path) > MAX_DEPTH:
        raise ValueError(f"the checkpoint is nested more than {MAX_DEPTH} deep")
    for key, value in saved.items() if isinstance(saved, dict) else enumerate(saved):
        if isinstance(value, TensorView) or not str(key).lower().startswith(NOT_WEIGHTS):
            yield from _tensors(value, path + (str(key),), seen, budget)


# ---------------------------------------------------------------- from bytes to arrays


def materialise(
    views: dict[str, TensorView], read: Callable[[Storage], np.ndarray], order: str, budget: Budget
) -> StateDict:
    """Return the tensors as arrays that share no memory.

    Args:
        views: the tensors by name.
        read: returns a storage's bytes as a writable 1-D uint8 array.
        order: "little" or "big", the byte order of the data.
        budget: of all arrays together; an expanded tensor (stride 0) can claim any size.

    Raises:
        ValueError: a tensor reaches beyond its storage, or the budget is passed.
    """
    total = sum(math.prod(view.shape) * dtype_of(view.kind).itemsize for view in views.values())
    budget.spend("its tensors", total)
    uses = Counter(view.storage.key for view in views.values())
    shared = {key for key, count in uses.items() if count > 1}
    storages: dict[str, np.ndarray] = {}
    arrays = StateDict()
    for name, view in views.items():
        key = view.storage.key
        if key not in storages:
            storages[key] = read(view.storage)
        try:
            arrays[name] = _array(view, storages[key], order, copy=key in shared)
        except ValueError as error:
            raise ValueError(f"tensor {name}: {error}") from error
        uses[key] -= 1
        if not uses[key]:
            del storages[key]
    return arrays


def _array(view: TensorView, raw: np.ndarray, order: str, copy: bool) -> np.ndarray:
    """Return a view of the storage's bytes, copied unless it is all of them in order."""
    dtype = dtype_of(view.kind)
    if order == "big":
        dtype = dtype.newbyteorder(">")
    raw = raw[view.storage.start * dtype_of(view.storage.kind).itemsize :]
    values = raw[: raw.size // dtype.itemsize * dtype.itemsize].view(dtype)
    if math.prod(view.shape) == 0:
        return np.empty(view.shape, np.float32 if _is_bfloat16(view) else dtype.newbyteorder("="))
    last = view.offset + sum(
        (size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True)
    )
    if last >= values.size:
        raise ValueError(f"it needs {last + 1:,} elements, its storage has {values.size:,}")
    strides = tuple(stride * dtype.itemsize for stride in view.strides)
    array = np.lib.stride_tricks.as_strided(values[view.offset :], view.shape, strides)
    if _is_bfloat16(view):
        return bfloat16_to_float32(array)
    if copy or array.nbytes != raw.nbytes or not array.flags.c_contiguous or order == "big":
        return np.array(array, dtype=dtype.newbyteorder("="), order="C")
    return array


def _is_bfloat16(view: TensorView) -> bool:
    return view.kind in ("BFloat16Storage", "bfloat16")
