"""Many values of a smooth function of the variance from few evaluations: Chebyshev polynomials on cells of log q.

What theory needs of an activation depends on q alone, or on q and a correlation, while a phase diagram asks at
40 000 points. Between its samples each function is a polynomial in log10 q of degree `DEGREE` on every cell.
"""

import numpy as np
from numpy.polynomial import chebyshev

DEGREE = 9
_X = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))  # Chebyshev nodes on [-1, 1]
_TO_COEFFICIENTS = np.linalg.inv(chebyshev.chebvander(_X, DEGREE))
_PER_DECADE = 8  # cells; for the activations of `vglab.activations` the error stays under 1e-11 (tests)


class LogTable:
    """`f(q)` at many q: f takes q: (n,) and returns (n, ...); `origin` is where one cell begins.

    Cells are sampled when they are first asked for, ten samples each.
    """

    def __init__(self, f, *, origin=1.0, per_decade=_PER_DECADE):
        self.f, self.origin, self.per_decade = f, origin, per_decade

    def q(self, place):
        """The q at a place on the axis of cells; the whole numbers are where cells begin."""
        return self.origin * 10.0 ** (np.asarray(place) / self.per_decade)

    def coefficients(self, cells):
        """The polynomials on `cells`, whole numbers: (n,) -> (n, DEGREE + 1, ...)."""
        cells = np.asarray(cells)
        samples = self.f(self.q(cells[:, None] + (_X + 1) / 2).ravel())
        samples = samples.reshape(len(cells), DEGREE + 1, *samples.shape[1:])
        return np.einsum("jk,nk...->nj...", _TO_COEFFICIENTS, samples)

    def __call__(self, q):
        """f at every q > 0: (...) -> (..., ...)."""
        shape, q = np.shape(q), np.ravel(q)
        place = np.log10(q / self.origin) * self.per_decade
        cells, which = np.unique(np.floor(place), return_inverse=True)
        basis = chebyshev.chebvander(2 * (place - cells[which]) - 1, DEGREE)
        coefficients = self.coefficients(cells)
        values = np.empty((q.size, *coefficients.shape[2:]))
        for i in range(len(cells)):
            here = which == i
            values[here] = np.tensordot(basis[here], coefficients[i], 1)
        return values.reshape(*shape, *coefficients.shape[2:])


def bisect(rises, low, high, *, steps=60):
    """The places between `low` and `high`, arrays, where the condition `rises(x)` turns from True to False."""
    for _ in range(steps):
        middle = (low + high) / 2
        up = rises(middle)
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    return (low + high) / 2
