"""Growth of signals and gradients through residual blocks h + alpha W phi(N(h)), block by block.

W ~ N(0, sigma_w**2 / n) has mean zero, so that a block's branch is uncorrelated with its input and variances add. What
keeps them from doubling at every block is the subject: alpha = 1 / sqrt(depth), a norm N, or a branch that starts at 0.
"""

import math

import numpy as np

from .gaussian import LARGEST, check_q, check_sigmas, check_whole, mean, mean_square, slope_power

KINDS = ("plain", "scaled", "layer", "rms", "batch", "rezero", "fixup")


def residual_variance(kind, depth, *, act="relu", sigma_w=2**0.5, q0=1.0):
    """E[h**2] of the stream before the first block and after each: (depth + 1,).

    kind : "plain" alpha = 1: for He's ReLU 2**depth; "scaled" alpha = 1 / sqrt(depth): (1 + 1/depth)**depth < e;
        "layer", "rms", "batch" a norm before phi: 1 + depth (De and Smith 2020, arXiv:2002.10444); "rezero"
        (Bachlechner et al. 2020, arXiv:2003.04887) and "fixup" (Zhang et al. 2019, arXiv:1901.09321): a branch that
        is 0 at the start, 1.
    q0 : the mean square of the first block's input, above 0.

    >>> [round(float(residual_variance(kind, 50)[-1]), 2) for kind in ("scaled", "layer", "rezero")]
    [2.69, 51.0, 1.0]
    """
    return _stream(kind, depth, act, sigma_w, q0)[0]


def residual_gradient(kind, depth, *, act="relu", sigma_w=2**0.5, q0=1.0, spread0=None):
    """The mean square of dL/dh before each block and after the last, over that after the last: (depth + 1,).

    A block multiplies it by 1 + alpha**2 sigma_w**2 E[phi'**2]; behind a norm that is divided by the stream's mean
    square, or for BatchNorm by its variance over the batch, which is less and makes the gradient grow faster. Our
    derivation; for He's ReLU without a norm the growth of the variance, as in De and Smith (2020).

    spread0 : the variance over the batch of the first block's input, for "batch"; by default `q0`.
    """
    q, spread = _stream(kind, depth, act, sigma_w, q0, q0 if spread0 is None else spread0)
    alpha2 = _alpha2(kind, depth)
    if kind in ("layer", "rms", "batch"):
        branch = slope_power(act) / (spread if kind == "batch" else q)[:-1]
    else:
        branch = slope_power(act, q[:-1]) if alpha2 else np.zeros(depth)
    return np.append(np.cumprod((1 + alpha2 * sigma_w**2 * branch)[::-1])[::-1], 1.0)


def fixup_scale(depth, layers=2):
    """The factor on He's weights in Fixup, depth**(-1 / (2 layers - 2)), for branches of `layers` layers.

    Zhang et al. (2019), section 3, step 2: with it one step of training moves the output by an amount that does not
    depend on the depth. The last layer of each branch starts at 0.
    """
    check_whole("depth", depth)
    check_whole("layers", layers, least=2)
    return depth ** (-1 / (2 * layers - 2))


def _alpha2(kind, depth):
    return {"scaled": 1 / depth, "rezero": 0.0, "fixup": 0.0}.get(kind, 1.0)


def _stream(kind, depth, act, sigma_w, q0, spread0=1.0):
    """The mean square of the stream and, for BatchNorm, its variance over the batch: (depth + 1,) each."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    check_whole("depth", depth)
    check_sigmas(sigma_w=sigma_w)
    if not (np.all(check_q(q0) > 0) and spread0 > 0 and math.isfinite(q0)):
        raise ValueError(f"q0 and spread0 are variances of the first input and must be above 0; got {q0}, {spread0}.")
    alpha2 = _alpha2(kind, depth)
    gain = alpha2 * sigma_w**2
    blocks = np.arange(depth + 1)
    if kind in ("layer", "rms", "batch"):
        square, centre = mean_square(act), mean(act)
        return q0 + gain * square * blocks, spread0 + gain * (square - centre**2) * blocks
    q = [float(q0)]
    for _ in range(depth):
        q.append(min(q[-1] + gain * mean_square(act, q[-1]), LARGEST) if gain else q[-1])
    return np.array(q), np.full(depth + 1, spread0)
