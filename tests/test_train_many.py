"""Side by side equals alone: networks trained at once against a plain loop of torch over the same networks."""

import copy
import math
import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab.experiments.many import batches, layers, train_many

STEPS, SIZE = 12, 8
ROUNDING = 1e-7  # in float64; Adam enlarges the rounding of gradients that ought to be 0, of biases before BatchNorm
DRAW = torch.Generator().manual_seed(0)
X, Y = torch.randn(40, 6, generator=DRAW, dtype=torch.float64), torch.randint(3, (40,), generator=DRAW)
SEQUENCES, TARGETS = X.reshape(10, 4, 6), torch.randn(10, 3, generator=DRAW, dtype=torch.float64)
RATES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 1.5]
SPECS = [
    (1, 5, "tanh", None, False), (4, 5, "tanh", None, False), (3, 7, "relu", None, False), (2, 5, "gelu", None, False),
    (3, 5, "tanh", "batch", True), (2, 5, "tanh", "batch", True), (3, 5, "elu", "layer", False),
    (2, 5, "sigmoid", "rms", 0.5), (3, 5, torch.sin, None, False),
]  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(rnn.hidden_size, 3)

    def forward(self, x):
        out = self.rnn(x)[0]
        return self.head(out[:, -1] if self.rnn.batch_first else out[-1])


def mlps():
    return [
        vg.mlp(d, w, act=a, sigma_w=1.0, d_in=6, d_out=3, seed=i, norm=norm, skip=skip).double()
        for i, (d, w, a, norm, skip) in enumerate(SPECS)
    ]


def alone(model, x, y, optimizer=torch.optim.SGD, *, lr=0.1, clip=None, loss=F.cross_entropy, size=SIZE, **settings):
    model, losses = copy.deepcopy(model), []
    optimizer = optimizer(model.parameters(), lr=lr, **settings)
    for rows in batches(len(x), size=size, steps=STEPS, seed=0):
        optimizer.zero_grad()
        losses.append(loss(model(x[rows]), y[rows]))
        losses[-1].backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    return model, [value.item() for value in losses]


def assert_same(trained, i, expected, losses, within=ROUNDING):
    state, wanted = trained.models[i].state_dict(), expected.state_dict()
    for name, value in wanted.items():
        torch.testing.assert_close(state[name], value, rtol=within, atol=within)
    assert trained.curves[trained.curves.model == i].loss.tolist() == pytest.approx(losses, rel=within, abs=within)


@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("SGD", {}),
        ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        ("Adam", {"betas": (0.8, 0.99)}),
        ("AdamW", {"weight_decay": 0.1}),
        ("RMSprop", {}),
        ("NAdam", {}),
        ("Adagrad", {}),
    ],
)
def test_side_by_side_equals_alone(optimizer, settings, clip):
    optimizer, models = getattr(torch.optim, optimizer), mlps()
    rates = [rate * (0.01 if settings or optimizer is not torch.optim.SGD else 1) for rate in RATES]
    common = {"clip": clip, **settings}
    trained = train_many(models, X, Y, optimizer=optimizer, lr=rates, steps=STEPS, batch_size=SIZE, every=1, **common)
    for i, model in enumerate(models):
        assert_same(trained, i, *alone(model, X, Y, optimizer, lr=rates[i], **common))


def test_batches_go_through_all_examples_before_one_comes_again():
    drawn = list(batches(40, size=8, steps=10, seed=0))
    for one_pass in (drawn[:5], drawn[5:]):
        assert torch.cat(one_pass).sort().values.tolist() == list(range(40))
    assert not torch.equal(drawn[0], drawn[5])
    assert torch.equal(drawn[0], next(batches(40, size=8, steps=1, seed=0)))


