"""Remedies do to the gradient what they promise, by plain autograd; help only if the loss says so; touch nothing."""

import copy
import random
from math import inf, log10

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vglab.diagnosis import copies, feed, surgery, trials
from vglab.diagnosis.remedies import Remedy, candidates, tried
from vglab.nets import Residual, mlp
from vglab.probe import gradient_profile

LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


def decades(model, batch, loss_fn):
    """log10 of the gradient's rms at the output of the first layer over that of the last before the head."""
    outputs = []
    layers = [module for module in model.modules() if isinstance(module, LAYERS)]
    hooks = [layer.register_forward_hook(lambda module, args, z: outputs.append(z)) for layer in layers]
    loss = feed.loss_of(model, batch, loss_fn)
    for hook in hooks:
        hook.remove()
    first, *_, last, _ = torch.autograd.grad(loss, [z for z in outputs if z.requires_grad])
    return log10(max(rms(first), 1e-300) / max(rms(last), 1e-300))


def rms(t):
    return t.double().square().mean().sqrt().item()


def data(n=32, *shape, classes=4, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, *(shape or (16,)), generator=draw), torch.randint(classes, (n,), generator=draw)


def net(depth, act="tanh", width=24, **settings):
    return mlp(depth, width, act=act, d_in=16, d_out=4, seed=1, **settings)


def conv_net():
    torch.manual_seed(2)
    body = [m for i in range(4) for m in (nn.Conv2d(6 if i else 1, 6, 3, padding=1), nn.ReLU())]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 4))


class Called(nn.Module):
    """Its activations are functions, not modules."""

    def __init__(self, depth=6):
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(depth)])
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


class OverTime(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(rnn.hidden_size, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def over_time(kind, width=12, **settings):
    torch.manual_seed(4)
    return OverTime(kind(5, width, batch_first=True, **settings))


def sgd(model, lr=0.1, **settings):
    return torch.optim.SGD(model.parameters(), lr=lr, **settings)


def found(model, batch, *, cause="", state="vanishing", loss_fn=F.cross_entropy):
    rows = gradient_profile(model, *batch, loss_fn)
    return {r.name: r for r in candidates(model, cause=cause, state=state, rows=rows, inputs=batch[0])}


def changed(remedy, model, batch, optimizer=None):
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        return remedy.change(copy.deepcopy(model), batch[0], optimizer)


def row(table, name):
    """The row of a remedy, also where it took a lower learning rate."""
    (only,) = (r for r in table.itertuples() if r.remedy.startswith(name))
    return only


# ---------------------------------------------------------------- initialization


@pytest.mark.parametrize(
    ("act", "name"),
    [
        ("tanh", "Xavier initialization"),
        ("tanh", "orthogonal initialization"),
        ("tanh", "layer-sequential unit variance (LSUV)"),
        ("relu", "He initialization"),
        ("relu", "orthogonal initialization"),
        ("leaky_relu", "He initialization"),
        ("selu", "LeCun initialization"),
        ("sigmoid", "Xavier (gain 4.8, centred) initialization"),
        ("sigmoid", "orthogonal initialization"),
        ("gelu", "layer-sequential unit variance (LSUV)"),
    ],
)
def test_new_weights_bring_a_lost_gradient_back_within_a_decade(act, name):
    model, batch = net(20 if act != "sigmoid" else 10, act, 48), data()
    before = decades(model, batch, F.cross_entropy)
    after = decades(changed(found(model, batch)[name], model, batch), batch, F.cross_entropy)
    assert before < (-1.5 if act == "selu" else -3)
    assert abs(after) < 1


def test_weights_are_drawn_to_match_the_activation_that_follows_each_layer():
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 4)))
    batch = data(8, 256)
    new = changed(found(model, batch)["He and Xavier initialization"], model, batch)
    assert new[0].weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    assert new[2].weight.std().item() == pytest.approx(5 / 3 / 256**0.5, rel=0.02)
    assert torch.equal(new[4].weight, model[4].weight)
    assert not new[0].bias.any()


def test_unit_variance_is_that_of_every_preactivation():
    model, batch = net(6, "gelu"), data()
    new = changed(found(model, batch)["layer-sequential unit variance (LSUV)"], model, batch)
    z = batch[0]
    for layer, act in zip(new[0:12:2], new[1:12:2], strict=True):
        z = layer(z)
        assert z.std().item() == pytest.approx(1, rel=1e-4)
        z = act(z)


def test_frozen_layers_and_weights_computed_from_others_are_left_alone():
    model, batch = net(4, "relu"), data()
    model.linear1.requires_grad_(False)
    nn.utils.parametrizations.weight_norm(model.linear2)
    code = found(model, batch)["He initialization"].code
    assert "linear3" in code
    assert "linear1" not in code
    assert "linear2" not in code


