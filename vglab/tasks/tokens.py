"""A task for transformers: say the token that stood some places back."""

from numbers import Integral

import torch

from .images import Split

UNKNOWN = -100  # torch's cross_entropy leaves such places out


def copy_back(lag=2, *, steps=16, tokens=16, n_train=1000, n_test=500, seed=0, device="cpu"):
    """Return sequences as a `Split`: at each place, say the token that stood `lag` places before.

    x: (n, steps) tokens drawn from 0, ..., tokens - 1; y: (n, steps) with y[:, t] = x[:, t - lag], and -100, which
    torch's cross_entropy leaves out, where nothing stands so far back. Who guesses has a loss of ln(tokens). Raises
    `ValueError` for a lag that does not fit into the sequence.

    >>> copy_back(2, steps=5, n_train=1).y.tolist()[0][:2]
    [-100, -100]
    """
    for name, value in {"lag": lag, "steps": steps, "tokens": tokens, "n_train": n_train, "n_test": n_test}.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}.")
    if lag >= steps:
        raise ValueError(f"lag must be shorter than the sequence; got {lag} with steps={steps}.")
    generator, parts = torch.Generator().manual_seed(seed), []
    for n in (n_train, n_test):
        x = torch.randint(tokens, (n, steps), generator=generator)
        y = torch.full_like(x, UNKNOWN)
        y[:, lag:] = x[:, :-lag]
        parts += [x.to(device), y.to(device)]
    return Split(*parts)