def before_its_layer(act):
    """Activations first: in the network, in a branch, and one after the other."""
    branch = lambda: vg.nets.Residual(nn.Sequential(act(), nn.Linear(6, 6)), scale=0.5)
    return nn.Sequential(act(), branch(), branch(), act(), act(), nn.Linear(6, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("act", [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.SiLU])
def test_an_activation_overwrites_nothing_that_is_still_needed(act, dtype):
    x, models = X.to(dtype), [before_its_layer(act).to(dtype), before_its_layer(act).to(dtype)]
    kept = x.clone()
    trained = train_many(models, x, Y, lr=0.1, steps=STEPS, batch_size=SIZE, every=1, progress=False)
    assert torch.equal(x, kept)
    for i, model in enumerate(models):
        assert_same(trained, i, *alone(model, x, Y), within=1e-7 if dtype is torch.float64 else 1e-4)


def test_tanh_by_numpy_is_right_to_a_bit_or_two_everywhere():
    z = torch.cat([10 ** torch.linspace(-30, 2, 20001), torch.tensor([0.0, math.inf])])
    z = torch.cat([z, -z, torch.tensor([math.nan])])
    wanted = torch.tanh(z.double()).float()
    torch.testing.assert_close(layers.BY_HAND[nn.Tanh][0](z), wanted, rtol=2.5e-7, atol=0, equal_nan=True)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_networks_and_squared_error(kind, batch_first):
    models = [Recurrent(kind(6, 4, layers, batch_first=batch_first)).double() for layers in (1, 1, 2)]
    trained = train_many(models, SEQUENCES, TARGETS, loss="mse", lr=[0.1, 0.2, 0.3], steps=STEPS, every=1)
    x = SEQUENCES if batch_first else SEQUENCES.transpose(0, 1)
    for i, model in enumerate(models):
        assert_same(trained, i, *alone_sequence(model, x, lr=(0.1, 0.2, 0.3)[i]))


def alone_sequence(model, x, lr):
    model, losses = copy.deepcopy(model), []
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), TARGETS)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


class Half(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.half().to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        return g.half().to(g.dtype)


def test_simulated_half_precision_rounds_weights_signals_and_gradients():
    model, scale, half = vg.mlp(3, 5, act="tanh", sigma_w=1.0, d_in=6, d_out=3, seed=0).double(), 64.0, Half.apply
    trained = train_many([model] * 2, X, Y, lr=0.5, steps=5, precision="float16", loss_scale=[scale, 2.0**30], every=1)
    wanted = copy.deepcopy(model)
    for _ in range(5):
        h = half(X)
        for layer in wanted:
            linear = isinstance(layer, nn.Linear)
            h = half(F.linear(h, half(layer.weight), half(layer.bias)) if linear else layer(h))
        wanted.zero_grad()
        (F.cross_entropy(h, Y) * scale).backward()
        with torch.no_grad():
            for p in wanted.parameters():
                p -= 0.5 * p.grad / scale
    for p, q in zip(wanted.parameters(), trained.models[0].parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    assert trained.table.skipped.tolist() == [0, 5]  # a scale of 2**30 overflows in half precision
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), trained.models[1].parameters(), strict=True))


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}])
def test_a_network_that_diverges_is_marked_and_leaves_the_others_alone(settings):
    models = [vg.mlp(d, 5, act="relu", sigma_w=2.0, d_in=6, d_out=3, seed=0) for d in (4, 3, 2)]
    x = X.float()
    trained = train_many(models, x, Y, lr=[0.01, 1e30, 0.02], steps=STEPS, batch_size=SIZE, every=1, **settings)
    assert trained.table.diverged.isna().tolist() == [True, False, True]
    at = int(trained.table.diverged[1])
    assert 0 < at < STEPS
    assert trained.table.steps.tolist() == [STEPS, at, STEPS]
    assert trained.curves[trained.curves.model == 1].step.max() == at - 1
    assert math.isnan(trained.table.loss[1])
    for i, lr in ((0, 0.01), (2, 0.02)):
        assert_same(trained, i, *alone(models[i], x, Y, lr=lr, **settings), within=1e-4)


