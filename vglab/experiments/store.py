"""Results in an SQLite file, each written whole as soon as it is there."""

import hashlib
import inspect
import json
import sqlite3

_TABLES = """
CREATE TABLE IF NOT EXISTS code (fingerprint TEXT);
CREATE TABLE IF NOT EXISTS runs (settings TEXT PRIMARY KEY, rows TEXT NOT NULL, ended TEXT DEFAULT CURRENT_TIMESTAMP);
"""


def fingerprint(*functions):
    """A text that changes when the source of one of `functions` does, as far as Python knows it."""
    return hashlib.sha256("\n".join(map(_source, functions)).encode()).hexdigest()


def _source(function):
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):  # typed into a prompt, or no function of Python's
        return getattr(function, "__qualname__", type(function).__qualname__)


class Store:
    """A mapping of settings, as JSON text, to rows, a list of dicts; each assignment is a transaction.

    Raises `ValueError` if `path` is no such file, or was written with another `code`, see `fingerprint`.
    """

    def __init__(self, path, code):
        self.path, self.code = str(path), code

    def __enter__(self):
        self._file = sqlite3.connect(self.path)
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise
        return self

    def _open(self):
        try:
            with self._file:
                self._file.executescript(_TABLES)
                found = self._file.execute("SELECT fingerprint FROM code").fetchone()
                if found is None:
                    self._file.execute("INSERT INTO code VALUES (?)", (self.code,))
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"a store is an SQLite file that sweep wrote; {self.path} is not ({error}): give a new name."
            ) from error
        if found and found[0] != self.code:
            raise ValueError(
                f"{self.path} holds runs of another build or run, or of the same before they were edited: give a new "
                "name, or delete it."
            )

    def __exit__(self, *_):
        self._file.close()

    def __contains__(self, settings):
        return self._found(settings) is not None

    def __getitem__(self, settings):
        return json.loads(self._found(settings)[0])

    def __setitem__(self, settings, rows):
        with self._file:
            self._file.execute(
                "INSERT OR REPLACE INTO runs (settings, rows) VALUES (?, ?)", (settings, json.dumps(rows))
            )

    def _found(self, settings):
        return self._file.execute("SELECT rows FROM runs WHERE settings = ?", (settings,)).fetchone()
