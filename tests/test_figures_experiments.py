"""The figures of experiments and theory by what they hold: the artists' data, not pixels."""

import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from torch import nn

from vglab.figures import heat_plot, phase_plot, spectrum_plot, time_plot, trainability_plot, training_plot
from vglab.figures.lags import crossing
from vglab.probe import probe


@pytest.fixture
def ax():
    ax = Figure(figsize=(7.4, 3.9)).subplots()
    yield ax
    ax.figure.canvas.draw()  # what can be made must also be drawable, without a warning


def texts(ax):
    return [text.get_text() for text in ax.texts]


def said(ax):
    return " ".join(texts(ax))


def mesh(ax):
    return ax.collections[0]


def lines(ax, style="-"):
    return [line for line in ax.lines if line.get_linestyle() == style and len(line.get_xdata()) > 1]


def label_boxes(ax):
    ax.figure.canvas.draw()
    return [text.get_window_extent() for text in ax.texts if text.get_transform() == ax.transAxes]


def plane():
    """A made-up phase diagram whose edge of chaos is at sigma_w = 1 + sigma_b."""
    w, b = (part.ravel() for part in np.meshgrid(np.linspace(0.5, 3, 26), np.linspace(0, 1, 11)))
    chi = w / (1 + b)
    with np.errstate(divide="ignore"):
        return pd.DataFrame({"sigma_w": w, "sigma_b": b, "chi": chi, "xi_c": 1 / np.abs(np.log(chi))})


# phase_plot


def test_the_colour_of_the_plane_is_the_depth_scale_within_its_bounds(ax):
    table = plane()
    assert phase_plot(table.sample(frac=1, random_state=0), ax=ax) is ax
    np.testing.assert_allclose(mesh(ax).get_array().ravel(), table.xi_c.clip(1, 100))
    assert (mesh(ax).norm.vmin, mesh(ax).norm.vmax) == (1, 100)
    assert (*ax.get_xlim(), *ax.get_ylim()) == (0.5, 3, 0, 1)


def test_the_thick_line_is_where_chi_is_1(ax):
    phase_plot(plane(), levels=(), ax=ax)
    edge = np.concatenate([path.vertices for path in ax.collections[1].get_paths()])
    np.testing.assert_allclose(edge[:, 0], 1 + edge[:, 1], atol=0.01)
    assert ax.collections[1].get_linewidth() == [2.5]


def test_contours_are_labelled_and_regions_named_on_their_side(ax):
    phase_plot(plane(), levels=(3, 1000), ax=ax)
    assert "3" in texts(ax)
    assert "1000" not in texts(ax)
    for words, side in (("ordered:\ngradients vanish", -1), ("chaotic:\ngradients explode", 1)):
        (name,) = [text for text in ax.texts if text.get_text() == words]
        x, y = name.get_position()
        assert side * (x - 1 - y) > 0


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.0])
def test_a_plane_with_broken_points(ax, broken):
    table = plane()
    table.loc[:40, "xi_c"] = broken
    phase_plot(table, ax=ax)
    first = np.ma.filled(mesh(ax).get_array().ravel()[:1].astype(float), np.nan)
    np.testing.assert_array_equal(first, [{0.0: 1, np.inf: 100}.get(broken, np.nan)])


def test_a_plane_of_one_phase_has_no_edge(ax):
    phase_plot(plane().assign(chi=0.5), levels=(), ax=ax)
    assert len(ax.collections) == 1
    assert "chaotic" not in said(ax)


def test_messages_of_phase_plot(ax):
    table = plane()
    with pytest.raises(ValueError, match=r"^the table has no column 'chi' to draw: it has sigma_w, sigma_b, xi_c.$"):
        phase_plot(table.drop(columns="chi"), ax=ax)
    with pytest.raises(ValueError, match=r"full grid of at least 2 x 2 points; got 1 rows for 1 sigma_w and 1 sigma_b"):
        phase_plot(table[:1], ax=ax)
    with pytest.raises(ValueError, match="full grid of at least 2 x 2 points; got 285 rows"):
        phase_plot(table[1:], ax=ax)
    with pytest.raises(ValueError, match="several rows for one pair of sigma_w and sigma_b"):
        phase_plot(pd.concat([table, table]), ax=ax)
    with pytest.raises(ValueError, match=r"^the table has no rows to draw: run the measurement first.$"):
        phase_plot(table[:0], ax=ax)
    with pytest.raises(TypeError, match=r"^the table must be a pandas DataFrame; got dict.$"):
        phase_plot({}, ax=ax)


