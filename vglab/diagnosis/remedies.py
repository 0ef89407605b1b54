"""The remedies to try on a model: each is a name and the very lines of code that carry it out."""

import torch
from torch import nn

from . import architecture, initialization
from .initialization import each
from .surgery import Plan, Remedy, layers, listed
from .trials import tried

__all__ = ["Remedy", "candidates", "tried"]

# What fits a cause is tried first, because the time for trying may run out.
_FIRST = {
    "saturating activation": ("init", "inputs", "biases", "norm", "swap"),
    "activation without unit gain": ("init", "swap", "norm", "skips"),
    "weights too small": ("init", "norm", "skips"),
    "weights too large": ("init", "norm", "rate", "clip"),
    "depth": ("skips", "init", "norm"),
    "recurrence": ("gates", "recurrent", "clip", "rate"),
    "normalization without skips": ("skips", "unnormalize", "rate"),
    "residual without normalization": ("branches", "rate", "clip"),
    "dead ReLUs": ("biases", "inputs", "leaky", "init", "norm"),
    "learning rate": ("rate", "clip"),
    "precision": ("precision",),
    "normalization eps": ("eps",),
}


def candidates(model, *, cause, state, rows, optimizer=None, inputs=None):
    """Return every `Remedy` that the structure of `model` allows, those that fit `cause` first; none if healthy.

    Parameters
    ----------
    cause, state : str
        Of the diagnosis; an unknown or empty cause prefers none.
    rows : DataFrame
        A `probe` table of one forward and backward pass: which activation follows which layer.
    optimizer : torch.optim.Optimizer or None
        Its learning rate is named in the code.
    inputs : tensor, tuple, list, dict or None
        The batch's inputs, for the spelling of ``model(inputs)`` in the code; None stands for one tensor.
    """
    if state == "healthy":
        return []
    stars = "**" if hasattr(inputs, "keys") else "*" if isinstance(inputs, (tuple, list)) else ""
    plan = Plan(model, layers(model, rows), f"model({stars}inputs)", state, cause, architecture.unscaled(inputs))
    first = _FIRST.get(cause, ())
    order = sorted(_WAYS, key=lambda way: first.index(way) if way in first else len(first))
    return [remedy for way in order for remedy in _WAYS[way](plan)]


# ---------------------------------------------------------------- recurrence


def _recurrent_modules(plan):
    kinds = (nn.RNNBase, nn.RNNCellBase)
    return {name: module for name, module in plan.model.named_modules() if isinstance(module, kinds)}


def _gates(plan):
    """An LSTM's forget gate (of i, f, g, o) and a GRU's update gate (of r, z, n) are both the second block of rows."""
    gated = (nn.LSTM, nn.LSTMCell, nn.GRU, nn.GRUCell)
    found = {name: rnn for name, rnn in _recurrent_modules(plan).items() if isinstance(rnn, gated) and rnn.bias}
    if not found:
        return []
    word = (
        "forget-gate bias" if any(isinstance(m, (nn.LSTM, nn.LSTMCell)) for m in found.values()) else "update-gate bias"
    )
    return [Remedy(f"{word} of {value}", _gate_code(list(found), value)) for value in (1, 3, 5)]


def _gate_code(names, value):
    return f"""with torch.no_grad():
    for name in {listed(names)}:
        rnn = model.get_submodule(name)
        for key, bias in rnn.named_parameters():
            gate = slice(rnn.hidden_size, 2 * rnn.hidden_size)  # the second block of rows
            if key.startswith("bias_ih"):
                bias[gate] = {value:.1f}
            elif key.startswith("bias_hh"):  # the two biases add up
                bias[gate] = 0.0"""


def _recurrent(plan):
    found = _recurrent_modules(plan)
    again = [
        layer for layer in plan.layers if layer.calls > 1 and getattr(layer.module, "in_features", 0) == layer.width
    ]
    remedies = [Remedy("orthogonal recurrent weights", _recurrent_code(list(found)))] if found else []
    plain = [name for name, rnn in found.items() if isinstance(rnn, (nn.RNN, nn.RNNCell))]
    if plain:
        remedies.append(Remedy("identity recurrent weights with ReLU (IRNN)", _identity_code(plain)))
    if again:
        line = "nn.init.orthogonal_(layer.weight)"
        remedies.append(Remedy("orthogonal recurrent weights", each(again, line, zero=True)))
    return remedies


def _recurrent_code(names):
    return f"""for name in {listed(names)}:
    rnn = model.get_submodule(name)
    for key, weight in rnn.named_parameters():
        if key.startswith("weight_hh"):
            for gate in weight.data.split(rnn.hidden_size):
                nn.init.orthogonal_(gate)"""


def _identity_code(names):
    return f"""for name in {listed(names)}:  # Le, Jaitly and Hinton (2015)
    rnn = model.get_submodule(name)
    rnn.nonlinearity = "relu"
    if isinstance(rnn, nn.RNN):
        rnn.mode = "RNN_RELU"
    for key, p in rnn.named_parameters():
        if key.startswith("weight_hh"):
            nn.init.eye_(p)
        elif key.startswith("bias"):
            nn.init.zeros_(p)"""


# ---------------------------------------------------------------- training


def _clip(plan):
    code = "nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # between loss.backward() and optimizer.step()"
    return [Remedy("gradient norm clipped at 1", code, {"clip": 1.0})] if plan.state in ("exploding", "dead") else []


def _rate(plan):
    if plan.state not in ("exploding", "dead"):
        return []
    rates = (10, 100, 1000) if plan.cause == "learning rate" else (10, 100)
    return [Remedy(f"learning rate divided by {by}", rate_code(by), {"rate": 1 / by}) for by in rates]


def rate_code(by):
    """Code that divides each learning rate of the optimizer."""
    return f'for group in optimizer.param_groups:\n    group["lr"] /= {by}'


def _precision(plan):
    floats = {p.dtype for p in plan.model.parameters() if p.is_floating_point()}
    remedies = []
    if floats & {torch.float16, torch.bfloat16}:
        code = "model = model.float()  # and feed it inputs.float()"
        remedies.append(Remedy("float32", code, {"dtype": torch.float32}))
    if torch.float16 in floats:  # a gradient brought back to its size would be flushed to zero again: the step shrinks
        code = f"# (2**16 * loss).backward(), and a step that is smaller by as much\n{rate_code('2**16')}"
        remedies.append(Remedy("loss scaled by 2**16", code, {"loss_scale": 2.0**16}))
    elif plan.cause == "precision":
        device = next(plan.model.parameters()).device.type
        code = f'scaler = torch.amp.GradScaler("{device}", init_scale=2.0**16)\n'
        code += "# scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update()"
        remedies.append(Remedy("loss scaled by 2**16", code, {"loss_scale": 2.0**16, "unscale": True}))
    return remedies


_WAYS = {
    "init": initialization.weights,
    "gates": _gates,
    "recurrent": _recurrent,
    "skips": architecture.skips,
    "norm": architecture.norm,
    "branches": architecture.branches,
    "eps": architecture.eps,
    "biases": initialization.biases,
    "inputs": architecture.inputs,
    "leaky": architecture.leaky,
    "swap": architecture.swap,
    "unnormalize": architecture.unnormalize,
    "precision": _precision,
    "rate": _rate,
    "clip": _clip,
}
