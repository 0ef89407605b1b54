"""The ward round: its probes agree with torch by hand, it draws what it computed, and tells nothing unasked."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import vglab as vg
from vglab.experiments import DIAGNOSES, patient
from vglab.widgets import _ward_round as ward

OPEN = {"diagnosis": "none"}
FIRST = {}  # diagnosis -> the first patient that has it
for _number in range(60, 0, -1):
    FIRST[patient(_number).reveal()] = _number


def computed(number, probe):
    return ward.compute({"number": number, "probe": probe} | OPEN)


def by_hand(one, count):
    """(matrices, gradients on the first `count` digits, outputs of the activations, their gradients)."""
    weights, outputs, h = [], [], one.x[:count]
    for name, module in one.model.named_children():
        h = module(h)
        if name.startswith("act"):
            outputs.append(h)
    weights = [p for name, p in one.model.named_parameters() if name.startswith("linear") and name.endswith("weight")]
    gradients = torch.autograd.grad(F.cross_entropy(h, one.y[:count]), weights + outputs)
    return weights, gradients[: len(weights)], outputs, gradients[len(weights) :]


def test_every_diagnosis_is_among_the_sixty():
    assert FIRST.keys() == DIAGNOSES.keys()


@pytest.mark.parametrize("label", ["saturated", "weights too small", "detached statistics"])
def test_profiles_are_torchs_own(label):
    one = patient(FIRST[label])
    *_, outputs, gradients = by_hand(one, 128)
    rms = np.array([g.double().square().mean().sqrt().item() for g in gradients])
    assert computed(one.seed, "gradient")["profile"] == pytest.approx(rms / rms[-1], rel=1e-5)
    rms = [h.double().square().mean().sqrt().item() for h in outputs]
    assert computed(one.seed, "signal")["profile"] == pytest.approx(rms, rel=1e-5)


def test_lean_is_0_where_statistics_are_followed_and_not_where_they_are_detached():
    small, detached = (
        computed(FIRST[label], "lean")["reading"] for label in ("batch too small", "detached statistics")
    )
    assert small < 0.01 < 0.2 < detached
    one = patient(FIRST["detached statistics"])
    weights, gradients, *_ = by_hand(one, one.batch_size)
    wanted = [F.cosine_similarity(w, g, dim=1).abs().max().item() for w, g in zip(weights, gradients, strict=True)]
    assert computed(one.seed, "lean")["profile"] == pytest.approx(wanted, rel=1e-4)


def test_neighbours_find_shuffled_labels_only():
    shares = {label: computed(number, "neighbours")["reading"] for label, number in FIRST.items()}
    assert shares.pop("shuffled labels") < 0.2
    assert min(shares.values()) > 0.9


def test_only_behind_a_norm_and_above_all_in_small_batches_company_matters():
    shares = {label: computed(number, "company")["reading"] for label, number in FIRST.items()}
    assert shares["batch too small"] > 0.8
    assert 0.02 < shares["detached statistics"] < 0.5
    assert max(shares[label] for label in ("saturated", "shuffled labels", "weak activation")) < 1e-6
    one = patient(FIRST["batch too small"])
    profile = ward.measured(one, "company")
    assert profile[0] < profile[-1], "it grows from layer to layer"
    assert profile[-1] > 2 * ward.measured(one.copy(batch_size=256), "company")[-1]


@pytest.mark.parametrize("probe", ward.PROBES)
def test_healthy_patients_lie_in_their_own_range(probe):
    for one in ward._healthy("plain"):
        profile = ward.measured(one, probe)
        arrays = computed(one.seed, probe) if one.seed <= 60 else {"low": [0], "high": [np.inf]}
        assert np.isfinite(profile).all()
        assert np.all(np.asarray(arrays["low"]) <= np.asarray(arrays["high"]))


@pytest.mark.parametrize(
    ("label", "probe"), [("saturated", "gradient"), ("rate too high", "loss"), ("dead units", "dead")]
)
def test_a_fault_leaves_the_range_of_the_healthy(label, probe):
    arrays = computed(FIRST[label], probe)
    outside = (arrays["profile"] < 0.5 * arrays["low"]) | (arrays["profile"] > 1.5 * arrays["high"])
    assert outside.any()
    sound = computed(FIRST["healthy"], probe)
    assert not ((sound["profile"] < 0.5 * sound["low"] - 0.5) | (sound["profile"] > 1.5 * sound["high"] + 0.5)).any()


def test_it_draws_what_it_computed():
    w = vg.widgets.ward_round(9, probe="loss")
    arrays, line = ward.compute(w.params), w._view.moving["profile"]
    np.testing.assert_array_equal(line.get_ydata(), arrays["profile"])
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, ward.STEPS + 1))
    band = w._view.moving["band"].get_xy()
    np.testing.assert_array_equal(band[: ward.STEPS, 1], arrays["low"])
    np.testing.assert_array_equal(band[ward.STEPS : 2 * ward.STEPS, 1], arrays["high"][::-1])


def test_the_truth_is_told_only_when_it_is_asked_for():
    w = vg.widgets.ward_round(FIRST["dead units"])
    shown = lambda: " ".join([w._sentence, w._view.title.get_text(), w._view.subtitle.get_text()])
    assert "dead units" not in shown()
    w.diagnosis = "saturated"
    assert "Your diagnosis, saturated, is not right." in w._sentence
    assert "dead units" not in shown()
    w.diagnosis = "tell"
    assert "The truth: dead units. The biases of one layer" in w._sentence
    assert w._view.title.get_text().endswith("dead units")
    w.diagnosis = "dead units"
    assert "You are right: dead units." in w._sentence
