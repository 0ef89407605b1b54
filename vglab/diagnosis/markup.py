"""Pieces of a page: its look, tables, folded parts, and figures whose colours follow the page's."""

import io
import re
from html import escape

from . import words

# One look for the page and, under another name, for the notebook; the figures take their colours from it, too.
_COLOURS = {
    "text": ("#1F2937", "#E5E7EB"), "grey": ("#4B5563", "#A3ADBB"), "line": ("#D5DAE1", "#374151"),
    "paper": ("#FFFFFF", "#111827"), "soft": ("#F3F5F8", "#1B2535"),
    "blue": ("#0A4F8F", "#6FB7F2"), "red": ("#A8320A", "#FF9166"), "green": ("#0B7355", "#3FCFA3"),
    "dot": ("#12A07A", "#3FCFA3"), "amber": ("#8A5F00", "#F2C14E"),
}  # fmt: skip
_OF_FIGURES = {  # a colour of `figures.style` as it stands in an SVG: its name here
    "#1f2937": "text", "#6b7280": "grey", "#e5e7eb": "line", "#ffffff": "paper", "#0a4f8f": "blue",
    "#a8320a": "red", "#12a07a": "dot",
}  # fmt: skip
_PAGE_STYLE = """
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root { DARK } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--text); font: 1rem/1.55 Inter, system-ui, sans-serif; }
header, main, footer { max-width: 54rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.25rem; }
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2; margin: .2rem 0 .6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 42rem; overflow-wrap: anywhere; }
.small, caption, footer { color: var(--grey); font-size: .9rem; }
.healthy { color: var(--green); } .vanishing, .exploding, .dead { color: var(--red); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .2rem 0 .5rem; }
th, td { padding: .45rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; } th:first-child, td:first-child { padding-left: 0; overflow-wrap: anywhere; min-width: 9rem; }
thead th { color: var(--grey); font-size: .9rem; vertical-align: bottom; }
td.n, th.n { text-align: right; white-space: nowrap; } td.name { overflow-wrap: anywhere; }
.meaning { display: block; font-weight: 400; color: var(--grey); font-size: .92rem; }
.yes { color: var(--green); font-weight: 600; white-space: nowrap; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem; overflow-x: auto;
  font: .9rem/1.5 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; }
summary { cursor: pointer; font-weight: 600; padding: .4rem 0; }
:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
figure { margin: 1rem 0; } figcaption { color: var(--grey); font-size: .9rem; overflow-wrap: anywhere; }
svg { display: block; max-width: 100%; height: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; } dd { margin: 0; }
footer { border-top: 1px solid var(--line); margin-top: 3rem; padding-top: 1rem; padding-bottom: 2rem; }
@media (max-width: 34rem) { th, td { padding-left: .4rem; padding-right: .4rem; font-size: .92rem; }
  .scroll svg { min-width: 34rem; } }
@media print { :root { color-scheme: light; LIGHT } h2, h3 { break-after: avoid; } body { font-size: 10.5pt; }
  figure, tr, pre { break-inside: avoid; } pre { white-space: pre-wrap; } .scroll { overflow: visible; } }
"""
NOTEBOOK_STYLE = """
.vglab-diagnosis { color: inherit; max-width: 56rem; font-family: inherit; line-height: 1.45; }
.vglab-diagnosis p { margin: .3em 0; max-width: 46rem; }
.vglab-diagnosis .head { font-size: 1.15em; }
.vglab-diagnosis table { border-collapse: collapse; margin: .8em 0; background: transparent; color: inherit;
  font-size: inherit; }
.vglab-diagnosis tr { background: transparent !important; }
.vglab-diagnosis caption { text-align: left; opacity: .8; padding: .2em 0; }
.vglab-diagnosis th, .vglab-diagnosis td { text-align: left; vertical-align: top; padding: .25em .9em .25em 0;
  border: 0; border-bottom: 1px solid color-mix(in srgb, currentColor 22%, transparent); white-space: normal;
  max-width: 30rem; overflow-wrap: anywhere; }
.vglab-diagnosis .n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.vglab-diagnosis .meaning { display: block; font-weight: 400; opacity: .8; }
.vglab-diagnosis .yes { font-weight: 600; white-space: nowrap; }
.vglab-diagnosis pre { background: transparent; color: inherit; padding: .5em .8em; overflow-x: auto;
  border: 1px solid color-mix(in srgb, currentColor 22%, transparent); }
"""


