"""Checks of lesson 12: the factor chi_1 of any activation, and the weight scale at the edge of chaos."""

import torch

from .. import theory
from .engine import Exercise

__all__ = ["chi1", "critical_scale"]

_ACTIVATIONS = (torch.tanh, lambda z: torch.tanh(2 * z) / 2, torch.atan)  # smooth and odd: one stable variance each
_CASES = [(phi, *sigmas) for phi in _ACTIVATIONS for sigmas in ((0.8, 0.3), (1.5, 0.2), (2.0, 0.5))]


def _chi1(phi, sigma_w, sigma_b):
    return theory.chi(phi, sigma_w, sigma_b)


def _at(q, phi, sigma_w):
    return sigma_w**2 * theory.rms_slope(phi, q) ** 2


def _squared_mean(phi, sigma_w, sigma_b):
    """sigma_w**2 (E[phi'])**2 at q*; by Stein's lemma E[phi'] = E[z phi(z)] / q."""
    q = theory.q_star(phi, sigma_w, sigma_b)
    return sigma_w**2 * (theory.mean(lambda z: z * phi(z), q) / q) ** 2


chi1 = Exercise(
    "12.1 chi 1",
    _chi1,
    _CASES,
    rtol=2e-3,
    mistakes=[
        (lambda phi, w, b: theory.chi(phi, w, b) ** 0.5, "that is the factor on the rms gradient; chi 1 is its square, the factor on the mean square."),
        (lambda phi, w, b: _at(1.0, phi, w), "that is at variance 1: iterate the variance to its fixed point q* first."),
        (lambda phi, w, b: theory.chi(phi, w, 0.0), "the bias is missing: sigma_b**2 belongs into the map of the variance."),
        (lambda phi, w, b: _at(theory.q_star(phi, w, b**0.5), phi, w), "sigma_b is a standard deviation: its square adds to the variance."),
        (lambda phi, w, b: theory.chi(phi, w, b) / w**2, "that is E[phi'**2] alone: the weights multiply it by sigma_w**2."),
        (lambda phi, w, b: theory.chi(phi, w, b) / w, "one sigma_w is missing: chi 1 is a mean square, so sigma_w enters squared."),
        (_squared_mean, "that is the square of the mean slope; average the squares of the slopes."),
    ],
    praise="right for three activations on both sides of the edge.",
)  # fmt: skip


def _critical_scale(phi, sigma_b):
    return theory.critical_line(phi, sigma_b)


critical_scale = Exercise(
    "12.2 edge of chaos",
    _critical_scale,
    [(phi, sigma_b) for phi in _ACTIVATIONS for sigma_b in (0.1, 0.3, 0.6)],
    rtol=2e-3,
    mistakes=[
        (lambda phi, b: theory.critical_line(phi, b) ** 2, "that is the square of sigma_w: take the root."),
        (lambda phi, b: theory.critical_line(phi, 0.0), "that is the edge without biases; with them the variance q* is larger and slopes are smaller."),
        (lambda phi, b: 1 / theory.rms_slope(phi, 1.0), "that is the edge if the variance were 1; it must be q*, which depends on sigma_w."),
        (lambda phi, b: theory.critical_line(phi, b**0.5), "sigma_b is a standard deviation: square it in the map of the variance."),
    ],
    praise="right: biases push the edge to larger weights.",
)  # fmt: skip
