"""segment(): alignment, scales, limits and the dense CRF, with networks whose output is known."""

from __future__ import annotations

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minideeplab import functional as F
from minideeplab import inference
from minideeplab.models import Preprocessing
from minideeplab.nn import BatchNorm2d, Dropout, Sequential, evaluating
from minideeplab.visualize import overlay
from minideeplab.visualize.palettes import voc_palette


class Sampler:
    """A network of stride 8 whose scores are its input at the grid points."""

    preprocessing = Preprocessing("rgb", mean=(100, 100, 100), std=(50, 50, 50))

    def __init__(self):
        self.seen = []

    def __call__(self, x):
        self.seen.append(x.shape)
        return x[:, :, ::8, ::8]


class Ruler:
    """A network whose scores tell the row and column of each grid point."""

    preprocessing = Preprocessing()

    def __call__(self, x):
        rows, columns = (np.arange(0, length, 8.0, dtype=np.float32) for length in x.shape[2:])
        return np.stack(np.meshgrid(rows, columns, indexing="ij"))[None]


def photo(height, width, seed=0):
    """Two flat halves, red and blue, with noise."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 180
    image[:, width // 2 :, 2] = 180
    return image + np.random.default_rng(seed).integers(0, 30, image.shape).astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (9, 17), (16, 16), (30, 43), (8, 65)])
def test_scores_land_on_their_pixels(size):
    image = np.zeros((*size, 3), np.uint8)
    full = inference.upsample(inference.coarse_scores(image, Ruler()), size)
    np.testing.assert_allclose(full, np.indices(size), atol=1e-4)


def test_padding_is_the_mean():
    image = np.full((5, 12, 3), 200, np.uint8)
    scores = inference.coarse_scores(image, Sampler())
    np.testing.assert_allclose(
        scores,
        np.where(np.indices((2, 3))[0] == 0, 2.0, 0.0)[None] * [[[1, 1, 0]]] * np.ones((3, 1, 1)),
    )


def test_scales_and_flip_agree_on_a_symmetric_image():
    """A position seen at any scale is the same position, up to half a pixel."""
    image = np.zeros((81, 121, 3), np.uint8)
    for scale in (0.5, 0.75, 1.5):
        scaled = inference.resize(image, scale)
        full = inference.upsample(
            inference.coarse_scores(scaled, Ruler()), scaled.shape[:2], image.shape[:2]
        )
        inner = np.s_[:, 8:-8, 8:-8]
        expected = (np.indices((81, 121)) + 0.5) * scale - 0.5
        np.testing.assert_allclose(full[inner], expected[inner], atol=0.75)


def test_flip_averages_the_mirrored_view():
    image = photo(33, 49)
    net = Sampler()
    both = inference.predict(image, net, flip=True)
    one = inference.predict(image, net)
    other = inference.predict(image[:, ::-1], net)[:, :, ::-1]
    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-6)


def test_fusions():
    image = photo(33, 49)
    net = Sampler()
    views = list(inference._views(image, net, (0.5, 1.0), False))
    softmax = [np.exp(v) / np.exp(v).sum(axis=0) for v in views]
    mean = inference.predict(image, net, (0.5, 1.0))
    np.testing.assert_allclose(mean, np.mean(softmax, axis=0), atol=1e-6)
    highest = np.exp(np.maximum(*views))
    fused = inference.predict(image, net, (0.5, 1.0), fusion="max")
    np.testing.assert_allclose(fused, highest / highest.sum(axis=0), atol=1e-6)


def test_labels_are_the_most_probable_and_probabilities_sum_to_one():
    image = photo(40, 50)
    labels, probabilities = inference.segment(image, Sampler(), crf=False)
    assert labels.shape == (40, 50) and labels.dtype == np.uint8
    assert probabilities.shape == (3, 40, 50) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(labels, probabilities.argmax(axis=0))
    assert (labels[:, :18] == 0).all() and (labels[:, -18:] == 2).all()


def test_the_crf_sharpens_what_the_network_blurs():
    image = photo(40, 50)
    truth = np.where(np.arange(50) < 25, 0, 2) * np.ones((40, 1), int)
    wrong = []
    for crf in (
        False,
        True,
        {"iterations": 5, "parameters": {"w1": 4, "sigma_alpha": 40, "sigma_beta": 15}},
    ):
        labels, probabilities = inference.segment(image, Sampler(), crf=crf)
        np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-4)
        wrong.append((labels != truth).sum())
    assert wrong[0] > 40 and wrong[1] <= wrong[0] and wrong[2] < wrong[0] / 4


def test_the_networks_own_crf_settings_are_used(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "minideeplab.crf.refine", lambda image, p, **options: (seen.append(options), p)[1]
    )
    net = Sampler()
    inference.segment(photo(20, 20), net)
    net.meta = {"crf": {"iterations": 3}}
    inference.segment(photo(20, 20), net)
    inference.segment(photo(20, 20), net, crf={"iterations": 7})
    inference.segment(photo(20, 20), net, crf=False)
    assert seen == [{}, {"iterations": 3}, {"iterations": 7}]


def test_weights_may_ask_for_views():
    net = Sampler()
    assert inference.views(net) == {"scales": (1.0,), "flip": False}
    net.meta = {"views": {"scales": [0.75, 1], "flip": True}}
    assert inference.views(net) == {"scales": (0.75, 1), "flip": True}
    assert inference.views(net, (1.0,), False) == {"scales": (1.0,), "flip": False}


def test_a_large_image_is_worked_on_at_max_side():
    net = Sampler()
    image = photo(60, 300)
    labels, probabilities = inference.segment(image, net, crf=False, max_side=100)
    assert net.seen == [(1, 3, 25, 105)]
    assert labels.shape == (60, 300) and probabilities.shape == (3, 60, 300)
    assert (labels[:, :130] == 0).all() and (labels[:, 170:] == 2).all()


def test_a_network_looks_at_images_no_larger_than_those_it_was_trained_on():
    net = Sampler()
    net.meta = {"image_size": [60, 80]}
    labels, _ = inference.segment(photo(120, 160), net, crf=False, scales=(0.5, 1.0))
    inference.segment(photo(30, 40), net, crf=False)
    assert net.seen == [(1, 3, 33, 41), (1, 3, 65, 81), (1, 3, 33, 41)]
    assert labels.shape == (120, 160)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (7, 3)])
def test_tiny_and_thin_images(size):
    labels, _ = inference.segment(photo(*size), Sampler(), scales=(0.5, 1.0), max_side=64)
    assert labels.shape == size


def test_evaluation_mode_inside_and_the_old_mode_after():
    class Net(Sequential):
        preprocessing = Preprocessing()

        def forward(self, x):
            self.inside = [module.training for module in self.modules()]
            return x[:, :, ::8, ::8]

    net = Net(Dropout(0.5), Dropout(0.5))
    next(iter(net.modules())).training = True
    list(net.modules())[2].training = False
    before = [module.training for module in net.modules()]
    inference.segment(photo(9, 9), net, crf=False)
    assert net.inside == [False] * 3
    assert [module.training for module in net.modules()] == before == [True, True, False]


def test_threads_that_share_a_net_in_training_mode_change_nothing_of_it():
    """Their runs overlap: each waits inside the network until the other one has begun or ended."""

    class Net(Sequential):
        preprocessing = Preprocessing()
        barrier = None

        def forward(self, x):
            if self.barrier is not None:
                self.barrier.wait(60)  # both are inside
                if self.order.pop():
                    self.ended.wait(60)  # the other one has left
            return super().forward(x)[:, :, ::8, ::8]

    def run(image):
        try:
            return inference.segment(image, net, crf=False)[1]
        finally:
            net.ended.set()

    net = Net(BatchNorm2d(3), Dropout(0.5))
    net.barrier, net.order, net.ended = None, [False, True], threading.Event()
    images = [photo(17, 17, seed) for seed in range(2)]
    alone = [inference.segment(image, net, crf=False)[1] for image in images]
    state = {name: array.copy() for name, array in net.state_dict().items()}
    net.barrier, net.ended = threading.Barrier(2), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        for expected, found in zip(alone, pool.map(run, images), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert all(module.training for module in net.modules())
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def test_a_net_is_trained_in_one_thread_while_another_evaluates():
    net = Sequential(Dropout(0.5))
    with evaluating(), ThreadPoolExecutor(1) as pool:
        assert not net.training and pool.submit(lambda: net.training).result()
    assert net.training


def test_most_probable_is_argmax_with_ties_to_the_first():
    p = np.random.default_rng(0).integers(0, 3, (5, 20, 20)).astype(np.float32)
    np.testing.assert_array_equal(inference.most_probable(p), p.argmax(axis=0))


def test_damaged_weights_are_said_to_be():
    class Broken(Sampler):
        def __call__(self, x):
            return x[:, :, ::8, ::8] * np.float32("nan")

    with pytest.raises(ValueError, match="not finite"):
        inference.segment(photo(9, 9), Broken(), crf=False)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"image": np.zeros((4, 4), np.uint8)}, ValueError, "image: expected uint8"),
        ({"image": np.zeros((4, 4, 3))}, ValueError, "image: expected uint8"),
        ({"image": np.zeros((0, 4, 3), np.uint8)}, ValueError, "with pixels"),
        ({"image": "a.png"}, ValueError, "image: expected uint8"),
        ({"net": lambda x: x}, TypeError, "preprocessing"),
        ({"scales": ()}, ValueError, "scales: expected"),
        ({"scales": (0.0,)}, ValueError, "scales: expected"),
        ({"fusion": "sum"}, ValueError, "fusion: expected"),
        ({"max_side": 3}, ValueError, "max_side: expected"),
    ],
)
def test_bad_arguments_are_named(changes, error, message):
    arguments = {"image": photo(9, 9), "net": Sampler(), "crf": False}
    with pytest.raises(error, match=message):
        inference.segment(**(arguments | changes))


def test_tiles_give_the_labels_of_the_whole_image():
    image, net = photo(100, 150), Sampler()
    whole, _ = inference.segment(image, Sampler(), crf=False)
    labels, probabilities = inference.segment(image, net, crf=False, tile=64, max_side=32)
    assert labels.shape == (100, 150) and probabilities.shape == (3, 100, 150)
    assert len(net.seen) == 2 * 3 and all(shape[2:] == (65, 65) for shape in net.seen)
    assert (labels == whole).mean() > 0.95  # tiles sample the noise at other points


def test_tiles_are_scaled_as_large_images_are():
    net = Sampler()
    net.meta = {"image_size": [24, 32]}
    inference.segment(photo(100, 150), net, crf=False, tile=64)
    assert all(shape[2:] == (33, 33) for shape in net.seen)


@pytest.mark.parametrize("image, words", [
    (np.full((9, 9, 3), 4095, np.uint16), r"uint16 \(9, 9, 3\); scale its range to 0..255"),
    (np.zeros((9, 9, 3), np.float32), r"float32 \(9, 9, 3\); of values in 0..1 make np.uint8"),
    (np.zeros((2, 9, 9, 3), np.uint8), r"\(2, 9, 9, 3\); segment takes one image, segment_all"),
])  # fmt: skip
def test_arrays_that_are_no_image_are_told_how_to_become_one(image, words):
    with pytest.raises(ValueError, match=words):
        inference.segment(image, Sampler())


def test_segment_all_gives_probabilities_too():
    ((labels, probabilities),) = inference.segment_all(
        [photo(30, 40)], Sampler(), crf=False, probabilities=True
    )
    expected = inference.segment(photo(30, 40), Sampler(), crf=False)
    np.testing.assert_array_equal(labels, expected[0])
    np.testing.assert_array_equal(probabilities, expected[1])


class Many(Sampler):
    """Twenty classes, whose scores differ from place to place."""

    def __call__(self, x):
        return np.concatenate([np.roll(x[:, :, ::8, ::8], k, 3) * (k % 3) for k in range(7)], 1)


@pytest.mark.parametrize("size", [(90, 61), (61, 200), (33, 33), (400, 1)])
def test_labels_in_strips_are_those_of_the_probabilities(size, monkeypatch):
    image = photo(*size)
    whole = inference.segment(image, Many(), crf=False, max_side=40)
    monkeypatch.setattr(inference, "STRIP", 7 * size[1])
    labels, probabilities = inference.segment(image, Many(), crf=False, max_side=40)
    np.testing.assert_array_equal(labels, whole[0])
    np.testing.assert_array_equal(probabilities, whole[1])
    np.testing.assert_array_equal(labels, probabilities.argmax(0))
    alone = next(inference.segment_all([image], Many(), crf=False, max_side=40))
    np.testing.assert_array_equal(alone, labels)
    working = inference.segment(inference.resize(image, 40 / max(size)), Many(), crf=False)[1]
    if max(size) > 40:
        whole = F.interpolate(working[None], size=size, mode="bilinear", align_corners=False)[0]
        np.testing.assert_allclose(probabilities, whole, rtol=0, atol=1e-6)


def test_memory_follows_max_side_not_the_image():
    image = np.zeros((3000, 4000, 3), np.uint8)
    next(inference.segment_all([image[:300]], Many(), crf=False, max_side=128))  # compiles
    tracemalloc.start()
    labels = next(inference.segment_all([image], Many(), crf=False, max_side=128))
    overlay(image, labels, voc_palette())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 260 << 20  # all probabilities: 1 GB
