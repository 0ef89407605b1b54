"""The look of every figure of the course: fonts, colours, axes, a headline, labels on the line."""

from importlib.resources import files
from numbers import Real

import numpy as np
import pandas as pd
from matplotlib import font_manager, rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

# Their contrast with white, at least 3:1, is computed in tests/test_figures.py.
COLOURS = ("#0A4F8F", "#A8320A", "#12A07A", "#C48A00", "#C060B0")
MARKERS = ("o", "s", "^", "D", "v")
TEXT, GREY, GRID, BACKGROUND = "#1F2937", "#6B7280", "#E5E7EB", "#FFFFFF"

DARK = {  # every colour of a figure on white, and on a dark ground
    "#0a4f8f": "#3893f2", "#a8320a": "#fb7035", "#12a07a": "#51eda6", "#c48a00": "#ffbe15", "#c060b0": "#bdbaeb",
    "#1f2937": "#f3f4f6", "#6b7280": "#aab2bf", "#e5e7eb": "#374151", "#ffffff": "#111827",
}  # fmt: skip

_FONTS = files(__package__) / "fonts"
font_manager.fontManager.addfont(_FONTS / "Inter-Regular.otf")
SEMIBOLD = font_manager.FontProperties(fname=_FONTS / "Inter-SemiBold.otf")  # by file: as a weight it has no fallback

RC = {
    "font.family": ["Inter", "DejaVu Sans"],
    "font.size": 10,
    "figure.dpi": 110,
    "figure.facecolor": BACKGROUND,
    "axes.facecolor": BACKGROUND,
    "axes.edgecolor": GRID,
    "axes.labelcolor": GREY,
    "axes.labelsize": 10,
    "axes.linewidth": 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "xtick.minor.size": 0,
    "text.color": TEXT,
}


def axes(ax=None, *, size=(7.4, 3.9), columns=1, sharex=True):
    """Return axes in the course's style: `ax` as it is, else new ones on a new pyplot figure.

    With `columns` above 1 returns an array of axes side by side that share both scales, or the upright one only.
    """
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    # Not inside rc_context: with the first figure the notebook's backend switches itself on in rcParams.
    figure = plt.figure(figsize=size, dpi=RC["figure.dpi"], facecolor=BACKGROUND)
    with rc_context(RC):
        made = figure.subplots(1, columns, sharex=sharex, sharey=True, squeeze=False)[0]
    for one in made:
        dress_ticks(one)
    return made if columns > 1 else made[0]


def dress_ticks(ax):
    """Fix the look of tick labels on `ax`: matplotlib makes ticks late, when the course's settings are gone again."""
    look = {"labelsize": 9.5, "labelcolor": GREY, "length": 0, "labelfontfamily": RC["font.family"]}
    ax.tick_params(axis="both", which="both", **look)


def bare_figure(size):
    """A figure outside pyplot, for widgets: nothing but its owner holds it."""
    with rc_context(RC):
        return Figure(figsize=size, dpi=RC["figure.dpi"])


def write(artist_maker, *args, **kwargs):
    """Call a function that makes text, such as ``ax.text``, with the course's fonts."""
    with rc_context(RC):
        return artist_maker(*args, **kwargs)


def level_line(ax, value, words):
    """Draw a reference across `ax` and name it at the right."""
    ax.axhline(value, color=GREY, linestyle=":", linewidth=1.5, zorder=1)
    place = {"xycoords": ("axes fraction", "data"), "xytext": (-4, 4), "textcoords": "offset points", "ha": "right"}
    write(ax.annotate, words, (1, value), color=GREY, fontsize=9.5, **place)


def band_line(ax, line, name, *, colour, marker, every=1, dashed=None, end=-1, clip=True):
    """Draw the median of `line` with a marker at each of `every` points, its range as a band, and theory over it.

    line: frame with the columns ``median``, ``min`` and ``max`` over its index; dashed: (x, y) of the theory.
    Returns the entry of `label_lines` that writes `name` beside the point number `end`.
    """
    ax.fill_between(line.index, line["min"], line["max"], color=colour, alpha=0.18, linewidth=0)
    dots = {"marker": marker, "markevery": every, "markeredgecolor": "white"}
    ax.plot(line.index, line["median"], color=colour, clip_on=clip, **dots)
    if dashed is not None:
        theory_line(ax, *dashed)
    return line["median"].iloc[end], name, colour, marker


