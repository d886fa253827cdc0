"""The ONNX node tests are valid, and onnx's own reference evaluator passes them."""

import sys

import numpy as np
import pytest

from minideeplab.cli import run
from minideeplab.testing.onnx_format import OPERATORS, export_onnx, exportable

onnx = pytest.importorskip("onnx")

EVALUATOR_DIFFERS = (
    "conv_transpose2d_groups",  # onnx 1.23 adds the first group's bias to all groups
    "conv_transpose2d_depthwise",
    "conv_transpose2d_output_padding_dilated",  # it raises
    "max_pool2d_nan",  # it loses NaN
    "log_softmax_huge",  # it takes the logarithm of softmax
    "log_softmax_large",
)


@pytest.mark.parametrize("op", OPERATORS)
def test_files(op, tmp_path):
    assert export_onnx(op, tmp_path, ("float32",)) == len(exportable(op)) > 10
    for folder in tmp_path.iterdir():
        assert (folder / "model.onnx").stat().st_size > 50
        assert (folder / "test_data_set_0" / "output_0.pb").exists()
    with pytest.raises(FileExistsError, match="not empty"):
        export_onnx(op, tmp_path)


def test_operation_that_onnx_lacks():
    with pytest.raises(ValueError, match="for ONNX"):
        exportable("unfold")


@pytest.mark.parametrize("op", OPERATORS)
def test_onnx_agrees(op, tmp_path):
    from onnx.reference import ReferenceEvaluator

    export_onnx(op, tmp_path, ("float32",))
    for folder in sorted(tmp_path.iterdir()):
        graph = onnx.load(folder / "model.onnx")
        onnx.checker.check_model(graph, full_check=True)
        data = folder / "test_data_set_0"
        feeds = [onnx.load_tensor(path) for path in sorted(data.glob("input_*.pb"))]
        named = {t.name: onnx.numpy_helper.to_array(t) for t in feeds}
        expected = onnx.numpy_helper.to_array(onnx.load_tensor(data / "output_0.pb"))
        if any(name in folder.name for name in EVALUATOR_DIFFERS):
            continue
        got = ReferenceEvaluator(graph).run(None, named)[0]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3, err_msg=folder.name)


def test_command(tmp_path, capsys):
    assert run(["check", "export", "relu", str(tmp_path / "nodes"), "--onnx"]) == 0
    assert "rows of relu written" in capsys.readouterr().out
    assert (tmp_path / "nodes" / "test_relu_plain_float64" / "model.onnx").exists()
    assert run(["check", "export", "pad", str(tmp_path / "other"), "--onnx"]) == 1


def test_without_the_package_the_message_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run(["check", "export", "relu", str(tmp_path / "nodes"), "--onnx"]) == 1
    assert "pip install 'minideeplab[onnx]'" in capsys.readouterr().err
    assert run(["check", "export", "relu", str(tmp_path / "rows.npz")]) == 0
