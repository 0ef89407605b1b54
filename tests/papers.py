"""What the papers found beside what is measured here, over seeds: ``python tests/papers.py`` prints the table.

`CLAIMS` holds for each number where it stands, how it is measured here for one seed, and the range in which the median
of `SEEDS` must lie; `tests/test_papers.py` asserts it.
"""

from collections.abc import Callable
from functools import cache
from math import comb, pi
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg

SEEDS = (0, 1, 2)


class Claim(NamedTuple):
    paper: str
    what: str
    theirs: str
    measure: Callable  # seed -> number
    low: float  # the median over the seeds lies in low..high
    high: float
    why: str = ""  # where ours differs, or what theirs leaves open


def rows_of(model, seed, act, width=256, batch=128):
    """The probe's rows of the activations for a random batch and a random gradient at the output."""
    draw = torch.Generator().manual_seed(1000 + seed)
    x, target = torch.randn(batch, width, generator=draw), torch.randn(batch, 10, generator=draw)
    rows = vg.gradient_profile(model, x, target, lambda out, y: (out * y).sum())
    return rows[rows.kind == act]


def fall(rows):
    """The factor per layer on the gradient's rms, from the last layer to the first."""
    return (rows.grad_rms.iloc[0] / rows.grad_rms.iloc[-1]) ** (1 / (len(rows) - 1))


# ---------------------------------------------------------------- Glorot and Bengio, 2010


def glorot_net(seed, scheme):
    model = vg.mlp(5, 1000, act="tanh", d_in=1000, seed=seed)
    return vg.init_(model, scheme, sigma_w=3**-0.5 if scheme == "uniform" else 1.0, seed=seed)


def glorot_standard(seed):
    return fall(rows_of(glorot_net(seed, "uniform"), seed, "Tanh", 1000))


def glorot_normalized(seed):
    return fall(rows_of(glorot_net(seed, "xavier"), seed, "Tanh", 1000))


def glorot_weight_gradients(seed):
    """Std of dL/dW in layer 2 over layer 5: layer 1 has another number of inputs in the paper."""
    model, draw = glorot_net(seed, "uniform"), torch.Generator().manual_seed(1000 + seed)
    out = model(torch.randn(128, 1000, generator=draw))
    (out * torch.randn(128, 10, generator=draw)).sum().backward()
    return (model.linear2.weight.grad.std() / model.linear5.weight.grad.std()).item()


# ---------------------------------------------------------------- He et al., 2015


@cache
def he_accuracy(scheme, depth=30, steps=1500):
    """Training accuracy of each seed after the steps, ReLU nets of width 64 on the digits."""
    digits = vg.tasks.digits()
    models = [vg.init_(vg.mlp(depth, act="relu", seed=seed), scheme, seed=seed) for seed in SEEDS]
    trained = vg.train_many(models, digits.x, digits.y, lr=0.01, steps=steps, batch_size=32, progress=False)
    return [(model(digits.x).argmax(1) == digits.y).double().mean().item() for model in trained.models]


def he_trains(seed):
    return he_accuracy("he")[seed]


def xavier_stalls(seed):
    return he_accuracy("xavier")[seed]


def he_factor(seed):
    model = vg.init_(vg.mlp(30, 256, act="relu", d_in=256, seed=seed), "xavier", seed=seed)
    return fall(rows_of(model, seed, "ReLU"))


# ---------------------------------------------------------------- Schoenholz et al., 2017


@cache
def trainable_depth(sigma_w, depths=(8, 12, 16, 20, 24, 28, 32, 40, 48)):
    """For each seed the greatest depth at which a tanh net of width 64 learns half of the digits in 300 steps."""
    digits, sigma_b = vg.tasks.digits(), 0.05**0.5
    models = [
        vg.mlp(depth, act="tanh", sigma_w=sigma_w, sigma_b=sigma_b, seed=seed) for seed in SEEDS for depth in depths
    ]
    trained = vg.train_many(models, digits.x, digits.y, lr=0.05, steps=300, batch_size=32, progress=False)
    right = [(model(digits.x).argmax(1) == digits.y).double().mean().item() > 0.5 for model in trained.models]
    learnt = np.array(right).reshape(len(SEEDS), -1)
    return [max((d for d, ok in zip(depths, row, strict=True) if ok), default=0) for row in learnt]


def depth_over_scale(seed):
    """Trainable depth over xi_c on the ordered side, sigma_w**2 = 0.9, sigma_b**2 = 0.05."""
    xi = -1 / np.log(vg.theory.chi("tanh", 0.9**0.5, 0.05**0.5))
    return trainable_depth(0.9**0.5)[seed] / xi


# ---------------------------------------------------------------- Saxe et al., 2014; Pennington et al., 2017


