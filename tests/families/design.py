"""The families that the rules of the diagnosis were designed on."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from vglab.nets import Residual, init_, mlp

from . import digits, register

FAMILIES = {}
family = register(FAMILIES)
sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW


def images(n, seed):
    """n digits as images, (n, 1, 8, 8), and their labels."""
    x, y = digits(n, seed)
    return x.view(n, 1, 8, 8), y


def latch(n, length, channels=4):
    """Sequences (n, length, channels) of weak noise whose first step alone tells the class, 0 or 1."""
    y = torch.arange(n) % 2
    x = 0.1 * torch.randn(n, length, channels)
    x[:, 0] += (2.0 * y - 1)[:, None]
    return x, y


class LastStep(nn.Module):
    """Reads a class from the last output of a recurrent net."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(rnn.hidden_size, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


# ---------------------------------------------------------------- healthy


@family()
def he_relu_of_50_layers(seed):
    """On any one batch some 43 % of its units are off for every example."""
    model = mlp(50, (48, 64, 96)[seed % 3], act="relu", sigma_w=2**0.5)
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.002, momentum=0.9)


@family()
def zero_head(seed):
    """No gradient passes the head before the first step."""
    model = mlp(6 + seed % 3, 64, act="tanh", sigma_w=1.0)
    nn.init.zeros_(model.head.weight)
    return model, digits(128, seed), F.cross_entropy, adam(model.parameters(), lr=2e-3)


class ScaledBlock(nn.Module):
    def __init__(self, width, gamma):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), gamma))

    def forward(self, h):
        return h + self.gamma * self.down(F.gelu(self.up(self.norm(h))))


@family(trunk=ScaledBlock, head=False)
def layer_scale(seed):
    """CaiT's layer scale of 1e-4: the branches get next to no gradient, the trunk all of it."""
    blocks = [ScaledBlock(48, 1e-4) for _ in range(12 + seed % 3)]
    model = nn.Sequential(nn.Linear(64, 48), *blocks, nn.LayerNorm(48), nn.Linear(48, 10))
    return model, digits(64, seed), F.cross_entropy, adamw(model.parameters(), lr=3e-3)


class Rezero(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear, self.alpha = nn.Linear(width, width), nn.Parameter(torch.zeros(()))

    def forward(self, h):
        return h + self.alpha * torch.relu(self.linear(h))


@family(trunk=Rezero, head=False)
def rezero(seed):
    model = nn.Sequential(nn.Linear(64, 64), *[Rezero(64) for _ in range(20 + 2 * seed % 5)], nn.Linear(64, 10))
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.03)


class ConvBlock(nn.Module):
    """A residual block whose last normalization starts at zero."""

    def __init__(self, channels):
        super().__init__()
        conv = [nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2)]
        norm = [nn.BatchNorm2d(channels) for _ in range(2)]
        nn.init.zeros_(norm[1].weight)
        self.branch = nn.Sequential(conv[0], norm[0], nn.ReLU(inplace=True), conv[1], norm[1])

    def forward(self, h):
        return F.relu(h + self.branch(h))


@family(trunk=ConvBlock, head=False)
def resnet_with_zero_gamma(seed):
    stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
    body = nn.Sequential(*[ConvBlock(8) for _ in range(4 + seed % 2)])
    model = nn.Sequential(stem, body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10))
    return model, images(32, seed), F.cross_entropy, sgd(model.parameters(), lr=0.05, momentum=0.9)


@family()
def conv_with_norm_and_pooling(seed):
    def stage(c_in, c_out):
        conv = nn.Conv2d(c_in, c_out, 3, padding=1)
        return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2))

    c = 16 + 8 * (seed % 2)
    model = nn.Sequential(stage(1, 8), stage(8, c), nn.Flatten(), nn.Linear(4 * c, 10))
    return model, images(64, seed), F.cross_entropy, adam(model.parameters(), lr=3e-3)


@family()
def trained_for_100_steps(seed):
    """Its loss and gradients are small because it has learnt; the optimizer has its moments."""
    model = mlp(5, 64, act="tanh", sigma_w=1.0)
    (x, y), optimizer = digits(64, seed), adam(model.parameters(), lr=1e-3)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model, (x, y), F.cross_entropy, optimizer


