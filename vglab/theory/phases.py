"""Order and chaos: the critical line between them, how deep signals reach on either side, and the whole diagram."""

import warnings

import numpy as np
import pandas as pd

from .correlations import correlation_end
from .gaussian import SMALLEST, check_sigmas, mean_square, mean_square_slope, number, slope_power
from .signals import at_q, q_star
from .tables import bisect

CRITICAL = 1e-9  #: |chi - 1| up to which a point of the diagram is called critical

_Q = 10.0 ** np.linspace(-12, 12, 193)  # where a fixed point with chi = 1 is looked for
_STARTS = 10.0 ** np.linspace(-4, 4, 65)  # where a variance may start or be carried by chance
_CHANCE = 0.01  # per layer: what chance does to a mean square over some hundred units
_NEAR = 1e-9  # of 1: a slope that a neutral fixed point has


class TheoryWarning(UserWarning):
    """Infinite-width theory is asked where it cannot be trusted."""


def depth_scales(act, sigma_w, sigma_b=0.0, *, q0=1.0):
    """(xi_q, xi_c): over how many layers a difference in the variance, and in the correlation, falls by e.

    Schoenholz et al. (2017), their depth scales: -1 / ln of the slopes of the two maps at q* and c*. inf on the
    critical line and wherever a difference does not fall; nan where chi > 1 and q* is 0 or inf. A network can be
    trained to a depth of about 6 xi_c. Where q* is 0 the signals vanish, and xi_c says how fast their difference does.
    Warns with `TheoryWarning` where `bistable`.

    >>> [round(xi, 2) for xi in depth_scales("tanh", 1.0, 0.05**0.5)]  # chi = 0.759
    [1.75, 3.63]
    """
    columns = _columns(act, *np.broadcast_arrays(sigma_w, sigma_b), q0=q0)
    _warn_if_bistable(act, columns)
    return number(columns["xi_q"]), number(columns["xi_c"])


def phase_diagram(act, sigma_w, sigma_b=0.0, *, q0=1.0):
    """A table with one row per pair of `sigma_w` and `sigma_b`, both numbers or 1-D arrays; sigma_w runs fastest.

    Columns: sigma_w, sigma_b, q_star, chi, c_star, xi_q, xi_c and phase: "ordered" (chi < 1, gradients vanish and
    inputs come together), "critical", "chaotic" (gradients explode and inputs part). See `c_star` and `depth_scales`
    for the limits at q* = 0 and inf. Poole et al. (2016), Fig. 1; Schoenholz et al. (2017), Fig. 1. Interpolated,
    with errors under 1e-6 relative. Warns with `TheoryWarning` where `bistable`.

    >>> phase_diagram("tanh", [0.5, 1.5], 0.2).round(3)[["sigma_w", "chi", "c_star", "phase"]]
       sigma_w    chi  c_star    phase
    0      0.5  0.228   1.000  ordered
    1      1.5  1.101   0.497  chaotic
    """
    axes = [np.atleast_1d(np.asarray(sigma, dtype=float)) for sigma in (sigma_w, sigma_b)]
    if any(axis.ndim > 1 for axis in axes):
        raise ValueError("sigma_w and sigma_b are the axes of the diagram and must be numbers or 1-D arrays.")
    columns = _columns(act, *np.meshgrid(*axes), q0=q0)
    _warn_if_bistable(act, columns)
    chi = columns["chi"]
    kind = np.where(abs(chi - 1) <= CRITICAL, 1, np.where(chi < 1, 0, 2))
    phase = pd.Categorical.from_codes(kind.ravel(), ["ordered", "critical", "chaotic"])
    names = ("sigma_w", "sigma_b", "q_star", "chi", "c_star", "xi_q", "xi_c")
    return pd.DataFrame({name: columns[name].ravel() for name in names} | {"phase": phase})


def _columns(act, sigma_w, sigma_b, *, q0):
    q = np.asarray(q_star(act, sigma_w, sigma_b, q0=q0))
    w2 = np.square(sigma_w, dtype=float)
    slopes = at_q(lambda q: np.stack([slope_power(act, q), mean_square_slope(act, q)], -1), q)
    chi, variance_slope = w2 * slopes[..., 0], w2 * slopes[..., 1]
    c, gap = correlation_end(act, q, sigma_w, chi)
    xi_q = np.where((q == np.inf) & (chi > 1), np.nan, _depth(1 - abs(variance_slope)))
    found = {"q_star": q, "chi": chi, "c_star": c, "xi_q": xi_q, "xi_c": _depth(gap), "variance_slope": variance_slope}
    return {"sigma_w": np.asarray(sigma_w, float), "sigma_b": np.asarray(sigma_b, float)} | found


