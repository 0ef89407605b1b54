"""What the checks of lesson 7 look at beside the numbers: shapes, the random state, and layers really changed."""

import math

import pytest
import torch
from torch import nn

from vglab import check
from vglab.check import scaling


@pytest.fixture(autouse=True)
def _no_record(monkeypatch):
    monkeypatch.setenv("VGLAB_PROGRESS", "off")


def by_torch(layer, gain, mode):
    """The same weights from torch.nn.init, which fills the layer itself."""
    if mode == "mean":
        nn.init.xavier_uniform_(layer.weight, gain)
    else:
        a = math.sqrt(2 / gain**2 - 1) if gain < 2**0.5 else 0.0  # kaiming_uniform_ has gain^2 = 2 / (1 + a^2)
        nn.init.kaiming_uniform_(layer.weight, a=a, mode=mode, nonlinearity="leaky_relu")
        layer.weight.data *= gain / math.sqrt(2 / (1 + a**2))
    return layer.weight


def test_torchs_own_rules_pass_but_for_its_slip_with_groups():
    assert "torch.nn.init overlooks this" in check.draw_weights(by_torch).message

    def mended(layer, gain, mode):
        groups = getattr(layer, "groups", 1)
        return by_torch(layer, gain, mode) * (groups**0.5 if mode == "fan_out" else 1)

    assert check.draw_weights(mended).passed


@pytest.mark.parametrize(
    ("answer", "came"),
    [(lambda layer, gain, mode: torch.rand(layer.weight.shape[::-1]), "(90, 260)"), (lambda *given: 0.1, "float")],
)
def test_weights_of_another_shape_are_named(answer, came):
    verdict = check.draw_weights(answer)
    assert verdict.status == "error"
    assert f"weights of shape (260, 90) were asked for, and {came} came" in verdict.message


def test_weights_that_are_not_centred_do_not_pass():
    shifted = lambda layer, gain, mode: scaling._draw_weights(layer, gain, mode) + 0.002
    assert check.draw_weights(shifted).status == "wrong"


def test_drawing_leaves_the_random_state_alone():
    torch.rand(3)  # away from where an earlier check may have left the state
    before = torch.random.get_rng_state()
    check.draw_weights(lambda layer, gain, mode: torch.randn_like(layer.weight))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_right_factors_from_layers_left_as_they_were_do_not_pass():
    def only_told(model, x):
        factors = []
        with torch.no_grad():
            for module in model:
                x = module(x)
                if isinstance(module, nn.Linear):
                    factors.append(1 / x.square().mean().sqrt().item())
                    x = x * factors[-1]
        return factors

    verdict = check.level_layers(only_told)
    assert verdict.status == "wrong"
    assert "scale its weight in place" in verdict.message


def test_levelled_layers_have_an_rms_of_1():
    for model, x in scaling._models():
        scaling._level_layers(model, x)
        with torch.no_grad():
            for module in model:
                x = module(x)
                if isinstance(module, nn.Linear):
                    assert x.square().mean().sqrt().item() == pytest.approx(1, abs=1e-5)
