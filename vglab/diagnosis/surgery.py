"""What a model is made of, and the remedies that its structure allows, each as the code an engineer would paste."""

import json
import re
import textwrap
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from ..activations import Linear

RELUS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU)
NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_ACTS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.ELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus)
_ACTS += (nn.LogSigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Softshrink, nn.Hardshrink, nn.SELU)
_CALLS = {act.__name__.lower(): act for act in _ACTS}  # what the probe's table calls a function called without a module


@dataclass(frozen=True)
class Remedy:
    """A change to a model or its training, written as code: what is tried on a copy is what the engineer pastes.

    The code knows the names ``torch, nn, model, inputs, optimizer`` and may bind ``model`` anew. `train` says how the
    training differs that follows: ``{"clip": 1.0}`` the gradient norm it is clipped to, ``{"loss_scale": 1024.0}``
    the factor of the loss and whether it is taken out of the gradients again (``"unscale": True``), ``{"dtype":
    torch.float32}`` what floating inputs are cast to, ``{"rate": 0.1}`` that the code is but another learning rate.
    """

    name: str
    code: str
    train: dict = field(default_factory=dict)

    def change(self, model, inputs=None, optimizer=None):
        """Run the code on `model`, in place, and return the model that it leaves."""
        scope = {"torch": torch, "nn": nn, "model": model, "inputs": inputs, "optimizer": optimizer}
        exec(self.code, scope)
        return scope["model"]


@dataclass
class Layer:
    """A linear or convolutional layer, and what stands around it in the forward pass."""

    name: str
    module: nn.Module
    before: nn.Module | None = None  # the activation whose output it reads
    norm: str = ""  # the name of the normalization after it
    act: nn.Module | None = None  # the activation that reads its output; None for a head
    act_name: str = ""  # empty if the activation is a function called without a module
    calls: int = 1  # more than one: its weights are used again, as over time

    @property
    def width(self):
        """Number of features or channels that it returns."""
        return getattr(self.module, "out_features", None) or self.module.out_channels


@dataclass
class Plan:
    """A model under the knife: its layers in the order of the forward pass, and how it is called."""

    model: nn.Module
    layers: list
    call: str
    state: str
    cause: str
    unscaled: bool  # whether the inputs are one tensor that is not standardized
    names: dict = field(init=False)

    def __post_init__(self):
        self.names = dict(self.model.named_modules(remove_duplicate=False))

    @property
    def hidden(self):
        """The layers with an activation after them, each used once per forward pass."""
        return [layer for layer in self.layers if layer.act is not None and layer.calls == 1]

    @property
    def placed(self):
        """The end of a line that makes a new module: where and in which precision the model's others are."""
        weight = next(self.model.parameters())
        changes = [f'"{weight.device}"'] * (weight.device.type != "cpu")
        changes += [str(weight.dtype)] * (weight.dtype != torch.float32)
        return f".to({', '.join(changes)})" if changes else ""


def layers(model, rows):
    """Return every `Layer` that `rows`, a probe's table, saw called, in the order of the calls.

    Weights that are frozen, lazy or computed from others (a parametrization) are no layer here: they cannot be set.
    """
    names, found, act, last = dict(model.named_modules()), {}, None, None
    rows = rows[(rows.step == rows.step.min()) & (rows.backward == rows.backward.min())].sort_values("order")
    for name, kind in zip(rows.layer, rows.kind, strict=True):
        name = "" if name == "(model)" else re.sub(r"(\[[^\]]*\])+$", "", name)
        module = names.get(name)
        if _settable(module):
            last = found.get(name)
            if last:
                last.calls += 1
            else:
                last = found[name] = Layer(name, module, act)
            act = None
        elif last and last.act is None and isinstance(module, NORMS):
            last.norm = name
        elif (phi := activation(module, kind)) is not None:
            act = phi
            if last and last.act is None:
                last.act, last.act_name = phi, name if module is not None else ""
    return list(found.values())


def activation(module, kind=""):
    """Return `module` if it is an activation, or a module that does what the function `kind` does; else None."""
    if module is None:
        act = _CALLS.get(kind.replace("_", ""))
        return act() if act else None
    if isinstance(module, (*_ACTS, nn.PReLU, Linear)):
        return module
    alone = not any(True for _ in module.children()) and not any(True for _ in module.parameters())
    return module if alone and response(module) else None