def theory_line(ax, x, y):
    """Draw what theory predicts: thin dashes over the measured line, so that both can be seen."""
    ax.plot(x, y, color=TEXT, linestyle=(0, (4, 4)), linewidth=1, zorder=4)


def headline(ax, title, subtitle=None):
    """Write the finding above `ax` at its left edge, and under it in grey what is drawn."""
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "left", "va": "bottom"}
    write(ax.annotate, title, (0, 1), (0, 27 if subtitle else 10), font=SEMIBOLD, fontsize=13, color=TEXT, **place)
    if subtitle:
        write(ax.annotate, subtitle, (0, 1), (0, 9), fontsize=10, color=GREY, **place)


def log_ticks(axis, low, high):
    """Label a log axis from `low` to `high`: powers of ten, or plain numbers where it spans under three decades.

    Written with Unicode superscripts: matplotlib's mathtext takes its fonts from the global settings when it draws.
    """
    if 0 < high < 1000 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 4 * low else (1, 1.5, 2, 3, 5, 7)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_locator(NullLocator())


def power_of_ten(value):
    """`value` as the nearest power of ten: ``power_of_ten(1e-12)`` is ``"10⁻¹²"``."""
    exponent = str(round(np.log10(value)))
    return "10" + exponent.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def label_lines(ax, entries, *, side="right", gap=0.075):
    """Write each line's name at its end, moved apart where they would overlap.

    entries: list of (y in data, text, colour, marker). `side` is ``"left"`` or ``"right"`` of the axes.
    """
    ax.get_ylim()  # settles limits that are still to be found
    height = ax.transLimits.transform
    wanted = [np.clip(height(ax.transScale.transform((1, y)))[1], 0, 1) for y, *_ in entries]
    for where, (_, text, colour, marker) in zip(spread(wanted, gap), entries, strict=True):
        x, dx = (0, -1) if side == "left" else (1, 1)
        inside = {"transform": ax.transAxes, "clip_on": False, "zorder": 5}
        ax.plot([x + 0.025 * dx], [where], marker=marker, color=colour, markersize=6, **inside)
        write(
            *(ax.text, x + 0.045 * dx, where, text),
            ha="right" if side == "left" else "left", va="center", fontsize=10, color=TEXT, **inside,
        )  # fmt: skip


def groups(table, by):
    """The rows of `table` for each value of `by`, in the order they come; at most as many as there are colours."""
    if by is None:
        return [(None, table)]
    parts = [(None if key != key else key, rows) for key, rows in table.groupby(by, sort=False, dropna=False)]
    if len(parts) > len(COLOURS):
        raise ValueError(f"at most {len(COLOURS)} lines can be told apart; {by!r} has {len(parts)} values.")
    return parts


def key_text(key):
    """A value of `by` as it stands at its line: ``key_text(0.1)`` is ``"0.1"`` and ``key_text(1.0)`` is ``"1"``."""
    return f"{key:g}" if isinstance(key, (float, np.floating)) else str(key)


def guessed(guess):
    """The reader's guess as a float, or None where there is none: for ``...`` and None."""
    if guess is None or guess is ...:
        return None
    number = guess.item() if getattr(guess, "ndim", None) == 0 else guess  # a tensor or an array of one number
    if not isinstance(number, Real):
        raise TypeError(f"guess must be a number, or ... for no guess; got {type(guess).__name__}.")
    return float(number)


def spread(wanted, gap):
    """Return places nearest to `wanted`, in the same order and at least `gap` apart, within 0 and 1 if they fit.

    Less the gaps below them the places need only rise: the mean over each run of places that push one another.
    """
    n, order = len(wanted), np.argsort(wanted, kind="stable")
    gaps = gap * np.arange(n)
    free = np.nan_to_num(np.asarray(wanted, dtype=float)[order]) - gaps
    rising = [max(min(free[i : k + 1].mean() for k in range(j, n)) for i in range(j + 1)) for j in range(n)]
    places = np.empty(n)
    places[order] = np.clip(rising, 0, max(0, 1 - gap * (n - 1))) + gaps
    return places


def check_table(table, *columns, name="table", advice="it has"):
    """Raise unless `table` is a frame with rows and `columns`; None among them is passed over."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"the {name} must be a pandas DataFrame; got {type(table).__name__}.")
    if not len(table):
        raise ValueError(f"the {name} has no rows to draw: run the measurement first.")
    missing = [column for column in columns if column is not None and column not in table]
    if missing:
        came = ", ".join(map(str, table.columns))
        raise ValueError(f"the {name} has no column {missing[0]!r} to draw: {advice} {came}.")
