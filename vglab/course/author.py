"""One source, two notebooks: `solutions/NN_name.py` becomes the learner's copy and the answered copy of a lesson.

The source is jupytext's py:percent with nbgrader's markers. `build` runs it once and writes both notebooks, `check`
says where a stored notebook no longer is what its source gives, without running anything. A learner's copy holds no
answer and no output, because a result that was seen spoils the prediction of it.
"""

import ast
import base64
import hashlib
import os
import re
from collections import Counter
from pathlib import Path

import jupytext
from nbformat import from_dict, v4

from . import glossary
from .execute import LessonError, run, tidy

__all__ = ["LessonError", "build", "check", "claims", "learner", "read_source", "solved", "sources", "strip_claims"]

KEYS = {"tags", "exercise", "name", "minutes"}
TAGS = {"predict", "solution", "instructor", "nbval-check-output"}
NOT_FOR_LEARNERS = {"solution", "instructor"}
GOLDEN = "nbval-check-output"  # nbval compares this cell's output, so the cell must have one
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
JUPYTEXTS_OWN = re.compile(r"cell_marker$|lines_to_")  # how the source was laid out, of no use in a notebook
MARKER = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS)")
FIGURES = "lessons/figures"
PAGES = {glossary.PAGE, "99_bibliography"}  # to look things up in: words only, and none of a lesson's parts
GUESS = re.compile(r"^(guess\w*\s*=\s*)(?!=)(.+?)(\s*#.*)?$")
NUMBER = r"[-−+]?\d+(?:[.,]\d+)*(?:[eE][-−+]?\d+)?(?:[⁻⁺]?[⁰¹²³⁴-⁹]+)?(?:[ \u00a0\u202f]?%)?"
CLAIM = re.compile(rf"({NUMBER})\{{#([A-Za-z][\w.-]*)\}}")


# ---------------------------------------------------------------- claims: numbers in the text that a test recomputes


def claims(text):
    """The measured numbers of a text, as `(id, number as written)`: `0.63{#slope}` gives `("slope", "0.63")`."""
    return [(name, number) for number, name in CLAIM.findall(text)]


def strip_claims(text):
    """The text as it is read, `0.63{#slope}` becoming `0.63`; `ValueError` for a marker that follows no number."""
    read = CLAIM.sub(r"\1", text)
    if stray := re.search(r"\S*\{#[^}]*\}?", read):
        raise ValueError(f"the claim marker in {stray[0]!r} follows no number; write it as in 0.63{{#id}}")
    return read


# ---------------------------------------------------------------- the source


def sources(root, names=None):
    """The lessons' source files under `root`, in order; `names` picks some by name (`01_depth`) or number (`01`)."""
    files = sorted((Path(root) / "solutions").glob("*.py"))
    if odd := [file.name for file in files if not re.fullmatch(r"\d\d_\w+", file.stem)]:
        raise LessonError(f"solutions/{odd[0]} is no lesson; name it NN_name.py or keep it elsewhere")
    if not names:
        return files
    wanted = {name: [file for file in files if name in (file.stem, file.stem[:2])] for name in names}
    if unknown := [name for name, found in wanted.items() if not found]:
        known = ", ".join(file.stem for file in files) or "none"
        raise LessonError(f"there is no lesson {unknown[0]!r}; the lessons are: {known}")
    return [file for file in files if any(file in found for found in wanted.values())]


