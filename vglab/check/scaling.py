"""Checks of lesson 7: weights drawn by a rule, layers levelled by measuring them, six sentences about scales."""

import functools

import torch
from torch import nn

from ..nets import mlp
from .engine import Exercise, Words

__all__ = ["draw_weights", "level_layers", "six_sentences"]


class _Drawn(Exercise):
    """An exercise whose answers are random weights of a layer: their rms, largest size and mean are compared."""

    def __call__(self, answer):
        options = {"rtol": self.rtol, "atol": self.atol, "praise": self.praise}
        mistakes = [(_readings(rule), hint) for rule, hint in self.mistakes]
        drawn = Exercise(self.name, _readings(self.reference), self.cases, mistakes=mistakes, **options)
        return drawn(_readings(answer) if callable(answer) else answer)


def _readings(answer):
    """The function `answer` with [rms, largest, mean] of the weights it draws; a mean within its error counts as 0."""

    @functools.wraps(answer)
    def readings(layer, gain, mode):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(71)
            drawn = answer(layer, gain, mode)
        if drawn is None or drawn is ...:
            return drawn
        if getattr(drawn, "shape", None) != layer.weight.shape:
            came = tuple(drawn.shape) if isinstance(drawn, torch.Tensor) else type(drawn).__name__
            raise ValueError(f"weights of shape {tuple(layer.weight.shape)} were asked for, and {came} came.")
        w = drawn.detach().double()
        rms, mean = w.square().mean().sqrt(), w.mean()
        return [rms, w.abs().max(), mean if mean.abs() > 5 * rms / w.numel() ** 0.5 else 0.0]

    return readings


def _fans(layer):
    """(fan_in, fan_out): how many inputs a unit adds up, and how many units an input reaches."""
    w = layer.weight
    kernel = w[0, 0].numel()
    return w.shape[1] * kernel, w.shape[0] * kernel / getattr(layer, "groups", 1)


def _uniform(layer, gain, mode, *, fans=_fans, root=lambda fan: fan**-0.5, edge=3**0.5):
    fan_in, fan_out = fans(layer)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "mean": (fan_in + fan_out) / 2}[mode]
    bound = edge * gain * root(fan)
    return torch.empty_like(layer.weight).uniform_(-bound, bound)


def _draw_weights(layer, gain, mode):
    return _uniform(layer, gain, mode)


def _swapped(layer):
    return _fans(layer)[::-1]


def _without_kernel(layer):
    return layer.weight.shape[1], layer.weight.shape[0] / getattr(layer, "groups", 1)


def _without_groups(layer):
    return nn.init._calculate_fan_in_and_fan_out(layer.weight)


def _groups_ignored(layer):
    fan_in, fan_out = _fans(layer)
    groups = getattr(layer, "groups", 1)
    return fan_in * groups, fan_out * groups


def _shape_only(layer):
    return layer.weight.shape[1], layer.weight.shape[0]


def _groups_twice(layer):
    fan_in, fan_out = _fans(layer)
    return fan_in / getattr(layer, "groups", 1), fan_out


def _layers():
    with torch.random.fork_rng(devices=[]):
        wide, narrow = nn.Linear(90, 260), nn.Linear(310, 70)
        grouped, plain = nn.Conv2d(48, 96, 3, groups=4), nn.Conv2d(20, 40, (5, 3))
    gain = 2**0.5
    linear = [(wide, 1.0, "mean"), (wide, gain, "fan_out"), (narrow, gain, "fan_in")]
    convolutions = [
        (grouped, gain, "fan_out"),
        (grouped, 1.0, "fan_in"),
        (plain, 5 / 3, "fan_in"),
        (plain, gain, "mean"),
    ]
    return linear + convolutions


