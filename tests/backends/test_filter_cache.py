"""The filter cache: filters are transformed once while they are unchanged, again after a change."""

import gc

import numpy as np

from minideeplab.backends.numba_cpu.convolution import filter_cache


def counted(w, kind="form"):
    made = []

    def make():
        made.append(1)
        return 2 * w

    return made, lambda: filter_cache.cached(w, kind, make)


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
    before = filter_cache.fingerprint(w)
    w[[0, 1]] = w[[1, 0]]
    assert filter_cache.fingerprint(w) != before


def test_entries_go_with_their_filters():
    w = np.ones((4, 3), np.float32)
    _, ask = counted(w, "gone")
    ask(), ask()
    kept = filter_cache._kept()
    del w, ask, _
    gc.collect()
    assert filter_cache._kept() < kept
    assert not [kind for _, kind in filter_cache._entries if kind == "gone"]


def test_no_more_than_the_limit_is_kept(monkeypatch):
    monkeypatch.setattr(filter_cache, "MOST_BYTES", 0)
    w = np.ones((4, 3), np.float32)
    made, ask = counted(w)
    for _ in range(3):
        ask()
    assert len(made) == 3
