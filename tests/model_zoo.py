"""Awkward models, each with a way to run it to a loss: what a probe must neither disturb nor misread.

``ZOO`` maps a name to a function without arguments that returns ``(model, run)``; ``run(model)`` makes one forward
pass and returns the loss. Weights and inputs are drawn from the global generator: seed it before you call.
"""

import dataclasses
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from vglab.nets import mlp

ZOO = {}
BATCH, WIDTH = 6, 8


def resident(build):
    ZOO[build.__name__] = build
    return build


def on(model, *inputs, reduce=None, **kwargs):
    """`model` and a run on fixed `inputs`; the loss is a weighted sum of squares of the first tensor returned."""
    inputs = inputs or (torch.randn(BATCH, WIDTH),)
    return model, lambda m: (reduce or _loss)(m(*inputs, **kwargs))


def _loss(out):
    while not isinstance(out, torch.Tensor):
        out = next(iter(out.values() if isinstance(out, dict) else out))
    return (out.abs() ** 2 * torch.linspace(1, 2, out.numel()).reshape(out.shape)).sum()


def _block():
    return nn.Linear(WIDTH, WIDTH), nn.Tanh()


@resident
def plain():
    return on(nn.Sequential(*_block(), *_block(), nn.Linear(WIDTH, 3)))


@resident
def every_activation():
    acts = (nn.Sigmoid(), nn.ReLU(), nn.LeakyReLU(), nn.PReLU(WIDTH), nn.ELU(), nn.SELU(), nn.GELU(), nn.SiLU())
    more = (nn.GELU("tanh"), nn.Softplus(2, 1), nn.Mish(), nn.LogSigmoid(), nn.Hardtanh(), nn.CELU(), nn.ReLU6())
    return on(nn.Sequential(*[m for act in (*acts, *more) for m in (nn.Linear(WIDTH, WIDTH), act)]))


@resident
def reused_modules():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.act = _block()

        def forward(self, x):
            for _ in range(3):
                x = self.act(self.layer(x))
            return x

    return on(Loop())


@resident
def one_module_under_two_names():
    layer, act = _block()
    return on(nn.Sequential(layer, act, layer, act))


@resident
def shared_weights():
    first, second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
    second.weight = first.weight
    return on(nn.Sequential(first, nn.Tanh(), second))


class _Fork(nn.Module):
    """Two branches, packed by `pack`; the loss may use only the first."""

    def __init__(self, pack):
        super().__init__()
        self.a, self.b, self.pack = nn.Linear(WIDTH, 3), nn.Linear(WIDTH, 3), pack

    def forward(self, x):
        return self.pack(self.a(x).sin(), self.b(x).cos())


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


@dataclasses.dataclass(slots=True)
class Output:
    logits: torch.Tensor
    hidden: list
    note: str = "not a tensor"


@resident
def tuple_output():
    return on(_Fork(lambda a, b: (a, (b, None, 3))), reduce=lambda out: (out[0] * out[1][0]).sum())


@resident
def dict_output():
    return on(_Fork(lambda a, b: {"a": a, "b": b}))


@resident
def named_tuple_output():
    return on(_Fork(Pair))


@resident
def dataclass_output():
    return on(_Fork(lambda a, b: Output(a, [b])), reduce=lambda out: (out.logits - out.hidden[0]).square().mean())


@resident
def outputs_of_one_operation():
    class Chunk(nn.Module):
        def forward(self, x):
            return x.chunk(2, -1)

    return on(nn.Sequential(nn.Linear(WIDTH, WIDTH), Chunk()))  # one chunk has no gradient: torch hands hooks a None


@resident
def functional_calls():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

        def forward(self, x):
            return self.b(F.gelu(self.a(x)))

    return on(Functional())


@resident
def called_by_keyword():
    class Keywords(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.act = _block()

        def forward(self, *, x, scale=1.0):
            return self.act(input=self.layer(input=x)) * scale

    x = torch.randn(BATCH, WIDTH)
    return Keywords(), lambda m: _loss(m(x=x, scale=2.0))


@resident
def residual():
    return on(mlp(3, WIDTH, act="relu", skip=0.5, d_in=WIDTH, d_out=3))


@resident
def conv_and_batch_norm():
    model = nn.Sequential(
        *(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.Conv2d(4, 4, 3, groups=2), nn.BatchNorm2d(4)),
        *(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4, 3)),
    )
    return on(model, torch.randn(BATCH, 2, 7, 7))


@resident
def in_place():
    act = nn.LeakyReLU(0.2, inplace=True)
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), act, nn.Linear(WIDTH, WIDTH), nn.ReLU(True))
    return on(model)