# trainability_plot


@pytest.fixture
def trained():
    rows = [(w, d, s, (w * d + s) / 200) for w in (0.5, 1.0, 2.0) for d in (10, 20, 40) for s in range(3)]
    return pd.DataFrame(rows, columns=["sigma_w", "depth", "seed", "accuracy"])


def test_cells_hold_the_median_over_seeds_around_their_settings(trained, ax):
    trainability_plot(trained, ax=ax)
    expected = [[(w * d + 1) / 200 for w in (0.5, 1, 2)] for d in (10, 20, 40)]
    np.testing.assert_allclose(mesh(ax).get_array(), expected)
    assert mesh(ax).get_coordinates()[0, :, 0].tolist() == [0.25, 0.75, 1.5, 2.5]
    assert mesh(ax).get_coordinates()[:, 0, 1].tolist() == [5, 15, 30, 50]
    assert "median of 3 seeds" in said(ax)


def test_theory_is_six_depth_scales(trained, ax):
    theory = pd.DataFrame({"sigma_w": [2.0, 0.5, 1.0], "xi_c": [3.0, 2.0, np.inf]})
    trainability_plot(trained, theory=theory, ax=ax)
    (line,) = lines(ax, "--")
    np.testing.assert_array_equal(line.get_xydata(), [[0.5, 12], [1, np.nan], [2, 18]])
    assert "6 ξ" in texts(ax)
    assert "dashed: 6 depth scales" in said(ax)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_settings_without_a_value_stay_grey(trained, ax, broken):
    trained.loc[:2, "accuracy"] = broken
    trainability_plot(trained, ax=ax)
    assert mesh(ax).get_array().mask.tolist() == [[True, False, False], [False] * 3, [False] * 3]


def test_one_net(trained, ax):
    trainability_plot(trained[:1], ax=ax)
    assert mesh(ax).get_array().shape == (1, 1)
    assert "seeds" not in said(ax)
    with pytest.raises(ValueError, match=r"^the theory has no column 'xi_c' to draw: it has sigma_w.$"):
        trainability_plot(trained, theory=trained[["sigma_w"]], ax=ax)


# heat_plot


def readings(values, steps=(0, 1, 5)):
    rows = [(step, i, f"layer{i}", values[i][k]) for k, step in enumerate(steps) for i in range(len(values))]
    return pd.DataFrame(rows, columns=["step", "order", "layer", "grad_rms"])


def test_layers_stand_in_their_order_and_steps_at_theirs(ax):
    table = readings([[1e-4, 1e-3, 1e-2], [1e-1, 1.0, 1e1]])
    heat_plot(table.iloc[::-1], ax=ax)
    np.testing.assert_allclose(mesh(ax).get_array(), [[1e-4, 1e-3, 1e-2], [1e-1, 1, 10]])
    assert mesh(ax).get_coordinates()[0, :, 0].tolist() == [-0.5, 0.5, 3, 7]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["layer0", "layer1"]
    bar = ax.figure.axes[-1]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹"]


def test_zeros_infinities_and_gaps_have_their_own_colours(ax):
    heat_plot(readings([[0.0, np.inf, np.nan], [1.0, 2.0, 3.0]]), ax=ax)
    assert mesh(ax).get_array().mask.tolist() == [[False, False, True], [False] * 3]
    zero, infinite = mesh(ax).to_rgba(mesh(ax).get_array()[0, :2].filled())
    assert (tuple(zero), tuple(infinite)) == (to_rgba("black"), to_rgba("#D7261E"))
    assert all(words in said(ax) for words in ("black: 0", "red: infinite", "grey: not measured"))
    assert (mesh(ax).norm.vmin, mesh(ax).norm.vmax) == (1, 3)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e-30, 2.0])
def test_a_heat_map_of_one_cell(ax, value):
    heat_plot(readings([[value]], steps=(3,)), ax=ax)
    assert mesh(ax).get_array().shape == (1, 1)


