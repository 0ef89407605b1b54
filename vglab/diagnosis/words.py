"""What a diagnosis says in words: its headline, what state and cause mean and who showed it, the terminal's text."""

import textwrap
from numbers import Real

import numpy as np
import pandas as pd

# The first of two sentences to an engineer: what the state does to training.
STATE_TEXT = {
    "healthy": "The gradient arrives at the first layers at a size they can learn from.",
    "vanishing": "The gradient fades on its way back from the loss, so what comes first hardly learns.",
    "exploding": "The gradient grows on its way back from the loss, so one step can throw the weights far off.",
    "dead": "Units are stuck where their activation is flat for every example, so no gradient passes them.",
}

# The second: why, and where that was shown. Sections and equations are those of the papers as published.
CAUSE_TEXT = {
    "saturating activation": (
        "The units sit where the activation is flat, and its slope there, nearly 0, multiplies the gradient. Large "
        "biases, large weights or inputs that were not scaled push them there.",
        "Glorot & Bengio (2010), section 3; LeCun et al. (1998), sections 4.3 and 4.4",
    ),
    "activation without unit gain": (
        "The weights have the usual scale and the units are not saturated, but the activation's own slope is well "
        "below 1 wherever they are (a sigmoid's is at most 1/4), so every layer shrinks the gradient.",
        "Glorot & Bengio (2010), section 4.2, whose argument asks for a slope of 1 at 0; LeCun et al. (1998), "
        "section 4.4",
    ),
    "weights too small": (
        "A layer multiplies the gradient by about σ_w times the rms slope of its activation (weights of variance "
        "σ_w² / fan_in). That is below 1 here: ReLU needs σ_w² = 2, and torch's default has 1/3.",
        "He et al. (2015), equations 10 and 14; Schoenholz et al. (2017), equation 5",
    ),
    "weights too large": (
        "A layer multiplies the gradient by about σ_w times the rms slope of its activation (weights of variance "
        "σ_w² / fan_in). That is above 1 here, and the excess multiplies from layer to layer.",
        "He et al. (2015), equations 10 and 14; Schoenholz et al. (2017), equation 5",
    ),
    "depth": (
        "No single layer is at fault: each changes the gradient by a factor close to 1, but the product of so many "
        "factors is exponential in their number, and no skip leads around them.",
        "Schoenholz et al. (2017), section 4",
    ),
    "recurrence": (
        "The same weights act at every time step, so the gradient over time is a product of as many factors as there "
        "are steps. In an LSTM the forget gate is the leading one, and its bias sets it.",
        "Pascanu et al. (2013), equation 5; Gers et al. (2000) for the forget gate and its positive bias",
    ),
    "normalization without skips": (
        "Batch normalization sets the signal's size and not the gradient's: in a deep net without skips, at its "
        "start, the gradient grows in every layer, by about 1.21 for ReLU and large batches.",
        "Yang et al. (2019), A Mean Field Theory of Batch Normalization",
    ),
    "residual without normalization": (
        "Every block adds its branch at full size, so the signal's variance and with it the gradient grows by a "
        "constant factor per block, which is exponential in the number of blocks.",
        "Zhang et al. (2019), Fixup; De & Smith (2020)",
    ),
    "dead ReLUs": (
        "A ReLU that is off for every example has slope 0: it passes no gradient on, and its own weights get none "
        "either.",
        "Lu et al. (2019), Dying ReLU and Initialization",
    ),
    "learning rate": (
        "The network is sound at its start, and the first updates of this optimizer throw it off: a step too long "
        "for the curvature of the loss makes things worse instead of better.",
        "LeCun et al. (1998), section 5",
    ),
    "precision": (
        "float16 has no number between 0 and 2⁻²⁴ (about 6e-8), so small gradients become exactly 0. Scaling the "
        "loss up before the backward pass lifts them into range.",
        "Micikevicius et al. (2018), section 3.2",
    ),
    "normalization eps": (
        "The layer divides by √(variance + eps). Where eps is far larger than the variance it does not normalize: "
        "its output is nearly 0 and so is what follows.",
        "Ioffe & Szegedy (2015), algorithm 1",
    ),
}
_SPREAD = 4  # layers at fault; of more, none is worth being called the worst
_READINGS, _REMEDIES = 5, 8  # rows that the terminal shows; the report has them all


def headline(diagnosis):
    """The verdict in a line: ``vanishing: weights too small (confidence 0.95)``."""
    verdict = f"{diagnosis.state}: {diagnosis.cause}" if diagnosis.cause else diagnosis.state
    return f"{verdict} (confidence {diagnosis.confidence:.2f})"


def state_sentence(diagnosis):
    """What the state means; after a step too long it is the steps that matter, not the way back from the loss."""
    if diagnosis.cause == "learning rate":
        return "The network is sound at its start, and the first steps of the optimizer throw it off."
    return STATE_TEXT[diagnosis.state]


def where_sentence(diagnosis, most=3, width=36):
    """Which layers are at fault, the worst first, or ``""`` when none is named."""
    names = [f"layer {name}" if str(name).isdigit() else short(name, width) for name in diagnosis.where]
    if not names:
        return ""
    if len(names) == 1:
        return f"It happens at {names[0]}."
    if len(names) > _SPREAD:
        return f"It is spread over many layers, among them {', '.join(names[:most])}."
    rest = names[1:most]
    more = len(names) - most
    listed = ", ".join(rest) + (f" and {more} more" if more > 0 else "")
    return f"It is worst at {names[0]}, then at {listed}."


