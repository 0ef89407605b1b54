"""What a diagnosis says: in the terminal, on a page, as JSON and in its pictures."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from vglab.diagnosis import words
from vglab.diagnosis.markup import _COLOURS, _OF_FIGURES
from vglab.diagnosis.verdict import COLUMNS, Diagnosis
from vglab.figures import diagnosis_plot, remedies_plot, style
from vglab.figures.diagnoses import finding

matplotlib.use("Agg")
CAUSES = {
    *("saturating activation", "activation without unit gain", "weights too small", "weights too large", "depth"),
    *("recurrence", "normalization without skips", "residual without normalization", "dead ReLUs", "learning rate"),
    *("precision", "normalization eps"),
}
VOID = {"meta", "br", "hr", "img", "link", "input", "use", "path"}
NAN, INF = float("nan"), float("inf")
EVIL = "</pre><script>alert('x')</script>&amp;"


def profile(gradients, names=None, *, axis="depth", step=0):
    n = len(gradients)
    rest = {"kind": "Linear", "h_rms": 0.5, "slope": 0.7, "saturated": 0.1, "dead": 0.0}
    table = {"place": range(1, n + 1), "layer": names or [f"linear{i}" for i in range(1, n + 1)], **rest}
    return pd.DataFrame(table | {"grad_rms": gradients, "axis": axis, "step": step})


def remedies(*rows):
    return pd.DataFrame(rows, columns=COLUMNS["remedies"])


TRIED = remedies(
    ("clip the gradient", -8, -8, 2.31, 2.303, 2.302, False, "clip_grad_norm_(model.parameters(), 1.0)"),
    ("add skips", -8, 0.9, 2.31, 2.303, 0.688, True, "h = h + block(h)"),
    ("draw larger weights", -8, -0.12, 2.31, 2.303, 0.412, True, "for layer in layers:\n    init_(layer)"),
    ("leaky ReLU", -8, NAN, 2.31, 2.303, NAN, False, "nn.LeakyReLU(0.1)"),
)


def vanishing(**changes):
    settings = {"model": "Net", "parameters": 12345, "layers": 9, "optimizer": "SGD", "lr": 0.1, "axis": "depth"}
    evidence = pd.DataFrame(
        [("decades of gradient", -8.0, -2.0, "linear1", "The first layer gets 1e-8 of it."),
         ("sigma_w", 0.577, NAN, "linear2", "It should be 1.41.")],
        columns=COLUMNS["evidence"],
    )  # fmt: skip
    given = {
        "state": "vanishing", "cause": "weights too small", "where": ["linear2", "linear3", "linear4", "linear5"],
        "evidence": evidence, "confidence": 0.95, "remedies": TRIED, "profile": profile(10.0 ** np.arange(-8, 1)),
        "notes": ["The head was not seen."], "settings": settings | {"threshold": 2.0, "loss": 2.31, "seconds": 4.1},
    }  # fmt: skip
    return Diagnosis(**given | changes)


def hostile():
    """Every string of the user's is markup."""
    table = vanishing().evidence.assign(reading=EVIL, layer=EVIL, meaning=EVIL)
    bad = TRIED.assign(remedy=EVIL, code=EVIL)
    seen = vanishing().profile.assign(layer=EVIL, kind=EVIL)
    settings = {"model": EVIL, "optimizer": EVIL, "axis": "depth"}
    return vanishing(evidence=table, remedies=bad, profile=seen, where=[EVIL], notes=[EVIL], settings=settings)


CASES = {
    "usual": vanishing,
    "healthy": lambda: Diagnosis("healthy", profile=profile(np.ones(5))),
    "empty": lambda: Diagnosis("dead", "dead ReLUs"),
    "one layer": lambda: vanishing(state="dead", cause="saturating activation", profile=profile([1e-9])),
    "zeros": lambda: vanishing(profile=profile([0, 0, 1e-3, 1])),
    "all zero": lambda: vanishing(profile=profile([0.0, 0, 0])),
    "all nan": lambda: vanishing(profile=profile([NAN, NAN])),
    "nan and inf": lambda: vanishing(state="exploding", profile=profile([NAN, INF, 1e30, 1])),
    "last is zero": lambda: vanishing(profile=profile([1e-3, 1, 0])),
    "extreme": lambda: vanishing(profile=profile([1e-300, 1, 1e300])),
    "200 layers": lambda: vanishing(where=[f"linear{i}" for i in range(1, 150)], profile=profile(np.ones(200))),
    "long names": lambda: vanishing(where=LONG, profile=profile(np.logspace(-9, 0, 12), LONG)),
    "time": lambda: vanishing(where=["rnn"], profile=profile(np.logspace(-9, 0, 40), ["rnn"] * 40, axis="time")),
    "two steps": lambda: vanishing(profile=pd.concat([profile(np.ones(4)), profile(np.full(4, 1e5), step=5)])),
    "odd remedies": lambda: vanishing(remedies=TRIED.assign(gradient_before=-INF, gradient_after=[INF, NAN, -INF, 0])),
    "hostile": hostile,
}
LONG = [f"encoder.layers.{i}.feed_forward.intermediate_projection.linear" for i in range(12)]


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]()


