"""Gradient against lag: how many time steps back a recurrent network still hears the loss."""

import numpy as np
import pandas as pd

from . import style


def time_plot(table, *, by=None, theory=None, share=0.5, title=None, ax=None):
    """Draw the gradient of each time step against how far back it lies, relative to the last one that was measured.

    table : a probe's ``.table`` of a recurrent layer, a row per time step (``call``), or several joined; of several
        layers the one called most often is drawn. Column ``seed`` becomes the band. Gradients that are 0, infinite
        or NaN leave a gap.
    theory : factor per time step, or a dict of them by the values of `by`: drawn dashed.
    share : each line is marked where it falls below this share for good; the lag is said with its name, the half-life
        for 0.5.
    """
    style.check_table(table, "layer", "call", "grad_rms", by)
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1; got {share!r}.")
    lines = {key: _line(rows, by, key) for key, rows in style.groups(table, by)}
    ax = style.axes(ax)
    ax.set_yscale("log")
    theory = theory if isinstance(theory, dict) else dict.fromkeys(lines, theory)
    unknown = [key for key in theory if key not in lines]
    if unknown:
        raise ValueError(f"theory has {unknown[0]!r}, and no line is called that: {', '.join(map(str, lines))}.")
    ends, marks = [], []
    for (key, line), colour, marker in zip(lines.items(), style.COLOURS, style.MARKERS, strict=False):
        factor = theory.get(key)
        dashed = None if factor is None else (line.index, float(factor) ** line.index.to_numpy(float))
        look = {"colour": colour, "marker": marker, "every": max(1, len(line) // 7), "dashed": dashed}
        _, name, *rest = style.band_line(ax, line, style.key_text(key) if by else "measured", **look)
        lag = crossing(line["median"], share)
        marks += [(lag, colour)] if lag is not None else []
        name += "" if lag is None else f"\n{'half-life' if share == 0.5 else f'{share:.0%} at lag'} {lag:.2g}"
        end = line["median"].dropna()
        if len(end):
            ends.append((end.iloc[-1], name, *rest))
    for lag, colour in marks:
        hollow = {"markerfacecolor": style.BACKGROUND, "markeredgewidth": 1.8, "markersize": 6, "zorder": 6}
        ax.plot([lag], [share], "D", color=colour, linestyle="", **hollow)
    ax.set_xlim(0, max(1, *(line.index.max() for line in lines.values())))
    style.log_ticks(ax.yaxis, *ax.get_ylim())
    style.write(ax.set_xlabel, "lag (time steps back from the loss)", loc="right")
    dashes = any(factor is not None for factor in theory.values())
    seeds = max((rows.seed.nunique() for _, rows in style.groups(table, by)), default=1) if "seed" in table else 1
    drawn = "Rms gradient ∂L/∂h relative to the last step" + (f"; range of {seeds} seeds" if seeds > 1 else "")
    drawn += ("; dashed: theory" if dashes else "") + (f"; diamond: {share:.0%}" if marks else "")
    style.headline(ax, title or "How far back is the loss still heard?", drawn)
    style.label_lines(ax, ends, gap=0.13)
    return ax


def crossing(profile, share):
    """The lag beyond which `profile`, a Series over lags, stays below `share`, on a straight line in logs; or None."""
    known = profile[profile > 0].dropna()
    above = np.flatnonzero(known.to_numpy() > share)
    if not len(above) or above[-1] == len(known) - 1:
        return None
    x, y, i = known.index.to_numpy(float), np.log(known.to_numpy(float)), above[-1]
    return float(x[i] + (y[i] - np.log(share)) / (y[i] - y[i + 1]) * (x[i + 1] - x[i]))


def _line(rows, by, key):
    """Median and range over seeds of the gradient by lag, relative to the smallest lag with a gradient."""
    rows = rows[rows.layer == rows.groupby("layer", sort=False).call.nunique().idxmax()]
    values = pd.to_numeric(rows.grad_rms, errors="coerce").astype(float)
    rows = rows.assign(lag=rows.call.max() - rows.call, grad_rms=values.where(np.isfinite(values) & (values > 0)))
    runs = ["seed"] if "seed" in rows else []
    runs += [column for column in ("step", "backward") if column in rows]
    if rows.duplicated([*runs, "lag"]).any():
        which = f"the line {style.key_text(key)}" if by else "the table"
        todo = "add a column with table.assign(seed=...), or pass by=..."
        raise ValueError(f"{which} joins several nets that no column tells apart: {todo}")
    rows = rows.sort_values("lag")
    first = rows.groupby(runs, dropna=False).grad_rms.transform("first") if runs else rows.grad_rms.dropna().iloc[:1]
    relative = rows.grad_rms / (first if runs else (first.iloc[0] if len(first) else np.nan))
    if not relative.notna().any():
        raise ValueError("the table has no grad_rms above 0 to draw: call backward() inside the probe's with block.")
    return relative.groupby(rows.lag).agg(["median", "min", "max"])
