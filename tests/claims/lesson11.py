"""The claims of lesson 11, the gradient clinic."""

from functools import cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import tasks
from vglab.experiments import patient, patients

from .register import digits, experiment, within

HE, SICK, RELU = 2**0.5, {"act": "sigmoid", "sigma_w": 1.0}, {"act": "relu", "sigma_w": 2**0.5}
RATES, SLOW = (0.003, 0.01, 0.03, 0.1), (0.001, 0.003, 0.01)
SINGLE = {
    "nothing": {}, "gain 4": {"sigma_w": 4.0}, "gain 10": {"sigma_w": 10.0}, "orthogonal": {},
    "LayerNorm": {"norm": "layer"}, "RMSNorm": {"norm": "rms"}, "BatchNorm": {"norm": "batch"}, "skips": {"skip": True},
    "ReLU, torch's draw": {"act": "relu", "sigma_w": None}, "ReLU, Xavier": {"act": "relu"}, "ReLU, He": RELU,
    "leaky, He": {"act": "leaky_relu", "sigma_w": HE}, "GELU, He": {"act": "gelu", "sigma_w": HE},
    "SiLU, He": {"act": "silu", "sigma_w": HE}, "tanh": {"act": "tanh"}, "tanh, orthogonal": {"act": "tanh"},
    "ELU": {"act": "elu"}, "SELU": {"act": "selu"},
}  # fmt: skip


def network(name, change, seed):
    model = vg.mlp(20, 32, seed=seed, **(SICK | change))
    return vg.init_(model, "orthogonal", seed=seed) if "orthogonal" in name else model


def trained(nets, rates=RATES, **settings):
    """Accuracy of each net of {name: net} at the rate with its lowest loss, and whether it diverged at all of them."""
    data, grid = tasks.digits(), [(name, lr) for name in nets for lr in rates]
    table = vg.train_many(
        [nets[name] for name, _ in grid], data.x, data.y, lr=[lr for _, lr in grid], steps=200, batch_size=32,
        progress=False, **settings,
    ).table  # fmt: skip
    table["loss"] = table.loss.fillna(np.inf)
    parts = {name: table.iloc[[i for i, (other, _) in enumerate(grid) if other == name]] for name in nets}
    return {name: rows.accuracy.loc[rows.loss.idxmin()] for name, rows in parts.items()}, {
        name: bool(rows.diverged.notna().all()) for name, rows in parts.items()
    }


def factor(model):
    profile = vg.gradient_profile(model, *digits())
    blocks = profile[profile.kind == "Residual"]
    signal = (blocks if len(blocks) else profile.dropna(subset="slope")).grad_rms.to_numpy()
    return (signal[0] / signal[-1]) ** (1 / (len(signal) - 1))


@experiment(
    l11_nothing=within(0.01),
    l11_nothing_factor=within(0.006), l11_gain4_factor=within(0.03), l11_ln_factor=within(0.01),
    l11_gain10_factor=within(0.06), l11_gain10=within(0.07), l11_gelu_factor=within(0.05), l11_gelu=within(0.09),
    l11_he=within(0.16), l11_bn=within(0.04), l11_skips=within(0.01), l11_tanh=within(0.04), l11_bn_factor=within(0.02),
)  # fmt: skip
def single_remedies(seed):
    nets = {name: network(name, change, seed) for name, change in SINGLE.items()}
    accuracy, _ = trained(nets, momentum=0.9)
    accuracy |= trained({"Adam": network("Adam", {}, seed)}, SLOW, optimizer=torch.optim.Adam)[0]
    healed = {name for name in accuracy if accuracy[name] > 0.8}
    assert healed == {"BatchNorm", "skips", "tanh", "tanh, orthogonal", "ELU", "SELU"}, healed
    factors = {name: factor(net) for name, net in nets.items()}
    assert abs(factors["ReLU, He"] - 1) < 0.08, "the text says: level"
    assert factors["gain 4"] ** 19 < 1e-3, "the text says: a thousandth or less"
    assert max(accuracy[name] for name in ("Adam", "gain 4", "LayerNorm", "RMSNorm", "orthogonal")) < 0.13
    return {
        "l11-nothing": accuracy["nothing"], "l11-nothing-factor": factors["nothing"],
        "l11-gain4-factor": factors["gain 4"], "l11-ln-factor": factors["LayerNorm"],
        "l11-gain10-factor": factors["gain 10"], "l11-gain10": accuracy["gain 10"],
        "l11-gelu-factor": factors["GELU, He"], "l11-gelu": accuracy["GELU, He"], "l11-he": accuracy["ReLU, He"],
        "l11-bn": accuracy["BatchNorm"], "l11-skips": accuracy["skips"], "l11-tanh": accuracy["tanh"],
        "l11-bn-factor": factors["BatchNorm"],
    }  # fmt: skip


