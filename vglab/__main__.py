"""The command line: `vglab lab` opens the course, `diagnose` judges a model, `build` makes the notebooks."""

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from .diagnosis import command

START = "lessons/00_start.ipynb"


def main(argv=None):
    """Run one command; returns the exit code: 0 done, 1 it failed or found drift, 2 it was called wrongly."""
    parser = argparse.ArgumentParser(prog="vglab", description="A laboratory for the vanishing gradient problem.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("lab", help="open the course in JupyterLab; further options go to JupyterLab")
    build = commands.add_parser("build", help="write the notebooks of lessons/ and solutions/ from solutions/*.py")
    build.add_argument("names", nargs="*", metavar="NAME", help="a lesson, as 01_depth or 01; all when left out")
    build.add_argument("--check", action="store_true", help="write nothing; say which notebook is out of date")
    build.add_argument("--text", action="store_true", help="run nothing: only words have changed, keep the outputs")
    diagnose = command.add_to(commands)
    args, rest = parser.parse_known_args(argv)
    if args.command == "lab":
        return lab(rest)
    if rest:
        (diagnose if args.command == "diagnose" else parser).error(f"unknown option {rest[0]}")
    if args.command == "diagnose":
        return command.run(args)
    return build_or_check(args.names, check=args.check, text=args.text)


def lab(options):
    """Open JupyterLab on the start page; the file browser shows the whole course."""
    root = course_root(START)
    if root is None:
        return _fail(
            f"the start page {START} is not here; run this in the folder of the course, the one that holds lessons/ "
            "(pip brings the package alone; the course comes with `git clone` of its repository)"
        )
    if importlib.util.find_spec("jupyterlab") is None:
        return _fail("JupyterLab is not installed in this Python; run `make lab`, or `pip install -e .` in the course")
    command = [sys.executable, "-m", "jupyterlab", START, f"--ServerApp.root_dir={root}", *options]
    if os.name == "posix" and os.geteuid() == 0:
        command.append("--allow-root")  # in a container everybody is root, and the server serves this machine only
    env = {"OMP_WAIT_POLICY": "passive"} | os.environ  # idle threads that spin would slow the sliders
    if os.name == "posix":  # become JupyterLab: torch leaves memory, and Ctrl-C reaches it alone
        os.chdir(root)
        os.execve(command[0], command, env)
    return subprocess.call(command, cwd=root, env=env)


def build_or_check(names, *, check, text=False):
    """Write the notebooks, or say what is out of date."""
    root = course_root("solutions/[0-9][0-9]_*.py")
    if root is None:
        return _fail("there is no lesson solutions/NN_name.py here; run this in the course's folder", code=2)
    try:
        from .course import author
    except ModuleNotFoundError as error:
        return _fail(f"{error.name} is needed to make notebooks and is not installed; run pip install -e '.[author]'")
    try:
        author.sources(root, names)
    except author.LessonError as error:
        return _fail(error, code=2)
    if check:
        drift = author.check(root, names or None)
        print("\n".join(drift) or "Every notebook is what its source gives.")
        return 1 if drift else 0
    try:
        written = author.build(names, root, text=text)
    except author.LessonError as error:
        return _fail(error)
    print("\n".join(f"wrote {path.relative_to(root)}" for path in written) or "Nothing has changed.")
    return 0


def course_root(landmark):
    """The nearest folder that holds `landmark` (a pattern): here, above here, or where this package lies; else None."""
    here = Path.cwd()
    folders = (here, *here.parents, Path(__file__).resolve().parents[1])
    return next((folder for folder in folders if any(folder.glob(landmark))), None)


def _fail(message, *, code=1):
    print(f"vglab: {message}.", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
