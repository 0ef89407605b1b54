"""The convolutional network has the paper's shape, its twin the same weights, and every message says what to do."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab.nets.convolutional import ConvBlock, Pad

IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_it_has_six_layers_for_each_block_and_two_more(blocks):
    model = vg.convnet(blocks, 4, seed=0)
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == 6 * blocks + 2
    names = ["conv", "norm", "act", *(f"block{i + 1}" for i in range(3 * blocks)), "pool", "head"]
    assert list(dict(model.named_children())) == names
    channels = [m.out_channels for m in layers[:-1]]
    assert channels == [4] * (2 * blocks + 1) + [8] * 2 * blocks + [16] * 2 * blocks


def test_the_papers_network_of_20_layers_has_the_papers_number_of_parameters():
    assert round(count(vg.convnet(3, 16, channels=3, seed=0)) / 1e6, 2) == 0.27  # He et al. (2016), Table 6


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (7, 9)])
@pytest.mark.parametrize("shortcut", ["pad", "projection"])
def test_stages_halve_the_image_of_any_size(size, shortcut):
    model = vg.convnet(2, 4, shortcut=shortcut, channels=3, d_out=7, seed=0)
    h, sizes = torch.zeros(2, 3, *size), []
    for module in model[:-2]:
        h = module(h)
        sizes.append(tuple(h.shape[2:]))
    half = lambda n: -(-n // 2)
    assert sizes[4] == size
    assert sizes[5] == tuple(map(half, size))
    assert sizes[-1] == tuple(half(half(n)) for n in size)
    assert model(torch.zeros(2, 3, *size)).shape == (2, 7)


def test_the_plain_twin_has_the_same_weights():
    plain, residual = vg.convnet(2, 4, skip=False, seed=3), vg.convnet(2, 4, seed=3)
    assert plain.state_dict().keys() == residual.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), residual.parameters(), strict=True))
    assert not torch.allclose(plain(IMAGES), residual(IMAGES))


def test_a_projection_costs_its_weights_and_a_norm():
    assert count(vg.convnet(2, 4, shortcut="projection")) - count(vg.convnet(2, 4)) == 4 * 8 + 16 + 8 * 16 + 32


@pytest.mark.parametrize("norm", [None, "batch"])
def test_a_block_is_the_papers_equation(norm):
    block = ConvBlock(4, 4, skip=0.5, norm=norm)
    h = torch.randn(3, 4, 6, 6)
    z = block.norm2(block.conv2(F.relu(block.norm1(block.conv1(h)))))
    torch.testing.assert_close(block(h), F.relu(h + 0.5 * z))
    torch.testing.assert_close(ConvBlock(4, 4, skip=0.0, norm=norm)(h), F.relu(h))
    plain = ConvBlock(4, 4, skip=False, norm=norm)
    torch.testing.assert_close(plain(h), F.relu(plain.norm2(plain.conv2(F.relu(plain.norm1(plain.conv1(h)))))))
    assert (block.conv1.bias is None) == (norm == "batch")


def test_padding_takes_every_second_pixel_and_adds_channels_of_zeros():
    h = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert torch.equal(Pad(3)(h), torch.cat([h[:, :, ::2, ::2], torch.zeros(1, 2, 2, 2)], 1))


def test_weights_are_hes_and_biases_zero_and_a_seed_leaves_the_random_state():
    model = vg.convnet(1, 64, norm=None, seed=0)
    for layer in (m for m in model.modules() if isinstance(m, nn.Conv2d)):
        n = layer.in_channels * 9
        assert layer.weight.std().item() == pytest.approx((2 / n) ** 0.5, rel=0.1 if n == 9 else 0.02)
        assert (layer.bias == 0).all()
    before = torch.get_rng_state()
    again = vg.convnet(1, 64, norm=None, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(again.conv.weight, model.conv.weight)


def test_the_activation_can_be_chosen():
    assert isinstance(vg.convnet(1, 4, act="silu").block2.act2, nn.SiLU)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": 0}, "blocks must be a whole number of at least 1; got 0"),
        ({"width": 2.5}, r"width must be a whole number of at least 1; got 2\.5"),
        ({"channels": True}, "channels must be a whole number of at least 1; got True"),
        ({"norm": "layer"}, "norm must be None or 'batch'; got 'layer'"),
        ({"shortcut": "none"}, "shortcut must be 'pad' or 'projection'; got 'none'"),
        ({"skip": "yes"}, "skip must be True, False or a number that scales the branch; got 'yes'"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_sentence(settings, message):
    with pytest.raises(ValueError, match=message):
        vg.convnet(**{"blocks": 1} | settings)
