"""The course's figures on a dark ground."""

from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

from . import style

_COLOURS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")


def dark(figure):
    """Recolour a finished figure of the course for a dark slide or page, in place, and return what was given.

    figure : Figure or Axes, of which the whole figure is meant. Each of the course's colours becomes its partner on
        the dark ground, colour maps stay. Raises `TypeError` for anything else.

    >>> ax = dark(style.bare_figure((4, 3)).subplots())
    >>> to_hex(ax.get_facecolor())
    '#111827'
    """
    if not isinstance(figure, (Axes, Figure)):
        raise TypeError(f"dark() takes a Figure or Axes; got {type(figure).__name__}: give what the plot returned.")
    whole = figure.figure if isinstance(figure, Axes) else figure
    for ax in whole.axes:
        ticks = {"color": _partner(style.GREY), "labelcolor": _partner(style.GREY), "grid_color": _partner(style.GRID)}
        ax.tick_params(axis="both", which="both", **ticks)
    for artist in whole.findobj():
        if isinstance(artist, Text) and to_hex(artist.get_color()) == style.BACKGROUND.lower():
            continue  # it stands on a map, which stays
        for name in _COLOURS:
            _recolour(artist, name)
        if isinstance(artist, Text):
            for effect in artist.get_path_effects():
                _recolour_effect(effect)
    return figure


def _partner(colour):
    """The dark partner of `colour`, with its alpha; colours that are not the course's stay."""
    rgba = to_rgba(colour)
    plain = to_hex(rgba)
    return (*to_rgba(style.DARK[plain])[:3], rgba[3]) if plain in style.DARK else colour


def _recolour(artist, name):
    read, write = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
    if read is None or write is None or (hasattr(artist, "get_array") and artist.get_array() is not None):
        return
    colour = read()
    if colour is None or (isinstance(colour, str) and colour in ("none", "auto", "face")):
        return
    if isinstance(colour, str) or (len(colour) in (3, 4) and not hasattr(colour[0], "__len__")):
        write(_partner(colour))
    elif len(colour):
        write([_partner(one) for one in colour])


def _recolour_effect(effect):
    given = getattr(effect, "_gc", {})
    if "foreground" in given:
        given["foreground"] = _partner(given["foreground"])
