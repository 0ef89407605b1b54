"""Checks of lesson 8: batch normalization backwards, the factor of a norm, what evaluation mode uses."""

import torch

from .. import theory
from .engine import Exercise

__all__ = ["batch_norm_gradient", "norm_factor", "running_statistics"]


def _batch_norm_cases():
    generator = torch.Generator().manual_seed(81)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    cases = []
    for batch, n, eps in ((7, 3, 1e-5), (2, 5, 0.1), (32, 4, 1e-4), (5, 1, 1e-3), (4, 6, 0.5)):
        scale, shift = draw(n).exp(), draw(n)
        cases.append((draw(batch, n), scale * draw(batch, n) + 3 * shift, draw(n), eps))
    return cases


def _forward(z, gamma, eps, *, correction=0):
    return gamma * (z - z.mean(0)) / (z.var(0, correction=correction) + eps).sqrt()


def _through(forward):
    """The gradient by autograd of any version of the layer."""

    def gradient(dy, z, gamma, eps):
        z = z.clone().requires_grad_()
        return torch.autograd.grad(forward(z, gamma, eps), z, dy)[0]

    return gradient


def _constant_spread(z, gamma, eps):
    return gamma * (z - z.mean(0)) / (z.var(0, correction=0) + eps).sqrt().detach()


def _constant_mean(z, gamma, eps):
    mean, spread = z.mean(0), ((z - z.mean(0)).square().mean(0) + eps).sqrt()
    return gamma * (z - mean.detach()) / spread


def _over_units(z, gamma, eps):
    return gamma * (z - z.mean(1, keepdim=True)) / (z.var(1, keepdim=True, correction=0) + eps).sqrt()


def _sums(dy, z, gamma, eps):
    normal, d = _forward(z, 1.0, eps), gamma * dy
    return (d - d.sum(0) - normal * (d * normal).sum(0)) / (z.var(0, correction=0) + eps).sqrt()


_right = _through(_forward)

batch_norm_gradient = Exercise(
    "8.1 batch norm backwards",
    _right,
    _batch_norm_cases(),
    rtol=1e-5,
    atol=1e-9,
    mistakes=[
        (lambda dy, z, gamma, eps: gamma * dy / (z.var(0, correction=0) + eps).sqrt(), "that takes mean and variance for constants; both are computed from z, and gradient flows through them, too."),
        (_through(_constant_spread), "the path through the mean is there, that through the variance is missing: take away the part of gamma * dy along the normalized input, too."),
        (_through(_constant_mean), "the path through the variance is there, that through the mean is missing: take away the mean of gamma * dy over the batch, too."),
        (_through(lambda z, gamma, eps: _forward(z, gamma, eps, correction=1)), "that belongs to the unbiased variance; in training the layer divides by B, not by B - 1: `z.var(0, correction=0)`."),
        (_through(lambda z, gamma, eps: _forward(z, 1.0, eps)), "right for gamma = 1: the output is gamma times the normalized input, so dy is multiplied by gamma first."),
        (lambda dy, z, gamma, eps: _right(dy, z, gamma, 0.0), "right for eps = 0: the root that divides holds var + eps, on the way back, too."),
        (_sums, "the right parts with sums where means belong: the mean is 1/B times a sum, so its gradient is spread over B examples."),
        (_through(_over_units), "that is LayerNorm: take mean and variance over the batch, dimension 0."),
    ],
    praise="right on five shapes: the gradient has mean 0 over the batch and, but for eps, no part along the normalized input.",
)  # fmt: skip


def _swish(z):
    return z * torch.sigmoid(1.7 * z)


_ACTIVATIONS = (torch.sigmoid, torch.relu, torch.nn.functional.softplus, _swish, lambda z: torch.cos(z) + z)


def _norm_factor(phi, kind):
    return theory.layer_factor(phi, norm=kind)


def _spread(phi):
    return theory.mean_square(phi) - theory.mean(phi) ** 2


