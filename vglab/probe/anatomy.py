"""What a model is made of, looked up once when a block starts."""

from typing import NamedTuple

from torch import nn

from . import slopes

_CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.PixelShuffle)
_FEATURES_LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.RNNBase)


class Role(NamedTuple):
    """What the class of a module says."""

    kind: str
    has_slope: bool
    channels_first: bool | None  # where its output has the units; None: as the layers before


class Anatomy:
    """Names and roles of a model's modules, owners of its parameters; the keys are ids."""

    def __init__(self, model):
        named = list(model.named_modules())
        self._modules = [module for _, module in named]  # an id is a module's own only while the module lives
        self._roles = {}
        self.names = {id(module): name for name, module in named}
        self.leaves = {id(module) for _, module in named if _is_leaf(module)}
        self.compiled = holds_compiled(model)
        self.owners = {id(p): (name, own) for name, m in named for own, p in m.named_parameters(recurse=False)}
        self.recurrent = {name: type(m).__name__ for name, m in named if isinstance(m, nn.RNNBase)}

    def role(self, module):
        """The `Role` of a module; looked up by its class, which a lazy module changes."""
        kind = type(module)
        if kind not in self._roles:
            first, last = issubclass(kind, _CHANNELS_FIRST), issubclass(kind, _FEATURES_LAST)
            self._roles[kind] = Role(kind.__name__, kind in slopes.MODULES, first if first or last else None)
        return self._roles[kind]

    def is_compiled_form(self, module):
        """Whether `module` is what ``torch.compile`` made of a module of this model."""
        return id(module._modules.get("_orig_mod")) in self.names


def _is_leaf(module):
    """A module that makes no calls of interest inside: torch's own without children, or one without parameters."""
    if any(True for _ in module.children()):
        return False
    return type(module).__module__.startswith("torch.nn") or not any(True for _ in module.parameters())


def holds_compiled(model):
    """Whether the model or a module of it was compiled."""
    return any(m._compiled_call_impl is not None or "_orig_mod" in m._modules for m in model.modules())
