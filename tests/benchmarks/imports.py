"""How long `import vglab` takes beside the torch and pandas it needs, in wall time: what somebody waits for."""

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.timing import measure, report, timed

ROOT = Path(__file__).parents[2]
ROUNDS, TARGET = 7, 1.15
BASE = "import torch, pandas"


def imports():
    """A fresh process per import; the time of the process itself, an empty one, is in all sides and is shown."""

    def process(code):
        return timed(lambda: subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT))

    sides = {BASE: process(BASE), f"{BASE} (control)": process(BASE)}
    sides |= {"import vglab": process("import vglab"), "empty process": process("pass")}
    measure(sides, 1)  # the files are in the system's cache and the bytecode is written
    seconds = measure(sides, ROUNDS)
    report(f"Import, each in a process of its own, wall time, {ROUNDS} rounds", seconds, {"import vglab": TARGET})
