"""Watch a signal go forward and its gradient come back through any torch model, and change neither."""

import dataclasses
import weakref
from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager, nullcontext
from functools import partial

import pandas as pd
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.parameter import is_lazy

from .activations import Elementwise, Linear

# Activations that act on each number alone and draw no random numbers: their slope can be had from their input.
_ELEMENTWISE = (
    *(nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.ReLU6, nn.Threshold),
    *(nn.Tanhshrink, nn.Softshrink, nn.Hardshrink, Linear, Elementwise),
)
SATURATED, DEAD = 0.1, 0.01  # shares of an activation's greatest slope, see `probe`
_COLUMNS = (
    *("step", "backward", "order", "layer", "kind", "call"),
    *("h_mean", "h_rms", "cosine", "slope", "saturated", "dead", "grad_rms", "gain"),
)


class probe:  # lower case, because it is used like a function: `with probe(model) as seen:`
    """Watch every module of `model` inside a ``with`` block; torch does the work, the probe only looks on.

    After ``loss.backward()`` the block's value has two tidy tables:

    ``.table``, one row per output of a module call, in the order of the calls:

    ========== ========================================================================================
    step       number of the model's forward pass, from 0
    backward   number of the backward pass through that forward pass, from 0
    order      number of the row within the step, from 0
    layer      the module's name in ``model.named_modules()``, with ``[i]`` where it returns several
    kind       the module's class
    call       how often the module was called before in this step: not 0 for a module used again
    h_mean     mean of the output
    h_rms      root mean square of the output
    cosine     mean cosine between the outputs of two different examples of the batch (of those not all zero)
    slope      root mean square of phi'(z), for elementwise activation modules
    saturated  share of values with a slope under 0.1 of the activation's greatest slope
    dead       share of units (channels) with a slope under 0.01 of it for every example of the batch
    grad_rms   root mean square of dL/d(output); NaN where no gradient arrived
    gain       grad_rms over that of the next row of the same kind: the factor per layer
    ========== ========================================================================================

    ``.params``, one row per parameter tensor at the end of the block: ``name, weight_rms, grad_rms``.

    Sums are taken in float64, because the square of a float32 gradient below 3e-23 is already 0. The gradients
    are the same to the last bit with and without the probe, and no hook is left behind, also after an exception;
    a copy of the model made inside the block keeps hooks that do nothing.
    Only module calls are seen: ``torch.relu(z)`` in a ``forward`` has no row of its own, and calls inside a
    ``torch.func`` transform have none either. What a checkpoint computes again belongs to the row that is there.

    Raises `TypeError` if `model` is no ``nn.Module`` and `ValueError` if it has no parameters.

    >>> from vglab import mlp
    >>> model, x, y = mlp(2, 8, act="relu", d_in=4, d_out=3), torch.randn(16, 4), torch.arange(16) % 3
    >>> with probe(model) as seen:
    ...     nn.functional.cross_entropy(model(x), y).backward()
    >>> seen.table.layer.tolist()
    ['linear1', 'act1', 'linear2', 'act2', 'head']
    """

    def __init__(self, model):
        if not isinstance(model, nn.Module):
            raise TypeError(f"probe watches a torch nn.Module; got {type(model).__name__}: pass the model itself.")
        if not any(True for _ in model.parameters()):
            raise ValueError(
                f"probe needs a model with parameters, and this {type(model).__name__} has none: no gradient flows "
                "to a weight in it. Pass the whole model, with its layers."
            )
        self.model = model
        self._rows, self._params, self._handles = [], [], []

    def __enter__(self):
        self._rows, self._greatest, self._step, self._order = [], {}, 0, 0
        self._start_step()
        try:
            self._handles.append(self.model.register_forward_pre_hook(_Hook(self._start_step)))
            for name, module in self.model.named_modules():
                if type(module) in _ELEMENTWISE:  # a subclass may count its calls or draw random numbers
                    before = _Hook(self._before_activation)
                    self._handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
                self._handles.append(module.register_forward_hook(_Hook(partial(self._after, name=name))))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._seen.clear()
        self._params = [_parameter_row(*item) for item in self.model.named_parameters() if not is_lazy(item[1])]

    @property
    def table(self):
        """The rows seen so far, see `probe`."""
        rows = sorted(self._rows, key=lambda row: (row["step"], row["backward"], row["order"]))
        table = pd.DataFrame([_finished(row) for row in rows], columns=_COLUMNS)
        table["gain"] = table.grad_rms / table.groupby(["step", "backward", "kind"]).grad_rms.shift(-1)
        return table

    @property
    def params(self):
        """Weights and their gradients at the end of the block, see `probe`."""
        return pd.DataFrame(map(_numbers, self._params), columns=["name", "weight_rms", "grad_rms"])

    def _start_step(self, *_):
        self._step += self._order > 0  # a model whose parts are called without their root stays in step 0
        self._order, self._calls, self._seen, self._slopes, self._passes = 0, Counter(), {}, {}, {}

    def _before_activation(self, module, args, kwargs):
        z = next(iter((*args, *kwargs.values())), None)
        if _readable(z) and z.is_floating_point() and not _inference(z) and not _backward_pass():
            kind = module.function if isinstance(module, Elementwise) else repr(module)
            if kind not in self._greatest:
                self._greatest[kind] = _greatest_slope(module, z)
            if self._greatest[kind] is not None:
                self._slopes[module] = _slope_readings(module, z, self._greatest[kind])

    def _after(self, module, args, output, name):
        tensors = list(_tensors(output))
        born = _backward_pass()
        if not born:
            call = self._calls[module]
            self._calls[module] += 1
        for where, h in tensors:
            key = (id(h), None if h.is_inference() else h._version)
            if key in self._seen and self._seen[key]() is h and any(True for _ in module.children()):
                continue  # a container hands on what its last child returned
            self._seen[key] = weakref.ref(h)
            row = {"layer": (name or "(model)") + (where if len(tensors) > 1 else ""), **_readings(h)}
            if not born:
                row |= {"step": self._step, "backward": 0, "order": self._order, "kind": type(module).__name__}
                row |= {"call": call, "passes": self._passes, **self._slopes.pop(module, {})}
                self._rows.append(row)
                self._order += 1
            else:
                row = next((r for r in reversed(self._rows) if _same_output(r, row)), None)
            if row and h.grad_fn is not None:
                self._handles.append(h.register_hook(partial(self._on_gradient, row=row, born=born)))

    def _on_gradient(self, gradient, row, born):
        if gradient is None:  # another output of the same operation has a gradient, this one has none
            return
        passes = row["passes"]
        number = passes.setdefault(born or _backward_pass(), len(passes))
        if "grad_rms" in row:  # a second backward pass gets rows of its own: nothing is overwritten
            row = dict(row)
            self._rows.append(row)
        row |= {"backward": number, "grad_rms": _rms(gradient)}


