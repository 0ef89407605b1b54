"""Widgets without a browser: what they compute, what they draw, and that controls, picture and words agree."""

import ast
import base64
import io
import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib.text import Text
from nbclient import NotebookClient
from PIL import Image
from torch import nn

import vglab as vg
from vglab.figures.profiles import decades_per_layer
from vglab.widgets import (
    _forget_gate,
    _gain_dial,
    _memory_half_life,
    _norm_placement,
    _norm_switchboard,
    _phase_diagram,
    _skip_dial,
    _training_strip,
    _ward_round,
    cascade,
    dead_units,
    microscope,
    ruler,
    thermometer,
)
from vglab.widgets.parameters import Choice, two_digits
from vglab.widgets.picture import Picture

ROOT = Path(__file__).parents[1]
MAKE = {
    "dead units": (vg.widgets.dead_unit_map, dead_units),
    "cascade": (vg.widgets.gradient_cascade, cascade),
    "microscope": (vg.widgets.slope_microscope, microscope),
    "placements": (vg.widgets.norm_placement, _norm_placement),
    "norms": (vg.widgets.norm_switchboard, _norm_switchboard),
    "forget gate": (vg.widgets.forget_gate, _forget_gate),
    "gains": (vg.widgets.gain_dial, _gain_dial),
    "memory": (vg.widgets.memory_half_life, _memory_half_life),
    "skips": (vg.widgets.skip_dial, _skip_dial),
    "thermometer": (vg.widgets.variance_thermometer, thermometer),
    "strip": (vg.widgets.training_strip, _training_strip),
    "phases": (vg.widgets.phase_diagram, _phase_diagram),
    "ruler": (vg.widgets.precision_ruler, ruler),
    "ward": (vg.widgets.ward_round, _ward_round),
}
ACTS = ("sigmoid", "tanh", "relu", "gelu", "selu")
FLOAT32 = 1e-3  # 50 layers of rounding errors in single precision
SEED = 0.035  # decades per layer: one seed, width 64, against infinite width; about 1 / sqrt(64 * 30) and more
ONE_LAYER = 0.12  # one layer of eight seeds against infinite width, relative


def extremes(model):
    """Every corner of the parameters' ranges."""
    ends = [list(p.options) if isinstance(p, Choice) else [p.low, p.high] for p in model.PARAMETERS]
    return [dict(zip([p.name for p in model.PARAMETERS], values, strict=True)) for values in itertools.product(*ends)]


def png(widget):
    return Picture(widget._view).png()


def pixels(widget):
    return np.asarray(Image.open(io.BytesIO(png(widget))))


def turn(widget, **params):
    """What the browser says when a control is turned."""
    (name,) = params
    widget._asked(widget, {"set": params, "changed": name}, [])


@pytest.fixture(params=MAKE)
def made(request):
    make, model = MAKE[request.param]
    return make(), model


# What is computed


@pytest.mark.parametrize("init", ["normal", "default"])
def test_the_cascade_is_the_profile_of_the_network_a_learner_would_build(init):
    params = {"depth": 20, "act": "tanh", "init": init, "sigma_w": 1.2 if init == "normal" else vg.theory.TORCH_DEFAULT}
    digits = vg.tasks.digits()
    model = vg.mlp(20, 64, act="tanh", sigma_w=1.2 if init == "normal" else None, seed=0)
    table = vg.gradient_profile(model, digits.x[:64], digits.y[:64])
    profile = table[table.kind == "Tanh"].grad_rms.to_numpy()
    arrays = cascade.compute(params)
    assert arrays["grad_rms"] == pytest.approx(profile, rel=FLOAT32)
    assert arrays["gradient"] == pytest.approx(profile / profile[-1], rel=FLOAT32)


def test_the_thermometer_is_the_profile_of_the_network_a_learner_would_build():
    digits = vg.tasks.digits()
    model = vg.mlp(12, 64, act=nn.ReLU, sigma_w=1.0, seed=0)
    table = vg.gradient_profile(model, digits.x[:64], digits.y[:64])
    rows = table[table.kind == "ReLU"]
    arrays = thermometer.compute({"depth": 12, "act": "relu", "sigma_w": 1.0})
    assert arrays["h_rms"] == pytest.approx(rows.h_rms.to_numpy(), rel=FLOAT32)
    assert arrays["gradient"] == pytest.approx((rows.grad_rms / rows.grad_rms.iloc[-1]).to_numpy(), rel=FLOAT32)


