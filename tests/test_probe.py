"""The probe changes nothing and reads right: on a zoo of awkward models, against autograd and against theory."""

import copy
import dataclasses
import gc
import io
import weakref
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy
from torch.utils.checkpoint import checkpoint

from vglab import theory
from vglab.activations import Elementwise
from vglab.nets import init_, mlp
from vglab.probe import gradient_profile, probe

from .model_zoo import BATCH, WIDTH, ZOO

SAME = 1e-6  # relative, two sums of the same float32 numbers in another order
# Five seeds of width 256, depth 20 scatter by at most 0.5 % (one by 1.1 %, of the order of 1 / sqrt(width * depth)).
PLAIN = 0.015
# With a norm the formula supposes an infinite batch, alike in every direction; a batch of 128 is off by up to 1.6 %.
NORMED = 0.03
SETTINGS = {  # act, keywords of mlp, the factor per layer that the course states
    "sigmoid Xavier": ("sigmoid", {"sigma_w": 1.0}, 0.236),
    "sigmoid gain 4": ("sigmoid", {"sigma_w": 4.0}, 0.632),
    "tanh default": ("tanh", {"sigma_w": theory.TORCH_DEFAULT}, 0.577),
    "tanh He": ("tanh", {"sigma_w": 2**0.5}, 1.051),
    "ReLU default": ("relu", {"sigma_w": theory.TORCH_DEFAULT}, 0.408),
    "ReLU Xavier": ("relu", {"sigma_w": 1.0}, 0.707),
    "ReLU He": ("relu", {"sigma_w": 2**0.5}, 1.0),
    "leaky ReLU": ("leaky_relu", {"sigma_w": 1.0}, 0.707),
    "SELU LeCun": ("selu", {"sigma_w": 1.0}, 1.035),
    "softplus": ("softplus", {"sigma_w": 0.8}, None),
    "linear": ("linear", {"sigma_w": 0.9}, 0.9),
    "sine": (torch.sin, {"sigma_w": 1.2}, None),
    "ReLU with BatchNorm": ("relu", {"norm": "batch"}, 1.211),
    "ReLU with LayerNorm": ("relu", {"norm": "layer"}, 1.0),
    "sigmoid with LayerNorm": ("sigmoid", {"norm": "layer"}, 0.391),
    "sigmoid with RMSNorm": ("sigmoid", {"norm": "rms"}, 0.391),
    "sigmoid with BatchNorm": ("sigmoid", {"norm": "batch"}, 1.017),
    "tanh with BatchNorm": ("tanh", {"norm": "batch"}, 1.085),
    "ELU with LayerNorm": ("elu", {"norm": "layer"}, None),
}


def seeded(name, seed=0):
    torch.manual_seed(seed)
    return ZOO[name]()


def rms(t):
    return float(np.sqrt(np.mean(np.abs(t.detach().to(torch.complex128).numpy()) ** 2)))


def hooks(model):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_with_kwargs")
    more = ("_forward_pre_hooks_with_kwargs", "_forward_hooks_always_called", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in (*kinds, *more))


def state(model):
    """Everything a probe might have touched, as tensors by name."""
    tensors = {name: p for name, p in model.named_parameters() if not is_lazy(p)}
    grads = {f"{name}.grad": p.grad.to_dense() for name, p in tensors.items() if p.grad is not None}
    return tensors | grads | dict(model.named_buffers())


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        ours_, theirs_ = (t[name].detach().to(torch.complex128) for t in (ours, theirs))  # exact: it holds them all
        np.testing.assert_array_equal(ours_, theirs_, err_msg=name)  # NaN equals NaN


def flat(output, where=""):
    """Every tensor in an output and its place in it: a second way to walk what `probe` walks."""
    if isinstance(output, torch.Tensor):
        return [(where, output)]
    if isinstance(output, dict):
        items = list(output.items())
    elif dataclasses.is_dataclass(output):
        items = [(f.name, getattr(output, f.name)) for f in dataclasses.fields(output)]
    else:
        items = list(enumerate(output)) if isinstance(output, tuple | list) else []
    return [found for key, item in items for found in flat(item, f"{where}[{key}]")]


def reference(model, run):
    """What the table must say, by hooks that keep the outputs and `torch.autograd.grad` on them."""
    seen, calls, handles = [], Counter(), []

    def keep(name):
        def hook(module, args, output):
            tensors = [(w, t) for w, t in flat(output) if t.is_floating_point() or t.is_complex()]
            for where, t in tensors:
                label = (name or "(model)") + (where if len(tensors) > 1 else "")
                handed_on = any(t is other for _, other in seen) and list(module.children())
                seen.append(((label, calls[name], bool(handed_on)), t))
            calls[name] += 1

        return hook

    for name, module in model.named_modules():
        handles.append(module.register_forward_hook(keep(name)))
    loss = run(model)
    for handle in handles:
        handle.remove()
    with_grad = [t for _, t in seen if t.grad_fn is not None]
    grads = iter(torch.autograd.grad(loss, with_grad, allow_unused=True) if loss.requires_grad else ())
    rows = {}
    for (label, call, handed_on), t in seen:
        g = next(grads) if t.grad_fn is not None else None
        if not handed_on and t.numel():
            numbers = torch.view_as_real(t.resolve_conj()) if t.is_complex() else t
            rows[label, call] = (numbers.double().mean().item(), rms(t), float("nan") if g is None else rms(g))
    return rows


