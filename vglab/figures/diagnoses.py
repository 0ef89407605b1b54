"""A diagnosis in a picture: where the gradient is lost, and which layers are at fault."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

from . import style
from .profiles import layer_ticks

MEASURED, GUILTY, HEALTHY = style.COLOURS[:3]
_FURTHEST = 300  # decades: beyond them floats end, and what is drawn there could not be told apart
_LOW, _HIGH = 0.03, 0.97  # in shares of the axes: where layers are marked whose gradient has no place on the scale


def diagnosis_plot(profile, remedies=None, *, state, where=(), threshold=None, axis=None, title=None, ax=None):
    """Draw the gradient against the layer, counted from the input, relative to the last layer.

    A layer whose gradient is exactly 0, infinite or NaN is marked at the edge of the axes.

    Parameters
    ----------
    profile : DataFrame
        With the columns ``place, layer, grad_rms`` and, if there are several runs, ``step``; of ``axis`` the
        rows of one kind are drawn. Several steps are drawn relative to the last layer at the first of them.
    remedies : DataFrame
        The best first; of one that ``helps``, ``gradient_after`` is drawn at the first layer.
    state : str
        The verdict, for the headline of a profile that says little itself.
    where : list of str
        Layers to mark; the first is named.
    threshold : float
        Decades on either side of 1 within which a gradient is healthy: the light band. 2 by default.
    axis : str
        ``"depth"`` or ``"time"``; by default that of the first row.
    title : str
        The finding; by default what becomes of the gradient between the last layer and the first.
    """
    threshold, axis = threshold or 2.0, _axis(profile, axis)
    lines = _lines(profile, axis)
    ax = style.axes(ax)
    known = np.concatenate([line.decades for line in lines] or [[]])
    best = _best(remedies)
    low, high = limits([*known[np.isfinite(known)], -threshold, threshold, *([] if best is None else [best[0]])])
    ax.set_yscale("log")
    ax.set_ylim(10.0**low, 10.0**high)
    ax.axhspan(10.0**-threshold, 10.0**threshold, color=HEALTHY, alpha=0.09, linewidth=0, zorder=0)
    ax.axhline(1, color=style.GREY, linewidth=1, linestyle=":", zorder=1)
    places = _places(ax, lines)
    names = _draw_lines(ax, lines)
    if best is not None and lines:
        names.append(_draw_remedy(ax, places[0], *best))
    if lines and axis != "time":  # all time steps are of one layer
        _mark(ax, lines[-1], [*where])
    _y_ticks(ax, low, high)
    style.write(ax.set_xlabel, "time step" if axis == "time" else "layer (1 = closest to the input)", loc="right")
    drawn = f"Rms gradient ∂L/∂h relative to the last {_one(axis)}; shaded: within {threshold:g} decades"
    drawn += "; diamond: best remedy" if best is not None and lines else ""
    style.headline(ax, title or finding(profile, state=state, axis=axis), drawn)
    style.label_lines(ax, names, side="left")
    return ax


def finding(profile, *, state, axis=None):
    """What `diagnosis_plot` shows, in a sentence without its full stop."""
    axis = _axis(profile, axis)
    lines, one = _lines(profile, axis), _one(axis)
    if not lines:
        return "No gradient was measured"
    first, last = lines[-1].iloc[0], lines[-1].iloc[-1]
    if not (lines[-1].decades > -np.inf).any() and not lines[-1].decades.isna().any():
        return f"No gradient arrives anywhere: it is exactly 0 in every {one}"
    if not np.isfinite(first.decades):
        how = {-np.inf: "exactly 0", np.inf: "infinite"}.get(first.decades, "not a number")
        return f"The gradient at {one} {first.place:g} is {how}"
    if len(lines) > 1:
        grown = lines[-1].decades.max() - lines[0].decades.max()
        if np.isfinite(grown) and abs(grown) >= 0.5:
            verb = "grows" if grown > 0 else "shrinks"
            steps = f"{lines[-1].step.iloc[0]:g} steps"
            return f"Within {steps} of training the gradient {verb} by a factor of {_power(abs(grown))}"
    if len(lines[-1]) == 1:
        return f"{state.capitalize()}: only one {one} could be measured"
    change = first.decades - last.decades
    if not np.isfinite(change):
        return f"The gradient, {one} by {one}"
    if abs(change) < 0.5:
        return f"The gradient at {one} {first.place:g} is {10**change:.2g} of that at {one} {last.place:g}"
    way = f"From {one} {last.place:g} back to {one} {first.place:g}"
    return f"{way} the gradient {'shrinks' if change < 0 else 'grows'} by a factor of {_power(abs(change))}"


def _axis(profile, axis):
    if axis is None or axis not in set(profile.axis):
        return profile.axis.iloc[0] if len(profile) else "depth"
    return axis


def _one(axis):
    return "step" if axis == "time" else "layer"


def _lines(profile, axis):
    """For the first and the last step a frame ``place, layer, step, decades``, relative to the first one's last row."""
    rows = profile[profile.axis == axis] if len(profile) else profile
    if not len(rows):
        return []
    rows = rows.assign(place=pd.to_numeric(rows.place, errors="coerce"), grad_rms=pd.to_numeric(rows.grad_rms))
    if rows.place.isna().any():
        rows["place"] = np.arange(1, len(rows) + 1)
    repeated = rows.place.duplicated().any() and rows.step.notna().all()
    steps = [rows[rows.step == step] for step in sorted(rows.step.unique())] if repeated else [rows]
    lines = [part.sort_values("place", kind="stable").drop_duplicates("place", keep="last") for part in steps]
    lines = lines if len(lines) == 1 else [lines[0], lines[-1]]
    reference = _reference(lines[0].grad_rms.to_numpy(dtype=float))
    return [line.assign(decades=_decades(line.grad_rms.to_numpy(dtype=float), reference)) for line in lines]


