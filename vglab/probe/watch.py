"""Watch a signal go forward and its gradient come back through any torch model, and change neither."""

import weakref
from bisect import bisect_left
from collections import deque
from contextlib import nullcontext
from numbers import Integral, Real

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from . import graph, log, report, slopes
from .anatomy import Anatomy, holds_compiled
from .autograd import TELLS_WHAT_IT_KEPT, backward_task, elsewhere, next_number
from .budget import Budget, harmless
from .parameters import SAMPLE, Movement
from .readings import cosine, moments, readable, rms, tensors_in

COSINE = log.READINGS.index("cosine")
_FEW = 2  # steps whose hooks are taken off at the end of the block; those before went with their graphs


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
    there is such a row for each of its steps that was looked at: grad_rms is the gradient the optimizer got,
    weight_rms and update_ratio, which is rms(change) / rms(weight), are measured on some 500 entries of each weight
    (all, with ``sample=None``); without an optimizer the row tells the end of the block, exactly. ``.report()`` is a
    summary in words and says what could not be seen.

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
        _check(model, optimizer, every, overhead, scaler, sample)
        self.model, self.optimizer, self.scaler = model, optimizer, scaler
        self.every, self.overhead, self.sample = every, overhead, sample
        self._handles, self._looking, self._recent = [], None, deque(maxlen=_FEW)
        self._start_anew()

    def _start_anew(self):
        self._anatomy, self._budget = Anatomy(self.model), Budget(self.overhead)
        self._movement = Movement(self.model, sample=None if self.sample is None else SAMPLE)
        self._steps, self._now, self._forwards, self._fresh = [], None, 0, False
        self._depth, self._rooted, self._measuring = 0, False, False
        self._closed, self._layouts, self._plain, self._channels = set(), {}, set(), None

    def __enter__(self):
        self._start_anew()
        try:
            self._begin()
            self._hook_root()
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
            self._read_parameters()

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
        return report.notes(self._closed, compiled=self._anatomy.compiled or holds_compiled(self.model))

    def report(self):
        """What was seen, in words."""
        steps = [step for step in self._steps if step.layout]
        return report.text(self, arrived=steps[-1].arrived() if steps else 0)

    def watch(self, loss):
        """Call with the loss before ``backward()`` where the model is not called as a whole; returns the loss.

        It ends the step, and shows the calls without a module that lie between the model's layers and the loss.
        """
        if not isinstance(loss, torch.Tensor):
            raise TypeError(f"watch takes the loss, a tensor, before backward(); got {type(loss).__name__}.")
        self._end(loss)
        return loss

    # When a step begins and ends

    def _begin(self):
        """Start a step, unless nothing was seen in the last one, and decide whether to look at it."""
        if self._fresh:
            return
        looked = self._now is not None
        self._close()
        wanted = self._wanted(looked=looked)
        if wanted:
            self._now = log.Step(self._forwards)
            self._steps.append(self._now)
            self._recent.append([])
            self._seen, self._made, self._inside, self._keys, self._gaps = {}, {}, {}, [], False
            self._first = self._exit = next_number()
        self._look(wanted and not self._anatomy.compiled)
        self._forwards, self._fresh = self._forwards + 1, True

    @harmless
    def _close(self):
        step, self._now = self._now, None
        if step is not None:
            step.close(self._layouts)

    def _wanted(self, *, looked):
        if self.every == "auto":
            return self._budget.allows(looked=looked) or self._forwards == 0
        return self._forwards % self.every == 0

    def _look(self, wanted):
        """Have every module's output shown to `_after`, or no longer."""
        if wanted and self._looking is None:
            self._looking = register_module_forward_hook(self._after, with_kwargs=True)
        elif not wanted and self._looking is not None:
            self._looking.remove()
            self._looking = None

    def _hook_root(self):
        """Be told of the model's calls. Torch's encoder layer turns from its fast path if it has a hook of its own."""
        starts, ends = _Hook(self.model, self._root_starts), _Hook(self.model, self._root_ends)
        if isinstance(self.model, nn.TransformerEncoderLayer):
            self._handles.append(register_module_forward_pre_hook(starts))
            self._handles.append(register_module_forward_hook(ends, always_call=True))
        else:
            self._handles.append(self.model.register_forward_pre_hook(starts))
            self._handles.append(self.model.register_forward_hook(ends, always_call=True))

    def _leave(self):
        self._look(False)
        for handle in [*self._handles, *(handle for handles in self._recent for handle in handles)]:
            handle.remove()
        self._handles.clear()
        self._recent.clear()
        self._close()
        for step in self._steps:
            step.open = False
        self._seen, self._made = {}, {}

    @harmless
    def _root_starts(self, *_):
        if elsewhere() or backward_task():
            return
        self._depth += 1
        if self._depth > 1:  # the model calls itself
            return
        self._begin()
        self._fresh, self._rooted = False, True
        self._first = self._exit = next_number()

    @harmless
    def _root_ends(self, model, args, output=None):
        if elsewhere() or backward_task():
            return
        self._depth -= 1
        if self._depth or self._now is None:
            return
        if self._anatomy.compiled:
            self._after(model, args, {}, output)
        self._read_graph([h for _, h in tensors_in(output)])

    @harmless
    def _end(self, loss):
        """End a step at its loss."""
        if self._looking is not None and not elsewhere():
            self._read_graph([loss])
        self._next()

    def _next(self):
        """Begin the next step, though nobody calls the model as a whole."""
        self._fresh, self._rooted, self._depth = False, False, 0
        self._begin()

    @harmless
    def _read_parameters(self):
        self._movement.still(self._steps[-1].number)

    @harmless
    def _before_update(self, optimizer, args, kwargs):
        self._measuring = self._now is not None
        if self._measuring:
            scale, closure = getattr(optimizer, "grad_scale", None), kwargs.get("closure", (*args, None, None)[1])
            self._movement.before(scale=1.0 if scale is None else float(scale), closure=closure is not None)

    @harmless
    def _after_update(self, *_):
        if self._measuring:
            self._movement.after(self._forwards - 1)
        self._depth = 0  # also if an interrupt ended the model's last call
        if not self._rooted:
            self._next()

    # What is read forward

    @harmless
    def _after(self, module, args, kwargs, output):
        anatomy = self._anatomy
        name = anatomy.names.get(id(module))
        if name is None:
            if anatomy.is_compiled_form(module):
                self._closed.add(("CompiledFunction", "(model)"))
            return
        if self._now is None or elsewhere():
            return
        self._fresh = False
        task, leaf = backward_task(), id(module) in anatomy.leaves
        tensors = (("", output),) if readable(output) else list(tensors_in(output))
        for where, h in tensors:
            if self._is_new(h) or leaf:  # else a container hands on what its last child returned
                layer = (name or "(model)") + (where if len(tensors) > 1 else "")
                if task:
                    self._again(layer, h, task)
                else:
                    self._new_row(layer, module, (args, kwargs), h)
        if leaf and not task:
            self._note_inside(args, kwargs, [h for _, h in tensors] or [output])

    def _is_new(self, h):
        """Whether no row tells of this tensor, as it is now, yet."""
        key = (id(h), None if h.is_inference() else h._version)
        known = self._seen.get(key)
        if known is not None and known() is h:
            return False
        self._seen[key] = weakref.ref(h)
        return True

    def _new_row(self, layer, module, given, h):
        role, step, keys, node = self._anatomy.role(module), self._now, self._keys, h.grad_fn
        if role.channels_first is not None:
            self._channels = role.channels_first
        row = step.add(layer, role.kind, *moments(h))
        number = -1 if node is None else node._sequence_nr()
        step.order.append(float(len(keys)))
        keys.append(max(number, keys[-1]) if keys else number)
        if node is not None:
            if vars(module).get("inplace") or not any(h is t for t in given[0]):  # else it made nothing
                self._made[number] = layer
            self._listen(node, h.output_nr, step, row)
        if role.has_slope:
            z = given[0][0] if given[0] else next(iter(given[1].values()), None)
            step.sample(row, slopes.of_module(module, z, h, axis=self._axis(h), size=self.sample))
        if self.sample is None:
            self._read_whole(step, row, h)

    def _read_whole(self, step, row, h):
        step.put(row, COSINE, cosine(h))
        step.judge()  # else it would keep every activation until the step's end

    def _note_inside(self, args, kwargs, outputs):
        """Remember which of autograd's nodes a leaf module made: they need no rows beside its own."""
        before = -1
        for t in args if not kwargs else (*args, *kwargs.values()):
            if isinstance(t, torch.Tensor) and t.grad_fn is not None:
                before = max(before, t.grad_fn._sequence_nr())
        for h in outputs:
            if isinstance(h, torch.Tensor) and h.grad_fn is not None:
                self._inside.setdefault(h.grad_fn._sequence_nr(), before)
        last, self._exit = self._exit, next_number()
        if not (before in (-1, last - 1) or self._exit - last <= 1):
            self._gaps = True  # something was called between the last leaf module and this one

    def _again(self, layer, h, task):
        """What a checkpoint computes again in a backward pass belongs to the row that is there."""
        wanted = moments(h)
        for step in reversed(self._steps[-_FEW:]):
            for row in reversed(range(len(step.layout))):
                if h.grad_fn is not None and step.layout[row][0] == layer and step.output(row) == wanted:
                    self._listen(h.grad_fn, h.output_nr, step, row, task)
                    return

    def _read_graph(self, outputs):
        """Rows for the calls that no module made, from the graph behind `outputs`."""
        shape = (next_number() - self._first, *(number - self._first for number in self._keys))
        if shape in self._plain and not self._gaps and self._exit == next_number():
            return  # every node was made by a leaf module, as in a step in which nothing was found
        anatomy = self._anatomy
        found, closed = graph.calls(
            outputs,
            self._first,
            owners=anatomy.owners,
            rows=self._made,
            inside=self._inside,
            recurrent=anatomy.recurrent,
        )
        self._closed |= closed
        if not found:
            self._plain.add(shape)
        for call in found:
            self._new_call(call)

    def _new_call(self, call):
        step, h, sample = self._now, None, None
        if call.activation and not TELLS_WHAT_IT_KEPT:
            self._closed.add(("SavedTensor", call.layer))
        elif call.activation:
            h, sample = slopes.of_call(call.activation, call.node, axis=self._axis, size=self.sample)
            h = h if readable(h) else None
        row = step.add(call.layer, call.kind, *(() if h is None else moments(h)))
        step.order.append(bisect_left(self._keys, call.number) - 0.5)
        self._made[call.number] = call.layer
        self._listen(call.node, 0, step, row)
        step.sample(row, sample)
        if h is not None and self.sample is None:
            self._read_whole(step, row, h)

    def _axis(self, h):
        """The axis of the units of h: channels after a convolution, else features."""
        first = h.ndim >= 4 if self._channels is None else self._channels and h.ndim >= 3
        return 1 if first else -1

    # What is read backward

    def _listen(self, node, place, step, row, task=0):
        """File the gradient of `node`'s output when a backward pass comes by."""

        def hear(gradients):
            gradient = gradients[place]
            if gradient is not None and step.open:  # None: another output of the same call has one, this has not
                self._heard(step, row, task or backward_task(), gradient)

        self._recent[-1].append(node.register_prehook(hear))

    @harmless
    def _heard(self, step, row, task, gradient):
        if self.scaler is not None and task not in step.scales:  # only now it is the one that the loss got
            step.scales[task] = self.scaler.get_scale()
        value = rms(gradient)
        step.gradient(row, task, value / step.scales[task] if step.scales else value)


