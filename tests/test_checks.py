"""Each check with the right answer, the stub, and each wrong answer that learners are known to give."""

from pathlib import Path

import pytest
import torch

from vglab import check
from vglab.check.engine import Exercise, Number, Words

CHECKS = {name: getattr(check, name) for name in check.__all__}
EXERCISES = {name: one for name, one in CHECKS.items() if isinstance(one, Exercise)}
WORDS = {name: one for name, one in CHECKS.items() if isinstance(one, Words)}


@pytest.fixture(autouse=True)
def _no_record(monkeypatch):
    monkeypatch.setenv("VGLAB_PROGRESS", "off")


def test_every_check_is_of_a_kind_tested_here():
    numbers = {name for name, one in CHECKS.items() if isinstance(one, Number)}
    assert EXERCISES.keys() | WORDS.keys() | numbers == CHECKS.keys() - {"Verdict", "prediction"}
    tests = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_checks*.py"))
    assert [name for name in numbers if f"check.{name}(" not in tests] == [], "what it measures needs tests of its own"


@pytest.mark.parametrize("name", EXERCISES)
def test_right_answer_passes(name):
    verdict = EXERCISES[name](EXERCISES[name].reference)
    assert verdict.passed
    assert verdict.message == EXERCISES[name].praise


@pytest.mark.parametrize(
    "name", [name for name, one in CHECKS.items() if callable(one) and name not in ("Verdict", "prediction")]
)
@pytest.mark.parametrize(
    "stub", [..., lambda *args: ..., lambda *args: None], ids=["...", "returns ...", "returns None"]
)
def test_stub_is_not_attempted(name, stub):
    assert CHECKS[name](stub).status == "not attempted"


@pytest.mark.parametrize(
    ("name", "k"), [(name, k) for name, one in EXERCISES.items() for k in range(len(one.mistakes))]
)
def test_known_mistake_gets_its_own_hint(name, k):
    wrong_rule, hint = EXERCISES[name].mistakes[k]
    verdict = EXERCISES[name](wrong_rule)
    assert (verdict.status, verdict.message) == ("known mistake", hint)


@pytest.mark.parametrize("name", EXERCISES)
def test_unknown_mistake_shows_the_worst_entry(name):
    reference = EXERCISES[name].reference

    def far_off(*args):
        right = reference(*args)
        return [37 * value for value in right] if isinstance(right, list) else 37.0 * right + 5

    verdict = EXERCISES[name](far_off)
    assert verdict.status == "wrong"
    assert "was wanted" in verdict.message


@pytest.mark.parametrize(("name", "k"), [(name, k) for name, one in WORDS.items() for k in range(len(one.mistakes))])
def test_known_mistake_in_words_gets_its_own_hint(name, k):
    mistake, hint = WORDS[name].mistakes[k]
    assert WORDS[name](lambda: dict(mistake)).message == hint


@pytest.mark.parametrize("name", WORDS)
def test_words_right_wrong_and_strange(name):
    one = WORDS[name]
    assert one(dict(one.wanted)).passed
    assert one({}).status == "wrong shape"
    assert one(dict.fromkeys(one.wanted, "sideways")).message.startswith("the words are ")
    same = dict.fromkeys(one.wanted, one.choices[1])
    assert one(same).status == "wrong"


@pytest.mark.parametrize(
    ("sigma_w", "status"),
    [(1.12, "passed"), (1.0, "wrong"), (1.4, "wrong"), (5 / 3, "known mistake"), (0.13, "known mistake")],
)
def test_flat_scale_measures_networks(sigma_w, status):
    assert check.flat_scale(sigma_w).status == status


def test_flat_scale_says_which_way_to_go():
    assert "try a larger one" in check.flat_scale(0.6).message
    assert "try a smaller one" in check.flat_scale(3.0).message
    assert "must be above 0" in check.flat_scale(-1).message


def test_a_probe_that_leaves_something_behind_does_not_pass():
    def leaves_gradients(model, x, y):
        from torch.nn import functional as F

        result = check.grad_profile.reference(model, x, y)
        F.cross_entropy(model(x), y).backward()
        return result

    def leaves_hooks(model, x, y):
        next(model.children()).register_forward_hook(lambda *args: None)
        return check.grad_profile.reference(model, x, y)

    assert "gradients are left" in check.grad_profile(leaves_gradients).message
    assert "hooks are still on" in check.grad_profile(leaves_hooks).message


@pytest.mark.parametrize("name", EXERCISES)
def test_a_check_leaves_the_random_state_alone(name):
    before = torch.random.get_rng_state()
    EXERCISES[name](EXERCISES[name].reference)
    check.flat_scale(1.12)
    assert torch.equal(torch.random.get_rng_state(), before)
