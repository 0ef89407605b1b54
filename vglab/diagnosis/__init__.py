"""Say what is wrong with a network that does not train, and which remedy works, having tried it."""

from copy import deepcopy
from math import nan
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from torch import nn

from . import measure, rules
from .copies import apart, copied, seeded
from .remedies import candidates, tried
from .trials import check_optimizer
from .verdict import COLUMNS, Diagnosis

__all__ = ["Diagnosis", "diagnose"]

SECONDS = 30.0  # for trying remedies
EPS, WIDE = 1e-5, 1e-3  # torch's eps of a norm, and one that is worth a doubt


def diagnose(model, batch, loss_fn, optimizer=None, remedies=True, *, seconds=SECONDS, progress=None):
    """Measure `model` on copies of it and return a `Diagnosis`: state, cause, where, and remedies that were tried.

    The gradient with respect to the layers' outputs decides, measured before the first step of the optimizer and
    after a few on the one batch; see `vglab.diagnosis.rules` for the bounds and where they come from. The model, its
    mode, its random state, its gradients, its buffers and the optimizer are left as they are.

    Parameters
    ----------
    model : nn.Module
        Judged in training mode.
    batch : pair or dict
        ``(inputs, target)``: the model is called as ``model(inputs)``, with a tuple or list as ``model(*inputs)``, with
        a dict as ``model(**inputs)``. A dict alone has no target and is passed as ``model(**batch)``. Some hundreds of
        examples are best: a few are learnt by heart in the trials even by a network that would learn nothing else.
    loss_fn : callable or None
        ``loss_fn(output, target)``, or ``loss_fn(output)`` without a target; None takes the model's ``output.loss``.
    optimizer : torch.optim.Optimizer, optional
        The one in use, over the model's parameters: bounds depend on it, and trials train with it. None stands for
        SGD with a rate of 0.1.
    remedies : bool
        Whether to try remedies.
    seconds : float
        Time for trying them; what is not tried in it is named in ``.notes``.
    progress : callable, optional
        Called as ``progress(done, total, name)`` before each remedy.

    Raises `TypeError` if `model` is no module, and `ValueError` if it cannot be copied, does not take the batch, or if
    the loss is not one number or needs no gradient.

    >>> from vglab import mlp
    >>> model, x, y = mlp(20, act="sigmoid", sigma_w=1.0, seed=0), torch.randn(64, 64), torch.arange(64) % 10
    >>> found = diagnose(model, (x, y), nn.functional.cross_entropy, remedies=False)
    >>> found.state, found.cause
    ('vanishing', 'activation without unit gain')
    """
    start = perf_counter()
    _check(model, optimizer, seconds)
    model, optimizer, notes = _eager(model, optimizer)
    loss_fn = deepcopy(loss_fn) if isinstance(loss_fn, nn.Module) else loss_fn  # it may have gradients of its own
    looks, seen = measure.looks(model, batch, loss_fn, optimizer)
    notes, limit = notes + seen, rules.bound(optimizer)
    finding = rules.judge(looks, limit, Again(model, batch, loss_fn, optimizer))
    table = pd.DataFrame(columns=COLUMNS["remedies"])
    if remedies and finding.state != "healthy":
        found = candidates(
            model, cause=finding.cause, state=finding.state, rows=looks[0].table, optimizer=optimizer,
            inputs=batch if isinstance(batch, dict) else batch[0],
        )  # fmt: skip
        table = tried(
            model, batch, loss_fn, optimizer, found, seconds=seconds, measure=measure.decades_of, progress=progress
        )
        notes += _trial_notes(table.attrs)
    return Diagnosis(
        state=finding.state,
        cause=finding.cause,
        where=list(finding.where),
        evidence=pd.DataFrame(finding.evidence, columns=COLUMNS["evidence"]),
        confidence=finding.confidence,
        remedies=table,
        profile=_profile(finding),
        notes=notes,
        settings=_settings(model, optimizer, finding, limit, perf_counter() - start),
    )


class Again:
    """Measures a copy once more, without the one thing that is suspected."""

    def __init__(self, model, batch, loss_fn, optimizer):
        self.model, self.batch, self.loss_fn, self.optimizer = model, batch, loss_fn, optimizer

    def looks(self, rate):
        """All looks at `rate` times the learning rate."""
        return measure.looks(self.model, self.batch, self.loss_fn, self.optimizer, rate=rate)[0]

    def look(self, suspicion):
        """The first look with the loss scaled up ("scale") or with eps as torch has it ("eps"); None if it is so."""
        loss_fn = measure.scaled(self.loss_fn, rules.SCALE) if suspicion == "scale" else self.loss_fn
        wide = [name for name, module in self.model.named_modules() if (getattr(module, "eps", None) or 0) >= WIDE]
        if suspicion == "eps" and not wide:
            return None
        with apart(self.model, self.batch), seeded(0, self.model, self.batch):
            model, _ = copied(self.model, None)
            for name in wide if suspicion == "eps" else ():
                model.get_submodule(name).eps = EPS
            return measure.look(model, self.batch, loss_fn)

    def flushed(self):
        """Share of zeros in each parameter's gradient that scaling the loss brings back, by the parameter's layer."""
        lost = pd.Series(measure.zeros(self.model, self.batch, self.loss_fn, 1.0), dtype=float)
        if lost.max() >= rules.FLUSHED:
            lost -= pd.Series(measure.zeros(self.model, self.batch, self.loss_fn, rules.SCALE), dtype=float)
        layer = lambda name: (name.rpartition(".")[0] or name).partition(".parametrizations")[0]
        return lost.groupby(layer).max()


