"""One reading against the layer: how far a gradient travels, what becomes of a signal, whether inputs stay apart."""

import numpy as np
import pandas as pd

from . import style

# What can stand on the vertical axis: label, logarithmic, relative to the last layer
_READINGS = {
    "grad_rms": ("rms gradient ∂L/∂h relative to the last layer", True, True),
    "h_rms": ("rms of the layer's output h", True, False),
    "cosine": ("cosine between two inputs", False, False),
    "slope": ("rms slope of the activation", False, False),
    "dead": ("share of units that never respond", False, False),
}


def depth_plot(table, y="grad_rms", *, by=None, theory=None, guess=None, title=None, ax=None):
    """Draw one reading of a `vglab.probe` table against the layer, counted from the input.

    Parameters
    ----------
    table : DataFrame
        A probe's ``.table``, or several joined with further columns. Rows of activations are drawn, or, where
        there are none, those of the kind of layer that occurs most. A column ``seed`` becomes the band.
    y : str
        ``"grad_rms"`` (relative to the last layer), ``"h_rms"``, ``"cosine"``, ``"slope"`` or ``"dead"``.
    by : str
        Column that tells the lines apart; at most five.
    theory : float, array of shape (layers,) or dict of them by the values of `by`
        Drawn dashed; a number is a factor per layer.
    guess : float
        The reader's own factor per layer, drawn dotted; ``...`` draws nothing.
    title : str
        The finding; by default the measured decades per layer.
    """
    if y not in _READINGS:
        raise ValueError(f"y must be one of {', '.join(_READINGS)}; got {y!r}.")
    _check_table(table, by)
    lines = _lines(table, y, by)
    name, logarithmic, _ = _READINGS[y]
    ax = style.axes(ax)
    depth = max(len(line) for line in lines.values())
    theory = theory if isinstance(theory, dict) else dict.fromkeys(lines, theory)
    labels = []
    backward = y == "grad_rms"
    for (key, line), colour, marker in zip(lines.items(), style.COLOURS, style.MARKERS, strict=False):
        x = line.index.to_numpy()
        ax.fill_between(x, line["min"], line["max"], color=colour, alpha=0.18, linewidth=0)
        ax.plot(
            x,
            line["median"],
            color=colour,
            marker=marker,
            markevery=max(1, depth // 8),
            markeredgecolor="white",
            clip_on=False,
        )
        if theory.get(key) is not None:
            values = _profile(theory[key], len(line), line["median"], backward)
            style.theory_line(ax, x, values)
        end = line["median"].iloc[0 if backward else -1]
        labels.append((end, "measured" if by is None else _text(key), colour, marker))
    if isinstance(guess, (int, float)):
        first = next(iter(lines.values()))
        values = _profile(float(guess), depth, first["median"], backward)
        ax.plot(np.arange(1, depth + 1), values, color=style.GREY, linestyle=":", linewidth=2, zorder=3)
        labels.append((values[0 if backward else -1], f"your guess, {guess:g}", style.GREY, "."))
    if logarithmic:
        ax.set_yscale("log")
        style.log_ticks(ax.yaxis, *ax.get_ylim())
    ax.set_xlim(1, max(depth, 2))
    ax.set_xticks(layer_ticks(depth))
    if backward:
        ax.yaxis.tick_right()
    style.write(ax.set_xlabel, "layer (1 = closest to the input)", loc="right")
    style.headline(ax, title or _finding(lines, y), _drawn(name, table, theory))
    style.label_lines(ax, labels, side="left" if backward else "right")
    return ax


def layer_ticks(depth):
    """Layer numbers for an axis: the first, the last and round ones between."""
    step = next(step for step in (1, 5, 10, 20, 50, 100, 1000) if depth / step <= 10 or step == 1000)
    return [1, *range(max(step, 2), depth - step // 2, step), depth] if depth > 1 else [1]


def decades_per_layer(profile):
    """Least-squares slope of log10 of a profile (layers,) over the layers: positive where gradients vanish."""
    profile = np.asarray(profile, dtype=float)
    return float(np.polyfit(np.arange(len(profile)), np.log10(profile), 1)[0])


def _lines(table, y, by):
    """For each value of `by` a frame over the layers with the median, least and greatest over seeds."""
    rows = table[table.slope.notna()] if table.slope.notna().any() else table[table.kind == _commonest_kind(table)]
    if not len(rows) or rows[y].isna().all():
        raise ValueError(f"the table has no {y} to draw: call backward() inside the probe's with block first.")
    return {key: _spread_over_seeds(group, y) for key, group in style.groups(rows, by)}


def _commonest_kind(table):
    return table.kind.value_counts().index[0]


def _spread_over_seeds(rows, y):
    run = [column for column in ("seed", "step", "backward") if column in rows]
    rows = rows.sort_values([*run, "order"])
    rows = rows.assign(place=rows.groupby(run).cumcount() + 1)
    if _READINGS[y][2]:
        rows = rows.assign(**{y: rows[y] / rows.groupby(run)[y].transform("last")})
    return rows.groupby("place")[y].agg(["median", "min", "max"])


def _check_table(table, by):
    if not isinstance(table, pd.DataFrame) or not {"layer", "kind", "slope", "grad_rms"} <= {*table.columns}:
        came = (
            f"columns {', '.join(map(str, table.columns))}" if isinstance(table, pd.DataFrame) else type(table).__name__
        )
        raise TypeError(f"depth_plot draws the .table of a vglab.probe; got {came}.")
    if not len(table):
        raise ValueError("the table has no rows: call the model inside the probe's with block first.")
    if by is not None and by not in table:
        raise ValueError(f"by must be a column of the table; got {by!r}: add it with table.assign({by}=...).")


def _profile(theory, depth, measured, backward):
    if np.ndim(theory):
        if len(theory) != depth:
            raise ValueError(f"theory has {len(theory)} layers and the table {depth}: compute it for the same depth.")
        return np.asarray(theory)
    steps = np.arange(depth)[::-1] if backward else np.arange(depth)
    return measured.iloc[-1 if backward else 0] * float(theory) ** steps


def _finding(lines, y):
    if y != "grad_rms":
        return {"h_rms": "What becomes of the signal on its way forward", "cosine": "Do two inputs stay apart?"}.get(
            y, "Layer by layer"
        )
    if len(lines) > 1:
        return "Who still hears the loss?"
    profile = next(iter(lines.values()))["median"]
    if len(profile) < 2 or not ((profile > 0) & np.isfinite(profile)).all():
        return "The gradient, layer by layer"
    decades = decades_per_layer(profile)
    verb = "loses" if decades > 0 else "gains"
    return f"Towards the input the gradient {verb} {abs(decades):.2f} decades per layer"


def _drawn(name, table, theory):
    seeds = f"; median and range of {table.seed.nunique()} seeds" if "seed" in table else ""
    dashed = "; dashed: theory" if any(value is not None for value in theory.values()) else ""
    return name[0].upper() + name[1:] + seeds + dashed


def _text(key):
    return f"{key:g}" if isinstance(key, float) else str(key)
