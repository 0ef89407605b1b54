"""Watch a signal go forward and its gradient come back through any torch model, and change neither."""

import weakref
from bisect import bisect_left
from collections import deque
from contextlib import nullcontext
from functools import wraps
from numbers import Integral, Real
from time import perf_counter

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from . import graph, log, report, slopes
from .parameters import SAMPLE, Movement
from .readings import cosine, moments, readable, rms, tensors_in

COSINE = log.READINGS.index("cosine")
_CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.PixelShuffle)
_FEATURES_LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.RNNBase)
# What Python's hooks and the engine's way to them take besides the time between a hook's first and last line, in
# seconds a row; from the benchmark, where "auto" must keep its word.
_UNSEEN = 4e-6


def _harmless(method):
    """A look that takes its own time and never stops the training: what cannot be read is noted."""

    @wraps(method)
    def look(self, *args):
        start = perf_counter()
        try:
            method(self, *args)
        except Exception as error:
            self._closed.add(("error", f"{type(error).__name__}: {error}"))
        self._cost += perf_counter() - start + _UNSEEN

    return look


class probe:  # lower case, because it is used like a function: `with probe(model) as seen:`
    """Watch `model` inside a ``with`` block around ordinary training code; torch does the work, the probe looks on.

    The block's value has two tidy tables and a report in words. ``.table`` has one row per layer call and step, in
    the order of the calls:

    ========== ========================================================================================
    step       number of the model's forward pass, from 0
    backward   number of the backward pass through that forward pass, from 0
    order      number of the row within the step, from 0
    layer      the module's name in ``model.named_modules()``, with ``[i]`` where it returns several; a call
               without a module (``torch.tanh``, ``F.relu``, ``@``, ``+``) is named after the layer before it,
               as in ``fc1.tanh``; a time step of torch's recurrent nets is ``rnn.l0`` with the time as call
    kind       the module's class, or the call's name
    call       how often that layer was called before in this step: not 0 for a layer used again
    h_mean     mean of the output
    h_rms      root mean square of the output; NaN for a call without a module whose output autograd did not keep
    cosine     mean cosine between the outputs of two examples (of those not all zero); only with ``sample=None``
    slope      root mean square of phi'(z), for elementwise activations
    saturated  share of values with a slope under 0.1 of the activation's greatest slope
    dead       share of units (channels) with a slope under 0.01 of it for every example
    grad_rms   root mean square of dL/d(output); NaN where no gradient arrived
    gain       grad_rms over that of the next row of the same kind: the factor per layer
    ========== ========================================================================================

    ``.params`` has one row per parameter: ``step, name, weight_rms, grad_rms, update_ratio``. With an `optimizer`
    there is such a row for each of its steps: grad_rms is the gradient the optimizer got, weight_rms and update_ratio,
    which is rms(change) / rms(weight), are measured on some 1000 entries of each weight (all, with ``sample=None``);
    without an optimizer the row tells the end of the block, exactly. ``.report()`` is a summary in words and
    says what could not be seen.

    Parameters
    ----------
    model : nn.Module
    optimizer : torch.optim.Optimizer, optional
        Its steps are watched.
    every : int or "auto"
        Every how many forward passes to look; ``"auto"`` measures its own cost and looks as often as `overhead`
        allows, after the first pass.
    overhead : float
        The share of the run's time that ``"auto"`` may cost, above 0 and below 1.
    scaler : torch.amp.GradScaler, optional
        Gradients in ``.table`` are divided by its scale; those in ``.params`` are as the optimizer gets them.
    sample : int or None
        slope, saturated and dead are taken from about so many values of each output, spread evenly: at 4096 a share
        is right to 0.01 or so. ``None`` takes all, reads the cosine too, and costs several times as much.

    Mean squares are taken so that nothing underflows (the square of a float32 below 3e-23 is 0) and are right to six
    digits. Gradients and weights are the same to the last bit with and without the probe, and nothing is left behind,
    also after an exception. Calls inside a ``torch.func`` transform are not seen. What a checkpoint computes again
    belongs to the row that is there.

    Raises `TypeError` if `model` is no ``nn.Module`` or `optimizer` no optimizer, `ValueError` if the model has no
    parameters or a setting is out of range.

    >>> from vglab import mlp
    >>> model, x, y = mlp(2, 8, act="relu", d_in=4, d_out=3), torch.randn(16, 4), torch.arange(16) % 3
    >>> with probe(model) as seen:
    ...     nn.functional.cross_entropy(model(x), y).backward()
    >>> seen.table.layer.tolist()
    ['linear1', 'act1', 'linear2', 'act2', 'head']
    """

    def __init__(self, model, optimizer=None, every=1, overhead=0.02, *, scaler=None, sample=4096):
        _check(model, optimizer, every, overhead, sample)
        self.model, self.optimizer, self.scaler = model, optimizer, scaler
        self.every, self.overhead, self.sample = every, overhead, sample
        self._steps, self._movement, self._closed, self._forwards = [], None, set(), 0
        self._now, self._looking, self._handles, self._recent = None, None, [], deque(maxlen=2)

    def __enter__(self):
        model = self.model
        self._steps, self._closed, self._movement = (
            [],
            set(),
            Movement(model, sample=None if self.sample is None else SAMPLE),
        )
        self._names = {id(module): name for name, module in model.named_modules()}
        self._leaves = {id(m) for m in model.modules() if _is_leaf(m)}
        self._compiled = any(_is_compiled(m) for m in model.modules())
        self._owners = {
            id(p): (name, own) for name, m in model.named_modules() for own, p in m.named_parameters(recurse=False)
        }
        self._recurrent = {name: type(m).__name__ for name, m in model.named_modules() if isinstance(m, nn.RNNBase)}
        self._now, self._forwards, self._fresh, self._channels = None, 0, False, None
        self._layouts, self._plain = {}, set()
        self._cost, self._paid, self._price, self._start = 0.0, 0.0, 0.0, perf_counter()
        try:
            self._begin()
            self._handles.append(model.register_forward_pre_hook(_Hook(self._root_starts)))
            self._handles.append(model.register_forward_hook(_Hook(self._root_ends)))
            if self.optimizer is not None:
                self._handles.append(self.optimizer.register_step_pre_hook(self._before_update))
                self._handles.append(self.optimizer.register_step_post_hook(self._after_update))
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *exception):
        self._leave()
        if self.optimizer is None:
            self._movement = Movement(self.model, sample=None)  # anew: lazy parameters may have been made
            self._movement.after(self._steps[-1].number if self._steps else 0)

    @property
    def table(self):
        """The rows seen so far, see `probe`."""
        return log.table(self._steps)

    @property
    def params(self):
        """Weights, their gradients and updates, see `probe`."""
        return self._movement.table()

    @property
    def notes(self):
        """Sentences on what could not be seen, and what to do about it."""
        return report.notes(self._closed, compiled=self._compiled)

    def report(self):
        """What was seen, in words."""
        return report.text(self)

    def watch(self, loss):
        """Call with the loss before ``backward()`` where the model is not called as a whole; returns the loss.

        It ends the step, and shows the calls without a module that lie between the model's layers and the loss.
        """
        if not isinstance(loss, torch.Tensor):
            raise TypeError(f"watch takes the loss, a tensor, before backward(); got {type(loss).__name__}.")
        if self._looking and not _elsewhere():
            self._read_graph([loss])
        self._fresh = False
        self._begin()
        return loss

    def _begin(self):
        """Start a step, and decide whether to look at it."""
        if self._fresh:
            return
        if self._now is not None:
            self._now.layout = self._layouts.setdefault(tuple(self._now.layout), self._now.layout)
        wanted, self._now = self._wanted(), None
        if wanted:
            self._now = log.Step(self._forwards, 1.0 if self.scaler is None else self.scaler.get_scale())
            self._steps.append(self._now)
            self._recent.append([])
            self._seen, self._made, self._inside, self._keys = {}, {}, [], []
            self._first = self._exit = _next_number()
        self._look(wanted and not self._compiled)
        self._forwards, self._fresh = self._forwards + 1, True

    def _wanted(self):
        if self.every != "auto":
            return self._forwards % self.every == 0
        now = perf_counter()
        if self._now is not None:
            self._price = self._cost - self._paid
        self._paid = self._cost
        return self._forwards == 0 or self._cost + self._price <= self.overhead * (now - self._start)

    def _look(self, wanted):
        """Have every module's output shown to `_after`, or no longer."""
        if wanted and self._looking is None:
            self._looking = register_module_forward_hook(self._after, with_kwargs=True)
        elif not wanted and self._looking is not None:
            self._looking.remove()
            self._looking = None

    def _leave(self):
        self._look(False)
        for handle in [*self._handles, *(handle for handles in self._recent for handle in handles)]:
            handle.remove()
        self._handles.clear()
        self._recent.clear()
        for step in self._steps:
            step.open = False
        self._now, self._seen, self._made = None, {}, {}

    def _root_starts(self, *_):
        if _elsewhere() or _backward_task():
            return
        self._begin()
        self._fresh = False
        self._first = _next_number()

    def _root_ends(self, model, args, output):
        if self._now is None or _elsewhere() or _backward_task():
            return
        if self._compiled:
            self._after(model, args, {}, output)
        self._read_graph([h for _, h in tensors_in(output)])

    @_harmless
    def _after(self, module, args, kwargs, output):
        name = self._names.get(id(module))
        if name is None or self._now is None or _elsewhere():
            return
        self._fresh = False
        task, leaf = _backward_task(), id(module) in self._leaves
        tensors = [("", output)] if readable(output) else list(tensors_in(output))
        for where, h in tensors:
            key = (id(h), None if h.is_inference() else h._version)
            if not leaf and key in self._seen and self._seen[key]() is h:
                continue  # a container hands on what its last child returned
            self._seen[key] = weakref.ref(h)
            layer = (name or "(model)") + (where if len(tensors) > 1 else "")
            if task:
                self._again(layer, h, task)
            else:
                self._new_row(layer, module, (args, kwargs), h)
        if leaf and not task:
            self._note_inside(args)

    def _new_row(self, layer, module, given, h):
        kind, step = type(module), self._now
        if kind not in _ROLES:
            _ROLES[kind] = _role(kind)
        act, channels = _ROLES[kind]
        if channels is not None:
            self._channels = channels
        row = step.add(layer, kind.__name__, *moments(h))
        if self.sample is None:
            step.put(row, COSINE, cosine(h))
        if act:
            z = given[0][0] if given[0] else next(iter(given[1].values()), None)
            step.slope(row, slopes.of_module(module, z, h, axis=self._axis(h), size=self.sample))
        node, keys = h.grad_fn, self._keys
        number = -1 if node is None else node._sequence_nr()
        step.order.append(float(len(keys)))
        keys.append(max(number, keys[-1]) if keys else number)
        if node is not None:
            if getattr(module, "inplace", False) or not any(h is t for t in given[0]):  # else it made nothing
                self._made[number] = layer
            self._listen(node, h.output_nr, step, row)

    def _note_inside(self, args):
        """Remember which of autograd's nodes a leaf module made: they need no rows beside its own."""
        before = -1
        for t in args:
            if isinstance(t, torch.Tensor) and t.grad_fn is not None:
                before = max(before, t.grad_fn._sequence_nr())
        before, self._exit = before if before >= 0 else self._exit - 1, _next_number()
        self._inside.append((before, self._exit - 1))

    def _again(self, layer, h, task):
        """What a checkpoint computes again in a backward pass belongs to the row that is there."""
        wanted = moments(h)
        for step in reversed(self._steps[-2:]):
            for row in reversed(range(len(step.layout))):
                if h.grad_fn is not None and step.layout[row][0] == layer and step.output(row) == wanted:
                    self._listen(h.grad_fn, h.output_nr, step, row, task)
                    return

    @_harmless
    def _read_graph(self, outputs):
        """Rows for the calls that no module made, from the graph behind `outputs`."""
        first, step = self._first, self._now
        shape = (_next_number() - first, *(number - first for number in self._keys))
        if shape in self._plain:
            return  # as many nodes as before, with the modules' outputs at the same places, and none without a module
        found, closed = graph.calls(
            outputs, first, owners=self._owners, rows=self._made, inside=self._inside, recurrent=self._recurrent
        )
        self._closed |= closed
        if not found:
            self._plain.add(shape)
        for call in found:
            h, shares = None, None
            if call.activation:
                h, shares = slopes.of_call(call.activation, call.node, axis=self._axis, size=self.sample)
            row = step.add(call.layer, call.kind, *(() if h is None else moments(h)))
            step.slope(row, shares)
            if h is not None and self.sample is None:
                step.put(row, COSINE, cosine(h))
            step.order.append(bisect_left(self._keys, call.number) - 0.5)
            self._made[call.number] = call.layer
            self._listen(call.node, 0, step, row)

    def _listen(self, node, place, step, row, task=0):
        """File the gradient of `node`'s output when a backward pass comes by."""

        def hear(gradients):
            gradient = gradients[place]
            if gradient is not None and step.open:  # None: another output of the same call has one, this has not
                self._heard(step, row, task or _backward_task(), gradient)

        self._recent[-1].append(node.register_prehook(hear))

    @_harmless
    def _heard(self, step, row, task, gradient):
        value = rms(gradient)
        step.gradient(row, task, value if step.scale == 1.0 else value / step.scale)

    def _axis(self, h):
        """The axis of the units of h: channels after a convolution, else features."""
        first = h.ndim >= 4 if self._channels is None else self._channels and h.ndim >= 3
        return 1 if first else -1

    @_harmless
    def _before_update(self, *_):
        if self._now is not None:
            self._movement.before()

    @_harmless
    def _after_update(self, *_):
        if self._now is not None:
            self._movement.after(self._now.number)


