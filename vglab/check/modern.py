"""Checks of lesson 13: the autocorrelation of a gradient along a line, and the gain that DeepNorm's counting leads to."""

import math

import torch

from .engine import Exercise

__all__ = ["autocorrelation", "branch_gain"]

_NOISE = 0.08  # four standard errors of a lag's autocorrelation for 2500 independent numbers


def _autocorrelation(g, lag):
    g = g - g.mean()
    return (g[lag:] * g[:-lag]).sum() / (g * g).sum()


def _lines():
    generator = torch.Generator().manual_seed(23)
    noise = torch.randn(60, generator=generator, dtype=torch.float64)
    line = noise.cumsum(0) + 5
    return [(noise, 1), (line, 1), (line[:31], 7), (noise * 3 - 2, 4), (torch.arange(10.0, dtype=torch.float64), 2)]


def _known_noises(answer):
    """White noise has 0 at every lag, its running sum nearly 1; size and offset do not matter."""
    generator = torch.Generator().manual_seed(24)
    white = torch.randn(2500, generator=generator, dtype=torch.float64)
    brown = white.cumsum(0)
    for lag in (1, 5):
        if not abs(float(answer(white, lag))) < _NOISE:
            return f"for white noise lag {lag} gives {float(answer(white, lag)):.3g}: neighbours know nothing of each other, near 0 was expected."
        if not float(answer(brown, lag)) > 0.9:
            return f"for a Brownian path lag {lag} gives {float(answer(brown, lag)):.3g}: near 1 was expected."
    if abs(float(answer(7 * white + 100, 1)) - float(answer(white, 1))) > 1e-6:
        return "a multiple of the numbers with something added has another autocorrelation: it should not."
    return None


autocorrelation = Exercise(
    "13.1 autocorrelation",
    _autocorrelation,
    _lines(),
    rtol=1e-4,
    atol=1e-7,
    mistakes=[
        (lambda g, lag: (g[lag:] * g[:-lag]).sum() / (g * g).sum(), "the mean is still in it: a gradient of 5 everywhere would agree with itself for no other reason. Subtract the mean first."),
        (lambda g, lag: ((g - g.mean())[lag:] * (g - g.mean())[:-lag]).mean() / (g - g.mean()).square().mean(), "each sum is divided by the number of its terms, and the upper has fewer: short lines then exceed 1. Divide sum by sum."),
        (lambda g, lag: ((g - g.mean())[lag:] * (g - g.mean())[:-lag]).sum(), "not yet a share: divide by the sum of squares."),
        (lambda g, lag: ((g - g.mean())[lag:] * (g - g.mean())[:-lag]).mean(), "not yet a share: divide by the sum of squares, and take sums instead of means."),
        (lambda g, lag: torch.corrcoef(torch.stack([g[lag:], g[:-lag]]))[0, 1], "that subtracts a mean from each piece of its own; the whole line's mean and sum of squares are asked for."),
        (lambda g, lag: ((g - g.mean()).roll(lag) * (g - g.mean())).sum() / (g - g.mean()).square().sum(), "the line is bent to a ring: the last points are compared with the first. Leave those pairs out."),
    ],
    extra=_known_noises,
    praise="right: 0 for white noise, nearly 1 for a Brownian path, whatever the gradient's size.",
)  # fmt: skip


def _branch_gain(blocks, alpha):
    return alpha / (2 * math.sqrt(blocks))


branch_gain = Exercise(
    "13.2 gain",
    _branch_gain,
    [(12, 24**0.25), (1, 1.0), (8, 3.0), (100, 200**0.25), (3, 0.5)],
    rtol=1e-5,
    atol=0,
    mistakes=[
        (lambda blocks, alpha: (8 * blocks) ** -0.25, "DeepNorm's gain, right for its own alpha only: alpha is given, solve for beta with it."),
        (lambda blocks, alpha: alpha / math.sqrt(2 * blocks), "half as many branches, or matrices, as there are: a block has two branches, and each branch two matrices."),
        (lambda blocks, alpha: alpha / math.sqrt(blocks), "a block has two branches, and each branch two matrices with the gain beta: four squares for each block."),
        (lambda blocks, alpha: alpha / (2**1.5 * blocks), "the step is the gradient, and the gradient comes through the same branch: the factor enters twice, hence squared."),
        (lambda blocks, alpha: alpha**2 / (4 * blocks), "that is beta squared."),
        (lambda blocks, alpha: alpha * 2 * math.sqrt(blocks), "upside down: with more blocks each branch must weigh less."),
    ],
    praise="right: with alpha = (2 blocks)**(1/4) this is DeepNorm's beta, (8 blocks)**(-1/4).",
)  # fmt: skip
