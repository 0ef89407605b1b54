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


@pytest.mark.parametrize(
    ("guess", "number"),
    [
        (np.float32(0.25), 0.25),
        (np.array(0.25), 0.25),
        (torch.tensor(0.25, requires_grad=True), 0.25),
        (np.int64(2), 2.0),
    ],
)
def test_a_guess_is_any_real_number(seeds, ax, guess, number):
    depth_plot(seeds, guess=guess, ax=ax)
    np.testing.assert_allclose(lines(ax, ":")[0].get_ydata(), number ** np.arange(DEPTH - 1, -1, -1))


@pytest.mark.parametrize(
    ("guess", "came"), [("0.25", "str"), ([0.25], "list"), (1j, "complex"), (torch.ones(1), "Tensor")]
)
def test_a_guess_that_is_no_number(seeds, scan, ax, guess, came):
    with pytest.raises(TypeError, match=f"^guess must be a number, or ... for no guess; got {came}.$"):
        depth_plot(seeds, guess=guess, ax=ax)
    with pytest.raises(TypeError, match=f"^guess must be a number, or ... for no guess; got {came}.$"):
        scan_plot(scan, "w", "value", guess=(2, guess), ax=ax)
    assert not ax.lines


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

    with pytest.raises(TypeError, match=r"depth_plot draws the .table of a vglab.probe; got columns layer, kind."):
        depth_plot(seeds[["layer", "kind"]], ax=ax)
    with pytest.raises(ValueError, match="the line b has no grad_rms to draw: call backward"):
        depth_plot(pd.concat([profile().assign(k="a"), profile().assign(k="b", grad_rms=np.nan)]), by="k", ax=ax)
    with pytest.raises(ValueError, match=r"the table has no cosine to draw: choose another y."):
        depth_plot(seeds.assign(cosine=np.nan), "cosine", ax=ax)


def test_joined_tables_that_no_column_tells_apart(seeds, ax):
    todo = r"add a column to each table with table.assign\(seed=...\), or pass by=..."
    with pytest.raises(ValueError, match=f"the table joins several nets that no column tells apart: {todo}"):
        depth_plot(seeds.drop(columns="seed"), ax=ax)
    two = pd.concat([seeds.assign(act="a"), seeds.drop(columns="seed").assign(act="b")])
    with pytest.raises(ValueError, match="the line b joins several nets"):
        depth_plot(two, by="act", ax=ax)
    assert not ax.lines


@pytest.mark.parametrize("column", ["seed", "step"])
def test_a_run_without_a_number_is_a_run(ax, column):
    tables = [profile(act=act).assign(act=act, **{column: number}) for act, number in (("tanh", 0), ("relu", np.nan))]
    depth_plot(pd.concat(tables), by="act", ax=ax)
    assert [len(line.get_xdata()) for line in lines(ax, "-")] == [DEPTH, DEPTH]


def test_nets_without_activation_modules_beside_nets_with_them(ax):
    bare = profile().assign(slope=np.nan, net="bare")
    depth_plot(pd.concat([profile().assign(net="tanh"), bare]), by="net", ax=ax)
    assert [len(line.get_xdata()) for line in lines(ax, "-")] == [DEPTH, DEPTH + 1]


@pytest.mark.parametrize("broken", [0.0, np.nan, np.inf])
def test_a_broken_last_layer(ax, broken):
    table = profile()
    table.loc[hidden(table).index[-1], "grad_rms"] = broken
    last = f'relative to its last layer, whose grad_rms is {broken:g}: look at table.grad_rms, or draw y="h_rms".'
    with pytest.raises(ValueError, match=f"^the table cannot be drawn {last}"):
        depth_plot(table, ax=ax)
    depth_plot(table, "h_rms", ax=ax)


def test_a_pass_without_backward_draws_nothing(seeds, ax):
    forward = profile().assign(step=1, grad_rms=np.nan)
    depth_plot(pd.concat([profile(), forward]), ax=ax)
    np.testing.assert_array_equal(lines(ax, "-")[0].get_ydata(), relative_to_last(profile()))
    assert "range" not in " ".join(texts(ax))


def relative_to_last(table):
    signal = hidden(table).grad_rms.to_numpy()
    return signal / signal[-1]


