"""How long one `gradient_profile` takes beside the bare forward and backward pass it looks at."""

import time

import torch
from torch import nn

import vglab as vg
from tests.benchmarks import peers
from tests.benchmarks.timing import measure, report, timed

ROUNDS, DEPTH, WIDTH, BATCH = 40, 50, 64, 64
TARGET = 20  # milliseconds


def profiles():
    torch.set_num_threads(1)
    model = vg.mlp(DEPTH, WIDTH, act="tanh", sigma_w=1.0, seed=0)
    x, y = torch.randn(BATCH, WIDTH), torch.randint(10, (BATCH,))
    parameters = list(model.parameters())

    def bare(x=x):
        torch.autograd.grad(nn.functional.cross_entropy(model(x), y), parameters)

    def naive():
        with peers.naive(model, None):
            bare(x.detach().requires_grad_())  # full backward hooks warn where no input asks for a gradient

    names = "bare forward and backward", "bare forward and backward (control)", "vg.gradient_profile", "naive hooks"
    functions = bare, bare, lambda: vg.gradient_profile(model, x, y), naive
    sides = {name: timed(function, time.process_time) for name, function in zip(names, functions, strict=True)}
    measure(sides, 2)
    title = f"Gradient profile, {DEPTH} layers of {WIDTH}, batch {BATCH}, {ROUNDS} rounds, CPU time"
    report(f"{title}; target: about {TARGET} ms", measure(sides, ROUNDS))
