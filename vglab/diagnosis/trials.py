"""Try remedies on copies of a model, each by the same short training, and say which of them help."""

from dataclasses import dataclass, replace
from math import inf, isfinite
from statistics import median
from time import perf_counter

import pandas as pd
import torch

from .copies import OutOfTime, Step, adopt, apart, copied, seeded
from .feed import call, mapped, own_loss, split

COLUMNS = (
    *("remedy", "gradient_before", "gradient_after"),
    *("loss_start", "loss_before", "loss_after", "helps", "code"),
)
CLEARLY = 0.25  # of the remedy's progress; less may be a matter of a few steps more
VISIBLE = 0.02  # of the starting loss: who learns less than that has not learnt
SEEDS = (0, 1)  # of a remedy that draws random numbers
FACTORS = {True: (10.0, 0.1), False: (0.1, 0.01)}  # of the rate: the untreated model's chances if it is stable, if not
DECADE = 1.0  # of gradient: less is no better and no worse
FEWEST = 20  # steps that a verdict may rest on
LAST = 5  # evaluations whose median is the loss at the end
LOWER = 'for group in optimizer.param_groups:\n    group["lr"] /= 10'


@dataclass
class Outcome:
    """What came of one trial: the gradient's decades before training, the first loss and the last."""

    gradient: float
    start: float
    loss: float
    blind: float = inf  # the loss at the end, had each example got the mean output
    drew: bool = False  # whether the change drew random numbers


def tried(model, batch, loss_fn, optimizer, remedies, *, steps=60, seconds=20.0, measure, progress=None):
    """Try each remedy on a copy of `model` and return a table, best first.

    ================ ==================================================================================
    remedy           its name
    gradient_before  ``measure`` of the model as it is
    gradient_after   ``measure`` of the changed copy
    loss_start       the untreated model's loss
    loss_before      its loss after the short training
    loss_after       the changed copy's loss after the same training
    helps            whether that is clearly better, see below
    code             the lines to paste
    ================ ==================================================================================

    The training is `steps` steps on the one batch with a copy of the optimizer (its class, groups and settings, an
    empty state; parameters that the remedy adds join the first group; None stands for SGD with a rate of 0.1). The
    loss at its end is the median of the last five; inf if it ever was not finite.

    **Helps** is decided by the loss, never by the gradient alone. Progress counts from what needs no look at the
    inputs: the smallest of the two starting losses and the losses that the trained models have when every example
    gets their mean output. Of a remedy's progress at least a quarter must be beyond the untreated model's, so that a
    net which learns by itself is helped by nothing, whatever the loss's unit and zero. The progress must be 2 % of
    that loss, and the gradient may not end up farther from even than it was and than a decade. So that no remedy
    wins by what is only another learning rate, the untreated model is also trained at ten times its rate and a tenth
    (a tenth and a hundredth if it diverges), and the best of all must be beaten, rates tried as remedies included; a
    remedy that diverges at the given rate, or mends the gradient by a decade and does not help, is tried at a tenth
    of the rate, and if that helps its name and code say so. Lower rates themselves, as remedies, compare with the
    given one. A remedy that draws random numbers and helps is tried with a second seed: its row holds the worse.

    ``attrs`` of the table: ``steps`` made (fewer than asked, but at least 20, if the untreated model's first training
    takes over a tenth of `seconds`), ``untreated`` (loss after training, by factor of the rate), ``not_tried``
    (names, for lack of time), ``failed`` (name to reason: no row), ``stopped`` (by KeyboardInterrupt). Model,
    optimizer, batch and random states stay as they are; hooks that the user put on the model run on the copies, too.

    Parameters
    ----------
    measure : function
        ``measure(model, batch, loss_fn)`` returns log10 of the gradient at the first layer over that at the last.
    progress : function or None
        Called as ``progress(done, total, name)`` before each remedy.

    Raises `ValueError` as `vglab.diagnosis.feed.loss_of` does, and if the optimizer holds no parameter of the model.
    """
    check_optimizer(model, optimizer)
    trials = _Trials(model, batch, loss_fn, optimizer, steps, measure)
    failed = _uncopied(model, optimizer, remedies)
    rows, waiting, stopped = [], [] if failed else list(remedies), False
    try:
        with apart(model, batch):
            if waiting:
                trials.prepare(seconds)
            while waiting:
                remedy = waiting[0]
                if progress:
                    progress(len(remedies) - len(waiting), len(remedies), remedy.name)
                try:
                    rows.append(trials.row(remedy))
                except OutOfTime:
                    raise
                except Exception as error:
                    failed[remedy.name] = f"{type(error).__name__}: {error}"
                waiting.pop(0)
    except KeyboardInterrupt:
        stopped = True
    except OutOfTime:
        pass
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"helps": bool})
    table = table.sort_values(["helps", "loss_after"], ascending=[False, True], kind="stable", ignore_index=True)
    table.attrs = {"steps": trials.steps, "untreated": trials.untreated, "failed": failed, "stopped": stopped}
    table.attrs["not_tried"] = [remedy.name for remedy in waiting]
    return table


