"""The claims of lesson 1, depth."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg

from .register import decades, digits, experiment, signal, within


@experiment(
    l1_default_sigmoid_weight_decades=within(0.5),
    l1_default_sigmoid_factor=within(0.006),
    l1_default_sigmoid_decades=within(0.02),
    l1_default_weight_factor=within(0.01),
)
def torch_sigmoids_of_twenty_layers(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(*[m for _ in range(20) for m in (nn.Linear(64, 64), nn.Sigmoid())], nn.Linear(64, 10))
    x, y = digits()
    with vg.probe(model) as seen:
        F.cross_entropy(model(x), y).backward()
    norms = [layer.weight.grad.double().norm().item() for layer in model if isinstance(layer, nn.Linear)]
    sigmoids = seen.table[seen.table.kind == "Sigmoid"]
    return {
        "l1-default-sigmoid-weight-decades": np.log10(norms[19] / norms[0]),
        "l1-default-sigmoid-factor": sigmoids.gain.median(),
        "l1-default-sigmoid-decades": decades(sigmoids.grad_rms),
        "l1-default-weight-factor": model[2].weight.std().item() * 8,
    }


@experiment(
    l1_xavier_sigmoid_decades=within(0.02),
    l1_default_relu_decades=within(0.03),
    l1_default_tanh_decades=within(0.015),
    l1_wild_tanh_decades=within(0.02),
    l1_wild_slope=within(0.015),
)
def five_networks_of_twenty_layers(seed):
    loss = lambda line: np.median(np.diff(np.log10(line)))  # as the lesson's table: the median over layers
    wild = vg.gradient_profile(vg.mlp(20, act="tanh", sigma_w=8.0, seed=seed), *digits()).dropna(subset="slope")
    growth = wild.grad_rms.to_numpy()
    assert 0.75 < wild.saturated.mean() < 0.85, "the text says: four units in five are saturated"
    assert 3e5 < growth[0] / growth[-1] < 3e6, "the text says: a millionfold"
    return {
        "l1-xavier-sigmoid-decades": loss(signal(20, seed, act="sigmoid", sigma_w=1.0)),
        "l1-default-relu-decades": loss(signal(20, seed, act="relu")),
        "l1-default-tanh-decades": loss(signal(20, seed, act="tanh")),
        "l1-wild-tanh-decades": -loss(growth),
        "l1-wild-slope": wild.slope.median(),
    }


@experiment(l1_product_median=within(0.0005))
def product_of_twenty_matrices(seed):
    generator = torch.Generator().manual_seed(seed)
    matrices = torch.randn(20, 64, 64, generator=generator, dtype=torch.float64) / 8
    return {"l1-product-median": torch.linalg.svdvals(torch.linalg.multi_dot([*matrices])).median().item()}


@experiment(
    l1_trained_fall_first=within(15),
    l1_trained_fall_last=within(20),
    l1_trained_ratio=within(0.3),
    l1_untrained_ratio=within(0.15),
)
def healthy_network_after_training(seed):
    model, (x, y) = vg.mlp(5, act="relu", sigma_w=2**0.5, seed=seed), digits()
    reading = lambda: vg.gradient_profile(model, x, y).query("kind == 'ReLU'").grad_rms.to_numpy()
    before, optimizer = reading(), torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    after = reading()
    fall = before / after
    return {
        "l1-trained-fall-first": fall[0],
        "l1-trained-fall-last": fall[-1],
        "l1-trained-ratio": after[0] / after[-1],
        "l1-untrained-ratio": before[0] / before[-1],
    }
