"""Spectra, norms, residual streams, time, death and precision: closed forms, and networks that were really run.

Each error named here is what a handful of seeds at these widths allows; the comment says what was seen.
"""

import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from vglab import theory
from vglab.nets import Residual, mlp
from vglab.probe import gradient_profile

BATCH = 0.015  # relative, factor per layer; the worst of six settings was 0.9 %
STREAM = 0.25  # of ln, three seeds of width 256; layers to depth 50, where ln is up to 35: worst seen 0.15
TIME = 0.006  # of ln per step, four seeds of width 256: worst seen 0.003


def matrices(n, depth, seed, kind="gaussian"):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(depth):
        w = torch.randn(n, n, generator=generator, dtype=torch.float64) / n**0.5
        yield torch.linalg.qr(w)[0] if kind == "orthogonal" else w


def squared_singular_values(act, n, depth, sigma_w, q, *, seed, kind):
    """Of d h_depth / d h_0 at an input of stationary length, in a network without biases."""
    h = torch.randn(n, generator=torch.Generator().manual_seed(seed + 100), dtype=torch.float64)
    h *= math.sqrt(q) / sigma_w / h.square().mean().sqrt()
    jacobian = torch.eye(n, dtype=torch.float64)
    for w in matrices(n, depth, seed, kind):
        z = (sigma_w * w @ h).requires_grad_()
        h = act(z)
        (slope,) = torch.autograd.grad(h.sum(), z)
        h, jacobian = h.detach(), slope[:, None] * (sigma_w * w @ jacobian)
    return torch.linalg.svdvals(jacobian).square().numpy()


def test_largest_singular_value():
    assert theory.largest_singular_value(1) == pytest.approx(2)
    assert theory.largest_singular_value(2, 3.0) == pytest.approx(9 * 27**0.5 / 2)
    np.testing.assert_allclose(theory.largest_singular_value(np.array([8, 32])), [4.805, 9.399], atol=1e-3)
    assert theory.largest_singular_value(5, 0.9, weights="orthogonal") == pytest.approx(0.9**5)