class _Trials:
    """The untreated model's outcomes, and how to get a remedy's."""

    def __init__(self, model, batch, loss_fn, optimizer, steps, measure):
        self.model, self.batch, self.loss_fn, self.optimizer = model, batch, loss_fn, optimizer
        self.steps, self.measure, self.untreated, self.deadline, self.level = steps, measure, {}, inf, inf

    def prepare(self, seconds):
        """Train the untreated model at each of its learning rates."""
        began = perf_counter()
        self.deadline, self.enough = began + seconds, began + seconds / 10
        with seeded(SEEDS[0], self.model, self.batch):
            model, _ = copied(self.model, self.optimizer)
            gradient = float(self.measure(model, self.fed(), self.loss_fn))
        losses = self.at(1.0)
        self.steps = len(losses) if isfinite(losses[-1]) else self.steps
        self.before = Outcome(gradient, losses[0], _end(losses))
        self.level = min(self.level, self.before.start)
        self.untreated[1.0] = self.before.loss
        for factor in FACTORS[self.before.loss <= self.before.start]:
            self.untreated[factor] = _end(self.at(factor))

    def at(self, factor):
        """The untreated model's losses at `factor` times its learning rate."""
        model, optimizer = copied(self.model, self.optimizer)
        for group in optimizer.param_groups:
            group["lr"] *= factor
        losses = self.train(model, optimizer, untreated=True)
        self.level = min(self.level, self.blind(model, self.fed()))
        return losses

    @torch.no_grad()
    def blind(self, model, batch):
        """The loss of `model` if it gave its mean output for every example; inf where there is no such thing."""
        inputs, target = split(batch)
        try:
            with seeded(SEEDS[0], model, batch):
                output = call(model, inputs)
                output = output.mean(0, keepdim=True).expand_as(output)
                loss = self.loss_fn(output) if target is None else self.loss_fn(output, target)
            return float(loss) if isfinite(loss) and len(output) > 1 else inf
        except Exception:  # an output that is no tensor, or a loss that the model computes itself
            return inf

    def row(self, remedy):
        """The remedy's row of the table."""
        before = self.before
        if factor := remedy.train.get("rate"):
            if factor not in self.untreated:
                self.untreated[factor] = _end(self.at(factor))
            outcome = replace(before, loss=self.untreated[factor])
        else:
            outcome = self.outcome(remedy, SEEDS[0])
        helps = self.helps(remedy, outcome)
        mends = abs(outcome.gradient) < abs(before.gradient) - DECADE
        if not helps and "optimizer" not in remedy.code and (mends or outcome.loss == inf):
            slower = replace(remedy, name=f"{remedy.name}, learning rate divided by 10", code=f"{remedy.code}\n{LOWER}")
            lower = self.outcome(slower, SEEDS[0])
            if helps := self.helps(slower, lower):
                remedy, outcome = slower, lower
        if helps and outcome.drew:
            again = self.outcome(remedy, SEEDS[1])
            outcome = max(outcome, again, key=lambda one: one.loss)
            helps = self.helps(remedy, again) and helps
        losses = (before.start, before.loss, outcome.loss)
        return remedy.name, before.gradient, outcome.gradient, *losses, helps, remedy.code

    def outcome(self, remedy, seed):
        with seeded(seed, self.model, self.batch):
            model, optimizer = copied(self.model, self.optimizer)
            old = {id(p) for p in model.parameters()}
            state = torch.get_rng_state()
            model = remedy.change(model, split(self.fed())[0], optimizer)
            drew = not torch.equal(state, torch.get_rng_state())
            adopt(optimizer, model, old)
            batch, loss_fn = self.fed(remedy.train.get("dtype")), self.loss_fn
            if "loss_scale" in remedy.train:
                loss_fn = _scaled(loss_fn, remedy.train["loss_scale"])
            gradient = float(self.measure(model, batch, loss_fn))
        losses = self.train(model, optimizer, **remedy.train, seed=seed)
        return Outcome(gradient, losses[0], _end(losses), self.blind(model, self.fed(remedy.train.get("dtype"))), drew)

    def helps(self, remedy, outcome):
        """The criterion of `tried`."""
        bar = self.before.loss if "rate" in remedy.train else min(self.untreated.values())
        level = min(self.level, outcome.start, outcome.blind)
        progress = level - outcome.loss
        learns = isfinite(outcome.loss) and progress > VISIBLE * abs(level) and bar - outcome.loss > CLEARLY * progress
        worse = abs(outcome.gradient) > max(abs(self.before.gradient), DECADE)
        return learns and not worse

    def fed(self, dtype=None):
        """A fresh copy of the batch, because a model may change its input in place."""
        cast = lambda t: t.to(dtype) if dtype and t.is_floating_point() else t
        return mapped(lambda t: cast(t.detach().clone()), self.batch)

    def train(self, model, optimizer, *, seed=SEEDS[0], untreated=False, **how):
        """Losses of the short training, the last inf if it diverged.

        The first untreated training ends early if it takes long, and a step that raises counts as divergence there:
        float16, for one, has no learning rate above 65504.
        """
        losses = []
        step = Step(self, model, optimizer, losses, **how)
        with seeded(seed, self.model, self.batch):
            try:
                while len(losses) < self.steps and (not losses or isfinite(losses[-1])):
                    step()
                    if not self.untreated and len(losses) >= FEWEST and perf_counter() > self.enough:
                        break
            except RuntimeError:
                if not (untreated and losses):
                    raise
                losses.append(inf)
        return losses


def _end(losses):
    return median(losses[-LAST:]) if isfinite(losses[-1]) else inf


def _scaled(loss_fn, scale):
    return lambda *given: scale * (own_loss(*given) if loss_fn is None else loss_fn(*given))


def check_optimizer(model, optimizer):
    """Raise `ValueError` if the optimizer holds no parameter of `model`."""
    held = {id(p) for group in (optimizer.param_groups if optimizer else ()) for p in group["params"]}
    if optimizer is not None and held.isdisjoint(map(id, model.parameters())):
        raise ValueError(
            f"the optimizer must hold parameters of the model that is to be tried; this {type(optimizer).__name__} "
            f"holds {len(held)} of others: make it anew from model.parameters()."
        )


def _uncopied(model, optimizer, remedies):
    """Why no remedy can be tried, for each of them, if a copy cannot be made; else nothing."""
    try:
        copied(model, optimizer)
    except Exception as error:
        return {remedy.name: f"the model cannot be copied: {type(error).__name__}: {error}" for remedy in remedies}
    return {}