def test_theory_for_a_line_that_is_not_there(ax):
    tables = pd.concat([profile(act=act).assign(act=act) for act in ("tanh", "relu")])
    with pytest.raises(ValueError, match=r"^theory has 'Tanh', and no line is called that: tanh, relu.$"):
        depth_plot(tables, by="act", theory={"Tanh": 0.5, "relu": 0.5}, ax=ax)
    with pytest.raises(ValueError, match=r"^theory has 'tanh', and no line is called that: measured.$"):
        depth_plot(profile(), theory={"tanh": 0.5}, ax=ax)
    depth_plot(tables, by="act", theory={"tanh": 0.5, "relu": 0.6, "elu": 0.7}, ax=ax)  # theory for more than is drawn
    assert len(lines(ax, "--")) == 2


@pytest.mark.parametrize("nothing", [None, {}, {"tanh": None}])
def test_dashes_are_named_only_where_there_are_some(ax, nothing):
    depth_plot(profile().assign(act="tanh"), by="act", theory=nothing, ax=ax)
    assert "dashed" not in " ".join(texts(ax))


def test_the_band_is_named(seeds, ax):
    said = lambda table, **more: " ".join(texts(depth_plot(table, ax=Figure().subplots(), **more)))
    assert "range" not in said(profile())
    steps = pd.concat([profile().assign(step=step) for step in range(4)])
    assert "; median and range of 4 steps" in said(steps)
    assert "range" not in said(steps, by="step")
    assert "; median and range of 3 seeds" in said(seeds)
    assert "; median and range of 3 seeds and 2 steps" in said(pd.concat([seeds, seeds.assign(step=1)]))
    assert "; median and range of 2 seeds" in said(pd.concat([profile(), profile().assign(seed=np.nan)]))
    assert "; median and range of 2 backward passes" in said(pd.concat([profile(), profile().assign(backward=1)]))
    apart = pd.concat([profile(seed=seed).assign(net=seed % 2) for seed in range(4)])
    assert "; median and range of 2 seeds" in said(apart, by="net")  # two for each line


def test_sides(seeds, ax):
    """The gradient starts at the right, so its scale stands there and its names at the left; forward the reverse."""
    forward = Figure().subplots()
    ends = {
        "grad_rms": (depth_plot(seeds, ax=ax), "right", -1),
        "h_rms": (depth_plot(seeds, "h_rms", ax=forward), "left", 1),
    }
    for drawn, scale, away in ends.values():
        assert drawn.yaxis.get_ticks_position() == scale
        (name,) = [text for text in drawn.texts if text.get_text() == "measured"]
        (dot,) = [line for line in drawn.lines if len(line.get_xdata()) == 1]
        edge = (1 + away) / 2
        assert (name.get_position()[0], dot.get_xdata()[0]) == pytest.approx((edge + 0.045 * away, edge + 0.025 * away))
        assert name.get_ha() == ("left" if away == 1 else "right")
        (line,) = lines(drawn, "-")
        end = line.get_ydata()[0 if away == -1 else -1]
        to_axes = drawn.transData - drawn.transAxes
        assert dot.get_ydata()[0] == pytest.approx(to_axes.transform((1, end))[1])
        assert not line.get_clip_on()


def test_labels_carry_the_colour_and_marker_of_their_line(ax):
    depth_plot(pd.concat([profile(act=act).assign(act=act) for act in ("tanh", "relu")]), by="act", ax=ax)
    dots = [line for line in ax.lines if len(line.get_xdata()) == 1]
    look = lambda line: (line.get_color(), line.get_marker())
    assert [*map(look, dots)] == [*map(look, lines(ax, "-"))]
    bands = [matplotlib.colors.to_hex(band.get_facecolor()[0]).upper() for band in ax.collections]
    assert bands == [line.get_color() for line in lines(ax, "-")]


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


@pytest.mark.parametrize(("numbers", "whole"), [([0, 1, 2, 3], True), ([0.0, 1.0, 2.0, 3.0], False)])
def test_a_count_on_the_axis_has_whole_ticks(ax, numbers, whole):
    scan_plot(pd.DataFrame({"layers": numbers, "value": [1.0, 2.0, 1.5, 1.0]}), "layers", "value", ax=ax)
    assert all(tick == round(tick) for tick in ax.get_xticks()) is whole


