"""The checker of own data: each fault is found, told with its files, and absent without it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from minideeplab import cli
from minideeplab.data.checking import check_folders, find_pairs


@pytest.fixture
def folder(tmp_path):
    """Three sound pairs of three classes and void."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for stem in "abc":
        image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "images" / f"{stem}.jpg")
        labels = rng.choice(np.uint8([0, 1, 2, 255]), (20, 30))
        Image.fromarray(labels).save(tmp_path / "masks" / f"{stem}.png")
    return tmp_path


def check(folder, **options):
    return check_folders(folder / "images", folder / "masks", **options)


def put(folder, array, name="b.png"):
    Image.fromarray(array).save(folder / "masks" / name)


def test_sound_data_has_nothing_to_report(folder):
    report = check(folder, num_classes=3)
    assert (report.pairs, report.problems, report.notes) == (3, {}, [])
    assert report.pixels.sum() == 3 * 600 and set(np.flatnonzero(report.pixels)) == {0, 1, 2, 255}
    assert check(folder).problems == {}


@pytest.mark.parametrize("array, options, words", [
    (np.uint8([1, 2, 3]) * np.ones((20, 30, 1), np.uint8), {}, "masks in colour"),
    (np.ones((30, 20), np.uint8), {}, "another size"),
    (np.full((20, 30), 3, np.uint8), {"num_classes": 3}, "value 3; expected 0..2 or 255"),
    (np.full((20, 30), 170, np.uint8), {}, "values 0, 1, 2, 170: grey levels"),
    (np.full((20, 30), 300, np.uint16), {}, "cannot be read"),
])  # fmt: skip
def test_a_faulty_mask_is_named(folder, array, options, words):
    put(folder, array)
    ((text, files),) = check(folder, **options).problems.items()
    assert words in text and [path.name for path in files] == ["b.png"]


def test_wrong_values_are_one_problem_however_many(folder):
    put(folder, np.arange(600).reshape(20, 30).astype(np.uint8))
    report = check(folder, num_classes=3)
    ((text, files),) = report.problems.items()
    assert text.startswith("values 3, 4, 5, 6, 7, 8, 9, 10, ... (252 in all); expected 0..2")
    assert [path.name for path in files] == ["b.png"] and report.notes == []


def test_masks_that_count_from_1_are_told_so(folder):
    for stem in "abc":
        put(folder, np.uint8([[1, 2, 3]] * 20).repeat(10, axis=1), f"{stem}.png")
    (text,) = check(folder, num_classes=3).problems
    assert text == "value 3; expected 0..2 or 255; no pixel is 0: do the masks count from 1?"


def test_what_cannot_be_read_is_told_with_the_reason(folder):
    (folder / "images" / "a.jpg").write_bytes(b"nothing")
    put(folder, np.full((20, 30), 300, np.uint16))
    report = check(folder)
    names = {text: [path.name for path in files] for text, files in report.problems.items()}
    assert names == {
        "images that cannot be read": ["a.jpg"],
        "masks that cannot be read": ["b.png"],
    }
    assert report.notes[0].startswith("a.jpg: ") and report.notes[1].startswith("b.png: labels ")
    assert str(folder) not in report.notes[0]


def test_a_class_that_never_occurs_is_noted(folder):
    assert check(folder, num_classes=5).notes == ["no pixel of class 3, 4"]


def test_masks_of_0_and_255_hold_nothing_to_learn(folder):
    for stem in "abc":
        put(folder, np.uint8([[0, 255]] * 20).repeat(15, axis=1), f"{stem}.png")
    (text,) = check(folder).problems
    assert "only class 0 and 255, which means ignored" in text


def test_missing_partners_and_lossy_masks_are_named(folder):
    (folder / "masks" / "a.png").unlink()
    (folder / "images" / "c.jpg").unlink()
    (folder / "masks" / "b.png").unlink()
    put(folder, np.ones((20, 30), np.uint8), "b.jpg")
    report = check(folder)
    assert "images without a mask of the same name: 1, as a.jpg" in report.notes
    problems = {text: [p.name for p in files] for text, files in report.problems.items()}
    assert problems["masks without an image of the same name"] == ["c.png"]
    assert any("lossy" in text and files == ["b.jpg"] for text, files in problems.items())


def test_imbalance_and_a_missing_ignore_value_are_noted(folder):
    labels = np.zeros((20, 30), np.uint8)
    for stem in "abc":
        put(folder, labels, f"{stem}.png")
    labels[0, 0] = 1
    put(folder, labels)
    text = "\n".join(check(folder).notes)
    assert (
        "no pixel is 255" in text and "class 0 has 99.9%" in text and "class 1 has 0.056%" in text
    )


def test_layouts_are_found_or_listed(folder, tmp_path_factory):
    assert find_pairs(folder) == [(folder / "images", folder / "masks")]
    with pytest.raises(FileNotFoundError, match=r"train \+ trainannot"):
        find_pairs(tmp_path_factory.mktemp("empty"))


def test_the_command_prints_counts_and_tells_by_its_status(folder, capsys):
    assert cli.run(["check-data", str(folder), "--classes", "3"]) == 0
    out = capsys.readouterr().out
    assert "3 pairs" in out and "label 255" in out and "PROBLEM" not in out
    (folder / "classes.txt").write_text("road\ncar\ntree\n")
    assert cli.run(["check-data", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith("ignored") and lines[-2].endswith("tree")
    (folder / "classes.txt").unlink()
    assert cli.run(["check-data", str(folder), "--classes", "2"]) == 1
    assert "PROBLEM 3 x value 2; expected 0..1 or 255: a.png, b.png" in capsys.readouterr().out
    assert cli.run(["check-data", str(folder / "nowhere")]) == 1
    assert "looked for" in capsys.readouterr().err


def test_the_command_says_how_pairs_are_found(tmp_path, capsys):
    for name in ("images/street.jpg", "masks/street_mask.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (30, 20)).save(tmp_path / name)
    assert cli.run(["check-data", str(tmp_path)]) == 1
    assert "PROBLEM no pair: street.jpg goes with the mask street.png" in capsys.readouterr().out
