"""Build the notebooks: each NN_name.py (py:percent cells) becomes an executed NN_name.ipynb.

    python notebooks/build.py                    build those whose source changed
    python notebooks/build.py 03                 build the ones whose names begin so, changed or not
    python notebooks/build.py --check            write nothing: every .ipynb must have its source's
                                                 cells, outputs without errors and a small size, and
                                                 its source must run from a clean kernel

Sources are edited, never the .ipynb. Needs `pip install -e '.[notebooks]'`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError

from minideeplab.io import atomic_write

FOLDER = Path(__file__).resolve().parent
SIZE_LIMIT = 1_000_000  # bytes; larger notebooks are not shown on a repository's page
TIME_LIMIT = 120  # seconds a cell


def main() -> int:
    """Build or check; return 1 if a notebook is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of names, such as 03; default all")
    parser.add_argument("--check", action="store_true", help="compare and execute, write nothing")
    options = parser.parse_args()
    sources = find_sources(options.names)
    if not sources:
        parser.error(f"no notebook of that name in {FOLDER}: {' '.join(options.names)}")
    if options.check:
        return int(any([report(source) for source in sources]))
    stale = [source for source in sources if options.names or not is_current(source)]
    for source in stale:
        build(source)
    if not stale:
        print(f"all {len(sources)} notebooks are up to date")
    return 0


def find_sources(names: list[str]) -> list[Path]:
    """Return the sources whose names begin with one of ``names``; all of them if it is empty."""
    every = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
    return [path for path in every if not names or path.name.startswith(tuple(names))]


def execute(source: Path) -> nbformat.NotebookNode:
    """Run a source in a new kernel and return the notebook with its outputs.

    Jupyter occasionally loses a kernel's reply: a cell that exceeds the time limit gets one more
    try, in another kernel. One that raises does not.
    """
    try:
        return execute_once(source)
    except CellTimeoutError:
        print(f"{source.name}: no reply in {TIME_LIMIT} s, once more", flush=True)
        return execute_once(source)


def execute_once(source: Path) -> nbformat.NotebookNode:
    """Run a source in a new kernel and return the notebook with its outputs."""
    notebook = jupytext.read(source)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"  # random ids would change with every build
    client = NotebookClient(
        notebook,
        timeout=TIME_LIMIT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute()
    return notebook


def build(source: Path) -> None:
    """Execute a source and write its notebook beside it, all or nothing."""
    start = time.perf_counter()
    text = nbformat.writes(execute(source))
    target = source.with_suffix(".ipynb")
    if len(text) > SIZE_LIMIT:
        raise ValueError(f"{target.name}: {len(text)} bytes, expected at most {SIZE_LIMIT}")
    with atomic_write(target) as temporary:
        Path(temporary).write_text(text + "\n", encoding="utf-8")
    print(f"{target.name}: {len(text) / 1000:.0f} kB, {time.perf_counter() - start:.0f} s")


def report(source: Path) -> list[str]:
    """Print what is wrong with a source and its notebook, and return it."""
    start = time.perf_counter()
    faults = find_faults(source)
    try:
        execute(source)
    except Exception as error:  # whatever a cell raises
        faults.append(f"does not run from a clean kernel: {error}")
    seconds = time.perf_counter() - start
    print(f"{source.name}: {'; '.join(faults) or 'up to date, runs'} ({seconds:.0f} s)", flush=True)
    return faults


def find_faults(source: Path) -> list[str]:
    """Compare a notebook with its source, without running anything."""
    target = source.with_suffix(".ipynb")
    if not target.exists():
        return [f"{target.name} is missing; run python notebooks/build.py"]
    faults = []
    if not is_current(source):
        faults.append(f"{target.name} has other cells; run python notebooks/build.py")
    if target.stat().st_size > SIZE_LIMIT:
        faults.append(f"{target.name} is larger than {SIZE_LIMIT} bytes")
    code = [cell for cell in nbformat.read(target, 4).cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        faults.append(f"{target.name} was not executed from top to bottom")
    if any(output.output_type == "error" for cell in code for output in cell.outputs):
        faults.append(f"{target.name} shows an error")
    return faults


def is_current(source: Path) -> bool:
    """Tell whether the notebook beside a source has the source's cells."""
    target = source.with_suffix(".ipynb")
    return target.exists() and _cells(jupytext.read(source)) == _cells(nbformat.read(target, 4))


def _cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


if __name__ == "__main__":
    os.environ["MINIDEEPLAB_STATIC"] = "1"  # a page has no kernel for sliders
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # whatever CI says
    sys.exit(main())
