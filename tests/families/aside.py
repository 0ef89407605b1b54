"""The families set aside: no rule of the diagnosis was designed on them, so do not look here when you change one."""

import math
from itertools import pairwise

import torch
from sklearn.datasets import load_breast_cancer, load_wine
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from vglab.nets import init_

from . import register

FAMILIES = {}
family = register(FAMILIES)
sgd, adam, adamw, rmsprop = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop


def table(load, n):
    """n rows of a table of scikit-learn, as measured and not standardized, and their classes."""
    x, y = load(return_X_y=True)
    rows = torch.randperm(len(x))[:n]
    return torch.tensor(x, dtype=torch.float32)[rows], torch.tensor(y)[rows]


def standard(x):
    return (x - x.mean(0)) / x.std(0)


def waves(n, length=32):
    """Noisy sines, (n, 1, length), of one, two or three periods: the class."""
    y, t = torch.randint(3, (n,)), torch.linspace(0, 2 * math.pi, length)
    x = torch.sin((y[:, None] + 1) * t + 6 * torch.rand(n, 1)) + 0.1 * torch.randn(n, length)
    return x[:, None], y


def curve(n):
    """Points x: (n, 2) and a smooth function of them, (n, 1)."""
    x = 2 * torch.rand(n, 2) - 1
    return x, torch.sin(3 * x[:, :1]) * torch.cos(2 * x[:, 1:])


def stack(depth, width, make, *, d_in, d_out):
    """`depth` times a linear layer and what `make()` returns, in nested containers, and a linear head."""
    blocks = [nn.Sequential(nn.Linear(width if i else d_in, width), *make()) for i in range(depth)]
    return nn.Sequential(nn.Sequential(*blocks), nn.Linear(width, d_out))


class Sum(nn.Module):
    """h plus a branch of it."""

    def __init__(self, *branch):
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, h):
        return h + self.branch(h)


class Final(nn.Module):
    """The last output of a recurrent net through a linear layer."""

    def __init__(self, rnn, d_out=1):
        super().__init__()
        self.rnn, self.out = rnn, nn.Linear(rnn.hidden_size, d_out)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


def first_value(n, length):
    """Sequences (n, length, 1) of zeros after a first number, which is the target."""
    y = torch.randn(n, 1)
    return torch.cat([y[:, None], torch.zeros(n, length - 1, 1)], 1), y


# ---------------------------------------------------------------- healthy


@family(trunk=nn.RNNBase)
def orthogonal_rnn(seed):
    model = Final(nn.RNN(1, 32, batch_first=True))
    nn.init.orthogonal_(model.rnn.weight_hh_l0)
    nn.init.zeros_(model.rnn.bias_hh_l0)
    nn.init.zeros_(model.rnn.bias_ih_l0)
    nn.init.normal_(model.rnn.weight_ih_l0, 0, 0.1)
    return model, first_value(32, 20 + 3 * seed), F.mse_loss, rmsprop(model.parameters(), lr=1e-3)


@family(trunk=nn.RNNBase)
def short_gru(seed):
    """Adds up the numbers of six steps, as they come."""
    x = torch.randn(32, 6 + seed % 2, 2)
    model = Final(nn.GRU(2, 24, batch_first=True))
    return model, (x, x.sum((1, 2))[:, None]), F.mse_loss, adam(model.parameters(), lr=5e-3)


class UNet(nn.Module):
    """Two levels down, two up; each level up sees what the level down of its size made."""

    def __init__(self, c):
        super().__init__()
        conv = lambda a, b: nn.Sequential(nn.Conv1d(a, b, 3, padding=1), nn.ReLU())
        self.one, self.two, self.three = conv(1, c), conv(c, 2 * c), conv(2 * c, 2 * c)
        self.up_two, self.up_one, self.out = conv(4 * c, c), conv(2 * c, c), nn.Conv1d(c, 1, 1)

    def forward(self, x):
        one = self.one(x)
        two = self.two(F.max_pool1d(one, 2))
        three = self.three(F.max_pool1d(two, 2))
        up = self.up_two(torch.cat([F.interpolate(three, scale_factor=2), two], 1))
        return self.out(self.up_one(torch.cat([F.interpolate(up, scale_factor=2), one], 1)))


@family()
def unet_that_denoises(seed):
    x, _ = waves(32)
    model = UNet(8 + 4 * (seed % 2))
    return model, (x + 0.3 * torch.randn_like(x), x), F.mse_loss, adam(model.parameters(), lr=3e-3)


