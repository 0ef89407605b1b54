"""Recurrent networks with a read-out at the last step: torch's, with weights drawn on a scale that is asked for."""

from numbers import Integral, Real

import torch
from torch import nn

from .initial import seeded

_KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
_KEEPS = {"lstm": 1, "gru": 1}  # the block of the biases of the gate that keeps; torch has i, f, g, o and r, z, n


def recurrent(
    kind="rnn",
    width=64,
    *,
    d_in,
    d_out,
    act="tanh",
    init="normal",
    sigma_w=None,
    sigma_x=1.0,
    forget_bias=None,
    seed=None,
):
    """Return a `Recurrent`: torch's ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU`` and a linear ``head`` on its last output.

    Input: (batch, time, d_in), output: (batch, d_out).

    Parameters
    ----------
    kind : "rnn", "lstm" or "gru"
    width, d_in, d_out : int
    act : "tanh" or "relu"
        Of the plain ``"rnn"``; gates have their own.
    init, sigma_w, sigma_x : str, float or None, float
        Weights from the state are drawn from N(0, sigma_w**2 / width), or are sigma_w times an orthogonal matrix for
        ``init="orthogonal"``, gate by gate; those from the input from N(0, sigma_x**2 / d_in), and biases are 0.
        ``sigma_w=None`` keeps torch's default, U(-1/sqrt(width), 1/sqrt(width)) for all of them.
    forget_bias : float, tensor (width,) or None
        Bias of the gate that keeps the past: an LSTM's forget gate, a GRU's update gate. Torch adds two bias vectors;
        the first gets this value there, the second 0.
    seed : int or None
        As in `mlp`.

    >>> recurrent("lstm", 8, d_in=3, d_out=2, forget_bias=1.0)(torch.zeros(5, 20, 3)).shape
    torch.Size([5, 2])
    """
    _check(kind, act, init, sigma_w, sigma_x, forget_bias, width=width, d_in=d_in, d_out=d_out)
    options = {"nonlinearity": act} if kind == "rnn" else {}
    with seeded(seed), torch.no_grad():
        model = Recurrent(_KINDS[kind](d_in, width, batch_first=True, **options), nn.Linear(width, d_out))
        if sigma_w is not None:
            _draw(model.rnn, init, sigma_w, sigma_x)
        if forget_bias is not None:
            keeps = slice(_KEEPS[kind] * width, (_KEEPS[kind] + 1) * width)
            model.rnn.bias_ih_l0[keeps] = torch.as_tensor(forget_bias, dtype=model.rnn.bias_ih_l0.dtype)
            model.rnn.bias_hh_l0[keeps] = 0
    return model


class Recurrent(nn.Module):
    """head(last output of rnn): `rnn` is batch first. x: (batch, time, d_in) to (batch, d_out)."""

    def __init__(self, rnn, head):
        super().__init__()
        self.rnn, self.head = rnn, head

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def _draw(rnn, init, sigma_w, sigma_x):
    for w in rnn.weight_hh_l0.split(rnn.hidden_size):
        if init == "orthogonal":
            nn.init.orthogonal_(w, gain=sigma_w)
        else:
            w.normal_(0, sigma_w * rnn.hidden_size**-0.5)
    rnn.weight_ih_l0.normal_(0, sigma_x * rnn.input_size**-0.5)
    rnn.bias_ih_l0.zero_()
    rnn.bias_hh_l0.zero_()


def _check(kind, act, init, sigma_w, sigma_x, forget_bias, **sizes):
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be a whole number of at least 1; got {size!r}.")
    words = {"kind": (kind, tuple(_KINDS)), "act": (act, ("tanh", "relu")), "init": (init, ("normal", "orthogonal"))}
    for name, (word, allowed) in words.items():
        if word not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {word!r}.")
    for name, sigma in {"sigma_w": sigma_w, "sigma_x": sigma_x}.items():
        if (sigma is not None or name == "sigma_x") and not (isinstance(sigma, Real) and sigma >= 0):
            raise ValueError(f"{name} is a scale of weights and must be 0 or more; got {sigma!r}.")
    if kind != "rnn" and act != "tanh":
        raise ValueError(f"act belongs to kind 'rnn'; got act={act!r} for {kind!r}, whose activations are fixed.")
    if sigma_w is None and (init != "normal" or sigma_x != 1.0):
        raise ValueError(f"init and sigma_x need sigma_w; got init={init!r}, sigma_x={sigma_x!r} without it.")
    if forget_bias is not None and kind == "rnn":
        raise ValueError("forget_bias needs a gate; got kind 'rnn': use 'lstm' or 'gru'.")
