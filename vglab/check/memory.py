"""Checks of lesson 5: the gradient lag by lag, the factor of clipping, a gradient that grows before it vanishes."""

import math

import torch
from torch import nn

from .engine import Exercise, Number

__all__ = ["clip_factor", "hump", "lag_profile"]


class _LinearCell(nn.Module):
    """h' = W h + V x, with an orthogonal W: the gradient is as large at every lag."""

    def __init__(self, d_in, hidden_size, scale, generator):
        super().__init__()
        self.hidden_size = hidden_size
        draw = torch.randn(hidden_size, hidden_size + d_in, generator=generator, dtype=torch.float64)
        self.w = nn.Parameter(scale * torch.linalg.qr(draw[:, :hidden_size]).Q)
        self.v = nn.Parameter(draw[:, hidden_size:])

    def forward(self, x, h):
        return h @ self.w.T + x @ self.v.T


def _cells():
    """(cell, x) with cells of several widths, two of torch's and two linear, in double precision."""
    generator, cases = torch.Generator().manual_seed(5), []
    for kind, d_in, width, batch, steps in (
        ("tanh", 3, 8, 4, 12),
        ("relu", 2, 5, 7, 6),
        (1.0, 3, 6, 2, 9),
        (0.8, 1, 4, 3, 7),
    ):
        with torch.random.fork_rng(()):
            torch.default_generator.manual_seed(5)
            torchs = None if isinstance(kind, float) else nn.RNNCell(d_in, width, nonlinearity=kind).double()
        cell = torchs or _LinearCell(d_in, width, kind, generator)
        cases.append((cell, torch.randn(batch, steps, d_in, generator=generator, dtype=torch.float64)))
    return cases


def _states(cell, x):
    """Gradients of the sum of the last state with respect to every state, (time, batch, width), the last one first."""
    h, states = x.new_zeros(len(x), cell.hidden_size), []
    for x_t in x.unbind(1):
        h = cell(x_t, h)
        states.append(h)
    return torch.stack(torch.autograd.grad(h.sum(), states)).flip(0)


def _lag_profile(cell, x):
    return _states(cell, x).square().mean((1, 2)).sqrt()


lag_profile = Exercise(
    "5.1 lag profile",
    _lag_profile,
    _cells(),
    mistakes=[
        (lambda cell, x: _lag_profile(cell, x).flip(0), "right numbers in the wrong order: lag 0, the last state, comes first."),
        (lambda cell, x: _states(cell, x).mean((1, 2)), "that is the mean, in which signs cancel: square, average, then take the root."),
        (lambda cell, x: _states(cell, x).abs().mean((1, 2)), "that is the mean size: square, average, then take the root."),
        (lambda cell, x: _states(cell, x).square().sum((1, 2)).sqrt(), "that is the norm, which grows with batch and width: take the mean of the squares, not the sum."),
        (lambda cell, x: _lag_profile(cell, x) ** 2, "that is the mean square: the root is missing."),
        (lambda cell, x: (_states(cell, x) / len(x)).square().mean((1, 2)).sqrt(), "the loss is the sum of the last state, not its mean over the batch."),
    ],
    praise="right, also for a linear cell with an orthogonal matrix, where every lag is heard alike.",
)  # fmt: skip


def _gradients():
    """(gradients, max_norm): of several shapes, some absent, some small, one all zero."""
    generator, cases = torch.Generator().manual_seed(6), []
    for shapes, scale, max_norm in (
        ([(4, 3), (4,)], 5.0, 1.0),
        ([(2, 2), None, (7,), (1,)], 3.0, 2.5),
        ([(5,), (2, 3, 2)], 1e-3, 1.0),
        ([None, (6,)], 1e4, 0.1),
        ([(3,), None], 0.0, 1.0),
    ):
        grads = [None if shape is None else scale * torch.randn(shape, generator=generator) for shape in shapes]
        cases.append((grads, max_norm))
    return cases


def _norms(grads):
    return [g.double().norm().item() for g in grads if g is not None]


def _factor(norm, max_norm):
    return min(1.0, max_norm / norm) if norm else 1.0


clip_factor = Exercise(
    "5.2 clipping",
    lambda grads, max_norm: _factor(math.hypot(*_norms(grads)), max_norm),
    _gradients(),
    mistakes=[
        (lambda grads, max_norm: max_norm / (math.hypot(*_norms(grads)) or math.inf), "right for large gradients, but small ones are scaled *up*: the factor is never above 1, and 1 for a gradient of 0."),
        (lambda grads, max_norm: _factor(sum(_norms(grads)), max_norm), "norms do not add up, their squares do: the root of the sum of all squares."),
        (lambda grads, max_norm: _factor(max(_norms(grads)), max_norm), "one norm for all tensors together, not the largest of theirs."),
        (lambda grads, max_norm: _factor(sum(n**2 for n in _norms(grads)), max_norm), "that divides by the squared norm: the root is missing."),
        (lambda grads, max_norm: _factor(max(g.abs().max().item() for g in grads if g is not None), max_norm), "that is the largest entry; the norm of all entries together was asked for."),
    ],
    praise="right: one factor for all, so the direction stays; 1 below the threshold; absent gradients are skipped.",
)  # fmt: skip


_RADIUS, _WANTED = 0.9, 10.0


def _peak(c):
    """The largest stretch by W^k over all lags k, W = [[0.9, c], [0, 0.9]]."""
    w = torch.tensor([[_RADIUS, c], [0.0, _RADIUS]], dtype=torch.float64)
    return max(torch.linalg.matrix_norm(torch.linalg.matrix_power(w, k), 2).item() for k in range(200))


def _measure_hump(c):
    if abs(_peak(c) / _WANTED - 1) < 0.01:
        return None
    way = "smaller" if _peak(c) > _WANTED else "larger"
    return f"with c = {c:.4g} the gradient grows to {_peak(c):.3g} times its size before it vanishes: try a {way} |c|."


hump = Number(
    "5.3 hump",
    _measure_hump,
    mistakes=[
        (lambda c: 9.8 < abs(c) < 10.2, "that stretches tenfold in *one* step; the later steps stretch further. Look at all lags."),
        (lambda c: 0.9 < abs(c) < 1.12, "with c near 1 the powers grow only a few times; the stretch is proportional to c once it is large."),
    ],
    praise="right: every eigenvalue is 0.9, and a gradient is ten times as large some nine steps back as at the loss.",
)  # fmt: skip
