"""Images set apart for validation: whole sequences, known by the names of their frames."""

from __future__ import annotations

import pytest

from minideeplab.data.splits import split_names

FRAMES = [f"seq{s:02}_{f:04}" for s in range(5) for f in range(10)]


def test_whole_sequences_are_set_apart():
    train, val = split_names(FRAMES, 0.2)
    assert sorted(train + val) == list(range(50)) and len(val) == 10
    assert len({FRAMES[i][:5] for i in val}) == 1
    assert split_names(FRAMES, 0.2) == (train, val)


def test_of_one_sequence_the_last_frames_are_taken():
    names = [f"{i:04}" for i in range(20)]
    assert split_names(names, 0.25) == (list(range(15)), list(range(15, 20)))
    two = [f"a{i}" for i in range(18)] + ["b0", "b1"]
    assert split_names(two, 0.1)[1] == [18, 19]


@pytest.mark.parametrize("by", ["3", "random"])
def test_other_ways_to_keep_names_together(by):
    names = [f"{site}-{word}" for site in ("ams", "ber", "cph", "dub") for word in ("cat", "dog")]
    train, val = split_names(names, 0.25, by)
    assert len(val) == 2 and not set(train) & set(val)
    assert by == "random" or len({names[i][:3] for i in val}) == 1


@pytest.mark.parametrize("names, fraction, by, words", [
    (["a"], 0.2, "sequence", "2 or more"), ("abc", 1.0, "sequence", "below 1"),
    ("abc", 0.2, "date", "val_by: 'date'"), ("abc", 0.2, "0", "val_by"),
])  # fmt: skip
def test_bad_arguments_are_named(names, fraction, by, words):
    with pytest.raises(ValueError, match=words):
        split_names(names, fraction, by)
