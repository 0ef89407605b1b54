"""How the correlation of two inputs changes from layer to layer, and where it ends.

Two inputs with preactivations of variance q and correlation c are, in the plane of two independent Gaussians, two
directions an angle theta = arccos(c) apart. In polar coordinates there, kinks at zero lie on rays: the quadrature has
these as edges, and is as good for ReLU as for tanh, and for c near 1 as for c = 0.
"""

import numpy as np
from numpy.polynomial import chebyshev

from .gaussian import check_q, check_sigmas, number, values
from .signals import chi, q_map, q_star
from .tables import LogTable, bisect

_RADII, _ANGLES = (0, 0.02, 0.2, 1.2, 4, 9.5), 24  # panels; nodes in each
_COARSE = (0, 0.5, 2.5, 9)  # panels for a table, which is asked for less
_GRADED = 3  # angles crowd at the kinks like x**3: tanh at q = 1e4 is nearly a step there
_DEGREE = 23  # of the polynomials in the angle
_CRITICAL = 1e-9  # |chi - 1| that is rounding


def _radial(panels, nodes):
    """Radii and weights: the length of a Gaussian vector in the plane has the density r exp(-r**2 / 2)."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    edges = np.array(panels, dtype=float)
    half = np.diff(edges)[:, None] / 2
    r = (edges[:-1, None] + half * (x + 1)).ravel()
    return r, (half * w).ravel() * r * np.exp(-(r**2) / 2)


def _angular(theta, nodes):
    """Angles psi in [0, pi] and weights, (..., 4 nodes); the kinks lie at psi = (pi -+ theta) / 2."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    x, w = (x + 1) / 2, w / 2
    x, w = x**_GRADED, w * _GRADED * x ** (_GRADED - 1)  # from a kink, at 0, to the other end
    outer, inner = ((np.pi - theta) / 2)[..., None], (theta / 2)[..., None]
    psi = [outer * (1 - x), outer + inner * x, np.pi - outer - inner * x, np.pi - outer * (1 - x)]
    return np.concatenate(psi, -1), np.concatenate([outer * w, inner * w, inner * w, outer * w], -1) / np.pi


