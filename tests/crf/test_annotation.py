"""Label images for the crf command: colours, palettes, unknown pixels; steps; output names."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from minideeplab import cli, io, models, pretrained
from minideeplab.annotation import read_annotation
from minideeplab.visualize.mean_field import save_steps
from minideeplab.visualize.palettes import voc_palette

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 250), (0, 0, 0)


@pytest.fixture
def photo(tmp_path):
    image = np.full((24, 32, 3), 40, np.uint8)
    image[:, 16:] = 200
    io.write_image(tmp_path / "photo.png", image)
    return tmp_path / "photo.png"


def strokes():
    image = np.zeros((24, 32, 3), np.uint8)
    image[10:14, 3:8], image[4:8, 22:29] = RED, BLUE
    return image


def palette_image(path, labels, colours):
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(np.ravel(colours).tolist())
    image.save(path)
    return path


def run(*arguments):
    return cli.run(["crf", *map(str, arguments)])


def test_colours_are_labels_and_black_is_unknown(tmp_path):
    Image.fromarray(strokes()).save(tmp_path / "a.png")
    found = read_annotation(tmp_path / "a.png")
    np.testing.assert_array_equal(found.palette[found.numbers], [BLUE, RED])
    assert found.index[0, 0] == -1 and found.index[11, 4] == 1 and found.index[5, 25] == 0
    p = found.probabilities(0.9)
    np.testing.assert_allclose(p[:, 11, 4], [0.1, 0.9], rtol=1e-5)
    np.testing.assert_allclose(p[:, 0, 0], 0.5, rtol=1e-5)
    kept = read_annotation(tmp_path / "a.png", black="label")
    assert len(kept.numbers) == 3 and kept.index.min() == 0


@pytest.mark.parametrize(
    ("colours", "labels", "black_is"),
    [
        ([BLACK, RED, BLUE], [[0, 1, 2]], "unknown"),  # scribbles saved with a palette
        (voc_palette()[:3], [[0, 1, 2]], "label"),  # PASCAL VOC's background
        (np.vstack([[BLACK, RED, BLUE], np.full((253, 3), 9)]), [[0, 1, 2, 255]], "label"),
    ],
)
def test_black_in_a_palette(tmp_path, colours, labels, black_is):
    path = palette_image(tmp_path / "a.png", np.array(labels), colours)
    assert (0 in read_annotation(path).numbers) == (black_is == "label")
    assert 0 not in read_annotation(path, black="unknown").numbers
    assert 0 in read_annotation(path, black="label").numbers


def test_labels_that_do_not_occur_are_left_out(tmp_path):
    Image.fromarray(np.array([[3, 7, 255]], np.uint8)).save(tmp_path / "a.png")
    found = read_annotation(tmp_path / "a.png")
    np.testing.assert_array_equal(found.numbers, [3, 7])
    np.testing.assert_array_equal(found.index, [[0, 1, -1]])


def disk():
    y, x = np.mgrid[:48, :64]
    return (y - 24) ** 2 + (x - 30) ** 2 < 200


@pytest.mark.parametrize("name, mode", [
    ("a.png", "L"), ("a.png", "RGB"), ("a.png", "1"), ("a.png", "P"), ("a.jpg", "L"),
    ("a.jpg", "RGB"),
])  # fmt: skip
def test_a_mask_of_black_and_white_has_two_labels(tmp_path, name, mode):
    Image.fromarray(np.uint8(255) * disk()).convert(mode).save(tmp_path / name, quality=70)
    found = read_annotation(tmp_path / name)
    np.testing.assert_array_equal(found.index, disk())
    assert len(found.numbers) == 2


@pytest.mark.parametrize("colours, mode, words", [
    ([(0, 0, 0), (255, 0, 0)], "RGB", "one label only, expected 2 or more; --black label"),
    ([(7, 7, 7), (255, 255, 255)], "L", "one label only, expected 2 or more$"),
])  # fmt: skip
def test_one_label_is_refused(tmp_path, colours, mode, words):
    image = Image.fromarray(np.uint8(colours)[disk().astype(int)]).convert(mode)
    image.save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=words):
        read_annotation(tmp_path / "a.png")


def test_a_jpeg_of_colours_is_named_as_lossy(tmp_path):
    Image.fromarray(strokes()).save(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg: \d+ colours; .* JPEG, which is lossy"):
        read_annotation(tmp_path / "a.jpg")


def test_writes_the_named_image_in_the_same_colours(photo, tmp_path, capsys):
    Image.fromarray(strokes()).save(tmp_path / "a.png")
    assert run(photo, tmp_path / "a.png", "--certainty", 0.95, "-o", tmp_path / "b.png") == 0
    result = io.read_image(tmp_path / "b.png")
    assert np.all(result[:, :16] == RED) and np.all(result[:, 16:] == BLUE)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "photo.png"]
    streams = capsys.readouterr()
    assert streams.out.strip() == str(tmp_path / "b.png") and "2 labels" in streams.err


def test_steps_as_animation_and_strip(photo, tmp_path):
    Image.fromarray(strokes()).save(tmp_path / "a.png")
    options = ["--iterations", 3, "--certainty", 0.95, "-o", tmp_path / "b.png"]
    for name in ("steps.gif", "steps.png"):
        assert run(photo, tmp_path / "a.png", *options, "--steps", tmp_path / name) == 0
    with Image.open(tmp_path / "steps.gif") as animation:
        assert animation.n_frames > 1 and animation.size == (32, 24)
        animation.seek(animation.n_frames - 1)
        last = np.array(animation.convert("RGB"))
    np.testing.assert_array_equal(last, io.read_image(tmp_path / "b.png"))
    strip = io.read_image(tmp_path / "steps.png")
    assert strip.shape == (24, 4 * 32, 3)
    np.testing.assert_array_equal(strip[:, -32:], last)


def test_tall_strips_shrink_and_other_formats_are_refused(tmp_path):
    save_steps([np.zeros((600, 300, 3), np.uint8)] * 2, tmp_path / "s.png")
    assert io.read_image(tmp_path / "s.png").shape == (240, 240, 3)
    with pytest.raises(ValueError, match=r"\.gif for an animation"):
        save_steps([np.zeros((4, 4, 3), np.uint8)], tmp_path / "s.jpg")


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["-o", "a.png"], 2, "would be overwritten"),
        (["-o", "b.png", "--steps", "photo.png"], 2, "would be overwritten"),
        (["-o", "b.png", "--steps", "s.mp4"], 1, "for an animation"),
        (["-o", "b.png", "--black", "white"], 2, "black"),
        ([], 2, "Missing option"),
        (["-o", "photo.png/x/b.png"], 1, "cannot write"),
    ],
)
def test_wrong_use(photo, tmp_path, monkeypatch, capsys, options, status, message):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(strokes()).save(tmp_path / "a.png")
    assert run(photo, "a.png", *options) == status
    assert message in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "photo.png"]


def test_an_annotation_of_another_size(photo, tmp_path, capsys):
    Image.fromarray(strokes().transpose(1, 0, 2)).save(tmp_path / "a.png")
    assert run(photo, tmp_path / "a.png", "-o", tmp_path / "b.png") == 1
    assert "same height and width" in capsys.readouterr().err
    assert run(photo, tmp_path / "a.png", "-o", tmp_path / "b.png", "--steps", "s.gif") == 1


def masks(name):
    """Black left half, white right half, the border two pixels off the photo's."""
    mask = np.zeros((24, 32), np.uint8)
    mask[:, 18:] = 255
    return {
        "grey": Image.fromarray(mask),
        "rgb": Image.fromarray(np.repeat(mask[..., None], 3, 2)),
        "bilevel": Image.fromarray(mask).convert("1"),
        "palette": Image.fromarray(mask).convert("P"),
    }[name]


