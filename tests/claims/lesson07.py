"""The claims of lesson 7, Xavier's and He's rules."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import tasks, theory

from .register import decades, digits, experiment, within


def _ratio(model, ends=(0, -1)):
    """The backward signal of the first of two hidden layers over that of the second."""
    profile = vg.gradient_profile(model, *digits())
    signal = profile.grad_rms[profile.slope.notna()].to_numpy()
    return signal[ends[0]] / signal[ends[1]]


def _zigzag(fan, seed):
    torch.manual_seed(seed)
    widths, layers = (64, *10 * (512, 64)), []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out, bias=False), nn.ReLU()]
        nn.init.normal_(layers[-2].weight, std=(2 / fan(n_in, n_out)) ** 0.5)
    return nn.Sequential(*layers, nn.Linear(64, 10))


@experiment(l7_zigzag=within(0.005), l7_zigzag_theory=within(0.0005), l7_zigzag_pair=within(0.006))
def wide_and_narrow_layers_in_turn(seed):
    def both(fan):
        ends = []
        for k in range(7):
            model = _zigzag(fan, 100 * seed + k)
            h = [model[: 2 * layer](digits()[0]).square().mean().sqrt().item() for layer in (2, 20)]
            ends.append((h[1] / h[0], _ratio(model, (1, 19))))
        return np.median(ends, axis=0)

    with torch.random.fork_rng():
        up, down = both(lambda n_in, n_out: (n_in + n_out) / 2)
        assert 0.5 < down / up < 2, "the text says: as little of the gradient"
        for pure in (lambda n_in, n_out: n_in, lambda n_in, n_out: n_out, lambda n_in, n_out: (n_in * n_out) ** 0.5):
            assert min(both(pure)) > 0.4, "the text says: a pure rule makes no such loss (nor the geometric mean)"
    pair = 4 * 8 / 9**2
    return {"l7-zigzag": up, "l7-zigzag-theory": pair**4.5, "l7-zigzag-pair": pair}


@experiment(l7_weight_ratio=within(0.3))
def gradients_of_weights(seed):
    def weights(sigma_w, k, act="relu"):
        model = vg.mlp(20, 128, act=act, sigma_w=sigma_w, seed=100 * seed + k)
        F.cross_entropy(model(digits()[0]), digits()[1]).backward()
        return [m.weight.grad.double().square().mean().sqrt().item() for m in model if isinstance(m, nn.Linear)]

    xavier, he = ([weights(s, k) for k in range(9)] for s in (1.0, 2**0.5))
    assert np.median([a[9] / b[9] for a, b in zip(xavier, he, strict=True)]) < 1e-3, "less than a thousandth of He's"
    sigmoid, tanh = weights(1.0, 0, "sigmoid"), weights(theory.TORCH_DEFAULT, 0, "tanh")
    assert sigmoid[1] / sigmoid[19] < 1e-9, "a sigmoid's weight gradients vanish"
    assert 0.3 < tanh[1] / tanh[19] < 3, "those of tanh at torch's scale do not"
    ratio = np.median(
        [_ratio(vg.mlp(20, 128, act="relu", sigma_w=1.0, seed=seed * 100 + k), (1, 19)) for k in range(9)]
    )
    assert 1 / 1000 < ratio < 1 / 250, "the text says: the backward signal is about a five-hundredth"
    return {"l7-weight-ratio": np.median([w[1] / w[19] for w in xavier])}


@experiment(l7_tanh_50=within(0.003), l7_gain_variance=within(0.04), l7_gain_factor=within(0.006))
def two_hundred_tanh_layers(seed):
    x, y = digits(64)
    readings = {}
    for gain in (1.0, 5 / 3):
        profile = vg.gradient_profile(vg.mlp(200, 256, act="tanh", sigma_w=gain, seed=seed), x, y)
        z = profile[profile.kind == "Linear"].h_rms.to_numpy()[:200] ** 2
        signal = profile.grad_rms[profile.slope.notna()].to_numpy()
        readings[gain] = z, signal
    fallen = readings[1.0][1][0] / readings[1.0][1][-1]
    assert 0.04 < fallen < 0.25, "the caption says: one decade in 200 layers"
    assert 7.5 < np.log10(readings[5 / 3][1][0] / readings[5 / 3][1][-1]) < 8.7, "and eight decades at gain 5/3"
    return {
        "l7-tanh-50": readings[1.0][0][47:52].mean(),
        "l7-gain-variance": np.median(readings[5 / 3][0][20:]),
        "l7-gain-factor": 10 ** -decades(readings[5 / 3][1]),
    }


@experiment(l7_sigmoid_factor=within(0.01), l7_sigmoid_level=within(1.0), l7_selu_variance=within(0.006))
def what_calculate_gain_promises(seed):
    def factor(sigma_w):
        model = vg.mlp(12, 128, act="sigmoid", sigma_w=sigma_w, seed=seed)
        return _ratio(model, (4, 10)) ** (1 / 6)

    dial = np.linspace(7, 14, 8)
    selu = vg.gradient_profile(
        vg.mlp(120, 256, act="selu", sigma_w=nn.init.calculate_gain("selu"), seed=seed), *digits(32)
    )
    return {
        "l7-sigmoid-factor": factor(nn.init.calculate_gain("sigmoid")),
        "l7-sigmoid-level": np.interp(1, [factor(s) for s in dial], dial),
        "l7-selu-variance": np.median(selu[selu.kind == "Linear"].h_rms.to_numpy()[60:120] ** 2),
    }


def _mean_squares(width, depth, networks, seed):
    draw = torch.Generator().manual_seed(seed)
    h = torch.ones(networks, 1, width)
    for _ in range(depth):
        h = torch.relu(h @ torch.randn(networks, width, width, generator=draw)) * (2 / width) ** 0.5
    return h.square().mean((1, 2)).double()


@experiment(l7_narrow_median=within(0.0004))
def a_thousand_narrow_networks(seed):
    draws = [_mean_squares(16, 40, 1000, 100 * seed + k) for k in range(20)]
    assert np.mean([ends.mean() < 1 for ends in draws]) > 0.5, "the average over a thousand usually stays below 1"
    wide = np.log(_mean_squares(64, 10, 4000, seed).numpy())
    assert abs(wide.var() - 50 / 64) < 0.15, "the text says: the logarithm's variance is 5 L / n"
    assert abs(wide.mean() + 25 / 64) < 0.08, "and its mean -5 L / (2 n)"
    gradient = [_ratio(vg.mlp(40, 16, act="relu", sigma_w=2**0.5, seed=100 * seed + k)) ** 2 for k in range(40)]
    assert np.nanmedian(gradient) < 0.1, "the gradient shares this fate"
    return {"l7-narrow-median": torch.cat(draws[:3]).median().item()}


@experiment(
    l7_ten_xavier=within(0.03), l7_ten_he=within(0.01), l7_thirty_xavier=within(0.02), l7_thirty_he=within(0.15),
    l7_before=within(0.006), l7_after=within(2), l7_growth=within(1.2), l7_signal_before=within(0.02),
    l7_signal_after=within(1.5),
)  # fmt: skip
def two_starts_trained(seed):
    data = tasks.digits()
    nets = [vg.mlp(depth, act="relu", sigma_w=s, seed=seed) for depth in (10, 22, 30) for s in (1.0, 2**0.5)]
    rates = [0.004] * 6
    trained = vg.train_many(
        nets, data.x, data.y, lr=rates, steps=600, batch_size=32, momentum=0.9, every=100, progress=False, seed=seed
    )
    accuracy, plain, after = trained.table.accuracy.to_numpy(), nets[0], trained.models[0]
    assert accuracy[2] < 0.4, "the answer to 7.4 says: Xavier's start with 22 layers stays at two in ten or less"
    assert accuracy[3] > 0.65, "and He's passes nine in ten for most seeds"
    assert 0.7 < _ratio(nets[1]) < 1.6, "the text says: He's was level"
    assert _ratio(trained.models[1]) > 1.2, "and rises towards the input after the training"
    size = lambda model: model[:-1](digits()[0]).square().mean().sqrt().item()
    return {
        "l7-ten-xavier": accuracy[0],
        "l7-ten-he": accuracy[1],
        "l7-thirty-xavier": accuracy[4],
        "l7-thirty-he": accuracy[5],
        "l7-before": _ratio(plain),
        "l7-after": _ratio(after),
        "l7-growth": 100 * (after.linear5.weight.std() / plain.linear5.weight.std() - 1).item(),
        "l7-signal-before": size(plain),
        "l7-signal-after": size(after),
    }