class SwiGLU(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm, self.gate, self.up, self.down = nn.RMSNorm(d), *(nn.Linear(d, d, bias=False) for _ in range(3))

    def forward(self, h):
        z = self.norm(h)
        return h + self.down(F.silu(self.gate(z)) * self.up(z))


@family(trunk=SwiGLU, head=False)
def gated_blocks(seed):
    x, y = table(load_wine, 64)
    model = nn.Sequential(nn.Linear(13, 32), *[SwiGLU(32) for _ in range(8 + seed)], nn.RMSNorm(32), nn.Linear(32, 3))
    return model, ({"input": standard(x)}, y), F.cross_entropy, adamw(model.parameters(), lr=1e-3)


class Twins(nn.Module):
    """How far two inputs are apart, after the same encoder."""

    def __init__(self, d):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(30, d), nn.Tanh(), nn.Linear(d, d), nn.Tanh(), nn.Linear(d, 8))

    def forward(self, a, b):
        return (self.encoder(a) - self.encoder(b)).square().mean(1)


@family()
def siamese(seed):
    x, y = table(load_breast_cancer, 64)
    a, b = standard(x).chunk(2)
    same = (y[:32] == y[32:]).float()
    contrast = lambda far, same: (same * far + (1 - same) * F.relu(1 - far)).mean()
    model = Twins(32 + 16 * (seed % 2))
    return model, ((a, b), same), contrast, adam(model.parameters(), lr=2e-3)


class Pool(nn.Module):
    """A set of points to one number: a learned query attends to them."""

    def __init__(self, d):
        super().__init__()
        self.embed, self.key, self.value = nn.Linear(2, d), nn.Linear(d, d), nn.Linear(d, d)
        self.query, self.out = nn.Parameter(torch.randn(1, 1, d)), nn.Linear(d, 1)

    def forward(self, points):
        h = F.silu(self.embed(points))
        query = self.query.expand(len(points), -1, -1)
        return self.out(F.scaled_dot_product_attention(query, self.key(h), self.value(h))[:, 0])


@family()
def attention_over_a_set(seed):
    points = torch.randn(48, 10 + seed, 2)
    model = Pool(24)
    return model, (points, points.amax((1, 2))[:, None]), F.mse_loss, adam(model.parameters(), lr=3e-3)


class Output:
    """What some libraries return."""

    def __init__(self, loss, logits):
        self.loss, self.logits = loss, logits


class LanguageModel(nn.Module):
    """A causal post-norm transformer whose head is its embedding."""

    def __init__(self, words, d):
        super().__init__()
        block = lambda: nn.TransformerEncoderLayer(d, 2, 2 * d, dropout=0.0, batch_first=True)
        self.embed, self.place = nn.Embedding(words, d), nn.Parameter(0.1 * torch.randn(1, 12, d))
        self.blocks = nn.ModuleList([block(), block()])
        nn.init.normal_(self.embed.weight, 0, d**-0.5)

    def forward(self, ids):
        h, mask = self.embed(ids) + self.place, nn.Transformer.generate_square_subsequent_mask(12)
        for block in self.blocks:
            h = block(h, src_mask=mask, is_causal=True)
        logits = h @ self.embed.weight.T
        return Output(F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()), logits)


@family(trunk=nn.TransformerEncoderLayer, head=False)
def post_norm_language_model(seed):
    ids = (torch.randint(20, (16, 1)) + torch.arange(12) * torch.randint(1, 4, (16, 1))) % 20
    model = LanguageModel(20, 32)
    return model, {"ids": ids}, None, adamw(model.parameters(), lr=2e-3)


@family()
def pyramid_of_mish(seed):
    widths = [13, 128, 64, 32, 16 + 4 * seed, 3]
    layers = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.Mish())][:-1]
    model, (x, y) = init_(nn.Sequential(*layers), "he"), table(load_wine, 48)
    optimizer = sgd(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    return model, (standard(x), y), F.cross_entropy, optimizer


@family(trunk=Sum, head=False)
def residual_convolutions_in_one_dimension(seed):
    def branch(c):
        return nn.GroupNorm(2, c), nn.SiLU(), nn.Conv1d(c, c, 3, padding=1), nn.SiLU(), nn.Conv1d(c, c, 3, padding=1)

    blocks = [Sum(*branch(12)) for _ in range(4 + seed)]
    stem = nn.Conv1d(1, 12, 4, stride=2)
    model = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(48, 3))
    return model, waves(32), F.cross_entropy, rmsprop(model.parameters(), lr=1e-3)


