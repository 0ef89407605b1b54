"""Checks of lesson 14: what a format loses, a loss scale that finds itself, the least step that is taken."""

import math

import torch

from .engine import Exercise

__all__ = ["least_rate", "next_scale", "underflow_fraction"]


def _underflow_fraction(gradient, dtype, scale):
    nonzero = gradient[gradient != 0]
    return ((nonzero * scale).to(dtype) == 0).double().mean()


def _subnormal_counted(gradient, dtype, scale):
    return ((gradient[gradient != 0] * scale).abs() < torch.finfo(dtype).smallest_normal).double().mean()


def _gradients():
    """Gradients over many decades, some entries 0 from the start, with rms around the end of each format."""
    generator, cases = torch.Generator().manual_seed(141), []
    for rms, dtype, scale in ((1e-8, torch.float16, 1.0), (1e-9, torch.float16, 64.0), (1e-40, torch.bfloat16, 0.01)):
        size = torch.randn(300, generator=generator, dtype=torch.float64)
        gradient = rms * size * (torch.randn(300, generator=generator, dtype=torch.float64)).exp()
        gradient[::7] = 0
        cases.append((gradient.reshape(20, 15), dtype, scale))
    return cases


underflow_fraction = Exercise(
    "14.1 underflow",
    _underflow_fraction,
    _gradients(),
    mistakes=[
        (lambda g, dtype, scale: ((g * scale).to(dtype) == 0).double().mean(), "entries that were 0 before are counted as lost, or as survivors: leave them out of the share altogether."),
        (lambda g, dtype, scale: (((g * scale).to(dtype) == 0) & (g != 0)).double().mean(), "the share is of the nonzero entries; you divided by all of them."),
        (lambda g, dtype, scale: (g[g != 0].to(dtype) == 0).double().mean(), "the scale is missing: multiply before you round."),
        (lambda g, dtype, scale: ((g[g != 0].to(dtype) * scale) == 0).double().mean(), "you rounded first and scaled afterwards: what is 0 stays 0. Scale before you round."),
        (lambda g, dtype, scale: ((g[g != 0] / scale).to(dtype) == 0).double().mean(), "you divided by the scale; a loss scale multiplies the gradient."),
        (_subnormal_counted, "you compared with the least normal number; below it there are still subnormals, which are not 0."),
        (lambda g, dtype, scale: 1 - _underflow_fraction(g, dtype, scale), "that is the share that survives."),
    ],
    praise="right: the rounding itself says what is lost.",
)  # fmt: skip


def _next_scale(scale, good, finite, patience):
    if not finite:
        return [scale / 2, 0]
    return [scale * 2, 0] if good + 1 == patience else [scale, good + 1]


next_scale = Exercise(
    "14.2 loss scaler",
    _next_scale,
    [(1024.0, 0, True, 3), (1024.0, 2, True, 3), (1024.0, 1, True, 3), (512.0, 2, False, 3), (8.0, 0, True, 1), (8.0, 6, False, 9), (2.0, 7, True, 9), (2.0, 8, True, 9)],
    mistakes=[
        (lambda s, good, finite, p: [s / 2, 0] if not finite else [s * 2, 0] if good == p else [s, good + 1], "you double one step late: the step in hand is a good one, too, so compare good + 1 with patience."),
        (lambda s, good, finite, p: [s / 2, good] if not finite else _next_scale(s, good, finite, p), "after a step that overflowed the count starts anew, from 0."),
        (lambda s, good, finite, p: _next_scale(s, good, finite, p) if not finite or good + 1 < p else [s * 2, good + 1], "after doubling the count starts anew, from 0."),
        (lambda s, good, finite, p: [s, 0] if not finite else _next_scale(s, good, finite, p), "a step that overflowed halves the scale."),
        (lambda s, good, finite, p: _next_scale(s, good, not finite, p), "halve when the gradient is not finite, not when it is."),
    ],
    praise="right: so the scale climbs to the upper end of the window and stays just below it.",
)  # fmt: skip


def _least_rate(w, g, digits):
    return 2.0 ** (math.floor(math.log2(w)) - digits) / 2 / g


def _lands(answer):
    """Just below the rate bfloat16 keeps the weight, just above it moves it."""
    for w, g in ((0.37, 0.02), (1.7, 1e-3), (0.011, 3.0)):
        weight = torch.tensor(w, dtype=torch.bfloat16)
        rate = float(answer(weight.item(), g, 7))
        step = lambda factor, w=weight, g=g, rate=rate: (w.double() - factor * rate * g).bfloat16()
        if step(0.98) != weight or step(1.02) == weight:
            return f"tried in bfloat16: at w = {weight.item():.3g}, g = {g:.3g} a rate of {rate:.3g} is not where it begins to move."
    return None


least_rate = Exercise(
    "14.3 least step",
    _least_rate,
    [(0.37, 0.02, 7), (1.7, 1e-3, 7), (0.011, 3.0, 10), (100.0, 0.5, 10)],
    mistakes=[
        (lambda w, g, digits: 2 * _least_rate(w, g, digits), "that is a whole gap between neighbours; half of it already rounds to the next number (or k is the exponent above w; it is the one below)."),
        (lambda w, g, digits: w * 2.0**-digits / 2 / g, "you took the gap as proportional to w; it is the same in the whole interval from 2^k to 2^(k+1)."),
        (lambda w, g, digits: 2.0 ** (math.floor(math.log2(w)) - digits) / 2, "that is the least update, rate times gradient: divide by g."),
        (lambda w, g, digits: 2.0**-digits / 2 / g, "that is right for weights between 1 and 2: small weights have finer neighbours."),
    ],
    extra=_lands,
    praise="right, and tried in bfloat16: a weight of ordinary size needs a step of about four thousandths of itself.",
)  # fmt: skip
