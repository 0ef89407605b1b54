"""From readings to a verdict: the state of a network, what causes it, and where.

**States.** R is the decades by which the length of dL/dh changes from the last layer to the first (`measure.decades`),
over residual additions where there are several, over time where a layer is called again and again. Weight gradients
are not looked at: under Glorot and Bengio's (2010) standard initialization they are flat while dL/dh falls. The sizes
of the loss and of the gradient play no part either, only ratios.

- With SGD the bound is 2 decades: of 32 networks at their start, |R| < 2 left out none that it could train. An
  optimizer that divides each weight's step by the size of its gradient (Adam, RMSprop, Adagrad ...) stands one decade
  more. ``make bench`` repeats the measurement on the families of tests/families.
- A layer is **dead** where the mean square slope is under 0.05 squared or nine units in ten are off for every
  example, and the gradient behind it is a tenth or less of what it was; also a ReLU layer with under one value in
  twenty on and under half a unit on for an example in the mean, for then most examples look alike from there on. Half
  of the values being zero is no sign of it: in a healthy ReLU network of 50 layers four units in ten are off for a
  whole batch.

**Causes** are told apart by what the gradient meets on its way: its factor per layer is the activation's rms slope
times what weights (and norms) do. Where the structure leaves a doubt, a copy is changed in the one point that is
suspected (precision, eps, learning rate) and measured again.
"""

from dataclasses import dataclass, replace
from math import exp, isfinite, log10

import numpy as np

DECADES, DECADES_ADAPTIVE = 2.0, 3.0
ADAPTIVE = ("Adam", "RMSprop", "Rprop", "Adagrad", "Adadelta", "Adafactor", "Lion", "Muon", "Shampoo", "Sophia")
FLAT, DEAD = 0.05, 0.9  # rms slope and share of dead units that make a layer dead
SPARSE, LONE = 0.05, 0.5  # share of values, and units for an example, that are on in a ReLU layer that tells nothing
CUT = 0.1  # of the gradient gets past a dead layer at most
GROWTH = 1.5  # decades by which signals may grow in the first steps
LOWER = {1e-2: "a hundredth", 1e-4: "a ten thousandth"}  # of the learning rate, to see whether it is to blame
BURST = 1000.0  # the loss over its start, on the way to a network of dead units: then it is the explosion that counts
MILD = 0.88  # factor per layer above which nothing but the number of layers is to blame
WEAK = 0.5  # rms slope under which an activation, not saturated, cannot carry a gradient with weights of unit scale
PUSHED = 0.3  # share of saturated values that makes a bounded activation saturated
BOUNDED = ("Sigmoid", "Tanh", "Softsign", "Hardtanh", "Hardsigmoid", "LogSigmoid", "ReLU6", "sigmoid", "tanh")
BOUNDED += ("hardtanh", "hardsigmoid", "log_sigmoid", "Elementwise")
RELU = ("ReLU", "relu")
RECTIFIERS = ("ReLU", "LeakyReLU", "PReLU", "ReLU6", "relu", "leaky_relu", "Threshold", "Hardshrink", "Softshrink")
FLUSHED = 0.5  # share of a gradient's entries that a number format may turn to zero
SCALE = 2.0**10  # of the loss, to see what was flushed


def bound(optimizer):
    """The decades that the gradient may change by with this optimizer."""
    name = type(optimizer).__name__
    return DECADES_ADAPTIVE if any(word in name for word in ADAPTIVE) else DECADES


@dataclass
class Finding:
    """A verdict before any remedy was tried."""

    state: str
    cause: str
    where: list
    evidence: list  # (reading, value, threshold, layer, meaning)
    margin: float  # decades to the bound that decided
    look: object
    axis: object
    before: object = None  # the same axis at the start, where what came later decides

    @property
    def confidence(self):
        """One half on the bound, 0.82 a decade away from it, 0.99 at four."""
        return 1 - 0.5 * exp(-max(0.0, self.margin))


def judge(looks, limit, again):
    """The `Finding` of a network from its `measure.looks`.

    limit : decades that the gradient may change by. again : measures a copy once more without what is suspected, see
    `vglab.diagnosis.Again`.
    """
    start = _first_with_gradient(looks)
    state, flat = _state(start, limit), _dead(start)
    if flat is not None and state != "exploding":
        return _dead_finding(start, flat, "dead ReLUs" if flat.kind in RECTIFIERS else "saturating activation")
    if state:
        cause = _exploding(start) if state == "exploding" else _vanishing(start, limit, again)
        return _along(start, state, cause, limit)
    broken = _broken_later(looks, start, again) if again.optimizer is not None else None  # no rate, no blame
    return broken or _starved(start, again) or _healthy(start, limit)


def _first_with_gradient(looks):
    """The first look with a gradient in it: a head or a branch that starts at zero lets none through at step 0."""
    for look in looks:
        norms = look.table.norm[look.table.norm.notna()]
        if (norms > 0).sum() > len(norms) / 2:
            return look
    return looks[0]