def _reference(values):
    """log10 of the last value, or, where that is no size, of the greatest that is one; 0 without any."""
    usable = values[np.isfinite(values) & (values > 0)]
    if not len(usable):
        return 0.0
    return np.log10(values[-1] if np.isfinite(values[-1]) and values[-1] > 0 else usable.max())


def _decades(values, reference):
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.log10(values) - reference
    return np.where(np.isfinite(decades), np.clip(decades, -_FURTHEST, _FURTHEST), decades)


def _best(remedies):
    """(decades, name) of the best remedy, if one helps and its gradient is a size."""
    if remedies is None or not len(remedies) or not bool(remedies.helps.iloc[0]):
        return None
    decades = pd.to_numeric(remedies.gradient_after, errors="coerce").iloc[0]
    name = cut(remedies.remedy.iloc[0], 32)
    return (float(np.clip(decades, -_FURTHEST, _FURTHEST)), name) if np.isfinite(decades) else None


def limits(decades):
    """The ends of an axis that holds all of `decades`, with some room."""
    low, high = max(min(decades), -_FURTHEST), min(max(decades), _FURTHEST)
    room = 0.06 * (high - low) + 0.2
    return low - room, high + room


def _places(ax, lines):
    """Set the layers' axis; returns the first and the last place."""
    first = min((line.place.min() for line in lines), default=1)
    last = max((line.place.max() for line in lines), default=1)
    ax.set_xlim(*((first, last) if last > first else (first - 0.5, first + 0.5)))
    ticks = [tick for tick in layer_ticks(int(last)) if tick >= first] if last >= 1 else []
    ax.set_xticks(sorted({first, *(tick for tick in ticks if tick == last or tick - first > (last - first) / 20)}))
    return first, last


