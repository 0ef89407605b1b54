"""A table as a picture: a row for each case, a pane for each reading, its median and range over seeds."""

import numpy as np
import pandas as pd

from . import style

_MOST = 24  # rows that can be read


def rows_plot(table, by, readings, *, theory=None, levels=None, log=(), title=None):
    """Draw a row for each value of `by`, in the order they come, and a pane for each of `readings`.

    Parameters
    ----------
    table : DataFrame
        The column `by` and the columns of `readings`; rows that share `by` are seeds. A median that is not finite
        (a run that diverged) is drawn as a cross at the pane's left edge.
    readings : dict
        From column to the words under its pane, one to three.
    theory : DataFrame, optional
        The column `by` and some of the readings: drawn as an upright dash.
    levels : dict, optional
        From column to a value across all rows of its pane.
    log : names of the readings whose axis is logarithmic.

    Returns an array of axes. Raises `ValueError` for a column that is missing and for more rows than can be read.
    """
    if not isinstance(readings, dict) or not 1 <= len(readings) <= 3:
        raise ValueError(f"readings must be a dict of 1 to 3 columns and the words under them; got {readings!r}.")
    style.check_table(table, by, *readings)
    names = list(dict.fromkeys(table[by]))
    if len(names) > _MOST:
        raise ValueError(f"at most {_MOST} rows can be read; {by!r} has {len(names)} values: leave some out.")
    size = (7.4, 1.3 + 0.27 * len(names))
    panels = np.atleast_1d(style.axes(size=size, columns=len(readings), sharex=False))
    for pane, (column, words), colour in zip(panels, readings.items(), style.COLOURS, strict=False):
        if column in log:
            pane.set_xscale("log")
        lines = table.assign(**{column: pd.to_numeric(table[column])}).groupby(by)[column]
        _draw(pane, lines.agg(["median", "min", "max"]).reindex(names), colour)
        if theory is not None and column in theory:
            _dashes(pane, theory.set_index(by)[column].reindex(names))
        if levels and column in levels:
            pane.axvline(levels[column], color=style.GREY, linestyle=":", linewidth=1.5, zorder=1)
        if column in log:
            style.log_ticks(pane.xaxis, *pane.get_xlim())
        style.write(pane.set_xlabel, words, loc="right")
    panels[0].set_yticks(range(len(names)), [style.key_text(name) for name in names])
    panels[0].tick_params(axis="y", labelcolor=style.TEXT, labelsize=10, pad=6)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    seeds = int(table.groupby(by, dropna=False).size().max())
    said = ["Dot: median" + f", line: range of {seeds} seeds" * (seeds > 1)]
    said += ["upright dash: theory"] * (theory is not None)
    style.headline(panels[0], title or " and ".join(readings.values()), "; ".join(said))
    return panels


def _draw(pane, lines, colour):
    at, known = np.arange(len(lines)), np.isfinite(lines["median"].to_numpy(float))
    pane.hlines(at, lines["min"], lines["max"], color=colour, linewidth=3, alpha=0.35, zorder=2)
    pane.plot(lines["median"][known], at[known], "o", color=colour, markersize=7, markeredgecolor="white", zorder=4)
    edge = {"transform": pane.get_yaxis_transform(), "linestyle": "", "clip_on": False, "zorder": 5}
    pane.plot(np.full((~known).sum(), 0.02), at[~known], marker="x", color=colour, markeredgewidth=2, **edge)


def _dashes(pane, values):
    look = {"marker": "|", "markersize": 13, "markeredgewidth": 1.6, "linestyle": "", "zorder": 3}
    pane.plot(values.to_numpy(float), np.arange(len(values)), color=style.TEXT, **look)
