"""What a wide random network does to signals and gradients, computed from the activation alone.

Mean-field theory: in a wide layer with independent weights W ~ N(0, sigma_w**2 / fan_in) and biases b ~ N(0,
sigma_b**2) each preactivation is Gaussian, z ~ N(0, q). Poole et al. (2016), arXiv:1606.05340, give the map of q
from layer to layer; Schoenholz et al. (2017), arXiv:1611.01232, the factor on the gradient. These are statements
about infinite width at initialization: they say nothing about a network that has been trained.

Activations are names, torch modules or functions as in `vglab.mlp`. Every q and sigma may be a number or
an array; the profiles, one network each, take numbers.
"""

import numpy as np
import torch

from .activations import as_module

TORCH_DEFAULT = 3**-0.5  #: sigma_w of ``torch.nn.Linear`` as torch initializes it: U(+-1/sqrt(n)) has variance 1/(3n)

_PANELS = np.array([0, 0.1, 1, 4, 10])  # a half line of z; N(0, 1) beyond 10 weighs 2e-23
_LARGEST, _SMALLEST = 1e280, 1e-280  # q is kept where its square root and squares are still numbers


def _nodes():
    """Gauss-Legendre nodes and N(0, 1) weights on each half line: a kink at 0, as in ReLU, costs no accuracy."""
    x, w = np.polynomial.legendre.leggauss(64)
    half = np.diff(_PANELS)[:, None] / 2
    z = (_PANELS[:-1, None] + half * (x + 1)).ravel()
    weight = (half * w).ravel() * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return np.concatenate([-z[::-1], z]), np.concatenate([weight[::-1], weight])


_Z, _WEIGHT = _nodes()


def _values(act, q, want_slope):
    """phi(sqrt(q) z) or its derivative at the nodes; shape of q plus one axis of nodes."""
    z = torch.tensor(np.sqrt(np.asarray(q, dtype=float))[..., None] * _Z, requires_grad=want_slope)
    with torch.enable_grad():
        h = as_module(act).double()(z.clone())  # a clone, because phi may work in place
        if want_slope:
            (h,) = torch.autograd.grad(h.sum(), z) if h.requires_grad else (torch.zeros_like(z),)  # 0: a step
    return h.detach().numpy()


def _mean(values):
    # Past the largest double a square is inf, and inf times a node's tiny weight is still inf: said, not warned of.
    with np.errstate(over="ignore", invalid="ignore"):
        return _number(values @ _WEIGHT)


def _number(x):
    x = np.asarray(x)
    return x.item() if x.ndim == 0 else x


def _check_q(q):
    if not np.all(np.asarray(q, dtype=float) >= 0):
        raise ValueError(f"q is a variance and must be 0 or more; got {q}.")
    return np.clip(np.asarray(q, dtype=float), 0, _LARGEST)


def _check_sigmas(sigma_w, sigma_b=0.0):
    for name, sigma in {"sigma_w": sigma_w, "sigma_b": sigma_b}.items():
        if not np.all(np.asarray(sigma, dtype=float) >= 0):
            raise ValueError(f"{name} is a standard deviation and must be 0 or more; got {sigma}.")


def _check_depth(depth):
    if depth < 1 or depth != int(depth):
        raise ValueError(f"depth must be a whole number of at least 1; got {depth!r}.")


def mean_square(act, q=1.0):
    """E[phi(z)**2] for z ~ N(0, q): the mean square of the activations."""
    return _mean(_values(act, _check_q(q), False) ** 2)


def mean(act, q=1.0):
    """E[phi(z)] for z ~ N(0, q): the mean of the activations."""
    return _mean(_values(act, _check_q(q), False))


def rms_slope(act, q=1.0):
    """sqrt(E[phi'(z)**2]) for z ~ N(0, q): the root-mean-square slope that the gradient meets.

    Schoenholz et al. (2017), eq. 5 (their chi_1), without the factor sigma_w**2 and with the root. First
    built in lesson 2.

    >>> round(rms_slope("relu"), 4), round(rms_slope("sigmoid"), 4)
    (0.7071, 0.2117)
    """
    q = np.maximum(_check_q(q), _SMALLEST)  # at q = 0 the limit: a kink has no slope of its own
    return _number(np.sqrt(_mean(_values(act, q, True) ** 2)))


def q_map(act, q, sigma_w, sigma_b=0.0):
    """The variance of the preactivations one layer on: sigma_w**2 E[phi(z)**2] + sigma_b**2, z ~ N(0, q).

    Poole et al. (2016), eq. 3.
    """
    _check_sigmas(sigma_w, sigma_b)
    return _number(np.square(sigma_w) * mean_square(act, q) + np.square(sigma_b))


