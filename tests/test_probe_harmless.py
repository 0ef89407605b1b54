"""The probe does no harm: to compilers, parallel and traced models, memory, threads, copies, and after exceptions."""

import copy
import gc
import io
import pickle
import subprocess
import sys
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module as modules
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from vglab.nets import mlp
from vglab.probe import probe

from .test_probe import SAME, ZOO, hooks, rms, seeded

GLOBAL = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks", "_global_backward_pre_hooks")


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert [len(getattr(modules, name)) for name in GLOBAL] == [0] * 4


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.act = nn.Linear(8, 8), nn.ReLU()

    def forward(self, x):
        return self.act(self.fc(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.part, self.last = nn.Linear(8, 8), Part(), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.part(torch.tanh(self.first(x))))


def net():
    torch.manual_seed(0)
    return Net(), torch.randn(5, 8)


def train(call, model, x, steps=3):
    optimizer, losses = torch.optim.SGD(model.parameters(), 0.1), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = call(x).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [p.detach().clone() for p in model.parameters()]


def assert_alike(ours, theirs):
    assert ours[0] == theirs[0]
    assert all(torch.equal(p, q) for p, q in zip(ours[1], theirs[1], strict=True))


# torch.compile

KNOWN = {  # how the model is compiled, and what is called
    "the model": lambda m, backend: m.compile(backend=backend) or m,
    "its wrapper": lambda m, backend: torch.compile(m, backend=backend),
    "a part": lambda m, backend: m.part.compile(backend=backend) or m,
    "a part's wrapper": lambda m, backend: setattr(m, "part", torch.compile(m.part, backend=backend)) or m,
}


def compiled(how, backend, *, watched, inside):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model, x = net()
    call = model if inside else KNOWN[how](model, backend)
    seen = probe(call if how == "its wrapper" and not inside else model)
    if not inside:
        train(call, model, x)
    with seen if watched else torch.enable_grad():
        call = KNOWN[how](model, backend) if inside else call
        result = train(call, model, x)
    if not inside:
        train(call, model, x)
    counters = torch._dynamo.utils.counters
    return result, {key: dict(counters[key]) for key in ("stats", "graph_break", "unimplemented")}, seen


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's own: of global hooks, and of .grad in its compiler
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("how", KNOWN)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_training_stays_the_same(backend, how, inside):
    plain, expected, _ = compiled(how, backend, watched=False, inside=inside)
    ours, counts, seen = compiled(how, backend, watched=True, inside=inside)
    assert_alike(ours, plain)
    assert counts["graph_break"] == expected["graph_break"]
    if not inside:  # inside, the hooks that are there when it is compiled make torch compile anew without them
        assert counts == expected
    assert any(note.startswith("Compiled parts are one piece to autograd") for note in seen.notes)
    assert not any("failed" in note for note in seen.notes)


@pytest.mark.filterwarnings("ignore:Using `torch.compile.module.` when there are global hooks")
def test_a_step_run_eagerly_is_seen():
    torch._dynamo.reset()
    model, x = net()
    compiled = torch.compile(model, backend="aot_eager")
    compiled(x)
    with probe(model) as seen, torch.compiler.set_stance("force_eager"):
        compiled(x).sum().backward()
    assert seen.table.layer.tolist() == ["first", "first.tanh", "part.fc", "part.act", "last"]
    assert seen.table.grad_rms.notna().all()


# Other ways to run a model


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tracing_records_nothing_of_ours():
    model, x = net()
    operations = lambda traced: [node.kind() for node in traced.inlined_graph.nodes()]
    expected = operations(torch.jit.trace(model, x, check_trace=False))
    with probe(model) as seen:
        traced = torch.jit.trace(model, x, check_trace=False)
        exported = torch.export.export(model, (x,))
    assert operations(traced) == expected
    assert torch.equal(traced(x), model(x))
    assert torch.equal(exported.module()(x), model(x))
    assert seen.table.empty
    assert seen.notes == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_func_is_untouched():
    model, x = net()
    parameters = dict(model.named_parameters())
    loss = lambda p, x: torch.func.functional_call(model, p, (x,)).square().sum()
    per_example = torch.func.vmap(torch.func.grad(lambda p, x: loss(p, x[None])), (None, 0))
    jacobian = torch.func.jacrev(lambda x: model(x[None])[0])
    expected = per_example(parameters, x), jacobian(x[0]), torch.func.hessian(lambda x: loss(parameters, x[None]))(x[0])
    with probe(model) as seen:
        ours = per_example(parameters, x), jacobian(x[0]), torch.func.hessian(lambda x: loss(parameters, x[None]))(x[0])
    assert all(torch.equal(ours[0][key], expected[0][key]) for key in parameters)
    assert torch.equal(ours[1], expected[1])
    assert torch.equal(ours[2], expected[2])
    assert seen.table.empty
    assert seen.notes == []


@pytest.fixture
def process_group(tmp_path):
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("how", ["DDP", "DDP unused", "FSDP2", "DataParallel"])
def test_parallel_training_stays_the_same(process_group, how):
    def wrapped():
        model, x = net()
        if how == "FSDP2":
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard

            for part in (model.part, model):
                fully_shard(part, mesh=init_device_mesh("cpu", (1,)))
            return model, x
        if how == "DataParallel":
            return nn.DataParallel(model), x
        return DistributedDataParallel(model, find_unused_parameters=how == "DDP unused"), x

    whole = lambda result: (result[0], [p.full_tensor() if hasattr(p, "full_tensor") else p for p in result[1]])
    model, x = wrapped()
    expected = whole(train(model, model, x))
    model, x = wrapped()
    with probe(model, every=2) as seen:
        ours = whole(train(model, model, x))
    assert_alike(ours, expected)
    plain, _ = net()
    with probe(plain, every=2) as alone:
        train(plain, plain, x)
    prefix = "" if how == "FSDP2" else "module."
    table = seen.table[seen.table.layer != "(model)"]
    assert table.layer.tolist() == [prefix + layer for layer in alone.table.layer]
    for column in ("h_rms", "grad_rms", "slope"):
        np.testing.assert_allclose(table[column], alone.table[column], rtol=SAME)
    assert seen.params.name.tolist() == [prefix + name for name in alone.params.name]
    np.testing.assert_allclose(seen.params.weight_rms, alone.params.weight_rms, rtol=SAME)
    assert seen.notes == []


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("root", ["encoder", "layer", "part"])
def test_torch_s_fast_path_in_evaluation_stays_on(root, monkeypatch):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    model = {"encoder": encoder, "layer": layer, "part": nn.Sequential(encoder, nn.Linear(8, 2))}[root].eval()
    calls, fast = [], torch._transformer_encoder_layer_fwd
    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", lambda *args: calls.append(1) or fast(*args))
    x = torch.randn(3, 5, 8)
    with torch.no_grad():
        expected = model(x)
        once = len(calls)
        with probe(model) as seen:
            assert torch.equal(model(x), expected)
    assert len(calls) == 2 * once > 0
    assert len(seen.table) > 0
    with probe(model) as seen:
        model(x).sum().backward()
    assert seen.table.grad_rms.notna().all()


def test_anomaly_mode_finds_what_it_finds():
    model, x = net()
    with probe(model) as seen, torch.autograd.set_detect_anomaly(True, check_nan=True):
        with pytest.warns(UserWarning, match="Error detected in"), pytest.raises(RuntimeError, match="nan values"):
            (model(x) * torch.tensor(0.0)).sqrt().sum().mul(0.0).backward()
        model(x).sum().backward()
    assert seen.notes == []
    assert seen.table[seen.table.step == 1].grad_rms.notna().all()


def test_inference_mode_and_what_comes_after():
    model, x = net()
    with probe(model) as seen:
        with torch.inference_mode():
            expected = model(x)
        assert torch.equal(model(x), expected)
        model(x).sum().backward()
    by_step = [step.grad_rms.notna().all() for _, step in seen.table.groupby("step")]
    assert by_step == [False, False, True]
    assert seen.notes == []


def test_double_backward_gives_the_same_bits():
    results = []
    for watched in (False, True):
        model, x = net()
        x.requires_grad_()
        with probe(model) if watched else torch.enable_grad():
            (g,) = torch.autograd.grad(model(x).square().sum(), x, create_graph=True)
            (h,) = torch.autograd.grad(g.square().sum(), x, create_graph=True)
            h.sum().backward()
        results.append([g, h, *(p.grad for p in model.parameters() if p.grad is not None)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


class Count:
    """Saved tensors' hooks of the user's own, as for offloading: how often each is called."""

    def __init__(self):
        self.packed = self.unpacked = 0

    def pack(self, t):
        self.packed += 1
        return t

    def unpack(self, t):
        self.unpacked += 1
        return t


def test_saved_tensors_are_not_fetched_more_often():
    counts = []
    for watched in (False, True):
        model, x = net()
        model.extra = nn.GELU()
        count = Count()
        apart = torch.autograd.graph.saved_tensors_hooks(count.pack, count.unpack)
        with apart, probe(model) if watched else torch.enable_grad() as seen:
            model.extra(F.gelu(model(x))).sum().backward()
        counts.append((count.packed, count.unpacked))
    assert counts[0] == counts[1]
    assert seen.notes == []


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_checkpoint_computes_again_as_often(use_reentrant):
    counts = []
    for watched in (False, True):
        model, x = net()
        calls = []
        part = lambda h, calls=calls, model=model: calls.append(1) or torch.tanh(F.gelu(model.part(h))).relu()
        with probe(model) if watched else torch.enable_grad():
            h = torch.tanh(model.first(x))
            checkpoint(part, h, use_reentrant=use_reentrant).sum().backward()
        counts.append(len(calls))
    assert counts == [2, 2]


# Exceptions


class Stops(Exception):
    pass


@pytest.mark.parametrize("kind", [Stops, KeyboardInterrupt])
def test_after_an_exception_in_mid_forward_the_next_step_is_right(kind):
    model, x = net()
    failing = iter([False, True, False])

    def act(z):
        if next(failing):
            raise kind
        return F.relu(z)

    model.part.act.forward = act
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    with probe(model, optimizer) as seen:
        for fails in (False, True, False):
            if fails:
                with pytest.raises(kind):
                    model(x)
                optimizer.step()
            else:
                model(x).sum().backward()
    first, second, third = (step.drop(columns="step") for _, step in seen.table.groupby("step"))
    assert second.layer.tolist() == ["first", "part.fc"]
    assert first.equals(third.reset_index(drop=True))
    assert hooks(model) == 0


def test_an_exception_in_mid_backward():
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise Stops

    model, x = net()
    with probe(model) as seen:
        with pytest.raises(Stops):
            model.last(Fails.apply(model.part(torch.tanh(model.first(x))))).sum().backward()
        model(x).sum().backward()
    rows = seen.table
    assert rows[rows.step == 0].set_index("layer").grad_rms.notna().to_dict()["last"]
    assert rows[rows.step == rows.step.max()].tail(5).grad_rms.notna().all()
    assert hooks(model) == 0


@pytest.mark.parametrize("name", ZOO)
def test_no_reading_fails_on_the_zoo(name):
    model, run = seeded(name)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.0)
    for sample in (None, 16):
        with probe(model, optimizer, sample=sample) as seen:
            for _ in range(2):
                loss = run(model)
                seen.watch(loss)
                loss.backward() if loss.requires_grad else None
                optimizer.step()
        assert not [note for note in seen.notes if "failed" in note]
        assert isinstance(seen.report(), str)


# Memory, threads, copies


def test_no_graph_is_kept_alive_and_memory_stays_bounded():
    torch.manual_seed(0)
    model, x = mlp(4, 16, act="tanh", d_in=16), torch.randn(64, 16)
    optimizer, graphs = torch.optim.SGD(model.parameters(), 0.01), []

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            out = model(x)
            out.square().mean().backward()
            optimizer.step()
            graphs.append(weakref.ref(out))
        return len(gc.get_objects())

    with probe(model, optimizer) as seen:
        train(280)
        tracemalloc.start()
        before, objects = tracemalloc.get_traced_memory()[0], len(gc.get_objects())
        more = train(20) - objects
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert [ref() for ref in graphs] == [None] * 300
        assert more < 20 * 30, "objects, over those of a step's tables"
        numbers = 9 * 7 + 10 * 4  # seven for each call, four for each parameter
        assert grown / 20 < 8 * numbers * 4 + 4000
        assert hooks(model) == 3
        assert sum(map(len, seen._recent)) == 2 * 9
    assert len(seen.table) == 300 * 9


def test_an_output_kept_keeps_no_reading_of_other_steps():
    model, x = net()
    kept = []
    with probe(model) as seen:
        for _ in range(5):
            kept.append(model(x))
        sum(out.sum() for out in kept).backward()
    assert seen.table.groupby("step").grad_rms.apply(lambda g: g.notna().all()).tolist() == [True] * 5
    assert not any(out._backward_hooks for out in kept)


def test_a_backward_pass_after_the_block_is_not_filed():
    model, x = net()
    with probe(model) as seen:
        kept = [model(x) for _ in range(5)]
        sum(out.sum() for out in kept).backward(retain_graph=True)
    before = seen.table
    sum(out.sum() for out in kept).backward()
    assert seen.table.equals(before)
    assert set(before.backward) == {0}


def test_storage_of_an_activation_may_still_be_resized():
    model, x = net()
    with probe(model):
        h = torch.tanh(model.first(x).detach())
        h = model.part.act(h)
        h.untyped_storage().resize_(0)


def test_a_thread_that_runs_another_model_is_not_seen():
    model, x = net()
    other, stop, ran = copy.deepcopy(model), threading.Event(), []

    def work():
        while not stop.is_set():
            other(x).sum().backward()
            ran.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        while not ran:
            pass
        with probe(model) as seen:
            for _ in range(20):
                model(x).sum().backward()
    finally:
        stop.set()
        thread.join()
    assert seen.table.layer.tolist() == ["first", "first.tanh", "part.fc", "part.act", "last"] * 20
    assert seen.notes == []
    twin, _ = net()
    with probe(twin) as alone:
        twin(x).sum().backward()
    for _, step in seen.table.groupby("step"):
        np.testing.assert_array_equal(step.grad_rms, alone.table.grad_rms)


def test_two_probes_on_a_model_and_on_a_part_of_it():
    model, x = net()
    with probe(model) as outer, probe(model.part, every=2) as inner, probe(model) as third:
        for _ in range(3):
            model(x).sum().backward()
    assert outer.table.equals(third.table)
    assert inner.table.layer.tolist() == ["fc", "act"] * 2
    assert inner.table.step.tolist() == [0, 0, 2, 2]
    rows = outer.table[outer.table.step == 0].set_index("layer").grad_rms
    np.testing.assert_array_equal(inner.table.grad_rms[:2], rows[["part.fc", "part.act"]])


LOAD = """
import io, pickle, sys, torch
kept = sys.stdin.buffer.read()
model = torch.load(io.BytesIO(kept), weights_only=False)
print(model(torch.ones(1, 4)).shape, "vglab" in sys.modules)
"""


def test_pickles_made_inside_the_block_know_nothing_of_the_probe():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = torch.optim.Adam(model.parameters())
    with probe(model, optimizer) as seen:
        model(torch.randn(3, 4)).sum().backward()
        optimizer.step()
        stored = io.BytesIO()
        torch.save(model, stored)
        pickled = pickle.dumps((model, optimizer))
        twin, twins = copy.deepcopy((model, optimizer))
        rows = len(seen.params)
        state = io.BytesIO()
        torch.save([model.state_dict(), optimizer.state_dict()], state)
        twin(torch.randn(3, 4)).sum().backward()
        twins.step()
        assert len(seen.params) == rows
        assert seen.table.step.max() == 0
    for kept in (stored.getvalue(), pickled, state.getvalue()):
        assert b"vglab" not in kept
    done = subprocess.run([sys.executable, "-c", LOAD], input=stored.getvalue(), capture_output=True, check=True)
    assert done.stdout.decode().strip() == "torch.Size([1, 2]) False"
    _, loaded = pickle.loads(pickled)
    loaded.step()


def test_a_function_of_ones_own_is_left_alone():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * 2, y * 3

        @staticmethod
        def backward(ctx, g, k):
            return g * 2, k * 3

    model, x = net()
    with probe(model) as seen:
        h = model.first(x)
        a, b = Twice.apply(h, torch.tanh(h))
        seen.watch((a + b).sum()).backward()
    expected = rms(2 + 3 * (1 - torch.tanh(model.first(x)) ** 2))
    rows = seen.table.set_index("layer").grad_rms
    assert rows["first"] == pytest.approx(expected, rel=SAME)
    assert rows["first.tanh"] == 3.0


def test_semi_private_names_of_torch_are_there():
    """`vglab.probe.autograd` and the graph lean on them; where one goes, this says which."""
    assert torch._C._current_graph_task_id() == -1
    assert not torch._C._are_functorch_transforms_active()
    assert torch._C._get_tracing_state() is None
    before = torch._C._autograd._get_sequence_nr()
    h = torch.tanh(torch.ones(2, requires_grad=True))
    assert h.grad_fn._sequence_nr() == before
    assert torch._C._autograd._get_sequence_nr() == before + 1
    assert h.grad_fn._raw_saved_result.unpack_hook is None
    assert torch.equal(h.grad_fn._saved_result, h)
    assert type(h.grad_fn).__name__ == "TanhBackward0"
    tasks = []
    h.grad_fn.register_prehook(lambda g: tasks.append(torch._C._current_graph_task_id()))
    h.sum().backward()
    assert tasks[0] >= 0
