"""How fast a widget answers in a real browser, from the key to the changed pixels, beside `interact`.

``interact, same`` makes the same figure anew at each move and displays it; ``interact, bare`` draws two lines by pyplot
with its defaults and `plt.show()`. All ways but the table compute the same 50 layers.
"""

import statistics
import tempfile
from pathlib import Path

ROUNDS, MOVES, DRAG = 3, 10, 3.0  # interleaved; moves of each way a round; seconds
BARE = """
import ipywidgets, matplotlib.pyplot as plt
from vglab.widgets import cascade
def picture(sigma_w):
    arrays = cascade.compute({"depth": 50, "sigma_w": sigma_w, "act": "sigmoid", "init": "normal"})
    plt.figure(figsize=(7.4, 4.3))
    plt.semilogy(arrays["layer"] if "layer" in arrays else range(1, 51), arrays["gradient"], "o-")
    plt.semilogy(range(1, 51), arrays["theory"], "--")
    plt.show()
ipywidgets.interact(picture, sigma_w=ipywidgets.FloatLogSlider(1, min=-0.7, max=0.6, step=0.02));"""
SAME = """
import ipywidgets
from IPython.display import display
from vglab.widgets import cascade
def same(sigma_w):
    params = {"depth": 50, "sigma_w": sigma_w, "act": "sigmoid", "init": "normal"}
    view = cascade.View(None)
    view.show(params, cascade.compute(params))
    display(view.figure)
ipywidgets.interact(same, sigma_w=ipywidgets.FloatLogSlider(1, min=-0.7, max=0.6, step=0.02));"""
WAYS = {
    "interact, same": SAME,
    "interact, bare": BARE,
    "live, 50 layers": "vg.widgets.gradient_cascade(50)",
    "table": "vg.widgets.precision_ruler()",
}
HANDLE = {  # the control, and what its picture is made of
    "interact, same": (".noUi-handle", ".jp-OutputArea img", "ArrowRight"),
    "interact, bare": (".noUi-handle", ".jp-OutputArea img", "ArrowRight"),
    "live, 50 layers": (".vg-control:nth-child(2) input", "canvas", "ArrowRight"),
    "table": (".vg-control:nth-child(4) input", "canvas", "ArrowRight"),
}
# A picture's fingerprint: of a canvas a small copy's pixels, of an image its address.
WATCH = """
window.fingerprint = (root, selector) => {
    const node = root.querySelector(selector);
    if (!node) return null;
    if (node.tagName === "IMG") return node.src;
    const small = window.small ||= new OffscreenCanvas(160, 100);
    const ctx = small.getContext("2d", { willReadFrequently: true });
    ctx.drawImage(node, 0, 0, 160, 100);
    return ctx.getImageData(0, 0, 160, 100).data.reduce((sum, value, i) => (sum * 31 + value) | 0, 7);
};
window.measure = (root, selector) => new Promise(resolve => {
    const before = window.fingerprint(root, selector);
    root.addEventListener("keydown", () => {
        const begun = performance.now();
        const look = () => {
            const now = window.fingerprint(root, selector);
            if (now !== null && now !== before) resolve(performance.now() - begun);
            else requestAnimationFrame(look);
        };
        look();
        requestAnimationFrame(look);
    }, { capture: true, once: true });
});
window.settled = async (root, selector) => {
    for (let before = null, still = 0; still < 6; still++) {
        await new Promise(resolve => setTimeout(resolve, 100));
        const now = window.fingerprint(root, selector);
        if (now !== before) [before, still] = [now, 0];
    }
};
window.pictures = (root, selector, seconds) => new Promise(resolve => {
    const seen = [], end = performance.now() + 1000 * seconds;
    const look = () => {
        const now = window.fingerprint(root, selector);
        if (now !== null && now !== seen.at(-1)) seen.push(now);
        if (performance.now() < end) requestAnimationFrame(look); else resolve((seen.length - 1) / seconds);
    };
    look();
});
window.drag = (input, seconds) => {
    const end = performance.now() + 1000 * seconds, most = Number(input.max);
    let place = 0;
    const step = () => {
        place = (place + 1) % (2 * most);
        input.value = place < most ? place : 2 * most - place;
        input.dispatchEvent(new Event("input", { bubbles: true }));
        if (performance.now() < end) requestAnimationFrame(step);
    };
    step();
};"""


