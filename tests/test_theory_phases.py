"""Correlations and phases: against closed forms for erf and ReLU, against the papers, and against real networks."""

import doctest
import importlib
import math
import pkgutil
import warnings

import numpy as np
import pytest
import torch

from vglab import theory
from vglab.activations import NAMES
from vglab.nets import mlp
from vglab.theory.gaussian import mean_square
from vglab.theory.tables import LogTable

CS = np.array([-1, -0.9, -0.3, 0, 0.4, 0.99, 1 - 1e-8, 1])
DIAGRAM = 1e-6  # relative: what `phase_diagram` promises


def erf_product(c, q):
    """E[erf(z1) erf(z2)], Williams (1997)."""
    return 2 / math.pi * np.arcsin(2 * q * c / (1 + 2 * q))


def erf_end(q, sigma_w, sigma_b):
    """c* of erf and 1 - the slope there, by bisection on the closed form."""
    low, high = 0.0, 1 - 1e-7
    for _ in range(60):
        c = (low + high) / 2
        low, high = (c, high) if sigma_w**2 * erf_product(c, q) + sigma_b**2 > q * c else (low, c)
    a = 2 * q / (1 + 2 * q)
    return c, 1 - sigma_w**2 / q * 2 / math.pi * a / math.sqrt(1 - (a * c) ** 2)


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(theory.__path__)])
def test_examples_in_the_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"vglab.theory.{name}")).failed == 0


@pytest.mark.parametrize("q", [1e-6, 0.3, 2.0, 100.0])
def test_relu_against_the_arc_cosine_kernels(q):
    theta = np.arccos(CS)  # Cho and Saul (2009), degrees 1 and 0, halved
    kernel = q / (2 * math.pi) * (np.sin(theta) + (math.pi - theta) * CS)
    np.testing.assert_allclose(theory.mean_product("relu", CS, q), kernel, rtol=1e-12, atol=1e-14 * q)
    np.testing.assert_allclose(theory.slope_product("relu", CS, q), (math.pi - theta) / (2 * math.pi), atol=1e-14)


@pytest.mark.parametrize(("q", "error"), [(1e-4, 1e-13), (1.0, 1e-13), (16.0, 1e-9), (100.0, 1e-7), (1e4, 1e-6)])
def test_erf_against_its_closed_form(q, error):
    np.testing.assert_allclose(theory.mean_product(torch.erf, CS, q), erf_product(CS, q), atol=error)


@pytest.mark.parametrize("act", NAMES)
def test_products_at_the_ends_are_the_averages_of_one(act):
    q = np.array([0.1, 1.0, 9.0])
    np.testing.assert_allclose(theory.mean_product(act, 1.0, q), theory.mean_square(act, q), rtol=1e-9)
    np.testing.assert_allclose(theory.mean_product(act, 0.0, q), theory.mean(act, q) ** 2, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(theory.slope_product(act, 1.0, q), theory.rms_slope(act, q) ** 2, rtol=1e-8)


@pytest.mark.parametrize("act", ["tanh", "gelu", "selu", torch.sin])
def test_slopes_are_derivatives(act):
    c, step, q = np.array([-0.5, 0.1, 0.8]), 1e-4, 2.0
    rise = (theory.mean_product(act, c + step, q) - theory.mean_product(act, c - step, q)) / (2 * step)
    np.testing.assert_allclose(q * theory.slope_product(act, c, q), rise, rtol=1e-6)
    up, down = theory.mean_square(act, q + step), theory.mean_square(act, q - step)
    assert theory.mean_square_slope(act, q) == pytest.approx((up - down) / (2 * step), rel=1e-6)


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1.2, 0.1), (1.5, 0.05), (3.0, 0.5), (10.0, 0.3)])
def test_c_star_against_erf(sigma_w, sigma_b):
    c, gap = erf_end(theory.q_star(torch.erf, sigma_w, sigma_b), sigma_w, sigma_b)
    assert theory.c_star(torch.erf, sigma_w, sigma_b) == pytest.approx(c, abs=DIAGRAM)
    assert 1 - theory.correlation_slope(torch.erf, sigma_w, sigma_b) == pytest.approx(gap, rel=DIAGRAM)


