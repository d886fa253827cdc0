"""The bundled weights: found by name, small, described, and as accurate as documented."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import data, models, pretrained
from minideeplab.training import evaluate


def test_found_by_name_or_as_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.npz").touch()
    assert pretrained.find("mine.npz").name == "mine.npz"
    with pytest.raises(FileNotFoundError, match="camvid, shapes"):
        pretrained.find("nonsense")


def test_together_they_are_small():
    assert sum(pretrained.find(name).stat().st_size for name in pretrained.NAMES) < 10e6


@pytest.mark.parametrize("name", pretrained.NAMES)
def test_they_say_what_they_are(name):
    net = models.from_checkpoint(pretrained.find(name))
    assert len(net.meta["classes"]) == net.num_classes == len(net.meta["palette"])
    assert not any(module.training for module in net.modules())
    assert all(np.isfinite(value).all() for value in net.state_dict().values())


def test_shapes_knows_its_scenes():
    from minideeplab.evaluation import scores

    net = models.from_checkpoint(pretrained.find("shapes"))
    unseen = data.SyntheticScenes(12, seed=77)
    plain, refined = (scores(evaluate(net, unseen, crf=crf)).mean_iou for crf in (False, True))
    assert plain > 0.6 and refined > plain