@family()
def near_a_minimum(seed):
    """A student that starts a little off its teacher: every gradient is tiny, relative to anything."""
    teacher = mlp(4, 32, act="tanh", sigma_w=1.2, d_in=8, d_out=2)
    x = torch.randn(128, 8)
    y = teacher(x).detach()
    with torch.no_grad():
        for p in teacher.parameters():
            p += 1e-3 * torch.randn_like(p)
    return teacher, (x, y), F.mse_loss, sgd(teacher.parameters(), lr=0.3, momentum=0.9)


@family()
def loss_in_small_units(seed):
    model = mlp(4, 48 + 16 * (seed % 2), act="relu", sigma_w=2**0.5)
    loss_fn = lambda out, y: 1e-4 * F.cross_entropy(out, y)
    return model, digits(64, seed), loss_fn, sgd(model.parameters(), lr=500)


class Tagger(nn.Module):
    """Token ids to the mean of their embeddings to a class; takes keywords and returns its own loss."""

    def __init__(self, words):
        super().__init__()
        self.embed = nn.Embedding(words, 24, padding_idx=0)
        self.hidden, self.head = nn.Linear(24, 32), nn.Linear(32, 4)

    def forward(self, ids, labels):
        out = self.head(F.gelu(self.hidden(self.embed(ids).mean(1))))
        return {"loss": F.cross_entropy(out, labels), "logits": out}


@family()
def embeddings_and_a_batch_of_8(seed):
    ids = torch.randint(1, 200, (8, 12))
    batch = {"ids": ids, "labels": torch.randint(4, (8,))}
    model = Tagger(200)
    return model, batch, lambda out: out["loss"], adamw(model.parameters(), lr=3e-3)


@family()
def frozen_first_layers(seed):
    """Fine-tuning: the frozen layers get no gradient because none is asked for."""
    model = mlp(6, 64, act="relu", sigma_w=2**0.5)
    for layer in (model.linear1, model.linear2, model.linear3):
        layer.requires_grad_(False)
    rest = [p for p in model.parameters() if p.requires_grad]
    return model, digits(64, seed), F.cross_entropy, sgd(rest, lr=0.05)


