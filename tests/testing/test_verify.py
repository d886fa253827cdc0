"""`minideeplab verify`: agreement, and disagreements are named."""

import numpy as np

from minideeplab.cli import run
from minideeplab.testing.library import Library
from minideeplab.testing.runner import attempt
from minideeplab.testing.verify import Implementation, implementations, table, verify


class Leaky(Implementation):
    def attempt(self, case, dtype):
        return attempt(lambda x: np.maximum(x, x / 100), case, dtype, Library())


def test_a_disagreement_is_named():
    judged = [*implementations(["numpy", "numba"]), Leaky("leaky", Library())]
    found = verify("relu", judged)
    assert found.right["numpy"] == found.right["numba"] == found.rows > found.right["leaky"]
    assert "relu/plain" in found.disagreements[0] and "leaky: output" in found.disagreements[0]
    assert f"{len(judged) - 1} of {len(judged)} agree" in found.disagreements[0]
    assert found.ulps["numpy", "numba"] == 0 < found.ulps["numpy", "leaky"]
    assert "All agree" not in table([found], "float64")


def test_two_wrong_ones_may_agree_with_each_other():
    judged = [*implementations(["numpy"]), Leaky("one", Library()), Leaky("other", Library())]
    assert "one and other agree with each other" in verify("relu", judged).disagreements[0]


def test_command(tmp_path, capsys):
    report = tmp_path / "agreement.md"
    assert run(["verify", "--op", "fold", "--op", "linear", "--markdown", str(report)]) == 0
    said = capsys.readouterr().out
    assert "All agree" in said and "| linear |" in said
    assert report.read_text().endswith(said)
    assert run(["verify", "--op", "conv9"]) == 1
