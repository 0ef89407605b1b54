"""What a verdict rests on: the gradient's size along the trunk of a network, at its start and a few steps later."""

import inspect
import warnings
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isfinite

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..probe import probe
from .copies import apart, copied, seeded
from .endings import endings, filled
from .feed import loss_of, mapped, own_loss, run
from .wiring import wired

STEPS = 12  # of the optimizer, on the one batch: what a learning rate breaks, it breaks at once
LOOKS = (0, 1, 2, STEPS)  # the steps that are measured
SAMPLE = 2**16  # values of an output that its slope is taken from
LONG = 8  # calls of one layer, each on the result of the last: a time axis
SKIPS = 3  # residual additions that make a trunk
GREW = 100.0  # times its first size: then the network, not the loss, has left the range of its numbers
ZERO, INFINITE = 1e-45, 1e39  # what stands for them in logarithms: the ends of float32
_BESIDE = ("matmul", "softmax", "log_softmax", "attention", "add", "conv")  # many of one layer stand side by side
_STATES = ("RNN", "LSTM", "GRU")


@dataclass
class Axis:
    """One way through the network, input first: ``rows`` of the probe's table with ``norm``, the length of dL/dh.

    ``on`` is the mean square slope times the units: of a ReLU's, how many are on for an example.
    """

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
    """What one step showed: the axes, the activations on the way, the loss and the greatest loss so far.

    Where a step that was not measured has a loss that is not finite, `end` and `loss` are its, the rest is older.
    """

    step: int
    end: int
    loss: float
    peak: float
    axes: list
    acts: pd.DataFrame
    table: pd.DataFrame
    norms: int  # normalizations in the network

    @cached_property
    def worst(self):
        """The axis along which the gradient changes most."""
        return max(self.axes, key=lambda axis: abs(axis.decades), default=None)

    def along(self, axis):
        """`axis`, which another look has, as it is in this one; None if its layers are not the same here."""
        rows = self.table[self.table.order.isin(axis.rows.order)]
        return replace(axis, rows=rows) if list(rows.layer) == list(axis.rows.layer) else None


def decades(norms):
    """Theil and Sen's slope of log10(norms), times the number of layers passed: positive where gradients explode.

    Sen (1968), Journal of the American Statistical Association 63: the median of the slopes of all pairs, which up to
    29 % of wild values cannot move. Two zeros have no slope, nor have two that are not finite. norms: (layers,), input
    first.
    """
    y = np.asarray(norms, float)
    y = np.log10(np.where(y == 0, ZERO, np.where(np.isfinite(y), y, INFINITE)))
    i, j = np.triu_indices(len(y), 1)
    told = (y[i] != y[j]) | ((np.log10(ZERO) < y[i]) & (y[i] < np.log10(INFINITE)))
    i, j = i[told], j[told]
    return float(-np.median((y[j] - y[i]) / (j - i)) * (len(y) - 1)) if len(i) else 0.0


def looks(model, batch, loss_fn, optimizer, *, steps=LOOKS, rate=1.0):
    """Train a copy for a few steps and look at it before, in between and after; returns a list of `Look`, and notes.

    Stops where the loss is no longer finite, or the optimizer raises. `rate` multiplies the learning rates. Raises
    `ValueError` if the batch or the loss, not the network, makes numbers that are not finite at the start.
    """
    with apart(model, batch), seeded(0, model, batch), _step_by_step(model):
        copy, optimizer = copied(model, optimizer)
        for group in optimizer.param_groups:
            group["lr"] *= rate
        training = _Training(copy, batch, loss_fn, optimizer)
        found, notes, peak = [], [], 0.0
        for step in range(max(steps) + 1):
            with _watched(copy) if step in steps else nullcontext() as seen:
                loss = training.step()
            peak = max(peak, abs(loss)) if isfinite(loss) else inf
            if seen is not None:
                found.append(_look(step, loss, peak, _rows(*seen), training))
                notes += [note for note in seen[0].notes if note not in notes]
            elif not isfinite(loss):
                found.append(replace(found[-1], end=step, loss=loss, peak=inf))
            if step == 0:
                _check_numbers(found[0], training)
            if training.stopped or not isfinite(loss):
                break
    return found, notes + training.stopped


def look(model, batch, loss_fn):
    """The `Look` of one forward and backward pass of `model` itself, a copy; no step is made."""
    with _step_by_step(model), torch.enable_grad():
        training = _Training(model, batch, loss_fn, None)
        with _watched(model) as seen:
            loss = training.gradients().item()
    return _look(0, loss, abs(loss), _rows(*seen), training)


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
        _Training(copy, batch, scaled(loss_fn, scale), None).gradients()
    grads = {name: p.grad for name, p in copy.named_parameters() if p.grad is not None}
    return {name: 1 - g.to_dense().count_nonzero().item() / g.numel() for name, g in grads.items()}


