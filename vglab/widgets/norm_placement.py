"""Norm placement: where a transformer's norms stand and what its branches weigh, at initialization. Lesson 13."""

from functools import cache

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator
from torch.nn import functional as F

from .. import nets, tasks
from ..figures import style
from . import view
from .parameters import Choice, Number, two_digits

WIDTH, HIDDEN, SEQUENCES = 32, 2, 8
_WORDS = {"post": "post-LN", "pre": "pre-LN", "deep": "DeepNorm"}
COMPUTED = f"a real transformer {WIDTH} features wide, {SEQUENCES} sequences of 16 tokens, seed 0, before training"
PARAMETERS = (
    Choice("norm", "norm", {"post": "post-LN: N(h + s F(h))", "pre": "pre-LN: h + s F(N(h))", "deep": "DeepNorm"}),
    Number("scale", "scale of the branches: s =", 0.1, 2.0, log=True, step=0.02),
    Number("blocks", "blocks:", 2, 16, whole=True),
)
PRESETS = {
    "post-LN": {"norm": "post", "scale": 1.0, "blocks": 12},
    "post-LN, light branches": {"norm": "post", "scale": 24**-0.5, "blocks": 12},
    "pre-LN": {"norm": "pre", "scale": 1.0, "blocks": 12},
    "pre-LN, s = 1/√24": {"norm": "pre", "scale": 24**-0.5, "blocks": 12},
    "DeepNorm": {"norm": "deep", "scale": 1.0, "blocks": 12},
}
_STEPS = (0.3, 1, 2)
_PANES = {"gradient": "← backward  gradient / end", "size": "forward →  rms of h", "cosine": "cosine between tokens"}
_BOXES = {name: (left, 0.14, 0.24, 0.61) for name, left in zip(_PANES, (0.085, 0.405, 0.725), strict=True)}


@cache
def _batch():
    data = tasks.copy_back(2, n_train=SEQUENCES)
    return data.x, data.y


def build(params, *, seed=0):
    """The transformer of lesson 13, in double precision."""
    how = {"norm": params["norm"], "scale": params["scale"], "vocab": 16, "hidden": HIDDEN, "seed": seed}
    return nets.transformer(params["blocks"], WIDTH, **how).double()


def compute(params):
    """Before the first branch and after each, (2 blocks + 1,): the gradient relative to the end, the rms of the stream
    and the mean cosine between the tokens of a sequence; theory's beside them."""
    stream, gradients = _measure(build(params))
    arrays = {"gradient": gradients / gradients[-1], "size": np.array([_rms(h) for h in stream])}
    arrays |= {"cosine": np.array([_cosine(h) for h in stream])}
    start = stream[0].detach()
    covariance = torch.einsum("bsd,btd->st", start, start).numpy() / start.shape[0] / start.shape[2]
    return arrays | {f"{name}_theory": line for name, line in _predict(params, covariance).items()}


def _measure(model):
    """The stream before the first branch and after each, and the rms of the loss's gradient at each."""
    x, y = _batch()
    stream, out = [model.embed(x)], None
    for name, child in model.named_children():
        if name.startswith("block"):
            stream.append(child.attention(stream[-1]))
            stream.append(child.mlp(stream[-1]))
        elif name != "embed":
            out = child(stream[-1] if out is None else out)
    loss = F.cross_entropy(out.flatten(0, 1), y.flatten())
    return stream, np.array([_rms(g) for g in torch.autograd.grad(loss, stream)])


def _rms(tensor):
    return tensor.detach().square().mean().sqrt().item()


def _cosine(h):
    """Mean cosine between two tokens of one sequence, h: (batch, time, width)."""
    h = F.normalize(h.detach(), dim=-1)
    n = h.shape[1]
    return (((h @ h.mT).mean(0).sum() - n) / (n * n - n)).item()


def _predict(params, covariance):
    """Wide-network theory from the tokens' `covariance` (time, time): our derivation.

    Attention is taken to look at all earlier tokens alike, so that queries and keys do not matter, and the loss to pull
    at each token independently. Xavier's gains leave 1 per matrix of attention and 4 r / (1 + r)**2 for the two-layer
    network with r times as many units, with ReLU's kernel (Cho and Saul 2009) between.
    """
    skip, *gains = _gains(params)
    past = np.tril(np.ones_like(covariance))
    past /= past.sum(1, keepdims=True)
    pre, c, stream, steps = params["norm"] == "pre", covariance, [covariance], []
    for i in range(2 * params["blocks"]):
        inside = _inverse_rms(c) if pre else np.ones_like(c)
        n = c * inside
        branch, slopes = (past @ n @ past.T, None) if i % 2 == 0 else _relu(n)
        c = skip**2 * c + gains[i % 2] * branch
        outside = np.ones_like(c) if pre else _inverse_rms(c)
        c = c * outside
        stream.append(c)
        steps.append((gains[i % 2], slopes, inside, outside))
    gradient = _back(np.eye(len(c)) * (_inverse_rms(c) if pre else 1), steps, past, skip)
    size = np.array([np.sqrt(np.trace(c) / len(c)) for c in stream])
    return {"gradient": gradient / gradient[-1], "size": size, "cosine": np.array([_mean_cosine(c) for c in stream])}


