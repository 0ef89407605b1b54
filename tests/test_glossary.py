"""Words in bold lead to the glossary: once a lesson, in prose only, and each word is explained in one place."""

import re
from functools import cache
from pathlib import Path

import jupytext
import pytest
from nbconvert import HTMLExporter

from vglab.course import author, glossary

PAGE = """\
# %% [markdown]
# # Glossary

# %% [markdown]
# ### rms slope
# A root mean square.

# %% [markdown]
# ### saturation
# Being flat.
#
# Also: saturated, saturates.
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "98_glossary.py").write_text(PAGE, "utf-8")
    return tmp_path


def test_terms_are_headings_and_their_other_forms(folder):
    assert glossary.terms(folder) == {
        "rms slope": "rms-slope",
        "saturation": "saturation",
        "saturated": "saturation",
        "saturates": "saturation",
    }


def test_a_course_without_glossary_links_nothing(tmp_path):
    assert glossary.terms(tmp_path) == {}
    assert glossary.link(["A **word**."], {}) == ["A **word**."]


def test_the_first_bold_place_becomes_a_link(folder):
    known = glossary.terms(folder)
    texts = ["**RMS\nslopes** and **Predict.**", "An **rms slope**, **saturated** twice: **saturation**."]
    assert glossary.link(texts, known) == [
        "[**RMS\nslopes**](98_glossary.ipynb#cell-id=rms-slope) and **Predict.**",
        "An **rms slope**, [**saturated**](98_glossary.ipynb#cell-id=saturation) twice: **saturation**.",
    ]


@pytest.mark.parametrize(
    "text", ["`**saturation**`", "$a**saturation**b$", "```\n**saturation**\n```", "[**saturation**](x)"]
)
def test_code_formulas_and_links_stay(folder, text):
    assert glossary.link([text], glossary.terms(folder)) == [text]


def test_a_word_explained_twice_is_refused(folder):
    (folder / "98_glossary.py").write_text(PAGE + "\n# %% [markdown]\n# ### saturated\n# Again.\n", "utf-8")
    (folder / "01_a.py").write_text("# %% [markdown]\n# A **word**.\n", "utf-8")
    with pytest.raises(author.LessonError, match="the glossary explains 'saturated' twice; keep one of the two"):
        author.read_source(folder / "01_a.py")


def test_a_lesson_is_read_with_its_links_and_the_glossary_without(folder):
    (folder / "01_a.py").write_text("# %% [markdown]\n# The **rms slope**.\n", "utf-8")
    (cell,) = author.read_source(folder / "01_a.py").cells
    assert cell.source == "The [**rms slope**](98_glossary.ipynb#cell-id=rms-slope)."
    _, term, _ = author.read_source(folder / "98_glossary.py").cells
    assert term.source.startswith("### rms slope")
    assert term.id == "rms-slope", "what the link names"


# ---------------------------------------------------------------- vglab build --text


def test_where_only_words_changed_nothing_is_run(tmp_path):
    source = tmp_path / "solutions" / "01_a.py"
    source.parent.mkdir()
    source.write_text('# %% [markdown]\n# One.\n\n# %%\nopen("ran.txt", "a").write("x") and None\n6 * 7\n', "utf-8")
    author.build(root=tmp_path)
    source.write_text(source.read_text("utf-8").replace("One.", "Two."), "utf-8")
    written = author.build(root=tmp_path, text=True)
    assert {path.parent.name for path in written} == {"solutions", "lessons"}
    answered = source.with_suffix(".ipynb").read_text("utf-8")
    assert "Two." in answered
    assert '"42"' in answered
    assert author.check(tmp_path) == []
    ran = list(tmp_path.rglob("ran.txt"))
    assert [file.read_text() for file in ran] == ["x"]


@pytest.mark.parametrize("change", [("6 * 7", "6 * 8"), ("6 * 7", "6 * 7\n\n# %%\n1")])
def test_changed_code_must_be_run(tmp_path, change):
    source = tmp_path / "solutions" / "01_a.py"
    source.parent.mkdir()
    source.write_text("# %%\n6 * 7\n", "utf-8")
    author.build(root=tmp_path)
    source.write_text(source.read_text("utf-8").replace(*change), "utf-8")
    with pytest.raises(author.LessonError, match="its code has changed since it was last run; build it without --text"):
        author.build(root=tmp_path, text=True)


def test_a_lesson_that_was_never_run(tmp_path):
    source = tmp_path / "solutions" / "01_a.py"
    source.parent.mkdir()
    source.write_text("# %%\n6 * 7\n", "utf-8")
    with pytest.raises(author.LessonError, match="build it without --text"):
        author.build(root=tmp_path, text=True)


# ---------------------------------------------------------------- the glossary of this course

ROOT = Path(__file__).parents[1]
LESSONS = [source for source in author.sources(ROOT) if source.stem not in author.PAGES]
ENTRY = re.compile(
    r"### (?P<term>.+)\n\n(?P<text>.+)\s\[(?P<said>Start\spage|Lesson\s\d+)\]\((?P<page>\w+)\.ipynb\)\."
    r"(?:\n\nAlso: (?P<also>.+)\.)?",
    re.S,
)


@cache
def prose(source):
    """The markdown of a source as it is written, without the links to the glossary."""
    cells = jupytext.reads(source.read_text("utf-8"), fmt="py:percent").cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


@cache
def bold(source):
    """The words in bold in a lesson's text, in lower case; its header, which lists them, is left out."""
    text = re.sub(r"```.*?```|`[^`]*`|\$[^$]*\$", " ", "\n\n".join(prose(source)[1:]), flags=re.S)
    return [" ".join(word.split()) for word in re.findall(r"\*\*([^*]+)\*\*", text)]


