"""The experiments, a few iterations each: tables, files, going on, and what they count."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from minideeplab import cli, experiments
from minideeplab.cli import experiment as command
from minideeplab.data import SyntheticScenes, open_dataset
from minideeplab.data.views import Cached, Scaled, Subset
from minideeplab.experiments import Setup, field_of_view, schedules
from minideeplab.experiments.fingerprint import fingerprint
from minideeplab.experiments.net import ExperimentNet, full_parameters
from minideeplab.experiments.net import field_of_view as pixels_seen
from minideeplab.experiments.outcome import Outcome, plot, table
from minideeplab.io import write_labels
from minideeplab.models import DeepLab
from minideeplab.models.deeplab import VARIANTS, Variant
from minideeplab.training import Config

SMALL = {
    "iterations": 3,
    "pretrain": 2,
    "batch_size": 2,
    "crop": (25, 33),
    "width": 1 / 32,
    "images": 1,
}


def setup(out, **changes):
    return Setup("shapes:3", out, **(SMALL | changes))


def test_the_command_names_every_experiment():
    assert tuple(experiments.EXPERIMENTS) == command.NAMES
    with pytest.raises(ValueError, match="figure-11"):
        experiments.run("figure-11", None)


def test_field_of_view_and_parameters_are_the_papers():
    """Table 1: 224, 128, 224, 224 pixels; 134.3, 65.1, 65.1, 20.5 million."""
    shapes = [Variant((rate,), True, kernel, channels) for kernel, rate, channels in
              field_of_view.PAPER]  # fmt: skip
    assert [pixels_seen(shape) for shape in shapes] == [224, 128, 224, 224]
    millions = [round(full_parameters(shape) / 1e6, 1) for shape in shapes]
    assert millions == [134.3, 65.1, 65.1, 20.5]
    for name in VARIANTS:
        expected = 20_505_429 if name == "largefov" else 37_877_652
        assert full_parameters(VARIANTS[name]) == expected


@pytest.mark.parametrize("name", VARIANTS)
def test_on_vgg16_the_net_is_the_authors(name):
    ours, theirs = ExperimentNet(VARIANTS[name], 5, "vgg16", 1 / 16), DeepLab(name, 5, width=1 / 16)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((1, 3, 33, 41), np.float32)
    np.testing.assert_array_equal(ours.eval()(x).data, theirs.eval()(x).data)


def test_the_small_trunk_has_the_authors_stride_and_channels():
    net = ExperimentNet(Variant((4,), kernel=7, channels=4096), 5, "small", 1 / 32)
    assert net(np.zeros((1, 3, 33, 41), np.float32)).shape == (1, 5, 5, 6)
    assert net.fc6.weight.shape == (128, 16, 7, 7)
    fine = ExperimentNet(VARIANTS["aspp-l"], 5, "small", 1 / 32, stride=4)
    assert fine(np.zeros((1, 3, 33, 41), np.float32)).shape == (1, 5, 9, 11)
    with pytest.raises(ValueError, match="trunk: 'resnet'"):
        ExperimentNet(VARIANTS["largefov"], 5, "resnet", 1)
    with pytest.raises(ValueError, match="width: 2"):
        ExperimentNet(VARIANTS["largefov"], 5, "small", 2)
    with pytest.raises(ValueError, match="stride: 4, expected 8"):
        ExperimentNet(VARIANTS["largefov"], 5, "vgg16", 1, stride=4)


def test_the_trunk_starts_from_given_weights(tmp_path):
    source = ExperimentNet(VARIANTS["largefov"], 6, "vgg16", 1 / 32, seed=9)
    np.savez(tmp_path / "vgg.npz", **{"conv1_1.weight": source.conv1_1.weight.data})
    start = setup(tmp_path, trunk="vgg16", init=str(tmp_path / "vgg.npz"), iterations=1)
    net, _ = start.trained("one", VARIANTS["largefov"], lr=1e-30)
    np.testing.assert_allclose(net.conv1_1.weight.data, source.conv1_1.weight.data, rtol=1e-5)
    assert not (tmp_path / "runs" / "trunk").exists()


def test_all_heads_start_from_one_pretrained_trunk(tmp_path):
    """Trained once and found again; with ``pretrain=0`` the trunk is random."""
    still = {"lr": 1e-30, "average": 0.0}  # an iteration changes nothing
    nets = [setup(tmp_path).trained(name, VARIANTS[name], **still)[0] for name in VARIANTS]
    scratch, _ = setup(tmp_path, pretrain=0).trained("scratch", VARIANTS["largefov"], **still)
    states = [net.state_dict()["block4.0.conv.weight"] for net in (*nets, scratch)]
    np.testing.assert_allclose(states[1], states[0])
    np.testing.assert_allclose(states[2], states[0])
    assert not np.allclose(states[3], states[0], atol=1e-3)
    with pytest.raises(ValueError, match="trunk: holds a run with another config"):
        setup(tmp_path, pretrain=3).trained("longer", VARIANTS["largefov"])


@pytest.mark.parametrize("name", ["variants", "field-of-view", "schedules", "multi-scale"])
def test_training_experiments_leave_their_files(name, tmp_path, capsys):
    flags = (
        "--data shapes:3 --iterations 3 --pretrain 1 --batch-size 2 --crop 25 33 --width 0.03125 "
        "--images 1"
    )
    assert cli.run(["experiment", name, "--out", str(tmp_path), *flags.split()]) == 0
    assert capsys.readouterr().out.startswith("# ")
    text = (tmp_path / f"{name}.md").read_text()
    assert "minideeplab experiment" in text and "--iterations 3" in text
    with open(tmp_path / f"{name}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = {"variants": 3, "field-of-view": 4, "schedules": 5, "multi-scale": 4}[name]
    assert len(rows) == expected
    for row in rows:
        values = [float(v) for k, v in row.items() if k.endswith("%") and "gain" not in k]
        assert len(values) >= 2 and all(0 <= value <= 100 for value in values)
    assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_what_is_trained_is_kept_and_other_settings_are_refused(tmp_path):
    first, trainer = setup(tmp_path).trained("one", VARIANTS["largefov"])
    written = trainer.checkpoint_path.stat().st_mtime_ns
    again, trainer = setup(tmp_path).trained("one", VARIANTS["largefov"])
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, again.state_dict()[name])
    assert trainer.iteration == 3 and trainer.checkpoint_path.stat().st_mtime_ns >= written
    with pytest.raises(ValueError, match="another config"):
        setup(tmp_path, iterations=4).trained("one", VARIANTS["largefov"])
    with pytest.raises(ValueError, match="another head"):
        setup(tmp_path).trained("one", VARIANTS["aspp-l"])


def test_schedules_keep_the_papers_proportions():
    plans = schedules.plans(Config(iterations=200, batch_size=4))
    sizes = [(plan["schedule"], plan["batch_size"], plan["iterations"]) for plan in plans]
    assert sizes == [("step", 12, 60), ("poly", 12, 60), ("poly", 12, 100), ("poly", 4, 100),
                     ("poly", 4, 200)]  # fmt: skip
    assert plans[0]["step_every"] == 20


def test_given_weights_are_scored_at_several_sizes_and_nothing_is_trained(tmp_path):
    start = setup(tmp_path, weights="shapes")
    one, *others = experiments.run("multi-scale", start).rows
    assert one["fused by max, %"] == one["by mean, %"]
    assert one["by mean, %"] == pytest.approx(start.mean_iou(start.network()))
    for row in others:
        sizes = [float(size) for size in row["sizes"].split()]
        fused = start.mean_iou(start.network(), scales=sizes, fusion="max")
        assert len(sizes) == 3 and row["fused by max, %"] == pytest.approx(fused)
    assert not (tmp_path / "runs").exists()


def test_the_trimap_ends_at_the_whole_image(tmp_path):
    start = setup(tmp_path, images=1)
    outcome = experiments.run("trimap", start)
    whole = outcome.rows[-1]
    assert whole["band, pixels"] == "whole image"
    assert whole["mean IoU, %"] == pytest.approx(start.mean_iou(start.network()))
    widths = [row["band, pixels"] for row in outcome.rows[:-1]]
    assert widths[0] == 1 and widths[-1] == 40


def test_the_crf_search_checks_what_it_found_on_other_images(tmp_path, monkeypatch):
    from minideeplab.crf.search import Grid
    from minideeplab.experiments import crf_search

    monkeypatch.setattr(crf_search, "PART", 1)
    monkeypatch.setattr(crf_search, "ROUNDS", 1)
    monkeypatch.setattr(crf_search, "SCENES", Grid((3,), (20,), (5, 20)))
    outcome = experiments.run("crf-search", setup(tmp_path / "new", images=2))
    best, *_, without, published = outcome.rows
    assert best["searched part, %"] >= outcome.rows[1]["searched part, %"]
    assert {row["sigma beta"] for row in outcome.rows[:2]} == {5, 20}
    assert all(row["rest of val, %"] > 0 for row in (best, without, published))
    assert (tmp_path / "new" / "crf-search-all.csv").exists()


def test_a_fingerprint_tells_files_of_the_same_names_apart(tmp_path):
    for name in ("train", "trainannot", "val", "valannot"):
        (tmp_path / name).mkdir()
        write_labels(tmp_path / name / "a.png", np.zeros((9, 9), np.uint8))
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    (tmp_path / "init.npz").write_bytes(b"one")
    dataset = Subset(Cached(open_dataset(f"own:{tmp_path}", "train")), range(1))
    before = fingerprint(dataset), fingerprint(dataset, str(tmp_path / "init.npz"))
    assert before[0] == fingerprint(dataset) != before[1]
    (tmp_path / "init.npz").write_bytes(b"two")
    assert fingerprint(dataset, str(tmp_path / "init.npz")) != before[1]
    write_labels(tmp_path / "trainannot" / "a.png", np.ones((9, 9), np.uint8))
    assert fingerprint(dataset) != before[0]


def test_a_table_has_every_column_and_dashes():
    rows = [{"name": "a", "x, %": 1.234, "n": 12345}, {"name": "b", "y": 0.00123}]
    assert table(rows).splitlines() == [
        "| name | x, % | n | y |",
        "| --- | ---: | ---: | --- |",
        "| a | 1.23 | 12,345 | - |",
        "| b | - | - | 0.00123 |",
    ]


def test_an_outcome_says_how_it_was_made(tmp_path):
    outcome = Outcome("Title", [{"a": 1234567, "b": 1 / 3}], plot()[0], ["a note"])
    paths = outcome.write(tmp_path / "new", "name", "minideeplab experiment name")
    assert [path.name for path in paths] == ["name.md", "name.csv", "name.png"]
    text = paths[0].read_text()
    assert text.startswith("# Title\n\n```sh\nminideeplab experiment name\n```")
    assert "- a note\n- Made on " in text
    assert paths[1].read_text() == "a,b\n1234567,0.333333\n"


def test_weights_for_other_classes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="camvid are for 11 classes, shapes:3 has 6"):
        setup(tmp_path, weights="camvid").network()


def test_a_cached_data_set_reads_each_pair_once_and_keeps_within_its_room():
    class Counting(SyntheticScenes):
        drawn = 0

        def __getitem__(self, index):
            self.drawn += 1
            return super().__getitem__(index)

    scenes = Counting(3, size=(20, 20))
    cached = Cached(scenes, megabytes=20 * 20 * 4 * 2 / 1e6)
    for _ in range(2):
        for i in range(3):
            np.testing.assert_array_equal(cached[i][0], SyntheticScenes(3, (20, 20))[i][0])
    assert scenes.drawn == 4 and len(cached) == 3 and cached.classes == scenes.classes
    part = Subset(cached, [2, 0])
    assert part.names == [scenes.names[2], scenes.names[0]]
    np.testing.assert_array_equal(part[1][1], cached[0][1])


def test_scaled_data_are_smaller_with_the_same_labels():
    scenes = SyntheticScenes(2, size=(40, 60))
    small = Scaled(scenes, 0.5)
    image, labels = small[1]
    assert image.shape == (20, 30, 3) and labels.shape == (20, 30)
    assert set(np.unique(labels)) <= set(np.unique(scenes[1][1]))
    np.testing.assert_array_equal(Scaled(scenes, 1.0)[1][0], scenes[1][0])
    with pytest.raises(ValueError, match="scale: 0"):
        Scaled(scenes, 0)


def test_the_crf_reaches_less_far_on_smaller_images(tmp_path):
    full, half = (setup(tmp_path, scale=scale).crf()["parameters"] for scale in (1.0, 0.5))
    assert (half.sigma_alpha, half.sigma_gamma) == (full.sigma_alpha / 2, full.sigma_gamma / 2)
    assert (half.w1, half.sigma_beta) == (full.w1, full.sigma_beta)
    assert Setup("voc:nowhere", tmp_path).crf()["parameters"].sigma_alpha == 121
