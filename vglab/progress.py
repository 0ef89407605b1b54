"""What a learner has done so far, in one small local file: predictions made and exercises passed.

Nothing leaves the machine. The environment variable ``VGLAB_PROGRESS`` names another file, or ``off`` for none.
"""

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median


def path():
    """Where the record is kept, or None if it is switched off."""
    named = os.environ.get("VGLAB_PROGRESS")
    if named == "off":
        return None
    return Path(named) if named else Path.home() / ".vglab" / "progress.json"


def read():
    """Return the record: ``{"predictions": {id: {...}}, "exercises": {id: {...}}}``. A missing file is an empty one."""
    record = {"predictions": {}, "exercises": {}}
    file = path()
    if file is not None:
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            record |= {kind: stored[kind] for kind in record if isinstance(stored.get(kind), dict)}
        except (OSError, ValueError, AttributeError):
            pass  # an unreadable record must not stop a lesson; the next entry starts a new one
    return record


def note(kind, name, **facts):
    """Add or replace one entry, for example ``note("exercises", "1.2", status="passed")``.

    The file is written whole or not at all. Returns whether it was written: a read-only home is no error.
    """
    file = path()
    if file is None:
        return False
    record = read()
    record[kind][name] = facts | {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        number, draft = tempfile.mkstemp(dir=file.parent)
        try:
            with open(number, "w", encoding="utf-8") as whole:
                json.dump(record, whole, indent=1, sort_keys=True)
            os.replace(draft, file)
        except BaseException:
            os.unlink(draft)
            raise
    except OSError:
        return False
    return True


def table(folder="."):
    """Return a DataFrame, one row per lesson and a last one for all of them together.

    Columns: predictions made, the median factor by which they were off, exercises passed. How many of each there are
    is counted in the lessons, the notebooks ``NN_name.ipynb`` of `folder`; of those that are not there, only what was
    done is known.
    """
    import pandas as pd

    there, record = _lessons(folder), read()
    done = {kind: _by_lesson(entries) for kind, entries in record.items()}
    names = sorted({*there, *done["predictions"], *done["exercises"]}, key=lambda name: (len(name), name))
    rows = [(name, *_row(there.get(name), *(of.get(name, {}) for of in done.values()))) for name in names]
    rows += [("all", *_row(_total(there, names), *record.values()))] if rows else []
    return pd.DataFrame(rows, columns=["lesson", *_COLUMNS]).set_index("lesson")


_COLUMNS = ("predictions", "typically off by a factor of", "exercises passed")


def _lessons(folder):
    """{number of the lesson: (predictions, exercises) in it} of the notebooks in `folder`."""
    there = {}
    for file in sorted(Path(folder).glob("[0-9][0-9]_*.ipynb")):
        try:
            cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
            predictions = sum("predict" in cell["metadata"].get("tags", []) for cell in cells)
            exercises = sum("nbgrader" in cell["metadata"] for cell in cells)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # a notebook that cannot be read must not hide the record
        if predictions or exercises:
            there[str(int(file.name[:2]))] = predictions, exercises
    return there


def _by_lesson(entries):
    lessons = {}
    for name, entry in entries.items():
        lessons.setdefault(name.split(".")[0], {})[name] = entry
    return lessons


def _total(there, names):
    """(predictions, exercises) of all lessons, or None where one of `names` is not there to be counted."""
    return tuple(map(sum, zip(*there.values(), strict=True))) if there.keys() >= set(names) else None


def _row(there, predictions, exercises):
    made, passed = str(len(predictions)), str(len(exercises))
    if there:
        made, passed = f"{made} of {there[0]}", f"{passed} of {there[1]}"
    return made, _typical_factor(predictions.values()), passed


def _typical_factor(predictions):
    """Median of guess / measured, the larger over the smaller, in words; without those whose signs differ."""
    factors = []
    for entry in predictions:
        guess, measured = (entry.get(key) if isinstance(entry, dict) else None for key in ("guess", "measured"))
        numbers = isinstance(guess, (int, float)) and isinstance(measured, (int, float)) and guess and measured
        if numbers and (guess > 0) == (measured > 0):
            factors.append(max(guess / measured, measured / guess))
    return f"{median(factors):.3g}" if factors else ""