# ---------------------------------------------------------------- the object


def test_what_is_not_said_is_empty():
    d = Diagnosis("healthy")
    assert (d.cause, d.where, d.notes, d.settings) == ("", [], [], {})
    assert {name: (*getattr(d, name).columns,) for name in COLUMNS} == COLUMNS
    assert Diagnosis("healthy").evidence is not d.evidence


def test_a_slip_of_the_rules_is_named():
    with pytest.raises(ValueError, match=r"state must be one of healthy, .*; got 'ill'"):
        Diagnosis("ill")
    with pytest.raises(ValueError, match=r"the table remedies needs the columns remedy, .*; helps is missing"):
        Diagnosis("healthy", remedies=TRIED.drop(columns="helps"))


# ---------------------------------------------------------------- the terminal


def test_the_terminal_reads_top_down():
    said = repr(vanishing())
    lines = said.splitlines()
    assert lines[0] == "vanishing: weights too small (confidence 0.95)"
    assert "It is worst at linear2, then at linear3, linear4 and 1 more." in " ".join(said.split())
    assert re.search(r"decades of gradient +-8 +-2 +linear1", said)
    assert re.search(r"sigma_w +0\.577 +– +linear2", said)
    places = [said.index(name) for name in ("draw larger", "add skips", "clip the", "leaky ReLU")]
    assert places == sorted(places)
    assert re.search(r"\+  draw larger weights +-8 +-0\.12 +2\.303 +0\.412$", said, flags=re.M)
    assert "    for layer in layers:\n        init_(layer)" in said
    assert lines[-1] == "note: The head was not seen."


def test_the_terminal_says_when_nothing_helps():
    assert "None of these helps." in repr(vanishing(remedies=TRIED.assign(helps=False)))
    assert "None of these helps." not in repr(vanishing())


def test_no_line_is_wider_than_the_terminal(case):
    assert max(map(len, repr(case).splitlines())) <= 100


def test_code_is_never_cut():
    long = "x = " + "1 + " * 40 + "1"
    said = repr(vanishing(remedies=TRIED.assign(code=long)))
    assert "What to write is in the column code of .remedies" in said
    assert "1 + 1" not in said


def test_a_long_name_keeps_what_tells_it_from_the_next():
    assert len({words.short(name, 36) for name in LONG}) == len(LONG)
    assert all(len(words.short(name, width)) <= width for name in (*LONG, "x" * 99) for width in (12, 36, 60))
    assert words.short("linear1", 36) == "linear1"
    assert words.short("skips around each layer, scaled by 0.26", 20) == "skips around each l…"
    assert "block12345" in words.short("features.block12345.conv", 20)


@pytest.mark.parametrize(
    ("value", "reads"),
    [
        *((NAN, "–"), (None, "–"), (INF, "inf"), (-INF, "-inf"), (0, "0"), (0.0, "0"), (2.0, "2"), (0.57735, "0.577")),
        *((1.23e-9, "1.23e-9"), (-7.912, "-7.91"), (np.float32(0.5), "0.5"), (True, "yes"), ("a\n b", "a b")),
    ],
)
def test_numbers_read_as_numbers(value, reads):
    assert words.number(value) == reads


def test_every_state_and_cause_is_explained_with_its_source():
    assert set(words.STATE_TEXT) == {"healthy", "vanishing", "exploding", "dead"}
    assert set(words.CAUSE_TEXT) == CAUSES
    for why, source in words.CAUSE_TEXT.values():
        assert why.endswith(".")
        assert re.search(r"\((19|20)\d\d\)", source)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ([], ""),
        (["act3"], "It happens at act3."),
        (["17", "3"], "It is worst at layer 17, then at layer 3."),
        (["a", "b", "c", "d"], "It is worst at a, then at b, c and 1 more."),
    ],
)
def test_where_it_happens_in_a_sentence(where, says):
    assert words.where_sentence(Diagnosis("vanishing", where=where)) == says