class _Hook:
    """A hook on a module; in a copy or a pickle of the module, made while it is watched, it does nothing."""

    def __init__(self, look=None):
        self.look = look

    def __call__(self, *args, **kwargs):
        return self.look(*args, **kwargs) if self.look else None

    def __reduce__(self):
        return _Hook, ()


def gradient_profile(model, x, y, loss_fn=nn.functional.cross_entropy):
    """Return the `probe` table of one forward and backward pass of ``loss_fn(model(x), y)``.

    Nothing is left changed: not ``.grad``, not the buffers (batch statistics), not the random state. Raises
    `ValueError` if the loss is not one number or needs no gradient.
    """
    watch = probe(model)
    devices = {p.device for p in model.parameters() if p.is_cuda}
    with torch.random.fork_rng(devices=devices), torch.enable_grad(), _on_copied_buffers(model), watch as seen:
        loss = loss_fn(model(x), y)
        _check_loss(loss)
        torch.autograd.grad(
            loss, [t for t in (*model.parameters(), *(t for _, t in _tensors(x))) if t.requires_grad], allow_unused=True
        )
    return seen.table


@contextmanager
def _on_copied_buffers(model):
    """Let `model` work on copies of its buffers, so that not even their version counters move."""
    slots = [(module._buffers, name) for module in model.modules() for name in module._buffers]
    kept = [(slot, name, slot[name]) for slot, name in slots if slot[name] is not None and not is_lazy(slot[name])]
    copies = {id(buffer): buffer.clone() for _, _, buffer in kept}  # shared buffers stay shared
    try:
        for slot, name, buffer in kept:
            slot[name] = copies[id(buffer)]
        yield
    finally:
        for slot, name, buffer in kept:
            slot[name] = buffer


def _check_loss(loss):
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        came = f"shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise ValueError(f"loss_fn must return a tensor with one number; got {came}: average or sum it first.")
    if not loss.requires_grad:
        raise ValueError(
            "a gradient was asked for, but the loss needs none: every parameter it depends on is frozen, or it was "
            "computed under no_grad or from detached tensors. Set requires_grad on a parameter or compute it anew."
        )


def _tensors(output, where=""):
    """The floating tensors in what a module returned, each with its place in tuples, dicts and dataclasses."""
    if _readable(output):
        yield where, output
    if isinstance(output, Mapping):
        items = output.items()
    elif isinstance(output, (tuple, list)):
        items = enumerate(output)
    elif dataclasses.is_dataclass(output):
        items = [(field.name, getattr(output, field.name, None)) for field in dataclasses.fields(output)]
    else:
        return
    for key, item in items:
        yield from _tensors(item, f"{where}[{key}]")


