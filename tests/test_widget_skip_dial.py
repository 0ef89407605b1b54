"""The skip dial: its numbers against the probe and against theory, its shares a distribution, drawn as computed."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import vglab as vg
from vglab.widgets import _skip_dial as dial

PLAIN = {"alpha": 1.0, "blocks": 20, "skip": "off", "norm": "none"}
SEEDS = 0.5  # decades: a mean over eight seeds of mean squares after twenty blocks, 64 units wide


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_stream_and_gradient_are_what_the_probe_sees_in_the_same_network(norm):
    params = {"alpha": 0.3, "blocks": 12, "skip": "on", "norm": norm}
    x, y = vg.tasks.digits().x[: dial.BATCH].double(), vg.tasks.digits().y[: dial.BATCH]
    table = vg.gradient_profile(dial.build(params), x, y)
    stream = table[table.kind == "Residual"]
    arrays = dial.compute(params)
    assert arrays["signal"][1:] / arrays["signal"][1] == pytest.approx((stream.h_rms / stream.h_rms.iloc[0]) ** 2)
    assert arrays["gradient"][1:] == pytest.approx((stream.grad_rms / stream.grad_rms.iloc[-1]) ** 2)


def test_without_skips_it_is_the_plain_network():
    model = dial.build(PLAIN)
    x, y = vg.tasks.digits().x[: dial.BATCH].double(), vg.tasks.digits().y[: dial.BATCH]
    h = model[0](x).detach().requires_grad_()
    top = h
    for block in model[1:-1]:
        top = block.branch(top)
    ends = torch.autograd.grad(F.cross_entropy(model[-1](top), y), (h, top))
    arrays = dial.compute(PLAIN)
    assert arrays["gradient"][0] == pytest.approx((ends[0].square().mean() / ends[1].square().mean()).item())
    assert arrays["share"].tolist() == [0.0] * 20 + [1.0]


@pytest.mark.parametrize("skip", ["on", "off"])
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_theory_predicts_what_the_network_does(skip, norm, alpha):
    params = {"alpha": alpha, "blocks": 20, "skip": skip, "norm": norm}
    arrays = dial.compute(params)
    runs = [dial._measure(dial.build(params, seed=seed), alpha, skip == "on") for seed in range(8)]
    signal, gradient = (np.mean([run[k] / run[k][k * -1] for run in runs], axis=0) for k in (0, 1))
    assert np.abs(np.log10(signal / arrays["signal_theory"])).max() < SEEDS
    assert np.abs(np.log10(gradient / arrays["gradient_theory"])).max() < SEEDS
    lengths = [dial.mean_length(arrays[key]) for key in ("share", "share_theory")]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.3)


def test_shares_are_those_of_a_binomial_where_all_branches_are_alike():
    shares = dial._by_length(np.full(10, 0.5))
    assert shares.sum() == pytest.approx(1)
    assert shares[3] == pytest.approx(120 * 0.5**3 / 1.5**10)
    assert dial.mean_length(shares) == pytest.approx(10 / 3)


def test_what_is_drawn_is_what_was_computed_and_the_sentence_says_it():
    w = vg.widgets.skip_dial(0.5, blocks=30)
    w.norm = "batch"
    for key in ("signal", "gradient", "share"):
        for name in (key, f"{key}_theory"):
            x, y = w._view.moving[name].get_data()
            np.testing.assert_array_equal(x, np.arange(31))
            np.testing.assert_array_equal(y, w.arrays[name])
    assert w._sentence.startswith("30 blocks with skips, with batch norm, α = 0.5: the signal's mean square")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"alpha": 1.0, "skip": "on", "norm": "none"}, "The signal explodes, the gradient explodes"),
        ({"alpha": 0.15, "skip": "on", "norm": "none"}, "Signal and gradient both hold"),
        ({"alpha": 0.3, "skip": "off", "norm": "none"}, "The signal vanishes, the gradient vanishes"),
        ({"alpha": 1.0, "skip": "off", "norm": "batch"}, "The signal holds, the gradient explodes"),
    ],
)
def test_the_headline_says_what_happens(params, words):
    w = vg.widgets.skip_dial(blocks=40)
    w.set(**params)
    assert w._view.title.get_text() == words
