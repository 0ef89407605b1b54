"""What a verdict rests on: robust slopes, residual additions and time axes, found in networks built for the purpose."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from vglab.diagnosis import measure
from vglab.diagnosis.wiring import wired
from vglab.nets import mlp

X, Y = torch.randn(16, 8, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3
IMAGES = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randn(4, 6, 8, generator=torch.Generator().manual_seed(0))  # (batch, time, features)


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        yield


def squares(out):
    return (out[0] if isinstance(out, tuple) else out).square().mean()


def start(model, *inputs):
    """The first look at a model whose loss is the mean square of its output."""
    return measure.looks(model, (inputs, None), squares, None, steps=(0,))[0][0]


def times(look):
    return {axis.rows.module.iloc[0]: len(axis.rows) for axis in look.axes if axis.kind == "time"}


# ---------------------------------------------------------------- decades


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.0])
def test_decades_of_a_geometric_profile(factor):
    norms = factor ** np.arange(11)[::-1]  # input first
    assert measure.decades(norms) == pytest.approx(10 * np.log10(factor))
    assert measure.decades(1e-30 * norms) == pytest.approx(10 * np.log10(factor))


@pytest.mark.parametrize("wild", [[5], [0, 10], [2, 5, 8]])
@pytest.mark.parametrize("value", [0.0, 1e-20, 1e20, np.inf, np.nan])
def test_a_few_wild_values_do_not_move_the_slope(wild, value):
    norms = 0.5 ** np.arange(15.0)[::-1]
    clean = measure.decades(norms)
    norms[wild] = value
    assert measure.decades(norms) == pytest.approx(clean, abs=0.5)


def test_one_step_in_the_middle_is_no_slope():
    """A layer that loses eight decades once is one layer's matter; most pairs do not span it when it is at an end."""
    assert measure.decades([1e-8, *[1.0] * 9]) == 0.0


def test_profiles_without_a_slope():
    assert measure.decades([]) == measure.decades([3.0]) == measure.decades([0.0] * 5) == 0.0
    assert measure.decades([np.nan] * 5) == 0.0


def test_zeros_that_are_the_most_hide_no_slope():
    """Exactly zero from some layer on, as in float16: what is left tells which way."""
    assert measure.decades([0.0] * 12 + [1e-7, 1e-6, 1e-5, 1e-4]) < -10
    assert measure.decades([1e-4, 1e-5, 1e-6, 1e-7] + [0.0] * 12) > 10
    assert abs(measure.decades([0.0, 1.0] * 8)) < 0.1  # here they tell nothing


def test_underflow_to_zero_is_vanishing_and_overflow_exploding():
    assert measure.decades([0.0] * 6 + [1e-30, 1e-20, 1e-10, 1.0]) < -30
    assert measure.decades([np.inf] * 6 + [1e30, 1e20, 1e10, 1.0]) > 30


# ---------------------------------------------------------------- residual additions


class Plus(nn.Module):
    """Adds what `way` makes of two tensors."""

    def __init__(self, way, branch):
        super().__init__()
        self.branch, self.way = branch, way

    def forward(self, h):
        return self.way(h, self.branch)


def linear():
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))


RESIDUAL = {
    "plain": lambda h, f: h + f(h),
    "branch first": lambda h, f: f(h) + h,
    "torch.add": lambda h, f: torch.add(h, f(h)),
    "in place": lambda h, f: f(h).add_(h),
    "scaled branch": lambda h, f: h + 0.1 * f(h),
    "scaled straight": lambda h, f: 0.7 * h + f(h),
    "alpha": lambda h, f: torch.add(h, f(h), alpha=0.3),
    "relu behind": lambda h, f: F.relu(h + f(h)),
    "pre-norm": lambda h, f: h + f(F.layer_norm(h, h.shape[-1:])),
    "post-norm": lambda h, f: F.layer_norm(h + f(h), h.shape[-1:]),
    "dropout": lambda h, f: h + F.dropout(f(h), 0.1),
    "checkpoint": lambda h, f: h + checkpoint(f, h, use_reentrant=False),
}


@pytest.mark.parametrize("way", RESIDUAL)
def test_residual_additions_are_found_however_they_are_written(way):
    model = nn.Sequential(nn.Linear(8, 8), *[Plus(RESIDUAL[way], linear()) for _ in range(5)], nn.Linear(8, 3))
    worst = start(model, X).axes[0]
    assert (worst.kind, worst.skips, len(worst.rows)) == ("depth", 5, 5)
    assert all(name.partition(".")[0] in "12345" for name in worst.rows.module)