@family()
def loss_in_large_units(seed):
    model = init_(stack(4, 32 + 8 * seed, lambda: [nn.LeakyReLU(0.1)], d_in=2, d_out=1), "he")
    return model, curve(64), lambda out, y: 1e4 * F.mse_loss(out, y), sgd(model.parameters(), lr=2e-6)


@family()
def deep_linear_net_of_orthogonal_layers(seed):
    model = init_(stack(40 + seed, 32, lambda: [], d_in=30, d_out=2), "orthogonal")
    x, y = table(load_breast_cancer, 64)
    return model, (standard(x), y), F.cross_entropy, sgd(model.parameters(), lr=1e-3)


class Mixer(nn.Module):
    """Mixes over places, then over channels. h: (batch, places, channels)."""

    def __init__(self, places, d):
        super().__init__()
        self.norm = nn.ModuleList([nn.LayerNorm(d), nn.LayerNorm(d)])
        self.over_places = nn.Sequential(nn.Linear(places, 2 * places), nn.GELU(), nn.Linear(2 * places, places))
        self.over_channels = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, h):
        h = h + self.over_places(self.norm[0](h).transpose(1, 2)).transpose(1, 2)
        return h + self.over_channels(self.norm[1](h))


@family(trunk=Mixer, head=False)
def mixer(seed):
    x, y = waves(32)
    model = nn.Sequential(
        nn.Linear(4, 16), *[Mixer(8, 16) for _ in range(4 + seed % 2)], nn.Flatten(), nn.Linear(128, 3)
    )
    return model, (x.view(32, 8, 4), y), F.cross_entropy, adamw(model.parameters(), lr=2e-3)


class Sine(nn.Linear):
    def forward(self, x):
        return torch.sin(6 * super().forward(x))


@family(trunk=nn.Linear)
def sine_units_and_a_batch_of_1024(seed):
    layers = [Sine(2 if i == 0 else 32, 32) for i in range(3 + seed % 2)]
    for layer in layers[1:]:
        nn.init.uniform_(layer.weight, -((6 / 32) ** 0.5) / 6, (6 / 32) ** 0.5 / 6)
    model = nn.Sequential(*layers, nn.Linear(32, 1))
    return model, curve(1024), F.mse_loss, adam(model.parameters(), lr=1e-3)


class Dense(nn.Module):
    """Each layer sees the outputs of all before it."""

    def __init__(self, depth, grow):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv1d(1 + i * grow, grow, 3, padding=1) for i in range(depth)])
        self.out = nn.Linear(1 + depth * grow, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, F.relu(layer(x))], 1)
        return self.out(x.amax(2))


@family()
def densely_connected(seed):
    model = Dense(6 + seed, 6)
    return model, waves(32), F.cross_entropy, adam(model.parameters(), lr=5e-3)


class Highway(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.new, self.gate = nn.Linear(d, d), nn.Linear(d, d)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, h):
        gate = torch.sigmoid(self.gate(h))
        return gate * torch.tanh(self.new(h)) + (1 - gate) * h


@family(trunk=Highway, head=False)
def highway(seed):
    x, y = table(load_wine, 48)
    model = nn.Sequential(nn.Linear(13, 32), *[Highway(32) for _ in range(10 + seed)], nn.Linear(32, 3))
    return model, (standard(x), y), F.cross_entropy, sgd(model.parameters(), lr=0.05, momentum=0.9)


@family(head=False)
def logistic_regression(seed):
    """No hidden layer at all."""
    x, y = table(load_breast_cancer, 64 + 32 * seed)
    model, loss_fn = nn.Linear(30, 1), lambda out, y: F.binary_cross_entropy_with_logits(out[:, 0], y.float())
    return model, (standard(x), y), loss_fn, sgd(model.parameters(), lr=0.1)


