"""What the pictures of the widgets share: axes that stay, a headline that follows, labels at the lines' ends."""

import numpy as np
from matplotlib import rc_context
from matplotlib.ticker import NullLocator

from ..figures import style

DASHED, DOTTED = (0, (4, 2)), (0, (1, 1.5))


def axes(figure, box, **kwargs):
    """Axes in the course's style at `box` = (left, bottom, width, height) in shares of `figure`."""
    with rc_context(style.RC):
        ax = figure.add_axes(box, **kwargs)
    style.dress_ticks(ax)
    return ax


def headline(figure):
    """Two empty texts at the top left, the finding and the grey line under it."""
    place = {"ha": "left", "va": "top"}
    top = 1 - 0.10 / figure.get_figheight()
    below = 1 - 0.36 / figure.get_figheight()
    return (
        style.write(figure.text, 0.012, top, "", font=style.SEMIBOLD, fontsize=13, color=style.TEXT, **place),
        style.write(figure.text, 0.012, below, "", fontsize=10, color=style.GREY, **place),
    )


def log_axis(ax, low, high):
    """Set a logarithmic vertical axis from 10**low to 10**high with at most nine ticks, 1 among them."""
    step = next(step for step in (1, 2, 5, 10, 20) if (high - low) / step <= 8)
    powers = [power for power in range(-400, 400, step) if low <= power <= high]
    ax.set_yscale("log")
    ax.set_ylim(10.0**low, 10.0**high)
    ax.set_yticks(
        [10.0**power for power in powers], ["1" if power == 0 else style.power_of_ten(10.0**power) for power in powers]
    )
    ax.yaxis.set_minor_locator(NullLocator())


def colour_bar(figure, box, image, ticks):
    """Draw the colours of `image` at `box`, with `ticks`, a dict from value to words, at the right."""
    ax = axes(figure, box)
    ax.grid(False)
    ax.set_frame_on(False)
    shades = image.cmap(np.linspace(0, 1, 64))[:, None]
    ax.imshow(shades, aspect="auto", origin="lower", extent=(0, 1, 0, 1), interpolation="none")
    ax.set_xticks([])
    ax.yaxis.tick_right()
    ax.set_yticks([float(image.norm(value)) for value in ticks], list(ticks.values()))
    return ax


def level(value, steps):
    """The first of the rising `steps` that reaches `value`, else the last: axes move seldom, and by much."""
    return next((step for step in steps if step >= value), steps[-1])


class EndLabels:
    """The names of lines in the margin, beside the heights where the lines end, moved apart where they would meet."""

    def __init__(self, ax, looks, *, side, gap=0.075):
        """looks: dict from name to the keywords of the line; the label repeats its dash or marker."""
        self.ax, self.gap = ax, gap
        at, away = (-0.02, -1) if side == "left" else (1.02, 1)
        outside = {"transform": ax.transAxes, "clip_on": False, "zorder": 6}
        self.samples, self.texts = {}, {}
        for name, look in looks.items():
            (self.samples[name],) = ax.plot([at, at + 0.03 * away], [0, 0], **(look | outside))
            self.texts[name] = style.write(
                *(ax.text, at + 0.045 * away, 0, name), fontsize=10, color=style.TEXT, va="center",
                ha="right" if side == "left" else "left", **outside,
            )  # fmt: skip

    @property
    def artists(self):
        """Every artist by name."""
        samples = {f"sample {name}": artist for name, artist in self.samples.items()}
        return samples | {f"label {name}": artist for name, artist in self.texts.items()}

    def place(self, heights):
        """heights: dict from name to the height in data; names left out are hidden."""
        transform = self.ax.transScale + self.ax.transLimits
        wanted = [np.clip(transform.transform((1, y))[1], 0, 1) for y in heights.values()]
        places = dict(zip(heights, style.spread(wanted, self.gap), strict=True))
        for name, sample in self.samples.items():
            for artist in (sample, self.texts[name]):
                artist.set_visible(name in places)
            if name in places:
                sample.set_ydata([places[name]] * 2)
                self.texts[name].set_y(places[name])
