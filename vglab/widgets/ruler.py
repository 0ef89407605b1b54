"""Precision ruler: the sizes of a layer's gradients above the ranges of three number formats. Lesson 14."""

import numpy as np
import torch

from .. import theory
from ..figures import style
from . import network, view
from .parameters import ACT, Number, two_digits

BATCH = 64
COMPUTED = f"forward and backward through the real network in float64, {BATCH} digits, seed 0"
PARAMETERS = (
    Number("depth", "depth:", 2, 30, unit=" layers", whole=True),
    Number("sigma_w", "weight scale: σ_w =", 0.3, 4, log=True, step=0.02),
    ACT,
    Number("scale", "loss scale: 2 to the power", 0, 40, whole=True),
)
PRESETS = {
    "sigmoid, Xavier": {"act": "sigmoid", "sigma_w": 1.0, "depth": 8, "scale": 0},
    "the same, scaled": {"act": "sigmoid", "sigma_w": 1.0, "depth": 8, "scale": 12},
    "too much": {"act": "sigmoid", "sigma_w": 1.0, "depth": 8, "scale": 40},
    "ReLU, He": {"act": "relu", "sigma_w": 2**0.5, "depth": 8, "scale": 0},
}
TABLE = "scale"
EDGES = np.linspace(-42, 10, 105)  # powers of ten
FORMATS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def compute(params):
    """Return where the first layer's weight gradients lie on the ruler, and what each format makes of them.

    share : (104,) of the nonzero gradients per bin of `EDGES`, powers of ten. rms : of the scaled gradient.
    zero, faint, infinite : shares that float16 rounds to 0, to a subnormal, to infinity; zero_bfloat16 : likewise;
    zero_theory : of a Gaussian with this rms.
    """
    x, y = network.batch(BATCH)
    model = network.build(params["depth"], params["act"], params["sigma_w"])
    with torch.enable_grad():
        loss = torch.nn.functional.cross_entropy(model(x), y)
        (gradient,) = torch.autograd.grad(loss, [model.linear1.weight])
    gradient = gradient[gradient != 0] * 2.0 ** params["scale"]
    half, rms = gradient.half(), gradient.square().mean().sqrt().item()
    return {
        "share": np.histogram(gradient.abs().log10().numpy(), EDGES)[0] / gradient.numel(),
        "rms": rms,
        "zero": _share(half == 0),
        "faint": _share((half != 0) & (half.abs() < torch.finfo(torch.float16).smallest_normal)),
        "infinite": _share(half.isinf()),
        "zero_bfloat16": _share(gradient.bfloat16() == 0),
        "zero_theory": theory.half_precision_shares(rms)["zero"],
    }


def _share(which):
    return which.double().mean().item()


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    return (
        f"{_network(params)}, loss times 2 to the power {params['scale']}: the first layer's gradient has an rms of "
        f"{two_digits(arrays['rms'])}; rounded to float16, {arrays['zero']:.0%} of it is 0 (theory, for a Gaussian: "
        f"{arrays['zero_theory']:.0%}), {arrays['faint']:.0%} keeps fewer digits and {arrays['infinite']:.0%} "
        f"overflows; rounded to bfloat16, {arrays['zero_bfloat16']:.0%} is 0."
    )


def _network(params):
    return f"{ACT.options[params['act']]} network, {params['depth']} layers, σ_w = {params['sigma_w']:.3g}"


def _finding(arrays):
    if arrays["infinite"] > 0.005:
        return f"float16 overflows: {arrays['infinite']:.0%} of the gradient is infinite"
    if arrays["zero"] > 0.005:
        return f"float16 loses {arrays['zero']:.0%} of the gradient"
    if arrays["faint"] > 0.1:
        return "float16 keeps the gradient, with few digits"
    return "The gradient fits into float16"


class View:
    """The figure: a histogram over powers of ten, what float16 loses in red, and a bar for each format below."""

    def __init__(self):
        self.figure, self.frame = style.bare_figure((7.4, 4.1)), None
        self.ax = view.axes(self.figure, (0.03, 0.37, 0.94, 0.43))
        self.ax.set(xlim=(EDGES[0], EDGES[-1]), ylim=(0, 1.05))
        self.ax.grid(False)
        self.ax.set_yticks([])
        self.ax.tick_params(labelbottom=False)
        self._make_ranges(view.axes(self.figure, (0.03, 0.115, 0.94, 0.24), sharex=self.ax))
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"title": self.title, "subtitle": self.subtitle}
        for name, colour in {"kept": style.COLOURS[0], "lost": style.COLOURS[1]}.items():
            self.moving[name] = self.ax.fill([0], [0], color=colour, linewidth=0, zorder=3)[0]

    def _make_ranges(self, ax):
        ax.set_ylim(-0.6, 2.6)
        ax.grid(False)
        ax.set_yticks([])
        for height, (name, dtype) in zip((2, 1, 0), FORMATS.items(), strict=True):
            info = torch.finfo(dtype)
            least, normal, top = (np.log10(v) for v in (info.smallest_normal * info.eps / 2, info.tiny, info.max))
            end = min(top, EDGES[-1])
            colour = style.COLOURS[2]
            ax.barh(height, end - normal, left=normal, height=0.62, color=colour, linewidth=0, alpha=0.75)
            left = max(least, EDGES[0])
            ax.barh(height, normal - left, left=left, height=0.62, color=colour, linewidth=0, alpha=0.3)
            style.write(*(ax.text, normal + 0.4, height, name), fontsize=10, color=style.TEXT, va="center")
        ticks = range(-40, 11, 5)
        ax.set_xticks(list(ticks), ["1" if k == 0 else style.power_of_ten(10.0**k) for k in ticks])
        style.write(ax.set_xlabel, "size of a gradient times the loss scale", loc="right")
        for end in (np.log10(2.0**-25), np.log10(torch.finfo(torch.float16).max)):
            self.ax.axvline(end, color=style.GREY, linewidth=1)

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        heights = arrays["share"] / max(arrays["share"].max(), 1e-12)
        middles = (EDGES[:-1] + EDGES[1:]) / 2
        lost = (middles < np.log10(2.0**-25)) | (middles > np.log10(torch.finfo(torch.float16).max))
        for name, which in {"kept": ~lost, "lost": lost}.items():
            self.moving[name].set_xy(_steps(np.where(which, heights, 0)))
        self.title.set_text(_finding(arrays))
        where = "Weight gradients of layer 1; red: beyond float16. "
        self.subtitle.set_text(where + _network(params) + f", loss × 2^{params['scale']}")


def _steps(heights):
    """The outline of a histogram, (2 * bins + 2, 2)."""
    x = np.repeat(EDGES, 2)
    y = np.concatenate([[0], np.repeat(heights, 2), [0]])
    return np.column_stack([x, y])