@pytest.mark.parametrize(
    ("module", "is_one"),
    [
        (nn.Hardsigmoid(), True),
        (nn.Sigmoid(), True),
        (nn.Softshrink(), True),
        (nn.Identity(), False),
        (nn.Dropout(), False),
        (nn.Softmax(-1), False),
        (nn.Flatten(), False),
        (nn.LayerNorm(1, elementwise_affine=False), False),
        (nn.LSTM(1, 1), False),
    ],
)
def test_what_is_an_activation_is_found_by_trying(module, is_one):
    assert (surgery.response(module) is not None) == is_one


def test_the_mean_and_mean_square_of_an_activation_are_gaussian_averages():
    assert surgery.response(nn.ReLU()) == pytest.approx(((2 * torch.pi) ** -0.5, 0.5), abs=1e-5)
    assert surgery.response(nn.Sigmoid())[0] == pytest.approx(0.5)


# ---------------------------------------------------------------- architecture


@pytest.mark.parametrize("name", ["ReLU instead, He initialization", "GELU instead, weights to match"])
def test_another_activation_keeps_the_shapes_and_brings_the_gradient_back(name):
    model, batch = net(8, "sigmoid"), data()
    new = changed(found(model, batch)[name], model, batch)
    assert new(batch[0]).shape == model(batch[0]).shape
    assert not any(isinstance(m, nn.Sigmoid) for m in new.modules())
    assert abs(decades(new, batch, F.cross_entropy)) < 1 < -decades(model, batch, F.cross_entropy)


def test_an_activation_used_in_many_places_is_replaced_in_each():
    act = nn.ReLU()
    model, batch = nn.Sequential(nn.Linear(16, 16), act, nn.Linear(16, 16), act, nn.Linear(16, 4)), data()
    new = changed(found(model, batch, state="dead")["LeakyReLU instead"], model, batch)
    assert [type(m) for m in new] == [nn.Linear, nn.LeakyReLU] * 2 + [nn.Linear]


@pytest.mark.parametrize("name", ["LayerNorm before each activation", "BatchNorm before each activation"])
@pytest.mark.parametrize("kind", ["linear", "conv", "functions"])
def test_a_normalization_goes_between_layer_and_activation(name, kind):
    model = {"linear": net(8, "relu"), "conv": conv_net(), "functions": Called()}[kind]
    batch = data(16, 1, 8, 8) if kind == "conv" else data()
    new = changed(found(model, batch)[name], model, batch)
    z = {"linear": lambda: new[:3], "conv": lambda: new[:1], "functions": lambda: new.layers[0]}[kind]()
    z = z[0] if kind == "linear" else z
    norms = [m for m in new.modules() if isinstance(m, surgery.NORMS)]
    z = z(batch[0])
    assert len(norms) == {"linear": 8, "conv": 4, "functions": 6}[kind]
    assert z.std().item() == pytest.approx(1, abs=0.05)
    assert not any(norm.num_groups > 1 for norm in norms if isinstance(norm, nn.GroupNorm))
    assert abs(decades(new, batch, F.cross_entropy)) < abs(decades(model, batch, F.cross_entropy))


def test_a_layer_that_has_a_normalization_gets_no_second_one():
    model, batch = net(3, norm="layer"), data()
    assert "LayerNorm before each activation" not in found(model, batch)


def test_skips_add_each_layer_to_its_input():
    model, batch = net(9), data()
    (remedy,) = (r for name, r in found(model, batch).items() if name.startswith("skips"))
    new = changed(remedy, model, batch)
    h = torch.tanh(model.linear1(batch[0]))
    for i in range(2, 10):
        h = h + float(f"{8**-0.5:.3g}") * torch.tanh(getattr(model, f"linear{i}")(h))
    torch.testing.assert_close(new(batch[0]), model.head(h))
    assert abs(decades(new, batch, F.cross_entropy)) < 1


def test_skips_go_around_whole_blocks_and_images_too():
    blocks = [nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()) for _ in range(3)]
    model = nn.Sequential(nn.Conv2d(1, 6, 3), *blocks, nn.Flatten(), nn.Linear(216, 4))
    batch = data(8, 1, 8, 8)
    (remedy,) = (r for name, r in found(model, batch).items() if name.startswith("skips"))
    new = changed(remedy, model, batch)
    assert [type(m) for m in new[1:4]] == [Residual] * 3
    assert new(batch[0]).shape == (8, 4)


@pytest.mark.parametrize("kind", ["narrower", "unpadded", "strided"])
def test_no_skips_where_shapes_change(kind):
    conv = {"unpadded": {"padding": 0}, "strided": {"padding": 1, "stride": 2}}.get(kind)
    if conv:
        body = [m for _ in range(2) for m in (nn.Conv2d(1, 1, 3, **conv), nn.Tanh())]
        model, batch = nn.Sequential(*body, nn.Flatten(), nn.LazyLinear(4)), data(8, 1, 8, 8)
        model(batch[0])
    else:
        model, batch = nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4)), data()
    assert not any(name.startswith("skips") for name in found(model, batch))


