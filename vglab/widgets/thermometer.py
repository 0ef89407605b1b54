"""Variance thermometer: signals on their way forward beside gradients on their way back. Lesson 3."""

import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator

from .. import theory
from ..figures import style
from ..probe import gradient_profile
from . import network, view
from .parameters import ACT, Number, two_digits

BATCH = 64
COMPUTED = f"forward and backward through the real network, {BATCH} digits, seed 0"
PARAMETERS = (
    Number("sigma_w", "weight scale: σ_w =", 0.1, 4, log=True, step=0.02),
    Number("depth", "depth:", 2, 40, unit=" layers", whole=True),
    ACT,
)
MARKS = {"torch": theory.TORCH_DEFAULT, "Xavier": 1.0, "He": 2**0.5}
PRESETS = {
    "torch's σ_w on ReLU": {"act": "relu", "sigma_w": theory.TORCH_DEFAULT, "depth": 20},
    "He on ReLU": {"act": "relu", "sigma_w": 2**0.5, "depth": 20},
    "Xavier on tanh": {"act": "tanh", "sigma_w": 1.0, "depth": 20},
    "Xavier on sigmoid": {"act": "sigmoid", "sigma_w": 1.0, "depth": 20},
    "too large: ReLU, σ_w = 3": {"act": "relu", "sigma_w": 3.0, "depth": 20},
}
_STEPS = (3, 8, 12, 20, 35, 70)
_PANES = {"h_rms": "forward →  rms of the signal h", "gradient": "← backward  rms of the gradient, last = 1"}


def compute(params):
    """Return the rms of h and that of dL/dh relative to the last layer, measured and predicted, each (depth,)."""
    depth, act, sigma_w = params["depth"], params["act"], params["sigma_w"]
    table = gradient_profile(network.build(depth, act, sigma_w), *network.batch(BATCH))
    rows = table[table.layer.str.startswith("act")]
    q0 = network.first_variance(BATCH, sigma_w)
    q = theory.variance_profile(act, depth, sigma_w, q0=q0)
    return {
        "layer": np.arange(1, depth + 1),
        "h_rms": rows.h_rms.to_numpy(),
        "h_rms_theory": np.sqrt(theory.mean_square(act, q)),
        "gradient": (rows.grad_rms / rows.grad_rms.iloc[-1]).to_numpy(),
        "gradient_theory": theory.gradient_profile(act, depth, sigma_w, q0=q0),
    }


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    forward, forward_theory = (arrays[key][-1] / arrays[key][0] for key in ("h_rms", "h_rms_theory"))
    return (
        f"A {_network(params)}: from the first layer to the last the signal's rms is multiplied by "
        f"{two_digits(forward)} (theory: {two_digits(forward_theory)}), and on the way back the gradient's by "
        f"{two_digits(arrays['gradient'][0])} (theory: {two_digits(arrays['gradient_theory'][0])})."
    )


def _network(params):
    return f"{ACT.options[params['act']]} network, {params['depth']} layers, σ_w = {params['sigma_w']:.3g}"


def _finding(forward, backward):
    if all(0.2 < ratio < 5 for ratio in (forward, backward)):
        return "Signal and gradient both hold"
    return f"The signal {_fate(forward)}, the gradient {_fate(backward)}"


def _fate(ratio):
    if 0.2 < ratio < 5:
        return "holds"
    return f"{'shrinks' if ratio < 1 else 'grows'} {two_digits(max(ratio, 1 / ratio))}-fold"


class View:
    """The figure: a thermometer of sigma_w at the left, forward and backward side by side on one scale."""

    def __init__(self):
        self.figure = style.bare_figure((7.4, 4.3))
        self.frame = None
        self.dial = self._make_dial((0.105, 0.115, 0.035, 0.655))
        self.panes = {"h_rms": view.axes(self.figure, (0.235, 0.115, 0.345, 0.655))}
        self.panes["gradient"] = view.axes(self.figure, (0.585, 0.115, 0.345, 0.655))
        self.panes["gradient"].yaxis.tick_right()
        self.panes["h_rms"].tick_params(labelleft=False)
        style.write(self.panes["gradient"].set_xlabel, "layer (1 = closest to the input)", loc="right")
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"title": self.title, "subtitle": self.subtitle}
        for (name, pane), colour, marker in zip(self.panes.items(), style.COLOURS, style.MARKERS, strict=False):
            self._make_pane(name, pane, {"color": colour, "marker": marker, "markeredgecolor": "white"})
        self._make_mercury()

    def _make_dial(self, box):
        dial = view.axes(self.figure, box)
        dial.set(xlim=(0, 1), ylim=(0.1, 4), yscale="log")
        dial.grid(False)
        dial.set_xticks([])
        dial.yaxis.set_minor_locator(NullLocator())
        dial.set_yticks(list(MARKS.values()), [f"{name} {value:.2g}" for name, value in MARKS.items()])
        dial.plot([0.5], [0.1], marker="o", markersize=22, color=style.COLOURS[1], clip_on=False, zorder=4)
        style.write(dial.set_title, "σ_w", fontsize=10, color=style.TEXT, pad=5)
        for value in MARKS.values():
            dial.axhline(value, color=style.GREY, linewidth=1, zorder=4)
        dial.tick_params(labelcolor=style.TEXT, pad=4)
        for spine in dial.spines.values():
            spine.set(visible=True, color=style.GREY)
        dial.spines["bottom"].set_visible(False)  # the bulb
        return dial

    def _make_mercury(self):
        self.moving["mercury"] = self.dial.fill([0], [0], color=style.COLOURS[1], linewidth=0, zorder=3)[0]
        self.moving["sigma_w"] = style.write(
            *(self.dial.text, 1.35, 1, ""), font=style.SEMIBOLD, fontsize=10, color=style.TEXT, va="center"
        )

    def _make_pane(self, name, pane, look):
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
        style.write(pane.annotate, _PANES[name], (0, 1), (0, 4), fontsize=10, color=style.TEXT, **place)
        pane.axhline(1, color=style.GREY, linewidth=1)
        pane.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        (self.moving[name],) = pane.plot([], [], linewidth=1.6, **look)
        dashed = {"color": style.TEXT, "linestyle": view.DASHED, "linewidth": 1.4}
        (self.moving[f"{name}_theory"],) = pane.plot([], [], zorder=4, **dashed)

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        for name in self.panes:
            for key in (name, f"{name}_theory"):
                self.moving[key].set_data(arrays["layer"], arrays[key])
            self.moving[name].set_markevery(max(1, params["depth"] // 10))
        self._frame_for(arrays)
        sigma_w = params["sigma_w"]
        self.moving["mercury"].set_xy([(0, 0.1), (1, 0.1), (1, sigma_w), (0, sigma_w)])
        self.moving["sigma_w"].set_y(sigma_w)
        self.moving["sigma_w"].set_text(f"{sigma_w:.3g}")
        self.title.set_text(_finding(arrays["h_rms"][-1] / arrays["h_rms"][0], arrays["gradient"][0]))
        self.subtitle.set_text(f"{_network(params)}. Dashed: theory")

    def _frame_for(self, arrays):
        values = np.log10(np.concatenate([value for key, value in arrays.items() if key != "layer"]))
        low, high = -view.level(0.2 - values.min(), _STEPS), view.level(0.2 + values.max(), _STEPS)
        frame = low, high, view.level(len(arrays["layer"]), (10, 20, 40))
        if frame == self.frame:
            return
        self.frame = frame
        for pane in self.panes.values():
            view.log_axis(pane, low, high)
            pane.set_xlim(0.3, self.frame[2] + 0.7)
