"""The training strip: its training by hand is torch's, its ratios are the probe's, drawn as computed."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import vglab as vg
from vglab.widgets import _training_strip as strip
from vglab.widgets import network


@pytest.mark.parametrize("act", ["sigmoid", "tanh"])
@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.1), ("adam", 0.01)])
def test_its_training_is_torchs(act, optimizer, lr):
    model = vg.mlp(3, strip.WIDTH, act=act, sigma_w=1.0, seed=0).double()
    settings = {"sgd": (torch.optim.SGD, {"momentum": 0.9}), "adam": (torch.optim.Adam, {})}[optimizer]
    made = settings[0](model.parameters(), lr=lr, **settings[1])
    x, y = network.batch(1024)
    losses, ratios = [], []
    for rows in np.random.default_rng(0).integers(len(x), size=(strip.STEPS, strip.BATCH))[:40]:
        made.zero_grad()
        loss = F.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        before = [p.detach().clone() for p in model.parameters() if p.ndim == 2]
        made.step()
        losses.append(loss.item())
        now = [p.detach() for p in model.parameters() if p.ndim == 2]
        ratios.append([((p - b).norm() / b.norm()).item() for p, b in zip(now, before, strict=True)])
    arrays = strip.compute({"depth": 3, "act": act, "optimizer": optimizer, "lr": lr})
    assert arrays["loss"][:40] == pytest.approx(losses, rel=1e-6)
    medians = np.median(np.reshape(ratios, (8, strip.EVERY, 4)), axis=1).T
    assert arrays["ratio"][:, :8] == pytest.approx(medians, rel=1e-6)


def test_the_plateau_ends_at_the_first_loss_below_two():
    arrays = strip.compute(strip.PRESETS["a plateau"])
    end = int(arrays["plateau"])
    assert (arrays["loss"][:end] >= 2).all()
    assert arrays["loss"][end] < 2
    assert strip.compute(strip.PRESETS["stalled"])["plateau"] == strip.STEPS


def test_what_is_drawn_is_what_was_computed():
    widget = vg.widgets.training_strip()
    widget.set(**strip.PRESETS["no plateau"])
    moving, arrays = widget._view.moving, widget.arrays
    assert moving["loss"].get_ydata().tolist() == arrays["loss"].tolist()
    shown = np.asarray(moving["image"].get_array())
    assert shown == pytest.approx(np.clip(arrays["ratio"], strip._LOW, strip._HIGH))
    assert tuple(moving["image"].get_extent()) == (0, strip.STEPS, 0, 4)
    assert [text.get_text() for text in widget._view.strip.get_yticklabels()] == [
        "layer 1",
        "layer 2",
        "layer 3",
        "read-out",
    ]
