"""The check of the hump: any answer that stretches tenfold passes, whatever its sign or how it was found."""

import pytest
import torch

from vglab import check
from vglab.check import memory


@pytest.fixture(autouse=True)
def _no_record(monkeypatch):
    monkeypatch.setenv("VGLAB_PROGRESS", "off")


def right():
    """By halving an interval."""
    low, high = 1.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if memory._peak(middle) < 10 else (low, middle)
    return low


@pytest.mark.parametrize("answer", [right, lambda: -right(), lambda: torch.tensor(right()), lambda: 1.005 * right()])
def test_tenfold_passes(answer):
    assert check.hump(answer).passed


def test_the_peak_is_the_largest_singular_value_of_a_power():
    w = torch.tensor([[0.9, 3.0], [0.0, 0.9]], dtype=torch.float64)
    power, largest = torch.eye(2, dtype=torch.float64), 0.0
    for _ in range(60):
        largest = max(largest, torch.linalg.svdvals(power)[0].item())
        power = power @ w
    assert memory._peak(3.0) == pytest.approx(largest)


@pytest.mark.parametrize(
    ("c", "words"),
    [(10.0, "tenfold in *one* step"), (1.0, "with c near 1"), (5.0, "try a smaller"), (2.0, "try a larger")],
)
def test_what_is_wrong_is_said(c, words):
    verdict = check.hump(lambda: c)
    assert not verdict.passed
    assert words in verdict.message
