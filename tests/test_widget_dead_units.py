"""The dead-unit map: what it counts agrees with torch and with the probe, and it is what is drawn."""

import numpy as np
import pytest
import torch
from torch import nn

import vglab as vg
from vglab.widgets import dead_units

HE = 2**0.5


def learners_network(bias, sigma_w, leak):
    model = vg.mlp(dead_units.DEPTH, 64, act=nn.LeakyReLU(leak) if leak else "relu", sigma_w=sigma_w, seed=0).double()
    for layer in model[:-1:2]:
        nn.init.constant_(layer.bias, bias)
    return model


def profile(model):
    digits = vg.tasks.digits()
    table = vg.gradient_profile(model, digits.x[: dead_units.BATCH].double(), digits.y[: dead_units.BATCH])
    return table[table.layer.str.startswith("act")]


@pytest.mark.parametrize(("bias", "sigma_w", "leak"), [(0.0, HE, 0.0), (-0.1, HE, 0.0), (0.1, 0.58, 0.0)])
def test_the_map_counts_what_the_probe_counts(bias, sigma_w, leak):
    arrays = dead_units.compute({"bias": bias, "sigma_w": sigma_w, "leak": leak})
    rows = profile(learners_network(bias, sigma_w, leak))
    assert (arrays["on"] == 0).mean(0) == pytest.approx(rows.dead.to_numpy())
    assert arrays["dead"] == pytest.approx(rows.dead.mean())
    assert arrays["arrives"] == pytest.approx(rows.grad_rms.iloc[0] / rows.grad_rms.iloc[-1])


def test_a_cell_is_the_share_of_digits_for_which_the_unit_is_on():
    arrays = dead_units.compute({"bias": -0.2, "sigma_w": HE, "leak": 0.1})
    h = vg.tasks.digits().x[: dead_units.BATCH].double()
    model = learners_network(-0.2, HE, 0.1)
    with torch.no_grad():
        third, last = model[:6](h), model[:-1](h)
    assert arrays["on"][:, 2] == pytest.approx((third > 0).double().mean(0).numpy())
    assert arrays["on"][:, -1] == pytest.approx((last > 0).double().mean(0).numpy())


def test_with_a_leak_units_are_off_and_not_dead():
    params = {"bias": -0.5, "sigma_w": HE, "leak": 0.1}
    arrays = dead_units.compute(params)
    assert (arrays["on"] == 0).mean() > 0.3
    assert arrays["dead"] == 0
    assert arrays["arrives"] > 0
    assert "pass on 0.1 of the gradient, so none is dead" in dead_units.describe(params, arrays)
    assert dead_units.compute(params | {"leak": 0.0})["dead"] > 0.3


def test_the_sentence_says_when_no_gradient_arrives():
    params = {"bias": -1.5, "sigma_w": 0.4, "leak": 0.0}
    arrays = dead_units.compute(params)
    assert arrays["arrives"] == 0
    assert dead_units.describe(params, arrays).endswith("from layer 12 back to layer 1 the gradient does not arrive.")


def test_drawn_is_what_was_counted_with_the_busiest_on_top():
    panel = vg.widgets.dead_unit_map(-0.1, leak=0.05)
    drawn, on = np.asarray(panel._view.moving["image"].get_array()), panel.arrays["on"]
    assert (np.diff(drawn, axis=0) <= 0).all()
    assert np.sort(drawn, axis=0) == pytest.approx(np.sort(on, axis=0))
    assert panel._view.moving["subtitle"].get_text().startswith("12 layers, b = −0.1,")
    assert panel._view.moving["title"].get_text().endswith("are never on, none is dead")
    panel.leak = 0
    dead = f"{100 * panel.arrays['dead'].item():.0f} % of the units are dead on these digits"
    assert panel._view.moving["title"].get_text() == dead


def test_digits_of_the_network_stay_as_they_were():
    x, _ = dead_units.network.batch(dead_units.BATCH)
    before = x.clone()
    dead_units.compute({"bias": 0.0, "sigma_w": HE, "leak": 0.0})
    assert torch.equal(x, before)
