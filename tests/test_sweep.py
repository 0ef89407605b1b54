"""`vg.sweep`: the same tidy table from one process, from many, after a kill, and from a Dask cluster."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import vglab as vg

from . import sweep_runs as runs

ROOT = Path(__file__).parents[1]
GRID = {"depth": [1, 2, 3], "act": ["tanh", "relu"], "seed": [0, 1]}


def sweep(build=runs.built, run=runs.measured, **settings):
    return vg.sweep(build, run, **{"progress": False, **GRID, **settings})


@pytest.fixture(scope="module")
def alone():
    return sweep()


@pytest.fixture
def pool():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        yield workers


def test_a_row_for_each_point_in_the_order_of_the_grid(alone):
    assert list(alone.columns) == ["depth", "act", "seed", "out", "draws"]
    assert alone.depth.tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert alone.act.tolist() == ["tanh", "tanh", "relu", "relu"] * 3
    assert alone.out.nunique() == alone.draws.nunique() == 12
    assert alone.attrs == {"failed": [], "stopped": False}


def test_each_function_gets_the_settings_that_it_names(alone):
    seen = []
    run = lambda model, scale, **rest: seen.append((scale, sorted(rest))) or scale
    assert vg.sweep(lambda depth: depth, run, depth=1, scale=[2.0, 3.0], progress=False).value.tolist() == [2.0, 3.0]
    assert seen == [(2.0, ["depth"]), (3.0, ["depth"])]
    assert not np.allclose(sweep(scale=2.0).out, alone.out)


def test_three_seeds_where_none_is_given():
    assert vg.sweep(lambda seed: seed, lambda seed: seed, progress=False).value.tolist() == [0, 1, 2]
    assert vg.sweep(lambda depth: depth, lambda depth: depth, depth=4, progress=False).columns.tolist() == [
        "depth",
        "value",
    ]


def test_settings_of_every_kind_have_names_in_the_table():
    table = vg.sweep(lambda act, n: n, lambda n: n, act=[nn.Tanh, torch.sin], n=np.arange(2), progress=False)
    assert table.act.tolist() == ["Tanh", "Tanh", "sin", "sin"]
    assert table.value.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "result",
    [
        [{"layer": "a", "g": 1.0}, {"layer": "b", "g": float("inf")}],
        pd.DataFrame({"layer": ["a", "b"], "g": np.array([1.0, np.inf], np.float32)}),
        [{"layer": "a", "g": torch.tensor(1.0)}, {"layer": "b", "g": np.float64("inf")}],
    ],
)
def test_a_run_may_return_rows(result):
    table = vg.sweep(lambda n: n, lambda _: result, n=[5, 6], progress=False)
    assert table.to_dict("list") == {"n": [5, 5, 6, 6], "layer": ["a", "b"] * 2, "g": [1.0, np.inf] * 2}


def test_random_states_here_stay_as_they_were(alone):
    def drawn():
        return torch.rand(3).tolist(), np.random.rand()

    torch.manual_seed(3), np.random.seed(3)
    expected = drawn()
    torch.manual_seed(3), np.random.seed(3)
    sweep()
    assert drawn() == expected


def test_a_run_is_the_same_whatever_ran_before_it(alone):
    part = sweep(depth=[3], act=["relu"], seed=[1])
    assert part.out.item() == alone.out.iloc[-1]
    assert part.draws.item() == alone.draws.iloc[-1]


# ---------------------------------------------------------------- what goes wrong


def test_a_run_that_fails_is_named_and_the_others_are_kept():
    with pytest.warns(
        UserWarning, match=r"4 of 12 runs failed, the first at .*'depth': 2.* ArithmeticError: a depth of"
    ):
        table = sweep(run=runs.broken_at)
    assert table.value.tolist() == [1] * 4 + [3] * 4
    failed = table.attrs["failed"]
    assert [point["depth"] for point, _ in failed] == [2] * 4
    assert "broken_at" in failed[0][1].__notes__[0]
    with pytest.raises(ArithmeticError):
        sweep(run=runs.broken_at, depth=2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sweep(width=3), r"sweep got width, which neither build nor run takes: rename it"),
        (lambda: sweep(depth=[]), r"needs a value for every setting; got none for depth"),
        (lambda: sweep(depth=[1, 1]), r"needs settings that differ; got .*\"depth\": 1.* twice"),
        (lambda: sweep(act=[object()]), r"a setting needs a name that lasts; got <object object at"),
        (lambda: sweep(run=lambda model: {"depth": 1}), r"a run may not return depth: the table has it as a setting"),
        (lambda: sweep(run=lambda model: model), r"a run returns numbers and text, .*; got Sequential"),
        (lambda: sweep(build=3), r"takes two functions, build and run; got int 3"),
    ],
)
def test_what_cannot_be_swept_is_said(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_an_interrupt_keeps_what_is_done(alone):
    def run(model, depth, act):
        if (depth, act) == (2, "relu"):
            raise KeyboardInterrupt
        return runs.measured(model)

    table = sweep(run=run)
    assert table.attrs["stopped"]
    pd.testing.assert_frame_equal(table, alone[:6])


def test_progress_is_told():
    told = []
    sweep(progress=lambda *what: told.append(what))
    assert [done for done, _, _ in told] == list(range(1, 13))
    assert told[0][1:] == (12, '{"act": "tanh", "depth": 1, "seed": 0}')


# ---------------------------------------------------------------- executors


def test_processes_and_threads_give_the_same_table(alone, pool):
    pd.testing.assert_frame_equal(sweep(executor=pool), alone)
    with ThreadPoolExecutor(2) as threads:
        pd.testing.assert_frame_equal(
            sweep(executor=threads, run=runs.broken_at, depth=1), sweep(run=runs.broken_at, depth=1)
        )


def test_functions_that_cannot_travel_are_refused_in_a_sentence(pool):
    with pytest.raises(
        TypeError, match=r"gets build and run by pickle, and that failed \(.*lambda.*\): define both at"
    ):
        sweep(run=lambda model: 1, executor=pool)


def test_a_pool_that_breaks_is_named_and_a_store_keeps_what_was_done(alone, pool, tmp_path):
    settings = {"run": runs.killed_at, "folder": str(tmp_path), "store": tmp_path / "runs.sqlite"}
    with pytest.raises(RuntimeError, match=r"a worker process ended in the middle of a run.*give sweep a store"):
        sweep(**settings, executor=pool)
    pd.testing.assert_frame_equal(sweep(**settings)[["depth", "act", "seed"]], alone[["depth", "act", "seed"]])


def test_a_dask_cluster_that_loses_a_worker_gives_the_complete_table(alone, tmp_path):
    """Two worker processes, one of which is killed by a signal while runs are under way."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers = client.run(os.getpid)

        def kill_one(done, total, settings):
            if done == 2:
                os.kill(next(iter(workers.values())), signal.SIGKILL)

        settings = {"run": runs.marked, "folder": str(tmp_path), "slow": 0.2, "progress": kill_one}
        table = sweep(**settings, executor=client.get_executor())
        now = client.run(os.getpid)
    assert set(now.values()) != set(workers.values())  # one is gone
    pd.testing.assert_frame_equal(
        table.drop(columns=["folder", "slow"])[["depth", "act", "seed"]], alone[["depth", "act", "seed"]]
    )
    pd.testing.assert_frame_equal(table, sweep(**settings | {"progress": False}))