def _average(f, act, q, theta, *, slope=False, panels=_RADII, nodes=_ANGLES):
    """The mean of f(phi(z1), phi(z2)), symmetric in its two arguments; q, theta: (n,)."""
    r, r_weight = _radial(panels, nodes)
    out = np.empty(len(q))
    block = max(1, 400_000 // (4 * nodes * len(r)))
    for part in np.array_split(np.arange(len(q)), -(-len(q) // block)):
        psi, weight = _angular(theta[part], nodes)
        radius = np.sqrt(q[part])[:, None, None] * r[:, None]
        shift = theta[part, None] / 2
        pair = [values(act, radius * np.cos(psi + s)[:, None, :], slope=slope) for s in (shift, -shift)]
        out[part] = np.einsum("nra,r,na->n", f(*pair), r_weight, weight)
    return out


def _of_pairs(f, act, c, q, *, slope=False):
    c = np.asarray(c, dtype=float)
    if not np.all(abs(c) <= 1):
        raise ValueError(f"c is a correlation and must lie between -1 and 1; got {c}.")
    c, q = np.broadcast_arrays(c, check_q(q))
    return number(_average(f, act, q.ravel(), np.arccos(c.ravel()), slope=slope).reshape(c.shape))


def mean_product(act, c, q=1.0):
    """E[phi(z1) phi(z2)] for two Gaussians of variance q and correlation c. c, q: any shapes that broadcast.

    Poole et al. (2016), the integral in their eq. 5. For ReLU it is the arc-cosine kernel of Cho and Saul (2009).

    >>> round(mean_product("relu", 0.0), 6)  # 1 / (2 pi)
    0.159155
    """
    return _of_pairs(np.multiply, act, c, q)


def slope_product(act, c, q=1.0):
    """E[phi'(z1) phi'(z2)]; q times it is the derivative of `mean_product` with respect to c (Price's theorem)."""
    return _of_pairs(np.multiply, act, c, q, slope=True)


def correlation_map(act, c, sigma_w, sigma_b=0.0, *, q=None):
    """The correlation of two inputs' preactivations one layer on, from c; both have variance `q`, by default q*.

    Poole et al. (2016), eq. 5, where q is q*: (sigma_w**2 E[phi(z1) phi(z2)] + sigma_b**2) / q. Away from q* the
    divisor is the next layer's variance. Needs a finite q above 0.

    >>> round(correlation_map("relu", 0.0, 2**0.5), 4)  # 1 / pi: orthogonal inputs come together
    0.3183
    """
    check_sigmas(sigma_w=sigma_w, sigma_b=sigma_b)
    q = q_star(act, sigma_w, sigma_b) if q is None else q
    if not np.all((np.asarray(q) > 0) & np.isfinite(q)):
        raise ValueError(f"the correlation map needs a variance above 0 and finite; got q = {q}: give q yourself.")
    product = np.square(sigma_w) * mean_product(act, c, q) + np.square(sigma_b)
    return number(product / q_map(act, q, sigma_w, sigma_b))


def c_star(act, sigma_w, sigma_b=0.0, *, q0=1.0):
    """The correlation of any two inputs after many layers: 1 where chi <= 1, below 1 in the chaotic phase.

    Poole et al. (2016), section 2.2. There is exactly one such end: with K(c) = E[phi(z1) phi(z2)] a power series in
    c without negative coefficients, a fixed point below 1 solves (K(1) - K(c)) / (1 - c) = q* / sigma_w**2, whose
    left side rises from Var[phi] at c = 0 to q* E[phi'**2] at c = 1. nan where q* is 0 or inf and chi > 1.

    >>> round(c_star("tanh", 1.5, 0.0), 6), c_star("tanh", 0.9, 0.3)
    (0.0, 1.0)
    """
    q = q_star(act, sigma_w, sigma_b, q0=q0)
    return number(correlation_end(act, q, sigma_w, chi(act, sigma_w, sigma_b, q0=q0))[0])


def correlation_slope(act, sigma_w, sigma_b=0.0, *, q0=1.0):
    """The derivative of the correlation map at c*: chi where c* = 1, below 1 in the chaotic phase.

    Schoenholz et al. (2017): chi_1 in the ordered phase and, at c* < 1, sigma_w**2 E[phi'(z1) phi'(z2)].
    """
    q = q_star(act, sigma_w, sigma_b, q0=q0)
    return number(1 - correlation_end(act, q, sigma_w, chi(act, sigma_w, sigma_b, q0=q0))[1])


def correlation_end(act, q, sigma_w, chi_1):
    """c* and 1 - the slope of the correlation map there, for arrays of q*, sigma_w and chi; errors under 1e-6."""
    q, sigma_w, chi_1 = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (q, sigma_w, chi_1)))
    c, gap = np.ones(q.shape), 1 - chi_1
    fixed = (q > 0) & np.isfinite(q)
    c[~fixed & (chi_1 > 1 + _CRITICAL)] = np.nan
    gap = np.where((abs(gap) < _CRITICAL), 0.0, np.where(fixed | (gap > 0), gap, np.nan))
    chaotic = fixed & (chi_1 > 1 + _CRITICAL)
    if chaotic.any():
        c[chaotic], gap[chaotic] = _below_one(act, q[chaotic], sigma_w[chaotic])
    return c, gap


def _stretch(q):
    """Where tanh at a large q turns fast, near angle 0, the angle is stretched: theta = sinh(y) / stretch."""
    return np.sqrt(1 + 2 * q)


def _chords(act, q):
    """(K(1) - K(c)) / (1 - c), over q, at Chebyshev nodes of the stretched angle between 0 and pi / 2: (n, nodes).

    Half the mean of (phi(z1) - phi(z2))**2, which loses no digits where c is near 1.
    """
    x = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    theta = _angles(x, q[:, None])
    each = np.broadcast_to(q[:, None], theta.shape).ravel()
    squares = _average(lambda a, b: (a - b) ** 2, act, each, theta.ravel(), panels=_COARSE, nodes=18)
    return squares.reshape(theta.shape) / (4 * np.sin(theta / 2) ** 2 * q[:, None])


def _angles(x, q):
    """The angle at x in [-1, 1]."""
    stretch = _stretch(q)
    return np.sinh((x + 1) / 2 * np.arcsinh(np.pi / 2 * stretch)) / stretch


def _below_one(act, q, sigma_w):
    """c* and 1 - slope in the chaotic phase; flat arrays."""
    x = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    to_coefficients = np.linalg.inv(chebyshev.chebvander(x, _DEGREE))
    table = LogTable(lambda q: _chords(act, q), per_decade=2) if len(q) > 8 else lambda q: _chords(act, q)
    chords = to_coefficients @ table(q).T
    ends = bisect(
        lambda x: chebyshev.chebval(x, chords, tensor=False) > sigma_w**-2.0, -np.ones(len(q)), np.ones(len(q))
    )
    theta, stretch = _angles(ends, q), _stretch(q)
    # With the chord S q = q / sigma_w**2 at c*, 1 - slope = sigma_w**2 (1 - c) dS/dc: no difference of near numbers.
    turn = chebyshev.chebval(ends, chebyshev.chebder(chords), tensor=False)
    per_angle = turn * 2 / np.arcsinh(np.pi / 2 * stretch) * stretch / np.hypot(1, theta * stretch)
    return np.cos(theta), sigma_w**2 * np.tan(theta / 2) * -per_angle
