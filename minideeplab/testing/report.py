"""Reports of a check as text, JSON and Markdown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from minideeplab.testing.compare import Mismatch

SHOWN = 10
"""How many failing rows the text shows in full."""


LEAST = 0.5
"""The share of the rows that must be judged: with less there is no verdict."""


@dataclass(frozen=True)
class Finding:
    """One mismatch of a row, with the dtype it was run in and what it was compared with."""

    dtype: str
    against: str
    mismatch: Mismatch

    def __str__(self) -> str:
        return f"[{self.dtype}, {self.against}] {self.mismatch}"


@dataclass(frozen=True)
class RowResult:
    """One row's verdict: "pass", "fail", or "skip" (not implemented, ``reason`` says why)."""

    row: str
    status: str
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    note: str = ""

    def __str__(self) -> str:
        worst = self.findings[0] if self.findings else self.reason
        more = f" (and {len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
        note = f"\n      the row: {self.note}" if self.note else ""
        return f"{self.row} {worst}{more}{note}"


@dataclass(frozen=True)
class Report:
    """The verdict on one function; ``str(report)`` starts "PASS 44/44"."""

    op: str
    function: str
    rows: list[RowResult] = field(default_factory=list)
    diagnosis: str = ""
    forward_only: bool = False
    scope: str = ""

    @property
    def failures(self) -> list[RowResult]:
        """Return the rows that are wrong."""
        return [row for row in self.rows if row.status == "fail"]

    @property
    def skipped(self) -> list[RowResult]:
        """Return the rows that the function says it does not implement."""
        return [row for row in self.rows if row.status == "skip"]

    @property
    def verdict(self) -> str:
        """Return "FAIL", "PASS", or "INCOMPLETE" where too few rows could be judged."""
        if self.failures:
            return "FAIL"
        judged = len(self.rows) - len(self.skipped)
        return "PASS" if judged >= LEAST * len(self.rows) and judged else "INCOMPLETE"

    @property
    def passed(self) -> bool:
        """Return whether nothing is wrong and enough rows could be judged."""
        return self.verdict == "PASS"

    def _headline(self) -> str:
        right = sum(row.status == "pass" for row in self.rows)
        limits = [self.scope] if self.scope else []
        limits += [f"{len(self.skipped)} not implemented"] if self.skipped else []
        limits += ["forward only"] if self.forward_only else []
        left = f" ({', '.join(limits)})" if limits else ""
        return f"{self.verdict} {right}/{len(self.rows)}{left}  {self.op}  {self.function}"

    def _limits(self) -> list[str]:
        """Return what was not judged, in lines: the reasons, each with its rows."""
        reasons: dict[str, list[str]] = {}
        for row in self.skipped:
            reasons.setdefault(row.reason, []).append(row.row)
        lines = []
        for reason, rows in list(reasons.items())[:SHOWN]:
            more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
            lines.append(f"  not implemented: {rows[0]}{more}: {reason}")
        if len(reasons) > SHOWN:
            lines.append(f"  not implemented: {len(reasons) - SHOWN} more reasons")
        if self.verdict == "INCOMPLETE":
            judged = len(self.rows) - len(self.skipped)
            lines.append(
                f"  no verdict: nothing is wrong in {judged} of {len(self.rows)} rows, but the "
                f"others could not be judged, and {LEAST:.0%} are needed; if it is meant to do "
                "less, state the scope with only or scope"
            )
        return lines

    def __str__(self) -> str:
        lines = [self._headline()]
        lines += [f"  {row}" for row in self.failures[:SHOWN]]
        if len(self.failures) > SHOWN:
            lines.append(f"  ... and {len(self.failures) - SHOWN} more failing rows")
        lines += self._limits()
        if self.diagnosis:
            lines.append(f"  diagnosis: {self.diagnosis}")
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return the report as JSON text."""
        content = asdict(self) | {"verdict": self.verdict, "passed": self.passed}
        return json.dumps(content, indent=2)

    def to_markdown(self) -> str:
        """Return the report as a Markdown section with one table line for each row."""
        lines = [f"## {self._headline()}", ""]
        if self.diagnosis:
            lines += [f"**Diagnosis:** {self.diagnosis}", ""]
        lines += ["| row | verdict | first finding |", "|---|---|---|"]
        for row in self.rows:
            first = str(row.findings[0]) if row.findings else row.reason
            lines.append(f"| {row.row} | {row.status} | {first.replace('|', chr(92) + '|')} |")
        return "\n".join(lines) + "\n"
