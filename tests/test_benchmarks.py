"""What `make bench` says must follow from what it measured: the interval, the pairing, the verdict, who is missing."""

import random
import sys
from contextlib import ExitStack

import pytest
import torch

import vglab as vg
from tests.benchmarks import many, peers, phases, probes, timing, workloads


@pytest.mark.parametrize(("n", "low", "high"), [(6, 1, 6), (7, 1, 7), (9, 2, 8), (15, 4, 12), (60, 22, 39)])
def test_the_interval_is_that_of_the_tables_of_the_sign_test(n, low, high):
    values = random.sample(range(1, n + 1), n)
    assert timing.interval(values)[1:] == (low, high)


def test_the_interval_holds_the_median_about_as_often_as_it_says():
    draw = random.Random(0)
    held = 0
    for _ in range(2000):
        _, low, high = timing.interval([draw.expovariate(1) for _ in range(12)])
        held += low <= 0.6931 <= high
    assert 0.945 < held / 2000 < 0.98  # by the binomial: 0.961


def test_five_values_are_too_few_for_an_interval():
    with pytest.raises(ValueError, match="asked for from 5 values; measure at least 6 rounds"):
        timing.interval([1.0] * 5)


def test_every_side_runs_once_a_round_and_the_few_in_the_first_rounds_only():
    order = []
    sides = {name: lambda name=name: order.append(name) or len(order) for name in ("plain", "probe", "peer")}
    seconds = timing.measure(sides, 6, few=("peer",))
    assert [len(values) for values in seconds.values()] == [6, 6, 6]
    assert all(sorted(order[i : i + 3]) == ["peer", "plain", "probe"] for i in range(0, 18, 3))
    seconds = timing.measure(sides, 6, lasting=0.01, few=("peer",))
    assert len(seconds["peer"]) == 6 < len(seconds["plain"]) == len(seconds["probe"])


def test_ratios_are_taken_within_a_round(capsys):
    timing.report("title", {"plain": [1, 2, 3, 4, 5, 6], "twice": [2, 4, 6, 8, 10, 12]}, {"twice": 1.5})
    row = capsys.readouterr().out.splitlines()[-1]
    assert "2.000   2.000 to 2.000" in row
    assert row.endswith("at most 1.50: missed")


@pytest.mark.parametrize(("low", "high", "word"), [(1.0, 1.1, "met"), (1.0, 1.2, "open"), (1.11, 1.2, "missed")])
def test_a_target_inside_the_interval_is_neither_met_nor_missed(low, high, word):
    assert timing.verdict(low, high, 1.1) == f"   at most 1.10: {word}"


def test_a_peer_that_is_missing_or_fails_is_named_with_its_reason(monkeypatch):
    def broken(model, optimizer):
        raise RuntimeError("no such thing\nand more")

    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr(peers, "NAMES", {"w": peers.wandb, "b": broken, "n": peers.plain})
    with ExitStack() as stack:
        started, missing = probes.start_peers(workloads.lstm(hidden=4, steps=2, batch=2), stack)
    assert list(started) == ["n"]
    assert missing["w"].startswith("not installed (")
    assert missing["b"] == "failed: RuntimeError: no such thing"


@pytest.mark.parametrize("make", workloads.ALL)
@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_every_side_that_needs_no_peer_watches_every_network(make):
    workload, kept = make(batch=2), []
    for watch in (peers.plain, peers.floor, peers.naive, probes.vglab_probe(kept, 1)):
        training = probes.Training(workload, watch, steps=2)
        before = [parameter.clone() for parameter in training.model.parameters()]
        assert training.stretch() > 0
        assert any(not torch.equal(b, p) for b, p in zip(before, training.model.parameters(), strict=True))
    assert kept[0].table.step.nunique() == 3  # the one before the stretch, and the stretch
    params = kept[0].params
    assert params.update_ratio[params.step > 0].notna().all()  # in the first step a bias moves away from 0


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_all_sides_train_alike():
    workload = workloads.mlp(depth=3, width=8, batch=4)
    ends = []
    for watch in (peers.plain, peers.floor, peers.naive, probes.vglab_probe([], 1), probes.vglab_probe([], "auto")):
        training = probes.Training(workload, watch)
        with training.watched() as log:
            for _ in range(3):
                training.step(log)
        ends.append([parameter.detach() for parameter in training.model.parameters()])
    assert all(torch.equal(a, b) for end in ends for a, b in zip(ends[0], end, strict=True))


@pytest.mark.parametrize("scales", [(0.8, 0.3), (1.5, 0.3), (2.5, 0.0)])
def test_the_loop_beside_the_phase_diagram_finds_the_same(scales):
    """To 3 %: 41 nodes of Gauss and Hermite are few for a steep tanh."""
    row = vg.theory.phase_diagram("tanh", *scales).iloc[0]
    assert phases.iterated(*scales) == pytest.approx((row.q_star, row.c_star, row.chi), rel=0.03, abs=1e-3)


def test_networks_side_by_side_are_timed_and_told(monkeypatch, capsys):
    for name, value in {"DEPTHS": (1, 2, 3, 4), "TARGETS": {(4, 8): 3}, "ROUNDS": 6, "STEPS": 2, "SAMPLE": 4}.items():
        monkeypatch.setattr(many, name, value)
    monkeypatch.setattr(many, "_diagram", lambda: None)
    many.many()
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[:2] == ["4,", "8"]
    assert float(row[2]) > 0
    assert float(row[3].removesuffix("x")) > 0
