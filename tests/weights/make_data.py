"""Writes ``data/``: one small network (``expected.NETWORK``) by each framework itself.

Run it where they are installed: ``python tests/weights/make_data.py`` (torch, keras with
KERAS_BACKEND=torch, protobuf, h5py, safetensors, scipy). The tests need none of them.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from expected import NETWORK

FOLDER = Path(__file__).with_name("data")


def write_torch() -> None:
    import torch

    state = {name: torch.from_numpy(array.copy()) for name, array in NETWORK.items()}
    torch.save(state, FOLDER / "zip.pth")
    torch.save(state, FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)
    wide = torch.zeros(5, 32)
    wide[:, ::2] = state["fc6.weight"]
    views = {
        "module.conv1_1.weight": torch.nn.Parameter(state["conv1_1.weight"].half()),
        "module.conv1_1.bias": state["conv1_1.bias"].bfloat16(),
        "module.fc6.weight": wide[:, ::2],
        "module.fc6.bias": wide.t()[::2][:1].clone()[0] * 0 + state["fc6.bias"],
    }
    checkpoint = {"epoch": 3, "state_dict": views, "optimizer": {"state": {0: wide}}}
    torch.save(checkpoint, FOLDER / "views.pth")
    torch.save(checkpoint, FOLDER / "views-legacy.pth", _use_new_zipfile_serialization=False)


def write_keras() -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    layers = [
        keras.Input((4, 3, 3)),
        keras.layers.Conv2D(4, (3, 2), name="conv1_1"),
        keras.layers.Flatten(),
        keras.layers.Dense(5, name="fc6"),
    ]
    net = keras.Sequential(layers)
    conv = NETWORK["conv1_1.weight"].transpose(2, 3, 1, 0)  # -> (kH, kW, in, out)
    net.get_layer("conv1_1").set_weights([conv, NETWORK["conv1_1.bias"]])
    net.get_layer("fc6").set_weights([NETWORK["fc6.weight"].T, NETWORK["fc6.bias"]])
    net.save_weights(FOLDER / "keras3.weights.h5")
    net.save(FOLDER / "keras3.keras")
    net.save(FOLDER / "keras-legacy.h5")


def caffe_messages():
    """Build the part of caffe.proto that is needed; return the class of NetParameter."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = {"string": 9, "float": 2, "double": 1, "int32": 5, "int64": 3, "message": 11}
    fields = {
        "BlobShape": [("dim", 1, "int64", "packed")],
        "BlobProto": [
            ("num", 1, "int32"), ("channels", 2, "int32"), ("height", 3, "int32"),
            ("width", 4, "int32"), ("data", 5, "float", "packed"),
            ("shape", 7, "message", "BlobShape"), ("double_data", 8, "double", "packed"),
        ],
        "LayerParameter": [
            ("name", 1, "string"), ("type", 2, "string"),
            ("blobs", 7, "message", "BlobProto", "repeated"),
        ],
        "V1LayerParameter": [
            ("bottom", 2, "string"), ("name", 4, "string"), ("type", 5, "int32"),
            ("blobs", 6, "message", "BlobProto", "repeated"),
        ],
        "NetParameter": [
            ("name", 1, "string"), ("layers", 2, "message", "V1LayerParameter", "repeated"),
            ("layer", 100, "message", "LayerParameter", "repeated"),
        ],
    }  # fmt: skip
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for message, rows in fields.items():
        entry = file.message_type.add(name=message)
        for name, number, kind, *more in rows:
            field = entry.field.add(name=name, number=number, type=kinds[kind], label=1)
            if kind == "message":
                field.type_name = f".caffe.{more[0]}"
            if "repeated" in more or "packed" in more:
                field.label = 3
            field.options.packed = "packed" in more
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def write_caffe() -> None:
    message = caffe_messages()
    new, old = message(name="small"), message(name="small")
    for name, kind, v1_kind in (("conv1_1", "Convolution", 4), ("fc6", "InnerProduct", 14)):
        layer = new.layer.add(name=name, type=kind)
        v1_layer = old.layers.add(bottom="data", name=name, type=v1_kind)
        for what in ("weight", "bias"):
            array = NETWORK[f"{name}.{what}"]
            blob = layer.blobs.add(data=array.ravel())
            blob.shape.dim.extend(array.shape)
            n, c, h, w = (1,) * (4 - array.ndim) + array.shape
            v1_layer.blobs.add(num=n, channels=c, height=h, width=w, data=array.ravel())
    (FOLDER / "v2.caffemodel").write_bytes(new.SerializeToString())
    (FOLDER / "v1.caffemodel").write_bytes(old.SerializeToString())


def write_matlab() -> None:
    from scipy.io import savemat

    layers = np.empty((1, 2), object)
    for i, (name, kind) in enumerate((("conv1_1", "conv"), ("fc6", "conv"))):
        weight, bias = NETWORK[f"{name}.weight"], NETWORK[f"{name}.bias"]
        weight = weight.reshape(weight.shape + (1,) * (4 - weight.ndim)).transpose(2, 3, 1, 0)
        weights = np.empty((1, 2), object)
        weights[0, 0], weights[0, 1] = weight, bias[None]
        layers[0, i] = {"name": name, "type": kind, "weights": weights, "pad": [1, 1, 1, 1]}
    meta = {"normalization": {"averageImage": np.zeros((1, 1, 3))}, "classes": "none"}
    savemat(FOLDER / "simplenn.mat", {"layers": layers, "meta": meta}, do_compression=True)


def write_arrays() -> None:
    from safetensors.numpy import save_file

    save_file(NETWORK, FOLDER / "small.safetensors")
    np.savez_compressed(FOLDER / "small.npz", **NETWORK)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for write in (write_torch, write_caffe, write_matlab, write_arrays, write_keras):
        write()
