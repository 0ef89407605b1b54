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


def table():
    """Return a DataFrame, one row per lesson: predictions made, the median factor by which they were off, exercises."""
    import pandas as pd

    record = read()
    lessons = sorted({name.split(".")[0] for entries in record.values() for name in entries}, key=lambda n: (len(n), n))
    rows = []
    for lesson in lessons:
        guesses, passed = ({n: e for n, e in of.items() if n.split(".")[0] == lesson} for of in record.values())
        row = {"lesson": lesson, "predictions": len(guesses)}
        row |= {"typically off by a factor of": _typical_factor(guesses.values())}
        rows.append(row | {"exercises passed": ", ".join(sorted(passed))})
    columns = ["lesson", "predictions", "typically off by a factor of", "exercises passed"]
    return pd.DataFrame(rows, columns=columns).set_index("lesson")


def _typical_factor(predictions):
    """Median of guess / measured, the larger over the smaller; NaN where their signs differ or one is missing."""
    factors = []
    for entry in predictions:
        guess, measured = (entry.get(key) if isinstance(entry, dict) else None for key in ("guess", "measured"))
        numbers = isinstance(guess, (int, float)) and isinstance(measured, (int, float)) and guess and measured
        if numbers and (guess > 0) == (measured > 0):
            factors.append(max(guess / measured, measured / guess))
    return float(f"{median(factors):.3g}") if factors else float("nan")
