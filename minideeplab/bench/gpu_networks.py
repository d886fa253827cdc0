"""DeepLab-LargeFOV and the dense CRF on a GPU, against torch and pydensecrf."""

from __future__ import annotations

from typing import Any

from minideeplab.backends import to, use_backend
from minideeplab.backends.cuda import matmul_precision
from minideeplab.bench import crf as crf_bench
from minideeplab.bench import gpu_timing
from minideeplab.bench.networks import CLASSES, network_and_batch, our_run
from minideeplab.bench.timing import interleaved

NETWORK = "largefov"


def measure(image: int, batch: int, training: bool, rounds: int) -> dict[str, Any]:
    """A row of the table of networks: milliseconds of a forward pass, or of a training step."""
    net, x, labels = network_and_batch(NETWORK, (image, image), batch, training)

    def on_torch(torch: Any) -> Any:
        from minideeplab.bench.torch_network import TorchNetwork

        network = TorchNetwork(net, torch.contiguous_format, "cuda")
        return network.run_on(x, labels, training)

    theirs = gpu_timing.with_torch(on_torch, rounds)
    net.to("cuda")
    run = our_run(net, to(x, "cuda"), to(labels, "cuda"), training)
    with use_backend("cuda"):
        ours = gpu_timing.by_language(run, rounds)
        best = min(ours.values())
        for precision in ("tf32", "float16"):
            with matmul_precision(precision):
                ours[f"{precision} ms"] = gpu_timing.milliseconds(run, rounds)
    row = {"network": NETWORK, "pass": "training step" if training else "forward",
           "image": image, "batch": batch, **theirs, **ours}  # fmt: skip
    if theirs:
        row["torch / ours"] = theirs["torch ms"] / best
        row["TF32: torch / ours"] = theirs["torch TF32 ms"] / ours["tf32 ms"]
    return row


def crf(image: int, rounds: int) -> dict[str, Any]:
    """A row for the dense CRF, build and 10 iterations; pydensecrf on this machine's CPU."""
    scene = crf_bench.scene(image, image, CLASSES)
    with use_backend("cuda"):
        times = gpu_timing.by_language(lambda: crf_bench.run_ours(*scene, 67, 3), rounds)
    row = {"size": f"{image}x{image}x{CLASSES}", "sxy / srgb": "67 / 3", **times}
    if "pydensecrf" in crf_bench.competitors():
        run = {"pydensecrf": lambda: crf_bench.run_pydensecrf(*scene, 67, 3)}
        theirs = 1e3 * interleaved(run, 3)["pydensecrf"].median
        row |= {"pydensecrf ms": theirs, "times faster": theirs / min(times.values())}
    return row
