"""Figures by what they hold: the artists' data, not pixels."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from vglab import theory
from vglab.figures import depth_plot, histogram_plot, scan_plot, style, training_plot
from vglab.figures.profiles import decades_per_layer, layer_ticks
from vglab.nets import mlp
from vglab.probe import gradient_profile

matplotlib.use("Agg")
DEPTH = 12


@pytest.fixture
def ax():
    before = plt.get_fignums()
    ax = Figure().subplots()
    yield ax
    ax.figure.canvas.draw()  # what can be made must also be drawable, without a warning
    assert plt.get_fignums() == before


def profile(depth=DEPTH, act="tanh", seed=0, **settings):
    torch.manual_seed(seed)
    x, y = torch.randn(8, 16), torch.arange(8)
    return gradient_profile(mlp(depth, 16, act=act, d_in=16, seed=seed, **settings), x, y).assign(seed=seed)


@pytest.fixture(scope="module")
def seeds():
    return pd.concat([profile(seed=seed) for seed in range(3)])


def hidden(table):
    return table[table.slope.notna()]


def lines(ax, style_):
    return [line for line in ax.lines if line.get_linestyle() == style_ and len(line.get_xdata()) > 1]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def boxes(ax):
    """The places on the canvas of the labels at the lines' ends."""
    ax.figure.canvas.draw()
    labels = [text for text in ax.texts if text.get_transform() == ax.transAxes and text.get_text()]
    return [label.get_window_extent() for label in labels]


# depth_plot


def test_the_line_is_the_median_over_seeds_relative_to_the_last_layer(seeds, ax):
    assert depth_plot(seeds, ax=ax) is ax
    signal = hidden(seeds).pivot(index="order", columns="seed", values="grad_rms").to_numpy()
    relative = signal / signal[-1]
    (line,) = lines(ax, "-")
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, DEPTH + 1))
    np.testing.assert_allclose(line.get_ydata(), np.median(relative, 1))
    assert line.get_ydata()[-1] == 1
    (band,) = ax.collections
    edge = band.get_paths()[0].vertices
    at_first = edge[edge[:, 0] == 1][:, 1]
    assert (at_first.min(), at_first.max()) == pytest.approx((relative[0].min(), relative[0].max()))
    assert ax.get_yscale() == "log"
    assert "3 seeds" in " ".join(texts(ax))
    assert "dashed" not in " ".join(texts(ax))
    assert "relative to the last layer" in " ".join(texts(ax))


def test_the_order_of_the_rows_does_not_matter(seeds, ax):
    depth_plot(seeds, ax=ax)
    shuffled = Figure().subplots()
    depth_plot(seeds.sample(frac=1, random_state=0), ax=shuffled)
    np.testing.assert_array_equal(lines(ax, "-")[0].get_ydata(), lines(shuffled, "-")[0].get_ydata())


@pytest.mark.parametrize("y", ["h_rms", "cosine", "slope", "dead"])
def test_other_readings_stand_as_they_are(seeds, ax, y):
    depth_plot(seeds, y, ax=ax)
    expected = hidden(seeds).groupby("order")[y].median()
    np.testing.assert_allclose(lines(ax, "-")[0].get_ydata(), expected)
    assert ax.get_yscale() == ("log" if y == "h_rms" else "linear")


def test_theory_is_drawn_dashed_as_it_is_given(seeds, ax):
    predicted = theory.gradient_profile("tanh", DEPTH, theory.TORCH_DEFAULT)
    depth_plot(seeds, theory=predicted, ax=ax)
    (line,) = lines(ax, "--")
    np.testing.assert_array_equal(line.get_ydata(), predicted)
    assert "dashed: theory" in " ".join(texts(ax))


def test_a_number_as_theory_is_a_factor_per_layer(seeds, ax):
    depth_plot(seeds, theory=0.5, ax=ax)
    np.testing.assert_allclose(lines(ax, "--")[0].get_ydata(), 0.5 ** np.arange(DEPTH - 1, -1, -1))
    forward = Figure().subplots()
    depth_plot(seeds, "h_rms", theory=0.5, ax=forward)
    measured = lines(forward, "-")[0].get_ydata()
    np.testing.assert_allclose(lines(forward, "--")[0].get_ydata(), measured[0] * 0.5 ** np.arange(DEPTH))


