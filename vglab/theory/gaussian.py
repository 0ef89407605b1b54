"""Averages of an activation over Gaussian preactivations, by quadrature that a kink at zero does not spoil.

Every rule here has zero as the edge of a panel, because ReLU and its kin have their kink there. A kink elsewhere, as
in ``nn.Hardtanh``, costs accuracy: about 1e-3 instead of 1e-12.
"""

import numpy as np
import torch

from ..activations import as_module

LARGEST, SMALLEST = 1e280, 1e-280  # q is kept where its square root and squares are still numbers

_PANELS = np.array([0, 0.1, 1, 4, 10])  # a half line of z; N(0, 1) beyond 10 weighs 2e-23


def _nodes():
    """Gauss-Legendre nodes and N(0, 1) weights on each half line: a kink at 0, as in ReLU, costs no accuracy."""
    x, w = np.polynomial.legendre.leggauss(64)
    half = np.diff(_PANELS)[:, None] / 2
    z = (_PANELS[:-1, None] + half * (x + 1)).ravel()
    weight = (half * w).ravel() * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return np.concatenate([-z[::-1], z]), np.concatenate([weight[::-1], weight])


_Z, _WEIGHT = _nodes()


def values(act, z, *, slope=False):
    """phi(z), or phi'(z) if `slope`; z: an array of any shape. A step, which has no gradient, has slope 0."""
    z = torch.tensor(z, dtype=torch.float64, requires_grad=slope)
    with torch.enable_grad():
        h = as_module(act).double()(z.clone())  # a clone, because phi may work in place
        if slope:
            (h,) = torch.autograd.grad(h.sum(), z) if h.requires_grad else (torch.zeros_like(z),)
    return h.detach().numpy()


def number(x):
    """A Python number for an array without axes, else the array."""
    x = np.asarray(x)
    return x.item() if x.ndim == 0 else x


def check_q(q):
    if not np.all(np.asarray(q, dtype=float) >= 0):
        raise ValueError(f"q is a variance and must be 0 or more; got {q}.")
    return np.clip(np.asarray(q, dtype=float), 0, LARGEST)


def check_sigmas(**sigmas):
    for name, sigma in sigmas.items():
        if not np.all(np.asarray(sigma, dtype=float) >= 0):
            raise ValueError(f"{name} is a standard deviation and must be 0 or more; got {sigma}.")


def check_whole(name, size, least=1):
    if not np.all((np.asarray(size) >= least) & (np.asarray(size) == np.floor(size))):
        raise ValueError(f"{name} must be a whole number of at least {least}; got {size!r}.")


def _points(q):
    return np.sqrt(np.asarray(q, dtype=float))[..., None] * _Z


def _mean(values):
    # Past the largest double a square is inf, and inf times a node's tiny weight is still inf: said, not warned of.
    with np.errstate(over="ignore", invalid="ignore"):
        return number(values @ _WEIGHT)


def mean_square(act, q=1.0):
    """E[phi(z)**2] for z ~ N(0, q): the mean square of the activations."""
    with np.errstate(over="ignore"):
        return _mean(values(act, _points(check_q(q))) ** 2)


def mean(act, q=1.0):
    """E[phi(z)] for z ~ N(0, q): the mean of the activations."""
    return _mean(values(act, _points(check_q(q))))


def slope_power(act, q=1.0, power=2):
    """E[phi'(z)**power] for z ~ N(0, q); at q = 0 the limit, because a kink has no slope of its own."""
    return _mean(values(act, _points(np.maximum(check_q(q), SMALLEST)), slope=True) ** power)


def rms_slope(act, q=1.0):
    """sqrt(E[phi'(z)**2]) for z ~ N(0, q): the root-mean-square slope that the gradient meets.

    Schoenholz et al. (2017), eq. 5 (their chi_1), without the factor sigma_w**2 and with the root. First
    built in lesson 2.

    >>> round(rms_slope("relu"), 4), round(rms_slope("sigmoid"), 4)
    (0.7071, 0.2117)
    """
    return number(np.sqrt(slope_power(act, q)))


def mean_square_slope(act, q=1.0):
    """d E[phi(z)**2] / dq for z ~ N(0, q): E[z phi(z) phi'(z)] / q, which needs no second derivative.

    Times sigma_w**2 it is the slope of the variance map. It equals E[phi'**2 + phi phi''] of Schoenholz et al. (2017)
    where phi'' exists, by integration by parts.
    """
    q = np.maximum(check_q(q), SMALLEST)
    z = _points(q)
    with np.errstate(over="ignore", invalid="ignore"):
        return _mean(z * values(act, z) * values(act, z, slope=True) / q[..., None])