WATCHED = {
    torch: "tanh relu sigmoid softmax log_softmax matmul bmm mm baddbmm add einsum",
    F: "relu gelu silu leaky_relu elu celu mish softplus logsigmoid hardtanh hardsigmoid hardswish softshrink "
    "hardshrink softmax log_softmax linear conv1d conv2d scaled_dot_product_attention",
    torch.Tensor: "tanh relu sigmoid softmax log_softmax matmul __matmul__ __add__ add",
}
WORDS = {
    "einsum": "matmul",
    "bmm": "matmul",
    "mm": "matmul",
    "baddbmm": "matmul",
    "__matmul__": "matmul",
    "__add__": "add",
}
NOT_KEPT = {"matmul", "linear", "conv", "add", "attention", "softmax", "log_softmax"}  # autograd keeps no output
IN_PLACE = {"in_place_on_views"}
WORDS |= {"scaled_dot_product_attention": "attention", "logsigmoid": "log_sigmoid", "conv1d": "conv", "conv2d": "conv"}


class Calls:
    """Notes what torch's functions return while no leaf module runs, by putting others in their place."""

    def __init__(self, model):
        self.model, self.depth, self.busy, self.seen = model, 0, 0, []

    def __enter__(self):
        self.undo, self.handles = [], []
        for place, names in WATCHED.items():
            for name in names.split():
                self._replace(place, name)
        for m in self.model.modules():
            if _is_leaf(m):
                self.handles.append(m.register_forward_pre_hook(lambda *_: self._more(1)))
                self.handles.append(m.register_forward_hook(lambda *_: self._more(-1)))
            else:
                self.handles.append(m.register_forward_hook(self._drop))
        self.handles.append(self.model.register_forward_pre_hook(lambda *_: self._deeper(1)))
        self.handles.append(self.model.register_forward_hook(lambda *_: self._deeper(-1)))
        return self

    def _deeper(self, by):
        self.depth += by

    def _more(self, by):
        self.busy += by

    def _drop(self, module, args, output):
        """What a module returns has a row as the module's."""
        self.seen = [(word, h) for word, h in self.seen if all(h is not t for _, t in flat(output))]

    def _replace(self, place, name):
        own, function = name in vars(place), getattr(place, name)

        def noting(*args, **kwargs):
            if WORDS.get(name) == "attention" and (kwargs.get("dropout_p", 0) or (args[4:] and args[4])):
                return attend(*args, **kwargs)  # with dropout torch does it in several steps, too
            self.busy += 1
            try:
                out = function(*args, **kwargs)
            finally:
                self.busy -= 1
            both = [isinstance(t, torch.Tensor) and t.grad_fn and not _is_parameter(t._base) for t in args[:2]]
            word = WORDS.get(name, name)
            word = "linear" if word == "matmul" and any(map(_is_parameter, args[:2])) else word
            if self.depth and not self.busy and out.grad_fn is not None and (word != "add" or all(both)):
                self.seen.append((word, out))
            return out

        setattr(place, name, noting)
        self.undo.append(lambda: setattr(place, name, function) if own else delattr(place, name))
        for module in self.model.modules():  # nn.TransformerEncoderLayer keeps the function
            for key, value in list(vars(module).items()):
                if value is function:
                    module.__dict__[key] = noting

    def __exit__(self, *_):
        for undo in self.undo:
            undo()
        for handle in self.handles:
            handle.remove()


def _is_parameter(t):
    return isinstance(t, nn.Parameter)


def _is_leaf(module):
    return not [*module.children()] and (type(module).__module__.startswith("torch.nn") or not [*module.parameters()])


def attend(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False):
    """Vaswani et al. (2017), equation 1, of the functions that are watched."""
    scores = torch.matmul(q / q.shape[-1] ** 0.5, k.transpose(-2, -1))
    if is_causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).tril() == 0, float("-inf"))
    return torch.matmul(F.dropout(torch.softmax(scores, -1), dropout_p), v)


def without_module(model, table):
    """Which rows are of calls without a module."""
    names = {name or "(model)" for name, _ in model.named_modules()}
    return ~table.layer.astype(str).str.replace(r"\[.*$", "", regex=True).isin(names)


@pytest.mark.parametrize("name", ZOO)
def test_probing_changes_no_bit(name):
    model, run = seeded(name)
    twin = copy.deepcopy(model)
    results = []
    for m, watched in ((twin, False), (model, True)):
        torch.manual_seed(1)
        if watched:
            with probe(m) as seen:
                loss = run(m)
                loss.backward() if loss.requires_grad else None
        else:
            loss = run(m)
            loss.backward() if loss.requires_grad else None
        results.append(state(m) | {"loss": loss, "random": torch.get_rng_state()})
    assert_same(*results)
    assert hooks(model) == hooks(twin)
    assert seen.table.notna().any(axis=None) or name == "empty_batch"
    assert len(seen.params) == len(list(model.parameters()))


