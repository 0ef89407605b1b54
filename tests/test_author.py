"""The generator: one source gives two notebooks, byte for byte the same each time, and drift is named."""

import base64
import io
import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from vglab.course import author, execute

LESSON = '''\
# ---
# jupyter:
#   kernelspec:
#     display_name: Other
#     language: python
#     name: other
# ---

# %% [markdown] minutes=5
# # 1. Is it so?
# The ratio is 0.63{#demo-ratio}, near ⅔.

# %%
import matplotlib.pyplot as plt

# %% tags=["predict"]
guess = 2 / 3  # a ratio
guess == 1

# %% name="figure-line"
print("a", flush=True)
print("b", flush=True)
_ = plt.plot([0, 1])

# %% exercise="1.2" minutes=4
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


### BEGIN HIDDEN TESTS
assert double(2) == 4
### END HIDDEN TESTS
double(3)

# %% tags=["nbval-check-output"] name="golden"
40 + 2

# %%
plt.show()

# %%
plt.show()

# %% [markdown] tags=["instructor"]
# Wait for a show of hands.

# %% tags=["solution"]
_ = plt.plot([0, double(21)])
'''


@pytest.fixture
def root(tmp_path):
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "01_demo.py").write_text(LESSON, "utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A course of one lesson, built once; tests that change it copy it first."""
    root = tmp_path_factory.mktemp("course")
    (root / "solutions").mkdir()
    (root / "solutions" / "01_demo.py").write_text(LESSON, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "agg")  # as a server may have it; the figures must appear all the same
        assert len(author.build(root=root)) == 3
    return root


@pytest.fixture
def copy(built, tmp_path):
    return Path(shutil.copytree(built, tmp_path / "course"))


def load(root, folder):
    return nbformat.read(root / folder / "01_demo.ipynb", as_version=4)


def read(tmp_path, text):
    path = tmp_path / "01_demo.py"
    path.write_text(text, "utf-8")
    return author.read_source(path)


def cell(notebook, key):
    return next(cell for cell in notebook.cells if cell.id == key)


# ---------------------------------------------------------------- the two copies


def test_both_copies_are_valid_notebooks_with_the_same_fixed_metadata(built):
    for folder in ("lessons", "solutions"):
        notebook = load(built, folder)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        assert notebook.metadata == author.NOTEBOOK_METADATA


def test_the_learner_gets_no_answer_no_output_and_no_cell_for_others(built):
    notebook = load(built, "lessons")
    assert len(notebook.cells) == 8
    assert cell(notebook, "exercise-1-2").source == ('def double(x):\n    """Twice x."""\n    ...\n\n\ndouble(3)')
    assert notebook.cells[2].source == "guess = ...  # a ratio\nguess == 1"
    for one in notebook.cells:
        if one.cell_type == "code":
            assert one.outputs == []
            assert one.execution_count is None


def test_the_answered_copy_shows_answers_without_markers(built):
    notebook = load(built, "solutions")
    assert len(notebook.cells) == 10
    assert cell(notebook, "exercise-1-2").source == (
        'def double(x):\n    """Twice x."""\n    return 2 * x\n\n\nassert double(2) == 4\ndouble(3)'
    )
    assert notebook.cells[2].source.startswith("guess = 2 / 3  # a ratio")


def test_a_claims_marker_is_seen_by_the_test_and_not_by_the_reader(built):
    for folder in ("lessons", "solutions"):
        assert load(built, folder).cells[0].source.endswith("The ratio is 0.63, near ⅔.")


def test_an_exercise_cell_carries_nbgraders_metadata(built):
    wanted = {"grade": False, "grade_id": "exercise-1-2", "locked": False, "schema_version": 3, "solution": True}
    for folder in ("lessons", "solutions"):
        metadata = cell(load(built, folder), "exercise-1-2").metadata
        assert metadata == {"minutes": 4, "nbgrader": wanted | {"task": False}}


def test_only_the_answered_copy_asks_nbval_to_compare(built):
    assert cell(load(built, "solutions"), "golden").metadata == {"tags": ["nbval-check-output"]}
    assert cell(load(built, "lessons"), "golden").metadata == {}


def test_nbgrader_cuts_the_source_to_the_same_text(root):
    from nbgrader.nbgraderformat import MetadataValidator
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

    notebook = author.read_source(root / "solutions" / "01_demo.py")
    MetadataValidator().validate_nb(notebook)
    theirs, _ = ClearSolutions(code_stub={"python": "..."}).preprocess(notebook.copy(), {})
    theirs, _ = ClearHiddenTests(enforce_metadata=False).preprocess(theirs, {})
    mine = author.learner(author.read_source(root / "solutions" / "01_demo.py"))
    assert cell(mine, "exercise-1-2").source == cell(theirs, "exercise-1-2").source


# ---------------------------------------------------------------- ids


def test_ids_are_shared_and_stay_when_another_cell_changes(tmp_path):
    before = read(tmp_path, LESSON)
    after = read(tmp_path, LESSON.replace("Is it so?", "Is it?"))
    changed = [a.id != b.id for a, b in zip(before.cells, after.cells, strict=True)]
    assert changed == [True] + [False] * 9
    assert {one.id for one in author.learner(before).cells} < {one.id for one in author.solved(before).cells}


def test_the_same_text_twice_gives_two_ids(tmp_path):
    ids = [one.id for one in read(tmp_path, LESSON).cells if one.source == "plt.show()"]
    assert ids[1] == ids[0] + "-2"


def test_the_same_text_has_another_id_as_code_than_as_prose(tmp_path):
    code, text = read(tmp_path, "# %%\n# one\n\n# %% [markdown]\n# # one\n").cells
    assert code.source == text.source
    assert code.id[:8] != text.id[:8]


# ---------------------------------------------------------------- what a source must not hold


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('# %% tags=["instuctor"]\n1', "'instuctor' is no key or tag"),
        ("# %% minuets=3\n1", "'minuets' is no key or tag"),
        ("# %% [raw]\n# 1", "a raw cell is not shown"),
        ('# %% exercise="1.1"\n1', "BEGIN SOLUTION belongs in a cell with exercise"),
        ("# %%\n### BEGIN SOLUTION\n1\n### END SOLUTION", "BEGIN SOLUTION belongs in a cell with exercise"),
        ('# %% exercise="1.1"\n### BEGIN SOLUTION\n1', "do not pair"),
        ('# %% exercise="1.1"\n### BEGIN SOLUTION\n1\n### END HIDDEN TESTS', "do not pair"),
        ('# %% exercise="1.1"\n### END SOLUTION\n1\n### BEGIN SOLUTION', "do not pair"),
        ('# %% tags=["predict"]\nguess = [\n  1]', "write it on one line"),
        ('# %% tags=["predict"]\nratio = 1', "holds no line `guess = ...`"),
        ('# %% tags=["predict"]\nguess = 1\nguess_a, guess_b = 1, 2', "in a way that shows it; write each as a line"),
        ('# %% tags=["predict"]\nguess = 1\nguess_b: float = 2', "set in a way that shows it"),
        ('# %% tags=["predict"]\nguess = 1\nif True:\n    guess_b = 2', "set in a way that shows it"),
        ('# %% tags=["predict"]\nguess = 1\nguess +', "is plain Python, and this is not"),
        ("# %% [markdown]\n# **0.63**{#a}", "follows no number"),
        ('# %% name="a"\n1\n\n# %% name="a"\n2', "the id 'a' is used before"),
    ],
)
def test_a_source_that_would_mislead_is_refused(tmp_path, text, message):
    with pytest.raises(author.LessonError, match=r"^01_demo\.py, cell [12]: ") as caught:
        read(tmp_path, text)
    assert message in str(caught.value)