def response(act):
    """Return the mean and the mean square of phi(z) for z from N(0, 1), or None if `act` is no activation.

    An activation acts on each number alone, and not merely as a straight line.
    """
    z = torch.linspace(-6, 6, 1201, dtype=torch.float64)[:, None]
    weight = torch.exp(-(z**2) / 2)
    try:
        with torch.random.fork_rng([]), torch.no_grad():
            phi = deepcopy(act).cpu().double().eval().forward  # not a call: no hook runs
            h, mirrored = phi(z.clone()), phi(z.flip(0)).flip(0)
            straight = torch.diff(h, n=2, dim=0).abs().max() < 1e-9
            if h.shape != z.shape or straight or not torch.allclose(h, mirrored):
                return None
    except Exception:
        return None
    mean, square = ((weight * h**power).sum() / weight.sum() for power in (1, 2))
    return mean.item(), square.item()


def blocks(model):
    """Return the innermost residual blocks of `model` as {name: names of the last layer of each branch}.

    Found by trying: a block whose layers are all set to zero returns its input (or the ReLU of it). Layers are then
    given their weights back, in the order of their calls, as long as that stays so: those left end the branches.
    """
    found = {}
    for name, block in reversed(list(model.named_modules())):
        inside = f"{name}." if name else ""
        if any(True for _ in block.children()) and not any(other.startswith(inside) for other in found):
            ends = _branch_ends(block)
            if ends:
                found[name] = [inside + end for end in ends]
    return dict(reversed(found.items()))


def listed(names):
    """A list of names as it stands in code, over several lines if it is long."""
    text = f"[{', '.join(map(json.dumps, names))}]"
    return text if len(text) < 90 else "[\n" + textwrap.indent(textwrap.fill(text[1:-1], 90), " " * 4) + "\n]"


def _settable(module):
    if not isinstance(module, (nn.Linear, _ConvNd)) or isinstance(module, _ConvTransposeNd):
        return False
    weight = module._parameters.get("weight")
    return weight is not None and weight.requires_grad and not nn.parameter.is_lazy(weight)


def _branch_ends(block):
    try:
        block = deepcopy(block).eval()
    except Exception:
        return []
    parts = [(name, part) for name, part in block.named_modules() if getattr(part, "weight", None) is not None]
    parts = [(name, part) for name, part in parts if isinstance(part, (nn.Linear, _ConvNd, *NORMS))]
    x = next((x for x in _inputs_like(parts) if _returns(block, x) is not None), None)
    if x is None:
        return []
    called = _called(block, x)
    parts.sort(key=lambda item: next((i for i, name in enumerate(called) if _within(item[0], name)), len(called)))
    kept = {name: _zeroed(part) for name, part in parts}
    if not _same(block, x):
        return []
    ends = []
    for name, part in parts:
        part.load_state_dict(kept[name], strict=False)
        if not _same(block, x):
            _zeroed(part)
            ends.append(name)
    return ends


def _called(block, x):
    """The names of the modules of `block` in the order in which they were done with x."""
    order = []
    for name, module in block.named_modules():
        module.register_forward_hook(lambda *_, name=name: order.append(name))
    _returns(block, x, torch.enable_grad)  # without gradients torch's transformer layers call none of their modules
    return order


def _within(name, outer):
    return name == outer or not outer or name.startswith(f"{outer}.")


def _inputs_like(parts):
    """Random inputs of the shapes that the first of `parts` may take."""
    for _, part in parts[:1]:
        weight = part.weight
        size = weight.shape[1] * getattr(part, "groups", 1) if isinstance(part, (nn.Linear, _ConvNd)) else len(weight)
        images = isinstance(part, (_ConvNd, _BatchNorm, nn.GroupNorm))
        flat = [] if isinstance(part, _ConvNd) else [(3, size), (2, 3, size)]
        for shape in flat + [(2, size, *(8,) * n) for n in (1, 2, 3) if images]:
            with torch.random.fork_rng([]):
                yield torch.randn(shape).to(weight)


def _zeroed(part):
    """Set a layer's weight and bias to zero and return what they were."""
    kept = {name: p.detach().clone() for name, p in part.named_parameters(recurse=False)}
    with torch.no_grad():
        for p in part.parameters(recurse=False):
            p.zero_()
    return kept


def _returns(block, x, grad=torch.no_grad):
    """What `block` makes of x, if it is a tensor of the same shape; else None."""
    try:
        with torch.random.fork_rng([]), grad():
            out = block(x.clone())
    except Exception:
        return None
    out = out[0] if isinstance(out, tuple) and out else out
    return out if isinstance(out, torch.Tensor) and out.shape == x.shape else None


def _same(block, x):
    out = _returns(block, x)
    return out is not None and (torch.allclose(out, x, atol=1e-4) or torch.allclose(out, x.relu(), atol=1e-4))
