"""The checks of lesson 11 with a right doctor, and with those that learners are known to send."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vglab import check
from vglab.check import clinic
from vglab.experiments import DIAGNOSES, patient
from vglab.nets import init_


@pytest.fixture(autouse=True)
def _no_record(monkeypatch):
    monkeypatch.setenv("VGLAB_PROGRESS", "off")


def doctor(one):
    """A diagnosis by the lesson's probes, written anew."""
    acts = one.chart().dropna(subset="slope")
    first, last = acts.grad_rms.iloc[[0, -1]]
    nearest = torch.cdist(one.x, one.x).fill_diagonal_(torch.inf).argmin(1)
    if (one.y[nearest] == one.y).float().mean() < 0.5:
        return "shuffled labels"
    if first == 0:
        return "dead units"
    if not 0.1 < first / last < 10:
        vanishing = "saturated" if acts.saturated.median() > 0.6 else "weak activation"
        vanishing = vanishing if acts.slope.median() < 0.5 else "weights too small"
        return vanishing if first < last else "weights too large"
    if hasattr(one.model, "norm1") and _together(one) < 0.4:
        return "batch too small"
    if hasattr(one.model, "norm1"):
        weight = one.model.linear2.weight
        (gradient,) = torch.autograd.grad(F.cross_entropy(one.model(one.x[:64]), one.y[:64]), weight)
        if F.cosine_similarity(weight, gradient, dim=1).abs().max() > 0.05:
            return "detached statistics"
    losses = one.train(36)[1]
    return "healthy" if np.mean(losses[-6:]) < 0.8 * losses[0] else "rate too high"


@torch.no_grad()
def _together(one):
    """Correlation of a digit's outputs in two batches."""
    draw = torch.Generator().manual_seed(1)
    others = torch.randint(len(one.x), (2, 32, one.batch_size - 1), generator=draw)
    pair = [torch.cat([one.model(torch.cat([one.x[i : i + 1], one.x[b]]))[0] for i, b in enumerate(o)]) for o in others]
    pair = [(out.view(32, 10) - out.view(32, 10).mean(0)).flatten() for out in pair]
    return F.cosine_similarity(*pair, dim=0).item()


def test_a_good_doctor_passes():
    verdict = check.diagnose(doctor)
    assert verdict.passed
    assert "no healthy patient was called sick" in verdict.message


def test_the_unseen_ward_holds_two_of_each_and_does_not_know_what_it_has():
    def asks(one):
        return one.reveal()

    assert "examine it" in check.diagnose(asks).message
    assert sorted(one.reveal() for one in clinic._unseen()) == sorted([*DIAGNOSES] * 2)


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (lambda one: "healthy", "known mistake", "2 of 20 are right: every patient got the same diagnosis, 'healthy'."),
        (lambda one: "flu", "error", "a diagnosis is one of healthy, weak activation"),
        (lambda one: 3, "error", "got 3."),
        (lambda one: ["healthy"], "error", "got ['healthy']."),
        (lambda one: one.lung, "error", "your function stopped with AttributeError"),
        ("healthy", "error", "a function of (patient) was asked for, and str came: pass it uncalled."),
    ],
)
def test_bad_doctors(answer, status, words):
    verdict = check.diagnose(answer)
    assert verdict.status == status
    assert words in verdict.message


@pytest.mark.parametrize("label", DIAGNOSES)
def test_what_is_missed_has_its_own_advice(label):
    """Judged alone: all right but those of one kind, and five more that the bar would forgive no longer."""
    other = "saturated" if label != "saturated" else "dead units"
    said = [(one, one) for one in DIAGNOSES if one != label] + [(label, other)] * 11
    status, message = clinic._judged(said)
    assert status == "wrong"
    assert f"11 of {label!r} were called {other!r}: {clinic.ADVICE[label]}" in message


def test_the_bar_is_17_and_no_healthy_patient_called_sick():
    right = [(label, label) for label in DIAGNOSES] * 2
    miss = lambda *places: [(t, "saturated" if i in places else w) for i, (t, w) in enumerate(right)]
    assert clinic._judged(miss(1, 2, 3))[0] == "passed"
    assert clinic._judged(miss(1, 2, 3, 5))[0] == "wrong"
    status, message = clinic._judged(miss(0))
    assert (status, message) == (
        "wrong", "19 of 20 are right, but a healthy patient was called 'saturated': " + clinic.ADVICE["healthy"],
    )  # fmt: skip


# The cure


def by_the_book(one):
    """Each fault mended where it is."""
    label = one.reveal()
    layers = dict(one.model.named_children())
    for name, layer in layers.items():
        if label == "weak activation" and name.startswith("act"):
            setattr(one.model, name, nn.SELU())
        if label == "detached statistics" and name.startswith("norm"):
            setattr(one.model, name, nn.BatchNorm1d(32))
        if label in ("saturated", "dead units") and isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
        if label.startswith("weights") and isinstance(layer, nn.Linear):
            scale = 2**0.5 if isinstance(layers["act1"], nn.ReLU) else 1.0
            layer.weight.data *= scale / (layer.weight.std().item() * layer.in_features**0.5)
    one.batch_size = 64 if label == "batch too small" else one.batch_size
    one.lr = 0.01 if label == "rate too high" else one.lr
    return one


def instead(label, treatment):
    return lambda one: treatment(one) if one.reveal() == label else by_the_book(one)


def drawn_anew(one):
    return one.copy(model=init_(one.copy().model, "normal", sigma_w=1.0, seed=0))


def test_cures_by_the_book_pass():
    verdict = check.cure(by_the_book)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(
    ("label", "treatment", "status", "words"),
    [
        ("saturated", drawn_anew, "known mistake", "weights and biases were changed; one kind of change is enough."),
        ("healthy", drawn_anew, "known mistake", "nothing was wrong, and you changed weights."),
        ("shuffled labels", lambda one: one.copy(lr=0.1), "known mistake", "no network can be blamed for its labels"),
        ("dead units", lambda one: one, "wrong", "it came back unchanged."),
        ("weak activation", lambda one: one.copy(lr=0.5), "wrong", "with other learning rate it reads 0."),
        ("batch too small", lambda one: one.copy(x=one.x * 2), "known mistake", "the data were changed"),
        (
            "saturated",
            lambda one: one.copy(lr=0.1, batch_size=64),
            "known mistake",
            "learning rate and batch size were",
        ),
    ],
)
def test_bad_cures(label, treatment, status, words):
    verdict = check.cure(instead(label, treatment))
    assert verdict.status == status
    assert verdict.message.startswith("9 of 10 are right; the patient with ")
    assert f"{label!r}: " in verdict.message
    assert words in verdict.message


def test_a_cure_returns_a_patient():
    assert (
        "a patient was asked for, such as `patient.copy()`; got Sequential."
        in check.cure(lambda one: one.model).message
    )
    assert "your function stopped with KeyError" in check.cure(lambda one: {}[one]).message


def test_the_ill_stay_as_they_are_whatever_the_answer_does():
    before = [one.model.head.weight.clone() for one in clinic._ill()]
    check.cure(by_the_book)
    assert all(torch.equal(a, one.model.head.weight) for a, one in zip(before, clinic._ill(), strict=True))
    assert [one.lr for one in clinic._ill()] == [patient(1100, among=label).lr for label in DIAGNOSES]