class _Hook:
    """A hook for one module; in a copy or a pickle made while it is watched, a function that does nothing."""

    def __init__(self, module, look):
        self.module, self.look = weakref.ref(module), look

    def __call__(self, module, *args):
        if torch.compiler.is_compiling():
            return
        if module is self.module():
            self.look(module, *args)

    def __reduce__(self):
        return getattr, (nullcontext(), "__exit__")


def _check(model, optimizer, every, overhead, scaler, sample):
    if not isinstance(model, nn.Module):
        raise TypeError(f"probe watches a torch nn.Module; got {type(model).__name__}: pass the model itself.")
    if not any(True for _ in model.parameters()):
        raise ValueError(
            f"probe needs a model with parameters, and this {type(model).__name__} has none: no gradient flows "
            "to a weight in it. Pass the whole model, with its layers."
        )
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer must be a torch.optim.Optimizer; got {type(optimizer).__name__}: pass the object.")
    if scaler is not None and not callable(getattr(scaler, "get_scale", None)):
        raise TypeError(f"scaler must be a torch.amp.GradScaler; got {type(scaler).__name__}: pass the object.")
    if every != "auto" and not (isinstance(every, Integral) and every is not True and every >= 1):
        raise ValueError(f'every must be "auto" or a whole number of at least 1; got {every!r}.')
    if not isinstance(overhead, Real) or not 0 < overhead < 1:
        raise ValueError(f"overhead is a share of the run's time, above 0 and below 1; got {overhead!r}.")
    if sample is not None and not (isinstance(sample, Integral) and sample >= 16):
        raise ValueError(f"sample must be None or a whole number of at least 16; got {sample!r}.")
