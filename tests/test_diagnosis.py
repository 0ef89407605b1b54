"""`vg.diagnose` from outside: how often it is right, that it harms nothing, and what it says to what it cannot take."""

import doctest
import random
import threading
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import vglab as vg
from vglab import diagnosis
from vglab.diagnosis import measure, rules, words

from .benchmarks.confusion import evaluate, scores, wrong
from .families import aside, design

DRAW = torch.Generator().manual_seed(0)
X, Y = torch.randn(32, 16, generator=DRAW), torch.arange(32) % 4
HEALTHY = ("healthy", "")


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        yield


def net(depth=4, act="tanh", sigma_w=1.0, **settings):
    return vg.mlp(depth, 16, act=act, sigma_w=sigma_w, d_in=16, d_out=4, seed=0, **settings)


def sgd(model, lr=0.05, **settings):
    return torch.optim.SGD(model.parameters(), lr=lr, **settings)


def found(model, batch=(X, Y), loss_fn=F.cross_entropy, optimizer=None, remedies=False, **settings):
    return vg.diagnose(model, batch, loss_fn, optimizer, remedies, **settings)


def verdict(*args, **settings):
    diagnosis = found(*args, **settings)
    return diagnosis.state, diagnosis.cause


# ---------------------------------------------------------------- how often it is right

RIGHT_STATE, RIGHT_CAUSE, FALSE_ALARMS = 0.97, 0.90, 0.02  # what is promised, in shares of nets


def check_scores(table, *, cases):
    share = scores(table).share
    said = f"\n{scores(table)}" + (f"\n{wrong(table)}" if cases else "")
    assert share["state right, of all nets"] >= RIGHT_STATE, said
    assert share["cause right, of all sick nets"] >= RIGHT_CAUSE, said
    assert share["healthy nets said to be sick"] <= FALSE_ALARMS, said


HALVES = {"design": (design.FAMILIES, True), "aside": (aside.FAMILIES, False)}  # the cases of one half are not shown


@pytest.mark.parametrize("half", HALVES)
def test_diagnoses_are_right_on_the_families_with_one_seed(half):
    families, cases = HALVES[half]
    check_scores(evaluate(families, seeds=[0]), cases=cases)


@pytest.mark.slow
@pytest.mark.parametrize("half", HALVES)
def test_diagnoses_are_right_on_the_families_with_other_seeds(half):
    families, cases = HALVES[half]
    check_scores(evaluate(families, seeds=[1, 2]), cases=cases)


def test_scores_see_what_is_wrong():
    table = evaluate({name: design.FAMILIES[name] for name in ("zero_head", "rnn_of_50_steps")}, seeds=[0])
    check_scores(table, cases=True)
    for got in (("dead", "dead ReLUs"), ("healthy", ""), ("vanishing", "depth")):
        with pytest.raises(AssertionError, match="healthy nets said to be sick"):
            check_scores(table.assign(got_state=got[0], got_cause=got[1]), cases=True)


def test_the_example_in_the_docstring_runs():
    example = doctest.DocTestFinder(recurse=False).find(diagnosis.diagnose, globs={
        "diagnose": vg.diagnose, "torch": torch, "nn": nn,
    })  # fmt: skip
    runner = doctest.DocTestRunner()
    for test in example:
        runner.run(test)
    assert (runner.failures, runner.tries) == (0, 4)


# ---------------------------------------------------------------- nothing is touched