class TwoHeads(nn.Module):
    """The second head is for another day; activations are functional calls."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, width), nn.Linear(width, width), nn.Linear(width, width)])
        self.first, self.second = nn.Linear(width, 10), nn.Sequential(nn.Linear(width, width), nn.Linear(width, 3))

    def forward(self, x):
        for layer in self.layers:
            x = F.elu(layer(x))
        return self.first(x)


@family()
def unused_branch(seed):
    model = TwoHeads(40 + 8 * seed)
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.1, momentum=0.9)


@family()
def autoencoder_with_a_bottleneck(seed):
    widths = [64, 32, 16, 6 + seed, 16, 32, 64]
    layers = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.Tanh())][:-1]
    model, (x, _) = init_(nn.Sequential(*layers), "xavier"), digits(64, seed)
    return model, (x, x), F.mse_loss, adam(model.parameters(), lr=3e-3)


@family(trunk=nn.TransformerEncoderLayer, head=False)
def pre_norm_transformer(seed):
    """Digits as sequences of eight rows."""
    x, y = digits(32, seed)
    block = lambda: nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
    model = nn.Sequential(nn.Linear(8, 32), *[block() for _ in range(3)], nn.Flatten(), nn.Linear(256, 10))
    return model, (x.view(32, 8, 8), y), F.cross_entropy, adamw(model.parameters(), lr=1e-3)


@family(trunk=nn.RNNBase)
def lstm_with_forget_bias(seed):
    model = LastStep(nn.LSTM(4, 24, batch_first=True))
    with torch.no_grad():
        model.rnn.bias_ih_l0[24:48] = 3.0
    return model, latch(32, 24 + 2 * seed), F.cross_entropy, adam(model.parameters(), lr=5e-3)


@family()
def selu_of_16_layers(seed):
    model = mlp(16, (48, 64, 80)[seed % 3], act="selu", sigma_w=1.0)
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.01)


@family()
def dropout_and_weight_decay(seed):
    layers = [m for _ in range(3) for m in (nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.3))]
    model = init_(nn.Sequential(*layers, nn.Linear(64, 10)), "he")
    return model, digits(128, seed), F.cross_entropy, sgd(model.parameters(), lr=0.1, weight_decay=1e-2)


# ---------------------------------------------------------------- vanishing


@family("vanishing", "saturating activation")
def tanh_with_large_biases(seed):
    model = mlp(8 + seed, 64, act="tanh", sigma_w=1.0, sigma_b=5.0)
    nn.init.zeros_(model.head.bias)
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.1)


@family("vanishing", "activation without unit gain")
def sigmoid_of_9_layers(seed):
    model = mlp(9 + seed % 2, (48, 64, 96)[seed % 3], act="sigmoid", sigma_w=1.0)
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.3)


@family("vanishing", "activation without unit gain")
def hard_sigmoid_with_adam(seed):
    model = init_(mlp(9, 64, act=nn.Hardsigmoid), "xavier")
    return model, digits(64, seed), F.cross_entropy, adam(model.parameters(), lr=1e-3)


@family("vanishing", "weights too small")
def tanh_with_default_weights(seed):
    model = mlp(20 + 4 * seed, 64, act="tanh")
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.1, momentum=0.9)


@family("vanishing", "weights too small")
def relu_of_30_layers_with_xavier(seed):
    """He et al. (2015), section 2.2: the net of 30 layers that stalls."""
    model = init_(mlp(30 + 2 * seed, 64, act="relu"), "xavier")
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.01)


class Functional(nn.Module):
    """No activation modules: the forward pass calls functions."""

    def __init__(self, depth, width, act):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64 if i == 0 else width, width) for i in range(depth)])
        self.head, self.act = nn.Linear(width, 10), act

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return self.head(x)


@family("vanishing", "weights too small")
def functional_relu_with_default_weights(seed):
    model = Functional(20 + seed, 48 + 16 * (seed % 2), F.relu)
    return model, digits(64, seed), F.cross_entropy, adam(model.parameters(), lr=3e-4)


@family("vanishing", "weights too small")
def conv_with_weights_of_one_hundredth(seed):
    layers = [m for i in range(6) for m in (nn.Conv2d(8 if i else 1, 8, 3, padding=1), nn.ReLU())]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    for p in model.parameters():
        nn.init.normal_(p, 0, 0.01) if p.dim() > 1 else nn.init.zeros_(p)
    return model, images(32, seed), F.cross_entropy, sgd(model.parameters(), lr=0.1)


@family("vanishing", "depth")
def tanh_of_80_layers(seed):
    """About 0.92 of the gradient is left at each layer."""
    model = mlp(80 + 5 * seed, 64, act="tanh", sigma_w=1.15, sigma_b=0.25)
    return model, digits(32, seed), F.cross_entropy, sgd(model.parameters(), lr=0.03)


@family("vanishing", "recurrence", trunk=nn.RNNBase)
def rnn_of_50_steps(seed):
    model = LastStep(nn.RNN(4, 32, batch_first=True))
    return model, latch(64, 50 + 5 * seed), F.cross_entropy, adam(model.parameters(), lr=3e-4)


@family("vanishing", "recurrence", trunk=nn.RNNBase)
def lstm_of_60_steps(seed):
    model = LastStep(nn.LSTM(4, 24, batch_first=True))
    return model, latch(32, 60), F.cross_entropy, sgd(model.parameters(), lr=0.1)


@family("vanishing", "precision")
def small_loss_in_float16(seed):
    model = mlp(5, 32, act="tanh", sigma_w=1.0).half()
    x, y = digits(32, seed)
    loss_fn = lambda out, y: 1e-6 * F.cross_entropy(out.float(), y)
    return model, (x.half(), y), loss_fn, sgd(model.parameters(), lr=5e4)


@family("vanishing", "normalization eps")
def layer_norm_with_a_large_eps(seed):
    """Each norm should undo the weights' scale of a tenth; its eps of 1 keeps it from doing so."""
    blocks = [(nn.Linear(64, 64), nn.LayerNorm(64, eps=1.0), nn.Tanh()) for _ in range(6 + seed % 3)]
    model = nn.Sequential(*[nn.Sequential(*block) for block in blocks], nn.Linear(64, 10))
    init_(model[:-1], sigma_w=0.1)
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.1)


