"""What the sweeps of tests/test_sweep.py call, in a module of its own so that other processes can import it."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch

from vglab import mlp


def built(depth, act, seed):
    return mlp(depth, 8, act=act, d_in=4, d_out=3, seed=seed)


def measured(model, scale=1.0):
    """Draws from both random states, so that a run that was not seeded shows."""
    x = scale * torch.randn(16, 4)
    return {"out": model(x).std().item(), "draws": np.random.rand()}


def marked(model, folder, slow=0.0):
    """`measured`, leaving a mark in `folder` for each time that it ran."""
    result = measured(model)
    time.sleep(slow)
    with open(Path(folder) / f"{os.getpid()}.txt", "a", encoding="utf-8") as file:
        file.write("ran\n")
    return result


def broken_at(model, depth):
    if depth == 2:
        raise ArithmeticError("a depth of 2 is out of luck")
    return depth


def killed_at(model, folder, depth, seed):
    """Ends its own process at one point, the first time."""
    mark = Path(folder) / "killed"
    if (depth, seed) == (2, 1) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return measured(model)
