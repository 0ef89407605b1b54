"""Norm placement: its numbers against the probe, its theory against networks and limits, drawn as computed."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import vglab as vg
from vglab.widgets import _norm_placement as placement

SEEDS = 0.1  # decades: a median over eight seeds, 32 features wide, against infinite width
START = {"norm": "post", "scale": 1.0, "blocks": 6}


@pytest.mark.parametrize("norm", ["post", "pre", "deep"])
def test_the_stream_is_what_the_probe_sees_in_the_same_network(norm):
    params = START | {"norm": norm, "scale": 0.5}
    x, y = placement._batch()
    loss_fn = lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten())
    table = vg.gradient_profile(placement.build(params), x, y, loss_fn)
    rows = table.groupby(table.layer.str.extract(r"(block\d+\.\w+)")[0], sort=False).tail(1)
    arrays = placement.compute(params)
    assert arrays["size"][1:] == pytest.approx(rows.h_rms.to_numpy())
    assert arrays["gradient"][1:] == pytest.approx((rows.grad_rms / rows.grad_rms.iloc[-1]).to_numpy())


def test_the_cosine_is_the_mean_over_pairs_of_tokens():
    h = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    pairs = [F.cosine_similarity(s[i], s[j], dim=0) for s in h for i in range(4) for j in range(4) if i != j]
    assert placement._cosine(h) == pytest.approx(torch.stack(pairs).mean().item(), abs=1e-6)
    assert placement._cosine(torch.ones(2, 4, 8)) == pytest.approx(1)


@pytest.mark.parametrize("norm", ["post", "pre", "deep"])
@pytest.mark.parametrize("scale", [0.2, 1.0])
def test_theory_predicts_the_size_and_comes_close_to_the_cosine(norm, scale):
    params = START | {"norm": norm, "scale": scale}
    theory = placement.compute(params)
    streams = [placement._measure(placement.build(params, seed=seed))[0] for seed in range(8)]
    size = np.median([[placement._rms(h) for h in stream] for stream in streams], axis=0)
    assert np.abs(np.log10(size / theory["size_theory"])).max() < SEEDS
    cosine = np.median([placement._cosine(stream[-1]) for stream in streams])
    assert cosine == pytest.approx(theory["cosine_theory"][-1], abs=0.25)


@pytest.mark.parametrize("norm", ["pre", "deep"])
def test_theory_predicts_the_gradient_where_branches_are_light(norm):
    params = START | {"norm": norm, "scale": 0.2}
    gradients = [placement._measure(placement.build(params, seed=seed))[1] for seed in range(8)]
    measured = np.median([g / g[-1] for g in gradients], axis=0)
    assert np.abs(np.log10(measured / placement.compute(params)["gradient_theory"])).max() < SEEDS


def test_the_gradient_of_an_average_goes_back_to_all_that_were_averaged():
    past = np.array([[1.0, 0.0], [0.5, 0.5]])
    ones = np.ones((2, 2))
    sizes = placement._back(np.eye(2), [(0.3, None, ones, ones)], past, 2.0) ** 2
    assert sizes == pytest.approx([2 * 2.0**2 + 0.3 * (1 + 0.25 + 0.25), 2])
    behind_a_norm = placement._back(np.eye(2), [(0.3, None, ones / 4, ones)], past, 2.0) ** 2
    assert behind_a_norm == pytest.approx([2 * 2.0**2 + 0.3 / 4 * (1 + 0.25 + 0.25), 2])


@pytest.mark.parametrize("norm", ["pre", "deep"])
def test_the_gains_are_those_of_the_branches_that_were_built(norm):
    params = {"norm": norm, "scale": 0.5, "blocks": 12}
    skip, attention, mlp = placement._gains(params)
    model = placement.build(params)
    assert model.block1.mlp.skip == skip
    h = torch.randn(4000, 32, generator=torch.Generator().manual_seed(0)).double()
    square = lambda of: np.mean([(0.5 * of(block)(h)).square().mean().item() for block in model[1:13]])
    assert square(lambda block: block.mlp.branch) == pytest.approx(mlp / 2, rel=0.1)  # ReLU keeps half
    value_and_out = lambda block: lambda h: block.attention.branch.out(block.attention.branch.value(h))
    assert square(value_and_out) == pytest.approx(attention, rel=0.1)


def test_relus_kernel_is_the_mean_over_gaussian_draws():
    c = np.array([[1.0, 0.6], [0.6, 2.0]])
    z = np.random.default_rng(0).multivariate_normal([0, 0], c, 400_000)
    products, slopes = placement._relu(c)
    assert products[0, 1] == pytest.approx((np.maximum(z, 0).prod(axis=1)).mean(), rel=0.01)
    assert slopes[0, 1] == pytest.approx((z > 0).all(axis=1).mean(), rel=0.01)
    assert np.diag(products) == pytest.approx([0.5, 1.0])


def test_what_is_drawn_is_what_was_computed_and_the_sentence_says_it():
    w = vg.widgets.norm_placement("pre", scale=0.5, blocks=9)
    for key in ("gradient", "size", "cosine"):
        for name in (key, f"{key}_theory"):
            x, y = w._view.moving[name].get_data()
            np.testing.assert_array_equal(x, np.arange(19))
            np.testing.assert_array_equal(y, w.arrays[name])
    assert w._sentence.startswith("9 blocks, pre-LN, s = 0.5: the gradient before the first branch")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"norm": "post", "scale": 1.0}, "The gradient holds; the tokens are nearly one"),
        ({"norm": "pre", "scale": 1.0}, "The gradient grows towards the input; the tokens draw together"),
        ({"norm": "deep", "scale": 1.0}, "The gradient holds; the tokens stay apart"),
        ({"norm": "post", "scale": 0.2}, "The gradient holds; the tokens stay apart"),
    ],
)
def test_the_headline_says_what_happens(params, words):
    w = vg.widgets.norm_placement(blocks=12)
    w.set(**params)
    assert w._view.title.get_text() == words
