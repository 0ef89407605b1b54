"""One number against one dial, a training run over its steps, and how values are spread."""

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from . import style

_CHOOSE = "choose one of"  # where the caller names the column
_SPREADS = {"range": (0, 1), "quartiles": (0.25, 0.75)}


def scan_plot(
    table,
    x,
    y,
    *,
    by=None,
    theory=None,
    guess=None,
    logx=False,
    logy=False,
    level=None,
    title=None,
    labels=None,
    ax=None,
):
    """Draw `y` against the dial `x`: measured points with their range over seeds, theory dashed.

    table, theory : DataFrame with the columns `x`, `y` and, if given, `by`; rows that share them are seeds.
    guess : (x, y), the reader's own prediction, drawn as a cross; ``...``, alone or in the pair, draws nothing.
    level : (value, words), a reference drawn across.
    labels : dict from column to the words on its axis.
    """
    style.check_table(table, x, y, by, advice=_CHOOSE)
    dashed = {}
    if theory is not None:
        style.check_table(theory, x, y, by, name="theory", advice=_CHOOSE)
        parts = {key: theory[theory[by] == key] if by else theory for key, _ in style.groups(table, by)}
        dashed = {key: (rows[x], rows[y]) for key, rows in parts.items() if len(rows)}
    guess = _pair(guess)
    ax, labels = style.axes(ax), labels or {}
    every = lambda points: 1 if points <= 30 else points // 6  # a curve, not points
    ends = _draw_lines(ax, table, x, y, by, every, dashed)
    if logx:
        ax.set_xscale("log")
        style.log_ticks(ax.xaxis, table[x].min(), table[x].max())
    elif pd.api.types.is_integer_dtype(table[x]):
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    if logy:
        ax.set_yscale("log")
        style.log_ticks(ax.yaxis, *ax.get_ylim())
    if level:
        style.level_line(ax, *level)
    if guess:
        _draw_guess(ax, guess)
    style.write(ax.set_xlabel, labels.get(x, x), loc="right")
    drawn = labels.get(y, y) + _seeds(table, x, by) + ("; dashed: theory" if dashed else "")
    style.headline(ax, title or f"{labels.get(y, y)} against {labels.get(x, x)}", drawn)
    style.label_lines(ax, ends if by else [])
    return ax


