"""Export and judgement by files, from Python and from C++."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from minideeplab import testing
from minideeplab.cli import run
from minideeplab.testing.export import entries, export, judge_results
from minideeplab.testing.operations import NAMES, cases

EXAMPLE = Path(testing.__file__).parent / "examples" / "conv2d.cpp"


def rows_of(cases):
    """Arguments of every row, by row."""
    grouped = {}
    for name, array in cases.items():
        row, _, argument = name.rpartition("/")
        if row:
            grouped.setdefault(row, {})[argument] = array
    return grouped


@pytest.mark.parametrize("op", NAMES)
def test_every_operation_is_exported_whole(op):
    names = {name for name, array in entries(op, ("float32",)) if array.dtype.kind in "fiS"}
    rows = {case.id for case in cases(op) if "random" not in case.tags}
    assert {name.rpartition("/float32/")[0] for name in names} == rows
    assert all(f"{row}/float32/grad_out" in names for row in rows)


def test_npz_there_and_back(tmp_path):
    assert export("relu", tmp_path / "cases.npz") == 2 * len(cases("relu"))
    with np.load(tmp_path / "cases.npz") as file:
        rows = rows_of(file)
    results = {f"{row}/output": np.maximum(given["input"], 0) for row, given in rows.items()}
    np.savez(tmp_path / "right.npz", **results)
    assert judge_results(tmp_path / "right.npz").passed
    results["relu/plain/float32/output"] = -results["relu/plain/float32/output"]
    np.savez(tmp_path / "wrong.npz", **results)
    report = judge_results(tmp_path / "wrong.npz")
    assert [row.row for row in report.failures] == ["relu/plain"]


def test_what_was_computed_elsewhere_is_diagnosed(tmp_path):
    export("relu", tmp_path / "cases.npz", ("float64",))
    with np.load(tmp_path / "cases.npz") as file:
        rows = rows_of(file)
    leaky = {
        f"{row}/output": np.where(x < 0, 0.2 * x, x)
        for row, x in ((row, given["input"]) for row, given in rows.items())
    }
    np.savez(tmp_path / "wrong.npz", **leaky)
    said = judge_results(tmp_path / "wrong.npz").diagnosis
    assert "negative values leak through, times 0.2" in said


def test_missing_results_are_named(tmp_path):
    np.savez(tmp_path / "few.npz", **{"relu/plain/float64/output": np.zeros(3)})
    report = judge_results(tmp_path / "few.npz")
    assert not report.passed and report.skipped[0].reason == "no output for float64"


def test_options_are_complete(tmp_path):
    export("conv2d", tmp_path / "cases")
    folder = tmp_path / "cases" / "conv2d" / "same-even-kernel" / "float64"
    assert np.load(folder / "padding.npy").tolist() == [1, 2, 0, 1]
    assert np.load(folder / "stride.npy").tolist() == [1, 1]
    names = {"input", "weight", "grad_out", "stride", "padding", "dilation", "groups"}
    assert {file.stem for file in folder.iterdir()} - {"bias"} == names
    with pytest.raises(FileExistsError, match="not empty"):
        export("conv2d", tmp_path / "cases")


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_no_results(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(ValueError, match="not a \\.npz file"):
        judge_results(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="got none"):
        judge_results(tmp_path / "other.npz")


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("wrong", [False, True])
def test_cpp(tmp_path, wrong, capsys):
    source = EXAMPLE.read_text()
    if wrong:
        source = source.replace("i * dilation[0] -", "i * (dilation[0] + 1) -")
    (tmp_path / "conv2d.cpp").write_text(source)
    program = tmp_path / "conv2d"
    subprocess.run(["g++", "-O1", "-std=c++17", tmp_path / "conv2d.cpp", "-o", program],
                   check=True, timeout=120)  # fmt: skip
    assert run(["check", "export", "conv2d", str(tmp_path / "cases")]) == 0
    subprocess.run([program, tmp_path / "cases", tmp_path / "results"], check=True, timeout=60)
    assert run(["check", "judge", str(tmp_path / "results")]) == (1 if wrong else 0)
    verdict = capsys.readouterr().out.splitlines()[1]
    assert verdict.startswith("FAIL" if wrong else "PASS")


def test_check_a_file_on_the_command_line(tmp_path, capsys):
    (tmp_path / "student.py").write_text(
        "import numpy as np\n"
        "def relu(x):\n    return np.maximum(x, 0)\n"
        "def backward(dy, x):\n    return np.where(x < 0, 0, dy)\n"
    )
    source = str(tmp_path / "student.py")
    assert run(["check", "relu", f"{source}:relu"]) == 0
    report = tmp_path / "report.json"
    arguments = ["--backward", f"{source}:backward", "--json", str(report)]
    assert run(["check", "relu", f"{source}:relu", *arguments]) == 1
    assert "the gradient passes at zero" in capsys.readouterr().out
    assert json.loads(report.read_text())["verdict"] == "FAIL"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["check"], 2, "name an operation"),
        (["check", "relu"], 2, "Missing argument"),
        (["check", "conv9", "numpy:abs"], 2, "op must be one of"),
        (["check", "relu", "numpy"], 2, "package.module:function"),
        (["check", "relu", "numpy:nothing"], 2, "has no 'nothing'"),
        (["check", "relu", "nowhere.py:f"], 2, "nowhere.py: no such file"),
        (["check", "relu", "no_such_module:f"], 2, "there is no module no_such_module"),
        (["check", "fuzz", "softmux"], 2, "did you mean softmax?"),
        (["check", "relu", "numpy:abs", "--arrays", "tensorflow"], 2, "'--arrays'"),
        (["check", "judge", "nowhere.npz"], 2, "does not exist"),
    ],
)
def test_wrong_usage(arguments, status, said, capsys):
    assert run(arguments) == status
    assert said in capsys.readouterr().err