def test_normalization_without_skips_can_be_taken_out():
    model, batch = net(20, "relu", norm="batch", sigma_w=2**0.5), data()
    new = changed(found(model, batch)["no normalization, He initialization"], model, batch)
    assert not any(isinstance(m, nn.BatchNorm1d) for m in new.modules())
    assert abs(decades(new, batch, F.cross_entropy)) < 1 < decades(model, batch, F.cross_entropy)


class PostActivation(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, h):
        return F.relu(h + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(h))))))


def test_residual_blocks_and_the_ends_of_their_branches_are_found_by_trying():
    transformer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True)
    plain = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    model = nn.ModuleDict({"a": transformer, "b": PostActivation(), "c": net(3, "relu", skip=True), "d": plain})
    assert surgery.blocks(model) == {
        "a": ["a.self_attn.out_proj", "a.linear2"],
        "b": ["b.norm2"],
        "c.block2": ["c.block2.branch.linear2"],
        "c.block3": ["c.block3.branch.linear3"],
    }


def test_looking_for_blocks_leaves_the_model_as_it_is():
    model = nn.Sequential(PostActivation(), PostActivation())
    before = copy.deepcopy(model.state_dict())
    random_state = torch.get_rng_state()
    surgery.blocks(model)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert torch.equal(random_state, torch.get_rng_state())


@pytest.mark.parametrize("name", ["branches scaled by 1/sqrt(23)", "LayerNorm at the start of each branch"])
def test_smaller_branches_keep_the_gradient_of_a_residual_net(name):
    model, batch = net(24, "relu", sigma_w=2**0.5, skip=True), data()
    remedies = found(model, batch, state="exploding", cause="residual without normalization")
    before, after = (decades(m, batch, F.cross_entropy) for m in (model, changed(remedies[name], model, batch)))
    assert before > 4
    assert abs(after) < 1.5


def test_only_a_large_eps_is_made_small():
    blocks = [m for eps in (1.0, 1e-6) for m in (nn.Linear(16, 16), nn.LayerNorm(16, eps=eps), nn.Tanh())]
    model, batch = nn.Sequential(*blocks, nn.Linear(16, 4)), data()
    new = changed(found(model, batch)["eps of 1e-5 in each normalization"], model, batch)
    assert (new[1].eps, new[4].eps) == (1e-5, 1e-6)
    assert "eps of 1e-5 in each normalization" not in found(net(3, norm="layer"), batch)


def test_inputs_are_standardized_by_their_own_mean_and_deviation():
    model, (x, y) = net(2), data()
    x = 7 * x + 100
    x[:, 3] = 5.0  # a pixel that never changes
    remedies = found(model, (x, y), cause="saturating activation")
    new = changed(remedies["standardized inputs"], model, (x, y))
    std, mean = torch.std_mean(x, dim=0)
    torch.testing.assert_close(new(x), model((x - mean) / torch.where(std > 0, std, 1.0)))
    both = changed(remedies["standardized inputs, Xavier initialization"], model, (x, y))
    expected = changed(remedies["Xavier initialization"], model, (x, y))
    torch.testing.assert_close(both(x), expected((x - mean) / torch.where(std > 0, std, 1.0)))
    assert "standardized inputs" not in found(model, data())


def test_biases_are_moved_where_units_are_dead():
    model, batch = net(4, "relu", sigma_w=2**0.5), data()
    nn.init.constant_(model.linear2.bias, -20.0)
    remedies = found(model, batch, state="dead", cause="dead ReLUs")
    assert next(iter(remedies)) == "zero biases"
    assert changed(remedies["zero biases"], model, batch).linear2.bias.eq(0).all()
    assert changed(remedies["biases of 0.1"], model, batch).linear2.bias.eq(0.1).all()


# ---------------------------------------------------------------- recurrence


