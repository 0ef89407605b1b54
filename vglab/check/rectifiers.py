"""Checks of lesson 6: dead units, the gain of a leaky ReLU."""

import math

import torch
from torch import nn

from .engine import Exercise

__all__ = ["dead_fraction", "leaky_gain"]


def _outputs(model, k, batches, training=False):
    """Outputs of model[k] on each batch, a list of (examples, units); the model is left as it was."""
    was = model.training
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.train(training)
    with torch.no_grad():
        outputs = [model[: k + 1](x) for x in batches]
    model.load_state_dict(state)
    model.train(was)
    return outputs


def _share(flags):
    return flags.double().mean().item()


def _dead_fraction(model, k, batches):
    return _share((torch.cat(_outputs(model, k, batches)) == 0).all(0))


def _count(model, k, batches):
    outputs = torch.cat(_outputs(model, k, batches))
    return _share((outputs == 0).all(0)) * outputs.shape[1]


def _weighted(model, k, batches):
    return sum(_share((h == 0).all(0)) * len(h) for h in _outputs(model, k, batches)) / sum(map(len, batches))


def _model(activation, seed, norm=False, shift=-0.8):
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        units = 30 + 5 * seed
        model = nn.Sequential(nn.Linear(3 + seed, units), nn.BatchNorm1d(units) if norm else nn.Identity(), activation)
    with torch.no_grad():
        model[0].weight.normal_(generator=generator)
        model[0].bias.normal_(generator=generator).mul_(2).add_(2 * shift)
        if norm:
            model[1].running_mean.fill_(2.5)
            model[1].bias.normal_(generator=generator)
    return model


def _batches(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, 3 + seed, generator=generator) + n / 8 for n in (3, 5, 8)]


_CASES = [
    (_model(nn.ReLU(), 1).eval(), 2, _batches(1)),
    (_model(nn.ReLU(), 2, shift=-2.0), 2, _batches(2)),
    (_model(nn.LeakyReLU(0.1), 3, shift=-2.0), 2, _batches(3)),
    (_model(nn.ReLU(), 4, norm=True), 2, _batches(4)),
]


def _leaves_the_model(answer):
    for training in (True, False):
        model = _model(nn.ReLU(), 5, norm=True).train(training)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        answer(model, 2, _batches(5))
        if any(not torch.equal(value, before[name]) for name, value in model.state_dict().items()):
            return "the number is right, but your function changed the model's state: call model.eval() before it runs."
        if any(module.training != training for module in model.modules()):
            mode = "training" if training else "eval"
            return (
                f"the number is right, but a model that came in {mode} mode left in the other: restore model.training."
            )
    return None


dead_fraction = Exercise(
    "6.1 dead units",
    _dead_fraction,
    _CASES,
    extra=_leaves_the_model,
    mistakes=[
        (lambda model, k, batches: sum(_share((h == 0).all(0)) for h in _outputs(model, k, batches)) / len(batches), "you averaged over batches. A unit is dead on the data only if it is dead on every batch."),
        (_weighted, "you averaged over batches. A unit is dead on the data only if it is dead on every batch."),
        (lambda model, k, batches: _share((_outputs(model, k, batches)[0] == 0).all(0)), "only the first batch counts in your answer: a unit that it leaves silent may be on in the next."),
        (lambda model, k, batches: _share((_outputs(model, k, batches)[-1] == 0).all(0)), "only the last batch counts in your answer: keep what the earlier ones have shown."),
        (lambda model, k, batches: _share((torch.cat(_outputs(model, k, batches)) <= 0).all(0)), "a leaky unit below 0 is not dead, its slope is not 0: compare with == 0, not <= 0."),
        (lambda model, k, batches: _share(torch.cat(_outputs(model, k, batches)) == 0), "that is the share of zeros; a unit that is off half of the time is healthy."),
        (_count, "that is a number of units; divide it by how many there are."),
        (lambda model, k, batches: 0.0, "0 every time: take the output of model[: k + 1], not of model[k] alone or of model[:k], and ask of each column (a unit) whether all its rows (the examples) are 0."),
        (lambda model, k, batches: 1 - _dead_fraction(model, k, batches), "that is the share of units that are alive."),
        (lambda model, k, batches: _share((torch.cat(_outputs(model, k, batches, training=True)) == 0).all(0)), "you measured in training mode, where batch normalization uses the batch: call model.eval() first."),
    ],
    praise="right, over all batches, and the model is left as it was.",
)  # fmt: skip


def _leaky_gain(a):
    return math.sqrt(2 / (1 + a**2))


leaky_gain = Exercise(
    "6.2 leaky gain",
    _leaky_gain,
    [(a,) for a in (0.0, 0.01, 0.25, 0.5, 1.0, -0.5)],
    mistakes=[
        (lambda a: ((1 + a**2) / 2 - (1 - a) ** 2 / (2 * math.pi)) ** -0.5, "you kept the variance of f(z). Its mean is not 0; the next layer sees the mean square, so take E[f(z)^2]."),
        (lambda a: 2 / (1 + a**2), "that is the weights' variance times n; the gain is its root."),
        (lambda a: math.sqrt((1 + a**2) / 2), "that is the rms of f(z) itself: the gain has to undo it, so take its inverse."),
        (lambda a: math.sqrt(2 / (1 + a)) if a > -1 else math.inf, "the slope enters squared: on the left f(z)^2 is a^2 z^2."),
        (lambda a: 2 / (1 + a), "that keeps the mean slope; the size of a signal goes by the mean square."),
        (lambda a: (1 + a**2) ** -0.5, "each half of the Gaussian holds only half of the mean square: E[z^2; z > 0] = 1/2."),
        (lambda a: math.sqrt(2), "right for a = 0 only: the left half passes a^2 of its mean square."),
    ],
    praise="right: sqrt(2) for ReLU, 1 for a straight line, and the sign of a does not matter.",
)  # fmt: skip