def _eager(model, optimizer):
    """Both as they are, or copies without what ``torch.compile`` made, and a note: it is one piece to autograd."""
    compiled = [name for name, module in model.named_modules() if "_orig_mod" in module._modules]
    if not compiled:
        return model, optimizer, []
    copy, other = copied(model, optimizer)
    for name in reversed([name for name in compiled if name]):  # the inner ones first
        parent, _, own = name.rpartition(".")
        setattr(copy.get_submodule(parent), own, copy.get_submodule(name)._orig_mod)
    copy = copy._orig_mod if "" in compiled else copy
    note = "Compiled layers are one piece to autograd: a copy without torch.compile was measured and tried."
    return copy, optimizer and other, [note]


def _profile(finding):
    """The trunk; where what came later decides, at the start and then."""
    axes = [axis for axis in (finding.before, finding.axis) if axis is not None]
    parts = [
        axis.rows.assign(place=np.arange(1, len(axis.rows) + 1), layer=axis.rows.module, axis=axis.kind)
        for axis in axes
    ]
    columns = list(COLUMNS["profile"])
    return pd.concat([part[columns] for part in parts], ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _settings(model, optimizer, finding, limit, seconds):
    return {
        "model": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "layers": 0 if finding.axis is None else len(finding.axis.rows),
        "optimizer": "SGD" if optimizer is None else type(optimizer).__name__,
        "lr": 0.1 if optimizer is None else float(optimizer.param_groups[0]["lr"]),
        "axis": "depth" if finding.axis is None else finding.axis.kind,
        "threshold": limit,
        "loss": finding.look.loss,
        "seconds": seconds,
    }


def _trial_notes(attrs):
    notes, given = [], attrs["untreated"].get(1.0, nan)
    factor, best = min(attrs["untreated"].items(), key=lambda item: item[1], default=(1.0, nan))
    if best < 0.9 * given:
        notes.append(
            f"Untreated, at {factor:g} times its learning rate, the model ends the same training at {best:.3g}: a "
            "remedy counts as a help only if it beats that, too."
        )
    if attrs["stopped"]:
        notes.append("Trying remedies was interrupted; the table holds those that were finished.")
    if attrs["not_tried"]:
        notes.append(f"Not tried for lack of time: {', '.join(attrs['not_tried'])}. Give diagnose more seconds.")
    return notes + [f"{name} could not be tried: {reason}." for name, reason in attrs["failed"].items()]


def _check(model, optimizer, seconds):
    if not isinstance(model, nn.Module):
        raise TypeError(f"diagnose takes a torch nn.Module; got {type(model).__name__}: pass the model itself.")
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer must be a torch.optim.Optimizer; got {type(optimizer).__name__}: pass the object.")
    if not seconds > 0:
        raise ValueError(f"seconds is the time for trying remedies and must be above 0; got {seconds!r}.")
    name = type(model).__name__
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError(f"diagnose needs the model in Python; got a {name}: pass the one that was scripted or traced.")
    if not any(True for _ in model.parameters()):
        raise ValueError(f"diagnose needs a model with parameters, and this {name} has none: pass the whole model.")
    if any(nn.parameter.is_lazy(p) for p in model.parameters()):
        raise ValueError(f"diagnose needs all weights, and this {name} is lazy: call it once on the inputs before.")
    check_optimizer(model, optimizer)
    _check_copy(model, optimizer)


def _check_copy(model, optimizer):
    try:
        copied(model, optimizer)
    except Exception as error:
        advice = "Take it off the model for the call: a lock, a file or a generator has no copy."
        if isinstance(error, RuntimeError):
            advice = (
                "Detach it or set it to None: it holds on to an earlier forward pass. Torch's old weight_norm does so "
                "by itself; take torch.nn.utils.parametrizations.weight_norm."
            )
        what = str(error).strip().splitlines()[0].partition(". ")[0].rstrip(".")
        raise ValueError(
            f"diagnose works on copies, and this {type(model).__name__} cannot be copied{_culprit(model)} "
            f"({type(error).__name__}: {what}). {advice}"
        ) from error


def _culprit(model):
    """The first attribute of a module in `model` that cannot be copied, in words."""
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            try:
                deepcopy(None if key == "_modules" else value)
            except Exception:
                return f" because of its {f'{name}.{key}'.lstrip('.')}"
    return ""