def through_time(model, x, y):
    """log10 of the gradient's rms at the first time step of the input over that at the last."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(x), y), x)
    return log10(rms(gradient[:, 0]) / rms(gradient[:, -1]))


@pytest.mark.parametrize(("kind", "word"), [(nn.LSTM, "forget"), (nn.GRU, "update")])
def test_the_bias_of_the_gate_that_keeps_carries_the_gradient_through_time(kind, word):
    model, batch = over_time(kind), data(8, 40, 5)
    remedies = found(model, batch, cause="recurrence")
    reached = [through_time(changed(remedies[f"{word}-gate bias of {b}"], model, batch), *batch) for b in (1, 3, 5)]
    assert through_time(model, *batch) < reached[0] - 1 < reached[1] - 2 < reached[2] - 2
    assert reached[1] > -2
    rnn = changed(remedies[f"{word}-gate bias of 3"], model, batch).rnn
    assert (rnn.bias_ih_l0 + rnn.bias_hh_l0)[12:24].eq(3).all()
    assert torch.equal(rnn.bias_ih_l0[:12], model.rnn.bias_ih_l0[:12])


def test_orthogonal_and_identity_recurrent_weights():
    model, batch = over_time(nn.RNN), data(8, 40, 5)
    remedies = found(model, batch, cause="recurrence")
    new = changed(remedies["orthogonal recurrent weights"], model, batch)
    torch.testing.assert_close(new.rnn.weight_hh_l0 @ new.rnn.weight_hh_l0.T, torch.eye(12), atol=1e-5, rtol=0)
    assert through_time(new, *batch) > through_time(model, *batch) + 3
    new = changed(remedies["identity recurrent weights with ReLU (IRNN)"], model, batch)
    assert torch.equal(new.rnn.weight_hh_l0, torch.eye(12))
    assert (new.rnn(batch[0])[0] >= 0).all()
    assert through_time(new, *batch) > through_time(model, *batch) + 3


def test_every_gate_of_an_lstm_gets_an_orthogonal_matrix_of_its_own():
    model, batch = over_time(nn.LSTM), data(8, 10, 5)
    new = changed(found(model, batch)["orthogonal recurrent weights"], model, batch)
    for gate in new.rnn.weight_hh_l0.split(12):
        torch.testing.assert_close(gate @ gate.T, torch.eye(12), atol=1e-5, rtol=0)


def test_weights_unrolled_by_hand_are_recurrent_too():
    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.read, self.recur, self.head = nn.Linear(5, 12), nn.Linear(12, 12), nn.Linear(12, 4)

        def forward(self, x):
            h = x.new_zeros(len(x), 12)
            for x_t in x.unbind(1):
                h = torch.tanh(self.read(x_t) + self.recur(h))
            return self.head(h)

    model, batch = Unrolled(), data(8, 20, 5)
    new = changed(found(model, batch)["orthogonal recurrent weights"], model, batch)
    torch.testing.assert_close(new.recur.weight @ new.recur.weight.T, torch.eye(12), atol=1e-5, rtol=0)
    assert torch.equal(new.read.weight, model.read.weight)


# ---------------------------------------------------------------- code is what is tried

PATIENTS = {
    "tanh": (lambda: net(6), data()),
    "sigmoid": (lambda: net(4, "sigmoid"), (data()[0] + 10, data()[1])),
    "relu": (lambda: net(4, "relu", norm="batch"), data()),
    "residual": (lambda: net(4, "relu", skip=True), data()),
    "conv": (conv_net, data(8, 1, 8, 8)),
    "functions": (Called, data()),
    "lstm": (lambda: over_time(nn.LSTM), data(4, 6, 5)),
    "rnn": (lambda: over_time(nn.RNN), data(4, 6, 5)),
    "half": (lambda: net(3).half(), (data()[0].half(), data()[1])),
}


@pytest.mark.parametrize("name", PATIENTS)
def test_the_code_of_every_remedy_runs_as_pasted_and_does_what_was_tried(name):
    make, batch = PATIENTS[name]
    patient = make()
    remedies = found(patient, batch, state="dead") | found(patient, batch, state="exploding", cause="precision")
    assert len(remedies) > 4
    for remedy in remedies.values():
        expected, optimizer = copy.deepcopy(patient), sgd(patient)
        torch.manual_seed(6)
        try:
            expected = remedy.change(expected, batch[0], sgd(expected))
        except Exception:
            continue  # `tried` will say so: the same code
        names = {"torch": torch, "nn": nn, "model": make(), "inputs": batch[0], "optimizer": optimizer}
        torch.manual_seed(6)
        exec(remedy.code, names)
        assert str(names["model"]) == str(expected)
        pairs = zip(expected.state_dict().items(), names["model"].state_dict().items(), strict=True)
        assert all(a == b and torch.equal(s, t) for (a, s), (b, t) in pairs), remedy.name
        assert remedy.code.count("\n") < 40
        assert max(map(len, remedy.code.splitlines())) < 130


# ---------------------------------------------------------------- what fits comes first


@pytest.mark.parametrize(
    ("cause", "state", "first"),
    [
        ("weights too small", "vanishing", "Xavier initialization"),
        ("depth", "vanishing", "skips around each layer"),
        ("learning rate", "exploding", "learning rate divided by 10"),
        ("saturating activation", "vanishing", "Xavier initialization"),
    ],
)
def test_what_fits_the_cause_comes_first(cause, state, first):
    assert next(iter(found(net(4), data(), cause=cause, state=state))).startswith(first)


def test_a_healthy_net_is_offered_nothing():
    assert found(net(4, sigma_w=1.0), data(), state="healthy") == {}


def test_code_spells_the_call_as_the_batch_needs_it():
    model, (x, _) = net(4, "gelu"), data()
    rows = gradient_profile(model, x, data()[1])
    for inputs, call in (((x,), "model(*inputs)"), ({"x": x}, "model(**inputs)"), (x, "model(inputs)")):
        remedies = candidates(model, cause="", state="vanishing", rows=rows, inputs=inputs)
        assert any(call in remedy.code for remedy in remedies)


# ---------------------------------------------------------------- trials


def a_trial(model, batch, remedies, *, optimizer=None, loss_fn=F.cross_entropy, **settings):
    remedies = remedies if isinstance(remedies, list) else [remedies]
    settings = {"measure": decades, "steps": 30, "seconds": 600} | settings
    return tried(model, batch, loss_fn, optimizer, remedies, **settings)


NOTHING = Remedy("nothing", "pass")
HE = "for layer in model[:-1:2]:\n    nn.init.kaiming_normal_(layer.weight)"


def test_thirty_layers_of_tanh_learn_with_other_weights():
    model, batch = net(30, width=48), data()
    remedies = found(model, batch, cause="weights too small")
    some = [NOTHING, remedies["Xavier initialization"], remedies["orthogonal initialization"]]
    table = a_trial(model, batch, some, optimizer=sgd(model, 0.1), steps=60)
    assert list(table.columns) == list(trials.COLUMNS)
    for name in ("Xavier", "orthogonal"):
        helped = row(table, name)
        assert helped.helps
        assert helped.gradient_before < -5
        assert abs(helped.gradient_after) < (1 if name == "orthogonal" else 1.5)
        assert helped.loss_after < 0.75 * helped.loss_before
    nothing = table.iloc[-1]
    assert (nothing.remedy, nothing.helps) == ("nothing", False)
    assert nothing.loss_after == nothing.loss_before == helped.loss_before
    assert nothing.gradient_after == nothing.gradient_before == helped.gradient_before
    assert nothing.loss_start == F.cross_entropy(model(batch[0]), batch[1]).item()


def test_the_gradient_alone_is_no_help():
    """Weights that pass the gradient but a loss that does not fall: zero learning rate."""
    model, batch = net(20), data()
    remedy = found(model, batch)["Xavier initialization"]
    (only,) = a_trial(model, batch, remedy, optimizer=sgd(model, 0.0)).itertuples()
    assert abs(only.gradient_after) < 1 < -only.gradient_before
    assert not only.helps


@pytest.mark.parametrize("act", ["tanh", "relu"])
def test_nothing_helps_a_healthy_net(act):
    model, batch = net(4, act, sigma_w=1.0 if act == "tanh" else 2**0.5), data()
    remedies = list(found(model, batch, state="exploding").values())
    table = a_trial(model, batch, remedies, optimizer=sgd(model, 0.1, momentum=0.9), steps=60)
    assert len(table) > 7
    assert not table.helps.any(), table[table.helps].T


def test_what_is_only_another_rate_is_no_remedy_except_for_the_rate():
    model, batch = net(4, "relu", sigma_w=2**0.5), data()
    lower = found(model, batch, state="exploding", cause="learning rate")["learning rate divided by 100"]
    disguised = Remedy("disguised", lower.code)
    table = a_trial(model, batch, [lower, disguised], optimizer=sgd(model, 20.0))
    assert row(table, "learning rate").helps
    assert not row(table, "disguised").helps
    assert row(table, "disguised").loss_before == inf


def test_a_remedy_that_needs_a_lower_rate_says_so():
    model, batch = net(12, "relu"), data()
    table = a_trial(model, batch, Remedy("He", HE), optimizer=sgd(model, 1.0))
    (only,) = table.itertuples()
    assert only.helps
    assert only.remedy == "He, learning rate divided by 10"
    assert only.code.endswith('group["lr"] /= 10')


def test_the_unit_of_the_loss_changes_no_verdict():
    model, batch = net(12), data()
    remedies = [NOTHING, *list(found(model, batch).values())[:3]]
    small = lambda out, y: 1e-6 * F.cross_entropy(out, y)
    tables = [
        a_trial(model, batch, remedies, optimizer=sgd(model, lr), loss_fn=loss_fn)
        for lr, loss_fn in ((0.1, F.cross_entropy), (1e5, small))
    ]
    assert list(tables[0].remedy) == list(tables[1].remedy)
    assert list(tables[0].helps) == list(tables[1].helps) == [True, True, True, False]


def test_to_give_every_example_the_mean_is_not_to_have_learnt():
    """A loss that starts high falls far even in a dead net, which learns the mean: that is no bar to a remedy."""
    model, (x, y) = net(4, "relu", sigma_w=2**0.5), data()
    nn.init.constant_(model.linear2.bias, -20.0)
    nn.init.constant_(model.head.bias, 3.0)
    target = F.one_hot(y, 4).float()
    revived = found(model, (x, target), state="dead", loss_fn=F.mse_loss)["zero biases"]
    table = a_trial(model, (x, target), [revived], optimizer=sgd(model, 0.5), loss_fn=F.mse_loss, steps=100)
    (only,) = table.itertuples()
    mean = F.mse_loss(target.mean(0).expand_as(target), target).item()
    assert only.loss_before == pytest.approx(mean, rel=0.05)
    assert only.loss_start - only.loss_before > 0.98 * (only.loss_start - only.loss_after)
    assert only.helps


def test_clipping_helps_where_one_step_throws_the_weights_off():
    model, batch = net(6, "relu", sigma_w=3.0), data()
    remedies = found(model, batch, state="exploding", cause="learning rate")
    (only,) = a_trial(model, batch, remedies["gradient norm clipped at 1"], optimizer=sgd(model, 0.1)).itertuples()
    assert only.loss_before == inf
    assert only.loss_after < 0.5 * only.loss_start


def test_zero_biases_wake_dead_units_so_that_the_net_learns():
    model, batch = net(4, "relu", sigma_w=2**0.5), data()
    nn.init.constant_(model.linear2.bias, -20.0)
    remedies = found(model, batch, state="dead", cause="dead ReLUs")
    table = a_trial(model, batch, list(remedies.values())[:2], optimizer=sgd(model))
    assert table.helps.all()


def test_more_digits_help_where_gradients_were_flushed_to_zero():
    model, (x, y) = net(3, sigma_w=1.0).half(), data()
    loss_fn = lambda out, y: 1e-6 * F.cross_entropy(out.float(), y)
    rows = gradient_profile(model, x.half(), y, loss_fn)
    remedies = candidates(model, cause="precision", state="vanishing", rows=rows)[:2]
    table = a_trial(model, (x.half(), y), remedies, optimizer=sgd(model, 6e4), loss_fn=loss_fn)
    assert set(table.remedy) == {"float32", "loss scaled by 2**16"}
    assert row(table, "float32").helps
    assert row(table, "loss scaled").helps
    assert table.gradient_after.abs().max() < 1


class HalfGradient(torch.autograd.Function):
    """What a float16 backward pass does to a gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.half().to(gradient.dtype)


