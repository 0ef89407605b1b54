"""The weights, their gradients and how far each step of the optimizer moves them."""

from array import array

import numpy as np
import pandas as pd
import torch
from torch.nn.parameter import is_lazy

from .readings import rms

SAMPLE = 512  # entries of a weight that are kept to see how far it moves; each is far from the next, a slow read
COLUMNS = ("step", "name", "weight_rms", "grad_rms", "update_ratio")
_NAN = float("nan")


class Movement:
    """Reads every parameter at the optimizer's steps: the update is measured, whatever the optimizer does."""

    def __init__(self, model, sample=SAMPLE):
        self._model, self._sample = model, sample
        self._named, self._places, self._before, self._gradients = [], None, None, None
        self._steps = []

    def before(self, *, scale=1.0, closure=False):
        """Just before the optimizer's step: keep some entries of each weight, and read the gradients.

        With a `closure` there are none yet; `scale` is what the optimizer will divide them by.
        """
        if not self._named or self._waiting:  # of one that replaced another the optimizer would not know, either
            self._name()
        self._before = self._entries()
        self._gradients = None if closure else self._gradients_now(scale)

    def after(self, step):
        """Just after it: what the weights are, which gradient they had, how far they went."""
        before, now, self._before = self._before, self._entries(), None
        whole = isinstance(now, np.ndarray)
        moves = now - before if whole else [new - old for old, new in zip(before, now, strict=True)]
        weights, sizes, moved = (self._rms_of(entries) for entries in (now, before, moves))
        gradients = self._gradients_now() if self._gradients is None else self._gradients
        self._file(step, weights, gradients, sizes, moved)

    def read(self):
        """Just after the step: (rms of the gradients, update ratios), an array each, and nothing is kept."""
        self.after(0)
        _, _, _, gradients, ratios = self._columns(*self._steps.pop())
        return np.array(gradients), ratios

    def still(self, step):
        """Read the parameters as they are, whole; no update is seen."""
        self._name()
        weights = [rms(_local(p)) for _, p in self._named]
        self._file(step, weights, self._gradients_now(), [], [])

    def _name(self):
        named = list(self._model.named_parameters())
        self._named = [(name, p) for name, p in named if not is_lazy(p)]
        self._waiting = len(self._named) < len(named)

    def table(self):
        """A row for every parameter and step, see `probe`."""
        frames = [pd.DataFrame(dict(zip(COLUMNS, self._columns(*kept), strict=True))) for kept in self._steps]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)

    def _columns(self, step, names, weights, gradients, before, moves):
        size, moved = (np.array([*map(float, numbers)] or [_NAN] * len(names)) for numbers in (before, moves))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(size > 0, moved / size, np.nan)
        return step, names, [*map(float, weights)], [*map(float, gradients)], ratio

    def _file(self, step, *numbers):
        names = [name for name, _ in self._named]
        if self._steps and self._steps[-1][1] == names:
            names = self._steps[-1][1]  # one list for all steps
        self._steps.append((step, names, *numbers))

    def _gradients_now(self, scale=1.0):
        return [_NAN if p.grad is None else rms(_local(p.grad)) / scale for _, p in self._named]

    def _entries(self):
        """A copy of some entries of each weight: a list, or one after the other where all are float32 on the CPU."""
        self._find_views()
        return torch.cat(self._views).double().numpy() if self._plain else [view.clone() for view in self._views]

    def _rms_of(self, entries):
        """The rms of each weight's entries."""
        if not isinstance(entries, np.ndarray):
            return [rms(t) for t in entries]
        starts = np.cumsum([0, *self._lengths[:-1]])
        return array("d", np.sqrt(np.add.reduceat(entries * entries, starts) / self._lengths))

    def _find_views(self):
        """Views of some entries of each weight, which follow it until its ``data`` is another tensor."""
        places = [p.data_ptr() if type(p) is torch.nn.Parameter else None for _, p in self._named]
        if places == self._places:
            return
        self._views = [self._few(_local(p).detach()) for _, p in self._named]
        follow = all(view.data_ptr() == place for view, place in zip(self._views, places, strict=True))
        self._places = places if follow else None  # else some are copies, to be made anew each time
        self._lengths = [view.numel() for view in self._views]
        self._plain = bool(places) and all(v.numel() and v.is_cpu and v.dtype is torch.float32 for v in self._views)

    def _few(self, t):
        """Some entries, spread over all by an odd stride."""
        flat = t.permute(sorted(range(t.ndim), key=lambda d: -t.stride(d))).reshape(-1)  # a view, if it has no gaps
        return flat if self._sample is None else flat[:: -(-len(flat) // self._sample) | 1]


def _local(t):
    """The part of a distributed tensor that lies here; any other tensor as it is."""
    return t.to_local() if hasattr(t, "to_local") else t