def _depth(gap):
    """-1 / ln(1 - gap); inf for a gap of 0 or less, 0 for a slope of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(gap <= _NEAR, np.inf, -1 / np.log1p(-np.minimum(gap, 1.0))) + np.where(np.isnan(gap), gap, 0)


def bistable(act, sigma_w, sigma_b=0.0):
    """Whether the start, or chance, decides where the variance ends: bool, or an array.

    So it is for GELU and SiLU with sigma_w between sqrt(2) and 2: small variances fall to 0 and large ones run to inf.
    Meant is that the variance falls by over 1 % per layer at some q, and at a larger one no longer does. A neutral
    map, where every variance stays (ReLU with sigma_w = sqrt(2)), is not meant.
    """
    check_sigmas(sigma_w=sigma_w, sigma_b=sigma_b)
    w2, b2 = np.broadcast_arrays(np.square(sigma_w, dtype=float), np.square(sigma_b, dtype=float))
    ratio = mean_square(act, _STARTS) / _STARTS
    out = np.empty(w2.size, dtype=bool)
    for part in np.array_split(np.arange(w2.size), w2.size // 1024 + 1):  # a block that stays in the cache
        falls = np.outer(w2.ravel()[part], ratio) + np.outer(b2.ravel()[part], 1 / _STARTS) < 1 - _CHANCE
        out[part] = (falls[:, :-1] & ~falls[:, 1:]).any(1)
    return number(out.reshape(w2.shape))


def _warn_if_bistable(act, columns):
    where = np.asarray(bistable(act, columns["sigma_w"], columns["sigma_b"]))
    if where.any():
        sigma_w = columns["sigma_w"][where]
        warnings.warn(
            f"the variance of {_called(act)} can end at different values at {where.sum()} of {where.size} points "
            f"(sigma_w from {sigma_w.min():.3g} to {sigma_w.max():.3g}), and in a real network chance decides: do not "
            "trust theory there.",
            TheoryWarning,
            stacklevel=3,
        )


def _called(act):
    return repr(act) if isinstance(act, str) else getattr(act, "__name__", type(act).__name__)


def critical_line(act, sigma_b=0.0):
    """The sigma_w at which chi is 1, for each `sigma_b`: a number or an array; nan where there is none.

    On the line sigma_w**2 = 1 / E[phi'**2] and sigma_b**2 = q - E[phi**2] / E[phi'**2], both functions of q = q*
    alone (Poole et al. 2016, eq. 3, and chi = 1): q is found from the second. Where several q serve, the least.
    Warns with `TheoryWarning` where there is none (ReLU with biases: the variance diverges), or where q* is no end
    that variances reach (GELU, SiLU).

    >>> [round(critical_line(*of), 3) for of in (["tanh"], ["tanh", 0.05**0.5], ["relu"])]
    [1.0, 1.327, 1.414]
    """
    check_sigmas(sigma_b=sigma_b)
    b2 = np.square(sigma_b, dtype=float)
    q = _critical_q(act, np.ravel(b2)).reshape(b2.shape)
    sigma_w = np.where(np.isnan(q), np.nan, 1 / np.sqrt(slope_power(act, np.nan_to_num(q))))
    _warn_of_the_line(act, q, sigma_w, b2)
    return number(sigma_w)


def _critical_q(act, b2):
    """The least q with q - E[phi**2] / E[phi'**2] = sigma_b**2: (n,)."""
    excess = lambda q: q - mean_square(act, q) / slope_power(act, q)
    with np.errstate(divide="ignore", invalid="ignore"):
        on_grid = excess(_Q)
    on_grid[abs(on_grid) < 1e-12 * _Q] = 0  # ReLU: 0 at every q
    risen = np.diff(np.sign(on_grid - b2[:, None] - 1e-300), axis=1) > 0
    q = np.full(len(b2), np.nan)
    at_zero = (b2 == 0) & (abs(on_grid[0]) <= 1e-6 * _Q[0])
    found = np.flatnonzero(risen.any(1) & ~at_zero)
    if found.size:
        cell = risen[found].argmax(1)
        low, high = np.log(_Q[cell]), np.log(_Q[cell + 1])
        q[found] = np.exp(bisect(lambda x: excess(np.exp(x)) < b2[found], low, high, steps=50))
    q[at_zero] = SMALLEST
    return q


def _warn_of_the_line(act, q, sigma_w, b2):
    none = np.isnan(q)
    w2 = np.where(none, 0, sigma_w) ** 2
    stable = w2 * mean_square_slope(act, np.where(none, 1.0, q)) <= 1 + _NEAR
    # At q = 0 the slope is 1 on every critical line: whether small variances fall is seen a little above.
    falls = w2 * mean_square(act, 1e-4) <= 1e-4 * (1 + _NEAR)
    reached = stable & (falls | (q > SMALLEST))
    for what, where in {
        "has no sigma_w with chi = 1": none,
        "passes an end of the variance that is unstable, so no network is found there": ~none & ~reached,
    }.items():
        if where.any():
            warnings.warn(
                f"the critical line of {_called(act)} {what} at {where.sum()} of {where.size} sigma_b.",
                TheoryWarning,
                stacklevel=3,
            )
