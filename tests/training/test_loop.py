"""The loop: what it leaves, what it refuses, and that a killed run goes on bit for bit."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from tiny import CONFIG, scenes, tiny_net

import minideeplab
from minideeplab import use_backend
from minideeplab.files import lock
from minideeplab.models.files import read_npz, write_npz
from minideeplab.training import Config, Diverged, Trainer, checkpoint
from minideeplab.training.loop import FILES
from minideeplab.training.records import CLASS_COLUMNS, Log, read_log


@pytest.fixture(autouse=True)
def numpy_backend():
    with use_backend("numpy"):
        yield


def trained(out, **settings):
    config = dataclasses.replace(CONFIG, **settings)
    trainer = Trainer(tiny_net(), scenes(), config, out)
    trainer.run()
    return trainer


def arrays(path):
    parts, _ = checkpoint.load(path)
    return {
        f"{part}/{name}": array for part, group in parts.items() for name, array in group.items()
    }


def assert_same_checkpoint(one, other):
    one, other = arrays(one), arrays(other)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    with use_backend("numpy"):
        trained(out)
    return out


def test_a_run_leaves_its_files(whole_run):
    assert {p.name for p in whole_run.iterdir()} == {
        "checkpoint.npz", "weights.npz", "log.csv", "curve.png"
    }  # fmt: skip
    rows = read_log(whole_run / "log.csv")
    assert [int(row["iteration"]) for row in rows] == list(range(CONFIG.iterations))
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    assert (whole_run / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_weights_are_the_average_in_half_precision_and_say_what_they_are(whole_run):
    state, meta = read_npz(whole_run / "weights.npz")
    average = checkpoint.load(whole_run / "checkpoint.npz")[0]["average"]
    for name, array in state.items():
        assert array.dtype == np.float16
        np.testing.assert_array_equal(array, average[name].astype(np.float16))
    assert meta["classes"] == scenes().classes and len(meta["palette"]) == len(meta["classes"])
    assert meta["training"]["iteration"] == CONFIG.iterations
    assert Config(**meta["training"]["config"]) == CONFIG


def test_training_learns(tmp_path):
    trainer = trained(tmp_path, iterations=60, lr=0.01, warm_up=0)
    losses = [float(row["loss"]) for row in read_log(trainer.out / "log.csv")]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_resume_is_bit_identical(whole_run, tmp_path):
    first = Trainer(tiny_net(), scenes(), CONFIG, tmp_path)
    batches = first.batches
    with pytest.raises(KeyboardInterrupt):
        first.batches = lambda i: interrupt() if i == 11 else batches(i)
        first.run()
    for name in FILES:
        stem, _, suffix = name.partition(".")
        (tmp_path / f".{stem}-01234567.{suffix}").write_text("half, by a process that was killed")
    second = Trainer(tiny_net(seed=99), scenes(), CONFIG, tmp_path)
    second.resume()
    assert not list(tmp_path.glob(".*"))
    assert 0 < second.iteration < 11
    second.run()
    assert_same_checkpoint(tmp_path / "checkpoint.npz", whole_run / "checkpoint.npz")
    ours, theirs = (
        [(row["iteration"], row["loss"]) for row in read_log(out / "log.csv")]
        for out in (tmp_path, whole_run)
    )
    assert ours == theirs


def interrupt():
    raise KeyboardInterrupt


def test_killed_at_random_moments_it_ends_with_the_same_bits(whole_run, tmp_path):
    """Real SIGKILLs, at moments the run does not expect; each time it is resumed.

    Four of them, or as many as the environment variable MINIDEEPLAB_KILLS says.
    """
    rng, kills, most = np.random.default_rng(), 0, int(os.environ.get("MINIDEEPLAB_KILLS", 4))
    command = [sys.executable, tiny.__file__, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(minideeplab.__file__).parents[1])}
    for _ in range(most + 1):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        before = len(read_log(tmp_path / "log.csv"))
        while kills < most and process.poll() is None:
            if len(read_log(tmp_path / "log.csv")) > before:
                time.sleep(rng.uniform(0, 0.1))
                process.kill()
                kills += 1
                break
            time.sleep(0.002)
        if process.wait(timeout=60) == 0:
            break
    assert process.returncode == 0 and kills >= 1
    print(f"killed {kills} times")
    assert_same_checkpoint(tmp_path / "checkpoint.npz", whole_run / "checkpoint.npz")
    assert not list(tmp_path.glob(".*"))


def test_a_nan_loss_stops_with_the_step_and_keeps_the_checkpoint(tmp_path):
    trainer = Trainer(tiny_net(), scenes(), CONFIG, tmp_path)
    batches = trainer.batches

    def poisoned(i):
        images, labels = batches(i)
        if i == 10:
            images[0, 0, 5, 5] = np.nan
        return images, labels

    trainer.batches = poisoned
    with pytest.raises(Diverged, match=r"iteration 5.*checkpoint\.npz"):
        trainer.run()
    kept, meta = checkpoint.load(tmp_path / "checkpoint.npz")
    assert meta["training"]["iteration"] == 3
    assert all(np.isfinite(array).all() for array in kept["model"].values())
    assert not (tmp_path / "weights.npz").exists()


def test_weights_that_are_not_finite_do_not_replace_a_checkpoint(tmp_path):
    trainer = trained(tmp_path, iterations=2)
    before = (tmp_path / "checkpoint.npz").read_bytes()
    trainer.net.score.weight.data[0, 0] = np.inf
    with pytest.raises(Diverged, match=r"score\.weight"):
        trainer.save()
    assert (tmp_path / "checkpoint.npz").read_bytes() == before


def test_iter_size_averages_the_gradients_of_its_batches(tmp_path):
    net = tiny_net()
    net.drop.p = 0.0
    config = dataclasses.replace(CONFIG, iter_size=2, class_weights="none")
    trainer = Trainer(net, scenes(), config, tmp_path)
    net.eval()  # running statistics: the batches do not interact
    gradients, losses = [], []
    for i in range(2):
        one = Trainer(net, scenes(), config, tmp_path)
        one.optimizer.step = one.average.update = lambda: None
        losses.append(one.step([one.batches(i)]))
        gradients.append({name: p.grad for name, p in net.named_parameters()})
    trainer.optimizer.step = lambda: None
    assert trainer.step([trainer.batches(0), trainer.batches(1)]) == pytest.approx(np.mean(losses))
    for name, p in net.named_parameters():
        expected = (gradients[0][name] + gradients[1][name]) / 2
        np.testing.assert_allclose(p.grad, expected, rtol=1e-4, atol=1e-6)


def test_validation_keeps_the_best(tmp_path, monkeypatch):
    results = iter([0.2, 0.5, 0.4])
    monkeypatch.setattr(
        "minideeplab.training.loop.evaluate",
        lambda net, dataset: np.array([[1, 0], [1 / next(results) - 1, 0]]),
    )
    config = dataclasses.replace(CONFIG, iterations=6, validate_every=2)
    Trainer(tiny_net(), scenes(), config, tmp_path, validation=scenes()).run()
    assert read_npz(tmp_path / "best.npz")[1]["training"]["iteration"] == 4
    found = [row["val_mean_iou"] for row in read_log(tmp_path / "log.csv")]
    assert [bool(text) for text in found] == [False, True] * 3


def test_training_stops_when_validation_no_longer_improves(tmp_path, monkeypatch):
    results = iter([0.2, 0.5, 0.4, 0.45, 0.9])
    monkeypatch.setattr(
        "minideeplab.training.loop.evaluate",
        lambda net, dataset: np.array([[1, 0], [1 / next(results) - 1, 0]]),
    )
    config = dataclasses.replace(CONFIG, iterations=20, validate_every=2, patience=2)
    trainer = Trainer(tiny_net(), scenes(), config, tmp_path, validation=scenes())
    trainer.run()
    assert trainer.iteration == 8 and next(results) == 0.9
    assert read_npz(tmp_path / "best.npz")[1]["training"]["iteration"] == 4
    assert read_npz(tmp_path / "weights.npz")[1]["training"]["iteration"] == 8
    again = Trainer(tiny_net(), scenes(), config, tmp_path, validation=scenes())
    again.resume()
    again.run()  # stopped before, so nothing is left to do
    assert again.iteration == 8


def test_every_validation_logs_the_scores_of_every_class(tmp_path, monkeypatch):
    matrix = np.array([[8, 2], [1, 9]])
    monkeypatch.setattr("minideeplab.training.loop.evaluate", lambda net, dataset: matrix)
    config = dataclasses.replace(CONFIG, iterations=4, validate_every=2)
    trainer = Trainer(tiny_net(), scenes(), config, tmp_path, validation=scenes())
    trainer.run()
    text = (tmp_path / "validation.csv").read_text().splitlines()
    assert text[0] == "iteration,class,iou,precision,recall,dice"
    assert text[1] == "2,background,0.7273,0.8889,0.8000,0.8421" and len(text) == 1 + 2 * 2
    Log(tmp_path / "validation.csv", 2 + 1, CLASS_COLUMNS)  # as a resumed run does
    assert len((tmp_path / "validation.csv").read_text().splitlines()) == 3


def test_an_unwritable_folder_is_found_before_the_work(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        Trainer(tiny_net(), scenes(), CONFIG, tmp_path / "file" / "run")


def test_log_drops_rows_after_the_checkpoint_and_a_torn_one(tmp_path):
    path = tmp_path / "log.csv"
    log = Log(path)
    for i in range(4):
        log.add(i, 0.5, 1e-3, 0.1, "")
    with open(path, "a") as file:
        file.write("4,0.1")
    Log(path, iteration=2).add(2, 0.25, 1e-3, 0.2, "")
    assert [(row["iteration"], row["loss"]) for row in read_log(path)] == [
        ("0", "0.5"), ("1", "0.5"), ("2", "0.25"),
    ]  # fmt: skip


def test_two_runs_of_one_folder_are_refused(tmp_path):
    pytest.importorskip("fcntl")
    trainer = Trainer(tiny_net(), scenes(), CONFIG, tmp_path)
    with lock(tmp_path / ".lock"), pytest.raises(ValueError, match="another process trains in"):
        trainer.run()
    assert not list(tmp_path.iterdir())


def test_weights_are_no_checkpoint(tmp_path):
    write_npz(tmp_path / "checkpoint.npz", {"model/w": np.ones(1)}, {"model": "small"})
    with pytest.raises(ValueError, match=r"checkpoint\.npz: not the checkpoint of a training run"):
        Trainer(tiny_net(), scenes(), CONFIG, tmp_path).resume()
