"""The gain dial: its factors against the probe and the profiles of theory, and its picture against its numbers."""

import numpy as np
import pytest

import vglab as vg
from vglab import theory
from vglab.widgets import _gain_dial

FLOAT32 = 1e-3  # the probe's networks are in single precision
SCALES = [0.6, 1.0, 5 / 3, 4.0]


def arrays(act="tanh", sigma_w=1.0, depth=20):
    return _gain_dial.compute({"act": act, "sigma_w": sigma_w, "depth": depth})


@pytest.mark.parametrize("depth", [10, 13])
def test_measured_factors_are_those_that_the_probe_reads(depth):
    digits, half, readings = vg.tasks.digits(), depth // 2, []
    for seed in range(_gain_dial.SEEDS):
        model = vg.mlp(depth, 64, act="relu", sigma_w=1.2, seed=seed)
        table = vg.gradient_profile(model, digits.x[:64], digits.y[:64])
        h, g = (table[table.kind == "ReLU"][key].to_numpy() for key in ("h_rms", "grad_rms"))
        readings.append([h[-1] / h[half - 1], g[half - 1] / g[-1]])
    forward, backward = np.exp(np.log(readings).mean(axis=0) / (depth - half))
    found = arrays("relu", 1.2, depth)
    assert found["forward"] == pytest.approx(forward, rel=FLOAT32)
    assert found["backward"] == pytest.approx(backward, rel=FLOAT32)


@pytest.mark.parametrize("act", ["sigmoid", "tanh", "relu", "gelu", "selu"])
@pytest.mark.parametrize("depth", [10, 15])
def test_curves_are_the_profiles_of_theory(act, depth):
    half = depth // 2
    for sigma_w, forward, backward in zip(SCALES, *_gain_dial.factors(act, depth, np.array(SCALES)), strict=True):
        q0 = _gain_dial.network.first_variance(64, sigma_w)
        h = np.sqrt(theory.mean_square(act, theory.variance_profile(act, depth, sigma_w, q0=q0)))
        g = theory.gradient_profile(act, depth, sigma_w, q0=q0)
        assert forward == pytest.approx((h[-1] / h[half - 1]) ** (1 / (depth - half)))
        assert backward == pytest.approx((g[half - 1] / g[-1]) ** (1 / (depth - half)))


@pytest.mark.parametrize("act", ["sigmoid", "tanh", "relu", "selu"])
@pytest.mark.parametrize("sigma_w", SCALES)
def test_networks_lie_on_the_curves(act, sigma_w):
    found = arrays(act, sigma_w)
    for way in ("forward", "backward"):
        assert found[way] == pytest.approx(found[f"{way}_theory"], rel=0.05)


def test_the_rules_do_what_their_names_promise():
    assert arrays("relu", 2**0.5)["backward_theory"] == pytest.approx(1)
    assert arrays("relu", 1.0)["backward_theory"] == pytest.approx(0.5**0.5)
    deep = arrays("tanh", 5 / 3, 40)
    assert deep["forward_theory"] == pytest.approx(1, abs=1e-3)
    assert deep["backward_theory"] == pytest.approx(theory.layer_factor("tanh", 5 / 3), abs=1e-3)
    assert 0.95 < arrays("tanh", 1.0, 20)["forward_theory"] < arrays("tanh", 1.0, 40)["forward_theory"] < 1


def test_the_dial_draws_what_it_computed():
    w = vg.widgets.gain_dial(2.0, act="gelu", depth=12)
    moving, found = w._view.moving, _gain_dial.compute(w.params)
    for way in ("forward", "backward"):
        np.testing.assert_array_equal(moving[f"{way} curve"].get_ydata(), found[f"{way}_curve"])
        assert [*moving[way].get_xdata(), *moving[way].get_ydata()] == [2.0, found[way]]
    assert list(moving["dial"].get_xdata()) == [2.0, 2.0]


@pytest.mark.parametrize(
    ("act", "sigma_w", "words"),
    [
        ("relu", 2**0.5, "Signal and gradient are level"),
        ("sigmoid", 1.0, "The signal is level, the gradient shrinks"),
        ("tanh", 5 / 3, "The signal is level, the gradient grows"),
        ("relu", 1.0, "The signal shrinks, the gradient shrinks"),
    ],
)
def test_the_headline_says_what_becomes_of_both(act, sigma_w, words):
    assert vg.widgets.gain_dial(sigma_w, act=act, depth=40)._view.title.get_text() == words
