"""What was read, step by step, in little room, and the tidy tables made of it."""

from array import array

import numpy as np
import pandas as pd
import torch

READINGS = ("h_mean", "h_rms", "cosine", "slope", "saturated", "dead")
COLUMNS = ("step", "backward", "order", "layer", "kind", "call", *READINGS, "grad_rms", "gain")
_NONE_YET = -1.0  # an rms is never negative
_NAN = float("nan")
_EMPTY = array("d", [_NAN] * len(READINGS))


class Step:
    """One forward pass of the model and the backward passes through it: six readings a row, a gradient a pass."""

    __slots__ = ("calls", "gradients", "layout", "number", "open", "order", "passes", "pending", "scale", "values")

    def __init__(self, number, scale=1.0):
        self.number, self.scale, self.open = number, scale, True
        self.layout, self.order, self.calls = [], [], {}  # (layer, kind, call) of each row, its place, calls so far
        self.values, self.gradients, self.passes = array("d"), [], {}
        self.pending = []  # readings still on a device: (array, place in it, tensor)

    def add(self, layer, kind, h_mean=_NAN, h_rms=_NAN):
        """A new row, the last so far; returns its index."""
        row, call = len(self.layout), self.calls.get(layer, 0)
        self.calls[layer] = call + 1
        self.layout.append((layer, kind, call))
        self.values.extend(_EMPTY)
        self.put(row, 0, h_mean)
        self.put(row, 1, h_rms)
        return row

    def slope(self, row, shares):
        """Slope, saturated and dead of a row, or None."""
        if shares is not None:
            for reading, value in enumerate(shares, READINGS.index("slope")):
                self.put(row, reading, value)

    def put(self, row, reading, value):
        """One of `READINGS`, by its place there."""
        self._put(self.values, row * len(READINGS) + reading, value)

    def gradient(self, row, task, value):
        """File the gradient that reached `row` in the backward pass `task`: a second pass overwrites nothing."""
        number = self.passes.setdefault(task, len(self.passes))
        while len(self.gradients) <= number:
            self.gradients.append(array("d"))
        column = self.gradients[number]
        if len(column) <= row:
            column.extend([_NONE_YET] * (len(self.layout) - len(column)))
        self._put(column, row, value)

    def output(self, row):
        """(h_mean, h_rms) of a row."""
        self.settle()
        return tuple(self.values[row * len(READINGS) : row * len(READINGS) + 2])

    def _put(self, column, place, value):
        if isinstance(value, torch.Tensor):
            column[place] = float("nan")
            self.pending.append((column, place, value))
        else:
            column[place] = value

    def settle(self):
        """Fetch what is still on a device, all at once."""
        if self.pending:
            numbers = torch.stack([tensor.double() for _, _, tensor in self.pending]).tolist()
            for (column, place, _), value in zip(self.pending, numbers, strict=True):
                column[place] = value
            self.pending.clear()

    def rows(self):
        """(row, backward, gradient) arrays: a row for each backward pass that reached it, else one with NaN."""
        self.settle()
        filed = np.full((max(1, len(self.gradients)), len(self.layout)), _NONE_YET)
        for number, column in enumerate(self.gradients):
            filed[number, : len(column)] = column
        here = filed != _NONE_YET  # NaN is a gradient that arrived
        lost = ~here.any(0)
        here[0] |= lost
        filed[0, lost] = np.nan
        place = np.argsort(np.argsort(self.order, kind="stable"), kind="stable")
        backward, row = np.nonzero(here)
        by_order = np.lexsort((place[row], backward))
        backward, row = backward[by_order], row[by_order]
        return row, backward, place[row], filed[backward, row]


def table(steps):
    """The rows of all `steps`, see `probe`; ``gain`` is grad_rms over that of the next row of the same kind."""
    parts = {name: [] for name in COLUMNS}
    for step in (step for step in steps if step.layout):
        row, backward, place, gradient = step.rows()
        parts["step"].append(np.full(len(row), step.number))
        parts["backward"].append(backward)
        parts["order"].append(place)
        parts["grad_rms"].append(gradient)
        for name, values in zip(READINGS, np.array(step.values).reshape(-1, len(READINGS))[row].T, strict=True):
            parts[name].append(values)
        for name, values in zip(("layer", "kind", "call"), zip(*step.layout, strict=True), strict=True):
            parts[name].append(np.array(values, dtype=None if name == "call" else object)[row])
    if not parts["step"]:
        return pd.DataFrame({name: [] for name in COLUMNS})
    rows = pd.DataFrame({name: np.concatenate(part) for name, part in parts.items() if part})
    rows["gain"] = rows.grad_rms / rows.groupby(["step", "backward", "kind"]).grad_rms.shift(-1)
    return rows[list(COLUMNS)]