def test_names_of_many_layers_are_thinned_and_apart(ax):
    heat_plot(readings([[1.0, 2.0, 3.0]] * 100), ax=ax)
    ax.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert 5 <= len(boxes) <= 16
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_a_real_probe_s_table_and_parameters(ax):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with probe(model, optimizer) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().sum().backward()
            optimizer.step()
    heat_plot(seen.table, ax=ax)
    assert mesh(ax).get_array().shape == (2, 3)  # of activations
    params = Figure().subplots()
    heat_plot(seen.params, "update_ratio", ax=params)
    assert mesh(params).get_array().shape == (4, 3)
    with pytest.raises(ValueError, match=r"^the table has no column 'update_ratio' to draw: it has step"):
        heat_plot(seen.table, "update_ratio", ax=ax)


# spectrum_plot


def test_singular_values_stand_sorted_over_their_share(ax):
    spectrum_plot(pd.DataFrame({"singular_value": [0.1, 10.0, 1.0, 0.0]}), edges=12.0, ax=ax)
    (line,) = lines(ax)
    np.testing.assert_allclose(line.get_xydata(), [[0.125, 10], [0.375, 1], [0.625, 0.1]])
    assert "measured (25% are 0)" in texts(ax)
    assert [ln.get_ydata()[0] for ln in ax.lines if ln.get_marker() == "_"] == [12.0]
    assert ax.get_yscale() == "log"


def test_spectra_with_theory(ax):
    table = pd.DataFrame({"singular_value": [1.0, 2.0, 3.0, 4.0, np.nan], "net": ["a", "a", "b", "b", "b"]})
    theory = pd.DataFrame({"share": [1.0, 0.0], "singular_value": [2.5, 4.5], "net": "b"})
    spectrum_plot(table, by="net", theory=theory, edges={"b": 5.0}, ax=ax)
    assert [line.get_ydata().tolist() for line in lines(ax)] == [[2, 1], [4, 3]]
    assert [line.get_xydata().tolist() for line in lines(ax, "--")] == [[[0, 4.5], [1, 2.5]]]
    assert {"a", "b"} <= set(texts(ax))
    with pytest.raises(ValueError, match=r"^the theory has no column 'share' to draw"):
        spectrum_plot(table, by="net", theory=table, ax=ax)
    with pytest.raises(ValueError, match=r"^the table has no singular_value above 0 to draw on a log axis.$"):
        spectrum_plot(table.assign(singular_value=0.0), ax=ax)


# time_plot


def recurrent(factor, seed=0, steps=30):
    gradient = 3.0 * factor ** np.arange(steps - 1, -1.0, -1)
    return pd.DataFrame({"layer": "l0", "call": range(steps), "grad_rms": gradient * (1 + seed), "seed": seed})


def test_the_gradient_stands_over_its_lag(ax):
    table = pd.concat([recurrent(0.5, seed) for seed in range(3)])
    time_plot(table.sample(frac=1, random_state=0), theory=0.6, share=0.3, ax=ax)
    (line,), (dashed,) = lines(ax), lines(ax, "--")
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([np.arange(30), 0.5 ** np.arange(30)]))
    np.testing.assert_allclose(dashed.get_ydata(), 0.6 ** np.arange(30))
    (mark,) = [ln for ln in ax.lines if ln.get_marker() == "D"]
    np.testing.assert_allclose(mark.get_xydata(), [[np.log(0.3) / np.log(0.5), 0.3]])
    assert all(words in said(ax) for words in ("3 seeds", "dashed: theory", "diamond: 30%", "30% at lag 1.7"))


def test_names_of_five_nets_do_not_overlap(ax):
    time_plot(pd.concat([recurrent(f).assign(net=f"net {f}") for f in (0.8, 0.79, 0.78, 0.77, 1.0)]), by="net", ax=ax)
    boxes = label_boxes(ax)
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert {"net 0.8\nhalf-life 3.1", "net 1.0"} <= set(texts(ax))


