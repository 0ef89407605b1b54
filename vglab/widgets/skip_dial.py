"""Skip dial: what the scale of the branches does to signal, gradient and the paths that it takes. Lesson 9."""

from functools import cache

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator
from torch import nn

from .. import theory
from ..figures import style
from ..nets import Residual, init_
from . import network, view
from .parameters import Choice, Number, two_digits

BATCH = 64
COMPUTED = f"a real residual network 64 units wide, {BATCH} digits, seed 0"
PARAMETERS = (
    Number("alpha", "scale of the branches: α =", 0.1, 1.5, log=True, step=0.02),
    Number("blocks", "blocks:", 5, 60, whole=True),
    Choice("skip", "skip connections", {"on": "h + α F(h)", "off": "α F(h) alone"}),
    Choice("norm", "in the branch", {"none": "ReLU, linear", "batch": "batch norm, ReLU, linear"}),
)
PRESETS = {
    "α = 1": {"alpha": 1.0, "blocks": 40, "skip": "on", "norm": "none"},
    "α = 1/√40": {"alpha": 40**-0.5, "blocks": 40, "skip": "on", "norm": "none"},
    "α = 1 and batch norm": {"alpha": 1.0, "blocks": 40, "skip": "on", "norm": "batch"},
    "no skip": {"alpha": 1.0, "blocks": 40, "skip": "off", "norm": "none"},
    "no skip, batch norm": {"alpha": 1.0, "blocks": 40, "skip": "off", "norm": "batch"},
}
_STEPS = (2, 4, 8, 12, 20, 40, 80, 150)
_PANES = {"signal": "forward →  signal²", "gradient": "← backward  gradient²", "share": "gradient² by path"}
_BOXES = {
    "signal": (0.085, 0.14, 0.255, 0.61),
    "gradient": (0.36, 0.14, 0.255, 0.61),
    "share": (0.71, 0.14, 0.26, 0.61),
}


def build(params, *, seed=0):
    """The network of lesson 9: a linear layer, the blocks, a read-out; He's weights, in double precision."""
    n, norm = network.WIDTH, params["norm"] == "batch"
    part = lambda out: nn.Sequential(*[nn.BatchNorm1d(n)] * norm, nn.ReLU(), nn.Linear(n, out))
    blocks = [Residual(part(n), params["alpha"]) for _ in range(params["blocks"])]
    model = nn.Sequential(nn.Linear(n, n), *blocks, part(10))
    return init_(model, "he", seed=seed).double()


def compute(params):
    """Mean squares of the stream (blocks + 1,) and of its gradient, and the shares by branches; theory's beside them.

    Where the skips are on, ``share`` counts what each branch alone does to the gradient at the end and takes longer
    paths to be products; where they are off there is one path.
    """
    skip, alpha = params["skip"] == "on", params["alpha"]
    signal, gradient, powers = _measure(build(params), alpha, skip)
    q0 = 2 * network.batch(BATCH)[0].square().mean().item()
    signal_theory, gradient_theory = _predict(params, q0)
    through = gradient_theory[:-1] / gradient_theory[1:] - 1
    arrays = {"signal": signal / signal[0], "signal_theory": signal_theory / q0}
    arrays |= {"gradient": gradient / gradient[-1], "gradient_theory": gradient_theory}
    arrays |= {"share": _by_length(powers) if skip else _all_at(len(powers))}
    return arrays | {"share_theory": _by_length(through) if skip else _all_at(len(powers))}


def _measure(model, alpha, skip):
    """Mean squares of stream and gradient after each block, and what each branch makes of the gradient at the end."""
    x, y = network.batch(BATCH)
    h = model[0](x).detach()
    stream, branches = [h], []
    for block in model[1:-1]:
        h = h.detach().requires_grad_()
        branches.append((h, alpha * block.branch(h)))
        h = branches[-1][1] + (h if skip else 0)
        stream.append(h.detach())
    top = stream[-1].clone().requires_grad_()
    (end,) = torch.autograd.grad(nn.functional.cross_entropy(model[-1](top), y), top)
    gradients, powers = [end], []
    for h, branch in reversed(branches):
        (back,) = torch.autograd.grad(branch, h, gradients[-1], retain_graph=True)
        gradients.append(back + (gradients[-1] if skip else 0))
        powers.append(_square(torch.autograd.grad(branch, h, end)[0]) / _square(end) if skip else 1.0)
    squares = lambda tensors: np.array([_square(t) for t in tensors])
    return squares(stream), squares(gradients[::-1]), np.array(powers[::-1])


def _square(tensor):
    return tensor.square().mean().item()


