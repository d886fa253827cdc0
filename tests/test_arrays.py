"""Moving arrays, tensors and networks between the host and a GPU, seen from a machine without."""

import numpy as np
import pytest

import minideeplab as mdl
from minideeplab import arrays
from minideeplab.backends import available_backends, to

no_gpu = pytest.mark.skipif("cuda" in available_backends(), reason="there is a GPU")


class OnDevice:
    """As much of a device array as tells it apart."""

    __cuda_array_interface__ = property(lambda self: {"version": 3})

    def get(self):
        return np.ones(2)


def test_arrays_of_either_side_are_told_apart():
    assert arrays.on_device(OnDevice()) and arrays.is_array(OnDevice())
    assert not arrays.on_device(np.ones(2)) and arrays.is_array(np.ones(2))
    assert not arrays.is_array([1.0])
    assert isinstance(arrays.to_host(OnDevice()), np.ndarray)
    kept = OnDevice()
    assert arrays.as_array(kept) is kept and isinstance(arrays.as_array([1.0]), np.ndarray)


def test_what_is_there_already_is_not_copied():
    x = np.ones(3)
    assert to(x, "cpu") is x and arrays.like(np.zeros(1), x) is x


def test_unknown_devices_are_refused():
    with pytest.raises(ValueError, match="device: got 'gpu', expected 'cpu' or 'cuda'"):
        mdl.Tensor(np.ones(2)).to("gpu")


@no_gpu
def test_moving_to_a_gpu_that_is_not_there_says_why():
    with pytest.raises(ImportError, match="backend 'cuda' cannot be used here"):
        mdl.Tensor(np.ones(2)).to("cuda")
    net = mdl.nn.BatchNorm2d(2)
    with pytest.raises(ImportError, match="backend 'cuda' cannot be used here"):
        net.to("cuda")
    assert isinstance(net.running_mean, np.ndarray)


def test_the_gradient_passes_through_a_move():
    x = mdl.Tensor(np.arange(3.0), requires_grad=True)
    (x.to("cpu") * 2).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 2.0))


def test_a_network_moves_with_its_buffers():
    net = mdl.nn.BatchNorm2d(2)
    state = {name: array.copy() for name, array in net.state_dict().items()}
    assert net.to("cpu") is net
    assert net.state_dict().keys() == state.keys()
    assert all(parameter.requires_grad for parameter in net.parameters())


@no_gpu
def test_train_and_segment_say_why_there_is_no_gpu(tmp_path, capsys):
    from minideeplab.cli import run

    train = ["train", "--data", "shapes", "--out", str(tmp_path / "run"), "--backend", "cuda"]
    assert run(train) == 1
    assert "backend 'cuda' cannot be used here" in capsys.readouterr().err
    assert run([*train, "--jobs", "2"]) == 2
    assert "--jobs 1" in capsys.readouterr().err
    mdl.io.write_image(tmp_path / "a.png", np.zeros((9, 9, 3), np.uint8))
    image, out = str(tmp_path / "a.png"), str(tmp_path / "out")
    assert run(["segment", image, "--out", out, "--backend", "cuda"]) == 1
    assert "backend 'cuda' cannot be used here" in capsys.readouterr().err
