"""Ward round: one probe of one patient at a time, the healthy ones shaded; the truth only when asked. Lesson 11."""

from functools import cache, lru_cache

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator
from torch.nn import functional as F

from ..experiments import DIAGNOSES, patient
from ..experiments.patients import anatomy
from ..figures import style
from . import view
from .parameters import Choice, Number, two_digits

STEPS, NEIGHBOURS, DIGITS, COMPANIES = 40, 10, 12, 4
COMPUTED = "the probe on the real network and its digits"
PROBES = {
    "gradient": "gradient by layer, last = 1",
    "signal": "signal by layer",
    "slope": "rms slope by layer",
    "dead": "dead units by layer",
    "cosine": "cosine between digits",
    "company": "company: the others' share of a digit's signal",
    "lean": "lean of gradient on weight",
    "loss": "loss of the first steps",
    "neighbours": "labels of neighbours",
}
PARAMETERS = (
    Number("number", "patient:", 1, 60, whole=True),
    Choice("probe", "probe", PROBES),
    Choice(
        "diagnosis", "your diagnosis", {"none": "not yet"} | {label: label for label in DIAGNOSES} | {"tell": "tell me"}
    ),
)
_UNKNOWN = {"probe": "gradient", "diagnosis": "none"}
PRESETS = {f"patient {number}": {"number": number} | _UNKNOWN for number in (1, 7, 16, 23, 28)}
_SAYS = {  # what a probe's one number is
    "gradient": "at the first layer the gradient is {} times that at the last",
    "signal": "the rms of the signal behind the last layer is {}",
    "slope": "the rms slope is {} in the median layer",
    "dead": "in one layer a share of {} of the units is dead",
    "cosine": "behind the last layer two digits have a cosine of {}",
    "company": "a share of {} of a digit's last signal is due to the others in its batch",
    "lean": "rows of weights and their gradients have a cosine of up to {}",
    "loss": "after forty steps the loss is {}",
    "neighbours": "the nearest neighbour has the same label for a share of {} of the digits",
}
_PICK = {
    "gradient": lambda p: p[0], "signal": lambda p: p[-1], "slope": np.median, "dead": np.max,
    "cosine": lambda p: p[-1], "company": lambda p: p[-1], "lean": np.max, "loss": lambda p: p[-1],
    "neighbours": lambda p: p[0],
}  # fmt: skip
_LOG = ("gradient", "signal", "loss")
_LEAST, _MOST = 1e-12, 1e6  # of what is drawn on a logarithmic axis: 0 and infinity lie at the edge
_POWERS = (1, 2, 4, 6, 9, 12)


def compute(params):
    """The probe of the patient, ``profile`` (places,), its one number ``reading``, and the healthy ones' range.

    ``low, high``: (places,), over a few healthy patients that are built alike: with a norm, with skips or plain.
    """
    return _probed(params["number"], params["probe"])


@lru_cache(maxsize=1)  # a diagnosis measures nothing anew
def _probed(number, probe):
    one = _patient(number)
    profile = measured(one, probe)
    sound = [measured(other, probe) for other in _healthy(_build(one))]
    if probe in ("loss", "neighbours"):
        low, high = np.min(sound, axis=0), np.max(sound, axis=0)
    else:  # networks of different depths: one range for all layers
        low, high = (np.full(len(profile), end(np.concatenate(sound))) for end in (np.min, np.max))
    return {"profile": profile, "reading": float(_PICK[probe](profile)), "low": low, "high": high}


def measured(one, probe):
    """What `probe` shows of a patient: an array over layers, steps or neighbours; finite, see `_LEAST` and `_MOST`."""
    if probe in ("company", "lean"):
        return (_company if probe == "company" else _lean)(one)
    if probe == "loss":
        losses = np.array(one.train(STEPS)[1])
        losses = np.append(losses, np.full(STEPS - len(losses), np.inf))
        return np.clip(np.nan_to_num(losses, nan=np.inf), _LEAST, _MOST)
    if probe == "neighbours":
        nearest = torch.cdist(one.x, one.x).fill_diagonal_(torch.inf).topk(NEIGHBOURS, largest=False).indices
        return (one.y[nearest] == one.y[:, None]).double().mean(0).numpy()
    acts = one.chart().dropna(subset="slope")
    if probe == "gradient":
        return np.clip(acts.grad_rms.to_numpy() / acts.grad_rms.iloc[-1], _LEAST, _MOST)
    values = acts["h_rms" if probe == "signal" else probe].fillna(1).to_numpy()  # no cosine: all activations are 0
    return np.clip(values, _LEAST, _MOST) if probe == "signal" else values


@torch.no_grad()
def _company(one):
    """(layers,): the share of the signal's variance that is due to the other digits of a batch; 0 if it is 0."""
    draw, layers = torch.Generator().manual_seed(0), {}
    for digit in range(DIGITS):
        for _ in range(COMPANIES):
            batch = torch.randint(len(one.x), (one.batch_size,), generator=draw)
            batch[0] = digit
            h = one.x[batch]
            for name, module in one.model.named_children():
                h = module(h)
                if name.startswith(("act", "block")):
                    layers.setdefault(name, []).append(h[0])
    signals = [torch.stack(rows).double() for rows in layers.values()]
    shares = [h.unflatten(0, (DIGITS, COMPANIES)).var(1).mean() / h.var(0).mean() for h in signals]
    return np.nan_to_num(torch.stack(shares).numpy())


