"""Theory against closed forms, against brute force, and against itself; probe and theory meet in test_probe.py."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from vglab import theory
from vglab.activations import NAMES, as_module

EXACT = 1e-10  # relative; quadrature of smooth functions, or with a kink at 0 only
QS = (1e-6, 0.3, 1.0, 4.0, 100.0)
CLOSED_FORMS = {  # act: E[phi], E[phi^2], E[phi'^2] for z ~ N(0, q)
    "relu": (torch.relu, lambda q: (q / (2 * math.pi)) ** 0.5, lambda q: q / 2, lambda q: 0.5),
    "leaky": (
        *(nn.LeakyReLU(0.2), lambda q: 0.8 * (q / (2 * math.pi)) ** 0.5),
        *(lambda q: q * (1 + 0.2**2) / 2, lambda q: (1 + 0.2**2) / 2),
    ),
    "linear": ("linear", lambda q: 0.0, lambda q: q, lambda q: 1.0),
    "erf": (  # Williams (1997), and a Gaussian integral
        *(torch.erf, lambda q: 0.0, lambda q: 2 / math.pi * math.asin(2 * q / (1 + 2 * q))),
        lambda q: 4 / math.pi / (1 + 4 * q) ** 0.5,
    ),
    "sine": (torch.sin, lambda q: 0.0, lambda q: -math.expm1(-2 * q) / 2, lambda q: (1 + math.exp(-2 * q)) / 2),
    "square": (lambda z: z**2, lambda q: q, lambda q: 3 * q**2, lambda q: 4 * q),
    "cube": (lambda z: z**3, lambda q: 0.0, lambda q: 15 * q**3, lambda q: 27 * q**2),
    "step": (lambda z: (z > 0).double(), lambda q: 0.5, lambda q: 0.5, lambda q: 0.0),
}


def brute(f, q):
    """E[f(z)] for z ~ N(0, q) by the trapezoid rule on a million points, each side of 0 for itself."""
    u = np.linspace(0, 12 * min(q**0.5, 1e9), 1_000_001)[1:]
    step = u[0]
    weights = np.exp(-(u**2) / (2 * q)) / math.sqrt(2 * math.pi * q) * step
    ends = 0.5 * step / math.sqrt(2 * math.pi * q) * (f(np.array([1e-300])) + f(np.array([-1e-300])))[0]
    return weights @ f(u) + weights @ f(-u) + ends


def values(act):
    return lambda z: as_module(act)(torch.tensor(z)).numpy()


def slopes(act):
    def f(z):
        z = torch.tensor(z, requires_grad=True)
        return torch.autograd.grad(as_module(act)(z).sum(), z)[0].numpy()

    return f


@pytest.mark.parametrize("name", CLOSED_FORMS)
@pytest.mark.parametrize("q", QS)
def test_moments_against_closed_forms(name, q):
    act, mean, mean_square, slope_square = CLOSED_FORMS[name]
    assert theory.mean(act, q) == pytest.approx(mean(q), rel=EXACT, abs=EXACT * mean_square(q) ** 0.5)
    assert theory.mean_square(act, q) == pytest.approx(mean_square(q), rel=EXACT)
    assert theory.rms_slope(act, q) ** 2 == pytest.approx(slope_square(q), rel=EXACT)


@pytest.mark.parametrize("act", NAMES)
@pytest.mark.parametrize("q", [0.04, 1.0, 9.0])
def test_moments_against_brute_force(act, q):
    f, df = values(act), slopes(act)
    trapezoid = 1e-9  # a million points on each side
    assert theory.mean(act, q) == pytest.approx(brute(f, q), rel=trapezoid, abs=1e-11)
    assert theory.mean_square(act, q) == pytest.approx(brute(lambda z: f(z) ** 2, q), rel=trapezoid)
    assert theory.rms_slope(act, q) ** 2 == pytest.approx(brute(lambda z: df(z) ** 2, q), rel=trapezoid)


@pytest.mark.parametrize("act", ["sigmoid", "tanh", torch.erf])
@pytest.mark.parametrize("q", [1e2, 1e4])
def test_narrow_slopes_of_saturating_activations(act, q):
    """At q = 1e4 the slope is a spike a hundredth as wide as the Gaussian; Gauss-Hermite would step over it."""
    z = np.linspace(-60, 60, 400_001)  # the slope has vanished at the ends: the trapezoid rule is exact
    spike = slopes(act)(z) ** 2 * np.exp(-(z**2) / (2 * q)) / math.sqrt(2 * math.pi * q)
    assert theory.rms_slope(act, q) ** 2 == pytest.approx(spike.sum() * (z[1] - z[0]), rel=EXACT)


def test_slope_at_zero_variance_is_the_limit():
    assert theory.rms_slope("relu", 0.0) == pytest.approx(0.5**0.5)
    assert theory.rms_slope("tanh", 0.0) == pytest.approx(1)
    assert theory.rms_slope("sigmoid", 0.0) == pytest.approx(0.25)
    assert theory.mean_square("sigmoid", 0.0) == pytest.approx(0.25)


def test_any_form_of_an_activation_gives_the_same():
    for same in ("relu", nn.ReLU, nn.ReLU(), nn.ReLU(inplace=True), torch.relu, torch.relu_):
        assert theory.layer_factor(same, 1.3) == pytest.approx(1.3 / 2**0.5)
    assert theory.layer_factor(nn.PReLU(init=0.5), 1.0) == pytest.approx((1.25 / 2) ** 0.5)
    with torch.no_grad():
        assert theory.rms_slope("linear") == pytest.approx(1.0)


def test_q_star():
    assert theory.q_star("tanh", 1.0) == 0
    assert theory.q_star("tanh", 0.5) == 0
    assert theory.q_star("relu", 1.0) == 0
    assert theory.q_star("relu", 2.0) == math.inf
    assert theory.q_star("relu", 0.0, 0.5) == pytest.approx(0.25)
    assert theory.q_star("relu", 0.0) == 0
    for q0 in (0.01, 1.0, 7.0):
        assert theory.q_star("relu", 2**0.5, q0=q0) == q0  # neutral: any start is its own end
        assert theory.q_star("relu", 1.0, 0.3, q0=q0) == pytest.approx(0.3**2 / (1 - 1 / 2))  # q = q/2 + sigma_b^2
        assert theory.q_star("linear", 0.5, 0.3, q0=q0) == pytest.approx(0.3**2 / (1 - 0.25))
    assert theory.q_star("tanh", 1.0, 1e-3) > 0


@pytest.mark.parametrize(("act", "sigma_w"), [("tanh", 2.0), ("tanh", 1.05), ("sigmoid", 1.0), ("selu", 1.0)])
def test_a_fixed_point_is_fixed_and_reached(act, sigma_w):
    q = theory.q_star(act, sigma_w)
    assert theory.q_map(act, q, sigma_w) == pytest.approx(q, rel=1e-9)
    assert theory.q_star(act, sigma_w, q0=20.0) == pytest.approx(q, rel=1e-9)
    assert theory.variance_profile(act, 2000, sigma_w)[-1] == pytest.approx(q, rel=1e-6)


def test_chi():
    assert theory.chi("tanh", 1.0) == pytest.approx(1)  # critical
    assert theory.chi("relu", 2**0.5) == pytest.approx(1)
    assert theory.chi("relu", 3.0) == pytest.approx(4.5)  # q runs to infinity; the slope does not mind
    assert theory.chi("linear", 0.7) == pytest.approx(0.49)
    assert theory.chi(torch.erf, 0.5) == pytest.approx(0.25 * 4 / math.pi)
    # Schoenholz et al. (2017), tanh with sigma_b^2 = 0.05, recomputed for the course
    stated = {0.8: 0.538, 1.0: 0.759, 1.25: 0.955, 1.327: 1.0, 1.5: 1.092, 2.0: 1.342}
    for sigma_w, expected in stated.items():
        assert theory.chi("tanh", sigma_w, 0.05**0.5) == pytest.approx(expected, abs=1e-3)


def test_chi_is_the_slope_of_the_map_of_correlations():
    """chi also says how fast two nearly equal inputs come together: a second road to it, by an average over two z."""
    q, sigma_w, c = theory.q_star("tanh", 1.5, 0.3), 1.5, 1 - 1e-4
    x, w = np.polynomial.hermite_e.hermegauss(80)
    w = w / w.sum()
    a, b = np.meshgrid(x, x)
    product = np.tanh(q**0.5 * a) * np.tanh(q**0.5 * (c * a + (1 - c**2) ** 0.5 * b))
    c_next = (sigma_w**2 * (w @ product @ w) + 0.3**2) / q
    assert (1 - c_next) / (1 - c) == pytest.approx(theory.chi("tanh", 1.5, 0.3), rel=1e-3)


def test_variance_profile():
    np.testing.assert_allclose(theory.variance_profile("relu", 6, 1.0, q0=3.0), 3.0 * 0.5 ** np.arange(6))
    np.testing.assert_allclose(theory.variance_profile("linear", 3, 2.0, 1.0, q0=1.0), [1, 5, 21])
    tanh = theory.variance_profile("tanh", 2000, 1.0)
    # Not flat: 1 / (2 l), up to a logarithm that 1 % at l = 2000 allows for. 1/q_l grows by 2 + (5/3) q per layer.
    assert 2 * 2000 * tanh[-1] == pytest.approx(1, rel=0.01)
    assert np.diff(1 / tanh)[-100:] == pytest.approx(2, rel=1e-3)
    assert theory.variance_profile("relu", 2000, 2.0)[-1] <= 1e281  # kept a number


def test_gradient_profile():
    np.testing.assert_allclose(theory.gradient_profile("relu", 5, 1.0), 2 ** (-np.arange(4, -1, -1) / 2))
    np.testing.assert_allclose(theory.gradient_profile("relu", 4, norm="batch"), 1.2111738962 ** np.arange(3, -1, -1))
    assert theory.gradient_profile("tanh", 1).tolist() == [1]
    profile = theory.gradient_profile("tanh", 40, 1.7, 0.2, q0=9.0)
    assert profile[20] / profile[21] == pytest.approx(theory.layer_factor("tanh", 1.7, 0.2))
    # The slope that counts between layers 1 and 2 is that of layer 2, whose variance is one step down from q0.
    q2 = theory.q_map("tanh", 9.0, 1.7, 0.2)
    assert profile[0] / profile[1] == pytest.approx(1.7 * theory.rms_slope("tanh", q2))


def test_layer_factor_with_norms():
    assert theory.layer_factor("relu", norm="batch") ** 2 == pytest.approx(math.pi / (math.pi - 1))  # Yang et al. 2019
    assert theory.layer_factor("relu", norm="layer") == pytest.approx(1)
    assert theory.layer_factor("sigmoid", norm="layer") == pytest.approx(0.391, abs=5e-4)
    assert theory.layer_factor("sigmoid", norm="batch") == pytest.approx(1.017, abs=5e-4)
    for norm in ("layer", "rms", "batch"):
        assert theory.layer_factor("linear", norm=norm) == pytest.approx(1)
        assert theory.layer_factor("tanh", 0.1, norm=norm) == theory.layer_factor("tanh", 3.0, 1.0, norm=norm)
    assert theory.layer_factor("elu", norm="layer") == theory.layer_factor("elu", norm="rms")


@pytest.mark.parametrize("act", [*NAMES, torch.sin, torch.erf, lambda z: z**3])
def test_batch_norm_never_shrinks_gradients(act):
    factor = theory.layer_factor(act, norm="batch")  # Gaussian Poincare inequality
    assert factor == pytest.approx(1) if act == "linear" else factor > 1.005


def test_arrays_are_many_numbers():
    q, w, b = np.array([[0.1, 1.0], [3.0, 0.0]]), np.array([0.5, 1.0, 2.0]), np.array([[0.1], [0.5]])
    for f in (theory.mean, theory.mean_square, theory.rms_slope):
        many = f("tanh", q)
        assert many.shape == q.shape
        np.testing.assert_allclose(many, [[f("tanh", one) for one in row] for row in q], rtol=1e-14, atol=1e-16)
        assert isinstance(f("tanh", 1.0), float)
    for f in (theory.q_star, theory.chi, theory.layer_factor):
        np.testing.assert_allclose(f("tanh", w, b), [[f("tanh", one, bias) for one in w] for (bias,) in b])
        assert f("tanh", w, b).shape == (2, 3)
        assert isinstance(f("tanh", 1.5), float)
    np.testing.assert_allclose(theory.q_map("relu", q, w[:2]), w[:2] ** 2 * q / 2)


def test_messages():
    with pytest.raises(ValueError, match="sigma_w is a standard deviation and must be 0 or more; got -1"):
        theory.layer_factor("tanh", -1.0)
    with pytest.raises(ValueError, match=r"sigma_w is a standard deviation.*got -1"):
        theory.layer_factor("tanh", -1.0, norm="batch")
    with pytest.raises(ValueError, match="sigma_b is a standard deviation and must be 0 or more"):
        theory.q_map("tanh", 1.0, 1.0, [-0.1, 1.0])
    with pytest.raises(ValueError, match=r"sigma_w is a standard deviation.*got nan"):
        theory.q_star("tanh", float("nan"))
    with pytest.raises(ValueError, match="q is a variance and must be 0 or more; got -2"):
        theory.rms_slope("tanh", -2.0)
    with pytest.raises(ValueError, match="norm must be None, 'batch', 'layer' or 'rms'; got 'group'"):
        theory.layer_factor("tanh", norm="group")
    with pytest.raises(ValueError, match=r"act must be one of linear, sigmoid.*got 'sigmod'"):
        theory.chi("sigmod", 1.0)
    for f in (theory.variance_profile, theory.gradient_profile):
        with pytest.raises(ValueError, match="depth must be a whole number of at least 1; got 0"):
            f("tanh", 0, 1.0)


def test_messages_about_depth_and_start():
    with pytest.raises(ValueError, match=r"depth must be a whole number of at least 1; got 2\.5"):
        theory.variance_profile("tanh", 2.5, 1.0)
    with pytest.raises(ValueError, match="q0 is the variance to start from and must be above 0; got 0"):
        theory.q_star("tanh", 1.0, q0=0)
