"""A page made by nbconvert, opened from a file, offline: tables move, the others show their picture and say why."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

import vglab as vg

from .conftest import ROOT
from .stages import OnPage, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TABLES = {"precision_ruler": "scale", "dead_unit_map": "bias", "slope_microscope": "layer", "training_strip": "depth"}


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    names = [*TABLES, "gradient_cascade"]
    write_notebook(folder / "page.ipynb", "import vglab as vg", *[f"vg.widgets.{name}()" for name in names])
    notebook = nbformat.read(folder / "page.ipynb", 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        NotebookClient(notebook, kernel_name="python3", store_widget_state=False).execute()
    (folder / "page.html").write_text(HTMLExporter().from_notebook_node(notebook)[0], "utf-8")
    context = chromium.new_context(viewport={"width": 1280, "height": 1000}, offline=True)
    page, troubles = context.new_page(), []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto((folder / "page.html").as_uri(), wait_until="domcontentloaded")
    yield page, troubles
    context.close()


@pytest.mark.parametrize("name", TABLES)
def test_a_table_moves_without_a_kernel(page, name):
    page, troubles = page
    twin = getattr(vg.widgets, name)()
    note = twin.plan["table"]["frames"][0]["note"]
    place = page.locator(".jp-CodeCell").filter(has_text=f"vg.widgets.{name}()")
    stage = OnPage(place, twin)
    slider = next(p for p in twin._model.PARAMETERS if p.name == TABLES[name])
    for key in ("ArrowRight", "ArrowRight", "End", "ArrowLeft"):
        stage.press(slider, key)
    assert stage.root.locator(".vg-note").text_content() == note
    for words, params in twin._model.PRESETS.items():
        stage.button(words).press("Enter")
        twin.set(**params)
        stage.agrees()
    stage.button("Reset").press("Enter")
    twin.reset()
    stage.agrees()
    others = [p for p in twin._model.PARAMETERS if p is not slider]
    assert all(stage.control(p).is_disabled() for p in others)
    assert not [trouble for trouble in troubles if "require" not in trouble and "MathJax" not in trouble]


def test_a_widget_without_a_table_shows_its_picture_and_says_why(page):
    page, _ = page
    twin = vg.widgets.gradient_cascade()
    place = page.locator(".jp-CodeCell").filter(has_text="vg.widgets.gradient_cascade()")
    image = place.get_by_role("img", name=twin._sentence)
    assert image.evaluate("image => image.naturalWidth") == twin.plan["size"][0]
    assert "this picture moves in a running notebook only" in place.locator("figcaption").inner_text()
