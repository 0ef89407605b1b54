"""Checks of the start page and of lesson 1: shrinking, a chain by hand, a probe of one's own, a scale that keeps the gradient level."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..nets import init_, mlp
from ..probe import gradient_profile
from ..tasks import digits
from .engine import Exercise, Number

__all__ = ["chain_gradient", "flat_scale", "grad_profile", "shrink"]


shrink = Exercise(
    "0.1 shrink",
    lambda factor, depth: factor**depth,
    [(0.5, 1), (0.25, 20), (1.2, 10), (0.9, 0)],
    mistakes=[
        (lambda factor, depth: factor * depth, "depth layers multiply depth times: that is a power, not a product."),
        (lambda factor, depth: depth**factor, "base and exponent are the other way round."),
        (lambda factor, depth: factor ** (depth - 1), "one layer short: each of the depth layers multiplies once."),
    ],
    praise="right: depth is an exponent.",
)


def _chain_gradient(w, z):
    z = z.double().requires_grad_()
    (slope,) = torch.autograd.grad(torch.sigmoid(z).sum(), z)
    return (w * slope).prod()


def _chains():
    generator = torch.Generator().manual_seed(11)
    draw = lambda n: torch.randn(n, generator=generator, dtype=torch.float64)
    return [(2 * draw(n), draw(n)) for n in (1, 3, 5)]


chain_gradient = Exercise(
    "1.1 chain",
    _chain_gradient,
    _chains(),
    mistakes=[
        (lambda w, z: w.prod(), "the slopes are missing: each layer's factor is slope times weight."),
        (lambda w, z: (torch.sigmoid(z) * (1 - torch.sigmoid(z))).prod(), "the weights are missing: each layer's factor is slope times weight."),
        (lambda w, z: (torch.sigmoid(z) * w).prod(), "you multiplied by the value of the sigmoid; the chain rule wants its slope."),
        (lambda w, z: (w * z * (1 - z)).prod(), "h (1 - h) is the slope when h = sigmoid(z): put the sigmoid of z in, not z."),
        (lambda w, z: (w * torch.sigmoid(z) * (1 - torch.sigmoid(z))).sum(), "the factors of a chain multiply; you added them."),
    ],
    praise="right: one factor for each layer, slope times weight.",
)  # fmt: skip


def _outputs_and_grads(model, x, y):
    outputs = []
    hook = lambda module, args, output: outputs.append(output)
    handles = [child.register_forward_hook(hook) for child in model.children()]
    try:
        loss = F.cross_entropy(model(x), y)
    finally:
        for handle in handles:
            handle.remove()
    return torch.autograd.grad(loss, outputs)


def _rms(g):
    return g.double().square().mean().sqrt().item()


def _grad_profile(model, x, y):
    return [_rms(g) for g in _outputs_and_grads(model, x, y)]


def _float32_profile(model, x, y):
    return [g.square().mean().sqrt().item() for g in _outputs_and_grads(model, x, y)]


def _norm_profile(model, x, y):
    return [g.double().norm().item() for g in _outputs_and_grads(model, x, y)]


def _mean_profile(model, x, y):
    return [g.double().abs().mean().item() for g in _outputs_and_grads(model, x, y)]


def _chained_profile(model, x, y):
    outputs = [x]
    for child in model.children():
        outputs.append(child(outputs[-1]))
    return [_rms(g) for g in torch.autograd.grad(F.cross_entropy(outputs[-1], y), outputs[1:])]


class _Between(nn.Module):
    """Computes something between its children."""

    def __init__(self):
        super().__init__()
        self.below, self.above = nn.Linear(12, 9), nn.Linear(9, 3)

    def forward(self, x):
        return self.above(torch.tanh(self.below(x)))


def _models():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12)
        return _drawn_models()


def _drawn_models():
    x, y = torch.randn(16, 12), torch.randint(3, (16,))
    conv = nn.Sequential(nn.Conv1d(3, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(10, 3))
    return [
        (mlp(3, 9, act="relu", d_in=12, d_out=3, seed=0), x, y),
        (mlp(4, 12, act="tanh", skip=True, d_in=12, d_out=3, seed=1), x, y),
        (init_(conv, "he", seed=2), x.reshape(16, 3, 4), y),
        (init_(_Between(), sigma_w=1.5, seed=4), x, y),
        (mlp(40, 8, act="sigmoid", d_in=12, d_out=3, seed=3), x, y),
    ]


def _leaves_nothing_behind(answer):
    model, x, y = _models()[1]
    answer(model, x, y)
    if any(module._forward_hooks or module._backward_hooks for module in model.modules()):
        return "the numbers are right, but your hooks are still on the model: call remove() on each handle."
    if any(p.grad is not None for p in model.parameters()):
        return (
            "the numbers are right, but gradients are left in the parameters: use torch.autograd.grad(loss, outputs)."
        )
    return None


grad_profile = Exercise(
    "1.2 probe",
    _grad_profile,
    _models(),
    rtol=1e-3,
    atol=0,
    mistakes=[
        (_float32_profile, "right until float32 gives out: the square of 1e-25 is 0 in float32. Call .double() before you square."),
        (_chained_profile, "right for a chain of children, but one of the models computes something between them: let hooks collect the outputs of model(x)."),
        (_norm_profile, "that is the norm, which grows with the number of entries; the root *mean* square was asked for."),
        (_mean_profile, "that is the mean of the absolute values; square, take the mean, then the root."),
        (lambda *case: _grad_profile(*case)[::-1], "right numbers in the wrong order: the child next to the input comes first."),
    ],
    extra=_leaves_nothing_behind,
    praise="right, on plain, residual, convolutional and other models, and nothing is left behind.",
)  # fmt: skip


def decades(profile):
    """Decades per layer of a probe table's activation rows: positive where the gradient vanishes."""
    signal = profile.grad_rms[profile.slope.notna()].to_numpy()
    return float(np.polyfit(np.arange(len(signal)), np.log10(signal), 1)[0])


def _slope_of_flat_line(sigma_w):
    data = digits()
    x, y = data.x[:128], data.y[:128]
    return np.mean(
        [decades(gradient_profile(mlp(30, act="tanh", sigma_w=sigma_w, seed=900 + k), x, y)) for k in range(5)]
    )


def _flat(sigma_w):
    if sigma_w <= 0:
        return f"sigma_w is a standard deviation and must be above 0; got {sigma_w:g}."
    slope = _slope_of_flat_line(sigma_w)
    if abs(slope) < 0.01:
        return None
    verb, cure = ("falls", "larger") if slope > 0 else ("grows", "smaller")
    return f"with sigma_w = {sigma_w:g} the signal {verb} by {abs(slope):.4f} decades per layer towards the input, and less than 0.01 was asked for: try a {cure} one."


flat_scale = Number(
    "1.3 level line",
    _flat,
    mistakes=[
        (lambda s: abs(s - 5 / 3) < 0.01, "5/3 is what torch.nn.init.calculate_gain('tanh') returns; it keeps the forward variance level, and the gradient grows."),
        (lambda s: 0 < s < 0.2, "that looks like a weight's own standard deviation; sigma_w is that times sqrt(fan_in), 8 times as much here."),
    ],
    praise="right: on five networks that you had not seen the line has no slope.",
)  # fmt: skip
