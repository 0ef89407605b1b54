"""The progress record is written whole or not at all, never stops a lesson, and can be switched off."""

import json
import os
from pathlib import Path

import pytest

from vglab import progress

EMPTY = {"predictions": {}, "exercises": {}}


@pytest.fixture
def file(tmp_path, monkeypatch):
    file = tmp_path / "deep" / "progress.json"
    monkeypatch.setenv("VGLAB_PROGRESS", str(file))
    return file


def test_entries_are_added_and_replaced(file):
    assert progress.read() == EMPTY
    assert not file.exists()
    assert progress.note("exercises", "1.1", status="passed")
    assert progress.note("predictions", "1.1", guess=0.25, measured=0.24)
    assert progress.note("predictions", "1.1", guess=0.5, measured=0.24)
    record = progress.read()
    assert record["exercises"].keys() == {"1.1"}
    assert record["predictions"]["1.1"]["guess"] == 0.5
    assert record["predictions"]["1.1"]["when"].endswith("+00:00")
    assert json.loads(file.read_text()) == record


def test_the_file_is_replaced_whole(file, monkeypatch):
    progress.note("exercises", "1.1", status="passed")
    before = file.read_bytes()

    def full_disk(*_, **__):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(progress.os, "replace", full_disk)
        assert progress.note("exercises", "1.2", status="passed") is False
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]
    with monkeypatch.context() as patch:
        patch.setattr(progress.json, "dump", full_disk)
        assert progress.note("exercises", "1.2", status="passed") is False
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'"text"', b"\xff\xfe\x00", b'{"exercises": 3}', b"null"])
def test_an_unreadable_record_starts_anew(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    assert progress.read() == EMPTY
    assert progress.note("exercises", "1.1", status="passed")
    assert "1.1" in progress.read()["exercises"]


def test_what_else_the_file_holds_is_no_matter(file):
    file.parent.mkdir()
    file.write_text('{"exercises": {"1.1": {"status": "passed"}}, "predictions": [], "more": 1}')
    assert progress.read() == EMPTY | {"exercises": {"1.1": {"status": "passed"}}}


def test_a_place_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "occupied").write_text("a file, where a folder is needed")
    for place in (tmp_path / "occupied" / "progress.json", tmp_path):
        monkeypatch.setenv("VGLAB_PROGRESS", str(place))
        assert progress.read() == EMPTY
        assert progress.note("exercises", "1.1", status="passed") is False
    assert [p.name for p in tmp_path.iterdir()] == ["occupied"]


def test_a_place_that_cannot_be_read(file, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", forbidden)
    monkeypatch.setattr(os, "stat", forbidden)
    assert progress.read() == EMPTY


def test_off_and_by_default(monkeypatch, tmp_path):
    monkeypatch.setenv("VGLAB_PROGRESS", "off")
    monkeypatch.chdir(tmp_path)
    assert progress.path() is None
    assert progress.note("exercises", "1.1", status="passed") is False
    assert progress.read() == EMPTY
    assert not any(tmp_path.iterdir())
    monkeypatch.delenv("VGLAB_PROGRESS")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert progress.path() == tmp_path / ".vglab" / "progress.json"


@pytest.fixture
def lessons(tmp_path):
    """A folder of lessons: 1 with three predictions and two exercises, 10 with one exercise; and other files."""
    predict, exercise = {"metadata": {"tags": ["predict"]}}, {"metadata": {"nbgrader": {}}}
    folder = tmp_path / "lessons"
    folder.mkdir()
    contents = {
        "01_depth.ipynb": {"cells": [predict, exercise, {"metadata": {}}, predict, exercise, predict]},
        "10_gates.ipynb": {"cells": [exercise]},
        "98_words.ipynb": {"cells": [{"metadata": {}}]},
        "99_broken.ipynb": {"cells": 3},
        "notes.ipynb": {"cells": [predict]},
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "97_empty.ipynb").write_text("")
    return folder


def test_table_of_lessons(file, lessons):
    for name, guess, measured in (("1.1", 0.5, 0.25), ("1.2", -1e-200, -3e-200), ("1.3", -1.0, 1.0)):
        progress.note("predictions", name, guess=guess, measured=measured)
    for name in ("1.2", "10.1"):
        progress.note("exercises", name, status="passed")
    table = progress.table(lessons)
    assert table.index.tolist() == ["1", "10", "all"]
    assert table["predictions"].tolist() == ["3 of 3", "0 of 0", "3 of 3"]
    assert table["exercises passed"].tolist() == ["1 of 2", "1 of 1", "2 of 3"]
    assert table["typically off by a factor of"].tolist() == ["2.5", "", "2.5"]  # of 2 and 3; two signs do not count


def test_table_where_the_lessons_are_not_found(file, tmp_path):
    assert progress.table(tmp_path).empty
    progress.note("predictions", "2.1", guess=0.0, measured=1.0)
    progress.note("exercises", "2.2", status="passed")
    table = progress.table(tmp_path)
    assert table.index.tolist() == ["2", "all"]
    assert table.loc["2"].tolist() == table.loc["all"].tolist() == ["1", "", "1"]
    file.write_text('{"predictions": {"1.1": 3, "1.2": {}}, "exercises": {"1.1": null}}')
    assert progress.table(tmp_path)["predictions"].tolist() == ["2", "2"]


def test_the_totals_are_those_of_the_course(file):
    table = progress.table(Path(__file__).parent.parent / "lessons")
    assert {"0", "1", "2", "3", "all"} <= set(table.index)
    assert table.loc["0"].tolist() == ["0 of 1", "", "0 of 1"]