def read_source(path):
    """The source as a notebook: answers and claim markers still in it, cell ids and nbgrader's metadata already set.

    An id depends on the source alone (jupytext would draw it at random): the exercise's number, else the cell's
    `name`, else a hash of its text; in the glossary, the cell's term. So both copies of a cell have the same id, and an
    untouched cell keeps it.
    """
    path, cells, seen = Path(path), [], Counter()
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise LessonError(f"{path.name} is not in UTF-8 (its byte {error.start} is not); save it as UTF-8") from None
    for number, raw in enumerate(jupytext.reads(text, fmt="py:percent").cells, 1):
        raw.metadata = {key: value for key, value in raw.metadata.items() if not JUPYTEXTS_OWN.match(key)}
        try:
            _refuse_source(raw)
            key = (path.stem == glossary.PAGE and glossary.cell_id(raw.source)) or _key(raw)
        except ValueError as error:
            raise LessonError(f"{path.name}, cell {number}: {error}") from None
        seen[key] += 1
        if seen[key] > 1:
            if raw.metadata.keys() & {"exercise", "name"}:
                raise LessonError(f"{path.name}, cell {number}: the id {key!r} is used before; choose another")
            key = f"{key}-{seen[key]}"
        new = v4.new_markdown_cell if raw.cell_type == "markdown" else v4.new_code_cell
        cells.append(new(raw.source, id=key, metadata=_metadata(raw.metadata, key)))
    if path.stem != glossary.PAGE:
        _link_words(cells, path)
    notebook = v4.new_notebook(cells=cells, metadata=NOTEBOOK_METADATA)
    notebook.nbformat_minor = 5
    return notebook


def _link_words(cells, path):
    prose = [cell for cell in cells if cell.cell_type == "markdown"]
    try:
        known = glossary.terms(path.parent)
    except ValueError as error:
        raise LessonError(f"{glossary.PAGE}.py: {error}") from None
    for cell, text in zip(prose, glossary.link([cell.source for cell in prose], known), strict=True):
        cell.source = text


def _key(raw):
    if "exercise" in raw.metadata:
        return "exercise-" + str(raw.metadata["exercise"]).replace(".", "-")
    return raw.metadata.get("name") or hashlib.sha256(f"{raw.cell_type}\n{raw.source}".encode()).hexdigest()[:10]


def _metadata(metadata, key):
    kept = {name: value for name, value in metadata.items() if name not in ("exercise", "name")}
    if "exercise" in metadata:
        kept["nbgrader"] = {"grade": False, "grade_id": key, "locked": False, "schema_version": 3, "solution": True}
        kept["nbgrader"]["task"] = False
    return kept


def _refuse_source(raw):
    """Stop at what would reach the learner wrongly: a mistyped tag shows an answer, a lone marker hides a page."""
    if raw.cell_type not in ("code", "markdown"):
        raise ValueError(f"a {raw.cell_type} cell is not shown to anyone; make it markdown or code")
    if unknown := sorted(raw.metadata.keys() - KEYS) + sorted(set(raw.metadata.get("tags", [])) - TAGS):
        raise ValueError(f"{unknown[0]!r} is no key or tag of a cell; use one of {', '.join(sorted(KEYS | TAGS))}")
    marked = [found.groups() for found in map(MARKER.search, raw.source.split("\n")) if found]
    pairs = list(zip(marked[::2], marked[1::2], strict=False))
    if len(marked) % 2 or any(a[1] != b[1] or (a[0], b[0]) != ("BEGIN", "END") for a, b in pairs):
        raise ValueError("### BEGIN and ### END markers do not pair; close each before the next opens")
    if ("exercise" in raw.metadata) != any(what == "SOLUTION" for _, what in marked):
        raise ValueError('### BEGIN SOLUTION belongs in a cell with exercise="n.m", and each such cell needs one')
    if raw.cell_type == "markdown":
        strip_claims(raw.source)
    if "predict" in raw.metadata.get("tags", []):
        _hide_guesses(raw.source)


# ---------------------------------------------------------------- the two copies


def solved(notebook):
    """The answered copy, not yet run: answers shown, every marker gone."""
    copy = from_dict(notebook)
    for cell in copy.cells:
        if cell.cell_type == "markdown":
            cell.source = strip_claims(cell.source)
        else:
            cell.source = "\n".join(line for line in cell.source.split("\n") if not MARKER.search(line))
    return copy


def learner(notebook):
    """The learner's copy: answers and predictions cut to `...`, hidden tests and cells for instructors left out."""
    copy = from_dict(notebook)
    copy.cells = [cell for cell in copy.cells if not NOT_FOR_LEARNERS & set(cell.metadata.get("tags", []))]
    for cell in copy.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            cell.source = strip_claims(cell.source)
            continue
        cell.source = _cut(_cut(cell.source, "SOLUTION", stub="..."), "HIDDEN TESTS")
        if "predict" in tags:
            cell.source = _hide_guesses(cell.source)
        if GOLDEN in tags:  # no output here to compare with
            cell.metadata["tags"] = [tag for tag in tags if tag != GOLDEN]
            if not cell.metadata["tags"]:
                del cell.metadata["tags"]
    return copy


