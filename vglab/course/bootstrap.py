"""Makes `.venv` and installs torch and this folder into it: `python3 vglab/course/bootstrap.py [--extras test]`.

Run by path with the system's Python, before anything is installed, so it uses the standard library only. A stamp,
written last, says what `.venv` holds: a second run returns at once, an interrupted one starts again.

`TORCH` in the environment chooses the torch build: a version (`TORCH=2.13.0`, `TORCH=">=2.6"`), a wheel's path or
address, with pip's options behind it if need be (`TORCH="2.6 --index-url URL"`; a name with spaces in quotes of its
own). Left unset it is a version known to work, as a CPU build wherever one is found.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TORCH = "==2.13.0"
VERSION, RANGE = re.compile(r"\d[\w.+*]*"), re.compile(r"[=<>~!]=|[<>[]")
MINIMUM = (3, 11)


class Attempt(NamedTuple):
    """One way to install torch: it worked if every command did."""

    says: str
    commands: list
    env: dict = {}  # noqa: RUF012 - never changed


def read_wish(text):
    """What pip is to install for the text of `TORCH`, as a list of its arguments: none for an empty text."""
    try:
        words = shlex.split(re.sub(r"(?<=[,=<>])\s+", "", text), posix=os.name != "nt")
    except ValueError as error:
        sys.exit(f"TORCH was given as {text!r}, which cannot be read ({error}); close each quote that it opens.")
    if words and (VERSION.fullmatch(words[0]) or RANGE.match(words[0])):
        words[0] = ("torch==" if VERSION.fullmatch(words[0]) else "torch") + words[0]
    if words and not any("torch" in word or word.endswith(".whl") for word in words):
        sys.exit(
            f"TORCH was given as {text!r}, which is neither a version nor a place where torch lies; set it to a "
            "version, such as TORCH=2.6, or to the path or address of a wheel, or leave it out."
        )
    return words


def torch_attempts(platform, wish, python):
    """The ways to install torch for `sys.platform` and the arguments that `read_wish` gave, to be tried in this order.

    A wish is followed to the letter. Without one, Linux is where care is needed: the registry's own build brings
    several GB of GPU libraries. So first whatever CPU build pip is set up to find, which fails at once where there is
    none; then uv, which knows where the CPU builds are kept; the large build last, for where nothing else is reached.
    """
    pip = [python, "-m", "pip", "install"]
    if wish:
        return [Attempt(f"Installing {' '.join(wish)}, as TORCH asks.", [[*pip, *wish]])]
    plain = [*pip, f"torch{TORCH}"]
    if platform != "linux":
        return [Attempt(f"Installing torch{TORCH}.", [plain])]
    uv = [python, "-m", "uv", "pip", "install", "--python", python, "--torch-backend=cpu", f"torch{TORCH}"]
    return [
        Attempt(f"Installing torch{TORCH}, the CPU build (about 200 MB).", [[*pip, f"torch{TORCH}+cpu"]]),
        Attempt(
            "pip knows no CPU build here; asking uv, which knows where they are kept.",
            [[*pip, "--quiet", "uv"], uv],
            {"UV_HTTP_TIMEOUT": "20", "UV_HTTP_RETRIES": "1"},
        ),
        Attempt(
            f"No CPU build can be reached: installing the registry's torch{TORCH}, which downloads several GB of GPU "
            "libraries; to avoid that, stop here (Ctrl-C) and set TORCH to the path or address of a CPU wheel.",
            [plain],
        ),
    ]


def key(root, torch):
    """What `.venv` depends on, as one hash: the project file, the torch asked for, where this folder lies."""
    parts = [(root / "pyproject.toml").read_bytes(), (torch or "").encode(), str(root).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def read_stamp(path):
    """The stamp's `(key, extras)`; `("", set())` where it is missing or damaged."""
    try:
        stamp = json.loads(path.read_text("utf-8"))
        return stamp["key"], set(stamp["extras"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", set()


def write_stamp(path, key, extras):
    """Write the stamp whole or not at all."""
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps({"key": key, "extras": sorted(extras)}) + "\n", "utf-8")
    os.replace(draft, path)


def run(command, *, env=None, quiet=False):
    """Whether the command succeeded; `quiet` hides the complaints of one that may fail."""
    errors = subprocess.DEVNULL if quiet else None
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | (env or {})
    return subprocess.run(command, env=environment, stderr=errors, check=False).returncode == 0


def make_venv(folder, python):
    """A working `.venv`: kept if its Python runs and has pip, otherwise made anew."""
    if python.exists() and run([str(python), "-c", "import pip"], quiet=True):
        return
    print(f"Making a local environment in {folder.name}.", flush=True)
    if not run([sys.executable, "-m", "venv", "--clear", str(folder)]):
        sys.exit(
            f"A local environment was asked for in {folder.name}, and this Python cannot make one; install its venv "
            "module (on Debian and Ubuntu: apt install python3-venv) and run this again."
        )


def install_torch(python, wish):
    """Install torch the first way that works, unless no wish was spoken and a torch that serves is there."""
    if not wish and torch_serves(python):
        return
    asked = " ".join(wish) or f"torch{TORCH}"
    attempts = torch_attempts(sys.platform, wish, str(python))
    for attempt in attempts:
        print(attempt.says, flush=True)
        may_fail = attempt is not attempts[-1]
        if all(run(command, env=attempt.env, quiet=may_fail) for command in attempt.commands):
            break
    else:
        sys.exit(
            f"{asked!r} was asked for and could not be installed (the reason is above); set TORCH to another version, "
            'such as TORCH=">=2.6", or to the path of a wheel.'
        )
    if not torch_serves(python):
        sys.exit(
            f"{asked!r} was asked for and installed, and yet .venv has no torch that is new enough for vglab; set "
            "TORCH to a newer version, or leave it out."
        )


def torch_serves(python):
    """Whether the torch in `.venv`, if any, is new enough for pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    floor = re.search(r'"torch>=(\d+)\.(\d+)', text).groups()
    code = (
        "import sys; from importlib.metadata import version; "
        f"sys.exit(tuple(map(int, version('torch').split('.')[:2])) < ({floor[0]}, {floor[1]}))"
    )
    return run([str(python), "-c", code], quiet=True)


def install_folder(python, root, extras):
    """Install this folder as it lies, so that an edited lesson or module is used at once."""
    print("Installing vglab and what it needs (a few minutes the first time).", flush=True)
    wish = f"{root}[{','.join(sorted(extras))}]" if extras else str(root)
    if not run([str(python), "-m", "pip", "install", "--quiet", "--editable", wish]):
        sys.exit("vglab could not be installed (the reason is above); once it is cured, run the same command again.")


def main(argv=None):
    """Bring `.venv` up to date with pyproject.toml, `TORCH` and the extras asked for now or before."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--extras", default="", help="of pyproject.toml, separated by commas: author, test")
    wanted = {extra for extra in parser.parse_args(argv).extras.split(",") if extra}
    if sys.version_info < MINIMUM:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"vglab needs Python 3.11 or later and this is {found}; name a newer one: make lab PYTHON=python3.12")

    torch, folder = os.environ.get("TORCH", "").strip(), ROOT / ".venv"
    wish = read_wish(torch)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, now = folder / "vglab-stamp.json", key(ROOT, torch)
    before, extras = read_stamp(stamp)
    if python.exists() and before == now and wanted <= extras:
        return
    make_venv(folder, python)
    stamp.unlink(missing_ok=True)
    install_torch(python, wish)
    install_folder(python, ROOT, extras | wanted)
    write_stamp(stamp, now, extras | wanted)
    print("Ready.", flush=True)


if __name__ == "__main__":
    main()
