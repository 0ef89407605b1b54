"""The verdict engine: what it says, in which order, and that nothing a learner can pass makes it raise."""

import math
import sys

import numpy as np
import pytest
import torch
from torch import nn

from vglab import progress
from vglab.check.engine import Exercise, Number, Verdict, Words, prediction


@pytest.fixture(autouse=True)
def record(tmp_path, monkeypatch):
    """The progress record of each test is its own."""
    monkeypatch.setenv("VGLAB_PROGRESS", str(tmp_path / "progress.json"))
    return progress.read


def hypotenuse(a, b):
    return (a**2 + b**2) ** 0.5


SIDES = Exercise(
    "9.1 sides",
    hypotenuse,
    [(3.0, 4.0), (1.0, 1.0), (5.0, 12.0)],
    mistakes=[(lambda a, b: a + b, "that is the way around."), (lambda a, b: a**2 + b**2, "the root is missing.")],
    praise="right, by Pythagoras.",
)
TWICE = Exercise("9.2 twice", lambda x: 2 * x, [(torch.tensor([1.0, 2.0, 3.0]),), (torch.tensor([-1.0, 0.0, 4.0]),)])
POSITIVE = Number(
    "9.3 positive",
    lambda number: None if number > 0 else f"{number:g} is not above 0.",
    mistakes=[(lambda number: number == 0, "0 is on the border.")],
)
FATES = Words(
    "9.4 fates",
    {"A": "level", "B": "explodes"},
    choices=("level", "explodes", "vanishes"),
    mistakes=[({"A": "explodes", "B": "level"}, "the other way round.")],
)


class Strange:
    """An answer that fails wherever it is touched, except in saying what it is."""

    def __float__(self):
        raise RuntimeError("no")

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no")

    def __repr__(self):
        return "<strange & new>"


def fails(*_):
    raise KeyError("a < b & c")


def recurses(*args):
    return recurses(*args)


THINGS = [
    *(None, ..., 0, 1.5, True, 10**400, float("nan"), -math.inf, 1j, "text", "0.5", b"bytes", "", [], [[]]),
    *({}, {"A": 1}, {"A": [], "B": {}}, {1: 2}, set(), object(), Strange(), [1, [2, 3]], range(3), int, Strange),
    *(np.zeros(3), np.array([1j]), np.float32(0.5), np.array(["a"]), torch.zeros(2, 3), torch.zeros(())),
    *(torch.ones(2, dtype=torch.bfloat16), torch.zeros(2).to_sparse(), torch.ones(3, requires_grad=True)),
    *(torch.zeros(2, dtype=torch.complex64), fails, recurses, lambda: ..., lambda: None, lambda: 10**400),
    *(nn.Linear(2, 2), lambda a, b, c, d: 1, [None, None], [torch.ones(2), 1]),
]
STATUSES = {"passed", "not attempted", "error", "wrong shape", "known mistake", "wrong"}


@pytest.mark.parametrize("check", [SIDES, TWICE, POSITIVE, FATES, lambda x: prediction("9.1", x, 0.5)])
@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
def test_a_check_never_raises_and_never_prints(check, thing, capfd):
    answers = [thing, lambda *_: thing, lambda *args: (*args, thing), lambda *_: [thing, thing]]
    for answer in answers:
        verdict = check(answer)
        assert isinstance(verdict, Verdict)
        assert verdict.status in STATUSES
        assert verdict.message
        assert "\n" not in verdict.message
        assert "<strange" not in verdict._repr_html_()
    assert capfd.readouterr() == ("", "")


def test_the_right_answer_passes_and_is_kept(record):
    verdict = SIDES(lambda a, b: math.hypot(a, b))
    assert (verdict.status, verdict.passed, verdict.message) == ("passed", True, "right, by Pythagoras.")
    assert record()["exercises"]["9.1"]["status"] == "passed"
    assert repr(verdict) == "✓ 9.1 sides: right, by Pythagoras."
    assert Number("9.13 any", lambda number: None, praise="well done.")(1).message == "well done."
    for number in (lambda: 2, 2, np.float64(2), torch.tensor([2.0])):
        assert POSITIVE(number).passed
    assert FATES({"B": "explodes", "A": "level"}).passed
    assert FATES(lambda: {"A": "level", "B": "explodes"}).passed
    assert record()["exercises"].keys() == {"9.1", "9.3", "9.4", "9.13"}


def test_what_is_not_right_is_not_kept(record):
    wrong = [(SIDES, fails), (SIDES, lambda a, b: 1), (POSITIVE, -1), (FATES, {"A": "level", "B": "level"})]
    for check, answer in wrong:
        assert not check(answer).passed
    assert record()["exercises"] == {}


