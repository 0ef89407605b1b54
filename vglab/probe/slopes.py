"""The slope of an activation at the numbers it met: how much of a gradient it lets through."""

from contextlib import nullcontext
from functools import lru_cache
from math import ceil, prod
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

from ..activations import Elementwise, Linear
from .autograd import TELLS_WHAT_IT_KEPT
from .readings import SAFE_SQUARE, floats, inference, readable

SATURATED, DEAD = 0.1, 0.01  # shares of an activation's greatest slope, see `probe`
UNITS = 64  # units that a sample has at least, if there are so many
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
_NUMPYS = (torch.float32, torch.float64)
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


class Sample(NamedTuple):
    """Some of an activation's numbers, kept until the step's end: cheaper to judge all layers at once."""

    kind: str  # a key of `_FROM_OUTPUT` for outputs, "" for slopes
    values: object  # (examples, units), a numpy array or, from elsewhere than the CPU, a tensor
    greatest: float  # the greatest slope there is


def of_module(module, z, h, *, axis, size):
    """The `Sample` of an activation module that made h from z; None where it has no slope."""
    if type(module) in _OUTPUT_OF:
        return _of_output(_OUTPUT_OF[type(module)], h, axis, size)
    if vars(module).get("inplace"):  # z is gone, unless autograd kept it or h tells it
        z = _INVERSE[type(module)](module, h) if type(module) in _INVERSE else saved(h.grad_fn, "self")
    if not readable(z) or not z.is_floating_point() or inference(z):
        return None
    key = module.function if isinstance(module, Elementwise) else repr(module)
    greatest = _greatest(key, module, z)
    if greatest is None:
        return None
    if isinstance(module, nn.PReLU):  # a weight for each unit, so none may be left out
        axis, size = (1 if z.ndim > 1 else 0), None
    return _of_slopes(module, z, axis, size, greatest)


def of_call(kind, node, *, axis, size):
    """(h, `Sample` or None) of a call without a module, from what autograd kept; (None, None) if it did not.

    `axis` tells the axis of the units of a tensor.
    """
    h, (function, *names) = saved(node, "result"), CALLS[kind]
    if kind in _FROM_OUTPUT:
        return h, _of_output(kind, h, axis(h), size) if readable(h) else None
    settings = [getattr(node, f"_saved_{name}") for name in names]
    z = saved(node, "self") if hasattr(node, "_saved_self") else h if kind == "LeakyRelu" else None
    if not readable(z):
        return h, None
    phi = lambda z: function(z, *settings)
    with torch.no_grad():
        h = phi(z)
    return h, _of_slopes(phi, z, axis(z), size, _greatest((kind, *settings), phi, z))


def _of_output(kind, h, axis, size):
    return Sample(kind, _take_array(h, axis, size), _FROM_OUTPUT[kind][1]) if h.is_floating_point() else None


def _of_slopes(phi, z, axis, size, greatest):
    slope = _slopes_at(phi, take(z, axis, size) if size else z)
    return Sample("", abs(_array(slope if size else take(slope, axis, None))), greatest)


def shares(samples):
    """(slope, saturated, dead) of each `Sample`: the rms of the slope, and shares of its values and of its units."""
    alike, found = {}, [None] * len(samples)
    for place, (kind, values, greatest) in enumerate(samples):
        alike.setdefault((kind, greatest, type(values), values.dtype, tuple(values.shape)), []).append(place)
    for (kind, greatest, of, *_), places in alike.items():
        values = [samples[place].values for place in places]
        slope = _FROM_OUTPUT[kind][0] if kind else lambda slope: slope
        if of is np.ndarray:
            numbers = _shares(slope(np.stack(values)), greatest)
        else:
            numbers = [_shares_elsewhere(slope(each), greatest) for each in values]
        for place, three in zip(places, numbers, strict=True):
            found[place] = three
    return found


def _shares(slope, greatest):
    """Rms, saturated share and dead share of each of slope: (layers, examples, units)."""
    layers, examples, units = slope.shape
    size = examples * units
    square = (slope * slope).reshape(layers, size).sum(1)
    if not (square > SAFE_SQUARE * size).all():
        square = np.square(slope.reshape(layers, size), dtype=float).sum(1)
    saturated = np.count_nonzero((slope < SATURATED * greatest).reshape(layers, size), 1)
    for one, total, flat in zip(slope, square.tolist(), saturated.tolist(), strict=True):
        alive = units if flat < examples else np.count_nonzero((one >= DEAD * greatest).any(0))  # dead in every example
        yield (total / size) ** 0.5, flat / size, 1 - alive / units


def _shares_elsewhere(slope, greatest):
    """The same of one layer's slopes on a device, as tensors of one number."""
    alive = (slope >= DEAD * greatest).any(0)
    return (slope * slope).mean() ** 0.5, (slope < SATURATED * greatest).double().mean(), 1 - alive.double().mean()


def saved(node, name):
    """What autograd kept for `node`, or None: inside a checkpoint, asking would compute it all again."""
    raw = getattr(node, f"_raw_saved_{name}", None)
    if raw is None or not TELLS_WHAT_IT_KEPT or raw.unpack_hook is not None:
        return None
    try:
        return getattr(node, f"_saved_{name}")
    except RuntimeError:  # changed in place since, or freed by a backward pass
        return None


def take(t, axis, size):
    """About `size` entries of t as (examples, units), spread over all; every entry where `size` is None."""
    t = t.detach()[_index(t.shape, axis, size)]
    return t.reshape(1, -1) if t.ndim < 2 else t if t.ndim == 2 else t.movedim(axis, -1).reshape(-1, t.shape[axis])


def _take_array(t, axis, size):
    """`take` as a numpy array of its own where that can be: its slices and small sums are several times quicker."""
    flat = floats(t) if t.ndim > 1 else None
    if flat is None:
        return _array(take(t, axis, size).clone())
    a = flat.reshape(t.shape)[_index(t.shape, axis, size)]
    a = a if a.ndim == 2 else np.moveaxis(a, axis, -1).reshape(-1, a.shape[axis])
    return a if size is None else a.copy()  # what is kept may be changed in place before it is looked at


@lru_cache(1024)
def _index(shape, axis, size):
    """Slices with steps: at least `UNITS` units, and of the other axes about as large a share each."""
    index = [slice(None)] * len(shape)
    if size is None or shape.numel() <= size:
        return tuple(index)
    axis %= len(shape)
    steps, units = {}, shape[axis]
    steps[axis] = ceil(units / min(units, max(UNITS, size * units // shape.numel())))
    others = sorted((d for d in range(len(shape)) if d != axis), key=lambda d: shape[d])
    for left, d in zip(range(len(others), 0, -1), others, strict=True):
        surplus = shape.numel() / prod(steps.values()) / size
        steps[d] = min(shape[d], max(1, ceil(surplus ** (1 / left))))
    for d, step in steps.items():
        index[d] = slice(step // 2, None, step)  # not from 0: the rim of an image is unlike the rest
    return tuple(index)


def _array(t):
    """A numpy array of a tensor of ours from the CPU, a tensor from elsewhere."""
    t = t.detach() if t.dtype in _NUMPYS and t.is_cpu else t.detach().double()
    return t.numpy() if t.is_cpu else t


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
