"""The parameters of a model as traits, and what follows when one of them is set: compute, describe, draw."""

from time import perf_counter

import traitlets


class Dials:
    """What `Stage` and `Panel` share; mixed into an ipywidgets widget, which shows what `_drawn` is told.

    `model` is a module with ``PARAMETERS, PRESETS, COMPUTED, compute(params), describe(params, arrays)`` and, where
    one parameter bears on another, ``settle(params, changed)``. `view` has ``figure, moving, frame, show(params,
    arrays)``. A model that goes on by itself has ``note``, ``status``, a dict with ``actions``, for each button its
    (name, words, whether it can be pressed), and ``progress``, (share, words), and ``act(name)`` for the buttons. Each
    parameter is a trait: ``w.depth = 30`` moves the control and the picture, and
    ``w.observe(f, "depth")`` listens to both.
    """

    def _begin(self, model, view, start):
        """To be called after the widget's own __init__, and followed by `_refresh`."""
        self._model, self._view, self._held = model, view, True
        self._start = {p.name: p.check(start[p.name]) for p in model.PARAMETERS}
        self.add_traits(**{p.name: _Parameter(p, self._start[p.name]) for p in model.PARAMETERS})
        self.observe(self._changed, list(self._start))
        self._held = False
        model.compute(self._start)  # the first pass also loads the data, which is not what the note reports

    def __setattr__(self, name, value):
        if not name.startswith("_") and not hasattr(type(self), name):
            names = ", ".join(self._start)
            raise AttributeError(f"this widget has no parameter {name!r}: it has {names}.")
        super().__setattr__(name, value)

    @property
    def params(self):
        """The parameters now, as a dict."""
        return {name: getattr(self, name) for name in self._start}

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
        note = getattr(self._model, "note", None) or f"Computed at this move: {self._model.COMPUTED}, {took:.0f} ms."
        self._drawn(params, note)


class _Parameter(traitlets.TraitType):
    """A parameter of a model as a trait: it says itself what is wrong with a value."""

    def __init__(self, parameter, value):
        super().__init__(value)
        self._parameter = parameter

    def validate(self, obj, value):
        return self._parameter.check(value)