@pytest.mark.parametrize("stub", [..., lambda a, b: ..., lambda a, b: None])
def test_not_attempted(stub):
    verdict = SIDES(stub)
    assert verdict.status == "not attempted"
    assert "not attempted yet: replace the `...`" in verdict.message
    assert repr(verdict).startswith("·")


def test_stopped_with_an_error():
    verdict = SIDES(fails)
    assert verdict.status == "error"
    assert verdict.message == "your function stopped with KeyError: 'a < b & c'"
    assert "stopped with TypeError" in SIDES(lambda a: a).message
    assert POSITIVE(fails).message == "your function stopped with KeyError: 'a < b & c'"


def test_not_a_function():
    assert SIDES(5.0).status == "error"
    assert SIDES(5.0).message == (
        "a function of (a, b) was asked for, and float 5 came: pass the function itself, uncalled."
    )
    assert "Tensor a tensor of shape (2, 6) came" in SIDES(torch.zeros(2, 6)).message
    assert "list [1, 2] came" in SIDES([1, 2]).message


def test_wrong_shape_says_both():
    verdict = TWICE(lambda x: 2 * x[:2])
    assert verdict.status == "wrong shape"
    assert verdict.message == "your answer has shape (2,), and (3,) was asked for."
    assert TWICE(lambda x: 2 * x[None]).message == "your answer has shape (1, 3), and (3,) was asked for."
    assert TWICE(lambda x: "a").message == "numbers were asked for, and your function returned str."
    assert TWICE(lambda x: [[1, 2], [3]]).status == "wrong shape"
    assert TWICE(lambda x: 1j * x).status == "wrong shape"


def test_known_mistakes_have_their_own_hint():
    assert SIDES(lambda a, b: a + b) == Verdict("9.1 sides", "known mistake", "that is the way around.")
    assert SIDES(lambda a, b: a * a + b * b).message == "the root is missing."
    assert POSITIVE(0).message == "0 is on the border."
    assert FATES({"A": "explodes", "B": "level"}).message == "the other way round."
    assert SIDES(lambda a, b: a + b if a == 3 else 7.0).status == "wrong"  # the mistake must fit every case


def test_wrong_names_the_worst_entry():
    verdict = TWICE(lambda x: 2 * x + torch.tensor([0.0, 0.2, 0.5]) * (x[0] > 0))
    assert verdict.status == "wrong"
    assert verdict.message == "for x=[1, 2, 3] your answer in entry 2 is 6.5, and 6 was wanted."
    assert SIDES(lambda a, b: 13.0).message == "for a=1, b=1 your answer is 13, and 1.41421 was wanted."
    assert "is nan, and 4 was wanted" in TWICE(lambda x: torch.where(x == 2, torch.nan, 2 * x)).message
    assert "is inf" in SIDES(lambda a, b: math.inf).message
    assert POSITIVE(-2).message == "-2 is not above 0."
    assert FATES({"A": "level", "B": "level"}).message == "1 of 2 are right."


def test_the_order_of_verdicts():
    """Stopped and not attempted come before the shape, that before a known mistake, and that before wrong."""
    seen = []

    def answer(x):
        seen.append(x)
        return ... if len(seen) == 1 else fails()

    assert TWICE(answer).status == "not attempted"  # the first case decides, before the second can stop
    assert TWICE(lambda x: fails() if x[0] == 1 else ...).status == "error"
    assert TWICE(lambda x: None if x[0] < 0 else x[:1]).status == "not attempted"
    shape_first = Exercise("9.5 x", lambda x: x, [(torch.ones(2),)], mistakes=[(lambda x: x[:1], "hint")])
    assert shape_first(lambda x: x[:1]).status == "wrong shape"


def test_tolerances():
    tight = Exercise("9.6 x", lambda x: x, [(1.0,)], rtol=1e-4, atol=0.0)
    assert tight(lambda x: 1.00009).passed
    assert not tight(lambda x: 1.00011).passed
    tiny = Exercise("9.7 x", lambda x: x, [(1e-30,)], atol=0.0)
    assert not tiny(lambda x: 0.0).passed
    assert Exercise("9.8 x", lambda x: x, [(math.nan,)])(lambda x: math.nan).passed
    infinite = Exercise("9.8 x", lambda x: torch.tensor([x, 1.0]), [(math.inf,)])
    assert infinite(lambda x: [x, 1]).passed
    assert infinite(lambda x: [x, 2]).status == infinite(lambda x: [-x, 1]).status == "wrong"


def test_a_further_property():
    def even(answer):
        return None if answer(-2.0) == answer(2.0) else "it should be even."

    square = Exercise("9.9 square", lambda x: x * x, [(1.0,), (3.0,)], extra=even)
    assert square(lambda x: x**2).passed
    assert square(lambda x: abs(x) * x) == Verdict("9.9 square", "wrong", "it should be even.")
    stopped = square(lambda x: x**2 if x > 0 else fails())
    assert stopped.status == "error"
    assert "KeyError" in stopped.message