# In place the first tensor is gone when autograd is asked, a reentrant checkpoint hides its own: see their own tests.
ASKED = sorted(ZOO.keys() - {"in_place", "checkpointed", "checkpointed_reentrant"} - IN_PLACE)


@pytest.mark.parametrize("name", ASKED)
def test_readings_of_modules_agree_with_autograd(name):
    model, run = seeded(name)
    torch.manual_seed(1)
    expected = reference(copy.deepcopy(model), run)
    seen = watched(model, run)
    table = seen.table[~without_module(model, seen.table)]
    calls = table.groupby("layer").cumcount()  # through the steps, where the model is called several times
    got = {(r.layer, call): (r.h_rms, r.grad_rms, r.h_mean) for r, call in zip(table.itertuples(), calls, strict=True)}
    assert got.keys() == expected.keys()
    for key, (mean, *numbers) in expected.items():
        np.testing.assert_allclose(got[key][:2], numbers, rtol=SAME, atol=1e-12, err_msg=str(key))
        np.testing.assert_allclose(got[key][2], mean, rtol=SAME, atol=SAME * got[key][0], err_msg=str(key))
    assert seen.notes == [] or "fused" in seen.notes[0]


@pytest.mark.parametrize("name", ASKED)
def test_readings_of_calls_without_a_module_agree_with_autograd(name):
    model, run = seeded(name)
    torch.manual_seed(1)
    with Calls(copied := copy.deepcopy(model)) as calls:
        loss = run(copied)
    tensors = [h for _, h in calls.seen]
    grads = torch.autograd.grad(loss, tensors, allow_unused=True) if tensors else []
    seen = watched(model, run)
    table = seen.table[without_module(model, seen.table) & ~seen.table.kind.isin(["RNN", "LSTM", "GRU"])]  # over time
    expected = [(kind, rms(h), rms(g)) for (kind, h), g in zip(calls.seen, grads, strict=True) if g is not None]
    assert table.kind.tolist() == [kind for kind, _, _ in expected]  # in the order of the calls
    for row, (kind, h, g) in zip(table.itertuples(), expected, strict=True):
        assert row.grad_rms == pytest.approx(g, rel=1e-5)
        assert kind in NOT_KEPT or row.h_rms == pytest.approx(h, rel=1e-5)
        assert row.layer.split("[")[0].endswith(kind)


def watched(model, run):
    torch.manual_seed(1)
    with probe(model) as seen:
        loss = run(model)
        loss.backward() if loss.requires_grad else None
    return seen


def test_what_is_changed_in_place_through_a_view_is_read_as_it_was():
    model, run = seeded("in_place_on_views")
    twin = copy.deepcopy(model)
    twin.run = lambda m, x: m.last(torch.tanh(m.first(x) * torch.tensor([2.0] * 4 + [3.0] * 4)))
    ours, theirs = (watched(m, run).table.set_index("layer") for m in (model, twin))
    assert ours.index.tolist() == ["first", "first.tanh", "last"]
    for column in ("h_mean", "h_rms", "slope", "grad_rms"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=SAME)


def test_in_place_is_read_before_and_after():
    model, run = seeded("in_place")
    twin = copy.deepcopy(model)
    for module in twin:
        if hasattr(module, "inplace"):
            module.inplace = False
    tables = []
    for m in (model, twin):
        with probe(m) as seen:
            run(m).backward()
        tables.append(seen.table.drop(columns="step"))
    assert len(tables[0]) == 5
    np.testing.assert_array_equal(tables[0].select_dtypes("number"), tables[1].select_dtypes("number"))


@pytest.mark.parametrize("name", ["checkpointed", "checkpointed_reentrant"])
def test_a_checkpoint_reads_like_the_plain_model(name):
    tables = []
    for kind in ("no_checkpoint", name):
        model, run = seeded(kind)
        torch.manual_seed(1)
        with probe(model) as seen:
            run(model).backward()
            torch.manual_seed(2)
            run(model).backward()
        tables.append(seen.table)
    plain, ours = (t.drop(columns=["slope", "saturated", "dead"]) for t in tables)
    assert ours.layer.tolist() == plain.layer.tolist()
    assert set(ours.backward) == {0}
    np.testing.assert_allclose(ours.select_dtypes("number"), plain.select_dtypes("number"), rtol=SAME)
    np.testing.assert_array_equal(tables[1].slope, tables[0].slope)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_a_whole_model_may_be_checkpointed(use_reentrant):
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), torch.randn(3, 4, requires_grad=True)
    with probe(model) as seen:
        checkpoint(model, x, use_reentrant=use_reentrant).sum().backward()
    assert seen.table.layer.tolist() == ["0", "1"]
    assert seen.table.grad_rms.iloc[1] == 1.0


