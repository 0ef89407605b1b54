"""Three widgets in Notebook 7 and in Voila, which the same server offers beside JupyterLab."""

import pytest

import vglab as vg

from .stages import OnPage, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAMES = ("gradient_cascade", "precision_ruler", "training_strip")


@pytest.fixture(scope="module", params=["notebooks", "voila/render"])
def opened(request, chromium, lab):
    """(front end, page, troubles) with the three widgets on it."""
    url, token, folder = lab
    write_notebook(folder / "three.ipynb", "import vglab as vg", *[f"vg.widgets.{name}()" for name in NAMES])
    context, troubles = chromium.new_context(viewport={"width": 1280, "height": 1000}), []
    page = context.new_page()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(f"{url}/{request.param}/three.ipynb?token={token}", timeout=60_000)
    if request.param == "notebooks":
        page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=60_000)
        page.evaluate(
            """async () => {
                const panel = window.jupyterapp.shell.currentWidget;
                await panel.context.ready; await panel.sessionContext.ready;
                await panel.sessionContext.session.kernel.info;
            }"""
        )
        troubles.clear()  # Notebook has one of its own while it opens, without our widgets, too
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(f"() => document.querySelectorAll('.vg-stage').length === {len(NAMES)}", timeout=90_000)
    yield request.param, page, troubles
    context.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_control_moves_picture_and_words(opened, name):
    front_end, page, troubles = opened
    twin = getattr(vg.widgets, name)()
    stage = OnPage(page.locator(f":nth-match(.vg-stage, {NAMES.index(name) + 1})").locator(".."), twin)
    active = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    cell = page.evaluate(active) if front_end == "notebooks" else None
    for p in twin._model.PARAMETERS:
        stage.press(p, "ArrowUp" if hasattr(p, "options") and p is not twin._model.PARAMETERS[0] else "ArrowRight")
        stage.click(p)
    stage.button("Reset").press("Enter")
    twin.reset()
    stage.agrees()
    if front_end == "notebooks":  # the keys were the slider's, and did not choose another cell
        assert page.evaluate(active) in (cell, NAMES.index(name) + 1)
    assert troubles == []
