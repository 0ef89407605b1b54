"""The second front end, ipywidgets alone: the same picture, the same words, the same rules."""

import base64
import html
import sys

import pytest

import vglab as vg
from tests.test_widgets import MAKE
from vglab.widgets.panel import Panel
from vglab.widgets.parameters import Choice
from vglab.widgets.stage import Stage


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setenv("VGLAB_WIDGETS", "plain")


@pytest.fixture(params=MAKE)
def made(request, plain):
    make, model = MAKE[request.param]
    return make(), model


def test_the_panel_is_taken_when_asked_for_and_when_anywidget_is_missing(monkeypatch):
    assert isinstance(vg.widgets.precision_ruler(), Stage)
    monkeypatch.setenv("VGLAB_WIDGETS", "plain")
    assert isinstance(vg.widgets.precision_ruler(), Panel)
    monkeypatch.delenv("VGLAB_WIDGETS")
    monkeypatch.delitem(sys.modules, "vglab.widgets.stage")
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert isinstance(vg.widgets.precision_ruler(), Panel)


def test_both_front_ends_show_the_same_picture_and_words(made):
    widget, model = made
    stage = Stage(model, model.View(), widget.params)
    theirs, ours = stage._repr_mimebundle_()[0], widget._repr_mimebundle_()[0]
    assert theirs["image/png"] == ours["image/png"]
    assert theirs["text/plain"] == ours["text/plain"] == widget._sentence


def test_turning_any_control_changes_picture_words_and_parameter(made):
    widget, model = made
    for p in model.PARAMETERS:
        picture, words = widget._image.value, widget._readout.value
        new = list(p.options)[-1] if isinstance(p, Choice) else p.high
        widget._controls[p.name].value = new
        assert getattr(widget, p.name) == pytest.approx(new)
        assert widget._image.value != picture, p.name
        assert widget._readout.value != words, p.name
        assert model.describe(widget.params, model.compute(widget.params)) == widget._sentence
        assert widget._sentence in html.unescape(widget._readout.value)
        assert p.words(widget.params[p.name]) == widget._controls[p.name].description


def test_presets_drive_the_sliders_and_reset_goes_back(made):
    widget, model = made
    start, picture = widget.params, widget._image.value
    buttons = {button.description: button for button in widget.children[0].children}
    assert list(buttons) == [*model.PRESETS, "Reset"]
    for name, params in model.PRESETS.items():
        buttons[name].click()
        assert widget.params == pytest.approx(start | params)
        controls = {key: control.value for key, control in widget._controls.items()}
        assert controls == pytest.approx(widget.params)
    buttons["Reset"].click()
    assert widget.params == start
    assert widget._image.value == picture


def test_the_readout_is_a_status_and_the_picture_has_its_words(made):
    widget, _ = made
    assert 'role="status"' in widget._readout.value
    data, metadata = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert base64.b64decode(data["image/png"]) == widget._image.value
    assert metadata["image/png"]["alt"] == data["text/plain"]


def test_a_slider_that_rounds_is_not_taken_for_a_move(plain):
    w = vg.widgets.gradient_cascade(act="tanh", init="default")
    w._controls["sigma_w"].value = 0.6  # what a browser answers to 0.577 with steps of 0.05
    assert (w.init, w.sigma_w) == ("default", vg.theory.TORCH_DEFAULT)
    w._controls["sigma_w"].value = 0.65
    assert (w.init, w.sigma_w) == ("normal", 0.65)
    w = vg.widgets.variance_thermometer()
    w._controls["sigma_w"].value = 10**-0.24
    assert w.sigma_w == vg.theory.TORCH_DEFAULT


def test_the_end_of_a_logarithmic_slider_is_in_the_range(plain):
    w = vg.widgets.variance_thermometer()
    for end in (0.1, 4):
        w.sigma_w = end
        assert w._controls["sigma_w"].value == pytest.approx(end)
