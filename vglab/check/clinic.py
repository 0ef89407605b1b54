"""Checks of lesson 11: a diagnosis of sealed patients, and cures that change one kind of thing at most."""

from collections import Counter
from functools import cache

from ..experiments import DIAGNOSES, patient, patients
from ..experiments.patients import Patient
from .engine import _NOT_YET, Number

__all__ = ["cure", "diagnose"]

UNSEEN, PASS = 20, 17  # patients to be diagnosed, and how many must be right
READS = 0.65  # share of new digits that a cured patient must read
ADVICE = {  # what to look at, where both patients of a kind were missed
    "healthy": "ask each finding whether a healthy patient shows it, too.",
    "weak activation": "a small slope with hardly a saturated value is the activation's own.",
    "weights too small": "a gradient that vanishes past a slope near its best is a matter of the weights.",
    "weights too large": "the gradient grows towards the input.",
    "saturated": "a small slope has two causes: how many values are saturated?",
    "dead units": "what is the gradient below a layer whose units are all off?",
    "detached statistics": "behind a norm a weight's gradient must stand at a right angle to the weight.",
    "batch too small": "does the output of a digit depend on the digits that it shares its batch with?",
    "rate too high": "the network is sound at its start: train three dozen steps and look at the loss.",
    "shuffled labels": "no probe of the network shows it: do digits that look alike have the same label?",
}


class _Ward(Number):
    """A check of a function of one patient: `rounds(answer)` says (status, message), and stops at whatever raises."""

    def __init__(self, name, rounds):
        super().__init__(name, None)
        self.rounds = rounds
        self.__doc__ = f"Exercise {name}: pass your function of a patient, get a `Verdict`."

    def _judge(self, answer):
        if answer is ...:
            return _NOT_YET
        if not callable(answer):
            return (
                "error",
                f"a function of (patient) was asked for, and {type(answer).__name__} came: pass it uncalled.",
            )
        try:
            return self.rounds(answer)
        except (Exception, SystemExit) as error:
            return "error", f"your function stopped with {type(error).__name__}: {error}"


@cache
def _unseen():
    return patients(UNSEEN, seed=1100)


def _diagnoses(answer):
    said = []
    for one in _unseen():
        word = answer(one.sealed())
        if word is None or word is ...:
            return _NOT_YET
        if not isinstance(word, str) or word not in DIAGNOSES:
            return "error", f"a diagnosis is one of {', '.join(DIAGNOSES)}; got {word!r}."
        said.append((one.reveal(), word))
    return _judged(said)


def _judged(said):
    """The verdict on pairs of (true, said)."""
    missed = Counter((true, word) for true, word in said if true != word)
    right, harmed = len(said) - missed.total(), sum(n for (true, _), n in missed.items() if true == "healthy")
    score = f"{right} of {len(said)} are right"
    if right >= PASS and not harmed:
        return "passed", f"at least {PASS} of {len(said)} are right, and no healthy patient was called sick."
    if len({word for _, word in said}) == 1:
        return "known mistake", f"{score}: every patient got the same diagnosis, {said[0][1]!r}."
    if harmed and right >= PASS:
        word = next(word for true, word in missed if true == "healthy")
        return "wrong", f"{score}, but a healthy patient was called {word!r}: {ADVICE['healthy']}"
    (true, word), n = missed.most_common(1)[0]
    return "wrong", f"{score}; {n} of {true!r} were called {word!r}: {ADVICE[true]}"


diagnose = _Ward("11.1 diagnosis", _diagnoses)


@cache
def _ill():
    """A patient of each kind."""
    return [patient(1100, among=label) for label in DIAGNOSES]


def _cures(answer):
    problems = {}
    for one in _ill():
        cured = answer(one.copy())
        if cured is None or cured is ...:
            return _NOT_YET
        if not isinstance(cured, Patient):
            return "error", f"a patient was asked for, such as `patient.copy()`; got {type(cured).__name__}."
        if problem := _problem(one, cured):
            problems[one.reveal()] = problem
    if not problems:
        return "passed", f"all {len(DIAGNOSES)} patients are well, with one kind of change at most."
    label, (status, problem) = next(iter(problems.items()))
    return (
        status,
        f"{len(DIAGNOSES) - len(problems)} of {len(DIAGNOSES)} are right; the patient with {label!r}: {problem}",
    )


def _problem(one, cured):
    """(status, what is wrong with a cure), or None."""
    label, changed = one.reveal(), one.changes(cured)
    if label in ("healthy", "shuffled labels"):
        why = "nothing was wrong" if label == "healthy" else "no network can be blamed for its labels"
        return ("known mistake", f"{why}, and you changed {_listed(changed)}.") if changed else None
    if "data" in changed:
        return "known mistake", "the data were changed; the network is ill."
    if len(changed) > 1:
        return "known mistake", f"{_listed(changed)} were changed; one kind of change is enough."
    if not changed:
        return "wrong", "it came back unchanged."
    reads = cured.score(cured.train()[0])
    if reads < READS:
        return "wrong", f"with other {changed[0]} it reads {reads:.2f} of new digits; {READS} was asked for."
    return None


def _listed(words):
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


cure = _Ward("11.2 cure", _cures)
