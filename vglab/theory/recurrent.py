"""Decay through time: the factor per step of a recurrent network, and how long a gate remembers."""

import numpy as np
import torch

from .gaussian import check_sigmas, check_whole, number
from .signals import layer_factor


def recurrent_factor(act, sigma_w, sigma_x=0.0, sigma_b=0.0):
    """The factor on the rms gradient per time step of h' = phi(W h + V x + b), W ~ N(0, sigma_w**2 / n).

    sqrt(chi) at the variance q* = sigma_w**2 E[phi**2] + sigma_x**2 + sigma_b**2, where `sigma_x` is the standard
    deviation of V x at one unit, fresh at every step. That W is the same at every step changes nothing in a wide
    network (Chen, Pennington and Schoenholz 2018, arXiv:1806.05394). Input can make gradients vanish where the
    spectral radius, sigma_w, is above 1.

    >>> round(recurrent_factor("tanh", 3.0), 3), round(recurrent_factor("tanh", 1.5, 0.5), 3)
    (1.364, 0.983)
    """
    check_sigmas(sigma_w=sigma_w, sigma_x=sigma_x, sigma_b=sigma_b)
    return layer_factor(act, sigma_w, np.hypot(sigma_x, sigma_b))


def recurrent_decay(act, steps, sigma_w, *, sigma_x=0.0, sigma_b=0.0):
    """The rms of dL/dh at lags 0 to `steps` over that at lag 0, (steps + 1,); see `recurrent_factor`."""
    check_whole("steps", steps)
    return float(recurrent_factor(act, sigma_w, sigma_x, sigma_b)) ** np.arange(steps + 1)


def gate_half_life(bias):
    """Steps after which a gate sigmoid(bias), the same at every step, has let half of a signal go: ln 2 / -ln gate.

    For an LSTM's forget gate; for a GRU `bias` is that of the gate that keeps. Only the path through the cell decays
    like this (the constant error carousel of Hochreiter and Schmidhuber 1997 and Gers et al. 2000): the gradient also
    flows through h, and at bias 0 falls by e^-0.45 per step where the gate alone says e^-0.69.

    >>> gate_half_life(0.0), round(gate_half_life(3.0), 1)
    (1.0, 14.3)
    """
    return number(np.log(2) / np.logaddexp(0.0, -np.asarray(bias, dtype=float)))  # -ln sigmoid(b) = ln(1 + e^-b)


def gate_bias(half_life):
    """The bias whose gate has this half-life in steps: the inverse of `gate_half_life`. Raises if not above 0.

    >>> round(gate_bias(100.0), 2)
    4.97
    """
    half_life = np.asarray(half_life, dtype=float)
    if not np.all(half_life > 0):
        raise ValueError(f"half_life is a number of steps and must be above 0; got {half_life}.")
    return number(-np.log(np.expm1(np.log(2) / half_life)))


def chrono_bias(longest, size, *, seed=None):
    """Forget biases for lags up to `longest` steps: ln U(1, longest - 1), a tensor (size,).

    Tallec and Ollivier (2018), arXiv:1804.11188, section 2: input gates get the opposite sign. `longest` is above 2.
    Draws from a generator of its own if `seed` is given, else from torch's.
    """
    if not longest > 2:
        raise ValueError(f"longest is the longest lag in steps and must be above 2; got {longest!r}.")
    check_whole("size", size)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return torch.log(1 + (longest - 2) * torch.rand(size, generator=generator))
