"""Train many small networks at once: batched matrix products instead of a loop over networks."""

import pickle
import signal
import threading
from concurrent.futures import wait
from contextlib import contextmanager

import torch

from ..bar import telling
from .chunk import batches, train, train_pickled
from .given import batch_of, check_data, check_settings, check_sizes, checked, per_model, read_model
from .result import Trained, collect
from .stack import recurrent

__all__ = ["Trained", "batches", "train_many"]


def train_many(
    models,
    x,
    y,
    *,
    loss="cross_entropy",
    optimizer=torch.optim.SGD,
    lr=0.1,
    steps=300,
    batch_size=None,
    seed=0,
    clip=None,
    precision="float32",
    loss_scale=1.0,
    every=10,
    x_test=None,
    y_test=None,
    progress=True,
    should_stop=None,
    executor=None,
    device=None,
    chunk=64,
    **settings,
):
    """Train `models` side by side on the same batches and return a `Trained`; the given models stay as they are.

    Each network learns what it would learn alone, to rounding. Networks that differ in depth only, or in weights,
    learning rate and clipping, share every matrix product. One whose loss is no longer finite is marked, keeps the
    weights it had at that step, and leaves the others alone.

    Parameters
    ----------
    models : list of nn.Module
        ``nn.Sequential`` of linear layers, activations, normalization and vglab's residual blocks, as `vglab.mlp`
        makes them; or modules with one ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU`` and an ``nn.Linear`` on its last output.
    x, y : tensors
        x: (examples, features), or (examples, time, features) for recurrent networks whatever their ``batch_first``;
        y: (examples,) class numbers, or (examples, d_out) for ``loss="mse"``.
    optimizer, **settings
        A torch optimizer's class that works entry by entry, and what it takes beside `lr`, such as ``momentum=0.9``.
    lr, clip, loss_scale : number, or one per model
        `clip` is the largest norm of a network's gradient.
    batch_size, seed
        ``None`` takes all examples at each step; otherwise `batches` of shuffled passes.
    precision : "float32", "float16" or "bfloat16"
        The half precisions are simulated: weights, signals and gradients are cast to half and back, the update is in
        full. A network's step with a gradient that is not finite is left out, and counted as ``skipped``.
    every : int
        Steps between two rows of the curves, each of the batch's loss before the update.
    progress : bool or function
        Whether to show a bar, or ``progress(done, total)``, which counts the steps of all chunks.
    should_stop : function
        Training ends early when ``should_stop()`` is true, or on an interrupt from the keyboard; what is done is kept.
    executor : concurrent.futures.Executor
        Trains the chunks, of at most `chunk` networks each; the result is the same.

    Raises `ValueError` for what cannot be trained so, naming the module or the setting.
    """
    if isinstance(models, torch.nn.Module):
        raise TypeError(f"train_many takes a list of models; got one {type(models).__name__}: put it into a list.")
    models = list(models)
    name = checked(models, loss, optimizer, precision, steps=steps, every=every, chunk=chunk)
    data = {"x": x, "y": y, "x_test": x_test, "y_test": y_test}
    check_data(data, name)
    plans = [read_model(i, model, x) for i, model in enumerate(models)]
    common = {
        "loss": name, "optimizer": optimizer.__name__, "settings": settings, "steps": steps, "seed": seed,
        "batch_size": batch_of(batch_size, len(x)), "precision": precision, "every": every,
        "device": str(x.device if device is None else device),
    }  # fmt: skip
    values = {"lr": lr, "clip": clip, "loss_scale": loss_scale}
    values = {key: per_model(key, value, len(models)) for key, value in values.items()}
    check_settings(optimizer, settings)
    for i, plan in enumerate(plans):
        check_sizes(i, plan, x, y, name)
    jobs = [_job(numbers, models, plans, values, data) | common for numbers in _groups(models, plans, chunk)]
    with telling(progress, sum(job["steps"] for job in jobs), unit="step") as tell:
        results, stopped = (_run if executor is None else _submit)(jobs, tell, should_stop, executor)
    return collect(models, plans, jobs, results, stopped)


def _groups(models, plans, chunk):
    """Numbers of the networks trained together: the deeper first, each body the beginning of the one before."""
    groups, dtypes = [], [next(model.parameters()).dtype for model in models]
    for i in sorted(range(len(plans)), key=lambda i: -len(plans[i].body)):
        body, key = plans[i].body, (plans[i].head, recurrent(plans[i]), dtypes[i])
        for longest, other, numbers in groups:
            if other == key and longest[: len(body)] == body:
                numbers.append(i)
                break
        else:
            groups.append((body, key, [i]))
    return [numbers[at : at + chunk] for *_, numbers in groups for at in range(0, len(numbers), chunk)]


def _job(numbers, models, plans, values, data):
    dtype, tensors, statistics = next(models[numbers[0]].parameters()).dtype, [], []
    for i in numbers:
        own = {**dict(models[i].named_parameters()), **dict(models[i].named_buffers())}
        tensors.append([own[name].detach().cpu() for name in plans[i].every("names")])
        statistics.append([own[name].detach().cpu() for name in plans[i].every("buffers")])
    cast = lambda t: t.to(dtype) if t.is_floating_point() else t
    job = {key: None if t is None else cast(t.detach()) for key, t in data.items()}
    job |= {key: None if v is None else v[numbers] for key, v in values.items()}
    return job | {
        "numbers": numbers,
        "plans": [plans[i] for i in numbers],
        "tensors": tensors,
        "statistics": statistics,
    }


def _run(jobs, tell, should_stop, _):
    """The chunks one after the other. Returns {chunk: result} and whether it was stopped."""
    results = {}
    with _interrupts() as interrupted:
        for number, job in enumerate(jobs):

            def after_step(done, before=number * job["steps"]):
                tell(before + done)
                if should_stop and should_stop():
                    interrupted.append("asked")
                return bool(interrupted)

            results[number] = train(job, after_step)
            if interrupted:
                break
    return results, bool(interrupted)


def _submit(jobs, tell, should_stop, executor):
    """The chunks by an executor; stopping keeps those that are finished."""
    futures = {executor.submit(train_pickled, _pickled(job)): number for number, job in enumerate(jobs)}
    waiting = set(futures)
    with _interrupts() as interrupted:
        while waiting and not interrupted:
            done, waiting = wait(waiting, timeout=0.1)
            if done:
                tell(sum(jobs[futures[f]]["steps"] for f in futures if f.done()))
            if waiting and should_stop and should_stop():
                interrupted.append("asked")
    for future in waiting:
        future.cancel()
    finished = {number: future for future, number in futures.items() if future not in waiting}
    return {number: pickle.loads(future.result()) for number, future in finished.items()}, bool(interrupted)


def _pickled(job):
    try:
        return pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"an executor needs networks that can be pickled: {error}. Name the function, or go without."
        ) from None


@contextmanager
def _interrupts():
    """A list that an interrupt from the keyboard is noted in, between two steps; a second one raises as usual."""
    noted = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number, frame):
        if noted:
            raise KeyboardInterrupt
        noted.append("interrupted")

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
