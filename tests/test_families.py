"""The truth of the families is confirmed here by training and plain autograd; the diagnosis has no part in it.

Every family is measured with three seeds and trained with one. R is the gradient at a net's first layer over that at
its last (its head apart); where a state or a cause has another sign than R, that sign is read instead.
"""

import math

import pytest
import torch
from torch import nn

from tests.families import LAYERS, aside, design

CAUSES = (
    *("saturating activation", "activation without unit gain", "weights too small", "weights too large", "depth"),
    *("recurrence", "normalization without skips", "residual without normalization", "dead ReLUs", "learning rate"),
    *("precision", "normalization eps"),
)
COMMON = (*CAUSES[:4], "recurrence", "dead ReLUs", "learning rate")
HALVES = {"design": design.FAMILIES, "aside": aside.FAMILIES}
ALL = {f"{half}:{name}": family for half, families in HALVES.items() for name, family in families.items()}
SEEDS = range(3)
STEPS = 100
FALLEN = 0.8  # a healthy net's loss ends below this share of its start
BLOWN = 1e3  # a loss this many times its start, or not finite, has blown up
TOLERATED = {"SGD": 2.0}  # decades; SGD trains within them
TOLERATED_BY_ADAM = 3.0  # and those that divide by the gradient's size within these
CLEAR = 0.25  # no family is nearer to its limit than this share of it
SILENT = 1e-3  # a unit whose gradient is never above this share of the head's largest learns nothing
GONE = 0.9  # a layer is dead when this share of its units is silent
STEPS_TO_DIE = 10


def named(state=None, *causes):
    """Parameters for a test: the families of a state, or of some causes."""
    keep = lambda family: state in (None, family.state) and (not causes or family.cause in causes)
    return pytest.mark.parametrize("name", [name for name, family in ALL.items() if keep(family)])


# ---------------------------------------------------------------- measuring


def loss_of(model, batch, loss_fn):
    if isinstance(batch, dict):
        out = model(**batch)
        return out.loss if loss_fn is None else loss_fn(out)
    inputs, target = batch
    call = {dict: lambda: model(**inputs), tuple: lambda: model(*inputs)}.get(type(inputs), lambda: model(inputs))
    return loss_fn(call(), target)


def train(model, batch, loss_fn, optimizer, steps=STEPS):
    """The loss before each step and after the last."""
    with torch.random.fork_rng([]):  # dropout draws
        losses = [_step(model, batch, loss_fn, optimizer) for _ in range(steps)]
        return [*losses, loss_of(model, batch, loss_fn).item()]