def training_plot(
    table, y="loss", *, by=None, level=None, logy=False, spread="range", title=None, labels=None, ax=None
):
    """Draw `y` over ``step``, one line for each value of `by`: the median over seeds, and their spread as a band.

    Runs whose `y` is NaN or infinite have diverged: a cross at the upper edge marks the step, the line's name says how
    many, and the median is that of the others.

    table : DataFrame with the columns ``step``, `y` and, if given, `by`; rows that share step and `by` are seeds.
    level : (value, words), a reference drawn across, for example ``(2.303, "chance")``.
    spread : what the band shows, ``"range"`` or ``"quartiles"``.
    """
    if spread not in _SPREADS:
        raise ValueError(f"spread must be 'range' or 'quartiles'; got {spread!r}.")
    style.check_table(table, "step", y, by, advice=_CHOOSE)
    ax, labels = style.axes(ax), labels or {}
    broken = ~np.isfinite(pd.to_numeric(table[y], errors="coerce"))
    kept = table.assign(**{y: table[y].where(~broken)}) if broken.any() else table
    ends = _draw_lines(ax, kept, "step", y, by, lambda points: max(1, points // 7), spread=_SPREADS[spread])
    ends = _mark_diverged(ax, table[broken], ends, by, [key for key, _ in style.groups(table, by)])
    if level:
        style.level_line(ax, *level)
    if logy:
        ax.set_yscale("log")
        style.log_ticks(ax.yaxis, *ax.get_ylim())
    if table.step.min() < table.step.max():
        ax.set_xlim(table.step.min(), table.step.max())
    style.write(ax.set_xlabel, "training step", loc="right")
    drawn = labels.get(y, y) + _seeds(table, "step", by, spread) + ("; cross: diverged" if broken.any() else "")
    style.headline(ax, title or f"{labels.get(y, y)} while training", drawn)
    top = ax.get_ylim()[1]
    style.label_lines(ax, [(min(at, top), *rest) for at, *rest in ends])
    return ax


def histogram_plot(values, *, curve=None, bins=31, limits=None, title=None, labels=("value", "share")):
    """Draw small histograms side by side on shared scales, one for each entry of `values`.

    values : dict from a name to numbers of any shape (tensors or arrays), at most five.
    curve : (function, words), for example the slope of an activation, drawn over each with its own height.
    limits : (lowest, highest) value shown; by default the range of all.
    """
    if not isinstance(values, dict) or not 1 <= len(values) <= len(style.COLOURS):
        came = f"{len(values)} sets" if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"values must be a dict of 1 to {len(style.COLOURS)} sets of numbers; got {came}.")
    flat = {name: _numbers(name, given) for name, given in values.items()}
    low, high = limits or (min(v.min() for v in flat.values()), max(v.max() for v in flat.values()))
    limits = (low, high) if low < high else (low - 0.5, high + 0.5)  # all equal
    edges = np.linspace(*limits, bins + 1)
    panels = np.atleast_1d(style.axes(size=(7.4, 2.6), columns=len(flat)))
    for ax, (name, numbers) in zip(panels, flat.items(), strict=True):
        ax.hist(numbers, edges, weights=np.full(len(numbers), 1 / len(numbers)), color=style.COLOURS[0], alpha=0.75)
        style.write(ax.set_title, str(name), fontsize=10, loc="left", color=style.TEXT)
    for ax in panels if curve is not None else ():
        x = np.linspace(*limits, 400)
        height = np.asarray(curve[0](x), dtype=float)
        ax.plot(x, height / height.max() * ax.get_ylim()[1], color=style.COLOURS[1], linewidth=1.5, label=curve[1])
    for ax in panels:
        ax.set_xlim(*limits)
        ax.set_ylim(0, None)
    style.write(panels[-1].set_xlabel, labels[0], loc="right")
    style.write(panels[0].set_ylabel, labels[1])
    if title:
        place = {"x": panels[0].get_position().x0, "y": 1.08, "ha": "left"}
        style.write(panels[0].figure.suptitle, title, font=style.SEMIBOLD, fontsize=13, **place)
    if curve is not None:
        style.write(panels[-1].legend, frameon=False, loc="upper left", fontsize=9)
    return panels


def _mark_diverged(ax, rows, ends, by, keys):
    """Mark at the upper edge each step at which more runs than before are broken; returns `ends` with their number."""
    said = []
    for key, (at, name, colour, marker) in zip(keys, ends, strict=True):
        here = rows if by is None else rows[rows[by].isna() if key is None else rows[by] == key]
        count = here.groupby("step").size().cummax()
        steps = count.index[count.diff().fillna(1) > 0].to_numpy(float)
        if len(steps):
            look = {"transform": ax.get_xaxis_transform(), "linestyle": "", "markersize": 8, "markeredgewidth": 2}
            ax.plot(steps, np.full(len(steps), 0.97), marker="x", color=colour, zorder=6, clip_on=False, **look)
            name += f" ({count.max()} diverged)"
            at = at if np.isfinite(at) else np.inf  # no run is left: named at the top, where the crosses are
        said.append((at, name, colour, marker))
    return said


def _draw_lines(ax, table, x, y, by, every, dashed=None, spread=(0, 1)):
    """Draw a line for each value of `by`; `every` says for its number of points which of them have markers."""
    ends = []
    for (key, rows), colour, marker in zip(style.groups(table, by), style.COLOURS, style.MARKERS, strict=False):
        grouped = rows.groupby(x)[y]
        line = grouped.agg(["median", "min", "max"])
        if spread != (0, 1):
            line["min"], line["max"] = (grouped.quantile(share) for share in spread)
        look = {"colour": colour, "marker": marker, "every": every(len(line)), "dashed": (dashed or {}).get(key)}
        ends.append(style.band_line(ax, line, style.key_text(key) if by else y, **look))
    return ends


def _pair(guess):
    """The guess (x, y) as two floats, or None where there is none."""
    if guess is None or guess is ...:
        return None
    if not isinstance(guess, (tuple, list)) or len(guess) != 2:
        raise TypeError(f"guess must be a pair (x, y), or ... for no guess; got {type(guess).__name__}.")
    pair = [style.guessed(value) for value in guess]
    return None if None in pair else pair


def _draw_guess(ax, guess):
    """A cross at the guess, its words on the side that is away from the lines' names at the right."""
    ax.plot(*guess, marker="X", color=style.GREY, markersize=9, linestyle="", zorder=5)
    ax.get_xlim(), ax.get_ylim()  # settles limits that are still to be found
    right = ax.transAxes.inverted().transform(ax.transData.transform(guess))[0] > 0.5
    look = {"textcoords": "offset points", "va": "center", "ha": "right" if right else "left", "color": style.GREY}
    style.write(ax.annotate, "your guess", guess, (-9 if right else 9, 0), **look)


def _seeds(table, x, by, spread="range"):
    repeats = table.groupby([x, by] if by else x, dropna=False).size().max()
    return f"; median and {spread} of {repeats} seeds" if repeats > 1 else ""


def _numbers(name, values):
    if hasattr(values, "detach"):  # a torch tensor, whatever its type and place
        values = values.detach().cpu().double()
    numbers = np.asarray(values, dtype=float).ravel()
    if not len(numbers):
        raise ValueError(f"{name!r} holds no numbers to draw.")
    if broken := np.count_nonzero(~np.isfinite(numbers)):
        raise ValueError(f"{name!r} holds {broken} of {len(numbers)} values that are NaN or infinite: leave them out.")
    return numbers