# ---------------------------------------------------------------- JSON


def test_json_is_strict_and_says_everything(tmp_path):
    d = vanishing(settings={"lr": np.float32(0.5), "layers": np.int64(9), "loss": INF, "model": object})
    text = d.to_json(tmp_path / "d.json")
    assert (tmp_path / "d.json").read_text("utf-8") == text + "\n"
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(read) == [*Diagnosis.__dataclass_fields__]
    assert read["evidence"][1] == {
        "reading": "sigma_w", "value": 0.577, "threshold": None, "layer": "linear2", "meaning": "It should be 1.41.",
    }  # fmt: skip
    assert read["settings"] == {"lr": 0.5, "layers": 9, "loss": None, "model": str(object)}
    assert [row["helps"] for row in read["remedies"]] == [False, True, True, False]
    assert pd.DataFrame(read["profile"]).grad_rms.tolist() == d.profile.grad_rms.tolist()


def test_json_of_every_case_can_be_read(case):
    assert json.loads(case.to_json())["state"] == case.state


# ---------------------------------------------------------------- files


def test_a_report_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("as it was")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match=r"cannot write to .*report.html: No space left on device"):
        vanishing().to_html(path)
    assert path.read_text() == "as it was"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("write", [Diagnosis.to_html, Diagnosis.to_json])
@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("", ValueError, "must not be empty: name a file"),
        (3, TypeError, "must be a string or a Path; got int"),
        ("{here}", OSError, "it is a folder; name a file in it"),
        ("{here}/no/d", OSError, "the folder .* does not exist; make it first"),
    ],
)
def test_a_path_that_cannot_be_written_is_named(tmp_path, write, path, error, says):
    path = path.format(here=tmp_path) if isinstance(path, str) else path
    with pytest.raises(error, match=says):
        write(vanishing(), path)
    assert not [*tmp_path.iterdir()]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.json").touch()
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    vanishing().to_json(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text("utf-8"))["state"] == "vanishing"


# ---------------------------------------------------------------- the page


class Page(HTMLParser):
    """A page's tags, checked for balance, with the text outside and inside of each."""

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.words, self.source = [], [], [], source
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def page(tmp_path):
    vanishing().to_html(tmp_path / "report.html")
    return Page((tmp_path / "report.html").read_text("utf-8"))


def test_the_page_says_verdict_cause_numbers_remedies_and_code(page):
    for part in (
        *("Vanishing : weights too small", "the gradient", "He et al. (2015), equations 10 and 14"),
        *("It is worst at linear2, then at linear3, linear4 and 1 more.", "The first layer gets 1e-8 of it."),
        *("draw larger weights ✓ helps −8 −0.12 2.303 0.412", "for layer in layers: init_(layer)"),
        *("All 9 rows of the profile", "The head was not seen.", "Net, 12,345 parameters, 9 layers; SGD"),
    ):
        assert part in page.text


