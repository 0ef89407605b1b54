"""Slope microscope: where a layer's preactivations fall on the activation and on its slope. Lesson 2."""

import numpy as np
import torch
from torch.special import ndtr

from .. import theory
from ..activations import as_module
from ..figures import style
from ..probe import SATURATED
from . import network, view
from .parameters import ACT, Number, two_digits

DEPTH, BATCH, SEEDS = 10, 64, 8
COMPUTED = f"forward and backward through {SEEDS} real networks of {DEPTH} layers, {BATCH} digits"
PARAMETERS = (
    Number("sigma_w", "weight scale: σ_w =", 0.2, 20, log=True, step=0.02),
    Number("layer", "layer:", 1, DEPTH, unit=f" of {DEPTH}", whole=True),
    ACT,
)
PRESETS = {
    "sigmoid, Xavier": {"act": "sigmoid", "sigma_w": 1.0, "layer": 5},
    "sigmoid, saturated": {"act": "sigmoid", "sigma_w": 20.0, "layer": 5},
    "tanh, torch's σ_w": {"act": "tanh", "sigma_w": theory.TORCH_DEFAULT, "layer": 5},
    "ReLU, He": {"act": "relu", "sigma_w": 2**0.5, "layer": 5},
}
TABLE = "layer"
EDGES = np.linspace(-8, 8, 81)
_FINE = np.linspace(-8, 8, 401)


def compute(params):
    """Return what layer `layer` does to the signal and the gradient, measured and predicted.

    share, share_theory : (80,) of the preactivations per bin of `EDGES`; below, above: share outside them.
    slope, saturated : rms of phi'(z), share of z with hardly a slope.
    factor : gradient rms before over behind the layer, the geometric mean over seeds.
    """
    sigma_w, act = params["sigma_w"], params["act"]
    passes = [_pass(params, seed) for seed in range(SEEDS)]
    z, before, behind = (torch.stack(part) for part in zip(*passes, strict=True))
    slope = slope_at(act, z).abs()
    q = theory.variance_profile(act, params["layer"], sigma_w, q0=network.first_variance(BATCH, sigma_w))[-1]
    predicted = theory.rms_slope(act, max(q, 1e-280))
    return {
        "share": np.histogram(z.numpy().ravel(), EDGES)[0] / z.numel(),
        "share_theory": np.diff(ndtr(torch.tensor(EDGES / max(q, 1e-280) ** 0.5)).numpy()),
        "below": (z < EDGES[0]).double().mean().item(),
        "above": (z > EDGES[-1]).double().mean().item(),
        "saturated": (slope < SATURATED * _greatest(act)).double().mean().item(),
        "slope": slope.square().mean().sqrt().item(),
        "slope_theory": predicted,
        "factor": (_rms(before) / _rms(behind)).log().mean().exp().item(),
        "factor_theory": sigma_w * predicted,
    }


def slope_at(act, z):
    """phi'(z), shape of z."""
    z = z.detach().clone().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(as_module(act)(z).sum(), z)[0]


def _greatest(act):
    return slope_at(act, torch.tensor(_FINE)).abs().max().item()


def _rms(gradients):
    """(seeds, batch, width) to (seeds,)."""
    return gradients.square().mean(dim=(1, 2)).sqrt()


def _pass(params, seed):
    """z of the layer, (batch, width), and dL/dh before and behind it; layer 1 has the pixels before it."""
    x, y = network.batch(BATCH)
    model = network.build(DEPTH, params["act"], params["sigma_w"], seed=seed)
    first = 2 * (params["layer"] - 1)  # the children alternate: linear, activation
    with torch.enable_grad():
        before = model[:first](x).detach().requires_grad_()
        z = model[first](before)
        behind = model[first + 1](z)
        loss = torch.nn.functional.cross_entropy(model[first + 2 :](behind), y)
        gradients = torch.autograd.grad(loss, [before, behind])
    return z.detach(), *gradients


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    slope, factor, predicted_slope, predicted = (
        two_digits(arrays[key]) for key in ("slope", "factor", "slope_theory", "factor_theory")
    )
    return (
        f"Layer {params['layer']} of a {ACT.options[params['act']]} network with σ_w = {params['sigma_w']:.3g}: "
        f"the rms slope is {slope} (theory: {predicted_slope}), {arrays['saturated']:.0%} of the values are saturated "
        f"(slope under a tenth of the greatest), and the gradient leaves the layer {factor} times as large as it came "
        f"(theory: σ_w × rms slope = {predicted})."
    )


def _finding(params, arrays):
    factor, slope, saturated = arrays["factor"], arrays["slope"], arrays["saturated"]
    start = f"Factor {two_digits(factor)} per layer"
    if saturated > 0.5 and params["act"] in ("sigmoid", "tanh"):
        return f"{start}: {saturated:.0%} of the values are saturated"
    if 0.9 < factor < 1.1:
        return f"{start}: weights and slopes are in balance"
    if factor > 1:
        return f"{start}: the weights outweigh the slopes"
    if saturated < 0.05 and slope < 0.5:
        return f"{start}: nothing is saturated, every slope is small"
    return f"{start}: weights times slopes stay below 1"


