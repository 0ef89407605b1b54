"""Speed and memory, each beside a control and its rivals: ``make bench``, or this file run by any Python with vglab.

Names of parts run only these: ``python tests/benchmarks/run.py imports profiles phases many memory probes widgets``.
"""

import os
import platform
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main(wanted):
    from tests.benchmarks import imports, many, memory, phases, probes, profiles, widgets

    parts = (imports.imports, profiles.profiles, phases.phases, many.many, memory.memory, probes.probes)
    parts += (widgets.widgets,)
    parts = {part.__name__: part for part in parts}
    if unknown := set(wanted) - set(parts):
        sys.exit(f"{', '.join(sorted(unknown))} was asked for; the parts are {', '.join(parts)}.")
    start = time.perf_counter()
    python = f"Python {platform.python_version()}"
    print(f"{processor()}, {os.cpu_count()} cores, {platform.system()}, {python}, load {load()}")
    for name in wanted or parts:
        parts[name]()
    print(f"load at the end {load()}; {time.perf_counter() - start:.0f} seconds in all")


def processor():
    """The processor's name as Linux tells it, or what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def load():
    return ", ".join(f"{value:.2f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


if __name__ == "__main__":
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}  # numpy's threads, too, in which a peer counts
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1:])
