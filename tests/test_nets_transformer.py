"""The small transformer: parity with a block written by hand, causality, draws, DeepNorm's constants, messages."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab.nets import deepnorm

TOKENS = torch.randint(16, (3, 10), generator=torch.Generator().manual_seed(0))
PLACES = ["pre", "post", "deep", None]
ROUNDING = 1e-5


def stream_of(norm, blocks=3):
    """The probe's rows at the ends of the branches, in their order."""
    model = vg.transformer(blocks, 16, norm=norm, vocab=16, seed=0)
    table = vg.gradient_profile(model, TOKENS, TOKENS, lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten()))
    return table.groupby(table.layer.str.extract(r"(block\d+\.\w+)")[0], sort=False).tail(1)


@pytest.mark.parametrize("norm", PLACES)
@pytest.mark.parametrize("rms", [False, True])
def test_shapes_of_tokens_and_of_vectors(norm, rms):
    assert vg.transformer(2, 16, norm=norm, rms=rms, vocab=16)(TOKENS).shape == (3, 10, 16)
    assert vg.transformer(2, 16, norm=norm, rms=rms, d_in=5, d_out=4)(torch.zeros(3, 7, 5)).shape == (3, 7, 4)


@pytest.mark.parametrize("norm", PLACES)
def test_a_token_hears_of_no_later_one_unless_asked(norm):
    later = TOKENS.clone()
    later[:, 6:] = (later[:, 6:] + 1) % 16
    for causal in (True, False):
        model = vg.transformer(2, 16, norm=norm, vocab=16, causal=causal, seed=1)
        change = (model(TOKENS) - model(later)).abs().amax(dim=(0, 2))
        assert (change[:6].max() < ROUNDING) == causal
        assert change[6:].min() > 0.01


