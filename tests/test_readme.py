"""The README's Python runs as it stands, its links lead somewhere, and it stays short."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
LINES = (
    "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/minideeplab demo",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def test_python_block_runs():
    (code,) = blocks("python")
    names = {}
    exec(compile(code, README.name, "exec"), names)
    assert names["labels"].shape == names["truth"].shape == names["q"].shape[1:]
    for name, parameter in names["net"].named_parameters():
        assert parameter.grad is not None, name


def test_quick_start():
    assert tuple(blocks("sh")[0].splitlines()) == LINES


def test_length():
    assert len(README.read_bytes()) <= 7000


def test_links_lead_to_files():
    text = README.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_map_names_files():
    rows = [line for line in README.read_text("utf-8").splitlines() if line.startswith("| ")]
    names = [name for row in rows for name in re.findall(r"`([\w/]+(?:\.py|/))`", row)]
    assert len(names) > 10
    assert [name for name in names if not (ROOT / "minideeplab" / name).exists()] == []
