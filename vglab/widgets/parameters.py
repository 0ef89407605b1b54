"""What a learner may turn: a number in a range or one choice of several, each with the words of its label."""

from dataclasses import dataclass
from math import isfinite, log10
from numbers import Integral, Real


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`; on a logarithmic slider if `log`, else in steps of `step`."""

    name: str
    label: str
    low: float
    high: float
    unit: str = ""
    whole: bool = False
    log: bool = False
    step: float = 1

    def check(self, value):
        """Return `value` as a plain number, or raise `TypeError` or `ValueError` in one sentence."""
        kind = "a whole number" if self.whole else "a number"
        asked = f"{self.name} must be {kind} from {self.low:g} to {self.high:g}; got {value!r}"
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            raise TypeError(f"{asked}: give {kind}, such as {self.name} = {self.low:g}.")
        slack = 1e-9 * self.high  # a logarithmic slider ends at 10**log10(high)
        if not self.low - slack <= value <= self.high + slack:
            raise ValueError(f"{asked}: choose one in that range.")
        return int(value) if self.whole else min(max(float(value), self.low), self.high)

    @property
    def positions(self):
        """Where its slider can stand, ends included."""
        low, high = (log10(self.low), log10(self.high)) if self.log else (self.low, self.high)
        places = [low + i * self.step for i in range(int((high - low) / self.step + 1 + 1e-9))]
        places += [high] if high - places[-1] > 1e-9 else []
        if self.whole:
            return [int(place) for place in places]
        return [float(f"{min(10**place if self.log else place, self.high):.6g}") for place in places]

    def same(self, a, b):
        """Whether a slider cannot tell `a` from `b`: less than half a step apart."""
        return abs(log10(a / b) if self.log else a - b) < self.step / 2

    def words(self, value):
        """The label: name, value and unit, for example ``'depth: 30 layers'``."""
        return f"{self.label} {value:{'d' if self.whole else '.3g'}}{self.unit}"


@dataclass(frozen=True)
class Choice:
    """One of `options`, a dict from value to the words shown."""

    name: str
    label: str
    options: dict

    def check(self, value):
        """Return `value`, or raise `ValueError` in one sentence."""
        if not isinstance(value, str) or value not in self.options:
            allowed = ", ".join(map(repr, self.options))
            raise ValueError(f"{self.name} must be one of {allowed}; got {value!r}: choose one of these.")
        return value

    @property
    def positions(self):
        """The values in the order of their list."""
        return list(self.options)

    def same(self, a, b):
        """Whether `a` is `b`."""
        return a == b

    def words(self, value):
        """The label."""
        return self.label


ACT = Choice(
    "act", "activation", {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU", "gelu": "GELU", "selu": "SELU"}
)


def two_digits(x):
    """`x` in words of two significant digits: the same on every machine, and never more exact than one seed is.

    >>> two_digits(0.2345), two_digits(3.16e-12), two_digits(1234)
    ('0.23', '3.2e-12', '1200')
    """
    if x == 0 or not isfinite(x):
        return f"{x:g}"
    digits, exponent = f"{x:.1e}".split("e")
    power = int(exponent)
    if -2 <= power <= 3:
        return f"{float(f'{x:.1e}'):.{max(0, 1 - power)}f}"
    return f"{digits}e{power}"
