"""Training strip: the loss of a whole training, and under it how far each step moves each layer. Lesson 4."""

import numpy as np
import torch
from matplotlib.colors import LogNorm

from ..figures import style
from ..nets import mlp
from . import network, view
from .parameters import Choice, Number, two_digits

WIDTH, BATCH, STEPS, COLUMNS = 16, 32, 300, 60
EVERY = STEPS // COLUMNS
COMPUTED = f"a real training of {STEPS} steps from the first, {WIDTH} units wide, {BATCH} digits a step, seed 0"
ACT = Choice("act", "activation", {"sigmoid": "sigmoid", "tanh": "tanh"})
OPTIMIZER = Choice("optimizer", "optimizer", {"sgd": "SGD, momentum 0.9", "adam": "Adam"})
PARAMETERS = (
    Number("depth", "depth:", 1, 6, unit=" layers", whole=True),
    Number("lr", "learning rate:", 0.001, 10, log=True, step=0.05),
    OPTIMIZER,
    ACT,
)
PRESETS = {
    "a plateau": {"act": "sigmoid", "depth": 3, "lr": 0.1, "optimizer": "sgd"},
    "stalled": {"act": "sigmoid", "depth": 6, "lr": 0.3, "optimizer": "sgd"},
    "Adam": {"act": "sigmoid", "depth": 3, "lr": 0.01, "optimizer": "adam"},
    "too large a step": {"act": "sigmoid", "depth": 3, "lr": 5.0, "optimizer": "sgd"},
    "no plateau": {"act": "tanh", "depth": 3, "lr": 0.1, "optimizer": "sgd"},
}
TABLE = "depth"
NOTHING, LEARNS = np.log(10), 2.0
_LOW, _HIGH = 1e-4, 0.3  # of the update ratios in colour
_SLOPES = {"sigmoid": lambda h: h * (1 - h), "tanh": lambda h: 1 - h * h}
_CURVES = {"sigmoid": lambda z: 0.5 + 0.5 * np.tanh(0.5 * z), "tanh": np.tanh}


def compute(params):
    """Return the loss of each step, (300,), and the update ratio of each weight matrix, (depth + 1, 60).

    The ratios are medians over five steps each. plateau: the first step with a loss below 2, 300 if there is none.
    first: the ratio of the first hidden layer over that of the last one, in the first column.
    """
    losses, ratios = zip(*steps(**params), strict=True)
    losses = np.array(losses)
    ratio = np.median(np.reshape(ratios, (COLUMNS, EVERY, -1)), axis=1).T
    below = np.flatnonzero(losses < LEARNS)
    return {
        "loss": losses,
        "ratio": ratio,
        "plateau": float(below[0] if len(below) else STEPS),
        "first": ratio[0, 0] / ratio[params["depth"] - 1, 0],
    }


def steps(depth, lr, optimizer, act):
    """Train and yield (loss, update ratio of each weight matrix) for every step.

    By hand in numpy: networks this small take torch longer to talk about than to compute.
    """
    x, y = (part.numpy() for part in network.batch(1024))
    weights, biases = _start(depth, act)
    state = [np.zeros_like(p) for p in weights + biases], [np.zeros_like(p) for p in weights + biases]
    for step, rows in enumerate(np.random.default_rng(0).integers(len(x), size=(STEPS, BATCH)), 1):
        loss, gradients = _gradients(weights, biases, x[rows], y[rows], act)
        changes = list(map(lambda g, a, b: _change(g, a, b, lr, optimizer, step), gradients, *state))
        yield loss, [_rms(c) / _rms(w) for c, w in zip(changes, weights, strict=False)]
        for p, change in zip(weights + biases, changes, strict=True):
            p -= change


def _start(depth, act):
    model = mlp(depth, WIDTH, act=act, sigma_w=1.0, seed=0).double()
    layers = [module for module in model if isinstance(module, torch.nn.Linear)]
    return [m.weight.detach().numpy().copy() for m in layers], [m.bias.detach().numpy().copy() for m in layers]


def _gradients(weights, biases, x, y, act):
    """(cross entropy, gradients of the weights and then of the biases)."""
    signals = [x]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        signals.append(_CURVES[act](signals[-1] @ w.T + b))
    z = signals[-1] @ weights[-1].T + biases[-1]
    z = z - z.max(1, keepdims=True)
    p = np.exp(z)
    p /= p.sum(1, keepdims=True)
    loss = -np.log(np.maximum(p[np.arange(len(y)), y], 1e-300)).mean()
    p[np.arange(len(y)), y] -= 1
    back, of_weights, of_biases = p / len(y), [], []
    for w, h in zip(reversed(weights), reversed(signals), strict=True):
        of_weights.insert(0, back.T @ h)
        of_biases.insert(0, back.sum(0))
        back = back @ w * _SLOPES[act](h)
    return loss, of_weights + of_biases