def _state(look, limit):
    if not isfinite(look.loss):
        return "exploding"
    worst = look.worst
    if worst is None or abs(worst.decades) < limit:
        return ""
    return "exploding" if worst.decades > 0 else "vanishing"


def _healthy(look, limit):
    worst = look.worst
    if worst is None:
        return Finding("healthy", "", [], [], 0.0, look, None)
    evidence = [_change(worst, limit), *_on_the_way(worst, limit)]
    return Finding("healthy", "", [], evidence, limit - abs(worst.decades), look, worst)


def _along(look, state, cause, limit):
    axis = look.worst
    if axis is None:
        return Finding(state, cause, [], [_loss(look)], 1.0, look, None)
    if cause.startswith("weights"):  # it is they that are at fault, not the activations behind them
        axis = replace(axis, rows=axis.rows.assign(module=[_weights_before(look, n) for n in axis.rows.order]))
    evidence = [_change(axis, limit), *_on_the_way(axis, limit)] + ([] if isfinite(look.loss) else [_loss(look)])
    return Finding(state, cause, _worst(axis), evidence, abs(axis.decades) - limit, look, axis)


# ---------------------------------------------------------------- dead


def _dead(look):
    """The activation that lets next to nothing through to all that lies before it, or None."""
    if any(axis.skips for axis in look.axes):  # around a dead branch the gradient goes on
        return None
    table = look.table[look.table.norm.notna()]
    once = look.acts[~look.acts.over_time]
    suspects = once[_flat(once) & (once.norm > 0)]
    for row in suspects.sort_values("order", ascending=False).itertuples():
        before = table[table.order < row.order].norm
        if len(before) and (before.max() < CUT * row.norm or _silent(row)):
            flat = suspects[~suspects.kind.isin(RECTIFIERS)]  # many saturated layers share the loss of the gradient
            return None if row.kind not in RECTIFIERS and len(flat) > max(1, len(once) / 3) else row
    return None


def _dead_finding(look, row, cause):
    before = look.table[look.table.order < row.order].norm.max() / row.norm
    evidence = [
        ("gradient passed on", before, CUT, row.module, "Length of the gradient before this layer over that behind."),
        ("rms slope", row.slope, FLAT, row.module, "What the activation lets through of a gradient, on this batch."),
        ("dead units", row.dead, DEAD, row.module, "Share of units whose slope is next to zero for every example."),
    ]
    margin = log10(CUT / before) if before > 0 else 4.0
    if _silent(row):
        evidence.append(
            ("units on", row.on, LONE, row.module, "For an example, in the mean; with none, all look alike.")
        )
        margin = max(margin, log10(LONE / row.on) if row.on > 0 else 4.0)
    return Finding("dead", cause, _dead_layers(look, row), evidence, margin, look, look.worst)


def _dead_layers(look, row):
    """The layer that decided, then others in which next to nothing is alive."""
    others = look.acts[_flat(look.acts)].sort_values("slope", kind="stable")
    return list(dict.fromkeys([row.module, *others.module]))[:8]


def _flat(acts):
    return (acts.slope < FLAT) | (acts.dead >= DEAD) | _silent(acts)


def _silent(acts):
    """Whether ReLUs are on so rarely that most examples look alike behind them. acts: a table, or a row of it."""
    relu = acts.kind.isin(RELU) if hasattr(acts.kind, "isin") else acts.kind in RELU
    return relu & (acts.slope**2 < SPARSE) & (acts.on < LONE)


# ---------------------------------------------------------------- causes


def _exploding(look):
    axis = look.worst
    if axis is None:
        return "weights too large"
    if axis.kind == "time":
        return "recurrence"
    normalized = look.norms >= len(axis.rows) / 2
    if axis.skips:
        return "weights too large" if normalized else "residual without normalization"
    return "normalization without skips" if normalized else "weights too large"


def _vanishing(look, limit, again):
    axis = look.worst
    if axis.kind == "time":
        return "recurrence"
    for suspicion, cause in (("scale", "precision"), ("eps", "normalization eps")):
        other = again.look(suspicion)
        mended = other and other.along(axis)
        if mended and mended.rows.norm.median() > 0 and abs(mended.decades) < limit:
            return cause
    acts = axis.rows[axis.rows.slope.notna()]
    acts = acts if len(acts) else look.acts
    if _bounded(acts) and acts.saturated.median() >= PUSHED:
        return "saturating activation"
    if 10**axis.per_layer >= MILD:
        return "depth"
    return "activation without unit gain" if acts.slope.median() < WEAK else "weights too small"


