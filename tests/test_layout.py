"""The tree tells the truth: what two files say is said the same, and what a page names is there."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from vglab.course import author

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}
PAGES = ["README.md", "CONTRIBUTING.md", "LICENSE-CC-BY-4.0.md", "NOTICE.md", "CHANGELOG.md", "docs/many_runs.md"]


def split(requirement):
    """`torch>=2.4` as `("torch", ">=2.4")`."""
    return re.fullmatch(r"([\w-]+)(.*)", requirement.replace(" ", "")).groups()


# ---------------------------------------------------------------- one truth


def test_conda_and_pip_install_the_same():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert conda["channels"] == ["conda-forge"]
    *packages, pip, folder = conda["dependencies"]
    assert (pip, folder) == ("pip", {"pip": ["-e ."]})
    wanted = dict(split(requirement) for requirement in PROJECT["project"]["dependencies"])
    wanted["python"] = PROJECT["project"]["requires-python"]
    assert {CONDA_NAMES.get(name, name): range_ for name, range_ in map(split, packages)} == wanted


def test_dependencies_are_ranges():
    extras = PROJECT["project"]["optional-dependencies"].values()
    for requirement in PROJECT["project"]["dependencies"] + [one for extra in extras for one in extra]:
        assert requirement.startswith(("vglab[", split(requirement)[0] + ">=")), requirement


def test_the_version_is_written_once_and_agrees_elsewhere():
    tree = ast.parse((ROOT / "vglab" / "__init__.py").read_text("utf-8"))
    assigned = [node for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "__version__"]
    version = ast.literal_eval(assigned[0].value)  # a literal, so that building need not import torch
    assert "version" in PROJECT["project"]["dynamic"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_a_wheel_holds_every_file_of_the_package_and_the_licences(tmp_path):
    """Built from a copy, so that neither this folder nor what an earlier build left in it has a say."""
    names = ["pyproject.toml", "README.md", "NOTICE.md", *(path.name for path in ROOT.glob("LICENSE*"))]
    for name in names:
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "vglab", tmp_path / "vglab", ignore=shutil.ignore_patterns("__pycache__", ".*", "*.part"))
    files = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "vglab").rglob("*") if path.is_file()}
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]  # offline: with the setuptools that is here
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in packed if name.startswith("vglab/")} == files
    assert {"vglab/course/author.py", "vglab/figures/fonts/OFL.txt", "vglab/tasks/vowels.npz"} < files
    assert any(name.endswith(".otf") for name in files)
    licences = {name.rpartition("/")[2] for name in packed if "dist-info/licenses/" in name}
    assert licences == {"LICENSE", "LICENSE-CC-BY-4.0.md", "NOTICE.md"}


# ---------------------------------------------------------------- the lessons


def test_every_notebook_is_what_its_source_gives():
    assert author.sources(ROOT)
    assert author.check(ROOT) == []


# ---------------------------------------------------------------- what the pages name


def tree_paths(text):
    """The paths of the drawing of the tree: first words of the lines of the fenced block that names `lessons/`.

    A line that stands further in than the folder above it is inside that folder. Words that are no path (the rest of
    a description) and placeholders such as NN_name are passed over.
    """
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.M | re.S)
    drawing = next((block for block in blocks if "lessons/" in block and "pyproject.toml" in block), "")
    parents, paths = [], []
    for line in drawing.splitlines():
        margin, word = re.match(r"([\s│├└─|`+-]*)(\S*)", line).groups()
        if not re.fullmatch(r"\.?[\w-]+(/|[./][\w./-]*\w/?)|LICENSE|Makefile", word) or "NN" in word:
            continue
        parents = [(depth, folder) for depth, folder in parents if depth < len(margin)]
        path = "".join(folder for _, folder in parents) + word
        paths.append(path)
        if word.endswith("/"):
            parents.append((len(margin), word))
    return paths


def test_a_drawing_is_read_as_meant():
    drawing = """
lessons/      NN_name.ipynb for you,
              see below
  README.md   the path
pyproject.toml
vglab/
└── probe.py
"""
    paths = ["lessons/", "lessons/README.md", "pyproject.toml", "vglab/", "vglab/probe.py"]
    assert tree_paths(f"```{drawing}```\n") == paths


def test_the_readmes_tree_names_only_what_exists():
    paths = tree_paths((ROOT / "README.md").read_text("utf-8"))
    assert {"lessons/", "solutions/", "vglab/", "tests/"} <= set(paths)
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    links = re.findall(r"(?:\]\(|src=\"|href=\")(?!https?:|mailto:|#)([^)\"#\s]+)", text)
    assert [link for link in links if not (ROOT / link).exists()] == []