draw_weights = _Drawn(
    "7.1 the rules",
    _draw_weights,
    _layers(),
    rtol=0.03,
    mistakes=[
        (lambda layer, gain, mode: _uniform(layer, gain, mode, edge=1.0), "the variance is a third of what was asked: U(-a, a) has variance a^2 / 3, so the bound is sqrt(3) standard deviations."),
        (lambda layer, gain, mode: _uniform(layer, gain**2, mode, root=lambda fan: 1 / fan), "you used gain^2 / fan as a standard deviation; it is the variance."),
        (lambda layer, gain, mode: _uniform(layer, gain, mode, fans=_swapped), "fan_in and fan_out are the wrong way round: a weight has the shape (outputs, inputs, ...)."),
        (lambda layer, gain, mode: _uniform(layer, gain, mode, fans=_without_kernel), "right for linear layers; in a convolution a unit adds up inputs from every place of its kernel: multiply both fans by the kernel's size."),
        (lambda layer, gain, mode: _uniform(layer, gain, mode, fans=_shape_only), "right for linear layers; in a convolution multiply both fans by the kernel's size, and mind the groups."),
        (lambda layer, gain, mode: _uniform(layer, gain, mode, fans=_groups_ignored), "right but for the convolution with groups: weight.shape[1] is already the number of inputs of one group, and fan_out is to be divided by groups."),
        (lambda layer, gain, mode: _uniform(layer, gain, mode, edge=1.5**0.5 if mode == "mean" else 3**0.5), "right for fan_in and fan_out; the mean of both is half their sum."),
        (lambda layer, gain, mode: _uniform(layer, gain, mode, fans=_without_groups), "right but for the convolution with groups: an input reaches the outputs of its own group only, so divide fan_out by groups. (torch.nn.init overlooks this, too: it sees the weight, not the layer.)"),
        (lambda layer, gain, mode: _uniform(layer, gain, mode, fans=_groups_twice), "right but for the convolution with groups: its weight.shape[1] is already the number of inputs of one group."),
        (lambda layer, gain, mode: _uniform(layer, 1.0, mode), "right for a gain of 1; the gain has no effect on your weights."),
        (lambda layer, gain, mode: _uniform(layer, gain**0.5, mode), "the gain multiplies the standard deviation; you multiplied the variance by it."),
        (lambda layer, gain, mode: torch.randn_like(layer.weight) * _uniform(layer, gain, mode).std(), "the variance is right, but the numbers are normal: uniform ones were asked for."),
    ],
    praise="right for linear layers and convolutions, with and without groups: variance, bound and mean.",
)  # fmt: skip


def _rms(z):
    return z.double().square().mean().sqrt().item()


@torch.no_grad()
def _level_layers(model, x, *, size=_rms, power=-1, remember=True):
    """The factors; `remember` says whether later layers see what was done to earlier ones."""
    factors = []
    for module in model:
        z = module(x)
        if isinstance(module, nn.Linear):
            factors.append(size(z) ** power)
            module.weight.mul_(factors[-1])
        x = module(x) if remember else z
    return factors


def _models():
    draw = torch.Generator().manual_seed(72)
    x = lambda width: 3 * torch.randn(40, width, generator=draw) + 0.5
    return [
        (mlp(4, 24, act="relu", sigma_w=0.4, d_in=10, d_out=5, seed=1), x(10)),
        (mlp(3, 32, act="sigmoid", sigma_w=1.0, d_in=16, d_out=3, seed=2), x(16)),
        (mlp(5, 20, act="tanh", sigma_w=2.5, d_in=8, d_out=4, seed=3), x(8)),
    ]


def _left_level(answer):
    """The layers themselves must have been changed."""
    model, x = _models()[0]
    answer(model, x)
    for k, module in enumerate(model):
        with torch.no_grad():
            x = module(x)
        if isinstance(module, nn.Linear) and abs(_rms(x) - 1) > 1e-3:
            return (
                f"the factors are right, but module {k} still gives an rms of {_rms(x):.3g}: scale its weight in place."
            )
    return None


level_layers = Exercise(
    "7.2 level by measuring",
    lambda model, x: _level_layers(model, x),
    _models(),
    rtol=1e-3,
    mistakes=[
        (lambda model, x: _level_layers(model, x, remember=False), "right for the first layer; the others were measured on the old outputs of those below. Run x through a layer again after you have scaled it."),
        (lambda model, x: _level_layers(model, x, size=lambda z: _rms(z) ** 2), "you divided by the mean square; a weight is to be divided by its root."),
        (lambda model, x: _level_layers(model, x, power=1), "you multiplied by the rms; divide by it."),
        (lambda model, x: [1 / factor for factor in _level_layers(model, x)], "those are the sizes you found; return the factors, one over them."),
        (lambda model, x: _level_layers(model, x, size=lambda z: z.double().std().item()), "that is the spread about the mean, which LSUV's authors take; here the rms was asked for, mean included."),
    ],
    extra=_left_level,
    praise="right: every layer gives an rms of 1 on this batch, whatever the activation and the shape.",
)  # fmt: skip


_TRUE = {"A": "fails", "B": "holds", "C": "fails", "D": "fails", "E": "holds", "F": "fails"}

six_sentences = Words(
    "7.3 sentences",
    _TRUE,
    choices=("holds", "fails"),
    mistakes=[
        (_TRUE | {"A": "holds"}, "five are right. A: print the theory line at layers 100, 200 and 400; does it settle?"),
        (_TRUE | {"B": "fails"}, "five are right. B: single networks scatter, but it speaks of the mean over draws. What did the derivation keep?"),
        (_TRUE | {"C": "holds"}, "five are right. C: a ReLU's outputs have a mean above 0, so that mean square and variance differ. Which of them is kept?"),
        (_TRUE | {"D": "holds"}, "five are right. D: in the second section they were of one size, and the backward signal was not."),
        (_TRUE | {"E": "fails"}, "five are right. E: which moments of the weights does the derivation use?"),
        (_TRUE | {"F": "holds"}, "five are right. F: multiply the two factors of a widening and a narrowing layer, for each direction."),
    ],
    praise="right: B and E hold, the rest fails when it is measured.",
)  # fmt: skip
