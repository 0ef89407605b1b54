"""What every lesson keeps to: rhythm, headings, a caption under each figure, no answer and no output given away."""

import re
from pathlib import Path
from statistics import median, quantiles

import nbformat
import pytest

from vglab.course import author

ROOT = Path(__file__).parent.parent
PAGES = [source for source in author.sources(ROOT) if source.stem in author.PAGES]
SOURCES = [source for source in author.sources(ROOT) if source not in PAGES]
LESSONS = [source for source in SOURCES if not source.stem.startswith("00")]
FIGURE = re.compile(r"\bvg\.(?:\w+_plot|widgets\.\w+)\(|\.plot\(")


def each(sources):
    return pytest.mark.parametrize("source", sources, ids=lambda source: source.stem)


def notebook(folder, source):
    return nbformat.read(ROOT / folder / f"{source.stem}.ipynb", as_version=4)


def cells(source, kind=None):
    return [cell for cell in author.read_source(source).cells if kind in (None, cell.cell_type)]


def shows_a_figure(cell):
    return cell.cell_type == "code" and FIGURE.search(cell.source)


def lines_of_code(cell):
    return [line for line in cell.source.split("\n") if line.strip() and not line.strip().startswith("#")]


@each(SOURCES)
def test_learner_copy_has_no_output_and_no_answer(source):
    for cell in notebook("lessons", source).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert "SOLUTION" not in cell.source
            assert not re.search(r"^guess\w* = (?!\.\.\.)", cell.source, re.M), (
                f"a prediction is given away: {cell.source}"
            )
        assert "solution" not in cell.metadata.get("tags", [])


@each(SOURCES)
def test_every_golden_cell_has_a_stored_output(source):
    golden = [cell for cell in notebook("solutions", source).cells if author.GOLDEN in cell.metadata.get("tags", [])]
    assert len(golden) >= 1
    for cell in golden:
        assert [output for output in cell.outputs if output.get("data", {}).get("text/plain")], cell.source


@each(SOURCES)
def test_nothing_is_stored_that_needs_a_kernel_or_fails(source):
    for folder in ("lessons", "solutions"):
        book = notebook(folder, source)
        assert "widgets" not in book.metadata
        for cell in book.cells:
            for output in cell.get("outputs", []):
                assert output.output_type != "error"
                assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
                assert not re.search(r"\d(?:run|step|it)/s", str(output)), "a progress bar that stopped half way"
            if "vg.widgets." in cell.source and folder == "solutions" and cell.cell_type == "code":
                assert any("image/png" in output.get("data", {}) for output in cell.outputs), (
                    "a widget without a picture"
                )


@each(SOURCES)
def test_answers_pass_their_checks_in_the_solved_copy(source):
    exercises = [cell for cell in notebook("solutions", source).cells if "nbgrader" in cell.metadata]
    for cell in exercises:
        assert author.GOLDEN in cell.metadata["tags"], "an exercise's verdict is compared on every run"
        assert cell.outputs[-1].data["text/plain"].startswith("✓"), cell.outputs[-1].data["text/plain"]


@each(LESSONS)
def test_headings_stand_in_their_order(source):
    number = int(source.stem[:2])
    texts = [cell.source for cell in cells(source, "markdown")]
    assert re.match(rf"# {number}\. .+\?\n\n\*\*Time\*\* .+\. \*\*Needed first\*\* .+\n\*\*New words\*\* ", texts[0])
    assert texts[1].startswith("**You will be able to**")
    headings = [text.split("\n")[0] for text in texts if text.startswith("## ")]
    assert headings[-4:] == ["## Exercises", "## What we saw", "## In your own model", "## Sources"]
    bullets = lambda text: len(re.findall(r"^- ", text, re.M))
    recap = next(text for text in texts if text.startswith("## What we saw"))
    assert 2 <= bullets(texts[1]) <= 4
    assert bullets(recap) == bullets(texts[1]), "the recap answers the objectives one by one"
    assert "**Where next.**" in recap


@each(LESSONS)
def test_minutes_add_up(source):
    timed = [(cell.source, cell.metadata["minutes"]) for cell in cells(source) if "minutes" in cell.metadata]
    for text, minutes in timed:
        if stated := re.search(r"^### Exercise .* (\d+) minutes", text):
            assert int(stated[1]) == minutes
    exercises = sum(minutes for text, minutes in timed if text.startswith("### Exercise"))
    sections = sum(minutes for _, minutes in timed) - exercises
    assert f"**Time** {sections} minutes, and {exercises} for the exercises." in cells(source)[0].source
    for page in ("README.md", "lessons/README.md", "solutions/00_start.py"):
        assert re.search(rf"{source.stem}\.ipynb\).*\| {sections + exercises} \|", (ROOT / page).read_text("utf-8")), (
            page
        )


