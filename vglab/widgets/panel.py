"""A model and a view with sliders, presets, a reset and a sentence that follows: the part made of ipywidgets."""

import base64
from functools import partial
from html import escape
from math import log10
from time import perf_counter

import ipywidgets
import traitlets

from .parameters import Number
from .picture import Picture


class Panel(ipywidgets.VBox):
    """What `vg.widgets` functions return; it shows itself as the last expression of a cell.

    `model` is a module with ``PARAMETERS, PRESETS, COMPUTED, compute(params), describe(params, arrays)`` and, where
    one parameter bears on another, ``settle(params, changed)``. `view` has ``figure, moving, frame, show(params,
    arrays)``. Each parameter is a trait: ``panel.depth = 30`` moves the slider and the picture, and
    ``panel.observe(f, "depth")`` listens to both.
    """

    def __init__(self, model, view, start):
        self._model, self._view, self._held = model, view, True
        self._start = {p.name: p.check(start[p.name]) for p in model.PARAMETERS}
        self._controls = {p.name: _control(p, self._start[p.name]) for p in model.PARAMETERS}
        self._picture = Picture(view)
        self._image = ipywidgets.Image(format="png", layout={"width": "100%", "max_width": "760px"})
        self._readout = ipywidgets.HTML()
        super().__init__(self._parts(), layout={"max_width": "780px"})
        self.add_traits(**{p.name: _Parameter(p, self._start[p.name]) for p in model.PARAMETERS})
        for p in model.PARAMETERS:
            self._controls[p.name].observe(partial(self._turned, p), "value")
        self.observe(self._changed, list(self._controls))
        self._held = False
        model.compute(self._start)  # the first pass also loads the data, which is not what the readout reports
        self._refresh()

    def __setattr__(self, name, value):
        if not name.startswith("_") and not hasattr(type(self), name):
            names = ", ".join(self._controls)
            raise AttributeError(f"this widget has no parameter {name!r}: it has {names}.")
        super().__setattr__(name, value)

    @property
    def params(self):
        """The parameters now, as a dict."""
        return {name: getattr(self, name) for name in self._controls}

    @property
    def arrays(self):
        """The numbers behind the picture, as `compute` returned them."""
        return self._arrays

    def set(self, **params):
        """Set several parameters and compute once."""
        self._apply(params)

    def reset(self):
        """Go back to the parameters that the widget was made with."""
        self.set(**self._start)

    def _turned(self, parameter, change):
        # A browser's slider answers a value between two of its steps with the nearest step: that is not a move.
        if not parameter.same(change.new, getattr(self, parameter.name)):
            setattr(self, parameter.name, change.new)

    def _changed(self, change):
        if not self._held:
            self._apply({}, changed=change.name)

    def _apply(self, params, changed=None):
        settle = getattr(self._model, "settle", lambda params, changed: params)
        before = self.params
        self._held = True
        try:
            for name, value in params.items():
                setattr(self, name, value)
            for name, value in settle(self.params, changed).items():
                setattr(self, name, value)
        except BaseException:  # all of it or nothing
            for name, value in before.items():
                setattr(self, name, value)
            raise
        finally:
            self._held = False
        self._refresh()

    def _refresh(self):
        params, begun = self.params, perf_counter()
        self._arrays = self._model.compute(params)
        took = 1000 * (perf_counter() - begun)
        self._sentence = self._model.describe(params, self._arrays)
        self._view.show(params, self._arrays)
        self._image.value = self._picture.png()
        for parameter in self._model.PARAMETERS:
            control, value = self._controls[parameter.name], params[parameter.name]
            control.value, control.description = value, parameter.words(value)
        self._readout.value = (
            f'<div role="status" style="line-height:1.45">{escape(self._sentence, quote=False)}<br>'
            f'<span style="opacity:0.75">Computed at this move: {self._model.COMPUTED}, {took:.0f} ms.</span></div>'
        )

    def _parts(self):
        buttons = [_button(words, self.set, params) for words, params in self._model.PRESETS.items()]
        buttons.append(_button("Reset", self.reset, {}))
        wrap = {"flex_flow": "row wrap", "grid_gap": "2px 4px"}
        return (
            ipywidgets.HBox(buttons, layout=wrap),
            ipywidgets.HBox(list(self._controls.values()), layout=wrap),
            self._image,
            self._readout,
        )

    def _repr_mimebundle_(self, **kwargs):
        """The live widget, and for readers without one the picture and its sentence."""
        data = super()._repr_mimebundle_(**kwargs) or {}
        data |= {"image/png": base64.b64encode(self._image.value).decode(), "text/plain": self._sentence}
        return data, {"image/png": {"alt": self._sentence}}


class _Parameter(traitlets.TraitType):
    """A parameter of a model as a trait: it says itself what is wrong with a value."""

    def __init__(self, parameter, value):
        super().__init__(value)
        self._parameter = parameter

    def validate(self, obj, value):
        return self._parameter.check(value)


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


def _button(words, action, params):
    button = ipywidgets.Button(description=words, layout={"width": "auto"})
    button.on_click(lambda _: action(**params))
    return button
