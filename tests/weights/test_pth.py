"""PyTorch files against PyTorch itself, both formats."""

from __future__ import annotations

import argparse
import collections
import datetime
import pathlib
import zipfile

import numpy as np
import pytest

from minideeplab.weights import load

torch = pytest.importorskip("torch")

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def saved(tmp_path, obj, zipped, **options):
    path = tmp_path / "file.pth"
    torch.save(obj, path, _use_new_zipfile_serialization=zipped, **options)
    return path


def assert_same(state, tensors):
    assert list(state) == list(tensors)
    for name, tensor in tensors.items():
        tensor = tensor.detach()
        expected = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        assert state[name].dtype == expected.dtype, name
        np.testing.assert_array_equal(state[name], expected, err_msg=name)
        assert state[name].flags.c_contiguous and state[name].flags.writeable


def tensors():
    base = torch.arange(24.0).reshape(4, 6)
    return collections.OrderedDict(
        whole=base, transposed=base.t(), slice=base[1:3, ::2], offset=base[2], row=base[:, 5],
        expanded=torch.ones(1).expand(5), half=base.half(), bfloat16=base.bfloat16(),
        double=base.double(), int64=torch.tensor(3), int8=torch.tensor([-1, 2]).char(),
        bool=torch.tensor([True, False]), complex=torch.tensor([1 + 2j]), empty=torch.empty(0, 3),
        scalar=torch.tensor(2.5), scalar16=torch.tensor(2.5).bfloat16(),
        parameter=torch.nn.Parameter(base * 2), uint16=torch.tensor([7, 65535]).to(torch.uint16),
        channels_last=torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
    )  # fmt: skip


@FORMATS
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_views_dtypes_and_wrappers(tmp_path, zipped, protocol):
    wanted = tensors()
    assert_same(load(saved(tmp_path, wanted, zipped, pickle_protocol=protocol)), wanted)


@FORMATS
def test_arrays_do_not_share_memory(tmp_path, zipped):
    base = torch.zeros(6)
    state = load(saved(tmp_path, {"a": base, "b": base, "c": base[:3]}, zipped))
    state["a"] += 1
    assert not state["b"].any() and not state["c"].any()


def module():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


@FORMATS
def test_checkpoint_with_everything_beside_the_weights(tmp_path, zipped):
    net = module()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.rand(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 7, "best": np.float64(0.5), "args": argparse.Namespace(lr=0.1), "set": {1, 2},
        "when": datetime.datetime(2017, 1, 1), "where": pathlib.Path("x"),
        "optimizer": optimizer.state_dict(), "history": collections.defaultdict(list, a=[1]),
        "model": {f"module.{name}": value for name, value in net.state_dict().items()},
    }  # fmt: skip
    assert_same(load(saved(tmp_path, checkpoint, zipped)), net.state_dict())


@FORMATS
def test_names_of_nested_states_are_joined(tmp_path, zipped):
    weight = torch.ones(2)
    state = load(saved(tmp_path, {"G": {"w": weight}, "D": [weight], "optim": [weight]}, zipped))
    assert list(state) == ["G.w", "D.0"]


@FORMATS
def test_a_whole_module_is_refused_with_advice(tmp_path, zipped):
    with pytest.raises(ValueError, match=r"whole pickled module.*state_dict\(\)"):
        load(saved(tmp_path, module(), zipped))


class Config:
    """A class of somebody's project, with a tensor."""

    def __init__(self):
        self.rate, self.prior = 0.1, torch.ones(3)


class Options(dict):
    """A dict of somebody's project."""


@FORMATS
def test_foreign_classes_beside_the_state_are_left_out(tmp_path, zipped):
    own = module().state_dict()
    for checkpoint in (
        {"state_dict": own, "config": Config(), "options": Options(a=1)},
        {**own, "config": Config()},
        {"epoch": 3, "net": own, "more": {"list": [Config()]}},
    ):
        assert_same(load(saved(tmp_path, checkpoint, zipped)), own)


@FORMATS
@pytest.mark.parametrize("key", [None, "model", "args"])
def test_foreign_classes_alone_are_refused_by_name(tmp_path, zipped, key):
    content = {key: Config(), "ema": {"w": torch.ones(1)}} if key == "model" else {key: Config()}
    with pytest.raises(ValueError, match=r"asks for .*\.Config, which is refused"):
        load(saved(tmp_path, Config() if key is None else content, zipped))


@FORMATS
def test_no_tensors(tmp_path, zipped):
    with pytest.raises(ValueError, match="no tensors"):
        load(saved(tmp_path, {"epoch": 3}, zipped))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(ValueError, match="TorchScript"):
        load(path)


def test_big_endian_data_are_swapped(tmp_path):
    path = saved(tmp_path, {"w": torch.tensor([1.0, 2.0])}, True)
    swapped = tmp_path / "big.pth"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(swapped, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("byteorder"):
                content = b"big"
            elif "/data/" in name:
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            new.writestr(name, content)
    np.testing.assert_array_equal(torch.load(swapped)["w"].numpy(), np.float32([1, 2]))
    np.testing.assert_array_equal(load(swapped)["w"], np.float32([1, 2]))
