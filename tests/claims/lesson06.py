"""The claims of lesson 6, ReLU and its variants."""

import copy
from functools import cache

import numpy as np
import torch
from torch import nn

import vglab as vg
from vglab import tasks, theory

from .register import at_least, experiment, within

SGD = {"optimizer": torch.optim.SGD, "momentum": 0.9}
ADAM = {"optimizer": torch.optim.Adam}
LEAKY = nn.LeakyReLU(0.25)


def he(seed, depth=10):
    return vg.mlp(depth, act="relu", sigma_w=2**0.5, seed=seed)


def train(models, steps, lr, **settings):
    data = tasks.digits()
    return vg.train_many(models, data.x, data.y, steps=steps, lr=lr, batch_size=64, progress=False, **settings)


@torch.no_grad()
def dead_units(model, x=None):
    """Which units of each ReLU layer are 0 for every row of x: (layers, units)."""
    h, dead = tasks.digits().x if x is None else x, []
    for layer in model[:-1]:
        h = layer(h)
        if isinstance(layer, nn.ReLU):
            dead.append((h == 0).all(0))
    return torch.stack(dead)


def share(flags):
    return flags.double().mean().item()


@experiment(l6_leak_part=within(100))
def a_small_leak(seed):
    leak = theory.layer_factor(nn.LeakyReLU(0.01), 1.0) / theory.layer_factor("relu", 1.0)
    at_default = [theory.layer_factor(act, theory.TORCH_DEFAULT) for act in ("relu", LEAKY, "elu", "selu", "gelu")]
    assert max(at_default) < 0.9, "the text says: at torch's weights each of the five loses the gradient"
    assert theory.bistable("gelu", 1.6), "and that chance decides over GELU"
    return {"l6-leak-part": 1 / (leak - 1)}


@cache
def accuracies(seed, optimizer):
    """{(activation, rate): accuracy} of the tournament, from one seed."""
    rates = {"SGD": (0.003, 0.01), "Adam": (0.001, 0.003)}[optimizer]
    entrants = {"tanh": "tanh", "SELU": "selu", "GELU": "gelu"}
    entrants |= {"leaky": LEAKY, "ELU": "elu"} if optimizer == "SGD" else {"ReLU": "relu"}
    found = {}
    for name, act in entrants.items():
        sigma_w = 1.0 if name == "tanh" else theory.mean_square(act) ** -0.5
        models = [vg.mlp(20, 32, act=act, sigma_w=sigma_w, seed=seed) for _ in rates]
        trained = train(models, 300, list(rates), **(SGD if optimizer == "SGD" else ADAM))
        found |= {(name, lr): a for lr, a in zip(rates, trained.table.accuracy.fillna(0.1), strict=True)}
    return found


@experiment(l6_sgd_tanh=within(0.02), l6_sgd_leaky=within(0.02), l6_sgd_elu=within(0.015))
def tournament_with_sgd(seed):
    found = accuracies(seed, "SGD")
    assert found["SELU", 0.003] > 0.975, "the text says: SELU comes first, with ELU"
    assert max(found["GELU", lr] for lr in (0.003, 0.01)) < found["SELU", 0.003] - 0.05, "and GELU behind"
    best = {"tanh": ("tanh", 0.01), "leaky": ("leaky", 0.01), "elu": ("ELU", 0.003)}
    return {f"l6-sgd-{name}": found[key] for name, key in best.items()}


@experiment(l6_sgd_relu=within(0.08))
def relu_with_sgd(seed):
    rates = (0.003, 0.01)
    grid = [(lr, s) for lr in rates for s in range(10 * seed, 10 * seed + 5)]
    models = [vg.mlp(20, 32, act="relu", sigma_w=2**0.5, seed=s) for _, s in grid]
    trained = train(models, 300, [lr for lr, _ in grid], **SGD)
    medians = np.median(trained.table.accuracy.fillna(0.1).to_numpy().reshape(2, -1), axis=1)
    assert medians.max() < 0.93, "the text says: behind tanh"
    wide = {"relu": (2**0.5, 0.003), "tanh": (1.0, 0.01)}
    relu, tanh = (
        train([vg.mlp(20, 64, act=act, sigma_w=sigma_w, seed=seed)], 300, lr, **SGD).table.accuracy[0]
        for act, (sigma_w, lr) in wide.items()
    )
    assert tanh - relu < 0.06, "the Modify finds: with 64 units ReLU comes within a few hundredths of tanh"
    return {"l6-sgd-relu": medians.max()}


@experiment(l6_adam_least=at_least)
def tournament_with_adam(seed):
    found = accuracies(seed, "Adam")
    best = {name: max(found[name, 0.001], found[name, 0.003]) for name in ("tanh", "ReLU", "SELU", "GELU")}
    return {"l6-adam-least": min(best.values())}


