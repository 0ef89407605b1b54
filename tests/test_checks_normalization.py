"""The checks of lesson 8 against torch: their references are what torch's own layers do."""

import pytest
import torch
from torch import nn

import vglab as vg
from vglab import check


@pytest.fixture(autouse=True)
def _no_record(monkeypatch):
    monkeypatch.setenv("VGLAB_PROGRESS", "off")


def test_torchs_batch_norm_passes_backwards():
    def by_torch(dy, z, gamma, eps):
        layer = nn.BatchNorm1d(z.shape[1], eps=eps).double()
        layer.weight.data = gamma
        z = z.clone().requires_grad_()
        return torch.autograd.grad(layer(z), z, dy)[0]

    assert check.batch_norm_gradient(by_torch).passed


def test_by_hand_passes_backwards():
    def by_hand(dy, z, gamma, eps):
        std = (z.var(0, correction=0) + eps).sqrt()
        normal, d = (z - z.mean(0)) / std, gamma * dy
        return (d - d.mean(0) - normal * (d * normal).mean(0)) / std

    assert check.batch_norm_gradient(by_hand).passed


def test_torchs_running_statistics_pass():
    def by_torch(batches, momentum):
        layer = nn.BatchNorm1d(batches[0].shape[1], momentum=momentum).double()
        for z in batches:
            layer(z)
        return torch.stack([layer.running_mean, layer.running_var])

    assert check.running_statistics(by_torch).passed


@pytest.mark.parametrize(("kind", "rtol"), [("layer", 0.05), ("rms", 0.05), ("batch", 0.035)])
def test_the_factor_is_that_of_networks(kind, rtol):
    """Softplus: a mean that matters, so that the three kinds differ by far more than the tolerance."""
    net = vg.mlp(20, 256, act=nn.functional.softplus, sigma_w=1.0, norm=kind, seed=0)
    data = vg.tasks.digits()
    table = vg.gradient_profile(net, data.x[:128], data.y[:128])
    line = table.grad_rms[table.kind.str.contains("Norm")].to_numpy()
    wanted = check.norm_factor.reference(nn.functional.softplus, kind)
    assert (line[2] / line[17]) ** (1 / 15) == pytest.approx(wanted, rel=rtol)
    assert wanted < 0.6 or kind == "batch"


def test_a_shape_that_is_not_the_inputs_is_said():
    assert check.batch_norm_gradient(lambda dy, z, gamma, eps: dy.sum(0)).status == "wrong shape"
