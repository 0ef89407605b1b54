"""The claims of lesson 13, depth in modern networks."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import tasks
from vglab.nets import Residual

from .register import at_most, experiment, within

BLOCKS = 8


# ---------------------------------------------------------------- shattered gradients


def line_network(layers, skip, norm, seed, width=200):
    part = lambda out: nn.Sequential(*[nn.BatchNorm1d(width)] * norm, nn.ReLU(), nn.Linear(width, out))
    branches = [part(width) for _ in range(layers - 1)]
    blocks = [branch if skip is None else Residual(branch, skip) for branch in branches]
    model = vg.init_(nn.Sequential(nn.Linear(1, width), *blocks, part(1)), "he", seed=seed)
    nn.init.normal_(model[0].bias, generator=torch.Generator().manual_seed(seed + 1000))
    return model


def slopes(model, points):
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = None
    with torch.no_grad():
        model(points)
    x = points.clone().requires_grad_()
    return torch.autograd.grad(model.eval()(x).sum(), x)[0].flatten()


def autocorrelation(g, lag):
    g = g - g.mean()
    return ((g[lag:] * g[:-lag]).sum() / (g * g).sum()).item()


@experiment(
    l13_one_layer=within(0.03), l13_he_24=within(0.08), l13_he_50=within(0.12), l13_bn_5=within(0.06),
    l13_bn_10=within(0.12), l13_bn_24=within(0.1), l13_skip_24=within(0.08), l13_skip_50=within(0.13),
    l13_light_50=within(0.08), l13_he_on=within(0.05), l13_bn_on=within(0.06),
)  # fmt: skip
def neighbouring_gradients_on_a_line(seed):
    points = torch.linspace(-2, 2, 256)[:, None]
    read = lambda *net: autocorrelation(slopes(line_network(*net, seed), points), 1)
    return {
        "l13-one-layer": read(2, None, False),
        "l13-he-24": read(24, None, False),
        "l13-he-50": read(50, None, False),
        "l13-bn-5": read(5, None, True),
        "l13-bn-10": read(10, None, True),
        "l13-bn-24": read(24, None, True),
        "l13-skip-24": read(24, 1.0, True),
        "l13-skip-50": read(50, 1.0, True),
        "l13-light-50": read(50, 0.1, True),
        "l13-he-on": switching(line_network(24, None, False, seed), points),
        "l13-bn-on": switching(line_network(24, None, True, seed), points),
    }


def switching(model, points):
    """Share of the last layer's units that are on for some of the points and off for others."""
    slopes(model, points)
    with torch.no_grad():
        on = (model[:-1](points) if len(model[-1]) == 2 else model[-1][0](model[:-1](points))) > 0
    return ((on.float().mean(0) > 0) & (on.float().mean(0) < 1)).float().mean().item()


# ---------------------------------------------------------------- branch scales


def residual(blocks, alpha, seed):
    branch = lambda: nn.Sequential(nn.ReLU(), nn.Linear(32, 32))
    layers = [Residual(branch(), alpha) for _ in range(blocks)]
    return vg.init_(nn.Sequential(nn.Linear(64, 32), *layers, nn.ReLU(), nn.Linear(32, 10)), "he", seed=seed)


@experiment(l13_silent_loss=within(0.04), l13_best_80=within(0.03))
def training_by_branch_scale(seed):
    data = tasks.digits()
    nets = [residual(80, alpha, seed) for alpha in (0.001, 0.1, 0.3, 0.5)]
    trained = vg.train_many(
        nets, data.x, data.y, lr=0.02, momentum=0.9, steps=100, batch_size=64, seed=seed, every=1, progress=False
    )
    last = trained.curves.query("step >= 80").groupby("model").loss.mean()
    assert np.isnan(last.get(3, np.nan)), "the text says: heavier branches diverge"
    assert last[2] > 5 * last[1], "the text says: half way back to chance or at it"
    return {"l13-silent-loss": last[0], "l13-best-80": last[1]}


# ---------------------------------------------------------------- transformers


def data():
    return tasks.copy_back(2, n_train=2000)


def loss_fn(out, y):
    return F.cross_entropy(out.flatten(0, 1), y.flatten())


def net(norm, seed, blocks=BLOCKS, **how):
    return vg.transformer(blocks, 32, norm=norm, vocab=16, hidden=2, seed=seed, **how)