def jacobian(seed, act, scheme, depth, width=200, sigma_w=1.0, q=1.0):
    """Singular values of d(last layer) / d(input) at one random input of variance q, largest first."""
    model = vg.mlp(depth, width, act=act, d_in=width, seed=seed)
    model = vg.init_(model[:-1], scheme, sigma_w=sigma_w, seed=seed).double()
    x = q**0.5 * torch.randn(width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.svdvals(torch.autograd.functional.jacobian(lambda x: model(x[None])[0], x))


def orthogonal_spread(seed):
    values = jacobian(seed, "linear", "orthogonal", 32)
    return (values[0] / values[-1]).item()


def gaussian_largest(seed):
    return jacobian(seed, "linear", "normal", 8)[0].item()


def tanh_isometry(seed):
    """Largest over median singular value at 32 layers, orthogonal weights a little above criticality."""
    q = vg.theory.q_star("tanh", 1.05**0.5) / 1.05  # what one layer turns into the fixed point
    values = jacobian(seed, "tanh", "orthogonal", 32, sigma_w=1.05**0.5, q=q)
    return (values[0] / values.median()).item()


def relu_isometry(seed):
    values = jacobian(seed, "relu", "orthogonal", 32, sigma_w=2**0.5)
    return (values < 1e-3 * values[0]).double().mean().item()


# ---------------------------------------------------------------- Yang et al., 2019; De and Smith, 2020


def batchnorm_growth(seed):
    model = vg.mlp(40, 512, act="relu", sigma_w=2**0.5, norm="batch", d_in=512, seed=seed)
    return fall(rows_of(model, seed, "ReLU", 512)[5:]) ** 2


def residual_variance(seed, normalized):
    """Variance of the stream after 50 blocks, one linear layer and a ReLU each of unit gain, over that before."""
    torch.manual_seed(seed)
    h, width = torch.randn(128, 512, dtype=torch.float64), 512
    start = h.var()
    for _ in range(50):
        z = F.batch_norm(h, None, None, training=True) if normalized else h
        h = h + (2 / width) ** 0.5 * F.relu(z) @ torch.randn(width, width, dtype=torch.float64)
    return (h.var() / start).item()


# ---------------------------------------------------------------- Veit et al., 2016


def effective_paths(seed, blocks=54, width=64):
    """Mean length of the paths that carry the gradient: counts of paths times the norm that one of each length has.

    A path of k hops goes through k random branches; in between it skips.
    """
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        branch = lambda: nn.Sequential(nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width))
        branches = [vg.init_(branch(), "he") for _ in range(blocks)]
        h, inputs = torch.randn(128, width), []
        for block in branches:
            inputs.append(h)
            h = (h + block(h)).detach()
        norms = [[] for _ in range(16)]
        for _ in range(30):
            g = torch.randn(128, width)
            for k, block in enumerate(np.sort(np.random.default_rng(seed + 31 * _).permutation(blocks)[:15])[::-1]):
                x = inputs[block].clone().requires_grad_()
                norms[k].append(g.norm().log().item())
                (g,) = torch.autograd.grad(branches[block](x), x, g)
    hop = np.polyfit(range(15), [np.mean(each) for each in norms[:15]], 1)[0]
    weights = np.array([comb(blocks, k) * np.exp(hop * k) for k in range(blocks + 1)])
    return float((weights * np.arange(blocks + 1)).sum() / weights.sum())


# ---------------------------------------------------------------- Lu et al., 2019; Pascanu et al., 2013


def born_dead(seed, width=4, depth=40, nets=4000):
    """Share of nets without biases in which a layer is off for a random input."""
    draw = torch.Generator().manual_seed(seed)
    h = torch.randn(nets, width, 1, generator=draw)
    for _ in range(depth):
        h = F.relu(torch.randn(nets, width, width, generator=draw) @ h)
        h = h / h.norm(dim=1, keepdim=True).clamp_min(1e-30)
    return (h.norm(dim=1) == 0).double().mean().item()


