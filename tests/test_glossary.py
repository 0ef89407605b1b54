"""Words in bold lead to the glossary: once a lesson, in prose only, and each word is explained in one place."""

import pytest

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
        "[**RMS\nslopes**](98_glossary.ipynb#rms-slope) and **Predict.**",
        "An **rms slope**, [**saturated**](98_glossary.ipynb#saturation) twice: **saturation**.",
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
    assert cell.source == "The [**rms slope**](98_glossary.ipynb#rms-slope)."
    assert author.read_source(folder / "98_glossary.py").cells[1].source.startswith("### rms slope")


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
