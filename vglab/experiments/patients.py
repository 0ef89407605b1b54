"""Patients: networks with one fault each, or none, drawn from a seed. What is wrong is told on demand only."""

from copy import deepcopy
from dataclasses import dataclass, field
from math import isfinite
from numbers import Integral

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .. import nets, tasks
from ..probe import gradient_profile

WIDTH, TRAINING = 32, 150  # units in a layer; steps after which a sound patient reads most digits
DIAGNOSES = {
    "healthy": "Nothing is wrong: it trains as it is.",
    "weak activation": "A deep sigmoid network with Xavier's weights: a slope of a quarter at best, layer after layer.",
    "weights too small": "The weights have a fraction of the scale that their activation needs.",
    "weights too large": "The weights have about twice the scale that their activation needs.",
    "saturated": "The biases are so large that nearly every unit sits on a flat end of its activation.",
    "dead units": "The biases of one layer lie so far below 0 that its ReLUs are off for every digit.",
    "detached statistics": "A batch normalization that takes its mean and variance for constants on the way back.",
    "batch too small": "Batch normalization with batches of four digits, whose mean and variance are mostly noise.",
    "rate too high": "A sound network whose steps are far too long.",
    "shuffled labels": "A sound network whose labels were shuffled, so that there is nothing to learn.",
}


class BatchNorm1d(nn.BatchNorm1d):
    """Batch normalization in training mode as a patient's owner has written it, rightly or not. z: (batch, n)."""

    def __init__(self, n, constant=False):
        super().__init__(n, track_running_stats=False)
        self._constant = constant

    def forward(self, z):
        mean, variance = z.mean(0), z.var(0, correction=0)
        if self._constant:
            mean, variance = mean.detach(), variance.detach()
        return (z - mean) / (variance + self.eps).sqrt() * self.weight + self.bias


