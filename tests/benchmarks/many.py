"""Many networks trained at once, beside a plain loop of nn.Sequential and torch.optim.SGD over the same networks.

Both are timed in CPU seconds of one thread. The loop runs over a sample of the networks, of the same depths and scale,
and its time is multiplied up. What setting up costs is left out of a step and told beside it.
"""

import copy
import itertools
import time

import torch
from torch import nn

import vglab as vg
from tests.benchmarks.timing import interval
from vglab.experiments.many import train_many

DEPTHS, BATCH, ROUNDS, STEPS, SAMPLE = (4, 8, 16, 32), 16, 7, 20, 8
TARGETS = {(16, 64): 25, (16, 1024): 50, (32, 64): 15, (32, 1024): 22, (64, 64): 7}


def many():
    torch.set_num_threads(1)
    x, y = torch.randn(BATCH, 64), torch.randint(10, (BATCH,))
    peak = _peak()
    print(f"\nNetworks side by side, depths {DEPTHS}, tanh, batch {BATCH}, SGD; sgemm reaches {peak / 1e9:.0f} GFLOP/s")
    print(f"{'width, networks':20}{'ms a step':>10}{'loop':>7}   95 % interval   target   of the floor   set-up s")
    for (width, n), target in TARGETS.items():
        models = [vg.mlp(DEPTHS[i % 4], width, act="tanh", sigma_w=1.0, seed=i) for i in range(n)]
        _compare(models, width, target, x, y, peak)
    _diagram()


def _compare(models, width, target, x, y, peak):
    rounds = [(_loop(models[:SAMPLE], x, y) * len(models), *_together(models, x, y)) for _ in range(ROUNDS)]
    ratio, low, high = interval([loop / step for loop, step, _ in rounds])
    step, setup = (interval([r[i] for r in rounds])[0] for i in (1, 2))
    floor = sum(_flops(model) for model in models) / peak
    row = f"{f'{width}, {len(models)}':20}{step * 1e3:10.2f}{ratio:6.1f}x   {low:.1f} to {high:.1f}"
    print(f"{row:54}{target:6}x{step / floor:12.1f}x{setup:12.2f}", flush=True)


def _loop(models, x, y):
    """CPU seconds of a network's step."""
    trained = [copy.deepcopy(model) for model in models]
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.01) for model in trained]
    start = time.process_time()
    for model, optimizer in zip(trained, optimizers, strict=True):
        for _ in range(STEPS):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return (time.process_time() - start) / STEPS / len(models)


def _together(models, x, y):
    """CPU seconds of a step of all networks, told by the clock between steps of each chunk, and of the rest."""
    marks, begun = [], time.process_time()
    steps = STEPS + 2
    watch = lambda done, total: marks.append((done % steps, time.process_time()))
    train_many(models, x, y, lr=0.01, steps=steps, every=10**6, progress=watch)
    whole = time.process_time() - begun
    inside = sum(b - a for (i, a), (_, b) in itertools.pairwise(marks) if i >= 2)
    return inside / STEPS, whole - inside


def _flops(model):
    """Of three matrix products a layer; the first layer needs no gradient of its input."""
    sizes = [layer.weight.numel() for layer in model if isinstance(layer, nn.Linear)]
    return 2 * BATCH * (3 * sum(sizes) - sizes[0])


def _peak():
    a, best = torch.randn(512, 512), 1.0
    for _ in range(20):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * 512**3 / best


def _diagram():
    data = vg.tasks.digits()
    grid = [
        (d, s, seed) for d in range(4, 40, 4) for s in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5) for seed in (0, 1)
    ]
    models = [vg.mlp(d, 32, act="tanh", sigma_w=s, sigma_b=0.05**0.5, seed=seed) for d, s, seed in grid]
    start = time.process_time()
    train_many(models, data.x, data.y, lr=0.05, steps=250, batch_size=BATCH, every=250, progress=False)
    print(f"phase diagram of {len(models)} tanh networks: {time.process_time() - start:.1f} CPU s; target: at most 8")