PLAIN = {
    "branches without a common origin": lambda h, f: f[0](h) + f[1](h),
    "position embeddings": lambda h, f: f[0](h + f[2]),
    "bias": lambda h, f: f[0](h) + 1.0,
    "penalty": lambda h, f: f[0](h) * f[1](h),
}


class Ways(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.way, self.parts = way, nn.ModuleList([linear(), linear()])
        self.position = nn.Parameter(torch.randn(8))

    def forward(self, h):
        return self.way(h, [*self.parts, self.position])


@pytest.mark.parametrize("way", PLAIN)
def test_other_sums_are_no_residual_additions(way):
    model = nn.Sequential(nn.Linear(8, 8), *[Ways(PLAIN[way]) for _ in range(5)], nn.Linear(8, 3))
    assert not any(axis.skips for axis in start(model, X).axes)
    assert wired(model, (X, None), squares).sums == set()


def test_a_sum_of_projected_branches_is_no_way_around():
    """Its straight way has weights of its own: a gradient that goes by it is multiplied like any other."""
    model = nn.Sequential(*[Plus(lambda h, f: f[2](h) + f(h), linear()) for _ in range(4)])
    assert wired(model, (X, None), squares).sums == set()


class ConvBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(2))
        self.bn1, self.bn2, self.relu = nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        return self.relu(out)


@pytest.mark.parametrize("norm_first", [False, True])
def test_torch_encoders_have_two_additions_a_layer(norm_first):
    layer = lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
    look = start(nn.Sequential(nn.Linear(8, 8), *[layer() for _ in range(3)]), TOKENS)
    assert [axis.skips for axis in look.axes] == [6]
    assert look.norms == 6


def test_torchvision_like_blocks_have_one():
    look = start(nn.Sequential(nn.Conv2d(4, 4, 1), *[ConvBlock() for _ in range(4)]), IMAGES)
    assert [axis.skips for axis in look.axes] == [4]
    assert look.norms == 8


class UNet(nn.Module):
    def __init__(self, join):
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)])
        self.up = nn.ModuleList([nn.Conv2d(8 if join is torch.cat else 4, 4, 3, padding=1) for _ in range(3)])
        self.join = join

    def forward(self, x):
        kept = []
        for layer in self.down:
            x = F.relu(layer(x))
            kept.append(x)
        for layer in self.up:
            x = F.relu(layer(self.join([x, kept.pop()], 1) if self.join is torch.cat else self.join(x, kept.pop())))
        return x


def test_a_unet_that_adds_has_long_ways_around_and_one_that_concatenates_none():
    assert len(wired(UNet(torch.add), (IMAGES, None), squares).sums) == 2  # the innermost adds a tensor to itself
    assert len(wired(UNet(torch.cat), (IMAGES, None), squares).sums) == 0


def test_a_gated_cell_written_by_hand_has_a_way_around():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.new = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, h):
            z = torch.sigmoid(self.gate(h))
            return h + z * (torch.tanh(self.new(h)) - h)

    look = start(nn.Sequential(nn.Linear(8, 8), *[Cell() for _ in range(4)]), X)
    assert [axis.skips for axis in look.axes] == [4]


# ---------------------------------------------------------------- time


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("settings", [{}, {"num_layers": 2}, {"bidirectional": True}])
def test_torch_recurrent_nets_have_a_time_axis_for_each_layer_and_direction(kind, settings):
    rnn = kind(8, 5, batch_first=True, **settings)
    names = [name.removeprefix("weight_hh_") for name, _ in rnn.named_parameters() if name.startswith("weight_hh")]
    look = start(nn.ModuleDict({"rnn": rnn})["rnn"], TOKENS.repeat(1, 4, 1))
    assert set(times(look)) == set(names)
    assert all(23 <= steps <= 24 for steps in times(look).values())


def test_a_packed_sequence_has_one_too():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(8, 5, batch_first=True)

        def forward(self, x):
            packed = nn.utils.rnn.pack_padded_sequence(x, [24, 20, 12, 11], batch_first=True)
            return self.rnn(packed)[1][-1]

    assert set(times(start(Packed(), TOKENS.repeat(1, 4, 1)))) == {"rnn.l0"}


class Loop(nn.Module):
    """A cell called step by step, or weights used so."""

    def __init__(self, step, steps=20, **parts):
        super().__init__()
        self.parts, self.step, self.steps = nn.ModuleDict(parts), step, steps

    def forward(self, x):
        state = None
        for _ in range(self.steps):
            state = self.step(self.parts, x, state)
        return state