def test_the_page_can_be_read_by_a_machine(page):
    (html,) = page.all("html")
    assert html["lang"] == "en"
    assert all(len(page.all(tag)) == 1 for tag in ("title", "main", "header", "footer", "h1"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(page.all("table")) == len(page.all("caption")) == 3
    assert all(cell.get("scope") in {"row", "col"} for cell in page.all("th"))
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    for _, attributes in page.tags:
        for key in ("aria-labelledby", "href"):
            assert attributes.get(key, "").removeprefix("#") in {"", *names}


def test_each_figure_has_its_finding_as_its_name(page):
    assert [one["aria-label"] for one in page.all("svg")] == [
        "From layer 9 back to layer 1 the gradient shrinks by a factor of 10⁸",
        "2 of 4 remedies help",
    ]
    assert all(one["role"] == "img" for one in page.all("svg"))


def test_every_page_stands_alone_and_is_whole(case, tmp_path):
    case.to_html(tmp_path / "d.html")
    page = Page((tmp_path / "d.html").read_text("utf-8"))
    assert "://" not in page.source
    assert not page.all("script") + page.all("link") + page.all("img")
    assert "nan" not in page.text.replace("nan and inf", "").lower().split()


def test_what_the_user_wrote_is_shown_and_not_obeyed(tmp_path):
    hostile().to_html(tmp_path / "d.html")
    page = Page((tmp_path / "d.html").read_text("utf-8"))
    assert "<script" not in page.source
    assert page.text.count("</pre><script>alert('x')</script>&amp;") >= 10
    assert "<script" not in hostile()._repr_html_()


def test_the_same_diagnosis_gives_the_same_page(tmp_path):
    for name in "ab":
        vanishing().to_html(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def luminance(colour):
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return sum(
        share * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
        for share, c in zip((0.2126, 0.7152, 0.0722), parts, strict=True)
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("name", "least"), [("text", 7), ("grey", 4.5), ("red", 4.5), ("green", 4.5), ("blue", 4.5), ("dot", 2.6)]
)
@pytest.mark.parametrize("ground", ["paper", "soft"])
def test_colours_can_be_told_from_the_ground(name, least, ground, dark):
    low, high = sorted(luminance(_COLOURS[key][dark]) for key in (name, ground))
    assert (high + 0.05) / (low + 0.05) >= (least if ground == "paper" or least > 3 else 2.3)


def test_figures_take_their_colours_from_the_page(page):
    drawn = page.source[page.source.index("<svg") :]
    assert set(re.findall(r"#[0-9a-f]{6}", drawn.lower())) <= {"#000000"}
    known = {style.TEXT, style.GREY, style.GRID, style.BACKGROUND, *style.COLOURS[:3]}
    assert {colour.lower() for colour in known} == set(_OF_FIGURES)


def test_the_notebook_shows_the_same_without_colours_of_its_own():
    shown = vanishing()._repr_html_()
    page = Page(shown)
    assert page.text.startswith("vanishing: weights too small (confidence 0.95)")
    assert "draw larger weights ✓ helps" in page.text
    style_ = shown[shown.index("<style>") : shown.index("</style>")]
    assert not re.search(r"#[0-9a-fA-F]{3,6}|white\b(?!-)|black|@media", style_)
    rules = re.findall(r"(?:^|})\s*([^{}]+?)\s*{", style_.removeprefix("<style>"))
    assert rules
    assert all(part.strip().startswith(".vglab-diagnosis") for rule in rules for part in rule.split(","))


def test_every_case_shows_itself_in_a_notebook(case):
    assert Page(case._repr_html_()).text.startswith(case.state)


# ---------------------------------------------------------------- the pictures


def bare():
    """Axes of a figure outside pyplot that can really be drawn: the canvas of a bare `Figure` draws nothing."""
    return FigureCanvasAgg(Figure(figsize=(7.4, 3.9))).figure.subplots()


@pytest.fixture
def ax():
    before = plt.get_fignums()
    ax = bare()
    yield ax
    ax.figure.canvas.draw()  # what can be made must also be drawable, without a warning
    assert plt.get_fignums() == before


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_the_line_is_the_gradient_relative_to_the_last_layer(ax):
    d = vanishing(profile=profile([2e-8, 2e-4, 2.0]), where=["linear2"])
    assert d.plot(ax) is ax
    measured = next(line for line in ax.lines if line.get_color() == style.COLOURS[0] and len(line.get_xdata()) == 3)
    np.testing.assert_allclose(measured.get_ydata(), [1e-8, 1e-4, 1])
    assert ax.get_yscale() == "log"
    assert "From layer 3 back to layer 1 the gradient shrinks by a factor of 10⁸" in texts(ax)
    assert "worst: linear2" in texts(ax)
    (guilty,) = (line for line in ax.lines if line.get_color() == style.COLOURS[1])
    np.testing.assert_allclose((guilty.get_xdata(), guilty.get_ydata()), ([2], [1e-4]))


def test_the_band_is_as_wide_as_the_threshold(ax):
    vanishing(settings={"threshold": 3.0}).plot(ax)
    (band,) = ax.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((1e-3, 1e3))


def test_the_best_remedy_that_helps_stands_at_the_first_layer(ax):
    vanishing().plot(ax)
    (diamond,) = (line for line in ax.lines if line.get_marker() == "D")
    assert (*diamond.get_xdata(), *diamond.get_ydata()) == pytest.approx((1, 10**-0.12))
    assert "draw larger weights" in texts(ax)
    without = bare()
    vanishing(remedies=TRIED.assign(helps=False)).plot(without)
    assert not [line for line in without.lines if line.get_marker() == "D"]


def test_what_has_no_place_on_the_scale_is_marked_at_its_edge(ax):
    vanishing(profile=profile([0, 0, NAN, INF, 1e-3, 1])).plot(ax)
    marks = {line.get_marker(): [*line.get_xdata()] for line in ax.lines if line.get_marker() in {"v", "^", "x"}}
    assert marks == {"v": [1, 2], "^": [4], "x": [3]}
    assert "exactly 0: 2 of 6" in texts(ax)
    assert "infinite: 1 of 6, not a number: 1 of 6" in texts(ax)
    assert "The gradient at layer 1 is exactly 0" in texts(ax)


@pytest.mark.parametrize(
    ("gradients", "says"),
    [
        ([1e-8, 1], "From layer 2 back to layer 1 the gradient shrinks by a factor of 10⁸"),
        ([50.0, 1], "From layer 2 back to layer 1 the gradient grows by a factor of 50"),
        ([0.8, 1], "The gradient at layer 1 is 0.8 of that at layer 2"),
        ([0, 0], "No gradient arrives anywhere: it is exactly 0 in every layer"),
        ([INF, 1], "The gradient at layer 1 is infinite"),
        ([NAN, 1], "The gradient at layer 1 is not a number"),
        ([1], "Vanishing: only one layer could be measured"),
        ([], "No gradient was measured"),
    ],
)
def test_the_finding_in_words(gradients, says):
    assert finding(profile(gradients), state="vanishing") == says


def test_two_steps_are_relative_to_the_first(ax):
    CASES["two steps"]().plot(ax)
    after = next(line for line in ax.lines if line.get_color() == style.COLOURS[0] and len(line.get_xdata()) == 4)
    np.testing.assert_allclose(after.get_ydata(), 1e5)
    assert {"at the start", "after step 5"} <= set(texts(ax))
    assert "Within 5 steps of training the gradient grows by a factor of 10⁵" in texts(ax)


def test_of_two_axes_the_one_that_was_judged_is_drawn(ax):
    both = pd.concat([profile([1.0, 1.0]), profile(np.logspace(-4, 0, 5), ["rnn"] * 5, axis="time")])
    diagnosis_plot(both, state="vanishing", axis="time", ax=ax)
    assert ax.get_xlabel() == "time step"
    assert "From step 5 back to step 1 the gradient shrinks by a factor of 10⁴" in texts(ax)


def test_every_case_can_be_drawn(case, ax):
    case.plot(ax)
    remedies_plot(words.best_first(case.remedies), ax=bare()).figure.canvas.draw()


@pytest.mark.parametrize("name", ["usual", "long names", "200 layers", "zeros"])
def test_no_two_texts_overlap(name, ax):
    CASES[name]().plot(ax)
    ax.figure.canvas.draw()
    ticks = [*ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label]
    shown = [text for text in (*ax.texts, *ticks) if text.get_text() and text.get_visible()]
    boxes = [Text.get_window_extent(text).padded(-1) for text in shown]  # without an annotation's arrow
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


@pytest.mark.parametrize("name", ["usual", "long names", "zeros", "time"])
def test_the_name_of_the_worst_layer_covers_no_point(name, ax):
    d = CASES[name]()
    d.plot(ax)
    ax.figure.canvas.draw()
    names = [Text.get_window_extent(text) for text in ax.texts if text.get_text().startswith("worst")]
    assert len(names) == (name != "time")  # one layer at every step is no place to point at
    (line,) = (line for line in ax.lines if line.get_color() == style.COLOURS[0] and line.get_marker() == "o"
               and len(line.get_xdata()) > 1)  # fmt: skip
    points = ax.transData.transform(np.column_stack(line.get_data()))
    assert not [point for box in names for point in points if box.contains(*point)]


def test_a_plot_without_axes_makes_one_figure():
    before = plt.get_fignums()
    ax = vanishing().plot()
    assert len(plt.get_fignums()) == len(before) + 1
    plt.close(ax.figure)


def test_remedies_run_from_before_to_after(ax):
    remedies_plot(words.best_first(TRIED), ax=ax)
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == ["draw larger weights", "add skips"]
    bars = [[*line.get_xdata()] for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 2.5]
    assert bars == [[-8, -0.12], [-8, 0.9], [-8, -8]]
    assert {"2.303 → 0.412", "2.303 → –", "not measured", "2 of 4 remedies help"} <= set(texts(ax))