# ---------------------------------------------------------------- exploding


@family("exploding", "weights too large")
def relu_with_large_weights(seed):
    model = mlp(10 + seed, 64, act="relu", sigma_w=4.0)
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.01)


@family("exploding", "weights too large")
def tanh_in_chaos(seed):
    model = mlp(28, 64 + 16 * seed, act="tanh", sigma_w=4.0)
    return model, digits(64, seed), F.cross_entropy, adam(model.parameters(), lr=1e-3)


class Unrolled(nn.Module):
    """A tanh cell written out by hand, one weight matrix for all steps."""

    def __init__(self, width, gain):
        super().__init__()
        self.read, self.recur, self.head = nn.Linear(4, width), nn.Linear(width, width), nn.Linear(width, 2)
        nn.init.normal_(self.recur.weight, 0, gain * width**-0.5)

    def forward(self, x):
        h = x.new_zeros(len(x), self.recur.in_features)
        for x_t in x.unbind(1):
            h = torch.tanh(self.read(x_t) + self.recur(h))
        return self.head(h)


@family("exploding", "recurrence")
def unrolled_cell_in_chaos(seed):
    model = Unrolled(48 + 16 * (seed % 2), 3.0)
    return model, latch(32, 40), F.cross_entropy, sgd(model.parameters(), lr=0.03)


@family("exploding", "normalization without skips")
def batch_norm_in_50_relu_layers(seed):
    model = mlp(50 + 2 * seed, 64, act="relu", sigma_w=2**0.5, norm="batch")
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.03)


@family("exploding", "residual without normalization", trunk=Residual, head=False)
def unscaled_residual_branches(seed):
    model = mlp(24 + 2 * seed, 64, act="relu", sigma_w=2**0.5, skip=True)
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.01)


@family("exploding", "learning rate")
def relu_with_a_rate_of_100(seed):
    model = mlp(4, 64, act="relu", sigma_w=2**0.5)
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=100)


# ---------------------------------------------------------------- dead


@family("dead", "saturating activation")
def inputs_far_from_zero(seed):
    """Pixels around 300 push each unit of the first layer to one flat end for every example."""
    model, (x, y) = mlp(3, 64, act="sigmoid", sigma_w=1.0), digits(64, seed)
    return model, (x + 300, y), F.cross_entropy, sgd(model.parameters(), lr=0.1)


@family("dead", "dead ReLUs")
def relu_with_negative_biases(seed):
    model = mlp(4 + seed % 2, 64, act="relu", sigma_w=2**0.5)
    nn.init.constant_(model.linear2.bias, -15.0)
    return model, digits(64, seed), F.cross_entropy, sgd(model.parameters(), lr=0.1)


@family("dead", "dead ReLUs")
def conv_with_negative_biases(seed):
    layers = [m for i in range(3) for m in (nn.Conv2d(8 if i else 1, 8, 3, padding=1), nn.ReLU())]
    model = init_(nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10)), "he")
    for layer in model[:6:2]:
        nn.init.constant_(layer.bias, -15.0)
    return model, images(32, seed), F.cross_entropy, adam(model.parameters(), lr=1e-3)


@family("dead", "learning rate")
def relu_killed_by_its_rate(seed):
    """Huber's loss bounds the gradient, so the loss does not blow up; nine in ten units are gone after ten steps."""
    model, (x, y) = mlp(2, 64, act="relu", sigma_w=2**0.5), digits(64, seed)
    target = F.one_hot(y, 10).float()
    return model, (x, target), F.smooth_l1_loss, sgd(model.parameters(), lr=10, momentum=0.9)