def stream(model):
    table = vg.gradient_profile(model, data().x_test[:64], data().y_test[:64], loss_fn)
    return table.groupby(table.layer.str.extract(r"(block\d+\.\w+)")[0], sort=False).tail(1)


def first_over_last(model):
    gradient = stream(model).grad_rms
    return gradient.iloc[0] / gradient.iloc[-1]


def last_gradient(model):
    loss_fn(model(data().x_test[:64]), data().y_test[:64]).backward()
    blocks = [child for name, child in model.named_children() if name.startswith("block")]
    return blocks[-1].mlp.branch[2].weight.grad.norm().item()


def token_cosine(model):
    h = data().x_test[:64]
    for name, child in model.named_children():
        h = child(h) if name == "embed" or name.startswith("block") else h
    h = F.normalize(h.detach(), dim=-1)
    n = h.shape[1]
    return (((h @ h.mT).mean(0).sum() - n) / (n * n - n)).item()


def train(model, seed, *, lr=0.003, warmup=0, steps=300):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    batches, losses, given = torch.Generator().manual_seed(seed), [], data()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * min(1, (step + 1) / max(1, warmup))
        rows = torch.randint(len(given.x), (8,), generator=batches)
        loss = loss_fn(model(given.x[rows]), given.y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.mean(losses[-20:])


@experiment(
    l13_post_ratio=within(0.6), l13_pre_ratio=within(0.6), l13_deep_ratio=within(0.06), l13_post_last=within(0.25),
    l13_pre_last=within(0.06), l13_post_last_32=within(0.3), l13_pre_last_32=within(0.05), l13_post_cosine=within(0.05),
    l13_pre_cosine=within(0.1), l13_deep_cosine=within(0.08),
)  # fmt: skip
def transformers_before_training(seed):
    return {
        "l13-post-ratio": first_over_last(net("post", seed)),
        "l13-pre-ratio": first_over_last(net("pre", seed)),
        "l13-deep-ratio": first_over_last(net("deep", seed)),
        "l13-post-last": last_gradient(net("post", seed)),
        "l13-pre-last": last_gradient(net("pre", seed)),
        "l13-post-last-32": last_gradient(net("post", seed, 32)),
        "l13-pre-last-32": last_gradient(net("pre", seed, 32)),
        "l13-post-cosine": token_cosine(net("post", seed)),
        "l13-pre-cosine": token_cosine(net("pre", seed)),
        "l13-deep-cosine": token_cosine(net("deep", seed)),
    }


@experiment(
    l13_post_loss=within(0.15), l13_pre_loss=within(0.15), l13_deep_below=at_most, l13_warm_loss=within(0.2),
    l13_light_below=at_most,
)  # fmt: skip
def transformers_trained(seed):
    return {
        "l13-post-loss": train(net("post", seed), seed),
        "l13-pre-loss": train(net("pre", seed), seed),
        "l13-deep-below": train(net("deep", seed), seed),
        "l13-warm-loss": train(net("post", seed), seed, warmup=150),
        "l13-light-below": train(net("post", seed, scale=0.25), seed),
    }


def moved(model):
    """Rms change of the outputs in the first step of Adam, relative to the outputs."""
    x, y = data().x_test[:64], data().y_test[:64]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    before = model(x)
    loss_fn(before, y).backward()
    optimizer.step()
    return ((model(x) - before).square().mean() / before.square().mean()).sqrt().item()


@experiment(
    l13_post_after=within(0.02), l13_pre_after=within(0.6), l13_deep_after=within(0.15),
    l13_post_alike=within(0.002), l13_pre_alike=within(0.02), l13_deep_alike=within(0.08),
    l13_post_moved=within(0.8), l13_pre_moved=within(0.2), l13_deep_moved=within(0.12),
)  # fmt: skip
def transformers_after_twenty_steps(seed):
    readings = {f"l13-{norm}-moved": moved(net(norm, seed)) for norm in ("post", "pre", "deep")}
    nets = {norm: net(norm, seed) for norm in ("post", "pre", "deep")}
    for model in nets.values():
        train(model, seed, steps=20)
    readings |= {f"l13-{norm}-after": first_over_last(model) for norm, model in nets.items()}
    return readings | {f"l13-{norm}-alike": token_cosine(nets[norm]) for norm in nets}
