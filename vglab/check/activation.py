"""Checks of lesson 2: the rms slope of anything, tanh from the sigmoid, the window where a sigmoid unit is healthy."""

import math

import numpy as np
import torch

from .. import theory
from .engine import Exercise

__all__ = ["healthy_width", "rms_slope", "tanh_from_sigmoid"]

_CASES = [
    (phi, q) for phi in (torch.tanh, torch.sigmoid, torch.sin, lambda z: z**3 / 10) for q in (0.25, 1.0, 3.0)
]  # smooth functions only: across a kink a quadrature of a hundred points is off by a few per cent


def _slopes(phi, z):
    z = z.clone().requires_grad_()
    return torch.autograd.grad(phi(z).sum(), z)[0]


def _expectation(f, scale):
    points, weights = np.polynomial.hermite_e.hermegauss(100)
    return (torch.tensor(weights / weights.sum()) * f(scale * torch.tensor(points))).sum().item()


def _rms_slope(phi, q):
    return theory.rms_slope(phi, q)


rms_slope = Exercise(
    "2.1 rms slope",
    _rms_slope,
    _CASES,
    rtol=2e-3,
    mistakes=[
        (lambda phi, q: _expectation(lambda z: _slopes(phi, z), q**0.5), "that is the mean slope; square the slopes before you average, and take the root after."),
        (lambda phi, q: _expectation(lambda z: _slopes(phi, z).abs(), q**0.5), "that is the mean size of the slope; square, average, then take the root."),
        (lambda phi, q: theory.rms_slope(phi, q) ** 2, "that is the mean square: the root is missing."),
        (lambda phi, q: theory.rms_slope(phi, q**2), "q is the variance: scale the points by sqrt(q), not by q."),
        (lambda phi, q: theory.rms_slope(phi, 1.0), "right for q = 1, but q has no effect: scale the points by sqrt(q)."),
        (lambda phi, q: theory.mean_square(phi, q) ** 0.5, "that is the rms of the activation itself; its slope was asked for."),
        (lambda phi, q: theory.rms_slope(phi, q) * q**0.5, "that is d phi/d(point): differentiate with respect to z = sqrt(q) * point, not to the point."),
        (lambda phi, q: theory.rms_slope(phi, q) * (2 * math.pi) ** 0.25, "numpy's weights add up to sqrt(2 pi): divide them by their sum."),
    ],
    praise="right for four activations and three variances.",
)  # fmt: skip


tanh_from_sigmoid = Exercise(
    "2.2 tanh",
    lambda z: torch.tanh(z),
    [(torch.linspace(-4, 4, 9, dtype=torch.float64),), (torch.tensor([[0.3], [-1.2]], dtype=torch.float64),)],
    mistakes=[
        (lambda z: 2 * torch.sigmoid(z) - 1, "centred, but only half as steep: that is tanh(z / 2). Scale z, too."),
        (lambda z: torch.sigmoid(2 * z), "steep enough, but it still runs from 0 to 1: stretch and move it."),
        (lambda z: torch.sigmoid(2 * z) - 0.5, "centred, but it runs from -1/2 to 1/2: stretch it by 2."),
        (lambda z: torch.sigmoid(z) - 0.5, "centred, but four times too flat: stretch it, and scale z."),
    ],
    praise="right: the 2 outside stretches, the 2 inside steepens, and the -1 brings the mean to 0.",
)  # fmt: skip


def _healthy_width(w):
    if abs(w) <= 4:
        return 0.0
    h = (1 + math.sqrt(1 - 4 / abs(w))) / 2
    return 2 / abs(w) * math.log(h / (1 - h))


healthy_width = Exercise(
    "2.3 window",
    _healthy_width,
    [(w,) for w in (1.0, 3.9, 4.5, 6.9, 12.0, -8.0)],
    rtol=2e-3,
    mistakes=[
        (lambda w: _healthy_width(w) * abs(w), "that is the interval of z = wa + b; in terms of a it is |w| times narrower."),
        (lambda w: _healthy_width(w) / 2, "that is half of the interval: z may lie on either side of 0."),
        (lambda w: _healthy_width(w) if w > 0 else -_healthy_width(-w), "right for positive w; a width is never negative: use |w|."),
        (lambda w: _healthy_width(w) if w > 0 else 0.0, "right for positive w; for negative w the window is just as wide: use |w|."),
    ],
    praise="right: no window up to |w| = 4, and none wider than half a unit of a ever.",
)  # fmt: skip
