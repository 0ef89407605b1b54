"""The claims of lesson 2, activation functions."""

import torch
from torch import nn

import vglab as vg
from vglab import theory

from .register import decades, digits, experiment, signal, within


@experiment(l2_tanh_rms_slope=within(0.006), l2_sigmoid_rms_slope=within(0.006))
def slopes_by_drawing_a_million_numbers(seed):
    z = torch.randn(10**6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    sigmoid = torch.sigmoid(z)
    return {
        "l2-tanh-rms-slope": (1 - z.tanh() ** 2).square().mean().sqrt().item(),
        "l2-sigmoid-rms-slope": (sigmoid * (1 - sigmoid)).square().mean().sqrt().item(),
    }


@experiment(
    l2_sigmoid_default_factor=within(0.006), l2_tanh_default_factor=within(0.015), l2_relu_default_decades=within(0.02)
)
def factors_at_the_default_scale(seed):
    middle = lambda act: signal(10, seed, act=act, width=128, sigma_w=theory.TORCH_DEFAULT)
    return {
        "l2-sigmoid-default-factor": 10 ** -decades(middle("sigmoid")[4:]),
        "l2-tanh-default-factor": 10 ** -decades(middle("tanh")[4:]),
        "l2-relu-default-decades": decades(middle("relu")),
    }


@experiment(l2_saturated_factor=within(0.1), l2_saturated_slope=within(0.006))
def saturated_sigmoids(seed):
    profile = vg.gradient_profile(vg.mlp(12, width=128, act="sigmoid", sigma_w=16.0, seed=seed), *digits())
    deep = profile[profile.kind == "Sigmoid"].iloc[4:11]
    assert 0.68 < deep.saturated.mean() < 0.8, "the text says: three quarters of the values are saturated"
    return {"l2-saturated-factor": deep.gain.median(), "l2-saturated-slope": deep.slope.median()}


@experiment(l2_difference_factor=within(0.01))
def difference_between_digits_in_a_sigmoid_network(seed):
    h, spreads = digits()[0], []
    for module in vg.mlp(10, act="sigmoid", sigma_w=1.0, seed=seed)[:-1]:
        h = module(h)
        if isinstance(module, nn.Sigmoid):
            spreads.append((h - h.mean(0)).double().square().mean().sqrt().item())
    return {"l2-difference-factor": 10 ** -decades(spreads[::-1])}


@experiment(l2_sigmoid_cosine_1=within(0.02), l2_sigmoid_cosine_3=within(0.0002), l2_tanh_cosine=within(0.01))
def cosines_between_digits(seed):
    cosine = lambda act: (
        vg.gradient_profile(vg.mlp(10, act=act, sigma_w=1.0, seed=seed), *digits()).dropna(subset="slope").cosine
    )
    sigmoid, tanh = cosine("sigmoid").to_numpy(), cosine("tanh").to_numpy()
    return {"l2-sigmoid-cosine-1": sigmoid[0], "l2-sigmoid-cosine-3": sigmoid[2], "l2-tanh-cosine": tanh[-1]}