def _predict(params, q0):
    """Theory's mean squares of the stream, from `q0`, and of the gradient, 1 at the end: (blocks + 1,) each."""
    alpha, blocks = params["alpha"], params["blocks"]
    if params["skip"] == "on":
        kind = "batch" if params["norm"] == "batch" else "plain"
        how = {"sigma_w": alpha * 2**0.5, "q0": q0}
        return theory.residual_variance(kind, blocks, **how), theory.residual_gradient(kind, blocks, **how)
    powers = np.arange(blocks + 1)
    if params["norm"] == "none":
        return q0 * alpha ** (2.0 * powers), alpha ** (2.0 * powers[::-1])
    factor = _plain_batch_factor() ** 2
    gradient = factor ** powers[::-1].astype(float)
    gradient[0] *= alpha**2 / q0 / factor  # the first norm divides by the variance of the stem
    return np.append(q0, np.full(blocks, alpha**2)), gradient


@cache
def _plain_batch_factor():
    return theory.batch_factor("relu", BATCH)


def _by_length(powers):
    """Shares of the paths through 0, 1, ... branches: the coefficients of the product of 1 + powers[l] t."""
    product = np.ones(1)
    for power in powers:
        product = np.convolve(product, [1, power])
    return product / product.sum()


def _all_at(blocks):
    return np.append(np.zeros(blocks), 1.0)


def mean_length(share):
    """Mean number of branches on the gradient's way."""
    return float((np.arange(len(share)) * share).sum())


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    pair = lambda of: f"{two_digits(of(''))} (theory: {two_digits(of('_theory'))})"
    signal = pair(lambda which: arrays["signal" + which][-1])
    gradient = pair(lambda which: arrays["gradient" + which][0])
    length = pair(lambda which: mean_length(arrays["share" + which]))
    return (
        f"{_network(params)}: the signal's mean square is multiplied by {signal}, on the way back the gradient's by "
        f"{gradient}, and the gradient comes through {length} branches on average."
    )


def _network(params):
    skip = "with skips" if params["skip"] == "on" else "without skips"
    norm = "with batch norm" if params["norm"] == "batch" else "without norm"
    return f"{params['blocks']} blocks {skip}, {norm}, α = {params['alpha']:.2g}"


def _finding(arrays):
    signal, gradient = _fate(arrays["signal"][-1]), _fate(arrays["gradient"][0])
    if signal == gradient == "holds":
        return "Signal and gradient both hold"
    return f"The signal {signal}, the gradient {gradient}"


def _fate(ratio):
    if ratio > 10:
        return "explodes" if ratio > 1e4 else "grows"
    if ratio < 0.1:
        return "vanishes" if ratio < 1e-4 else "shrinks"
    return "holds"


class View:
    """The figure: signal and gradient on one scale, and beside them the gradient by the branches on its path."""

    def __init__(self):
        self.figure = style.bare_figure((7.4, 3.9))
        self.frame, self.moving = None, {}
        self.panes = {name: view.axes(self.figure, box) for name, box in _BOXES.items()}
        for (name, pane), colour, marker in zip(self.panes.items(), style.COLOURS, style.MARKERS, strict=False):
            self._make_pane(name, pane, {"color": colour, "marker": marker, "markeredgecolor": "white"})
        self.panes["gradient"].tick_params(labelleft=False)
        self.panes["share"].set_ylim(0, 1.05)
        for name, words in {"gradient": "block", "share": "branches on the path"}.items():
            style.write(self.panes[name].set_xlabel, words, loc="right")
        self.title, self.subtitle = view.headline(self.figure)
        self.moving |= {"title": self.title, "subtitle": self.subtitle}

    def _make_pane(self, name, pane, look):
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
        style.write(pane.annotate, _PANES[name], (0, 1), (0, 4), fontsize=10, color=style.TEXT, **place)
        pane.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        if name != "share":
            pane.axhline(1, color=style.GREY, linewidth=1)
        (self.moving[name],) = pane.plot([], [], linewidth=1.6, **look)
        dashed = {"color": style.TEXT, "linestyle": view.DASHED, "linewidth": 1.4}
        (self.moving[f"{name}_theory"],) = pane.plot([], [], zorder=4, **dashed)

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        at = np.arange(params["blocks"] + 1)
        for name in self.panes:
            for key in (name, f"{name}_theory"):
                self.moving[key].set_data(at, arrays[key])
            self.moving[name].set_markevery(max(1, params["blocks"] // 10))
        self._frame_for(params, arrays)
        self.moving["share"].set_markevery(max(1, self.frame[3] // 10))
        self.title.set_text(_finding(arrays))
        self.subtitle.set_text(f"{_network(params)}. Dashed: theory")

    def _frame_for(self, params, arrays):
        values = np.log10(np.concatenate([arrays[key] for key in arrays if not key.startswith("share")]))
        low, high = -view.level(0.2 - values.min(), _STEPS), view.level(0.2 + values.max(), _STEPS)
        longest = max(np.flatnonzero(np.maximum(arrays["share"], arrays["share_theory"]) > 0.005))
        frame = low, high, view.level(params["blocks"], (20, 40, 60)), view.level(longest, (8, 15, 30, 60))
        if frame == self.frame:
            return
        self.frame = frame
        for name in ("signal", "gradient"):
            view.log_axis(self.panes[name], low, high)
            self.panes[name].set_xlim(-0.7, frame[2] + 0.7)
        self.panes["share"].set_xlim(-0.4, frame[3] + 0.4)
