"""Gradient cascade: how much of the last layer's gradient arrives in each layer. Lesson 1."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from .. import theory
from ..figures import style
from ..figures.profiles import decades_per_layer
from ..probe import gradient_profile
from . import network, view
from .parameters import ACT, Choice, Number, two_digits

BATCH = 64
COMPUTED = f"forward and backward through the real network, {BATCH} digits, seed 0"
PARAMETERS = (
    Number("depth", "depth:", 2, 60, unit=" layers", whole=True),
    Number("sigma_w", "weight scale: σ_w =", 0.2, 4, step=0.05),
    ACT,
    Choice("init", "weights", {"normal": "scaled normal", "default": "torch default"}),
)
PRESETS = {
    "sigmoid, Xavier": {"depth": 30, "act": "sigmoid", "init": "normal", "sigma_w": 1.0},
    "tanh, torch default": {"depth": 30, "act": "tanh", "init": "default", "sigma_w": theory.TORCH_DEFAULT},
    "ReLU, He": {"depth": 30, "act": "relu", "init": "normal", "sigma_w": 2**0.5},
    "exploding: tanh, σ_w = 3": {"depth": 30, "act": "tanh", "init": "normal", "sigma_w": 3.0},
}
ENDS = {"end of fp16": 6e-8, "end of fp32": 1.2e-38}  # least subnormal and least normal number
_DOWN, _UP, _DEPTHS = (5, 10, 20, 40, 80), (1.5, 5, 10, 20, 40), (15, 30, 60)  # where the axes may end


def settle(params, changed):
    """Keep `init` and `sigma_w` in step: torch's default has its own sigma_w, and turning sigma_w leaves it."""
    if params["init"] != "default" or params["sigma_w"] == theory.TORCH_DEFAULT:
        return params
    return params | ({"init": "normal"} if changed == "sigma_w" else {"sigma_w": theory.TORCH_DEFAULT})


def compute(params):
    """Return the rms of dL/dh by layer relative to the last, measured and predicted, each (depth,)."""
    depth, act, default = params["depth"], params["act"], params["init"] == "default"
    sigma_w, sigma_b = params["sigma_w"], (theory.TORCH_DEFAULT * network.WIDTH**-0.5 if default else 0.0)
    model = network.build(depth, act, None if default else sigma_w)
    table = gradient_profile(model, *network.batch(BATCH))
    grad_rms = table.grad_rms[table.layer.str.startswith("act")].to_numpy()
    q0 = network.first_variance(BATCH, sigma_w, sigma_b)
    return {
        "layer": np.arange(1, depth + 1),
        "gradient": grad_rms / grad_rms[-1],
        "theory": theory.gradient_profile(act, depth, sigma_w, sigma_b, q0=q0),
        "grad_rms": grad_rms,
    }


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    measured, predicted = (-decades_per_layer(arrays[key]) for key in ("gradient", "theory"))
    return (
        f"A {_network(params)}: towards the input the gradient changes by {_signed(measured)} decades per layer "
        f"(theory: {_signed(predicted)}); layer 1 receives {two_digits(arrays['gradient'][0])} times the gradient of "
        f"the last layer, an rms of {two_digits(arrays['grad_rms'][0])}."
    )


def _signed(decades):
    return f"{round(decades, 2) + 0.0:.2f}".replace("-", "−")


def _network(params):
    weights = "torch's default weights" if params["init"] == "default" else f"σ_w = {params['sigma_w']:.3g}"
    return f"{ACT.options[params['act']]} network, {params['depth']} layers, {weights}"


def _finding(share):
    if 0.5 < share < 2:
        return "Layer 1 hears the loss as loudly as the last layer"
    if share < 1:
        return f"Layer 1 hears {two_digits(share)} of what the last layer hears"
    return f"Layer 1 hears {two_digits(share)} times what the last layer hears"


