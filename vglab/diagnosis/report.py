"""A diagnosis as one page that needs nothing else, and as a short form for a notebook."""

from pandas.api.types import is_numeric_dtype

from . import words
from .markup import NOTEBOOK_STYLE, code, figure, folded, number, page_style, scroll, section, svg, table, text

_BESIDE = "Beside each stands the loss after a short training without and with it."


def html(diagnosis):
    """The whole report: one page without a script or an address outside, light and dark, on screen and on paper."""
    d = diagnosis
    model, verdict = d.settings.get("model", "a model"), _verdict(d)
    parts = [
        section("The gradient, layer by layer", _profile_figure(d) if len(d.profile) else ""),
        section("What the verdict rests on", scroll(_evidence(d.evidence), "the evidence") if len(d.evidence) else ""),
        section("Remedies, each tried on a copy", _remedies(d) if len(d.remedies) else ""),
        section("Notes", "".join(f"<p>{text(note)}</p>" for note in d.notes)),
        section("What was measured", _measured(d)),
    ]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(verdict)} – {text(model)}</title>
<style>{page_style()}</style>
</head>
<body>
<header>
<p class="small">Diagnosis of {text(words.settings_sentence(d) or model)}</p>
<h1><span class="{d.state}">{text(d.state.capitalize())}</span>{": " + text(d.cause) if d.cause else ""}</h1>
<p class="small">Confidence {d.confidence:.2f}</p>
</header>
<main>
{_meaning(d)}
{"".join(parts)}
</main>
<footer><p>Written by vglab.</p></footer>
</body>
</html>
"""


def notebook(diagnosis):
    """The verdict, its numbers and the remedies as a piece of a page; colours are those of where it stands."""
    d = diagnosis
    tables = [_evidence(d.evidence)] if len(d.evidence) else []
    if len(d.remedies):
        best = words.best_first(d.remedies).iloc[0]
        tables += [_remedy_table(words.best_first(d.remedies))]
        tables += [code(f"Code: {words.one_line(best.remedy)}", best.code)] if best.helps else []
    notes = "".join(f"<p>{text(note)}</p>" for note in d.notes)
    return (
        f'<div class="vglab-diagnosis"><style>{NOTEBOOK_STYLE}</style>'
        f'<p class="head"><strong>{text(words.headline(d))}</strong></p>{_meaning(d)}{"".join(tables)}{notes}</div>'
    )


# ---------------------------------------------------------------- the parts


def _verdict(d):
    return f"{d.state}: {d.cause}" if d.cause else d.state


def _meaning(d):
    """Two sentences for an engineer with their source, and where it happens."""
    why, source = words.CAUSE_TEXT.get(d.cause, ("", ""))
    said = [f"<p>{text(words.state_sentence(d))} {text(why)}</p>"]
    where = words.where_sentence(d, width=80)
    said += [f"<p>{text(where)}</p>"] if where else []
    return "".join([*said, f'<p class="small">Shown by {text(source)}.</p>' if source else ""])


def _profile_figure(d):
    from ..figures.diagnoses import diagnosis_plot, finding

    axis = d.settings.get("axis")
    says = finding(d.profile, state=d.state, axis=axis)
    known = {"where": d.where, "threshold": d.settings.get("threshold"), "axis": axis, "state": d.state}
    drawn = svg(lambda ax: diagnosis_plot(d.profile, words.best_first(d.remedies), ax=ax, **known), (7.4, 3.9), says)
    where = words.where_sentence(d, width=80)
    return figure(drawn, f"{says}. {where}".strip())


def _remedies(d):
    from ..figures.remedies import height, remedies_finding, remedies_plot

    remedies, says = words.best_first(d.remedies), remedies_finding(d.remedies)
    drawn = svg(
        lambda ax: remedies_plot(remedies, threshold=d.settings.get("threshold"), ax=ax), (7.4, height(remedies)), says
    )
    first, *others = (code(f"Code: {words.one_line(row.remedy)}", row.code) for row in remedies.itertuples())
    if not remedies.helps.iloc[0]:
        first, others = "", [first, *others]
    shown = figure(drawn, f"{says}. {_BESIDE}") + scroll(_remedy_table(remedies), "the remedies")
    return shown + first + (folded("Code of the others", "".join(others)) if any(others) else "")


def _evidence(evidence):
    rows = [
        (f'{number(row.reading)}<span class="meaning">{text(row.meaning)}</span>', number(row.value),
         number(row.threshold), number(row.layer))
        for row in evidence.itertuples()
    ]  # fmt: skip
    head = {"measured": "", "value": "n", "limit": "n", "layer": ""}
    return table("The numbers, and the limit that each is held against", head, rows)


def _remedy_table(remedies):
    head = {"remedy": "", "decades before": "n", "after": "n", "loss without": "n", "with": "n"}
    rows = [
        (
            text(row.remedy) + (' <span class="yes">✓ helps</span>' if row.helps else ""),
            *(number(value) for value in (row.gradient_before, row.gradient_after)),
            *(number(words.loss(value)) for value in (row.loss_before, row.loss_after)),
        )
        for row in remedies.itertuples()
    ]
    caption = "Decades of gradient from the last layer to the first, and the loss after the same short training"
    return table(caption, head, rows)


def _measured(d):
    names = {"lr": "learning rate", "threshold": "threshold, in decades", "axis": "along"}
    listed = "".join(f"<dt>{text(names.get(key, key))}</dt><dd>{number(v)}</dd>" for key, v in d.settings.items())
    columns = [column for column in d.profile if d.profile[column].notna().any()]
    rows = [[number(value) for value in row] for row in d.profile[columns].itertuples(index=False)]
    head = {column: "n" if is_numeric_dtype(d.profile[column]) else "" for column in columns}
    layers = table("The layers that were measured, the input first", head, rows) if rows else ""
    folded_layers = folded(f"All {len(rows)} rows of the profile", scroll(layers, "the profile")) if rows else ""
    return (f"<dl>{listed}</dl>" if listed else "") + folded_layers
