"""How much memory the probe takes in 100 steps of the MLP: peak resident memory of fresh processes, with and without.

`python -m tests.benchmarks.memory plain` (or `probe`) is such a process: it trains and prints its peak in MB. The peak
is the kernel's (VmHWM), so it holds everything: tensors, tables, torch's own buffers. Both kinds import vglab. The
allocator is told to give every large block back at once (glibc only): what it keeps otherwise moves a peak by 7 MB.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATUS = Path("/proc/self/status")
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
PROCESSES, STEPS, TARGET = 3, 100, 15  # of each kind; MB


def memory():
    if not STATUS.exists():
        print("\nMemory: this system does not show a process's peak; not measured.")
        return
    peaks = {kind: [] for kind in ("plain", "probe")}
    for _ in range(PROCESSES):
        running = {kind: _process(kind) for kind in peaks}
        for kind, process in running.items():
            peaks[kind].append([float(word) for word in process.communicate()[0].split()])
            if process.returncode:
                raise RuntimeError(f"the {kind} process of the memory benchmark failed; its error is above.")
    trained, read = (statistics.median(peak[i] for peak in peaks["probe"]) for i in (0, 1))
    plain = [peak[0] for peak in peaks["plain"]]
    middle = statistics.median(plain)
    print(f"\nMemory, peak of {STEPS} steps of the MLP in a fresh process, median of {PROCESSES}")
    print(f"plain {middle:.1f} MB ({min(plain):.1f} to {max(plain):.1f})")
    print(
        f"the probe, every=1 with optimizer, adds {trained - middle:.1f} MB while training; target: under {TARGET} MB"
    )
    print(f"and {read - middle:.1f} MB in all once .table and .params have been read")


def _process(kind):
    command = [sys.executable, "-m", "tests.benchmarks.memory", kind]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | ALLOCATOR, stdout=subprocess.PIPE, text=True)


def train(kind):
    import torch

    from tests.benchmarks import peers, probes, workloads

    torch.set_num_threads(1)
    torch.manual_seed(0)
    kept = []
    training = probes.Training(workloads.mlp(), peers.plain if kind == "plain" else probes.vglab_probe(kept, 1))
    with training.watched() as log:
        for _ in range(STEPS):
            training.step(log)
        print(_peak())
    _ = [(seen.table, seen.params) for seen in kept]
    print(_peak())


def _peak():
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    train(sys.argv[1])