def test_c_star_is_where_correlations_go():
    for start in (0.05, 0.999):
        c = start
        for _ in range(300):
            c = theory.correlation_map("tanh", c, 1.8, 0.2, q=theory.q_star("tanh", 1.8, 0.2))
        assert c == pytest.approx(theory.c_star("tanh", 1.8, 0.2), abs=1e-7)
    assert theory.c_star("tanh", 1.0, 0.3) == 1
    assert math.isnan(theory.c_star("relu", 2.0))  # the variance diverges
    assert theory.correlation_slope("tanh", 0.8, 0.3) == pytest.approx(theory.chi("tanh", 0.8, 0.3))


@pytest.mark.parametrize(("act", "sigma_w", "sigma_b"), [("tanh", 1.5, 0.3), ("relu", 1.2, 0.5)])
def test_correlations_in_real_networks(act, sigma_w, sigma_b):
    """Two inputs 0.5 apart through ten layers of 1000 units: within 0.06 of the map, three seeds averaged."""
    q, c, seen = theory.q_star(act, sigma_w, sigma_b), 0.5, []
    for _ in range(9):
        c = theory.correlation_map(act, c, sigma_w, sigma_b)
    for seed in range(3):
        model = mlp(10, 1000, act=act, sigma_w=sigma_w, sigma_b=sigma_b, d_in=1000, seed=seed)
        # Unit vectors at 60 degrees, scaled so that the first preactivations have variance q and correlation 0.5.
        length = ((q - sigma_b**2) / sigma_w**2) ** 0.5
        cosine = (0.5 * q - sigma_b**2) / (q - sigma_b**2)
        x = torch.zeros(2, 1000)
        x[0, 0], x[1, 0], x[1, 1] = 1, cosine, (1 - cosine**2) ** 0.5
        with torch.no_grad():
            z = model[:-2](x * length * 1000**0.5).double()
        seen.append(float(z[0] @ z[1] / (z[0].norm() * z[1].norm())))
    assert np.mean(seen) == pytest.approx(c, abs=0.06)


def test_depth_scales():
    # Schoenholz et al. (2017), tanh with sigma_b^2 = 0.05: 6 xi_c as recomputed for the course
    stated = {0.6: 9, 0.9: 17, 1.2: 36, 2.8: 59, 3.2: 51, 4.0: 42}
    for w2, six in stated.items():
        assert 6 * theory.depth_scales("tanh", w2**0.5, 0.05**0.5)[1] == pytest.approx(six, abs=0.5)
    assert theory.depth_scales("tanh", 1.0) == (math.inf, math.inf)
    assert theory.depth_scales("relu", 1.0, 0.3) == pytest.approx((1 / math.log(2),) * 2)
    assert np.isnan(theory.depth_scales("relu", 2.0)).all()


def test_the_variance_of_a_network_settles_as_xi_q_says():
    q = theory.q_star("tanh", 1.5, 0.3)
    profile = theory.variance_profile("tanh", 12, 1.5, 0.3, q0=1.05 * q)
    away = np.log(abs(profile - q))
    assert -1 / np.diff(away)[-1] == pytest.approx(theory.depth_scales("tanh", 1.5, 0.3)[0], rel=1e-3)


def test_phase_diagram_against_one_by_one():
    sigma_w, sigma_b = np.linspace(0.5, 4, 40), np.linspace(0, 1, 10)
    table = theory.phase_diagram("tanh", sigma_w, sigma_b)
    assert list(table) == ["sigma_w", "sigma_b", "q_star", "chi", "c_star", "xi_q", "xi_c", "phase"]
    assert len(table) == 400
    for row in table.iloc[::13].itertuples():
        at = ("tanh", row.sigma_w, row.sigma_b)
        assert row.q_star == pytest.approx(theory.q_star(*at), rel=DIAGRAM)
        assert row.chi == pytest.approx(theory.chi(*at), rel=DIAGRAM)
        assert row.c_star == pytest.approx(theory.c_star(*at), abs=DIAGRAM)
        assert (row.xi_q, row.xi_c) == pytest.approx(theory.depth_scales(*at), rel=DIAGRAM)
        assert row.phase == ("chaotic" if row.chi > 1 else "ordered")