def _draw_lines(ax, lines):
    """Draw each step's line and what cannot stand on it; returns the entries of `style.label_lines`."""
    names = []
    for line in lines:
        last = line is lines[-1]
        colour = MEASURED if last else style.GREY
        seen = line.decades.where(np.isfinite(line.decades))
        dots = {"marker": "o", "markersize": _size(len(line)), "markeredgecolor": "white", "markeredgewidth": 0.6}
        ax.plot(line.place, 10.0**seen, color=colour, clip_on=False, zorder=3, **(dots if last else {}))
        if last:
            _edge_marks(ax, line)
        if len(line) > 1 and np.isfinite(seen.iloc[0]):
            says = _of_last(seen.iloc[0]) if len(lines) == 1 else _after(line.step.iloc[0])
            names.append((10.0 ** seen.iloc[0], says, colour, "o" if last else "."))
    return names


def _edge_marks(ax, line):
    """Marks at the lower edge for gradients of 0, at the upper one for infinite ones and those that are NaN."""
    kinds = [(line.decades == -np.inf, _LOW, "v", "exactly 0"), (line.decades == np.inf, _HIGH, "^", "infinite")]
    kinds += [(line.decades.isna(), _HIGH, "x", "not a number")]
    look = {"color": GUILTY, "markerfacecolor": "none", "markersize": _size(len(line)) + 2, "clip_on": False}
    said = {_LOW: [], _HIGH: []}
    for chosen, height, marker, says in kinds:
        x = line.place[chosen].to_numpy(dtype=float)
        if len(x):
            place = {"transform": ax.get_xaxis_transform(), "linestyle": "", "zorder": 5}
            ax.plot(x, np.full(len(x), height), marker=marker, **look, **place)
            how_many = " everywhere" if len(x) == len(line) else f": {len(x)} of {len(line)}"
            said[height].append((x, says + how_many))
    for height, parts in said.items():
        if parts:
            x = np.concatenate([at for at, _ in parts])
            _beside_marks(ax, x, height, ", ".join(says for _, says in parts))


def _beside_marks(ax, x, height, says):
    """Write what the marks at `x` mean inside the axes, from their outer end inwards."""
    left, up = x.mean() <= np.mean(ax.get_xlim()), height == _LOW
    place = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "xytext": (0, 9 if up else -9)}
    place |= {"ha": "left" if left else "right", "va": "bottom" if up else "top"}
    at = (x.min() if left else x.max(), height)
    place["bbox"] = {"facecolor": style.BACKGROUND, "edgecolor": "none", "alpha": 0.8, "pad": 1}
    style.write(ax.annotate, says, at, color=style.TEXT, fontsize=9.5, zorder=6, **place)


def _draw_remedy(ax, first, decades, name):
    look = {"marker": "D", "markersize": 8, "markerfacecolor": style.BACKGROUND, "markeredgewidth": 2}
    ax.plot([first], [10.0**decades], color=HEALTHY, linestyle="", clip_on=False, zorder=6, **look)
    return 10.0**decades, name, HEALTHY, ""


def _mark(ax, line, where):
    """Colour the layers at fault, name the worst of them in the emptiest corner and point to it."""
    guilty = line[line.layer.isin(where) & np.isfinite(line.decades)]
    if not len(guilty):
        return
    dots = {"marker": "o", "markersize": _size(len(line)) + 1, "markeredgecolor": "white", "markeredgewidth": 0.6}
    ax.plot(guilty.place, 10.0**guilty.decades, color=GUILTY, linestyle="", clip_on=False, zorder=4, **dots)
    if guilty.layer.nunique() == 1 and len(guilty) > 1:  # one layer, used at every step: no point to name
        return
    rank = {name: i for i, name in reversed([*enumerate(where)])}
    worst = guilty.loc[guilty.layer.map(rank).idxmin()] if guilty.index.is_unique else guilty.iloc[0]
    more = guilty.layer.nunique() - 1
    says = "worst: " + _wrapped(worst.layer) + (f"\nand {more} more" if more else "")
    point = (worst.place, 10.0**worst.decades)
    place = {"textcoords": "axes fraction", "xytext": _room_for(ax, line, point, says), "ha": "left", "va": "bottom"}
    arrow = {"arrowstyle": "->", "color": style.GREY, "linewidth": 1, "shrinkB": 6, "shrinkA": 2}
    style.write(ax.annotate, says, point, color=style.TEXT, fontsize=9.5, zorder=6, arrowprops=arrow, **place)