def test_the_half_life_is_where_the_gradient_falls_for_good():
    assert crossing(pd.Series([1.0, 0.4, 1.0, 0.25]), 0.5) == pytest.approx(2.5)
    assert crossing(pd.Series([1.0, 0.4, 0.9]), 0.5) is None
    assert crossing(pd.Series([0.4, 0.3]), 0.5) is None


@pytest.mark.parametrize("broken", [0.0, np.nan, np.inf])
def test_broken_gradients_leave_a_gap(ax, broken):
    table = recurrent(0.5)
    table.loc[[5, 29], "grad_rms"] = broken
    time_plot(table, ax=ax)
    shown = lines(ax)[0].get_ydata()
    assert np.flatnonzero(np.isnan(shown)).tolist() == [0, 24]
    assert shown[1] == 1
    with pytest.raises(ValueError, match="the table has no grad_rms above 0 to draw: call backward"):
        time_plot(table.assign(grad_rms=broken), ax=ax)


def test_one_time_step_one_seed(ax):
    time_plot(recurrent(0.5, steps=1), ax=ax)
    assert "seeds" not in said(ax)
    assert ax.get_xlim() == (0, 1)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_real_recurrent_net(ax, kind):
    torch.manual_seed(0)
    net = kind(3, 8, batch_first=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of TF32, when the flag is read
        with torch.backends.mkldnn.flags(enabled=False), probe(net) as seen:
            net(torch.randn(4, 20, 3))[0][:, -1].square().sum().backward()
    time_plot(seen.table, ax=ax)
    assert len(lines(ax)[0].get_xdata()) >= 19
    assert lines(ax)[0].get_ydata()[-1] < 0.1


def test_messages_of_time_plot(ax):
    table = recurrent(0.5)
    with pytest.raises(ValueError, match="the table joins several nets that no column tells apart"):
        time_plot(pd.concat([table, table]), ax=ax)
    with pytest.raises(ValueError, match=r"^share must lie between 0 and 1; got 2.$"):
        time_plot(table, share=2, ax=ax)
    with pytest.raises(ValueError, match=r"^theory has 'x', and no line is called that: a.$"):
        time_plot(table.assign(net="a"), by="net", theory={"x": 0.5}, ax=ax)


# training_plot


@pytest.fixture
def runs():
    return pd.DataFrame([(t, s, s + t) for t in range(4) for s in range(5)], columns=["step", "seed", "loss"])


@pytest.mark.parametrize(("spread", "band"), [("range", (0, 4)), ("quartiles", (1, 3))])
def test_the_band_of_training(runs, ax, spread, band):
    training_plot(runs, spread=spread, ax=ax)
    edge = ax.collections[0].get_paths()[0].vertices
    at_start = edge[edge[:, 0] == 0][:, 1]
    assert (at_start.min(), at_start.max()) == band
    assert f"median and {spread} of 5 seeds" in said(ax)
    assert "diverged" not in said(ax)
    with pytest.raises(ValueError, match=r"^spread must be 'range' or 'quartiles'; got 'sd'.$"):
        training_plot(runs, spread="sd", ax=ax)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_diverged_runs_are_marked_where_they_end(runs, ax, broken):
    runs["loss"] = runs.loss.astype(float)
    runs.loc[(runs.seed == 4) & (runs.step >= 1) | (runs.seed == 3) & (runs.step >= 3), "loss"] = broken
    training_plot(pd.concat([runs.assign(lr=1), runs.assign(lr=2, loss=1.0)]), by="lr", ax=ax)
    (crosses,) = [line for line in ax.lines if line.get_marker() == "x"]
    assert crosses.get_xdata().tolist() == [1, 3]
    assert {"1 (2 diverged)", "2"} <= set(texts(ax))
    assert lines(ax)[0].get_ydata().tolist() == [2, 2.5, 3.5, 4]
    assert "cross: diverged" in said(ax)


def test_the_name_of_a_line_whose_runs_all_diverged_stands_at_the_top(runs, ax):
    table = pd.concat([runs.assign(lr=1), runs.assign(lr=2, loss=runs.loss.where(runs.step < 2))])
    training_plot(table, by="lr", ax=ax)
    (name,) = [text for text in ax.texts if text.get_text() == "2 (5 diverged)"]
    assert name.get_position()[1] == pytest.approx(1)