def test_a_scaled_loss_is_unscaled_where_the_weights_are_float32():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net(3, sigma_w=1.0)

        def forward(self, x):
            return HalfGradient.apply(self.inner(x))

    model, batch = Half(), data()
    loss_fn = lambda out, y: 1e-7 * F.cross_entropy(out, y)
    remedies = candidates(
        model, cause="precision", state="vanishing", rows=gradient_profile(model, *batch, loss_fn)
    )  # the gradient of 1e-7 / 32 is below half of float16's least number, 6e-8
    assert remedies[0].name == "loss scaled by 2**16"
    constant = lambda *_: 0.0
    (only,) = a_trial(
        model, batch, remedies[0], optimizer=sgd(model, 1e6), loss_fn=loss_fn, measure=constant
    ).itertuples()
    assert only.loss_before == only.loss_start
    assert only.helps


# ---------------------------------------------------------------- nothing is touched, and always the same


def everything(model, optimizer, batch):
    """Bits that a user could notice."""
    tensors = [*model.state_dict().values(), *(p.grad for p in model.parameters()), *batch]
    tensors += [v for s in optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
    kept = [(t.clone(), t._version) for t in tensors]
    states = (torch.get_rng_state(), random.getstate(), np.random.get_state())
    return kept, [m.training for m in model.modules()], str(optimizer), str(model), states


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    return all(map(same, a, b)) and len(a) == len(b) if isinstance(a, (tuple, list)) else a == b


def test_a_step_that_raises_is_no_training():
    """Float16 has no learning rate above 65504."""
    model, (x, y) = net(3, sigma_w=1.0).half(), data()
    loss_fn = lambda out, y: 1e-6 * F.cross_entropy(out.float(), y)
    float32 = Remedy("float32", "model = model.float()", {"dtype": torch.float32})
    table = a_trial(model, (x.half(), y), float32, optimizer=sgd(model, 1e5), loss_fn=loss_fn)
    assert table.loss_before.item() == inf
    assert table.helps.item()


@pytest.mark.parametrize("training", [True, False])
def test_model_optimizer_batch_and_random_states_stay_as_they_were(training):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                *[m for _ in range(3) for m in (nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU())]
            )
            self.drop, self.head = nn.Dropout(0.2), nn.Linear(16, 4)

        def forward(self, x):
            x.mul_(random.uniform(0.9, 1.1) * np.random.uniform(0.9, 1.1))  # in place, on the user's batch
            return self.head(self.drop(self.layers(x)))

    torch.manual_seed(7)
    model, batch = Noisy(), data()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    rows = gradient_profile(model, batch[0].clone(), batch[1])
    F.cross_entropy(model(batch[0].clone()), batch[1]).backward()
    optimizer.step()
    model.train(training)
    penalized = lambda out, y: F.cross_entropy(out, y) + 1e-3 * sum(p.square().sum() for p in model.parameters())
    before = everything(model, optimizer, batch)
    remedies = candidates(model, cause="dead ReLUs", state="dead", rows=rows, optimizer=optimizer)
    table = a_trial(model, batch, remedies, optimizer=optimizer, loss_fn=penalized, steps=3, measure=lambda *_: 0.0)
    assert len(table) > 5
    assert same(before, everything(model, optimizer, batch))


