"""Forget-gate half-life: the gradient of an LSTM's cell or a GRU's state against the lag. Lesson 10."""

from functools import cache

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator

from .. import nets, theory
from ..figures import style
from . import view
from .parameters import Choice, Number, two_digits

WIDTH, D_IN, BATCH, STEPS = 32, 12, 16, 100
KIND = Choice("kind", "network", {"lstm": "LSTM", "gru": "GRU"})
COMPUTED = f"forward and backward through the real network, {BATCH} sequences of noise, {STEPS} steps, seed 0"
PARAMETERS = (
    Number("bias", "bias of the keeping gate: b =", -2, 6, step=0.1),
    KIND,
    Number("sigma_x", "input strength: σ_x =", 0.1, 3, step=0.1),
)
PRESETS = {
    "torch's default": {"kind": "lstm", "bias": 0.0, "sigma_x": 0.6},
    "bias 1": {"kind": "lstm", "bias": 1.0, "sigma_x": 0.6},
    "bias 3": {"kind": "lstm", "bias": 3.0, "sigma_x": 0.6},
    "wide open": {"kind": "lstm", "bias": 5.0, "sigma_x": 0.6},
    "GRU, bias 3": {"kind": "gru", "bias": 3.0, "sigma_x": 0.6},
}
_DOWN, _UP = (2, 5, 10, 20, 40, 80), (1, 2, 5, 10)  # decades at which the axis may end


@cache
def _noise():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(BATCH, STEPS, D_IN, generator=generator, dtype=torch.float64)


def compute(params):
    """Return the rms of dL/dc_t (LSTM) or dL/dh_t (GRU) at lags 0 to 99 over that at lag 0, and the path of the gate.

    L is a random read-out of the last state; weights as torch draws them, those from the input scaled to `sigma_x`.
    lag, gradient, path: (100,) each; half_life: of the measured gradient, by least squares, and of the path alone.
    """
    states = _unrolled(params)
    g = torch.randn(BATCH, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = torch.autograd.grad((states[-1][0] * g).sum(), [kept for _, kept in reversed(states)])
    gradient = torch.stack(gradients).square().mean((1, 2)).sqrt().numpy()
    gradient, lag = gradient / gradient[0], np.arange(STEPS)
    slope = np.polyfit(lag, np.log(gradient), 1)[0]
    return {
        "lag": lag,
        "gradient": gradient,
        "path": (1 / (1 + np.exp(-params["bias"]))) ** lag,
        "half_life": float(min(-np.log(2) / slope, 1e6)) if slope < 0 else 1e6,
        "half_life_path": float(theory.gate_half_life(params["bias"])),
    }


def _unrolled(params):
    """(output, what is kept) at every step: h and c of an LSTM, h twice of a GRU."""
    model = nets.recurrent(params["kind"], WIDTH, d_in=D_IN, d_out=1, forget_bias=params["bias"], seed=0)
    rnn = model.rnn.double()
    v, w = rnn.weight_ih_l0.detach() * (params["sigma_x"] * 3**0.5 * (WIDTH / D_IN) ** 0.5), rnn.weight_hh_l0.detach()
    from_input = _noise() @ v.T + rnn.bias_ih_l0.detach()
    bias, h = rnn.bias_hh_l0.detach(), torch.zeros(BATCH, WIDTH, dtype=torch.float64, requires_grad=True)
    step = _lstm if params["kind"] == "lstm" else _gru
    states, kept = [], h
    with torch.enable_grad():
        for z in from_input.unbind(1):
            h, kept = step(z, torch.addmm(bias, h, w.T), kept)
            states.append((h, kept))
    return states


def _lstm(from_input, from_state, c):
    i, f, g, o = (from_input + from_state).chunk(4, 1)
    c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
    return o.sigmoid() * c.tanh(), c


def _gru(from_input, from_state, h):
    (r, z, n), (r_state, z_state, n_state) = from_input.chunk(3, 1), from_state.chunk(3, 1)
    z, n = (z + z_state).sigmoid(), torch.addcmul(n, (r + r_state).sigmoid(), n_state).tanh()
    h = torch.lerp(n, h, z)
    return h, h


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    kept = "cell" if params["kind"] == "lstm" else "state"
    return (
        f"{_network(params)}: the gate alone halves the gradient every {_steps(arrays['half_life_path'])}; measured, "
        f"the gradient of the {kept} {_fate(arrays['half_life'])}; at lag {STEPS - 1} "
        f"{two_digits(arrays['gradient'][-1])} of it is left (the gate alone: {two_digits(arrays['path'][-1])})."
    )


def _steps(half_life):
    return f"{two_digits(half_life)} steps"


def _fate(half_life):
    return f"halves every {_steps(half_life)}" if half_life < 1000 else "does not shrink"


def _network(params):
    gate = "forget" if params["kind"] == "lstm" else "update"
    return f"{KIND.options[params['kind']]}, {gate} bias {params['bias']:.2g}, input strength {params['sigma_x']:.2g}"


def _finding(arrays):
    if arrays["half_life"] >= 1000:
        return "The gradient comes back whole, or larger"
    return f"Half of the gradient is gone after {_steps(arrays['half_life'])}"


class View:
    """The figure: gradient against lag, the path through the gate alone dashed, both half-lives as dots."""

    def __init__(self):
        self.frame, self.figure = None, style.bare_figure((7.4, 4.3))
        self.ax = ax = view.axes(self.figure, (0.085, 0.115, 0.735, 0.715))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        ax.set_xlim(0, STEPS - 1)
        style.write(ax.set_xlabel, "lag (steps back from the loss)", loc="right")
        ax.axhline(1, color=style.GREY, linewidth=1)
        looks = {
            "measured": {"color": style.COLOURS[0], "marker": "o", "linewidth": 1.6, "markeredgecolor": "white"},
            "gate alone": {"color": style.TEXT, "linestyle": view.DASHED, "linewidth": 1.4},
        }
        lines = {name: ax.plot([], [], **look, zorder=3)[0] for name, look in looks.items()}
        lines["measured"].set_markevery(10)
        dots = {"linestyle": "", "marker": "D", "markersize": 8, "markerfacecolor": "white", "markeredgewidth": 2}
        (lines["half"],) = ax.plot([], [], color=style.COLOURS[1], zorder=5, **dots)
        self.labels = view.EndLabels(ax, looks, side="right")
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"title": self.title, "subtitle": self.subtitle} | lines | self.labels.artists

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        drawn = {"measured": arrays["gradient"], "gate alone": arrays["path"]}
        self._frame_for(*drawn.values())
        for name, values in drawn.items():
            self.moving[name].set_data(arrays["lag"], values)
        at = np.array([arrays["half_life"], arrays["half_life_path"]])
        self.moving["half"].set_data(at[at < STEPS], np.full((at < STEPS).sum(), 0.5))
        self.labels.place({name: values[-1] for name, values in drawn.items()})
        self.title.set_text(_finding(arrays))
        self.subtitle.set_text(f"Gradient relative to lag 0; diamonds: half-lives. {_network(params)}")

    def _frame_for(self, *profiles):
        values = np.log10(np.concatenate(profiles))
        frame = -view.level(-values.min(), _DOWN), view.level(values.max(), _UP)
        if frame != self.frame:
            self.frame = frame
            view.log_axis(self.ax, *frame)
