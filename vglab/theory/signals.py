"""The variance map, its fixed point, and the factor on the gradient per layer: what a wide random network does."""

import numpy as np
from numpy.polynomial import chebyshev

from .gaussian import (
    LARGEST,
    SMALLEST,
    check_q,
    check_sigmas,
    check_whole,
    mean,
    mean_square,
    number,
    rms_slope,
    slope_power,
)
from .normalization import batch_factor
from .tables import LogTable, bisect

TORCH_DEFAULT = 3**-0.5  #: sigma_w of ``torch.nn.Linear`` as torch initializes it: U(+-1/sqrt(n)) has variance 1/(3n)

_DECADES = 40  # how far from q0 a fixed point is looked for; beyond it stands for 0 or inf
_MANY = 256  # points from which a table pays; below it every average is computed where it is asked for
_FLAT = 1e-12  # a relative drift of q per layer that is rounding


def q_map(act, q, sigma_w, sigma_b=0.0):
    """The variance of the preactivations one layer on: sigma_w**2 E[phi(z)**2] + sigma_b**2, z ~ N(0, q).

    Poole et al. (2016), eq. 3.
    """
    check_sigmas(sigma_w=sigma_w, sigma_b=sigma_b)
    return number(np.square(sigma_w) * mean_square(act, q) + np.square(sigma_b))


def q_star(act, sigma_w, sigma_b=0.0, *, q0=1.0):
    """The variance of the preactivations after many layers, started from `q0`; 0 and inf where it has no other end.

    Found by following the sign of ``q_map(q) - q`` from `q0` to the first place where it changes, so that a
    neutral map (ReLU with sigma_w**2 = 2) answers `q0` and a slowly falling one (tanh with sigma_w = 1) answers
    its limit 0, which it reaches only like 1 / (2 depth).
    """
    check_sigmas(sigma_w=sigma_w, sigma_b=sigma_b)
    if not q0 > 0:
        raise ValueError(f"q0 is the variance to start from and must be above 0; got {q0}.")
    w2, b2 = np.broadcast_arrays(np.square(sigma_w, dtype=float), np.square(sigma_b, dtype=float))
    return number(_ends(act, w2.ravel(), b2.ravel(), float(q0)).reshape(w2.shape))


def _ends(act, w2, b2, q0):
    """`q_star` for flat arrays of sigma_w**2 and sigma_b**2: (n,)."""
    with np.errstate(invalid="ignore", over="ignore"):  # 0 * inf, far out
        start = w2 * mean_square(act, q0) / q0 + b2 / q0 - 1
        ends = np.where(abs(start) < _FLAT, q0, np.where(start > 0, np.inf, 0.0))
        table = LogTable(lambda q: mean_square(act, q) / q, origin=q0)
        for sign in (1, -1):
            moving = np.flatnonzero(start * sign >= _FLAT)
            if moving.size:
                ends[moving] = _followed(table, w2[moving], b2[moving], sign)
    return ends