def test_probing_ten_training_steps_changes_no_bit():
    states = []
    for watched in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(
            *(nn.Linear(WIDTH, 16), nn.BatchNorm1d(16), nn.ReLU(True), nn.Dropout(0.4), nn.Linear(16, 16)),
            *(nn.BatchNorm1d(16), nn.Tanh(), nn.RReLU(), nn.Linear(16, 3)),
        )
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        x, y = torch.randn(32, WIDTH), torch.randint(3, (32,))
        with probe(model) if watched else torch.enable_grad() as seen:
            for _ in range(10):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
        states.append(state(model) | {"random": torch.get_rng_state()})
    assert_same(*states)
    assert seen.table.groupby("step").size().tolist() == [9] * 10


def test_scaling_the_loss_scales_every_gradient():
    for scale in (2.0**-30, 2.0**20):
        rows = []
        for factor in (1.0, scale):
            model, run = seeded("conv_and_batch_norm")
            torch.manual_seed(1)
            with probe(model) as seen:
                (factor * run(model)).backward()
            rows.append((seen.table, seen.params))
        for (ours, theirs), column in zip(zip(*rows, strict=True), ("grad_rms", "grad_rms"), strict=True):
            np.testing.assert_allclose(theirs[column], ours[column] * scale, rtol=SAME)
        np.testing.assert_allclose(rows[0][0].gain, rows[1][0].gain, rtol=SAME)


@pytest.mark.parametrize(("dtype", "tiny"), [(torch.float32, 1e-30), (torch.float64, 1e-200), (torch.bfloat16, 1e-30)])
def test_tiny_gradients_do_not_underflow(dtype, tiny):
    torch.manual_seed(0)
    model, x = nn.Linear(4, 5).to(dtype), torch.randn(3, 4, dtype=dtype)
    with probe(model) as seen:
        (model(x) * tiny).sum().backward()
    assert seen.table.grad_rms[0] == pytest.approx(float(torch.tensor(tiny, dtype=dtype)), rel=SAME)
    assert 0 < seen.params.grad_rms.min() < 10 * tiny
    with torch.no_grad():
        model.weight.fill_(tiny)
        model.bias.zero_()
    with probe(model) as seen:
        model(x)
    assert 0 < seen.table.h_rms[0] < 100 * tiny


def test_huge_and_infinite_numbers_are_said():
    model = nn.Linear(1, 2).double()
    for value, wanted in ((1e200, 1e200), (float("inf"), float("inf"))):
        with torch.no_grad():
            model.weight.fill_(value)
            model.bias.zero_()
        with probe(model) as seen:
            model(torch.ones(3, 1).double())
        assert seen.table.h_rms[0] == pytest.approx(wanted)


def test_two_backward_passes_and_several_losses_get_rows_of_their_own():
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 1), nn.Linear(4, 1)

        def forward(self, x):
            h = self.trunk(x)
            return self.a(h), self.b(h)

    model, x = Heads(), torch.randn(3, 4)
    with probe(model) as seen:
        a, b = model(x)
        a.sum().backward(retain_graph=True)
        (5 * b).sum().backward(retain_graph=True)
        (7 * a).sum().backward()
    rows = seen.table.set_index(["backward", "layer"]).grad_rms
    assert rows.index.tolist() == [(0, "trunk"), (0, "a"), (1, "trunk"), (1, "b"), (2, "trunk"), (2, "a")]
    assert rows[[(0, "a"), (1, "b"), (2, "a")]].tolist() == pytest.approx([1, 5, 7])
    assert rows[2, "trunk"] == pytest.approx(7 * rows[0, "trunk"])
    assert rows[1, "trunk"] == pytest.approx(5 * rms(model.b.weight.expand(3, 4)), rel=SAME)


def test_gradient_accumulation_and_two_forward_passes_are_steps():
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), torch.randn(3, 4)
    with probe(model) as seen:
        model(x).sum().backward()
        (model(x).sum() + 2 * model(x).sum()).backward()
    table = seen.table
    assert table.step.tolist() == [0, 0, 1, 1, 2, 2]
    assert set(table.backward) == {0}
    assert table.grad_rms[table.layer == "1"].tolist() == [1, 1, 2]


def test_double_backward_is_a_second_pass():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)), torch.randn(3, 4, requires_grad=True)
    with probe(model) as seen:
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        slope.square().sum().backward()
    assert seen.table[seen.table.backward == 0].layer.tolist() == ["0", "1", "2"]
    assert set(seen.table.backward) == {0, 1}


def test_calls_are_counted():
    model, run = seeded("reused_modules")
    with probe(model) as seen:
        run(model).backward()
        run(model).backward()
    for _, step in seen.table.groupby("step"):
        assert step.layer.tolist() == ["layer", "act"] * 3
        assert step.call.tolist() == [0, 0, 1, 1, 2, 2]
        assert step.order.tolist() == list(range(6))


def test_gain_is_the_factor_to_the_next_of_its_kind():
    model, run = seeded("plain")
    with probe(model) as seen:
        run(model).backward()
    g = seen.table.set_index("layer").grad_rms
    gain = seen.table.set_index("layer").gain
    assert gain["0"] == g["0"] / g["2"]
    assert gain["1"] == g["1"] / g["3"]
    assert gain["2"] == g["2"] / g["4"]
    assert gain[["3", "4"]].isna().all()