@pytest.mark.parametrize(
    "make", [lambda: ThreadPoolExecutor(2), lambda: ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))]
)
def test_an_executor_gives_the_same(make):
    models = mlps()
    here = train_many(models, X, Y, lr=RATES, steps=STEPS, chunk=2)
    with make() as executor:
        there = train_many(models, X, Y, lr=RATES, steps=STEPS, chunk=2, executor=executor)
    assert here.curves.equals(there.curves)
    assert here.table.equals(there.table)
    for a, b in zip(here.models, there.models, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_cancel_keeps_what_is_done():
    done = []
    trained = train_many(
        mlps(), X, Y, steps=STEPS, progress=lambda n, of: done.append(n), should_stop=lambda: len(done) == 5
    )
    assert trained.stopped
    assert trained.table.steps.max() == 5
    assert sorted(trained.table.steps)[0] == 0  # of a chunk that was not begun
    assert len(trained.models) == len(SPECS)


def test_an_interrupt_from_the_keyboard_keeps_what_is_done():
    stop = lambda done, total: signal.raise_signal(signal.SIGINT) if done == 3 else None
    trained = train_many(mlps()[:2], X, Y, steps=STEPS, progress=stop)
    assert trained.stopped
    assert trained.table.steps.tolist() == [3, 3]


def test_given_models_and_the_random_state_stay_as_they_are():
    models = mlps()
    before, state = copy.deepcopy(models), torch.get_rng_state()
    train_many(models, X, Y, steps=3, batch_size=SIZE)
    assert torch.equal(state, torch.get_rng_state())
    for a, b in zip(before, models, strict=True):
        assert all(torch.equal(v, b.state_dict()[key]) for key, v in a.state_dict().items())


def test_the_table_and_steps_to():
    models = mlps()[:2]
    trained = train_many(models, X, Y, lr=0.3, steps=40, every=1, x_test=X[:9], y_test=Y[:9])
    for i, model in enumerate(trained.models):
        assert trained.table.loss[i] == pytest.approx(F.cross_entropy(model(X), Y).item())
        assert trained.table.test_accuracy[i] == pytest.approx((model(X[:9]).argmax(1) == Y[:9]).double().mean().item())
    bound = trained.curves[trained.curves.model == 0].loss.iloc[10]
    assert trained.steps_to(loss=bound)[0] == 10
    assert trained.steps_to(loss=-1.0).isna().all()


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (nn.Sequential(nn.Linear(6, 3), nn.PReLU()), {}, r"models\[0\]: train_many stacks .*'1' is PReLU"),
        (nn.Sequential(nn.Linear(6, 3), nn.Dropout()), {}, "'1' is Dropout"),
        (nn.Linear(6, 3), {}, "takes nn.Sequential, or a module with one nn.RNN.*got Linear"),
        (
            nn.Sequential(nn.Linear(6, 3)),
            {"optimizer": torch.optim.LBFGS},
            "optimizer must be one of torch.optim's SGD",
        ),
        (nn.Sequential(nn.Linear(6, 3)), {"lr": [0.1, 0.2]}, "lr must be a number or one per model, 1 here"),
        (nn.Sequential(nn.Linear(6, 3)), {"loss": "hinge"}, "loss must be 'cross_entropy', 'mse'"),
        (nn.Sequential(nn.Linear(6, 3)), {"precision": "int8"}, "precision must be one of float32, float16"),
        (nn.Sequential(nn.Linear(6, 3)), {"batch_size": 99}, "batch_size must be None or 1 to 40"),
    ],
)
def test_what_cannot_be_trained_is_named(model, settings, message):
    with pytest.raises(ValueError, match=message):
        train_many([model.double()], X, Y, **settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": mlps()[0]}, r"takes a list of models; got one Sequential: put it into a list"),
        ({"models": []}, r"needs at least one model; got an empty list"),
        ({"x": X.numpy()}, r"x must be a tensor; got ndarray: use torch.as_tensor"),
        ({"x": X[:, :5]}, r"models\[0\] takes 6 features; x has 5"),
        ({"x": X[:5]}, r"x and y need a row per example each; got 5 and 40"),
        ({"y": Y.double()}, r"y for cross_entropy must be int64 class numbers; got torch.float64"),
        ({"y": Y + 1}, r"models\[0\] tells 3 classes apart; y holds 1 to 3"),
        ({"y": torch.zeros(40, 2).double(), "loss": "mse"}, r"models\[0\] gives 3 numbers; y has 2"),
        ({"optimizer": "adam"}, r"optimizer must be one of torch.optim's SGD, .*; got 'adam'"),
        ({"momentum": 0.9, "optimizer": torch.optim.Adam}, r"Adam does not take the settings \{'momentum': 0.9\}"),
        ({"lr": [0.1, 0.2]}, r"lr must be a number or one per model, 1 here; got \[0.1, 0.2\]"),
    ],
)
def test_what_does_not_fit_is_said_before_any_training(change, message):
    given = {"models": mlps()[:1], "x": X, "y": Y, "steps": 2} | change
    with pytest.raises((ValueError, TypeError), match=message):
        train_many(**given)


def test_a_recurrent_model_that_does_something_else_is_refused():
    class First(Recurrent):
        def forward(self, x):
            return self.head(self.rnn(x)[0][:, 0])

    with pytest.raises(ValueError, match="must give head"):
        train_many([First(nn.RNN(6, 4, batch_first=True)).double()], SEQUENCES, TARGETS, loss="mse")
