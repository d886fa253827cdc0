"""Learning by L-BFGS and the parameter search."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from minideeplab import backends
from minideeplab.crf import CRFParameters, DenseCRF, refine
from minideeplab.crf.learning import (
    hamming,
    intersection_over_union,
    learn,
    log_likelihood,
    pack,
    unpack,
)
from minideeplab.crf.search import Grid, Results, search
from minideeplab.evaluation import confusion_matrix, scores
from minideeplab.visualize.heat_map import save_heat_map


@pytest.fixture(autouse=True)
def definition():
    with backends.use_backend("numpy"):
        yield


def two_halves(seed, size=(14, 18), wrong=0.3):
    """Dark and bright halves, a third of the labels wrong: image, probabilities, truth."""
    rng = np.random.default_rng(seed)
    truth = (np.arange(size[1]) > 5 + seed) * np.ones((size[0], 1), int)
    image = np.clip(60 + 120 * truth[..., None] + rng.normal(0, 10, (*size, 3)), 0, 255)
    noisy = np.where(rng.random(size) < wrong, rng.integers(0, 3, size), truth)
    p = np.where(np.arange(3)[:, None, None] == noisy, 0.6, 0.2)
    return image.astype(np.uint8), p.astype(np.float32), truth


def small_crf(sample, kernel="diag", compat=0.3):
    image, p, _ = sample
    crf = DenseCRF(-np.log(p.astype(np.float64)))
    crf.add_gaussian(2, compat, kernel, "after")
    crf.add_bilateral(image, 6, 200, compat, kernel, "after")
    return crf


@pytest.mark.parametrize("objective", [log_likelihood, hamming, intersection_over_union])
def test_learning_raises_the_objective_and_carries_over(objective):
    samples = [two_halves(seed) for seed in range(3)]
    crfs = [small_crf(sample) for sample in samples[:2]]
    objectives = [objective(truth) for _, _, truth in samples[:2]]
    before = np.mean([o(c.inference(4))[0] for c, o in zip(crfs, objectives, strict=True)])
    seen = []
    learned = learn(crfs, objectives, 4, max_steps=6, progress=lambda *step: seen.append(step))
    after = np.mean([o(c.inference(4))[0] for c, o in zip(crfs, objectives, strict=True)])
    assert after > before + 0.05
    assert np.all(np.diff(learned.history) > 0) and abs(learned.history[-1] - after) < 1e-9
    assert [number for number, _ in seen] == list(range(1, len(learned.history) + 1))
    held_out, truth = small_crf(samples[2]), samples[2][2]
    plain = objective(truth)(held_out.inference(4))[0]
    unpack(held_out, pack(crfs[0]))
    assert objective(truth)(held_out.inference(4))[0] > plain + 0.03


def test_parts_that_are_not_learned_stay():
    sample = two_halves(0)
    crf = small_crf(sample, kernel="full")
    learn([crf], [hamming(sample[2])], 2, parts=["compat"], max_steps=2)
    np.testing.assert_array_equal(crf.pairwise[1].parameters, np.eye(5))
    assert crf.pairwise[1].compat != 0.3
    crf = small_crf(sample)
    learn([crf], [hamming(sample[2])], 2, parts=["kernel"], max_steps=2)
    assert crf.pairwise[1].compat == 0.3 and not np.all(crf.pairwise[1].parameters == 1)


@pytest.mark.parametrize(
    ("crfs", "objectives", "parts", "message"),
    [
        (1, 2, ["compat"], "as many"),
        (0, 0, ["compat"], "as many"),
        (1, 1, ["unary"], "parts must be among"),
        (1, 1, [], "no parameters to learn"),
    ],
)
def test_bad_learning(crfs, objectives, parts, message):
    sample = two_halves(0)
    with pytest.raises(ValueError, match=message):
        learn([small_crf(sample)] * crfs, [hamming(sample[2])] * objectives, parts=parts)


SMALL = Grid(w1=(1, 3), sigma_alpha=(4, 8), sigma_beta=(10, 30))


def test_search_finds_the_best_setting_and_refines_around_it():
    samples = [two_halves(seed) for seed in range(2)]
    result = search(samples, SMALL, 2, iterations=3, progress=False)
    assert result.mean_iou == max(result.tried.values()) and len(result.tried) > 8
    for setting in (result.best, next(iter(result.tried))):
        confusion = sum(
            confusion_matrix(refine(image, p, 3, setting).argmax(0), truth, 3)
            for image, p, truth in samples
        )
        assert abs(scores(confusion).mean_iou - result.tried[setting]) < 1e-12
    coarse = max(SMALL.settings(CRFParameters(1, 1, 1)), key=result.tried.__getitem__)
    assert abs(result.best.sigma_alpha - coarse.sigma_alpha) <= 2


def test_search_resumes_from_its_file(tmp_path, monkeypatch):
    samples, path = [two_halves(0)], tmp_path / "search.csv"
    options = {"iterations": 2, "progress": False, "csv_path": path}
    whole = search(samples, SMALL, 1, **options)
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    assert len(lines) == 9
    path.write_text("".join(lines[:5]))  # as if interrupted
    asked = []
    inference = DenseCRF.inference
    monkeypatch.setattr(DenseCRF, "inference", lambda c, n: asked.append(n) or inference(c, n))
    again = search(samples, SMALL, 1, **options)
    assert again == whole and len(asked) == 4 and path.read_text() == text
    search(samples, SMALL, 1, **(options | {"iterations": 1}))  # other numbers, same file
    assert len(asked) == 12 and len(path.read_text().splitlines()) == 17
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="expected a CSV file of a CRF search"):
        search(samples, SMALL, 1, **options)


def test_search_does_not_take_results_of_other_images_or_weights(tmp_path):
    first, second = two_halves(0), two_halves(1)
    other_weights = (first[0], first[1][::-1].copy(), first[2])
    options = {"iterations": 2, "progress": False}
    path = tmp_path / "search.csv"
    for samples in ([first], [first, second], [other_weights]):
        shared = search(samples, SMALL, 1, csv_path=path, **options)
        assert shared == search(samples, SMALL, 1, **options)
    assert len(path.read_text().splitlines()) == 1 + 3 * 8


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_search_on_any_executor(kind):
    samples = [two_halves(seed, (8, 9)) for seed in range(2)]
    grid = Grid((2,), (4,), (10, 20))
    alone = search(samples, grid, 1, iterations=1, progress=False)
    with kind(2) as executor:
        assert search(samples, grid, 1, iterations=1, progress=False, executor=executor) == alone


def test_heat_map_and_empty_search(tmp_path):
    tried = {CRFParameters(w, a, b): w * a * b / 1000 for w in (1, 2) for a in (3, 4) for b in (5,)}
    save_heat_map(tried, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="need samples"):
        search([], SMALL)
    results = Results(None, "x")
    assert CRFParameters(1, 1, 1) not in results