def test_slopes_agree_with_closed_forms():
    torch.manual_seed(0)
    z = 3 * torch.randn(40, 6)
    z[:, 0] = -1  # a unit that is off for every example
    z[:, 1] = 30  # and one that is saturated for every example
    s, t = torch.sigmoid(z), torch.tanh(z)
    slopes = {nn.Sigmoid(): (s * (1 - s), 0.25), nn.Tanh(): (1 - t**2, 1.0), nn.ReLU(): ((z > 0).float(), 1.0)}
    slopes[nn.LeakyReLU(0.05)] = (torch.where(z > 0, 1.0, 0.05), 1.0)
    slopes[nn.Softplus(beta=2)] = (torch.sigmoid(2 * z), 1.0)
    slopes[Elementwise(lambda z: -2 * z)] = (torch.full_like(z, -2.0), 2.0)  # steep, though downhill: not dead
    for act, (slope, greatest) in slopes.items():
        slope = slope.abs()
        model = nn.Sequential(nn.Identity(), act, nn.Linear(6, 1))
        with probe(model) as seen:
            model(z)
        row = seen.table.set_index("layer").loc["1"]
        assert row.slope == pytest.approx(rms(slope), rel=SAME)
        assert row.saturated == pytest.approx((slope < 0.1 * greatest).float().mean().item())
        assert row.dead == pytest.approx((slope < 0.01 * greatest).all(0).float().mean().item())
    assert seen.table.slope.notna().tolist() == [False, True, False]


def test_slopes_where_the_input_comes_by_keyword():
    model, run = seeded("called_by_keyword")
    with probe(model) as seen:
        run(model)
    assert seen.table.set_index("layer").slope.notna().to_dict() == {"layer": False, "act": True, "(model)": False}


def test_a_container_that_changes_what_its_child_returned_has_a_row():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(x).mul_(2)

    model, x = Doubled(), torch.randn(3, 4)
    with probe(model) as seen:
        model(x).sum().backward()
    assert seen.table.layer.tolist() == ["layer", "(model)"]
    assert seen.table.grad_rms.tolist() == pytest.approx([2, 1])
    assert seen.table.h_rms[1] == pytest.approx(2 * seen.table.h_rms[0])


def test_a_module_that_returns_its_parameter_keeps_no_hook():
    class Position(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.ones(4))

        def forward(self):
            return self.table

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.position, self.head = Position(), nn.Linear(4, 1)

        def forward(self, x):
            return self.head(x + self.position())

    model = Model()
    with probe(model) as seen:
        for _ in range(3):
            model(torch.randn(2, 4)).sum().backward()
        assert not model.position.table._backward_hooks
    assert set(seen.table.backward) == {0}
    assert seen.table.layer.tolist() == ["position", "head"] * 3


def test_parameters_that_are_still_to_be_made_are_left_out():
    with probe(nn.LazyLinear(3)) as seen:
        pass
    assert seen.params.empty


def test_dead_channels_of_images():
    x = torch.randn(4, 3, 5, 5)
    x[:, 2] = -1
    model = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 1, 3))
    with probe(model) as seen:
        model(x)
    assert seen.table.dead[0] == pytest.approx(1 / 3)


def test_slopes_of_several_prelu_weights():
    z = torch.randn(50, 3)
    act = nn.PReLU(3)
    with torch.no_grad():
        act.weight.copy_(torch.tensor([0.0, 0.5, 1.0]))
    with probe(act) as seen:
        act(z).sum().backward()
    assert seen.table.slope[0] == pytest.approx(rms(torch.where(z > 0, 1.0, act.weight)), rel=SAME)


def test_a_linear_network_has_an_activation_of_slope_1():
    model = mlp(3, 8, act="linear", d_in=4)
    with probe(model) as seen:
        model(torch.randn(5, 4)).sum().backward()
    table = seen.table[seen.table.slope.notna()]
    assert table.layer.tolist() == ["act1", "act2", "act3"]
    assert table.slope.tolist() == [1, 1, 1]


def test_cosine_is_the_mean_over_pairs_of_live_examples():
    torch.manual_seed(0)
    h = torch.randn(7, 3, 4) + 0.5
    h[2] = 0  # this example has no direction
    model = nn.Sequential(nn.Dropout(0.0), nn.Linear(4, 1))
    with probe(model, sample=None) as seen:
        model(h)
    rows = [row.flatten() for i, row in enumerate(h) if i != 2]
    pairs = [F.cosine_similarity(a, b, 0).item() for i, a in enumerate(rows) for b in rows[:i]]
    assert seen.table.cosine[0] == pytest.approx(np.mean(pairs), abs=1e-6)
    a, b, c = h[0, :, :].detach()
    with probe(model, sample=None) as seen:
        model(torch.stack([a, b, c]))  # (batch, features)
    pairs = [F.cosine_similarity(*pair, 0).item() for pair in ((a, b), (a, c), (b, c))]
    assert seen.table.cosine[0] == pytest.approx(np.mean(pairs), abs=1e-6)
    for examples in (h[:1], h[1:3], torch.zeros(5, 4)):
        with probe(model, sample=None) as seen:
            model(examples)
        assert np.isnan(seen.table.cosine[0])