def new_words(source):
    (found,) = re.findall(r"^\*\*New words\*\* (.+?)\.$", prose(source)[0], re.M | re.S)
    return " ".join(found.split()).split(", ")


def entry(word):
    """The cell that explains `word`, or None; singular and plural count as one."""
    return KNOWN.get(word.lower()) or KNOWN.get(word.lower().removesuffix("s"))


KNOWN = glossary.terms(ROOT / "solutions")
ENTRIES = prose(ROOT / "solutions" / f"{glossary.PAGE}.py")[1:]
each_entry = pytest.mark.parametrize("text", ENTRIES, ids=lambda text: text.split("\n")[0][4:])
each_lesson = pytest.mark.parametrize("source", LESSONS[1:], ids=lambda source: source.stem)


@each_lesson
def test_new_words_of_a_lesson_are_explained_and_stand_bold_in_it(source):
    explained = {entry(word) for word in bold(source)}
    for word in new_words(source):
        assert entry(word), f"{word!r} is not in the glossary"
        assert entry(word) in explained, f"{word!r} is nowhere bold"


@each_lesson
def test_words_in_bold_are_explained(source):
    """Labels (**Predict.**) begin with a capital; so do words that begin a sentence, which the list above covers."""
    unknown = [word for word in bold(source) if word[0].islower() and not entry(word)]
    assert not unknown, f"not in the glossary: {unknown}"


def test_the_glossary_is_in_alphabetical_order():
    headings = [text.split("\n")[0] for text in ENTRIES]
    assert headings == sorted(headings, key=str.casefold)
    assert len(KNOWN) > len(headings) > 50


def test_an_exported_page_can_be_linked_to_as_well():
    page, _ = HTMLExporter().from_filename(ROOT / "lessons" / f"{glossary.PAGE}.ipynb")
    assert [cell for cell in set(KNOWN.values()) if f'id="cell-id={cell}"' not in page] == []


@each_entry
def test_an_entry_says_in_one_to_three_sentences_what_a_word_means(text):
    found = ENTRY.fullmatch(text)
    assert found, "write: ### term, one to three sentences, [Lesson 3](03_x.ipynb)., and if there are any, Also: x, y."
    assert re.fullmatch(r"[\w -]{1,64}", found["term"], re.A), "a cell's id has plain letters only"
    plain = re.sub(r"\$[^$]*\$", "x", found["text"])
    assert plain.endswith(".")
    assert len(re.findall(r"\.(?=\s|$)", plain)) <= 3
    assert len(plain.split()) <= 60


@each_entry
def test_an_entry_names_the_lesson_that_introduces_the_word(text):
    """The first that has it in bold; of words that are bold nowhere, one in which they occur."""
    found = ENTRY.fullmatch(text)
    number = int(found["page"][:2])
    assert " ".join(found["said"].split()) == (f"Lesson {number}" if number else "Start page")
    forms = [found["term"], *(" ".join((found["also"] or "").split()).split(", ") if found["also"] else [])]
    cell = glossary.cell_id(text)
    first = next((lesson.stem for lesson in LESSONS if cell in map(entry, bold(lesson))), None)
    if first is None:
        body = " ".join((ROOT / "solutions" / f"{found['page']}.py").read_text("utf-8").split()).lower()
        assert any(form.lower() in body for form in forms), f"{found['page']} does not have the word"
    else:
        assert found["page"] == first
