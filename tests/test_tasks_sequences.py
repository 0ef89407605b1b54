"""Sequence tasks hold what they say, come again from the same seed, and cannot be answered without memory."""

import pytest
import torch

from vglab import tasks


def test_the_latch_is_told_at_the_first_step_alone():
    data = tasks.latch(12, n_train=300, n_test=50, noise=0.3, seed=4)
    assert (data.x.shape, data.y.shape, data.x_test.shape, data.y_test.shape) == (
        (300, 12, 2),
        (300,),
        (50, 12, 2),
        (50,),
    )
    assert torch.equal(data.x[:, 0, 1] > 0, data.y == 1)
    assert not data.x[:, 1:, 1].any()
    assert data.x[:, :, 0].std() == pytest.approx(0.3, rel=0.05)
    assert 0.4 < data.y.double().mean() < 0.6
    noise = data.x[:, 1:, 0].mean(1)  # what comes later says nothing about the class
    assert abs(noise[data.y == 1].mean() - noise[data.y == 0].mean()) < 0.03


def test_adding_asks_for_the_two_marked_numbers():
    data = tasks.adding(9, n_train=400, seed=1)
    marked = data.x[:, :, 1]
    assert torch.equal(marked.sum(1), torch.full((400,), 2.0))
    assert torch.equal(marked[:, :4].sum(1), torch.ones(400))  # one in each half
    chosen = data.x[:, :, 0][marked == 1].view(400, 2)
    assert torch.allclose(data.y[:, 0], chosen.sum(1))
    assert data.x[:, :, 0].min() >= 0
    assert data.x[:, :, 0].max() < 1
    assert (data.y - 1).square().mean() == pytest.approx(1 / 6, rel=0.15)


def test_digits_by_row_are_the_digits_with_rows_after_them():
    flat, rows = tasks.digits(seed=3), tasks.digits_by_row(5, noise=0.5, seed=3)
    assert rows.x.shape == (1400, 13, 8)
    assert torch.equal(rows.x[:, :8].reshape(1400, 64), flat.x)
    assert torch.equal(rows.y, flat.y)
    assert torch.equal(rows.x_test[:, :8].reshape(397, 64), flat.x_test)
    assert rows.x[:, 8:].std() == pytest.approx(0.5, rel=0.02)
    assert not tasks.digits_by_row(5).x[:, 8:].any()


@pytest.mark.parametrize("make", [tasks.latch, tasks.adding, lambda seed: tasks.digits_by_row(3, noise=0.3, seed=seed)])
def test_a_seed_is_a_task(make):
    first, again, other = make(seed=1), make(seed=1), make(seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.x, other.x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tasks.latch(0), "steps must be a whole number of at least 1; got 0"),
        (lambda: tasks.latch(n_train=1.5), "n_train must be a whole number of at least 1; got 1.5"),
        (lambda: tasks.latch(noise=-1), "noise is a standard deviation and must be 0 or more; got -1"),
        (lambda: tasks.adding(1), "steps must leave room for two numbers; got 1"),
        (lambda: tasks.digits_by_row(-1), "pad is a number of rows and must be a whole number, 0 or more; got -1"),
        (
            lambda: tasks.digits_by_row(3, noise=float("nan")),
            "noise is a standard deviation and must be 0 or more; got nan",
        ),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(ValueError, match="^" + message):
        make()
