"""Networks have the shape asked for, weights the distribution asked for, and every message says what to do."""

import doctest
import importlib

import numpy as np
import pytest
import torch
from torch import nn

from vglab.activations import Elementwise
from vglab.nets import SCHEMES, Residual, init_, mlp

WIDE = 400
SPREAD = 5 / (2 * WIDE * WIDE) ** 0.5  # five standard errors of a standard deviation from WIDE**2 weights


def names(model):
    return [name for name, _ in model.named_children()]


def test_layers_and_their_names():
    assert names(mlp(2, 8)) == ["linear1", "act1", "linear2", "act2", "head"]
    assert names(mlp(2, 8, norm="batch")) == ["linear1", "norm1", "act1", "linear2", "norm2", "act2", "head"]
    assert names(mlp(3, 8, norm="rms", skip=True)) == ["linear1", "norm1", "act1", "block2", "block3", "head"]
    model = mlp(3, 7, d_in=5, d_out=2)
    shapes = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Linear)]
    assert shapes == [(7, 5), (7, 7), (7, 7), (2, 7)]
    assert model(torch.zeros(4, 5)).shape == (4, 2)
    assert mlp(np.int64(2), np.int64(8))(torch.zeros(1, 64)).shape == (1, 10)


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm), ("rms", nn.RMSNorm)])
def test_norms_stand_before_the_activation(norm, kind):
    model = mlp(2, 8, norm=norm)
    assert isinstance(model.norm2, kind)
    assert names(model).index("norm2") == names(model).index("linear2") + 1 == names(model).index("act2") - 1


def test_each_layer_has_an_activation_of_its_own():
    model = mlp(3, 8, act=nn.PReLU(init=0.1))
    assert len({id(m) for m in model.modules() if isinstance(m, nn.PReLU)}) == 3
    assert isinstance(mlp(1, 8, act=torch.sin).act1, Elementwise)
    assert isinstance(mlp(1, 8, act=nn.SiLU).act1, nn.SiLU)


def test_a_residual_block_adds_its_branch_to_its_input():
    h, branch = torch.randn(5, 8), nn.Linear(8, 8)
    assert torch.equal(Residual(branch, 0.5)(h), h + 0.5 * branch(h))
    assert Residual(branch, 0.0)(h).equal(h)
    model = mlp(3, 8, skip=0.25, seed=0)
    assert model.block2.scale == 0.25
    assert mlp(3, 8, skip=True).block3.scale == 1
    x = torch.randn(2, 64)
    h = model.act1(model.linear1(x))
    for block in (model.block2, model.block3):
        h = h + 0.25 * block.branch(h)
    torch.testing.assert_close(model(x), model.head(h))


def weights(scheme, shape=(WIDE, WIDE), **settings):
    layer = init_(nn.Linear(*shape), scheme, seed=0, **settings)
    return layer.weight.detach().double(), layer.bias.detach().double()


@pytest.mark.parametrize(
    ("scheme", "settings", "std"),
    [
        ("default", {}, (1 / (3 * WIDE)) ** 0.5),
        ("normal", {"sigma_w": 1.7}, 1.7 / WIDE**0.5),
        ("uniform", {"sigma_w": 1.7}, 1.7 / WIDE**0.5),
        ("xavier", {"sigma_w": 1.3}, 1.3 / WIDE**0.5),
        ("he", {}, (2 / WIDE) ** 0.5),
        ("orthogonal", {"sigma_w": 1.2}, 1.2 / WIDE**0.5),
    ],
)
def test_weights_have_the_variance_asked_for(scheme, settings, std):
    w, b = weights(scheme, **settings)
    assert w.std().item() == pytest.approx(std, rel=SPREAD)
    assert abs(w.mean().item()) < 5 * std / WIDE
    kurtosis = (w**4).mean() / (w**2).mean() ** 2
    assert kurtosis.item() == pytest.approx(9 / 5 if scheme in ("default", "uniform") else 3, abs=0.1)
    assert (b == 0).all() or scheme == "default"


def test_fans_of_layers_that_are_not_square():
    wide, _ = weights("normal", (100, 900))
    assert wide.std().item() == pytest.approx(100**-0.5, rel=5 / 90_000**0.5)
    xavier, _ = weights("xavier", (100, 900))
    assert xavier.std().item() == pytest.approx((2 / 1000) ** 0.5, rel=5 / 90_000**0.5)
    conv = init_(nn.Conv2d(64, 64, 3), "he", seed=0).weight
    assert conv.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    grouped = init_(nn.Conv2d(64, 64, 3, groups=4), "he", seed=0).weight
    assert grouped.std().item() == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.04)


def test_orthogonal_constant_and_default():
    w, _ = weights("orthogonal", (100, 60), sigma_w=1.5)
    torch.testing.assert_close(w @ w.T, 2.25 * torch.eye(60).double(), atol=1e-5, rtol=0)
    w, b = weights("constant", (100, 60), sigma_w=2.0)
    assert (w == torch.tensor(0.02)).all()
    assert (b == 0).all()
    w, b = weights("default")
    assert max(w.abs().max(), b.abs().max()) <= WIDE**-0.5
    torch.manual_seed(3)
    fresh = nn.Linear(9, 7)
    assert torch.equal(init_(nn.Linear(9, 7), "default", seed=3).weight, fresh.weight)