LOOPS = {
    "rnn cell": ({"cell": nn.RNNCell(8, 5)}, lambda parts, x, h: parts["cell"](x, h)),
    "gru cell": ({"cell": nn.GRUCell(8, 5)}, lambda parts, x, h: parts["cell"](x, h)),
    "lstm cell": ({"cell": nn.LSTMCell(8, 5)}, lambda parts, x, h: parts["cell"](x, h)),
    "by hand": (
        {"read": nn.Linear(8, 5), "recur": nn.Linear(5, 5)},
        lambda parts, x, h: torch.tanh(parts["read"](x) + (0 if h is None else parts["recur"](h))),
    ),
}


@pytest.mark.parametrize("kind", LOOPS)
def test_cells_in_a_loop_have_a_time_axis(kind):
    parts, step = LOOPS[kind]
    found = times(start(Loop(step, **parts), X))
    assert found
    assert set(found) <= {"parts.cell", "parts.recur", "parts.read"}
    assert max(found.values()) >= 18


def test_layers_shared_over_depth_are_seen_at_every_use():
    """As in ALBERT: the same block twelve times, each time on the result of the last."""
    step = lambda parts, x, h: parts["block"](x if h is None else h)
    look = start(Loop(step, steps=12, block=nn.Sequential(nn.Linear(8, 8), nn.Tanh())), X)
    assert times(look) == {"parts.block.1": 12}


def test_heads_and_experts_called_side_by_side_are_no_time():
    class Sides(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])

        def forward(self, x):
            for layer in self.layers:
                x = torch.cat([F.softmax(x @ x.mT * i, -1) @ layer(x) for i in range(12)], -1)[..., :8]
            return x

    assert not any(axis.kind == "time" and axis.rows.kind.iloc[0] in ("matmul", "softmax")
                   for axis in start(Sides(), X).axes)  # fmt: skip


def test_fused_recurrent_layers_are_taken_apart_and_put_back(recwarn):
    before = torch.backends.mkldnn.enabled if hasattr(torch.backends.mkldnn, "enabled") else None
    found, notes = measure.looks(nn.LSTM(8, 5, batch_first=True), (TOKENS.repeat(1, 4, 1), None), squares, None)
    assert notes == []
    assert times(found[0])
    assert (torch.backends.mkldnn.enabled if before is not None else None) == before
    assert len(recwarn) == 0


# ---------------------------------------------------------------- rows and looks


def test_a_row_is_named_after_the_module_behind_it():
    class Calls(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.ModuleList([nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)) for _ in range(2)])
            self.rnn = nn.GRU(8, 4, batch_first=True)

        def forward(self, x):
            for layer in self.body:
                x = torch.relu(layer(x))
            return self.rnn(x[:, None])[1]

    wiring = wired(Calls(), (X, None), squares)
    names = ["body.0", "body.0.relu", "body.1.parametrizations.weight.0", "rnn[1]", "rnn.l0", "relu"]
    assert list(map(wiring.module, names)) == ["body.0", "body.0", "body.1", "rnn", "rnn.l0", "relu"]
    assert {"body.0", "body.1"} <= wiring.weighted  # though the class is now called ParametrizedLinear


def test_without_activations_layers_with_a_matrix_make_the_trunk():
    layers = [nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)) for _ in range(4)]
    axis = start(nn.Sequential(*layers), X).worst
    assert list(axis.rows.module) == ["0", "1", "2", "3"]


def test_norm_is_the_length_of_the_gradient():
    model, kept = mlp(2, 8, act="tanh", d_in=8, d_out=3), []
    look = start(model, X)
    model.act1.register_forward_hook(lambda module, args, h: kept.append(h))
    loss = squares(model(X))
    row = look.table[look.table.layer == "act1"].iloc[0]
    assert row.norm == pytest.approx(torch.autograd.grad(loss, kept)[0].norm().item(), rel=1e-5)


def test_the_looks_are_those_of_a_plain_training():
    model = mlp(2, 8, act="tanh", d_in=8, d_out=3, seed=0)
    found, _ = measure.looks(model, (X, Y), F.cross_entropy, torch.optim.SGD(model.parameters(), 0.3))
    optimizer, losses = torch.optim.SGD(model.parameters(), 0.3), []
    for _ in range(measure.STEPS + 1):
        optimizer.zero_grad()
        losses.append(F.cross_entropy(model(X), Y))
        losses[-1].backward()
        optimizer.step()
    assert [look.step for look in found] == list(measure.LOOKS)
    assert [look.loss for look in found] == [losses[step].item() for step in measure.LOOKS]


def test_a_loss_that_ends_between_two_looks_is_not_missed():
    model = mlp(3, 8, act="relu", sigma_w=2**0.5, d_in=8, d_out=3, seed=0)
    found, _ = measure.looks(model, (X, X[:, :3]), F.mse_loss, torch.optim.SGD(model.parameters(), 300.0))
    last = found[-1]
    assert not np.isfinite(last.loss)
    assert last.peak == np.inf
    assert last.step <= last.end < measure.STEPS