@resident
def attention():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(WIDTH, 2, dropout=0.1, batch_first=True)

        def forward(self, x):
            return self.attend(x, x, x)

    return on(Attention(), torch.randn(BATCH, 5, WIDTH))


@resident
def transformer():
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, activation="gelu", batch_first=True, norm_first=True)
    return on(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.randn(BATCH, 5, WIDTH))


@resident
def rnn():
    return on(nn.RNN(WIDTH, 5, num_layers=2, bidirectional=True, batch_first=True), torch.randn(BATCH, 4, WIDTH))


@resident
def gru_cell_over_time():
    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRUCell(WIDTH, WIDTH), nn.Linear(WIDTH, 2)

        def forward(self, x):
            h = torch.zeros(len(x), WIDTH)
            for t in range(x.shape[1]):
                h = self.cell(x[:, t], h)
            return self.head(h)

    return on(Unrolled(), torch.randn(BATCH, 5, WIDTH))


@resident
def lstm_all_outputs():
    use_all = lambda out: out[0].square().sum() + (out[1][0] * out[1][1]).sum()
    return on(nn.LSTM(WIDTH, 5, batch_first=True), torch.randn(BATCH, 4, WIDTH), reduce=use_all)


@resident
def packed_lstm():
    x = pack_padded_sequence(torch.randn(3, 4, WIDTH), torch.tensor([4, 2, 1]), batch_first=True)
    return on(nn.LSTM(WIDTH, 5, batch_first=True, bidirectional=True), x)


@resident
def sparse_embedding():
    model = nn.Sequential(nn.Embedding(50, WIDTH, sparse=True), nn.Flatten(), nn.Linear(4 * WIDTH, 3))
    return on(model, torch.randint(10, (BATCH, 4)))


@resident
def frozen_first_layers():
    model = nn.Sequential(*_block(), *_block(), *_block())
    model[:2].requires_grad_(False)
    return on(model)


@resident
def unused_branch():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.ignored, self.never_called = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

        def forward(self, x):
            self.ignored(x)
            return self.used(x)

    return on(Unused())


@resident
def evaluation_mode():
    model = nn.Sequential(*_block(), nn.BatchNorm1d(WIDTH), nn.Dropout(0.5), nn.Identity(), nn.Linear(WIDTH, 2))
    return on(model.eval())


@resident
def batch_of_one():
    return on(nn.Sequential(*_block(), nn.Linear(WIDTH, 1)), torch.randn(1, WIDTH))


@resident
def without_batch():
    return on(nn.Sequential(*_block(), nn.Linear(WIDTH, 1), nn.Flatten(0)), torch.randn(WIDTH))


@resident
def empty_batch():
    return on(nn.Sequential(*_block()), torch.randn(0, WIDTH))


@resident
def loss_inside():
    class WithLoss(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(*_block())

        def forward(self, x):
            return self.body(x).square().mean()

    return on(WithLoss())


@resident
def not_a_number():
    model, run = plain()
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
        model[2].weight[0, 0] = float("inf")
    return model, run


@resident
def float64():
    return on(nn.Sequential(*_block(), *_block()).double(), torch.randn(BATCH, WIDTH, dtype=torch.float64))


@resident
def bfloat16():
    return on(nn.Sequential(*_block(), *_block()).bfloat16(), torch.randn(BATCH, WIDTH, dtype=torch.bfloat16))


@resident
def autocast():
    model, run = plain()

    def run_in_bfloat16(m):
        with torch.autocast("cpu", torch.bfloat16):
            return run(m)

    return model, run_in_bfloat16


@resident
def complex_numbers():
    class Complex(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.act = nn.Linear(WIDTH, WIDTH, dtype=torch.complex64), nn.Tanh()

        def forward(self, x):
            return self.act(self.layer(x)).conj()

    return on(Complex(), torch.randn(BATCH, WIDTH, dtype=torch.complex64))


@resident
def parametrized():
    first, second = parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)), nn.Linear(WIDTH, WIDTH)
    return on(nn.Sequential(first, nn.Tanh(), parametrizations.spectral_norm(second)))


@resident
def lazy():
    return on(nn.Sequential(nn.LazyLinear(WIDTH), nn.Tanh(), nn.LazyLinear(2)))


@resident
def step_function():
    return on(mlp(2, WIDTH, act=lambda z: (z > 0).float(), d_in=WIDTH, d_out=3))


@resident
def noisy_activation():
    return on(mlp(2, WIDTH, act=lambda z: torch.tanh(z + torch.randn_like(z)), d_in=WIDTH, d_out=3))


