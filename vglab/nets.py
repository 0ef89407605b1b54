"""Plain networks and their initialization: nothing here that a learner could not have written."""

from collections import OrderedDict
from contextlib import contextmanager, nullcontext
from numbers import Integral, Real

import torch
from torch import nn

from .activations import as_module

SCHEMES = ("default", "normal", "uniform", "xavier", "he", "orthogonal", "constant")


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
    with _seeded(seed):
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


def init_(model, scheme="normal", *, sigma_w=1.0, sigma_b=0.0, seed=None):
    """Draw the weights of every linear and convolutional layer of `model` anew, in place, and return `model`.

    Parameters
    ----------
    scheme : str
        ``"default"``: what torch does, U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights *and* biases, which is
        sigma_w**2 = 1/3. ``"normal"``: N(0, sigma_w**2 / fan_in); ``"uniform"``: the same variance, uniform.
        ``"xavier"``: N(0, sigma_w**2 * 2 / (fan_in + fan_out)), Glorot and Bengio (2010), eq. 12.
        ``"he"``: N(0, 2 / fan_in), He et al. (2015), arXiv:1502.01852, eq. 10. ``"orthogonal"``: sigma_w times
        a (semi-)orthogonal matrix, Saxe et al. (2014). ``"constant"``: every weight equals sigma_w / fan_in.
    sigma_w, sigma_b : float
        Scale of weights and biases, at least 0; biases are drawn from N(0, sigma_b**2). ``"default"`` and
        ``"he"`` fix sigma_w themselves.
    seed : int or None
        As in `mlp`.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}; got {scheme!r}.")
    for name, sigma in {"sigma_w": sigma_w, "sigma_b": sigma_b}.items():
        if not isinstance(sigma, Real) or not sigma >= 0:
            raise ValueError(f"{name} is a standard deviation and must be 0 or more; got {sigma!r}.")
    if scheme in ("default", "he") and sigma_w != 1.0:
        raise ValueError(f"scheme {scheme!r} fixes sigma_w; got sigma_w={sigma_w}: use scheme 'normal' to set it.")
    if scheme == "default" and sigma_b:
        raise ValueError(f"scheme 'default' fixes sigma_b; got sigma_b={sigma_b}: use scheme 'normal' to set it.")
    with _seeded(seed, model), torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)):
                _init_layer(layer, scheme, sigma_w, sigma_b)
    return model


def _init_layer(layer, scheme, sigma_w, sigma_b):
    w = layer.weight
    if w is not layer._parameters.get("weight"):
        raise ValueError(
            f"init_ sets weights, and that of a {type(layer).__name__} here is computed from others (weight_norm, "
            "spectral_norm or another parametrization): initialize before you add it."
        )
    if scheme == "default":
        layer.reset_parameters()
        return
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(w)
    if getattr(layer, "transposed", False):  # its weight has the inputs first
        fan_in, fan_out = fan_out, fan_in
    std = sigma_w * fan_in**-0.5
    if scheme == "normal":
        w.normal_(0, std)
    elif scheme == "uniform":
        w.uniform_(-(3**0.5) * std, 3**0.5 * std)
    elif scheme == "xavier":
        w.normal_(0, sigma_w * (2 / (fan_in + fan_out)) ** 0.5)
    elif scheme == "he":
        w.normal_(0, (2 / fan_in) ** 0.5)
    elif scheme == "orthogonal":
        nn.init.orthogonal_(w, gain=sigma_w)
    else:
        w.fill_(sigma_w / fan_in)
    if layer.bias is not None:
        layer.bias.normal_(0, sigma_b)


def _seeded(seed, model=None):
    devices = {p.device for p in model.parameters() if p.is_cuda} if model else ()
    return nullcontext() if seed is None else _forked(int(seed), devices)


@contextmanager
def _forked(seed, devices):
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU and leave it so
        for device in devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