def test_a_source_in_another_encoding_is_named(root):
    path = root / "solutions" / "01_demo.py"
    path.write_bytes("# %%\n# é".encode("latin-1"))
    with pytest.raises(author.LessonError, match=r"^01_demo\.py is not in UTF-8 \(its byte 7 is not\); save it"):
        author.read_source(path)
    assert author.check(root) == ["solutions/01_demo.py is not in UTF-8 (its byte 7 is not); save it as UTF-8."]


def test_claims_are_found_as_written():
    text = "0.63{#a} or −2.5e-7{#b-2} or 43 %{#c}, 1,024{#d}, 10⁻²³{#e}, $\\{x\\}$ and 5."
    numbers = ["0.63", "−2.5e-7", "43 %", "1,024", "10⁻²³"]
    assert author.claims(text) == list(zip(["a", "b-2", "c", "d", "e"], numbers, strict=True))
    assert author.strip_claims(text) == "0.63 or −2.5e-7 or 43 %, 1,024, 10⁻²³, $\\{x\\}$ and 5."


def test_names_that_are_no_lesson_are_refused(root):
    assert [file.stem for file in author.sources(root, ["01"])] == ["01_demo"]
    with pytest.raises(author.LessonError, match="no lesson '02_more'; the lessons are: 01_demo"):
        author.sources(root, ["02_more"])
    (root / "solutions" / "scratch.py").touch()
    with pytest.raises(author.LessonError, match=r"solutions/scratch\.py is no lesson"):
        author.sources(root)


# ---------------------------------------------------------------- running


def test_outputs_are_stored_tidily(built):
    notebook = load(built, "solutions")
    run = [one for one in notebook.cells if one.cell_type == "code"]
    assert [one.execution_count for one in run] == list(range(1, 9))
    stream, picture = run[2].outputs
    assert stream.text == "a\nb\n"
    assert set(picture.data) == {"image/png", "text/plain"}
    assert cell(notebook, "golden").outputs[0].data == {"text/plain": "42"}


