"""Dead-unit map: for each unit of a network the share of examples that switch it on. Lesson 6."""

import numpy as np
import torch
from torch import nn

from ..figures import style
from ..probe import gradient_profile
from . import network, view
from .parameters import Number, two_digits

BATCH, DEPTH = 64, 12
COMPUTED = f"forward and backward through the real network of {DEPTH} layers, {BATCH} digits, seed 0"
PARAMETERS = (
    Number("bias", "every bias: b =", -1.5, 1.5, step=0.1),
    Number("sigma_w", "weight scale: σ_w =", 0.4, 3, log=True, step=0.02),
    Number("leak", "slope on the left: a =", 0, 0.5, step=0.01),
)
PRESETS = {
    "He, no biases": {"bias": 0.0, "sigma_w": 2**0.5, "leak": 0.0},
    "biases of -0.5": {"bias": -0.5, "sigma_w": 2**0.5, "leak": 0.0},
    "small weights, biases of -0.1": {"bias": -0.1, "sigma_w": 0.58, "leak": 0.0},
    "biases of -0.5 and a leak": {"bias": -0.5, "sigma_w": 2**0.5, "leak": 0.1},
}
TABLE = "bias"


def compute(params):
    """Return the share of examples above 0, (units, layers), the share of dead units and the gradient's ratio."""
    model = _network(params)
    on = _shares_on(model, network.batch(BATCH)[0])
    table = gradient_profile(model, *network.batch(BATCH))
    signal = table[table.layer.str.startswith("act")].grad_rms.to_numpy()
    dead = 0.0 if params["leak"] else (on == 0).mean()
    return {"on": on, "dead": np.array(dead), "arrives": np.array(signal[0] / signal[-1])}


def _network(params):
    model = network.build(DEPTH, nn.LeakyReLU(params["leak"]), params["sigma_w"])
    for layer in model[:-1:2]:
        nn.init.constant_(layer.bias, params["bias"])
    return model


@torch.no_grad()
def _shares_on(model, h):
    shares = []
    for linear, act in zip(model[:-1:2], model[1::2], strict=True):
        h = act(linear(h))
        shares.append((h > 0).double().mean(0).numpy())
    return np.stack(shares, axis=1)


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    off = (arrays["on"] == 0).mean()
    silent = f"{100 * off:.0f} % of the units are off for every one of the {BATCH} digits"
    if params["leak"] and off:
        silent += f" but pass on {params['leak']:.2g} of the gradient, so none is dead"
    arrives = arrays["arrives"].item()
    fate = f"is multiplied by {two_digits(arrives)}" if arrives else "does not arrive"
    return f"{silent[0].upper()}{silent[1:]}; from layer {DEPTH} back to layer 1 the gradient {fate}."


def _finding(params, arrays):
    never = f"{100 * (arrays['on'] == 0).mean():.0f} % of the units"
    return f"{never} are never on, none is dead" if params["leak"] else f"{never} are dead on these digits"


class View:
    """The figure: units (rows) by layers (columns), the colour says how often a unit is on."""

    def __init__(self):
        self.figure, self.frame = style.bare_figure((7.4, 4.3)), None
        self.pane = view.axes(self.figure, (0.1, 0.125, 0.75, 0.68))
        self.pane.grid(False)
        self.image = self.pane.imshow(
            np.zeros((network.WIDTH, DEPTH)),
            **{"vmin": 0, "vmax": 1, "cmap": "viridis", "aspect": "auto", "interpolation": "none"},
            extent=(0.5, DEPTH + 0.5, network.WIDTH + 0.5, 0.5),
        )
        ticks = {0: "never on", 0.5: "half", 1: "always"}
        view.colour_bar(self.figure, (0.875, 0.125, 0.02, 0.68), self.image, ticks)
        self.pane.set_xticks(range(1, DEPTH + 1))
        style.write(self.pane.set_xlabel, "layer (1 = closest to the input)", loc="right")
        style.write(self.pane.set_ylabel, "units, the busiest on top")
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"title": self.title, "subtitle": self.subtitle, "image": self.image}

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        self.image.set_data(-np.sort(-arrays["on"], axis=0))
        self.title.set_text(_finding(params, arrays))
        values = (f"{params[name]:.3g}".replace("-", "−") for name in ("bias", "sigma_w", "leak"))
        self.subtitle.set_text("{} layers, b = {}, σ_w = {}, slope on the left {}".format(DEPTH, *values))
