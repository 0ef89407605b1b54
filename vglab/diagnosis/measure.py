"""What a verdict rests on: the gradient's size along the trunk of a network, at its start and a few steps later."""

import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isfinite

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..probe import graph, probe
from ..probe.readings import tensors_in
from .feed import loss_of, mapped, own_loss
from .copies import apart, copied, seeded

STEPS = 12  # of the optimizer, on the one batch: what a learning rate breaks, it breaks at once
LOOKS = (0, 1, 2, STEPS)  # the steps that are measured
LONG = 8  # calls of one layer, each on the result of the last: a time axis
SKIPS = 3  # residual additions that make a trunk
ZERO, INFINITE = 1e-45, 1e39  # what stands for them in logarithms: the ends of float32
LAYERS = ("Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d", "linear", "conv")
_BESIDE = ("matmul", "softmax", "log_softmax", "attention", "add", "conv")  # many of one layer stand side by side
_STATES = ("RNN", "LSTM", "GRU")
_HANDED_ON = {"View", "UnsafeView", "Clone", "ToCopy", "Alias", "Mul", "NativeDropout", "Transpose", "Permute"}
_LEAF = 2**63  # sequence numbers of parameters are larger


@dataclass
class Axis:
    """One way through the network, input first: ``rows`` of the probe's table with ``norm``, the length of dL/dh."""

    kind: str  # "depth" or "time"
    rows: pd.DataFrame
    skips: int = 0

    @cached_property
    def decades(self):
        """log10 of the gradient's length at the first layer over that at the last, by a robust slope."""
        return decades(self.rows.norm)

    @property
    def per_layer(self):
        """Decades per layer, towards the input."""
        return self.decades / max(1, len(self.rows) - 1)


@dataclass
class Look:
    """What one step showed: the axes, the activations on the way, the loss and the greatest loss so far."""

    step: int
    loss: float
    peak: float
    axes: list
    acts: pd.DataFrame
    table: pd.DataFrame

    @cached_property
    def worst(self):
        """The axis along which the gradient changes most."""
        return max(self.axes, key=lambda axis: abs(axis.decades), default=None)


@dataclass
class Wiring:
    """How the calls of a model hang together, from one pass: what the probe's table does not say."""

    sizes: dict  # layer -> number of entries of its output
    sums: set  # names of the residual additions


def decades(norms):
    """Theil and Sen's slope of log10(norms), times the number of layers passed: positive where gradients explode.

    Sen (1968), Journal of the American Statistical Association 63: the median of the slopes of all pairs, which up to
    29 % of wild values cannot move. norms: (layers,), input first.
    """
    y = np.asarray(norms, float)
    y = np.log10(np.where(y == 0, ZERO, np.where(np.isfinite(y), y, INFINITE)))
    if len(y) < 2:
        return 0.0
    i, j = np.triu_indices(len(y), 1)
    return float(-np.median((y[j] - y[i]) / (j - i)) * (len(y) - 1))


def looks(model, batch, loss_fn, optimizer, *, steps=LOOKS, rate=1.0):
    """Train a copy for a few steps and look at it before, in between and after; returns a list of `Look`, and notes.

    Stops where the loss is no longer finite. `rate` multiplies the learning rates.
    """
    with apart(model, batch), seeded(0, model, batch), _step_by_step(model):
        copy, optimizer = copied(model, optimizer)
        for group in optimizer.param_groups:
            group["lr"] *= rate
        wiring = _wired(copy, _fresh(batch), loss_fn)
        found, notes, peak = [], [], 0.0
        for step in range(max(steps) + 1):
            with probe(copy, sample=None) if step in steps else nullcontext() as seen:
                loss = _train(copy, _fresh(batch), loss_fn, optimizer)
            peak = max(peak, abs(loss)) if isfinite(loss) else inf
            if seen is not None:
                found.append(_look(step, loss, peak, seen.table, wiring))
                notes += [note for note in seen.notes if note not in notes]
            if not isfinite(loss):
                if found[-1].step != step:
                    found.append(replace(found[-1], loss=loss, peak=inf))
                break
    return found, notes


def look(model, batch, loss_fn):
    """The `Look` of one forward and backward pass of `model` itself, a copy; no step is made."""
    with _step_by_step(model), torch.enable_grad():
        wiring = _wired(model, batch, loss_fn)
        with probe(model, sample=None) as seen:
            loss = loss_of(model, batch, loss_fn)
            loss.backward()
    return _look(0, loss.item(), abs(loss.item()), seen.table, wiring)


def decades_of(model, batch, loss_fn):
    """The decades along the worst axis of `model`, a copy, before any step."""
    worst = look(model, batch, loss_fn).worst
    return 0.0 if worst is None else worst.decades


def scaled(loss_fn, scale):
    """`loss_fn` times a number."""
    return lambda *given: scale * (own_loss(*given) if loss_fn is None else loss_fn(*given))


def zeros(model, batch, loss_fn, scale):
    """The share of zeros in each parameter's gradient, by name, of a copy with its loss scaled."""
    with apart(model, batch), seeded(0, model, batch):
        copy, _ = copied(model, None)
        loss_of(copy, _fresh(batch), scaled(loss_fn, scale)).backward()
    grads = {name: p.grad for name, p in copy.named_parameters() if p.grad is not None}
    return {name: 1 - g.to_dense().count_nonzero().item() / g.numel() for name, g in grads.items()}