class _Checkpointed(nn.Module):
    def __init__(self, *, use_reentrant):
        super().__init__()
        self.use_reentrant = use_reentrant
        self.first, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2)
        self.body = nn.Sequential(*_block(), nn.Identity(), nn.Dropout(0.2), *_block())
        self.loop = nn.Linear(WIDTH, WIDTH)

    def again(self, x):
        return self.loop(torch.sin(self.loop(x)))  # the same module twice in one checkpoint

    def forward(self, x):
        x = self.first(x)
        for part in (self.body, self.again):
            x = checkpoint(part, x, use_reentrant=self.use_reentrant) if self.use_reentrant is not None else part(x)
        return self.last(x)


@resident
def no_checkpoint():
    return on(_Checkpointed(use_reentrant=None))


@resident
def checkpointed():
    return on(_Checkpointed(use_reentrant=False))


@resident
def checkpointed_reentrant():
    return on(_Checkpointed(use_reentrant=True))


class Model(nn.Module):
    """A model with `parts` by name and `run(parts, *inputs)` as its forward."""

    def __init__(self, run, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = run

    def forward(self, *inputs):
        return self.run(self, *inputs)


def _linear(d_out=WIDTH, d_in=WIDTH):
    return nn.Linear(d_in, d_out)


@resident
def embedding_bag():
    bag = nn.EmbeddingBag(20, WIDTH, mode="sum")
    return on(nn.Sequential(bag, nn.Tanh(), _linear(3)), torch.randint(20, (BATCH, 4)))


@resident
def language_model_with_tied_embedding():
    def forward(m, words):
        h = m.embed(words) + m.place[: words.shape[1]]
        h = h + m.attend(m.norm(h), m.norm(h), m.norm(h), need_weights=False, is_causal=True, attn_mask=m.mask)[0]
        return m.head(h + m.down(F.gelu(m.up(h))))

    model = Model(
        forward, embed=nn.Embedding(20, WIDTH), head=nn.Linear(WIDTH, 20, bias=False), norm=nn.LayerNorm(WIDTH)
    )
    model.attend, model.up, model.down = (
        nn.MultiheadAttention(WIDTH, 2, batch_first=True),
        _linear(16),
        _linear(WIDTH, 16),
    )
    model.place, model.head.weight = nn.Parameter(torch.randn(9, WIDTH)), model.embed.weight
    model.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(5))
    return on(model, torch.randint(20, (BATCH, 5)))


@resident
def group_and_instance_norm():
    norms = nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv2d(4, 4, 3, padding=1), nn.InstanceNorm2d(4, affine=True), nn.ReLU()
    return on(nn.Sequential(nn.Conv2d(2, 4, 3), *norms), torch.randn(BATCH, 2, 6, 6))


@resident
def convolutions_of_signals():
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.ConvTranspose1d(4, 2, 4, 2), nn.Tanh())
    return on(model, torch.randn(BATCH, 2, 8))


@resident
def convolutions_of_volumes():
    model = nn.Sequential(nn.Conv3d(1, 2, 2), nn.ELU(), nn.MaxPool3d(2), nn.Flatten(), nn.LazyLinear(2))
    return on(model, torch.randn(2, 1, 5, 5, 5))


@resident
def transposed_and_depthwise():
    model = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Hardswish(), nn.ConvTranspose2d(4, 2, 2, 2), nn.Sigmoid())
    return on(model, torch.randn(BATCH, 4, 6, 6).to(memory_format=torch.channels_last))


@resident
def list_of_parameters():
    def forward(m, x):
        for w in m.weights:
            x = torch.tanh(x @ w)
        return x

    weights = nn.ParameterList([torch.randn(WIDTH, WIDTH) / WIDTH**0.5 for _ in range(3)])
    return on(Model(forward, weights=weights))


@resident
def another_way_at_each_call():
    def forward(m, x):
        m.turn = m.turn + 1
        for name in ("a", "b")[: 1 + m.turn % 2]:
            x = torch.relu(m.ways[name](x))
        return m.head(x)

    model = Model(forward, ways=nn.ModuleDict({"a": _linear(), "b": _linear()}), head=_linear(2))
    model.turn = 0
    return on(model)


@resident
def gated_by_silu():
    forward = lambda m, x: m.down(F.silu(m.gate(x)) * m.up(x))
    return on(Model(forward, gate=_linear(16), up=_linear(16), down=_linear(WIDTH, 16)))


@resident
def attention_by_einsum():
    def forward(m, x):
        q, k, v = m.q(x), m.k(x), m.v(x)
        return torch.einsum("bqk,bkd->bqd", torch.softmax(torch.einsum("bqd,bkd->bqk", q, k) / 3, -1), v).relu()

    return on(Model(forward, q=_linear(), k=_linear(), v=_linear()), torch.randn(BATCH, 5, WIDTH))


