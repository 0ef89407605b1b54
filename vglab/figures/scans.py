"""One number against one dial, a training run over its steps, and how values are spread."""

import numpy as np

from . import style


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
    guess : (x, y), the reader's own prediction, drawn as a cross; ``...`` draws nothing.
    level : (value, words), a reference drawn across.
    labels : dict from column to the words on its axis.
    """
    ax, labels = style.axes(ax), labels or {}
    ends = []
    for (key, rows), colour, marker in zip(style.groups(table, by), style.COLOURS, style.MARKERS, strict=False):
        line = rows.groupby(x)[y].agg(["median", "min", "max"])
        ax.fill_between(line.index, line["min"], line["max"], color=colour, alpha=0.18, linewidth=0)
        every = 1 if len(line) <= 30 else len(line) // 6  # a curve, not points
        ax.plot(line.index, line["median"], color=colour, marker=marker, markevery=every, markeredgecolor="white")
        if by:
            ends.append((line["median"].iloc[-1], str(key), colour, marker))
        if theory is not None:
            dashed = theory[theory[by] == key] if by else theory
            style.theory_line(ax, dashed[x], dashed[y])
    if logx:
        ax.set_xscale("log")
        style.log_ticks(ax.xaxis, table[x].min(), table[x].max())
    if logy:
        ax.set_yscale("log")
        style.log_ticks(ax.yaxis, *ax.get_ylim())
    if level:
        style.level_line(ax, *level)
    if isinstance(guess, tuple) and all(isinstance(value, (int, float)) for value in guess):
        ax.plot(*guess, marker="X", color=style.GREY, markersize=9, linestyle="", zorder=5)
        style.write(ax.annotate, " your guess", guess, (6, 4), textcoords="offset points", color=style.GREY)
    style.write(ax.set_xlabel, labels.get(x, x), loc="right")
    repeats = table.groupby([x, by] if by else x).size().max()
    drawn = labels.get(y, y) + (f"; median and range of {repeats} seeds" if repeats > 1 else "")
    style.headline(ax, title or f"{labels.get(y, y)} against {labels.get(x, x)}", drawn + _dashed(theory))
    style.label_lines(ax, ends)
    return ax


def training_plot(table, y="loss", *, by=None, level=None, logy=False, title=None, labels=None, ax=None):
    """Draw `y` over ``step``, one line for each value of `by`: the median over seeds, and their range as a band.

    level : (value, words), a reference drawn across, for example ``(2.303, "chance")``.
    """
    ax, labels, ends = style.axes(ax), labels or {}, []
    for (key, rows), colour, marker in zip(style.groups(table, by), style.COLOURS, style.MARKERS, strict=False):
        line = rows.groupby("step")[y].agg(["median", "min", "max"])
        ax.fill_between(line.index, line["min"], line["max"], color=colour, alpha=0.18, linewidth=0)
        every = max(1, len(line) // 7)
        ax.plot(line.index, line["median"], color=colour, marker=marker, markevery=every, markeredgecolor="white")
        ends.append((line["median"].iloc[-1], str(key) if by else y, colour, marker))
    if level:
        style.level_line(ax, *level)
    if logy:
        ax.set_yscale("log")
        style.log_ticks(ax.yaxis, *ax.get_ylim())
    ax.set_xlim(table.step.min(), table.step.max())
    style.write(ax.set_xlabel, "training step", loc="right")
    seeds = f"; median and range of {table.seed.nunique()} seeds" if "seed" in table else ""
    style.headline(ax, title or f"{labels.get(y, y)} while training", labels.get(y, y) + seeds)
    style.label_lines(ax, ends)
    return ax


def histogram_plot(values, *, curve=None, bins=31, limits=None, title=None, labels=("value", "share")):
    """Draw small histograms side by side on shared scales, one for each entry of `values`.

    values : dict from a name to numbers of any shape (tensors or arrays), at most five.
    curve : (function, words), for example the slope of an activation, drawn over each with its own height.
    limits : (lowest, highest) value shown; by default the range of all.
    """
    if not isinstance(values, dict) or not 1 <= len(values) <= len(style.COLOURS):
        most, came = len(style.COLOURS), type(values).__name__
        raise ValueError(f"values must be a dict of 1 to {most} sets of numbers; got {came}.")
    flat = {name: _numbers(given) for name, given in values.items()}
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


def _numbers(values):
    if hasattr(values, "detach"):  # a torch tensor, whatever its type and place
        values = values.detach().cpu().double()
    return np.asarray(values, dtype=float).ravel()


def _dashed(theory):
    return "" if theory is None else "; dashed: theory"