def test_scan_on_log_axes_without_a_guess(scan, ax):
    scan_plot(scan[scan.kind == "a"], "w", "value", guess=(2, ...), logx=True, logy=True, ax=ax)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert not any(line.get_marker() == "X" for line in ax.lines)
    assert not any("guess" in text for text in texts(ax))


@pytest.mark.parametrize(("guess", "side"), [((0.6, 1), "left"), ((2.0, 1), "right")])
def test_the_words_at_a_guess_keep_clear_of_the_names_at_the_right(scan, ax, guess, side):
    scan_plot(scan, "w", "value", by="kind", guess=guess, logx=True, ax=ax)
    (words,) = [text for text in ax.texts if text.get_text() == "your guess"]
    assert words.get_horizontalalignment() == side


@pytest.mark.parametrize("guess", [None, ..., (..., 1), (2, ...), (2, None)])
def test_a_scan_without_a_guess(scan, ax, guess):
    scan_plot(scan, "w", "value", guess=guess, ax=ax)
    assert [len(line.get_xdata()) for line in ax.lines] == [3]  # no cross, and no name at the end of a single line


@pytest.mark.parametrize(("guess", "came"), [(3.0, "float"), ((1, 2, 3), "tuple"), ("ab", "str")])
def test_a_scan_s_guess_is_a_pair(scan, ax, guess, came):
    with pytest.raises(TypeError, match=rf"^guess must be a pair \(x, y\), or ... for no guess; got {came}.$"):
        scan_plot(scan, "w", "value", guess=guess, ax=ax)
    scan_plot(scan, "w", "value", guess=[np.float32(2), torch.tensor(4)], ax=ax)
    assert [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "X"] == [[[2, 4]]]


def test_a_level_stands_at_its_value_with_its_words(scan, ax):
    scan_plot(scan, "w", "value", level=(2.5, "chance"), ax=ax)
    assert [line.get_ydata() for line in lines(ax, ":")] == [[2.5, 2.5]]
    (words,) = [text for text in ax.texts if text.get_text() == "chance"]
    assert words.xy == (1, 2.5)


def test_a_scan_names_seeds_and_dashes_only_where_there_are_some(scan, ax):
    alone = scan[scan.seed == 0]
    scan_plot(alone, "w", "value", by="kind", theory=alone.assign(kind="c"), ax=ax)
    assert not lines(ax, "--")
    assert not any("dashed" in text or "range" in text for text in texts(ax))


def test_keys_are_written_alike(scan, ax):
    keys = {"a": 1.0, "b": 0.1 + 0.2}
    scan_plot(scan.assign(key=scan.kind.map(keys)), "w", "value", by="key", ax=ax)
    assert {"1", "0.3"} <= set(texts(ax))
    assert [style.key_text(key) for key in (np.float32(0.1), 1_000_000, True, None)] == [
        "0.1",
        "1000000",
        "True",
        "None",
    ]


def test_messages_of_scan_and_training(scan, ax):
    empty, columns = "has no rows to draw: run the measurement first", "w, seed, kind, value"
    for draw in (
        lambda table, **more: scan_plot(table, "w", "value", ax=ax, **more),
        lambda table, **more: training_plot(table.rename(columns={"w": "step"}), "value", ax=ax, **more),
    ):
        with pytest.raises(ValueError, match=f"^the table {empty}.$"):
            draw(scan[:0])
        with pytest.raises(ValueError, match=r"^the table has no column 'lr' to draw: choose one of "):
            draw(scan, by="lr")
    with pytest.raises(ValueError, match=f"^the table has no column 'x' to draw: choose one of {columns}.$"):
        scan_plot(scan, "x", "value", ax=ax)
    with pytest.raises(ValueError, match=f"^the table has no column 'step' to draw: choose one of {columns}.$"):
        training_plot(scan, "value", ax=ax)
    with pytest.raises(ValueError, match=f"^the table has no column 'loss' to draw: choose one of {columns}.$"):
        scan_plot(scan, "w", "loss", ax=ax)
    with pytest.raises(ValueError, match=r"^the theory has no column 'kind' to draw: choose one of w, value.$"):
        scan_plot(scan, "w", "value", by="kind", theory=scan[["w", "value"]], ax=ax)
    with pytest.raises(TypeError, match=r"^the table must be a pandas DataFrame; got list.$"):
        training_plot([1, 2], ax=ax)
    assert not ax.lines