def test_two_calls_give_the_same_table():
    model, batch = nn.Sequential(nn.Dropout(0.2), net(6)), data()
    remedies = list(found(model, batch).values())
    tables = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        tables.append(a_trial(model, batch, remedies, optimizer=sgd(model), steps=5))
    assert tables[0].equals(tables[1])
    assert tables[0].attrs == tables[1].attrs


def test_settings_and_groups_of_the_optimizer_are_kept_and_new_weights_join_the_first():
    model = net(3)
    groups = [{"params": list(model.linear1.parameters()), "lr": 0.3}, {"params": list(model.linear2.parameters())}]
    optimizer = torch.optim.Adam(groups, lr=0.02, betas=(0.7, 0.8))
    F.cross_entropy(model(data()[0]), data()[1]).backward()
    optimizer.step()
    copied, new = copies.copied(model, optimizer)
    assert type(new) is torch.optim.Adam
    assert (len(new.state), len(optimizer.state)) == (0, 4)
    assert [(g["lr"], g["betas"]) for g in new.param_groups] == [(0.3, (0.7, 0.8)), (0.02, (0.7, 0.8))]
    assert new.param_groups[0]["params"][0] is copied.linear1.weight is not model.linear1.weight
    old = {id(p) for p in copied.parameters()}
    copied.linear1 = nn.Sequential(copied.linear1, nn.LayerNorm(24))
    copied.linear2 = nn.Linear(24, 24)
    copies.adopt(new, copied, old)
    first, second = ({id(p) for p in g["params"]} for g in new.param_groups)
    assert first == {*map(id, copied.linear1.parameters()), *map(id, copied.linear2.parameters())}
    assert not second  # what is gone is no longer trained, and the head, which the user left out, is not either


