"""A model and a view in the browser: native controls, a canvas, a sentence that follows. The part made of anywidget."""

import base64
import hashlib
import json
import zlib
from html import escape
from importlib.resources import files

import anywidget
import traitlets

from ..figures import style
from .dials import Dials
from .parameters import Number
from .picture import Picture
from .recorder import record

_SCRIPT, _STYLE = (files(__package__).joinpath(f"stage.{kind}").read_text("utf-8") for kind in ("js", "css"))
_FONTS = {"400": "Inter-Regular.otf", "600": "Inter-SemiBold.otf"}


class Stage(Dials, anywidget.AnyWidget):
    """What `vg.widgets` functions return; it shows itself as the last expression of a cell. See `Dials`.

    Where `model` names a control as ``TABLE``, the pictures for all its positions are made at once and travel along:
    the browser answers without the kernel as long as the other parameters stand as at the start.
    """

    _esm, _css = _SCRIPT, _STYLE
    plan = traitlets.Dict().tag(sync=True)  # what stays: controls, presets, size, colours, fonts, table
    still = traitlets.List().tag(sync=True)  # shapes that stay until the axes change
    state = traitlets.Dict().tag(sync=True)  # what a move changes: parameters, words, shapes

    def __init__(self, model, view, start):
        super().__init__()
        for artist in view.moving.values():
            artist.set_animated(True)  # left out when matplotlib draws the figure
        self._frame = None
        self._begin(model, view, start)
        table = {"table": self._table()} if hasattr(model, "TABLE") else {}
        self.plan = _plan(model, view) | table
        self.on_msg(self._asked)
        self._refresh()

    def _asked(self, _, message, __):
        try:
            if "reset" in message:
                getattr(self._model, "reset", self.reset)()
            elif "act" in message:
                self._model.act(message["act"])
            else:
                self._apply(message["set"], message.get("changed"))
        finally:
            self.send("answered")

    def _drawn(self, params, note):
        shapes, still = self._shapes()
        with self.hold_sync():
            if still is not None:
                self.still = still
            self.state = self._state(params, note, shapes)

    def _state(self, params, note, shapes):
        labels = {p.name: p.words(params[p.name]) for p in self._model.PARAMETERS}
        status = getattr(self._model, "status", {})
        return {"params": params, "labels": labels, "sentence": self._sentence, "note": note, "shapes": shapes} | status

    def _shapes(self):
        """What moves, and what stays if that has changed since the last call, else None."""
        view, still = self._view, None
        if self._frame != (view.frame,):
            self._frame, still = (view.frame,), record(view.figure)
        return record(view.figure, sorted(view.moving.values(), key=lambda artist: artist.get_zorder())), still

    def _table(self):
        """The states for every position of the model's TABLE, and for its presets."""
        note, stills = f"Computed beforehand for every position of this control: {self._model.COMPUTED}.", []
        (slider,) = (p for p in self._model.PARAMETERS if p.name == self._model.TABLE)

        def state(params):
            arrays = self._model.compute(params)
            self._sentence = self._model.describe(params, arrays)
            self._view.show(params, arrays)
            shapes, still = self._shapes()
            if still is not None:
                stills.append(still)
            return self._state(params, note, shapes) | {"still": len(stills) - 1}

        frames = [state(self._start | {slider.name: value}) for value in slider.positions]
        presets = [state(self._start | params) for params in self._model.PRESETS.values()]
        self._frame = None
        return {"name": slider.name, "frames": frames, "presets": presets, "stills": stills}

    def _repr_mimebundle_(self, **kwargs):
        """The live widget, and for readers without one the picture and its sentence."""
        data = super()._repr_mimebundle_(**kwargs) or {}
        data, metadata = data if isinstance(data, tuple) else (data, {})
        png = base64.b64encode(Picture(self._view).png()).decode()
        data = data | {"image/png": png, "text/plain": self._sentence, "text/html": self._page(png)}
        return data, metadata | {"image/png": {"alt": self._sentence}}

    def _page(self, png):
        """The picture for a page without a kernel: moving where there is a table."""
        picture = f'<img alt="{escape(self._sentence)}" src="data:image/png;base64,{png}">'
        if "table" not in self.plan:
            why = "Each move is a new computation on the real network: this picture moves in a running notebook only."
            return f"<figure>{picture}<figcaption>{escape(self._sentence)} {why}</figcaption></figure>"
        name = "vg-" + hashlib.sha256(self._sentence.encode()).hexdigest()[:10]
        packed = json.dumps({"plan": self.plan, "state": self.state, "still": self.still})
        packed = base64.b64encode(zlib.compress(packed.encode(), 9)).decode()
        script = _SCRIPT.replace("export default", "const stage =")
        return (
            f'<style>{_STYLE}</style><div id="{name}">{picture}<p>{escape(self._sentence)}</p></div>'
            f'<script type="module">{script}\nunfold("{packed}").then(still => '
            f'stage.mount(document.getElementById("{name}"), still));</script>'
        )


def _plan(model, view):
    return {
        "parameters": [_parameter(p) for p in model.PARAMETERS],
        "presets": [[words, params] for words, params in model.PRESETS.items()],
        "size": [round(side) for side in view.figure.bbox.size],
        "dark": style.DARK,
        "fonts": {w: base64.b64encode(style._FONTS.joinpath(name).read_bytes()).decode() for w, name in _FONTS.items()},
    }


def _parameter(parameter):
    shared = {"name": parameter.name}
    if isinstance(parameter, Number):
        return shared | {"positions": parameter.positions}
    return shared | {"options": [[value, words] for value, words in parameter.options.items()]}
