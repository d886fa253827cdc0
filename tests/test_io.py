"""Images of every kind in, label images out, and files that are whole or absent."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minideeplab import io
from minideeplab.files import lock
from minideeplab.visualize.palettes import voc_palette

RED = np.zeros((6, 8, 3), np.uint8) + np.array([255, 0, 0], np.uint8)


@pytest.fixture
def stripes():
    """An image without symmetry, so that a turn or flip shows."""
    image = np.zeros((6, 8, 3), np.uint8)
    image[0, :, 0] = 200
    image[:, 0, 1] = 90
    image[4, 5] = (7, 120, 250)
    return image


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "ppm"])
def test_lossless_formats_come_back_exactly(tmp_path, stripes, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(stripes).save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(io.read_image(path), stripes)


def test_palette_gif_and_one_bit(tmp_path):
    Image.fromarray(RED).convert("P").save(tmp_path / "p.png")
    Image.fromarray(RED).save(tmp_path / "g.gif")
    Image.fromarray(RED[:, :, 0] * np.uint8(1)).convert("1").save(tmp_path / "b.png")
    for name in ("p.png", "g.gif"):
        np.testing.assert_array_equal(io.read_image(tmp_path / name), RED)
    assert (io.read_image(tmp_path / "b.png") == 255).all()


def test_animation_gives_the_first_frame(tmp_path):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("blue", "red", "green")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (io.read_image(tmp_path / "a.gif") == (0, 0, 255)).all()


def test_sixteen_bit_grey_keeps_its_upper_bits(tmp_path):
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.png")[0, :, 1], [0, 1, 127, 255])


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_float_grey_in_either_range(tmp_path, scale):
    values = np.array([[0, 0.5, 1.0]], np.float32) * np.float32(scale)
    Image.fromarray(values).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.tif")[0, :, 0], [0, 128, 255])


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = (0, 51, 255)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.png")[0, :, 0], [255, 204, 0])


def test_transparent_palette_entry(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([9, 9, 9, 0, 0, 255])
    image.save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.png")[0], [[255] * 3, [0, 0, 255]])


def test_cmyk(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.tif")[0, 0], [255, 0, 0])


def test_exif_rotation_is_applied(tmp_path, stripes):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown upright after a quarter turn clockwise
    Image.fromarray(stripes).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.png"), np.rot90(stripes, -1))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not an image"), (b"<html>404</html>", "not an image"), (None, "cannot be decoded")],
)
def test_damaged_files_are_value_errors_with_the_name(tmp_path, stripes, content, message):
    path = tmp_path / "bad.png"
    if content is None:
        Image.fromarray(stripes.repeat(40, 0).repeat(40, 1)).save(path)
        content = path.read_bytes()[:-200]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"bad\.png: {message}"):
        io.read_image(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        io.read_image(tmp_path / "none.png")
    with pytest.raises(ValueError, match="got a folder"):
        io.read_image(tmp_path)


# ---------------------------------------------------------------- labels


def test_labels_survive_a_round_trip_with_their_colours(tmp_path):
    labels = np.array([[0, 1, 20], [255, 7, 15]], np.uint8)
    io.write_labels(tmp_path / "a.png", labels, voc_palette(21))
    np.testing.assert_array_equal(io.read_labels(tmp_path / "a.png"), labels)
    colours = np.array(Image.open(tmp_path / "a.png").convert("RGB"))
    assert tuple(colours[0, 2]) == (0, 64, 128) and tuple(colours[1, 0]) == io.VOID_COLOUR


def test_colour_labels_need_a_palette(tmp_path):
    palette = np.array([(10, 20, 30), (0, 0, 200)], np.uint8)
    labels = np.array([[1, 0, 255]], np.uint8)
    io.write_image(tmp_path / "a.png", io.full_palette(palette)[labels])
    np.testing.assert_array_equal(io.read_labels(tmp_path / "a.png", palette), labels)
    with pytest.raises(ValueError, match="labels are colours"):
        io.read_labels(tmp_path / "a.png")
    with pytest.raises(ValueError, match="#0000c8"):
        io.read_labels(tmp_path / "a.png", palette[:1])


def test_sixteen_bit_labels(tmp_path):
    Image.fromarray(np.array([[3, 255]], np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(io.read_labels(tmp_path / "a.png"), [[3, 255]])
    Image.fromarray(np.array([[3, 256]], np.uint16)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match="3 to 256"):
        io.read_labels(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((2, 2)), "expected .H, W. integers"),
        (np.zeros((2, 2, 1), int), "expected .H, W. integers"),
        (np.full((2, 2), 3), "found 3"),
        (np.full((2, 2), -1), "found -1"),
    ],
)
def test_labels_that_cannot_be_written(tmp_path, labels, message):
    with pytest.raises(ValueError, match=message):
        io.write_labels(tmp_path / "a.png", labels, np.zeros((3, 3), np.uint8))
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- files


def test_atomic_write_leaves_the_old_file_when_the_writer_fails(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), io.atomic_write(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with io.atomic_write(target) as temporary:
        assert temporary.suffix == ".txt" and temporary.parent == tmp_path.resolve()
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("name", ["a.npz", "a[1].npz", "noSuffix"])
def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path, monkeypatch, name):
    monkeypatch.setattr(Path, "unlink", lambda path: None)  # as if killed before it tidies up
    with pytest.raises(RuntimeError), io.atomic_write(tmp_path / name) as temporary:
        temporary.touch()
        raise RuntimeError
    monkeypatch.undo()
    for other in (name, "." + name, f".b-01234567{temporary.suffix}"):
        (tmp_path / other).touch()
    assert temporary.exists()
    io.remove_unfinished(tmp_path / name)
    assert {p.name for p in tmp_path.iterdir()} == {
        name,
        "." + name,
        f".b-01234567{temporary.suffix}",
    }


def test_atomic_write_goes_through_links_and_spares_devices(tmp_path):
    if os.name == "nt":
        pytest.skip("links and devices of POSIX")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with io.atomic_write(tmp_path / "link") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "x"
    with pytest.raises(ValueError, match="device"), io.atomic_write(os.devnull):
        pass


def test_require_writable_names_the_folder(tmp_path):
    assert io.require_writable(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write to the folder .*file"):
        io.require_writable(tmp_path / "file" / "under")
    assert not list((tmp_path / "a" / "b").iterdir())


def test_expand_files_folders_and_globs(tmp_path):
    for name in ("b.jpg", "a.PNG", "c.gif", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    a, b, c = tmp_path / "a.PNG", tmp_path / "b.jpg", tmp_path / "c.gif"
    assert io.expand([b, tmp_path]) == [b, a, c]
    assert io.expand(str(tmp_path / "*.[jg]*")) == [b, c]
    assert io.expand([tmp_path / "none.jpg"]) == [tmp_path / "none.jpg"]
    with pytest.raises(ValueError, match="without images"):
        io.expand(tmp_path / "empty")


def test_a_name_with_brackets_is_a_name_first(tmp_path):
    odd = tmp_path / "a[1].png"
    odd.touch()
    assert io.expand(odd) == [odd]


def test_leftovers_of_killed_writes_are_no_images(tmp_path):
    """What kill -9 leaves of a write to photo.png is not segmented."""
    kill = (
        "import os, signal, sys\n"
        "from minideeplab.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as path:\n"
        "    path.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    io.write_image(tmp_path / "photo.png", np.zeros((4, 5, 3), np.uint8))
    subprocess.run([sys.executable, "-c", kill, tmp_path / "photo.png"])
    assert len(list(tmp_path.iterdir())) == 2
    assert io.expand(tmp_path) == [tmp_path / "photo.png"]


def test_a_full_disk_is_reported_with_the_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left.*photo\.png"):
        io.write_image(tmp_path / "photo.png", np.zeros((4, 5, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_a_lock_is_held_by_one_thread_and_released_at_the_end(tmp_path):
    pytest.importorskip("fcntl")
    inside, order = threading.Event(), []

    def second():
        inside.set()
        with lock(tmp_path / ".lock"):
            order.append("second")

    with lock(tmp_path / ".lock"):
        thread = threading.Thread(target=second)
        thread.start()
        inside.wait(60)
        with pytest.raises(BlockingIOError), lock(tmp_path / ".lock", wait=False):
            pass
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"] and not list(tmp_path.iterdir())