def page_style():
    """The page's style sheet, light and dark, on screen and on paper."""
    light, dark = (" ".join(f"--{name}: {pair[i]};" for name, pair in _COLOURS.items()) for i in (0, 1))
    return _PAGE_STYLE.replace("LIGHT", light).replace("DARK", dark)


def text(value):
    """`value` in one line, safe to stand on a page."""
    return escape(words.one_line(value))


def number(value):
    """`value` as it stands in a table's cell."""
    return text(re.sub(r"(?<![\w.])-(?=[\d.])|(?<=\de)-(?=\d)", "−", words.number(value)))


def section(title, inside):
    name = re.sub(r"\W+", "-", title.lower())
    return f'<section aria-labelledby="{name}">\n<h2 id="{name}">{text(title)}</h2>\n{inside}\n</section>\n' * bool(
        inside
    )


def table(caption, head, rows):
    """A table whose rows are named by their first cell; its `head` is a dict from names to ``""`` or ``"n"``: numbers.

    The cells of `rows` are HTML.
    """
    of = {"": "", "n": ' class="n"'}
    top = "".join(f'<th scope="col"{of[kind]}>{text(name)}</th>' for name, kind in head.items())
    body = "".join(f"<tr>{_cells(row, [of[kind] for kind in head.values()])}</tr>\n" for row in rows)
    head = f"<caption>{text(caption)}</caption>\n<thead><tr>{top}</tr></thead>"
    return f"<table>\n{head}\n<tbody>\n{body}</tbody>\n</table>\n"


def _cells(row, kinds):
    first, *rest = (f"{kind}>{cell}" for kind, cell in zip(kinds, row, strict=True))
    return f'<th scope="row"{first}</th>' + "".join(f"<td{cell}</td>" for cell in rest)


def scroll(inside, name):
    """What may be wider than a small screen: it scrolls by itself, also by the keyboard."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{text(name)}">\n{inside}</div>\n'


def folded(title, inside):
    """A part that is closed at first."""
    return f"<details><summary>{text(title)}</summary>\n{inside}</details>\n"


def code(title, lines):
    """Lines of code under a heading, or nothing if there are none."""
    lines = lines.strip("\n") if isinstance(lines, str) else ""
    return f"<h3>{text(title)}</h3>\n<pre><code>{escape(lines)}</code></pre>\n" * bool(lines)


def figure(drawing, caption):
    """A figure with its caption."""
    return f"<figure>\n{scroll(drawing, 'the figure')}<figcaption>{text(caption)}</figcaption>\n</figure>\n"


def svg(draw, size, says):
    """An SVG to stand in a page, named `says` for those who cannot see it.

    draw : function of the axes to draw on. Its colours become those of the page, and text is drawn as outlines, so
    that it needs no font; nothing of it refers to anything outside.
    """
    from matplotlib import rc_context

    from ..figures import style

    picture, written = style.bare_figure(size), io.StringIO()
    with rc_context(style.RC):
        ax = picture.subplots()
    style.dress_ticks(ax)
    draw(ax)
    look = {"svg.fonttype": "path", "svg.hashsalt": says}  # the same page each time
    with rc_context(look):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        picture.savefig(written, format="svg", bbox_inches="tight", transparent=True, metadata=nothing)
    return _inline(written.getvalue(), says)


def _inline(source, says):
    """The <svg> of a file as it can stand in a page, its identifiers its own."""
    source = source[source.index("<svg") :]
    source = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", source, flags=re.DOTALL)
    source = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", source).replace("xlink:href", "href")
    own = f"f{sum(map(ord, says)) % 10_000}-"
    source = re.sub(r'(\bid="|href="#|url\(#)', lambda match: match[0] + own, source)
    for colour, name in _OF_FIGURES.items():
        source = re.sub(colour, f"var(--{name})", source, flags=re.IGNORECASE)
    return source.replace("<svg", f'<svg role="img" aria-label="{text(says)}"', 1).strip()
