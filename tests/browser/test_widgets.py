"""Every widget in JupyterLab: each control by keyboard and by mouse, its words and its picture beside a twin's."""

import json

import pytest

import vglab as vg
from tests.test_widgets import MAKE, turn
from vglab.widgets.parameters import Choice, Number

from .stages import OnPage, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAMES = {make.__name__: make for make, _ in MAKE.values()}
WATCH = """
import threading, vglab as vg
digits = vg.tasks.digits()
batches = [(digits.x[i : i + 32], digits.y[i : i + 32]) for i in range(0, 1024, 32)]
w = vg.widgets.watch(vg.mlp(20, 64, act="sigmoid", seed=0), batches, steps=4000)
w"""
STATS = """
import gc, json, matplotlib.pyplot as plt, threading
from matplotlib.figure import Figure
gc.collect()
rss = int(open("/proc/self/statm").read().split()[1]) * 4096
figures = sum(type(o) is Figure for o in gc.get_objects())
json.dump({"rss": rss, "figures": figures, "open": len(plt.get_fignums()), "threads": threading.active_count()},
          open("stats.json", "w"))"""


@pytest.fixture(scope="module")
def gallery(chromium, lab):
    """One notebook with a cell for each widget, run once."""
    from .conftest import OpenNotebook

    url, token, folder = lab
    write_notebook(folder / "gallery.ipynb", "import vglab as vg", *[f"vg.widgets.{name}()" for name in NAMES])
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    notebook = OpenNotebook(context.new_page(), f"{url}/lab/tree/gallery.ipynb?reset&token={token}")
    notebook.run_all()
    yield notebook
    context.close()