def _gains(params):
    """The factor on the skip, and those of the branches' weights on mean squares: attention's and the mlp's."""
    skip, beta = nets.deepnorm(params["blocks"]) if params["norm"] == "deep" else (1.0, 1.0)
    both = params["scale"] ** 2 * beta**4  # two matrices, squared
    return skip, both, both * 4 * HIDDEN / (1 + HIDDEN) ** 2


def _back(g, steps, past, skip):
    """Rms of the gradient before each branch and after the last, from the covariance `g` over tokens at the end."""
    sizes = [np.trace(g)]
    for gain, slopes, inside, outside in reversed(steps):
        g = g * outside
        branch = past.T @ g @ past if slopes is None else slopes * g
        g = skip**2 * g + gain * inside * branch
        sizes.append(np.trace(g))
    return np.sqrt(sizes[::-1])


def _relu(c):
    """E[relu(z) relu(z')] and E[relu'(z) relu'(z')] for Gaussian z with covariance `c`."""
    sizes = np.sqrt(np.outer(np.diag(c), np.diag(c)))
    rho = np.clip(c / sizes, -1, 1)
    angle = np.pi - np.arccos(rho)
    return sizes * (np.sqrt(1 - rho**2) + angle * rho) / (2 * np.pi), angle / (2 * np.pi)


def _inverse_rms(c):
    return 1 / np.sqrt(np.outer(np.diag(c), np.diag(c)))


def _mean_cosine(c):
    n, c = len(c), c * _inverse_rms(c)
    return (c.sum() - n) / (n * n - n)


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    pair = lambda name, at: f"{two_digits(arrays[name][at])} (theory: {two_digits(arrays[name + '_theory'][at])})"
    return (
        f"{_network(params)}: the gradient before the first branch is {pair('gradient', 0)} times that at the end, the "
        f"stream leaves with an rms of {pair('size', -1)}, and its tokens with a cosine of {pair('cosine', -1)}."
    )


def _network(params):
    return f"{params['blocks']} blocks, {_WORDS[params['norm']]}, s = {params['scale']:.2g}"


def _finding(arrays):
    first, alike = arrays["gradient"][0], arrays["cosine"][-1]
    gradient = "grows towards the input" if first > 2 else "shrinks" if first < 0.5 else "holds"
    tokens = "are nearly one" if alike > 0.9 else "stay apart" if alike < 0.6 else "draw together"
    return f"The gradient {gradient}; the tokens {tokens}"


class View:
    """The figure: gradient, size and cosine of the stream, a point after each branch, theory dashed."""

    def __init__(self):
        self.figure = style.bare_figure((7.4, 3.9))
        self.frame, self.moving = None, {}
        self.panes = {name: view.axes(self.figure, box) for name, box in _BOXES.items()}
        for (name, pane), colour, marker in zip(self.panes.items(), style.COLOURS, style.MARKERS, strict=False):
            self._make_pane(name, pane, {"color": colour, "marker": marker, "markeredgecolor": "white"})
        self.panes["cosine"].set_ylim(-0.05, 1.05)
        style.write(self.panes["cosine"].set_xlabel, "branch", loc="right")
        self.title, self.subtitle = view.headline(self.figure)
        self.moving |= {"title": self.title, "subtitle": self.subtitle}

    def _make_pane(self, name, pane, look):
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
        style.write(pane.annotate, _PANES[name], (0, 1), (0, 4), fontsize=10, color=style.TEXT, **place)
        pane.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        pane.axhline(1, color=style.GREY, linewidth=1)
        (self.moving[name],) = pane.plot([], [], linewidth=1.6, **look)
        dashed = {"color": style.TEXT, "linestyle": view.DASHED, "linewidth": 1.4}
        (self.moving[f"{name}_theory"],) = pane.plot([], [], zorder=4, **dashed)

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        at = np.arange(2 * params["blocks"] + 1)
        for name in self.panes:
            for key in (name, f"{name}_theory"):
                self.moving[key].set_data(at, arrays[key])
            self.moving[name].set_markevery(max(1, len(at) // 8))
        self._frame_for(arrays, len(at) - 1)
        self.title.set_text(_finding(arrays))
        self.subtitle.set_text(f"{_network(params)}. Dashed: theory")

    def _frame_for(self, arrays, branches):
        lines = [arrays[key + end] for key in ("gradient", "size") for end in ("", "_theory")]
        values = np.log10(np.concatenate(lines))
        frame = -view.level(0.1 - values.min(), _STEPS), view.level(0.1 + values.max(), _STEPS), branches
        if frame == self.frame:
            return
        self.frame = frame
        for name, pane in self.panes.items():
            pane.set_xlim(-0.03 * branches, 1.03 * branches)
            if name != "cosine":
                _small_log_axis(pane, *frame[:2])


def _small_log_axis(pane, low, high):
    """As `view.log_axis`, with 1, 2 and 5 of each decade, for ranges of few decades."""
    ticks = [m * 10.0**power for power in range(-3, 4) for m in (1, 2, 5)]
    ticks = [t for t in ticks if 10.0**low <= t <= 10.0**high]
    view.log_axis(pane, low, high)
    pane.set_yticks(ticks, [f"{t:g}" for t in ticks])
