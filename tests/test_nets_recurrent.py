"""Recurrent networks are torch's own; what is drawn has the scale asked for; every message says what to do."""

import pytest
import torch
from torch import nn

import vglab as vg

X = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0))
KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def made(kind="rnn", width=8, **settings):
    return vg.recurrent(kind, width, d_in=4, d_out=2, **({"seed": 0} | settings))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_torchs_layer_with_a_head_on_its_last_output(kind):
    model = made(kind)
    assert type(model.rnn) is KINDS[kind]
    states, _ = model.rnn(X)
    assert torch.equal(model(X), model.head(states[:, -1]))
    assert model(X).shape == (3, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_scale_the_weights_are_torchs_default(kind):
    bound = 256**-0.5
    for weights in made(kind, 256).rnn.parameters():
        assert weights.abs().max() <= bound
        assert weights.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_the_activation_of_the_plain_network_can_be_relu():
    model = made(act="relu", sigma_w=1.0)
    w, v = model.rnn.weight_hh_l0, model.rnn.weight_ih_l0
    h = torch.zeros(3, 8)
    for x in X.unbind(1):
        h = torch.relu(x @ v.T + h @ w.T)
    assert torch.allclose(model.rnn(X)[0][:, -1], h, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma_w", [0.5, 2.0])
def test_normal_weights_have_the_scale_asked_for_and_biases_are_0(kind, sigma_w):
    rnn = made(kind, 256, sigma_w=sigma_w, sigma_x=3.0).rnn
    assert rnn.weight_hh_l0.std().item() == pytest.approx(sigma_w / 16, rel=0.02)
    assert rnn.weight_ih_l0.std().item() == pytest.approx(3 / 2, rel=0.06)
    assert not rnn.bias_ih_l0.any()
    assert not rnn.bias_hh_l0.any()


@pytest.mark.parametrize("kind", KINDS)
def test_orthogonal_weights_are_orthogonal_gate_by_gate(kind):
    for w in made(kind, 16, sigma_w=1.5, init="orthogonal").rnn.weight_hh_l0.split(16):
        assert torch.allclose(w.T @ w, 2.25 * torch.eye(16), atol=1e-4)


@pytest.mark.parametrize("bias", [3.0, torch.arange(8.0)])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_forget_bias_is_that_of_the_gate_that_keeps(kind, bias):
    """With weights of 0 a state of 1 decays by sigmoid(bias) per step."""
    rnn, ones = made(kind, sigma_w=0.0, sigma_x=0.0, forget_bias=bias).rnn, torch.ones(1, 1, 8)
    state = (torch.zeros(1, 1, 8), ones) if kind == "lstm" else ones
    end = rnn(torch.zeros(1, 5, 4), state)[1]
    kept = torch.sigmoid(torch.as_tensor(bias)).expand(8) ** 5
    assert torch.allclose((end[1] if kind == "lstm" else end).flatten(), kept, atol=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_forget_bias_leaves_everything_else_as_torch_draws_it(kind):
    plain, biased = made(kind).rnn, made(kind, forget_bias=2.0).rnn
    for name in ("bias_ih_l0", "bias_hh_l0"):
        same = (getattr(plain, name) == getattr(biased, name)).view(-1, 8).all(1)
        assert same.tolist() == [k != 1 for k in range(len(same))]
    assert torch.equal(plain.weight_hh_l0, biased.weight_hh_l0)
    assert torch.equal(plain.weight_ih_l0, biased.weight_ih_l0)


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a, b, c = made(seed=1), made(seed=1), made(seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a(X), b(X))
    assert not torch.equal(a(X), c(X))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "mlp"}, "kind must be one of 'rnn', 'lstm', 'gru'; got 'mlp'"),
        ({"act": "gelu"}, "act must be one of 'tanh', 'relu'; got 'gelu'"),
        ({"sigma_w": 1.0, "init": "he"}, "init must be one of 'normal', 'orthogonal'; got 'he'"),
        ({"width": 0}, "width must be a whole number of at least 1; got 0"),
        ({"width": 2.5}, "width must be a whole number of at least 1; got 2.5"),
        ({"sigma_w": -1.0}, "sigma_w is a scale of weights and must be 0 or more; got -1.0"),
        ({"sigma_w": 1.0, "sigma_x": "big"}, "sigma_x is a scale of weights and must be 0 or more; got 'big'"),
        ({"kind": "lstm", "act": "relu"}, "act belongs to kind 'rnn'; got act='relu' for 'lstm'"),
        ({"init": "orthogonal"}, "init and sigma_x need sigma_w; got init='orthogonal'"),
        ({"forget_bias": 1.0}, "forget_bias needs a gate; got kind 'rnn': use 'lstm' or 'gru'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")):
        made(**settings)
