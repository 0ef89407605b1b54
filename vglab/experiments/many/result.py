"""What training many networks gives: curves, a row per network, and the trained networks themselves."""

import copy
import math
from collections.abc import Sequence

import pandas as pd
import torch


class Trained:
    """`curves`: a row per network and recorded step. `table`: a row per network. `models`: trained copies, in order.

    The curves hold a batch's loss and accuracy in training mode, before the step. The table holds those of all examples
    after the last step, in evaluation mode, in which batch normalization uses its running statistics.
    `stopped` says whether training was cancelled; `steps` in the table then says how far each network came.
    """

    def __init__(self, curves, table, models, stopped):
        self.curves, self.table, self.models, self.stopped = curves, table, models, stopped

    def steps_to(self, *, accuracy=None, loss=None):
        """First recorded step with at least such an accuracy, or at most such a loss, per network; NaN if never."""
        if (accuracy is None) == (loss is None):
            raise ValueError("steps_to takes an accuracy or a loss, one of the two.")
        reached = self.curves.loss <= loss if accuracy is None else self.curves.accuracy >= accuracy
        first = self.curves[reached].groupby("model").step.min()
        return first.reindex(self.table.model).astype(float).rename("steps")

    def __repr__(self):
        diverged = int(self.table.diverged.notna().sum())
        return f"<{len(self.table)} networks, {diverged} diverged{', stopped early' if self.stopped else ''}>"


class Models(Sequence):
    """The given models, each copied with its trained weights when it is asked for."""

    def __init__(self, given, plans):
        self.given, self.plans, self.weights, self.copies = given, plans, {}, {}

    def __len__(self):
        return len(self.given)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return [self[j] for j in range(len(self))[i]]
        i = range(len(self))[i]
        if i not in self.copies:
            self.copies[i] = self._copy(i)
        return self.copies[i]

    @torch.no_grad()
    def _copy(self, i):
        model = copy.deepcopy(self.given[i])
        if i in self.weights:
            steps, (parameters, statistics) = self.weights[i]
            own = dict(model.named_parameters()) | dict(model.named_buffers())
            names = [*self.plans[i].every("names"), *self.plans[i].every("buffers")]
            for name, values in zip(names, [*parameters, *statistics], strict=True):
                own[name].copy_(torch.from_numpy(values))
            for name, buffer in model.named_buffers():
                if name.endswith("num_batches_tracked"):
                    buffer += steps
        return model


def collect(given, plans, jobs, results, stopped):
    """The `Trained` of the chunks that came back: `results` maps a chunk's number to what `chunk.train` gave."""
    models, rows, curves = Models(given, plans), {}, []
    for number, out in results.items():
        numbers = jobs[number]["numbers"]
        curves += [(numbers[i], *rest) for i, *rest in out["records"]]
        for i, model in enumerate(numbers):
            models.weights[model] = out["steps"][i], out["nets"][i]
            row = {name: values.get(i, math.nan) for name, values in out["final"].items()}
            rows[model] = row | {"steps": out["steps"][i], "diverged": out["diverged"][i], "skipped": out["skipped"][i]}
    missing = {"steps": 0, "diverged": math.nan, "skipped": 0}
    table = pd.DataFrame([{"model": i, **rows.get(i, missing)} for i in range(len(given))])
    columns = ["model", "step", "loss"] + ["accuracy"] * (jobs[0]["loss"] == "cross_entropy")
    for name in columns[2:]:
        if name not in table:
            table[name] = math.nan
    curves = pd.DataFrame(curves, columns=columns).sort_values(["model", "step"], ignore_index=True)
    return Trained(curves, table, models, stopped)
