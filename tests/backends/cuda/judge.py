"""Runs the table of cases on the cuda backend, in a process with Numba's simulator.

    NUMBA_ENABLE_CUDASIM=1 python judge.py simulator|checker|cuda-c float32|float64 [--all] OUT.json

"simulator" runs the kernels on Numba's simulator, "checker" with `minideeplab.testing.simt`,
"cuda-c" runs the CUDA C sources on the CPU. Writes the complaints by operation, and the
types of arguments with which each kernel was launched. Without --all, rows that are there for
their size ("beyond-a-tile", tag "size") are left out, and the checker, which looks at accesses and
not at values, takes every third row.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import warnings
from pathlib import Path

import emulator
import numpy as np

import minideeplab as mdl
from minideeplab.backends.cuda import launch, sources
from minideeplab.crf import DenseCRF
from minideeplab.functional import fused
from minideeplab.testing import simt
from minideeplab.testing.definitions import operation
from minideeplab.testing.frameworks import Minideeplab
from minideeplab.testing.operations import NETWORK, cases
from minideeplab.testing.runner import check_row

IMPLICIT = ("plain", "everything", "groups", "strided", "dilated", "same", "float")


def table(dtype, judged_rows):
    """Complaints about each operation of the table."""
    library, found = Minideeplab(backend="cuda"), {}
    for op in NETWORK:
        fn = operation("minideeplab", op)
        found[op] = [
            f"{case.id}: {mismatch}"
            for case in judged_rows(op)
            for mismatch in check_row(fn, case, dtype, library)
        ]
    return found


def implicit(dtype, judged_rows, names):
    """Complaints about the convolution without columns."""
    library = Minideeplab(backend="cuda")
    fn = functools.partial(operation("minideeplab", "conv2d"), algorithm="implicit")
    return [
        f"{case.id}: {mismatch}"
        for case in judged_rows("conv2d")
        if names is None or any(name in case.name for name in names)
        for mismatch in check_row(fn, case, dtype, library)
    ]


def epilogue(dtype):
    """Differences between a convolution with its epilogue fused and separate."""
    rng, complaints = np.random.default_rng(0), []
    x, w, b, scale = (
        rng.standard_normal(s).astype(dtype) for s in ((2, 3, 5, 4), (4, 3, 3, 2), 4, 4)
    )
    x[0, 0, 0, 0] = np.nan
    for rectify in (False, True):
        for name, call in {
            "relu": lambda: fused.conv2d_relu(x, w, b, 1, 1, 2),
            "scaled": lambda: fused.conv2d_scaled(x, w, scale, b, 1, 1, 2, rectify=rectify),  # noqa: B023
        }.items():
            results = []
            for backend in ("numpy", "cuda"):
                with mdl.use_backend(backend):
                    results.append(call())
            if not np.allclose(*results, atol=100 * np.finfo(dtype).eps, equal_nan=True):
                complaints.append(f"{name}, rectify={rectify}: {results}")
    return complaints


def crf(dtype):
    """Differences between the lattice CRF on this backend and the definition."""
    rng, complaints = np.random.default_rng(0), []
    tolerance = 1e3 * np.finfo(dtype).eps
    for shape in ((3, 5, 6), (2, 1, 9)):
        unary = 3 * rng.random(shape).astype(dtype)
        image = rng.integers(0, 255, (*shape[1:], 3)).astype(np.uint8)
        line = np.linspace(0, 3, unary[0].size)[None].astype(dtype)
        results = []
        for backend in ("numpy", "cuda"):
            with mdl.use_backend(backend):
                results.append(everything_of_a_crf(unary, image, line))
        for name, expected in results[0].items():
            got = results[1][name]
            error = np.abs(got - expected).max() / max(1, np.abs(expected).max())
            if got.dtype != expected.dtype or not error <= tolerance:
                complaints.append(f"{name} {shape}: off by {error:.2g}, {got.dtype}")
    return complaints


def everything_of_a_crf(unary, image, line):
    """Q and gradients by name, with every kind of term."""
    crf = DenseCRF(unary)
    crf.add_gaussian(3, 3)
    crf.add_bilateral(image, 20, 60, 4, "full", "after")
    crf.add_pairwise(line, 0.3 * np.arange(len(unary)), "diag", "before")
    q = crf.inference(3)
    gradients = crf.gradients(np.cos(np.arange(q.size)).reshape(q.shape), 2)[1]
    found = {"q": q, "grad unary": gradients.unary}
    for k, term in enumerate(gradients.terms):
        found |= {f"grad compat {k}": np.asarray(term.compat), f"grad kernel {k}": term.kernel}
    crf.start()
    crf.step()
    found["second step"] = crf.step()
    return found | without_self_term(unary, image, q)


def without_self_term(unary, image, dq):
    """The same without self terms, with compatibilities of all three shapes."""
    matrix = DenseCRF(unary, self_term=False)
    labels = len(unary)
    matrix.add_bilateral(image, 20, 60, np.arange(labels)[:, None] + np.arange(labels) ** 2 / 9)
    matrix.add_gaussian(2, 0.5, "diag", "none")
    matrix.add_gaussian((3, 2), 0.2 * np.arange(labels), "full", "before")
    q = matrix.inference(2)
    gradients = matrix.gradients(dq, 2)[1]
    found = {"q of a matrix": q, "its grad unary": gradients.unary}
    for k, term in enumerate(gradients.terms):
        found |= {f"its grad compat {k}": np.asarray(term.compat), f"kernel {k}": term.kernel}
        found |= {f"its grad widths {k}": term.widths, f"weight {k}": np.asarray(term.weight)}
    return {name: value for name, value in found.items() if value.size}


def check_launch(kernel, blocks, threads, args):
    """What CUDA demands of a launch, and the declaration of its arguments in CUDA C.

    A GPU takes no empty grid, and would read numbers of another type than the declared one.
    """
    sizes = [tuple(size) + (1,) * (3 - len(size)) for size in (blocks, threads)]
    assert all(type(n) is int and n > 0 for size in sizes for n in size), (kernel, sizes)
    assert sizes[0][0] < 2**31 and max(sizes[0][1:]) < 2**16, (kernel, sizes)
    real = sources.floating(kernel.file, kernel.__name__, args)
    declared = {"T": real, "I": "int", "float": "float32", "double": "float64", "int": "int32"}
    declared["long long"] = "int64"
    for parameter, arg in zip(sources.parameters(kernel.file, kernel.__name__), args, strict=True):
        what, _ = parameter.removeprefix("const ").rsplit(" ", 1)
        if isinstance(arg, np.ndarray):
            assert arg.ndim == 1 and arg.flags.c_contiguous and arg.flags.aligned, parameter
            assert what.endswith("*") and declared[what[:-1]] == arg.dtype, (parameter, arg.dtype)
        else:
            kind = "int" if type(arg) is int else str(arg.dtype)
            assert declared[what] == kind, (parameter, kind)


def recording(run, signatures):
    """A runner that notes the types of all arguments."""

    def record(kernel, blocks, threads, args):
        check_launch(kernel, blocks, threads, args)
        types = tuple(_type(arg) for arg in args)
        signatures.add((kernel.function.__module__, kernel.__name__, types))
        run(kernel, blocks, threads, args)

    return record


def _type(arg):
    if isinstance(arg, np.ndarray):
        return f"{arg.dtype}[::1]"
    return "int64" if isinstance(arg, int) else str(arg.dtype)


def main(runner, dtype, *rest):
    warnings.simplefilter("ignore")
    sys.setswitchinterval(1e-5)  # the simulator's threads wait for each other
    out, signatures = Path(rest[-1]), set()

    def judged_rows(op):
        if "--all" in rest:
            return cases(op)
        small = [
            case
            for case in cases(op)
            if "beyond-a-tile" not in case.name and "size" not in case.tags
        ]
        return small[:: 3 if runner == "checker" else 1]

    runners = {"simulator": launch._run_numba, "checker": simt.run}
    run = runners.get(runner) or emulator.runner(out.parent)
    with launch.through(recording(run, signatures)), contextlib.redirect_stdout(sys.stderr):
        found = table(dtype, judged_rows)
        found["implicit"] = implicit(
            dtype, judged_rows, IMPLICIT if runner == "simulator" else None
        )
        found["epilogue"] = epilogue(dtype)
        found["crf"] = crf(dtype)
    out.write_text(json.dumps({"complaints": found, "signatures": sorted(signatures)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