def test_pictures_are_small_plain_and_white_stays_white(built):
    from PIL import Image

    picture = load(built, "solutions").cells[3].outputs[1].data["image/png"]
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    assert image.mode == "P"
    assert image.info == {}
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert execute._small_png(picture) == picture


def test_building_again_gives_the_same_bytes_and_touches_no_file(copy):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    assert author.build(root=copy) == []
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_the_picture_of_a_cell_named_figure_is_written_for_the_readme(built):
    (written,) = (built / "lessons" / "figures").iterdir()
    assert written.name == "figure-line.png"
    shown = cell(load(built, "solutions"), "figure-line").outputs[1].data["image/png"]
    assert written.read_bytes() == base64.b64decode(shown)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "cell 2 stopped with ZeroDivisionError: division by zero"),
        ("object()", "cell 2: it shows a memory address"),
        ("import warnings; warnings.warn('old')", "cell 2: it wrote a warning"),
        ("import os; os.getcwd()", "cell 2: it shows a path of this machine"),
        ("import torch; torch.__file__", "cell 2: it shows a path of this machine"),
        ("import os; print(os.path.expanduser('~/data'))", "cell 2: it shows a path of this machine"),
        ("import os; os._exit(1)", "cell 2 stopped with a dead kernel"),
        ("pass", "cell 2 is tagged nbval-check-output but shows nothing"),
    ],
)
def test_a_lesson_that_cannot_be_the_same_each_time_stops_the_build(tmp_path, code, message):
    (tmp_path / "solutions").mkdir()
    text = f'# %%\nx = 1\n\n# %% tags=["nbval-check-output"]\n{code}\n\n# %%\n3\n'
    (tmp_path / "solutions" / "01_demo.py").write_text(text, "utf-8")
    with pytest.raises(author.LessonError, match=r"^01_demo\.py, cell") as caught:
        author.build(root=tmp_path)
    assert message in str(caught.value)
    assert not list(tmp_path.glob("*/*.ipynb"))


def test_a_page_without_code_is_written_and_not_run(tmp_path, monkeypatch):
    source = tmp_path / "solutions" / "98_glossary.py"
    source.parent.mkdir()
    source.write_text("# %% [markdown]\n# # Glossary\n\n# %% [markdown]\n# ### rank\n# A number.\n", "utf-8")
    monkeypatch.setattr(author, "run", lambda *_: pytest.fail("a kernel was started"))
    assert len(author.build(root=tmp_path)) == 2
    assert author.check(tmp_path) == []


def test_a_cell_that_never_ends_stops_the_build(root, monkeypatch):
    monkeypatch.setattr(execute, "CELL_TIMEOUT", 1)
    (root / "solutions" / "01_demo.py").write_text("# %%\n1\n\n# %%\nimport time; time.sleep(60)\n")
    with pytest.raises(author.LessonError, match=r"^01_demo\.py, cell 2 stopped with no answer for 1 s$"):
        author.build(root=root)


@pytest.mark.parametrize(("home", "refused"), [("/home/ada", True), ("/", False), ("~", False), ("/home/ad", False)])
def test_a_path_is_known_by_its_whole_name(monkeypatch, home, refused):
    """A home folder that is `/` (as in some containers) or unknown forbids no text."""
    monkeypatch.setattr(execute.os.path, "expanduser", lambda path: home)
    outputs = [v4.new_output("stream", text="1/2, ~, and/or, in /home/ada/data")]
    with pytest.raises(author.LessonError, match="a path of this machine") if refused else nullcontext():
        execute._refuse_path(outputs, Path("/srv/course"))


def test_tidying_drops_widgets_and_joins_what_was_printed_in_pieces():
    widget = {"output_type": "display_data", "metadata": {}, "data": {execute.WIDGET: {"model_id": "1f"}}}
    print_ = {"output_type": "stream", "name": "stdout", "text": "a"}
    result = {"output_type": "execute_result", "metadata": {}, "data": {"text/plain": "1"}, "execution_count": 9}
    once = execute.tidy([print_, widget, print_, result], 3)
    assert once == [print_ | {"text": "aa"}, result | {"execution_count": 3}]
    assert execute.tidy(once, 3) == once


# ---------------------------------------------------------------- drift


def test_what_was_built_is_up_to_date(built):
    assert author.check(built) == []


def test_a_source_that_moved_on_is_named(copy):
    source = copy / "solutions" / "01_demo.py"
    source.write_text(LESSON.replace('print("b"', 'print("c"'), "utf-8")
    assert author.check(copy) == [
        "lessons/01_demo.ipynb: cell 4 differs from what the source gives; run `vglab build 01_demo`.",
        "solutions/01_demo.ipynb: cell 4 differs from what the source gives; run `vglab build 01_demo`.",
    ]