def _broken_later(looks, start, again):
    """What only the optimizer's first steps show, and those at a hundredth of its rate or less do not."""
    broken = _broken(looks, start)
    if broken is None:
        return None
    state, look, growth, row = broken
    tamed = next((rate for rate in LOWER if _broken(again.looks(rate), start) is None), None)
    largest = look.table.module[look.table.h_rms.idxmax()] if look.table.h_rms.notna().any() else ""
    cure = f"{LOWER[tamed]} of the learning rate prevents it" if tamed else "lower learning rates do not prevent it"
    grew = f"Decades by which the largest rms output grew in {look.step} steps; {cure}."
    evidence = [("growth of signals", growth, GROWTH, largest, grew), _loss(look)]
    if row is not None:
        off = f"Share of units that are off for every example after {look.step} steps of the optimizer."
        evidence.insert(0, ("dead units", row.dead, DEAD, row.module, off))
    where = _dead_layers(look, row) if row is not None else _grown(look, start)
    axis = start.worst and look.along(start.worst)
    axis, before = (axis, start.worst) if axis else (start.worst, None)
    return Finding(state, "learning rate", where, evidence, 2.0 if tamed else 0.2, look, axis, before)


def _broken(looks, start):
    """(state, look, decades of growth, dead row) of the last look if the first steps broke the network, else None."""
    last = looks[-1]
    largest = start.table.h_rms.max()
    sizes = last.table.h_rms.dropna()  # a NaN that is none for lack of a reading shows in the loss
    growth = log10(sizes.max() / largest) if sizes.max() > 0 < largest else 0.0
    row = _dead(last) if last.step > start.step and isfinite(last.loss) else None
    if row is not None and last.peak <= BURST * abs(looks[0].loss):
        return "dead", last, growth, row
    if row is not None or not isfinite(last.loss) or growth >= GROWTH:
        return "exploding", last, growth, None
    return None


def _grown(look, start):
    """The layers whose output grew most."""
    both = look.table.merge(start.table[start.table.h_rms > 0], on=["layer", "call"], suffixes=("", "_start"))
    ratio = (both.h_rms / both.h_rms_start).replace(np.inf, 1e300).fillna(1e300)
    return list(dict.fromkeys(both.module[ratio.sort_values(ascending=False, kind="stable").index]))[:3]


def _starved(look, again):
    """Gradients that the number format flushed to zero: they come back when the loss is scaled up."""
    lost = again.flushed()
    if lost.empty or lost.max() < FLUSHED:
        return None
    name = lost.idxmax()
    where = list(lost[lost >= FLUSHED].sort_values(ascending=False).index)
    meaning = f"Share of the gradient's entries that are zero, and are not once the loss is scaled by {SCALE:g}."
    evidence = [("gradient flushed to zero", lost.max(), FLUSHED, name, meaning)]
    return Finding("vanishing", "precision", where, evidence, 2 * (lost.max() - FLUSHED) + 1, look, look.worst)


# ---------------------------------------------------------------- evidence


def _change(axis, limit):
    first, last = axis.rows.module.iloc[0], axis.rows.module.iloc[-1]
    way = f"over {len(axis.rows)} time steps of {first}" if axis.kind == "time" else f"from {last} to {first}"
    verb = "gains" if axis.decades > 0 else "loses"
    bound = limit if axis.decades > 0 else -limit
    meaning = f"Towards the input the gradient {verb} {abs(axis.decades):.1f} decades {way}."
    return ("decades of gradient", axis.decades, bound, first, meaning)


def _on_the_way(axis, limit):
    """What a layer does to the gradient, and its activation's part in it; a limit only where it decides the cause."""
    factor, step = 10**axis.per_layer, "time step" if axis.kind == "time" else "layer"
    rows = [("factor per layer", factor, 1.0, "", f"What one {step} multiplies the gradient by, in the median.")]
    acts = axis.rows[axis.rows.slope.notna()]
    weak, pushed = (WEAK, PUSHED) if axis.decades <= -limit else (np.nan, np.nan)
    if len(acts):
        slope = acts.slope.median()
        rows += [
            ("rms slope", slope, weak, "", "The activation's part in that factor, in the median."),
            ("weights' factor", factor / slope, 1.0, "", "The rest of it: weights, and norms where there are any."),
        ]
    if _bounded(acts):
        rows.append(("saturated values", acts.saturated.median(), pushed, "", "Slope under a tenth of the greatest."))
    return rows


def _bounded(acts):
    return len(acts[acts.kind.isin(BOUNDED)]) > len(acts) / 2


def _loss(look):
    return ("loss", look.loss, np.nan, "", f"After {look.end} steps of the optimizer; its size decides nothing.")


def _worst(axis):
    """The layers that change the gradient most, as many as make half of the change, eight at most."""
    names = axis.rows.module.to_numpy()
    if axis.kind == "time":
        return [names[0]]
    norms = np.log10(np.maximum(axis.rows.norm.to_numpy(float), 1e-300))
    change = (norms[:-1] - norms[1:]) * np.sign(axis.decades)  # between a layer's output and that of the one before
    order = np.argsort(-change, kind="stable")
    enough = int(np.searchsorted(np.cumsum(change[order]), abs(axis.decades) / 2)) + 1
    return list(dict.fromkeys(names[1:][order[: min(enough, 8)]]))


def _weights_before(look, order):
    layers = look.table[(look.table.order <= order) & look.table.weighted]
    return layers.module.iloc[-1] if len(layers) else look.table.module[look.table.order == order].iloc[0]
