"""Calls without a module: the probe reads them from autograd's graph, and must read what autograd and calculus say."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from vglab.probe import DEAD, SATURATED, gradient_profile, probe, slopes

from .model_zoo import Model
from .test_probe import SAME, rms

# Torch's own, where mkldnn.flags asks for a setting that the machine does not have.
pytestmark = pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
step = lambda z: (z > 0).double()
sech = lambda z: 1 / z.cosh()
phi = lambda z: torch.exp(-(z**2) / 2) / (2 * torch.pi) ** 0.5
Phi = lambda z: (1 + torch.erf(z / 2**0.5)) / 2
# For each call that the probe knows: how it is called, its derivative from a textbook, and the greatest there is.
FORMULAS = {
    "Relu": (torch.relu, step, 1.0),
    "Tanh": (torch.tanh, lambda z: sech(z) ** 2, 1.0),
    "Sigmoid": (torch.sigmoid, lambda z: torch.exp(-z) / (1 + torch.exp(-z)) ** 2, 0.25),
    "LeakyRelu": (lambda z: F.leaky_relu(z, 0.05), lambda z: 0.05 + 0.95 * step(z), 1.0),
    "Elu": (lambda z: F.elu(z, 0.5), lambda z: torch.where(z > 0, 1.0, 0.5 * z.exp()), 1.0),
    "Celu": (lambda z: F.celu(z, 2.0), lambda z: torch.where(z > 0, 1.0, (z / 2).exp()), 1.0),
    "Gelu": (F.gelu, lambda z: Phi(z) + z * phi(z), 1.1289),
    "Silu": (F.silu, lambda z: z.sigmoid() * (1 + z * (1 - z.sigmoid())), 1.0998),
    "Mish": (F.mish, lambda z: (u := F.softplus(z).tanh()) + z * (1 - u**2) * z.sigmoid(), 1.0885),
    "Softplus": (lambda z: F.softplus(z, 2.0), lambda z: (2 * z).sigmoid(), 1.0),
    "LogSigmoid": (F.logsigmoid, lambda z: (-z).sigmoid(), 1.0),
    "Hardtanh": (lambda z: F.hardtanh(z, -0.5, 2.0), lambda z: step((z + 0.5) * (2 - z)), 1.0),
    "Hardsigmoid": (F.hardsigmoid, lambda z: step(3 - z.abs()) / 6, 1 / 6),
    "Hardswish": (F.hardswish, lambda z: torch.where(z.abs() < 3, z / 3 + 0.5, step(z)), 1.5),
    "Softshrink": (lambda z: F.softshrink(z, 0.7), lambda z: step(z.abs() - 0.7), 1.0),
    "Hardshrink": (lambda z: F.hardshrink(z, 0.7), lambda z: step(z.abs() - 0.7), 1.0),
}
# Their names as rows, where it is not the node's in lower case.
NAMES = {"LeakyRelu": "leaky_relu", "LogSigmoid": "log_sigmoid"}


def linear(d_out=4, d_in=4):
    return nn.Linear(d_in, d_out)


def test_every_known_call_has_a_formula():
    assert FORMULAS.keys() == slopes.CALLS.keys()


@pytest.mark.parametrize("sample", [None, 4096])
@pytest.mark.parametrize("name", FORMULAS)
def test_a_call_reads_like_its_formula(name, sample):
    torch.manual_seed(0)
    call, slope, greatest = FORMULAS[name]
    model, x = Model(lambda m, x: call(m.fc(x)), fc=linear(8)), 3 * torch.randn(40, 4)
    with torch.no_grad():
        model.fc.weight[:2] = 0
        model.fc.bias[:2] = torch.tensor([-40.0, 40.0])  # a unit far down, one far up for every example
    z = model.fc(x).detach().double()
    h, s = call(z), slope(z).abs()
    weights = torch.linspace(1, 2, h.numel()).reshape(h.shape)
    outer = Model(lambda m, x: m.inner(x) * 1.0, inner=model)  # the call is nobody's output
    outer.inner = model.fc
    outer.run = lambda m, x: call(m.inner(x)) * weights
    with probe(outer, sample=sample) as seen:
        outer(x).sum().backward()
    row = seen.table.set_index("layer").loc[f"inner.{NAMES.get(name, name.lower())}"]
    assert row.kind == NAMES.get(name, name.lower())
    assert row.h_rms == pytest.approx(rms(h), rel=2e-6)
    assert row.h_mean == pytest.approx(h.mean().item(), abs=2e-6 * rms(h))
    assert row.slope == pytest.approx(rms(s), rel=1e-5)
    assert row.saturated == pytest.approx((s < SATURATED * greatest).double().mean().item())
    assert row.dead == pytest.approx((s < DEAD * greatest).all(0).double().mean().item())
    assert row.grad_rms == pytest.approx(rms(weights), rel=SAME)
    assert np.isfinite(row.cosine) == (sample is None)


def test_names_and_order_follow_the_calls():
    def forward(m, x):
        h = F.relu(m.fc1(x))
        h = h + torch.tanh(m.fc2(h))
        return m.fc2(m.act(h) @ m.fc1(x).T @ h).sigmoid() * 2

    model = Model(forward, fc1=linear(), fc2=linear(), act=nn.Tanh())
    table = gradient_profile(model, torch.randn(4, 4), None, lambda out, _: out.sum())
    wanted = "fc1 fc1.relu fc2 fc2.tanh fc2.add act fc1 fc1.matmul fc1.matmul fc2 fc2.sigmoid (model)"
    assert table.layer.tolist() == wanted.split()
    assert table.call.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0]
    assert table.order.tolist() == list(range(12))
    assert table.grad_rms.notna().all()


def test_a_call_beside_a_module_s_own_input_is_seen():
    """Its number lies between those of the module's input and output, though the module did not make it."""

    def forward(m, x):
        a = m.fc1(x)
        b = torch.tanh(a)
        return b * m.fc2(a)

    model = Model(forward, fc1=linear(), fc2=linear())
    for _ in range(2):
        with probe(model) as seen:
            model(torch.randn(3, 4)).sum().backward()
    assert seen.table.layer.tolist() == ["fc1", "fc1.tanh", "fc2", "(model)"]


