"""A training that is watched: buttons, settings in mid-run, no thread left behind, and the picture of its numbers."""

import asyncio
import json
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

import vglab as vg
from vglab.experiments import Trainer
from vglab.widgets.training_watch import View


def batches():
    digits = vg.tasks.digits()
    return [(digits.x[i : i + 32], digits.y[i : i + 32]) for i in range(0, 512, 32)]


def network():
    return vg.mlp(3, 16, act="sigmoid", sigma_w=1.0, seed=0)


@pytest.fixture(params=["stage", "plain"])
def watched(request, monkeypatch):
    monkeypatch.setenv("VGLAB_WIDGETS", request.param)
    return vg.widgets.watch(network(), batches(), steps=200, lr=0.1)


def words(watch):
    return [name for _, name, enabled in watch.status["actions"] if enabled]


async def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.005)


def test_run_shows_what_the_trainer_measures(watched):
    watched.run(30)
    records = [record for record, _ in zip(Trainer(network(), batches(), steps=200), range(30), strict=False)]
    arrays = watched.arrays
    ratios = np.array([record["update_ratio"] for record in records])
    np.testing.assert_array_equal(arrays["value"][:, :15], np.median(ratios.reshape(15, 2, -1), axis=1).T)
    assert np.isnan(arrays["value"][:, 15:]).all()
    assert arrays["ends"] == (records[0]["loss"], records[-1]["loss"])
    view = watched._front._view
    np.testing.assert_array_equal(view.line.get_ydata(), arrays["loss"])
    np.testing.assert_array_equal(view.image.get_array().filled(np.nan), arrays["value"])
    assert f"Step 30 of 200, paused: the loss went from {records[0]['loss']:.2f}" in watched._front._sentence


def test_start_pause_resume_and_the_end_leave_the_kernel_free_and_no_thread_behind(watched):
    before, ticks = threading.active_count(), []

    async def learner():
        watched.act("go")
        assert words(watched) == ["Pause", "Cancel"]
        while watched.trainer.step < 40:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.005)
        watched.act("go")
        await until(lambda: watched._task is None)
        step = watched.trainer.step
        assert words(watched) == ["Resume", "Cancel"]
        await asyncio.sleep(0.1)
        assert watched.trainer.step == step < 200
        watched.act("go")
        await until(lambda: watched.state == "done")

    asyncio.run(learner())
    assert max(np.diff(ticks)) < 0.5
    assert watched.trainer.step == 200
    assert words(watched) == ["Start again"]
    assert watched.status["progress"] == [1.0, "step 200 of 200"]
    assert threading.active_count() == before
    alone = Trainer(network(), batches(), steps=200)
    assert [record["loss"] for record in alone][-1] == watched.trainer.loss


def test_cancel_answers_within_half_a_second_and_start_begins_with_the_first_weights(watched):
    first = network().state_dict()

    async def learner():
        watched.start()
        await until(lambda: watched.trainer.step > 10)
        asked = time.monotonic()
        watched.act("cancel")
        await until(lambda: watched._task is None)
        took = time.monotonic() - asked
        assert words(watched) == ["Start again"]
        assert "cancelled" in watched._front._sentence
        watched.run(0)
        return took

    assert asyncio.run(learner()) < 0.5
    assert watched.trainer.step == 0
    assert all(torch.equal(first[name], now) for name, now in watched.trainer.model.state_dict().items())


def test_settings_are_changed_in_mid_run_and_marked(watched):
    async def learner():
        watched.start()
        await until(lambda: watched.trainer.step > 20)
        watched.lr, watched.optimizer = 0.01, "adam"
        await until(lambda: watched.state == "done")

    asyncio.run(learner())
    assert (watched.trainer.lr, watched.trainer.optimizer) == (0.01, "adam")
    (turned,) = {int(step) for step in watched.arrays["turned"][-1:]}
    assert 20 <= turned < 200
    assert turned in watched._front._view.moving["turned"].get_xdata()


def test_reset_takes_weights_and_settings_back_also_in_mid_run(watched):
    watched.run(10)
    watched.lr = 1.0
    watched.reset()
    assert (watched.lr, watched.trainer.step, watched.state) == (0.1, 0, "not begun")
    assert "not begun" in watched._front._sentence

    async def learner():
        watched.start()
        await until(lambda: watched.trainer.step > 10)
        watched.reset()
        await until(lambda: watched._task is None)

    asyncio.run(learner())
    assert (watched.trainer.step, watched.state) == (0, "not begun")
    assert not len(watched.arrays["loss"])


def test_an_error_in_the_model_is_told_and_the_thread_ends(watched):
    before = threading.active_count()
    watched.trainer.loss_fn = lambda z, y: z.no_such_thing

    async def learner():
        watched.start()
        await until(lambda: watched._task is None)

    asyncio.run(learner())
    assert watched.state == "failed"
    assert "The training stopped at step 0: AttributeError: " in watched._front._sentence
    assert threading.active_count() == before


def test_a_script_is_told_to_use_run(watched):
    with pytest.raises(RuntimeError, match=r"start\(\) needs a notebook's event loop.*use run\(\) there"):
        watched.start()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lr": 100}, r"lr must be a number from 1e-05 to 10; got 100"),
        ({"optimizer": "lion"}, "optimizer must be one of 'sgd', 'adam', 'adamw'; got 'lion'"),
        ({"steps": -1}, "steps must be a whole number of 1 or more; got -1"),
    ],
)
def test_a_bad_setting_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        vg.widgets.watch(network(), batches(), **wrong)


def test_a_bad_setting_in_mid_run_changes_nothing(watched):
    watched.run(3)
    with pytest.raises(ValueError, match="lr must be a number from 1e-05 to 10; got -1"):
        watched.lr = -1
    assert watched.trainer.lr == 0.1


def test_a_move_of_a_large_network_sends_little():
    model = nn.Sequential(*[layer for _ in range(60) for layer in (nn.Linear(64, 64), nn.Tanh())], nn.Linear(64, 10))
    watch = vg.widgets.watch(model, batches(), steps=1000)
    watch.run(30)
    assert len(json.dumps(watch._front.state)) < 16384


def test_names_and_axes_stay_readable_with_many_weights():
    model = nn.Sequential(*[layer for _ in range(60) for layer in (nn.Linear(64, 64), nn.Tanh())], nn.Linear(64, 10))
    view = View(Trainer(model, batches()))
    assert len(view.strip.get_yticks()) <= 13
