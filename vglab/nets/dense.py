"""Plain multilayer perceptrons, with normalization and skip connections where asked."""

from collections import OrderedDict
from numbers import Integral, Real

from torch import nn

from ..activations import as_module
from .initial import init_, seeded


def mlp(depth, width=64, *, act="tanh", sigma_w=None, sigma_b=0.0, norm=None, skip=False, d_in=64, d_out=10, seed=None):
    """Return a multilayer perceptron: `depth` hidden layers of `width` units and a linear ``head``.

    The children are named ``linear1, norm1, act1, linear2, ..., head``; with `skip` they are ``linear1, norm1,
    act1, block2, ..., head``, where each block adds its branch to its input. Input: (batch, d_in), output:
    (batch, d_out).

    Parameters
    ----------
    depth, width : int
        Number of hidden layers, at least 1, and units in each.
    act : str, module, class or function
        For example ``"tanh"``, ``nn.Tanh`` or ``torch.sin``.
    sigma_w, sigma_b : float or None
        Weights are drawn from N(0, sigma_w**2 / fan_in), biases from N(0, sigma_b**2). ``None`` keeps torch's
        default, U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for both.
    norm : None, "batch", "layer" or "rms"
        Normalization of the preactivations, before the activation.
    skip : bool or float
        Add each layer to its input from the second layer on; a number scales the branch.
    seed : int or None
        Seed of the weights; the global random state stays as it was. ``None`` draws from the global state.

    >>> mlp(2, 8, act="relu", d_in=4, d_out=3)(torch.zeros(5, 4)).shape
    torch.Size([5, 3])
    """
    for name, size in {"depth": depth, "width": width, "d_in": d_in, "d_out": d_out}.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be a whole number of at least 1; got {size!r}.")
    norms = {None: nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "rms": nn.RMSNorm}
    if norm not in norms:
        raise ValueError(f"norm must be None, 'batch', 'layer' or 'rms'; got {norm!r}.")
    if not isinstance(skip, Real):
        raise ValueError(f"skip must be True, False or a number that scales the branch; got {skip!r}.")
    if sigma_w is None and sigma_b:
        raise ValueError(f"sigma_b needs sigma_w; got sigma_b={sigma_b} alone: torch's default draws both its own way.")
    layers = OrderedDict()
    with seeded(seed):
        for i in range(1, depth + 1):
            branch = OrderedDict({f"linear{i}": nn.Linear(d_in if i == 1 else width, width)})
            if norm:
                branch[f"norm{i}"] = norms[norm](width)
            branch[f"act{i}"] = as_module(act)
            if skip is not False and i > 1:
                layers[f"block{i}"] = Residual(nn.Sequential(branch), scale=float(skip))
            else:
                layers.update(branch)
        layers["head"] = nn.Linear(width, d_out)
        model = nn.Sequential(layers)
        if sigma_w is not None:
            init_(model, "normal", sigma_w=sigma_w, sigma_b=sigma_b)
    return model


class Residual(nn.Module):
    """h + scale * branch(h), the residual block of He et al. (2016), arXiv:1512.03385, eq. 1. h: (batch, width)."""

    def __init__(self, branch, scale=1.0):
        super().__init__()
        self.branch, self.scale = branch, scale

    def forward(self, h):
        return h + self.scale * self.branch(h)
