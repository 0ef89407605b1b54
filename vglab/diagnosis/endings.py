"""Slopes of activations that end a module's forward pass, as in ``return F.relu(...)``: its row is the module's."""

from collections import Counter
from contextlib import contextmanager

import torch

from ..probe import slopes
from ..probe.graph import Found

_KIND = {"LeakyRelu": "leaky_relu", "LogSigmoid": "log_sigmoid"}  # others as the probe writes them, in lower case
_READINGS = ["slope", "saturated", "dead"]


@contextmanager
def endings(model, size):
    """Yield a dict that fills with (layer, call): (kind, sample of slopes) while `model`, a copy, runs.

    size : about how many values of each output to take.
    """
    found, calls = {}, Counter()
    handles = [
        module.register_forward_hook(_reader(name or "(model)", found, calls, size))
        for name, module in model.named_modules()
        if type(module) not in slopes.MODULES
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def filled(table, found):
    """The rows of a probe with the slopes of `endings` where they had none, and the kind of what made them."""
    keys = list(zip(table.layer, table.call, strict=True))
    rows = [row for row, key in enumerate(keys) if key in found]
    if rows:
        kinds, samples = zip(*(found[keys[row]] for row in rows), strict=True)
        index = table.index[rows]
        table.loc[index, "kind"] = list(kinds)
        table.loc[index, _READINGS] = [[float(number) for number in three] for three in slopes.shares(samples)]
    return table


def _reader(name, found, calls, size):
    def read(module, args, output):
        node = output.grad_fn if isinstance(output, torch.Tensor) else None
        kind = node and Found(node, 0, "", "").activation
        if kind and not any(output is t for t in args):
            units = lambda h: 1 if h.ndim >= 4 else -1
            _, sample = slopes.of_call(kind, node, axis=units, size=size)
            if sample is not None:
                found[name, calls[name]] = _KIND.get(kind, kind.lower()), sample
        calls[name] += 1

    return read