def test_what_a_leaf_module_does_inside_has_no_row():
    class Leaf(nn.Module):
        def forward(self, x, *, y):
            return torch.relu(torch.tanh(x) + torch.sigmoid(y)) * 2

    model = Model(lambda m, x: m.out(m.leaf(a := m.a(x), y=torch.tanh(a))), a=linear(), leaf=Leaf(), out=linear())
    with probe(model) as seen:
        model(torch.randn(3, 4)).sum().backward()
    assert seen.table.layer.tolist() == ["a", "a.tanh", "leaf", "out"]


def test_a_call_that_changes_from_step_to_step_is_seen():
    acts = iter([torch.sin, torch.tanh, torch.sin, torch.relu])
    model = Model(lambda m, x: m.b(next(acts)(m.a(x))), a=linear(), b=linear())
    with probe(model) as seen:
        for _ in range(4):
            model(torch.randn(3, 4)).sum().backward()
    assert [step.layer.tolist()[1:-1] for _, step in seen.table.groupby("step")] == [[], ["a.tanh"], [], ["a.relu"]]


def test_a_parameter_s_shape_is_no_call():
    model = Model(lambda m, x: torch.tanh(F.linear(x, m.w.reshape(4, 4).T)) * 1, w=nn.Parameter(torch.randn(16)))
    with probe(model) as seen:
        model(torch.randn(3, 4)).sum().backward()
    assert seen.table.layer.tolist() == ["linear", "tanh", "(model)"]


@pytest.mark.parametrize("sample", [None, 4096])
def test_functional_and_modular_nets_read_the_same(sample):
    torch.manual_seed(0)
    fc = [linear(32, 32) for _ in range(4)]
    modular = nn.Sequential(fc[0], nn.ReLU(), fc[1], nn.Tanh(), fc[2], nn.GELU(), fc[3])
    run = lambda m, x: m.d(F.gelu(m.c(torch.tanh(m.b(F.relu(m.a(x)))))))
    functional = Model(run, **dict(zip("abcd", copy.deepcopy(fc), strict=True)))
    tables, x = [], 2 * torch.randn(512, 32)
    for model in (modular, functional):
        with probe(model, sample=sample) as seen:
            model(x).square().sum().backward()
        tables.append(seen.table.select_dtypes("number"))
    np.testing.assert_allclose(tables[0], tables[1], rtol=2e-6)


# Over time


