"""The command line: what it opens, what it refuses, its exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vglab import __main__ as cli

ROOT = Path(__file__).parents[1]
LESSON = "# %% [markdown]\n# # 1. Is it so?\n\n# %%\n1 + 1\n"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one lesson, which is where the command is typed."""
    for folder in ("lessons", "solutions"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lessons" / "00_start.ipynb").touch()
    (tmp_path / "solutions" / "01_demo.py").write_text(LESSON)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A folder that is no course, and a package that lies in none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "site" / "vglab" / "__main__.py"))


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["--help"], 0, "open the course in JupyterLab"),
        ([], 2, "required: COMMAND"),
        (["lap"], 2, "invalid choice"),
        (["build", "--chek"], 2, "unknown option --chek"),
    ],
)
def test_help_and_misspelt_commands(argv, code, says, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == code
    assert says in "".join(capsys.readouterr())


def test_an_unknown_lesson_is_answered_with_those_there_are(course, capsys):
    assert cli.main(["build", "07_more"]) == 2
    assert capsys.readouterr().err == "vglab: there is no lesson '07_more'; the lessons are: 01_demo.\n"


def test_build_then_check_then_drift(course, capsys):
    assert cli.main(["build", "--check"]) == 1
    assert "lessons/01_demo.ipynb: it is missing; run `vglab build 01_demo`." in capsys.readouterr().out
    (course / "lessons" / "00_start.ipynb").unlink()
    assert cli.main(["build", "01"]) == 0
    assert capsys.readouterr().out == "wrote solutions/01_demo.ipynb\nwrote lessons/01_demo.ipynb\n"
    assert cli.main(["build", "--check"]) == 0
    assert cli.main(["build"]) == 0
    assert capsys.readouterr().out == "Every notebook is what its source gives.\nNothing has changed.\n"


def test_a_lesson_that_fails_gives_its_sentence(course, capsys):
    (course / "solutions" / "01_demo.py").write_text("# %%\n1 / 0\n")
    assert cli.main(["build"]) == 1
    assert capsys.readouterr().err == "vglab: 01_demo.py, cell 1 stopped with ZeroDivisionError: division by zero.\n"


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("lab", 1, "is not here; run this in the folder of the course, the one that holds lessons/ (pip"),
        ("build", 2, "there is no lesson solutions/NN_name.py here; run this in the course's folder"),
    ],
)
@pytest.mark.usefixtures("nowhere")
def test_outside_a_course_it_says_where_to_go(command, code, says, capsys):
    assert cli.main([command]) == code
    assert says in capsys.readouterr().err


def test_the_course_is_found_from_a_folder_in_it(course, monkeypatch):
    monkeypatch.chdir(course / "lessons")
    assert cli.course_root(cli.START) == course


def test_a_missing_jupyterlab_is_named(course, monkeypatch, capsys):
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["lab"]) == 1
    assert "JupyterLab is not installed in this Python; run `make lab`" in capsys.readouterr().err


def test_missing_author_tools_are_named(course, monkeypatch, capsys):
    for name in ("vglab.course.author", "jupytext"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr("vglab.course.author", raising=False)
    assert cli.main(["build"]) == 1
    assert "is needed to make notebooks and is not installed" in capsys.readouterr().err


def test_lab_opens_the_start_page_and_passes_options_on(course):
    """With a stand-in for JupyterLab that says how it was called."""
    (course / "fake" / "jupyterlab").mkdir(parents=True)
    (course / "fake" / "jupyterlab" / "__init__.py").touch()
    says = "import os, sys; print(os.getcwd(), os.environ['OMP_WAIT_POLICY'], *sys.argv[1:], sep='\\n')"
    (course / "fake" / "jupyterlab" / "__main__.py").write_text(says)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(course / "fake"), str(ROOT)])}
    env.pop("OMP_WAIT_POLICY", None)
    command = [sys.executable, "-m", "vglab", "lab", "--no-browser", "--port=8899"]
    result = subprocess.run(command, cwd=course / "lessons", env=env, capture_output=True, text=True, check=True)
    here = os.path.realpath(course)
    assert result.stdout.split() == [
        here,
        "passive",
        "lessons/00_start.ipynb",
        f"--ServerApp.root_dir={here}",
        "--no-browser",
        "--port=8899",
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]