@experiment(l6_born_dead_4=within(0.03), l6_born_dead_8=within(0.03), l6_born_bound_4=within(0.005))
def networks_born_dead(seed):
    x, nets = tasks.digits().x[:64], 1000
    generator = torch.Generator().manual_seed(seed)

    def born_dead(width):
        h = x.expand(nets, -1, -1)
        for _ in range(40):
            n = h.shape[-1]
            h = torch.relu(h @ (torch.randn(nets, n, width, generator=generator) * (2 / n) ** 0.5))
        return share((h == 0).flatten(1).all(1))

    assert 1e-18 < 40 * 2.0**-64 < 1e-17, "the text says: one in 10^17"
    bound = 1 - (1 - 2**-4) ** 40
    return {"l6-born-dead-4": born_dead(4), "l6-born-dead-8": born_dead(8), "l6-born-bound-4": bound}


@experiment(
    l6_default_dead=within(0.05), l6_zero_bias_dead=within(0.07), l6_he_dead_batch=within(0.08),
    l6_he_dead_data=within(0.06),
)  # fmt: skip
def dead_in_layer_ten(seed):
    readings = []
    for s in range(10 * seed, 10 * seed + 5):
        default = vg.mlp(10, act="relu", seed=s)
        on = (default[:-1](tasks.digits().x) > 0).double().mean(0)
        assert ((on == 0) | (on == 1)).double().mean() > 0.95, "the text says: hardly a unit of 64 decides"
        plain = copy.deepcopy(default)
        for layer in plain[::2]:
            nn.init.zeros_(layer.bias)
        few = dead_units(he(s), tasks.digits().x[:64])
        readings.append([share(dead[-1]) for dead in (dead_units(default), dead_units(plain), few, dead_units(he(s)))])
    names = ("l6-default-dead", "l6-zero-bias-dead", "l6-he-dead-batch", "l6-he-dead-data")
    return dict(zip(names, np.median(readings, axis=0), strict=True))


@experiment(
    l6_adam_killed=within(0.04), l6_one_step=within(0.04), l6_adam_some=within(0.04),
    l6_adam_some_accuracy=within(0.025),
)  # fmt: skip
def killed_by_the_step(seed):
    adam = train([he(seed), he(seed)], 100, [0.1, 0.01], **ADAM)
    assert adam.table.accuracy[0] < 0.3, "the text says: accuracy is down at chance"
    sgd = train([he(seed)], 100, 0.1, optimizer=torch.optim.SGD)
    born, after = share(dead_units(he(seed))), share(dead_units(sgd.models[0]))
    assert after < born, "the text says: SGD leaves fewer dead units than it found"
    many, some = (share(dead_units(model)) for model in adam.models)
    assert some > 2 * born, "the text says: several times more than at the start"
    one = train([he(seed)], 1, 0.1, **ADAM).models[0]
    return {
        "l6-adam-killed": many,
        "l6-one-step": share(dead_units(one)),
        "l6-adam-some": some,
        "l6-adam-some-accuracy": adam.table.accuracy[1],
    }


@torch.no_grad()
def killed(seed, layer):
    model = he(seed, depth=6)
    before = model[: 2 * layer - 1](tasks.digits().x)
    model[2 * layer - 2].bias[:32] -= before[:, :32].amax(0) + 0.1 * before.std()
    assert dead_units(model)[layer - 1, :32].all()
    return model


@experiment(l6_revived_5=within(0.1), l6_revived_2=within(0.1), l6_decay_revived=within(0))
def revival(seed):
    layers = [1, 2, 5]
    trained = train([killed(seed, layer) for layer in layers], 300, 1e-3, **ADAM)
    alive = {k: 1 - share(dead_units(m)[k - 1, :32]) for k, m in zip(layers, trained.models, strict=True)}
    assert alive[1] == 0, "the text says: in layer 1 exactly none"
    decayed = train([killed(seed, 1)], 300, 1e-3, optimizer=torch.optim.AdamW, weight_decay=1.0).models[0]
    return {
        "l6-revived-5": alive[5],
        "l6-revived-2": alive[2],
        "l6-decay-revived": 1 - share(dead_units(decayed)[0, :32]),
    }


@experiment(l6_revived_after_adam=within(0.015), l6_dead_after_003=within(0.05), l6_recovered=within(0.05))
def revival_after_adam(seed):
    first = train([he(seed), he(seed)], 100, [0.1, 0.03], **ADAM)
    second = train(list(first.models), 300, 1e-3, **ADAM)
    before, after = ([dead_units(model) for model in run.models] for run in (first, second))
    back = [share((b & ~a)[b]) for b, a in zip(before, after, strict=True)]
    assert back[1] < 0.2, "the text says: few of them return"
    return {
        "l6-revived-after-adam": back[0],
        "l6-dead-after-003": share(before[1]),
        "l6-recovered": second.table.accuracy[1],
    }


@experiment(l6_thirty_selu=within(0.02), l6_thirty_relu=within(0.15))
def thirty_layers(seed):
    acts = {"l6-thirty-selu": ("selu", 1.0, 0.003), "l6-thirty-relu": ("relu", 2**0.5, 0.01)}
    readings = {}
    for name, (act, sigma_w, lr) in acts.items():
        trained = train([vg.mlp(30, 32, act=act, sigma_w=sigma_w, seed=seed)], 200, lr, **SGD)
        readings[name] = trained.table.accuracy.fillna(0.1)[0]
    return readings
