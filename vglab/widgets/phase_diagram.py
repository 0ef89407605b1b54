"""Phase diagram: a cursor on the map of order and chaos, and one real network at that place. Lesson 12."""

import warnings
from functools import cache

import numpy as np
import torch
from matplotlib.colors import LogNorm

from .. import nets, theory
from ..figures import style
from . import network, view
from .parameters import Choice, Number, two_digits

BATCH, DEPTH, LONGEST = 32, 30, 100.0
COMPUTED = f"forward and backward through one real network of {DEPTH} layers, {BATCH} digits, seed 0"
ACT = Choice("act", "activation", {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "ReLU"})
PARAMETERS = (
    Number("sigma_w", "weight scale: σ_w =", 0.3, 3, step=0.02),
    Number("sigma_b", "bias scale: σ_b =", 0, 1, step=0.02),
    ACT,
)
PRESETS = {
    "order": {"act": "tanh", "sigma_w": 0.8, "sigma_b": 0.2},
    "the edge": {"act": "tanh", "sigma_w": 1.3, "sigma_b": 0.2},
    "chaos": {"act": "tanh", "sigma_w": 2.0, "sigma_b": 0.2},
    "He on ReLU": {"act": "relu", "sigma_w": 2**0.5, "sigma_b": 0.0},
}
SIGMA_W, SIGMA_B = np.linspace(0.3, 3, 60), np.linspace(0, 1, 40)
_STEPS = (3, 6, 12, 25, 50)