def _change(gradient, mean, square, lr, optimizer, step):
    """What the optimizer subtracts; `mean` and `square` are its memory and are brought up to date."""
    if optimizer == "sgd":
        mean *= 0.9
        mean += gradient
        return lr * mean
    mean += 0.1 * (gradient - mean)
    square += 0.001 * (gradient**2 - square)
    return lr * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)


def _rms(values):
    return np.sqrt(np.mean(values * values))


def describe(params, arrays):
    """Say in one sentence what the picture shows."""
    plateau = arrays["plateau"]
    lasts = f"the plateau lasts {plateau:.0f} steps" if plateau < STEPS else f"nothing is learned in {STEPS} steps"
    words = f"{_network(params)}: {lasts}, the last loss is {arrays['loss'][-1]:.2f}"
    if params["depth"] == 1:
        return words + "."
    share = two_digits(arrays["first"])
    return f"{words}; at the start layer 1 moves {share} times as far as layer {params['depth']}."


def _network(params):
    layers = "1 layer" if params["depth"] == 1 else f"{params['depth']} layers"
    act, optimizer = ACT.options[params["act"]], OPTIMIZER.options[params["optimizer"]]
    return f"{layers} of {act}, {optimizer}, rate {params['lr']:.3g}"


def _finding(arrays):
    plateau, last = arrays["plateau"], np.median(arrays["loss"][-20:])
    if plateau == STEPS:
        return f"No plateau's end in {STEPS} steps"
    if last > LEARNS:
        return "It learned, and lost it again"
    return f"After {plateau:.0f} steps it learns"


class View:
    """The figure: the loss over the steps, and below it a strip per weight matrix, brighter for a larger ratio."""

    def __init__(self):
        self.figure, self.frame = style.bare_figure((7.4, 4.6)), None
        self.loss = view.axes(self.figure, (0.105, 0.545, 0.755, 0.275))
        self.loss.set(xlim=(0, STEPS), ylim=(0, 3))
        self.loss.tick_params(labelbottom=False)
        style.level_line(self.loss, NOTHING, "knows nothing")
        self.strip = view.axes(self.figure, (0.105, 0.115, 0.755, 0.35), sharex=self.loss)
        self.strip.grid(False)
        self._above(self.loss, "loss of the batch")
        self._above(self.strip, "update ratio of each weight matrix, the read-out on top")
        self.strip.tick_params(labelbottom=True)
        style.write(self.strip.set_xlabel, "training step", loc="right")
        self.image = self.strip.imshow(
            np.ones((2, COLUMNS)),
            **{"norm": LogNorm(_LOW, _HIGH), "cmap": "viridis", "aspect": "auto", "interpolation": "none"},
            extent=(0, STEPS, 0, 2), origin="lower",
        )  # fmt: skip
        ticks = {1e-4: "10⁻⁴", 1e-3: "0.001", 1e-2: "0.01", 0.1: "0.1"}
        view.colour_bar(self.figure, (0.885, 0.115, 0.018, 0.35), self.image, ticks)
        (line,) = self.loss.plot([], [], color=style.COLOURS[0], linewidth=1.2, zorder=3)
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"title": self.title, "subtitle": self.subtitle, "image": self.image, "loss": line}

    def _above(self, ax, words):
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
        style.write(ax.annotate, words, (0, 1), (0, 4), fontsize=10, color=style.TEXT, **place)

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        depth = params["depth"]
        if self.frame != depth:
            self.frame = depth
            self.strip.set_ylim(0, depth + 1)
            names = [f"layer {k + 1}" for k in range(depth)] + ["read-out"]
            self.strip.set_yticks(np.arange(depth + 1) + 0.5, names)
            self.image.set_extent((0, STEPS, 0, depth + 1))
        self.image.set_data(np.clip(np.nan_to_num(arrays["ratio"], nan=_HIGH), _LOW, _HIGH))
        self.moving["loss"].set_data(np.arange(STEPS), np.minimum(arrays["loss"], 9))
        self.title.set_text(_finding(arrays))
        self.subtitle.set_text(_network(params))
