"""Say what is wrong with a network that does not train, and which remedy works, having tried it."""

from copy import deepcopy
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from torch import nn

from . import measure, rules
from .remedies import candidates, tried
from .trials import _check_optimizer as check_optimizer
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
        a dict as ``model(**inputs)``. A dict alone has no target and is passed as ``model(**batch)``.
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
    looks, notes = measure.looks(model, batch, loss_fn, optimizer)
    limit = rules.bound(optimizer)
    again = Again(model, batch, loss_fn, optimizer)
    finding = rules.judge(looks, limit, again, model)
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

    def looks(self, suspicion):
        """All looks at a hundredth of the learning rate ("rate")."""
        return measure.looks(self.model, self.batch, self.loss_fn, self.optimizer, rate=0.01)[0]

    def look(self, suspicion):
        """The first look with the loss scaled up ("scale") or with eps as torch has it ("eps"); None if it is so."""
        model, loss_fn = self.model, self.loss_fn
        if suspicion == "scale":
            loss_fn = measure.scaled(loss_fn, rules.SCALE)
        else:
            wide = [name for name, module in model.named_modules() if (getattr(module, "eps", None) or 0) >= WIDE]
            if not wide:
                return None
            model = deepcopy(model)
            for name in wide:
                model.get_submodule(name).eps = EPS
        return measure.look(model, self.batch, loss_fn)

    def flushed(self):
        """Share of zeros in each parameter's gradient that scaling the loss brings back, by the parameter's layer."""
        zeros = [measure.zeros(self.model, self.batch, self.loss_fn, scale) for scale in (1.0, rules.SCALE)]
        lost = pd.Series(zeros[0], dtype=float) - pd.Series(zeros[1], dtype=float)
        return lost.groupby(lambda name: name.rpartition(".")[0] or name).max()


def _profile(finding):
    if finding.axis is None:
        return pd.DataFrame(columns=COLUMNS["profile"])
    rows = finding.axis.rows
    known = {"place": np.arange(1, len(rows) + 1), "axis": finding.axis.kind, "step": finding.look.step}
    return rows.assign(**known)[list(COLUMNS["profile"])].reset_index(drop=True)


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
    notes = []
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
    check_optimizer(model, optimizer)
