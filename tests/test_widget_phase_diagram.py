"""The phase diagram: its map against theory, its network against the probe, and its picture against its numbers."""

import numpy as np
import pytest

import vglab as vg
from vglab import theory
from vglab.widgets import _phase_diagram


def arrays(act="tanh", sigma_w=1.0, sigma_b=0.2):
    return _phase_diagram.compute({"act": act, "sigma_w": sigma_w, "sigma_b": sigma_b})


def test_the_map_is_theory_at_its_points():
    xi, chi = _phase_diagram.plane("tanh")
    for i, j in [(3, 10), (20, 45), (39, 30)]:
        point = "tanh", _phase_diagram.SIGMA_W[j], _phase_diagram.SIGMA_B[i]
        assert chi[i, j] == pytest.approx(theory.chi(*point), rel=1e-4)
        assert xi[i, j] == pytest.approx(np.clip(theory.depth_scales(*point)[1], 1, 100), rel=1e-3)


def test_the_edge_is_the_critical_line():
    sigma_w, sigma_b = _phase_diagram.edge("tanh")
    assert len(sigma_w) == len(_phase_diagram.SIGMA_B)
    np.testing.assert_allclose(sigma_w[1:], theory.critical_line("tanh", sigma_b[1:]), atol=0.01)
    assert _phase_diagram.edge("sigmoid").size == 0  # ordered everywhere on this map


def test_the_gradient_is_that_of_the_probe():
    digits = vg.tasks.digits()
    model = vg.mlp(30, 64, act="tanh", sigma_w=1.2, sigma_b=0.2, seed=0)
    table = vg.gradient_profile(model, digits.x[:32], digits.y[:32])
    profile = table[table.kind == "Tanh"].grad_rms.to_numpy()
    assert arrays(sigma_w=1.2)["gradient"] == pytest.approx(profile / profile[-1], rel=1e-3)


@pytest.mark.parametrize(("sigma_w", "end"), [(0.8, 1.0), (2.5, theory.c_star("tanh", 2.5, 0.2))])
def test_cosines_end_where_theory_says(sigma_w, end):
    found = arrays(sigma_w=sigma_w)
    assert found["cosine_theory"][-1] == pytest.approx(end, abs=0.01)
    assert found["cosine"][-1] == pytest.approx(end, abs=0.2)  # one network 64 units wide


def test_the_panel_draws_what_it_computed():
    w = vg.widgets.phase_diagram(1.7, sigma_b=0.4)
    moving, found = w._view.moving, _phase_diagram.compute(w.params)
    for name in ("gradient", "gradient_theory", "cosine", "cosine_theory"):
        np.testing.assert_array_equal(moving[name].get_ydata(), found[name])
    assert [*moving["cursor"].get_xdata(), *moving["cursor"].get_ydata()] == [1.7, 0.4]
    assert w._view.title.get_text() == "The chaotic phase"
