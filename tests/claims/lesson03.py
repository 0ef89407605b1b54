"""The claims of lesson 3, initialization."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import tasks, theory

from .register import at_least, backward, decades, digits, experiment, signal, train, within


@experiment(
    l3_default_sigma=within(0.01),
    l3_default_relu_factor=within(0.02),
    l3_theory_growth=within(0.5),
    l3_small_relu_decades=within(0.03),
)
def scales_of_twenty_relu_layers(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = nn.Linear(64, 64)
    variance = theory.variance_profile("relu", 20, 2.0)
    return {
        "l3-default-sigma": fresh.weight.std().item() * 8,
        "l3-default-relu-factor": 10 ** -decades(signal(20, seed, act="relu", width=128)),
        "l3-theory-growth": (variance[-1] / variance[0]) ** 0.5,
        "l3-small-relu-decades": decades(signal(20, seed, act="relu", sigma_w=theory.TORCH_DEFAULT)),
    }


@experiment(l3_default_accuracy=within(0.01), l3_no_bias_accuracy=within(0.01), l3_he_accuracy=at_least)
def training_twenty_relu_layers(seed):
    data, readings = tasks.digits(), {}
    scales = {"l3-default-accuracy": None, "l3-no-bias-accuracy": theory.TORCH_DEFAULT, "l3-he-accuracy": 2**0.5}
    for name, sigma_w in scales.items():
        model = vg.mlp(20, act="relu", sigma_w=sigma_w, seed=seed)
        train(model, 400, lr=0.01, momentum=0.9, seed=seed)
        readings[name] = (model(data.x).argmax(1) == data.y).double().mean().item()
    return readings


@experiment(l3_small_plateau=within(40), l3_tiny_plateau=within(500), l3_he_plateau=within(5))
def plateaus_of_two_layers(seed):
    def plateau(std, steps):
        losses = train(vg.mlp(2, act="relu", sigma_w=8 * std, seed=seed), steps, lr=0.1, seed=seed)
        return next((step for step, loss in enumerate(losses, 1) if loss < 1), steps)

    small, tiny = plateau(0.01, 800), plateau(0.001, 6000)
    assert 6 < tiny / small < 14, "the text says: a tenth of the scale costs about ten times the steps"
    return {
        "l3-small-plateau": small,
        "l3-tiny-plateau": tiny,
        "l3-he-plateau": plateau(0.18, 100),
    }


@experiment(l3_he_typical=within(0.06))
def what_lesson_3_says_in_words(seed):
    x = digits()[0]
    theory_says = np.sqrt(0.5 * 2 * x.square().mean().item())  # He's networks keep the mean square
    ends = [
        vg.mlp(20, act="relu", sigma_w=2**0.5, seed=100 * seed + k)[:-1](x).square().mean() ** 0.5 for k in range(100)
    ]
    low, typical, high = np.quantile([end.item() / theory_says for end in ends], [0.05, 0.5, 0.95])
    assert 0.2 < low < 0.45, "the text says: a single network may end at a third"
    assert 1.2 < high < 2.3, "or half above it"
    colleague, plain = (vg.mlp(40, act="relu", sigma_w=1.0, seed=seed) for _ in range(2))
    for layer in colleague:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.bias, 0.1)
    lost = [np.log10(g[-1] / g[0]) for g in (backward(colleague), backward(plain))]
    assert 3 < lost[0] < 4, "the text says: about three and a half decades over forty layers"
    assert 5.3 < lost[1] < 6.7, "and six without the biases"
    return {"l3-he-typical": typical}


@experiment(l3_constant_rank=within(0), l3_constant_loss=within(0.1))
def equal_weights(seed):
    zero = vg.mlp(2, act="relu", sigma_w=0.0, seed=seed)
    with vg.probe(zero) as seen:
        F.cross_entropy(zero(digits()[0]), digits()[1]).backward()
    moving = seen.params[seen.params.grad_rms != 0].name.tolist()
    assert moving == ["head.bias"], "the text says: at zero only the read-out's bias learns"
    model = vg.init_(vg.mlp(3, act="tanh", seed=seed), "constant", sigma_w=1.0)
    losses = train(model, 200, lr=0.1, seed=seed)
    return {
        "l3-constant-rank": torch.linalg.matrix_rank(model.linear2.weight.detach()).item(),
        "l3-constant-loss": np.mean(losses[-20:]),
    }
