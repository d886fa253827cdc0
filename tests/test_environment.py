from __future__ import annotations

import numpy as np

import minideeplab as mdl
from minideeplab import backends, environment


def test_names_versions_and_working_backends(monkeypatch):
    monkeypatch.delenv(backends.VARIABLE, raising=False)
    report = mdl.doctor()
    assert report.startswith(f"minideeplab {mdl.__version__}: Python 3.")
    assert f"numpy {np.__version__}" in report
    assert "backend numpy: works\n" in report
    assert "backend numba: works, the default" in report


def test_the_environment_variable_names_the_default(monkeypatch):
    monkeypatch.setenv(backends.VARIABLE, "numpy")
    assert "backend numpy: works, the default" in mdl.doctor()


def test_a_broken_backend_is_reported_with_a_way_out(monkeypatch):
    monkeypatch.setitem(backends.MODULES, "abacus", "minideeplab.no_such_module")
    (line,) = [line for line in mdl.doctor().splitlines() if "abacus" in line]
    assert "does not work" in line and "no_such_module" in line
    assert 'mdl.use_backend("numpy") works' in line


def test_a_missing_package_comes_with_its_fix(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("no-such-package-of-anyone",))
    assert "fix: pip install no-such-package-of-anyone" in mdl.doctor()
