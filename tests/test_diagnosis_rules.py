"""From readings to a verdict: each cause on the smallest network that has it, and what must not be blamed."""

import ast
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab.diagnosis import measure, rules
from vglab.diagnosis.words import CAUSE_TEXT

from .test_families import CAUSES

DRAW = torch.Generator().manual_seed(0)
X, Y = torch.randn(64, 64, generator=DRAW), torch.arange(64) % 10
STEPS = torch.randn(16, 40, 4, generator=DRAW)
HEALTHY = ("healthy", "")


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        yield


def found(model, x=X, *, y=Y, loss_fn=F.cross_entropy, lr=1e-3, kind=torch.optim.SGD):
    optimizer = kind(model.parameters(), lr=lr) if kind else None
    return vg.diagnose(model, (x, y), loss_fn, optimizer, remedies=False)


def verdict(*args, **settings):
    diagnosis = found(*args, **settings)
    return diagnosis.state, diagnosis.cause


def net(depth, act, sigma_w=None, **settings):
    return vg.mlp(depth, 64, act=act, sigma_w=sigma_w, seed=0, **settings)


class Last(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(rnn.hidden_size, 10)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


# ---------------------------------------------------------------- each cause

MADE = {
    ("vanishing", "saturating activation"): lambda: net(8, "tanh", 1.0, sigma_b=5.0),
    ("vanishing", "activation without unit gain"): lambda: net(8, "sigmoid", 1.0),
    ("vanishing", "weights too small"): lambda: net(12, "tanh", 0.4),
    ("vanishing", "depth"): lambda: net(100, "tanh", 1.15, sigma_b=0.25),
    ("exploding", "weights too large"): lambda: net(8, "relu", 5.0),
    ("exploding", "normalization without skips"): lambda: net(50, "relu", 2**0.5, norm="batch"),
    ("exploding", "residual without normalization"): lambda: net(24, "relu", 2**0.5, skip=True),
}


@pytest.mark.parametrize("truth", MADE, ids=": ".join)
def test_states_and_causes_over_depth(truth):
    assert verdict(MADE[truth]()) == truth
    assert verdict(MADE[truth](), kind=None) == truth


def test_gradients_lost_over_time_are_the_recurrence_whatever_the_cell():
    for rnn in (nn.RNN, nn.LSTM, nn.GRU):
        assert verdict(Last(rnn(4, 16, batch_first=True)), STEPS, y=Y[:16]) == ("vanishing", "recurrence")
    loud = Last(nn.RNN(4, 32, batch_first=True))
    nn.init.normal_(loud.rnn.weight_hh_l0, 0, 0.7)
    assert verdict(loud, STEPS, y=Y[:16]) == ("exploding", "recurrence")


@pytest.mark.parametrize("act", ["relu", "leaky_relu"])
def test_units_that_are_off_for_every_example_are_dead(act):
    model = net(4, act, 2**0.5)
    nn.init.constant_(model.linear2.bias, -30.0)
    truth = ("dead", "dead ReLUs") if act == "relu" else HEALTHY  # the leak keeps a hundredth alive; see below
    got = found(model)
    if act == "relu":
        assert (got.state, got.cause) == truth
        assert got.where[0] in ("act2", "act3", "act4")
        assert "act2" in got.where
    else:
        assert got.cause in ("dead ReLUs", "")


def test_a_rectifier_that_lets_nothing_through_is_no_matter_with_a_way_around_it():
    model = net(6, "relu", 2**0.5, skip=0.3)
    nn.init.constant_(model.block3.branch.linear3.bias, -30.0)
    assert verdict(model) == HEALTHY


def test_half_of_the_units_off_is_no_sign_of_death():
    assert verdict(net(40, "relu", 2**0.5)) == HEALTHY


@pytest.mark.parametrize(("bias", "truth"), [(-0.8, ("dead", "dead ReLUs")), (-0.2, HEALTHY)])
def test_relus_that_are_on_for_no_example_are_dead_though_the_gradient_keeps_its_length(bias, truth):
    model, digits = net(6, "relu", 2**0.5), vg.tasks.digits()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.fill_(bias) if name.endswith("bias") else None
    got = found(model, digits.x[:256], y=digits.y[:256])
    assert (got.state, got.cause) == truth
    if got.state == "dead":
        assert got.evidence.set_index("reading").value["units on"] < rules.LONE


def test_a_first_layer_at_its_flat_end_is_dead():
    got = found(net(3, "sigmoid", 1.0), X + 300)
    assert (got.state, got.cause, got.where) == ("dead", "saturating activation", ["act1"])


def test_a_gradient_that_the_number_format_flushes_away_is_a_matter_of_precision():
    small = lambda out, y: 1e-6 * F.cross_entropy(out.float(), y)
    assert verdict(net(4, "tanh", 1.0).half(), X.half(), loss_fn=small) == ("vanishing", "precision")
    assert verdict(net(4, "tanh", 1.0), loss_fn=small) == HEALTHY  # float32 has room for it


def test_a_slope_that_comes_from_flushing_is_a_matter_of_precision_too():
    """Each layer takes half; in float16 that ends at zero, and with the loss scaled up it does not."""
    model = net(7, "tanh", 0.55).half()
    got = found(model, X.half(), loss_fn=lambda out, y: 3e-5 * F.cross_entropy(out.float(), y))
    assert 0 < got.profile.grad_rms.eq(0).sum() < 7
    assert (got.state, got.cause) == ("vanishing", "precision")


def test_an_eps_that_swamps_the_variance_is_found_by_changing_it():
    norms = [m for _ in range(6) for m in (nn.Linear(64, 64), nn.LayerNorm(64, eps=1.0), nn.Tanh())]
    model = vg.init_(nn.Sequential(*norms, nn.Linear(64, 10)), sigma_w=0.1)
    assert verdict(model) == ("vanishing", "normalization eps")
    for module in model.modules():
        module.eps = 1e-5 if isinstance(module, nn.LayerNorm) else None
    assert verdict(model) == HEALTHY


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(64, 64), nn.LayerNorm(64)

    def forward(self, h):
        return h + 3 * self.norm(torch.relu(self.linear(h)))


def test_a_residual_net_with_norms_that_explodes_has_other_causes():
    model = nn.Sequential(nn.Linear(64, 64), *[Branch() for _ in range(16)], nn.Linear(64, 10))
    for block in model[1:-1]:
        nn.init.normal_(block.linear.weight, 0, 3.0)
        nn.init.constant_(block.norm.weight, 20.0)
    got = found(model)
    assert got.cause != "residual without normalization"


class ByHand(nn.Module):
    """Batch normalization in three lines, a class of its own."""

    def forward(self, h):
        return (h - h.mean(0)) / (h.var(0) + 1e-5).sqrt()


def test_a_normalization_written_by_hand_is_one():
    layers = [m for _ in range(50) for m in (nn.Linear(64, 64, bias=False), ByHand(), nn.ReLU())]
    assert verdict(nn.Sequential(*layers, nn.Linear(64, 10))) == ("exploding", "normalization without skips")


# ---------------------------------------------------------------- the learning rate


def test_a_learning_rate_that_throws_a_sound_network_off_is_blamed():
    got = found(net(4, "relu", 2**0.5), lr=300)
    assert (got.state, got.cause) == ("exploding", "learning rate")
    assert sorted(got.profile.step.unique()) == [0, got.profile.step.max()]
    assert (got.profile.groupby("step").layer.agg(list) == [["act1", "act2", "act3", "act4"]] * 2).all()
    assert "of the learning rate prevents it" in got.evidence.meaning[0]


def test_a_learning_rate_that_kills_units_makes_the_network_dead():
    target = F.one_hot(Y, 10).float()
    got = found(net(2, "relu", 2**0.5), y=target, loss_fn=F.smooth_l1_loss, lr=30)
    assert (got.state, got.cause) == ("dead", "learning rate")
    assert list(got.evidence.reading)[:2] == ["dead units", "growth of signals"]


def test_without_an_optimizer_no_learning_rate_is_blamed():
    """Its loss is in units in which the rate of 0.1 that stands for none is far too large."""
    large = lambda out, y: 1e6 * F.cross_entropy(out, y)
    assert verdict(net(4, "relu", 2**0.5), loss_fn=large, kind=None) == HEALTHY
    assert verdict(net(4, "relu", 2**0.5), loss_fn=large, lr=0.1) == ("exploding", "learning rate")


def test_a_network_that_learns_a_large_target_is_not_exploding():
    target = 100 + 30 * X[:, :1]
    assert verdict(net(3, "relu", 2**0.5, d_out=1), y=target, loss_fn=F.mse_loss, kind=torch.optim.Adam) == HEALTHY


# ---------------------------------------------------------------- bounds


class Lion(torch.optim.SGD):
    """An optimizer outside torch, known by its name."""


def test_the_bound_depends_on_the_optimizer():
    model = net(10, "tanh", 0.6)
    assert -3 < measure.decades_of(model, (X, Y), F.cross_entropy) < -2
    assert verdict(model, kind=torch.optim.SGD) == ("vanishing", "weights too small")
    assert verdict(model, kind=None) == ("vanishing", "weights too small")
    for kind in (torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.NAdam, Lion):
        got = found(model, kind=kind)
        assert (got.state, got.settings["threshold"]) == ("healthy", 3.0), kind


def test_confidence_grows_with_the_distance_from_the_bound():
    of = [found(net(depth, "tanh", 0.6)).confidence for depth in (9, 10, 12, 20)]
    assert of[1:] == sorted(of[1:])
    assert 0.5 <= min(of) < 0.8 < max(of) < 1.0
    on, away = rules.Finding(*HEALTHY, [], [], 0.0, None, None), rules.Finding(*HEALTHY, [], [], 1.0, None, None)
    assert (on.confidence, away.confidence) == (0.5, pytest.approx(0.816, abs=1e-3))


def test_a_head_of_zeros_is_judged_after_its_first_step():
    model = net(6, "tanh", 1.0)
    nn.init.zeros_(model.head.weight)
    got = found(model, lr=0.1)
    assert (got.state, got.profile.step.iloc[0]) == ("healthy", 1)
    sick = net(14, "tanh", 0.4)
    nn.init.zeros_(sick.head.weight)
    assert verdict(sick, lr=0.1) == ("vanishing", "weights too small")


def test_a_single_layer_has_nothing_to_lose():
    got = found(nn.Linear(64, 10))
    assert (got.state, len(got.profile)) == ("healthy", 1)


def test_a_network_that_overflows_at_its_start_explodes():
    got = found(net(30, "relu", 1e3))
    assert (got.state, got.cause) == ("exploding", "weights too large")
    assert math.isinf(got.settings["loss"]) or math.isnan(got.settings["loss"])


# ---------------------------------------------------------------- where and evidence


def test_where_names_modules_also_where_functions_are_called():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(14)])

        def forward(self, x):
            for layer in self.layers:
                x = torch.tanh(layer(x))
            return x[:, :10]

    model = vg.init_(Functional(), sigma_w=0.4)
    got = found(model)
    names = dict(model.named_modules())
    assert got.where
    assert set(got.where) | set(got.profile.layer) <= names.keys()
    assert set(got.evidence.layer) <= {"", *names}


