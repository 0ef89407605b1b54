"""Families of healthy and sick networks whose state and cause are known by construction, confirmed by training.

``design.FAMILIES`` served to find the rules of `vglab.diagnose`, ``aside.FAMILIES`` was set aside to test them: whoever
changes a rule looks at the first only. ``tests/test_families.py`` confirms the truth of both without the diagnosis.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from vglab import tasks

LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


@dataclass(frozen=True)
class Family:
    """Networks of one kind: ``family(seed)`` is (model, batch, loss_fn, optimizer), what `vglab.diagnose` is given."""

    make: Callable
    state: str
    cause: str
    trunk: type | tuple  # modules whose outputs are the net's layers in turn, or an nn.RNNBase; the last is the head
    head: bool  # whether the last of them is a head, which does not count

    def __call__(self, seed):
        """The same for the same seed, whatever the global random state is, which stays as it was."""
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(1000 * seed + zlib.crc32(self.make.__name__.encode()))
            return self.make(seed)


def register(families):
    """A decorator ``@family(state, cause)`` that files a function ``name(seed)`` in the dictionary `families`."""

    def family(state="healthy", cause="", *, trunk=LAYERS, head=True):
        def file(make):
            families[make.__name__] = Family(make, state, cause, trunk, head)
            return make

        return file

    return family


def digits(n, seed):
    """n handwritten digits, x: (n, 64) standardized, y: (n,); every seed has others."""
    return tuple(part[:n] for part in tasks.digits(seed=seed)[:2])
