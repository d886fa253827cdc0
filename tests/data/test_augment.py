"""Random views: image and labels move together, and chance comes from the generator alone."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab.data import augment


def coordinates(height, width):
    """An image whose colour says where a pixel came from, and labels equal to its column."""
    y, x = np.indices((height, width)).astype(np.uint8)
    return np.stack([y, x, y], axis=2), x


def test_labels_follow_the_image_through_scale_crop_and_mirror():
    image, labels = coordinates(60, 80)
    mirrored = 0
    for seed in range(40):
        view, truth = augment(image, labels, np.random.default_rng(seed), (33, 41))
        assert view.shape == (33, 41, 3) and truth.shape == (33, 41)
        inside = truth != 255
        off = view[:, :, 1].astype(int) - truth
        assert np.abs(off[inside]).max() <= 2  # bilinear against nearest
        assert ((view == (123, 117, 104)).all(axis=2) | inside).all()
        columns = np.where(inside, truth, 0).max(axis=0).astype(int)
        mirrored += columns[0] > columns[20]
    assert 10 <= mirrored <= 30


def test_scale_one_and_a_crop_of_the_same_size_is_the_identity():
    image, labels = coordinates(20, 30)
    view = augment(image, labels, np.random.default_rng(0), (20, 30), scales=(1, 1), mirror=False)
    np.testing.assert_array_equal(view[0], image)
    np.testing.assert_array_equal(view[1], labels)


def test_what_is_too_small_is_padded_at_the_bottom_and_the_right():
    image, labels = coordinates(20, 30)
    view, truth = augment(
        image,
        labels,
        np.random.default_rng(0),
        (25, 33),
        scales=(1, 1),
        mirror=False,
        fill=(1, 2, 3),
    )
    np.testing.assert_array_equal(truth[:20, :30], labels)
    assert (truth[20:] == 255).all() and (truth[:, 30:] == 255).all()
    assert (view[20:] == (1, 2, 3)).all()


def test_a_set_of_scales_is_chosen_from_and_a_pair_is_a_range():
    image, labels = coordinates(40, 40)
    for scales, expected in (((0.5, 1.0, 0.25), {20, 40, 10}), ((0.5, 0.9), set(range(20, 37)))):
        rng = np.random.default_rng(3)
        heights = set()
        for _ in range(60):
            _, truth = augment(image, labels, rng, (50, 50), scales=scales)
            heights.add(int((truth != 255).any(axis=1).sum()))
        assert heights <= expected and len(heights) >= min(3, len(expected))


def test_same_state_same_view_and_inputs_stay():
    image, labels = coordinates(40, 50)
    kept = image.copy(), labels.copy()
    views = [
        augment(image, labels, np.random.default_rng([5, 7]), (32, 32), jitter=0.3)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(views[0][0], views[1][0])
    np.testing.assert_array_equal(views[0][1], views[1][1])
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(labels, kept[1])
    views[0][0][:] = 0  # the view is the caller's to change


def test_jitter_changes_colours_but_not_labels():
    image, labels = coordinates(40, 50)
    image = image * 3 + 20
    views = [
        augment(image, labels, np.random.default_rng(s), (40, 50), (1, 1), False, jitter=0.4)
        for s in range(20)
    ]
    assert all((truth == labels).all() for _, truth in views)
    brightness = [view.mean() for view, _ in views]
    assert np.std(brightness) > 5 and abs(np.mean(brightness) - image.mean()) < 25


def test_jitter_tints_grey_in_every_direction():
    grey, labels = np.full((8, 8, 3), 120, np.uint8), np.zeros((8, 8), np.uint8)
    views = [
        augment(grey, labels, np.random.default_rng(s), (8, 8), (1, 1), jitter=0.4)[0][0, 0]
        for s in range(40)
    ]
    strongest = {int(view.argmax()) for view in views if np.ptp(view.astype(int)) > 4}
    assert strongest == {0, 1, 2}
    assert max(np.ptp(view.astype(int)) for view in views) < 70


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((4, 4, 3))}, "image: expected uint8"),
        ({"labels": np.zeros((4, 5), np.uint8)}, "labels: expected"),
        ({"crop": (0, 4)}, "crop: expected"),
        ({"scales": (0.0, 1.0)}, "scales: expected"),
        ({"jitter": 1.0}, "jitter: expected"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    arguments = {
        "image": np.zeros((4, 4, 3), np.uint8),
        "labels": np.zeros((4, 4), np.uint8),
        "rng": np.random.default_rng(0),
        "crop": (4, 4),
    }
    with pytest.raises(ValueError, match=message):
        augment(**(arguments | changes))
