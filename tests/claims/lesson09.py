"""The claims of lesson 9, skip connections."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab.nets import Residual

from .register import digits, experiment, within


def network(depth, skip, norm, *, width=32, seed):
    part = lambda out: nn.Sequential(*[nn.BatchNorm1d(width)] * norm, nn.ReLU(), nn.Linear(width, out))
    branches = [part(width) for _ in range(depth - 1)]
    blocks = [branch if skip is None else Residual(branch, skip) for branch in branches]
    return vg.init_(nn.Sequential(nn.Linear(64, width), *blocks, part(10)), "he", seed=seed)


def profile(model, *, images=False):
    x, y = digits()
    table = vg.gradient_profile(model, x.reshape(-1, 1, 8, 8) if images else x, y)
    return table[table.slope.notna()]


def end_to_end(model, **how):
    signal = profile(model, **how).grad_rms
    return signal.iloc[0] / signal.iloc[-1]


@experiment(
    l9_plain_8_loss=within(0.03), l9_plain_22_loss=within(0.2), l9_plain_42_loss=within(0.15),
    l9_skip_42_loss=within(0.03), l9_he_42_loss=within(0.3), l9_plain_bn_ratio=within(1000),
    l9_plain_bn_after=within(2), l9_he_cosine=within(0.04),
)  # fmt: skip
def degradation_of_linear_layers(seed):
    kinds = {"plain": (None, True), "skip": (1.0, True), "he": (None, False)}
    models = [network(depth, *kind, seed=seed) for kind in kinds.values() for depth in (8, 22, 42)]
    data = vg.tasks.digits()
    trained = vg.train_many(
        models, data.x, data.y, lr=0.02, momentum=0.9, steps=150, batch_size=64, seed=seed, every=1, progress=False
    )
    last = trained.curves.query("step >= 120").groupby("model").loss.mean()
    plain_8, plain_22, plain_42, skip_8, _, skip_42, he_8, _, he_42 = last
    assert he_42 > 2 * he_8, "the text says: it rises with depth without BN, too"
    assert skip_42 < 1.5 * skip_8, "the text says: as good as at any other depth"
    assert 0.02 < end_to_end(models[8]) < 5, "the text says: level within a factor of ten or so"
    assert 0.5 < end_to_end(models[5]) < 2, "the figure's caption says: level with skips"
    return {
        "l9-plain-8-loss": plain_8,
        "l9-plain-22-loss": plain_22,
        "l9-plain-42-loss": plain_42,
        "l9-skip-42-loss": skip_42,
        "l9-he-42-loss": he_42,
        "l9-plain-bn-ratio": end_to_end(models[2]),
        "l9-plain-bn-after": end_to_end(trained.models[2]),
        "l9-he-cosine": profile(models[8]).cosine.iloc[-1],
    }


@experiment(l9_bn_factor=within(0.03))
def factor_of_a_plain_batch_normalized_network(seed):
    signal = profile(network(42, None, True, width=256, seed=seed)).grad_rms
    return {"l9-bn-factor": (signal.iloc[0] / signal.iloc[-1]) ** (1 / 41)}


def train(model, seed, steps=60):
    data = vg.tasks.digits()
    images = data.x.reshape(-1, 1, 8, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    batches, errors = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        batch = torch.randint(len(images), (64,), generator=batches)
        out = model(images[batch])
        optimizer.zero_grad()
        F.cross_entropy(out, data.y[batch]).backward()
        optimizer.step()
        errors.append((out.argmax(1) != data.y[batch]).float().mean().item())
    return np.mean(errors[-20:])


@experiment(
    l9_conv_plain_8=within(0.03), l9_conv_plain_32=within(0.15), l9_conv_skip_8=within(0.02),
    l9_conv_skip_32=within(0.04), l9_conv_bn_ratio=within(15), l9_conv_he_factor=within(0.03),
)  # fmt: skip
def a_small_resnet_and_its_plain_twin(seed):
    net = lambda n, **kind: vg.convnet(n, 4, seed=seed, **kind)
    plain, bare = net(5, skip=False), net(5, skip=False, norm=None)
    readings = {
        "l9-conv-bn-ratio": end_to_end(plain, images=True),
        "l9-conv-he-factor": end_to_end(bare, images=True) ** (1 / 30),
    }
    scaled = train(net(5, skip=15**-0.5, norm=None), seed)
    assert train(bare, seed) > 0.85, "the text says: at chance"
    assert scaled < 0.5, "the text says: with scaled skips it learns"
    return readings | {
        "l9-conv-plain-8": train(net(1, skip=False), seed),
        "l9-conv-plain-32": train(plain, seed),
        "l9-conv-skip-8": train(net(1), seed),
        "l9-conv-skip-32": train(net(5), seed),
    }


@experiment(l9_around_factor=within(0.06), l9_around_error=within(0.03))
def plain_convolutions_that_see_the_far_edge(seed):
    model = vg.convnet(5, 4, skip=False, norm=None, seed=seed)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "circular"
    return {"l9-around-factor": end_to_end(model, images=True) ** (1 / 30), "l9-around-error": train(model, seed)}


@experiment(l9_scaled_growth=within(0.3), l9_bn_growth=within(4), l9_smallest_singular=within(0.03))
def growth_through_a_hundred_blocks(seed):
    x, _ = digits()
    growth = lambda model: (model[:-1](x).square().mean() / model[0](x).square().mean()).item()
    wide = lambda *skip: growth(network(101, *skip, width=128, seed=seed))
    assert 26 < np.log10(wide(1.0, False)) < 32, "the text says: some 1e29"
    model, smallest = network(20, 1.0, False, seed=seed), []
    h = model[0](x[0])
    for block in model[1:-1]:
        jacobian = torch.autograd.functional.jacobian(block, h)
        smallest.append(torch.linalg.svdvals(jacobian)[-1].item())
        h = block(h).detach()
    return {
        "l9-scaled-growth": wide(0.1, False),
        "l9-bn-growth": wide(1.0, True),
        "l9-smallest-singular": np.median(smallest),
    }


def along(model, h, path):
    for i, block in enumerate(model[1:-1]):
        branch = block.scale * block.branch(h)
        h = h.detach() + branch if i in path else h + branch.detach()
    return model[-1](h)


def carried(model, path):
    x, y = digits()
    h = model[0](x).detach().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(along(model, h, path), y), h)[0].double().square().sum().item()


@experiment(l9_scaled_length=within(0.05), l9_bn_length=within(0.4), l9_path_of_five=within(0.1))
def branches_on_the_gradients_way(seed):
    readings = {}
    for name, skip in {"scaled": (54**-0.5, False), "bn": (1.0, True)}.items():
        model, draw = network(55, *skip, width=64, seed=seed), np.random.default_rng(seed)
        past = carried(model, set())
        a = np.array([carried(model, {i}) for i in range(54)]) / past
        readings[f"l9-{name}-length"] = (a / (1 + a)).sum()
        paths = [draw.choice(54, 5, replace=False) for _ in range(20)]
        readings["l9-path-of-five"] = np.median([carried(model, set(p)) / past / a[p].prod() for p in paths])
    return readings


@experiment(
    l9_sigmoid_plain=within(0.02), l9_sigmoid_skip=within(0.01), l9_sigmoid_factor=within(0.006),
    l9_sigmoid_skip_factor=within(0.004), l9_sigmoid_cosine=within(0.0003),
)  # fmt: skip
def twenty_sigmoid_layers(seed):
    data = vg.tasks.digits()
    models = [vg.mlp(20, act="sigmoid", sigma_w=1.0, skip=skip, seed=seed) for skip in (False, True)]
    trained = vg.train_many(
        models, data.x, data.y, lr=0.1, momentum=0.9, steps=200, batch_size=64, seed=seed, progress=False
    )
    table = vg.gradient_profile(models[1], *digits())
    stream = table[table.kind == "Residual"]
    return {
        "l9-sigmoid-plain": trained.table.accuracy[0],
        "l9-sigmoid-skip": trained.table.accuracy[1],
        "l9-sigmoid-factor": end_to_end(models[0]) ** (1 / 19),
        "l9-sigmoid-skip-factor": (stream.grad_rms.iloc[0] / stream.grad_rms.iloc[-1]) ** (1 / 18),
        "l9-sigmoid-cosine": stream.cosine.iloc[-1],
    }
