"""Work spread over executors: in order, each once, also when workers die."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from minideeplab import cli, executors, inference, models, use_backend
from minideeplab.executors import Shared, open_executor, spread

ROOT = str(Path(__file__).parents[1])


def square(x):
    return x * x


def die(x):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(x):
    raise ValueError(f"item {x}")


def test_results_come_in_order_from_any_executor():
    assert list(spread(square, range(20))) == [i * i for i in range(20)]
    with ThreadPoolExecutor(3) as pool:
        assert list(spread(square, iter(range(20)), pool)) == [i * i for i in range(20)]


def test_items_are_drawn_as_workers_become_free():
    drawn = []
    items = (drawn.append(i) or i for i in range(50))
    with ThreadPoolExecutor(2) as pool:
        results = spread(square, items, pool)
        next(results)
        assert len(drawn) <= 5
        results.close()


def test_an_error_of_the_work_is_raised():
    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="item 0"):
        list(spread(fail, range(3), pool))


def test_a_shared_value_is_opened_once_a_process():
    shared = Shared({"a": np.arange(3)})
    assert shared.get() is shared.get() and shared.get()["a"][2] == 2
    assert Shared([1]).get() == [1]


def test_processes_share_the_cores_and_segment_alike(monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    net = models.deeplab_small(num_classes=3, seed=1).eval()
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (25, 33, 3)).astype(np.uint8) for _ in range(5)]
    with use_backend("numpy"), open_executor(2) as pool:
        threads = pool.submit(os.getenv, "NUMBA_NUM_THREADS").result()
        found = list(inference.segment_all(images, net, pool, crf=False))
        expected = list(inference.segment_all(images, net, crf=False))
    assert int(threads) == max(1, (os.cpu_count() or 1) // 2)
    assert "NUMBA_NUM_THREADS" not in os.environ
    np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_dead_process_is_an_error_that_says_so():
    with open_executor(2) as pool, pytest.raises(RuntimeError, match="a worker process died"):
        list(spread(die, range(8), pool))


def test_bad_requests_are_named(capsys):
    with pytest.raises(ValueError, match="jobs: 0"), open_executor(0):
        pass
    assert cli.run(["evaluate", "--data", "shapes", "--jobs", "0"]) == 2


def test_dask_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ImportError, match="pip install 'minideeplab"), open_executor(1, "local"):
        pass


def count_once(folder, x):
    """Leave a mark for each time the work was done."""
    time.sleep(0.1)
    (folder / f"{x}-{time.monotonic_ns()}").touch()
    return x, os.getpid()


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_dask_worker_killed_in_the_middle_loses_nothing(tmp_path):
    """What the dead worker held is done again by another, and is still counted once."""
    pytest.importorskip("distributed")
    with open_executor(2, "local") as executor:
        workers = executor._client.run(os.getpid)
        assert len(workers) == 2
        victim = next(iter(workers.values()))
        killer = threading.Timer(0.6, os.kill, (victim, signal.SIGKILL))
        killer.start()
        results = list(spread(functools.partial(count_once, tmp_path), range(40), executor))
        assert victim not in executor._client.run(os.getpid).values()
    assert [x for x, _ in results] == list(range(40))
    assert {int(mark.name.split("-")[0]) for mark in tmp_path.iterdir()} == set(range(40))
    assert len({process for _, process in results}) >= 2


def test_what_ends_a_dask_cluster_is_said():
    pytest.importorskip("distributed")
    with pytest.raises(RuntimeError, match="scheduler at local is gone"):
        with open_executor(1, "local"):
            raise CancelledError  # what futures raise when the connection is lost
    if os.name != "nt":
        with pytest.raises(RuntimeError, match="workers died repeatedly"):
            with open_executor(1, "local") as executor:
                list(spread(die, range(2), executor))


def test_dask_segments_alike():
    pytest.importorskip("distributed")
    net = models.deeplab_small(num_classes=3, seed=1).eval()
    images = [np.full((25, 33, 3), 20 * i, np.uint8) for i in range(4)]
    with use_backend("numpy"), open_executor(1, "local") as executor:
        found = list(inference.segment_all(images, net, executor, crf=False))
        expected = list(inference.segment_all(images, net, crf=False))
    np.testing.assert_array_equal(found, expected)


def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from minideeplab.executors import open_executor, spread\n"
        "with open_executor(2) as executor:\n"
        "    print(list(spread(abs, [-1, -2], executor)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(executors.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "open_executor: this script is being imported by a worker process" in done.stderr
    assert "needs the guard: if __name__ == '__main__':" in done.stderr


SLEEPERS = """
import os, sys, time
from minideeplab.executors import open_executor, spread

def work(seconds):
    print(os.getpid(), flush=True)
    time.sleep(seconds)

if __name__ == "__main__":
    with open_executor(2) as executor:
        list(spread(work, [600, 600, 600], executor))
"""


@pytest.fixture
def sleepers(tmp_path):
    """A process with two workers that sleep, and the workers' ids."""
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "sleepers.py"],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": ROOT},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip; a shell's background jobs ignore SIGINT, and their children too
    workers = {int(parent.stdout.readline()) for _ in range(2)}
    yield parent, workers
    for process in (parent.pid, *workers):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    parent.wait()


def running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_end_with_a_killed_parent(sleepers):
    parent, workers = sleepers
    parent.kill()
    parent.wait()
    limit = time.monotonic() + 30
    while any(map(running, workers)) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not any(map(running, workers))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_ctrl_c_ends_workers_without_their_tracebacks(sleepers):
    parent, workers = sleepers
    os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
    errors = parent.communicate(timeout=30)[1]
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    assert "Process" not in errors and not any(map(running, workers))
