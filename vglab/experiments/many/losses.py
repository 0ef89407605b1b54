"""Losses of many networks at once, with their gradients: outputs are (nets, batch, d_out)."""

import torch
from torch.nn import functional as F


def cross_entropy(outputs, y):
    """Losses (nets,) and a function that gives their gradient. y: (batch,) class numbers."""
    log_p = torch.log_softmax(outputs, dim=-1)
    places = y.view(1, -1, 1).expand(len(outputs), -1, 1)

    def gradient():
        g = log_p.exp()
        return g.scatter_add_(2, places, g.new_full((), -1.0).expand(places.shape)).div_(len(y))

    return -log_p.gather(2, places).mean((1, 2)), gradient


def mse(outputs, y):
    """Losses (nets,) and a function that gives their gradient. y: (batch, d_out)."""
    error = outputs - y
    return error.square().mean((1, 2)), lambda: error * (2 / y.numel())


def accuracy(outputs, y):
    """Share of the examples whose largest output is their class, (nets,)."""
    return (outputs.argmax(-1) == y).double().mean(1)


BY_NAME = {"cross_entropy": cross_entropy, "mse": mse}
NAMES = {F.cross_entropy: "cross_entropy", F.mse_loss: "mse"}