def test_the_guess_is_drawn_dotted_and_named(seeds, ax):
    depth_plot(seeds, guess=0.25, ax=ax)
    (line,) = lines(ax, ":")
    np.testing.assert_allclose(line.get_ydata(), 0.25 ** np.arange(DEPTH - 1, -1, -1))
    assert "your guess, 0.25" in texts(ax)


@pytest.mark.parametrize("guess", [..., None])
def test_without_a_guess_none_is_drawn(seeds, ax, guess):
    depth_plot(seeds, guess=guess, ax=ax)
    assert not lines(ax, ":")
    assert not any("guess" in text for text in texts(ax))


@pytest.mark.parametrize("guess", [0, 1, -0.5, 1e-300, float("nan"), np.float64(0.3)])
def test_odd_guesses_stop_nothing(seeds, ax, guess):
    depth_plot(seeds, guess=guess, ax=ax)
    assert any(text.startswith("your guess") for text in texts(ax))


def test_lines_told_apart_by_a_column(ax):
    tables = [profile(act=act).assign(act=act) for act in ("sigmoid", "tanh", "relu", "gelu", "elu")]
    depth_plot(pd.concat(tables), by="act", theory={"tanh": 0.577}, ax=ax)
    assert len(lines(ax, "-")) == 5
    assert len(lines(ax, "--")) == 1
    assert len({line.get_color() for line in lines(ax, "-")}) == 5
    assert len({line.get_marker() for line in lines(ax, "-")}) == 5
    assert {"sigmoid", "tanh", "relu", "gelu", "elu"} <= set(texts(ax))
    with pytest.raises(ValueError, match="at most 5 lines can be told apart; 'act' has 6 values"):
        depth_plot(pd.concat([*tables, profile(act="selu").assign(act="selu")]), by="act", ax=ax)


def test_a_line_for_none(ax):
    tables = [profile(norm=norm).assign(norm=norm) for norm in (None, "batch")]
    depth_plot(pd.concat(tables), by="norm", ax=ax)
    assert len(lines(ax, "-")) == 2
    assert {"None", "batch"} <= set(texts(ax))


def test_nets_of_several_depths(ax):
    tables = [profile(depth=depth).assign(depth=depth) for depth in (1, 4, 9)]
    depth_plot(pd.concat(tables), by="depth", theory=0.6, ax=ax)
    assert [len(line.get_xdata()) for line in lines(ax, "-")] == [4, 9]  # a line of one point is not one of these
    assert ax.get_xlim() == (1, 9)


def test_models_without_activation_modules_show_their_commonest_layer(ax):
    table = profile()
    table = table.assign(slope=np.nan)
    depth_plot(table, ax=ax)
    np.testing.assert_allclose(lines(ax, "-")[0].get_ydata()[-1], 1)
    assert len(lines(ax, "-")[0].get_ydata()) == DEPTH + 1  # the head is a linear layer, too


@pytest.mark.parametrize("broken", [0.0, np.inf, np.nan, 1e-310])
def test_broken_gradients_are_drawn_too(ax, broken):
    table = profile(depth=4)
    table.loc[hidden(table).index[:2], "grad_rms"] = broken
    depth_plot(table, guess=0.5, ax=ax)
    assert len(lines(ax, "-")) == 1
    assert not any("nan" in text or "inf" in text for text in texts(ax))


def test_exploded_forward_passes_are_drawn_too(ax):
    depth_plot(profile(act="relu", sigma_w=1e30), "h_rms", ax=ax)
    depth_plot(profile(act="relu", sigma_w=1e30), "cosine", ax=Figure().subplots())


def test_the_headline_says_what_was_found(ax):
    table = profile(depth=3)
    table.loc[hidden(table).index, "grad_rms"] = [0.01, 0.1, 1.0]
    depth_plot(table, ax=ax)
    assert "Towards the input the gradient loses 1.00 decades per layer" in texts(ax)
    table.loc[hidden(table).index, "grad_rms"] = [100, 10, 1.0]
    other = Figure().subplots()
    depth_plot(table, ax=other)
    assert "Towards the input the gradient gains 1.00 decades per layer" in texts(other)
    depth_plot(table, title="My own", ax=(third := Figure().subplots()))
    assert "My own" in texts(third)


