"""An activation is one thing, however it is given."""

import functools

import pytest
import torch
from torch import nn

from vglab.activations import NAMES, Elementwise, as_module

Z = torch.linspace(-3, 3, 13)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_what_torch_computes(name):
    function = {"linear": lambda z: z}.get(name) or getattr(nn.functional, name, None) or getattr(torch, name)
    torch.testing.assert_close(as_module(name)(Z), function(Z))


def test_every_form():
    for act in ("tanh", nn.Tanh, nn.Tanh(), torch.tanh, lambda z: z.tanh(), functools.partial(torch.tanh)):
        assert isinstance(as_module(act), nn.Module)
        assert torch.equal(as_module(act)(Z), Z.tanh())
    assert isinstance(as_module(torch.sin), Elementwise)
    assert "sin" in repr(as_module(torch.sin))


def test_every_call_gives_a_module_of_its_own():
    for act in ("relu", nn.PReLU, nn.PReLU(), torch.sin):
        assert as_module(act) is not as_module(act)
    given = nn.PReLU(init=0.4)
    assert as_module(given).weight is not given.weight
    assert as_module(given).weight.item() == pytest.approx(0.4)


def test_capitals_do_not_matter():
    assert isinstance(as_module("Tanh"), nn.Tanh)
    assert isinstance(as_module("ReLU"), nn.ReLU)


def test_messages():
    with pytest.raises(ValueError, match=r"act must be one of linear, sigmoid.*or a module or function; got 'rellu'"):
        as_module("rellu")
    with pytest.raises(TypeError, match=r"a name such as 'tanh', a torch module or a function; got float 0\.5"):
        as_module(0.5)
    with pytest.raises(TypeError, match="got NoneType None"):
        as_module(None)