class Restless(nn.Module):
    """Has everything that a careless look would change."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*[m for _ in range(3) for m in (nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU())])
        self.spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16))
        self.drop, self.rnn, self.head = nn.Dropout(0.2), nn.LSTM(16, 16, batch_first=True), nn.Linear(16, 4)
        self.register_buffer("calls", torch.zeros(()))
        self.count, self.shapes, self.fail = 0, [], False

    def forward(self, x):
        self.count += 1
        self.calls += 1
        self.shapes.append(x.shape)
        x.mul_(random.uniform(0.9, 1.1) * np.random.uniform(0.9, 1.1))  # in place, on the batch
        h = self.drop(self.spectral(self.body(x)))
        if self.fail:
            raise self.fail
        return self.head(self.rnn(h[:, None].repeat(1, 10, 1))[0][:, -1])


def hooks(module):
    return {key: list(value) for key, value in vars(module).items() if "hook" in key and isinstance(value, dict)}


def everything(model, optimizer, batch):
    """What a user could notice, the identity of tensors and their version counters included."""
    tensors = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters()), *batch]
    tensors += [v for state in optimizer.state.values() for v in state.values() if isinstance(v, torch.Tensor)]
    kept = [None if t is None else (id(t), t._version, t.requires_grad, t.detach().clone().numpy().tobytes())
            for t in tensors]  # fmt: skip
    attached = [(m.training, sorted(vars(m)), hooks(m)) for m in model.modules()]
    attached += [[t._backward_hooks for t in model.parameters()], hooks(optimizer), str(optimizer), str(model)]
    randoms = (torch.get_rng_state().numpy().tobytes(), random.getstate(), np.random.get_state()[1].tobytes())
    switches = (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.backends.mkldnn.enabled)
    counts = (model.count, len(model.shapes), len(nn.modules.module._global_forward_hooks))
    return kept, attached, randoms, switches, counts


@pytest.fixture(params=["train", "eval", "mixed"])
def restless(request):
    """(model, optimizer, batch) in the middle of a training."""
    model, batch = Restless(), (X.clone(), Y.clone())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()
    model.drop.p = 0.3
    model.train(request.param != "eval")
    model.body[1].train(request.param == "train")
    optimizer.register_step_post_hook(noted)
    model.body[0].register_forward_hook(noted)
    return model, optimizer, batch


def noted(*_):
    """A user's hook, left where it is."""


def test_model_optimizer_batch_and_random_states_stay_as_they_were(restless):
    model, optimizer, batch = restless
    before = everything(*restless)
    found(model, batch, optimizer=optimizer)
    assert everything(*restless) == before


def test_with_remedies_too(restless):
    model, optimizer, batch = restless
    nn.init.constant_(model.body[6].bias, -50.0)  # so that there is something to cure
    nn.init.constant_(model.body[7].bias, -50.0)
    before = everything(*restless)
    diagnosis = found(model, batch, optimizer=optimizer, remedies=True, seconds=2)
    assert diagnosis.state == "dead"
    assert len(diagnosis.remedies) + len(diagnosis.notes) > 0
    assert everything(*restless) == before


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("no"), KeyboardInterrupt()])
def test_and_where_the_model_raises_in_the_middle(restless, error):
    model, optimizer, batch = restless
    model.fail = error
    before = everything(*restless)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else ValueError):
        found(model, batch, optimizer=optimizer)
    assert everything(*restless) == before


@pytest.mark.parametrize("when", [1, 2, 3, 8])
def test_and_where_the_loss_raises_in_a_later_step(restless, when):
    model, optimizer, batch = restless
    calls = []

    def loss_fn(out, y):
        calls.append(1)
        if len(calls) == when:
            raise KeyboardInterrupt
        return F.cross_entropy(out, y)

    before = everything(*restless)
    with pytest.raises(KeyboardInterrupt):
        found(model, batch, loss_fn, optimizer)
    assert everything(*restless) == before


def test_an_interruption_while_remedies_are_tried_gives_the_diagnosis():
    def stop(done, total, name):
        if done == 1:
            raise KeyboardInterrupt

    diagnosis = found(net(16, sigma_w=0.4), optimizer=sgd(net()) and None, remedies=True, progress=stop)
    assert (diagnosis.state, diagnosis.cause) == ("vanishing", "weights too small")
    assert len(diagnosis.remedies) == 1
    assert "interrupted" in diagnosis.notes[0]


def test_gradients_go_nowhere_else_either():
    """A penalty on the user's own weights, and a loss with weights of its own."""

    class Metric(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))
            self.norm = nn.BatchNorm1d(4)

        def forward(self, out, y):
            return F.cross_entropy(self.scale * self.norm(out), y)

    for depth, sigma_w in ((3, 1.0), (16, 0.4)):  # healthy, and sick: then some things are measured again
        model, metric = net(depth, sigma_w=sigma_w), Metric()
        before = deepcopy(metric.state_dict())
        weights = list(model.parameters())
        penalized = lambda out, y, weights=weights: F.cross_entropy(out, y) + 1e-3 * sum(p.norm() for p in weights)
        assert found(model, loss_fn=penalized).state == found(model, loss_fn=metric).state
        assert [p.grad for p in (*model.parameters(), *metric.parameters())] == [None] * (2 * depth + 2 + 3)
        assert all(torch.equal(before[key], value) for key, value in metric.state_dict().items())


@pytest.mark.parametrize("make", ["dropout_and_weight_decay", "tanh_with_default_weights", "relu_with_a_rate_of_100"])
def test_the_same_call_gives_the_same_again(make):
    parts = design.FAMILIES[make](0)
    first, second = (vg.diagnose(*parts, remedies=False) for _ in range(2))
    first.settings["seconds"] = second.settings["seconds"] = 0
    assert first.to_json() == second.to_json()