@pytest.mark.parametrize("name", ["grey", "rgb", "palette"])
def test_a_mask_of_black_and_white_is_refined(photo, tmp_path, name):
    masks(name).save(tmp_path / "a.png")
    assert run(photo, tmp_path / "a.png", "-o", tmp_path / "b.png") == 0
    result = io.read_image(tmp_path / "b.png")
    assert not result[:, :16].any() and (result[:, 16:] == 255).all()
    np.testing.assert_array_equal(np.unique(io.read_labels(tmp_path / "b.png")), [0, 1])


def test_a_bilevel_mask_has_two_labels(photo, tmp_path):
    masks("bilevel").save(tmp_path / "a.png")
    assert run(photo, tmp_path / "a.png", "-o", tmp_path / "b.png") == 0
    labels = io.read_labels(tmp_path / "b.png")
    np.testing.assert_array_equal(labels, np.arange(32) >= 16 + np.zeros((24, 1)))


@pytest.mark.parametrize(
    ("name", "words"), [("grey", "no pixel has a label"), ("rgb", "one label only, expected 2")]
)
def test_the_command_refuses_one_label(photo, tmp_path, capsys, name, words):
    masks(name).save(tmp_path / "a.png")
    options = ["-o", tmp_path / "b.png", "--black", "unknown"]
    assert run(photo, tmp_path / "a.png", *options) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", ["grey", "rgb"])
def test_a_lossy_mask_is_read_as_jpeg_and_refused_as_png(photo, tmp_path, capsys, name):
    path = tmp_path / "a.jpg"
    wide = masks(name).resize((320, 240)).rotate(20, Image.Resampling.BILINEAR)
    wide.resize((32, 24)).save(path, quality=60)
    assert run(photo, path, "-o", tmp_path / "b.png") == 0  # black and white, but for noise
    capsys.readouterr()
    Image.open(path).save(tmp_path / "a.png")
    assert run(photo, tmp_path / "a.png", "-o", tmp_path / "c.png") == 1
    error = capsys.readouterr().err
    assert "lossy" in error and "save it as PNG" in error and error.count("\n") == 1


def test_unknown_pixels_have_no_labels_colour_in_the_steps(photo, tmp_path):
    Image.fromarray(strokes()).save(tmp_path / "a.png")
    arguments = [photo, tmp_path / "a.png", "-o", tmp_path / "b.png", "--certainty", 0.95]
    assert run(*arguments, "--steps", tmp_path / "s.png") == 0
    first = io.read_image(tmp_path / "s.png")[:, :32]
    np.testing.assert_array_equal(first, strokes())


def test_the_frames_of_a_strip_are_numbered(tmp_path):
    frames = [np.full((100, 80, 3), 90, np.uint8)] * 3
    save_steps(frames, tmp_path / "s.png")
    strip = io.read_image(tmp_path / "s.png")
    corners = [strip[:20, 80 * k : 80 * k + 20] for k in range(3)]
    assert all((corner > 200).any() for corner in corners)
    assert not np.array_equal(corners[0], corners[1])
    assert (strip[20:] == 90).all()


def test_probabilities_get_the_colours_that_segment_gives(photo, tmp_path):
    for classes in (11, 21):
        p = np.full((classes, 24, 32), 0.01, np.float32)
        p[3] = 1 - 0.01 * (classes - 1)
        np.save(tmp_path / "p.npy", p)
        assert run(photo, tmp_path / "p.npy", "-o", tmp_path / "b.png") == 0
        palette = voc_palette()
        if classes == 11:
            palette = np.array(models.from_checkpoint(pretrained.find("camvid")).meta["palette"])
        assert (io.read_image(tmp_path / "b.png") == palette[3]).all()
