"""One activation, however it is given: a name, a torch module, a module class or a plain function."""

import copy
import inspect

from torch import nn


class Linear(nn.Identity):
    """The activation of a linear network; a class of its own, because ``nn.Identity`` is also a mere placeholder."""


# Names as the literature writes them, each the torch module that computes it.
NAMES = {
    "linear": Linear,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}


def as_module(act):
    """Return a fresh ``nn.Module`` for `act`: a name of `NAMES`, an ``nn.Module`` class, a module or a function.

    Raises `ValueError` for an unknown name and `TypeError` for anything that cannot be called.
    """
    if isinstance(act, str):
        if act.lower() not in NAMES:
            raise ValueError(f"act must be one of {', '.join(NAMES)}, or a module or function; got {act!r}.")
        return NAMES[act.lower()]()
    if inspect.isclass(act) and issubclass(act, nn.Module):
        return act()
    if isinstance(act, nn.Module):
        return copy.deepcopy(act)
    if callable(act):
        return Elementwise(act)
    raise TypeError(
        f"act must be a name such as 'tanh', a torch module or a function; got {type(act).__name__} {act!r}."
    )


class Elementwise(nn.Module):
    """A plain function, such as ``torch.sin``, as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, z):
        return self.function(z)

    def extra_repr(self):
        return getattr(self.function, "__name__", repr(self.function))
