"""Checks of lesson 10: the forget bias in torch's vectors, a bias for a half-life, the path along the cell."""

import math

import torch
from torch import nn

from .engine import Exercise

__all__ = ["bias_for", "cell_path", "set_forget_bias"]

_SHAPES = [(3, 5, 1, False, 2.0), (2, 4, 3, False, -1.0), (4, 3, 1, True, 3.5), (1, 2, 2, True, 1.0)]


def _lstms():
    """(lstm, b) with several layers and directions, weights and biases drawn from a seed."""
    cases = []
    for k, (d_in, width, layers, both, b) in enumerate(_SHAPES):
        with torch.random.fork_rng(()):
            torch.default_generator.manual_seed(k)
            cases.append((nn.LSTM(d_in, width, num_layers=layers, bidirectional=both), b))
    return cases


def _set(lstm, b, *, block=1, other=0.0, only=""):
    """Write b into one block of the first bias vector of every layer, and `other` into that of the second."""
    n = lstm.hidden_size
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            if name.startswith("bias") and name.endswith(only):
                value = b if name.startswith("bias_ih") else other
                if value is not None:
                    parameter[block * n : (block + 1) * n] = value
    return lstm


class _Sums(Exercise):
    """Compares the sums of the two bias vectors and everything else, whatever was written into which."""

    def _judge(self, answer):
        return super()._judge(answer if not callable(answer) else lambda lstm, b: self._read(answer, lstm, b))

    def _read(self, answer, lstm, b):
        result = answer(lstm, b)
        return _numbers_of(result) if isinstance(result, nn.LSTM) else result


def _numbers_of(lstm):
    """All weights, and the sums of the biases, as one vector."""
    values = dict(lstm.named_parameters())
    sums = [values[name] + values[name.replace("_ih_", "_hh_")] for name in values if name.startswith("bias_ih")]
    weights = [value for name, value in values.items() if name.startswith("weight")]
    return torch.cat([value.detach().flatten() for value in sums + weights]).double()


def _on(rule):
    return lambda lstm, b: _numbers_of(rule(lstm, b))


set_forget_bias = _Sums(
    "10.1 forget bias",
    _on(_set),
    _lstms(),
    mistakes=[
        (_on(lambda lstm, b: _set(lstm, b, other=b)), "torch adds its two bias vectors: with b in both, the gate gets 2b."),
        (_on(lambda lstm, b: _set(lstm, b, other=None)), "the second vector, `bias_hh`, still has torch's random values at the forget gate, and torch adds the two."),
        (_on(lambda lstm, b: _set(lstm, b, block=0)), "that is the input gate: torch's order is input, forget, cell, output, so the forget gate is the second quarter."),
        (_on(lambda lstm, b: _set(lstm, b, block=2)), "that is the third quarter, the cell's candidate: the forget gate is the second."),
        (_on(lambda lstm, b: _set(lstm, b, only="l0")), "right for the first layer, forward; further layers (`_l1`) and the reverse direction have biases of their own."),
        (_on(lambda lstm, b: lstm), "nothing has changed: write into the parameters under `torch.no_grad()`."),
    ],
    praise="right in every layer and direction, with all else as it was.",
)  # fmt: skip


def _bias(half_life):
    gate = 0.5 ** (1 / half_life)
    return math.log(gate / (1 - gate))


bias_for = Exercise(
    "10.2 bias for a lag",
    _bias,
    [(0.5,), (1.0,), (4.0,), (30.0,), (1000.0,)],
    rtol=1e-3,
    atol=1e-6,
    mistakes=[
        (lambda t: 0.5 ** (1 / t), "that is the gate; the bias is the number whose sigmoid it is."),
        (lambda t: math.log(t), "that makes a gate of 1 - 1/(t + 1), for which t + 1 is the time constant, the time until 1/e is left, about; the half-life was asked for."),
        (lambda t: math.log(0.5) / t, "that is the logarithm of the gate; put the gate into the sigmoid's inverse."),
        (lambda t: -_bias(t), "the sign: a gate that keeps long is near 1, so its bias is large and positive."),
        (lambda t: _bias(t / math.log(2)), "that is the bias for a time constant, after which 1/e is left; one half was asked for."),
    ],
    praise="right: ten times the half-life costs 2.3 of bias.",
)  # fmt: skip


def _path(f, *, after=1):
    shifted = torch.cat([f[1:], torch.ones_like(f[:1])]) if after else f
    return shifted.flip(0).cumprod(0).flip(0)


def _gates():
    generator = torch.Generator().manual_seed(10)
    shapes = ((4, 3), (1, 2), (9, 1), (30, 5))
    return [(torch.rand(shape, generator=generator, dtype=torch.float64),) for shape in shapes]


cell_path = Exercise(
    "10.3 along the cell",
    _path,
    _gates(),
    mistakes=[
        (lambda f: _path(f, after=0), "one gate too many: from c_t to the last cell the gates of the *later* steps count, and f_t itself stands before c_t."),
        (lambda f: f.cumprod(0), "that multiplies from the first step on; the path from a step runs over the steps after it."),
        (lambda f: _path(f).flip(0), "right numbers in the wrong order: the first row belongs to the first step."),
        (lambda f: f.prod(0).expand_as(f), "that is the product of all gates, for every step alike."),
    ],
    praise="right: the last step has 1, and each step before it one gate more.",
)  # fmt: skip