def test_the_microscope_agrees_with_the_probe():
    digits, gains, slopes = vg.tasks.digits(), [], []
    for seed in range(microscope.SEEDS):
        model = vg.mlp(microscope.DEPTH, 64, act="tanh", sigma_w=1.5, seed=seed)
        table = vg.gradient_profile(model, digits.x[: microscope.BATCH], digits.y[: microscope.BATCH])
        rows = table[table.kind == "Tanh"]
        gains.append(rows.gain.iloc[3])  # from layer 4 to layer 5: the factor of layer 5
        slopes.append(rows.slope.iloc[4])
    arrays = microscope.compute({"layer": 5, "act": "tanh", "sigma_w": 1.5})
    assert arrays["factor"] == pytest.approx(np.exp(np.mean(np.log(gains))), rel=FLOAT32)
    assert arrays["slope"] == pytest.approx(np.sqrt(np.mean(np.square(slopes))), rel=FLOAT32)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("sigma_w", [0.5, 1.0, 2.0])
def test_theory_predicts_what_the_networks_do(act, sigma_w):
    arrays = cascade.compute({"depth": 30, "act": act, "init": "normal", "sigma_w": sigma_w})
    assert decades_per_layer(arrays["gradient"]) == pytest.approx(decades_per_layer(arrays["theory"]), abs=SEED)
    arrays = thermometer.compute({"depth": 30, "act": act, "sigma_w": sigma_w})
    for key in ("h_rms", "gradient"):
        predicted = decades_per_layer(arrays[f"{key}_theory"])
        assert decades_per_layer(arrays[key]) == pytest.approx(predicted, abs=SEED)
    arrays = microscope.compute({"layer": 5, "act": act, "sigma_w": sigma_w})
    for key in ("slope", "factor"):
        assert arrays[key] == pytest.approx(arrays[f"{key}_theory"], rel=ONE_LAYER)


def test_torchs_default_is_predicted_with_its_biases():
    arrays = cascade.compute({"depth": 30, "act": "tanh", "init": "default", "sigma_w": vg.theory.TORCH_DEFAULT})
    assert decades_per_layer(arrays["gradient"]) == pytest.approx(decades_per_layer(arrays["theory"]), abs=0.01)


def test_the_microscope_counts_every_preactivation_once():
    arrays = microscope.compute({"layer": 3, "act": "sigmoid", "sigma_w": 20.0})
    assert arrays["share"].sum() + arrays["below"] + arrays["above"] == pytest.approx(1)
    assert arrays["below"] > 0.1
    assert arrays["above"] > 0.1


def test_sigmoid_units_sit_where_their_slope_is_largest_and_saturate_only_at_large_weights():
    small, large = (microscope.compute({"layer": 5, "act": "sigmoid", "sigma_w": s}) for s in (1.0, 20.0))
    assert small["saturated"] < 0.01
    assert 0.2 < small["slope"] <= 0.25
    assert large["saturated"] > 0.7


@pytest.mark.parametrize("model", [model for _, model in MAKE.values()], ids=MAKE)
def test_every_corner_of_the_ranges_gives_finite_numbers_and_a_sentence(model):
    for params in extremes(model):
        if "init" in params and params["init"] == "default":
            params["sigma_w"] = vg.theory.TORCH_DEFAULT
        arrays = model.compute(params)
        for key, values in arrays.items():
            assert np.isfinite(values).all(), (key, params)
        for key in ("gradient", "theory", "h_rms", "h_rms_theory", "gradient_theory", "factor"):
            assert np.all(arrays.get(key, 1) > 0), (key, params)
        assert "nan" not in model.describe(params, arrays)


