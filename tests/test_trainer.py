"""The step-by-step training: torch's own numbers, settings changed in between, and what it refuses."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import vglab as vg
from vglab.experiments import Trainer


def batches(n=8):
    digits = vg.tasks.digits()
    return [(digits.x[i : i + 32], digits.y[i : i + 32]) for i in range(0, 32 * n, 32)]


def by_hand(model, data, settings):
    """Losses and update ratios of a plain loop, one (class, kwargs) for each step; a new class is a new optimizer."""
    weights, made = [p for p in model.parameters() if p.ndim > 1], None
    for (x, y), (kind, kwargs) in zip(data, settings, strict=True):
        if type(made) is not kind:
            made = kind(model.parameters(), **kwargs)
        made.param_groups[0]["lr"] = kwargs["lr"]
        made.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        before = [w.detach().clone() for w in weights]
        grads = [w.grad.square().mean().sqrt().item() for w in weights]
        made.step()
        moves = [(w.detach() - b).norm() / b.norm() for w, b in zip(weights, before, strict=True)]
        yield loss.item(), [float(m) for m in moves], grads


def test_it_trains_as_a_plain_loop_does_also_when_settings_change():
    model, data = vg.mlp(3, 16, act="tanh", seed=0), batches()
    twin = copy.deepcopy(model)
    trainer = Trainer(model, data, steps=6, lr=0.1)
    sgd, adam = (torch.optim.SGD, {"momentum": 0.9}), (torch.optim.Adam, {})
    rates = [0.1, 0.1, 0.02, 0.02, 0.01, 0.01]
    kinds = [sgd] * 4 + [adam] * 2
    settings = [(kind, kwargs | {"lr": lr}) for (kind, kwargs), lr in zip(kinds, rates, strict=True)]
    for i, (loss, moves, grads) in enumerate(by_hand(twin, data[:6], settings)):
        trainer.lr, trainer.optimizer = rates[i], "sgd" if i < 4 else "adam"
        record = next(trainer)
        assert (record["step"], record["loss"]) == (i, loss)
        assert record["update_ratio"] == pytest.approx(moves, rel=0.1)  # from a sample of each weight
        assert record["grad_rms"] == pytest.approx(grads, rel=1e-5)
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert trainer.done
    assert next(trainer, None) is None


def test_reset_gives_the_same_training_again():
    trainer = Trainer(vg.mlp(2, 8, act="tanh", seed=0), batches(), steps=20)
    first = [record["loss"] for record in trainer]
    trainer.reset()
    assert [record["loss"] for record in trainer] == first


def test_batches_are_gone_through_again():
    trainer = Trainer(vg.mlp(2, 8, act="tanh", seed=0), batches(2), steps=5)
    assert len(list(trainer)) == 5


def test_it_stops_where_the_loss_is_no_longer_a_number():
    model = nn.Sequential(nn.Linear(64, 10))
    trainer = Trainer(model, batches(), lambda z, y: (z**4).sum(), steps=50, lr=10)
    losses = [record["loss"] for record in trainer]
    assert len(losses) < 50
    assert not np.isfinite(losses[-1])
    assert np.isfinite(losses[:-1]).all()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"model": "net"}, TypeError, r"model must be an nn\.Module; got str: give the network to train"),
        ({"model": nn.ReLU()}, ValueError, "no weights to train of two or more dimensions"),
        ({"steps": 0}, ValueError, "steps must be a whole number of 1 or more; got 0: say how long"),
        ({"steps": 2.5}, ValueError, r"steps must be a whole number of 1 or more; got 2\.5"),
        ({"lr": 0}, ValueError, "lr must be a number above 0; got 0: give a learning rate such as"),
        ({"lr": float("nan")}, ValueError, "lr must be a number above 0; got nan"),
        ({"optimizer": "lion"}, ValueError, "optimizer must be one of 'sgd', 'adam', 'adamw'; got 'lion': choose"),
    ],
)
def test_a_bad_setting_is_refused_in_one_sentence(wrong, error, message):
    with pytest.raises(error, match=message):
        Trainer(**({"model": nn.Linear(2, 2), "batches": []} | wrong))


def test_batches_that_give_nothing_are_named():
    with pytest.raises(ValueError, match=r"batches has nothing in it, or not again: give a list or a DataLoader"):
        next(Trainer(nn.Linear(2, 2), []))
    x, y = torch.ones(4, 2), torch.zeros(4, dtype=torch.long)
    once = Trainer(nn.Linear(2, 2), iter([(x, y)]))
    next(once)
    with pytest.raises(ValueError, match="or not again"):
        next(once)
