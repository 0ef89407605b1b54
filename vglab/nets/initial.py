"""The first draw of the weights: one function for every scheme that the lessons compare."""

from contextlib import contextmanager, nullcontext
from numbers import Real

import torch
from torch import nn

SCHEMES = ("default", "normal", "uniform", "xavier", "he", "orthogonal", "constant")


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
    with seeded(seed, model), torch.no_grad():
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


def seeded(seed, model=None):
    """A context in which torch draws from `seed` (and on the GPUs of `model`), after which its state is as before."""
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