def edit_source(notebook):
    notebook["cells"][1]["source"] = ["import matplotlib\n"]


def edit_metadata(notebook):
    notebook["metadata"]["language_info"]["version"] = "3.11"


def edit_cell_metadata(notebook):
    notebook["cells"][1]["metadata"] = {"collapsed": True}


def drop_a_cell(notebook):
    del notebook["cells"][-1]


def add_a_cell(notebook):
    notebook["cells"].append(notebook["cells"][0] | {"id": "new"})


def answer(notebook):
    notebook["cells"][2]["source"] = ["guess = 1  # a ratio\n", "guess == 1"]


@pytest.mark.parametrize("edit", [edit_source, edit_metadata, edit_cell_metadata, drop_a_cell, add_a_cell, answer])
@pytest.mark.parametrize("folder", ["lessons", "solutions"])
def test_an_edit_in_a_notebook_is_found(copy, folder, edit):
    path = copy / folder / "01_demo.ipynb"
    notebook = json.loads(path.read_bytes())
    edit(notebook)
    path.write_bytes((json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
    (message,) = author.check(copy)
    assert message.startswith(f"{folder}/01_demo.ipynb: ")
    assert message.endswith("differs from what the source gives; run `vglab build 01_demo`.")


def test_saving_or_running_from_jupyter_is_found(copy):
    lesson, answered = (copy / folder / "01_demo.ipynb" for folder in ("lessons", "solutions"))
    notebook = json.loads(lesson.read_bytes())
    notebook["cells"][1]["execution_count"] = 1
    lesson.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    notebook = json.loads(answered.read_bytes())
    notebook["cells"][1]["execution_count"] = None
    answered.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    found = author.check(copy)
    assert [message.split(":")[0] for message in found] == ["lessons/01_demo.ipynb", "solutions/01_demo.ipynb"]
    assert all("cell 2 differs" in message or "formatting" in message for message in found)


def test_the_same_notebook_laid_out_otherwise_is_found(copy):
    for folder in ("lessons", "solutions"):
        path = copy / folder / "01_demo.ipynb"
        path.write_text(json.dumps(json.loads(path.read_bytes()), indent=2))
    lesson, answered = author.check(copy)
    assert lesson.startswith("lessons/01_demo.ipynb: its metadata or its formatting differs")
    assert answered.startswith("solutions/01_demo.ipynb: its metadata or its formatting differs")


def test_a_golden_cell_without_output_is_found(copy):
    path = copy / "solutions" / "01_demo.ipynb"
    notebook = json.loads(path.read_bytes())
    notebook["cells"][5]["outputs"] = []
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    (message,) = author.check(copy)
    assert "cell 6 is tagged nbval-check-output but has no stored output" in message


@pytest.mark.parametrize("folder", ["lessons", "solutions"])
def test_missing_broken_and_orphaned_notebooks_are_named(copy, folder):
    path = copy / folder / "01_demo.ipynb"
    path.with_stem("02_gone").write_bytes(path.read_bytes())
    path.write_text("<<<<<<< ours\n")
    broken, orphan = author.check(copy)
    assert broken.startswith(f"{folder}/01_demo.ipynb: it cannot be read as a notebook")
    assert orphan == f"{folder}/02_gone.ipynb: it has no source solutions/02_gone.py; delete it."
    path.unlink()
    assert author.check(copy, ["01"]) == [f"{folder}/01_demo.ipynb: it is missing; run `vglab build 01_demo`."]


def test_a_picture_that_is_not_the_notebooks_is_found(copy):
    picture = copy / "lessons" / "figures" / "figure-line.png"
    sentence = "lessons/figures/figure-line.png: it is not the notebook's picture; run `vglab build 01_demo`."
    data = picture.read_bytes()
    picture.write_bytes(data + b"0")
    assert author.check(copy) == [sentence]
    picture.unlink()
    assert author.check(copy, ["01"]) == [sentence]
    assert author.build(root=copy) == [picture]
    assert picture.read_bytes() == data


def test_a_picture_that_no_cell_shows_is_found(copy):
    (copy / "lessons" / "figures" / "figure-old.png").touch()
    assert author.check(copy) == ["lessons/figures/figure-old.png: no cell of a lesson shows it; delete it."]
    assert author.check(copy, ["01"]) == []  # another lesson may show it


def test_a_source_that_cannot_be_read_is_drift_too(copy):
    (copy / "solutions" / "01_demo.py").write_text("# %% minuets=1\n1\n")
    (message,) = author.check(copy)
    assert message.startswith("solutions/01_demo.py, cell 1: 'minuets' is no key or tag")