def _cut(source, what, stub=None):
    """Each region between `BEGIN what` and `END what` gives way to `stub` at its indentation, as nbgrader does it."""
    kept, inside = [], False
    for line in source.split("\n"):
        if f"BEGIN {what}" in line:
            inside = True
            if stub is not None:
                kept.append(re.match(r"\s*", line)[0] + stub)
        elif f"END {what}" in line:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def _hide_guesses(source):
    """`guess = 0.25  # a ratio` becomes `guess = ...  # a ratio`; each guess must stand on one line of its own.

    A guess that is set in any other way (`guess_a, guess_b = 1, 2` or `guess: float = 1`) would keep its answer.
    """
    lines = [GUESS.match(line) or line for line in source.split("\n")]
    guesses = [found for found in lines if isinstance(found, re.Match)]
    try:
        for found in guesses:
            ast.parse(found[2], mode="eval")
    except SyntaxError:
        raise ValueError(f"the prediction {found[0]!r} does not end on its line; write it on one line") from None
    hidden = "\n".join(line if isinstance(line, str) else f"{line[1]}...{line[3] or ''}" for line in lines)
    try:
        names = [node for node in ast.walk(ast.parse(hidden)) if isinstance(node, ast.Name)]
    except SyntaxError as error:
        raise ValueError(f"a cell tagged predict is plain Python, and this is not ({error.msg}); mend it") from None
    if sum(name.id.startswith("guess") and isinstance(name.ctx, ast.Store) for name in names) != len(guesses):
        raise ValueError("a prediction is set in a way that shows it; write each as a line `guess_name = value`")
    if not guesses:
        raise ValueError("a cell tagged predict holds no line `guess = ...`; add it or drop the tag")
    return hidden


# ---------------------------------------------------------------- writing and checking


def build(names=None, root=".", *, text=False):
    """Run the lessons (all, or those named) and write both notebooks of each; returns the paths that changed.

    With `text` nothing is run: the outputs stored before are kept, and a lesson whose code has changed is refused.
    """
    root, written = Path(root), []
    for source in sources(root, names):
        notebook = read_source(source)
        answered = solved(notebook)
        if text:
            _keep_outputs(answered, root / "solutions" / f"{source.stem}.ipynb", source)
        elif _to_run(answered):
            run(answered, source)
        if silent := _silent_golden(answered):
            raise LessonError(f"{source.name}, cell {silent} is tagged {GOLDEN} but shows nothing to compare")
        files = {root / "solutions" / f"{source.stem}.ipynb": dumps(answered)}
        files[root / "lessons" / f"{source.stem}.ipynb"] = dumps(learner(notebook))
        files |= {root / FIGURES / f"{name}.png": data for name, data in _pictures(answered).items()}
        written += [path for path, data in files.items() if _write(path, data)]
    return written


def _keep_outputs(answered, path, source):
    stored = v4.reads(path.read_text("utf-8")).cells if path.exists() else []
    code = {cell.id: cell.source for cell in stored if cell.cell_type == "code"}
    if {cell.id: cell.source for cell in answered.cells if cell.cell_type == "code"} != code:
        raise LessonError(f"{source.name}: its code has changed since it was last run; build it without --text")
    _graft(answered, {cell.id: cell.outputs for cell in stored if cell.cell_type == "code"})


def _pictures(answered):
    """The pictures that the README shows: those of the cells named figure-..., as they stand in the notebook."""
    found = {}
    for cell in answered.cells:
        shown = [
            output.data["image/png"] for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
        ]
        if cell.id.startswith("figure-") and shown:
            found[cell.id] = base64.b64decode(shown[0])
    return found