def _train(model, batch, loss_fn, optimizer):
    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, batch, loss_fn)
        loss.backward()
        return loss

    with torch.enable_grad():
        loss = closure()
        if isfinite(loss.item()):
            optimizer.step(closure) if isinstance(optimizer, torch.optim.LBFGS) else optimizer.step()
    return loss.item()


def _fresh(batch):
    """A copy of the batch, because a model may change its input in place."""
    return mapped(lambda t: t.detach().clone(), batch)


@contextmanager
def _step_by_step(model):
    """Recurrent layers as a step at a time: fused, they are one piece to autograd."""
    if not any(isinstance(module, nn.RNNBase) for module in model.modules()):
        yield
        return
    switches = torch.backends.mkldnn.flags(enabled=False), torch.backends.cudnn.flags(enabled=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a GPU that is not there, from the switch itself
        for switch in switches:
            switch.__enter__()
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for switch in switches:
                switch.__exit__(None, None, None)


def _wired(model, batch, loss_fn):
    made, sizes = {}, {}

    def note(name, leaf):
        def hook(module, args, output):
            tensors = list(tensors_in(output))
            for where, h in tensors:
                layer = (name or "(model)") + (where if len(tensors) > 1 else "")
                sizes[layer] = h.numel()
                number = -1 if h.grad_fn is None else h.grad_fn._sequence_nr()
                made_it = leaf and (getattr(module, "inplace", False) or not any(h is t for t in args))
                if made_it or number not in made:  # others may hand on what they got, or what a child returned
                    made[number] = layer

        return hook

    handles = [m.register_forward_hook(note(n, not any(True for _ in m.children()))) for n, m in model.named_modules()]
    try:
        with torch.enable_grad():
            first = torch._C._autograd._get_sequence_nr()
            loss = loss_of(model, batch, loss_fn)
    finally:
        for handle in handles:
            handle.remove()
    sums = _residual_sums(loss, first)
    owners = {id(p): (name, own) for name, m in model.named_modules() for own, p in m.named_parameters(recurse=False)}
    found, _ = graph.calls([loss], first, owners=owners, rows=made, inside=[], recurrent={})
    names = {layer for number, layer in made.items() if number in sums}
    return Wiring(sizes, names | {call.layer for call in found if call.number in sums})


def _residual_sums(loss, first):
    """Sequence numbers of the additions of a branch to what it branched off from."""
    sums = set()
    for number, node in graph.nodes_since([loss], first):
        if _name(node) != "Add":
            continue
        parents = [child for child, _ in node.next_functions if child is not None and _name(child) != "AccumulateGrad"]
        if len(parents) == 2:
            straight, branch = sorted(parents, key=lambda parent: parent._sequence_nr())
            if _reaches(branch, _carried(straight), first):
                sums.add(number)
    return sums


def _carried(node):
    """The node, and those behind it that only hand its numbers on, perhaps scaled."""
    chain = [node]
    while len(chain) < 4 and _name(chain[-1]) in _HANDED_ON:
        data = [c for c, _ in chain[-1].next_functions if c is not None and _name(c) != "AccumulateGrad"]
        if len(data) != 1:
            break
        chain += data
    return set(chain)


def _reaches(node, goals, first):
    low = max(first, min(goal._sequence_nr() for goal in goals))
    stack, seen = [node], {node}
    while stack:
        here = stack.pop()
        if here in goals:
            return here is not node or len(goals) > 1
        for child, _ in here.next_functions:
            if child is not None and child not in seen and low <= child._sequence_nr() < _LEAF:
                seen.add(child)
                stack.append(child)
    return False


def _name(node):
    return type(node).__name__.rstrip("0123456789").removesuffix("Backward")


def _look(step, loss, peak, table, wiring):
    table = table[table.backward == 0].copy()
    size = [wiring.sizes.get(layer, wiring.sizes.get(layer.rpartition(".")[0], np.nan)) for layer in table.layer]
    table["size"] = pd.Series(size, table.index).ffill().bfill().fillna(1.0)
    table["norm"] = table.grad_rms * table["size"] ** 0.5
    calls = table.groupby("layer").call.transform("max") + 1
    acts = table[table.slope.notna()]
    axes = [_depth(table[calls < LONG], wiring.sums), *_times(table[calls >= LONG])]
    return Look(step, loss, peak, [axis for axis in axes if axis is not None], acts, table)


def _depth(rows, sums):
    """The trunk: residual additions where there are several, else activations, else the commonest kind of layer."""
    rows = rows[rows.norm.notna()]
    trunk = rows[rows.layer.isin(sums)]
    if len(trunk) >= SKIPS:
        return Axis("depth", trunk, skips=len(trunk))
    acts = rows[rows.slope.notna()]
    if len(acts) >= 2:
        return Axis("depth", acts)
    layers = rows[rows.kind.isin(LAYERS)]
    return Axis("depth", layers) if len(layers) >= 2 else Axis("depth", rows) if len(rows) else None


def _times(rows):
    """A time axis for each layer that is called again and again: torch's own states, else activations, else all."""
    rows = rows[rows.norm.notna() & ~rows.kind.isin(_BESIDE)]
    for chosen in (rows[rows.kind.isin(_STATES)], rows[rows.slope.notna()], rows):
        groups = [part for _, part in chosen.groupby("layer", sort=False) if len(part) >= LONG - 2]
        if groups:
            return [Axis("time", part) for part in groups]
    return []