class _Hook:
    """A hook on the model; in a copy or a pickle of it, made while it is watched, a function that does nothing."""

    def __init__(self, look):
        self.look = look

    def __call__(self, *args):
        self.look(*args)

    def __reduce__(self):
        return getattr, (nullcontext(), "__exit__")


_ROLES = weakref.WeakKeyDictionary()  # class of module -> what `_role` says


def _role(kind):
    """Whether its slope can be had, and where its output has the units: channels first (True), last, or either."""
    channels = True if issubclass(kind, _CHANNELS_FIRST) else False if issubclass(kind, _FEATURES_LAST) else None
    return kind in slopes.MODULES, channels


def _is_leaf(module):
    """A module that makes no calls of interest inside: torch's own without children, or one without parameters."""
    if any(True for _ in module.children()):
        return False
    return type(module).__module__.startswith("torch.nn") or not any(True for _ in module.parameters())


def _is_compiled(module):
    return hasattr(module, "_torchdynamo_orig_callable") or getattr(module, "_compiled_call_impl", None) is not None


def _elsewhere():
    """Whether the call now running is not an ordinary one: torch traces, compiles or transforms it."""
    return torch._C._are_functorch_transforms_active() or torch.compiler.is_compiling() or torch._C._get_tracing_state()


def _next_number():
    """The sequence number that autograd's next node will get in this thread; test_probe.py says if the name goes."""
    return torch._C._autograd._get_sequence_nr()


def _backward_task():
    """A number above 0 that tells the backward pass now running from others; 0 outside of one."""
    return torch._C._current_graph_task_id() + 1  # not a public name: test_probe.py says if it goes


def _check(model, optimizer, every, overhead, sample):
    if not isinstance(model, nn.Module):
        raise TypeError(f"probe watches a torch nn.Module; got {type(model).__name__}: pass the model itself.")
    if not any(True for _ in model.parameters()):
        raise ValueError(
            f"probe needs a model with parameters, and this {type(model).__name__} has none: no gradient flows "
            "to a weight in it. Pass the whole model, with its layers."
        )
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer must be a torch.optim.Optimizer; got {type(optimizer).__name__}: pass the object.")
    if every != "auto" and not (isinstance(every, Integral) and every is not True and every >= 1):
        raise ValueError(f'every must be "auto" or a whole number of at least 1; got {every!r}.')
    if not isinstance(overhead, Real) or not 0 < overhead < 1:
        raise ValueError(f"overhead is a share of the run's time, above 0 and below 1; got {overhead!r}.")
    if sample is not None and not (isinstance(sample, Integral) and sample >= 16):
        raise ValueError(f"sample must be None or a whole number of at least 16; got {sample!r}.")
