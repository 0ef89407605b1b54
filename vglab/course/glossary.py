"""A word of the field is explained once, in the glossary, and each lesson links to it where the word stands in bold."""

import re
from pathlib import Path

import jupytext

PAGE = "98_glossary"
_TERM = re.compile(r"^### (.+)$", re.M)
_ALSO = re.compile(r"^Also: (.+?)\.$", re.M)
_BOLD = re.compile(r"(?<![\[*])\*\*([^*\n]+(?:\n[^*\n]+)?)\*\*(?![\]*])")
_NO_PROSE = re.compile(r"(```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$)", re.S)


def terms(folder):
    """The glossary of a course as `{word in lower case: id of its cell}`; empty where `folder` has none.

    A term is a heading of the third level in ``98_glossary.py``; a line ``Also: saturated, saturates.`` below it names
    other forms of the word.
    """
    page, found = Path(folder) / f"{PAGE}.py", {}
    if not page.exists():
        return found
    for cell in jupytext.reads(page.read_text("utf-8"), fmt="py:percent").cells:
        if not (term := _TERM.search(cell.source)):
            continue
        also = _ALSO.search(cell.source)
        for word in [term[1], *(also[1].split(", ") if also else [])]:
            if word.lower() in found:
                raise ValueError(f"the glossary explains {word!r} twice; keep one of the two")
            found[word.lower()] = cell_id(cell.source)
    return found


def cell_id(source):
    """The id of a cell of the glossary: its term, a blank written `-`; None where it has no term."""
    term = _TERM.search(source)
    return term and term[1].replace(" ", "-")


def link(texts, known):
    """`texts` with the first bold place of each word in `known` made a link to the glossary.

    The link names the cell, not the heading in it: JupyterLab finds a heading only in a page that is open already.
    """
    seen = set()

    def linked(bold):
        word = " ".join(bold[1].split()).lower()
        cell = known.get(word) or known.get(word.removesuffix("s"))
        if cell is None or cell in seen:
            return bold[0]
        seen.add(cell)
        return f"[{bold[0]}]({PAGE}.ipynb#cell-id={cell})"

    return ["".join(_with_links(text, linked)) for text in texts]


def _with_links(text, linked):
    for k, part in enumerate(_NO_PROSE.split(text)):
        yield part if k % 2 else _BOLD.sub(linked, part)