def test_training_of_one_step_and_one_seed(ax):
    training_plot(pd.DataFrame({"step": [0], "seed": [0], "loss": [2.0]}), ax=ax)
    assert ax.lines[0].get_xydata().tolist() == [[0, 2]]
    assert "range" not in " ".join(texts(ax))
    assert ax.get_yscale() == "linear"


def test_training_on_a_log_axis(ax):
    training_plot(pd.DataFrame({"step": range(4), "loss": [1, 1e-2, 1e-4, 1e-6]}), logy=True, ax=ax)
    assert ax.get_yscale() == "log"
    ax.figure.canvas.draw()
    assert "10⁻⁴" in [label.get_text() for label in ax.get_yticklabels()]


def test_training(ax):
    rows = [(step, seed, lr, step * lr + seed) for step in range(5) for seed in range(3) for lr in (0.1, 1.0)]
    table = pd.DataFrame(rows, columns=["step", "seed", "lr", "loss"])
    training_plot(table, by="lr", level=(2.3, "chance"), ax=ax)
    slow, fast = lines(ax, "-")
    np.testing.assert_allclose(slow.get_ydata(), 1 + 0.1 * np.arange(5))
    np.testing.assert_allclose(fast.get_ydata(), 1 + np.arange(5))
    assert [line.get_ydata()[0] for line in lines(ax, ":")] == [2.3]
    assert {"chance", "0.1", "1"} <= set(texts(ax))
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
    for values, came in ((torch.zeros(3), "Tensor"), ({}, "0 sets"), ({key: [1.0] for key in "abcdefg"}, "7 sets")):
        with pytest.raises(ValueError, match=f"values must be a dict of 1 to 5 sets of numbers; got {came}"):
            histogram_plot(values)

    for broken in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=r"^'b' holds 1 of 3 values that are NaN or infinite: leave them out.$"):
            histogram_plot({"a": [1.0, 2.0], "b": torch.tensor([1.0, broken, 2.0])})
    with pytest.raises(ValueError, match=r"^'a' holds no numbers to draw.$"):
        histogram_plot({"a": torch.zeros(0, 4)})


def test_a_curve_over_a_histogram_fills_its_height():
    panels = histogram_plot({"a": [0.0, 1.0, 1.0]}, curve=(lambda x: 5 * x, "line"), limits=(0, 1))
    (curve,) = panels[0].lines
    bars = max(patch.get_height() for patch in panels[0].patches)
    top = panels[0].get_ylim()[1]
    assert bars <= curve.get_ydata().max() <= min(top, 1.1 * bars)
    np.testing.assert_allclose(curve.get_ydata() / curve.get_ydata().max(), np.linspace(0, 1, 400), atol=1e-12)
    plt.close(panels[0].figure)


# style


def test_power_of_ten():
    assert [style.power_of_ten(value) for value in (1e-12, 1000, 1, 9.8e2)] == ["10⁻¹²", "10³", "10⁰", "10³"]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1, 3, ["1", "1.5", "2", "3"]),
        (1, 50, ["1", "2", "5", "10", "20", "50"]),
        (1, 1000, ["10⁰", "10¹", "10²", "10³"]),
        (1e-9, 1e-3, [f"10⁻{power}" for power in "⁹⁸⁷⁶⁵⁴³"]),
    ],
)
def test_log_ticks(ax, low, high, said):
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    style.log_ticks(ax.yaxis, low, high)
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    assert [ax.yaxis.get_major_formatter()(tick) for tick in ticks] == said
    assert len(ax.get_yticks(minor=True)) == 0


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
    depth_plot(seeds, ax=style.bare_figure((4, 3)).subplots())
    assert set(plt.get_fignums()) == before
    assert dict(matplotlib.rcParams) == settings