@each(LESSONS)
def test_rounds_predict_run_explain(source):
    code = cells(source, "code")
    guesses = re.findall(
        r"^(guess\w*) = ", "\n".join(c.source for c in code if "predict" in c.metadata.get("tags", [])), re.M
    )
    scored = re.findall(r"check\.prediction\(\"(\d+)\.(\d+)\", (guess\w*),", "\n".join(c.source for c in code))
    assert 2 <= len(guesses) <= 5
    assert [name for *_, name in scored] == guesses, "each prediction is scored, in order"
    assert scored == [(str(int(source.stem[:2])), str(k), name) for k, name in enumerate(guesses, 1)]
    text = "\n".join(cell.source for cell in cells(source, "markdown"))
    assert text.count("**Predict.**") == len(guesses)
    assert text.count("**What you see.**") >= len(guesses) - 1
    assert text.count("**What it does not show.**") >= 2
    assert sum("vg.widgets." in c.source for c in code) == 1


@each(LESSONS)
def test_exercises_have_number_stars_minutes_check_and_two_hints(source):
    number = int(source.stem[:2])
    all_cells = cells(source)
    starts = [i for i, cell in enumerate(all_cells) if cell.source.startswith("### Exercise")]
    assert 2 <= len(starts) <= 4
    for k, (start, end) in enumerate(zip(starts, [*starts[1:], None], strict=True), 1):
        assert re.match(rf"### Exercise {number}\.{k}: .+ ★+ \d+ minutes", all_cells[start].source)
        part = all_cells[start:end]
        last = k == len(starts)
        if last:
            assert "open" in part[0].source.split("\n")[0]
            assert any("solution" in cell.metadata.get("tags", []) for cell in part), "an open task has a model answer"
            continue
        (answer,) = [cell for cell in part if "nbgrader" in cell.metadata]
        assert answer.metadata.nbgrader.grade_id == f"exercise-{number}-{k}"
        name = re.match(r"(?:def|class) (\w+)\(", answer.source)[1]
        assert f"check.{name}({name})" in answer.source
        assert answer.source.count('"""') == 2, "a stub has a docstring"
        assert sum(cell.source.count("<summary>Hint") for cell in part) == 2


@each(SOURCES)
def test_every_figure_has_a_numbered_caption_below(source):
    all_cells, number = cells(source), int(source.stem[:2])
    found = 0
    for i, cell in enumerate(all_cells):
        if not shows_a_figure(cell):
            continue
        found += 1
        below = next(later for later in all_cells[i + 1 :] if later.cell_type == "markdown")
        caption = re.match(rf"\*Figure {number}\.{found}\. (.+?)\*(?:\n\n|$)", below.source, re.S)
        assert caption, f"no caption *Figure {number}.{found}. ...* below {cell.source!r}"
        assert 12 <= len(caption[1].split()) <= 80
    assert found


@each(LESSONS)
def test_cells_are_short_and_prose_stands_between(source):
    assert max(len(line) for cell in cells(source, "code") for line in cell.source.split("\n")) <= 100
    code = [len(lines_of_code(cell)) for cell in cells(source, "code")]
    assert median(code) <= 5
    assert quantiles(code, n=10)[-1] <= 10
    assert max(code) <= 15
    kinds = "".join(cell.cell_type[0] for cell in cells(source))
    assert "cccc" not in kinds, "four code cells without a word between them"
    for cell in cells(source, "markdown"):
        for paragraph in cell.source.split("\n\n"):
            long = not paragraph.startswith("- ") and "solution" not in cell.metadata.get("tags", [])
            assert len(paragraph.split()) <= 90 or not long, paragraph[:80]
            assert "!" not in re.sub(r"!\[|`[^`]*`|\$[^$]*\$", "", paragraph), "no exclamation marks"


@each(SOURCES)
def test_code_installs_nothing_and_hides_no_warning(source):
    text = "\n".join(cell.source for cell in cells(source, "code"))
    assert not re.search(r"pip install|sys\.path|filterwarnings|%matplotlib", text)


# ---------------------------------------------------------------- every page: its links; the pages without code

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


@each(SOURCES + PAGES)
def test_links_lead_to_a_page_and_to_a_cell(source):
    for folder in ("lessons", "solutions"):
        for cell in notebook(folder, source).cells:
            for page, anchor in LINK.findall(cell.source) if cell.cell_type == "markdown" else ():
                path = ROOT / folder / (page or f"{source.stem}.ipynb")
                assert path.exists(), f"{page}: there is no such page"
                ids = [f"cell-id={cell.id}" for cell in nbformat.read(path, as_version=4).cells]
                assert not anchor or anchor in ids, f"{page}#{anchor}: there is no such cell"


@each(PAGES)
def test_a_page_to_look_things_up_in_has_a_title_and_words_only(source):
    first, *rest = cells(source)
    assert re.match(r"# \w+\n\n\w", first.source)
    for cell in rest:
        assert cell.cell_type == "markdown"
        assert not cell.metadata
        assert cell.source.startswith("### ")
        assert "!" not in cell.source
    assert notebook("lessons", source).cells == notebook("solutions", source).cells
