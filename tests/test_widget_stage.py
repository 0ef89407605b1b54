"""The stage without a browser: what is sent is what matplotlib would draw, little enough, and it stands still."""

import base64
import gc
import json
import zlib

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import vglab as vg
from tests.test_widgets import MAKE, extremes, turn
from vglab.figures import style
from vglab.widgets.parameters import Choice, Number
from vglab.widgets.recorder import EIGHTHS, PEN_UP, record

MOST = 8192  # bytes a move


@pytest.fixture(params=MAKE)
def made(request):
    make, model = MAKE[request.param]
    return make(), model


def unpacked(text):
    """(n, 2) in pixels, NaN between strokes."""
    points = np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, 2).astype(float)
    return np.where(points == PEN_UP, np.nan, points / EIGHTHS)


def cells(shape):
    rgba = np.frombuffer(zlib.decompress(base64.b64decode(shape["rgba"])), np.uint8)
    return rgba.reshape(*shape["cells"][::-1], 4)


# What is recorded


def test_a_line_is_recorded_where_its_data_lie_on_the_picture():
    figure = Figure(figsize=(4, 3), dpi=100)
    ax = figure.add_axes((0.1, 0.2, 0.8, 0.6), xlim=(0, 10), ylim=(0, 1))
    (line,) = ax.plot([0, 5, 10], [0, 1, 0.5], color="#0A4F8F", linewidth=2, dashes=(3, 1))
    (shape,) = record(figure, [line])
    np.testing.assert_allclose(unpacked(shape["at"]), [[40, 240], [200, 60], [360, 150]], atol=1 / EIGHTHS)
    assert shape["ink"] == "#0a4f8fff"
    assert shape["width"] == pytest.approx(2 * 100 / 72, abs=0.01)
    assert shape["dash"] == pytest.approx([2 * 3 * 100 / 72, 2 * 100 / 72], abs=0.01)
    assert shape["clip"] == [40, 60, 320, 180]


def test_gaps_markers_words_and_hatches_are_recorded():
    figure = Figure(figsize=(4, 3), dpi=100)
    ax = figure.add_axes((0.1, 0.2, 0.8, 0.6), xlim=(0, 10), ylim=(0, 1))
    (gap,) = ax.plot([0, 1, 2, 3, 4], [0, 1, np.nan, 0, 1], "-")
    (shape,) = record(figure, [gap])
    assert np.isnan(unpacked(shape["at"])).all(axis=1).sum() == 1
    (dots,) = ax.plot([0, 5], [0, 1], "o", markersize=7.2)
    (shape,) = record(figure, [dots])
    np.testing.assert_allclose(unpacked(shape["at"]), [[40, 240], [200, 60]], atol=1)
    assert np.nanmax(np.abs(unpacked(shape["shape"]))) == pytest.approx(5, abs=0.2)
    (shape,) = record(figure, [ax.text(5, 0.5, "σ = 1", color="red")])
    assert (shape["text"], shape["ink"], round(shape["x"])) == ("σ = 1", "#ff0000ff", 200)
    zone = ax.fill_between([0, 10], 0, 1, facecolor="none", edgecolor="#112233", hatch="//", linewidth=0)
    (shape,) = record(figure, [zone])
    assert shape["hatch"]["ink"] == "#112233ff"
    assert shape["hatch"]["side"] == pytest.approx(100)


@pytest.mark.parametrize("origin", ["upper", "lower"])
def test_an_image_is_recorded_cell_by_cell(origin):
    figure = Figure(figsize=(4, 3), dpi=100)
    ax = figure.add_axes((0.1, 0.2, 0.8, 0.6))
    values = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    image = ax.imshow(values, cmap="gray", aspect="auto", origin=origin, interpolation="none", extent=(0, 3, 0, 2))
    (shape,) = record(figure, [image])
    assert shape["box"] == [40, 60, 320, 180]
    rows = values if origin == "upper" else values[::-1]
    np.testing.assert_array_equal(cells(shape)[..., 0], 255 * rows)


def test_every_colour_of_every_widget_has_a_dark_partner(made):
    widget, model = made
    for params in extremes(model):
        widget.set(**params)
        for shape in widget.still + widget.state["shapes"]:
            inks = [shape.get("ink"), shape.get("fill"), shape.get("hatch", {}).get("ink")]
            for ink in filter(None, inks):
                assert ink[:7] in style.DARK or ink.endswith("00"), (ink, shape["kind"])