def statistics(notebook, folder):
    """What the kernel holds, asked beside the notebook's cells."""
    notebook.page.evaluate(
        "code => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({ code }).done",
        STATS,
    )
    return json.loads((folder / "stats.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_every_control_moves_picture_and_words_by_keyboard_and_by_mouse(gallery, name):
    twin = NAMES[name]()
    stage = OnPage(gallery.show_output_of(f"vg.widgets.{name}("), twin)
    for p in twin._model.PARAMETERS:
        at_end = not isinstance(p, Choice) and twin.params[p.name] >= p.positions[-1]
        stage.press(p, "ArrowDown" if isinstance(p, Choice) else "ArrowLeft" if at_end else "ArrowRight")
        focus = "node => [document.activeElement === node, getComputedStyle(node).outlineStyle]"
        assert stage.control(p).evaluate(focus) == [True, "solid"]
        stage.click(p)
    for words, params in twin._model.PRESETS.items():
        stage.button(words).press("Enter")
        twin.set(**params)
        stage.agrees()
    assert gallery.troubles == []
    near = stage.differs_from(twin)
    slider = next(p for p in twin._model.PARAMETERS if isinstance(p, Number))
    places = slider.positions
    here = min(range(len(places)), key=lambda i: abs(places[i] - twin.params[slider.name]))
    neighbour = NAMES[name](**twin.params)
    turn(neighbour, **{slider.name: places[here + 1 if here + 1 < len(places) else here - 1]})
    assert near < 3
    assert near < stage.differs_from(neighbour)
    stage.button("Reset").press("Enter")
    twin.reset()
    stage.agrees()
    assert gallery.troubles == []


def test_the_room_sees_large_type_and_one_key_takes_the_next_preset(gallery):
    twin = vg.widgets.gradient_cascade()
    stage = OnPage(gallery.show_output_of("vg.widgets.gradient_cascade("), twin)
    small = stage.canvas.bounding_box()["width"]
    stage.button("Present").press("Enter")
    gallery.page.wait_for_function("() => document.fullscreenElement?.matches('.vg-stage.vg-presented')")
    for params in list(twin._model.PRESETS.values())[:2]:
        gallery.page.keyboard.press("n")
        twin.set(**params)
        stage.agrees()
    assert stage.canvas.bounding_box()["width"] > 1.2 * small
    assert float(stage.status.evaluate("node => parseFloat(getComputedStyle(node).fontSize)")) >= 22
    stage.button("Present").press("Enter")
    gallery.page.wait_for_function("() => !document.fullscreenElement && !document.querySelector('.vg-presented')")
    stage.button("Reset").press("Enter")


def test_a_dark_theme_darkens_the_picture(gallery):
    twin = vg.widgets.precision_ruler()
    stage = OnPage(gallery.show_output_of("vg.widgets.precision_ruler("), twin)
    set_theme = "name => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })"
    corner = "canvas => Array.from(canvas.getContext('2d').getImageData(2, 2, 1, 1).data).slice(0, 3)"
    assert stage.canvas.evaluate(corner) == [255, 255, 255]
    try:
        gallery.page.evaluate(set_theme, "JupyterLab Dark")
        handle = stage.canvas.element_handle()
        gallery.page.wait_for_function(f"canvas => ({corner})(canvas).join() === '17,24,39'", arg=handle)
    finally:
        gallery.page.evaluate(set_theme, "JupyterLab Light")
    gallery.page.wait_for_function(f"canvas => ({corner})(canvas).join() === '255,255,255'", arg=handle)
    assert gallery.troubles == []


def test_two_hundred_moves_leave_nothing_behind(gallery, lab):
    twin = vg.widgets.gradient_cascade()
    stage = OnPage(gallery.show_output_of("vg.widgets.gradient_cascade("), twin)
    depth = twin._model.PARAMETERS[0]
    handle = stage.control(depth).element_handle()
    devtools = gallery.page.context.new_cdp_session(gallery.page)
    moves = """async ([input, status, moves]) => {
        for (let i = 0; i < moves; i++) {
            const words = status.textContent;
            input.value = 10 + i % 40;
            input.dispatchEvent(new Event("input"));
            while (status.textContent === words) await new Promise(requestAnimationFrame);
        }
    }"""

    def after(count):
        gallery.page.evaluate(moves, [handle, stage.status.element_handle(), count])
        devtools.send("HeapProfiler.collectGarbage")
        return statistics(gallery, lab[2]) | {"heap": devtools.send("Runtime.getHeapUsage")["usedSize"]}

    first, then = after(80), after(200)
    assert (then["figures"], then["open"]) == (first["figures"], first["open"])
    assert then["rss"] < first["rss"] + 15e6
    assert then["heap"] < first["heap"] + 3e6
    stage.button("Reset").press("Enter")


def test_a_training_is_started_watched_paused_changed_and_cancelled(open_notebook, lab):
    write_notebook(lab[2] / "watch.ipynb", "", WATCH)
    notebook = open_notebook("watch.ipynb")
    notebook.run_all()
    threads = statistics(notebook, lab[2])["threads"]
    place = notebook.show_output_of("vg.widgets.watch(")
    root, page = place.locator(".vg-stage"), notebook.page
    picture = root.locator("canvas").evaluate(HASH_OF)
    root.get_by_role("button", name="Start", exact=True).press("Enter")
    page.wait_for_function("node => node.value > 0.02", arg=root.locator("progress").element_handle())
    assert root.locator("canvas").evaluate(HASH_OF) != picture
    assert "s left" in root.locator("progress").get_attribute("aria-label")
    assert "of 4000, " in root.locator(".vg-actions").inner_text()
    begun = statistics(notebook, lab[2])  # the kernel answers while it trains
    assert begun["threads"] > threads
    root.get_by_label("optimizer").select_option("adam")
    root.get_by_role("button", name="Pause", exact=True).press("Enter")
    root.get_by_role("button", name="Resume", exact=True).wait_for()
    assert "paused" in root.get_by_role("status").inner_text()
    root.get_by_role("button", name="Resume", exact=True).press("Enter")
    root.get_by_role("button", name="Pause", exact=True).wait_for()
    took = page.evaluate(
        """async root => {
            const [go, cancel] = root.querySelectorAll(".vg-actions button"), begun = performance.now();
            cancel.click();
            while (go.textContent !== "Start again") await new Promise(requestAnimationFrame);
            return performance.now() - begun;
        }""",
        root.element_handle(),
    )
    assert took < 500
    assert "cancelled" in root.get_by_role("status").inner_text()
    assert statistics(notebook, lab[2])["threads"] == threads
    assert notebook.troubles == []


HASH_OF = "canvas => canvas.toDataURL().length + canvas.toDataURL().slice(-4000)"