def _readable(t):
    """Whether `t` is a tensor of real or complex numbers, outside of ``torch.func``, where nothing can be read."""
    return (
        isinstance(t, torch.Tensor)
        and (t.is_floating_point() or t.is_complex())
        and (t.layout == torch.strided and not t.is_nested and t.numel() > 0)
        and not torch._C._are_functorch_transforms_active()
    )


def _inference(t):
    return t.is_inference() or torch.is_inference_mode_enabled()


def _backward_pass():
    """A number above 0 that tells the backward pass now running from others; 0 outside of one."""
    return torch._C._current_graph_task_id() + 1  # not a public name: test_probe.py says if it goes


def _same_output(row, other):
    return row["layer"] == other["layer"] and row["h_rms"] == other["h_rms"] and row["h_mean"] == other["h_mean"]


def _double(t):
    """The numbers of `t` in float64, and a factor taken out where they are float64: squares below 1e-323 are 0."""
    t = t.detach()
    t = torch.view_as_real(t.resolve_conj()) if t.is_complex() else t
    if t.dtype != torch.float64:
        return (t.cpu() if t.device.type == "mps" else t).double(), 1.0  # mps has no float64
    peak = t.abs().amax()
    peak = torch.where((peak > 0) & peak.isfinite(), peak, 1.0)
    return t / peak, peak


def _readings(h):
    """Mean and rms of h: (batch, ...), and for the mean cosine between examples the squared length of the sum of
    their unit vectors and how many there are, those that are all zero left out; from one reading in float64."""
    double, factor = _double(h)
    rows = double.flatten(1) if h.ndim > 1 else double.reshape(1, -1)
    norms = torch.linalg.vector_norm(rows, dim=1)
    total = norms.clamp_min(1e-300).reciprocal() @ rows
    return {
        "h_mean": double.mean() * factor,
        "h_rms": torch.linalg.vector_norm(norms) * (factor / h.numel() ** 0.5),
        "together": total @ total,
        "alive": norms.count_nonzero(),
    }


def _rms(t):
    """Root mean square over all entries, those that a sparse tensor leaves out included; of complex numbers |z|."""
    n = t.numel()
    if t.layout != torch.strided:
        t = t.coalesce().values() if t.layout == torch.sparse_coo else t.to_dense()
    if not t.numel():
        return 0.0 if n else float("nan")
    double, factor = _double(t)
    return torch.linalg.vector_norm(double) * (factor / n**0.5)


def _numbers(row):
    return {key: value.item() if isinstance(value, torch.Tensor) else value for key, value in row.items()}


def _finished(row):
    """A row in plain numbers, with the mean cosine over all pairs of n examples: |sum of unit vectors|**2 less n."""
    row = _numbers(row)
    n = row["alive"]
    return row | {"cosine": (row["together"] - n) / (n * (n - 1)) if n > 1 else float("nan")}


def _parameter_row(name, p):
    return {"name": name, "weight_rms": _rms(p), "grad_rms": float("nan") if p.grad is None else _rms(p.grad)}


def _slopes_at(module, z):
    """phi'(z) of an elementwise activation, on a graph of its own; forward, not call: no hook runs."""
    devices = [z.device] if z.is_cuda else []
    random = torch.random.fork_rng(devices) if isinstance(module, Elementwise) else nullcontext()
    apart = saved_tensors_hooks(lambda t: t, lambda t: t)  # of a checkpoint around the model
    with random, torch.enable_grad(), apart, torch.autograd.set_detect_anomaly(False):
        z = z.detach().requires_grad_()
        h = module.forward(z.clone())  # a clone, because phi may work in place
        if not h.requires_grad:
            return torch.zeros_like(h)  # a step
        return torch.autograd.grad(h, z, torch.ones_like(h))[0]


def _greatest_slope(module, z):
    """The greatest slope for z from -10 to 10, or None for a function that does not act on each number alone."""
    if isinstance(module, nn.PReLU):
        return 1.0
    grid = torch.linspace(-10, 10, 2001, dtype=z.dtype, device=z.device)[:, None]
    try:
        return _slopes_at(module, grid).abs().amax().item()
    except Exception:
        if not isinstance(module, Elementwise):
            raise
        return None


def _slope_readings(module, z, greatest):
    slope = _slopes_at(module, z).abs()
    unit = 1 if z.ndim >= 4 else z.ndim - 1  # channels of images, else features
    examples = [axis for axis in range(z.ndim) if axis != unit]
    best = slope.amax(examples) if examples else slope
    return {
        "slope": _rms(slope),
        "saturated": (slope < SATURATED * greatest).count_nonzero() / slope.numel(),
        "dead": (best < DEAD * greatest).count_nonzero() / best.numel(),
    }