def number(value, digits=3):
    """A number as it reads in a table: few digits, a power of ten where it needs one, a dash where there is none."""
    if value is None or (isinstance(value, Real) and np.isnan(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if not isinstance(value, Real):
        return one_line(value)
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    whole = float(value).is_integer() and abs(value) < 1e6
    return f"{value:.0f}" if whole else f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e+")


def loss(value):
    """A loss as it reads in a table, to be compared with another."""
    return number(value, 4)


def one_line(value):
    """`value` as text without line breaks."""
    return " ".join(str(value).split())


def short(name, width):
    """`name` in at most `width` characters, without losing what tells ``blocks.11.linear`` from ``blocks.12.linear``.

    >>> short("encoder.layers.11.intermediate.projection", 30)
    'encod….layers.11.inter….proje…'
    """
    name = one_line(name)
    if " " in name:  # words, which say most at their start
        return name if len(name) <= width else f"{name[: width - 1]}…"
    parts = name.split(".")
    while sum(map(len, parts)) + len(parts) - 1 > width and (long := max(parts, key=_length)) and _length(long) > 3:
        parts[parts.index(long)] = long.rstrip("…")[:-1] + "…" if long.endswith("…") else long[:-2] + "…"
    name = ".".join(parts)
    half = (width - 1) // 2
    return name if len(name) <= width else f"{name[: width - 1 - half]}…{name[-half:]}"


def _length(part):
    return 0 if any(letter.isdigit() for letter in part) and len(part) < 12 else len(part)


def best_first(remedies):
    """The remedies that help before those that do not, the lowest loss first."""
    keys = {"_worse": ~remedies.helps.eq(True), "_loss": pd.to_numeric(remedies.loss_after, errors="coerce")}
    ordered = remedies.assign(**keys).sort_values([*keys], kind="stable")
    return ordered.drop(columns=[*keys]).reset_index(drop=True)


def settings_sentence(diagnosis):
    """What was judged: ``Sequential, 12,345 parameters, 30 layers; SGD, learning rate 0.1; loss 2.3; took 4.1 s``."""
    has = {key: value for key, value in diagnosis.settings.items() if value is not None}
    form = {
        "model": "{}", "parameters": "{:,} parameters", "layers": "{} layers", "optimizer": "{}",
        "lr": "learning rate {:g}", "loss": "loss {:.3g}", "seconds": "took {:.1f} s",
    }  # fmt: skip
    groups = (("model", "parameters", "layers"), ("optimizer", "lr"), ("loss",), ("seconds",))
    said = [", ".join(form[key].format(has[key]) for key in group if key in has) for group in groups]
    return "; ".join(filter(None, said))


def text(diagnosis, width=100):
    """The diagnosis for a terminal, no line longer than `width`."""
    parts = [headline(diagnosis)]
    parts += _filled(f"{state_sentence(diagnosis)} {where_sentence(diagnosis)}", width)
    if len(diagnosis.evidence):
        parts += ["", *_evidence_lines(diagnosis.evidence)]
    if len(diagnosis.remedies):
        parts += ["", *_remedy_lines(best_first(diagnosis.remedies), width)]
    notes = [line for note in diagnosis.notes for line in _filled(f"note: {one_line(note)}", width, "  ")]
    return "\n".join([*parts, *([""] if notes else []), *notes])


def _filled(words, width, indent=""):
    return textwrap.wrap(words, width, subsequent_indent=indent)


def _evidence_lines(evidence):
    rows = [[number(row.reading), number(row.value), number(row.threshold), number(row.layer)]
            for row in evidence.itertuples()]  # fmt: skip
    lines = _aligned([["measured", "value", "limit", "layer"], *rows[:_READINGS]], "<>><", (44, 10, 12, 24))
    return [*lines, *_more(rows, _READINGS)]


def _remedy_lines(remedies, width):
    head = ["", "tried on a copy", "decades before", "after", "loss without", "with"]
    rows = [["+" if row.helps else "", one_line(row.remedy), number(row.gradient_before), number(row.gradient_after),
             loss(row.loss_before), loss(row.loss_after)] for row in remedies.itertuples()]  # fmt: skip
    lines = [*_aligned([head, *rows[:_REMEDIES]], "<<>>>>", (1, 42, 14, 10, 12, 10)), *_more(rows, _REMEDIES)]
    best = remedies.iloc[0]
    if not best.helps:
        return [*lines, "  None of these helps."]
    code = str(best.code).strip().splitlines() if isinstance(best.code, str) else []
    if not code:
        return lines
    if max(map(len, code)) > width - 4:  # code that is cut or wrapped is no code
        return [*lines, "  What to write is in the column code of .remedies, and in the report of to_html or --html."]
    return [*lines, f"  For {short(one_line(best.remedy), width - 13)} write:", *(f"    {line}" for line in code)]


def _more(rows, most):
    return [f"  and {len(rows) - most} more"] if len(rows) > most else []


def _aligned(rows, sides, widest):
    """Lines of a table, indented by two, each column as wide as it needs and no wider than `widest` says."""
    rows = [[short(cell, most) for cell, most in zip(row, widest, strict=True)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(f"{cell:{side}{n}}" for cell, side, n in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]