def test_sparse_gradients_count_like_dense_ones():
    readings = []
    for sparse in (True, False):
        torch.manual_seed(0)
        table = nn.Embedding(50, 4, sparse=sparse)
        with probe(table) as seen:
            table(torch.tensor([3, 3, 7])).square().sum().backward()
        readings.append(seen.params.grad_rms[0])
    assert readings[0] == pytest.approx(readings[1], rel=SAME)


def test_params_are_those_at_the_end_of_the_block():
    model, run = seeded("frozen_first_layers")
    with probe(model) as seen:
        run(model).backward()
    expected = {name: (rms(p), np.nan if p.grad is None else rms(p.grad)) for name, p in model.named_parameters()}
    for row in seen.params.itertuples():
        np.testing.assert_allclose((row.weight_rms, row.grad_rms), expected[row.name], rtol=SAME)
    assert seen.params.name.tolist() == list(expected)


def test_without_gradients():
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.ReLU(True)), torch.randn(3, 4)
    tables = []
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with probe(model) as seen, mode():
            model(x)
        tables.append(seen.table)
        assert seen.table.grad_rms.isna().all()
        assert len(seen.table) == 3 or mode is torch.inference_mode
    assert tables[0].h_rms.tolist() == tables[2].h_rms.tolist()
    assert tables[1].h_rms.tolist()[:2] == tables[2].h_rms.tolist()[:2]
    with probe(model) as seen:
        pass
    assert seen.table.empty
    assert len(seen.params) == 2


def test_torch_func_is_left_alone():
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)), torch.randn(3, 4)
    loss = lambda parameters: torch.func.functional_call(model, parameters, (x,)).sum()
    parameters = dict(model.named_parameters())
    expected = torch.func.grad(loss)(parameters)
    with probe(model) as seen:
        assert_same(torch.func.grad(loss)(parameters), expected)
        torch.func.vmap(model)(x)
        assert seen.table.empty
        loss(parameters).backward()  # a functional call without a transform is seen
    assert seen.table.layer.tolist() == ["0", "1", "2"]
    assert seen.table.grad_rms.notna().all()


def test_anomaly_detection_is_left_alone():
    model, run = seeded("not_a_number")
    with torch.autograd.set_detect_anomaly(True), torch.no_grad(), probe(model):
        run(model)
        assert torch.is_anomaly_enabled()


def test_subclasses_are_called_as_often_as_without():
    class Counting(nn.ReLU):
        calls = 0

        def forward(self, z):
            self.calls += 1
            return super().forward(z)

    act = Counting()
    model = nn.Sequential(nn.Linear(3, 3), act)
    with probe(model):
        model(torch.randn(2, 3))
    assert act.calls == 1


def test_an_exception_leaves_no_hook():
    class Fails(nn.Module):
        def forward(self, x):
            kept.append(x)
            raise RuntimeError("in mid-forward")

    kept = []
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), Fails())
    with pytest.raises(RuntimeError, match="mid-forward"), probe(model) as seen:
        model(torch.randn(2, 4))
    assert hooks(model) == 0
    assert not kept[0]._backward_hooks
    assert seen.table.layer.tolist() == ["0", "1"]
    assert len(seen.params) == 2


def test_a_probe_that_cannot_start_leaves_no_hook():
    class Refuses(nn.Linear):
        def register_forward_hook(self, *args, **kwargs):
            raise RuntimeError("no hooks here")

    model, before = Refuses(4, 4), len(torch.nn.modules.module._global_forward_hooks)
    with pytest.raises(RuntimeError, match="no hooks here"), probe(model):
        pass
    assert hooks(model) == 0
    assert len(torch.nn.modules.module._global_forward_hooks) == before


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_pass_unread():
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
    model, x = nn.TransformerEncoder(layer, 1).eval(), torch.randn(2, 3, WIDTH)
    padding = torch.tensor([[False, False, False], [False, True, True]])
    with torch.no_grad():
        expected = model(x, src_key_padding_mask=padding)
        with probe(model) as seen:
            out = model(x, src_key_padding_mask=padding)
    # Torch's fast path steps aside where a module has hooks: the same numbers by other operations.
    torch.testing.assert_close(out, expected)
    assert seen.table.h_rms.notna().all()


def test_outputs_keep_no_hook_and_are_not_kept():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    with probe(model) as seen:
        out = model(torch.randn(2, 4))
        out.sum().backward(retain_graph=True)
    assert not out._backward_hooks
    before = seen.table
    out.sum().backward()
    assert seen.table.equals(before)
    with probe(model) as seen:
        out = weakref.ref(model(torch.randn(2, 4)))
        gc.collect()
        assert out() is None


def test_a_probe_can_be_used_again_nested_and_copied():
    model, run = seeded("plain")
    seen = probe(model)
    for _ in range(2):
        with seen, probe(model) as inner:
            run(copy.deepcopy(model)).backward()
            run(model).backward()
        assert seen.table.layer.tolist() == inner.table.layer.tolist() == ["0", "1", "2", "3", "4"]
        assert seen.table.grad_rms.tolist() == inner.table.grad_rms.tolist()
    assert hooks(model) == 0


