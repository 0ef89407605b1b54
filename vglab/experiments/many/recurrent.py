"""Many recurrent networks at once, step by step in time, for autograd to differentiate."""

import torch


def last_output(x, parameters, *, kind, layers, bias, act, rounded):
    """The last layer's output at the last time step, (nets, batch, width), as ``nn.RNN``, ``nn.LSTM``, ``nn.GRU`` do.

    x: (batch, time, features), the same for every network. `parameters`, per layer as torch orders them: the weights
    from the input, (nets, features, gates * width), those from the state, (nets, width, gates * width), and with
    `bias` two biases, (nets, 1, gates * width). `rounded` is applied to the state at every step.
    """
    per_layer, (batch, time, _) = 4 if bias else 2, x.shape
    for layer in range(layers):
        w_in, w_state, *biases = parameters[layer * per_layer : (layer + 1) * per_layer]
        b_in, b_state = biases if bias else (w_in.new_zeros(1, 1, 1),) * 2
        flat = x.reshape(-1, batch * time, x.shape[-1]).expand(len(w_in), -1, -1)
        from_input = torch.baddbmm(b_in, flat, w_in).unflatten(1, (batch, time)).unbind(2)
        state = CELLS[kind](from_input, w_state, b_state, rounded, act)
        if layer < layers - 1:
            x = torch.stack(state, dim=2)
    return state[-1]


def _rnn(from_input, w, b, rounded, act):
    function, states = {"tanh": torch.tanh, "relu": torch.relu}[act], []
    h = _zeros(from_input[0], w)
    for z in from_input:
        h = rounded(function(z + torch.baddbmm(b, h, w)))
        states.append(h)
    return states


def _lstm(from_input, w, b, rounded, act):
    states, h = [], _zeros(from_input[0], w)
    c = h
    for z in from_input:
        i, f, g, o = (z + torch.baddbmm(b, h, w)).chunk(4, dim=-1)
        c = rounded(torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g))
        h = rounded(torch.sigmoid(o) * torch.tanh(c))
        states.append(h)
    return states


def _gru(from_input, w, b, rounded, act):
    states, h, width = [], _zeros(from_input[0], w), w.shape[1]
    for z in from_input:
        s = torch.baddbmm(b, h, w)
        r, u = torch.sigmoid(z[..., : 2 * width] + s[..., : 2 * width]).chunk(2, dim=-1)
        n = torch.tanh(z[..., 2 * width :] + r * s[..., 2 * width :])
        h = rounded(n + u * (h - n))
        states.append(h)
    return states


def _zeros(z, w):
    return z.new_zeros(*z.shape[:2], w.shape[1])


CELLS = {"rnn": _rnn, "lstm": _lstm, "gru": _gru}
