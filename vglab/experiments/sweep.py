"""Measure anything over a grid of settings and seeds: one run at a time, on all cores, or on a cluster."""

import inspect
import itertools
import json
import pickle
import traceback
import warnings
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import BrokenExecutor, as_completed
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch

from .bar import telling
from .store import Store, fingerprint

SEEDS = (0, 1, 2)  # where `build` or `run` takes a seed and none is given


def sweep(build, run, *, executor=None, store=None, progress=True, **grid):
    """Call ``run(build(...))`` at every point of a grid and return a tidy table, one row or more for each run.

    Each keyword of `grid` holds the values to go through; a string, or what is no list, is one value. Both functions
    get the settings that they name as parameters, `run` after what `build` returned. ``seed`` is a setting like
    others; where a function takes one and none is given, it is 0, 1, 2.

    A run returns a number (column ``value``), a dict (a row) or a DataFrame or list of dicts (rows) of numbers and
    text. The table has the settings, then these columns, in the order of the grid, whichever run came first. Every run
    starts with torch's and numpy's random state set from its settings, so that it gives the same alone, resumed, or in
    another process; the state here is as before. Threads share that state: there a run must draw from generators of
    its own, and everywhere instead of from Python's ``random``, from which other parts of a program draw, too.

    Parameters
    ----------
    build : function
        ``build(**settings)``, such as `vglab.mlp`.
    run : function
        ``run(built, **settings)``.
    executor : concurrent.futures.Executor, optional
        Where the runs go: a process pool, Dask's ``Client.get_executor()``, an MPI pool. It gets the two functions by
        pickle, so that they must stand at the top of a module (Dask takes others, too).
    store : str or path, optional
        An SQLite file. A run is written as soon as it ends, and is not repeated by the next sweep with the same
        functions and settings: a sweep that was killed loses the runs in hand only.
    progress : bool or function
        Whether to show a bar, or ``progress(done, total, settings)``, called after each run.

    A run that raises has no row; a warning says so, and ``table.attrs["failed"]`` lists settings and error of each.
    After KeyboardInterrupt the table holds what was done, and ``table.attrs["stopped"]`` is True.

    Raises `ValueError` for a setting that neither function takes, or a store that other functions wrote, and
    whatever the first run raised if none ended well.

    >>> from vglab import mlp
    >>> count = lambda model: sum(p.numel() for p in model.parameters())
    >>> sweep(mlp, count, depth=[1, 2], width=8, seed=0, progress=False)
       depth  width  seed  value
    0      1      8     0    610
    1      2      8     0    682
    """
    points = _points(build, run, grid)
    keys = [_key(point) for point in points]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"sweep needs settings that differ; got {twice} twice: name what differs in a setting.")
    done, failed, stopped = {}, {}, False
    with Store(store, fingerprint(build, run)) if store is not None else _nowhere() as kept:
        done |= {key: kept[key] for key in keys if key in kept}
        waiting = [(key, point) for key, point in zip(keys, points, strict=True) if key not in done]
        with telling(progress, len(points), unit="run", done=len(done)) as tell:
            try:
                for key, rows, error in _results(build, run, waiting, executor):
                    if error is None:
                        done[key] = kept[key] = rows
                    else:
                        failed[key] = error
                    tell(len(done) + len(failed), key)
            except KeyboardInterrupt:
                stopped = True
    return _table(points, keys, done, failed, stopped)


def _points(build, run, grid):
    """The settings of each run, in the order of the grid."""
    takes = [_parameters(build), _parameters(run)[1:]]
    named = {name for names in takes for name in names}
    if "seed" in named:
        grid.setdefault("seed", SEEDS)
    unknown = [] if None in named else [name for name in grid if name not in named]
    if unknown:
        raise ValueError(f"sweep got {', '.join(unknown)}, which neither build nor run takes: rename it.")
    values = {name: _values(value) for name, value in grid.items()}
    if empty := [name for name, value in values.items() if not value]:
        raise ValueError(f"sweep needs a value for every setting; got none for {', '.join(empty)}.")
    return [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]


def _values(given):
    return list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping)) else [given]


