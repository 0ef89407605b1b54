"""The norm switchboard: what it computes is what torch computes, and what it draws is what it computed."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import vglab as vg
from vglab.widgets import _norm_switchboard as switchboard

START = {"act": "sigmoid", "norm": "batch", "batch": 64, "depth": 20}
NORMS = ("none", "batch", "layer", "rms")


def backward_signal(params):
    """The gradient at each activation by autograd alone, relative to the last."""
    x, y = vg.tasks.digits().x[: params["batch"]].double(), vg.tasks.digits().y[: params["batch"]]
    norm = None if params["norm"] == "none" else params["norm"]
    model = vg.mlp(params["depth"], act=params["act"], sigma_w=1.0, norm=norm, seed=0).double()
    outputs, h = [], x
    for name, module in model.named_children():
        h = module(h)
        outputs += [h] * name.startswith("act")
    gradients = torch.autograd.grad(F.cross_entropy(h, y), outputs)
    signal = np.array([g.square().mean().sqrt().item() for g in gradients])
    return signal / signal[-1]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("turned", [{}, {"act": "relu", "batch": 8, "depth": 9}])
def test_the_profile_is_that_of_a_learners_network(norm, turned):
    params = START | {"norm": norm} | turned
    arrays = switchboard.compute(params)
    signal = backward_signal(params)
    assert arrays["gradient"] == pytest.approx(signal, rel=1e-6)
    assert arrays["factor"] ** (params["depth"] - 1) == pytest.approx(signal[0])


@pytest.mark.parametrize("act", ["sigmoid", "tanh", "relu", "selu", "gelu"])
@pytest.mark.parametrize("norm", NORMS)
def test_theory_foretells_the_factor(act, norm):
    arrays = switchboard.compute(START | {"act": act, "norm": norm, "depth": 30})
    predicted = arrays["gradient_theory"][0] ** (1 / 29)
    assert arrays["factor"] == pytest.approx(predicted, rel=0.05)  # one seed of 64 units


def test_the_factors_are_those_of_the_four_norms():
    factors = dict(zip(switchboard.NORMS, switchboard.compute(START | {"act": "relu"})["factors"], strict=True))
    assert factors["none"] == pytest.approx(0.5**0.5)  # Xavier's scale: half of the mean square
    assert factors["layer"] == factors["rms"] == pytest.approx(1)
    assert factors["batch"] == pytest.approx(vg.theory.batch_factor("relu", 64))


def test_only_the_batchs_norm_asks_for_the_batch_size():
    few, many = (switchboard.compute(START | {"act": "relu", "batch": batch})["factors"] for batch in (8, 128))
    assert few[1] > 1.05 * many[1]
    np.testing.assert_array_equal(np.delete(few, 1), np.delete(many, 1))


def test_it_draws_what_it_computed():
    w = vg.widgets.norm_switchboard("relu", norm="layer", batch=32, depth=12)
    moving, arrays = w._view.moving, switchboard.compute(w.params)
    for key in ("gradient", "gradient_theory"):
        np.testing.assert_array_equal(moving[key].get_ydata(), arrays[key])
        np.testing.assert_array_equal(moving[key].get_xdata(), np.arange(1, 13))
    np.testing.assert_array_equal(moving["factors"].get_xdata(), arrays["factors"])
    names = [label.get_text() for label in w._view.factors.get_yticklabels()]
    assert names[moving["factor"].get_ydata()[0]] == "LayerNorm"
    np.testing.assert_array_equal(moving["factor"].get_xdata(), [arrays["factor"]])


@pytest.mark.parametrize(
    ("turned", "words"),
    [
        ({}, "The gradient holds"),
        ({"norm": "layer"}, "The gradient vanishes: "),
        ({"act": "relu", "depth": 50}, "The gradient explodes, "),
    ],
)
def test_the_finding_follows(turned, words):
    w = vg.widgets.norm_switchboard()
    w.set(**turned)
    assert w._view.title.get_text().startswith(words)
