"""No number in a lesson without an experiment behind it, and every experiment gives the number that is written."""

import re
from pathlib import Path

import numpy as np
import pytest

from vglab.course import author

from .claims import EXPERIMENTS, SEEDS

ROOT = Path(__file__).parent.parent
SOURCES = author.sources(ROOT)
SETTING = "set"  # `0.01{#set}`: a number that was chosen, not measured


def texts(source):
    """The markdown of a lesson without its sources, which quote pages and years, as does the bibliography."""
    if source.stem == "99_bibliography":
        return []
    cells = [cell.source for cell in author.read_source(source).cells if cell.cell_type == "markdown"]
    return [text for text in cells if not text.startswith("## Sources")]


def written():
    """{claim: numbers as written} over all lessons."""
    found = {}
    for source in SOURCES:
        for name, number in author.claims("\n".join(texts(source))):
            if name != SETTING:
                found.setdefault(name, set()).add(value(number))
    return found


def value(number):
    return float(number.replace("−", "-").replace("%", "").replace(",", ""))


# ---------------------------------------------------------------- numbers without a claim

CODE = re.compile(r"```.*?```|`[^`]*`", re.S)
MATH = re.compile(r"\$\$.*?\$\$|\$[^$]*\$", re.S)
LINK = re.compile(r"\]\([^)]*\)")
HTML = re.compile(r"<[^>]+>")
BEFORE = r"(?i:figures?|exercise|lessons?|section|equation|chapter|issue|layers?|units?|hint|seed|page)"
AFTER = r"(?:layers?|units|digits|seeds|minutes|steps|inputs|outputs|matrices|dimensions|parameter tensors)"
HARMLESS = [
    re.compile(rf"{BEFORE}\s+\d+(?:\.\d+)?(?:\s*(?:,|and|to)\s+\d+)*"),  # Figure 1.2, layers 1, 5 and 9
    re.compile(rf"\b\d+\s+(?:\w+\s+)?{AFTER}\b"),  # 64 sigmoid units
    re.compile(r"^\| \[\d+\..*\| \d+ \|$", re.M),  # a row of the table of lessons
    re.compile(r"\b(?:19|20)\d\d\b"),  # years
    re.compile(r"(?<![\d.,])[-−]?[01](?![\d.,]*\d)"),  # 0 and 1 are not measured but meant
]
NUMBER = re.compile(r"(?<![\w{#])\d[\d.,]*(?:e-?\d+)?")


def unclaimed(text):
    """The numbers of a text that have no claim, are no setting and no plain counting."""
    text = CODE.sub(" ", text)
    text = author.CLAIM.sub(" ", text)
    text = MATH.sub(lambda math: math[0] if re.search(r"\d\.\d", math[0]) else " ", text)
    text = "\n".join(line for line in HTML.sub(" ", LINK.sub(" ", text)).split("\n") if not line.startswith("#"))
    text = re.sub(r"\*\*Time\*\* .*", " ", text)
    for harmless in HARMLESS:
        text = harmless.sub(" ", text)
    return NUMBER.findall(text)


@pytest.mark.parametrize(
    "sentence",
    [
        "The signal falls by 0.63 decades per layer.",
        "It loses 18 decades.",
        "Accuracy is 12 % after that.",
        "A factor of $\\sqrt{1/6} = 0.408$ remains.",
        "It is 1.02 at the end.",
        "The first layer gets 1e-12 of it.",
        "**What you see.** The loss stays near 2.3 for long.",
    ],
)
def test_a_measured_number_without_a_claim_is_found(sentence):
    assert unclaimed(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The signal falls by 0.63{#some-claim} decades per layer.",
        "Twenty layers of 64 sigmoid units, 3 seeds, Figure 1.2, [Glorot and Bengio (2010)](https://x.org/12.3).",
        "A slope of 1 at 0, between -1 and 1; `sigma_w = 0.58` in layer 12; $z \\sim N(0, 1)$, $64 \\times 64$.",
        "# 1. A title with 3.5 in it",
        "Weights of 0.01{#set}.",
    ],
)
def test_settings_and_claimed_numbers_pass(sentence):
    assert unclaimed(sentence) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_every_measured_number_of_a_lesson_has_a_claim(source):
    found = {number: text[:60] for text in texts(source) for number in unclaimed(text)}
    assert not found, f"numbers without a claim in {source.name}; write 0.63{{#id}}, or {{#set}} for a setting: {found}"


# ---------------------------------------------------------------- claims recomputed


def test_text_and_register_name_the_same_claims():
    registered = {name for _, tests in EXPERIMENTS.values() for name in tests}
    assert written().keys() == registered


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_experiment_gives_the_numbers_written(name):
    assert len(set(SEEDS)) >= 3
    function, tests = EXPERIMENTS[name]
    readings = [function(seed) for seed in SEEDS]
    numbers = written()
    for claim, holds in tests.items():
        median = np.median([reading[claim] for reading in readings])
        for number in numbers[claim]:
            assert holds(number, median), (
                f"{claim}: the text says {number}, the median of {len(SEEDS)} seeds is {median:.4g}"
            )