def amplified(act, by):
    def activation(z):
        h = act(z)
        return h.detach() + by * (h - h.detach())

    return activation


@experiment(
    l11_levelled=within(0.02),
    l11_levelled_factor=within(0.02),
    l11_muffled=within(0.1),
    l11_muffled_factor=within(0.01),
)
def signal_and_gradient_apart(seed):
    acts = {"levelled": amplified(torch.sigmoid, 1 / 0.235), "muffled": amplified(torch.tanh, 0.25)}
    nets = {name: vg.mlp(20, 32, act=act, sigma_w=1.0, seed=seed) for name, act in acts.items()}
    x = digits()[0]
    plain = vg.mlp(20, 32, act="sigmoid", sigma_w=1.0, seed=seed)
    assert torch.equal(plain(x), nets["levelled"](x)), "the text says: to the last bit"
    accuracy, _ = trained(nets, momentum=0.9)
    data = tasks.digits()
    double = vg.train_many(
        [nets["levelled"].double()] * 3, data.x, data.y, lr=[0.003, 0.03, 0.3], momentum=0.9, steps=200, batch_size=32,
        progress=False,
    ).table  # fmt: skip
    assert double.accuracy.max() < 0.13, "the text says: in float64, too"
    nets["levelled"].float()
    readings = {f"l11-{name}": accuracy[name] for name in nets}
    return readings | {f"l11-{name}-factor": factor(net) for name, net in nets.items()}


@experiment(l11_bn_he=within(0.1), l11_bn_he_factor=within(0.05), l11_all=within(0.03), l11_all_adam=within(0.03))
def stacks(seed):
    changes = {
        "BatchNorm, He": RELU | {"norm": "batch"},
        "skips, He": RELU | {"skip": True},
        "skips, BatchNorm": {"norm": "batch", "skip": True},
        "all": RELU | {"norm": "batch", "skip": True},
    }
    nets = {name: network(name, change, seed) for name, change in changes.items()}
    accuracy, diverged = trained(nets, momentum=0.9)
    assert diverged == {name: name == "skips, He" for name in nets}
    adam = trained({"all": nets["all"]}, SLOW, optimizer=torch.optim.Adam)[0]["all"]
    alone = trained({"skips": network("skips", SINGLE["skips"], seed)}, momentum=0.9)[0]["skips"]
    assert max(*accuracy.values(), adam) < alone + 0.01, "the text says: no stack beats the skips alone"
    return {
        "l11-bn-he": accuracy["BatchNorm, He"], "l11-bn-he-factor": factor(nets["BatchNorm, He"]),
        "l11-all": accuracy["all"], "l11-all-adam": adam,
    }  # fmt: skip


def reading(one):
    acts = one.chart().dropna(subset="slope")
    first, last = acts.grad_rms.clip(lower=1e-30).iloc[[0, -1]]
    typical = acts[["slope", "saturated"]].median().to_dict()
    return {"decades": np.log10(first / last), **typical, "cosine": acts.cosine.fillna(1).iloc[-1]}


@torch.no_grad()
def company(one, digits=16, companies=4):
    out = torch.empty(digits, companies, 10)
    draw = torch.Generator().manual_seed(1)
    for i in range(digits):
        for k in range(companies):
            batch = torch.randint(len(one.x), (one.batch_size,), generator=draw)
            batch[0] = i
            out[i, k] = one.model(one.x[batch])[0]
    return (out.var(1).mean() / out.flatten(0, 1).var(0).mean()).item()


def lean(one):
    weight = [p for p in one.model.parameters() if p.dim() == 2][1]
    loss = F.cross_entropy(one.model(one.x[: one.batch_size]), one.y[: one.batch_size])
    return F.cosine_similarity(weight, torch.autograd.grad(loss, weight)[0], dim=1).abs().max().item()


def neighbours(one):
    distance = torch.cdist(one.x, one.x).fill_diagonal_(torch.inf)
    return (one.y[distance.argmin(1)] == one.y).float().mean().item()


@cache
def ward(seed):
    return patients(40, seed=seed)


