"""Maps: colour over a plane of two dials, over depth and scale, and over layers and training steps."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patheffects import withStroke

from . import style

_DEEPEST = 100.0  # layers: a depth scale above it is drawn as if it were this long, since it is infinite at the edge
_MOST_ROWS = 16  # layer names that fit beside a heat map
NAMES = {"sigma_w": "weight scale sigma_w", "sigma_b": "bias scale sigma_b", "depth": "depth (hidden layers)"}
_VALUES = {"grad_rms": "rms gradient ∂L/∂h", "h_rms": "rms of the output h", "update_ratio": "update / weight, rms"}


def phase_plot(table, *, levels=(3, 6, 12, 30), title=None, ax=None):
    """Draw the depth scale over the plane of weight and bias scale, and the edge of chaos where chi is 1.

    table : DataFrame with the columns ``sigma_w, sigma_b, xi_c, chi``, one row for each point of a full grid of at
        least 2 x 2, as `vglab.theory.phase_diagram` makes it. Points where ``xi_c`` is NaN stay white.
    levels : depth scales, in layers, whose contours are drawn and labelled.
    """
    style.check_table(table, "sigma_w", "sigma_b", "xi_c", "chi")
    xi, chi = _grid(table, "xi_c"), _grid(table, "chi")
    ax = style.axes(ax, size=(7.4, 4.4))
    x, y, depth = xi.columns.to_numpy(float), xi.index.to_numpy(float), np.clip(xi.to_numpy(float), 1, _DEEPEST)
    mesh = ax.pcolormesh(x, y, depth, norm=LogNorm(1, _DEEPEST), cmap="viridis", shading="gouraud", rasterized=True)
    _contours(ax, x, y, depth, sorted(levels))
    chi = np.nan_to_num(chi.to_numpy(float), nan=1e9, posinf=1e9)
    if chi.min() < 1 < chi.max():
        ax.contour(x, y, chi, [1.0], colors=[style.TEXT], linewidths=2.5)
    for side, words in ((chi < 1, "ordered:\ngradients vanish"), (chi > 1, "chaotic:\ngradients explode")):
        _name_region(ax, x, y, side, words)
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])
    _finish(ax, "sigma_w", "sigma_b")
    _bar(ax, mesh, "depth scale ξ in layers", [1, 3, 10, 30, 100], "max")
    drawn = "Thin lines: layers until a correlation is e times nearer its end; thick: edge of chaos, χ = 1"
    style.headline(ax, title or "How deep a signal reaches, from order to chaos", drawn)
    return ax


def trainability_plot(table, *, x="sigma_w", value="accuracy", theory=None, factor=6, title=None, ax=None):
    """Draw how well nets of each depth learned at each `x`, and over it how deep theory says a signal reaches.

    table : DataFrame with the columns `x`, ``depth`` and `value`; rows that share x and depth are seeds, of which
        the median is drawn. NaN and missing combinations are grey.
    theory : DataFrame with the columns `x` and ``xi_c``; ``factor * xi_c`` is drawn dashed. Schoenholz et al. (2017)
        find training possible to about 6 xi_c.
    """
    style.check_table(table, x, "depth", value)
    if theory is not None:
        style.check_table(theory, x, "xi_c", name="theory")
    known = table.assign(**{value: _finite(table[value])})
    grid = known.pivot_table(index="depth", columns=x, values=value, aggfunc="median", dropna=False)
    ax = style.axes(ax, size=(7.4, 4.4))
    across, up = _edges(grid.columns.to_numpy(float)), _edges(grid.index.to_numpy(float))
    shown = np.ma.masked_invalid(grid.to_numpy(float))
    top = 1.0 if shown.count() == 0 or (shown.max() <= 1 and shown.min() >= 0) else float(shown.max())
    ax.set_facecolor(style.GRID)
    norm = Normalize(min(0.0, float(shown.min()) if shown.count() else 0.0), top)
    mesh = ax.pcolormesh(across, up, shown, cmap="cividis", norm=norm, rasterized=True)
    ax.set_xlim(across[0], across[-1])
    ax.set_ylim(max(0, up[0]), up[-1])
    if theory is not None:
        _draw_reach(ax, theory.sort_values(x), x, factor)
    _finish(ax, x, "depth")
    _bar(ax, mesh, value.replace("_", " "))
    seeds = known.groupby([x, "depth"]).size().max()
    drawn = f"Colour: {value.replace('_', ' ')}" + (f", median of {seeds} seeds" if seeds > 1 else "")
    drawn += f"; dashed: {factor:g} depth scales ξ" if theory is not None else ""
    style.headline(ax, title or "How deep a network can still learn", drawn)
    return ax


def heat_plot(table, value="grad_rms", *, title=None, ax=None):
    """Draw one reading of every layer, the input at the bottom, over the training steps; the colour is logarithmic.

    table : a probe's ``.table`` (of which activations are drawn, or all layers where there are none) or ``.params``
        with `value` ``"update_ratio"``: the column ``step``, `value`, and ``layer`` with ``order``, or ``name``.
        Repeated readings of a layer at one step are drawn as their median. 0 is black, infinite red, NaN grey.
    """
    name = "layer" if isinstance(table, pd.DataFrame) and "layer" in table else "name"
    style.check_table(table, "step", name, value)
    rows = table[table.slope.notna()] if "slope" in table and table.slope.notna().any() else table
    rows = rows.sort_values("order", kind="stable") if "order" in rows else rows
    names = list(dict.fromkeys(rows[name]))
    values = pd.to_numeric(rows[value], errors="coerce").astype(float)
    grid = rows.assign(**{value: values}).groupby([name, "step"], sort=False)[value].median()
    grid = grid.unstack("step").reindex(names).sort_index(axis="columns")
    numbers = grid.to_numpy(float)
    known = numbers[np.isfinite(numbers) & (numbers > 0)]
    low, high = (known.min(), known.max()) if len(known) else (0.1, 1.0)
    low, high = (low, high) if high > 1.01 * low else (low / 3, high * 3)
    ax = style.axes(ax, size=(7.4, 4.4))
    ax.set_facecolor("#9CA3AF")
    cmap = colormaps["viridis"].with_extremes(under="black", over="#D7261E", bad=(0, 0, 0, 0))
    across = _edges(grid.columns.to_numpy(float))
    shown = np.ma.masked_invalid(np.where(numbers == np.inf, 1e300, np.where(numbers == 0, 1e-300, numbers)))
    mesh = ax.pcolormesh(
        across, np.arange(len(names) + 1) + 0.5, shown, norm=LogNorm(low, high), cmap=cmap, rasterized=True
    )
    _layer_names(ax, names)
    ax.grid(False)
    style.write(ax.set_xlabel, "training step", loc="right")
    ends = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}
    extend = ends[int((numbers == 0).any()), int((numbers == np.inf).any())]
    _bar(ax, mesh, _VALUES.get(value, value), _decades(low, high), extend)
    kinds = {"0": numbers == 0, "infinite": numbers == np.inf, "not measured": np.isnan(numbers)}
    colours = {"0": "black", "infinite": "red", "not measured": "grey"}
    marks = [f"{colours[kind]}: {kind}" for kind, here in kinds.items() if here.any()]
    said = _VALUES.get(value, value)
    drawn = "; ".join([said[0].upper() + said[1:] + " by layer, the input at the bottom", *marks])
    style.headline(ax, title or "Where the gradient goes while training", drawn)
    return ax


def _finite(values):
    return pd.to_numeric(values, errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)


def _grid(table, value):
    if table.duplicated(["sigma_w", "sigma_b"]).any():
        raise ValueError(
            "the table has several rows for one pair of sigma_w and sigma_b: draw one activation at a time."
        )
    grid = table.pivot(index="sigma_b", columns="sigma_w", values=value)
    if min(grid.shape) < 2 or grid.size != len(table):
        came = f"{len(table)} rows for {grid.shape[1]} sigma_w and {grid.shape[0]} sigma_b"
        raise ValueError(f"the table must be a full grid of at least 2 x 2 points; got {came}.")
    return grid


def _contours(ax, x, y, depth, levels):
    known = depth[np.isfinite(depth)]
    levels = [level for level in levels if len(known) and known.min() < level < min(known.max(), _DEEPEST)]
    if levels:
        lines = ax.contour(x, y, depth, levels, colors="white", linewidths=0.9)
        style.write(ax.clabel, lines, fmt="%g", fontsize=9, inline_spacing=3)


def _name_region(ax, x, y, side, words):
    """Write `words` in the middle of the widest part of the region, where it is wide enough to hold them."""
    across = np.where(side, 1, 0).sum(1)
    if not across.max() or across.max() < 0.15 * len(x):
        return
    widest = np.flatnonzero(across >= 0.9 * across.max())
    row = widest[len(widest) // 2]
    at = (x[side[row]].mean(), np.clip(y[row], y[0] + 0.15 * (y[-1] - y[0]), y[-1] - 0.15 * (y[-1] - y[0])))
    drawn = style.write(ax.text, *at, words, font=style.SEMIBOLD, fontsize=11, color="white", ha="center", va="center")
    drawn.set_path_effects([withStroke(linewidth=3, foreground=style.TEXT)])


def _draw_reach(ax, theory, x, factor):
    reach = factor * _finite(theory.xi_c)
    halo = [withStroke(linewidth=4, foreground="white")]
    low, high = ax.get_ylim()
    ax.plot(theory[x], reach, color=style.TEXT, linestyle=(0, (4, 3)), linewidth=1.8, path_effects=halo)
    inside = np.flatnonzero(reach.between(low, high) & theory[x].between(*ax.get_xlim()))
    if len(inside):
        at = inside[len(inside) // 4]
        place = {"textcoords": "offset points", "ha": "right", "va": "bottom", "fontsize": 10}
        text = style.write(
            ax.annotate, f"{factor:g} ξ", (theory[x].iloc[at], reach.iloc[at]), (-6, 2), color="white", **place
        )
        text.set_path_effects([withStroke(linewidth=3, foreground=style.TEXT)])


def _edges(centres):
    """The borders of cells around `centres`, halfway between them."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _decades(low, high):
    """Powers of ten for a colour bar, at most seven; plain ends where it holds fewer than two."""
    powers = np.arange(np.ceil(np.log10(low) - 1e-9), np.floor(np.log10(high) + 1e-9) + 1)
    return [10.0**power for power in powers[:: max(1, -(-len(powers) // 7))]] if len(powers) > 1 else [low, high]


def _bar(ax, mesh, words, ticks=None, extend="neither"):
    bar = style.write(ax.figure.colorbar, mesh, ax=ax, extend=extend, pad=0.03, fraction=0.05)
    if ticks is not None:
        whole = all(abs(np.log10(tick) - round(np.log10(tick))) < 1e-6 for tick in ticks)
        bar.set_ticks(ticks, labels=[style.power_of_ten(tick) if whole else f"{tick:.3g}" for tick in ticks])
        bar.ax.minorticks_off()
    style.dress_ticks(bar.ax)
    bar.outline.set_visible(False)
    style.write(bar.set_label, words, color=style.GREY)


def _finish(ax, x, y):
    ax.grid(False)
    style.write(ax.set_xlabel, NAMES.get(x, x), loc="right")
    style.write(ax.set_ylabel, NAMES.get(y, y))


def _layer_names(ax, names):
    step = -(-len(names) // _MOST_ROWS)
    at = list(range(0, len(names), step))
    cut = lambda name: name if len(name) <= 22 else name[:7] + "…" + name[-14:]
    ax.set_yticks([place + 1 for place in at], [cut(str(names[place])) for place in at])
