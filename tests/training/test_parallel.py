"""A batch shared by processes: the gradients of one process, to rounding."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading

import numpy as np
import pytest
from tiny import CONFIG, scenes, tiny_net

from minideeplab import Tensor, use_backend
from minideeplab.nn import BatchNorm2d
from minideeplab.training import Trainer, checkpoint, segmentation_loss
from minideeplab.training.batches import PartOfBatch
from minideeplab.training.parallel import ParallelTrainer
from minideeplab.training.syncnorm import Group, SyncBatchNorm2d


@pytest.fixture(autouse=True)
def numpy_backend():
    with use_backend("numpy"):
        yield


def close(found, expected):
    scale = np.abs(expected).max() + 1e-12
    np.testing.assert_allclose(found, expected, atol=2e-5 * scale, rtol=0)


@pytest.mark.parametrize("multi_scale", [False, True])
def test_gradients_and_statistics_are_those_of_one_big_batch(tmp_path, multi_scale):
    """Three images on two processes, with batch norm, dropout, class weights and iter_size."""
    config = dataclasses.replace(CONFIG, batch_size=3, multi_scale=multi_scale)
    one = Trainer(tiny_net(), scenes(), config, tmp_path / "one")
    two = ParallelTrainer(tiny_net(), scenes(), config, tmp_path / "two", jobs=2)
    weights = np.linspace(0.5, 1.5, 6)
    one.class_weights = two.class_weights = weights
    batches = [one.batches(i) for i in range(2)]
    batches[0][1][0] = 255  # an image with nothing to learn
    try:
        for _ in range(2):  # the second time with running statistics that have moved
            assert two.gradients(batches) == pytest.approx(one.gradients(batches), rel=1e-5)
            for (name, ours), (_, theirs) in zip(
                two.net.named_parameters(), one.net.named_parameters(), strict=True
            ):
                assert np.abs(theirs.grad).max() > 0, name
                close(ours.grad, theirs.grad)
            for (_, ours), (_, theirs) in zip(
                two.net.named_buffers(), one.net.named_buffers(), strict=True
            ):
                close(ours, theirs)
    finally:
        two._workers.close()


def test_a_run_ends_where_one_process_does_and_can_be_gone_on_with_by_one(tmp_path):
    config = dataclasses.replace(CONFIG, iterations=6, optimizer="sgd", lr=0.01)
    Trainer(tiny_net(), scenes(), config, tmp_path / "one").run()
    half = dataclasses.replace(config, iterations=6, checkpoint_every=1)
    two = ParallelTrainer(tiny_net(), scenes(), half, tmp_path / "two", jobs=2)
    batches = two.batches

    def interrupted(i):
        if i == 8:  # two batches an iteration
            raise KeyboardInterrupt
        return batches(i)

    two.batches = interrupted
    with pytest.raises(KeyboardInterrupt):
        two.run()
    rest = Trainer(tiny_net(seed=5), scenes(), half, tmp_path / "two")
    rest.resume()
    assert 0 < rest.iteration < 6
    rest.run()
    ours, theirs = (
        checkpoint.load(tmp_path / run / "checkpoint.npz")[0]["model"] for run in ("two", "one")
    )
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, atol=2e-4, err_msg=name)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_process_that_dies_ends_the_run_with_a_checkpoint(tmp_path):
    config = dataclasses.replace(CONFIG, iterations=5000)
    trainer = ParallelTrainer(tiny_net(), scenes(), config, tmp_path, jobs=2)

    def kill():
        os.kill(trainer._workers._processes[1].pid, signal.SIGKILL)

    batches = trainer.batches

    def fatal(i):
        if i == 12:
            threading.Timer(0.05, kill).start()
        return batches(i)

    trainer.batches = fatal
    with pytest.raises(RuntimeError, match="a training process died"):
        trainer.run()
    assert checkpoint.load(tmp_path / "checkpoint.npz")[1]["training"]["iteration"] >= 3


def test_more_jobs_than_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match="jobs: 3, expected 1 to 2"):
        ParallelTrainer(tiny_net(), scenes(), CONFIG, tmp_path, jobs=3)


def test_shares_of_the_loss_add_up():
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((4, 5, 3, 4)), rng.choice([0, 1, 2, 4, 255], (4, 17, 25))
    weights = rng.random(5) + 0.5
    for at in ("full", "stride"):
        whole = segmentation_loss(Tensor(scores), labels, weights, at).item()
        parts = [
            segmentation_loss(Tensor(scores[rows]), labels[rows], weights, at, labels).item()
            for rows in (slice(0, 1), slice(1, 4))
        ]
        assert sum(parts) == pytest.approx(whole)


def test_dropout_of_a_part_is_the_rows_of_the_whole():
    whole = np.random.default_rng(3).random((4, 2, 5), np.float32)
    part = PartOfBatch(np.random.default_rng(3), slice(1, 3), 4).random((2, 2, 5), np.float32)
    np.testing.assert_array_equal(part, whole[1:3])


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_synchronised_norm_of_two_threads_is_batch_norm(backend):
    """Forward, running statistics and all gradients, in float64."""
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((2, 5, 3, 4, 6)) * 3 + 1
    norm = BatchNorm2d(3).astype(np.float64)
    norm.weight.data[...] = rng.random(3)
    parts, slots, barrier = {}, np.empty((2, 2, 7)), threading.Barrier(2)
    synced = [SyncBatchNorm2d(BatchNorm2d(3).astype(np.float64), Group(r, slots, barrier))
              for r in range(2)]  # fmt: skip

    def work(rank, rows):
        with use_backend(backend):
            synced[rank].weight.data[...] = norm.weight.data
            given = Tensor(x[rows], requires_grad=True)
            y = synced[rank](given)
            y.backward(dy[rows].copy())
            parts[rank] = y.data, given.grad

    threads = [threading.Thread(target=work, args=(0, slice(0, 2))),
               threading.Thread(target=work, args=(1, slice(2, 5)))]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    whole = Tensor(x, requires_grad=True)
    y = norm(whole)
    y.backward(dy.copy())
    np.testing.assert_allclose(np.concatenate([parts[0][0], parts[1][0]]), y.data, atol=1e-12)
    np.testing.assert_allclose(np.concatenate([parts[0][1], parts[1][1]]), whole.grad, atol=1e-12)
    for name in ("weight", "bias"):
        total = sum(getattr(one, name).grad for one in synced)
        np.testing.assert_allclose(total, getattr(norm, name).grad, atol=1e-12)
    for one in synced:
        np.testing.assert_allclose(one.running_mean, norm.running_mean, atol=1e-12)
        np.testing.assert_allclose(one.running_var, norm.running_var, atol=1e-12)
    np.testing.assert_array_equal(synced[0].eval()(x), synced[0](x))
