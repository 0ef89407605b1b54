"""The bibliography has each source of the lessons once, in order, and says rightly which lessons cite it."""

import re
from functools import cache
from pathlib import Path

import jupytext
import pytest

from vglab.course import author

ROOT = Path(__file__).parents[1]
LESSONS = [source for source in author.sources(ROOT) if source.stem not in author.PAGES]
URL = re.compile(r"\]\((https?://[^)\s]+)\)")
TITLE = re.compile(r"\[?\*([^*]+)\*(?:\]\((https?://[^)\s]+)\))?")


@cache
def cells(stem):
    """The markdown cells of a source, each on one line a paragraph."""
    book = jupytext.reads((ROOT / "solutions" / f"{stem}.py").read_text("utf-8"), fmt="py:percent")
    return [re.sub(r"(?<!\n)\n(?!\n|- )", " ", cell.source) for cell in book.cells if cell.cell_type == "markdown"]


@cache
def cited(stem):
    """What a lesson names under Sources: the addresses, and the titles that have none."""
    text = "\n".join(cell for cell in cells(stem) if cell.startswith("## Sources"))
    return set(URL.findall(text)) | {title for title, url in TITLE.findall(text) if not url}


def names(entry):
    """What a lesson can call this entry by: its addresses and its title."""
    line = entry.split("\n\n")[1]
    return set(URL.findall(line)) | {title for title, _ in TITLE.findall(line)}


def order(entry):
    """Surname and initials of the first author, then the year."""
    heading, line = entry.removeprefix("### ").split("\n\n")[:2]
    surname = re.match(r"[\w-]+", heading)[0]
    return surname.casefold(), line.partition(surname)[0], re.search(r"\b\d{4}[ab]?$|$", heading)[0], heading


ENTRIES = cells("99_bibliography")[1:]
each_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.split("\n")[0][4:])


@pytest.mark.parametrize("lesson", LESSONS[1:], ids=lambda lesson: lesson.stem)
def test_each_source_of_a_lesson_is_in_the_bibliography_once(lesson):
    found = cited(lesson.stem)
    assert found
    for name in found:
        assert sum(name in names(entry) for entry in ENTRIES) == 1, f"not once in 99_bibliography.py: {name}"


@each_entry
def test_an_entry_says_who_what_where_and_what_for(entry):
    heading, source, use = entry.split("\n\n")
    assert re.fullmatch(r"### [A-Z][\w\s.,-]+", heading)
    assert re.fullmatch(r"[^\[]+, \[.+\]\(https?://\S+\), .+\.", source), "write: authors, [*title*](address), venue."
    assert re.fullmatch(r".+\. Lessons? \[.+\]\(\w+\.ipynb\)\.", use), "write: What is taken. Lesson [3](03_x.ipynb)."


@each_entry
def test_an_entry_names_the_lessons_that_cite_it(entry):
    lessons = [lesson.stem for lesson in LESSONS if names(entry) & cited(lesson.stem)]
    links = [f"[{int(stem[:2])}]({stem}.ipynb)" for stem in lessons]
    assert links, "no lesson cites it"
    said = f"Lessons {', '.join(links[:-1])} and {links[-1]}." if links[1:] else f"Lesson {links[0]}."
    assert entry.endswith(f" {said}"), f"write: {said}"


def test_the_bibliography_is_in_order_and_names_nothing_twice():
    assert sorted(ENTRIES, key=order) == ENTRIES
    headings = [entry.split("\n")[0] for entry in ENTRIES]
    assert len(set(headings)) == len(headings) > 40
    assert sum(len(names(entry)) for entry in ENTRIES) == len(set().union(*map(names, ENTRIES)))
