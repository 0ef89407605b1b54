"""One reading against the layer: how far a gradient travels, what becomes of a signal, whether inputs stay apart."""

import numpy as np
import pandas as pd

from . import style

_RUN = {"seed": "seeds", "step": "steps", "backward": "backward passes"}  # columns that become the band
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
        a line has none, those of the kind of layer that occurs most. The column ``seed`` becomes the band, and
        so do several steps.
    y : str
        ``"grad_rms"`` (relative to the last layer), ``"h_rms"``, ``"cosine"``, ``"slope"`` or ``"dead"``.
    by : str
        Column that tells the lines apart; at most five.
    theory : float, array of shape (layers,) or dict of them by the values of `by`
        Drawn dashed; a number is a factor per layer.
    guess : number
        The reader's own factor per layer, drawn dotted; ``...`` draws nothing.
    title : str
        The finding; by default the measured decades per layer.
    """
    if y not in _READINGS:
        raise ValueError(f"y must be one of {', '.join(_READINGS)}; got {y!r}.")
    _check_table(table, y, by)
    guess = style.guessed(guess)
    groups = _groups(table, y, by)
    lines = {key: rows.groupby("place")[y].agg(["median", "min", "max"]) for key, rows in groups.items()}
    names = {key: "measured" if by is None else style.key_text(key) for key in lines}
    backward = y == "grad_rms"
    dashed = _dashed(theory, lines, names, backward)
    name, logarithmic, _ = _READINGS[y]
    ax, labels = style.axes(ax), []
    depth = max(len(line) for line in lines.values())
    look = {"every": max(1, depth // 8), "end": 0 if backward else -1, "clip": False}
    for (key, line), colour, marker in zip(lines.items(), style.COLOURS, style.MARKERS, strict=False):
        look |= {"colour": colour, "marker": marker, "dashed": dashed.get(key)}
        labels.append(style.band_line(ax, line, names[key], **look))
    if guess is not None:
        first = next(iter(lines.values()))
        values = _profile(guess, depth, first["median"], backward)
        ax.plot(np.arange(1, depth + 1), values, color=style.GREY, linestyle=":", linewidth=2, zorder=3)
        labels.append((values[look["end"]], f"your guess, {guess:g}", style.GREY, "."))
    if logarithmic:
        ax.set_yscale("log")
        style.log_ticks(ax.yaxis, *ax.get_ylim())
    ax.set_xlim(1, max(depth, 2))
    ax.set_xticks(layer_ticks(depth))
    if backward:
        ax.yaxis.tick_right()
    style.write(ax.set_xlabel, "layer (1 = closest to the input)", loc="right")
    drawn = name[0].upper() + name[1:] + _repeats(groups.values()) + ("; dashed: theory" if dashed else "")
    style.headline(ax, title or _finding(lines, y), drawn)
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


def _check_table(table, y, by):
    frame = isinstance(table, pd.DataFrame)
    if not frame or not {"step", "order", "layer", "kind", "slope", y} <= {*table.columns}:
        came = f"columns {', '.join(map(str, table.columns))}" if frame else type(table).__name__
        raise TypeError(f"depth_plot draws the .table of a vglab.probe; got {came}.")
    if not len(table):
        raise ValueError("the table has no rows: call the model inside the probe's with block first.")
    if by is not None and by not in table:
        raise ValueError(f"by must be a column of the table; got {by!r}: add it with table.assign({by}=...).")


def _groups(table, y, by):
    """For each value of `by` the rows to draw with their ``place``, the number of the layer within its run."""
    groups = {}
    for key, rows in style.groups(table, by):
        which = "the table" if by is None else f"the line {style.key_text(key)}"
        run = [column for column in _RUN if column in rows]
        rows = _layers(rows).sort_values([*run, "order"])
        if rows.duplicated([*run, "order"]).any():
            todo = "add a column to each table with table.assign(seed=...), or pass by=..."
            raise ValueError(f"{which} joins several nets that no column tells apart: {todo}")
        runs = rows.groupby(run, dropna=False)
        rows = rows.assign(place=runs.cumcount() + 1)[runs[y].transform("count") > 0]  # not a pass without backward()
        if not len(rows):
            todo = "call backward() inside the probe's with block first" if y == "grad_rms" else "choose another y"
            raise ValueError(f"{which} has no {y} to draw: {todo}.")
        groups[key] = _relative_to_last(rows, run, y, which) if _READINGS[y][2] else rows
    return groups


def _layers(rows):
    """The rows of activations, or, where there are none, those of the commonest kind of layer."""
    activations = rows[rows.slope.notna()]
    return activations if len(activations) else rows[rows.kind == rows.kind.value_counts().index[0]]


def _relative_to_last(rows, run, y, which):
    last = rows.groupby(run, dropna=False)[y].transform(lambda values: values.iloc[-1])  # "last" would skip NaN
    broken = last[~np.isfinite(last) | (last == 0)]
    if len(broken):
        raise ValueError(
            f"{which} cannot be drawn relative to its last layer, whose {y} is {broken.iloc[0]:g}: "
            'look at table.grad_rms, or draw y="h_rms".'
        )
    return rows.assign(**{y: rows[y] / last})


def _dashed(theory, lines, names, backward):
    """(x, y) of theory for the lines that have one.

    A dict may hold more than is drawn, but a key without a line is a slip where a line goes without theory.
    """
    theory = theory if isinstance(theory, dict) else dict.fromkeys(lines, theory)
    unknown = [key for key in theory if key not in lines]
    if unknown and any(key not in theory for key in lines):
        raise ValueError(f"theory has {unknown[0]!r}, and no line is called that: {', '.join(names.values())}.")
    drawn = {key: line for key, line in lines.items() if theory.get(key) is not None}
    return {k: (line.index, _profile(theory[k], len(line), line["median"], backward)) for k, line in drawn.items()}


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


def _repeats(groups):
    """What the band is the range of, counted within one line."""
    counts = {
        words: max(rows[column].nunique(dropna=False) if column in rows else 1 for rows in groups)
        for column, words in _RUN.items()
    }
    said = " and ".join(f"{count} {words}" for words, count in counts.items() if count > 1)
    return f"; median and range of {said}" if said else ""