def widgets():
    """Key to pixels, pictures a second while dragging, bytes a move."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import CHROMIUM, EXPOSED, QUIET, OpenNotebook, serving
    from tests.browser.stages import write_notebook

    print("\nWidgets in JupyterLab: from the key on a slider to changed pixels, interleaved in one run")
    if CHROMIUM is None:
        print("skipped: no chromium on the PATH")
        return
    home = Path(tempfile.mkdtemp())
    (home / "course").mkdir()
    write_notebook(home / "course" / "ways.ipynb", "import vglab as vg", *WAYS.values())
    with serving(home, "jupyterlab", *EXPOSED) as (url, token), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page, received = browser.new_page(viewport={"width": 1280, "height": 2400}), []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(len(data))))
        notebook = OpenNotebook(page, f"{url}/lab/tree/ways.ipynb?reset&token={token}")
        notebook.run_all()
        page.add_script_tag(content=WATCH)
        _report(_measure(notebook, received))
        browser.close()


def _measure(notebook, received):
    """A dict from way to (milliseconds of every move, pictures a second, bytes a move)."""
    times, sizes = ({way: [] for way in WAYS} for _ in range(2))
    for _ in range(ROUNDS + 1):  # the first warms up
        for way in WAYS:
            before = len(received)
            times[way].append(_moves(notebook, way))
            sizes[way].append(sum(received[before:]) / MOVES)
    drags = {way: _dragged(notebook, way) for way in WAYS}
    flat = {way: [ms for one in times[way][1:] for ms in one] for way in WAYS}
    return {way: (flat[way], drags[way], statistics.median(sizes[way][1:])) for way in WAYS}


def _parts(notebook, way):
    control, picture, key = HANDLE[way]
    cell = notebook.show_output_of(WAYS[way].strip().splitlines()[-1][:40])
    cell.locator(picture).first.wait_for()
    return cell, cell.locator(control).first, picture, key


def _moves(notebook, way):
    cell, control, picture, key = _parts(notebook, way)
    control.focus()
    took = []
    for i in range(MOVES):
        notebook.page.evaluate(
            "([root, picture]) => { window.result = window.measure(root, picture) }", [cell.element_handle(), picture]
        )
        control.press(key if i % 2 == 0 else "ArrowLeft")
        took.append(notebook.page.evaluate("() => window.result"))
        notebook.page.evaluate("([root, picture]) => window.settled(root, picture)", [cell.element_handle(), picture])
    return took


def _dragged(notebook, way):
    """Different pictures a second while the slider is dragged to and fro."""
    cell, control, picture, _ = _parts(notebook, way)
    page, root = notebook.page, cell.element_handle()
    page.evaluate(
        "([root, picture, s]) => { window.result = window.pictures(root, picture, s) }", [root, picture, DRAG]
    )
    if way.startswith("interact"):
        box = control.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        for i in range(int(DRAG * 50)):
            page.mouse.move(x + 60 * (1 - abs(1 - i % 50 / 25)) - 30, y)
            page.wait_for_timeout(20)
        page.mouse.up()
    else:
        page.evaluate("([input, seconds]) => window.drag(input, seconds)", [control.element_handle(), DRAG])
    return page.evaluate("() => window.result")


def _report(measured):
    slowest = statistics.median(measured["interact, same"][0])
    print(f"{'way':18}{'median ms':>10}{'p95 ms':>9}{'x the first':>12}{'pictures/s':>12}{'kB a move':>11}")
    for way, (times, pictures, size) in measured.items():
        median, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
        print(f"{way:18}{median:10.0f}{p95:9.0f}{slowest / median:12.1f}{pictures:12.1f}{size / 1000:11.1f}")
