"""The copy-back task: what is asked, what is left out, what chance costs."""

import math

import pytest
import torch
from torch.nn import functional as F

from vglab import tasks


@pytest.mark.parametrize("lag", [1, 2, 5])
def test_the_answer_stands_so_many_places_before(lag):
    data = tasks.copy_back(lag, steps=9, tokens=7, n_train=20, n_test=10)
    for x, y in ((data.x, data.y), (data.x_test, data.y_test)):
        assert x.shape == y.shape == (len(x), 9)
        assert torch.equal(y[:, lag:], x[:, :-lag])
        assert (y[:, :lag] == -100).all()
        assert 0 <= x.min() <= x.max() <= 6
    assert (len(data.x), len(data.x_test)) == (20, 10)


def test_places_without_an_answer_cost_nothing_and_guessing_costs_the_logarithm():
    data = tasks.copy_back(3, tokens=16, n_train=4)
    logits = torch.zeros(4, 16, 16)
    assert F.cross_entropy(logits.flatten(0, 1), data.y.flatten()).item() == pytest.approx(math.log(16))
    logits[:, :3] = torch.randn(4, 3, 16)
    assert F.cross_entropy(logits.flatten(0, 1), data.y.flatten()).item() == pytest.approx(math.log(16))


def test_a_seed_fixes_the_sequences():
    a, b, c = (tasks.copy_back(seed=seed).x for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.bincount(a.flatten(), minlength=16).min() > 800  # 16000 tokens, 1000 of each


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"lag": 0}, "lag must be a whole number of at least 1; got 0"),
        ({"tokens": 2.5}, "tokens must be a whole number of at least 1; got 2.5"),
        ({"lag": 16}, "lag must be shorter than the sequence; got 16 with steps=16"),
    ],
)
def test_what_cannot_be_asked_is_said(how, words):
    with pytest.raises(ValueError, match=words):
        tasks.copy_back(**how)
