"""The CRF's benchmark: what it measures, and that its numbers are what they say."""

import json

import numba
import numpy as np
import pytest

from minideeplab.bench import crf
from minideeplab.cli import cli


def test_the_scene_is_a_photograph_and_a_distribution():
    image, unary = crf.scene(30, 40, 5)
    assert image.shape == (30, 40, 3) and image.dtype == np.uint8 and image.std() > 20
    assert unary.dtype == np.float32
    assert np.allclose(np.exp(-unary).sum(axis=0), 1, atol=1e-5)


def test_threads_are_given_back():
    before = numba.config.NUMBA_NUM_THREADS
    with pytest.raises(KeyError), crf.threads(7):
        assert numba.config.NUMBA_NUM_THREADS == 7
        raise KeyError
    assert numba.config.NUMBA_NUM_THREADS == before


def test_compare_reports_a_ratio_only_with_a_competitor(monkeypatch):
    monkeypatch.setattr(crf, "run_pydensecrf", lambda *scene: crf.run_ours(*scene) + 0.25)
    monkeypatch.setattr(crf, "competitors", lambda: ["ours", "pydensecrf"])
    row = crf.compare((12, 16, 3), (67, 3), 2)
    assert row["largest difference"] == pytest.approx(0.25)
    assert row["faster, 2 threads"] > 0
    monkeypatch.setattr(crf, "competitors", lambda: ["ours"])
    assert not [key for key in crf.compare((12, 16, 3), (67, 3), 1) if "faster" in key]


def test_agrees_with_pydensecrf():
    pytest.importorskip("pydensecrf.densecrf")
    assert crf.compare((30, 41, 4), (80, 13), 1)["largest difference"] < 1e-4


def test_cost_is_per_pixel_and_label():
    row = crf.cost((16, 20, 3), 1)
    assert row["ns per pixel and label"] == pytest.approx(1e9 * row["seconds"] / 960)


def test_command_writes_both_files(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(crf, "compare", lambda size, widths, rounds: {"size": 1, "ms": 2.0})
    monkeypatch.setattr(crf, "memory_row", lambda size: None)
    cli.main(
        ["bench", "crf", "--quick", "--json", str(tmp_path / "a.json"),
         "--markdown", str(tmp_path / "a.md")],
        standalone_mode=False,
    )  # fmt: skip
    numbers = json.loads((tmp_path / "a.json").read_text())
    assert numbers["speed"] == [{"size": 1, "ms": 2.0}] * 2 and numbers["memory"] == []
    assert "| 1 | 2 |" in (tmp_path / "a.md").read_text() in capsys.readouterr().out


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds: 0"):
        crf.measure(0, True)