def test_decades_per_layer():
    assert decades_per_layer([1e-3, 1e-2, 1e-1, 1]) == pytest.approx(1)
    assert decades_per_layer(torch.tensor([4.0, 2.0, 1.0])) == pytest.approx(-np.log10(2))


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 8, 9, 20, 30, 50, 64, 100, 500, 1000])
def test_layer_ticks(depth):
    ticks = layer_ticks(depth)
    assert ticks == sorted(set(ticks))
    assert (ticks[0], ticks[-1]) == (1, depth)
    assert len(ticks) <= 11


def test_messages_of_depth_plot(seeds, ax):
    with pytest.raises(ValueError, match="y must be one of grad_rms, h_rms, cosine, slope, dead; got 'gradient'"):
        depth_plot(seeds, "gradient", ax=ax)
    with pytest.raises(ValueError, match=r"the table has no grad_rms to draw: call backward\(\) inside"):
        depth_plot(seeds.assign(grad_rms=np.nan), ax=ax)


# scan_plot, training_plot, histogram_plot


@pytest.fixture
def scan():
    rows = [(w, seed, kind, w * k + seed) for w in (1, 2, 3) for seed in range(3) for k, kind in ((1, "a"), (2, "b"))]
    return pd.DataFrame(rows, columns=["w", "seed", "kind", "value"])


def test_scan(scan, ax):
    dashed = pd.DataFrame({"w": [1, 3, 1, 3], "value": [9, 8, 7, 6], "kind": ["a", "a", "b", "b"]})
    scan_plot(scan, "w", "value", by="kind", theory=dashed, guess=(2.0, 4), labels={"w": "dial"}, ax=ax)
    a, b = lines(ax, "-")
    assert (a.get_xdata().tolist(), a.get_ydata().tolist(), b.get_ydata().tolist()) == ([1, 2, 3], [2, 3, 4], [3, 5, 7])
    assert [line.get_ydata().tolist() for line in lines(ax, "--")] == [[9, 8], [7, 6]]
    (cross,) = [line for line in ax.lines if line.get_marker() == "X"]
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (2, 4)
    assert ax.get_xlabel() == "dial"
    said = " ".join(texts(ax))
    assert "your guess" in said
    assert "3 seeds" in said
    assert "dashed: theory" in said
    assert ax.get_xscale() == ax.get_yscale() == "linear"


def test_scan_on_log_axes_without_a_guess(scan, ax):
    scan_plot(scan[scan.kind == "a"], "w", "value", guess=(2, ...), logx=True, logy=True, ax=ax)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert not any(line.get_marker() == "X" for line in ax.lines)
    assert not any("guess" in text for text in texts(ax))


def test_training(ax):
    rows = [(step, seed, lr, step * lr + seed) for step in range(5) for seed in range(3) for lr in (0.1, 1.0)]
    table = pd.DataFrame(rows, columns=["step", "seed", "lr", "loss"])
    training_plot(table, by="lr", level=(2.3, "chance"), ax=ax)
    slow, fast = lines(ax, "-")
    np.testing.assert_allclose(slow.get_ydata(), 1 + 0.1 * np.arange(5))
    np.testing.assert_allclose(fast.get_ydata(), 1 + np.arange(5))
    assert [line.get_ydata()[0] for line in lines(ax, ":")] == [2.3]
    assert {"chance", "0.1", "1.0"} <= set(texts(ax))
    assert "3 seeds" in " ".join(texts(ax))
    assert ax.get_xlim() == (0, 4)


def test_at_most_five_lines():
    table = pd.DataFrame({"step": [0, 1] * 6, "loss": 1.0, "x": [0, 1] * 6, "run": np.repeat(range(6), 2)})
    with pytest.raises(ValueError, match="at most 5 lines can be told apart; 'run' has 6 values"):
        training_plot(table, by="run", ax=Figure().subplots())
    with pytest.raises(ValueError, match="at most 5 lines can be told apart; 'run' has 6 values"):
        scan_plot(table, "x", "loss", by="run", ax=Figure().subplots())


