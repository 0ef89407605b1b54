"""The claims of lesson 10, gates: what a forget bias keeps of the gradient, and what that did for speech and text."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import tasks, theory

from .register import experiment, within

ADAM = {"optimizer": torch.optim.Adam, "batch_size": 32, "progress": False}


def cell_decades(bias, seed, steps=100):
    """Decades from the last cell to the one 98 steps back."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        cell, head = nn.LSTMCell(12, 64).double(), nn.Linear(64, 9).double()
        x, y = torch.randn(32, steps, 12).double(), torch.randint(9, (32,))
    if bias is not None:
        with torch.no_grad():
            cell.bias_ih[64:128], cell.bias_hh[64:128] = bias, 0.0
    h, c, cells = torch.zeros(32, 64).double(), torch.zeros(32, 64).double(), []
    for x_t in x.unbind(1):
        h, c = cell(x_t, (h, c))
        cells.append(c)
    far, near = torch.autograd.grad(F.cross_entropy(head(h), y), [cells[-99], cells[-1]])
    return torch.log10(far.square().mean().sqrt() / near.square().mean().sqrt()).item()


@experiment(
    l10_default=within(1.2),
    l10_bias_1=within(0.6),
    l10_bias_5=within(0.35),
    l10_path_0=within(0.05),
    l10_chrono_40=within(0.05),
)
def gradient_of_the_cell(seed):
    assert abs(cell_decades(3.0, seed)) < 1.2, "the text says: with 3 it stays within a decade"
    return {
        "l10-default": -cell_decades(None, seed),
        "l10-bias-1": -cell_decades(1.0, seed),
        "l10-bias-5": cell_decades(5.0, seed),
        "l10-path-0": 98 * np.log10(2),
        "l10-chrono-40": theory.chrono_bias(40, 10000, seed=seed).max().item(),
    }


@experiment(l10_latch_bias=within(0), l10_latch_0=within(0.02))
def latch_by_forget_bias(seed):
    data, biases = tasks.latch(40, n_train=2000, seed=seed), range(5)
    models = [vg.recurrent("lstm", 16, d_in=2, d_out=2, seed=10 * seed, forget_bias=float(b)) for b in biases]
    models += [vg.recurrent("rnn", 16, d_in=2, d_out=2, sigma_w=1.0, init="orthogonal", seed=10 * seed)]
    trained = vg.train_many(models, data.x, data.y, lr=0.01, steps=300, x_test=data.x_test, y_test=data.y_test, **ADAM)
    reached = trained.table.test_accuracy.to_numpy()
    assert reached[5] > 0.95, "the text says that the network without gates learns it"
    return {"l10-latch-bias": int(np.flatnonzero(reached[:5] > 0.95)[0]), "l10-latch-0": reached[0]}


@experiment(
    l10_speech_3=within(0.05), l10_speech_orthogonal=within(0.08), l10_gate_speech=within(0.03),
    l10_gate_noise=within(0.04), l10_forget=within(0.02),
)  # fmt: skip
def speech_and_noise(seed):
    data, shape = tasks.speech(30, noise=0.3, seed=seed), {"d_in": 12, "d_out": 9, "seed": 10 * seed}
    models = [
        vg.recurrent("rnn", 32, sigma_w=1.0, init="orthogonal", **shape),
        vg.recurrent("lstm", 32, forget_bias=3.0, **shape),
        vg.recurrent("gru", 32, forget_bias=3.0, **shape),
    ]
    test = {"x_test": data.x_test, "y_test": data.y_test}
    trained = vg.train_many(models, data.x, data.y, lr=0.005, steps=250, **test, **ADAM)
    reached = trained.table.test_accuracy.to_numpy()
    assert reached[2] > 0.85, "the text says: the GRU as well"
    assert trained.table.accuracy[0] > 0.75, "the figure says that all learn the training recordings"
    input_gate, forget_gate = mean_gates(trained.models[1].rnn, data.x_test)
    assert abs(forget_gate[:7].mean() - forget_gate[30:].mean()) < 0.03, "the text says: all the time"
    return {
        "l10-speech-orthogonal": reached[0],
        "l10-speech-3": reached[1],
        "l10-gate-speech": input_gate[:7].mean(),
        "l10-gate-noise": input_gate[30:].mean(),
        "l10-forget": forget_gate.mean(),
    }


@torch.no_grad()
def mean_gates(rnn, x):
    """Mean input and forget gate at every step, from the layer's own outputs: h is known, so the gates are."""
    outputs, _ = rnn(x)
    before = torch.cat([torch.zeros_like(outputs[:, :1]), outputs[:, :-1]], dim=1)
    z = x @ rnn.weight_ih_l0.T + before @ rnn.weight_hh_l0.T + rnn.bias_ih_l0 + rnn.bias_hh_l0
    i, f, _, _ = z.sigmoid().chunk(4, dim=2)
    return i.mean((0, 2)).numpy(), f.mean((0, 2)).numpy()


@experiment(l10_text_default=within(0.12), l10_text_3=within(0.08))
def text_eighty_characters_back(seed):
    data, shape = tasks.quotation(80, seed=seed), {"d_in": 39, "d_out": 2, "seed": 10 * seed}
    models = [vg.recurrent("lstm", 32, forget_bias=bias, **shape) for bias in (None, 3.0)]
    test = {"x_test": data.x_test, "y_test": data.y_test}
    reached = vg.train_many(models, data.x, data.y, lr=0.005, steps=300, **test, **ADAM).table.test_accuracy
    return {"l10-text-default": reached[0], "l10-text-3": reached[1]}
