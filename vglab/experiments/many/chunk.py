"""Training one chunk of networks: all it needs comes in one dictionary of tensors and settings."""

import math
import pickle

import torch

from . import losses
from .stack import HALF, Stack, layouts
from .updates import Updates


def batches(n, *, size, steps, seed):
    """Yield for each step the indices of its examples: whole batches of shuffled passes, or all if `size` is None."""
    generator, left = torch.Generator().manual_seed(seed), torch.arange(0)
    for _ in range(steps):
        if size is None:
            yield slice(None)
            continue
        if len(left) < size:
            left = torch.randperm(n, generator=generator)
        yield left[:size]
        left = left[size:]


def train_pickled(payload):
    """`train` for an executor: bytes to bytes, so that no process shares memory with another."""
    return pickle.dumps(train(pickle.loads(payload)))


def train(job, after_step=lambda step: False):
    """Train the networks of a job. `after_step(steps_done)` may return True to stop; what is done is kept."""
    with torch.no_grad():
        chunk = Chunk(job)
        for step, rows in enumerate(
            batches(len(job["x"]), size=job["batch_size"], steps=job["steps"], seed=job["seed"])
        ):
            if not chunk.alive:
                break
            chunk.step(step, rows)
            if after_step(step + 1):
                break
        return chunk.end()


class Chunk:
    """Networks in training: `alive` are the numbers of those that go on, the others wait in `ended` as they were."""

    def __init__(self, job):
        self.job, self.device = job, job["device"]
        self.x, self.y = job["x"].to(self.device), job["y"].to(self.device)
        self.alive, self.ended, self.records = list(range(len(job["plans"]))), {}, []
        self.steps, self.diverged = [0] * len(self.alive), [math.nan] * len(self.alive)
        self.skipped = torch.zeros(len(self.alive), dtype=torch.long, device=self.device)
        layout, running = layouts(job["plans"])
        like = self.x.new_empty(0)
        self._stack(job["plans"], layout.flatten(job["tensors"], like), running.flatten(job["statistics"], like))

    def _stack(self, plans, flat, statistics):
        job, half = self.job, HALF[self.job["precision"]]
        lr, clip, self.scale = (self._own(job[name]) for name in ("lr", "clip", "loss_scale"))
        plain = (
            job["optimizer"] == "SGD"
            and not job["settings"]
            and clip is None
            and half is None
            and (self.scale == 1).all()
        )
        (self.layout, self.running), self.flat, self.statistics = layouts(plans), flat, statistics
        if plain:  # plain gradient descent: the weights take the gradient at once, which is multiplied by lr on the way
            self.updates, target, descent, self.scale = None, flat, (1, -1), lr
        else:
            settings = {"lr": lr, "clip": clip, "scale": self.scale, "half": half is not None}
            self.updates = Updates(flat, self.layout, job["optimizer"], job["settings"], **settings)
            target, descent = self.updates.gradient, (0, 1)
        self.stack = Stack(plans, flat, statistics, target=target, descent=descent, half=half)

    def _own(self, values):
        """The values of the networks that go on, (nets,)."""
        return None if values is None else values.to(self.device, self.x.dtype)[self.alive]

    def step(self, step, rows):
        rows = rows if isinstance(rows, slice) else rows.to(self.device)
        y, outputs = self.y[rows], self.stack.forward(self.x[rows])
        loss, gradient = losses.BY_NAME[self.job["loss"]](outputs, y)
        if step % self.job["every"] == 0:
            self._record(step, loss, outputs, y)
        gone = [] if math.isfinite(loss.sum().item()) else (~loss.isfinite()).nonzero().flatten().tolist()
        for i in gone:
            self._end(i, step)
        self.stack.backward(gradient() * self.scale.view(-1, 1, 1))
        if self.updates and (skipped := self.updates.step()) is not None:
            self.skipped[self.alive] += skipped
        for number in self.alive:
            self.steps[number] += 1
        if gone:
            self._go_on_without(gone)

    def _record(self, step, loss, outputs, y):
        values = {"loss": loss}
        if self.job["loss"] == "cross_entropy":
            values["accuracy"] = losses.accuracy(outputs, y)
        finite = loss.isfinite().tolist()
        columns = {name: v.double().tolist() for name, v in values.items()}
        for i, number in enumerate(self.alive):
            if finite[i]:
                self.records.append((number, step, *(column[i] for column in columns.values())))

    def _end(self, i, step=math.nan):
        number = self.alive[i]
        self.ended[number] = self.layout.net(self.flat, i), self.running.net(self.statistics, i)
        self.diverged[number] = step
        if not math.isnan(step):
            self.steps[number] -= 1  # the step in hand, which it does not make

    def _go_on_without(self, gone):
        keep = [i for i in range(len(self.alive)) if i not in set(gone)]
        where, running = (layout.where(keep, self.device) for layout in (self.layout, self.running))
        self.alive = [self.alive[i] for i in keep]
        if keep:
            plans, before = [self.stack.plans[i] for i in keep], self.updates
            self._stack(plans, self.flat[where], self.statistics[running])
            if before:
                before.move_to(self.updates, where)

    def end(self):
        """Everything the caller needs, as numbers and tensors of the CPU."""
        final = self._evaluate("x", "y")
        test = self._evaluate("x_test", "y_test") if self.job["x_test"] is not None else {}
        final |= {f"test_{name}": values for name, values in test.items()}
        for i in range(len(self.alive)):
            self._end(i)
        for number in self.alive:
            if not math.isfinite(final["loss"].get(number, math.nan)):
                self.diverged[number] = self.steps[number]
        nets = [[[t.cpu().numpy() for t in tensors] for tensors in self.ended[i]] for i in sorted(self.ended)]
        out = {"records": self.records, "final": final, "steps": self.steps, "diverged": self.diverged, "nets": nets}
        return out | {"skipped": self.skipped.tolist()}

    def _evaluate(self, x, y):
        """{"loss": {number: value}, ...} on all examples, with BatchNorm in its evaluation mode, piece by piece."""
        x, y, values = self.job[x].to(self.device), self.job[y].to(self.device), {}
        if not self.alive:
            return {"loss": {}}
        for piece_x, piece_y in zip(x.split(256), y.split(256), strict=True):
            outputs = self.stack.forward(piece_x, train=False)
            found = {"loss": losses.BY_NAME[self.job["loss"]](outputs, piece_y)[0].double()}
            if self.job["loss"] == "cross_entropy":
                found["accuracy"] = losses.accuracy(outputs, piece_y)
            for name, value in found.items():
                values[name] = values.get(name, 0) + value * (len(piece_y) / len(y))
        return {name: dict(zip(self.alive, value.tolist(), strict=True)) for name, value in values.items()}