def test_lbfgs_is_tried_too():
    model, batch = net(12), data()
    remedy = found(model, batch)["Xavier initialization"]
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1)
    (only,) = a_trial(model, batch, remedy, optimizer=optimizer).itertuples()
    assert only.loss_after < only.loss_start


def test_without_an_optimizer_sgd_is_tried():
    model, batch = net(12), data()
    remedy = found(model, batch)["Xavier initialization"]
    tables = [a_trial(model, batch, remedy, optimizer=optimizer) for optimizer in (None, sgd(model, 0.1))]
    assert tables[0].equals(tables[1])


def test_an_optimizer_of_another_model_is_refused():
    with pytest.raises(
        ValueError, match=r"the optimizer must hold parameters of the model .* this SGD holds 8 of others"
    ):
        a_trial(net(3), data(), NOTHING, optimizer=sgd(net(3)))


# ---------------------------------------------------------------- what goes wrong, and what there is no time for


def test_a_remedy_that_fails_is_dropped_with_its_reason():
    model, batch = net(3), data()
    bad = [
        Remedy("breaks", "raise RuntimeError('no such layer')"),
        Remedy("misfits", "model.linear2 = nn.Linear(3, 3)"),
        NOTHING,
    ]
    table = a_trial(model, batch, bad, optimizer=sgd(model))
    assert list(table.remedy) == ["nothing"]
    assert table.attrs["failed"]["breaks"] == "RuntimeError: no such layer"
    assert "raised RuntimeError" in table.attrs["failed"]["misfits"]
    assert table.attrs["not_tried"] == []


