"""The weights, their gradients and how far each step of the optimizer moves them."""

from array import array

import numpy as np
import pandas as pd
import torch
from torch.nn.parameter import is_lazy

from .readings import rms

SAMPLE = 1024  # entries of a weight that are kept to see how far it moves
_SAFE_NORM = 1e-17  # below it squares may have been lost in float32


class Movement:
    """Reads every parameter at the optimizer's steps: the update is measured, whatever the optimizer does."""

    def __init__(self, model, sample=SAMPLE):
        named = [(name, p) for name, p in model.named_parameters() if not is_lazy(p)]
        self.names, self._parameters = [name for name, _ in named], [p for _, p in named]
        self._sample, self._views, self._before = sample, {}, []
        self.steps, self._values = [], []

    def before(self):
        """Just before the optimizer's step: keep some entries of each weight."""
        self._before = torch._foreach_mul(self._views_now(), 1)

    def after(self, step):
        """Just after it: what the weights are, which gradient they had, how far they went."""
        now, before = self._views_now(), self._before
        grads = [_local(p.grad) for p in self._parameters if p.grad is not None]
        moves = torch._foreach_sub(now, before) if len(before) == len(now) else []
        arrived = iter(_all_rms(grads))
        gradients = [float("nan") if p.grad is None else next(arrived) for p in self._parameters]
        self.steps.append(step)
        self._values.append((_all_rms(now), gradients, _all_rms(before), _all_rms(moves)))
        self._before = []

    def table(self):
        """A row for every parameter and step, see `probe`."""
        frames = []
        for step, (weights, gradients, before, moves) in zip(self.steps, self._values, strict=True):
            size, moved = np.array([*map(float, before)]), np.array([*map(float, moves)])
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.where(size > 0, moved / size, np.nan) if len(moved) else np.nan
            columns = {"step": step, "name": self.names, "weight_rms": [*map(float, weights)]}
            frames.append(pd.DataFrame(columns | {"grad_rms": [*map(float, gradients)], "update_ratio": ratio}))
        names = ["step", "name", "weight_rms", "grad_rms", "update_ratio"]
        return pd.concat(frames, ignore_index=True)[names] if frames else pd.DataFrame(columns=names)

    def _views_now(self):
        """Some entries of each weight, spread over all by an odd stride, as views that follow the weight."""
        views = []
        for p in self._parameters:
            key = p.data_ptr() if type(p) is torch.nn.Parameter else 0
            kept = self._views.get(id(p))
            if kept is None or not key or kept[0] != key:
                kept = self._views[id(p)] = (key, self._few(_local(p).detach()))
            views.append(kept[1])
        return views

    def _few(self, t):
        flat = t.reshape(-1)
        return flat if self._sample is None else flat[:: -(-len(flat) // self._sample) | 1]


def _all_rms(tensors):
    """The rms of each tensor: Python numbers from the CPU, tensors of one number where all lie elsewhere."""
    if any(t.layout is not torch.strided or t.is_complex() for t in tensors):
        return [rms(t) for t in tensors]
    norms = torch._foreach_norm(tensors) if tensors else []
    if any(norm.device.type != "cpu" for norm in norms):
        return [rms(t) for t in tensors]  # float64 sums, and no waiting for the device
    return array("d", [
        norm / t.numel() ** 0.5 if _SAFE_NORM < norm < 1e18 else float(rms(t))
        for norm, t in zip(torch.stack([n.float() for n in norms]).tolist() if norms else [], tensors, strict=True)
    ])  # fmt: skip


def _local(t):
    """The part of a distributed tensor that lies here; any other tensor as it is."""
    return t.to_local() if hasattr(t, "to_local") else t