@family()
def decoder_of_transposed_convolutions(seed):
    up = lambda a, b: nn.Sequential(nn.ConvTranspose1d(a, b, 4, stride=2, padding=1), nn.GELU())
    body = nn.Sequential(nn.Linear(3, 64), nn.Unflatten(1, (16, 4)), up(16, 12), up(12, 8), up(8, 8))
    model, y = nn.Sequential(body, nn.Conv1d(8, 1, 1)), torch.randint(3, (32, 1))
    wave = torch.sin((y + 1) * torch.linspace(0, 2 * math.pi, 32))[:, None]
    code = F.one_hot(y[:, 0], 3) + 0.1 * torch.randn(32, 3)
    return model, (code, wave), F.mse_loss, adam(model.parameters(), lr=5e-3 + 1e-3 * seed)


class Experts(nn.Module):
    """Eight small nets and a gate that mixes them; it starts by trusting one of them only."""

    def __init__(self, d):
        super().__init__()
        make = lambda: nn.Sequential(nn.Linear(2, d), nn.CELU(), nn.Linear(d, d), nn.CELU())
        self.experts, self.gate, self.out = nn.ModuleList([make() for _ in range(8)]), nn.Linear(2, 8), nn.Linear(d, 1)
        self.gate.bias.data[0] = 6.0

    def forward(self, x):
        share = self.gate(x).softmax(1)
        return self.out(sum(s[:, None] * e(x) for s, e in zip(share.unbind(1), self.experts, strict=True)))


@family(trunk=())
def mixture_of_experts(seed):
    model = Experts(16 + 4 * seed)
    return model, curve(128), F.mse_loss, adamw(model.parameters(), lr=3e-3)


@family()
def shallow_sigmoid_and_a_batch_of_4(seed):
    """One factor of a quarter does no harm."""
    x, y = table(load_breast_cancer, 64)
    model = nn.Sequential(nn.Linear(30, 16 + seed), nn.Sigmoid(), nn.Linear(16 + seed, 2))
    return model, (standard(x)[:4], y[:4]), F.cross_entropy, sgd(model.parameters(), lr=0.3)


@family()
def weight_norm_and_a_learned_slope(seed):
    layers = [m for i in range(5) for m in (weight_norm(nn.Linear(24 if i else 2, 24)), nn.PReLU())]
    model = nn.Sequential(*layers, nn.Linear(24, 1))
    for layer in layers[::2]:
        layer.parametrizations.weight.original0.data.fill_(1.3)
    return model, curve(64), F.mse_loss, rmsprop(model.parameters(), lr=1e-3, momentum=0.5)


# ---------------------------------------------------------------- vanishing


@family("vanishing", "saturating activation")
def tanh_with_positive_weights(seed):
    """Weights drawn from U(0, 0.2) give every preactivation a large mean."""
    model = stack(8 + seed, 32, lambda: [nn.Tanh()], d_in=13, d_out=3)
    for p in model[0].parameters():
        nn.init.uniform_(p, 0, 0.2)
    x, y = table(load_wine, 48)
    return model, (standard(x) + 2, y), F.cross_entropy, sgd(model.parameters(), lr=0.1, momentum=0.9)


@family("vanishing", "saturating activation")
def sigmoids_far_out(seed):
    """Sigmoids with biases of plus or minus 8."""
    model = stack(6 + seed % 2, 32, lambda: [nn.Sigmoid()], d_in=2, d_out=1)
    init_(model[0], sigma_w=2.0)
    for block in model[0]:
        block[0].bias.data = 8.0 * torch.randn(32).sign()
    return model, curve(64), F.mse_loss, adam(model.parameters(), lr=1e-3)


class Weak(nn.Module):
    """x / (4 + |x|), nowhere steeper than a quarter."""

    def forward(self, x):
        return x / (4 + x.abs())


@family("vanishing", "activation without unit gain")
def weak_units_in_convolutions(seed):
    layers = [m for i in range(6 + seed) for m in (nn.Conv1d(12 if i else 1, 12, 3, padding=1), Weak())]
    model = init_(nn.Sequential(*layers, nn.Flatten(), nn.Linear(384, 3)), "orthogonal")
    return model, waves(32), F.cross_entropy, sgd(model.parameters(), lr=0.1, momentum=0.9)


class Called(nn.Module):
    """A list of layers and a function between them."""

    def __init__(self, layers, function, out):
        super().__init__()
        self.layers, self.function, self.out = nn.ModuleList(layers), function, out

    def forward(self, x):
        for layer in self.layers:
            x = self.function(layer(x))
        return self.out(x.flatten(1))