def test_phase_diagram_against_erf():
    table = theory.phase_diagram(torch.erf, np.linspace(0.95, 6, 60), [0.05, 0.4]).query("chi > 1.02")
    ends = [erf_end(row.q_star, row.sigma_w, row.sigma_b) for row in table.itertuples()]
    c, gap = np.array(ends).T
    np.testing.assert_allclose(table.c_star, c, atol=DIAGRAM)
    np.testing.assert_allclose(table.xi_c, -1 / np.log1p(-gap), rtol=DIAGRAM)


def test_phases():
    table = theory.phase_diagram("tanh", [0.5, 1.0, 1.5])
    assert list(table.phase) == ["ordered", "critical", "chaotic"]
    assert list(theory.phase_diagram("relu", [1.0, 2**0.5, 1.5]).phase) == ["ordered", "critical", "chaotic"]


@pytest.mark.parametrize("act", NAMES)
def test_a_table_is_as_good_as_its_function(act):
    q = np.geomspace(1e-5, 1e5, 999)
    np.testing.assert_allclose(LogTable(lambda q: mean_square(act, q))(q), mean_square(act, q), rtol=1e-11)


def test_many_points_at_once_are_many_single_ones():
    sigma_w = np.linspace(0.1, 3, 300)  # enough for tables
    for act in ("tanh", "relu", "sigmoid", "gelu"):
        for f in (theory.q_star, theory.chi):
            ones = [f(act, one, 0.2, q0=3.0) for one in sigma_w[::29]]
            np.testing.assert_allclose(f(act, sigma_w, 0.2, q0=3.0)[::29], ones, rtol=1e-12)


@pytest.mark.parametrize("act", ["tanh", "sigmoid", "selu", "elu", torch.erf])
def test_on_the_critical_line_chi_is_1(act):
    sigma_b = np.array([0.01, 0.2, 1.0, 3.0])
    np.testing.assert_allclose(theory.chi(act, theory.critical_line(act, sigma_b), sigma_b), 1, rtol=1e-9)


def test_critical_line():
    assert theory.critical_line("tanh") == pytest.approx(1)
    assert theory.critical_line(torch.erf) == pytest.approx(math.sqrt(math.pi) / 2)
    assert theory.critical_line("relu") == pytest.approx(2**0.5)
    assert theory.critical_line("linear") == pytest.approx(1)
    assert theory.critical_line("tanh", [[0.0, 0.1]]).shape == (1, 2)


def test_what_cannot_be_trusted_is_said():
    with pytest.warns(theory.TheoryWarning, match="critical line of 'relu' has no sigma_w with chi = 1 at 1 of 2"):
        assert math.isnan(theory.critical_line("relu", [0.0, 0.5])[1])
    with pytest.warns(theory.TheoryWarning, match="'gelu' passes an end of the variance that is unstable"):
        theory.critical_line("gelu", 0.1)
    with pytest.warns(theory.TheoryWarning, match=r"'silu' can end at different values at 1 of 2.*do not trust"):
        theory.phase_diagram("silu", [1.0, 1.6])
    with pytest.warns(theory.TheoryWarning, match="'gelu' can end at different values"):
        theory.depth_scales("gelu", 1.6)
    assert theory.bistable("gelu", [1.0, 2**0.5, 1.5, 2.1]).tolist() == [False, True, True, False]
    for act in ("tanh", "relu", "sigmoid", "selu", "elu", "linear", "softplus"):
        assert not np.any(theory.bistable(act, np.linspace(0.5, 3, 40), 0.1)), act


def test_bistable_is_seen_in_a_map():
    small, large = (theory.variance_profile("gelu", 200, 1.6, q0=q0)[-1] for q0 in (0.05, 20.0))
    assert small < 1e-10
    assert large > 1e3


def test_messages():
    with pytest.raises(ValueError, match="c is a correlation and must lie between -1 and 1"):
        theory.mean_product("tanh", 1.1)
    with pytest.raises(ValueError, match=r"needs a variance above 0 and finite; got q = 0\.0: give q yourself"):
        theory.correlation_map("tanh", 0.5, 0.9)
    with pytest.raises(ValueError, match="axes of the diagram and must be numbers or 1-D arrays"):
        theory.phase_diagram("tanh", np.ones((2, 2)))
    with pytest.raises(ValueError, match="sigma_b is a standard deviation and must be 0 or more"):
        theory.critical_line("tanh", -0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # and nothing is said where theory holds
        theory.phase_diagram("tanh", [0.5, 3.0], [0.0, 0.3])