def _wrapped(name, width=38):
    """A layer's whole name, in lines that end at its dots: ``blocks.11.`` can be what tells it from the others."""
    return "\n".join(textwrap.wrap(" ".join(str(name).replace(".", ". ").split()), width)).replace(". ", ".")


def _room_for(ax, line, point, says):
    """Where the text `says` covers nothing and is nearest to `point`: its lower left corner, in shares of the axes."""
    width, height = _extent(ax, says)
    to_axes = (ax.transScale + ax.transLimits).transform
    low, high = ax.get_ylim()
    drawn = line.decades.clip(np.log10(low), np.log10(high)).fillna(np.log10(high))
    xy = to_axes(np.column_stack([line.place, 10.0**drawn]).astype(float))
    fine = np.linspace(0, len(xy) - 1, 400)
    xy = np.column_stack([np.interp(fine, np.arange(len(xy)), column) for column in xy.T])
    marks = [(x, y) for y, edge in ((_LOW, -np.inf), (_HIGH, np.inf)) for x in np.linspace(0, 1, 40)
             if (line.decades == edge).any() or (edge > 0 and line.decades.isna().any())]  # fmt: skip
    level = np.column_stack([np.linspace(0, 1, 60), np.full(60, to_axes((1, 1))[1])])
    taken = np.concatenate([xy, level, *([marks] if marks else [])])
    x, y = np.meshgrid(np.linspace(0.02, max(0.02, 0.98 - width), 25), np.linspace(0.04, max(0.04, 0.96 - height), 25))
    boxes = np.column_stack([x.ravel(), y.ravel()])
    free = _gap(boxes, (width, height), taken).min(1)
    away = _gap(boxes, (width, height), to_axes(np.asarray([point], dtype=float)))[:, 0]
    return tuple(boxes[np.argmin(away + 100 * np.clip(0.05 - free, 0, None))])


def _gap(boxes, size, points):
    """Distance of each box from each point; (boxes, points)."""
    beyond = np.abs(points[None] - (boxes + np.divide(size, 2))[:, None]) - np.divide(size, 2)
    return np.hypot(*np.moveaxis(np.clip(beyond, 0, None), -1, 0))


def _extent(ax, says):
    """About how wide and high a text of 9.5 points is, in shares of the axes."""
    box = ax.get_position()
    inches = ax.figure.get_size_inches() * (box.width, box.height)
    return (0.076 * max(map(len, says.split("\n"))) / inches[0], 0.17 * says.count("\n") / inches[1] + 0.15 / inches[1])


def _y_ticks(ax, low, high):
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200) if (high - low) / step <= 7 or step == 200)
    powers = [power for power in range(-400, 401, step) if low <= power <= high]
    ax.set_yticks(
        [10.0**power for power in powers], ["1" if power == 0 else style.power_of_ten(10.0**power) for power in powers]
    )
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.tick_right()
    ax.tick_params(axis="y", pad=8)


def _size(count):
    return next(size for most, size in ((40, 6), (100, 4), (np.inf, 2.5)) if count <= most)


def _after(step):
    return "at the start" if step == 0 else f"after step {step:g}"


def _of_last(decades):
    """How a size relative to the last layer is called: ``10⁻⁸ of the last``."""
    return f"{_power(decades)} of the last" if decades <= 0.3 else f"{_power(decades)} × the last"


def _power(decades):
    return f"{10**decades:.2g}" if abs(decades) < 3 else style.power_of_ten(10.0**decades)


def cut(name, width):
    """`name` in at most `width` characters."""
    name = " ".join(str(name).split())
    return name if len(name) <= width else f"{name[: width // 3]}…{name[-(width - width // 3 - 1) :]}"