@dataclass(eq=False)
class Patient:
    """A network and how it is trained: SGD with momentum 0.9 on random batches of digits.

    model: takes (batch, 64). x, y: the digits it is given, (1400, 64) and (1400,). The diagnosis is not shown: `submit`
    one, or `reveal` it.
    """

    seed: int
    model: nn.Module
    lr: float
    batch_size: int
    x: torch.Tensor = field(repr=False)
    y: torch.Tensor = field(repr=False)
    _diagnosis: str | None = field(repr=False, default=None)

    def __repr__(self):
        parts = anatomy(self.model)
        with_ = " and batch normalization" * bool(parts["normalization"]) + " and skips" * bool(parts["skips"])
        number = str(self.seed) if self.seed < 10**8 else f"{str(self.seed)[:6]}…"
        return (
            f"<patient {number}: {len(parts['layers']) - 1} layers of {WIDTH} units with {parts['activations'][0]}"
            f"{with_}; learning rate {self.lr:g}, batches of {self.batch_size}>"
        )

    def copy(self, **changed):
        """A deep copy with what is `changed`: ``patient.copy(lr=0.01)``. It keeps the diagnosis."""
        allowed = ("model", "lr", "batch_size", "x", "y")
        if strange := [name for name in changed if name not in allowed]:
            raise ValueError(f"a patient's {', '.join(allowed)} can be changed; got {strange[0]!r}.")
        return Patient(**deepcopy(vars(self)) | changed)

    def sealed(self):
        """A copy that does not know its diagnosis, to be given away."""
        other = self.copy()
        other._diagnosis = None
        return other

    def chart(self, size=128):
        """The `vglab.gradient_profile` on the first `size` digits; a step of training sees ``size=batch_size``."""
        return gradient_profile(self.model, self.x[:size], self.y[:size])

    def train(self, steps=TRAINING, *, seed=0):
        """Train a copy and return (the copy, its losses); it ends early where a loss is not finite, with that loss."""
        model, losses = deepcopy(self.model).train(), []
        optimizer = torch.optim.SGD(model.parameters(), lr=self.lr, momentum=0.9)
        batches = torch.Generator().manual_seed(seed)
        while len(losses) < steps and (not losses or isfinite(losses[-1])):
            batch = torch.randint(len(self.x), (self.batch_size,), generator=batches)
            loss = F.cross_entropy(model(self.x[batch]), self.y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return model, losses

    @torch.no_grad()
    def score(self, model=None):
        """Share of 397 other digits that `model`, by default the patient's, reads; norms take their statistics there.

        In training mode, because the running statistics of a young network are those of an earlier one (lesson 8).
        """
        data, model = tasks.digits(), deepcopy(self.model if model is None else model).train()
        return (model(data.x_test).argmax(1) == data.y_test).float().mean().item()

    def changes(self, other):
        """What `other`, a changed copy, has been changed in: a tuple of words, empty where nothing was.

        The words are "data", "learning rate", "batch size", "layers", "activations", "normalization", "skips", and,
        where the layers are the same, "weights" and "biases".
        """
        data = torch.equal(self.x, other.x) and torch.equal(self.y, other.y)
        same = {"data": data, "learning rate": self.lr == other.lr, "batch size": self.batch_size == other.batch_size}
        mine, theirs = anatomy(self.model), anatomy(other.model)
        same |= {name: mine[name] == theirs[name] for name in mine}
        if same["layers"]:
            pairs = list(zip(_linear(self.model), _linear(other.model), strict=True))
            same["weights"] = all(torch.equal(a.weight, b.weight) for a, b in pairs)
            same["biases"] = all(torch.equal(a.bias, b.bias) for a, b in pairs)
        return tuple(name for name, equal in same.items() if not equal)

    def submit(self, diagnosis):
        """Whether `diagnosis`, one of `DIAGNOSES`, is right."""
        if diagnosis not in DIAGNOSES:
            raise ValueError(f"a diagnosis is one of {', '.join(DIAGNOSES)}; got {diagnosis!r}.")
        return diagnosis == self.reveal()

    def reveal(self):
        """The diagnosis, one of `DIAGNOSES`."""
        if self._diagnosis is None:
            raise ValueError("this patient came without its diagnosis: examine it.")
        return self._diagnosis


def patient(seed, *, among=tuple(DIAGNOSES)):
    """Draw a `Patient`, the same for the same seed; `among` are the diagnoses that may come up, or the one.

    seed : a whole number of at least 0, of any size: a keyed hash of a student's name will do.
    """
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0; got {seed!r}.")
    draw, label = _drawn(int(seed), _checked(among))
    model, lr, batch_size = _MAKE[label](draw)
    data = tasks.digits()
    y = data.y[torch.tensor(draw.permutation(len(data.y)))] if label == "shuffled labels" else data.y
    return Patient(int(seed), model, lr, batch_size, data.x, y, label)


def patients(n, *, seed=0, among=tuple(DIAGNOSES)):
    """Draw `n` patients in random order, each diagnosis of `among` as often as any other, or once more.

    Each is ``patient(its.seed, among=among)``.
    """
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a whole number of at least 1; got {n!r}.")
    among, draw, found = _checked(among), np.random.default_rng([int(seed), int(n)]), []
    order = draw.permutation(len(among))
    left = {among[k]: n // len(among) + (i < n % len(among)) for i, k in enumerate(order)}
    while len(found) < n:
        number = int(draw.integers(2**31))
        label = _drawn(number, among)[1]
        left[label] -= 1
        if left[label] >= 0:
            found.append(patient(number, among=among))
    return found


def anatomy(model):
    """What a model is made of: layers (the shapes of its matrices), activations, normalization, skips."""
    parts = {"layers": [], "activations": [], "normalization": [], "skips": 0}
    for module in model.modules():
        kind, name = type(module), type(module).__name__
        if kind is nets.dense.Residual:
            parts["skips"] += 1
        elif "Norm" in name:
            parts["normalization"].append(f"{kind.__module__}.{name}")
        elif hasattr(module, "weight"):
            parts["layers"].append(tuple(module.weight.shape))
        elif not any(True for _ in module.children()) and kind is not nn.Identity:
            parts["activations"].append(name)
    return parts


def _linear(model):
    return [module for module in model.modules() if isinstance(module, nn.Linear)]


# ---------------------------------------------------------------- how each is made


def _checked(among):
    among = (among,) if isinstance(among, str) else tuple(among)
    for label in among or ["nothing"]:
        if label not in DIAGNOSES:
            raise ValueError(f"among must hold diagnoses, {', '.join(DIAGNOSES)}; got {label!r}.")
    return among


def _drawn(seed, among):
    draw = np.random.default_rng(seed)
    return draw, among[draw.integers(len(among))]


def _mlp(draw, depths, act, sigma_w, **net):
    depth = int(draw.integers(depths[0], depths[1] + 1))
    return nets.mlp(depth, WIDTH, act=act, sigma_w=sigma_w, seed=int(draw.integers(2**31)), **net)


def _with_own_norm(model, constant=False):
    for name, module in model.named_children():
        if isinstance(module, nn.BatchNorm1d):
            setattr(model, name, BatchNorm1d(module.num_features, constant))
    return model


_SOUND = {  # activation: (depths, sigma_w, learning rate)
    "tanh": ((5, 9), 1.0, 0.02),
    "relu": ((4, 7), 2**0.5, 0.02),
    "selu": ((5, 9), 1.0, 0.01),
}


def _plain(draw, acts=tuple(_SOUND)):
    """(act, depths, sigma_w, lr) of a sound network."""
    act = str(draw.choice(acts))
    return act, *_SOUND[act]


def _healthy(draw):
    way = draw.integers(6)
    if way == 0:
        return _with_own_norm(_mlp(draw, (6, 9), "sigmoid", 1.0, norm="batch")), 0.03, 32
    if way == 1:
        return _with_own_norm(_mlp(draw, (4, 6), "relu", 2**0.5, norm="batch")), 0.03, 64
    if way == 2:
        return _mlp(draw, (8, 14), "sigmoid", 1.0, skip=True), 0.03, 32
    act, depths, sigma_w, lr = _plain(draw)
    return _mlp(draw, depths, act, sigma_w), lr, 32


def _weak_activation(draw):
    return _mlp(draw, (8, 14), "sigmoid", 1.0), 0.02, 32


def _weights_too_small(draw):
    act, _, sigma_w, lr = _plain(draw)
    return _mlp(draw, (7, 10), act, float(draw.uniform(0.2, 0.35)) * sigma_w), lr, 32


def _weights_too_large(draw):
    act, _, sigma_w, lr = _plain(draw, ("relu", "selu"))
    return _mlp(draw, (7, 10), act, float(draw.uniform(1.8, 2.6)) * sigma_w), lr, 32


def _saturated(draw):
    sigma_b = float(draw.uniform(6, 10))
    model = _mlp(draw, (6, 9), "tanh", 1.0, sigma_b=sigma_b)
    nn.init.zeros_(model.head.bias)
    return model, 0.02, 32


def _dead_units(draw):
    model = _mlp(draw, (5, 8), "relu", 2**0.5)
    layers = _linear(model)
    nn.init.constant_(layers[int(draw.integers(1, len(layers) - 1))].bias, -float(draw.uniform(25, 40)))
    return model, 0.02, 32


def _detached_statistics(draw):
    return _with_own_norm(_mlp(draw, (10, 13), "sigmoid", 1.0, norm="batch"), constant=True), 0.3, 32


def _batch_too_small(draw):
    return _with_own_norm(_mlp(draw, (8, 11), "relu", 2**0.5, norm="batch")), 0.03, 4


def _rate_too_high(draw):
    act, depths, sigma_w, lr = _plain(draw)
    return _mlp(draw, depths, act, sigma_w), round(lr * float(draw.uniform(50, 120)), 1), 32


def _shuffled_labels(draw):
    act, depths, sigma_w, lr = _plain(draw)
    return _mlp(draw, depths, act, sigma_w), lr, 32


_MAKE = {
    "healthy": _healthy,
    "weak activation": _weak_activation,
    "weights too small": _weights_too_small,
    "weights too large": _weights_too_large,
    "saturated": _saturated,
    "dead units": _dead_units,
    "detached statistics": _detached_statistics,
    "batch too small": _batch_too_small,
    "rate too high": _rate_too_high,
    "shuffled labels": _shuffled_labels,
}