class View:
    """The figure: where z lies above, phi below it, and at the bottom phi' with the rms slope across."""

    def __init__(self):
        self.figure = style.bare_figure((7.4, 5.3))
        self.strip = view.axes(self.figure, (0.075, 0.705, 0.715, 0.135))
        self.curve = view.axes(self.figure, (0.075, 0.455, 0.715, 0.175), sharex=self.strip)
        self.slopes = view.axes(self.figure, (0.075, 0.1, 0.715, 0.28), sharex=self.strip)
        for ax in (self.strip, self.curve):
            ax.tick_params(labelbottom=False)
        self.strip.set_yticks([])
        self.strip.set_ylim(0, 1.12)
        self.curve.set_xlim(EDGES[0], EDGES[-1])
        style.write(self.slopes.set_xlabel, "preactivation z", loc="right")
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"title": self.title, "subtitle": self.subtitle}
        self._make_static()
        self._make_densities()
        self._make_levels()
        self.frame = None

    def _make_static(self):
        blue = {"color": style.COLOURS[0], "linewidth": 2.2}
        (self.phi,), (self.dphi,) = (ax.plot([], [], **blue, zorder=3) for ax in (self.curve, self.slopes))
        self.slopes.axhline(1, color=style.GREY, linewidth=1)
        above = {"fontsize": 10, "color": style.TEXT, "loc": "left", "pad": 4}
        self.phi_name = style.write(self.curve.set_title, "", **above)
        style.write(self.slopes.set_title, "its slope φ′(z)", **above)
        grey = {"fontsize": 9, "color": style.GREY, "va": "bottom"}
        style.write(self.slopes.text, -7.85, 1, "slope 1: the gradient passes whole", **grey)
        self.zones = []

    def _make_densities(self):
        self.moving["density"] = self.strip.fill([0], [0], color=style.COLOURS[3], alpha=0.6, linewidth=0, zorder=2)[0]
        dashed = {"color": style.TEXT, "linestyle": view.DASHED, "linewidth": 1}
        (self.moving["density theory"],) = self.strip.plot([], [], **dashed)
        above = {"fontsize": 10, "color": style.TEXT, "loc": "left", "pad": 4}
        style.write(self.strip.set_title, "where z lies", **above)
        self.moving["outside"] = style.write(
            *(self.strip.annotate, "", (1, 1), (0, 4)), xycoords="axes fraction", textcoords="offset points",
            fontsize=9.5, color=style.TEXT, ha="right", va="bottom",
        )  # fmt: skip

    def _make_levels(self):
        looks = {
            "rms slope": {"color": style.COLOURS[1], "linewidth": 1.8},
            "theory": {"color": style.TEXT, "linestyle": view.DASHED, "linewidth": 1.2},
        }
        for name, look in looks.items():
            (self.moving[name],) = self.slopes.plot([EDGES[0], EDGES[-1]], [0, 0], **look, zorder=4)
        self.labels = view.EndLabels(self.slopes, looks, side="right", gap=0.1)
        self.moving |= self.labels.artists

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        if self.frame != params["act"]:
            self._draw_activation(params["act"])
        top = max(arrays["share"].max(), arrays["share_theory"].max(), 1e-3)
        self.moving["density"].set_xy(_steps(arrays["share"] / top))
        middle = (EDGES[1:] + EDGES[:-1]) / 2
        self.moving["density theory"].set_data(middle, arrays["share_theory"] / top)
        levels = {"rms slope": arrays["slope"], "theory": arrays["slope_theory"]}
        for name, height in levels.items():
            self.moving[name].set_ydata([height, height])
        self.labels.texts["rms slope"].set_text(f"rms slope {two_digits(arrays['slope'])}")
        self.labels.texts["theory"].set_text(f"theory {two_digits(arrays['slope_theory'])}")
        self.labels.place(levels)
        self._write(params, arrays)

    def _write(self, params, arrays):
        below, above = arrays["below"], arrays["above"]
        outside = f"outside the picture: ← {below:.0%} to the left, {above:.0%} to the right →"
        self.moving["outside"].set_text(outside if max(below, above) > 0.005 else "")
        self.title.set_text(_finding(params, arrays))
        self.subtitle.set_text(
            f"Layer {params['layer']} of {DEPTH} at σ_w = {params['sigma_w']:.3g}. "
            f"Dashed: theory. Hatched: saturated, {arrays['saturated']:.0%} of the values"
        )

    def _draw_activation(self, act):
        z = torch.tensor(_FINE)
        phi, dphi = as_module(act)(z).numpy(), slope_at(act, z).numpy()
        self.frame = act
        self.curve.set_ylim(*{"sigmoid": (-0.1, 1.15), "tanh": (-1.25, 1.25)}.get(act, (-2.5, 8)))
        self.slopes.set_ylim(-0.17, 1.95 if act == "selu" else 1.28)
        self.phi.set_data(_FINE, phi)
        self.dphi.set_data(_FINE, dphi)
        self.phi_name.set_text(f"{ACT.options[act]}, φ(z)")
        self._hatch(np.abs(dphi) < SATURATED * _greatest(act))

    def _hatch(self, saturated):
        for zone in self.zones:
            zone.remove()
        look = {"facecolor": "none", "edgecolor": style.GRID, "hatch": "////", "linewidth": 0, "zorder": 0.5}
        self.zones = [
            ax.fill_between(_FINE, 0, 1, where=saturated, transform=ax.get_xaxis_transform(), **look)
            for ax in (self.strip, self.curve, self.slopes)
        ]


def _steps(heights):
    """The outline of a histogram over `EDGES` as (points, 2)."""
    x = np.repeat(EDGES, 2)
    return np.stack([x, np.concatenate([[0], np.repeat(heights, 2), [0]])], axis=1)