class Latch(nn.Module):
    """A recurrent net that must tell at the end which sign stood at the start."""

    def __init__(self, seed, gain=2.0, width=16):
        super().__init__()
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(seed)
            self.rnn, self.head = nn.RNN(1, width, batch_first=True), nn.Linear(width, 2)
            nn.init.normal_(self.rnn.weight_hh_l0, 0, gain / width**0.5)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def latched(seed, clip):
    """Share of 16 nets that remember a sign over 50 steps of noise after 400 steps of SGD."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (512,), generator=draw)
    x = 0.2 * torch.randn(512, 50, 1, generator=draw)
    x[:, 0, 0] += 2.0 * y - 1
    nets = [Latch(16 * seed + i) for i in range(16)]
    trained = vg.train_many(nets, x, y, lr=0.1, steps=400, batch_size=32, clip=clip, seed=seed, progress=False)
    return float(np.mean([(net(x).argmax(1) == y).double().mean().item() > 0.9 for net in trained.models]))


# ---------------------------------------------------------------- Micikevicius et al., 2018


def flushed(seed, scale=1.0):
    """Share of the first layer's weight gradients that float16 has no number for: sigmoid, 8 layers of 128."""
    model = vg.mlp(8, 128, act="sigmoid", sigma_w=1.0, d_in=128, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    x, y = torch.randn(64, 128, generator=draw), torch.randint(10, (64,), generator=draw)
    (scale * F.cross_entropy(model(x), y)).backward()
    grads = model.linear1.weight.grad
    return (grads.half() == 0).double().mean().item()


CLAIMS = [
    Claim("Glorot & Bengio 2010, 4.2.1", "tanh, standard init: gradient per layer",
          "1/√3 = 0.577", glorot_standard, 0.53, 0.59,
          "tanh's slope takes a little more than the linear 1/√3"),
    Claim("Glorot & Bengio 2010, eq. 16", "the same, normalized init",
          "1", glorot_normalized, 0.8, 0.92,
          "theirs takes tanh for linear; inputs of variance 1 leave that part"),
    Claim("Glorot & Bengio 2010, Fig. 8", "standard init: std of dL/dW, layer 2 over 5",
          "1 (flat)", glorot_weight_gradients, 0.95, 1.05),
    Claim("He et al. 2015, 2.2", "ReLU, Xavier init: gradient per layer",
          "1/√2 = 0.707", he_factor, 0.69, 0.73),
    Claim("He et al. 2015, Fig. 3", "30 layers, He init: accuracy",
          "converges", he_trains, 0.9, 1.0),
    Claim("He et al. 2015, Fig. 3", "30 layers, Xavier init: accuracy",
          "stalls", xavier_stalls, 0.05, 0.3),
    Claim("Schoenholz et al. 2017, Fig. 5", "ordered side: trainable depth over ξ_c",
          "about 6", depth_over_scale, 5.0, 11.0,
          "the bar is half of the digits right; theirs is where a picture changes colour"),
    Claim("Saxe et al. 2014, 3", "linear, orthogonal, 32 layers: largest over least singular value",
          "1", orthogonal_spread, 1 - 1e-4, 1 + 1e-4),
    Claim("Pennington et al. 2017, 2", "linear, Gaussian, 8 layers: largest singular value",
          f"√(9⁹/8⁸) = {(9**9 / 8**8) ** 0.5:.2f}", gaussian_largest, 3.9, 5.0,
          "theirs is the edge for infinite width; at width 800 it is 4.7"),
    Claim("Pennington et al. 2017, 2.5.2", "tanh, orthogonal, 32 layers: largest over median",
          "near 1", tanh_isometry, 1.0, 1.6),
    Claim("Pennington et al. 2017, 2.5.1", "ReLU, orthogonal, 32 layers: share of values below 1/1000",
          "no isometry", relu_isometry, 0.4, 1.0),
    Claim("Yang et al. 2019, 1", "ReLU and batch norm: squared gradient per layer",
          f"π/(π-1) = {pi / (pi - 1):.3f}", batchnorm_growth, 1.44, 1.5),
    Claim("De & Smith 2020, 3", "normalized residual branch: variance after 50 blocks",
          "51", lambda s: residual_variance(s, True), 47, 55),
    Claim("Zhang et al. 2019, 2", "residual branch without norm: log2 variance after 50 blocks",
          "50", lambda s: np.log2(residual_variance(s, False)), 47, 53),
    Claim("Veit et al. 2016, 4.3", "54 blocks: mean length of paths that carry the gradient",
          "5 to 17", effective_paths, 8, 16),
    Claim("Lu et al. 2019, eq. 5", "4 units, 40 layers: share born dead",
          f"{1 - (1 - 2**-4) ** 40:.3f}", born_dead, 0.91, 0.94,
          "both for one input; dead for every input is rarer"),
    Claim("Pascanu et al. 2013, 3.2", "tanh RNN, gain 2, latch over 50 steps: share that learn",
          "few", lambda s: latched(s, None), 0.0, 0.35),
    Claim("Pascanu et al. 2013, 3.2", "the same, gradient norm clipped at 1",
          "most", lambda s: latched(s, 1.0), 0.45, 1.0,
          "400 steps of a net of 16 units; theirs had longer"),
    Claim("Micikevicius et al. 2018, 3.2", "sigmoid, 8 layers: first gradients flushed by float16",
          "all below 2⁻²⁵", flushed, 0.2, 0.9),
    Claim("Micikevicius et al. 2018, 3.2", "the same, loss times 1024",
          "few", lambda s: flushed(s, 1024.0), 0.0, 0.01),
]  # fmt: skip


def table(claims=CLAIMS):
    """One row for each claim: paper, what, theirs, ours (median over the seeds), least, greatest, why."""
    rows = []
    for claim in claims:
        ours = [claim.measure(seed) for seed in SEEDS]
        rows.append((claim.paper, claim.what, claim.theirs, float(np.median(ours)), min(ours), max(ours), claim.why))
    return pd.DataFrame(rows, columns=["paper", "what", "theirs", "ours", "least", "greatest", "why"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    for row in table().itertuples():
        spread = f"{row.least:.3g} to {row.greatest:.3g}"
        print(f"{row.paper:32} {row.what:66} {row.theirs:>18} {row.ours:8.3g}  {spread:18} {row.why}".rstrip())
