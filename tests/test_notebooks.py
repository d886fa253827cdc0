"""The notebooks' sources: links lead to files, beginnings and ends have the same parts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
IMAGES = FOLDER.parent / ".github" / "images"


@pytest.mark.parametrize("path", [*SOURCES, FOLDER / "README.md"], ids=lambda path: path.stem)
def test_links_lead_to_files(path):
    text = path.read_text("utf-8")
    if path.suffix == ".py":  # the prose only, its lines joined
        text = " ".join(line[2:] for line in text.splitlines() if line.startswith("# "))
    links = [link for link in re.findall(r"\]\(\s*([^)\s#]+)", text) if "://" not in link]
    if not IMAGES.exists():
        links = [link for link in links if ".github" not in link]
    assert links and [link for link in links if not (FOLDER / link).exists()] == []


@pytest.mark.parametrize("number", range(len(SOURCES)))
def test_every_notebook_says_where_it_stands(number):
    path = SOURCES[number]
    text = path.read_text("utf-8")
    assert path.name.startswith(f"{number:02d}")
    beginning, end = text.split("# %%\n")[0], text.split("# %% [markdown]\n")[-1]
    if number:
        assert SOURCES[number - 1].with_suffix(".ipynb").name in beginning
    if path != SOURCES[-1]:
        following = SOURCES[number + 1].with_suffix(".ipynb").name
        assert following in beginning and following in end
    for part in ("Predict", "Try", "Read the source", "Next"):
        assert f"**{part}.**" in end
    assert "*Source:*" in beginning


@pytest.mark.skipif(not IMAGES.exists(), reason="a checkout without .github")
def test_images_are_small():
    sizes = {path.name: path.stat().st_size for path in IMAGES.iterdir()}
    assert {"atrous.gif", "stride-to-rate.gif", "mean-field.gif", "training.gif"} <= set(sizes)
    assert max(sizes.values()) < 1_000_000 and sizes["segmentation.png"] < 300_000
