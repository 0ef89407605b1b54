"""The claims register: every measured number in the lessons' text, with the experiment that recomputes it.

A number in the text carries its claim's name, `0.63{#l1-xavier-sigmoid-decades}`. Each experiment is run with `SEEDS`,
none of which a lesson shows, and the median of each of its readings must lie within the tolerance of the number as it
is written. The tolerance is stated beside the name: `within` is absolute, `at_least` and `at_most` are one-sided. Each
is a little wider than the range of such medians over four other sets of three seeds, or than the number's rounding.

One file a lesson, `lesson04.py`: found here by its name.
"""

from importlib import import_module
from pathlib import Path

from .register import EXPERIMENTS, SEEDS

for file in sorted(Path(__file__).parent.glob("lesson*.py")):
    import_module(f".{file.stem}", __name__)

__all__ = ["EXPERIMENTS", "SEEDS"]