@cache
def plane(act):
    """(xi_c, chi) of theory, (40, 60) each over `SIGMA_B` and `SIGMA_W`; xi_c between 1 and `LONGEST` layers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", theory.TheoryWarning)
        table = theory.phase_diagram(act, SIGMA_W, SIGMA_B)
    xi, chi = (table[name].to_numpy().reshape(len(SIGMA_B), len(SIGMA_W)) for name in ("xi_c", "chi"))
    return np.clip(np.nan_to_num(xi, nan=1.0), 1, LONGEST), chi


def edge(act):
    """The edge of chaos on the map: (sigma_w, sigma_b), one point for each row in which chi passes 1."""
    found = []
    for sigma_b, chi in zip(SIGMA_B, plane(act)[1], strict=True):
        if chi[0] < 1 < chi[-1]:
            found.append((np.interp(1, chi, SIGMA_W), sigma_b))
    return np.array(found).reshape(-1, 2).T


def compute(params):
    """Return each layer's gradient and cosine, measured and predicted, and chi.

    layer, gradient (relative to the last layer), gradient_theory, cosine, cosine_theory: (30,) each; chi: a float.
    """
    act, sigma_w, sigma_b = params["act"], params["sigma_w"], params["sigma_b"]
    gradient, cosine = _measured(act, sigma_w, sigma_b)
    q0 = network.first_variance(BATCH, sigma_w, sigma_b)
    return {
        "layer": np.arange(1, DEPTH + 1),
        "gradient": gradient / gradient[-1],
        "gradient_theory": theory.gradient_profile(act, DEPTH, sigma_w, sigma_b, q0=q0),
        "cosine": cosine,
        "cosine_theory": _cosines(act, sigma_w, sigma_b, q0),
        "chi": theory.chi(act, sigma_w, sigma_b),
    }


def _measured(act, sigma_w, sigma_b):
    """rms of dL/dh and mean cosine between the preactivations of different digits, layer by layer."""
    x, y = network.batch(BATCH)
    model = nets.mlp(DEPTH, network.WIDTH, act=act, sigma_w=sigma_w, sigma_b=sigma_b, seed=0).double()
    h, signals, cosines = x, [], []
    with torch.enable_grad():
        for linear, activation in zip(model[: 2 * DEPTH : 2], model[1 : 2 * DEPTH : 2], strict=True):
            z = linear(h)
            h = activation(z)
            signals.append(h)
            cosines.append(_mean_cosine(z.detach()))
        gradients = torch.autograd.grad(torch.nn.functional.cross_entropy(model[2 * DEPTH](h), y), signals)
    return np.array([g.square().mean().sqrt().item() for g in gradients]), np.array(cosines)


def _mean_cosine(z):
    unit = z / z.norm(dim=1, keepdim=True)
    return ((unit @ unit.T).sum().item() - len(z)) / (len(z) * (len(z) - 1))


def _cosines(act, sigma_w, sigma_b, q0):
    """The correlation map along the variances of the layers, from the mean correlation of the digits in layer 1."""
    start = sigma_w**2 * network.first_variance(BATCH, 1.0) * _mean_cosine(network.batch(BATCH)[0]) + sigma_b**2
    line = [start / q0]
    for q in theory.variance_profile(act, DEPTH, sigma_w, sigma_b, q0=q0)[:-1]:
        line.append(min(1.0, theory.correlation_map(act, line[-1], sigma_w, sigma_b, q=q)))
    return np.array(line)


def _finer(values):
    """`values` on a grid four times as fine, straight lines between their logarithms."""
    values = np.log(values)
    for _ in range(2):
        places = np.arange(len(values))
        fine = np.linspace(0, len(values) - 1, 4 * len(values))
        values = np.array([np.interp(fine, places, column) for column in values.T])
    return np.exp(values)


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    return (
        f"A {_network(params)}: χ = {arrays['chi']:.2f}, {_phase(arrays['chi'])}; layer 1 receives "
        f"{two_digits(arrays['gradient'][0])} of the last layer's gradient (theory: "
        f"{two_digits(arrays['gradient_theory'][0])}), and the cosine between digits is {arrays['cosine'][-1]:.2f} in "
        f"layer {DEPTH} (theory: {arrays['cosine_theory'][-1]:.2f})."
    )


def _network(params):
    return f"{ACT.options[params['act']]} network, σ_w = {params['sigma_w']:.3g}, σ_b = {params['sigma_b']:.3g}"


def _phase(chi):
    return "near the edge of chaos" if abs(chi - 1) < 0.02 else "the ordered phase" if chi < 1 else "the chaotic phase"


class View:
    """The figure: the map with a cursor at the left, the gradient above the cosine at the right."""

    def __init__(self):
        self.figure, self.act, self.frame = style.bare_figure((7.4, 4.3)), None, None
        self.map = view.axes(self.figure, (0.075, 0.115, 0.435, 0.70))
        self.map.grid(False)
        self.image = self.map.imshow(
            np.ones((2, 2)), norm=LogNorm(1, LONGEST), cmap="viridis", aspect="auto", interpolation="none",
            origin="lower", extent=(SIGMA_W[0], SIGMA_W[-1], SIGMA_B[0], SIGMA_B[-1]),
        )  # fmt: skip
        (line,) = self.map.plot([], [], color=style.TEXT, linewidth=2.5, zorder=3)
        look = {"marker": "o", "markersize": 11, "color": style.COLOURS[1], "markeredgecolor": "white"}
        (cursor,) = self.map.plot([1], [0], linestyle="", clip_on=False, markeredgewidth=2, zorder=5, **look)
        self.map.set(xlim=(SIGMA_W[0], SIGMA_W[-1]), ylim=(SIGMA_B[0], SIGMA_B[-1]))
        style.write(self.map.set_xlabel, "weight scale σ_w", loc="right")
        self._above(self.map, "bias scale σ_b ↑; light: long depth scale")
        self.panes = {"gradient": view.axes(self.figure, (0.60, 0.53, 0.385, 0.285))}
        self.panes["cosine"] = view.axes(self.figure, (0.60, 0.115, 0.385, 0.285))
        self._above(self.panes["gradient"], "← rms gradient, last layer = 1")
        self._above(self.panes["cosine"], "cosine between digits →")
        self.panes["cosine"].set_ylim(-0.15, 1.05)
        style.write(self.panes["cosine"].set_xlabel, "layer", loc="right")
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"title": self.title, "subtitle": self.subtitle, "edge": line, "cursor": cursor}
        for (name, pane), colour in zip(self.panes.items(), style.COLOURS, strict=False):
            pane.set_xlim(0.5, DEPTH + 0.5)
            (self.moving[name],) = pane.plot([], [], color=colour, linewidth=1.8)
            dashed = {"color": style.TEXT, "linestyle": view.DASHED, "linewidth": 1.4}
            (self.moving[f"{name}_theory"],) = pane.plot([], [], zorder=4, **dashed)

    def _above(self, ax, words):
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
        style.write(ax.annotate, words, (0, 1), (0, 4), fontsize=10, color=style.TEXT, **place)

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        if params["act"] != self.act:
            self.act = params["act"]
            self.image.set_data(_finer(plane(self.act)[0]))
            self.moving["edge"].set_data(*edge(self.act))
        self.moving["cursor"].set_data([params["sigma_w"]], [params["sigma_b"]])
        for name in self.panes:
            for key in (name, f"{name}_theory"):
                self.moving[key].set_data(arrays["layer"], arrays[key])
        values = np.log10(np.concatenate([arrays["gradient"], arrays["gradient_theory"]]))
        frame = -view.level(0.2 - values.min(), _STEPS), view.level(0.2 + values.max(), _STEPS)
        if (self.act, *frame) != self.frame:
            self.frame = (self.act, *frame)
            view.log_axis(self.panes["gradient"], *frame)
        words = _phase(arrays["chi"])
        self.title.set_text(words[0].upper() + words[1:])
        self.subtitle.set_text(f"{_network(params)}, {DEPTH} layers, χ = {arrays['chi']:.2f}. Dashed: theory")