def _lean(one):
    """(layers,): the largest cosine, up to sign, between a row of the layer's weights and its gradient."""
    weights = [p for p in one.model.parameters() if p.dim() == 2][:-1]
    with torch.enable_grad():
        loss = F.cross_entropy(one.model(one.x[: one.batch_size]), one.y[: one.batch_size])
        found = torch.autograd.grad(loss, weights)
    rows = [F.cosine_similarity(w, g, dim=1) for w, g in zip(weights, found, strict=True)]
    return np.array([cosines.abs().max().item() for cosines in rows])


@cache
def _patient(number):
    return patient(number)


def _build(one):
    parts = anatomy(one.model)
    return "norm" if parts["normalization"] else "skips" if parts["skips"] else "plain"


@cache
def _healthy(build):
    """Six healthy patients of a build."""
    drawn = (patient(seed, among="healthy") for seed in range(100, 150))
    return [one for one in drawn if _build(one) == build][:6]


def describe(params, arrays):
    """Say in one sentence what the picture shows, and the truth if it is asked for."""
    pick, probe = _PICK[params["probe"]], params["probe"]
    says = _SAYS[probe].format(_number(arrays["reading"]))
    low, high = (_number(pick(arrays[end])) for end in ("low", "high"))
    return f"{_name(params)}: {says}; of healthy patients {low} to {high}. {_opinion(params)}"


def _number(value):
    if value >= _MOST:
        return "a million or more"
    return "a trillionth or less" if 0 < value <= _LEAST else two_digits(round(float(value), 12))


def _name(params):
    one = _patient(params["number"])
    return f"Patient {params['number']} ({repr(one).partition(': ')[2].partition(';')[0]})"


def _opinion(params):
    said, label = params["diagnosis"], _patient(params["number"]).reveal()
    if said == "none":
        return "No diagnosis yet."
    if said not in ("tell", label):
        return f"Your diagnosis, {said}, is not right."
    return (
        f"The truth: {label}. {DIAGNOSES[label]}" if said == "tell" else f"You are right: {label}. {DIAGNOSES[label]}"
    )


class View:
    """The figure: the probe's profile over the range that healthy patients show."""

    def __init__(self):
        self.figure, self.frame = style.bare_figure((7.4, 3.9)), None
        self.ax = ax = view.axes(self.figure, (0.085, 0.13, 0.895, 0.69), autoscale_on=False)
        band = ax.fill([0], [0], color=style.COLOURS[2], alpha=0.25, linewidth=1.5, zorder=1)[0]
        look = {"marker": "o", "linewidth": 1.6, "color": style.COLOURS[0], "markeredgecolor": "white"}
        (line,) = ax.plot([], [], zorder=3, **look)
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"band": band, "profile": line, "title": self.title, "subtitle": self.subtitle}

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        profile, low, high = (arrays[key] for key in ("profile", "low", "high"))
        self._frame_for(params["probe"], profile, low, high)
        at = np.arange(1, len(profile) + 1)
        self.moving["profile"].set_data(at, profile)
        if not np.ptp(low) and not np.ptp(high):  # across the whole picture
            at, low, high = np.array([0, 100]), low[[0, 0]], high[[0, 0]]
        self.moving["band"].set_xy(np.column_stack([np.append(at, at[::-1]), np.append(low, high[::-1])]))
        said, label = params["diagnosis"], _patient(params["number"]).reveal()
        known = said in ("tell", label)
        self.title.set_text(f"Patient {params['number']}: {label if known else PROBES[params['probe']]}")
        told = f"{PROBES[params['probe']]}. " if known else "" if said == "none" else f"Not {said}. "
        self.subtitle.set_text(f"{told[:1].upper()}{told[1:]}Shaded: healthy patients of this build")

    def _frame_for(self, probe, *values):
        values, places = np.concatenate(values), len(values[0])
        if probe in _LOG:
            logs = np.log10(values)
            limits = -view.level(0.3 - logs.min(), _POWERS), view.level(logs.max() + 0.3, _POWERS)
        else:
            limits = (-0.25, 1.1) if probe == "cosine" else (-0.04, 1.5 if probe == "slope" else 1.1)
        frame = probe, limits, places
        if frame == self.frame:
            return
        self.frame, ax = frame, self.ax
        if probe in _LOG:
            view.log_axis(ax, *limits)
        else:
            ax.set_yscale("linear")
            ax.set_ylim(*limits)
            ax.yaxis.set_major_locator(MaxNLocator(nbins=6))
        ax.set_xlim(0.5, places + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        style.dress_ticks(ax)
        words = {"loss": "training step", "neighbours": "nearest neighbour, second nearest, ..."}
        style.write(ax.set_xlabel, words.get(probe, "layer (1 = closest to the input)"), loc="right")