def test_sentences_round_to_two_digits():
    numbers = {0.2345: "0.23", 3.16e-12: "3.2e-12", 1234: "1200", 1e4: "1.0e4", 9.96: "10", 0.0999: "0.10", 0: "0"}
    assert {x: two_digits(x) for x in numbers} == numbers


def test_only_the_front_ends_know_a_widget_library():
    for path in (ROOT / "vglab" / "widgets").glob("*.py"):
        tree = ast.walk(ast.parse(path.read_text("utf-8")))
        names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
        assert ("ipywidgets" in names) == (path.name == "panel.py"), path.name
        assert ("anywidget" in names) == (path.name == "stage.py"), path.name


# What is drawn


def test_the_cascade_draws_what_it_computed():
    w = vg.widgets.gradient_cascade(12, act="relu", sigma_w=1.1, guess=0.5)
    moving, arrays = w._view.moving, cascade.compute(w.params)
    np.testing.assert_array_equal(moving["measured"].get_ydata(), arrays["gradient"])
    np.testing.assert_array_equal(moving["measured"].get_xdata(), np.arange(1, 13))
    np.testing.assert_array_equal(moving["theory"].get_ydata(), arrays["theory"])
    np.testing.assert_array_equal(moving["bars"].get_ydata()[1::3], arrays["gradient"])
    np.testing.assert_allclose(moving["your guess, 0.5"].get_ydata(), 0.5 ** np.arange(11, -1, -1.0))
    fp16 = moving["end of fp16"]
    assert fp16.get_visible()
    np.testing.assert_allclose(fp16.get_ydata(), 6e-8 / arrays["grad_rms"][-1])


def test_the_microscope_draws_what_it_computed():
    w = vg.widgets.slope_microscope(3, act="tanh", sigma_w=2.0)
    moving, arrays = w._view.moving, microscope.compute(w.params)
    np.testing.assert_allclose(moving["rms slope"].get_ydata(), arrays["slope"])
    np.testing.assert_allclose(moving["theory"].get_ydata(), arrays["slope_theory"])
    heights = moving["density"].get_xy()[1:-1:2, 1][:80]
    np.testing.assert_allclose(heights / heights.max(), arrays["share"] / arrays["share"].max(), atol=1e-12)
    z = w._view.dphi.get_xdata()
    np.testing.assert_allclose(w._view.dphi.get_ydata(), 1 - np.tanh(z) ** 2, atol=1e-6)
    np.testing.assert_allclose(w._view.phi.get_ydata(), np.tanh(z), atol=1e-6)


def test_the_thermometer_draws_what_it_computed():
    w = vg.widgets.variance_thermometer(1.3, act="gelu", depth=9)
    moving, arrays = w._view.moving, thermometer.compute(w.params)
    for key in ("h_rms", "h_rms_theory", "gradient", "gradient_theory"):
        np.testing.assert_array_equal(moving[key].get_ydata(), arrays[key])
    assert moving["mercury"].get_xy()[:, 1].max() == pytest.approx(1.3)
    assert moving["sigma_w"].get_text() == "1.3"


@pytest.mark.parametrize("nothing", [None, ...])
def test_without_a_guess_none_is_drawn(nothing):
    assert not any("guess" in name for name in vg.widgets.gradient_cascade(guess=nothing)._view.moving)


def test_nothing_is_cut_off_or_written_over_another_text(made):
    widget, model = made
    for params in [*extremes(model), *model.PRESETS.values()]:
        widget.set(**params)
        figure = widget._view.figure
        texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t.get_figure()]
        shown = [(t.get_text(), t.get_window_extent()) for t in texts if _is_drawn(t)]
        for words, box in shown:
            assert box.x0 > 0, (words, params)
            assert box.x1 < figure.bbox.x1, (words, params)
            assert box.y0 > -1, (words, params)
            assert box.y1 < figure.bbox.y1 + 1, (words, params)
        for (a, box_a), (b, box_b) in itertools.combinations(shown, 2):
            assert not box_a.padded(-1.5).overlaps(box_b.padded(-1.5)), (a, b, params)


