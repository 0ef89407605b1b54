"""The remedies that were tried in a picture: what each does to the gradient, and to the loss."""

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from . import style
from .diagnoses import HEALTHY, cut, limits

_ROWS = 8  # remedies drawn


def remedies_plot(remedies, *, threshold=None, title=None, ax=None):
    """Draw for each remedy, the best first, the decades of gradient before and after it, and the loss beside them.

    remedies : DataFrame with the columns ``remedy, gradient_before, gradient_after, loss_before, loss_after, helps``.
    threshold : decades on either side of 0 that are healthy; 2 by default.
    """
    rows, threshold = remedies.head(_ROWS).reset_index(drop=True), threshold or 2.0
    before, after = (pd.to_numeric(rows[name], errors="coerce") for name in ("gradient_before", "gradient_after"))
    ax = style.axes(ax, size=(7.4, height(rows)))
    known = np.concatenate([before[np.isfinite(before)], after[np.isfinite(after)], [-threshold, threshold]])
    low, high = limits(known)
    ax.set_xlim(low, high)
    ax.set_ylim(max(1, len(rows)) - 0.5, -0.5)
    ax.axvspan(-threshold, threshold, color=HEALTHY, alpha=0.09, linewidth=0, zorder=0)
    ax.axvline(0, color=style.GREY, linewidth=1, linestyle=":", zorder=1)
    ax.grid(False)
    for at, row in rows.iterrows():
        _dumbbell(ax, at, before[at], after[at], bool(row.helps))
        _beside(ax, at, f"{_loss(row.loss_before)} → {_loss(row.loss_after)}", bold=bool(row.helps))
    if len(rows):
        _beside(ax, -0.85, "loss without → with")
    ax.set_yticks(range(len(rows)), [cut(name, 38) for name in rows.remedy])
    ax.tick_params(axis="y", labelcolor=style.TEXT, labelsize=10, pad=8)
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    ax.xaxis.set_major_formatter(lambda value, _: "0" if value == 0 else f"{value:+.0f}".replace("-", "−"))
    style.write(ax.set_xlabel, "decades of gradient from the last layer to the first", loc="right")
    drawn = "Hollow: as it is; full: with the remedy; shaded: healthy"
    style.headline(ax, title or remedies_finding(remedies), drawn)
    return ax


def height(remedies):
    """How high, in inches, a picture of `remedies` is to be."""
    return 1.5 + 0.42 * min(max(1, len(remedies)), _ROWS)


def remedies_finding(remedies):
    """What `remedies_plot` shows, in a sentence without its full stop."""
    if not len(remedies):
        return "No remedy was tried"
    tried, help_ = len(remedies), int(remedies.helps.eq(True).sum())
    if not help_:
        return "The remedy that was tried does not help" if tried == 1 else f"None of {tried} remedies helps"
    if tried == 1:
        return "The remedy that was tried helps"
    return f"{help_} of {tried} remedies {'helps' if help_ == 1 else 'help'}"


def _dumbbell(ax, at, before, after, helps):
    low, high = ax.get_xlim()
    inside = [float(np.clip(value, low, high)) if value == value else None for value in (before, after)]
    colour = HEALTHY if helps else style.GREY
    if None not in inside:
        ax.plot(inside, [at, at], color=colour, linewidth=2.5, alpha=0.6, solid_capstyle="butt", zorder=2)
    if inside[0] is not None:
        hollow = {"markerfacecolor": style.BACKGROUND, "markeredgewidth": 1.8}
        ax.plot(inside[:1], [at], "o", color=style.GREY, markersize=8, clip_on=False, zorder=3, **hollow)
    if inside[1] is not None:
        ax.plot(inside[1:], [at], "o", color=colour, markersize=8 if helps else 4, clip_on=False, zorder=4)
    else:
        here = low if inside[0] is None else inside[0]
        side = 1 if here < (low + high) / 2 else -1
        place = {"textcoords": "offset points", "va": "center", "ha": "left" if side > 0 else "right"}
        style.write(ax.annotate, "not measured", (here, at), (9 * side, 0), fontsize=9.5, color=style.GREY, **place)


def _beside(ax, at, says, bold=False):
    font = {"font": style.SEMIBOLD} if bold else {}
    colour = style.TEXT if bold else style.GREY
    place = {"transform": ax.get_yaxis_transform(), "va": "center", "ha": "left", "clip_on": False}
    style.write(ax.text, 1.03, at, says, fontsize=9.5, color=colour, **font, **place)


def _loss(value):
    value = pd.to_numeric(value, errors="coerce")
    return "–" if pd.isna(value) else "∞" if np.isinf(value) else f"{value:.4g}"