@experiment(
    l11_level=within(0.5), l11_company_small=within(0.05), l11_company_healthy=within(0.06), l11_lean=within(0.1),
    l11_neighbours=within(0.03), l11_neighbours_healthy=within(0.006), l11_memorized=within(0.13),
)  # fmt: skip
def the_ward(seed):
    kinds = {}
    for one in ward(seed):
        kinds.setdefault(one.reveal(), []).append(one)
    level = {label: [abs(reading(one)["decades"]) < 1 for one in ones] for label, ones in kinds.items()}
    sound = ("batch too small", "detached statistics", "rate too high", "shuffled labels")
    assert all(np.mean(level[label]) == (label in ("healthy", *sound)) for label in kinds), level
    eight = lambda label: [patient(8 * seed + k, among=label) for k in range(8)]
    typical = lambda probe, label: np.median([probe(one) for one in eight(label)])
    sound = [patient(20 * seed + k, among="healthy") for k in range(20)]
    normed = [one for one in sound if hasattr(one.model, "norm1")]
    assert max(company(one) for one in sound if one not in normed) < 1e-6, "the text says: without it 0"
    parrot = patient(seed, among="shuffled labels")
    model, _ = parrot.train(1500)
    assert parrot.score(model) < 0.2, "the text says: of new digits what guessing gives"
    return {
        "l11-level": sum(map(sum, level.values())) - sum(level["healthy"]),
        "l11-company-small": typical(company, "batch too small"),
        "l11-company-healthy": np.median([company(one) for one in normed]),
        "l11-lean": typical(lean, "detached statistics"),
        "l11-neighbours": typical(neighbours, "shuffled labels"),
        "l11-neighbours-healthy": typical(neighbours, "healthy"),
        "l11-memorized": (model(parrot.x).argmax(1) == parrot.y).float().mean().item(),
    }


WORDS = {
    "": "healthy", "activation without unit gain": "weak activation", "saturating activation": "saturated",
    "dead ReLUs": "dead units", "learning rate": "rate too high", "normalization without skips": "batch too small",
}  # fmt: skip


@experiment(l11_right=within(2))
def a_second_opinion(seed):
    said = []
    for one in ward(seed):
        sgd = torch.optim.SGD(one.model.parameters(), lr=one.lr, momentum=0.9)
        cause = vg.diagnose(one.model, (one.x[:128], one.y[:128]), F.cross_entropy, sgd, remedies=False).cause
        said.append((one.reveal(), WORDS.get(cause, cause)))
    sure = ("healthy", "weak activation", "weights too small", "saturated", "dead units")
    assert all(true == word for true, word in said if true in sure)
    blind = ("shuffled labels", "detached statistics", "batch too small")
    assert {word for true, word in said if true in blind} == {"healthy"}
    assert {word for true, word in said if true == "weights too large"} <= {
        "weights too large",
        "rate too high",
        "healthy",
    }
    return {"l11-right": sum(true == word for true, word in said)}


@experiment(
    l11_case_before=within(0.02),
    l11_case_decades=within(0.1), l11_case_slope=within(0.01), l11_case_saturated=within(0.02),
    l11_case_cosine=within(1e-4), l11_case_biases=within(0.6), l11_case_after_decades=within(0.06),
    l11_case_after_slope=within(0.01), l11_case_after=within(0.05),
)  # fmt: skip
def the_case(seed):
    """One patient, whose number the lesson tells; the seed is that of its batches."""
    case = patient(314)
    cured = case.copy()
    linear = [module for module in cured.model if isinstance(module, nn.Linear)]
    biases = np.median([layer.bias.std().item() for layer in linear[:-1]])
    assert all(abs(layer.weight.std().item() * layer.in_features**0.5 - 1) < 0.05 for layer in linear)
    for layer in linear:
        nn.init.zeros_(layer.bias)
    assert (case.reveal(), case.changes(cured)) == ("saturated", ("biases",))
    before, after = reading(case), reading(cured)
    return {
        "l11-case-before": case.score(case.train(seed=seed)[0]), "l11-case-decades": -before["decades"],
        "l11-case-slope": before["slope"], "l11-case-saturated": before["saturated"],
        "l11-case-cosine": before["cosine"], "l11-case-biases": biases, "l11-case-after-decades": -after["decades"],
        "l11-case-after-slope": after["slope"], "l11-case-after": cured.score(cured.train(seed=seed)[0]),
    }  # fmt: skip
