"""Watching a training: its loss and every layer's gradients or updates while it runs, with a hand on the brake."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from math import ceil, floor, log10
from time import perf_counter

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from torch import nn

from ..experiments import Trainer
from ..figures import style
from . import view
from .front import front
from .parameters import Choice, Number, two_digits

COLUMNS, NAMED, CHUNK = 100, 12, 0.08  # of the heat map; rows with a name; seconds between two pictures
LR = Number("lr", "learning rate:", 1e-5, 10, log=True, step=0.05)
OPTIMIZER = Choice("optimizer", "optimizer", {"sgd": "SGD, momentum 0.9", "adam": "Adam", "adamw": "AdamW"})
SHOWN = {"update_ratio": "update / weight", "grad_rms": "gradient of the weights"}


class Watch:
    """What `vglab.widgets.watch` returns; it shows itself as the last expression of a cell.

    ``w.start()`` (in a notebook) goes on by itself and leaves the kernel free; ``w.pause()``, ``w.cancel()``,
    ``w.reset()``; ``w.run(100)`` takes 100 steps at once, wherever it is called. ``w.lr``, ``w.optimizer`` and
    ``w.shown`` can be set at any time; ``w.arrays`` holds the numbers behind the picture, ``w.trainer`` the training.
    """

    PARAMETERS = (LR, OPTIMIZER, Choice("shown", "heat map", SHOWN))
    PRESETS = {}  # noqa: RUF012 - never changed

    def __init__(self, trainer, shown="update_ratio"):
        self.trainer, self.state = trainer, "not begun"
        self.COMPUTED = f"a training of {trainer.steps} steps on the real network"
        self._task, self._records, self._seconds, self._error = None, _Records(trainer), 0.0, None
        start = {"lr": trainer.lr, "optimizer": trainer.optimizer, "shown": shown}
        self._front = front(self, View(trainer), start)

    # by hand and by button

    def start(self):
        """Begin or go on, by itself; needs the running event loop that a notebook has."""
        if self.state == "running" or (self._task is not None and self.state != "paused"):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "start() needs a notebook's event loop, which a script lacks: use run() there."
            ) from None
        if self.state in ("cancelled", "done", "failed"):
            self._take_back()
        self.state = "running"
        self._task = self._task or loop.create_task(self._go())
        self._front._refresh()

    def pause(self):
        """Stop after the step in hand; `start` goes on from there."""
        self._stop("paused")

    def cancel(self):
        """Stop after the step in hand, for good: `start` begins again with the first weights."""
        self._stop("cancelled")

    def reset(self):
        """Cancel, and go back to the first weights and settings."""
        self._stop("not begun")
        self._front.reset()

    def run(self, steps=None):
        """Take `steps` steps, or all that are left, before the call returns."""
        if self.state == "running":
            raise RuntimeError("the training runs by itself already: pause() it before run().")
        if self.state in ("cancelled", "not begun"):
            self._take_back()
        self.state = "paused"
        self._some(steps=steps)
        self._settle()

    def act(self, name):
        """What the buttons ask for."""
        if name == "cancel":
            self.cancel()
        elif self.state == "running":
            self.pause()
        else:
            self.start()

    def _stop(self, state):
        if self.state == "running" or state == "not begun" or (self.state == "paused" and state == "cancelled"):
            self.state = state
        if state == "not begun" and self._task is None:
            self._take_back()
        self._front._refresh()

    def _take_back(self):
        self.trainer.reset()
        self._records, self._seconds, self._error = _Records(self.trainer), 0.0, None

    async def _go(self):
        """Steps in a thread of its own, pictures between them here; the thread ends with the loop."""
        loop = asyncio.get_running_loop()
        try:
            with ThreadPoolExecutor(1) as pool:
                while self.state == "running":
                    await loop.run_in_executor(pool, self._some)
                    if self.state == "running":
                        self._settle()
                    await asyncio.sleep(0)
        finally:
            self._task = None
        if self.state == "not begun":
            self._take_back()
        self._front._refresh()

    def _some(self, steps=None):
        """Steps for a moment, or a number of `steps`; stops between two of them when told to."""
        begun, was, limit = perf_counter(), self.state, np.inf if steps is None else steps
        try:
            while limit > 0 and self.state == was and not self.trainer.done:
                self._records.add(next(self.trainer))
                limit -= 1
                if was == "running" and perf_counter() - begun > CHUNK:
                    break
        except Exception as error:  # told in the readout: it happens in a thread that nobody listens to
            self._error = error
            if was != "running":
                raise
        finally:
            self._seconds += perf_counter() - begun

    def _settle(self):
        if self._error is not None:
            self.state = "failed"
        elif self.trainer.done:
            self.state = "done"
        self._front._refresh()

    # what the front end asks

    def compute(self, params):
        """Loss by step, and each weight's reading by column of steps.

        loss : (columns begun,) medians; value : (weights, columns), NaN where no step was taken yet; last : (weights,)
        at the last step; ends : loss of the first and the last step; turned : steps at which a setting had changed.
        """
        self.trainer.lr, self.trainer.optimizer = params["lr"], params["optimizer"]
        return self._records.arrays(params["shown"])

    def describe(self, params, arrays):
        """Say in one sentence how far the training is and what it shows."""
        step, steps = self.trainer.step, self.trainer.steps
        if self.state == "running":  # the same while it runs: a status is read aloud at each change
            return f"The training of {steps} steps runs."
        if self.state == "failed":
            return f"The training stopped at step {step}: {type(self._error).__name__}: {self._error}"
        if not len(arrays["loss"]):
            return f"A training of {steps} steps, not begun; learning rate {params['lr']:.3g}, {params['optimizer']}."
        state = "it diverged" if not np.isfinite(self.trainer.loss) else self.state
        last, (first, now) = arrays["last"], arrays["ends"]
        names, words = self.trainer.names, SHOWN[params["shown"]]
        return (
            f"Step {step} of {steps}, {state}: the loss went from {first:.2f} to {now:.2f}; "
            f"{words} is now {two_digits(last[0])} in {names[0]} and {two_digits(last[-1])} in {names[-1]}."
        )

    @property
    def note(self):
        """How fast it is."""
        speed = f", {self.trainer.step / self._seconds:.0f} steps a second" if self._seconds else ""
        return f"Measured at every step of {self.COMPUTED}{speed}."

    @property
    def status(self):
        """The buttons and the progress, see `Dials`."""
        step, steps = self.trainer.step, self.trainer.steps
        words = {"running": "Pause", "paused": "Resume", "not begun": "Start"}.get(self.state, "Start again")
        left = f", {ceil((steps - step) * self._seconds / step)} s left" if step and self.state == "running" else ""
        return {
            "actions": [["go", words, True], ["cancel", "Cancel", self.state in ("running", "paused")]],
            "progress": [step / steps, f"step {step} of {steps}{left}"],
        }

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._front, name)

    def __setattr__(self, name, value):
        if "_front" in vars(self) and name in {p.name for p in self.PARAMETERS}:
            setattr(self._front, name, value)
        else:
            object.__setattr__(self, name, value)

    def _repr_mimebundle_(self, **kwargs):
        return self._front._repr_mimebundle_(**kwargs)


class _Records:
    """What the steps told, as medians over the columns of the picture."""

    def __init__(self, trainer):
        self.every = ceil(trainer.steps / COLUMNS)
        self.columns = ceil(trainer.steps / self.every)
        self.steps, self.open, self.loss, self.ends = 0, [], [], (np.nan, np.nan)
        self.turned, self.settings = [], None
        self.grids = {name: np.full((len(trainer.names), self.columns), np.nan) for name in SHOWN}
        self.last = {name: np.full(len(trainer.names), np.nan) for name in SHOWN}

    def add(self, record):
        """Keep a record; another thread may call `arrays` meanwhile."""
        self.ends = (self.ends[0] if self.steps else record["loss"], record["loss"])
        settings = record["lr"], record["optimizer"]
        if self.settings not in (None, settings):
            self.turned = [*self.turned, record["step"]]
        self.settings = settings
        if self.steps % self.every == 0:
            self.open = []
        self.open.append(record)
        place = self.steps // self.every
        self.loss = [*self.loss[:place], float(np.median([one["loss"] for one in self.open]))]
        for name, grid in self.grids.items():
            self.last[name] = record[name]
            grid[:, place] = np.median([one[name] for one in self.open], axis=0)
        self.steps += 1

    def arrays(self, shown):
        """See `Watch.compute`."""
        readings = {"value": self.grids[shown].copy(), "last": self.last[shown].copy()}
        return readings | {"loss": np.array(self.loss), "ends": self.ends, "turned": np.array(self.turned)}


class View:
    """The figure: the loss over the steps, and below it a strip for each weight, the input at the bottom."""

    def __init__(self, trainer):
        self.steps, names = trainer.steps, trainer.names
        self.every = ceil(self.steps / COLUMNS)
        self.figure, self.frame = style.bare_figure((7.4, 4.9)), None
        self.loss = view.axes(self.figure, (0.19, 0.565, 0.68, 0.255), xlim=(0, self.steps))
        self.loss.tick_params(labelbottom=False)
        self.strip = view.axes(self.figure, (0.19, 0.105, 0.68, 0.39), sharex=self.loss)
        self.strip.grid(False)
        style.write(self.strip.set_xlabel, "training step", loc="right")
        cmap = colormaps["viridis"].with_extremes(bad=(0, 0, 0, 0))
        width = self.every * ceil(self.steps / self.every)
        self.image = self.strip.imshow(
            np.ones((len(names), 2)), norm=LogNorm(1e-4, 1), cmap=cmap, aspect="auto", interpolation="none",
            extent=(0, width, 0, len(names)), origin="lower",
        )  # fmt: skip
        self.strip.set_xlim(0, self.steps)
        rows = range(0, len(names), ceil(len(names) / NAMED))
        self.strip.set_yticks([row + 0.5 for row in rows], [_short(names[row]) for row in rows])
        self.bar = view.colour_bar(self.figure, (0.885, 0.105, 0.018, 0.39), self.image, {1e-4: "", 1: ""})
        (self.line,) = self.loss.plot([], [], color=style.COLOURS[0], linewidth=1.6, zorder=3)
        dotted = {"color": style.GREY, "linestyle": view.DOTTED, "linewidth": 1.5, "zorder": 2}
        (turned,) = self.loss.plot([], [], transform=self.loss.get_xaxis_transform(), **dotted)
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
        above = {"fontsize": 10, "color": style.TEXT} | place
        style.write(self.loss.annotate, "loss of the batch; dotted: a setting changed", (0, 1), (0, 4), **above)
        self.words = style.write(self.strip.annotate, "", (0, 1), (0, 4), **above)
        self.title, self.subtitle = view.headline(self.figure)
        self.moving = {"title": self.title, "subtitle": self.subtitle, "image": self.image, "loss": self.line}
        self.moving["turned"] = turned

    def show(self, params, arrays):
        """Move every artist to `arrays`."""
        loss, value = arrays["loss"], arrays["value"]
        known = value[np.isfinite(value) & (value > 0)]
        low, high = (floor(log10(known.min())), ceil(log10(known.max()))) if len(known) else (-4, 0)
        low, high = max(low, high - 20), max(high, low + 2)
        most = 1.08 * np.max(loss[np.isfinite(loss)], initial=1e-6) if len(loss) else 1.0
        top = view.level(most, [m * 10.0**k for k in range(-6, 9) for m in (1, 2, 3, 5)])
        frame = params["shown"], low, high, top
        if frame != self.frame:
            self.frame = frame
            self._rescale(*frame)
        self.image.set_data(np.ma.masked_invalid(np.clip(value, 10.0**low, None)))
        middles = np.minimum((np.arange(len(loss)) + 0.5) * self.every, self.steps)
        self.line.set_data(middles, np.clip(loss, None, 1e30))
        turned = np.repeat(arrays["turned"], 3).astype(float)
        turned[2::3] = np.nan
        self.moving["turned"].set_data(turned, np.tile([0, 1, np.nan], len(turned) // 3))
        self.title.set_text(
            "Loss {:.2f} at the start, {:.2f} now".format(*arrays["ends"]) if len(loss) else "Not begun"
        )
        rate = f"learning rate {params['lr']:.3g}"
        self.subtitle.set_text(f"{OPTIMIZER.options[params['optimizer']]}, {rate}, {self.steps} steps")

    def _rescale(self, shown, low, high, top):
        self.loss.set_ylim(0, top)
        self.image.norm.vmin, self.image.norm.vmax = 10.0**low, 10.0**high
        step = ceil((high - low) / 5)
        powers = range(high, low - 1, -step)
        names = ["1" if power == 0 else style.power_of_ten(10.0**power) for power in powers]
        self.bar.set_yticks([(power - low) / (high - low) for power in powers], names)
        self.words.set_text(f"{SHOWN[shown]}, rms, of each weight; the input at the bottom")


def _short(name):
    name = name.removesuffix(".weight")
    return name if len(name) <= 20 else "…" + name[-19:]


def watch(model, batches, loss_fn=nn.functional.cross_entropy, *, steps=600, lr=0.1, optimizer="sgd"):
    """A training to be watched, see `vglab.widgets.watch`."""
    trainer = Trainer(model, batches, loss_fn, steps=steps, lr=LR.check(lr), optimizer=optimizer)
    return Watch(trainer)
