"""The slope of an activation at the numbers it met: how much of a gradient it lets through."""

from contextlib import nullcontext
from functools import lru_cache
from math import ceil

import numpy as np
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

from ..activations import Elementwise, Linear
from .readings import SAFE_SQUARE, inference, readable

SATURATED, DEAD = 0.1, 0.01  # shares of an activation's greatest slope, see `probe`
# Modules that act on each number alone and draw no random numbers: their slope can be had from their input.
MODULES = {
    *(nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.ReLU6, nn.Threshold),
    *(nn.Tanhshrink, nn.Softshrink, nn.Hardshrink, Linear, Elementwise),
}
# The same functions called without a module, by the name of autograd's node, with the settings that it keeps.
CALLS = {
    "Relu": (torch.relu,),
    "Tanh": (torch.tanh,),
    "Sigmoid": (torch.sigmoid,),
    "LeakyRelu": (F.leaky_relu, "negative_slope"),
    "Elu": (torch.ops.aten.elu, "alpha", "scale", "input_scale"),
    "Celu": (F.celu, "alpha"),
    "Gelu": (lambda z, approximate: F.gelu(z, approximate=approximate), "approximate"),
    "Silu": (F.silu,),
    "Mish": (F.mish,),
    "Softplus": (F.softplus, "beta", "threshold"),
    "LogSigmoid": (F.logsigmoid,),
    "Hardtanh": (F.hardtanh, "min_val", "max_val"),
    "Hardsigmoid": (F.hardsigmoid,),
    "Hardswish": (F.hardswish,),
    "Softshrink": (F.softshrink, "lambd"),
    "Hardshrink": (F.hardshrink, "lambd"),
}
# Slope from the output h, for numpy arrays and tensors alike, and the greatest there is.
_FROM_OUTPUT = {
    "Relu": (lambda h: (h > 0) * 1.0, 1.0),
    "Tanh": (lambda h: 1 - h * h, 1.0),
    "Sigmoid": (lambda h: h * (1 - h), 0.25),
}
_INVERSE = {
    nn.LeakyReLU: lambda module, h: h.detach(),  # its slope depends on the sign alone
    nn.ELU: lambda module, h: torch.where(h > 0, h, torch.log1p(h / module.alpha)).detach(),
}
_OUTPUT_OF = {nn.ReLU: "Relu", nn.Tanh: "Tanh", nn.Sigmoid: "Sigmoid"}


def of_module(module, z, h, *, axis, size):
    """(slope, saturated, dead) of an activation module that made h from z; None where it has no slope."""
    if type(module) in _OUTPUT_OF:
        return _from_output(_OUTPUT_OF[type(module)], h, axis, size)
    if getattr(module, "inplace", False):  # z is gone, unless autograd kept it or h tells it
        z = _INVERSE[type(module)](module, h) if type(module) in _INVERSE else saved(h.grad_fn, "self")
    if not readable(z) or not z.is_floating_point() or inference(z):
        return None
    key = module.function if isinstance(module, Elementwise) else repr(module)
    greatest = _greatest(key, module, z)
    if greatest is None:
        return None
    if isinstance(module, nn.PReLU):  # a weight for each unit, so none may be left out
        axis, size = (1 if z.ndim > 1 else 0), None
    return _summary(_slopes_at(module, take(z, axis, size) if size else z), axis, size, greatest)


def of_call(kind, node, *, axis, size):
    """(h, slope readings or None) of a call without a module, from what autograd kept; (None, None) if it did not.

    `axis` tells the axis of the units of a tensor.
    """
    h, (function, *names) = saved(node, "result"), CALLS[kind]
    if kind in _FROM_OUTPUT:
        return h, None if h is None else _from_output(kind, h, axis(h), size)
    settings = [getattr(node, f"_saved_{name}") for name in names]
    z = saved(node, "self") if hasattr(node, "_saved_self") else h if kind == "LeakyRelu" else None
    if z is None:
        return h, None
    phi = lambda z: function(z, *settings)
    axis = axis(z)
    with torch.no_grad():
        h = phi(z)
    greatest = _greatest((kind, *settings), phi, z)
    return h, _summary(_slopes_at(phi, take(z, axis, size) if size else z), axis, size, greatest)


def saved(node, name):
    """What autograd kept for `node`, or None: inside a checkpoint, asking would compute it all again."""
    raw = getattr(node, f"_raw_saved_{name}", None)
    if raw is None or raw.unpack_hook is not None:
        return None
    try:
        return getattr(node, f"_saved_{name}")
    except RuntimeError:  # changed in place since, or freed by a backward pass
        return None


