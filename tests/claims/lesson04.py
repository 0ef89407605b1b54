"""The claims of lesson 4, convergence: plateaus, update ratios, the freeze test, two networks that stand still."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import tasks

from .register import experiment, within

SGD = {"lr": 0.3, "momentum": 0.9, "batch_size": 64, "progress": False}
ADAM = {"optimizer": torch.optim.Adam, "eps": 1e-30, "lr": 0.003, "batch_size": 64, "progress": False}
NETS = {"sigmoid": {"act": "sigmoid", "sigma_w": 1.0}, "tanh": {"act": "tanh", "sigma_w": 1.0}}
TWINS = {"sigmoid": {"act": "sigmoid", "sigma_w": 1.0}, "tanh": {"act": "tanh", "sigma_w": 0.236}}


@experiment(
    l4_plateau_1=within(2),
    l4_plateau_2=within(4),
    l4_plateau_3=within(12),
    l4_plateau_4=within(70),
    l4_plateau_5=within(300),
)
def plateaus(seed):
    data, depths = tasks.digits(), range(1, 6)
    models = [vg.mlp(d, 32, seed=10 * seed + k, **NETS["sigmoid"]) for d in depths for k in range(3)]
    trained = vg.train_many(models, data.x, data.y, steps=1500, every=1, seed=seed, **SGD)
    steps = np.nanmedian(trained.steps_to(loss=2.0).to_numpy().reshape(5, 3), axis=1)
    growth = steps[1:] / steps[:-1]
    assert (growth > 2).all(), "the text says that each layer multiplies the wait"
    return {f"l4-plateau-{d}": value for d, value in zip(depths, steps, strict=True)}


def watched(model, seed):
    """Update ratios of the weight matrices, {step: {name: ratio}}."""
    data, ratios = tasks.digits(), {}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    batches = torch.randint(len(data.x), (56, 64), generator=torch.Generator().manual_seed(seed))
    for step, rows in enumerate(batches):
        optimizer.zero_grad()
        F.cross_entropy(model(data.x[rows]), data.y[rows]).backward()
        before = {name: p.detach().clone() for name, p in model.named_parameters() if p.ndim == 2}
        optimizer.step()
        ratios[step] = {n: ((p.detach() - before[n]).norm() / before[n].norm()).item() for n, p in
                        model.named_parameters() if n in before}  # fmt: skip
    return ratios


@experiment(l4_ratio_sigmoid=within(0.0006), l4_ratio_tanh=within(0.01), l4_ratio_first_step=within(20))
def update_ratios_on_the_plateau(seed):
    ratios = {name: watched(vg.mlp(4, 32, seed=seed, **net), seed) for name, net in NETS.items()}
    around = range(45, 56)
    at_50 = {name: np.median([r[k]["linear1.weight"] for k in around]) for name, r in ratios.items()}
    assert at_50["tanh"] > 8 * at_50["sigmoid"], "the text says: far more than the rule allows"
    start = ratios["sigmoid"][0]
    return {
        "l4-ratio-sigmoid": at_50["sigmoid"],
        "l4-ratio-tanh": at_50["tanh"],
        "l4-ratio-first-step": start["linear4.weight"] / start["linear1.weight"],
    }


@experiment(
    l4_frozen_0=within(0.01), l4_frozen_3=within(0.06), l4_tanh_test_0=within(0.02), l4_tanh_test_2=within(0.025)
)
def freeze_test(seed):
    data, found = tasks.digits(), {}
    for name, net in NETS.items():
        for frozen in (0, 2, 3):
            model = vg.mlp(4, 32, seed=seed, **net)
            with torch.no_grad():
                x, x_test = model[: 2 * frozen](data.x), model[: 2 * frozen](data.x_test)
            rest, test = [model[2 * frozen :]], {"x_test": x_test, "y_test": data.y_test}
            found[name, frozen] = vg.train_many(rest, x, data.y, steps=1000, **test, **SGD).table.iloc[0]
    assert 0.2 < found["sigmoid", 2].accuracy < 0.8, "the text says: with two frozen it gets about half way"
    assert found["tanh", 2].accuracy > 0.98, "the figure says that tanh hardly notices"
    return {
        "l4-frozen-0": found["sigmoid", 0].accuracy,
        "l4-frozen-3": found["sigmoid", 3].accuracy,
        "l4-tanh-test-0": found["tanh", 0].test_accuracy,
        "l4-tanh-test-2": found["tanh", 2].test_accuracy,
    }


@experiment(
    l4_twins_adam_tanh=within(0.1),
    l4_twins_adam_sigmoid=within(0.03),
    l4_twins_sgd=within(0.02),
    l4_twin_factor=within(0.01),
)
def two_networks_with_the_same_gradient(seed):
    data, twins = tasks.digits(), {}
    for name, net in TWINS.items():
        models = [vg.mlp(10, 32, seed=10 * seed + k, **net) for k in range(5)]
        twins[name] = vg.train_many(models, data.x, data.y, steps=1000, **ADAM).table.accuracy.median()
    rates = (0.03, 0.1, 0.3, 1.0)
    slow = [vg.mlp(10, 32, seed=seed, **net) for net in TWINS.values() for _ in rates]
    reached = vg.train_many(slow, data.x, data.y, steps=500, **SGD | {"lr": [*rates] * 2}).table.accuracy
    factors = {}
    for name, net in TWINS.items():
        table = vg.gradient_profile(vg.mlp(10, 32, seed=seed, **net).double(), data.x[:256].double(), data.y[:256])
        rms = table[table.layer.str.startswith("act")].grad_rms
        factors[name] = (rms.iloc[0] / rms.iloc[-1]) ** (1 / 9)
    assert abs(np.log10(factors["tanh"] / factors["sigmoid"])) < 0.06, "the text says that they lose it alike"
    return {
        "l4-twins-adam-tanh": twins["tanh"],
        "l4-twins-adam-sigmoid": twins["sigmoid"],
        "l4-twins-sgd": reached.max(),
        "l4-twin-factor": factors["sigmoid"],
    }


@experiment(l4_readout_raw=within(0.01), l4_readout_standard=within(0.06))
def read_out_of_ten_sigmoid_layers(seed):
    data = tasks.digits()
    with torch.no_grad():
        h = vg.mlp(10, 32, seed=seed, **TWINS["sigmoid"]).double()[:-1](data.x.double())
        other = vg.mlp(10, 32, seed=seed, **TWINS["tanh"]).double()[:-1](data.x.double())
    share, whole = (((z - z.mean(0)).norm() / z.norm()).item() for z in (h, other))
    assert 1e-7 < share < 1e-5, "the text says: a millionth"
    assert whole > 0.9, "the figure says that all of the tanh network's signal differs"
    reached = {}
    for key, features in {"raw": h, "standard": (h - h.mean(0)) / h.std(0)}.items():
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            head = nn.Sequential(nn.Linear(32, 10)).double()
        trained = vg.train_many([head], features, data.y, steps=1000, **SGD | {"lr": 0.1})
        reached[f"l4-readout-{key}"] = trained.table.accuracy[0]
    return reached
