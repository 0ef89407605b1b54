"""A training of any model that can be stopped between two steps, changed, and taken up again."""

import copy
from math import isfinite
from numbers import Integral, Real

import torch
from torch import nn

from ..probe.parameters import Movement

OPTIMIZERS = {
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9),
    "adam": lambda parameters, lr: torch.optim.Adam(parameters, lr=lr),
    "adamw": lambda parameters, lr: torch.optim.AdamW(parameters, lr=lr),
}


class Trainer:
    """An iterator that takes one step of a training each time: ``for record in Trainer(model, batches): ...``.

    Between two steps ``lr`` and ``optimizer`` may be set; a new optimizer begins without memory. The training ends
    after `steps` or at the first loss that is not finite; `reset` takes it back to the weights it found.

    Parameters
    ----------
    model : nn.Module
        Trained in the mode it is in, on the device of its first parameter.
    batches : iterable of (x, y)
        A list, a DataLoader: gone through again and again.
    loss_fn : function
        ``loss_fn(model(x), y)``, a scalar.
    steps : int
    lr : float
        Above 0.
    optimizer : str
        ``"sgd"`` (momentum 0.9), ``"adam"`` or ``"adamw"``, else as torch has them.

    A record is a dict: ``step`` (from 0), ``loss`` (before the step), ``lr``, ``optimizer``, and for each weight of two
    or more dimensions, in the order of `names`, ``grad_rms`` and ``update_ratio``, which is rms(change) / rms(weight),
    as in `vglab.probe`.

    >>> from vglab import mlp
    >>> x, y = torch.ones(4, 3), torch.tensor([0, 1, 0, 1])
    >>> trainer = Trainer(mlp(2, 4, act="tanh", d_in=3, d_out=2), [(x, y)], steps=5)
    >>> [record["step"] for record in trainer], trainer.names
    ([0, 1, 2, 3, 4], ['linear1.weight', 'linear2.weight', 'head.weight'])
    """

    def __init__(self, model, batches, loss_fn=nn.functional.cross_entropy, *, steps=600, lr=0.1, optimizer="sgd"):
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be an nn.Module; got {type(model).__name__}: give the network to train.")
        if not isinstance(steps, Integral) or isinstance(steps, bool) or steps < 1:
            raise ValueError(f"steps must be a whole number of 1 or more; got {steps!r}: say how long to train.")
        self.model, self.batches, self.loss_fn, self.steps = model, batches, loss_fn, int(steps)
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        kept = [(i, name) for i, (name, p) in enumerate(model.named_parameters()) if p.requires_grad and p.ndim > 1]
        if not kept:
            raise ValueError("the model has no weights to train of two or more dimensions: there is nothing to watch.")
        self._rows, self.names = (list(part) for part in zip(*kept, strict=True))
        self.lr, self.optimizer = lr, optimizer
        self._start = copy.deepcopy(model.state_dict())
        self._begin()

    def _begin(self):
        self.step, self.loss, self._made, self._source = 0, None, (None, None), iter(())
        self._movement = Movement(self.model)

    @property
    def lr(self):
        """The learning rate of the next step."""
        return self._lr

    @lr.setter
    def lr(self, value):
        if isinstance(value, bool) or not isinstance(value, Real) or not (isfinite(value) and value > 0):
            raise ValueError(f"lr must be a number above 0; got {value!r}: give a learning rate such as 0.1.")
        self._lr = float(value)

    @property
    def optimizer(self):
        """The name of the optimizer of the next step."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, name):
        if not isinstance(name, str) or name not in OPTIMIZERS:
            allowed = ", ".join(map(repr, OPTIMIZERS))
            raise ValueError(f"optimizer must be one of {allowed}; got {name!r}: choose one of these.")
        self._optimizer = name

    @property
    def done(self):
        """Whether no step is left to take."""
        return self.step >= self.steps or (self.loss is not None and not isfinite(self.loss))

    def __iter__(self):
        return self

    def __next__(self):
        if self.done:
            raise StopIteration
        x, y = self._batch()
        optimizer = self._current()
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = self.loss_fn(self.model(x), y)
            loss.backward()
        self._movement.before()
        optimizer.step()
        gradients, ratios = self._movement.read()
        record = {"step": self.step, "loss": float(loss.detach()), "lr": self.lr, "optimizer": self.optimizer}
        record |= {"grad_rms": gradients[self._rows], "update_ratio": ratios[self._rows]}
        self.step, self.loss = self.step + 1, record["loss"]
        return record

    def reset(self):
        """Go back to the first step, and to the weights and buffers as they were when the trainer was made."""
        self.model.load_state_dict(self._start)
        self._begin()

    def _current(self):
        name, optimizer = self._made
        if name != self.optimizer:
            optimizer = OPTIMIZERS[self.optimizer](self._parameters, self.lr)
            self._made = self.optimizer, optimizer
        for group in optimizer.param_groups:
            group["lr"] = self.lr
        return optimizer

    def _batch(self):
        pair = next(self._source, None)
        if pair is None:
            self._source = iter(self.batches)
            pair = next(self._source, None)
        if pair is None:
            raise ValueError("batches has nothing in it, or not again: give a list or a DataLoader of (x, y) pairs.")
        device = self._parameters[0].device
        return tuple(part.to(device) for part in pair)
