"""What a network is made of, read from its modules: equal parts can be stacked, their weights side by side."""

from dataclasses import dataclass, field

import torch
from torch import nn

from ...nets import Residual
from .layers import BY_HAND

NORMS = {nn.BatchNorm1d: "batch", nn.LayerNorm: "layer", nn.RMSNorm: "rms"}
RECURRENT = {nn.RNN: "rnn", nn.LSTM: "lstm", nn.GRU: "gru"}
UNTOUCHED = set(vars(nn.Module()))  # what every module has, and no setting of its own


@dataclass(frozen=True)
class Part:
    """One step of a network. Two parts are equal if they compute the same function of their input and parameters.

    `names` and `buffers` are those of the model's own parameters and buffers, in the order the layer takes them.
    """

    kind: str  # "linear", "activation", "norm", "residual" or "recurrent"
    settings: tuple = ()
    shapes: tuple = ()  # of the parameters, as torch keeps them
    statistics: tuple = ()  # shapes of the running statistics
    inner: tuple = ()  # the branch of a residual block
    act: nn.Module | None = field(default=None, compare=False)
    names: tuple = field(default=(), compare=False)
    buffers: tuple = field(default=(), compare=False)

    def every(self, what):
        """`names`, `buffers` or `shapes` of this part and of the branch inside, in order."""
        return (*getattr(self, what), *(name for part in self.inner for name in part.every(what)))


@dataclass(frozen=True)
class Plan:
    """A network as parts: its `body`, of which another's may be the beginning, and its `head`, as another's.

    Names and shapes go through the head first, so that those of the shallower network begin those of the deeper.
    """

    body: tuple
    head: tuple

    def every(self, what):
        return [name for part in (*self.head, *self.body) for name in part.every(what)]


def read(model):
    """Return the `Plan` of a model. Raises `ValueError`, naming the module, for what cannot be trained side by side."""
    recurrent = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.RNNBase)]
    plan = _read_recurrent(model, recurrent) if recurrent else _read_sequential(model)
    parameters = dict(model.named_parameters())
    if frozen := [name for name, p in parameters.items() if not p.requires_grad]:
        raise ValueError(f"train_many trains every parameter; {frozen[0]} is frozen: train this model by itself.")
    if sorted(plan.every("names")) != sorted(parameters):
        raise ValueError("train_many needs a parameter for each layer of its own; this model uses one in two places.")
    return plan


def _read_sequential(model):
    if type(model) is not nn.Sequential:
        raise ValueError(
            "train_many takes nn.Sequential, or a module with one nn.RNN, nn.LSTM or nn.GRU and an nn.Linear; "
            f"got {type(model).__name__}: train this model by itself."
        )
    parts = _read_parts(_children("", model))
    heads = [i for i, part in enumerate(parts) if part.kind == "linear"]
    if not heads:
        raise ValueError("train_many needs a network with an nn.Linear; this one has none.")
    return Plan(tuple(parts[: heads[-1]]), tuple(parts[heads[-1] :]))


def _read_parts(modules):
    parts = []
    for name, module in modules:
        kind = type(module)
        if kind is nn.Sequential:
            parts += _read_parts(_children(name, module))
        elif isinstance(module, nn.Identity) or (kind is nn.Dropout and module.p == 0):
            continue
        elif kind is nn.Flatten and not parts and (module.start_dim, module.end_dim) == (1, -1):
            continue  # each example is a row of x anyway
        else:
            parts.append(_read_part(name, module))
    return parts


def _children(name, module):
    return [(f"{name}.{key}" if name else key, child) for key, child in module.named_children()]


def _read_part(name, module):
    if type(module) is nn.Linear:
        return Part("linear", **_parameters(module, name))
    if type(module) in NORMS:
        return _read_norm(name, module)
    if type(module) is Residual:
        inner = _read_parts([(f"{name}.branch", module.branch)])
        return Part("residual", (float(module.scale),), inner=tuple(inner))
    bare = next(module.parameters(), None) is None and next(module.buffers(), None) is None
    if bare and (type(module) in BY_HAND or _by_rows(module)):
        return Part("activation", _settings(module), act=module)
    raise ValueError(
        "train_many stacks linear layers, activations without parameters, BatchNorm1d, LayerNorm, RMSNorm and "
        f"vglab's Residual; {name!r} is {type(module).__name__}: train this model by itself."
    )


def _settings(module):
    """What tells one activation from another: its class, and all that it holds."""
    own = {key: value for key, value in vars(module).items() if key not in UNTOUCHED}
    own |= {key: _settings(child) for key, child in module.named_children()}
    return (type(module), *((key, value if _has_hash(value) else id(value)) for key, value in sorted(own.items())))


def _has_hash(value):
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _by_rows(module):
    """Whether a module gives each network of a stack what it gives it alone, and the same at every call."""
    z = torch.linspace(-2, 2, 24).reshape(2, 3, 4)
    try:
        with torch.random.fork_rng(devices=()), torch.no_grad():
            together, alone = module(z.clone()), torch.stack([module(rows) for rows in z.clone()])
    except (RuntimeError, TypeError, IndexError, ValueError):
        return False
    return torch.equal(together, alone)


def _parameters(module, name, keys=("weight", "bias")):
    """`names` and `shapes` of the parameters `keys` that a module has."""
    found = {key: p for key in keys if (p := getattr(module, key, None)) is not None}
    path = f"{name}." if name else ""
    return {"names": tuple(path + key for key in found), "shapes": tuple(tuple(p.shape) for p in found.values())}


def _read_norm(name, module):
    kind, running = NORMS[type(module)], {}
    if kind == "batch":
        if not module.track_running_stats or module.momentum is None:
            raise ValueError(f"train_many needs BatchNorm with running statistics and a momentum; {name!r} has not.")
        shapes = ((module.num_features,),) * 2
        running = {"buffers": (f"{name}.running_mean", f"{name}.running_var"), "statistics": shapes}
        settings = (module.eps, module.momentum)
    elif len(module.normalized_shape) != 1:
        raise ValueError(f"train_many normalizes over one axis; {name!r} does over {tuple(module.normalized_shape)}.")
    else:
        settings = (module.eps, *module.normalized_shape)
    return Part("norm", (kind, *settings), **running, **_parameters(module, name))


def _read_recurrent(model, found):
    linears = [(name, m) for name, m in model.named_modules() if type(m) is nn.Linear]
    if len(found) != 1 or len(linears) != 1:
        raise ValueError(
            "train_many takes a recurrent model with one nn.RNN, nn.LSTM or nn.GRU and one nn.Linear; "
            f"{type(model).__name__} has {len(found)} and {len(linears)}."
        )
    ((name, rnn),), ((head, linear),) = found, linears
    if type(rnn) not in RECURRENT or rnn.bidirectional or rnn.dropout or getattr(rnn, "proj_size", 0):
        raise ValueError(
            f"train_many takes an nn.RNN, nn.LSTM or nn.GRU in one direction, without dropout and projection; {name!r} "
            "is another: train this model by itself."
        )
    settings = (RECURRENT[type(rnn)], rnn.num_layers, rnn.bias, getattr(rnn, "nonlinearity", None))
    body = Part("recurrent", settings, **_parameters(rnn, name, rnn._flat_weights_names))
    return Plan((body,), (Part("linear", **_parameters(linear, head)),))
