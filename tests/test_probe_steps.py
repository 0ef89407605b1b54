"""When the probe looks: every step, some, or as many as may be; losses, scalers, several passes; what it says of it."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vglab.nets import mlp
from vglab.probe import budget, probe, readings

from .test_probe import SAME, hooks, rms


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)), torch.randn(16, 4), torch.arange(16) % 3


def train(model, x, y, *, steps, optimizer=None):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def test_every_third_step_and_nothing_in_between(monkeypatch):
    model, x, y = small()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with probe(copy.deepcopy(model)) as whole:
        train(whole.model, x, y, steps=8)
    with probe(model, optimizer, every=3) as seen:
        for step in range(8):
            if step % 3:
                forbid(monkeypatch)
            train(model, x, y, steps=1, optimizer=optimizer)
            monkeypatch.undo()
    assert sorted(set(seen.table.step)) == sorted(set(seen.params.step)) == [0, 3, 6]
    expected = whole.table[whole.table.step % 3 == 0]
    np.testing.assert_array_equal(seen.table.select_dtypes("number"), expected.select_dtypes("number"))
    assert seen.notes == []


def forbid(monkeypatch):
    def refuse(*_):
        raise AssertionError("looked at")

    for place in (readings, __import__("sys").modules["vglab.probe.watch"]):
        monkeypatch.setattr(place, "rms", refuse)
        monkeypatch.setattr(place, "moments", refuse)


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("overhead", [0.02, 0.1])
def test_auto_keeps_its_overhead(monkeypatch, overhead):
    clock = Clock()
    monkeypatch.setattr(budget, "perf_counter", clock)
    monkeypatch.setattr(budget, "UNSEEN", 0.0)
    watch = __import__("sys").modules["vglab.probe.watch"]
    slow = watch.moments

    def moments(h):
        clock.now += 0.010  # three rows, 30 ms a step that is looked at
        return slow(h)

    monkeypatch.setattr(watch, "moments", moments)
    model, x, y = small()
    with probe(model, every="auto", overhead=overhead) as seen:
        for _ in range(20):
            for _ in range(20):
                train(model, x, y, steps=1)
                clock.now += 0.1
            spent = 0.030 * seen.table.step.nunique()
            assert spent <= max(0.030, overhead * clock.now) + 1e-9
    looked = seen.table.step.unique()
    assert looked[0] == 0
    assert 0.9 * overhead < 0.030 * len(looked) / clock.now <= overhead


def test_auto_looks_again_when_a_look_gets_cheap(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(budget, "perf_counter", clock)
    counted = budget.Budget(0.5)
    assert counted.allows(looked=False)
    counted.spent, clock.now = 8.0, 10.0
    assert not counted.allows(looked=True)  # 8 spent, 8 more expected, 5 allowed
    clock.now = 31.0
    assert not counted.allows(looked=False)
    clock.now = 32.0
    assert counted.allows(looked=False)
    counted.spent = 8.5
    assert counted.allows(looked=True)  # it took 0.5


def test_watch_ends_a_step_where_the_model_is_not_called():
    class Coder(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)

        def code(self, x):
            return self.down(torch.tanh(self.up(x)))

    torch.manual_seed(0)
    model, x = Coder(), torch.randn(3, 4)
    for every, looked in ((1, [0, 1, 2, 3]), (2, [0, 2])):
        with probe(model, every=every) as seen:
            for _ in range(4):
                loss = seen.watch((torch.sigmoid(model.code(x)) - x).square().mean())
                loss.backward()
        steps = dict(list(seen.table.groupby("step")))
        assert list(steps) == looked
        for step in steps.values():
            assert step.layer.tolist() == ["up", "up.tanh", "down", "down.sigmoid"]
            assert step.grad_rms.notna().all()
            assert set(step.backward) == {0}


def test_the_optimizer_s_step_ends_a_step_as_well():
    torch.manual_seed(0)
    model, x = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 2)]), torch.randn(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with probe(model, optimizer, every=2) as seen:
        for _ in range(5):
            model[1](model[0](x)).sum().backward()
            optimizer.step()
    assert seen.table.step.tolist() == [0, 0, 2, 2, 4, 4]
    assert sorted(set(seen.params.step)) == [0, 2, 4]


def test_watch_shows_what_lies_between_the_model_and_its_loss():
    model, x, y = small()
    with probe(model) as seen:
        out = model(x)
        seen.watch(F.nll_loss(torch.log_softmax(torch.relu(out), 1), y)).backward()
        model(x)
    assert seen.table[seen.table.step == 0].layer.tolist() == ["0", "1", "2", "2.relu", "2.log_softmax"]
    assert seen.table[seen.table.step == 1].layer.tolist() == ["0", "1", "2"]


def test_a_scaler_s_scale_is_taken_out_and_skipped_steps_are_shown():
    model, x, y = small()
    twin = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=1)
    with probe(model, optimizer, scaler=scaler) as seen:
        for step in range(4):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y) * (float("inf") if step == 2 else 1.0)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    with probe(twin) as plain:
        F.cross_entropy(twin(x), y).backward()
    for step in (0, 1, 3):
        rows = seen.table[seen.table.step == step]
        np.testing.assert_array_equal(rows.grad_rms, plain.table.grad_rms)  # a power of two changes no digit
    assert not np.isfinite(seen.table.grad_rms[seen.table.step == 2]).any()
    assert sorted(set(seen.params.step)) == [0, 1, 3]
    assert seen.notes == []


def test_a_scale_that_changes_between_two_passes():
    model, x, y = small()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    with probe(model, scaler=scaler) as seen:
        loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward(retain_graph=True)
        scaler.update(4.0)
        scaler.scale(loss).backward()
    grads = seen.table.groupby("backward").grad_rms.apply(list)
    assert grads[0] == grads[1]


def test_a_model_that_calls_itself_makes_one_step():
    class Tree(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x, depth=2):
            return torch.tanh(self.layer(x if depth == 0 else self(x, depth - 1)))

    model = Tree()
    with probe(model) as seen:
        for _ in range(2):
            model(torch.randn(3, 4)).sum().backward()
    for _, step in seen.table.groupby("step"):
        assert step.layer.tolist() == ["layer", "(model)"] * 3
        assert step.call.tolist() == [0, 0, 1, 1, 2, 2]
        assert step.grad_rms.notna().all()


def test_a_scaler_with_watch():
    """The scale that counts is that of the loss, not the one at the time when the step began."""
    model, x, y = small()
    scaler, optimizer = torch.amp.GradScaler("cpu", growth_interval=1), torch.optim.SGD(model.parameters(), 0.0)
    with probe(model, scaler=scaler) as seen:
        for _ in range(3):
            loss = seen.watch(F.cross_entropy(model(x), y))
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    grads = seen.table.groupby("step").grad_rms.apply(list)
    assert grads[0] == grads[1] == grads[2]


def test_several_losses_over_several_passes():
    model, x, y = small()
    with probe(model) as seen:
        for _ in range(2):
            a, b = model(x), model(2 * x)
            (F.cross_entropy(a, y) + a.square().mean()).backward(retain_graph=True)
            F.cross_entropy(a + b, y).backward()
    counts = seen.table.groupby(["step", "backward"]).size()
    assert counts.to_dict() == {(0, 0): 3, (0, 1): 3, (1, 0): 3, (2, 0): 3, (2, 1): 3, (3, 0): 3}
    assert seen.table.grad_rms.notna().all()


def test_accumulated_gradients_reach_the_table_of_parameters():
    model, x, y = small()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with probe(model, optimizer) as seen:
        for half in (slice(0, 8), slice(8, 16)):
            (F.cross_entropy(model(x[half]), y[half]) / 2).backward()
        expected = [rms(p.grad) for p in model.parameters()]
        optimizer.step()
    np.testing.assert_allclose(seen.params.grad_rms, expected, rtol=SAME)
    assert set(seen.params.step) == {1}
    assert seen.table.step.tolist() == [0] * 3 + [1] * 3


# Words


def test_the_report_says_what_was_seen():
    torch.manual_seed(0)
    model, x, y = mlp(20, 16, act="sigmoid", d_in=4, d_out=3, seed=0), torch.randn(16, 4), torch.arange(16) % 3
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with probe(model, optimizer, every=2) as seen:
        train(model, x, y, steps=3, optimizer=optimizer)
    table, params = seen.table[seen.table.step == 2], seen.params[seen.params.step == 2]
    heard = table.grad_rms
    lines = str(seen.report()).splitlines()
    assert lines[0] == "41 rows a step, 2 steps seen; the last is step 2."
    decades = abs(np.log10(heard.iloc[0] / heard.iloc[-1]))
    assert lines[1] == (
        f"Gradient: rms {heard.iloc[-1]:.1e} at head, {heard.iloc[0]:.1e} at linear1, {decades:.1f} decades less."
    )
    acts = table[table.slope.notna()]
    assert lines[2].startswith(f"Activations: {acts.saturated.mean():.0%} of values saturated; least slope ")
    assert lines[3].startswith(f"Updates: {params.update_ratio.min():.1e} of the weight at ")
    assert lines[3].endswith("step 2.")
    assert len(lines) == 4
    assert repr(seen.report()) == str(seen.report())


def test_the_report_of_unusual_runs():
    model, x, _ = small()
    with probe(model) as seen:
        pass
    assert seen.report() == (
        "Nothing was seen: call the model inside the probe's with block, and not from compiled code."
    )
    with probe(model) as seen:
        model(x)
    assert "No gradient arrived: call backward() inside the with block." in seen.report()
    with probe(model) as seen:
        (model(x) * 0.0).sum().backward()
    assert "; it is 0 at " in seen.report()
    model[0].bias.grad = None
    with probe(model) as seen:
        (model(x) * torch.tensor(float("inf")) * 0).sum().backward()
    assert "Gradient: NaN in 3 of 3 rows. torch.autograd.set_detect_anomaly(True) names the" in seen.report()
    twin = nn.Sequential(model[0], nn.Tanh(), model[2])
    with probe(twin) as seen:
        twin[2](twin[1](twin[0](x)).detach()).sum().backward()
    assert "2 rows got no gradient." in seen.report()


def test_a_reading_that_fails_is_said_and_stops_nothing(monkeypatch):
    model, x, y = small()
    twin = copy.deepcopy(model)
    train(twin, x, y, steps=2)
    watch = __import__("sys").modules["vglab.probe.watch"]

    def broken(*_):
        raise RuntimeError("a reading gone wrong")

    for name in ("rms", "moments"):
        monkeypatch.setattr(watch, name, broken)
    monkeypatch.setattr(watch.graph, "calls", broken)
    monkeypatch.setattr(watch.Movement, "before", broken)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with probe(model, optimizer) as seen:
        train(model, x, y, steps=2, optimizer=optimizer)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), twin.parameters(), strict=True))
    assert "A reading failed and was left out (RuntimeError: a reading gone wrong)." in seen.notes
    assert hooks(model) == 0


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"optimizer": 0.1}, TypeError, "optimizer must be a torch.optim.Optimizer; got float: pass the object."),
        ({"every": 0}, ValueError, 'every must be "auto" or a whole number of at least 1; got 0.'),
        ({"every": "often"}, ValueError, "every must be \"auto\" or a whole number of at least 1; got 'often'."),
        ({"every": True}, ValueError, 'every must be "auto" or a whole number of at least 1; got True.'),
        ({"overhead": 2}, ValueError, "overhead is a share of the run's time, above 0 and below 1; got 2."),
        ({"sample": 3}, ValueError, "sample must be None or a whole number of at least 16; got 3."),
        ({"scaler": 1024.0}, TypeError, "scaler must be a torch.amp.GradScaler; got float: pass the object."),
    ],
)
def test_messages(given, error, words):
    with pytest.raises(error) as raised:
        probe(nn.Linear(2, 2), **given)
    assert str(raised.value) == words


def test_message_of_watch():
    model = nn.Linear(2, 2)
    with probe(model) as seen, pytest.raises(TypeError) as raised:
        seen.watch(0.3)
    assert str(raised.value) == "watch takes the loss, a tensor, before backward(); got float."
