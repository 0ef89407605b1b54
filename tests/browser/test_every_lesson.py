"""Every lesson in JupyterLab as a learner runs it, whole; minutes, so in `make browser` only."""

import builtins
from collections import ChainMap

import pytest

import vglab as vg
from vglab.widgets.parameters import Choice

from .conftest import ROOT
from .stages import OnPage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.everything]
LESSONS = sorted(
    path.name for path in (ROOT / "lessons").glob("*.ipynb") if path.name[:2] in map("{:02d}".format, range(1, 15))
)


class Unanswered(dict):
    """The names of a lesson whose predictions nobody has made yet."""

    def __missing__(self, name):
        if hasattr(builtins, name):
            raise KeyError(name)
        return ...


@pytest.mark.parametrize("name", LESSONS)
def test_the_lesson_runs_and_its_widget_answers(open_notebook, name):
    notebook = open_notebook(f"lessons/{name}")
    notebook.run_all()
    assert notebook.troubles == []
    source = notebook.page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.sharedModel.source)
            .find(source => /^vg\\.widgets\\.\\w+\\(/m.test(source))"""
    )
    twin = eval(source.strip().splitlines()[-1], {}, ChainMap({"vg": vg}, Unanswered()))
    stage = OnPage(notebook.show_output_of(source.strip().splitlines()[-1]), twin)
    for p in twin._model.PARAMETERS:
        at_end = not isinstance(p, Choice) and twin.params[p.name] >= p.positions[-1]
        stage.press(p, "ArrowDown" if isinstance(p, Choice) else "ArrowLeft" if at_end else "ArrowRight")
    assert notebook.troubles == []
