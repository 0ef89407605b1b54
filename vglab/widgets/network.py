"""The network behind the widgets: real digits, a real forward and a real backward pass at every move."""

from functools import cache

from torch import float64

from .. import nets, tasks

WIDTH = 64


@cache
def batch(size):
    """The first `size` training digits as (x, y), x: (size, 64) in double precision.

    Double, because a float32 gradient below 1e-45 is 0: the picture shows where float32 ends and what lies beyond.
    """
    digits = tasks.digits()
    return digits.x[:size].double(), digits.y[:size]


def build(depth, act, sigma_w, *, seed=0):
    """The network with the parameters of a widget; ``sigma_w=None`` is torch's default."""
    return nets.mlp(depth, WIDTH, act=act, sigma_w=sigma_w, seed=seed).to(float64)


def first_variance(size, sigma_w, sigma_b=0.0):
    """The variance of layer 1's preactivations over random weights, for these digits: theory's starting point."""
    x, _ = batch(size)
    return sigma_w**2 * x.square().mean().item() + sigma_b**2
