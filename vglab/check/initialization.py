"""Checks of lesson 3: the scale of a layer, three patients, a start for any activation."""

import torch
from torch import nn

from .. import theory
from ..nets import init_
from .engine import Exercise, Words

__all__ = ["fates", "level_scale", "scales_of"]


def _scales_of(layer):
    return [layer.weight.std() * layer.in_features**0.5, layer.bias.std()]


def _layers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(31)
        layers = [nn.Linear(200, 300), nn.Linear(500, 100)]
        return [(layer,) for layer in (*layers, init_(nn.Linear(100, 400), sigma_w=1.7, sigma_b=0.3))]


scales_of = Exercise(
    "3.1 scales",
    _scales_of,
    _layers(),
    rtol=0.03,
    mistakes=[
        (lambda layer: [layer.weight.std() * layer.out_features**0.5, layer.bias.std()], "you multiplied by the number of outputs; fan_in counts the inputs, the second entry of weight.shape."),
        (lambda layer: [layer.weight.std(), layer.bias.std()], "that is the weights' own standard deviation: sigma_w is sqrt(fan_in) times as large."),
        (lambda layer: [layer.weight.var() * layer.in_features, layer.bias.var()], "those are variances: take the roots."),
        (lambda layer: [layer.weight.std() * layer.in_features, layer.bias.std()], "a standard deviation grows with the root: multiply by sqrt(fan_in)."),
        (lambda layer: [layer.weight.std() * layer.in_features**0.5, layer.bias.std() * layer.in_features**0.5], "sigma_b has no fan_in in its definition: Var[b] = sigma_b^2."),
    ],
    praise="right; and nn.Linear's sigma_b is smaller by sqrt(fan_in), because it draws both from the same interval.",
)  # fmt: skip


fates = Words(
    "3.2 patients",
    {"A": "level", "B": "explodes", "C": "vanishes"},
    choices=("vanishes", "level", "explodes"),
    mistakes=[
        ({"A": "level", "B": "vanishes", "C": "vanishes"}, "B is saturated, and saturation alone does not make gradients vanish: its weights are large. Measure it with vg.gradient_profile."),
        ({"A": "level", "B": "vanishes", "C": "level"}, "C looks harmless because tanh is steepest at 0; but its signal has died on the way, and the gradient meets the same weights."),
        ({"A": "level", "B": "vanishes", "C": "explodes"}, "B and C are the other way round: large weights saturate and explode, small ones kill signal and gradient."),
    ],
    praise="right: the spike is the small start, the two piles the large one.",
)  # fmt: skip


def _level_scale(phi):
    low, high = 0.1, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if theory.layer_factor(phi, middle) <= 1 else (low, middle)
    return low


level_scale = Exercise(
    "3.3 any activation",
    _level_scale,
    [(torch.relu,), (torch.tanh,), (torch.sigmoid,)],
    rtol=5e-3,
    mistakes=[
        (lambda phi: 1.0, "1 is Xavier's scale, level for tanh alone: the answer depends on phi."),
        (lambda phi: 2**0.5, "the square root of 2 is He's scale, level for ReLU alone: the answer depends on phi."),
        (lambda phi: 1 / theory.rms_slope(phi), "you took the slope at variance 1; the variance that the network settles at depends on sigma_w itself, and layer_factor knows it."),
        (lambda phi: _level_scale(phi) ** 2, "that is the variance sigma_w^2; its root was asked for."),
        (lambda phi: _level_scale(phi) / 8, "that is a weight's standard deviation for 64 inputs; sigma_w does not depend on the width."),
    ],
    praise="right: sqrt(2) for ReLU, 1 for tanh, and about 10 for the sigmoid, a scale at which most of its values are saturated.",
)  # fmt: skip
