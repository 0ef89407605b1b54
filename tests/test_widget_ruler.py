"""The precision ruler: what it counts is what torch rounds, and what it draws is what it counted."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import vglab as vg
from vglab.widgets import ruler

START = {"depth": 8, "sigma_w": 1.0, "act": "sigmoid", "scale": 0}


def gradient(params):
    """The first layer's weight gradient as a learner would compute it, in float32."""
    data = vg.tasks.digits()
    model = vg.mlp(params["depth"], act=params["act"], sigma_w=params["sigma_w"], seed=0)
    F.cross_entropy(model(data.x[:64]), data.y[:64]).backward()
    found = model.linear1.weight.grad
    return found[found != 0] * 2.0 ** params["scale"]


@pytest.mark.parametrize("scale", [0, 4, 12])
def test_shares_are_those_of_a_learners_gradient(scale):
    params = START | {"scale": scale}
    arrays, found = ruler.compute(params), gradient(params)
    assert arrays["rms"] == pytest.approx(found.square().mean().sqrt().item(), rel=1e-4)
    assert arrays["zero"] == pytest.approx((found.half() == 0).double().mean().item(), abs=0.002)
    assert arrays["share"].sum() == pytest.approx(1)
    below = arrays["share"][ruler.EDGES[1:] <= np.log10(2.0**-25)].sum()
    assert below <= arrays["zero"] + 0.002


def test_the_scale_moves_the_histogram_and_nothing_else():
    """Powers of two change no digit: ten more of them are three decades and a little."""
    plain, scaled = (ruler.compute(START | {"scale": scale}) for scale in (0, 10))
    assert scaled["rms"] / plain["rms"] == pytest.approx(1024)
    middle = lambda arrays: (arrays["share"] * ruler.EDGES[:-1]).sum()
    assert middle(scaled) - middle(plain) == pytest.approx(np.log10(1024), abs=0.3)


def test_the_ends_are_named():
    words = lambda **turned: ruler._finding(ruler.compute(START | turned))
    assert words().startswith("float16 loses ")
    assert words(scale=40).startswith("float16 overflows")
    assert words(act="relu", sigma_w=2**0.5, scale=10) == "The gradient fits into float16"
    assert words(depth=6, scale=6) == "float16 keeps the gradient, with few digits"


def test_bfloat16_reaches_where_float16_does_not():
    deep = ruler.compute(START | {"depth": 20})
    assert deep["zero"] == 1
    assert deep["zero_bfloat16"] == 0


def test_it_draws_what_it_counted():
    view, params = ruler.View(), START | {"scale": 3}
    arrays = ruler.compute(params)
    view.show(params, arrays)
    areas = {name: _area(view.moving[name].get_xy()) for name in ("kept", "lost")}
    lost = areas["lost"] / sum(areas.values())
    middles = (ruler.EDGES[:-1] + ruler.EDGES[1:]) / 2
    assert lost == pytest.approx(arrays["share"][middles < np.log10(2.0**-25)].sum(), abs=1e-6)
    assert 0.01 < lost < 0.99
    assert torch.finfo(torch.float16).max == pytest.approx(10 ** view.ax.lines[-1].get_xdata()[0])


def _area(outline):
    x, y = outline.T
    return (np.diff(x) * y[:-1][: len(np.diff(x))]).sum()