@family("vanishing", "activation without unit gain")
def functional_sigmoid_with_lecun_weights(seed):
    layers = [nn.Linear(40 if i else 30, 40) for i in range(10 + seed)]
    model = init_(Called(layers, torch.sigmoid, nn.Linear(40, 2)))
    x, y = table(load_breast_cancer, 64)
    return model, (standard(x), y), F.cross_entropy, rmsprop(model.parameters(), lr=1e-4)


@family("vanishing", "weights too small")
def functional_gelu_with_default_weights(seed):
    layers = [nn.Linear(48 if i else 13, 48) for i in range(22 + seed)]
    model, (x, y) = Called(layers, F.gelu, nn.Linear(48, 3)), table(load_wine, 48)
    return model, (standard(x), y), F.cross_entropy, adamw(model.parameters(), lr=3e-4)


@family("vanishing", "weights too small")
def silu_convolutions_with_default_weights(seed):
    layers = [nn.Conv1d(12 if i else 1, 12, 3, padding=1) for i in range(10 + seed)]
    model = Called(layers, F.silu, nn.Linear(384, 3))
    return model, waves(32), F.cross_entropy, sgd(model.parameters(), lr=0.1)


@family("vanishing", "weights too small")
def autoencoder_with_weights_of_one_fiftieth(seed):
    widths = [30, 48, 32, 16, 8, 16, 32, 48, 30]
    parts = [[nn.Linear(a, b), nn.LeakyReLU()] for a, b in pairwise(widths)]
    model = nn.Sequential(*[nn.Sequential(*part) for part in parts[:-1]], parts[-1][0])
    for p in model.parameters():
        nn.init.normal_(p, 0, 0.02) if p.dim() > 1 else nn.init.zeros_(p)
    x = standard(table(load_breast_cancer, 64)[0])
    return model, (x, x), F.mse_loss, rmsprop(model.parameters(), lr=1e-4)