def test_the_weights_at_fault_are_named_and_marked_in_the_profile():
    model = net(12, "tanh", 1.0)
    nn.init.normal_(model.linear7.weight, 0, 1e-5)
    nn.init.normal_(model.linear4.weight, 0, 1e-5)
    for i in (2, 3, 5, 6, 8, 9, 10, 11, 12):
        model.get_submodule(f"linear{i}").weight.data *= 0.5
    got = found(model)
    assert (got.state, set(got.where[:2])) == ("vanishing", {"linear4", "linear7"})
    assert set(got.where) <= set(got.profile.layer)


def test_the_evidence_is_what_was_measured():
    got = found(net(8, "sigmoid", 1.0))
    value = got.evidence.set_index("reading").value
    assert value["decades of gradient"] == pytest.approx(measure.decades(got.profile.grad_rms), abs=0.05)
    assert value["factor per layer"] == pytest.approx(value["rms slope"] * value["weights' factor"])
    assert value["factor per layer"] == pytest.approx(10 ** (value["decades of gradient"] / 7))
    assert value["rms slope"] == pytest.approx(got.profile.slope.median())
    assert got.evidence.threshold.iloc[0] == -got.settings["threshold"]


def test_a_limit_is_given_only_where_it_decided():
    limits = lambda model: found(model).evidence.set_index("reading").threshold
    assert limits(net(8, "sigmoid", 1.0))["saturated values"] == rules.PUSHED
    assert math.isnan(limits(net(4, "tanh", 1.0))["saturated values"])
    assert "saturated values" not in limits(net(4, "relu", 2**0.5))  # of a ReLU half are, and that is well


