"""Two speeds, each beside its rival and a no-op control: ``make bench``, or this file run by any Python with vglab.

Within a round the sides run one after the other in a random order, so that a busy machine is fair to all; a ratio is
taken within its round, and the table gives the median of these ratios with a 95 % interval (order statistics). The
control is the first side run a second time: an interval that does not hold 1 there says that the machine is too busy.
"""

import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORT_ROUNDS, PROFILE_ROUNDS = 15, 60
DEPTH, WIDTH, BATCH = 50, 64, 64
IMPORT_TARGET, PROFILE_TARGET = 1.15, 20  # ratio to torch and pandas; milliseconds


def measure(sides, rounds):
    """Seconds of every side in every round: {name: [...]}. `sides` maps a name to a function that is timed."""
    seconds = {name: [] for name in sides}
    for side in sides.values():
        side()  # warm: caches, bytecode
    for _ in range(rounds):
        for name in random.sample(list(sides), len(sides)):
            start = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def interval(ratios):
    """Median and a 95 % interval for it: order statistics of a binomial with half a chance."""
    ratios, n = sorted(ratios), len(ratios)
    reach = 0.98 * n**0.5
    return statistics.median(ratios), ratios[max(0, int(n / 2 - reach))], ratios[min(n - 1, int(n / 2 + reach))]


def report(title, seconds, unit=1e3):
    print(f"\n{title}\n{'':42}{'ms':>9}{'ratio':>9}   95 % interval")
    base = next(iter(seconds.values()))
    for name, values in seconds.items():
        middle, low, high = interval([value / b for value, b in zip(values, base, strict=True)])
        print(f"{name:42}{statistics.median(values) * unit:9.2f}{middle:9.3f}   {low:.3f} to {high:.3f}")


def imports():
    """A fresh process per import; the time of the process itself, an empty one, is in both sides and is shown."""

    def process(code):
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)

    sides = {
        "import torch, pandas": process("import torch, pandas"),
        "import torch, pandas (control)": process("import torch, pandas"),
        "import vglab": process("import vglab"),
        "empty process": process("pass"),
    }
    seconds = measure(sides, IMPORT_ROUNDS)
    report(f"Import, each in a process of its own, {IMPORT_ROUNDS} rounds; target: under {IMPORT_TARGET}", seconds)


def profiles():
    import torch
    from torch import nn

    import vglab as vg

    torch.set_num_threads(1)
    model = vg.mlp(DEPTH, WIDTH, act="tanh", sigma_w=1.0, seed=0)
    x, y = torch.randn(BATCH, 64), torch.randint(10, (BATCH,))
    parameters = list(model.parameters())

    def bare(x=x):
        torch.autograd.grad(nn.functional.cross_entropy(model(x), y), parameters)

    def naive():
        """What one writes first: two hooks on every module, float32 statistics, fewer of them, no table."""
        rows, grads, handles = [], [], []
        for module in model.modules():
            forward = lambda m, args, out: rows.append((out.mean().item(), out.std().item()))
            backward = lambda m, grad_in, grad_out: grads.append(grad_out[0].norm().item())
            handles += [module.register_forward_hook(forward), module.register_full_backward_hook(backward)]
        bare(x.detach().requires_grad_())  # full backward hooks warn where no input asks for a gradient
        for handle in handles:
            handle.remove()

    sides = {
        "bare forward and backward": bare,
        "bare forward and backward (control)": bare,
        "vg.gradient_profile": lambda: vg.gradient_profile(model, x, y),
        "naive hooks, .std() and .norm()": naive,
    }
    seconds = measure(sides, PROFILE_ROUNDS)
    title = f"Gradient profile, depth {DEPTH}, width {WIDTH}, batch {BATCH}, {PROFILE_ROUNDS} rounds"
    report(f"{title}; target: about {PROFILE_TARGET} ms", seconds)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    load = lambda: ", ".join(f"{value:.2f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, OMP_NUM_THREADS {threads}, load {load()}")
    imports()
    profiles()
    print(f"load at the end {load()}")
