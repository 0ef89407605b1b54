"""Patients: the same for the same seed, ill in one thing, cured by one change, and silent about what they have."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab.experiments import DIAGNOSES, patient, patients
from vglab.experiments.patients import BatchNorm1d
from vglab.nets import init_

SICK, CURED, HEALTHY = 0.55, 0.65, 0.78  # share of new digits read after training


def weights(one):
    return torch.cat([p.flatten() for p in one.model.parameters()])


def linear(one):
    return [module for module in one.model.modules() if isinstance(module, nn.Linear)]


def cured(one):
    """The smallest cure of each fault, and the word for what it changes."""
    other, label = one.copy(), one.reveal()
    act = type(next(module for name, module in one.model.named_children() if name.startswith("act"))).__name__
    if label == "weak activation":
        for name in [name for name, _ in other.model.named_children() if name.startswith("act")]:
            setattr(other.model, name, nn.Tanh())
        return other, "activations"
    if label.startswith("weights"):
        init_(other.model, sigma_w=2**0.5 if act == "ReLU" else 1.0, seed=0)
        return other, "weights"
    if label in ("saturated", "dead units"):
        for layer in linear(other):
            nn.init.zeros_(layer.bias)
        return other, "biases"
    if label == "detached statistics":
        for name in [name for name, _ in other.model.named_children() if name.startswith("norm")]:
            setattr(other.model, name, nn.BatchNorm1d(32))
        return other, "normalization"
    if label == "batch too small":
        return one.copy(batch_size=64), "batch size"
    return one.copy(lr=0.02), "learning rate"


# What is drawn


def test_the_same_seed_gives_the_same_patient_and_leaves_the_random_state_alone():
    before = torch.random.get_rng_state()
    one, other = patient(5), patient(5)
    assert torch.equal(weights(one), weights(other))
    assert (one.reveal(), one.lr, one.batch_size, repr(one)) == (
        other.reveal(),
        other.lr,
        other.batch_size,
        repr(other),
    )
    assert torch.equal(one.y, other.y)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len({weights(patient(seed)).sum().item() for seed in range(12)}) == 12


def test_a_keyed_hash_is_a_seed():
    number = int.from_bytes(b"a digest of thirty-two bytes....")
    assert repr(patient(number)) == repr(patient(number))
    assert "…" in repr(patient(number))


def test_a_ward_holds_every_diagnosis_equally_often_in_random_order():
    ward = patients(23, seed=4)
    counts = [[one.reveal() for one in ward].count(label) for label in DIAGNOSES]
    assert sorted(counts) == [2] * 7 + [3] * 3
    assert [one.reveal() for one in ward] != sorted([one.reveal() for one in ward], key=list(DIAGNOSES).index)
    again = patient(ward[7].seed)
    assert torch.equal(weights(again), weights(ward[7]))
    assert [one.seed for one in ward] == [one.seed for one in patients(23, seed=4)]
    assert [one.seed for one in ward] != [one.seed for one in patients(23, seed=5)]


def test_among_leaves_out_the_others():
    two = ("healthy", "saturated")
    assert {one.reveal() for one in patients(6, seed=1, among=two)} == set(two)
    assert {patient(seed, among="dead units").reveal() for seed in range(4)} == {"dead units"}


# What they have


@pytest.mark.parametrize("label", DIAGNOSES)
def test_the_sick_do_not_train_and_the_smallest_cure_heals(label):
    for seed in range(3):
        one = patient(seed, among=label)
        before = one.score(one.train()[0])
        if label == "healthy":
            assert before > HEALTHY
            continue
        assert before < SICK
        if label != "shuffled labels":
            other, word = cured(one)
            assert one.changes(other) == (word,)
            assert other.score(other.train()[0]) > CURED


def test_shuffled_labels_are_the_same_labels_in_another_order():
    one, sound = patient(3, among="shuffled labels"), vg.tasks.digits().y
    assert torch.equal(one.y.bincount(), sound.bincount())
    assert (one.y == sound).float().mean() < 0.2
    assert torch.equal(one.copy().y, one.y)


@pytest.mark.parametrize(("label", "upright"), [("detached statistics", False), ("batch too small", True)])
def test_only_detached_statistics_leave_the_right_angle(label, upright):
    one = patient(2, among=label)
    weight = linear(one)[2].weight
    (gradient,) = torch.autograd.grad(F.cross_entropy(one.model(one.x[:64]), one.y[:64]), weight)
    cosine = F.cosine_similarity(weight, gradient, dim=1).abs().max()
    assert (cosine < 0.01) == upright


def test_the_owners_batch_norm_is_torchs_in_training_mode():
    torch.manual_seed(0)
    z, w = 3 * torch.randn(16, 5) + 1, torch.randn(16, 5)
    for constant in (False, True):
        inputs = [z.clone().requires_grad_() for _ in range(2)]
        outputs = [layer(x) for layer, x in zip((BatchNorm1d(5, constant), nn.BatchNorm1d(5)), inputs, strict=True)]
        torch.testing.assert_close(*outputs)
        mine, torchs = (torch.autograd.grad((w * y).sum(), x)[0] for y, x in zip(outputs, inputs, strict=True))
        assert torch.allclose(mine, torchs, atol=1e-5) != constant


# What they tell, and what can be done to them


def test_nothing_is_told_unasked():
    one = patient(16)
    assert one.reveal() == "dead units"
    assert "dead" not in repr(one)
    assert "dead" not in repr([one, one.copy()]) + str(one) + str(one.model)
    assert one.submit("dead units")
    assert not one.submit("healthy")


def test_a_sealed_patient_cannot_be_asked():
    one = patient(16).sealed()
    for ask in (one.reveal, one.copy().reveal, lambda: one.submit("healthy")):
        with pytest.raises(ValueError, match="this patient came without its diagnosis: examine it"):
            ask()
    assert b"dead units" not in pickle.dumps(one)
    assert one.chart().equals(patient(16).chart())


def test_looking_and_training_change_nothing():
    one = patient(4)
    before = weights(one).clone()
    one.chart()
    model, losses = one.train(5)
    one.score()
    assert torch.equal(weights(one), before)
    assert all(p.grad is None for p in one.model.parameters())
    assert len(losses) == 5
    assert not torch.equal(torch.cat([p.flatten() for p in model.parameters()]), before)
    assert one.train(5, seed=0)[1] == losses != one.train(5, seed=1)[1]


def test_training_ends_where_the_loss_is_not_finite():
    one = patient(0, among="rate too high").copy(lr=1e6)
    _, losses = one.train(50)
    assert len(losses) < 50
    assert np.isfinite(losses[:-1]).all()
    assert not np.isfinite(losses[-1])


def test_changes_are_named():
    one = patient(0, among="saturated")
    assert one.changes(one.copy()) == ()
    assert one.changes(one.copy(lr=1.0, batch_size=7)) == ("learning rate", "batch size")
    assert one.changes(one.copy(y=one.y.flip(0))) == ("data",)
    assert one.changes(one.copy(model=init_(one.copy().model, "he", seed=1))) == ("weights", "biases")
    deeper = vg.mlp(30, 32, act="tanh", seed=0)
    assert "layers" in one.changes(one.copy(model=deeper))
    depth = len(linear(one)) - 1
    for net, word in (({"norm": "batch"}, "normalization"), ({"skip": True}, "skips")):
        assert word in one.changes(one.copy(model=vg.mlp(depth, 32, act="tanh", seed=0, **net)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: patient(-1), r"seed must be a whole number of at least 0; got -1\."),
        (lambda: patient("anna"), r"seed must be a whole number of at least 0; got 'anna'\."),
        (lambda: patient(1, among="flu"), r"among must hold diagnoses, healthy, .*; got 'flu'\."),
        (lambda: patient(1, among=()), r"among must hold diagnoses, .*; got 'nothing'\."),
        (lambda: patients(0), r"n must be a whole number of at least 1; got 0\."),
        (lambda: patient(1).submit("flu"), r"a diagnosis is one of healthy, .*; got 'flu'\."),
        (lambda: patient(1).copy(depth=3), r"a patient's model, lr, batch_size, x, y can be changed; got 'depth'\."),
    ],
)
def test_messages(call, message):
    with pytest.raises(ValueError, match=message):
        call()
