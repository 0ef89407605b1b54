"""The forget gate: its recurrence is torch's, its gradient the probe's road, drawn as computed."""

import numpy as np
import pytest
import torch

import vglab as vg
from vglab.widgets import _forget_gate as gate

OPEN = {"kind": "lstm", "bias": 3.0, "sigma_x": 0.6}


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_its_states_are_those_of_torchs_layer(kind):
    params = {"kind": kind, "bias": 1.5, "sigma_x": 0.6}
    rnn = vg.recurrent(kind, gate.WIDTH, d_in=gate.D_IN, d_out=1, forget_bias=1.5, seed=0).rnn.double()
    with torch.no_grad():
        rnn.weight_ih_l0 *= 0.6 * 3**0.5 * (gate.WIDTH / gate.D_IN) ** 0.5
    outputs, last = rnn(gate._noise())
    states = gate._unrolled(params)
    assert torch.allclose(torch.stack([h for h, _ in states], 1), outputs)
    assert torch.allclose(states[-1][1], (last[1] if kind == "lstm" else last)[0])


def test_the_input_has_the_strength_asked_for():
    rnn = vg.recurrent("lstm", gate.WIDTH, d_in=gate.D_IN, d_out=1, seed=0).rnn.double()
    assert (rnn.weight_ih_l0.std() * 3**0.5).item() == pytest.approx(gate.WIDTH**-0.5, rel=0.05)
    scaled = rnn.weight_ih_l0 * (0.6 * 3**0.5 * (gate.WIDTH / gate.D_IN) ** 0.5)
    assert (gate._noise() @ scaled.T).std().item() == pytest.approx(0.6, rel=0.05)


def test_a_gate_cut_off_from_the_state_leaves_the_path_alone(monkeypatch):
    """With all weights 0 the measured gradient of the cell is the product of the forget gates."""

    def silent(kind, width, **settings):
        model = vg.recurrent(kind, width, **settings)
        with torch.no_grad():
            for p in model.rnn.parameters():
                p.mul_(p.ndim == 1)
            model.rnn.bias_hh_l0.zero_()
            model.rnn.bias_ih_l0[: gate.WIDTH] = -50.0  # the input gate: shut
        return model

    monkeypatch.setattr(gate.nets, "recurrent", silent)
    arrays = gate.compute(OPEN)
    assert arrays["gradient"] == pytest.approx(arrays["path"], rel=1e-6)
    assert arrays["half_life"] == pytest.approx(arrays["half_life_path"], rel=1e-6)


def test_an_open_gate_keeps_longer_and_the_measured_gradient_lives_longer_than_its_path():
    lives = [gate.compute(OPEN | {"bias": b}) for b in (0.0, 1.0, 3.0)]
    assert [a["half_life"] for a in lives] == sorted(a["half_life"] for a in lives)
    assert all(a["half_life"] > a["half_life_path"] for a in lives)


def test_what_is_drawn_is_what_was_computed():
    widget = vg.widgets.forget_gate()
    widget.set(**OPEN)
    moving, arrays = widget._view.moving, widget.arrays
    assert moving["measured"].get_ydata().tolist() == arrays["gradient"].tolist()
    assert moving["gate alone"].get_ydata().tolist() == arrays["path"].tolist()
    shown = np.array([arrays["half_life"], arrays["half_life_path"]])
    assert moving["half"].get_xdata().tolist() == shown[shown < gate.STEPS].tolist()
