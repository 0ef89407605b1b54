"""Imports run one way. CONTRIBUTING.md draws the floors; here the drawing, the table and the code are compared."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vglab"
FLOORS = [
    {"activations"},  # below floor 0
    {"nets", "tasks", "probe", "theory", "figures", "progress"},  # floor 0: never each other
    {"experiments"},
    {"check", "widgets", "diagnosis"},
    {"course"},
]
ALONE = {"figures", "progress"}  # import nothing at all: figures know no network, networks know no figure
MAY_IMPORT = {
    name: set() if name in ALONE else set().union(*FLOORS[:height])
    for height, floor in enumerate(FLOORS)
    for name in floor
}
FREE = {"__init__", "__main__"}  # the public door, and the command line
LAZY = {"matplotlib", "sklearn", "scipy", "ipywidgets", "IPython"}


def part(path):
    """`vglab/figures/style.py` and `vglab/figures.py` are both of the part `figures`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path, source):
    """The parts of the package that a module imports, wherever in it the import stands."""
    package = ("vglab", *path.relative_to(PACKAGE).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "vglab":
                known = len(name) > 1 and (name[1] in MAY_IMPORT or name[1] in FREE)
                found.add(name[1] if known else "__init__")
    return found - {part(path)}


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if part(path) not in FREE]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_floors_below(path):
    assert part(path) in MAY_IMPORT, "place the new module on a floor, here and in CONTRIBUTING.md"
    assert imported(path, path.read_text("utf-8")) <= MAY_IMPORT[part(path)]


def drawn(text):
    """The floors that a page draws, as `{height: names}`; a line without a number stands below floor 0.

    Names stand two or more spaces apart; what follows them on a line is its description, of more than one word.
    """
    (drawing,) = (block for block in re.findall(r"^```\n(.*?)^```", text, flags=re.M | re.S) if "floor 0" in block)
    floors = {}
    for line in drawing.splitlines():
        number, rest = re.fullmatch(r"(?:floor (\d))?\s+(.*)", line).groups()
        names = {word for word in re.split(r"\s{2,}", rest) if re.fullmatch(r"\w+", word)}
        floors[-1 if number is None else int(number)] = names
    return floors


def test_contributing_draws_the_floors_as_they_are():
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text("utf-8")
    assert drawn(text) == dict(enumerate(FLOORS, -1))
    assert set(re.search(r"below them all, except (\w+) and (\w+)", text).groups()) == ALONE


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch", set()),
        ("import vglab", {"__init__"}),
        ("from vglab import mlp", {"__init__"}),
        ("import vglab.probe as p", {"probe"}),
        ("def f():\n    from ..probe import probe", {"probe"}),
        ("from .. import nets, mlp", {"nets", "__init__"}),
        ("from .style import ink\nfrom . import style", set()),
    ],
)
def test_every_spelling_of_an_import_is_seen(source, found):
    assert imported(PACKAGE / "figures" / "profiles.py", source) == found


def test_importing_vglab_loads_no_plotting_data_or_widgets():
    code = "import sys, vglab; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "vglab" in loaded
    assert LAZY & set(loaded) == set()