# ---------------------------------------------------------------- units do not matter

SICK = {
    "healthy": lambda: net(5),
    "vanishing": lambda: net(16, sigma_w=0.4),
    "exploding": lambda: net(14, "relu", 4.0),
    "dead": lambda: nn.Sequential(*net(4, "relu", 2**0.5), nn.Identity()).requires_grad_(True),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("state", SICK)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_unit_of_the_loss_changes_nothing(state, scale, dtype):
    model = SICK[state]().to(dtype)
    if state == "dead":
        nn.init.constant_(model[2].bias, -50.0)
    batch, scaled = (X.to(dtype), Y), lambda out, y: scale * F.cross_entropy(out, y)
    for lr in (None, 1e-3):
        of = lambda factor: None if lr is None else sgd(model, lr / factor)  # noqa: B023, the same steps in both units
        one, other = found(model, batch, optimizer=of(1.0)), found(model, batch, scaled, of(scale))
        assert (one.state, one.cause, one.where) == (other.state, other.cause, other.where)
        assert one.state == state
        assert list(one.evidence.meaning) == list(other.evidence.meaning)
        np.testing.assert_allclose(
            one.evidence.value.astype(float), other.evidence.value.astype(float), rtol=1e-3, atol=1e-3
        )
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)


# ---------------------------------------------------------------- what engineers have


def test_a_compiled_model_is_diagnosed_as_what_it_was_made_of():
    plain = found(net(16, sigma_w=0.4))
    for model in (
        torch.compile(net(16, sigma_w=0.4), backend="eager"),
        nn.Sequential(torch.compile(net(16, sigma_w=0.4), backend="eager")),
    ):
        got = found(model, optimizer=sgd(model))
        assert (got.state, got.cause) == (plain.state, plain.cause)
        assert [name.removeprefix("0.") for name in got.where] == plain.where
        assert got.notes == [
            "Compiled layers are one piece to autograd: a copy without torch.compile was measured and tried."
        ]
        assert got.settings["layers"] == plain.settings["layers"]
    helped = found(model, optimizer=sgd(model), remedies=True, seconds=3).remedies
    assert helped.helps.any()


def test_a_fused_recurrent_net_has_no_note_about_what_was_taken_apart():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 4)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    got = found(Last(), (torch.randn(32, 40, 4), Y))
    assert (got.state, got.cause, got.where, got.notes) == ("vanishing", "recurrence", ["rnn.l0"], [])
    assert set(got.profile.axis) == {"time"}


class Checkpointed(nn.Module):
    def __init__(self, blocks, reentrant):
        super().__init__()
        self.blocks, self.reentrant = nn.ModuleList(blocks), reentrant

    def forward(self, x):
        x = x.requires_grad_()
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=self.reentrant)
        return x[:, :4]


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_change_no_verdict(reentrant):
    blocks = [vg.init_(nn.Sequential(nn.Linear(16, 16), nn.Tanh()), sigma_w=0.4) for _ in range(12)]
    got = found(Checkpointed(blocks, reentrant))
    assert (got.state, got.cause) == ("vanishing", "weights too small")
    assert set(got.where) <= {f"blocks.{i}.0" for i in range(12)}


def test_optimizers_that_call_back_and_those_with_groups():
    model = net()
    groups = [{"params": list(model.parameters())[:4], "lr": 1e-4}, {"params": list(model.parameters())[4:]}]
    for optimizer in (torch.optim.LBFGS(model.parameters(), lr=0.5), torch.optim.AdamW(groups, lr=1e-3)):
        got = found(model, optimizer=optimizer)
        assert (got.state, got.settings["layers"]) == ("healthy", 4)


def test_an_optimizer_that_cannot_step_leaves_the_start_to_be_judged():
    model = net(3).half()
    loss_fn = lambda out, y: 1e-7 * F.cross_entropy(out.float(), y)
    got = found(model, (X.half(), Y), loss_fn, sgd(model, 1e5))
    assert (got.state, got.cause) == ("vanishing", "precision")
    assert got.notes[0].startswith("SGD could not make a step: RuntimeError: value cannot be converted")
    assert got.notes[0].endswith("What training does was not seen.")


