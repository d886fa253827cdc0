"""Mistakes in own data that passed silently or without a cause: each is read rightly or named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from minideeplab import cli
from minideeplab.data import open_dataset
from minideeplab.data.checking import check_folders
from minideeplab.data.own import read_classes
from minideeplab.data.own_check import check_own
from minideeplab.visualize.palettes import full_palette

COLOURS = np.uint8([(0, 0, 0), (200, 30, 30), (30, 60, 200)])
LABELS = np.zeros((32, 40), np.uint8)
LABELS[4:12, 4:12], LABELS[16:28, 20:36] = 1, 2


def rgb(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 40, 3), np.uint8))


@pytest.fixture
def root(tmp_path):
    """Two pairs in train, classes with names alone."""
    for name in ("train", "trainannot"):
        (tmp_path / name).mkdir()
    for seed, stem in enumerate("ab"):
        rgb(seed).save(tmp_path / "train" / f"{stem}.png")
        Image.fromarray(LABELS).save(tmp_path / "trainannot" / f"{stem}.png")
    (tmp_path / "classes.txt").write_text("ground\ncat\ndog\n")
    return tmp_path


def name_colours(root, colours=COLOURS):
    lines = [f"{name} {r} {g} {b}" for name, (r, g, b) in zip("xyz", colours, strict=True)]
    (root / "classes.txt").write_text("\n".join(lines))


def read(root, index=0):
    return open_dataset(f"own:{root}", "train")[index][1]


def problems(root, **options):
    _, reports = check_own(root, **options)
    return [text for report in reports for text in report.problems]


def notes(root):
    return " | ".join(note for report in check_own(root)[1] for note in report.notes)


# ---------------------------------------------------------------- masks


def test_indexed_masks_of_image_editors_are_read_by_their_colours(root):
    name_colours(root)
    for stem in "ab":
        quantized = Image.fromarray(COLOURS[LABELS]).quantize(16)
        assert not np.array_equal(np.asarray(quantized), LABELS)  # indices by frequency
        quantized.save(root / "trainannot" / f"{stem}.png")
    np.testing.assert_array_equal(read(root), LABELS)
    assert problems(root) == []


def test_an_index_with_the_colour_of_no_class_is_named(root):
    name_colours(root, np.uint8([(0, 0, 0), (9, 9, 200), (30, 60, 200)]))
    indices = Image.fromarray(LABELS)
    indices.putpalette(COLOURS[[0, 1, 2]].tobytes())
    indices.save(root / "trainannot" / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: .* classes\.txt: index 1 has 200 30 30;"):
        read(root)
    assert "masks with colours not in the palette" in problems(root)


def test_indices_that_agree_with_classes_txt_or_have_grey_colours_are_labels(root):
    name_colours(root)
    labels = LABELS.copy()
    labels[0] = 255
    for palette in (full_palette(COLOURS), np.repeat(np.arange(256, dtype=np.uint8), 3)):
        indices = Image.fromarray(labels)
        indices.putpalette(palette.tobytes())
        indices.save(root / "trainannot" / "a.png")
        np.testing.assert_array_equal(read(root), labels)


def test_indexed_masks_that_number_their_colours_differently_are_a_problem(root):
    for stem, order in (("a", [0, 1, 2]), ("b", [0, 2, 1])):
        indices = Image.fromarray(LABELS)
        indices.putpalette(COLOURS[order].tobytes())
        indices.save(root / "trainannot" / f"{stem}.png")
    (text,) = problems(root)
    assert text.startswith("indexed masks in which an index has another colour")


def test_colour_masks_need_colours_in_classes_txt(root):
    Image.fromarray(COLOURS[LABELS]).save(root / "trainannot" / "a.png")
    with pytest.raises(ValueError, match=r"classes\.txt has no colours; .*30 60 200 \(15\.0%\)"):
        read(root)


def test_transparent_pixels_of_a_mask_are_unknown(root):
    name_colours(root)
    alpha = np.where(LABELS == 1, 0, 255).astype(np.uint8)
    Image.fromarray(np.dstack([COLOURS[LABELS], alpha])).save(root / "trainannot" / "a.png")
    np.testing.assert_array_equal(read(root), np.where(LABELS == 1, 255, LABELS))


@pytest.mark.parametrize("bands", ["RGB", "LA", "RGBA"])
def test_a_class_number_in_every_band_is_the_label(root, bands):
    mask = Image.fromarray(LABELS).convert(bands)
    mask.save(root / "trainannot" / "a.png")
    np.testing.assert_array_equal(read(root), LABELS)
    assert problems(root) == []


def test_masks_of_a_wholly_void_split_are_a_problem(root):
    for stem in "ab":
        Image.new("L", (40, 32), 255).save(root / "trainannot" / f"{stem}.png")
    assert problems(root) == ["every pixel is 255 (ignored): nothing can be learned"]


def test_masks_that_use_every_class_but_0_are_a_problem(root):
    for stem in "ab":
        Image.fromarray(np.where(LABELS == 0, 1, 2).astype(np.uint8)).save(
            root / "trainannot" / f"{stem}.png"
        )
    (text,) = problems(root)
    assert "no pixel is 0" in text and "count from 1" in text


# ---------------------------------------------------------------- images


def test_scans_of_12_bits_are_read_in_the_range_of_the_data_set(root):
    values = np.linspace(0, 2730, 32 * 40).reshape(32, 40)
    for stem in "ab":
        Image.fromarray(values.astype(np.uint16)).save(root / "train" / f"{stem}.png")
    dataset = open_dataset(f"own:{root}", "train")
    image, _ = dataset[0]
    assert len(np.unique(image)) > 250 and image.min() == 0 and image.max() == 255
    assert dataset.intensity_range == pytest.approx((0, 2730), abs=5)
    assert "grey values 2.558 to 2726 become 0 to 255" in notes(root)


def test_photos_turned_by_exif_are_named_as_the_cause(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb().save(root / "train" / "a.png", exif=exif)
    (text,) = problems(root)
    assert "another size" in text and "turned by its EXIF tag, the mask is not" in text
    exif[0x0112] = 3  # half a turn: the sizes agree
    rgb().save(root / "train" / "a.png", exif=exif)
    assert problems(root) == [] and "are turned by their EXIF tag, as a.png" in notes(root)


# ---------------------------------------------------------------- files


def test_hidden_files_are_skipped(root):
    for folder in ("train", "trainannot"):
        (root / folder / "._a.png").write_bytes(b"Mac OS X")
        (root / folder / ".DS_Store").write_bytes(b"Bud1")
    assert open_dataset(f"own:{root}", "train").names == ["a", "b"] and problems(root) == []


def test_two_files_of_one_name_are_refused(root):
    rgb().save(root / "train" / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg and a\.png have the same name 'a'"):
        open_dataset(f"own:{root}", "train")
    assert any("differ by their suffix only (a.jpg, a.png)" in text for text in problems(root))


def test_images_in_two_splits_are_a_problem(root):
    for name in ("val", "valannot"):
        (root / name).mkdir()
    (root / "val" / "other.png").write_bytes((root / "train" / "a.png").read_bytes())
    Image.fromarray(LABELS).save(root / "valannot" / "other.png")
    assert problems(root) == ["images that are in train too: the scores would be too high"]


def test_a_missing_validation_split_or_list_of_classes_is_noted(root):
    assert "no val + valannot: train --val-fraction" in notes(root)
    (root / "classes.txt").unlink()
    assert "no classes.txt" in notes(root)


# ---------------------------------------------------------------- classes.txt


@pytest.mark.parametrize("content, remark", [
    ("café\nsky".encode("latin-1"), "classes.txt is not UTF-8 and was read as Latin-1"),
    ("café\nsky".encode("utf-16"), "classes.txt is in UTF-16; UTF-8 is the usual encoding"),
    ("café\nsky".encode(), ""),
])  # fmt: skip
def test_classes_in_any_usual_encoding(root, content, remark):
    (root / "classes.txt").write_bytes(content)
    classes = read_classes(root / "classes.txt")
    assert (classes.names, classes.remark) == (["café", "sky"], remark)
    assert remark in notes(root)


@pytest.mark.parametrize("text", [
    "# my classes\nx 0 0 0\ny 200 30 30\nz 30 60 200\n",
    "x,0,0,0\ny,200,30,30\nz,30,60,200\n",
    "x #000000\ny #c81e1e\nz: #1E3CC8\n",
])  # fmt: skip
def test_colours_are_written_in_any_usual_way_and_comments_are_no_class(root, text):
    (root / "classes.txt").write_text(text)
    classes = read_classes(root / "classes.txt")
    assert [name[0] for name in classes.names] == ["x", "y", "z"] and classes.coloured
    np.testing.assert_array_equal(classes.palette, COLOURS)


def test_a_class_that_is_listed_twice_is_refused(root):
    (root / "classes.txt").write_text("cat\ndog\ncat\n")
    with pytest.raises(ValueError, match="'cat' is there twice"):
        open_dataset(f"own:{root}", "train")


# ---------------------------------------------------------------- other formats


def test_camvids_official_colours_and_names_are_read(root):
    (root / "classes.txt").unlink()
    (root / "label_colors.txt").write_text("64 128 64\tAnimal\n192 0 128\t\tArchway\n0 0 0\tVoid\n")
    for stem in "ab":
        (root / "trainannot" / f"{stem}.png").unlink()
        colours = np.uint8([(64, 128, 64), (192, 0, 128), (0, 0, 0)])
        Image.fromarray(colours[LABELS]).save(root / "trainannot" / f"{stem}_L.png")
    dataset = open_dataset(f"own:{root}", "train")
    assert dataset.classes == ["Animal", "Archway"]
    np.testing.assert_array_equal(dataset[0][1], np.where(LABELS == 2, 255, LABELS))
    assert problems(root) == []


def test_cvats_segmentation_masks_are_read(tmp_path):
    for name in ("JPEGImages", "SegmentationClass"):
        (tmp_path / name).mkdir()
    rgb().save(tmp_path / "JPEGImages" / "a.jpg")
    Image.fromarray(COLOURS[LABELS]).save(tmp_path / "SegmentationClass" / "a.png")
    lines = [f"{n}:{r},{g},{b}::" for n, (r, g, b) in zip("xyz", COLOURS, strict=True)]
    text = "# label:color_rgb:parts:actions\n" + "\n".join(lines)
    (tmp_path / "labelmap.txt").write_text(text)
    dataset = open_dataset(f"own:{tmp_path}", "train")
    assert dataset.classes == ["x", "y", "z"]
    np.testing.assert_array_equal(dataset[0][1], LABELS)


@pytest.mark.parametrize("name, content, words", [
    ("a.json", json.dumps({"shapes": [], "imagePath": "a.jpg"}), "labelme2voc.py"),
    ("coco.json", json.dumps({"annotations": [], "categories": []}), "pycocotools"),
    ("a.xml", "<annotations><image/></annotations>", "export the task again"),
    ("b.xml", "<annotation><object><bndbox/></object></annotation>", "it has boxes, no masks"),
])  # fmt: skip
def test_other_formats_are_named_with_a_way_to_convert_them(tmp_path, capsys, name, content, words):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / name).write_text(content)
    assert cli.run(["check-data", str(tmp_path)]) == 1
    assert words in capsys.readouterr().err


def test_a_quick_check_reads_some_pairs_only(root):
    (root / "trainannot" / "a.png").write_bytes(b"nothing")
    whole = check_folders(root / "train", root / "trainannot", 3)
    quick = check_folders(root / "train", root / "trainannot", 3, most=1)
    assert whole.pairs == quick.pairs == 2 and quick.pixels.sum() < LABELS.size + 1
