"""Singular values: how many directions a network stretches, and how many it forgets."""

import numpy as np

from . import style


def spectrum_plot(table, *, value="singular_value", by=None, theory=None, edges=None, title=None, ax=None):
    """Draw sorted singular values on a log axis against the share of directions that have a larger one.

    table : DataFrame with the column `value` and, if given, `by`; rows that share `by` are pooled, seeds among them.
        Values that are 0 have no place on the axis; their share is said with the line's name.
    theory : DataFrame with the columns ``share`` (0 to 1, of directions with a larger one), `value` and `by`: dashed.
    edges : dict from a value of `by` (or, without `by`, a number) to the largest singular value predicted: a tick
        across the line's left end.
    """
    style.check_table(table, value, by)
    if theory is not None:
        style.check_table(theory, "share", value, by, name="theory")
    parts = [(key, rows[value].to_numpy(float)) for key, rows in style.groups(table, by)]
    if not any((np.isfinite(numbers) & (numbers > 0)).any() for _, numbers in parts):
        raise ValueError(f"the table has no {value} above 0 to draw on a log axis.")
    edges = edges if isinstance(edges, dict) else {} if edges is None else dict.fromkeys([None], edges)
    ax = style.axes(ax)
    ax.set_yscale("log")
    ends = []
    for (key, numbers), colour, marker in zip(parts, style.COLOURS, style.MARKERS, strict=False):
        end = _draw(ax, numbers, colour, marker)
        zero = (numbers == 0).mean()
        if end is not None:
            name = (style.key_text(key) if by else "measured") + (f" ({zero:.0%} are 0)" if zero else "")
            ends.append((end, name, colour, marker))
        if theory is not None:
            rows = (theory[theory[by] == key] if by else theory).sort_values("share")
            style.theory_line(ax, rows.share, rows[value])
        if edges.get(key) is not None:
            look = {"markersize": 16, "markeredgewidth": 2, "clip_on": False, "zorder": 5}
            ax.plot([0], [edges[key]], marker="_", color=colour, linestyle="", **look)
    ax.set_xlim(0, 1)
    style.log_ticks(ax.yaxis, *ax.get_ylim())
    style.write(ax.set_xlabel, "share of directions with a larger singular value", loc="right")
    drawn = "Singular values, sorted" + ("; dashed: theory" if theory is not None else "")
    drawn += "; tick at the left: largest predicted" if any(edges.values()) else ""
    style.headline(ax, title or "How many directions survive", drawn)
    style.label_lines(ax, ends)
    return ax


def _draw(ax, numbers, colour, marker):
    """Draw one line; returns its last value, or None where nothing can stand on a log axis."""
    finite = np.sort(numbers[np.isfinite(numbers)])[::-1]
    share = (np.arange(len(finite)) + 0.5) / max(1, len(finite))
    seen = finite > 0
    if not seen.any():
        return None
    every = max(1, int(seen.sum()) // 8)
    dots = {"marker": marker, "markevery": every, "markeredgecolor": "white"}
    ax.plot(share[seen], finite[seen], color=colour, **dots)
    return finite[seen][-1]