def take(t, axis, size):
    """About `size` entries of t as (examples, units), spread over all; every entry where `size` is None."""
    if t.ndim < 2:
        return t.detach().reshape(1, -1)
    t = t.detach()[_index(t.shape, axis, size)]
    return t if t.ndim == 2 else t.movedim(axis, -1).reshape(-1, t.shape[axis])


def _take_array(t, axis, size):
    """`take` as a numpy array where that can be: its slices and small sums are several times quicker."""
    if not (t.is_cpu and t.dtype in (torch.float32, torch.float64) and t.ndim > 1):
        return _array(take(t, axis, size))
    a = t.detach().numpy()[_index(t.shape, axis, size)]
    return a if a.ndim == 2 else np.moveaxis(a, axis, -1).reshape(-1, a.shape[axis])


@lru_cache(1024)
def _index(shape, axis, size):
    index = [slice(None)] * len(shape)
    if size is not None and shape.numel() > size:
        units, examples = shape[axis], shape.numel() // shape[axis]
        wanted = min(units, max(16, size // examples))
        index[axis] = slice(None, None, ceil(units / wanted))
        surplus = examples * wanted / size
        for d in reversed(range(len(shape))):
            if d != axis % len(shape) and surplus > 1:
                step = min(shape[d], ceil(surplus))
                index[d] = slice(None, None, step)
                surplus /= step
    return tuple(index)


def _from_output(kind, h, axis, size):
    if not h.is_floating_point():
        return None
    slope, greatest = _FROM_OUTPUT[kind]
    return _shares(slope(_take_array(h, axis, size)), greatest)


def _summary(slope, axis, size, greatest):
    return _shares(abs(_array(slope if size else take(slope, axis, None))), greatest)


def _array(t):
    """A numpy array from the CPU, a tensor from elsewhere."""
    if not t.is_cpu:
        return t.double()
    return t.detach().numpy() if t.dtype in (torch.float32, torch.float64) else t.double().numpy()


def _shares(slope, greatest):
    """Rms, saturated share and dead share of slope: (examples, units), a numpy array or a tensor."""
    if isinstance(slope, torch.Tensor):
        alive = (slope >= DEAD * greatest).any(0)
        return (slope * slope).mean() ** 0.5, (slope < SATURATED * greatest).double().mean(), 1 - alive.double().mean()
    total = np.vdot(slope, slope)
    if not SAFE_SQUARE * slope.size < total:
        total = np.vdot(slope.astype(float), slope.astype(float))
    dead, saturated = 0.0, np.count_nonzero(slope < SATURATED * greatest)
    if saturated >= len(slope):  # else no unit can be dead
        dead = 1 - np.count_nonzero((slope >= DEAD * greatest).any(0)) / slope.shape[1]
    return (total / slope.size) ** 0.5, saturated / slope.size, dead


def _slopes_at(phi, z):
    """phi'(z), on a graph of its own; a module's forward, not its call: no hook runs."""
    module = isinstance(phi, nn.Module)
    devices = [z.device] if z.is_cuda else []
    random = torch.random.fork_rng(devices) if isinstance(phi, Elementwise) else nullcontext()
    apart = saved_tensors_hooks(lambda t: t, lambda t: t)  # of a checkpoint around the model
    with random, torch.enable_grad(), apart, torch.autograd.set_detect_anomaly(False):
        z = z.detach().requires_grad_()
        h = (phi.forward if module else phi)(z.clone())  # a clone, because phi may work in place
        if not h.requires_grad:
            return torch.zeros_like(h)  # a step
        return torch.autograd.grad(h, z, torch.ones_like(h))[0].detach()


_GREATEST = {}


def _greatest(key, phi, z):
    """The greatest slope for z from -10 to 10, or None for a function that does not act on each number alone."""
    key = (key, z.dtype)
    if key not in _GREATEST:
        if len(_GREATEST) > 256:  # a session may make functions without end
            _GREATEST.clear()
        _GREATEST[key] = 1.0 if isinstance(phi, nn.PReLU) else _greatest_on_grid(phi, z)
    return _GREATEST[key]


def _greatest_on_grid(phi, z):
    grid = torch.linspace(-10, 10, 2001, dtype=z.dtype, device=z.device)[:, None]
    try:
        return _slopes_at(phi, grid).abs().amax().item()
    except Exception:
        if not isinstance(phi, Elementwise):
            raise
        return None