# ---------------------------------------------------------------- a store


def ran(folder):
    return sum(len(file.read_text().splitlines()) for file in Path(folder).glob("*.txt"))


def test_a_killed_sweep_loses_the_run_in_hand_only(tmp_path):
    store = tmp_path / "runs.sqlite"
    code = f"""
import vglab as vg
from tests import sweep_runs as runs
vg.sweep(runs.built, runs.marked, folder={str(tmp_path)!r}, slow=0.3, store={str(store)!r}, progress=False, **{GRID})
"""
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 60
    while ran(tmp_path) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.kill()
    child.wait()
    before = ran(tmp_path)
    assert 3 <= before < 12
    settings = {"run": runs.marked, "folder": str(tmp_path), "slow": 0.3}
    table = sweep(**settings, store=store)
    assert 12 <= ran(tmp_path) <= 13  # at most the one in hand was made twice
    pd.testing.assert_frame_equal(table, sweep(**settings))


def test_a_store_is_read_and_added_to(alone, tmp_path):
    store = tmp_path / "runs.sqlite"
    sweep(store=store, depth=[1])
    counted = []
    pd.testing.assert_frame_equal(sweep(store=store, progress=lambda *what: counted.append(what)), alone)
    assert len(counted) == 8
    with sqlite3.connect(store) as file:
        assert file.execute("SELECT count(*) FROM runs").fetchone() == (12,)


def test_a_store_of_other_code_or_no_store_is_refused(tmp_path):
    store = tmp_path / "runs.sqlite"
    sweep(store=store)
    with pytest.raises(ValueError, match=r"runs.sqlite holds runs of another build or run, or of the same before"):
        sweep(store=store, run=runs.broken_at, depth=1)
    (tmp_path / "notes.txt").write_text("not a data base, and long enough to be looked at" * 10)
    with pytest.raises(ValueError, match=r"a store is an SQLite file that sweep wrote; .*notes.txt is not"):
        sweep(store=tmp_path / "notes.txt")


# ---------------------------------------------------------------- the page


def test_the_page_s_code_runs_as_written(tmp_path):
    page = (ROOT / "docs" / "many_runs.md").read_text("utf-8")
    functions, alone, processes, *_ = re.findall(r"^```python\n(.*?)^```", page, flags=re.M | re.S)
    (tmp_path / "decay.py").write_text(functions, "utf-8")
    (tmp_path / "one.py").write_text(f"{alone}\ntable.to_csv('one.csv')\n", "utf-8")
    imports = alone.partition("\n\n")[0]
    many = processes.replace(', store="decay.sqlite"', "").replace("Executor(8,", "Executor(2,")
    (tmp_path / "many.py").write_text(f"{imports}\n{many}        table.to_csv('many.csv')\n", "utf-8")
    for script in ("one.py", "many.py"):
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "one.csv", index_col=0)
    assert len(table) == 60
    assert table.groupby("sigma_w").ratio.median().is_monotonic_increasing
    pd.testing.assert_frame_equal(table, pd.read_csv(tmp_path / "many.csv", index_col=0))
    assert (tmp_path / "decay.sqlite").exists()


def test_the_environment_keeps_the_bar_off():
    """As for a lesson's build: a bar in a stored output would tell a time."""
    code = """
import time, vglab as vg
vg.sweep(lambda k: k, lambda k: time.sleep(0.3) or k, k=range(6))
"""

    def told(off):
        env = os.environ | {"TQDM_DISABLE": off}
        return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stderr

    assert "6" in told("")
    assert told("1") == ""
