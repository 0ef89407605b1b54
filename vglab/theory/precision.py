"""What half precision does to a gradient: the shares that become 0, lose digits, or overflow."""

import numpy as np
import torch

from .gaussian import number

DTYPES = ("float16", "bfloat16")
SHAPES = ("normal", "lognormal")


def half_precision_shares(rms, *, dtype="float16", scale=1.0, shape="normal", spread=2.0):
    """The shares of numbers that rounding to half precision makes 0, subnormal or infinite: a dict of three.

    Micikevicius et al. (2018), arXiv:1710.03740, section 3.2. float16 makes 0 of what is at most 2**-25, keeps fewer
    digits below 2**-14 and overflows from 65520; bfloat16 has float32's range.

    Parameters
    ----------
    rms : float or array
        Root mean square of the gradient, 0 or more.
    scale : float or array
        The factor on the loss, and so on the gradient, before rounding.
    shape : "normal" or "lognormal"
        N(0, rms**2), or a random sign and a normal ln|g|, whose standard deviation is `spread`: gradients of a whole
        network spread over decades.

    >>> [round(half_precision_shares(1e-8, scale=scale)["zero"], 4) for scale in (1.0, 2.0**10)]
    [0.9971, 0.0023]
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}.")
    if shape not in SHAPES:
        raise ValueError(f"shape must be one of {', '.join(SHAPES)}; got {shape!r}.")
    size = np.asarray(rms, dtype=float) * np.asarray(scale, dtype=float)
    if not (np.all(np.asarray(rms) >= 0) and np.all(np.asarray(scale) > 0) and spread > 0):
        raise ValueError(f"rms must be 0 or more, scale and spread above 0; got {rms}, {scale} and {spread}.")
    zero, normal, infinite = _limits(dtype)
    below = lambda limit: _below(limit, size, None if shape == "normal" else spread)
    shares = {
        "zero": below(zero),
        "subnormal": below(normal) - below(zero),
        "overflow": _above(infinite, size, shape, spread),
    }
    return {name: number(share) for name, share in shares.items()}


def _limits(dtype):
    """Up to where |g| rounds to 0, where full digits begin, and from where it overflows."""
    info = torch.finfo(getattr(torch, dtype))
    last_gap = info.eps * 2.0 ** np.floor(np.log2(info.max))
    return info.smallest_normal * info.eps / 2, info.smallest_normal, info.max + last_gap / 2


def _below(limit, size, spread):
    """P(|g| <= limit); `spread`: None for a Gaussian."""
    with np.errstate(divide="ignore"):
        if spread is None:
            return torch.special.erf(torch.tensor(limit / size / 2**0.5)).numpy()
        return torch.special.ndtr(torch.tensor(np.log(limit / size) / spread + spread)).numpy()


def _above(limit, size, shape, spread):
    """P(|g| > limit), without the digits that 1 - P would lose."""
    with np.errstate(divide="ignore"):
        if shape == "normal":
            return torch.special.erfc(torch.tensor(limit / size / 2**0.5)).numpy()
        return torch.special.ndtr(torch.tensor(-np.log(limit / size) / spread - spread)).numpy()
