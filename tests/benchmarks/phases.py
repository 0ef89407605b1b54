"""How long a phase diagram takes beside a loop over its points that iterates both maps, as notebooks write it."""

import time

import numpy as np
import torch

import vglab as vg
from tests.benchmarks.timing import measure, report, timed

ROUNDS, SIDE, POINTS, LAYERS = 9, 200, 20, 100
NODES = np.polynomial.hermite_e.hermegauss(41)
TARGET = 500  # milliseconds


def phases():
    torch.set_num_threads(1)
    sigma_w, sigma_b = np.linspace(0.5, 3, SIDE), np.linspace(0, 1, SIDE)
    draw = np.random.default_rng(0)
    sample = draw.choice(sigma_w, POINTS), draw.choice(sigma_b, POINTS)

    def looped():
        start = time.process_time()
        for w, b in zip(*sample, strict=True):
            iterated(w, b)
        return (time.process_time() - start) * SIDE**2 / POINTS

    names = f"loop over points (from {POINTS} of them)", "vg.theory.phase_diagram"
    sides = {names[0]: looped}
    sides[names[1]] = timed(lambda: vg.theory.phase_diagram("tanh", sigma_w, sigma_b), time.process_time)
    measure(sides, 1)
    title = f"Phase diagram of tanh, {SIDE} x {SIDE} points, {ROUNDS} rounds, CPU time"
    report(f"{title}; target: at most {TARGET} ms", measure(sides, ROUNDS))


def iterated(w, b):
    """(q*, c*, chi) after so many layers, by a Gauss-Hermite rule in one and in two dimensions."""
    z, weight = NODES[0], NODES[1] / np.sqrt(2 * np.pi)
    q, c = 1.0, 0.5
    for _ in range(LAYERS):
        q = w**2 * weight @ np.tanh(np.sqrt(q) * z) ** 2 + b**2
    first, root = np.tanh(np.sqrt(q) * z), np.sqrt(q)
    for _ in range(LAYERS):
        second = np.tanh(root * (c * z[:, None] + np.sqrt(max(0.0, 1 - c * c)) * z))
        c = min(1.0, (w**2 * (weight * first) @ second @ weight + b**2) / q) if q > 1e-12 else 1.0
    return q, c, w**2 * weight @ (1 - np.tanh(root * z) ** 2) ** 2
