"""The start page as a learner works in it: a prediction and an exercise, typed wrongly and rightly, and the record."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def type_and_run(notebook, words, source):
    """Replace the source of the cell that contains `words` by typing, run it, and return the cell."""
    cell = notebook.show_output_of(words)
    cell.locator(".cm-content").click()
    notebook.page.keyboard.press("Control+A")
    notebook.page.keyboard.insert_text(source)
    notebook.page.keyboard.press("Shift+Enter")
    return notebook.show_output_of(source.split("\n")[0])


def run_again(notebook, words):
    cell = notebook.show_output_of(words)
    cell.locator(".cm-content").click()
    notebook.page.keyboard.press("Shift+Enter")
    return cell


def shrink(body):
    return f"def shrink(factor, depth):\n    return {body}\n\ncheck.shrink(shrink)"


def test_a_prediction_and_an_exercise_are_judged_and_kept(open_notebook):
    notebook = open_notebook("lessons/00_start.ipynb")
    notebook.run_all()
    verdict = notebook.show_output_of("check.prediction(").get_by_role("status")
    assert "replace the ... above by your number" in verdict.inner_text()

    type_and_run(notebook, "guess_height = ...", "guess_height = 50  # metres")
    run_again(notebook, "check.prediction(").get_by_text("off by a factor of 2.1").wait_for()

    cell = notebook.show_output_of("def shrink(")
    assert "not attempted yet" in cell.get_by_role("status").inner_text()
    type_and_run(notebook, "def shrink(", shrink("factor * depth")).get_by_text("a power, not a product").wait_for()
    type_and_run(notebook, "def shrink(", shrink("factor**depth")).get_by_text("right: depth is an exponent").wait_for()

    first = notebook.show_output_of("<summary>Hint 1</summary>").locator("details").first
    assert not first.locator("p").is_visible()
    first.locator("summary").press("Enter")
    first.locator("p").wait_for()

    record = run_again(notebook, "progress.table()").locator("table")
    record.get_by_text("1 of 1").first.wait_for()
    rows = record.locator("tbody tr").all_inner_texts()
    assert rows[0] == "0\t1 of 1\t2.1\t1 of 1"
    assert rows[-1].startswith("all\t1 of ")
    assert notebook.troubles == []
