"""Remembered filters: transformed once while they stay the same, never when they changed."""

import gc

import numpy as np

from minideeplab.backends.numba_cpu.convolution import filter_cache as memory


def counted(w, kind="form"):
    made = []

    def make():
        made.append(1)
        return 2 * w

    return made, lambda: memory.remembered(w, kind, make)


def test_kept_from_the_second_call_on():
    w = np.ones((4, 3), np.float32)
    made, ask = counted(w)
    results = [ask() for _ in range(4)]
    assert len(made) == 2
    assert all((result == 2).all() for result in results)


def test_a_change_in_place_is_seen():
    w = np.ones((4, 3), np.float32)
    made, ask = counted(w)
    for _ in range(3):
        ask()
    w[2, 1] = 7
    assert ask()[2, 1] == 14 and len(made) == 3


def test_swapped_values_are_another_fingerprint():
    w = np.arange(12, dtype=np.float32).reshape(4, 3)
    before = memory.fingerprint(w)
    w[[0, 1]] = w[[1, 0]]
    assert memory.fingerprint(w) != before


def test_entries_go_with_their_filters():
    w = np.ones((4, 3), np.float32)
    _, ask = counted(w, "gone")
    ask(), ask()
    kept = memory._kept()
    del w, ask, _
    gc.collect()
    assert memory._kept() < kept
    assert not [kind for _, kind in memory._entries if kind == "gone"]


def test_no_more_than_the_limit_is_kept(monkeypatch):
    monkeypatch.setattr(memory, "MOST_BYTES", 0)
    w = np.ones((4, 3), np.float32)
    made, ask = counted(w)
    for _ in range(3):
        ask()
    assert len(made) == 3