def test_inputs_in_every_form():
    class Takes(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = net()

        def forward(self, a, b=None, labels=None):
            out = self.body(a if b is None else a + b)
            return {"loss": F.cross_entropy(out, labels)} if labels is not None else out

    for batch, loss_fn in (
        ((X, Y), F.cross_entropy),
        (((X, X), Y), F.cross_entropy),
        (({"a": X, "b": X}, Y), F.cross_entropy),
        ({"a": X, "labels": Y}, None),
        ((X, None), lambda out: out.square().mean()),
    ):
        assert verdict(Takes(), batch, loss_fn) == HEALTHY


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_number_formats(dtype):
    assert verdict(net().to(dtype), (X.to(dtype), Y)) == HEALTHY


@pytest.mark.filterwarnings("ignore:Casting complex values to real")
def test_complex_weights():
    class Complex(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(16, 16, dtype=torch.complex64) for _ in range(4)])

        def forward(self, x):
            for layer in self.layers:
                x = torch.tanh(layer(x))
            return x.abs()[:, :4]

    assert verdict(Complex(), (X.to(torch.complex64), Y), optimizer=None) == HEALTHY


def test_a_profile_of_what_came_later_holds_the_start_too():
    got = vg.diagnose(*design.FAMILIES["relu_killed_by_its_rate"](0), remedies=False)
    assert list(got.profile.step.unique()) == [0, measure.STEPS]
    assert got.profile.groupby("step").layer.agg(list).tolist() == [["act1", "act2"]] * 2
    first, last = (part.grad_rms.to_numpy() for _, part in got.profile.groupby("step"))
    assert (first > 0).all()
    assert (last[0] == 0) or np.isnan(last[0])
    assert len(got.plot().lines) >= 3


def test_settings_say_what_was_judged():
    model = net(5)
    settings = found(model, optimizer=torch.optim.Adam(model.parameters(), lr=0.002)).settings
    assert settings.pop("seconds") > 0
    assert settings.pop("loss") == pytest.approx(F.cross_entropy(model(X), Y).item())
    assert settings == {"model": "Sequential", "parameters": sum(p.numel() for p in model.parameters()), "layers": 5,
                        "optimizer": "Adam", "lr": 0.002, "axis": "depth", "threshold": 3.0}  # fmt: skip
    assert found(model).settings["optimizer"] == "SGD"


def test_every_verdict_shows_itself():
    for name in ("zero_head", "rnn_of_50_steps", "relu_with_a_rate_of_100", "conv_with_negative_biases"):
        got = vg.diagnose(*design.FAMILIES[name](0), remedies=False)
        assert got.cause in ("", *words.CAUSE_TEXT)
        assert words.headline(got) in repr(got)
        assert 0 <= got.confidence <= 1


def test_remedies_are_tried_only_on_what_is_sick():
    assert len(found(net(), remedies=True).remedies) == 0
    names = []
    got = found(net(16, sigma_w=0.4), remedies=True, seconds=4, progress=lambda done, total, name: names.append(name))
    assert set(got.remedies.remedy) <= {*names, *(f"{name}, learning rate divided by 10" for name in names)}
    best = words.best_first(got.remedies).iloc[0]
    assert best.helps
    assert best.loss_after < best.loss_before
    assert abs(best.gradient_after) < abs(best.gradient_before) - 1


def test_what_there_was_no_time_for_is_named():
    got = found(net(16, sigma_w=0.4), remedies=True, seconds=1e-3)
    assert any("Not tried for lack of time" in note for note in got.notes)


# ---------------------------------------------------------------- what it cannot take


def with_attribute(value):
    model = net()
    model.act1.kept = value
    return model


def lazy():
    return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(4))


def frozen():
    return net().requires_grad_(False)


def old_weight_norm():
    with pytest.warns(FutureWarning):
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(16, 4)))


def divides_by_zero(out, y):
    return F.cross_entropy(out, y) + (out - out).square().sum().sqrt()


NAN = X.clone().index_fill_(0, torch.tensor([3]), float("nan"))