def test_one_gaussian_matrix_has_the_quarter_circle_law():
    s, density = theory.singular_value_density(1)
    np.testing.assert_allclose(density, np.sqrt(4 - s**2) / math.pi, atol=1e-9)
    x = theory.singular_value_quantiles(1, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(
        2 / math.pi * (np.arcsin(x / 2) + x / 2 * np.sqrt(1 - x**2 / 4)), [0.1, 0.5, 0.9], atol=1e-6
    )


@pytest.mark.parametrize("depth", [2, 5, 20])
def test_the_density_has_the_moments_of_fuss_and_catalan(depth):
    s, density = theory.singular_value_density(depth, 1.1)
    x = (s / 1.1**depth) ** 2
    for k in (1, 2, 3):
        catalan = math.comb((depth + 1) * k, k) / (depth * k + 1)
        assert np.trapezoid(x**k * density, s) == pytest.approx(catalan, rel=1e-3)
    for share in (0.5, 0.9, 0.99):
        above = s >= theory.singular_value_quantiles(depth, share, 1.1)
        assert np.trapezoid(density[above], s[above]) == pytest.approx(1 - share, rel=5e-3)


@pytest.mark.parametrize(("depth", "error"), [(2, 0.02), (8, 0.08)])
def test_products_of_real_gaussian_matrices(depth, error):
    """Width 300, three seeds: the largest within 8 %, the median too; at depth 8 depth / width is 0.03."""
    s = [torch.linalg.svdvals(torch.linalg.multi_dot([*matrices(300, depth, seed)])).numpy() for seed in range(3)]
    assert np.mean([one[0] for one in s]) == pytest.approx(theory.largest_singular_value(depth), rel=max(error, 0.1))
    for share in (0.5, 0.9):
        assert np.quantile(s, share) == pytest.approx(theory.singular_value_quantiles(depth, share), rel=error)


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal"])
@pytest.mark.parametrize(("act", "sigma_w"), [(torch.tanh, 1.5), (torch.relu, 2**0.5), (torch.erf, 1.2)])
def test_moments_of_real_jacobians(act, sigma_w, kind):
    """Width 400, depth 3, four seeds: mean within 6 %, variance within 12 %."""
    q = theory.q_star(act, sigma_w)
    seen = [squared_singular_values(act, 400, 3, sigma_w, q, seed=seed, kind=kind) for seed in range(4)]
    mean, variance = theory.squared_singular_values(act, 3, sigma_w, weights=kind)
    assert np.mean(seen) == pytest.approx(mean, rel=0.06)
    assert np.var(seen) == pytest.approx(variance, rel=0.12)


def test_moments_in_closed_form():
    assert theory.squared_singular_values("linear", 8) == pytest.approx((1, 8))  # Fuss-Catalan: 9 - 1
    assert theory.squared_singular_values("linear", 8, weights="orthogonal") == pytest.approx((1, 0))
    assert theory.squared_singular_values("relu", 8, 1.0) == pytest.approx((2**-8.0, 2**-16.0 * 16))


def test_a_depth_near_the_width_is_warned_of():
    for f in (theory.largest_singular_value, theory.singular_value_quantiles):
        with pytest.warns(theory.TheoryWarning, match=r"depth / width is 0\.16, over 0\.1: .* measure them instead"):
            f(32, width=200)
        f(20, width=200)
        f(32, width=200, weights="orthogonal")
    with pytest.warns(theory.TheoryWarning, match="depth / width is 2, over"):
        theory.squared_singular_values("tanh", 64, width=32)


def test_batch_factor_of_many_and_few():
    for act in ("relu", "tanh", "sigmoid", "elu"):
        assert theory.batch_factor(act, 10**6) == pytest.approx(theory.layer_factor(act, norm="batch"), rel=1e-5)
    assert theory.layer_factor("relu", norm="batch", batch=32) == theory.batch_factor("relu", 32)
    profile = theory.gradient_profile("relu", 3, norm="batch", batch=32)
    assert profile[0] == pytest.approx(theory.batch_factor("relu", 32) ** 2)


@pytest.mark.parametrize("batch", [6, 20])
def test_batch_factor_against_batch_norm_itself(batch):
    """The mean of |J D g|**2 over 400 000 normalized batches, by autograd through the formula of BatchNorm."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(400_000, batch, generator=generator, dtype=torch.float64, requires_grad=True)
    h = torch.relu((z - z.mean(1, keepdim=True)) / z.std(1, keepdim=True, correction=0))
    g = torch.randn(z.shape, generator=generator, dtype=torch.float64)
    g = g - g.mean(1, keepdim=True)  # as BatchNorm's own gradient is
    (back,) = torch.autograd.grad((h * g).sum(), z)
    h = h.detach()
    pairs = (h.sum(1) ** 2 - h.square().sum(1)).mean() / (batch * (batch - 1))
    spread = h.square().mean() - pairs  # the next layer's variance for sigma_w = 1, where z has variance 1
    seen = (back.square().sum() / g.square().sum() / spread).sqrt().item()
    assert theory.batch_factor("relu", batch) == pytest.approx(seen, rel=0.003)


@pytest.mark.parametrize(("act", "width", "batch"), [("relu", 256, 16), ("relu", 256, 64), ("tanh", 256, 64)])
def test_batch_factor_in_real_networks(act, width, batch):
    seen = []
    for seed in range(4):
        model = mlp(40, width, act=act, norm="batch", sigma_w=1.0, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        x, y = torch.randn(batch, 64, generator=generator), torch.randint(10, (batch,), generator=generator)
        table = gradient_profile(model, x, y)
        rms = table.grad_rms[table.layer.str.startswith("act")].to_numpy()
        seen.append((rms[5] / rms[35]) ** (1 / 30))
    assert np.mean(seen) == pytest.approx(theory.batch_factor(act, batch), rel=BATCH)


def stream(kind, depth, act, sigma_w, seed):
    """ln of the growth of E[h**2] and of the mean square gradient over the blocks of a real network, by the probe."""
    norm = {"layer": nn.LayerNorm, "rms": nn.RMSNorm, "batch": nn.BatchNorm1d}.get(kind)
    scale = {"scaled": depth**-0.5, "rezero": 0.0}.get(kind, 1.0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = OrderedDict()
        for i in range(depth):
            linear = nn.Linear(256, 256, bias=False)
            nn.init.normal_(linear.weight, 0, sigma_w / 16)
            layers[f"block{i}"] = Residual(nn.Sequential(*([norm(256)] if norm else []), act(), linear), scale)
        model = nn.Sequential(layers | {"head": nn.Linear(256, 10)})
        x, y = torch.randn(256, 256), torch.randint(10, (256,))
    table = gradient_profile(model, x, y)
    rows = table[table.layer.str.fullmatch(r"block\d+")]
    return 2 * np.log([rows.h_rms.iloc[-1], rows.grad_rms.iloc[0] / rows.grad_rms.iloc[-1]])


@pytest.mark.parametrize(
    ("kind", "act", "sigma_w"),
    [(kind, nn.ReLU, 2**0.5) for kind in ("scaled", "layer", "rms", "batch", "rezero")]
    + [("plain", nn.Tanh, 1.0), ("layer", nn.Tanh, 2.0)],
)
def test_residual_growth_in_real_networks(kind, act, sigma_w):
    seen = np.mean([stream(kind, 30, act, sigma_w, seed) for seed in range(3)], axis=0)
    settings = {"act": act, "sigma_w": sigma_w}
    gradient = theory.residual_gradient(kind, 30, **settings)
    expected = np.log([theory.residual_variance(kind, 30, **settings)[-1], gradient[1]])
    np.testing.assert_allclose(seen, expected, atol=STREAM)


def test_residual_growth_in_closed_form():
    np.testing.assert_allclose(theory.residual_variance("plain", 6), 2.0 ** np.arange(7))
    np.testing.assert_allclose(theory.residual_gradient("plain", 6), 2.0 ** np.arange(6, -1, -1))
    np.testing.assert_allclose(theory.residual_variance("scaled", 50)[-1], 1.02**50)
    np.testing.assert_allclose(theory.residual_variance("layer", 6, q0=3.0), 3.0 + np.arange(7))
    assert theory.residual_gradient("rms", 50)[0] == pytest.approx(51)  # telescopes
    for kind in ("rezero", "fixup"):
        assert theory.residual_variance(kind, 5, q0=2.0).tolist() == [2] * 6
        assert theory.residual_gradient(kind, 5).tolist() == [1] * 6
    less = theory.residual_gradient("batch", 10, spread0=0.5)
    assert less[0] / less[1] == pytest.approx(1 + 1 / 0.5)
    assert theory.residual_variance("plain", 2000)[-1] <= 1e281
    assert theory.fixup_scale(16) == 0.25
    assert theory.fixup_scale(16, 3) == 0.5


@pytest.mark.parametrize(("gain", "sigma_x"), [(3.0, 0.0), (2.0, 0.0), (1.0, 0.5), (1.5, 0.5)])
def test_decay_in_real_recurrent_networks(gain, sigma_x):
    """256 tanh units with one matrix for all 60 steps."""
    seen = []
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        w = torch.randn(256, 256, generator=generator) * gain / 16
        hs = [torch.randn(32, 256, generator=generator).requires_grad_()]
        for _ in range(60):
            hs.append(torch.tanh(hs[-1] @ w.T + sigma_x * torch.randn(32, 256, generator=generator)))
        loss = (hs[-1] * torch.randn(32, 256, generator=generator)).sum()
        rms = [g.double().square().mean().sqrt().item() for g in torch.autograd.grad(loss, hs)]
        seen.append(math.log(rms[10] / rms[-1]) / 50)
    assert np.mean(seen) == pytest.approx(math.log(theory.recurrent_factor("tanh", gain, sigma_x)), abs=TIME)


def test_decay_and_gates():
    decay = theory.recurrent_decay("relu", 4, 1.0, sigma_b=0.3)
    np.testing.assert_allclose(decay, 2.0 ** (-np.arange(5) / 2))
    assert theory.recurrent_factor("tanh", 2.0, 0.3, 0.4) == pytest.approx(theory.layer_factor("tanh", 2.0, 0.5))
    assert theory.gate_half_life(0.0) == pytest.approx(1)
    bias = np.array([-2.0, 1.0, 6.0, 9.0])
    half = theory.gate_half_life(bias)
    np.testing.assert_allclose(torch.sigmoid(torch.tensor(bias)).numpy() ** half, 0.5, rtol=1e-9)
    np.testing.assert_allclose(theory.gate_bias(half), bias, rtol=1e-9)


def test_a_gate_alone_is_the_cell_path_of_a_real_lstm():
    """With h cut off from the gates the gradient through the cell halves in the half-life, to float32's rounding."""
    cell = nn.LSTMCell(4, 8)
    with torch.no_grad():
        for p in cell.parameters():
            p.zero_()
        cell.bias_ih[8:16] = 3.0
    first = torch.ones(1, 8, requires_grad=True)
    h, c = torch.zeros(1, 8), first
    for _ in range(40):
        h, c = cell(torch.zeros(1, 4), (h, c))
    (g,) = torch.autograd.grad(c.sum(), first)
    assert g.mean().item() == pytest.approx(0.5 ** (40 / theory.gate_half_life(3.0)), rel=1e-5)


def test_chrono_biases_give_even_half_lives():
    state = torch.get_rng_state()
    bias = theory.chrono_bias(101, 20_000, seed=0)
    assert torch.equal(state, torch.get_rng_state())
    lag = np.exp(bias.double().numpy())  # U(1, 100)
    assert 1 <= lag.min() < 1.1
    assert 99.9 < lag.max() <= 100
    assert lag.mean() == pytest.approx(50.5, abs=0.8)  # four standard errors
    assert torch.equal(bias, theory.chrono_bias(101, 20_000, seed=0))


@pytest.mark.parametrize(("width", "depth"), [(2, 5), (4, 10), (4, 40), (8, 40)])
def test_born_dead_in_real_networks(width, depth):
    """4000 networks each; four standard errors are at most 0.032."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(4000, width, 1, generator=generator)
    for _ in range(depth):
        h = torch.relu(torch.randn(4000, width, width, generator=generator) @ h)
    dead = (h == 0).flatten(1).all(1).float().mean().item()
    p = theory.born_dead_probability(depth, width)
    assert dead == pytest.approx(p, abs=4 * (p * (1 - p) / 4000) ** 0.5)


def test_born_dead():
    assert theory.born_dead_probability(1, 1) == 0.5
    assert theory.born_dead_probability(10, 60) == pytest.approx(10 * 2.0**-60, rel=1e-9)
    np.testing.assert_allclose(theory.born_dead_probability(np.array([10, 40]), 4), [0.4755, 0.9243], atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", ["normal", "lognormal"])
@pytest.mark.parametrize("rms", [1e-8, 1e-6, 1.0, 3e4])
def test_shares_against_torchs_own_rounding(dtype, shape, rms):
    g = torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if shape == "lognormal":
        g = torch.exp(2 * g - 4)  # rms 1: E[g**2] = exp(2 * 2**2 - 8)
    rounded = (g * rms).to(getattr(torch, dtype)).double().abs()
    shares = theory.half_precision_shares(rms, dtype=dtype, shape=shape)
    least = torch.finfo(getattr(torch, dtype)).smallest_normal
    seen = {
        "zero": (rounded == 0),
        "subnormal": (rounded > 0) & (rounded < least),
        "overflow": rounded.isinf(),
    }
    for name, where in seen.items():
        assert shares[name] == pytest.approx(where.double().mean().item(), abs=0.003), name


def test_the_sizes_at_which_precision_ends():
    assert theory.half_precision_shares(2.0**-25, spread=1e-6, shape="lognormal")["zero"] == pytest.approx(0.5)
    over = theory.half_precision_shares(np.array([65519.0, 65521.0]), spread=1e-6, shape="lognormal")["overflow"]
    np.testing.assert_allclose(over, [0, 1], atol=1e-9)
    scaled = theory.half_precision_shares(1e-8, scale=2.0**10)
    assert scaled["zero"] == pytest.approx(theory.half_precision_shares(1e-8 * 2**10)["zero"])
    assert theory.half_precision_shares(0.0) == {"zero": 1.0, "subnormal": 0.0, "overflow": 0.0}
    assert theory.half_precision_shares(1e-38, dtype="bfloat16")["zero"] < 1e-2


def test_underflow_in_a_real_network():
    """The first layer's weight gradients of a sigmoid network, rounded: by their rms alone, within 0.05."""
    model = mlp(8, 128, act="sigmoid", sigma_w=1.0, seed=0)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(64, 64, generator=generator), torch.randint(10, (64,), generator=generator)
    nn.functional.cross_entropy(model(x), y).backward()
    g = model[0].weight.grad.double()
    share = theory.half_precision_shares(g.square().mean().sqrt().item())["zero"]
    seen = (g.half() == 0).double().mean().item()
    assert 0.02 < seen < 0.98
    assert seen == pytest.approx(share, abs=0.05)


def test_messages():
    cases = {
        "weights must be one of gaussian, orthogonal; got 'uniform'": lambda: theory.largest_singular_value(
            3, weights="uniform"
        ),
        "depth must be a whole number of at least 1; got 0": lambda: theory.singular_value_quantiles(0),
        "quantiles are shares and must lie between 0 and 1": lambda: theory.singular_value_quantiles(2, 1.5),
        "batch must be a whole number of at least 5; got 4": lambda: theory.batch_factor("relu", 4),
        "batch is the batch size of BatchNorm and needs norm='batch'": lambda: theory.layer_factor("relu", batch=8),
        "kind must be one of plain, scaled, .*; got 'post'": lambda: theory.residual_variance("post", 3),
        "q0 and spread0 are variances": lambda: theory.residual_gradient("batch", 3, spread0=0.0),
        "layers must be a whole number of at least 2; got 1": lambda: theory.fixup_scale(4, 1),
        "sigma_x is a standard deviation": lambda: theory.recurrent_factor("tanh", 1.0, -0.5),
        "half_life is a number of steps and must be above 0": lambda: theory.gate_bias(0.0),
        "longest is the longest lag in steps and must be above 2; got 2": lambda: theory.chrono_bias(2, 5),
        "width must be a whole number of at least 1; got 0": lambda: theory.born_dead_probability(3, 0),
        "dtype must be one of float16, bfloat16; got 'int8'": lambda: theory.half_precision_shares(1.0, dtype="int8"),
        "shape must be one of normal, lognormal; got 'cauchy'": lambda: theory.half_precision_shares(
            1.0, shape="cauchy"
        ),
        "rms must be 0 or more, scale and spread above 0": lambda: theory.half_precision_shares(-1.0),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message):
            call()