def _followed(table, w2, b2, sign):
    """The first place at which the drift, of the sign `sign` at the table's origin, changes its sign: (n,)."""
    cells = np.arange(_DECADES * table.per_decade + 1)
    q = table.q(sign * cells)
    per_weight, per_bias = table.f(q) * sign, sign / q
    turned = np.zeros(len(w2), dtype=int)  # 0: nowhere
    for part in np.array_split(np.arange(len(w2)), len(w2) // 1024 + 1):  # a block that stays in the cache
        drift = np.outer(w2[part], per_weight) + np.outer(b2[part], per_bias)
        turned[part] = np.argmax(drift < sign - _FLAT, axis=1)
    ends = np.full(len(w2), np.inf if sign > 0 else 0.0)
    found = np.flatnonzero(turned)
    if found.size:
        cell = turned[found] - 1 if sign > 0 else -turned[found]
        cells, which = np.unique(cell, return_inverse=True)
        coefficients = table.coefficients(cells)[which].T  # (degree + 1, n)

        def upwards(x):
            ratio = chebyshev.chebval(x, coefficients, tensor=False)
            return w2[found] * ratio + b2[found] / table.q(cell + (x + 1) / 2) > 1

        ones = np.ones(len(found))
        ends[found] = table.q(cell + (bisect(upwards, -ones, ones) + 1) / 2)
    return ends


def at_q(f, q):
    """f at every q: (...), 0 and inf among them, through a table where there are many."""
    q = np.clip(np.asarray(q, dtype=float), SMALLEST, LARGEST)
    return f(q) if q.size < _MANY else LogTable(f)(q)


def chi(act, sigma_w, sigma_b=0.0, *, q0=1.0):
    """sigma_w**2 E[phi'(z)**2] at q*: the factor on the *mean square* of the gradient per layer.

    Schoenholz et al. (2017), eq. 5 (their chi_1). Below 1 gradients vanish, above 1 they explode.
    """
    q = q_star(act, sigma_w, sigma_b, q0=q0)
    return number(np.square(sigma_w) * at_q(lambda q: slope_power(act, q), q))


def layer_factor(act, sigma_w=1.0, sigma_b=0.0, *, norm=None, batch=None, q0=1.0):
    """The factor on the root-mean-square gradient per layer, going from the output towards the input.

    Without a norm ``sqrt(chi)``. With LayerNorm or RMSNorm before the activation sqrt(E[phi'**2] / E[phi**2]), with
    BatchNorm sqrt(E[phi'**2] / Var[phi]), both for z ~ N(0, 1) and whatever sigma_w; the last is at least 1 for every
    activation (Gaussian Poincare inequality) and for ReLU equals sqrt(pi / (pi - 1)), as in Yang et al. (2019),
    arXiv:1902.08129. It is the limit of a large batch; for one of `batch` examples see `batch_factor`. The formulas
    with a norm are our derivation, checked numerically; those for BatchNorm are off by several per cent for GELU and
    SiLU, whose batches do not stay evenly spread.

    >>> round(layer_factor("relu", TORCH_DEFAULT), 3), round(layer_factor("relu", norm="batch"), 3)
    (0.408, 1.211)
    >>> round(layer_factor("relu", norm="batch", batch=32), 3)
    1.234
    """
    if batch is not None and norm != "batch":
        raise ValueError(f"batch is the batch size of BatchNorm and needs norm='batch'; got norm={norm!r}.")
    if norm is None:
        return number(np.sqrt(chi(act, sigma_w, sigma_b, q0=q0)))
    check_sigmas(sigma_w=sigma_w, sigma_b=sigma_b)
    if norm not in ("layer", "rms", "batch"):
        raise ValueError(f"norm must be None, 'batch', 'layer' or 'rms'; got {norm!r}.")
    if batch is not None:
        return batch_factor(act, batch)
    spread = mean_square(act) - (mean(act) ** 2 if norm == "batch" else 0.0)
    return rms_slope(act) / spread**0.5


def variance_profile(act, depth, sigma_w, sigma_b=0.0, *, q0=1.0):
    """The variance of the preactivations of layers 1 to `depth`, (depth,), when that of layer 1 is `q0`."""
    check_whole("depth", depth)
    check_q(q0)
    q = [float(q0)]
    while len(q) < depth:
        q.append(min(q_map(act, q[-1], sigma_w, sigma_b), LARGEST))
    return np.array(q)


def gradient_profile(act, depth, sigma_w=1.0, sigma_b=0.0, *, norm=None, batch=None, q0=1.0):
    """The rms of dL/dh of layers 1 to `depth` divided by that of the last, (depth,).

    h is the output of the activation, `q0` the preactivations' variance in layer 1. Follows q from layer to layer
    and not only q*, so that it is right in the first layers also.
    """
    check_whole("depth", depth)
    if norm is not None:
        factors = np.full(depth - 1, layer_factor(act, sigma_w, sigma_b, norm=norm, batch=batch))
    else:
        q = variance_profile(act, depth, sigma_w, sigma_b, q0=q0)
        factors = sigma_w * rms_slope(act, q[1:])
    return np.append(np.cumprod(factors[::-1])[::-1], 1.0)