def by_hand(net, x):
    """The states of every layer and direction of one of torch's recurrent nets, in the order of their making."""
    states, layer_input = {}, x
    for layer in range(net.num_layers):
        outputs = []
        for back in range(1 + net.bidirectional):
            suffix = f"l{layer}" + "_reverse" * back
            w_ih, w_hh, b_ih, b_hh = (
                getattr(net, f"{n}_{suffix}") for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            h = c = torch.zeros(len(x), net.hidden_size)
            chain = []
            for t in range(x.shape[1])[:: -1 if back else 1]:
                given, state = F.linear(layer_input[:, t], w_ih, b_ih), F.linear(h, w_hh, b_hh)
                if net.mode == "LSTM":
                    i, f, g, o = (given + state).chunk(4, 1)
                    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                    h = o.sigmoid() * c.tanh()
                elif net.mode == "GRU":
                    (r, z, n), (hr, hz, hn) = given.chunk(3, 1), state.chunk(3, 1)
                    z = (z + hz).sigmoid()
                    h = (1 - z) * (n + (r + hr).sigmoid() * hn).tanh() + z * h
                else:
                    h = torch.relu(given + state) if net.mode == "RNN_RELU" else torch.tanh(given + state)
                chain.append(h)
            states[suffix] = chain
            outputs.append(torch.stack(chain[:: -1 if back else 1], 1))
        layer_input = torch.cat(outputs, 2)
    return layer_input, states


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "RNN relu", "GRU", "LSTM"])
def test_time_steps_of_torch_s_recurrent_nets(kind, bidirectional):
    torch.manual_seed(0)
    name, *how = kind.split()
    settings = {"nonlinearity": how[0]} if how else {}
    net = getattr(nn, name)(3, 5, 2, batch_first=True, bidirectional=bidirectional, **settings)
    x, weights = torch.randn(4, 6, 3), torch.randn(4, 6, 5 * (1 + bidirectional))
    out, states = by_hand(net, x)
    flat = [h for chain in states.values() for h in chain]
    grads = iter(torch.autograd.grad((out * weights).sum(), flat))
    expected = {suffix: [rms(next(grads)) for _ in chain] for suffix, chain in states.items()}
    model = Model(lambda m, x: m.net(x)[0], net=net)
    with torch.backends.mkldnn.flags(enabled=False), probe(model) as seen:
        (model(x) * weights).sum().backward()
    rows = seen.table[seen.table.layer.str.startswith("net.l")]
    assert set(rows.layer) == {f"net.{suffix}" for suffix in states}
    assert set(rows.kind) == {name}
    for suffix, wanted in expected.items():
        chain = rows[rows.layer == f"net.{suffix}"]
        assert chain.call.tolist() == list(range(5))  # the last state is the module's own output
        np.testing.assert_allclose(chain.grad_rms, wanted[:-1], rtol=1e-5)
    assert seen.notes == []


def test_time_steps_of_a_packed_sequence():
    """State t of the table is that of the sequences which are still running at t."""
    torch.manual_seed(0)
    net, x, lengths = nn.GRU(3, 5, batch_first=True), torch.randn(3, 4, 3), torch.tensor([4, 2, 1])
    model = Model(lambda m, x: m.net(pack_padded_sequence(x, lengths, batch_first=True))[0].data, net=net)
    _, states = by_hand(net, x)
    chain = states["l0"]
    grads = torch.autograd.grad(sum(h[lengths > t].square().sum() for t, h in enumerate(chain)), chain)
    with probe(model) as seen:
        model(x).square().sum().backward()
    rows = seen.table[seen.table.layer == "net.l0"]
    assert rows.call.tolist() == [0, 1, 2]
    sizes = [3, 2, 1]
    wanted = [float(g.double().square().sum().item() / (5 * n)) ** 0.5 for g, n in zip(grads, sizes, strict=False)]
    np.testing.assert_allclose(rows.grad_rms, wanted, rtol=1e-5)


def test_a_fused_lstm_says_what_to_do():
    model = Model(lambda m, x: m.head(m.memory(x)[0][:, -1]), memory=nn.LSTM(3, 5), head=linear(2, 5))
    with probe(model) as seen:
        for _ in range(3):
            model(torch.randn(4, 6, 3)).sum().backward()
    (note,) = seen.notes
    assert note.startswith("memory: a fused recurrent layer, whose time steps cannot be seen. Run the forward pass")
    assert "torch.backends.mkldnn.flags(enabled=False)" in note
    assert set(seen.table.layer) == {"memory[0]", "memory[1][0]", "memory[1][1]", "head"}


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_hand_unrolled_cells(cell):
    torch.manual_seed(0)

    def forward(m, x, states=None):
        h = None
        for t in range(x.shape[1]):
            h = m.cell(x[:, t], h)
            if states is not None:
                states.append(h[0] if isinstance(h, tuple) else h)
        return h[0] if isinstance(h, tuple) else h

    model, x, states = Model(forward, cell=cell(3, 5)), torch.randn(4, 6, 3), []
    grads = torch.autograd.grad(forward(model, x, states).square().sum(), states)
    with probe(model) as seen:
        model(x).square().sum().backward()
    rows = seen.table[seen.table.layer.isin(["cell", "cell[0]"])]
    assert rows.call.tolist() == list(range(6))
    np.testing.assert_allclose(rows.grad_rms, [rms(g) for g in grads], rtol=SAME)


