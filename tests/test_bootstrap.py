"""The first command a learner types: what it decides, without a network and without installing anything."""

import ast
import sys
from pathlib import Path

import pytest

from vglab.course import bootstrap


def requirement(attempt):
    return attempt.commands[-1][-1]


# ---------------------------------------------------------------- which torch


def test_on_linux_the_cpu_builds_come_before_the_large_one():
    cpu, by_uv, plain = bootstrap.torch_attempts("linux", [], "py")
    assert cpu.commands == [["py", "-m", "pip", "install", f"torch{bootstrap.TORCH}+cpu"]]
    assert "--torch-backend=cpu" in by_uv.commands[-1]
    assert by_uv.commands[0][-1] == "uv"
    assert float(by_uv.env["UV_HTTP_TIMEOUT"]) <= 30
    assert plain.commands == [["py", "-m", "pip", "install", f"torch{bootstrap.TORCH}"]]
    assert "several GB" in plain.says
    assert "set TORCH" in plain.says


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_the_registry_has_the_right_build(platform):
    (only,) = bootstrap.torch_attempts(platform, [], "py")
    assert requirement(only) == f"torch{bootstrap.TORCH}"


@pytest.mark.parametrize(
    ("wish", "asked"),
    [
        ("==2.13.0", ["torch==2.13.0"]),
        ("2.6", ["torch==2.6"]),
        ("2.6.0+cpu", ["torch==2.6.0+cpu"]),
        (" >= 2.6, <3", ["torch>=2.6,<3"]),
        ("~=2.6", ["torch~=2.6"]),
        ("torch==2.9", ["torch==2.9"]),
        ("2.6 --index-url https://example.org", ["torch==2.6", "--index-url", "https://example.org"]),
        ("./torch-2.9-cp311.whl", ["./torch-2.9-cp311.whl"]),
        ("'my wheels/t.whl'", ["my wheels/t.whl"]),
        ("https://example.org/torch.whl", ["https://example.org/torch.whl"]),
    ],
)
def test_a_wish_is_followed_to_the_letter(wish, asked):
    (only,) = bootstrap.torch_attempts("linux", bootstrap.read_wish(wish), "py")
    assert only.commands == [["py", "-m", "pip", "install", *asked]]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ("cpu", r"^TORCH was given as 'cpu', which is neither a version nor .*; set it to a version, .*TORCH=2\.6"),
        ("numpy==2.0", "neither a version nor a place where torch lies"),
        ("'2.6", r"which cannot be read \(No closing quotation\); close each quote"),
    ],
)
def test_a_wish_for_something_else_stops_before_anything_is_done(machine, monkeypatch, wish, says):
    monkeypatch.setenv("TORCH", wish)
    with pytest.raises(SystemExit, match=says):
        machine.bootstrap()
    assert machine.commands == []


def test_a_torch_that_serves_is_recognised(monkeypatch, tmp_path):
    assert bootstrap.torch_serves(sys.executable)
    (tmp_path / "pyproject.toml").write_text('"torch>=99.1",')
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    assert not bootstrap.torch_serves(sys.executable)


# ---------------------------------------------------------------- the stamp


def test_the_key_follows_project_file_torch_and_place(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text("one")
    first = bootstrap.key(tmp_path / "a", "")
    assert first == bootstrap.key(tmp_path / "a", None)
    assert first != bootstrap.key(tmp_path / "a", "==2.6")
    assert first != bootstrap.key(tmp_path / "b", "")
    (tmp_path / "a" / "pyproject.toml").write_text("two")
    assert first != bootstrap.key(tmp_path / "a", "")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "k"}', '{"key": "k", "extras": 3}'])
def test_a_damaged_stamp_counts_as_none(tmp_path, text):
    (tmp_path / "stamp").write_text(text)
    assert bootstrap.read_stamp(tmp_path / "stamp") == ("", set())
    assert bootstrap.read_stamp(tmp_path / "missing") == ("", set())