def test_many_layers():
    model = mlp(1000, 4, act="tanh", sigma_w=1.0, d_in=4, seed=0)
    with probe(model) as seen:
        model(torch.randn(3, 4)).sum().backward()
    assert len(seen.table) == 2001


def test_what_can_not_be_probed():
    with pytest.raises(TypeError, match=r"probe watches a torch nn\.Module; got function: pass the model itself"):
        probe(lambda x: x)
    with pytest.raises(TypeError, match="got type"):
        probe(nn.Linear)
    with pytest.raises(ValueError, match=r"a model with parameters, and this Tanh has none.*Pass the whole model"):
        probe(nn.Tanh())


# gradient_profile


def test_profile_is_the_probes_table():
    model, x, y = mlp(3, WIDTH, act="relu", d_in=4, d_out=3, seed=0), torch.randn(BATCH, 4), torch.arange(BATCH) % 3
    profile = gradient_profile(model, x, y)
    with probe(model, sample=None) as seen:
        F.cross_entropy(model(x), y).backward()
    assert profile.equals(seen.table)


class Restless(nn.Module):
    """Buffers changed in place and by assignment, shared between two modules, and random numbers."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm, self.drop = nn.Linear(4, 4), nn.Linear(4, 3), nn.BatchNorm1d(4), nn.Dropout(0.5)
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(4))
        self.b.register_buffer("shared", self.mean)

    def forward(self, x):
        self.count = self.count + 1
        self.mean.mul_(0.9).add_(x.detach().mean(0))
        assert self.b.shared is self.mean
        return self.b(self.drop(self.norm(self.a(x))))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("failing", [True, False])
def test_profile_leaves_everything_as_it_was(training, failing):
    torch.manual_seed(0)
    model, x, y = Restless().train(training), torch.randn(8, 4), torch.arange(8) % 3
    loss = F.cross_entropy(model(x), y)  # its backward comes after the profile: version counters must not move
    model.a.weight.grad = torch.ones(4, 4)
    before = {name: t.clone() for name, t in state(model).items()}
    random, tensors = torch.get_rng_state(), {name: id(t) for name, t in model.named_buffers()}
    if failing:
        with pytest.raises(ZeroDivisionError), torch.no_grad():
            gradient_profile(model, x, y, lambda out, y: 1 / 0)
    else:
        gradient_profile(model, x, y)
    assert_same(state(model), before)
    assert torch.equal(torch.get_rng_state(), random)
    assert {name: id(t) for name, t in model.named_buffers()} == tensors
    assert model.training is model.norm.training is training
    assert hooks(model) == 0
    loss.backward()


def test_profile_with_parameters_that_are_not_used():
    model, _ = seeded("unused_branch")
    profile = gradient_profile(model, torch.randn(BATCH, WIDTH), torch.arange(BATCH))
    assert profile.set_index("layer").grad_rms.notna().to_dict() == {"ignored": False, "used": True}


def test_profile_under_no_grad_and_with_checkpoints():
    model, _run = seeded("plain")
    x, y = torch.randn(BATCH, WIDTH), torch.arange(BATCH) % 3
    with torch.no_grad():
        assert gradient_profile(model, x, y).grad_rms.notna().all()
    model, _ = seeded("checkpointed")
    model.body.append(nn.BatchNorm1d(WIDTH))
    before = {name: t.clone() for name, t in model.named_buffers()}
    assert gradient_profile(model, x, y % 2).grad_rms.notna().all()
    assert_same(dict(model.named_buffers()), before)


def test_profile_of_frozen_layers_reaches_back_to_an_input_that_asks_for_it():
    model, x, y = mlp(2, WIDTH, d_in=4, seed=0).requires_grad_(False), torch.randn(BATCH, 4), torch.arange(BATCH)
    profile = gradient_profile(model, x.requires_grad_(), y)
    assert profile.grad_rms.notna().all()
    assert x.grad is None


def test_messages_of_profile():
    model, x, y = mlp(2, WIDTH, d_in=4), torch.randn(BATCH, 4), torch.arange(BATCH)
    one_number = "loss_fn must return a tensor with one number; got {}: average or sum it first"
    with pytest.raises(ValueError, match=one_number.format(r"shape \(6,\)")):
        gradient_profile(model, x, y, lambda out, y: F.cross_entropy(out, y, reduction="none"))
    with pytest.raises(ValueError, match=one_number.format("float")):
        gradient_profile(model, x, y, lambda out, y: F.cross_entropy(out, y).item())
    with pytest.raises(ValueError, match=r"the loss needs none: every parameter.*frozen.*no_grad.*Set requires_grad"):
        gradient_profile(copy.deepcopy(model).requires_grad_(False), x, y)
    with pytest.raises(ValueError, match="the loss needs none"):
        gradient_profile(model, x, y, lambda out, y: F.cross_entropy(out.detach(), y))
    with pytest.raises(ValueError, match="needs a model with parameters"):
        gradient_profile(nn.Tanh(), x, y)
    assert hooks(model) == 0


# Two independent roads: theory and measurement


def measured_factor(act, settings, seed, *, width=256, depth=20, batch=128, between=None):
    """The backward factor per layer of a random net as the geometric mean over the layers `between`."""
    model = mlp(depth, width, act=act, d_in=width, seed=seed, **settings)
    if "norm" in settings:
        init_(model, "normal", seed=seed)
    generator = torch.Generator().manual_seed(seed)
    x, direction = torch.randn(batch, width, generator=generator), torch.randn(batch, 10, generator=generator)
    # A random direction at the output, of the same size for every example: the loss adds no scale of its own.
    table = gradient_profile(model, x, direction, lambda out, direction: (out * direction).sum())
    signal = table.grad_rms[table.slope.notna()].to_numpy()
    first, last = between or (0 if "norm" in settings else 3, depth - 2)  # without a norm q must settle first
    return (signal[first] / signal[last]) ** (1 / (last - first))


@pytest.mark.parametrize("setting", SETTINGS)
def test_theory_meets_measurement(setting):
    act, settings, stated = SETTINGS[setting]
    predicted = theory.layer_factor(act, **settings)
    if stated is not None:
        assert predicted == pytest.approx(stated, abs=6e-4)
    measured = np.exp(np.mean([np.log(measured_factor(act, settings, seed)) for seed in range(5)]))
    assert measured == pytest.approx(predicted, rel=NORMED if "norm" in settings else PLAIN)


@pytest.mark.parametrize(("act", "least", "most"), [("gelu", 1.015, 1.05), ("silu", 1.04, 1.1), ("relu", 0.98, 1.02)])
def test_known_exceptions_to_the_formula_with_batch_norm(act, least, most):
    """In the middle of a deep net GELU and SiLU, unlike ReLU, do not spread a batch evenly, as the formula supposes."""
    between = {"depth": 30, "between": (10, 20)}
    measured = np.exp(np.mean([np.log(measured_factor(act, {"norm": "batch"}, seed, **between)) for seed in range(3)]))
    assert least < measured / theory.layer_factor(act, norm="batch") < most


def test_theory_meets_measurement_layer_by_layer():
    depth, width = 8, 512
    profiles = []
    for seed in range(4):
        torch.manual_seed(seed)
        model = mlp(depth, width, act="tanh", sigma_w=1.5, sigma_b=0.3, d_in=width, seed=seed)
        x = torch.randn(64, width)
        table = gradient_profile(model, x, torch.randn(64, 10), lambda out, y: (out * y).sum())
        rows = table[table.slope.notna()]
        profiles.append(rows.grad_rms.to_numpy() / rows.grad_rms.iloc[-1])
    q0 = 1.5**2 + 0.3**2  # x has variance 1
    predicted = theory.gradient_profile("tanh", depth, 1.5, 0.3, q0=q0)
    np.testing.assert_allclose(np.mean(profiles, axis=0), predicted, rtol=0.03)  # 4 seeds of width 512
    slope = [theory.rms_slope("tanh", q) for q in theory.variance_profile("tanh", depth, 1.5, 0.3, q0=q0)]
    np.testing.assert_allclose(rows.slope, slope, rtol=0.02)


def test_copies_and_pickles_made_inside_the_block_work_and_watch_nothing():
    model, x = mlp(3, 8, act="relu", d_in=4, d_out=2, seed=0), torch.randn(5, 4)
    with probe(model) as seen:
        model(x)
        rows = len(seen.table)
        twin = copy.deepcopy(model)
        stored = io.BytesIO()
        torch.save(model, stored)
        stored.seek(0)
        loaded = torch.load(stored, weights_only=False)
        assert torch.equal(twin(x), model(x))
        assert torch.equal(loaded(x), model(x))
        assert len(seen.table) == 3 * rows, "the model's own three calls, none of its copies'"
    left = [hook for part in (twin, loaded) for m in part.modules() for hook in m._forward_hooks.values()]
    assert [type(hook).__module__ for hook in left] == ["builtins"] * 2
    assert [hook.__qualname__ for hook in left] == ["nullcontext.__exit__"] * 2


def test_an_activation_that_is_not_elementwise_has_no_slope_and_does_no_harm():
    model = mlp(2, 8, act=lambda z: torch.tanh(nn.functional.layer_norm(z, (8,))), d_in=4, d_out=2, seed=0)
    table = gradient_profile(model, torch.randn(5, 4), torch.zeros(5, dtype=torch.long))
    assert table[table.kind == "Elementwise"].slope.isna().all()
    assert table.grad_rms.notna().all()


def test_gradient_profile_takes_a_dict_as_input():
    class FromDict(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, batch):
            return self.linear(batch["x"])

    table = gradient_profile(FromDict(), {"x": torch.randn(4, 3)}, torch.zeros(4, dtype=torch.long))
    assert table.grad_rms.notna().all()


@pytest.mark.parametrize(("leak", "dead"), [(0.02, 0.0), (0.005, 1.0)])
def test_dead_means_a_slope_under_a_hundredth(leak, dead):
    model = nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(leak))
    nn.init.constant_(model[0].bias, -100.0)
    with probe(model) as seen:
        model(torch.randn(6, 3))
    assert seen.table.dead.iloc[-1] == dead
