"""What looking costs: each look is timed and can do no harm, and "auto" looks only when it can afford to."""

from functools import wraps
from time import perf_counter

import numpy as np
import torch

# What Python's hooks and the engine's way to them take besides the time between a hook's first and last line, in
# seconds a look; from the benchmark, where "auto" must keep its word.
UNSEEN = 4e-6


class Budget:
    """Looking may take `overhead` of the time since the start; the price of a step is what the last one cost."""

    def __init__(self, overhead):
        self.overhead, self.spent = overhead, 0.0
        self._start, self._paid, self._price = perf_counter(), 0.0, 0.0

    def allows(self, *, looked):
        """Whether the step that starts now can be afforded; `looked` says whether the last one was looked at."""
        if looked:
            self._price = self.spent - self._paid
        self._paid = self.spent
        return self.spent + self._price <= self.overhead * (perf_counter() - self._start)


def harmless(method):
    """A look that takes its own time and never stops the training: what cannot be read is noted."""

    @wraps(method)
    def look(self, *args):
        if torch.compiler.is_compiling():  # first of all: the compiler sees a hook that does nothing
            return
        start = perf_counter()
        try:
            with np.errstate(all="ignore"):  # an overflow is a finding, not a warning
                method(self, *args)
        except Exception as error:
            self._closed.add(("error", f"{type(error).__name__}: {error}"))
        self._budget.spent += perf_counter() - start + UNSEEN

    return look
