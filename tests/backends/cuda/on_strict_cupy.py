"""What a script does on a GPU, on the strict stand-in for CuPy.

    python on_strict_cupy.py FOLDER CHECK...

Prints the name of each check that passes; a failure ends it with a traceback.
"""

import sys
from pathlib import Path

import numpy as np
import strict_cupy

strict_cupy.install(Path(sys.argv[1]))

import minideeplab as mdl  # noqa: E402
import minideeplab.functional as F  # noqa: E402
from minideeplab.arrays import on_device  # noqa: E402

rng = np.random.default_rng(0)


def same(a, b, tolerance=1e-4):
    a, b = (x.get() if on_device(x) else np.asarray(x) for x in (a, b))
    assert a.dtype == b.dtype and np.abs(a - b).max() <= tolerance * max(1, np.abs(b).max())


def step(net, x, labels, backend):
    with mdl.use_backend(backend), F.dropout_rng(np.random.default_rng(1)):
        scores = net(x)
        loss = F.cross_entropy(scores, labels, ignore_index=255)
        loss.backward()
    return scores, loss, {name: p.grad for name, p in net.named_parameters()}


def arrays_come_back_as_they_went():
    x, w = rng.standard_normal((2, 3, 7, 6)), rng.standard_normal((4, 3, 3, 3))
    with mdl.use_backend("cuda"):
        y = F.conv2d(x, w, padding=2, dilation=2)
        there = F.conv2d(mdl.Tensor(x).to("cuda").data, w, padding=2, dilation=2)
    assert isinstance(y, np.ndarray) and on_device(there)
    same(there, y)


def tensors_move_with_their_gradients():
    x = mdl.Tensor(rng.standard_normal((3, 4)), requires_grad=True)
    with mdl.use_backend("cuda"):
        y = x.to("cuda")
        z = ((2 * y - y / 3 + 1) ** 2).mean() + y[1:, [0, 0]].sum() + (y @ y.transpose()).sum()
        z.to("cpu").backward()
    assert on_device(y.data) and isinstance(x.grad, np.ndarray)
    here = mdl.Tensor(x.data, requires_grad=True)
    again = ((2 * here - here / 3 + 1) ** 2).mean() + here[1:, [0, 0]].sum()
    (again + (here @ here.transpose()).sum()).backward()
    same(x.grad, here.grad)
    assert "Tensor([[" in repr(y) and isinstance(np.asarray(y), np.ndarray)


def matrices_are_multiplied_by_cublas():
    import cublas

    from minideeplab.backends.cuda import matmul

    cases = [(b, a1, b1, t, u, add) for b in (1, 3) for a1 in (0, 1) for b1 in (0, 1)
             for t in (0, 1) for u in (0, 1) for add in (0, 1)]  # fmt: skip
    kinds = {"float64": 70, "float32": 68, "tf32": 77, "float16": 68}
    for name, compute in kinds.items():
        dtype = "float64" if name == "float64" else "float32"
        for count, one_a, one_b, across_a, across_b, add in cases:
            a = rng.standard_normal((1 if one_a else count, 4, 5)).astype(dtype)
            b = rng.standard_normal((1 if one_b else count, 5, 3)).astype(dtype)
            out = rng.standard_normal((count, 4, 3)).astype(dtype)
            given = [np.ascontiguousarray(m.swapaxes(1, 2)) if across else m
                     for m, across in ((a, across_a), (b, across_b))]  # fmt: skip
            there = strict_cupy.ndarray(out.copy() if add else np.full_like(out, np.nan))
            with matmul.matmul_precision("float32" if name == "float64" else name):
                matmul.multiply(
                    *map(strict_cupy.ndarray, given), there, transpose_a=bool(across_a),
                    transpose_b=bool(across_b), add=bool(add),
                )  # fmt: skip
            assert cublas.CALLS.pop() == compute
            same(there, a @ b + (out if add else 0), 2e-3 if name == "float16" else 1e-6)


def a_training_step_stays_on_the_device():
    x = rng.standard_normal((2, 3, 17, 17)).astype(np.float32)
    labels = rng.integers(0, 5, (2, 5, 5))
    net = mdl.models.build("small", 5, seed=0).train()
    _, loss, gradients = step(net, x, labels, "numba")
    other = mdl.models.build("small", 5, seed=0).train().to("cuda")
    step(
        other, mdl.Tensor(x).to("cuda"), mdl.Tensor(labels).to("cuda"), "cuda"
    )  # tables, compiling
    other = mdl.models.build("small", 5, seed=0).train().to("cuda")
    images, truth = mdl.Tensor(x).to("cuda"), mdl.Tensor(labels).to("cuda")
    strict_cupy.TRANSFERS.clear()
    _, their_loss, theirs = step(other, images, truth, "cuda")
    assert not strict_cupy.TRANSFERS["back"], strict_cupy.TRANSFERS
    same(their_loss.data, loss.data)
    for name, gradient in gradients.items():
        assert on_device(theirs[name])
        same(theirs[name], gradient, 1e-3)
    same(dict(other.named_buffers()).popitem()[1], dict(net.named_buffers()).popitem()[1])


def an_image_is_segmented():
    from minideeplab.crf import DenseCRF

    net = mdl.models.from_checkpoint(mdl.pretrained.find("shapes"))
    image = rng.integers(0, 255, (24, 33, 3)).astype(np.uint8)
    _, expected = mdl.segment(image, net)
    net.to("cuda")
    with mdl.use_backend("cuda"):
        again, probabilities = mdl.segment(image, net)
        crf = DenseCRF(rng.random((3, 6, 5)))
        crf.add_bilateral(rng.integers(0, 255, (6, 5, 3)).astype(np.uint8), 20, 60, 4)
        gradients = crf.gradients(np.ones((3, 6, 5)), 2)[1]
    same(probabilities, expected, 1e-3)
    assert isinstance(gradients.unary, np.ndarray) and isinstance(again, np.ndarray)


def a_network_is_trained_from_the_command_line():
    from minideeplab.cli import run

    out = Path(sys.argv[1]) / "run"
    small = "--data shapes --crop 33 33 --batch-size 2 --iterations 2 --class-weights none".split()
    assert run(["train", *small, "--backend", "cuda", "--out", str(out)]) == 0
    assert run(["train", "--out", str(out), "--resume", "--backend", "cuda"]) == 0
    assert mdl.models.from_checkpoint(out / "weights.npz")


def the_benchmark_fills_its_tables():
    from minideeplab.bench import gpu, gpu_kernels, gpu_networks, gpu_timing

    plan = gpu.Plan(ops=("linear",), image=9, train_image=9, batches=(1,), rounds=1)
    gpu_timing.limits.__defaults__, gpu_timing.WARM_UP = (8, 1, 1), 0
    gpu_networks.NETWORK = "small"  # instead of LargeFOV
    results = gpu.measure(plan)
    counts = {name: len(rows) for name, rows in results.numbers.items()}
    assert counts["operations"] == 49 and counts["networks"] == 2 and counts["crf"] == 1, counts
    assert {row["kernel"] for row in results.numbers["kernels"]} == set(gpu_kernels.OPERATIONS)
    assert not any(row["wrong"] for row in results.numbers["checks"])
    assert all("c ms" in row and "numba ms" in row for row in results.numbers["operations"])
    assert "share of the limit" in results.text and "Everything agrees." in results.text


if __name__ == "__main__":
    for name in sys.argv[2:]:
        globals()[name]()
        print(name, flush=True)