def _parameters(function):
    """The names of a function's parameters; None among them stands for any, as in ``**settings``."""
    if not callable(function):
        raise TypeError(f"sweep takes two functions, build and run; got {type(function).__name__} {function!r}.")
    parameters = inspect.signature(function).parameters.values()
    return [None if p.kind is p.VAR_KEYWORD else p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]


def _key(point):
    """The settings as text: what a run is known by."""
    return json.dumps({name: _plain(value, _called) for name, value in point.items()}, sort_keys=True)


def _called(value):
    """A setting that is a function, class or module, by its name."""
    name = getattr(value, "__name__", None) or repr(value)
    if " at 0x" in name:
        raise ValueError(
            f"a setting needs a name that lasts; got {name}: give a number, a text, a function or a class."
        )
    return name


def _plain(value, other):
    """`value` as JSON has it; numpy's and torch's numbers are numbers. What JSON lacks becomes ``other(value)``."""
    if isinstance(value, np.generic) or (isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim == 0):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(each, other) for each in value]
    return other(value)


def _results(build, run, waiting, executor):
    """(key, rows, error) of each run as it ends."""
    if executor is None:
        for key, point in waiting:
            yield key, *_one(build, run, point, key)
        return
    futures = {executor.submit(_one, build, run, point, key): key for key, point in waiting}
    try:
        for future in as_completed(futures):
            try:
                rows, error = future.result()
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise TypeError(
                    f"an executor gets build and run by pickle, and that failed ({error}): define both at the top of a "
                    "module that the workers can import."
                ) from error
            except BrokenExecutor as broken:
                raise RuntimeError(
                    "a worker process ended in the middle of a run, for lack of memory perhaps, and took its pool "
                    "along: take fewer workers, and give sweep a store so that finished runs are kept."
                ) from broken
            except Exception as lost:  # of the executor's own
                rows, error = None, lost
            yield futures[future], rows, error
    finally:
        for future in futures:
            future.cancel()


def _one(build, run, point, key):
    """(rows, None) of one run, or (None, the error with its traceback in words)."""
    with _seeded(zlib.crc32(key.encode())):
        try:
            built = build(**_chosen(_parameters(build), point))
            return _rows(run(built, **_chosen(_parameters(run)[1:], point)), point), None
        except Exception as error:
            error.add_note("".join(traceback.format_exception(error)))  # which does not travel between processes
            return None, error.with_traceback(None)


def _chosen(names, point):
    return point if None in names else {name: value for name, value in point.items() if name in names}


def _rows(result, point):
    """What a run returned, as a list of dicts."""
    if isinstance(result, pd.DataFrame):
        result = result.to_dict("records")
    rows = result if isinstance(result, list) else [result if isinstance(result, Mapping) else {"value": result}]
    if twice := {str(name) for row in rows for name in row} & point.keys():
        raise ValueError(f"a run may not return {', '.join(sorted(twice))}: the table has it as a setting; rename it.")
    return [{str(name): _plain(value, _refused) for name, value in row.items()} for row in rows]


def _refused(value):
    raise TypeError(f"a run returns numbers and text, or dicts of them, or a DataFrame; got {type(value).__name__}.")


@contextmanager
def _seeded(seed):
    state = np.random.get_state()
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        try:
            torch.manual_seed(seed)
            np.random.seed(seed)
            yield
        finally:
            np.random.set_state(state)


@contextmanager
def _nowhere():
    yield {}


def _table(points, keys, done, failed, stopped):
    if failed and not done:
        raise next(iter(failed.values()))
    told = [{name: _called(value) if callable(value) else value for name, value in point.items()} for point in points]
    rows = [point | row for key, point in zip(keys, told, strict=True) for row in done.get(key, ())]
    table = pd.DataFrame(rows, columns=None if rows else list(points[0]))
    lost = [(point, failed[key]) for key, point in zip(keys, points, strict=True) if key in failed]
    table.attrs = {"failed": lost, "stopped": stopped}
    if lost:
        point, error = lost[0]
        warnings.warn(
            f"{len(lost)} of {len(points)} runs failed, the first at {point} with {type(error).__name__}: {error}. "
            "The table lacks them; its attrs['failed'] lists them.",
            stacklevel=3,
        )
    return table