def test_lbfgs_evaluates_often_and_is_looked_at_once_a_step():
    model = mlp(2, 8, act="tanh", sigma_w=1.0, d_in=8, d_out=3, seed=0)
    found, _ = measure.looks(model, (X, Y), F.cross_entropy, torch.optim.LBFGS(model.parameters(), lr=0.5))
    assert [look.table.layer.tolist() for look in found] == [found[0].table.layer.tolist()] * len(found)
    assert found[-1].loss < found[0].loss


def test_a_row_used_in_two_looks_is_found_again():
    model = mlp(3, 8, act="tanh", d_in=8, d_out=3, seed=0)
    found, _ = measure.looks(model, (X, Y), F.cross_entropy, None)
    axis = found[-1].along(found[0].worst)
    assert axis is not found[0].worst
    assert list(axis.rows.layer) == ["act1", "act2", "act3"]
    assert (
        found[-1].along(start(nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh()), X).worst) is None
    )


# ---------------------------------------------------------------- one module, many layers


class OneActivation(nn.Module):
    """Twelve layers, and one activation that serves them all."""

    def __init__(self, act=None):
        super().__init__()
        self.layers, self.act = nn.ModuleList([nn.Linear(8, 8) for _ in range(12)]), act or nn.Tanh()

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return x


def test_an_activation_that_serves_all_layers_is_no_recurrence():
    (axis,) = start(OneActivation(), X).axes
    assert axis.kind == "depth"
    assert list(axis.rows.layer) == ["act"] * 12
    assert list(axis.rows.module) == [f"layers.{i}" for i in range(12)]


def test_weights_in_one_list_are_layers_and_not_time():
    class Weights(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.ParameterList([nn.Parameter(torch.randn(8, 8)) for _ in range(12)])

        def forward(self, x):
            for w in self.w:
                x = torch.tanh(x @ w)
            return x

    (axis,) = start(Weights(), X).axes
    assert (axis.kind, len(axis.rows)) == ("depth", 12)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_one_layer_used_again_and_again_is_time_also_where_its_weights_are_cast_once(dtype):
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.act = nn.Linear(8, 8), nn.Tanh()

        def forward(self, x):
            with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
                for _ in range(12):
                    x = self.act(self.layer(x))
            return x.float()

    assert times(start(Again(), X)) == {"act": 12}


# ---------------------------------------------------------------- activations that end a module


class Ends(nn.Module):
    """A layer and a function in one module, as blocks are often written."""

    def __init__(self, function, layer=None):
        super().__init__()
        self.layer, self.function = layer or nn.Linear(8, 8), function

    def forward(self, x):
        return self.function(self.layer(x))


@pytest.mark.parametrize("function", [torch.tanh, torch.sigmoid, F.relu, F.gelu, F.silu, F.leaky_relu, F.elu, F.relu_])
def test_a_function_that_ends_a_module_is_read_as_one_between_layers(function):
    layers = [nn.Linear(8, 8) for _ in range(3)]
    flat, blocks = nn.Sequential(*layers), nn.Sequential(*[Ends(function, layer) for layer in layers])
    flat.forward = lambda x: function(layers[2](function(layers[1](function(layers[0](x)))))) * 1.0
    one, other = start(blocks, X).acts, start(flat, X).acts
    readings = ["kind", "slope", "saturated", "dead"]
    assert one[readings].to_numpy().tolist() == other[readings].to_numpy().tolist()
    assert list(one.module) == ["0", "1", "2"]


def test_channels_are_the_units_of_images():
    model = nn.Sequential(*[Ends(F.relu, nn.Conv2d(4, 4, 3, padding=1)) for _ in range(2)])
    nn.init.constant_(model[0].layer.bias, 0.0)
    with torch.no_grad():
        model[0].layer.bias[1] = -1e3
    assert start(model, IMAGES).acts.dead.iloc[0] == 0.25


def test_what_a_checkpoint_runs_again_is_counted_once():
    blocks = [Ends(torch.tanh) for _ in range(3)]
    model = Plus(lambda h, f: f[2](checkpoint(f[1], f[0](h), use_reentrant=False)), nn.Sequential(*blocks))
    assert list(start(model, X).table.call) == [0] * 6


def test_a_module_that_hands_on_what_it_got_has_made_nothing():
    class Hands(nn.Module):
        def forward(self, x):
            return x

    acts = start(nn.Sequential(nn.Linear(8, 8), nn.Tanh(), Hands(), nn.Linear(8, 8)), X).acts
    assert list(acts.layer) == ["1"]
