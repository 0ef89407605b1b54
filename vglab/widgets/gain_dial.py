"""Gain dial: what a layer does to signal and gradient at every weight scale, the known rules marked. Lesson 7."""

from functools import cache

import numpy as np
import torch
from matplotlib.ticker import NullLocator

from .. import theory
from ..figures import style
from . import network, view
from .parameters import ACT, Number

BATCH, SEEDS = 64, 3
COMPUTED = f"forward and backward through {SEEDS} real networks, {BATCH} digits"
PARAMETERS = (
    Number("sigma_w", "weight scale: σ_w =", 0.3, 16, log=True, step=0.01),
    ACT,
    Number("depth", "depth:", 10, 40, unit=" layers", whole=True),
)
MARKS = {"torch": theory.TORCH_DEFAULT, "Xavier": 1.0, "He": 2**0.5, "5/3": 5 / 3}
PRESETS = {
    "Xavier on tanh": {"act": "tanh", "sigma_w": 1.0, "depth": 20},
    "5/3 on tanh": {"act": "tanh", "sigma_w": 5 / 3, "depth": 20},
    "He on ReLU": {"act": "relu", "sigma_w": 2**0.5, "depth": 20},
    "Xavier on ReLU": {"act": "relu", "sigma_w": 1.0, "depth": 20},
    "Xavier on sigmoid": {"act": "sigmoid", "sigma_w": 1.0, "depth": 20},
}
DIAL = np.geomspace(0.3, 16, 70)
_LEVEL = 0.05  # a factor within so much of 1 is called level


def compute(params):
    """Return the factor per layer on the rms of signal and gradient in the deeper half of the network.

    forward, backward : measured at `sigma_w`, the geometric mean over seeds; forward_theory, backward_theory : there.
    forward_curve, backward_curve : theory at each scale of `DIAL`, (70,).
    """
    act, depth, sigma_w = params["act"], params["depth"], params["sigma_w"]
    measured = np.exp(np.mean(np.log([_measured(act, depth, sigma_w, seed) for seed in range(SEEDS)]), axis=0))
    predicted, curves = factors(act, depth, np.array([sigma_w]))[:, 0], _curves(act, depth)
    names = ("forward", "backward")
    return {
        **dict(zip(names, measured.tolist(), strict=True)),
        **dict(zip([f"{name}_theory" for name in names], predicted.tolist(), strict=True)),
        **dict(zip([f"{name}_curve" for name in names], curves, strict=True)),
    }


def _measured(act, depth, sigma_w, seed):
    """(forward, backward) of one network: rms of h and of dL/dh, last layer against the one half-way."""
    x, y = network.batch(BATCH)
    model = network.build(depth, act, sigma_w, seed=seed)
    half = depth // 2
    with torch.enable_grad():
        first = model[: 2 * half](x).requires_grad_()  # the children alternate: linear, activation
        last = model[2 * half : 2 * depth](first)
        loss = torch.nn.functional.cross_entropy(model[2 * depth :](last), y)
        gradients = torch.autograd.grad(loss, [first, last])
    ratio = lambda a, b: (a.detach().square().mean() / b.detach().square().mean()).item() ** (0.5 / (depth - half))
    return ratio(last, first), ratio(*gradients)


def factors(act, depth, sigma_w):
    """What theory says of the same layers: sigma_w: (n,) to (forward, backward), (2, n)."""
    half, q = depth // 2, [sigma_w**2 * network.first_variance(BATCH, 1.0)]
    while len(q) < depth:
        q.append(theory.q_map(act, q[-1], sigma_w))
    forward = np.sqrt(theory.mean_square(act, q[-1]) / theory.mean_square(act, q[half - 1]))
    backward = np.prod(sigma_w * theory.rms_slope(act, np.array(q[half:])), axis=0)
    return np.array([forward, backward]) ** (1 / (depth - half))


@cache
def _curves(act, depth):
    return factors(act, depth, DIAL)


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    forward, forward_theory, backward, backward_theory = (
        f"{arrays[key]:.2f}" for key in ("forward", "forward_theory", "backward", "backward_theory")
    )
    return (
        f"A {_network(params)}: in its deeper half each layer multiplies the signal's rms by {forward} on the way up "
        f"(theory: {forward_theory}) and the gradient's by {backward} on the way down (theory: {backward_theory})."
    )


def _network(params):
    return f"{ACT.options[params['act']]} network, {params['depth']} layers, σ_w = {params['sigma_w']:.3g}"


def _finding(arrays):
    fate = {-1: "shrinks", 0: "is level", 1: "grows"}
    signal, gradient = (fate[_sign(arrays[key])] for key in ("forward", "backward"))
    if signal == gradient == "is level":
        return "Signal and gradient are level"
    return f"The signal {signal}, the gradient {gradient}"


def _sign(factor):
    return 0 if abs(factor - 1) < _LEVEL else 1 if factor > 1 else -1


class View:
    """The figure: both factors against the weight scale, the rules marked, and the measured network on the dial."""

    def __init__(self):
        self.figure, self.frame = style.bare_figure((7.4, 4.3)), None
        self.ax = ax = view.axes(self.figure, (0.06, 0.115, 0.785, 0.70))
        ax.set(xscale="log", xlim=(DIAL[0], DIAL[-1]))
        view.log_axis(ax, np.log10(0.05), np.log10(20))
        ax.set_yticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
        ax.set_xticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
        ax.xaxis.set_minor_locator(NullLocator())
        style.write(ax.set_xlabel, "weight scale σ_w, logarithmic", loc="right")
        ax.axhline(1, color=style.GREY, linewidth=1)
        self._mark_rules()
        looks = {
            "forward": {"color": style.COLOURS[0], "linewidth": 2.6},
            "backward": {"color": style.COLOURS[1], "linewidth": 1.6, "linestyle": view.DASHED},
        }
        self.moving = {"dial": ax.axvline(1, color=style.TEXT, linewidth=1.2, zorder=2)}
        for (name, look), marker in zip(looks.items(), style.MARKERS, strict=False):
            (self.moving[f"{name} curve"],) = ax.plot(DIAL, np.ones(len(DIAL)), zorder=3, **look)
            dot = {"marker": marker, "markersize": 9, "markeredgecolor": "white", "linestyle": "", "zorder": 5}
            (self.moving[name],) = ax.plot([1], [1], color=look["color"], **dot)
        self.labels = view.EndLabels(ax, looks, side="right")
        self.title, self.subtitle = view.headline(self.figure)
        self.moving |= {"title": self.title, "subtitle": self.subtitle} | self.labels.artists

    def _mark_rules(self):
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "bottom"}
        for name, value in MARKS.items():
            self.ax.axvline(value, color=style.GREY, linestyle=":", linewidth=1.2, zorder=1)
            ha, dx = ("left", -3) if name == "5/3" else ("center", 0)
            look = {"fontsize": 9.5, "color": style.GREY, "ha": ha}
            style.write(self.ax.annotate, name, (value, 1), (dx, 3), **look, **place)

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        sigma_w, curves = params["sigma_w"], {name: arrays[f"{name}_curve"] for name in ("forward", "backward")}
        self.moving["dial"].set_xdata([sigma_w, sigma_w])
        for name, curve in curves.items():
            self.moving[f"{name} curve"].set_ydata(curve)
            self.moving[name].set_data([sigma_w], [arrays[name]])
        self.labels.place({name: curve[-1] for name, curve in curves.items()})
        self.title.set_text(_finding(arrays))
        self.subtitle.set_text(f"Factor per layer. Curves: theory; points: measured, {_network(params)}")
