"""Batches, losses and class weights."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from tiny import CONFIG, scenes

from minideeplab import Tensor, use_backend
from minideeplab.models import IMAGENET
from minideeplab.training import Batches, Config, class_weights, prefetch, segmentation_loss


@pytest.fixture(autouse=True)
def numpy_backend():
    with use_backend("numpy"):
        yield


class LabelImages:
    """A data set of two given label images."""

    def __init__(self, *labels):
        self.labels = [np.array(rows, np.uint8) for rows in labels]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return np.zeros((*self.labels[i].shape, 3), np.uint8), self.labels[i]


def test_a_batch_depends_on_seed_and_number_only():
    one, two = (Batches(scenes(), IMAGENET, CONFIG) for _ in range(2))
    one(0), one(1)
    for ours, theirs in zip(one(5), two(5), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = Batches(scenes(), IMAGENET, dataclasses.replace(CONFIG, seed=8))
    assert not np.array_equal(one(5)[0], other(5)[0])


def test_every_epoch_sees_every_image_once():
    batches = Batches(scenes(), IMAGENET, CONFIG)
    epochs = [[batches.index(5 * epoch + i) for i in range(5)] for epoch in range(4)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_batch_shapes_and_types():
    images, labels = Batches(scenes(), IMAGENET, CONFIG)(0)
    assert images.shape == (2, 3, 25, 33) and images.dtype == np.float32
    assert labels.shape == (2, 25, 33) and labels.dtype == np.int64


def test_prefetch_keeps_order_and_works_in_another_thread():
    main = threading.get_ident()
    made = list(prefetch(lambda i: (i, threading.get_ident() != main), 3, 9))
    assert made == [(i, True) for i in range(3, 9)]
    assert list(prefetch(lambda i: i, 4, 4)) == []
    assert list(prefetch(lambda i: i, 4, 5)) == [4]


def test_prefetch_passes_an_error_on():
    batches = prefetch(lambda i: 1 // (2 - i), 0, 9)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(batches)


def test_loss_at_stride_is_cross_entropy_on_the_subsampled_labels():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((2, 4, 3, 4))
    labels = rng.integers(4, size=(2, 17, 25))
    labels[0, 0, 0] = labels[1, 8, 8] = 255
    grid = labels[:, ::8, ::8]
    shifted = scores - scores.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    n, i, j = np.nonzero(grid != 255)
    expected = -log_p[n, grid[n, i, j], i, j].mean()
    assert segmentation_loss(Tensor(scores), labels, at="stride").item() == pytest.approx(expected)


def test_loss_of_nothing_but_ignored_pixels_is_zero_with_zero_gradient():
    scores = Tensor(np.random.default_rng(0).standard_normal((1, 4, 3, 3)), requires_grad=True)
    loss = segmentation_loss(scores, np.full((1, 17, 17), 255))
    loss.backward()
    assert loss.item() == 0
    np.testing.assert_array_equal(scores.grad, 0)


def test_loss_at_stride_refuses_sizes_off_the_grid():
    with pytest.raises(ValueError, match="labels"):
        segmentation_loss(Tensor(np.zeros((1, 2, 3, 3))), np.zeros((1, 20, 20), int), at="stride")


def test_class_weights_by_formula():
    dataset = LabelImages([[0, 0, 0, 1]], [[0, 0, 255, 255]])
    assert class_weights("none", dataset, 3) is None
    expected = 1 / np.log(1.02 + np.array([5 / 6, 1 / 6]))
    expected = np.append(expected / expected.mean(), 1)
    np.testing.assert_allclose(class_weights("log", dataset, 3), expected)
    expected = 1 / np.sqrt(np.log(1.02 + np.array([5 / 6, 1 / 6])))
    expected = np.append(expected / expected.mean(), 1)
    np.testing.assert_allclose(class_weights("root", dataset, 3), expected)
    share = np.array([5 / 6, 1 / 4])  # class 1 occurs in the first image only
    expected = np.median(share) / share
    expected = np.append(expected / expected.mean(), 1)
    np.testing.assert_allclose(class_weights("median", dataset, 3), expected)


def test_class_weights_refuse_labels_that_are_no_class_and_empty_truth():
    with pytest.raises(ValueError, match="label 7"):
        class_weights("log", LabelImages([[7]]), 3)
    with pytest.raises(ValueError, match="no labelled pixel"):
        class_weights("log", LabelImages([[255]]), 3)


@pytest.mark.parametrize("settings, word", [
    ({"batch_size": 0}, "batch_size"), ({"schedule": "cosine"}, "schedule"),
    ({"loss_at": "stride", "crop": (240, 320)}, "crop"), ({"seed": -1}, "seed"),
    ({"crop": (100, 100)}, r"crop: \(100, 100\), expected 8k\+1 each, such as 97 97"),
    ({"scales": (1.5, 0.5)}, r"scales: \(1.5, 0.5\), expected the smaller number first"),
    ({"scales": (0.0, 1.0)}, "both above 0"), ({"patience": 2}, "patience: needs validation"),
])  # fmt: skip
def test_bad_settings_are_named(settings, word):
    with pytest.raises(ValueError, match=word):
        Config(**settings)


def test_vgg_nets_have_the_authors_solver():
    config = Config.for_model("aspp-l", batch_size=2)
    assert (config.optimizer, config.lr, config.schedule, config.power) == (
        "sgd",
        1e-3,
        "poly",
        0.9,
    )
    assert (config.iterations, config.momentum, config.weight_decay) == (20000, 0.9, 5e-4)
    assert (config.crop, config.batch_size, config.loss_at) == ((321, 321), 2, "stride")


def test_resnets_have_their_own_rate_scales_and_batches():
    config = Config.for_model("resnet101-aspp-l", iter_size=5)
    assert (config.lr, config.scales) == (2.5e-4, (0.5, 1.5))
    assert (config.batch_size, config.iter_size, config.crop) == (1, 5, (321, 321))