@resident
def attention_by_torch():
    def forward(m, x):
        q, k, v = m.qkv(x).reshape(*x.shape[:2], 3, 2, WIDTH // 2).permute(2, 0, 3, 1, 4)
        return m.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))

    return on(Model(forward, qkv=_linear(3 * WIDTH), out=_linear()), torch.randn(BATCH, 5, WIDTH))


@resident
def choices_between_branches():
    forward = lambda m, x: torch.maximum(torch.where(x > 0, torch.tanh(m.a(x)), F.elu(m.b(x))), m.a(x).sigmoid())
    return on(Model(forward, a=_linear(), b=_linear()))


@resident
def weight_norm_by_hand():
    forward = lambda m, x: F.relu(F.linear(x, m.g * m.v / m.v.norm(dim=1, keepdim=True), m.b))
    parts = {"g": torch.ones(WIDTH, 1), "v": torch.randn(WIDTH, WIDTH), "b": torch.zeros(WIDTH)}
    return on(Model(forward, **{name: nn.Parameter(t) for name, t in parts.items()}))


@resident
def in_place_on_views():
    def forward(m, x):
        h = m.first(x)
        h[:, :4] = h[:, :4] * 2
        h[:, 4:].mul_(3)
        return m.last(torch.tanh(h))

    return on(Model(forward, first=_linear(), last=_linear(2)))


@resident
def detached_in_the_middle():
    return on(Model(lambda m, x: m.b(torch.tanh(m.a(x)).detach()), a=_linear(), b=_linear(3)))


@resident
def straight_through():
    def forward(m, x):
        h = torch.sigmoid(m.a(x))
        return m.b(h + (h.round() - h).detach())

    return on(Model(forward, a=_linear(), b=_linear(3)))


@resident
def siamese():
    model, x = nn.Sequential(*_block(), _linear(3)), torch.randn(2, BATCH, WIDTH)
    return model, lambda m: (m(x[0]) - m(x[1])).square().sum()  # two calls of the whole model in one step


@resident
def calls_itself():
    class Tree(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = _linear()

        def forward(self, x, depth=3):
            return torch.tanh(self.layer(x if depth == 0 else self(x, depth - 1)))

    return on(Tree())


class _Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        return 3 * ctx.saved_tensors[0] ** 2 * g


@resident
def function_of_ones_own():
    return on(Model(lambda m, x: m.b(_Cube.apply(m.a(x))), a=_linear(), b=_linear(3)))


@resident
def elman_by_hand():
    def forward(m, x):
        h = torch.zeros(len(x), WIDTH)
        for t in range(x.shape[1]):
            h = torch.tanh(m.inner(x[:, t]) + m.recurrent(h))
        return m.head(h)

    parts = {"inner": _linear(), "recurrent": _linear(), "head": _linear(2)}
    return on(Model(forward, **parts), torch.randn(BATCH, 5, WIDTH))


@resident
def encoder_and_decoder():
    model = nn.Transformer(WIDTH, 2, 1, 1, 16, dropout=0.0, batch_first=True)
    return on(model, torch.randn(3, 5, WIDTH), torch.randn(3, 4, WIDTH))


@resident
def fast_path_in_evaluation():
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
    return on(nn.TransformerEncoder(layer, 1, enable_nested_tensor=False).eval(), torch.randn(BATCH, 5, WIDTH))


@resident
def functional_inside_a_layer_of_ones_own():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.log_scale = nn.Parameter(torch.randn(WIDTH, WIDTH)), nn.Parameter(torch.zeros(WIDTH))

        def forward(self, x):
            return F.softplus(F.linear(x, self.weight)) * self.log_scale.exp()

    return on(nn.Sequential(Own(), nn.Tanh(), Own()))


@resident
def replicated():
    return on(nn.DataParallel(nn.Sequential(*_block(), _linear(3))))  # without a GPU it calls the module itself


@resident
def bilinear_and_distance():
    forward = lambda m, x: m.pair(m.a(x), F.normalize(m.b(x), dim=-1))
    return on(Model(forward, a=_linear(), b=_linear(), pair=nn.Bilinear(WIDTH, WIDTH, 2)))


@resident
def several_losses():
    model = Model(lambda m, x: (m.a(h := torch.tanh(m.trunk(x))), m.b(h)), trunk=_linear(), a=_linear(2), b=_linear(1))
    x = torch.randn(BATCH, WIDTH)
    return model, lambda m: sum(out.square().mean() for out in m(x))
