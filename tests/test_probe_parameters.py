"""The probe's table of parameters: weights, gradients and true updates, whatever the optimizer does."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vglab.probe import probe, readings

from .test_probe import SAME, rms

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1),
    "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01, foreach=True),
    "Adam": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1, foreach=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, 0.01),
}


def model_and_data(width=8):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))
    return model, torch.randn(16, 4), torch.arange(16) % 3


def copies(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("sample", [None, 4096])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_the_true_ones(name, sample):
    model, x, y = model_and_data()
    optimizer, expected = OPTIMIZERS[name](model.parameters()), []
    with probe(model, optimizer, sample=sample) as seen:
        for step in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            before, grads = copies(model), {key: p.grad.clone() for key, p in model.named_parameters()}
            optimizer.step()
            for key, now in copies(model).items():
                moved = now.double() - before[key].double()
                expected.append((step, key, rms(now), rms(grads[key]), rms(moved) / rms(before[key])))
    got = [tuple(row) for row in seen.params.itertuples(index=False)]
    assert [row[:2] for row in got] == [row[:2] for row in expected]
    np.testing.assert_allclose([row[2:] for row in got], [row[2:] for row in expected], rtol=SAME)


def test_a_sample_of_a_large_weight_tells_its_update():
    ratios = []
    for sample in (None, 4096):
        model, x, y = model_and_data(width=2000)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with probe(model, optimizer, sample=sample) as seen:
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        ratios.append(seen.params.set_index("name")[["weight_rms", "update_ratio"]])
    np.testing.assert_allclose(ratios[1], ratios[0], rtol=0.15)
    assert (ratios[1].update_ratio != ratios[0].update_ratio).any()


def test_lbfgs_and_its_closure():
    model, x, y = model_and_data()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    twin = copy.deepcopy(model)
    with probe(model, optimizer, sample=None) as seen:
        before = copies(model)
        for _ in range(2):
            optimizer.step(closure)
    assert seen.table.step.max() == len(set(seen.table.step)) - 1 >= 2
    first, last = (rows.set_index("name") for _, rows in seen.params.groupby("step"))
    for name, p in model.named_parameters():
        assert last.grad_rms[name] == pytest.approx(rms(p.grad), rel=SAME)
        assert first.update_ratio[name] > 0
    assert last.weight_rms["0.weight"] == pytest.approx(rms(model[0].weight), rel=SAME)
    optimizer = torch.optim.LBFGS(twin.parameters(), max_iter=4)
    model_, model = model, twin
    for step in range(2):
        optimizer.step(closure)
        if step == 0:
            moved = rms(twin[0].weight.double() - before["0.weight"].double()) / rms(before["0.weight"])
    assert first.update_ratio["0.weight"] == pytest.approx(moved, rel=SAME)
    assert all(torch.equal(p, q) for p, q in zip(model_.parameters(), twin.parameters(), strict=True))


def test_parameters_that_do_not_move():
    model, x, y = model_and_data()
    model[0].weight.requires_grad_(False)
    optimizer = torch.optim.SGD([model[0].bias, model[2].weight], 0.1)
    with torch.no_grad():
        model[2].weight.zero_()
    with probe(model, optimizer) as seen:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    rows = seen.params.set_index("name")
    assert rows.update_ratio["0.weight"] == rows.update_ratio["2.bias"] == 0
    assert np.isnan(rows.grad_rms["0.weight"])
    assert rows.grad_rms["2.bias"] > 0
    assert rows.update_ratio["0.bias"] == 0  # the zeros behind it let no gradient through
    assert np.isnan(rows.update_ratio["2.weight"]), "a change of nothing has no ratio"
    assert rows.weight_rms["2.weight"] > 0


@pytest.mark.parametrize("change", ["data", "clamp", "channels_last"])
def test_a_weight_may_be_replaced_between_steps(change):
    torch.manual_seed(0)
    model, x = nn.Conv2d(3, 50, 3), torch.randn(2, 3, 5, 5)
    if change == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with probe(model, optimizer, sample=None) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            expected = 0.01 * rms(model.weight.grad) / rms(model.weight)
            optimizer.step()
            if change == "data":
                model.weight.data = model.weight.data * 3
            elif change == "clamp":
                model.weight.data.clamp_(-0.1, 0.1)
    last = seen.params[seen.params.name == "weight"].iloc[-1]
    assert last.update_ratio == pytest.approx(expected, rel=1e-4)  # of float32 weights, the change is no more exact


def test_lazy_parameters_are_read_from_the_step_on_in_which_they_are_made():
    torch.manual_seed(0)
    model = nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with probe(model, optimizer) as seen:
        for _ in range(2):
            model(torch.randn(3, 5)).sum().backward()
            optimizer.step()
    assert seen.params.name.tolist() == ["0.weight", "0.bias", "2.weight", "2.bias"] * 2
    assert (seen.params.update_ratio > 0).all()


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("kind", ["sparse", "complex", "bfloat16", "float64 tiny", "empty"])
def test_unusual_weights(kind):
    torch.manual_seed(0)
    if kind == "sparse":
        model, x = nn.Embedding(50, 4, sparse=True), torch.tensor([3, 3, 7])
    elif kind == "empty":
        model, x = nn.Sequential(nn.Linear(3, 0), nn.Linear(0, 2)), torch.randn(5, 3)
    else:
        dtype = {"complex": torch.complex64, "bfloat16": torch.bfloat16}.get(kind, torch.float64)
        model, x = nn.Linear(3, 4, dtype=dtype), torch.randn(5, 3, dtype=dtype)
    if kind == "float64 tiny":
        with torch.no_grad():
            model.weight.mul_(1e-200)
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    with probe(model, optimizer, sample=None) as seen:
        out = model(x)
        (out.abs().square().sum() if kind != "float64 tiny" else (out * 1e-201).sum()).backward()
        before = copies(model)
        optimizer.step()
    assert seen.notes == []
    for row, (name, p) in zip(seen.params.itertuples(), model.named_parameters(), strict=True):
        if p.numel():
            grad = p.grad.to_dense() if p.grad.is_sparse else p.grad
            assert row.grad_rms == pytest.approx(scaled_rms(grad), rel=SAME)
            assert row.weight_rms == pytest.approx(scaled_rms(p), rel=SAME)
            if p.detach().abs().max() == 0 or before[name].abs().max() == 0:
                continue
            assert row.update_ratio == pytest.approx(scaled_rms(p - before[name]) / scaled_rms(before[name]), rel=1e-5)


def scaled_rms(t):
    """Also of numbers whose squares are nothing."""
    peak = t.detach().abs().max().double().item()
    return peak * rms(t.detach().to(torch.complex128) / (peak or 1.0))


@pytest.mark.parametrize("fused", [False, True])
def test_with_a_scaler_the_gradient_is_what_the_optimizer_gets(fused):
    model, x, y = model_and_data()
    twin = copy.deepcopy(model)
    optimizer, scaler = torch.optim.Adam(model.parameters(), 0.01, fused=fused), torch.amp.GradScaler("cpu", 2.0**10)
    plain = torch.optim.Adam(twin.parameters(), 0.01)
    with probe(model, optimizer, scaler=scaler) as seen:
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()
    with probe(twin, plain) as expected:
        F.cross_entropy(twin(x), y).backward()
        plain.step()
    for table, other in ((seen.params, expected.params), (seen.table, expected.table)):
        np.testing.assert_allclose(table.select_dtypes("number"), other.select_dtypes("number"), rtol=1e-4)


def test_before_the_block_there_is_nothing():
    seen = probe(nn.Linear(2, 2))
    assert seen.table.empty
    assert seen.params.empty
    assert seen.params.columns.tolist() == ["step", "name", "weight_rms", "grad_rms", "update_ratio"]
    assert seen.notes == []
    assert seen.report().startswith("Nothing was seen")


@pytest.mark.parametrize("n", [8, 100_000])
def test_a_gradient_too_large_to_square_in_float32_is_read_without_a_warning(n):
    assert readings.rms(torch.full((n,), 1e30)) == pytest.approx(1e30)
