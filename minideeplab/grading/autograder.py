"""Gradescope's autograder for one lesson: a zip with this package's source and that lesson.

The package is not on an index, so the zip holds its source; its requirements are pinned to the
versions that are installed where the zip is made.
"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
import zipfile
from pathlib import Path

import minideeplab
from minideeplab.grading.model import Lesson
from minideeplab.io import atomic_write

SETUP = """\
#!/usr/bin/env bash
# Makes the environment of the autograder: a Python of 3.11 or later and the pinned requirements.
set -euo pipefail
home=${AUTOGRADER:-/autograder}
python=
for name in python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v $name >/dev/null && $name -c 'import sys; sys.exit(sys.version_info < (3, 11))'
    then python=$name; break; fi
done
if [ -z "$python" ]; then
    apt-get update && apt-get install -y python3.11
    python=python3.11
fi
"$python" -m venv "$home/venv" || {
    version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    apt-get update && apt-get install -y "$version-venv"
    "$python" -m venv --clear "$home/venv"
}
"$home/venv/bin/pip" install --no-cache-dir -r "$home/source/requirements.txt"
"""

RUN = """\
#!/usr/bin/env bash
# Grades what is in submission/ and writes results/results.json, whatever was handed in.
home=${AUTOGRADER:-/autograder}
python=${AUTOGRADER_PYTHON:-$home/venv/bin/python}
mkdir -p "$home/results"
echo '{"score": 0, "output": "The grader did not finish; tell your instructor."}' \\
    > "$home/results/results.json"
cd "$home/source" || exit 0
PYTHONPATH="$home/source" "$python" -m minideeplab lesson --lessons lessons grade \\
    "$home/submission" --only NUMBER --single OPTIONS--out "$home/results"
exit 0
"""


def write_autograder(lesson: Lesson, out: Path, seed: str = "") -> Path:
    """Write the zip to upload as a lesson's autograder and return its path.

    Args:
        lesson: the only one that it grades.
        out: the zip.
        seed: draws private cases, as `grade` does; it must not have quotes.

    Raises:
        ValueError: the seed has characters other than letters, digits, "-", "_" and ".".
    """
    if not re.fullmatch(r"[\w.-]*", seed):
        raise ValueError(f"seed: expected letters, digits, '-', '_' or '.', got {seed!r}")
    run = RUN.replace("NUMBER", lesson.number)
    texts = {
        "setup.sh": SETUP,
        "run_autograder": run.replace("OPTIONS", f"--seed {seed} " if seed else ""),
        "requirements.txt": "\n".join(_requirements()) + "\n",
    }
    with atomic_write(out) as temporary, zipfile.ZipFile(temporary, "w", _DEFLATED) as archive:
        for name, text in texts.items():
            _add(archive, name, text.encode())
        package = Path(minideeplab.__file__).resolve().parent
        for folder, place in ((package, package.name), (lesson.folder, f"lessons/{lesson.name}")):
            for path in sorted(folder.rglob("*")):
                inner = path.relative_to(folder)
                hidden = any(p.startswith(".") or p == "__pycache__" for p in inner.parts)
                if path.is_file() and not hidden and inner.parts[:2] != _RESULTS:
                    _add(archive, f"{place}/{inner.as_posix()}", path.read_bytes())
    return out


_DEFLATED = zipfile.ZIP_DEFLATED
_RESULTS = ("experiments", "results")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    entry.compress_type = _DEFLATED
    entry.external_attr = (0o100755 if name in ("setup.sh", "run_autograder") else 0o100644) << 16
    archive.writestr(entry, content)


def _requirements() -> list[str]:
    """Return the package's requirements, pinned to the versions that are installed."""
    project = Path(minideeplab.__file__).resolve().parents[1] / "pyproject.toml"
    if project.is_file():
        wanted = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        wanted = importlib.metadata.requires("minideeplab") or []
    names = [re.match(r"[\w.-]+", text)[0] for text in wanted if "extra ==" not in text]
    return [f"{name}=={importlib.metadata.version(name)}" for name in names]
