"""The table for other languages: arrays out as .npy files, results back in and judged.

``export`` writes every row as plain little-endian C-order arrays, in one .npz file or, with a
folder for a path, as single .npy files, which take a dozen lines to read in any language:

    rows.txt                              the rows, one a line: conv2d/stride/float64
    conv2d/stride/float64/input.npy       an argument
    conv2d/stride/float64/grad_out.npy    the gradient of the output
    conv2d/stride/float64/stride.npy      an option: whole numbers int64, texts as bytes

Every option is there, defaults included; int-or-pair options are pairs, the padding of conv2d is
four numbers (top, bottom, left, right). ``judge_results`` reads what was computed, the same way:
``conv2d/stride/float64/output.npy`` and, if wanted, ``grad_input.npy`` and so on.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.io import atomic_write
from minideeplab.testing.case import Case
from minideeplab.testing.compare import Mismatch
from minideeplab.testing.diagnose import diagnose
from minideeplab.testing.function_under_test import FunctionUnderTest
from minideeplab.testing.library import Outcome
from minideeplab.testing.operations import OPERATIONS, cases
from minideeplab.testing.report import Finding, Report, RowResult
from minideeplab.testing.runner import DTYPES, judge, quiet, reference

PAIRS = ("kernel_size", "stride", "dilation", "output_padding", "output_size", "size",
         "scale_factor", "padding")  # fmt: skip


def full_options(case: Case) -> dict[str, Any]:
    """Return the row's options, defaults included, without those that are None."""
    record = OPERATIONS[case.op]
    options = record.default_options() | dict(case.options)
    if "kernel_size" in options and not options.get("stride"):
        options["stride"] = options["kernel_size"]
    options = record.exported_options(case, options)
    return {name: value for name, value in options.items() if value is not None}


def as_array(name: str, value: Any) -> np.ndarray:
    """Return an option as an array: whole numbers int64, others float64, texts as bytes."""
    if isinstance(value, str):
        return np.array(value.encode())
    if isinstance(value, tuple) and None in value:  # adaptive pooling: -1 keeps the axis
        value = tuple(-1 if v is None else v for v in value)
    array = np.asarray(value)
    array = array.astype(np.int64 if array.dtype.kind in "biu" else np.float64)
    return np.broadcast_to(array, 2) if name in PAIRS and array.ndim == 0 else array


def entries(op: str, dtypes: Sequence[str] = DTYPES) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the path and the array of everything that ``export`` writes."""
    for case in cases(op):
        if "random" in case.tags:
            continue
        for dtype in dtypes:
            where = f"{case.id}/{dtype}"
            arguments = case.arguments(dtype)
            for name, array in arguments.items():
                if array is not None:
                    yield f"{where}/{name}", array
            shape = np.shape(reference(case, dtype)["output"])
            yield f"{where}/grad_out", case.cotangent(shape, dtype)
            for name, value in full_options(case).items():
                yield f"{where}/{name}", as_array(name, value)


def export(op: str, path: str | Path, dtypes: Sequence[str] = DTYPES) -> int:
    """Write the rows of ``op`` to ``path``, a .npz file or a new folder, and return their number.

    Raises:
        ValueError: an unknown operation.
        FileExistsError: the folder is there and not empty.
    """
    path, contents = Path(path), {}
    for name, array in entries(op, dtypes):
        contents[name] = np.array(array, order="C")
    rows = sorted({name.rpartition("/")[0] for name in contents})
    if path.suffix == ".npz":
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, rows=np.array([row.encode() for row in rows]), **contents)
        return len(rows)
    if path.is_dir() and any(path.iterdir()):
        raise FileExistsError(17, "the folder is not empty", str(path))
    for name, array in contents.items():
        target = path / f"{name}.npy"
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, array)
    (path / "rows.txt").write_text("\n".join(rows) + "\n")
    return len(rows)


def read_results(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a .npz file or a folder of .npy files, by path without suffix.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it is not a .npz file.
    """
    path = Path(path)
    if path.is_dir():
        return {
            file.relative_to(path).with_suffix("").as_posix(): np.load(file)
            for file in sorted(path.rglob("*.npy"))
        }
    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise ValueError(
            f"{path}: not a .npz file; expected one, or a folder of .npy files"
        ) from error


def judge_results(path: str | Path) -> Report:
    """Judge results computed elsewhere from exported rows.

    Raises:
        ValueError: there are no results, or of more than one operation.
    """
    results = read_results(path)
    ops = sorted({name.split("/")[0] for name in results} & set(OPERATIONS))
    if len(ops) != 1:
        found = " and ".join(ops) or "none"
        raise ValueError(
            f"{path}: expected results OP/ROW/DTYPE/output of one operation; got {found}"
        )
    dtypes = [d for d in DTYPES if any(f"/{d}/" in name for name in results)]
    rows = [
        _judge_row(case, dtypes, results)
        for case in cases(ops[0])
        if not case.tags & {"random", "quirk"}
    ]
    written = {name.rpartition("/")[2] for name in results} - {"grad_out"}
    forward_only = not any(name.startswith("grad_") for name in written)
    report = Report(ops[0], str(path), rows, forward_only=forward_only)
    with quiet():
        function = Computed(ops[0], _elsewhere, results=results)
        return replace(report, diagnosis=diagnose(function, rows, dtypes))


@dataclass(frozen=True)
class Computed(FunctionUnderTest):
    """A function that cannot be called: what it gave on the rows is all there is."""

    results: Mapping[str, np.ndarray] = field(default_factory=dict)

    def attempt(self, case: Case, dtype: str) -> Outcome | Mismatch:
        """Return what was computed for the row."""
        outcome = _computed(self.results, case, dtype)
        return outcome if outcome else _MISSING


_MISSING = Mismatch("call", "missing", "was not computed")


def _elsewhere(*arrays: Any, **options: Any) -> Any:
    raise NotImplementedError("the results were computed elsewhere")


def _computed(results: Mapping[str, np.ndarray], case: Case, dtype: str) -> Outcome:
    """Return the results of a row by name, with its inputs, {} if there is no output."""
    where = f"{case.id}/{dtype}/"
    outcome = {name[len(where) :]: a for name, a in results.items() if name.startswith(where)}
    return outcome | {"inputs": case.arguments(dtype)} if "output" in outcome else {}


def _judge_row(case: Case, dtypes: Sequence[str], results: dict[str, np.ndarray]) -> RowResult:
    findings: list[Finding] = []
    for dtype in dtypes:
        outcome = _computed(results, case, dtype)
        if not outcome:
            return RowResult(case.id, "skip", reason=f"no output for {dtype}")
        found = judge(case, case.arguments(dtype), outcome, reference(case, dtype))
        findings += [Finding(dtype, "reference", m) for m in found if not _absent(m, case)]
    return RowResult(case.id, "fail" if findings else "pass", tuple(findings), note=case.note)


def _absent(mismatch: Mismatch, case: Case) -> bool:
    """Return whether the mismatch says no more than that optional results were not written."""
    return mismatch.kind == "missing" and mismatch.what != "output"