@family("vanishing", "depth")
def leaky_net_of_80_layers(seed):
    """Each layer keeps about 0.92 of the gradient: the layers are just too many."""
    model = stack(80 + 4 * seed, 32, lambda: [nn.LeakyReLU(0.3)], d_in=13, d_out=3)
    init_(model[0], "orthogonal", sigma_w=1.26)
    x, y = table(load_wine, 48)
    optimizer = sgd(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    return model, (standard(x), y), F.cross_entropy, optimizer


@family("vanishing", "recurrence", trunk=nn.RNNBase)
def gru_of_90_steps(seed):
    model = Final(nn.GRU(1, 24, batch_first=True))
    return model, first_value(32, 80 + 10 * seed), F.mse_loss, rmsprop(model.parameters(), lr=1e-4)


class Loop(nn.Module):
    """A cell of torch in a loop of one's own."""

    def __init__(self, cell):
        super().__init__()
        self.cell, self.out = cell, nn.Linear(cell.hidden_size, 1)

    def forward(self, x):
        state = None
        for x_t in x.unbind(1):
            state = self.cell(x_t, state)
        return self.out(state[0] if isinstance(state, tuple) else state)


@family("vanishing", "recurrence", trunk=(nn.RNNCellBase, nn.Linear))
def lstm_cell_in_a_loop(seed):
    model = Loop(nn.LSTMCell(1, 20))
    return model, first_value(24, 50), F.mse_loss, adam(model.parameters(), lr=1e-3)


class Leaky(nn.Module):
    """A state that forgets 40 % of itself at each step."""

    def __init__(self, d):
        super().__init__()
        self.read, self.mix, self.out = nn.Linear(1, d), nn.Linear(d, d), nn.Linear(d, 1)
        nn.init.normal_(self.mix.weight, 0, 0.1 * d**-0.5)

    def forward(self, x):
        h = x.new_zeros(len(x), self.mix.in_features)
        for x_t in x.unbind(1):
            h = 0.6 * h + 0.4 * torch.relu(self.read(x_t) + self.mix(h))
        return self.out(h)


@family("vanishing", "recurrence")
def leaky_state(seed):
    model = Leaky(20 + 4 * seed)
    return model, first_value(32, 30), F.mse_loss, sgd(model.parameters(), lr=0.05)


class Half(nn.Module):
    """Rounds what passes, in both directions, to float16."""

    def forward(self, x):
        return x.half().to(x.dtype)


@family("vanishing", "precision")
def mean_of_many_rounded_to_float16(seed):
    """The mean over some 15000 outputs, as a small term of a loss: each gradient is below float16's reach."""
    model = init_(stack(4 + seed % 2, 48, lambda: [Half(), nn.ELU(), Half()], d_in=30, d_out=30))
    model.append(Half())
    x = standard(table(load_breast_cancer, 512)[0])
    return model, (x, x), lambda out, y: 3e-5 * F.mse_loss(out, y), sgd(model.parameters(), lr=1e4)


class Automatic(nn.Module):
    """float16 by autocast, without the GradScaler that should go with it."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.float16):
            return self.body(x).float()


@family("vanishing", "precision")
def autocast_without_a_scaler(seed):
    model = Automatic(init_(stack(4, 24, lambda: [nn.SiLU()], d_in=2, d_out=1), "he"))
    x, y = curve(256)
    loss_fn = lambda out, y: 1e-6 * F.mse_loss(out, y)
    return model, (x, y), loss_fn, adamw(model.parameters(), lr=1e-3)


@family("vanishing", "normalization eps")
def batch_norm_with_momentum_for_eps(seed):
    """``BatchNorm1d(32, 0.9)``: the second argument is eps."""
    model = stack(7 + seed, 32, lambda: [nn.BatchNorm1d(32, 0.9), nn.GELU()], d_in=13, d_out=3)
    init_(model[0], sigma_w=0.2)
    x, y = table(load_wine, 48)
    return model, (standard(x), y), F.cross_entropy, rmsprop(model.parameters(), lr=1e-4)


@family("vanishing", "normalization eps")
def group_norm_with_a_large_eps(seed):
    """After each convolution a norm that should bring the signal to one and does not."""
    layers = [
        m for i in range(8) for m in (nn.Conv1d(8 if i else 1, 8, 3, padding=1), nn.GroupNorm(2, 8, 10.0), nn.Tanh())
    ]
    model = init_(nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 3)))
    return model, waves(32), F.cross_entropy, sgd(model.parameters(), lr=0.1 + 0.1 * seed)


# ---------------------------------------------------------------- exploding


@family("exploding", "weights too large")
def convolutions_with_weights_of_one_half(seed):
    layers = [nn.Conv1d(16 if i else 1, 16, 3, padding=1) for i in range(7 + seed)]
    for layer in layers:
        nn.init.normal_(layer.weight, 0, 0.6)
    model = Called(layers, F.leaky_relu, nn.Linear(512, 3))
    return model, waves(32), F.cross_entropy, sgd(model.parameters(), lr=0.01)


@family("exploding", "weights too large")
def unscaled_normal_weights(seed):
    """``torch.randn(fan_out, fan_in)``, as a first try by hand has it."""
    model = init_(stack(9 + seed, 32, lambda: [nn.GELU()], d_in=2, d_out=1), sigma_w=32**0.5)
    return model, curve(64), F.mse_loss, rmsprop(model.parameters(), lr=1e-3)


@family("exploding", "recurrence", trunk=nn.RNNBase)
def relu_rnn_that_amplifies(seed):
    model = Final(nn.RNN(1, 24, nonlinearity="relu", batch_first=True))
    with torch.no_grad():
        model.rnn.weight_hh_l0.copy_(1.3 * torch.eye(24))
    return model, first_value(32, 28 + 2 * seed), F.mse_loss, sgd(model.parameters(), lr=0.01, momentum=0.9)


@family("exploding", "recurrence")
def linear_state_that_amplifies(seed):
    model = Leaky(24)
    nn.init.orthogonal_(model.mix.weight, gain=4.0 + 0.2 * seed)
    return model, first_value(32, 40), F.mse_loss, adam(model.parameters(), lr=1e-3)


@family("exploding", "normalization without skips")
def nested_batch_norm_of_60_layers(seed):
    model = stack(60 + 2 * seed, 48, lambda: [nn.BatchNorm1d(48), nn.LeakyReLU(0.01)], d_in=30, d_out=2)
    x, y = table(load_breast_cancer, 64)
    return model, (standard(x), y), F.cross_entropy, adam(model.parameters(), lr=1e-3)


@family("exploding", "normalization without skips")
def batch_norm_in_plain_convolutions(seed):
    def layer(i):
        return nn.Conv1d(16 if i else 1, 16, 3, padding=1, bias=False), nn.BatchNorm1d(16), nn.ReLU(inplace=True)

    model = nn.Sequential(*[m for i in range(56) for m in layer(i)], nn.AdaptiveAvgPool1d(1), nn.Flatten())
    model.append(nn.Linear(16, 3))
    return model, waves(32, 12 + 4 * (seed % 2)), F.cross_entropy, sgd(model.parameters(), lr=0.05, momentum=0.9)


@family("exploding", "residual without normalization", trunk=Sum, head=False)
def convolutional_branches_as_large_as_the_trunk(seed):
    blocks = [
        Sum(nn.Conv1d(12, 12, 3, padding=1), nn.SiLU(), nn.Conv1d(12, 12, 3, padding=1)) for _ in range(20 + seed)
    ]
    model = nn.Sequential(nn.Conv1d(1, 12, 1), *blocks, nn.Flatten(), nn.Linear(192, 3))
    return init_(model, "he"), waves(32, 16), F.cross_entropy, sgd(model.parameters(), lr=0.01, momentum=0.9)


class BareBlock(nn.Module):
    """A transformer block whose norms were left out."""

    def __init__(self, d):
        super().__init__()
        self.attend = nn.MultiheadAttention(d, 2, batch_first=True)
        self.mlp = init_(nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d)), "he")

    def forward(self, h):
        h = h + self.attend(h, h, h, need_weights=False)[0]
        return h + self.mlp(h)


@family("exploding", "residual without normalization", trunk=BareBlock, head=False)
def transformer_without_norms(seed):
    x, y = waves(16)
    model = nn.Sequential(nn.Linear(4, 16), *[BareBlock(16) for _ in range(18)], nn.Flatten(), nn.Linear(128, 3))
    return model, (x.view(16, 8, 4), y), F.cross_entropy, adamw(model.parameters(), lr=1e-3)


@family("exploding", "learning rate")
def gelu_regression_with_a_rate_of_10(seed):
    model = init_(stack(3 + seed % 2, 32, lambda: [nn.GELU()], d_in=2, d_out=1), "he")
    return model, curve(64), F.mse_loss, sgd(model.parameters(), lr=10, momentum=0.9)


@family("exploding", "learning rate")
def adam_with_a_rate_of_10(seed):
    model, (x, y) = init_(stack(6, 40, lambda: [nn.SiLU()], d_in=13, d_out=3), "he"), table(load_wine, 64)
    return model, (standard(x), y), F.cross_entropy, adam(model.parameters(), lr=10.0)


# ---------------------------------------------------------------- dead


@family("dead", "saturating activation")
def a_table_that_nobody_scaled(seed):
    """In smaller units than usual one column of the wines is around 75000, and tanh sees little else."""
    model, (x, y) = stack(2 + seed % 2, 48, lambda: [nn.Tanh()], d_in=13, d_out=3), table(load_wine, 64)
    return model, (100 * x, y), F.cross_entropy, adam(model.parameters(), lr=1e-3)


@family("dead", "dead ReLUs")
def log_probabilities_and_positive_weights(seed):
    """Inputs below zero and weights from U(0, 0.2): no preactivation is above zero."""
    layers = [nn.Linear(24 if i else 16, 24, bias=False) for i in range(3)]
    for layer in layers:
        nn.init.uniform_(layer.weight, 0, 0.2)
    model = Called(layers, F.relu, nn.Linear(24, 4))
    x = torch.randn(48, 16).mul(2 + 0.1 * seed).log_softmax(1)
    return model, (x, x[:, :4].argmax(1)), F.cross_entropy, rmsprop(model.parameters(), lr=1e-3)


@family("dead", "dead ReLUs")
def batch_norm_that_shifts_below_zero(seed):
    layers = [(nn.Conv1d(12 if i else 1, 12, 3, padding=1), nn.BatchNorm1d(12), nn.ReLU()) for i in range(3 + seed % 2)]
    nn.init.constant_(layers[1][1].bias, -8.0)
    model = nn.Sequential(*[nn.Sequential(*layer) for layer in layers], nn.Flatten(), nn.Linear(384, 3))
    return model, waves(32), F.cross_entropy, sgd(model.parameters(), lr=0.05, momentum=0.9)


@family("dead", "learning rate")
def absolute_error_with_a_rate_of_one_fifth(seed):
    layers = [nn.Conv1d(16 if i else 1, 16, 5, padding=2, stride=2) for i in range(2)]
    model, (x, y) = init_(Called(layers, F.relu, nn.Linear(128, 3)), "he"), waves(32)
    return model, (x, F.one_hot(y, 3).float()), F.l1_loss, adamw(model.parameters(), lr=0.2)