def by_hand(block, h, norm, alpha):
    """One block from its weights and elementary operations."""
    n, time, width = h.shape
    attention, mlp = block.attention.branch, block.mlp.branch
    normalize = lambda z: (z - z.mean(-1, keepdim=True)) / (z.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()

    def attend(z):
        heads = [f(z).reshape(n, time, 4, width // 4).permute(0, 2, 1, 3) for f in (attention.query, attention.key)]
        values = attention.value(z).reshape(n, time, 4, width // 4).permute(0, 2, 1, 3)
        scores = heads[0] @ heads[1].transpose(-1, -2) / math.sqrt(width // 4)
        scores = scores.masked_fill(torch.ones(time, time).triu(1).bool(), -math.inf)
        return attention.out((scores.softmax(-1) @ values).permute(0, 2, 1, 3).reshape(n, time, width))

    for f in (attend, lambda z: mlp[2](torch.relu(mlp[0](z)))):
        h = h + 0.7 * f(normalize(h)) if norm == "pre" else alpha * h + 0.7 * f(h)
        h = normalize(h) if norm in ("post", "deep") else h
    return h


@pytest.mark.parametrize("norm", PLACES)
def test_a_block_is_the_one_written_by_hand(norm):
    model = vg.transformer(2, 16, norm=norm, vocab=16, scale=0.7, seed=2)
    alpha = deepnorm(2)[0] if norm == "deep" else 1.0
    h = torch.randn(3, 10, 16, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(model.block1(h), by_hand(model.block1, h, norm, alpha), atol=ROUNDING)


def test_places_are_told_apart_by_sines_and_cosines_and_need_no_longest_sequence():
    embed = vg.transformer(1, 16, vocab=16, seed=0).embed
    places = embed(TOKENS) - embed.table(TOKENS)
    assert torch.allclose(places[0], places[1], atol=ROUNDING)
    assert places[0, 3, 0].item() == pytest.approx(math.sin(3), abs=1e-5)
    assert places[0, 3, 9].item() == pytest.approx(math.cos(3 * 10_000 ** (-2 / 16)), abs=1e-5)
    assert embed(torch.zeros(1, 500, dtype=torch.long)).shape == (1, 500, 16)


@pytest.mark.parametrize("blocks", [1, 8, 100])
def test_deepnorms_constants_bound_the_change_of_all_branches(blocks):
    alpha, beta = deepnorm(blocks)
    assert alpha**4 == pytest.approx(2 * blocks)
    assert beta**-4 == pytest.approx(8 * blocks)
    assert 2 * blocks * (beta**2 + beta**2) / alpha**2 == pytest.approx(1)


def test_deepnorm_softens_values_outputs_and_the_two_layer_network_and_nothing_else():
    plain, deep = (vg.transformer(8, 64, norm=norm, vocab=16, seed=0) for norm in ("post", "deep"))
    beta = deepnorm(8)[1]
    for (name, a), (_, b) in zip(plain.named_parameters(), deep.named_parameters(), strict=True):
        if a.ndim == 2:
            soft = name.startswith("block") and ".query" not in name and ".key" not in name
            assert torch.allclose(a * (beta if soft else 1.0), b, atol=ROUNDING), name
    assert deep.block1.mlp.skip == deepnorm(8)[0]


def test_weights_are_xaviers_and_biases_zero():
    model = vg.transformer(2, 64, vocab=16, seed=0)
    first = model.block1.mlp.branch[0]
    assert first.weight.std().item() == pytest.approx(math.sqrt(2 / (64 + 256)), rel=0.03)
    assert first.weight.abs().max() > 3 * first.weight.std(), "normal, not uniform"
    assert all(not layer.bias.any() for layer in model.modules() if isinstance(layer, nn.Linear))


@pytest.mark.parametrize("norm", ["pre", "post", "deep"])
def test_rms_puts_rmsnorm_everywhere(norm):
    kinds = {type(m) for m in vg.transformer(2, 16, norm=norm, rms=True, vocab=16).modules()}
    assert nn.RMSNorm in kinds
    assert nn.LayerNorm not in kinds


def test_a_seed_fixes_the_weights_and_leaves_the_global_state():
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    a, b, c = (vg.transformer(1, 16, vocab=16, seed=seed)(TOKENS) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("norm", ["pre", "post", "deep"])
def test_the_probe_sees_every_branch_end_in_order(norm):
    rows = stream_of(norm)
    wanted = [f"block{i}.{part}" for i in (1, 2, 3) for part in ("attention", "mlp")]
    assert [layer.removesuffix(".norm") for layer in rows.layer] == wanted
    assert rows.grad_rms.notna().all()


@pytest.mark.parametrize("norm", ["pre", "post", "deep"])
def test_the_probe_s_gradients_are_autograds(norm):
    model = vg.transformer(3, 16, norm=norm, vocab=16, seed=0)
    h = [model.embed(TOKENS)]
    for block in (model.block1, model.block2, model.block3):
        h.append(block.attention(h[-1]))
        h.append(block.mlp(h[-1]))
    out = model.head(model.norm(h[-1]) if norm == "pre" else h[-1])
    gradients = torch.autograd.grad(F.cross_entropy(out.flatten(0, 1), TOKENS.flatten()), h[1:])
    wanted = [g.square().mean().sqrt().item() for g in gradients]
    assert stream_of(norm).grad_rms.tolist() == pytest.approx(wanted, rel=1e-4)


def test_silent_branches_leave_the_stream_alone():
    model = vg.transformer(4, 16, norm="pre", vocab=16, scale=0, seed=0)
    h = model.embed(TOKENS)
    assert torch.equal(model.block4(model.block1(h)), h)


def test_a_copy_computes_the_same():
    model = vg.transformer(2, 16, norm="deep", vocab=16, seed=0)
    assert torch.equal(copy.deepcopy(model)(TOKENS), model(TOKENS))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"blocks": 0}, "blocks must be a whole number of at least 1; got 0"),
        ({"width": 36, "heads": 4}, "even multiple of heads=4; got 36: try 32"),
        ({"norm": "batch"}, "norm must be 'pre', 'post', 'deep' or None; got 'batch'"),
        ({"d_in": 3}, "vocab for tokens or d_in for vectors, one of the two; got 16 and 3"),
        ({"vocab": None}, "one of the two; got None and None"),
        ({"vocab": None, "d_in": 3}, "d_out must be a whole number of at least 1; got None: give it, or vocab"),
        ({"vocab": 2.5}, "whole numbers of at least 1; got 2.5"),
        ({"scale": -1}, "must be 0 or more; got -1"),
        ({"scale": math.inf}, "must be 0 or more; got inf"),
        ({"hidden": True}, "hidden must be a whole number of at least 1; got True"),
    ],
)
def test_what_cannot_be_built_is_said(how, words):
    with pytest.raises(ValueError, match=words):
        vg.transformer(**{"blocks": 2, "width": 32, "vocab": 16} | how)
