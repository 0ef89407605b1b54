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
    assert progress.read() == EMPTY and not file.exists()
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
