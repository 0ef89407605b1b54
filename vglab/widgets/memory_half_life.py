"""Memory half-life: the gradient of a recurrent network against the lag, and how far back it is felt. Lesson 5."""

from functools import cache

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator

from .. import nets, theory
from ..figures import style
from . import view
from .parameters import Choice, Number, two_digits

WIDTH, D_IN, BATCH, STEPS, WARM = 128, 12, 16, 100, 40
SHARE = 0.01
COMPUTED = f"forward and backward through the real network, {BATCH} sequences of noise, {STEPS} steps, seed 0"
PARAMETERS = (
    Number("sigma_w", "weight scale: σ_w =", 0.3, 3, step=0.05),
    Number("sigma_x", "input strength: σ_x =", 0.1, 2, step=0.05),
    Choice("init", "weights W", {"normal": "Gaussian", "orthogonal": "orthogonal"}),
)
PRESETS = {
    "σ_w = 1": {"sigma_w": 1.0, "sigma_x": 0.5, "init": "normal"},
    "quiet input": {"sigma_w": 1.5, "sigma_x": 0.3, "init": "normal"},
    "loud input": {"sigma_w": 1.5, "sigma_x": 1.0, "init": "normal"},
    "exploding": {"sigma_w": 2.5, "sigma_x": 0.5, "init": "normal"},
    "orthogonal, whispering": {"sigma_w": 1.0, "sigma_x": 0.1, "init": "orthogonal"},
}
_DOWN, _UP = (5, 10, 20, 40, 100), (2, 5, 10, 20, 50)  # decades at which the axis may end


@cache
def _noise():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(WARM + STEPS, BATCH, D_IN, generator=generator, dtype=torch.float64)
    return x / x.square().mean(2, keepdim=True).sqrt()  # every step equally loud, as theory takes it


def compute(params):
    """Return the rms of dL/dh at lags 0 to 99 over that at lag 0, measured and predicted, each (100,).

    L is a random read-out of the last state. factor: per step, by least squares, and that of theory. felt: the last lag
    before the gradient falls below `SHARE` for good, 0 to 99. WARM steps go before, so that the state has settled.
    """
    sigma_w, sigma_x = params["sigma_w"], params["sigma_x"]
    rnn = nets.recurrent(
        "rnn", WIDTH, d_in=D_IN, d_out=1, init=params["init"], sigma_w=sigma_w, sigma_x=sigma_x, seed=0
    ).rnn.double()
    w, from_input = rnn.weight_hh_l0.detach().T, _noise() @ rnn.weight_ih_l0.detach().T
    h = torch.zeros(BATCH, WIDTH, dtype=torch.float64)
    states = [h := torch.tanh(z + h @ w) for z in from_input]
    g = torch.randn(BATCH, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = [g]
    for h in states[:-STEPS:-1]:
        gradients.append(g := (g * (1 - h**2)) @ w.T)
    gradient = torch.stack(gradients).square().mean((1, 2)).sqrt().numpy()
    gradient = gradient / gradient[0]
    lag = np.arange(STEPS)
    return {
        "lag": lag,
        "gradient": gradient,
        "theory": theory.recurrent_decay("tanh", STEPS - 1, sigma_w, sigma_x=sigma_x),
        "factor": float(np.exp(np.polyfit(lag, np.log(gradient), 1)[0])),
        "factor_theory": float(theory.recurrent_factor("tanh", sigma_w, sigma_x)),
        "felt": int(np.flatnonzero(gradient >= SHARE)[-1]),
        "radius": float(torch.linalg.eigvals(w).abs().max()),
    }


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    factor, felt = arrays["factor"], arrays["felt"]
    half = f", a half-life of {two_digits(np.log(2) / -np.log(factor))} steps" if factor < 0.999 else ""
    last = f"the last lag felt at 1 % is {felt}" if felt < STEPS - 1 else f"all {STEPS} lags are felt at 1 %"
    return (
        f"{_network(params)}, spectral radius {two_digits(arrays['radius'])}: each step back multiplies the gradient "
        f"by {factor:.2f} (theory: {arrays['factor_theory']:.2f}){half}; {last}."
    )


def _network(params):
    return f"σ_w = {params['sigma_w']:.3g}, σ_x = {params['sigma_x']:.3g}, {PARAMETERS[2].options[params['init']]} W"


def _finding(arrays):
    if arrays["felt"] < STEPS - 1:
        return f"Nothing beyond {arrays['felt']} steps is felt at 1 %"
    last = arrays["gradient"][-1]
    return f"After {STEPS} steps the gradient is {two_digits(last)} times as large"


class View:
    """The figure: gradient against lag, theory dashed, what is felt shaded."""

    def __init__(self):
        self.frame = None
        self.figure = style.bare_figure((7.4, 4.3))
        self.ax = ax = view.axes(self.figure, (0.085, 0.115, 0.735, 0.715))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        ax.set_xlim(0, STEPS - 1)
        style.write(ax.set_xlabel, "lag (steps back from the loss)", loc="right")
        ax.axhline(1, color=style.GREY, linewidth=1)
        looks = {
            "measured": {"color": style.COLOURS[0], "marker": "o", "linewidth": 1.6, "markeredgecolor": "white"},
            "theory": {"color": style.TEXT, "linestyle": view.DASHED, "linewidth": 1.4},
            "1 %": {"color": style.COLOURS[1], "linestyle": view.DOTTED, "linewidth": 1.8},
        }
        lines = {name: ax.plot([], [], **look, zorder=3)[0] for name, look in looks.items()}
        lines["measured"].set_markevery(10)
        lines["1 %"].set_data([0, STEPS - 1], [SHARE, SHARE])
        self.felt = ax.axvspan(0, 1, color=style.COLOURS[1], alpha=0.10, linewidth=0)
        self.labels = view.EndLabels(ax, looks, side="right")
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"title": self.title, "subtitle": self.subtitle, "felt": self.felt}
        self.moving |= lines | self.labels.artists

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        drawn = {"measured": arrays["gradient"], "theory": arrays["theory"]}
        self._frame_for(*drawn.values())
        for name, values in drawn.items():
            self.moving[name].set_data(arrays["lag"], values)
        self.felt.set_width(arrays["felt"])
        self.labels.place({name: values[-1] for name, values in drawn.items()} | {"1 %": SHARE})
        self.title.set_text(_finding(arrays))
        self.subtitle.set_text(f"Gradient of each state, rms, relative to lag 0: {_network(params)}")

    def _frame_for(self, *profiles):
        values = np.log10(np.concatenate(profiles))
        frame = -view.level(-values.min(), _DOWN), view.level(values.max(), _UP)
        if frame != self.frame:
            self.frame = frame
            view.log_axis(self.ax, *frame)
