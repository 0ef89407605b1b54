"""What the experiments of the claims register share: the tests of a number, the digits, a training."""

import numpy as np
import torch
from torch.nn import functional as F

import vglab as vg
from vglab import tasks

SEEDS = (11, 12, 13)
EXPERIMENTS = {}  # name -> (function of a seed returning {claim: reading}, {claim: test of (written, median)})


def within(tolerance):
    return lambda written, median: abs(written - median) <= tolerance


def at_least(written, median):
    return median >= written


def at_most(written, median):
    return median <= written


def experiment(**tests):
    def register(function):
        EXPERIMENTS[function.__name__] = (function, {name.replace("_", "-"): test for name, test in tests.items()})
        return function

    return register


def digits(n=256):
    data = tasks.digits()
    return data.x[:n], data.y[:n]


def signal(depth, seed, **net):
    """The backward signal at each hidden layer of a network, (depth,)."""
    return backward(vg.mlp(depth, seed=seed, **net))


def backward(model):
    profile = vg.gradient_profile(model, *digits())
    return profile.grad_rms[profile.slope.notna()].to_numpy()


def decades(line):
    """Decades lost per layer, by least squares."""
    return np.polyfit(np.arange(len(line)), np.log10(line), 1)[0]


def train(model, steps, *, lr, seed, momentum=0.0):
    """Losses of SGD on random batches of 128 digits, as in lesson 3."""
    data = tasks.digits()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    batches, losses = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        batch = torch.randint(len(data.x), (128,), generator=batches)
        loss = F.cross_entropy(model(data.x[batch]), data.y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
