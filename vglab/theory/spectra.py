"""Singular values of the Jacobian of a deep network: the longest, the typical and their spread.

For a product of `depth` square matrices, each Gaussian N(0, sigma_w**2 / n) or sigma_w times a random orthogonal one,
when the width n is far larger than the depth. With an activation the two first moments are known in closed form.
"""

import warnings

import numpy as np

from .gaussian import check_sigmas, check_whole, number, slope_power
from .phases import TheoryWarning
from .signals import q_star

WEIGHTS = ("gaussian", "orthogonal")
#: depth / width above which theory warns. Already at 8 layers of 200 the largest value of a Gaussian product is some
#: 12 % too large and the median 4 to 9 %; at 32 layers 30 % and 15 to 20 %.
TRUSTED = 0.1


def largest_singular_value(depth, sigma_w=1.0, *, weights="gaussian", width=None):
    """The largest singular value of a product of `depth` matrices; depth: a number or an array.

    Gaussian: sigma_w**depth sqrt((depth + 1)**(depth + 1) / depth**depth), the edge of the Fuss-Catalan law (Penson and
    Zyczkowski 2011, arXiv:1103.3453). Orthogonal: sigma_w**depth (Saxe et al. 2014, arXiv:1312.6120). With `width`,
    warns with `TheoryWarning` if depth / width is over `TRUSTED`: the value is too large there.

    >>> round(largest_singular_value(2), 3), largest_singular_value(50, weights="orthogonal")
    (2.598, 1.0)
    """
    _check(depth, sigma_w, weights)
    _check_width(depth, width, weights)
    depth = np.asarray(depth, dtype=float)
    edge = ((depth + 1) * np.log(depth + 1) - depth * np.log(depth)) / 2 if weights == "gaussian" else 0.0
    return number(np.float64(sigma_w) ** depth * np.exp(edge))


def singular_value_quantiles(depth, quantiles=0.5, sigma_w=1.0, *, weights="gaussian", width=None):
    """The singular values below which the given shares of all lie, by default the median; shape of `quantiles`.

    Gaussian: the Fuss-Catalan law, as in `singular_value_density`. Warns as `largest_singular_value` does.

    >>> round(singular_value_quantiles(1), 3), round(singular_value_quantiles(8), 3)
    (0.808, 0.067)
    """
    _check(depth, sigma_w, weights)
    check_whole("depth", depth)
    quantiles = np.asarray(quantiles, dtype=float)
    if not np.all((quantiles >= 0) & (quantiles <= 1)):
        raise ValueError(f"quantiles are shares and must lie between 0 and 1; got {quantiles}.")
    _check_width(depth, width, weights)
    if weights == "orthogonal":
        return number(np.full(quantiles.shape, float(sigma_w) ** depth))
    angle, below, _, _ = _fuss_catalan(depth)
    with np.errstate(divide="ignore"):
        s = sigma_w**depth * np.exp(_log_s(depth, np.interp(quantiles, below, angle)))
    return number(np.where(quantiles == 0, 0.0, s))


def singular_value_density(depth, sigma_w=1.0):
    """The density of the singular values of a Gaussian product: (s, density), both (2001,), s rising.

    The Fuss-Catalan law in the parametrization by an angle: x = s**2 = sin((L + 1) a)**(L + 1) / (sin(a) sin(L a)**L)
    for 0 < a < pi / (L + 1) (Haagerup and Moeller 2013, arXiv:1211.4457; Forrester and Liu 2015).
    At s = 0 the density is infinite for L > 1, and for s near 0 it runs like s**(2 / (L + 1) - 1).
    """
    check_whole("depth", depth)
    _check(depth, sigma_w, "gaussian")
    _, _, log_s, log_density = _fuss_catalan(depth)
    scale = sigma_w**depth
    return scale * np.exp(log_s), np.exp(log_density) / scale


def _log_s(depth, angle):
    return 0.5 * (
        (depth + 1) * np.log(np.sin((depth + 1) * angle))
        - np.log(np.sin(angle))
        - depth * np.log(np.sin(depth * angle))
    )


def _fuss_catalan(depth, points=2001):
    """Angles, the share of singular values below, ln s and ln density, from s near 0 to near the edge: (points,) each.

    The share changes with the angle as smoothly as sines do, however thin the tail of s.
    """
    n = depth + 1
    end = np.pi / n
    angle = end * (1 - (np.arange(points) + 0.5) / points)  # falling, so that s rises
    log_s = _log_s(depth, angle)
    sines = np.sin(angle) * np.sin(n * angle) / np.sin(depth * angle) / np.pi  # density of x, times x
    # sin(n a) cot(n a) is cos(n a): no pole at the end, where x is 0.
    slope = (
        np.sin(angle)
        / np.sin(depth * angle)
        / np.pi
        * (np.sin(n * angle) * (1 / np.tan(angle) + depth**2 / np.tan(depth * angle)) - n**2 * np.cos(n * angle))
    )
    below = (np.cumsum(slope) - slope / 2) * end / points
    return angle, below / (slope.sum() * end / points), log_s, np.log(2 * sines) - log_s


def squared_singular_values(act, depth, sigma_w=1.0, sigma_b=0.0, *, weights="gaussian", width=None):
    """(mean, variance) of the squared singular values of the Jacobian of `depth` layers with an activation, at q*.

    Mean chi**depth, variance chi**(2 depth) depth (E[phi'**4] / E[phi'**2]**2 - 1 - s), with s = -1 for Gaussian and
    0 for orthogonal weights (Pennington, Schoenholz and Ganguli 2017, arXiv:1711.04735, their second moment). The
    variance is 0, dynamical isometry, only for orthogonal weights with slopes that are everywhere alike. Warns with
    `TheoryWarning` if depth / width is over `TRUSTED`.

    >>> [round(moment, 6) for moment in squared_singular_values("relu", 8, 2**0.5, weights="orthogonal")]
    [1.0, 8.0]
    """
    _check(depth, sigma_w, weights)
    _check_width(depth, width, weights)
    q = q_star(act, sigma_w, sigma_b)
    second, fourth = slope_power(act, q), slope_power(act, q, 4)
    mean = (np.square(sigma_w) * second) ** np.asarray(depth)
    excess = np.asarray(fourth) / np.square(second) - (0 if weights == "gaussian" else 1)
    return number(mean), number(mean**2 * depth * np.maximum(excess, 0.0))


def _check(depth, sigma_w, weights):
    check_whole("depth", depth)
    check_sigmas(sigma_w=sigma_w)
    if weights not in WEIGHTS:
        raise ValueError(f"weights must be one of {', '.join(WEIGHTS)}; got {weights!r}.")


def _check_width(depth, width, weights):
    if width is None or weights == "orthogonal":
        return
    check_whole("width", width)
    ratio = np.max(depth) / width
    if ratio > TRUSTED:
        warnings.warn(
            f"depth / width is {ratio:.2g}, over {TRUSTED}: a finite network's singular values spread otherwise than "
            "in the limit of infinite width; measure them instead.",
            TheoryWarning,
            stacklevel=3,
        )