# What is sent


def test_the_measured_line_is_sent_as_computed():
    w = vg.widgets.gradient_cascade(12, sigma_w=1.1)
    line = w._view.moving["measured"]
    pixels = line.axes.transData.transform(np.column_stack([np.arange(1, 13), w.arrays["gradient"]]))
    height = w._view.figure.bbox.height
    sent = [unpacked(shape["at"]) for shape in w.state["shapes"] if shape["kind"] in ("path", "marks")]
    wanted = [0, height] + pixels * [1, -1]
    assert any(len(at) == 12 and np.allclose(at, wanted, atol=1 / EIGHTHS) for at in sent)


def test_a_move_sends_little_and_what_stays_only_when_it_changes(made):
    widget, model = made
    for p in model.PARAMETERS:
        for value in p.positions[:: max(1, len(p.positions) // 6)]:
            still = widget.still
            turn(widget, **{p.name: value})
            moved = len(json.dumps(widget.state))
            assert moved < MOST, (p.name, value, moved)
            if widget.still is still and isinstance(p, Number):
                assert widget._frame == (widget._view.frame,)


def test_moves_keep_neither_figures_nor_shapes(made):
    widget, model = made
    p = next(p for p in model.PARAMETERS if isinstance(p, Number))
    positions = p.positions[:: max(1, len(p.positions) // 5)]
    before = plt.get_fignums()
    counts = []
    for _ in range(3):
        for value in positions:
            turn(widget, **{p.name: value})
        gc.collect()
        counts.append((len(widget._view.figure.findobj()), sum(type(o) is Figure for o in gc.get_objects())))
    assert counts[0] == counts[1] == counts[2]
    assert plt.get_fignums() == before


def test_a_bad_message_is_answered_and_changes_nothing(monkeypatch):
    w, said = vg.widgets.gradient_cascade(), []
    monkeypatch.setattr(type(w), "send", lambda self, message: said.append(message))
    before = w.params
    with pytest.raises(ValueError, match="depth must be a whole number from 2 to 60"):
        turn(w, depth=1000)
    assert said == ["answered"]
    assert w.params == before


# The table


TABLES = [name for name, (_, model) in MAKE.items() if hasattr(model, "TABLE")]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_holds_what_a_move_would_send(name):
    make, model = MAKE[name]
    widget = make()
    table, start = widget.plan["table"], widget.params
    (p,) = (p for p in model.PARAMETERS if p.name == model.TABLE)
    assert table["name"] == p.name
    assert len(table["frames"]) == len(p.positions)
    for value, frame in list(zip(p.positions, table["frames"], strict=True))[:: max(1, len(p.positions) // 4)]:
        turn(widget, **{p.name: value})
        assert frame["params"] == pytest.approx(widget.params)
        for key in ("sentence", "labels", "shapes"):
            assert frame[key] == widget.state[key], (key, value)
        assert table["stills"][frame["still"]] == widget.still
        assert frame["note"].startswith("Computed beforehand for every position of this control: ")
    for (_, params), frame in zip(widget.plan["presets"], table["presets"], strict=True):
        assert frame["params"] == pytest.approx(start | params)
        assert frame["sentence"] == model.describe(frame["params"], model.compute(frame["params"]))


def test_a_page_without_a_kernel_moves_where_there_is_a_table_and_says_why_where_not(made):
    widget, model = made
    page = widget._repr_mimebundle_()[0]["text/html"]
    assert f'alt="{widget._sentence}"'.replace("'", "&#x27;") in page
    if hasattr(model, "TABLE"):
        assert "stage.mount(" in page
    else:
        assert "this picture moves in a running notebook only" in page
        assert "<script" not in page


def test_positions_are_where_a_slider_can_stand():
    assert Number("n", "n", 2, 5, whole=True).positions == [2, 3, 4, 5]
    assert Number("a", "a", 0, 1, step=0.25).positions == [0, 0.25, 0.5, 0.75, 1]
    log = Number("s", "s", 0.1, 4, log=True, step=0.5).positions
    assert log == pytest.approx([0.1, 10**-0.5, 1, 10**0.5, 4], rel=1e-5)
    assert Choice("c", "c", {"a": "A", "b": "B"}).positions == ["a", "b"]
