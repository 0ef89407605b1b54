"""A model and a view with ipywidgets' own controls and a PNG: the second path, where anywidget cannot load."""

import base64
from functools import partial
from html import escape
from math import log10

import ipywidgets

from .dials import Dials
from .parameters import Number
from .picture import Picture


class Panel(Dials, ipywidgets.VBox):
    """The same picture as `Stage` shows, made by the kernel at each move. See `Dials`."""

    def __init__(self, model, view, start):
        self._controls = {p.name: _control(p, p.check(start[p.name])) for p in model.PARAMETERS}
        self._picture = Picture(view)
        self._image = ipywidgets.Image(format="png", layout={"width": "100%", "max_width": "760px"})
        self._readout = ipywidgets.HTML()
        self._actions = [_button("", model.act, name=name) for name, _, _ in _status(model)["actions"]]
        self._progress, self._left = ipywidgets.FloatProgress(max=1, layout={"width": "180px"}), ipywidgets.Label()
        self._model = model
        super().__init__(self._parts(), layout={"max_width": "780px"})
        self._begin(model, view, start)
        for p in model.PARAMETERS:
            self._controls[p.name].observe(partial(self._turned, p), "value")
        self._refresh()

    def _turned(self, parameter, change):
        # A browser's slider answers a value between two of its steps with the nearest step: that is not a move.
        if not parameter.same(change.new, getattr(self, parameter.name)):
            setattr(self, parameter.name, change.new)

    def _drawn(self, params, note):
        self._image.value = self._picture.png()
        for parameter in self._model.PARAMETERS:
            control, value = self._controls[parameter.name], params[parameter.name]
            control.value, control.description = value, parameter.words(value)
        status = _status(self._model)
        for button, (_, words, enabled) in zip(self._actions, status["actions"], strict=True):
            button.description, button.disabled = words, not enabled
        if "progress" in status:
            self._progress.value, self._left.value = status["progress"]
        self._readout.value = (
            f'<div role="status" style="line-height:1.45">{escape(self._sentence, quote=False)}<br>'
            f'<span style="opacity:0.75">{escape(note, quote=False)}</span></div>'
        )

    def _parts(self):
        buttons = [_button(words, self.set, **params) for words, params in self._model.PRESETS.items()]
        buttons.append(_button("Reset", getattr(self._model, "reset", self.reset)))
        wrap = {"flex_flow": "row wrap", "grid_gap": "2px 4px"}
        return (
            ipywidgets.HBox(buttons, layout=wrap),
            *([ipywidgets.HBox([*self._actions, self._progress, self._left], layout=wrap)] if self._actions else []),
            ipywidgets.HBox(list(self._controls.values()), layout=wrap),
            self._image,
            self._readout,
        )

    def _repr_mimebundle_(self, **kwargs):
        """The live widget, and for readers without one the picture and its sentence."""
        data = super()._repr_mimebundle_(**kwargs) or {}
        data |= {"image/png": base64.b64encode(self._image.value).decode(), "text/plain": self._sentence}
        return data, {"image/png": {"alt": self._sentence}}


def _control(parameter, value):
    shared = {
        "value": value, "description": parameter.words(value), "tooltip": f"in code: w.{parameter.name} = ...",
        "style": {"description_width": "172px"}, "layout": {"width": "368px"},
    }  # fmt: skip
    if not isinstance(parameter, Number):
        return ipywidgets.Dropdown(options=[(words, key) for key, words in parameter.options.items()], **shared)
    if parameter.log:
        ends = {"min": log10(parameter.low) - 1e-12, "max": log10(parameter.high) + 1e-12}
        return ipywidgets.FloatLogSlider(**ends, step=parameter.step, readout=False, **shared)
    slider = ipywidgets.IntSlider if parameter.whole else ipywidgets.FloatSlider
    return slider(min=parameter.low, max=parameter.high, step=parameter.step, readout=False, **shared)


def _button(words, action, **given):
    button = ipywidgets.Button(description=words, layout={"width": "auto"})
    button.on_click(lambda _: action(**given))
    return button


def _status(model):
    return getattr(model, "status", {"actions": ()})
