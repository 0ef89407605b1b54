"""What watching each training step costs: vglab's probe, its peers and the least a reading can cost, side by side.

Every side trains a copy of the network of its own, so that none disturbs another. What is timed is a stretch of steps:
setting up is outside, what a side does at each step is inside. The time is the CPU time of this process, on one thread,
until the side's own threads have come to rest.
"""

import copy
import gc
import time
import warnings
from contextlib import ExitStack, contextmanager
from importlib import metadata

import torch
from torch import nn

import vglab as vg
from tests.benchmarks import peers, workloads
from tests.benchmarks.timing import measure, report, timed

ROUNDS, SECONDS = 7, 26  # of a workload: at least so many rounds, and more without the peers while the time lasts
STRETCH, FEWEST = 0.25, 4  # seconds of plain steps in a stretch, and its least number of steps
AUTO_STEPS = 20  # in a stretch of "auto", which looks at few steps and always at the first
PEER = 0.1  # seconds of a peer's stretch: it does the same at every step and is told apart easily
PLAIN, CONTROL, FLOOR = "plain step", "plain step (control)", "floor: each activation and gradient read once"
EVERY, FULL, AUTO = "vglab every=1", "vglab every=1, with optimizer", 'vglab every="auto", with optimizer'
TARGETS = {"mlp": 1.10, "resnet": 1.05, "lstm": 1.05, "transformer": 1.05}
AUTO_TARGET = 1.02


class Training:
    """A copy of a workload's network in training; `watch`, a context manager, looks on, in stretches of `steps`."""

    def __init__(self, workload, watch, steps=1, warm=True):
        self.workload, self.watch, self.steps, self.warm = workload, watch, steps, warm
        self.model = copy.deepcopy(workload.model)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)

    def watched(self):
        return self.watch(self.model, self.optimizer)

    def step(self, log):
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(self.workload.inputs), self.workload.target)
        loss.backward()
        self.optimizer.step()
        log(loss)

    def stretch(self):
        """CPU seconds of a step; `watch` looks on during the stretch only."""
        if not self.warm:
            self.step(lambda loss: None)
        with self.watched() as log:
            return self.timed(log)

    def timed(self, log):
        """CPU seconds of a step; `warm` says that a first one is not timed."""
        if self.warm:
            self.step(log)
        gc.collect()
        gc.freeze()  # what the other sides have kept is no burden on this one's garbage collection
        settle()
        start = time.process_time()
        for _ in range(self.steps):
            self.step(log)
        settle()
        return (time.process_time() - start) / self.steps


def settle():
    """Wait until no thread works any more, at most 2 s: a writer behind a queue belongs to the side that fed it."""
    before, now = -1.0, time.process_time()
    end = time.monotonic() + 2
    while now - before > 3e-4 and time.monotonic() < end:
        time.sleep(2e-3)
        before, now = now, time.process_time()


def vglab_probe(kept, every, with_optimizer=True):
    """vglab's probe as a `watch`; what each of its blocks has seen is put into the list `kept`."""

    @contextmanager
    def watch(model, optimizer):
        with vg.probe(model, optimizer=optimizer if with_optimizer else None, every=every) as seen:
            kept.append(seen)
            yield lambda loss: None

    return watch


def probes():
    torch.set_num_threads(1)
    for make in workloads.ALL:
        with ExitStack() as stack, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the peers: full backward hooks on a layer whose input has no gradient
            compare(make(), TARGETS[make.__name__], stack)
        gc.unfreeze()
    versions = [f"{name} {version(name)}" for name in peers.PACKAGES]
    print(f"\ntorch {torch.__version__}, {torch.get_num_threads()} thread; {', '.join(versions)}")


def compare(workload, target, stack):
    """Measure and print one workload; the peers stay open on `stack`."""
    steps, full, auto = steps_of(workload), [], []
    watches = {PLAIN: peers.plain, CONTROL: peers.plain, FLOOR: peers.floor}
    watches |= {EVERY: vglab_probe([], 1, False), FULL: vglab_probe(full, 1)}
    sides = {name: Training(workload, watch, steps).stretch for name, watch in watches.items()}
    sides[AUTO] = Training(workload, vglab_probe(auto, "auto"), max(steps, AUTO_STEPS), warm=False).stretch
    others, missing = start_peers(workload, stack)
    measured = measure(sides | others, ROUNDS, SECONDS, few=others)
    title = f"{workload.title}: CPU time of a step\n{len(measured[PLAIN])} rounds of {steps} steps"
    title += f" (auto {max(steps, AUTO_STEPS)} steps; peers {ROUNDS} rounds of fewer)"
    report(title, measured, {EVERY: target, FULL: target, AUTO: AUTO_TARGET})
    for name, reason in missing.items():
        print(f"{name:48}{reason}")
    describe(full[-1], auto, measured, total=len(auto) * max(steps, AUTO_STEPS))


def steps_of(workload):
    """How many steps make a stretch of the workload on this machine."""
    plain = Training(workload, peers.plain, steps=3)
    return max(FEWEST, round(STRETCH / min(plain.stretch() for _ in range(3))))


def start_peers(workload, stack):
    """The peers that run, each as a side, and for each other one the reason in a line.

    A peer is set up once, since that may take seconds, and its hooks are on its own copy. A step outside the time goes
    before each stretch of several; a stretch of a single step has none, which adds a few percent to a large ratio.
    """
    started, missing = {}, {}
    for name, watch in peers.NAMES.items():
        training = Training(workload, watch)
        with ExitStack() as own:
            try:
                log = own.enter_context(training.watched())
                cost = min(training.timed(log) for _ in range(2))
            except ImportError as error:
                missing[name] = f"not installed ({error})".replace("\n", " ")
            except Exception as error:  # whatever a peer fails by is told, and the others go on
                missing[name] = f"failed: {type(error).__name__}: {error}".split("\n")[0]
            else:
                training.steps = max(1, round(PEER / cost))
                training.warm = training.steps > 1
                started[name] = lambda training=training, log=log: training.timed(log)
                stack.enter_context(own.pop_all())
    return started, missing


def describe(full, auto, measured, total):
    """What the ratios leave out: how many steps "auto" looked at, its cost over all rounds, and reading the tables."""
    looked = sum(seen.table.step.nunique() for seen in auto)
    whole = sum(measured[AUTO]) / sum(measured[PLAIN])
    print(f'"auto" looked at {looked} of {total} steps; its ratio over all rounds together is {whole:.3f}')
    table, params = (timed(lambda name=name: getattr(full, name), time.process_time)() for name in ("table", "params"))
    rows, steps = len(full.table), full.table.step.nunique()
    print(
        f"not in the ratios: .table of {rows} rows, {steps} steps, {table * 1e3:.0f} ms; .params {params * 1e3:.0f} ms"
    )


def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
