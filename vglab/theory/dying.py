"""How likely a ReLU network is dead at birth: narrow and deep is fatal."""

import numpy as np

from .gaussian import check_whole, number


def born_dead_probability(depth, width):
    """The chance that some layer of a ReLU network is 0 for a given input: 1 - (1 - 2**-width)**depth.

    For weights that are symmetric about 0 and biases 0, as each unit is off with chance 1/2 whatever comes in. Exact
    for one input; the chance that the network is dead for *all* inputs is smaller, and this an upper bound on it:
    Lu et al. (2019), arXiv:1903.06733. depth, width: numbers or arrays that broadcast.

    >>> round(born_dead_probability(10, 4), 4), round(born_dead_probability(40, 8), 3)
    (0.4755, 0.145)
    """
    check_whole("depth", depth)
    check_whole("width", width)
    return number(-np.expm1(np.asarray(depth) * np.log1p(-np.exp2(-np.asarray(width, dtype=float)))))