def check(root=".", names=None):
    """What is out of date, one sentence each with the file's name: empty when every notebook is what its source gives.

    Nothing is run. The stored outputs are taken as they are, put on a notebook made anew, and the bytes compared: an
    edit in the source or in either notebook shows, and so does saving one from Jupyter. A stored number that the code
    would no longer give is nbval's business.
    """
    root = Path(root)
    try:
        files = sources(root, names)
    except LessonError as error:
        return [f"{error}."]
    drift = [message for source in files for message in _check_lesson(root, source)]
    if names is None:
        known = {file.stem for file in files}
        for path in sorted(path for folder in ("lessons", "solutions") for path in (root / folder).glob("*.ipynb")):
            if path.stem not in known:
                drift.append(f"{path.parent.name}/{path.name}: it has no source solutions/{path.stem}.py; delete it.")
    return drift or _check_pictures(root, files, every=names is None)


def _check_lesson(root, source):
    try:
        notebook = read_source(source)
    except LessonError as error:
        return [f"solutions/{error}."]
    found = []
    for folder, copy in (("lessons", learner(notebook)), ("solutions", solved(notebook))):
        path = root / folder / f"{source.stem}.ipynb"
        if trouble := _trouble(path, copy, executed=folder == "solutions"):
            found.append(f"{folder}/{path.name}: {trouble}; run `vglab build {source.stem}`.")
    return found


def _check_pictures(root, files, *, every):
    """The README's pictures against the answered notebooks; `every` says that `files` are all the lessons there are."""
    found, known = [], set()
    for source in files:
        for name, data in _pictures(v4.reads(source.with_suffix(".ipynb").read_text("utf-8"))).items():
            picture = root / FIGURES / f"{name}.png"
            known.add(picture)
            if not picture.exists() or picture.read_bytes() != data:
                trouble = f"it is not the notebook's picture; run `vglab build {source.stem}`."
                found.append(f"{FIGURES}/{name}.png: {trouble}")
    stale = sorted(set((root / FIGURES).glob("*.png")) - known) if every else []
    return found + [f"{FIGURES}/{path.name}: no cell of a lesson shows it; delete it." for path in stale]


def _trouble(path, copy, *, executed):
    """How the notebook at `path` differs from `copy`, or None; `executed` takes the stored outputs over first."""
    if not path.exists():
        return "it is missing"
    stored = path.read_bytes()
    try:
        cells = v4.reads(stored.decode()).cells
        if executed:
            _graft(copy, {cell.id: cell.outputs for cell in cells if cell.cell_type == "code"})
    except LessonError as error:
        return str(error)
    except (ValueError, AttributeError, TypeError):
        return "it cannot be read as a notebook with cell ids"
    if executed and (silent := _silent_golden(copy)):
        return f"cell {silent} is tagged {GOLDEN} but has no stored output"
    if stored == dumps(copy):
        return None
    pairs = zip(cells, copy.cells, strict=False)
    different = next((n for n, (a, b) in enumerate(pairs, 1) if a != b), min(len(cells), len(copy.cells)) + 1)
    if different > max(len(cells), len(copy.cells)):
        return "its metadata or its formatting differs from what the source gives"
    return f"cell {different} differs from what the source gives"


def _graft(copy, outputs):
    """Put stored outputs on the cells they belong to, in the form a build would have left them."""
    for number, cell in enumerate(_to_run(copy), 1):
        cell.execution_count = number
        cell.outputs = tidy(outputs.get(cell.id, []), number)


def _to_run(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def _silent_golden(notebook):
    """The number of the first cell that nbval should compare and that has no output, or None."""
    for number, cell in enumerate(notebook.cells, 1):
        if GOLDEN in cell.metadata.get("tags", []) and not cell.get("outputs"):
            return number
    return None


def dumps(notebook):
    """The notebook as bytes, in the form in which Jupyter itself saves: one truth for `build` and `check`."""
    return (v4.writes(notebook) + "\n").encode()


def _write(path, data):
    """Write whole or not at all, and only what is new, so that an unchanged notebook keeps its time stamp."""
    if path.exists() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_bytes(data)
    os.replace(draft, path)
    return True
