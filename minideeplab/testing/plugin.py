"""A pytest plugin: ``pytest --minideeplab-op conv2d=mypackage.kernels:conv2d``.

Every row of the operation's table becomes a test of its own. Both options may be repeated; a
backward is given with ``--minideeplab-backward relu=student.py:relu_backward``, or after a comma:
``--minideeplab-op relu=student.py:relu,student.py:relu_backward``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options."""
    group = parser.getgroup("minideeplab", "judging operations with minideeplab")
    group.addoption(
        "--minideeplab-op",
        action="append",
        default=[],
        metavar="OP=MODULE:FUNCTION",
        help="judge a function as operation OP, a test for each row of its table",
    )
    group.addoption(
        "--minideeplab-backward",
        action="append",
        default=[],
        metavar="OP=MODULE:FUNCTION",
        help="the backward of the function that is judged as operation OP",
    )
    group.addoption(
        "--minideeplab-arrays",
        default="auto",
        metavar="LIBRARY",
        help="what the functions take: auto, numpy, torch, jax, cupy or minideeplab",
    )


def pytest_collection(session: pytest.Session) -> None:
    """Look at the options before anything is collected, so that a mistake is a usage error."""
    judged = set()
    for option in ("--minideeplab-op", "--minideeplab-backward"):
        for request in session.config.getoption(option):
            op, equals, functions = request.partition("=")
            if not op or not equals or not functions:
                raise pytest.UsageError(f"{option}: got {request!r}, expected OP=MODULE:FUNCTION")
            if option == "--minideeplab-op":
                judged.add(op)
            elif op not in judged:
                raise pytest.UsageError(f"{option}: got {request!r}, but no --minideeplab-op {op}=")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the rows of the operations asked for to the tests."""
    backwards = dict(r.split("=", 1) for r in config.getoption("--minideeplab-backward"))
    for request in config.getoption("--minideeplab-op"):
        op, _, functions = request.partition("=")
        if op in backwards:
            functions = f"{functions.partition(',')[0]},{backwards[op]}"
        arrays = config.getoption("--minideeplab-arrays")
        try:
            collector = JudgedOperation.from_parent(
                session, name=f"minideeplab/{op}", op=op, functions=functions, arrays=arrays
            )
            items.extend(collector.collect())
        except (ValueError, ImportError, OSError) as error:
            raise pytest.UsageError(f"--minideeplab-op {request}: {error}") from error


class JudgedOperation(pytest.Collector):
    """The rows of one operation, judged once, when the first of them runs."""

    def __init__(self, *, op: str, functions: str, arrays: str, **rest: Any):
        super().__init__(**rest)
        from minideeplab.testing.frameworks import library
        from minideeplab.testing.function_under_test import load_function

        self.op, self.arrays = op, arrays
        if arrays != "auto":
            library(arrays)
        self.named = functions.partition(",")[0]
        self.functions = [load_function(name) for name in functions.split(",")[:2]]
        self.results: dict[str, Any] = {}

    def collect(self) -> Iterator[pytest.Item]:
        """Yield a test for each row of the table, and one for the properties together."""
        from minideeplab.testing.operations import cases

        for case in cases(self.op):
            if "quirk" not in case.tags:
                yield Row.from_parent(self, name=case.name)
        yield Row.from_parent(self, name="properties")

    def judged(self) -> dict[str, Any]:
        """Return the rows' results by the name of their test."""
        if not self.results:
            from minideeplab.testing import check_op

            report = check_op(
                self.op, *self.functions, arrays=self.arrays, raises=False, name=self.named
            )
            for result in report.rows:
                name = result.row.split("/")[1]
                name = "properties" if name.startswith("property-") else name
                self.results.setdefault(name, []).append(result)
            self.results["diagnosis"] = report.diagnosis
        return self.results


class Row(pytest.Item):
    """One row of the table as a test."""

    def runtest(self) -> None:
        """Fail with the finding, or skip what the function does not implement."""
        results = self.parent.judged()
        for result in results[self.name]:
            if result.status == "fail":
                diagnosis = results["diagnosis"] and f"\ndiagnosis: {results['diagnosis']}"
                pytest.fail(f"{result}{diagnosis}", pytrace=False)
        if all(result.status == "skip" for result in results[self.name]):
            pytest.skip(results[self.name][0].reason)

    def reportinfo(self) -> tuple[str, None, str]:
        """Return what pytest shows for the test."""
        return f"minideeplab {self.parent.op}", None, f"{self.parent.op}/{self.name}"