def test_a_measurement_that_stops():
    check = Number("9.10 size", lambda number: nn.Linear(int(number), 1) and None)
    assert check(3).passed
    stopped = check(-3)
    assert stopped.status == "error"
    assert "with your answer the check stopped: RuntimeError" in stopped.message


def test_answers_that_change_their_arguments_spoil_nothing():
    def doubles_in_place(x):
        return x.mul_(2)

    assert TWICE(doubles_in_place).passed
    assert TWICE(doubles_in_place).passed
    for given in (np.ones(3), [1.0, 2.0]):
        first = Exercise("9.11 first", lambda x: x[0], [(given,)])

        def spoils(x):
            x[0] = 7
            return x[0]

        assert not first(spoils).passed
        assert first(lambda x: x[0]).passed
    zeros = Exercise("9.12 weights", lambda layer: layer.weight.std(), [(nn.Linear(3, 3),)])
    assert zeros(lambda layer: layer.weight.clone().std() + 0 * layer.weight.data.zero_().sum()).passed


def test_numbers_that_are_none():
    for answer, message in (
        (math.nan, "a finite number was asked for, and nan came."),
        (math.inf, "a finite number was asked for, and inf came."),
        ([1, 2], "one number was asked for, and list [1, 2] came."),
        ("many", "one number was asked for, and str 'many' came."),
    ):
        assert POSITIVE(answer) == Verdict("9.3 positive", "error", message)
    assert POSITIVE(...).status == POSITIVE(None).status == POSITIVE(lambda: ...).status == "not attempted"


def test_words():
    assert FATES({"A": "level"}).message == "a dict with the keys A, B was asked for, and {'A': 'level'} came."
    assert FATES({"A": "level", "B": "grows"}).message == "the words are level, explodes, vanishes; got 'grows'."
    assert FATES(["level", "explodes"]).status == "wrong shape"


def test_a_verdict_shows_itself_escaped():
    verdict = Verdict("1 <b>", "wrong", 'x < y & "z" <script>')
    html = verdict._repr_html_()
    assert "&lt;script&gt;" in html
    assert "1 &lt;b&gt;" in html
    assert "x &lt; y &amp;" in html
    assert "<script>" not in html
    assert 'role="status"' in html
    assert "✗" in html
    assert "✗" in repr(verdict)
    colours = {status: Verdict("", status, "")._repr_html_().split("solid ")[1][:7] for status in STATUSES}
    assert len(set(colours.values())) == 3
    assert len({colours["passed"], colours["not attempted"], colours["wrong"]}) == 3


def test_predictions(record):
    close = prediction("9.1", 0.25, 0.24)
    assert (close.status, close.message) == ("passed", "you said 0.25, measured 0.24: 4 % off.")
    assert record()["predictions"]["9.1"]["guess"] == 0.25
    assert record()["predictions"]["9.1"]["measured"] == 0.24
    assert prediction("9.1", 1, torch.tensor(5.0)).message == "you said 1, measured 5: off by a factor of 5."
    assert prediction("9.1", 5, 1.0).message == "you said 5, measured 1: off by a factor of 5."
    assert prediction("9.1", 0.5, 0.5).message.endswith("exactly.")
    assert prediction("9.1", -1, 1).message == "you said -1, measured 1: 2 apart."
    assert prediction("9.1", 0, 1e-9).status == "wrong"
    assert prediction("9.1", -2, -1.9).passed
    assert prediction("9.1", 1.24, 1.0).passed
    assert not prediction("9.1", 1.26, 1.0).passed
    # Vanishing gradients are small: the product of these two is 0 in float64.
    assert prediction("9.1", 1e-200, 4e-200).message == "you said 1e-200, measured 4e-200: off by a factor of 4."
    assert record()["predictions"]["9.1"]["guess"] == 1e-200
    assert prediction("9.1", ..., 0.24).status == "not attempted"
    assert prediction("9.2", "much", 0.24).message == "a prediction is one number; got str 'much'."
    assert prediction("9.2", [1, 2], 0.24).status == prediction("9.2", 10**400, 1.0).status == "error"
    assert record()["predictions"].keys() == {"9.1"}


@pytest.mark.parametrize("measured", [float("nan"), [1, 2], None, torch.tensor([])])
def test_a_measurement_that_failed_is_not_blamed_on_the_guess(measured):
    verdict = prediction("1.1", 0.5, measured)
    assert verdict.status == "error"
    assert "the measurement is not one finite number" in verdict.message


def test_an_answer_that_exits_is_stopped():
    assert "stopped with SystemExit" in SIDES(lambda *args: sys.exit(3)).message