def test_biases():
    _, b = weights("normal", (10, 10_000), sigma_b=0.3)
    assert b.std().item() == pytest.approx(0.3, rel=5 / 20_000**0.5)
    assert init_(nn.Linear(3, 3, bias=False), "he").bias is None
    model = mlp(2, 16, sigma_w=1.0, sigma_b=0.5)
    assert model.linear2.bias.std() > 0.1
    assert model.head.bias.std() > 0.1
    assert (mlp(2, 16, sigma_w=1.0).linear2.bias == 0).all()
    assert mlp(2, 16).linear2.bias.std() > 0


def test_seeds():
    same = [mlp(2, 8, sigma_w=1.0, seed=5).linear2.weight for _ in range(2)]
    assert torch.equal(*same)
    assert not torch.equal(same[0], mlp(2, 8, sigma_w=1.0, seed=6).linear2.weight)
    assert torch.equal(mlp(2, 8, seed=np.int64(5)).head.weight, mlp(2, 8, seed=5).head.weight)
    layer, state = nn.Linear(3, 3), torch.get_rng_state()
    mlp(2, 8, seed=1), init_(layer, "normal", seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    mlp(2, 8)
    assert not torch.equal(torch.get_rng_state(), state)


def test_init_works_in_place_on_every_layer_and_returns_the_model():
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.Sequential(nn.Linear(4, 4)))
    assert init_(model, "constant", sigma_w=0.0) is model
    assert not model[0].weight.any()
    assert not model[2][0].weight.any()
    assert model[1].weight.all()
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", ["depth", "width", "d_in", "d_out"])
@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3", None])
def test_messages_about_sizes(name, size):
    sizes = {"depth": 2, "width": 4} | {name: size}
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1; got {size!r}"):
        mlp(**sizes)


def test_messages():
    with pytest.raises(ValueError, match="norm must be None, 'batch', 'layer' or 'rms'; got 'bn'"):
        mlp(2, norm="bn")
    with pytest.raises(ValueError, match=r"act must be one of .*; got 'tahn'"):
        mlp(2, act="tahn")
    with pytest.raises(ValueError, match="sigma_w is a standard deviation and must be 0 or more; got -1"):
        mlp(2, sigma_w=-1)
    with pytest.raises(ValueError, match="sigma_b is a standard deviation and must be 0 or more; got -1"):
        mlp(2, sigma_w=1.0, sigma_b=-1)
    with pytest.raises(ValueError, match=r"sigma_b needs sigma_w; got sigma_b=0\.1 alone"):
        mlp(2, sigma_b=0.1)
    with pytest.raises(ValueError, match=f"scheme must be one of {', '.join(SCHEMES)}; got 'kaiming'"):
        init_(nn.Linear(2, 2), "kaiming")
    for scheme in ("default", "he"):
        with pytest.raises(ValueError, match=f"scheme '{scheme}' fixes sigma_w; got sigma_w=2.0: use scheme 'normal'"):
            init_(nn.Linear(2, 2), scheme, sigma_w=2.0)
    with pytest.raises(ValueError, match=r"scheme 'default' fixes sigma_b; got sigma_b=0\.1"):
        init_(nn.Linear(2, 2), "default", sigma_b=0.1)
    with pytest.raises(ValueError, match=r"sigma_w is a standard deviation.*got nan"):
        init_(nn.Linear(2, 2), sigma_w=float("nan"))


@pytest.mark.parametrize("module", ["activations", "nets", "probe", "tasks", "theory", "progress"])
def test_examples_in_docstrings(module):
    assert doctest.testmod(importlib.import_module(f"vglab.{module}")).failed == 0


def test_scales_may_be_numpy_numbers():
    for one in (np.float64(1), np.float32(1), np.int64(1)):
        assert torch.equal(mlp(2, sigma_w=one, seed=0)[0].weight, mlp(2, sigma_w=1.0, seed=0)[0].weight)


def test_messages_about_skip_and_words_for_scales():
    with pytest.raises(ValueError, match="skip must be True, False or a number that scales the branch; got None"):
        mlp(2, skip=None)
    with pytest.raises(ValueError, match="sigma_w is a standard deviation and must be 0 or more; got 'He'"):
        mlp(2, sigma_w="He")


def test_fan_in_of_a_transposed_convolution_counts_its_inputs():
    layer = init_(nn.ConvTranspose2d(64, 4, 3), sigma_w=1.0, seed=0)
    assert layer.weight.std().item() == pytest.approx((64 * 9) ** -0.5, rel=0.05)


@pytest.mark.parametrize("wrap", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_a_weight_that_is_computed_from_others_is_refused(wrap):
    with pytest.raises(ValueError, match=r"that of a .*Linear here is computed from others"):
        init_(wrap(nn.Linear(3, 3)))
