"""The claims of lesson 12, the edge of chaos."""

from functools import cache

import numpy as np
import pandas as pd
import torch

import vglab as vg
from vglab import tasks, theory

from .register import SEEDS, digits, experiment, within

BIAS = 0.05**0.5
SCALES = {"order": 0.9**0.5, "edge": 1.76**0.5, "chaos": 2.0}
DEPTHS = (4, 8, 12, 16, 20, 24, 32, 40, 48)


@experiment(l12_c_star=within(0.001), l12_chi_chaos=within(0.005), l12_edge=within(0.001))
def fixed_points_by_a_rule_of_a_hundred_points(seed):
    """Both maps iterated from a random start with a Gauss-Hermite rule."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    weights, draw = weights / weights.sum(), np.random.default_rng(seed)

    def settled(sigma_w):
        q = draw.uniform(0.5, 2)
        for _ in range(300):
            q = sigma_w**2 * weights @ np.tanh(q**0.5 * nodes) ** 2 + BIAS**2
        return q, sigma_w**2 * weights @ (1 - np.tanh(q**0.5 * nodes) ** 2) ** 2

    q, chi = settled(2.0)
    c = draw.uniform(0.2, 0.9)
    for _ in range(100):
        second = np.tanh(q**0.5 * (c * nodes[:, None] + (1 - c * c) ** 0.5 * nodes))
        c = (4 * (weights * np.tanh(q**0.5 * nodes)) @ second @ weights + BIAS**2) / q
    low, high = 1.0, 2.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if settled(middle)[1] < 1 else (low, middle)
    return {"l12-c-star": c, "l12-chi-chaos": chi, "l12-edge": low}


@experiment(l12_twins=within(0.035))
def twins_in_chaos(seed):
    (a, _), draw = digits(), torch.Generator().manual_seed(seed)
    noise = torch.randn(a.shape, generator=draw)
    b = a + 0.01 * noise * a.norm(dim=1, keepdim=True) / noise.norm(dim=1, keepdim=True)
    body = vg.mlp(60, 256, act="tanh", sigma_w=2.0, sigma_b=BIAS, seed=seed)[:-2]
    with torch.no_grad():
        return {"l12-twins": torch.cosine_similarity(body(a), body(b)).mean().item()}


@cache
def trained_grid():
    """Training accuracy of each network of the figure's three columns, for all seeds at once."""
    data, runs = tasks.digits(), [(k, d, seed) for k in SCALES for d in DEPTHS for seed in SEEDS]
    models = [vg.mlp(d, 32, act="tanh", sigma_w=SCALES[k], sigma_b=BIAS, seed=seed) for k, d, seed in runs]
    trained = vg.train_many(models, data.x, data.y, lr=0.05, steps=250, batch_size=16, progress=False)
    table = pd.DataFrame(runs, columns=["scale", "depth", "seed"])
    return table.assign(accuracy=trained.table.accuracy)


@experiment(
    l12_six_xi_order=within(0.5),
    l12_six_xi_chaos=within(0.5),
    l12_deepest_order=within(4),
    l12_deepest_edge=within(8),
    l12_deepest_chaos=within(4),
)
def depths_that_train(seed):
    table = trained_grid()
    learned = table[(table.seed == seed) & (table.accuracy > 0.5)].groupby("scale").depth.max()
    xi = {key: 6 * theory.depth_scales("tanh", SCALES[key], BIAS)[1] for key in ("order", "chaos")}
    assert learned["chaos"] < 0.6 * xi["chaos"], "the text says that chaos ends far below six depth scales"
    return {f"l12-six-xi-{key}": value for key, value in xi.items()} | {
        f"l12-deepest-{key}": float(value) for key, value in learned.items()
    }


def singular_values(act, scheme, sigma_w, seed):
    network = vg.mlp(32, 200, act=act, d_in=200, seed=seed)[:-1].double()
    vg.init_(network, scheme, sigma_w=sigma_w, seed=seed)
    h = 0.1 * torch.randn(200, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.svdvals(torch.autograd.functional.jacobian(lambda h: network(h[None])[0], h))


@experiment(l12_gaussian_median=within(3e-6), l12_gaussian_largest=within(1.2), l12_gaussian_median_theory=within(5e-7))
def spectra_of_32_layers(seed):
    gaussian = singular_values("linear", "normal", 1.0, seed)
    tanh, relu = singular_values("tanh", "orthogonal", 1.0, seed), singular_values("relu", "orthogonal", 2**0.5, seed)
    assert tanh[0] / tanh.median() < 1.5, "the text says that tanh comes close to isometry"
    assert (relu < 1e-9).double().mean() > 0.5, "the text says that ReLU loses more than half of all directions"
    return {
        "l12-gaussian-median": gaussian.median().item(),
        "l12-gaussian-largest": gaussian[0].item(),
        "l12-gaussian-median-theory": theory.singular_value_quantiles(32),
    }


@experiment(l12_orthogonal_4=within(1.5), l12_orthogonal_32=within(4), l12_gaussian_32=within(15))
def steps_to_learn(seed):
    data, rates = tasks.digits(), (0.01, 0.03, 0.1, 0.2, 0.4)
    kinds = {"orthogonal-4": ("orthogonal", 4), "orthogonal-32": ("orthogonal", 32), "gaussian-32": ("normal", 32)}
    models = [
        vg.init_(vg.mlp(depth, 32, act="linear", seed=seed), scheme, seed=seed)
        for scheme, depth in kinds.values()
        for _ in rates
    ]
    trained = vg.train_many(models, data.x, data.y, lr=[*rates] * 3, steps=200, batch_size=128, every=1, progress=False)
    best = np.nanmin(trained.steps_to(loss=0.5).to_numpy().reshape(3, -1), axis=1)
    return {f"l12-{kind}": steps for kind, steps in zip(kinds, best, strict=True)}
