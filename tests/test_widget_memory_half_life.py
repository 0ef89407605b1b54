"""The memory's half-life: its gradients against the probe's, its factor against theory, drawn as computed."""

import numpy as np
import pytest

import vglab as vg
from vglab.widgets import _memory_half_life as half_life

LOUD = {"sigma_w": 1.5, "sigma_x": 1.0, "init": "normal"}
FACTOR = 0.04  # one network 128 units wide, a hundred steps; against infinite width


def test_the_gradient_is_what_the_probe_sees_in_the_same_network():
    model = vg.recurrent(
        "rnn", half_life.WIDTH, d_in=half_life.D_IN, d_out=1, sigma_w=1.5, sigma_x=1.0, seed=0
    ).double()
    with vg.probe(model) as seen:  # its read-out is another, on which the slope hardly depends
        model(half_life._noise().transpose(0, 1)).sum().backward()
    rms = seen.table.query("layer == 'rnn.l0'").grad_rms.to_numpy()[::-1]
    measured = half_life.compute(LOUD)["gradient"]
    slopes = [np.polyfit(range(90), np.log(profile[:90]), 1)[0] for profile in (rms, measured)]
    assert slopes[0] == pytest.approx(slopes[1], rel=0.05)


@pytest.mark.parametrize("sigma_w", [0.5, 1.0, 1.5, 2.5])
@pytest.mark.parametrize("sigma_x", [0.5, 1.5])
def test_theory_predicts_the_factor(sigma_w, sigma_x):
    arrays = half_life.compute({"sigma_w": sigma_w, "sigma_x": sigma_x, "init": "normal"})
    assert arrays["factor"] == pytest.approx(arrays["factor_theory"], abs=FACTOR * max(1, arrays["factor_theory"]))


def test_felt_is_the_last_lag_above_a_hundredth():
    arrays = half_life.compute(LOUD)
    assert arrays["gradient"][arrays["felt"]] >= 0.01
    assert (arrays["gradient"][arrays["felt"] + 1 :] < 0.01).all()
    assert half_life.compute(LOUD | {"sigma_w": 2.5, "sigma_x": 0.5})["felt"] == half_life.STEPS - 1


def test_an_orthogonal_matrix_has_the_radius_of_its_scale():
    arrays = half_life.compute({"sigma_w": 1.3, "sigma_x": 0.2, "init": "orthogonal"})
    assert arrays["radius"] == pytest.approx(1.3)


def test_what_is_drawn_is_what_was_computed():
    widget = vg.widgets.memory_half_life()
    widget.set(**LOUD)
    moving = widget._view.moving
    assert moving["measured"].get_ydata().tolist() == widget.arrays["gradient"].tolist()
    assert moving["theory"].get_ydata().tolist() == widget.arrays["theory"].tolist()
    assert moving["felt"].get_width() == widget.arrays["felt"]
    assert str(widget.arrays["felt"]) in moving["title"].get_text()