def test_a_net_unrolled_by_functions():
    torch.manual_seed(0)

    def forward(m, x, states=None):
        h = torch.zeros(len(x), 5)
        for t in range(x.shape[1]):
            h = torch.tanh(m.inner(x[:, t]) + m.recurrent(h))
            if states is not None:
                states.append(h)
        return m.head(h)

    model, x, states = (
        Model(forward, inner=linear(5, 3), recurrent=linear(5, 5), head=linear(2, 5)),
        torch.randn(4, 6, 3),
        [],
    )
    grads = torch.autograd.grad(forward(model, x, states).square().sum(), states)
    with probe(model) as seen:
        model(x).square().sum().backward()
    rows = seen.table[seen.table.kind == "tanh"]
    assert rows.layer.tolist() == ["recurrent.tanh"] * 6
    assert rows.call.tolist() == list(range(6))
    np.testing.assert_allclose(rows.grad_rms, [rms(g) for g in grads], rtol=SAME)


# Checkpoints, samples


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_calls_inside_a_checkpoint(use_reentrant):
    torch.manual_seed(0)

    def forward(m, x):
        part = lambda x: torch.tanh(m.b(torch.relu(m.b(x)))) * 2
        return m.c(part(m.a(x)) if m.plain else checkpoint(part, m.a(x), use_reentrant=use_reentrant))

    tables = []
    for plain in (True, False):
        torch.manual_seed(0)
        model = Model(forward, a=linear(), b=linear(), c=linear(), plain=plain)
        with probe(model) as seen:
            model(torch.randn(3, 4)).square().sum().backward()
        tables.append(seen.table.set_index(["layer", "call"]))
    expected, table = tables
    if use_reentrant:
        assert table.index.tolist() == [("a", 0), ("b", 0), ("b", 1), ("c", 0)]
        assert "Calls without a module inside a reentrant checkpoint have no rows" in seen.notes[0]
    else:
        assert table.index.tolist() == expected.index.tolist()
        assert table.h_rms[["b.relu", "b.tanh"]].isna().all(), "asking for it would compute it again"
        assert seen.notes == []
    np.testing.assert_allclose(table.grad_rms, expected.grad_rms[table.index], rtol=SAME)


def test_a_sample_tells_what_the_whole_says():
    torch.manual_seed(0)
    convs = nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten()
    model = nn.Sequential(*convs, nn.Linear(8 * 20 * 20, 300), nn.Sigmoid(), nn.Linear(300, 400), nn.GELU(), nn.ReLU())
    with torch.no_grad():
        model[2].weight.mul_(3)
        model[7].bias.sub_(0.05)
    tables = []
    for sample in (None, 4096):
        with probe(model, sample=sample) as seen:
            model(torch.randn(64, 3, 20, 20, generator=torch.Generator().manual_seed(0))).square().sum().backward()
        tables.append(seen.table)
    whole, some = tables
    for exact in ("h_mean", "h_rms", "grad_rms"):
        np.testing.assert_array_equal(whole[exact], some[exact])
    acts = whole.slope.notna()
    np.testing.assert_allclose(some.slope[acts], whole.slope[acts], rtol=0.03)
    np.testing.assert_allclose(some.saturated[acts], whole.saturated[acts], atol=0.03)
    np.testing.assert_allclose(some.dead[acts], whole.dead[acts], atol=0.12)
    assert (some.saturated[acts] != whole.saturated[acts]).any(), "a sample, not the whole"


def test_a_sample_reaches_every_part_of_the_output():
    for shape, axis in (((128, 256), -1), ((32, 8, 32, 32), 1), ((16, 50, 300), -1), ((100_000,), -1), ((2, 3, 7), 1)):
        t = torch.arange(np.prod(shape)).reshape(shape)
        taken = slopes.take(t, axis, 4096)
        assert min(2048, t.numel()) <= taken.numel() <= max(3 * 4096, 64 * 64 * 3)
        for d, at in enumerate(np.unravel_index(taken.flatten().numpy(), shape)):
            assert len(set(at)) >= min(shape[d], 3)
            assert at.mean() == pytest.approx((shape[d] - 1) / 2, abs=0.15 * shape[d])


def test_what_is_changed_in_place_after_it_was_sampled():
    """The numbers are judged at the step's end, and must be those of the call."""
    model = Model(lambda m, x: m.act(x).mul_(0).add_(m.w), act=nn.Tanh(), w=nn.Parameter(torch.ones(4)))
    for shape in ((8, 4), (4,)):
        x = torch.full(shape, 0.5)
        with probe(model) as seen:
            model(x)
        assert seen.table.set_index("layer").slope["act"] == pytest.approx(1 - np.tanh(0.5) ** 2, rel=SAME)
