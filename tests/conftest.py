"""Settings of all tests; the whole suite runs on every core, if pytest-xdist is installed.

``-n 0`` turns the latter off.
"""

from __future__ import annotations

import os

import pytest

# set before minideeplab is imported
os.environ.setdefault("MINIDEEPLAB_DETECT_CHANGES", "1")  # wrong gradients by changed arrays


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Ask xdist for processes, unless tests are named, or a debugger or -n is asked for.

    xdist calls this in its worker processes too, which must not start workers of their own.
    """
    if hasattr(config, "workerinput") or "PYTEST_XDIST_WORKER" in os.environ:
        return
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    options = config.option
    if not whole or not config.pluginmanager.hasplugin("xdist") or options.usepdb:
        return
    if options.numprocesses is None and not options.collectonly:
        options.numprocesses = "logical"
        options.dist = "loadfile"  # tests of a file share fixtures, such as trained networks
