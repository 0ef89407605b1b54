"""A diagnosis: state, cause, where, the numbers it rests on, and the remedies that were tried."""

import json
import os
import secrets
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd

from . import words

COLUMNS = {
    "evidence": ("reading", "value", "threshold", "layer", "meaning"),
    "remedies": (
        *("remedy", "gradient_before", "gradient_after"),
        *("loss_start", "loss_before", "loss_after", "helps", "code"),
    ),
    "profile": ("place", "layer", "kind", "h_rms", "slope", "saturated", "dead", "grad_rms", "axis", "step"),
}


_EMPTY = {name: partial(pd.DataFrame, columns=columns) for name, columns in COLUMNS.items()}


@dataclass(eq=False, repr=False)
class Diagnosis:
    """What `vglab.diagnose` found out about a model; it shows itself in a notebook and in a terminal.

    ========== ==========================================================================================
    state      ``"healthy"``, ``"vanishing"``, ``"exploding"`` or ``"dead"``
    cause      ``""`` when healthy, else a key of `words.CAUSE_TEXT`
    where      names of the layers at fault, the worst first
    evidence   DataFrame: a row for each number that the verdict rests on; ``meaning`` is a sentence
    confidence from 0 to 1
    remedies   DataFrame: a row for each remedy that was tried on a copy. ``gradient_before, gradient_after``
               are decades of gradient from the last layer to the first (negative: lost), ``loss_before,
               loss_after`` the loss after a short training without and with it, ``code`` what to write
    profile    DataFrame: the layers that were measured, the input first
    notes      sentences on what could not be seen, and what to do about it
    settings   dict: model, parameters, layers, optimizer, lr, axis, threshold (decades), loss, seconds
    ========== ==========================================================================================

    Raises `ValueError` for an unknown state and for a table without its columns.
    """

    state: str
    cause: str = ""
    where: list = field(default_factory=list)
    evidence: pd.DataFrame = field(default_factory=_EMPTY["evidence"])
    confidence: float = 1.0
    remedies: pd.DataFrame = field(default_factory=_EMPTY["remedies"])
    profile: pd.DataFrame = field(default_factory=_EMPTY["profile"])
    notes: list = field(default_factory=list)
    settings: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.state not in words.STATE_TEXT:
            raise ValueError(f"state must be one of {', '.join(words.STATE_TEXT)}; got {self.state!r}.")
        for name, columns in COLUMNS.items():
            missing = [column for column in columns if column not in getattr(self, name)]
            if missing:
                raise ValueError(f"the table {name} needs the columns {', '.join(columns)}; {missing[0]} is missing.")

    def __repr__(self):
        return words.text(self)

    def _repr_html_(self):
        from . import report

        return report.notebook(self)

    def plot(self, ax=None):
        """Draw the gradient against the layer, with the layers at fault marked and what the best remedy does.

        Draws on `ax`, or on a new pyplot figure; returns the Axes.
        """
        from ..figures import diagnosis_plot

        known = {"where": self.where, "threshold": self.settings.get("threshold"), "axis": self.settings.get("axis")}
        return diagnosis_plot(self.profile, words.best_first(self.remedies), state=self.state, ax=ax, **known)

    def to_html(self, path):
        """Write a report to `path`: one page that needs nothing else. Raises `OSError` if it cannot be written."""
        from . import report

        path = writable(path)
        write_whole(path, report.html(self))

    def to_json(self, path=None):
        """Return the diagnosis as strict JSON, NaN and infinities as null; with `path`, write it there as well."""
        path = path if path is None else writable(path)
        tables = {name: getattr(self, name).to_dict("records") for name in COLUMNS}
        whole = {name: tables.get(name, getattr(self, name)) for name in self.__dataclass_fields__}
        text = json.dumps(_plain(whole), indent=1, allow_nan=False, ensure_ascii=False)
        if path is not None:
            write_whole(path, text + "\n")
        return text


def writable(path):
    """Return `path` as a Path if a file can be written there, and leave nothing behind.

    Raises `TypeError` if it is no path, `ValueError` if it is empty and `OSError` with a sentence if it cannot be.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"the path of a report must be a string or a Path; got {type(path).__name__}.")
    if not os.fspath(path):
        raise ValueError("the path of a report must not be empty: name a file, such as report.html.")
    file = Path(os.path.realpath(path))  # through a link, which is to stay one
    if file.is_dir():
        raise IsADirectoryError(f"cannot write to {path}: it is a folder; name a file in it.")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"cannot write to {path}: the folder {file.parent} does not exist; make it first.")
    draft = _draft(file)
    try:
        if _is_device(file):
            open(file, "w").close()
        else:
            draft.touch(exist_ok=False)
            draft.unlink()
    except OSError as error:
        raise OSError(f"cannot write to {path}: {error.strerror}.") from error
    return file


def write_whole(file, text):
    """Write `text` to the Path `file` whole or not at all: what stood there stays until the new text is complete."""
    if _is_device(file):  # such as /dev/stdout, which must not be replaced by a file
        file.write_text(text, encoding="utf-8")
        return
    draft = _draft(file)
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        os.replace(draft, file)
    except OSError as error:
        raise OSError(f"cannot write to {file}: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)


def _draft(file):
    return file.with_name(f".{file.name[:200]}.{secrets.token_hex(4)}.part")


def _is_device(file):
    return file.exists() and not file.is_file()


def _plain(value):
    """`value` in the types that JSON has; what it has no type for as text."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, (str, bool, np.bool_)):
        return bool(value) if isinstance(value, np.bool_) else value
    if getattr(value, "ndim", None) == 0:  # a tensor or an array of one number
        return _plain(value.item())
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if np.isfinite(value) else None
    return None if value is pd.NA or value is pd.NaT else str(value)
