"""The outcome of an experiment: a table as Markdown and CSV, and a plot."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minideeplab.bench.report import machine
from minideeplab.io import atomic_write, require_writable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The rows of a table, its plot, and notes on data and training.

    Floats are in per cent if the column's name has a "%". None is printed as a dash.
    """

    title: str
    rows: list[Row]
    figure: Figure
    notes: Sequence[str] = ()

    def markdown(self, command: str) -> str:
        """Return the table with its title, the command that made it and the notes."""
        facts = machine()
        threads = f"{facts['threads']} thread{'s' * (facts['threads'] != 1)}"
        made = f"{facts['date']}, {facts['processor']}, {threads}"
        notes = "\n".join(f"- {note}" for note in (*self.notes, f"Made on {made}."))
        return f"# {self.title}\n\n```sh\n{command}\n```\n\n{table(self.rows)}\n\n{notes}\n"

    def write(self, out: str | os.PathLike[str], name: str, command: str) -> list[Path]:
        """Write ``name``.md, .csv and .png into ``out``; return their paths."""
        paths = [require_writable(out) / f"{name}{ending}" for ending in (".md", ".csv", ".png")]
        with atomic_write(paths[0]) as temporary:
            temporary.write_text(self.markdown(command), encoding="utf-8", newline="\n")
        with (
            atomic_write(paths[1]) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns(self.rows), lineterminator="\n")
            writer.writeheader()
            writer.writerows(
                {name: _plain(cell) for name, cell in row.items()} for row in self.rows
            )
        with atomic_write(paths[2]) as temporary:
            self.figure.savefig(temporary, dpi=100)
        return paths


def _plain(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value  # more digits are not significant


def columns(rows: Sequence[Row]) -> list[str]:
    """Return the columns of all rows, in the order of their first appearance."""
    return list(dict.fromkeys(key for row in rows for key in row))


def table(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table, numbers aligned right."""
    names = columns(rows)
    cells = [[_text(row.get(name), name) for name in names] for row in rows]
    right = ["---:" if _is_number(rows[0].get(name)) else "---" for name in names]
    return "\n".join(f"| {' | '.join(line)} |" for line in (names, right, *cells))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _text(value: Any, column: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}" if "%" in column else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def plot(
    xlabel: str = "", ylabel: str = "mean IoU, %", size: tuple[float, float] = (7.0, 3.8)
) -> tuple[Figure, Axes]:
    """Return an empty figure without a window, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def bars(rows: Sequence[Row], label: str, series: Sequence[str]) -> Figure:
    """Return a bar plot: a group for each row, named by column ``label``; a bar for each series."""
    figure, axes = plot(size=(1.5 + 1.5 * len(rows), 3.8))
    width = 0.8 / len(series)
    for k, name in enumerate(series):
        places = [i + width * (k - (len(series) - 1) / 2) for i in range(len(rows))]
        drawn = axes.bar(places, [row[name] for row in rows], width, label=name)
        axes.bar_label(drawn, fmt="%.1f", fontsize=8)
    axes.set_xticks(range(len(rows)), [str(row[label]) for row in rows])
    if len(series) > 1:
        figure.legend(loc="outside upper center", ncols=len(series), fontsize=8, frameon=False)
    axes.margins(y=0.1)
    return figure
