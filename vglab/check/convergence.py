"""Checks of lesson 4: how far a step moves, how long a plateau lasts, what differs between inputs."""

import math
from functools import partial

import torch
from torch import nn

from .engine import Exercise, Fresh

__all__ = ["escape_steps", "unit_spreads", "update_ratios"]


_STEPS = [  # optimizer and settings; the first network has a layer without gradient
    (torch.optim.SGD, {"lr": 0.5}),
    (torch.optim.SGD, {"lr": 0.2, "momentum": 0.9}),
    (torch.optim.Adam, {"lr": 0.01}),
    (torch.optim.SGD, {"lr": 0.3, "weight_decay": 0.1}),
]


def _training(k):
    """(model, optimizer) in double precision before their third step, gradients computed."""
    with torch.random.fork_rng(()):
        torch.default_generator.manual_seed(k)
        model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).double()
        x = torch.randn(7, 5, dtype=torch.float64)
    optimizer, settings = _STEPS[k]
    optimizer = optimizer(model.parameters(), **settings)
    for step in range(3):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        if k == 0:
            model[2].weight.grad.zero_()
        if step < 2:
            optimizer.step()
    return model, optimizer


def _ratios(model, optimizer, size=torch.linalg.norm, *, over="before"):
    chosen = [p for p in model.parameters() if p.ndim == 2]
    before = [p.detach().clone() for p in chosen]
    optimizer.step()
    return [
        (size(p.detach() - b) / size(b if over == "before" else p.detach())).item()
        for p, b in zip(chosen, before, strict=True)
    ]


def _by_hand(model, optimizer):
    """As if every optimizer were plain gradient descent."""
    lr = optimizer.param_groups[0]["lr"]
    return [(lr * p.grad.norm() / p.norm()).item() for p in model.parameters() if p.ndim == 2]


update_ratios = Exercise(
    "4.1 update ratios",
    _ratios,
    [Fresh(partial(_training, k)) for k in range(len(_STEPS))],
    mistakes=[
        (lambda m, o: [0.0] * 3, "every change is 0: the weights are changed in place, so keep a *copy* of them, `p.detach().clone()`, before the step."),
        (lambda m, o: _by_hand(m, o), "right for plain gradient descent without extras; momentum, weight decay and Adam make another step of the same gradient: take the step and look."),
        (lambda m, o: _ratios(m, o, over="after"), "that divides by the weights after the step; those before were asked for."),
        (lambda m, o: [r**2 for r in _ratios(m, o)], "that is the ratio of the mean squares: the root is missing."),
        (lambda m, o: _ratios(m, o, size=lambda t: t.abs().mean()), "that is a ratio of mean sizes; the rms was asked for: square, average, take the root."),
        (lambda m, o: [1 / r if r else math.inf for r in _ratios(m, o)], "upside down: the change over the weights."),
    ],
    praise="right for gradient descent, momentum, Adam and weight decay, and 0 where there is no gradient.",
)  # fmt: skip


def _escape(lr, curvature, start, end):
    return math.log(end / start) / math.log1p(lr * curvature)


escape_steps = Exercise(
    "4.2 plateau",
    _escape,
    [(0.1, 0.5, 1e-6, 1.0), (0.3, 2.0, 1e-3, 0.5), (1.0, 0.01, 0.2, 0.3), (0.05, 8.0, 1e-9, 1e-1), (0.4, 1.0, 0.1, 0.1)],
    rtol=1e-3,
    mistakes=[
        (lambda lr, c, s, e: math.log(e / s) / (lr * c), "that is the limit of small steps; a step multiplies the distance by 1 + lr * curvature, so divide by the logarithm of that."),
        (lambda lr, c, s, e: (e - s) / (lr * c * s), "the gradient grows with the distance, so the steps grow too: a factor per step, not a constant length."),
        (lambda lr, c, s, e: math.log(e / s) / math.log1p(c), "the learning rate is missing: one step adds lr times the gradient."),
        (lambda lr, c, s, e: math.log10(e / s) / math.log1p(lr * c), "two logarithms with different bases: take the same one above and below."),
        (lambda lr, c, s, e: -_escape(lr, c, s, e), "upside down: end over start is above 1."),
        (lambda lr, c, s, e: math.log(e / s) / math.log(abs(1 - lr * c)) if lr * c != 1 else math.inf, "that is the way *down* into a minimum; here the curvature is negative and the distance grows."),
    ],
    praise="right: the wait is logarithmic in the start and inverse in the curvature.",
)  # fmt: skip


def _outputs():
    generator, cases = torch.Generator().manual_seed(4), []
    for batch, units, shift in ((6, 3, 0.0), (50, 4, 1.0), (9, 5, 1e3), (2, 1, -0.5)):
        h = torch.randn(batch, units, generator=generator, dtype=torch.float64)
        h = h * torch.rand(units, generator=generator, dtype=torch.float64) + shift
        h[:, 0] = 0 if batch == 6 else h[:, 0]
        cases.append((h,))
    return cases


def _spread(h, correction=0):
    rms = h.square().mean(0).sqrt()
    return torch.where(rms > 0, h.std(0, correction=correction) / rms, 0.0)


unit_spreads = Exercise(
    "4.3 spread of units",
    _spread,
    _outputs(),
    mistakes=[
        (lambda h: _spread(h, correction=1), "that divides by n - 1: pass `correction=0`, else a unit with mean 0 has a spread above 1."),
        (lambda h: h.std(0, correction=0) / h.square().mean(0).sqrt(), "right but for units that are 0 for every example: there 0 / 0 came out, and 0 was asked for."),
        (lambda h: _spread(h) ** 2, "that is the share of the mean square: the root is missing."),
        (lambda h: torch.where(h.mean(0) != 0, h.std(0, correction=0) / h.mean(0).abs(), 0.0), "that divides by the mean; the rms of all of it was asked for, so that the spread is at most 1."),
        (lambda h: h.std(0, correction=0), "that is the standard deviation alone; divide it by the rms."),
    ],
    praise="right, also where a unit is 0 for all.",
)  # fmt: skip