# ---------------------------------------------------------------- the list of causes


def literals(source):
    return {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}


def test_every_cause_has_a_text_and_a_rule():
    assert set(CAUSES) == set(CAUSE_TEXT)
    assert set(CAUSES) <= literals(Path(rules.__file__).read_text(encoding="utf-8"))


def test_no_rule_gives_a_cause_without_a_text():
    tree = ast.parse(Path(rules.__file__).read_text(encoding="utf-8"))
    functions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in ("_exploding", "_vanishing")
    ]
    given = {c.value for f in functions for node in ast.walk(f) if isinstance(node, ast.Return)
             for c in ast.walk(node.value) if isinstance(c, ast.Constant) and isinstance(c.value, str)}  # fmt: skip
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding"
    ]
    given |= {call.args[1].value for call in calls if isinstance(call.args[1], ast.Constant)}
    assert given - {"", "time", "weights"} <= set(CAUSES) | {"depth"}
    assert len(given) >= 8


# ---------------------------------------------------------------- however the network is written


class Block(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(64, 64), function

    def forward(self, x):
        return self.function(self.linear(x))


class Shared(nn.Module):
    """One activation module for all layers."""

    def __init__(self, function, depth):
        super().__init__()
        self.layers, self.act = nn.ModuleList([nn.Linear(64, 64) for _ in range(depth)]), function
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return self.head(x)


WAYS = {
    "functions in blocks": lambda act, depth: nn.Sequential(
        *[Block(getattr(F, act, None) or getattr(torch, act)) for _ in range(depth)], nn.Linear(64, 10)
    ),
    "one module for all": lambda act, depth: Shared(vg.mlp(1, 1, act=act).act1, depth),
    "a module a layer": lambda act, depth: vg.mlp(depth, 64, act=act),
}
WRITTEN = {
    ("vanishing", "weights too small"): ("tanh", 12, {"sigma_w": 0.4}),
    ("vanishing", "activation without unit gain"): ("sigmoid", 9, {"sigma_w": 1.0}),
    ("vanishing", "saturating activation"): ("tanh", 10, {"sigma_w": 1.0, "sigma_b": 5.0}),
    ("exploding", "weights too large"): ("relu", 12, {"sigma_w": 4.0}),
    HEALTHY: ("relu", 20, {"sigma_w": 2**0.5}),
}


@pytest.mark.filterwarnings("ignore:nn.functional")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("truth", WRITTEN, ids=": ".join)
def test_the_verdict_is_the_same_however_the_network_is_written(truth, way):
    act, depth, settings = WRITTEN[truth]
    model = vg.init_(WAYS[way](act, depth), **settings)
    nn.init.zeros_([m for m in model.modules() if isinstance(m, nn.Linear)][-1].bias)
    got = found(model)
    assert (got.state, got.cause) == truth
    assert got.settings["axis"] == "depth"
    assert len(set(got.profile.layer)) == depth
    assert set(got.where) <= dict(model.named_modules()).keys()