REFUSED = {
    "no module": (TypeError, lambda: found(3), "diagnose takes a torch nn.Module; got int: pass the model itself."),
    "no optimizer": (
        TypeError,
        lambda: found(net(), optimizer=0.1),
        "optimizer must be a torch.optim.Optimizer; got float: pass the object.",
    ),
    "optimizer of another model": (
        ValueError,
        lambda: found(net(), optimizer=sgd(net())),
        "the optimizer must hold parameters of the model that is to be tried; this SGD holds 10 of others: make it "
        "anew from model.parameters().",
    ),
    "seconds": (
        ValueError,
        lambda: found(net(), seconds=0),
        "seconds is the time for trying remedies and must be above 0; got 0.",
    ),
    "no parameters": (
        ValueError,
        lambda: found(nn.ReLU()),
        "diagnose needs a model with parameters, and this ReLU has none: pass the whole model.",
    ),
    "lazy": (
        ValueError,
        lambda: found(lazy()),
        "diagnose needs all weights, and this Sequential is lazy: call it once on the inputs before.",
    ),
    "frozen": (ValueError, lambda: found(frozen()), "a gradient of the loss was asked for, but the loss from output"),
    "lock": (
        ValueError,
        lambda: found(with_attribute(threading.Lock())),
        "diagnose works on copies, and this Sequential cannot be copied because of its act1.kept (TypeError: cannot "
        "pickle '_thread.lock' object). Take it off the model for the call: a lock, a file or a generator has no copy.",
    ),
    "generator": (
        ValueError,
        lambda: found(with_attribute(i for i in range(3))),
        "cannot be copied because of its act1.kept (TypeError: cannot pickle 'generator' object). Take it off",
    ),
    "kept output": (
        ValueError,
        lambda: found(with_attribute(net()(X))),
        "cannot be copied because of its act1.kept (RuntimeError: Only Tensors created explicitly by the user (graph "
        "leaves) support the deepcopy protocol at the moment). Detach it or set it to None: it holds on to an earlier "
        "forward pass.",
    ),
    "old weight_norm": (
        ValueError,
        lambda: found(old_weight_norm()),
        "Torch's old weight_norm does so by itself; take torch.nn.utils.parametrizations.weight_norm.",
    ),
    "batch": (TypeError, lambda: found(net(), X), "batch must be a pair (inputs, target) or a dict of keyword"),
    "shapes": (ValueError, lambda: found(net(), (X[:, :3], Y)), "Sequential was called with (32, 3) float32 and"),
    "target": (ValueError, lambda: found(net(), (X, Y[:5])), "loss_fn was called with output (32, 4) float32"),
    "loss": (
        ValueError,
        lambda: found(net(), loss_fn=lambda out, y: F.cross_entropy(out, y, reduction="none")),
        "the loss must be a tensor with one real number; got (32,) float32",
    ),
    "nan in the batch": (
        ValueError,
        lambda: found(net(), (NAN, Y)),
        "gave nan before any step; inputs hold inf or nan: clean the data.",
    ),
    "log of zero": (
        ValueError,
        lambda: found(net(), loss_fn=lambda out, y: F.cross_entropy(out, y) + (out - out).sum().log()),
        "a finite loss was asked for, and Sequential on inputs (32, 16) float32, target (32,) int64 gave -inf before "
        "any step; the numbers in the batch are finite: look for a division, a log or an overflow in it.",
    ),
    "gradient of a root at zero": (
        ValueError,
        lambda: found(net(), loss_fn=divides_by_zero),
        "a finite gradient was asked for, and that of head.bias holds inf or nan, while the loss before any step is",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_it_cannot_take_it_says_in_a_sentence(what):
    error, call, words = REFUSED[what]
    with pytest.raises(error) as raised:
        call()
    assert words in str(raised.value)
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


@pytest.mark.filterwarnings("ignore")
def test_a_scripted_model_is_refused():
    with pytest.raises(ValueError, match="diagnose needs the model in Python; got a RecursiveScriptModule"):
        found(torch.jit.script(net()))


def test_a_mask_of_infinities_is_no_fault_of_the_batch():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = net()

        def forward(self, x, mask):
            return self.body(torch.softmax(x + mask, -1) * 16)

    mask = torch.zeros(32, 16)
    mask[:, 8:] = -torch.inf
    assert verdict(Masked(), ((X, mask), Y)) == HEALTHY


def test_what_was_in_the_way_is_chained():
    with pytest.raises(ValueError, match="works on copies") as raised:
        found(with_attribute(threading.Lock()))
    assert isinstance(raised.value.__cause__, TypeError)


def test_rules_know_torchs_optimizers_by_name():
    adaptive = {"Adam", "AdamW", "NAdam", "RAdam", "Adamax", "SparseAdam", "RMSprop", "Rprop", "Adagrad", "Adadelta"}
    for name in dir(torch.optim):
        kind = getattr(torch.optim, name)
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer:
            model = nn.Linear(4, 4)  # Muon takes matrices alone
            expected = rules.DECADES_ADAPTIVE if name in adaptive | {"Adafactor", "Muon"} else rules.DECADES
            assert rules.bound(kind([model.weight], lr=0.1)) == expected, name
