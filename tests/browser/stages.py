"""A widget on a page, whatever shows it: its controls, its canvas, its words; and its twin in this process."""

import base64
import io

import nbformat
import numpy as np
from PIL import Image
from playwright.sync_api import TimeoutError

from tests.test_widgets import turn
from vglab.widgets.parameters import Choice
from vglab.widgets.picture import Picture

PIXELS = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data"
HASH = f"canvas => ({PIXELS})(canvas).reduce((sum, value, i) => (sum * 31 + value * (i % 7 + 1)) | 0, 7)"


def write_notebook(path, *sources):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


class OnPage:
    """A stage inside `place`, a locator, and `twin`, the same widget here, which says what must be seen."""

    def __init__(self, place, twin):
        self.root, self.twin, self.page = place.locator(".vg-stage").first, twin, place.page
        self.root.wait_for()
        self.canvas, self.status = self.root.locator("canvas"), self.root.get_by_role("status")
        self.agrees()

    def agrees(self):
        """Wait until words, labels and canvas stand as the twin does."""
        state = self.twin.state
        try:
            self.page.wait_for_function(
                "([node, words]) => node.textContent === words", arg=[self.status.element_handle(), state["sentence"]]
            )
        except TimeoutError:
            seen = self.status.text_content()
            assert seen == state["sentence"], (seen, state["sentence"])
        assert self.canvas.get_attribute("role") == "img"
        assert self.canvas.get_attribute("aria-label") == state["sentence"]
        for p in self.twin._model.PARAMETERS:
            control = self.control(p)
            if isinstance(p, Choice):
                assert control.input_value() == state["params"][p.name]
            else:
                assert control.get_attribute("aria-valuetext") == state["labels"][p.name]

    def control(self, p):
        """The control by its label, as someone finds it who does not see it."""
        return self.root.get_by_label(self.twin.state["labels"][p.name], exact=True)

    def press(self, p, key):
        """Press `key` on a control: the twin moves as the control's value says."""
        handle, before = self.control(p).element_handle(), self.picture_hash()
        handle.focus()
        handle.press(key)
        self.follow(p, handle, before)

    def click(self, p):
        """Click a slider far from where it stands, or take another option."""
        control, before = self.control(p), self.picture_hash()
        handle = control.element_handle()
        if isinstance(p, Choice):
            control.select_option(next(key for key in p.options if key != control.input_value()))
        else:
            box, far = control.bounding_box(), int(control.input_value()) < len(p.positions) / 2
            control.click(position={"x": box["width"] * (0.8 if far else 0.2), "y": box["height"] / 2})
        self.follow(p, handle, before)

    def follow(self, p, handle, before):
        value = handle.evaluate("input => input.value")
        was = self.twin.state
        turn(self.twin, **{p.name: value if isinstance(p, Choice) else p.positions[int(value)]})
        self.agrees()
        if self.twin.state["shapes"] != was["shapes"]:
            self.page.wait_for_function(
                f"([canvas, before]) => ({HASH})(canvas) !== before", arg=[self.canvas.element_handle(), before]
            )

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def picture_hash(self):
        return self.canvas.evaluate(HASH)

    def picture(self):
        """(height, width, 3) as the browser painted it, one pixel for one of the figure's."""
        self.canvas.evaluate("(canvas, width) => { canvas.style.maxWidth = canvas.style.width = `${width}px`; }",
                             self.twin.plan["size"][0])  # fmt: skip
        self.page.wait_for_function(
            "([canvas, width]) => canvas.width === width",
            arg=[self.canvas.element_handle(), self.twin.plan["size"][0]],
        )
        data = self.canvas.evaluate("canvas => { canvas.removeAttribute('style'); return canvas.toDataURL(); }")
        return _pixels(base64.b64decode(data.split(",")[1]))

    def differs_from(self, twin):
        """The mean difference from matplotlib's picture inside the axes, 0 to 255."""
        theirs, ours = self.picture(), _pixels(Picture(twin._view).png())
        height, boxes = ours.shape[0], [ax.bbox for ax in twin._view.figure.axes]
        inside = [np.s_[int(height - b.y1) : int(height - b.y0), int(b.x0) : int(b.x1)] for b in boxes]
        return np.mean(np.concatenate([np.abs(theirs[part] - ours[part]).ravel() for part in inside]))


def _pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(float)
