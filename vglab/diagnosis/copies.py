"""A copy of a model and its optimizer, trained aside: nothing that the user has notices."""

import inspect
import random
from contextlib import contextmanager
from copy import deepcopy
from math import inf, isfinite
from time import perf_counter

import numpy as np
import torch
from torch import nn

from .feed import loss_of, mapped


class OutOfTime(Exception):
    """The seconds given for the trials are over."""


def copied(model, optimizer):
    """Copies of both, the one's parameters in the other's groups, without gradients and without a state."""
    memo = {}
    model = deepcopy(model, memo)
    model.zero_grad(set_to_none=True)
    if not model.training:
        model.train()
    if optimizer is None:
        return model, torch.optim.SGD(model.parameters(), lr=0.1)
    copy = deepcopy(optimizer, memo)
    for name, value in vars(optimizer).items():  # LBFGS keeps a list that copying an optimizer leaves out
        if name not in vars(copy) and not callable(value):
            setattr(copy, name, deepcopy(value, memo))
    copy.state.clear()
    return model, copy


def adopt(optimizer, model, old):
    """Let the first group have the parameters that are new in `model`, and no group those that are gone."""
    now = {id(p): p for p in model.parameters()}
    for group in optimizer.param_groups:
        group["params"] = [p for p in group["params"] if id(p) in now or id(p) not in old]
    optimizer.param_groups[0]["params"] += [p for key, p in now.items() if key not in old and p.requires_grad]


def _devices(model, batch):
    tensors = list(model.parameters())
    mapped(tensors.append, batch)
    return sorted({t.device.index or 0 for t in tensors if t.is_cuda})


@contextmanager
def apart(model, batch):
    """Every random state as it was, afterwards; those of `random` and numpy, too, which some models draw from."""
    python, arrays = random.getstate(), np.random.get_state()
    try:
        with torch.inference_mode(False), torch.random.fork_rng(_devices(model, batch)), torch.enable_grad():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)


@contextmanager
def seeded(seed, model, batch):
    with apart(model, batch):
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU
        for device in _devices(model, batch):
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


class Step:
    """One step of an optimizer on a model. Gradients are set, not added up, and only on the copy's parameters, also
    where the loss reads the user's own model (a penalty on its weights, for example)."""

    def __init__(
        self, trials, model, optimizer, losses, *, clip=None, loss_scale=1.0, unscale=False, dtype=None, rate=1
    ):
        self.trials, self.model, self.optimizer, self.losses = trials, model, optimizer, losses
        self.clip, self.scale, self.unscale, self.dtype = clip, loss_scale, unscale, dtype
        self.params = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        closure = inspect.signature(optimizer.step).parameters.get("closure")
        self.needs_closure = closure is not None and closure.default is inspect.Parameter.empty

    def __call__(self):
        if self.needs_closure:  # LBFGS asks for the loss several times in a step
            self.optimizer.step(self.gradients)
        elif isfinite(self.gradients()):
            self.optimizer.step()

    @torch.enable_grad()
    def gradients(self):
        if perf_counter() > self.trials.deadline:
            raise OutOfTime
        loss = loss_of(self.model, self.trials.fed(self.dtype), self.trials.loss_fn)
        self.losses.append(loss.item() if loss.isfinite() else inf)
        found = torch.autograd.grad(loss * self.scale, self.params, allow_unused=True)
        if self.unscale:
            found = self.unscaled(found)
        for p, gradient in zip(self.params, found, strict=True):
            p.grad = gradient
        if self.clip:
            nn.utils.clip_grad_norm_(self.params, self.clip)
        return self.losses[-1]

    def unscaled(self, found):
        """As torch's GradScaler: without a step and with half the scale after an overflow."""
        found = [g if g is None else g / self.scale for g in found]
        if all(g is None or g.isfinite().all() for g in found):
            return found
        self.scale /= 2
        return [None] * len(found)
