"""What was read, step by step, in little room, and the tidy tables made of it."""

from array import array

import numpy as np
import pandas as pd
import torch

from . import slopes

READINGS = ("h_mean", "h_rms", "cosine", "slope", "saturated", "dead")
COLUMNS = ("step", "backward", "order", "layer", "kind", "call", *READINGS, "grad_rms", "gain")
_NONE_YET = -1.0  # an rms is never negative
_NAN = float("nan")
_OTHERS = [_NAN] * (len(READINGS) - 2)


class Step:
    """One forward pass of the model and the backward passes through it: six readings a row, a gradient a pass."""

    __slots__ = ("calls", "gradients", "layout", "number", "open", "order", "passes", "pending", "samples", "scales")
    __slots__ += ("values",)

    def __init__(self, number):
        self.number, self.open = number, True
        self.layout, self.order, self.calls = [], [], {}  # (layer, kind, call) of each row, its place, calls so far
        self.values, self.gradients, self.passes, self.scales = array("d"), [], {}, {}
        self.pending = []  # readings still on a device: (array, place in it, tensor)
        self.samples = []  # (row, sample of an activation) still to be judged

    def add(self, layer, kind, h_mean=_NAN, h_rms=_NAN):
        """A new row, the last so far; returns its index."""
        row, call = len(self.layout), self.calls.get(layer, 0)
        self.calls[layer] = call + 1
        self.layout.append((layer, kind, call))
        if type(h_rms) is float:
            self.values.extend((h_mean, h_rms, *_OTHERS))
        else:  # on a device
            self.values.extend((_NAN, _NAN, *_OTHERS))
            self.put(row, 0, h_mean)
            self.put(row, 1, h_rms)
        return row

    def sample(self, row, sample):
        """Keep the sample of an activation, or None, for the step's end."""
        if sample is not None:
            self.samples.append((row, sample))

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

    def arrived(self):
        """To how many rows a gradient came in the first backward pass."""
        return sum(value != _NONE_YET for value in self.gradients[0]) if self.gradients else 0

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

    def judge(self):
        """Read slope, saturated and dead from the samples kept."""
        rows, samples = [row for row, _ in self.samples], [sample for _, sample in self.samples]
        self.samples = []
        for row, numbers in zip(rows, slopes.shares(samples), strict=True):
            for reading, value in enumerate(numbers, READINGS.index("slope")):
                self.put(row, reading, value)

    def settle(self):
        """Judge the samples, and fetch what is still on a device, all at once."""
        self.judge()
        if self.pending:
            numbers = torch.stack([tensor.double() for _, _, tensor in self.pending]).tolist()
            for (column, place, _), value in zip(self.pending, numbers, strict=True):
                column[place] = value
            self.pending.clear()

    def close(self, layouts):
        """The step is over: judge the samples; `layouts` holds one list for all steps of the same rows."""
        self.judge()
        self.layout = layouts.setdefault(tuple(self.layout), self.layout)

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