def test_what_there_was_no_time_for_is_not_listed(monkeypatch):
    model, batch = net(3), data()
    slow, clock = Remedy("slow", "pass"), [0.0]
    monkeypatch.setattr(copies, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(trials, "perf_counter", lambda: clock[0])

    def progress(done, total, name):
        clock[0] += 11 if name == "slow" else 1

    some = [NOTHING, slow, NOTHING]
    table = a_trial(model, batch, some, optimizer=sgd(model), seconds=10, steps=5, progress=progress)
    assert list(table.remedy) == ["nothing"]
    assert table.attrs["not_tried"] == ["slow", "nothing"]
    assert table.attrs["stopped"] is False


@pytest.mark.parametrize(("seconds", "steps"), [(300, 31), (100, 20)])
def test_fewer_steps_are_made_where_the_first_training_takes_too_long(seconds, steps, monkeypatch):
    model, batch = net(3), data()
    clock = [0.0]

    def tick():
        clock[0] += 1  # at each step
        return clock[0]

    monkeypatch.setattr(copies, "perf_counter", tick)
    monkeypatch.setattr(trials, "perf_counter", lambda: clock[0])
    table = a_trial(model, batch, NOTHING, optimizer=sgd(model), steps=1000, seconds=seconds)
    assert table.attrs["steps"] == steps
    assert list(table.remedy) == ["nothing"]


def test_an_interruption_gives_what_is_known():
    model, batch = net(3), data()
    seen = []

    def progress(done, total, name):
        seen.append((done, total, name))
        if done == 1:
            raise KeyboardInterrupt

    before = torch.get_rng_state()
    table = a_trial(model, batch, [NOTHING, NOTHING], optimizer=sgd(model), steps=3, progress=progress)
    assert list(table.remedy) == ["nothing"]
    assert seen == [(0, 2, "nothing"), (1, 2, "nothing")]
    assert table.attrs["stopped"] is True
    assert table.attrs["not_tried"] == ["nothing"]
    assert torch.equal(before, torch.get_rng_state())


def test_a_model_that_cannot_be_copied_has_no_remedy_and_a_reason():
    model, batch = net(3), data()
    model.kept = model(batch[0])  # no leaf: torch refuses to copy it
    table = a_trial(model, batch, NOTHING, optimizer=sgd(model))
    assert table.empty
    assert table.attrs["failed"]["nothing"].startswith("the model cannot be copied: RuntimeError: Only Tensors")


# ---------------------------------------------------------------- feed


def test_a_batch_is_fed_in_every_form():
    layer, (x, y) = nn.Linear(16, 4), data()
    expected = F.cross_entropy(layer(x), y)
    for inputs in (x, (x,), [x], {"input": x}):
        assert feed.run(layer, (inputs, y), F.cross_entropy).item() == expected.item()
    squares = lambda out: out.square().mean()
    assert feed.run(layer, {"input": x}, squares).item() == feed.run(layer, (x, None), squares).item()
    own = lambda **given: {"loss": F.cross_entropy(layer(given["x"]), given["y"])}
    assert feed.run(own, {"x": x, "y": y}, None).item() == expected.item()


def test_a_batch_is_described_in_words():
    x, y = data()
    assert feed.describe((x, y)) == "inputs (32, 16) float32, target (32,) int64"
    assert feed.describe({"ids": y}) == "inputs {ids: (32,) int64}"
    assert feed.describe(([x, y], None)) == "inputs [(32, 16) float32, (32,) int64]"


@pytest.mark.parametrize(
    ("batch", "loss_fn", "words"),
    [
        (
            lambda x, y: (x[:, :3], y),
            F.cross_entropy,
            r"Linear was called with \(32, 3\) float32 and raised RuntimeError",
        ),
        (
            lambda x, y: (x, y[:5]),
            F.cross_entropy,
            r"loss_fn was called with output \(32, 4\) float32 and target \(5,\)",
        ),
        (lambda x, y: (x, y), lambda out, y: out, r"must be a tensor with one real number; got \(32, 4\) float32"),
        (lambda x, y: (x, y), lambda out, y: out.sum().item(), "one real number; got a float"),
        (lambda x, y: (x, y), lambda out, y: out.detach().sum(), "a gradient of the loss was asked for, but"),
        (lambda x, y: (x, y), None, r"the model's own output.loss, and the output \(32, 4\) float32 has none"),
        (lambda x, y: (x / 0, y), F.cross_entropy, "gave nan before any step; inputs hold inf or nan: clean the data"),
        (
            lambda x, y: (x, y),
            lambda out, y: (out / 0).sum(),
            "the numbers in the batch are finite: look for a division",
        ),
    ],
)
def test_what_goes_wrong_on_the_way_to_the_loss_is_said_in_a_sentence(batch, loss_fn, words):
    with pytest.raises(ValueError, match=words):
        feed.run(nn.Linear(16, 4), batch(*data()), loss_fn)


def test_the_original_error_is_chained():
    with pytest.raises(ValueError, match="Linear was called") as caught:
        feed.run(nn.Linear(16, 4), (torch.zeros(2, 3), None), torch.sum)
    assert "mat1 and mat2" in str(caught.value.__cause__)


def test_a_batch_of_another_form_is_refused():
    with pytest.raises(TypeError, match=r"batch must be a pair .* got \(32, 16\) float32: pass \(inputs, None\)"):
        feed.run(nn.Linear(16, 4), data()[0], torch.sum)
