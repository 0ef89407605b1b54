"""The claims of lesson 5, memory: gradients through time, speech, text and the exploding twin."""

import numpy as np
import torch
from scipy.optimize import brentq
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import tasks, theory

from .register import at_most, experiment, within

ADAM = {"optimizer": torch.optim.Adam, "lr": 0.001, "batch_size": 32}
ORTHOGONAL = {"sigma_w": 1.0, "init": "orthogonal"}


def networks(seed, n, width, d_in, d_out, **start):
    return [vg.recurrent("rnn", width, d_in=d_in, d_out=d_out, seed=1000 * seed + k, **start) for k in range(n)]


def train(models, data, steps=300, **settings):
    settings = {"batch_size": 64, "steps": steps, "progress": False} | settings
    return vg.train_many(models, data.x, data.y, x_test=data.x_test, y_test=data.y_test, **settings)


def accuracies(trained):
    return trained.table.test_accuracy.to_numpy()


def noise(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(32, 100, 12, generator=generator), torch.randint(9, (32,), generator=generator)


def growth(model, x, y):
    """Decades from the last state that the probe sees to the first."""
    rms = vg.gradient_profile(model, x, y).query("layer == 'rnn.l0'").grad_rms
    return np.log10(rms.iloc[0] / rms.iloc[-1])


@experiment(l5_default_decades=within(2), l5_default_factor=within(0.02))
def unrolled_by_hand(seed):
    x, y = noise(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        cell, head = nn.RNNCell(12, 64), nn.Linear(64, 9)
    h, states = torch.zeros(32, 64), []
    for t in range(100):
        h = cell(x[:, t], h)
        states.append(h)
    gradients = torch.autograd.grad(F.cross_entropy(head(h), y), states)
    first, last = (g.double().square().mean().sqrt().item() for g in (gradients[0], gradients[-1]))
    return {"l5-default-decades": np.log10(last / first), "l5-default-factor": (first / last) ** (1 / 99)}


@experiment(l5_loss_at_15=within(0.8), l5_turning_point=within(0.05))
def a_spectral_radius_above_one(seed):
    lost = np.median([-growth(m, *noise(seed)) for m in networks(seed, 3, 64, 12, 9, sigma_w=1.5)])
    assert growth(networks(seed, 1, 64, 12, 9, sigma_w=2.0)[0], *noise(seed)) > 0, "the text says: 2 rises"
    silent = growth(networks(seed, 1, 64, 12, 9, sigma_w=1.5)[0], 0 * noise(seed)[0], noise(seed)[1])
    assert silent > 10, "the text says: without input, 1.5 explodes"
    turning = brentq(lambda s: theory.recurrent_factor("tanh", s, sigma_x=1.0) - 1, 1.2, 2.5)
    return {"l5-loss-at-15": lost, "l5-turning-point": turning}


@experiment(l5_latch_default_20=at_most, l5_clipping_vanished=at_most)
def latch_over_twenty_steps(seed):
    data, default = tasks.latch(20, n_train=2000, seed=seed), networks(seed, 8, 16, 2, 2)
    learned = accuracies(train(default + networks(seed, 8, 16, 2, 2, **ORTHOGONAL), data, lr=0.1)) > 0.95
    assert learned[8:].sum() >= 7, "the text says: eight orthogonal networks, or at worst seven"
    clipped = accuracies(train(default, data, lr=0.1, clip=1.0)) > 0.95
    longer = tasks.latch(80, n_train=2000, seed=seed)
    by_adam = accuracies(train(networks(seed, 4, 16, 2, 2), longer, optimizer=torch.optim.Adam, lr=0.01))
    assert (by_adam > 0.95).any(), "the text says: by Adam a part of the networks remember over 80 steps"
    return {"l5-latch-default-20": learned[:8].sum(), "l5-clipping-vanished": clipped.sum()}


@experiment(l5_speech_0=within(0.02), l5_speech_30=within(0.025), l5_speech_30_orthogonal=within(0.04))
def speech_and_silence(seed):
    default = networks(seed, 3, 32, 12, 9)
    spoken = accuracies(train(default, tasks.speech(), **ADAM))
    silent = train(default + networks(seed, 3, 32, 12, 9, **ORTHOGONAL), tasks.speech(30), **ADAM)
    assert abs(silent.table.loss[:3].median() - np.log(9)) < 0.02, "the text says: the loss stays at ln 9"
    return {
        "l5-speech-0": np.median(spoken),
        "l5-speech-30": np.median(accuracies(silent)[:3]),
        "l5-speech-30-orthogonal": np.median(accuracies(silent)[3:]),
    }


@experiment(l5_text_whole=within(0.08), l5_style_alone=within(0.05))
def text_with_everything_in_between(seed):
    text, models = tasks.quotation(40, seed=seed), networks(seed, 3, 32, 39, 2)
    style = text._replace(x=text.x[:, -40:], x_test=text.x_test[:, -40:])
    trained = train(models, text, 600, **ADAM)
    level = np.median([abs(growth(m, text.x[:200], text.y[:200])) for m in trained.models])
    assert level < 1.5, "the text says: after training the gradient is level over sixty characters"
    return {
        "l5-text-whole": np.median(accuracies(trained)),
        "l5-style-alone": np.median(accuracies(train(models, style, 600, **ADAM))),
    }


@experiment(l5_text_blank=within(0.02), l5_text_blank_orthogonal=within(0.03))
def text_with_nothing_in_between(seed):
    text = tasks.quotation(40, seed=seed)
    text.x[:, -40:], text.x_test[:, -40:] = 0, 0
    models = networks(seed, 2, 32, 39, 2) + networks(seed, 2, 32, 39, 2, **ORTHOGONAL)
    reached = accuracies(train(models, text, 600, **ADAM))
    return {"l5-text-blank": np.median(reached[:2]), "l5-text-blank-orthogonal": np.median(reached[2:])}


@experiment(l5_diverged=at_most, l5_solved_unclipped=within(2), l5_solved_clipped=within(1))
def exploding_networks(seed):
    data, models = tasks.latch(30, n_train=2000, seed=seed), networks(seed, 8, 32, 2, 2, sigma_w=3.0)
    free, clipped = train(models, data, lr=0.3), train(models, data, lr=0.3, clip=1.0)
    return {
        "l5-diverged": free.table.diverged.notna().sum(),
        "l5-solved-unclipped": (accuracies(free) > 0.95).sum(),
        "l5-solved-clipped": (accuracies(clipped) > 0.95).sum(),
    }