def q_star(act, sigma_w, sigma_b=0.0, *, q0=1.0):
    """The variance of the preactivations after many layers, started from `q0`; 0 and inf where it has no other end.

    Found by following the sign of ``q_map(q) - q`` from `q0` to the first place where it changes, so that a
    neutral map (ReLU with sigma_w**2 = 2) answers `q0` and a slowly falling one (tanh with sigma_w = 1) answers
    its limit 0, which it reaches only like 1 / (2 depth).
    """
    _check_sigmas(sigma_w, sigma_b)
    if not q0 > 0:
        raise ValueError(f"q0 is the variance to start from and must be above 0; got {q0}.")
    if np.ndim(sigma_w) or np.ndim(sigma_b):
        return np.vectorize(lambda w, b: q_star(act, w, b, q0=q0))(sigma_w, sigma_b)
    drift = lambda q: q_map(act, q, sigma_w, sigma_b) / q - 1
    start = drift(q0)
    if abs(start) < 1e-12:
        return float(q0)
    grid = q0 * 10.0 ** (np.sign(start) * np.linspace(0, 40, 321))
    turned = np.flatnonzero(drift(grid) * np.sign(start) < -1e-12)
    if not len(turned):
        return np.inf if start > 0 else 0.0
    near, far = grid[turned[0] - 1], grid[turned[0]]
    for _ in range(60):
        middle = np.sqrt(near * far)
        near, far = (middle, far) if np.sign(drift(middle)) == np.sign(start) else (near, middle)
    return float(np.sqrt(near * far))


def chi(act, sigma_w, sigma_b=0.0, *, q0=1.0):
    """sigma_w**2 E[phi'(z)**2] at q*: the factor on the *mean square* of the gradient per layer.

    Schoenholz et al. (2017), eq. 5 (their chi_1). Below 1 gradients vanish, above 1 they explode.
    """
    return _number(np.square(sigma_w) * np.square(rms_slope(act, q_star(act, sigma_w, sigma_b, q0=q0))))


def layer_factor(act, sigma_w=1.0, sigma_b=0.0, *, norm=None, q0=1.0):
    """The factor on the root-mean-square gradient per layer, going from the output towards the input.

    Without a norm ``sqrt(chi)``. With LayerNorm or RMSNorm before the activation sqrt(E[phi'**2] / E[phi**2]),
    with BatchNorm (a large batch) sqrt(E[phi'**2] / Var[phi]), both for z ~ N(0, 1) and whatever sigma_w; the last
    is at least 1 for every activation (Gaussian Poincare inequality) and for ReLU equals sqrt(pi / (pi - 1)), as in
    Yang et al. (2019), arXiv:1902.08129. The formulas with a norm are our derivation, checked numerically; the one
    for BatchNorm is off by several per cent for GELU and SiLU.

    >>> round(layer_factor("relu", TORCH_DEFAULT), 3), round(layer_factor("relu", norm="batch"), 3)
    (0.408, 1.211)
    """
    if norm is None:
        return _number(np.sqrt(chi(act, sigma_w, sigma_b, q0=q0)))
    _check_sigmas(sigma_w, sigma_b)
    if norm not in ("layer", "rms", "batch"):
        raise ValueError(f"norm must be None, 'batch', 'layer' or 'rms'; got {norm!r}.")
    spread = mean_square(act) - (mean(act) ** 2 if norm == "batch" else 0.0)
    return rms_slope(act) / spread**0.5


def variance_profile(act, depth, sigma_w, sigma_b=0.0, *, q0=1.0):
    """The variance of the preactivations of layers 1 to `depth`, (depth,), when that of layer 1 is `q0`."""
    _check_depth(depth)
    q = [float(q0)]
    while len(q) < depth:
        q.append(min(q_map(act, q[-1], sigma_w, sigma_b), _LARGEST))
    return np.array(q)


def gradient_profile(act, depth, sigma_w=1.0, sigma_b=0.0, *, norm=None, q0=1.0):
    """The rms of dL/dh of layers 1 to `depth` divided by that of the last, (depth,).

    h is the output of the activation, `q0` the preactivations' variance in layer 1. Follows q from layer to layer
    and not only q*, so that it is right in the first layers also.
    """
    _check_depth(depth)
    if norm is not None:
        factors = np.full(depth - 1, layer_factor(act, sigma_w, sigma_b, norm=norm))
    else:
        q = variance_profile(act, depth, sigma_w, sigma_b, q0=q0)
        factors = sigma_w * rms_slope(act, q[1:])
    return np.append(np.cumprod(factors[::-1])[::-1], 1.0)
