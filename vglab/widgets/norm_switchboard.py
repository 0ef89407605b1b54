"""Norm switchboard: what a normalization before the activation does to the gradient, layer by layer. Lesson 8."""

import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator

from .. import nets, theory
from ..figures import style
from ..probe import gradient_profile
from . import network, view
from .parameters import Choice, Number, two_digits

COMPUTED = "forward and backward through the real network with Xavier's weights, seed 0"
NORMS = {"none": None, "batch": "batch", "layer": "layer", "rms": "rms"}
_ACTS = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU", "selu": "SELU", "gelu": "GELU", "silu": "SiLU"}
_NAMES = {"none": "no norm", "batch": "BatchNorm", "layer": "LayerNorm", "rms": "RMSNorm"}
PARAMETERS = (
    Choice("act", "activation", _ACTS),
    Choice("norm", "before each activation", _NAMES),
    Number("batch", "batch:", 5, 128, unit=" digits", whole=True),
    Number("depth", "depth:", 5, 50, unit=" layers", whole=True),
)
PRESETS = {
    "sigmoid, no norm": {"act": "sigmoid", "norm": "none", "batch": 64, "depth": 20},
    "sigmoid, LayerNorm": {"act": "sigmoid", "norm": "layer", "batch": 64, "depth": 20},
    "sigmoid, BatchNorm": {"act": "sigmoid", "norm": "batch", "batch": 64, "depth": 20},
    "ReLU, BatchNorm": {"act": "relu", "norm": "batch", "batch": 64, "depth": 50},
    "ReLU, BatchNorm, 8 digits": {"act": "relu", "norm": "batch", "batch": 8, "depth": 50},
}
_STEPS = (2, 4, 8, 14, 20, 34, 60)
_FACTORS = (0.1, 0.25, 0.5, 1, 2)


def compute(params):
    """The gradient's rms relative to the last layer, measured and predicted, (depth,), and the factors per layer.

    ``factors`` holds theory's factor for each norm in the order of `NORMS`, ``factor`` the measured one.
    """
    act, depth, batch = params["act"], params["depth"], params["batch"]
    norm = NORMS[params["norm"]]
    model = nets.mlp(depth, network.WIDTH, act=act, sigma_w=1.0, norm=norm, seed=0).to(network.float64)
    table = gradient_profile(model, *network.batch(batch))
    signal = table[table.layer.str.startswith("act")].grad_rms.to_numpy()
    known = {"q0": network.first_variance(batch, 1.0)} if norm is None else {}
    known |= {"batch": batch} if norm == "batch" else {}
    return {
        "gradient": signal / signal[-1],
        "gradient_theory": theory.gradient_profile(act, depth, 1.0, norm=norm, **known),
        "factor": np.array((signal[0] / signal[-1]) ** (1 / (depth - 1))),
        "factors": np.array([_factor(act, norm, batch) for norm in NORMS.values()]),
    }


def _factor(act, norm, batch):
    return theory.layer_factor(act, 1.0, norm=norm, batch=batch if norm == "batch" else None)


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    predicted = arrays["gradient_theory"][0] ** (1 / (params["depth"] - 1))
    return (
        f"A {_network(params)}: per layer towards the input the gradient is multiplied by {arrays['factor']:.2f} "
        f"(theory: {predicted:.2f}), from the last layer to the first by {two_digits(arrays['gradient'][0])}."
    )


def _network(params):
    act, norm = _ACTS[params["act"]], _NAMES[params["norm"]]
    return f"{act} network of {params['depth']} layers with {norm}, {params['batch']} digits"


def _finding(ratio):
    if 0.1 < ratio < 10:
        return "The gradient holds"
    if ratio < 1:
        return f"The gradient vanishes: {two_digits(ratio)} of it arrives"
    return f"The gradient explodes, {two_digits(ratio)}-fold"


class View:
    """The figure: the profile at the left, theory's factor of every norm at the right, the measured one beside it."""

    def __init__(self):
        self.figure, self.frame, self.moving = style.bare_figure((7.4, 3.9)), None, {}
        self.profile = view.axes(self.figure, (0.085, 0.14, 0.47, 0.6))
        self.factors = view.axes(self.figure, (0.735, 0.14, 0.24, 0.6))
        for pane, words in ((self.profile, "rms gradient, last layer = 1"), (self.factors, "factor per layer")):
            place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
            style.write(pane.annotate, words, (0, 1), (0, 4), fontsize=10, color=style.TEXT, **place)
        self.profile.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        self.profile.axhline(1, color=style.GREY, linewidth=1)
        style.write(self.profile.set_xlabel, "layer (1 = closest to the input)", loc="right")
        self._make_factors()
        look = {"color": style.COLOURS[0], "markeredgecolor": "white"}
        (self.moving["gradient"],) = self.profile.plot([], [], marker="o", linewidth=1.6, **look)
        dashed = {"color": style.TEXT, "linestyle": view.DASHED, "linewidth": 1.4}
        (self.moving["gradient_theory"],) = self.profile.plot([], [], zorder=4, **dashed)
        self.title, self.subtitle = view.headline(self.figure)
        self.moving |= {"title": self.title, "subtitle": self.subtitle}

    def _make_factors(self):
        pane, rows = self.factors, np.arange(len(NORMS))
        pane.set(xscale="log", xlim=(0.1, 2.2), ylim=(len(NORMS) - 0.5, -0.5))
        pane.xaxis.set_minor_locator(NullLocator())
        pane.set_xticks(_FACTORS, [f"{factor:g}" for factor in _FACTORS])
        pane.set_yticks(rows, _NAMES.values())
        pane.tick_params(axis="y", labelcolor=style.TEXT)
        pane.axvline(1, color=style.GREY, linewidth=1)
        place = {"linestyle": "", "zorder": 4}
        (self.moving["factors"],) = pane.plot([], [], marker="|", markersize=18, color=style.TEXT, **place)
        look = {"marker": "o", "markersize": 8, "color": style.COLOURS[0], "markeredgecolor": "white"}
        (self.moving["factor"],) = pane.plot([], [], **look, **place)

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        layer = np.arange(1, params["depth"] + 1)
        for key in ("gradient", "gradient_theory"):
            self.moving[key].set_data(layer, arrays[key])
        self.moving["gradient"].set_markevery(max(1, params["depth"] // 10))
        self.moving["factors"].set_data(arrays["factors"], np.arange(len(NORMS)))
        self.moving["factor"].set_data([arrays["factor"]], [list(NORMS).index(params["norm"])])
        self._frame_for(arrays)
        self.title.set_text(_finding(arrays["gradient"][0]))
        self.subtitle.set_text(f"{_network(params)}. Dashes: theory")

    def _frame_for(self, arrays):
        values = np.log10(np.concatenate([arrays["gradient"], arrays["gradient_theory"]]))
        low, high = -view.level(0.2 - values.min(), _STEPS), view.level(0.2 + values.max(), _STEPS)
        frame = low, high, view.level(len(arrays["gradient"]), (10, 20, 30, 50))
        if frame != self.frame:
            self.frame = frame
            view.log_axis(self.profile, low, high)
            self.profile.set_xlim(0.3, frame[2] + 0.7)