class _Training:
    """Steps of a copy. Gradients reach its own parameters alone: a loss may read others, the user's own for one."""

    def __init__(self, model, batch, loss_fn, optimizer):
        self.model, self.batch, self.loss_fn, self.optimizer = model, batch, loss_fn, optimizer
        self.wiring = wired(model, self.fed(), loss_fn)
        mine = [p for p in model.parameters() if p.requires_grad]
        self.reached = None if self.wiring.reentrant else mine  # with such a checkpoint torch knows no choice
        self.examples = _examples(batch)
        closure = optimizer and inspect.signature(optimizer.step).parameters.get("closure")
        self.asks = bool(closure) and closure.default is closure.empty  # LBFGS wants the loss several times a step
        self.bad = None  # parameters whose first gradient is not finite
        self.stopped = []  # a note, once the optimizer raised

    def fed(self):
        """A copy of the batch, because a model may change its input in place."""
        return mapped(lambda t: t.detach().clone(), self.batch)

    @torch.enable_grad()
    def gradients(self):
        self.model.zero_grad(set_to_none=True)
        loss = loss_of(self.model, self.fed(), self.loss_fn)
        loss.backward(inputs=self.reached)
        if self.bad is None:
            grads = {name: p.grad.to_dense() for name, p in self.model.named_parameters() if p.grad is not None}
            self.bad = [name for name, grad in grads.items() if not grad.isfinite().all()]
        return loss

    def step(self):
        """The loss before a step of the optimizer, which is made if the loss is finite."""
        loss = self.gradients()
        if isfinite(loss.item()):
            try:
                self.optimizer.step(*([self.gradients] if self.asks else []))
            except Exception as error:  # float16, for one, has no learning rate above 65504
                what = f"{type(error).__name__}: {error}".strip().splitlines()[0].rstrip(".")
                name = type(self.optimizer).__name__
                self.stopped = [f"{name} could not make a step: {what}. What training does was not seen."]
        return loss.item()


def _examples(batch):
    """How many examples the batch holds: the length of its first tensor."""
    lengths = []
    mapped(lambda t: lengths.append(len(t) if t.ndim else 1), batch)
    return max(1, lengths[0]) if lengths else 1


def _check_numbers(start, training):
    """Raise `ValueError` where inf or nan at the start come from the batch or the loss, not from the network."""
    dirty = []
    mapped(lambda t: dirty.append(bool(t.isnan().any())), training.batch)
    if not isfinite(start.loss) and (any(dirty) or not _grew(start.table.h_rms)):
        run(training.model, training.fed(), training.loss_fn)  # says what is wrong
    if isfinite(start.loss) and training.bad and not _grew(start.table.norm[::-1]):
        raise ValueError(
            f"a finite gradient was asked for, and that of {training.bad[-1]} holds inf or nan, while the loss "
            f"before any step is {start.loss:.3g}: look for a square root, a norm, a log or a division at 0 behind it."
        )


def _grew(sizes):
    """Whether sizes, in the order of travel, leave the range of their numbers by growing on the way."""
    sizes = sizes[sizes > 0]
    return len(sizes) > 0 and isfinite(sizes.iloc[0]) and sizes.max() >= GREW * sizes.iloc[0]


@contextmanager
def _step_by_step(model):
    """Recurrent layers as a step at a time: fused, they are one piece to autograd."""
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    with ExitStack() as stack:
        for backend in (torch.backends.mkldnn, torch.backends.cudnn) if recurrent else ():
            stack.enter_context(_quiet(backend.flags(enabled=False)))
        yield


@contextmanager
def _quiet(switch):
    """A switch of torch's without its warnings of a GPU that is not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        switch.__enter__()
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            switch.__exit__(None, None, None)


@contextmanager
def _watched(model):
    overflow = np.errstate(over="ignore", invalid="ignore")  # what explodes is looked at, too
    with overflow, endings(model, SAMPLE) as ends, probe(model, sample=SAMPLE) as seen:
        yield seen, ends


def _rows(seen, ends):
    """The rows of the first forward and backward pass: LBFGS makes many in a step."""
    table = seen.table
    return filled(table[(table.backward == 0) & (table.step == table.step.min())].copy(), ends)


def _look(step, loss, peak, table, training):
    wiring = training.wiring
    size = [wiring.sizes.get(layer, wiring.sizes.get(layer.rpartition(".")[0], np.nan)) for layer in table.layer]
    table["size"] = pd.Series(size, table.index).ffill().bfill().fillna(1.0)
    table["norm"] = table.grad_rms * table["size"] ** 0.5
    table["on"] = table.slope**2 * table["size"] / training.examples
    table["weighted"] = table.layer.isin(wiring.weighted) | table.kind.isin(("linear", "conv"))
    table["step"] = step
    _name_rows(table, wiring)
    axes = [_depth(table[~table.over_time], wiring.sums), *_times(table[table.over_time])]
    acts = table[table.slope.notna()]
    return Look(step, step, loss, peak, [axis for axis in axes if axis is not None], acts, table, wiring.norms)


def _name_rows(table, wiring):
    """Add the columns ``module``, and ``over_time`` for layers that the same weights make again and again.

    A module without weights, such as one activation for all layers, goes by the layer before it.
    """
    module = table.layer.map(wiring.module)
    before = module.where(table.weighted).ffill()
    calls = table.groupby("layer").call.transform("max") + 1
    bare = ~module.isin(wiring.holding) & ~table.kind.isin(_STATES)
    again = module.where(~bare, before).isin(wiring.reused) | table.kind.isin(_STATES)
    table["module"] = module.where(~bare | again | (calls == 1), before).fillna(module)
    table["over_time"] = (calls >= LONG) & again


def _depth(rows, sums):
    """The trunk: residual additions where there are several, else activations, else layers with a matrix."""
    rows = rows[rows.norm.notna()]
    trunk = rows[rows.layer.isin(sums)]
    if len(trunk) >= SKIPS:
        return Axis("depth", trunk, skips=len(trunk))
    chosen = (part for part in (rows[rows.slope.notna()], rows[rows.weighted]) if len(part) >= 2)
    rows = next(chosen, rows)
    return Axis("depth", rows) if len(rows) else None


def _times(rows):
    """A time axis for each layer that is called again and again: torch's own states, else activations, else all."""
    rows = rows[rows.norm.notna() & ~rows.kind.isin(_BESIDE)]
    for chosen in (rows[rows.kind.isin(_STATES)], rows[rows.slope.notna()], rows):
        groups = [part for _, part in chosen.groupby("layer", sort=False) if len(part) >= LONG - 2]
        if groups:
            return [Axis("time", part) for part in groups]
    return []
