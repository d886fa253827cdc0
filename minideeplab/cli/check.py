"""``minideeplab check``: is this function the operation that it claims to be?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from minideeplab.cli._outputs import refuse_to_overwrite


class _OperationFirst(click.Group):
    """A group whose default command, ``op``, starts with the name of an operation."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Read ``check conv2d ...`` as ``check op conv2d ...``."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["op", *args]
        return super().resolve_command(ctx, args)


class _Operation(click.ParamType):
    """The name of an operation; another word is wrong usage, and a near one is suggested."""

    name = "op"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name if there is such an operation."""
        import difflib

        from minideeplab.testing.operations import NAMES

        if value not in NAMES:
            near = difflib.get_close_matches(value, NAMES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.fail(f"op must be one of {', '.join(NAMES)}; got {value!r}{hint}", param, ctx)
        return value


def _load(name: str) -> Any:
    """Return the function called ``name``; if there is none, that is wrong usage."""
    from minideeplab.testing.function_under_test import load_function

    try:
        return load_function(name)
    except FileNotFoundError as error:
        raise click.UsageError(f"function: {error.filename}: no such file") from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):  # an import inside the module
            raise
        raise click.UsageError(
            f"function: got {name!r}, but there is no module {error.name} here or on Python's path"
        ) from error


@click.group(cls=_OperationFirst, invoke_without_command=True)
@click.option("--self-test", is_flag=True, help="Judge every known wrong implementation.")
@click.option("--list", "list_all", is_flag=True, help="Print the operations and their rows.")
@click.pass_context
def command(ctx: click.Context, self_test: bool, list_all: bool) -> None:
    """Judge a function against the table of cases, forward and backward, with a diagnosis.

    \b
    Examples:
      minideeplab check conv2d mypackage.kernels:conv2d
      minideeplab check conv2d kernels.py:conv2d --backward kernels.py:conv2d_backward
      minideeplab check softmax torch.nn.functional:softmax
      minideeplab check interpolate kernels.py:resize --only bilinear
      minideeplab check batch_norm kernels.py:norm --scope inference
      minideeplab check conv2d kernels.py:conv2d --fuzz 500    (random rows besides)
      minideeplab check export conv2d cases/        (rows as .npy files, for any language)
      minideeplab check judge results/
      minideeplab check fuzz max_pool2d --count 1000
      minideeplab check --self-test
    """
    if ctx.invoked_subcommand is not None:
        return
    if self_test:
        from minideeplab.testing.selftest import self_test as run_self_test

        ctx.exit(0 if run_self_test(show=click.echo) else 1)
    if list_all:
        from minideeplab.testing.operations import OPERATIONS

        for op, record in OPERATIONS.items():
            click.echo(f"{op}: {', '.join(row.name for row in record.rows)}")
        return
    raise click.UsageError("name an operation and a function, e.g. conv2d mypackage.kernels:conv2d")


@command.command("op", hidden=True)
@click.argument("op", type=_Operation())
@click.argument("function")
@click.option("--backward", metavar="FUNCTION", help="backward(grad_out, *args, **options).")
@click.option(
    "--arrays",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "numpy", "torch", "jax", "cupy", "minideeplab"]),
    help="What the function takes; auto recognises functions of torch and JAX.",
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(["float64", "float32"]),
    help="One dtype only; both by default.",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Choice(["reference", "torch"]),
    help="What to compare with; the NumPy definition by default.",
)
@click.option("--skip", multiple=True, metavar="TAG", help="Leave out rows: nan, empty, ...")
@click.option(
    "--only",
    multiple=True,
    metavar="WORD",
    help="Judge only rows with this tag, option value or word in the name, e.g. bilinear.",
)
@click.option(
    "--scope",
    default="all",
    show_default=True,
    type=click.Choice(["all", "inference"]),
    help="inference leaves out rows with training=True.",
)
@click.option(
    "--rtol",
    default=0.0,
    type=click.FloatRange(0),
    help="Accept errors up to this share of the largest result, for approximations.",
)
@click.option("--fuzz", default=0, type=click.IntRange(0), help="Judge so many random rows, too.")
@click.option("--seed", type=click.IntRange(0), help="Of the random rows; drawn if not given.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the report.")
@click.option(
    "--markdown", "markdown_path", type=click.Path(path_type=Path), help="Write the report."
)
@click.pass_context
def check_function(
    ctx: click.Context, op: str, function: str, backward: str | None, arrays: str,
    dtypes: tuple[str, ...], against: tuple[str, ...], skip: tuple[str, ...],
    only: tuple[str, ...], scope: str, rtol: float, fuzz: int, seed: int | None,
    json_path: Path | None, markdown_path: Path | None,
) -> None:  # fmt: skip
    """Judge FUNCTION, given as package.module:function or FILE.py:function, as operation OP."""
    from minideeplab.io import atomic_write
    from minideeplab.testing import check_op
    from minideeplab.testing.frameworks import compile_quickly
    from minideeplab.testing.scope import Scope

    try:
        Scope(only, scope, skip).validate(op)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    outputs = [path for path in (json_path, markdown_path) if path]
    sources = [name.rpartition(":")[0] for name in (function, backward or "")]
    refuse_to_overwrite(sources, outputs, "--json or --markdown")
    if arrays == "jax" or function.startswith("jax."):
        compile_quickly()
    report = check_op(
        op, _load(function), _load(backward) if backward else None,
        dtypes or ("float64", "float32"), against or ("reference",), arrays, raises=False,
        skip=("quirk", *skip), rtol=rtol, name=function, only=only, scope=scope, fuzz=fuzz,
        seed=seed,
    )  # fmt: skip
    for path, text in ((json_path, report.to_json()), (markdown_path, report.to_markdown())):
        if path:
            with atomic_write(path) as temporary:
                temporary.write_text(text)
    click.echo(str(report))
    ctx.exit(0 if report.passed else 1)


@command.command("export")
@click.argument("op", type=_Operation())
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--onnx", is_flag=True, help="Write ONNX node tests into the folder PATH (needs onnx)."
)
def export_rows(op: str, path: Path, onnx: bool) -> None:
    """Write the rows of OP to PATH, a .npz file or a new folder of .npy files.

    \b
    Arrays are little-endian, in C order:
      rows.txt (in a .npz file: rows)       the rows, one a line: conv2d/stride/float64
      conv2d/stride/float64/input.npy       an argument
      conv2d/stride/float64/stride.npy      an option, defaults included: whole numbers
                                            int64, others float64, texts as bytes
      conv2d/stride/float64/grad_out.npy    the gradient of the output

    \b
    `minideeplab check judge` reads results from a folder or .npz file with the same names:
      conv2d/stride/float64/output.npy      the result
      conv2d/stride/float64/indices.npy     of max_pool2d with return_indices
      conv2d/stride/float64/grad_input.npy  a gradient, if wanted; grad_weight.npy, ...
    Rows that are not there are not judged. Results have the dtype of the row, indices int64.
    Options that are a number or a pair are pairs; padding of conv2d is top, bottom, left, right.

    \b
    Examples:
      minideeplab check export conv2d cases.npz
      minideeplab check export conv2d node_tests --onnx
    """
    if onnx:
        from minideeplab.testing.onnx_format import export_onnx as export
    else:
        from minideeplab.testing.export import export
    click.echo(f"{export(op, path)} rows of {op} written to {path}")


@command.command("judge")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.pass_context
def judge_rows(ctx: click.Context, path: Path) -> None:
    """Judge the results in PATH, a .npz file or a folder, computed from exported rows.

    \b
    Example:
      minideeplab check judge outputs.npz
    """
    from minideeplab.testing.export import judge_results

    report = judge_results(path)
    click.echo(str(report))
    ctx.exit(0 if report.passed else 1)


@command.command("fuzz")
@click.argument("op", type=_Operation())
@click.option("--count", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--seed", type=click.IntRange(0), help="Of the random cases; drawn if not given.")
@click.option("--backend", "backends", multiple=True, help="All that work here by default.")
@click.pass_context
def fuzz_operation(
    ctx: click.Context, op: str, count: int, seed: int | None, backends: tuple[str, ...]
) -> None:
    """Compare random calls of OP with PyTorch's, on every backend, forward and backward.

    \b
    Example:
      minideeplab check fuzz conv2d --count 10000 --seed 1
    """
    import secrets

    from minideeplab.backends import available_backends
    from minideeplab.testing.fuzz import Tally, fuzz

    seed = secrets.randbelow(1_000_000) if seed is None else seed
    names = backends or tuple(available_backends())
    click.echo(f"{op}, seed {seed}, backends {', '.join(names)}")
    tally, found = Tally(), 0
    for disagreement in fuzz(op, count, seed, names, tally):
        found += 1
        click.echo(str(disagreement))
    click.echo(
        f"{tally.compared} cases compared with torch, {tally.refused} refused by both, "
        f"{found} disagreements"
    )
    ctx.exit(1 if found else 0)
