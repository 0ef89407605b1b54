"""The verdict engine: run an answer beside a reference on seeded cases and say the first thing that is wrong.

A check never raises and never prints: it returns a `Verdict` that shows itself. It speaks in this order: stopped with
an error, not attempted, wrong shape, a known wrong rule with its own hint, the worst entry with yours and wanted.
"""

import html
import inspect
import math
import re
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch

from .. import progress


@dataclass(frozen=True)
class Verdict:
    """What a check found. `status` is "passed", "not attempted", "error", "wrong shape", "known mistake" or "wrong"."""

    name: str
    status: str
    message: str

    @property
    def passed(self):
        return self.status == "passed"

    @property
    def _sign(self):
        return {"passed": "✓", "not attempted": "·"}.get(self.status, "✗")

    def __repr__(self):
        return f"{self._sign} {self.name}: {self.message}"

    def _repr_html_(self):
        colour = {"passed": "#12A07A", "not attempted": "#6B7280"}.get(self.status, "#A8320A")
        return (
            f'<div role="status" style="border-left:4px solid {colour};padding:.4em .8em;margin:.3em 0">'
            f"<b>{self._sign} {html.escape(self.name)}</b>: "
            + re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(self.message))
            + "</div>"
        )


class Exercise:
    """A check of a learner's function: called with it, returns a `Verdict`.

    Parameters
    ----------
    name : str
        Number and name, such as ``"1.1 scalar chain"``; the number is the key in the progress record.
    reference : function
        The right answer; its parameters' names are the signature asked for.
    cases : list of tuples, or of `Fresh`
        Arguments to try.
    mistakes : list of (function, hint)
        Wrong rules that learners are known to use.
    rtol, atol : float
        What counts as equal, as in `numpy.isclose`.
    extra : function or None
        A further property: takes the answer, returns a message if it fails and None if it holds.
    """

    def __init__(self, name, reference, cases, *, mistakes=(), rtol=1e-4, atol=1e-9, extra=None, praise="right."):
        self.name, self.reference, self.cases, self.mistakes = name, reference, cases, mistakes
        self.rtol, self.atol, self.extra, self.praise = rtol, atol, extra, praise
        self.__doc__ = f"Exercise {name}: pass your function, get a `Verdict`."

    def __call__(self, answer):
        return _verdict(self.name, self._judge, answer)

    def _judge(self, answer):
        if answer is ...:
            return _NOT_YET
        if not callable(answer):
            wanted = ", ".join(inspect.signature(self.reference).parameters)
            came = f"{type(answer).__name__} {_short(answer)}"
            return (
                "error",
                f"a function of ({wanted}) was asked for, and {came} came: pass the function itself, uncalled.",
            )
        results = []
        for case in self.cases:
            try:
                results.append(answer(*_copies(case)))
            except (Exception, SystemExit) as error:
                return "error", f"your function stopped with {type(error).__name__}: {error}"
            if results[-1] is None or results[-1] is ...:
                return _NOT_YET
        return self._compare(answer, results)

    def _compare(self, answer, results):
        wanted = [_numbers(self.reference(*_copies(case))) for case in self.cases]
        try:
            got = [_numbers(result) for result in results]
        except Exception:  # whatever an unknown type raises when numpy asks it for numbers
            return "wrong shape", f"numbers were asked for, and your function returned {type(results[0]).__name__}."
        for mine, theirs in zip(wanted, got, strict=True):
            if mine.shape != theirs.shape:
                return "wrong shape", f"your answer has shape {theirs.shape}, and {mine.shape} was asked for."
        if all(map(self._equal, got, wanted)):
            problem = self.extra(answer) if self.extra else None
            return ("wrong", problem) if problem else ("passed", self.praise)
        for wrong_rule, hint in self.mistakes:
            if all(self._equal(g, _numbers(wrong_rule(*_copies(c)))) for g, c in zip(got, self.cases, strict=True)):
                return "known mistake", hint
        return "wrong", self._worst(got, wanted)

    def _equal(self, got, wanted):
        return got.shape == wanted.shape and np.allclose(got, wanted, self.rtol, self.atol, equal_nan=True)

    def _worst(self, got, wanted):
        errors = [
            np.nan_to_num(np.max(np.abs(g - w) / (np.abs(w) + 1e-300), initial=0), nan=np.inf)
            for g, w in zip(got, wanted, strict=True)
        ]
        k = int(np.argmax(errors))
        error = np.nan_to_num(np.abs(got[k] - wanted[k]) / (np.abs(wanted[k]) + 1e-300), nan=np.inf)
        where = np.unravel_index(np.argmax(error), error.shape)
        entry = f" in entry {', '.join(map(str, where))}" if where else ""
        names = inspect.signature(self.reference).parameters
        given = ", ".join(f"{name}={_short(value)}" for name, value in zip(names, self.cases[k], strict=False))
        return f"for {given} your answer{entry} is {got[k][where]:.6g}, and {wanted[k][where]:.6g} was wanted."