def test_histograms():
    values = {"a": torch.randn(50, 4, requires_grad=True), "b": np.linspace(-5, 5, 11), "c": torch.ones(3).bfloat16()}
    panels = histogram_plot(values, curve=(np.tanh, "slope"), title="Three", limits=(-5, 5), labels=("z", "share"))
    try:
        assert [ax.get_title(loc="left") for ax in panels] == ["a", "b", "c"]
        for ax in panels:
            assert sum(patch.get_height() for patch in ax.patches) == pytest.approx(1)
            assert ax.get_xlim() == (-5, 5)
        assert panels[-1].get_xlabel() == "z"
        assert panels[0].get_ylabel() == "share"
        tops = [ax.get_ylim()[1] for ax in panels]
        assert tops[0] == tops[1] == tops[2]
        panels[0].figure.canvas.draw()
    finally:
        plt.close(panels[0].figure)


@pytest.mark.parametrize("value", [0.0, 0.02, -3.0])
def test_a_histogram_of_equal_values(value):
    panels = histogram_plot({"constant": torch.full((10,), value)})
    low, high = panels[0].get_xlim()
    assert low < value < high
    plt.close(panels[0].figure)


def test_messages_of_histogram_plot():
    for values, came in ((torch.zeros(3), "Tensor"), ({}, "dict"), ({key: [1.0] for key in "abcdef"}, "dict")):
        with pytest.raises(ValueError, match=f"values must be a dict of 1 to 5 sets of numbers; got {came}"):
            histogram_plot(values)


# style


def other_way(wanted, gap):
    """Some places that also keep the rules: pushed up from below, then down from above."""
    order = np.argsort(wanted, kind="stable")
    places = np.array(wanted, dtype=float)[order]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    places[-1] = min(places[-1], 1)
    for i in range(len(places) - 1, 0, -1):
        places[i - 1] = min(places[i - 1], places[i] - gap)
    result = np.empty_like(places)
    result[order] = places
    return result


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_spread_keeps_order_and_gap(n):
    random = np.random.default_rng(n)
    for gap in (0.05, 0.075, 0.2):
        for draw in (random.random, lambda size: np.full(size, 0.5), lambda size: random.choice([0.0, 1.0], size)):
            for _ in range(50):
                wanted = draw(n)
                places = style.spread(wanted, gap)
                order = np.argsort(wanted, kind="stable")
                assert (np.diff(places[order]) >= gap - 1e-9).all()
                assert places.min() >= -1e-9
                assert places.max() <= 1 + 1e-9
                assert np.square(places - wanted).sum() <= np.square(other_way(wanted, gap) - wanted).sum() + 1e-9
                if n == 1 or (np.diff(wanted[order]) >= gap).all():
                    np.testing.assert_allclose(places, wanted, atol=1e-12)


def test_spread_of_more_than_fits():
    places = style.spread([0.5] * 5, 0.4)
    assert np.diff(places) == pytest.approx(0.4)
    assert style.spread([], 0.1).size == 0
    assert np.isfinite(style.spread([0.3, np.nan, 0.3], 0.1)).all()


def test_labels_do_not_overlap(ax):
    tables = [profile(act="tanh", seed=seed).assign(net=f"net {seed}") for seed in range(5)]
    depth_plot(pd.concat(tables), by="net", guess=0.58, ax=ax)
    found = boxes(ax)
    assert len(found) == 6
    for i, a in enumerate(found):
        assert not any(a.overlaps(b) for b in found[:i])


def test_colours_stand_out_from_white():
    """WCAG 2.2, 1.4.11: a contrast of at least 3 for lines, 1.4.3: of 4.5 for text."""

    def luminance(colour):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    contrast = lambda colour: (luminance(style.BACKGROUND) + 0.05) / (luminance(colour) + 0.05)
    assert contrast("#FFFFFF") == pytest.approx(1)
    assert contrast("#000000") == pytest.approx(21)
    assert style.BACKGROUND == "#FFFFFF"
    assert min(map(contrast, style.COLOURS)) >= 3
    assert min(contrast(style.TEXT), contrast(style.GREY)) >= 4.5
    assert len(style.COLOURS) == len(style.MARKERS) == len(set(style.MARKERS)) == len(set(style.COLOURS)) == 5


def test_a_new_figure_only_where_none_is_given(seeds):
    before, settings = set(plt.get_fignums()), dict(matplotlib.rcParams)
    made = depth_plot(seeds)
    try:
        assert len(set(plt.get_fignums()) - before) == 1
    finally:
        plt.close(made.figure)
    depth_plot(seeds, ax=style.axes(figure=style.bare_figure((4, 3))))
    assert set(plt.get_fignums()) == before
    assert dict(matplotlib.rcParams) == settings
