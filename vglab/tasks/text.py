"""Real English with a long dependency in it: is someone speaking?"""

import re
from functools import cache
from numbers import Integral
from pathlib import Path

import torch
from torch.nn import functional as F

from .images import Split

ALPHABET = " `',.!?;:-\"()abcdefghijklmnopqrstuvwxyz"
BEFORE, JITTER = 10, 10  # characters shown before the quotation mark; windows differ in their lag by less than JITTER
_ELISION = re.compile(r"(?<![A-Za-z])'(em|tis)\b", re.I)  # the only apostrophes in the book that open a word
_TEST_FROM = "CHAPTER X\n"  # the last three of twelve chapters


def alice():
    """Return *Alice's Adventures in Wonderland*, as printed: direct speech stands between a ` and a '.

    Source: Lewis Carroll (1865), Project Gutenberg's Millennium Fulcrum edition 2.9, in the public domain.
    """
    return Path(__file__).with_name("alice.txt").read_text("utf-8")


def quotation(lag=20, *, n_train=2000, n_test=600, seed=0, device="cpu"):
    """Return windows of *Alice in Wonderland* as a `Split`: does the last character stand inside direct speech?

    What decides is the last quotation mark, at least `lag` and less than ``lag + 10`` characters before the end. x:
    (n, lag + 20, 39) one-hot characters of `ALPHABET`, at least ten of them before the mark; ``x[:, -lag:]`` is the
    same without the mark, for what can be told from style alone. y: (n,) is 1 inside speech and 0 outside, half each.
    Windows are drawn with replacement from `seed`, the test windows from the last three chapters. `lag` is 1 to 100:
    the book has 334 stretches as long as that without a mark.
    """
    if not isinstance(lag, Integral) or isinstance(lag, bool) or not 1 <= lag <= 100:
        raise ValueError(f"lag is a number of characters and must be a whole number from 1 to 100; got {lag!r}.")
    for name, size in {"n_train": n_train, "n_test": n_test}.items():
        if not isinstance(size, Integral) or size < 2 or size % 2:
            raise ValueError(f"{name} is half speech, half not, and must be even and at least 2; got {size!r}.")
    characters, inside, since, first_test = _book()
    generator, parts, length = torch.Generator().manual_seed(seed), [], lag + BEFORE + JITTER
    window = torch.arange(-length + 1, 1)
    for low, high, size in ((length, first_test, n_train), (first_test + length, len(characters), n_test)):
        ends = torch.arange(low, high)
        ends = ends[(since[ends] >= lag) & (since[ends] < lag + JITTER)]
        of_each = [ends[inside[ends] == label] for label in (0, 1)]
        drawn = [some[torch.randint(len(some), (size // 2,), generator=generator)] for some in of_each]
        drawn = torch.cat(drawn)[torch.randperm(size, generator=generator)]
        x = F.one_hot(characters[drawn[:, None] + window], len(ALPHABET)).float()
        parts += [x.to(device), inside[drawn].to(device)]
    return Split(*parts)


@cache
def _book():
    """Every character as a number, whether it stands inside speech, how far back the last mark is; where tests begin.

    A character right after the mark has a lag of 1; the mark itself 0.
    """
    plain = [_plain(part) for part in re.split(f"(?={_TEST_FROM})", alice())]
    text, inside, since = "".join(plain), [], []
    speaking, last = 0, -(10**6)
    for i, character in enumerate(text):
        closes = character == "'" and not (text[i - 1].isalpha() and text[i + 1 : i + 2].isalpha())
        if character == "`" or closes:
            speaking, last = int(character == "`"), i
        inside.append(speaking)
        since.append(i - last)
    characters = [ALPHABET.index(character) for character in text]
    return *(torch.tensor(column) for column in (characters, inside, since)), len(plain[0])


def _plain(text):
    """Lower case, one space for any white space, and none of the few characters outside `ALPHABET`."""
    text = re.sub(r"\s+", " ", _ELISION.sub(r"\1", text)).lower()
    return "".join(character for character in text if character in ALPHABET)