class Number:
    """A check of a number, or of a function of nothing that returns one: `measure(number)` says what fails, or None.

    `mistakes` are (test on the number, hint) pairs tried, in order, when the measurement fails.
    """

    def __init__(self, name, measure, *, mistakes=(), praise="right."):
        self.name, self.measure, self.mistakes, self.praise = name, measure, mistakes, praise
        self.__doc__ = f"Exercise {name}: pass your number, get a `Verdict`."

    def __call__(self, answer):
        return _verdict(self.name, self._judge, answer)

    def _judge(self, answer):
        answer, problem = _value(answer)
        if problem:
            return problem
        try:
            number = _numbers(answer).item()
        except Exception:
            return "error", f"one number was asked for, and {type(answer).__name__} {_short(answer)} came."
        if not math.isfinite(number):
            return "error", f"a finite number was asked for, and {number} came."
        problem = self.measure(number)
        if problem is None:
            return "passed", self.praise
        for is_mistake, hint in self.mistakes:
            if is_mistake(number):
                return "known mistake", hint
        return "wrong", problem


class Words:
    """A check of a dict of words, or of a function of nothing that returns one, against `wanted`.

    `choices` are the words allowed, `mistakes` (dict, hint) pairs.
    """

    def __init__(self, name, wanted, *, choices, mistakes=(), praise="right."):
        self.name, self.wanted, self.choices, self.mistakes, self.praise = name, wanted, choices, mistakes, praise
        self.__doc__ = f"Exercise {name}: pass your dict of words, get a `Verdict`."

    def __call__(self, answer):
        return _verdict(self.name, self._judge, answer)

    def _judge(self, answer):
        answer, problem = _value(answer)
        if problem:
            return problem
        if not isinstance(answer, dict) or answer.keys() != self.wanted.keys():
            return (
                "wrong shape",
                f"a dict with the keys {', '.join(self.wanted)} was asked for, and {_short(answer)} came.",
            )
        if strange := [word for word in answer.values() if word not in self.choices]:
            return "error", f"the words are {', '.join(self.choices)}; got {_short(strange[0])}."
        if answer == self.wanted:
            return "passed", self.praise
        for mistake, hint in self.mistakes:
            if answer == mistake:
                return "known mistake", hint
        right = sum(answer[key] == word for key, word in self.wanted.items())
        return "wrong", f"{right} of {len(self.wanted)} are right."


def prediction(name, guess, measured):
    """Set a prediction beside the measurement, keep it in the progress record, and say by what factor it was off.

    `name` is the prediction's number, such as ``"1.1"``; `guess` the learner's number or ``...``.
    """
    title = f"Prediction {name}"
    if guess is ... or guess is None:
        return Verdict(title, "not attempted", "replace the `...` above by your number and run both cells again.")
    try:
        measured = _numbers(measured).item()
    except Exception:
        measured = math.nan
    if not math.isfinite(measured):
        return Verdict(title, "error", "the measurement is not one finite number: run the cells above again, in order.")
    try:
        guess = _numbers(guess).item()
        if not math.isfinite(guess):
            raise ValueError("not a number that can be compared")
    except Exception:
        return Verdict(title, "error", f"a prediction is one number; got {type(guess).__name__} {_short(guess)}.")
    progress.note("predictions", name, guess=guess, measured=measured)
    said = f"you said {guess:.3g}, measured {measured:.3g}: "
    if guess == measured:
        return Verdict(title, "passed", said + "exactly.")
    if guess == 0 or measured == 0 or (guess < 0) != (measured < 0):  # the product of two tiny numbers is 0
        return Verdict(title, "wrong", said + f"{abs(guess - measured):.3g} apart.")
    factor = max(guess / measured, measured / guess)
    close = f"{100 * (factor - 1):.0f} % off" if factor < 2 else f"off by a factor of {factor:.3g}"
    return Verdict(title, "passed" if factor < 1.25 else "wrong", said + close + ".")


_NOT_YET = ("not attempted", "not attempted yet: replace the `...` by your code, with a `return`, and run again.")


def _verdict(name, judge, answer):
    try:
        with np.errstate(all="ignore"):  # inf less inf, and the like: the verdict says it
            verdict = Verdict(name, *judge(answer))
    except Exception as error:  # an answer can still fail in a further property or a measurement
        verdict = Verdict(name, "error", f"with your answer the check stopped: {type(error).__name__}: {error}")
    if verdict.passed:
        progress.note("exercises", verdict.name.split()[0], status="passed")
    return verdict


def _value(answer):
    """The answer itself, called if it is a function, and a judgement if that already decides."""
    try:
        answer = answer() if callable(answer) else answer
    except (Exception, SystemExit) as error:
        return None, ("error", f"your function stopped with {type(error).__name__}: {error}")
    return answer, _NOT_YET if answer is ... or answer is None else None


def _numbers(value):
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
    if isinstance(value, (list, tuple)):
        value = [_numbers(item) for item in value]
    if np.iscomplexobj(value) or isinstance(value, (str, bytes)):
        raise TypeError("real numbers were asked for")
    return np.asarray(value, dtype=float)


class Fresh:
    """A case whose arguments are made anew for each call, where copies would not do: a model loses its gradients."""

    def __init__(self, make):
        self.make = make

    def __iter__(self):
        return iter(self.make())


def _copies(case):
    """The case for one call, so that an answer that changes its arguments spoils nothing for the next."""
    if isinstance(case, Fresh):
        return list(case)
    return [
        deepcopy(value) if isinstance(value, (torch.Tensor, torch.nn.Module, np.ndarray, list)) else value
        for value in case
    ]


def _short(value):
    if isinstance(value, torch.Tensor) and (value.numel() > 6 or value.layout != torch.strided):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, torch.Tensor) and value.ndim == 1 and value.is_floating_point():
        return "[" + ", ".join(f"{number:.4g}" for number in value.tolist()) + "]"
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    if isinstance(value, float):
        return f"{value:.4g}"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
