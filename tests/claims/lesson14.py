"""The claims of lesson 14, precision."""

import copy

import torch
from torch.nn import functional as F

import vglab as vg
from vglab import tasks

from .register import digits, experiment, within


def first_gradient(dtype, seed, *, depth=8, scale=1.0):
    x, y = digits()
    model = vg.mlp(depth, act="sigmoid", sigma_w=1.0, seed=seed).to(dtype)
    (scale * F.cross_entropy(model(x.to(dtype)), y)).backward()
    return model.linear1.weight.grad


@experiment(l14_lost_8=within(4), l14_rounded_8=within(3), l14_lost_6=within(1))
def eight_sigmoids_in_half_precision(seed):
    lost = {}
    for depth in (6, 8, 10):
        exact = first_gradient(torch.float64, seed, depth=depth)
        zero = lambda low, exact=exact: (low[exact != 0] == 0).double().mean().item()
        lost[depth] = zero(first_gradient(torch.float16, seed, depth=depth))
        assert zero(first_gradient(torch.bfloat16, seed, depth=depth)) == 0, "bfloat16 loses none"
        if depth == 8:
            rounded = zero(exact.half())
        if depth == 10:
            assert zero(exact.half()) > 0.9, "rounding a finished gradient puts the wall two layers later"
    return {"l14-lost-8": 100 * lost[8], "l14-rounded-8": 100 * rounded, "l14-lost-6": 100 * lost[6]}


@experiment(l14_scaled_error=within(0.0004), l14_bf16_error=within(0.0015))
def scaled_eight_sigmoids(seed):
    exact = first_gradient(torch.float64, seed)

    def error(dtype, scale):
        return ((first_gradient(dtype, seed, scale=scale).double() / scale - exact).norm() / exact.norm()).item()

    assert error(torch.float16, 1.0) > 0.9, "unscaled float16 returns no gradient worth the name"
    assert error(torch.bfloat16, 1.0) == error(torch.bfloat16, 2.0**10), "bfloat16's does not depend on the scale"
    return {"l14-scaled-error": error(torch.float16, 2.0**10), "l14-bf16-error": error(torch.bfloat16, 1.0)}


def mixed(dtype, seed, *, lr, steps, scale=1.0, depth=6, act="relu", sigma_w=2**0.5, own=False):
    """Accuracy after SGD in `dtype` with float32 master weights, or with its `own`."""
    data = tasks.digits()
    master = vg.mlp(depth, act=act, sigma_w=sigma_w, seed=seed)
    model, batches = copy.deepcopy(master).to(dtype), torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(data.x), (64,), generator=batches)
        model.zero_grad()
        (scale * F.cross_entropy(model(data.x[rows].to(dtype)), data.y[rows])).backward()
        grads = [p.grad.float() / scale for p in model.parameters()]
        if not all(g.isfinite().all() for g in grads):
            continue
        with torch.no_grad():
            for low, full, g in zip(model.parameters(), master.parameters(), grads, strict=True):
                full -= lr * g
                low.copy_(low - (lr * g).to(dtype) if own else full)
    judged = model.float() if own else master
    return (judged(data.x).argmax(1) == data.y).double().mean().item()


@experiment(l14_window=within(0))
def window_of_loss_scales(seed):
    accuracy = {k: mixed(torch.float16, seed, lr=0.03, steps=100, scale=2.0**k) for k in range(-24, 29, 4)}
    works = [k for k, share in accuracy.items() if share > 0.5]
    middle = [accuracy[k] for k in range(-12, 13, 4)]
    assert max(middle) - min(middle) < 0.015, "between the ends the scale makes no difference"
    return {"l14-window": max(works) - min(works)}


@experiment(l14_sigmoid_accuracy=within(0.015))
def eight_sigmoids_trained(seed):
    settings = {"lr": 0.3, "steps": 300, "depth": 8, "act": "sigmoid", "sigma_w": 1.0}
    reached = [
        mixed(dtype, seed, scale=scale, **settings)
        for dtype, scale in ((torch.float32, 1.0), (torch.float16, 1.0), (torch.float16, 2.0**12))
    ]
    assert max(reached) < 0.13, "all three stay at chance"
    return {"l14-sigmoid-accuracy": sorted(reached)[1]}


@experiment(l14_still_bf16=within(2), l14_moved_bf16=within(2), l14_still_fp16=within(6))
def steps_lost_to_rounding(seed):
    x, y = (part[:64] for part in digits())

    def still(dtype):
        model = vg.mlp(6, act="relu", sigma_w=2**0.5, seed=seed).to(dtype)
        F.cross_entropy(model(x.to(dtype)), y).backward()
        weight = model.linear1.weight
        moved = weight - (0.003 * weight.grad.float()).to(dtype) != weight
        return 1 - moved[weight.grad != 0].double().mean().item()

    lost = 100 * still(torch.bfloat16)
    assert still(torch.float32) < 0.02, "in float32 hardly any"
    return {"l14-still-bf16": lost, "l14-moved-bf16": 100 - lost, "l14-still-fp16": 100 * still(torch.float16)}


@experiment(l14_master_accuracy=within(0.07), l14_alone_accuracy=within(0.08))
def master_weights(seed):
    full = mixed(torch.float32, seed, lr=0.003, steps=400)
    master = mixed(torch.bfloat16, seed, lr=0.003, steps=400)
    assert abs(full - master) < 0.012, "with a master copy the accuracies of float32"
    alone = mixed(torch.bfloat16, seed, lr=0.003, steps=400, own=True)
    return {"l14-master-accuracy": master, "l14-alone-accuracy": alone}