def _is_drawn(text):
    """Tick labels beyond the axes' ends, and those of hidden axes, are artists that are never drawn."""
    axis = next((a for ax in text.get_figure().axes for a in (ax.xaxis, ax.yaxis) if text in a.get_ticklabels()), None)
    if axis is None:
        return True
    x, y = text.get_position()
    low, high = sorted(axis.get_view_interval())
    return low <= (x if axis.axis_name == "x" else y) <= high


@pytest.mark.parametrize(
    ("make", "first", "then"),
    [
        (vg.widgets.gradient_cascade, {"depth": 60, "act": "selu", "sigma_w": 3.0}, {"depth": 12, "act": "tanh"}),
        (vg.widgets.slope_microscope, {"layer": 9, "act": "selu", "sigma_w": 15.0}, {"layer": 2, "act": "relu"}),
        (vg.widgets.variance_thermometer, {"depth": 40, "act": "relu", "sigma_w": 4.0}, {"depth": 7, "act": "tanh"}),
    ],
)
def test_after_moves_the_picture_is_that_of_a_fresh_widget(make, first, then):
    moved, then = make(**first), then | {"sigma_w": 1.1}
    for name, value in then.items():
        setattr(moved, name, value)
    np.testing.assert_array_equal(pixels(moved), pixels(make(**then)))


def test_a_hundred_moves_open_no_figure():
    before, w = plt.get_fignums(), vg.widgets.variance_thermometer(depth=2)
    for sigma_w in np.linspace(0.5, 4, 100):
        w.sigma_w = sigma_w
    assert plt.get_fignums() == before


# Controls, picture and words agree


def test_turning_any_control_changes_picture_words_and_parameter(made):
    widget, model = made
    for p in model.PARAMETERS:
        before = widget.state
        new = list(p.options)[-1] if isinstance(p, Choice) else p.high
        turn(widget, **{p.name: new})
        state = widget.state
        assert getattr(widget, p.name) == pytest.approx(new)
        assert state["shapes"] != before["shapes"], p.name
        assert state["sentence"] != before["sentence"], p.name
        assert state["sentence"] == model.describe(widget.params, model.compute(widget.params))
        assert state["params"] == widget.params
        assert state["labels"] == {q.name: q.words(widget.params[q.name]) for q in model.PARAMETERS}


def test_setting_a_parameter_moves_its_control_and_label():
    w = vg.widgets.gradient_cascade()
    w.depth = 50
    assert w.state["params"]["depth"] == 50
    assert w.state["labels"]["depth"] == "depth: 50 layers"
    assert "50 layers" in w.state["sentence"]
    assert len(w.arrays["gradient"]) == 50


def test_the_note_says_what_was_computed():
    note = vg.widgets.gradient_cascade().state["note"]
    assert note.startswith("Computed at this move: forward and backward through the real network, 64 digits, seed 0, ")
    assert note.endswith(" ms.")


def test_presets_set_every_parameter_they_name_and_reset_goes_back(made):
    widget, model = made
    start, picture = widget.params, png(widget)
    assert dict(widget.plan["presets"]) == model.PRESETS
    for params in model.PRESETS.values():
        widget._asked(widget, {"set": params}, [])
        assert widget.params == pytest.approx(start | params)
        assert widget._sentence == model.describe(widget.params, model.compute(widget.params))
    p = next(p for p in model.PARAMETERS if not isinstance(p, Choice))
    setattr(widget, p.name, p.low)
    widget._asked(widget, {"reset": True}, [])
    assert widget.params == start
    assert png(widget) == picture


def test_a_preset_is_computed_once(monkeypatch):
    w, calls, compute = vg.widgets.gradient_cascade(), [], cascade.compute
    monkeypatch.setattr(cascade, "compute", lambda params: calls.append(params) or compute(params))
    w.set(**cascade.PRESETS["tanh, torch default"])
    assert calls == [cascade.PRESETS["tanh, torch default"]]


def test_torchs_default_shows_its_own_sigma_w_and_turning_sigma_w_leaves_it():
    w = vg.widgets.gradient_cascade(act="tanh")
    w.init = "default"
    assert w.sigma_w == pytest.approx(3**-0.5)
    assert "torch's default" in w.state["sentence"]
    w.sigma_w = 1.5
    assert (w.init, w.sigma_w) == ("normal", 1.5)
    w.set(init="default", sigma_w=2.0)
    assert (w.init, w.sigma_w) == ("default", pytest.approx(3**-0.5))