# ---------------------------------------------------------------- the whole


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine on which `run` only writes down its commands; those that contain a word of `.broken` fail.

    `.torch` is whether its `.venv` holds a torch that serves: an install that succeeds leaves `.brings` there.
    """

    class Machine:
        root, broken, torch, brings = tmp_path, (), False, True

        def __init__(self):
            self.commands = []

        def run(self, command, *, env=None, quiet=False):
            self.commands.append(" ".join(command))
            if "venv" in command:
                (tmp_path / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
                (tmp_path / ".venv" / "bin" / "python").touch()
            if "importlib.metadata" in self.commands[-1]:
                return self.torch
            worked = not any(word in self.commands[-1] for word in self.broken)
            if worked and " torch" in self.commands[-1]:
                self.torch = self.brings
            return worked

        def bootstrap(self, *args):
            self.commands.clear()
            bootstrap.main(list(args))
            return self.commands

    (tmp_path / "pyproject.toml").write_text('"torch>=2.4",')
    machine = Machine()
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "run", machine.run)
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    monkeypatch.setattr(bootstrap.os, "name", "posix")
    monkeypatch.delenv("TORCH", raising=False)
    return machine


def test_it_makes_installs_and_then_rests(machine):
    made = machine.bootstrap()
    assert [word for command in made for word in ("venv --clear", "+cpu", "--editable") if word in command] == [
        "venv --clear",
        "+cpu",
        "--editable",
    ]
    assert machine.bootstrap() == []


def test_extras_add_up(machine):
    machine.bootstrap("--extras", "test")
    assert machine.bootstrap() == []
    assert machine.bootstrap("--extras", "author")[-1].endswith(f"{machine.root}[author,test]")
    assert machine.bootstrap("--extras", "test") == []
    (machine.root / "pyproject.toml").write_text('"torch>=2.5",')
    assert machine.bootstrap()[-1].endswith("[author,test]")


def test_a_half_finished_install_starts_again(machine):
    machine.broken += ("--editable",)
    with pytest.raises(SystemExit, match="vglab could not be installed"):
        machine.bootstrap()
    machine.broken = ()
    again = machine.bootstrap()
    assert any("--editable" in command for command in again)
    assert not any("install torch" in command for command in again)  # the one that is there serves


def test_an_install_that_breaks_off_later_leaves_no_old_stamp(machine):
    machine.bootstrap()
    (machine.root / "pyproject.toml").write_text('"torch>=2.5",')
    machine.broken += ("--editable",)
    with pytest.raises(SystemExit):
        machine.bootstrap()
    (machine.root / "pyproject.toml").write_text('"torch>=2.4",')
    machine.broken = ()
    assert machine.bootstrap() != []


def test_each_way_to_torch_is_tried_and_the_last_failure_is_explained(machine):
    machine.broken += ("install torch", "--torch-backend")
    with pytest.raises(SystemExit, match=r"^'torch==2\.13\.0' was asked for and could not be installed") as caught:
        machine.bootstrap()
    assert "set TORCH" in str(caught.value)
    assert [command.split()[-1] for command in machine.commands[-4:]] == [
        "torch==2.13.0+cpu",
        "uv",
        "torch==2.13.0",
        "torch==2.13.0",
    ]


def test_another_wish_for_torch_is_carried_out(machine, monkeypatch):
    machine.bootstrap()
    monkeypatch.setenv("TORCH", ">=2.6")
    assert any(command.endswith("pip install torch>=2.6") for command in machine.bootstrap())  # though one is there


def test_an_install_that_leaves_no_torch_is_not_taken_for_done(machine, monkeypatch):
    monkeypatch.setenv("TORCH", "==2.1")
    machine.brings = False  # or one that is too old
    for _ in range(2):
        with pytest.raises(SystemExit, match=r"'torch==2\.1' was asked for and installed, and yet .*; set TORCH to"):
            machine.bootstrap()
    assert not any("--editable" in command for command in machine.commands)


def test_an_environment_that_does_not_run_is_made_anew(machine):
    machine.bootstrap()
    (machine.root / ".venv" / "vglab-stamp.json").unlink()
    machine.broken += ("import pip",)
    assert any("venv --clear" in command for command in machine.bootstrap())
    machine.broken += ("venv --clear",)
    (machine.root / ".venv" / "vglab-stamp.json").unlink()
    with pytest.raises(SystemExit, match="apt install python3-venv"):
        machine.bootstrap()


def test_an_old_python_gets_one_sentence(machine, monkeypatch):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or later and this is 3\.9; name a newer one"):
        machine.bootstrap()
    assert machine.commands == []


def test_it_needs_nothing_installed_and_an_old_python_can_read_it():
    tree = ast.parse(Path(bootstrap.__file__).read_text("utf-8"), feature_version=(3, 7))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {(node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) for node in imports}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
