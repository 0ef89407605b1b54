"""Lesson 1 as a learner meets it: open, run all, move a slider with the keyboard, see the picture change."""

import pytest

import vglab as vg

from .stages import OnPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_lesson_one_runs_and_its_widget_follows_the_keyboard(open_notebook):
    notebook = open_notebook("lessons/01_depth.ipynb")
    notebook.run_all()
    assert notebook.troubles == []
    stage = OnPage(notebook.show_output_of("vg.widgets.gradient_cascade("), vg.widgets.gradient_cascade(guess=...))
    depth = stage.twin._model.PARAMETERS[0]
    stage.press(depth, "ArrowRight")
    assert "31 layers" in stage.status.inner_text()
    assert notebook.troubles == []