norm_factor = Exercise(
    "8.2 factor of a norm",
    _norm_factor,
    [(phi, kind) for phi in _ACTIVATIONS for kind in ("batch", "layer", "rms")],
    rtol=2e-3,
    mistakes=[
        (lambda phi, kind: theory.rms_slope(phi) / (theory.mean_square(phi) if kind == "rms" else _spread(phi)) ** 0.5, "that is the colleague's rule. LN subtracts the mean over the units of a preactivation, which random weights have made about 0 already; so it divides by the root of E[phi^2], as RMSNorm does."),
        (lambda phi, kind: theory.rms_slope(phi) / _spread(phi) ** 0.5, "that is BN's factor for all three: without a mean over the batch the common part stays, and E[phi^2] is what a norm divides by."),
        (lambda phi, kind: theory.rms_slope(phi) / theory.mean_square(phi) ** 0.5, "right for LN and RMSNorm; BN takes the mean over the batch away, so that the variance is left."),
        (lambda phi, kind: _norm_factor(phi, kind) ** 2, "that is the factor on the mean square; the factor on the rms is its root."),
        (lambda phi, kind: 1 / _norm_factor(phi, kind), "upside down: the slope multiplies, the norm divides."),
        (lambda phi, kind: theory.rms_slope(phi) / abs(theory.mean_square(phi) - (theory.mean(phi) if kind == "batch" else 0)) ** 0.5, "the variance is E[phi^2] less the *square* of the mean."),
        (lambda phi, kind: theory.rms_slope(phi) / (_spread(phi) if kind != "batch" else theory.mean_square(phi)) ** 0.5, "the right two formulas, exchanged: which norm removes what all examples share?"),
    ],
    praise="right for five activations: the mean over the units of random weights' output is about 0, so LN has little to subtract.",
)  # fmt: skip


def _running(batches, momentum, *, correction=1):
    mean, variance = torch.zeros_like(batches[0][0]), torch.ones_like(batches[0][0])
    for z in batches:
        mean = (1 - momentum) * mean + momentum * z.mean(0)
        variance = (1 - momentum) * variance + momentum * z.var(0, correction=correction)
    return torch.stack([mean, variance])


def _running_cases():
    generator = torch.Generator().manual_seed(83)
    draw = lambda batch, n: 2 * torch.randn(batch, n, generator=generator, dtype=torch.float64) + 1
    shapes = ((3, 5, 2, 0.1), (1, 2, 4, 0.3), (6, 3, 1, 0.25), (4, 8, 3, 1.0))
    return [([draw(batch, n) for _ in range(count)], momentum) for count, batch, n, momentum in shapes]


def _running_spread(batches, momentum):
    mean = _running(batches, momentum)[0]
    return torch.stack([mean, _averaged([z.std(0) for z in batches], momentum)])


def _averaged(values, momentum):
    kept = torch.ones_like(values[0])
    for value in values:
        kept = (1 - momentum) * kept + momentum * value
    return kept


running_statistics = Exercise(
    "8.3 running statistics",
    _running,
    _running_cases(),
    rtol=1e-5,
    atol=1e-9,
    mistakes=[
        (lambda batches, momentum: _running(batches, momentum, correction=0), "nearly: the running variance takes the unbiased variance of the batch, `z.var(0, correction=1)`."),
        (lambda batches, momentum: _running(batches, 1 - momentum), "the weights are exchanged: in torch `momentum` is the weight of the *new* batch. (Some libraries mean the old one.)"),
        (lambda batches, momentum: torch.stack([torch.stack([z.mean(0) for z in batches]).mean(0), torch.stack([z.var(0) for z in batches]).mean(0)]), "that is a plain average over the batches: `momentum` has no effect."),
        (lambda batches, momentum: torch.stack([batches[-1].mean(0), batches[-1].var(0)]), "those are the last batch's statistics: what was there before keeps the weight 1 - momentum."),
        (lambda batches, momentum: torch.stack([_running(batches, momentum)[0], _running(batches, momentum)[1] - (1 - momentum) ** len(batches)]), "the running variance starts at 1, not at 0."),
        (_running_spread, "the second row is the running *variance*; you averaged standard deviations."),
    ],
    praise="right, to the unbiased variance: what `nn.BatchNorm1d` holds after the same batches.",
)  # fmt: skip