def test_a_widget_can_be_observed():
    w, seen = vg.widgets.slope_microscope(), []
    w.observe(lambda change: seen.append(change.new), "layer")
    turn(w, layer=7)
    assert seen == [7]


# Bad values


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("depth", 100, ValueError, r"depth must be a whole number from 2 to 60; got 100: choose one in that range\."),
        ("depth", 2.5, TypeError, r"depth must be a whole number from 2 to 60; got 2\.5: give a whole number, such as"),
        ("depth", True, TypeError, "depth must be a whole number from 2 to 60; got True"),
        ("sigma_w", -1, ValueError, r"sigma_w must be a number from 0\.2 to 4; got -1: choose one in that range\."),
        ("sigma_w", float("nan"), ValueError, r"sigma_w must be a number from 0\.2 to 4; got nan"),
        ("sigma_w", "big", TypeError, r"sigma_w must be a number from 0\.2 to 4; got 'big': give a number, such as"),
        ("act", "swish", ValueError, "act must be one of 'sigmoid', 'tanh', 'relu', 'gelu', 'selu'; got 'swish': "),
        ("init", 3, ValueError, "init must be one of 'normal', 'default'; got 3: choose one of these"),
        ("width", 3, AttributeError, "this widget has no parameter 'width': it has depth, sigma_w, act, init"),
    ],
)
def test_a_bad_value_is_refused_in_one_sentence_and_changes_nothing(name, value, error, message):
    w = vg.widgets.gradient_cascade()
    before, state = w.params, w.state
    with pytest.raises(error, match=message):
        setattr(w, name, value)
    assert (w.params, w.state) == (before, state)
    if name != "width":
        with pytest.raises(error, match=message):
            vg.widgets.gradient_cascade(**{"depth": 5, name: value})


def test_the_end_of_a_logarithmic_slider_is_in_the_range():
    w = vg.widgets.variance_thermometer()
    for end in (0.1, 4):
        w.sigma_w = end
        assert w.sigma_w == end


def test_torchs_default_and_a_sigma_w_contradict_each_other():
    with pytest.raises(ValueError, match=r"init='default' fixes sigma_w; got sigma_w=2\.0: use init='normal'"):
        vg.widgets.gradient_cascade(init="default", sigma_w=2.0)


@pytest.mark.parametrize("guess", [0, -1, "0.25", True, float("inf"), float("nan")])
def test_a_bad_guess_is_refused(guess):
    with pytest.raises(ValueError, match="guess is the factor on the gradient per layer and must be a number above 0"):
        vg.widgets.gradient_cascade(guess=guess)


# What a reader sees who has no live widget


def test_a_static_page_gets_the_picture_and_a_stable_sentence(made):
    widget, model = made
    data, metadata = widget._repr_mimebundle_()
    again, _ = type(widget)(model, model.View(), widget.params)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert base64.b64decode(data["image/png"]) == png(widget)
    assert data["text/plain"] == again["text/plain"] == model.describe(widget.params, widget.arrays)
    assert " ms" not in data["text/plain"]
    assert metadata["image/png"]["alt"] == data["text/plain"]


@pytest.mark.slow
def test_it_works_in_a_kernel_without_a_front_end(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    source = "import vglab as vg\nw = vg.widgets.gradient_cascade(5, guess=...)\nw.depth = 8\nw"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3", store_widget_state=False).execute()
    (output,) = notebook.cells[0].outputs
    assert {"image/png", "text/plain", "application/vnd.jupyter.widget-view+json"} <= set(output.data)
    assert "8 layers" in output.data["text/plain"]
    assert "widgets" not in notebook.metadata


def test_several_parameters_are_set_all_or_none():
    w = vg.widgets.gradient_cascade(20, act="tanh")
    with pytest.raises(Exception, match="swish"):
        w.set(depth=9, act="swish")
    assert (w.depth, w.act) == (20, "tanh")
    assert w.arrays["grad_rms"].shape == (20,)