class View:
    """The figure: a bar per layer down from (or up from) the last layer's gradient, theory dashed, a guess dotted."""

    def __init__(self, guess=None):
        self.guess, self.frame = _check_guess(guess), None
        self.figure = style.bare_figure((7.4, 4.3))
        self.ax = ax = view.axes(self.figure, (0.205, 0.115, 0.73, 0.715))
        ax.yaxis.tick_right()
        ax.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
        style.write(ax.set_xlabel, "layer (1 = closest to the input)", loc="right")
        ax.axhline(1, color=style.GREY, linewidth=1)
        looks = {
            "measured": {"color": style.COLOURS[0], "marker": "o", "linewidth": 1.2, "markeredgecolor": "white"},
            "theory": {"color": style.TEXT, "linestyle": view.DASHED, "linewidth": 1.4},
        }
        if self.guess:
            looks[self._guess_name] = {"color": style.COLOURS[1], "linestyle": view.DOTTED, "linewidth": 2.2}
        looks |= {name: {"color": style.COLOURS[3], "linewidth": 1.4, "linestyle": (0, (8, 3))} for name in ENDS}
        (self.bars,) = ax.plot([], [], color=style.COLOURS[0], alpha=0.28, solid_capstyle="butt")
        lines = {name: ax.plot([], [], **look, zorder=3)[0] for name, look in looks.items()}
        self.labels = view.EndLabels(ax, looks, side="left")
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"bars": self.bars, "title": self.title, "subtitle": self.subtitle}
        self.moving |= lines | self.labels.artists

    @property
    def _guess_name(self):
        return f"your guess, {self.guess:.3g}"

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        layer, gradient = arrays["layer"], arrays["gradient"]
        self._frame_for(layer[-1], gradient, arrays["theory"])
        drawn = {"measured": gradient, "theory": arrays["theory"]}
        if self.guess:
            drawn[self._guess_name] = self.guess ** (layer[-1] - layer.astype(float))
        for name, values in drawn.items():
            self.moving[name].set_data(layer, values)
        ends = self._place_number_formats(arrays["grad_rms"][-1])
        bars = np.stack([np.ones(len(layer)), gradient, np.full(len(layer), np.nan)], axis=1)
        self.bars.set_data(np.repeat(layer, 3), bars.ravel())
        self.labels.place({name: values[0] for name, values in drawn.items()} | ends)
        self.title.set_text(_finding(gradient[0]))
        self.subtitle.set_text(f"Gradient of each layer, rms, relative to the last: {_network(params)}")

    def _place_number_formats(self, last):
        """Draw where float16 and float32 end if that is in the picture; return those heights by name."""
        low, high = self.ax.get_ylim()
        heights = {name: end / last for name, end in ENDS.items()}
        for name, height in heights.items():
            self.moving[name].set_data([0, _DEPTHS[-1] + 1], [height, height])
            self.moving[name].set_visible(bool(low < height < high))
        return {name: height for name, height in heights.items() if low < height < high}

    def _frame_for(self, depth, *profiles):
        values = np.log10(np.concatenate(profiles))
        frame = -view.level(-values.min(), _DOWN), view.level(values.max(), _UP), view.level(depth, _DEPTHS)
        if frame == self.frame:
            return
        self.frame = frame
        view.log_axis(self.ax, *self.frame[:2])
        self.ax.set_xlim(0.3, self.frame[2] + 0.7)
        inches = self.ax.get_position().width * self.figure.get_figwidth()
        self.bars.set_linewidth(0.62 * 72 * inches / self.frame[2])


def _check_guess(guess):
    if guess is None or guess is ...:
        return None
    if isinstance(guess, bool) or not isinstance(guess, (int, float)) or not 0 < guess < float("inf"):
        raise ValueError(
            f"guess is the factor on the gradient per layer and must be a number above 0; got {guess!r}: "
            "try one such as 0.25, or leave it out."
        )
    return float(guess)