def _step(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss = loss_of(model, batch, loss_fn)
    loss.backward()
    optimizer.step()
    return loss.item()


def gradients(model, batch, loss_fn, trunk):
    """dL/d(output) of every call of a module of class `trunk`, in turn; for an nn.RNNBase dL/d(input) at each step."""
    seen, handles = [], []

    def after(_, args, out):
        out = out[0] if isinstance(out, tuple) else out
        seen.extend([out] if out.requires_grad else [])  # frozen layers ask for none

    def before(_, args):
        seen.append(args[0].detach().requires_grad_())
        return seen[-1], *args[1:]

    for module in model.modules():
        if isinstance(module, nn.RNNBase) and isinstance(module, trunk):
            handles.append(module.register_forward_pre_hook(before))
        elif isinstance(module, trunk):
            handles.append(module.register_forward_hook(after))
    loss = loss_of(model, batch, loss_fn)
    for handle in handles:
        handle.remove()
    found = [g.double() for g in torch.autograd.grad(loss, seen, allow_unused=True) if g is not None]
    return list(found[0].unbind(1)) if trunk is nn.RNNBase else found


def decades(family, parts):
    """log10 R; where a head of zeros lets nothing through, after five steps of training."""
    read = lambda: [g.norm().item() for g in gradients(*parts[:3], family.trunk)]
    drop = 1 if family.head and family.trunk is not nn.RNNBase else 0
    norms = read()
    if not all(norms) and family.state == "healthy":
        train(*parts, steps=5)
        norms = read()
    norms = norms[: len(norms) - drop]
    return math.log10(norms[0] / norms[-1])


def limit(optimizer):
    return TOLERATED.get(type(optimizer).__name__, TOLERATED_BY_ADAM)


def within(family, parts):
    return abs(decades(family, parts)) < (1 - CLEAR) * limit(parts[3])


def silent(parts):
    """The largest share of silent units in a hidden layer."""
    *hidden, head = gradients(*parts[:3], LAYERS)
    loudest = [g.transpose(0, 1).flatten(1).abs().amax(1) for g in hidden]
    return max((unit < SILENT * head.abs().max()).double().mean().item() for unit in loudest)


def slopes(model, batch, loss_fn):
    """For every activation in the net its steepest slope, and its mean slope on the batch as a share of that."""
    seen, found = [], []
    acts = [m for m in model.modules() if type(m).__module__.endswith("activation") or type(m) is aside.Weak]
    sites = acts or list(model.layers)  # without activation modules: a function is called on each layer's output
    handles = [m.register_forward_hook(lambda m, args, out: seen.append((m, args[0], out))) for m in sites]
    loss_of(model, batch, loss_fn)
    for handle in handles:
        handle.remove()
    for module, before, after in seen:
        function, z = (module, before) if acts else (model.function, after)
        steepest = _slope(function, torch.linspace(-5, 5, 1001)).max()
        found.append((steepest.item(), (_slope(function, z).mean() / steepest).item()))
    return found


def _slope(function, z):
    z = z.detach().clone().requires_grad_()
    return torch.autograd.grad(function(z).sum(), z)[0].abs()


# ---------------------------------------------------------------- the zoo as a whole


def test_there_are_enough_families_and_enough_healthy_ones():
    assert len(ALL) >= 56
    for families in HALVES.values():
        healthy = [family for family in families.values() if family.state == "healthy"]
        assert len(healthy) >= 0.4 * len(families)


@pytest.mark.parametrize("half", HALVES)
def test_each_half_has_every_cause(half):
    causes = [family.cause for family in HALVES[half].values()]
    assert set(causes) == {"", *CAUSES}
    assert all(causes.count(cause) >= 2 for cause in COMMON)


def test_every_name_is_new_and_every_truth_is_one_that_exists():
    assert not design.FAMILIES.keys() & aside.FAMILIES.keys()
    assert {family.state for family in ALL.values()} == {"healthy", "vanishing", "exploding", "dead"}
    assert all((family.state == "healthy") == (family.cause == "") for family in ALL.values())


@named()
def test_a_seed_decides_everything_and_the_global_state_stays(name):
    before = torch.get_rng_state()
    first, again, other = (drawn(ALL[name](seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


def drawn(parts):
    """The largest parameter and the first tensor of the batch."""
    flat = parts[1]
    while not isinstance(flat, torch.Tensor):
        flat = next(iter(flat.values() if isinstance(flat, dict) else flat))
    return max((p.detach() for p in parts[0].parameters()), key=torch.numel), flat


# ---------------------------------------------------------------- states


@pytest.mark.slow
@named("healthy")
def test_healthy_families_train(name):
    losses = train(*ALL[name](0))
    assert losses[-1] < FALLEN * losses[0]


@named("healthy")
def test_healthy_families_keep_their_gradient(name):
    family = ALL[name]
    assert not family.trunk or all(within(family, family(seed)) for seed in SEEDS)


@named(None, *(cause for cause in CAUSES if cause not in ("dead ReLUs", "learning rate", "precision")))
def test_vanishing_and_exploding_families_are_far_beyond_what_their_optimizer_tolerates(name):
    family, sign = ALL[name], {"vanishing": -1, "exploding": 1, "dead": 0}[ALL[name].state]
    for seed in SEEDS if sign else ():
        parts = family(seed)
        assert sign * decades(family, parts) > (1 + CLEAR) * limit(parts[3])


@pytest.mark.slow
def test_most_sick_families_hardly_train():
    """Some do, and are sick by the size of their gradient alone: most start from a loss that anything would lower."""
    losses = [train(*family(0)) for family in ALL.values() if family.state != "healthy"]
    assert sum(not loss[-1] < FALLEN * loss[0] for loss in losses) > 2 / 3 * len(losses)


@named("dead", "dead ReLUs", "saturating activation")
def test_dead_families_have_a_layer_that_learns_nothing(name):
    assert all(silent(ALL[name](seed)) >= GONE for seed in SEEDS)


# ---------------------------------------------------------------- causes


@named(None, "weights too small", "weights too large", "residual without normalization")
def test_a_cause_in_the_weights_goes_when_they_are_rescaled(name):
    family = ALL[name]
    factors = (2**k for k in range(1, 13)) if family.cause == "weights too small" else (2**-k for k in range(1, 13))
    assert any(within(family, _rescaled(family(0), factor / 2**0.5)) for factor in factors)


def _rescaled(parts, factor):
    with torch.no_grad():
        for p in parts[0].parameters():
            p.mul_(factor if p.dim() > 1 else 1)
    return parts


@named(None, "recurrence")
def test_a_cause_in_time_goes_when_the_sequence_is_cut(name):
    model, (x, y), *rest = ALL[name](0)
    assert within(ALL[name], (model, (x[:, :4], y), *rest))


@named(None, "depth")
def test_where_depth_is_the_cause_a_layer_loses_little(name):
    for seed in SEEDS:
        parts = ALL[name](seed)
        hidden = sum(isinstance(module, LAYERS) for module in parts[0].modules()) - 1
        assert 0.9 < 10 ** (decades(ALL[name], parts) / (hidden - 1)) < 0.99


@named(None, "normalization without skips")
def test_without_its_normalization_the_net_does_not_explode(name):
    model, *rest = ALL[name](0)
    for parent in list(model.modules()):
        for key, child in parent.named_children():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(parent, key, nn.Identity())
    assert decades(ALL[name], (model, *rest)) < (1 - CLEAR) * limit(rest[-1])


@named(None, "normalization eps")
def test_a_usual_eps_heals(name):
    parts = ALL[name](0)
    for module in parts[0].modules():
        if hasattr(module, "eps"):
            module.eps = 1e-5
    assert within(ALL[name], parts)


@named(None, "precision")
def test_in_float16_most_gradients_are_exactly_zero_and_in_float32_the_net_is_healthy(name, monkeypatch):
    family = ALL[name]
    for seed in SEEDS:
        first = gradients(*family(seed)[:3], LAYERS)[0]
        assert (first == 0).double().mean() > 0.9
    monkeypatch.setattr(torch.Tensor, "half", torch.Tensor.float)
    monkeypatch.setattr(torch, "float16", torch.bfloat16)  # autocast, too; it has float32's range
    assert (gradients(*family(0)[:3], LAYERS)[0] == 0).double().mean() < 0.1
    assert within(family, family(0))
    losses = train(*family(0))
    assert losses[-1] < FALLEN * losses[0]


@pytest.mark.slow
@named(None, "learning rate")
def test_only_the_rate_is_at_fault(name):
    family = ALL[name]
    for seed in SEEDS:
        parts = family(seed)
        assert within(family, parts)
        assert silent(parts) < 0.5
        losses = train(*parts, steps=STEPS_TO_DIE)
        blown = not max(losses) < BLOWN * losses[0]  # NaN is blown, too
        assert blown if family.state == "exploding" else (silent(parts) >= GONE and not blown)
    sane, given = [_with_a_rate(family(0), factor) for factor in (1e-2, 1e-3)], train(*family(0))
    assert any(losses[-1] < FALLEN * losses[0] and not given[-1] < 2 * losses[-1] for losses in sane)


def _with_a_rate(parts, factor):
    for group in parts[3].param_groups:
        group["lr"] *= factor
    return train(*parts)


@named(None, "saturating activation")
def test_saturated_units_stand_on_their_flat_ends(name):
    assert all(min(share for _, share in slopes(*ALL[name](seed)[:3])) < 0.2 for seed in SEEDS)


@named(None, "activation without unit gain")
def test_units_without_gain_are_flat_by_nature_and_not_saturated(name):
    for seed in SEEDS:
        measured = slopes(*ALL[name](seed)[:3])
        assert all(steepest < 0.3 and share > 0.6 for steepest, share in measured)
