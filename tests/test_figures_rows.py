"""The picture of a table: a row for each case, a pane for each reading, drawn where the table says."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from vglab.figures import rows_plot

matplotlib.use("Agg")
READINGS = {"factor": "factor per layer", "accuracy": "accuracy"}


@pytest.fixture(autouse=True)
def _close():
    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()  # without a warning
    plt.close("all")


@pytest.fixture
def table():
    names = np.repeat(["skips", "nothing", "He"], 3)
    factor = [1.0, 1.1, 0.9, 0.2, 0.3, 0.1, 1.5, 1.6, 1.4]
    accuracy = [0.9, 0.95, 0.99, 0.1, 0.1, 0.1, np.inf, np.inf, np.nan]
    return pd.DataFrame({"remedy": names, "factor": factor, "accuracy": accuracy})


def dots(pane):
    (line,) = [line for line in pane.lines if line.get_marker() == "o"]
    return line.get_xydata().tolist()


def test_medians_stand_in_their_rows_in_the_order_of_the_table(table):
    left, right = rows_plot(table, "remedy", READINGS)
    assert dots(left) == [[1.0, 0], [0.2, 1], [1.5, 2]]
    assert dots(right) == [[0.95, 0], [0.1, 1]]
    assert [label.get_text() for label in left.get_yticklabels()] == ["skips", "nothing", "He"]
    assert [pane.get_xlabel() for pane in (left, right)] == list(READINGS.values())
    assert left.get_ylim()[0] > left.get_ylim()[1], "the first row at the top"


def test_ranges_are_those_of_the_seeds(table):
    left, _ = rows_plot(table, "remedy", READINGS)
    spans = [segment[:, 0].tolist() for segment in left.collections[0].get_segments()]
    assert spans == [[0.9, 1.1], [0.1, 0.3], [1.4, 1.6]]
    assert "line: range of 3 seeds" in " ".join(text.get_text() for text in left.texts)
    single, _ = rows_plot(table[::3], "remedy", READINGS)
    assert "seeds" not in " ".join(text.get_text() for text in single.texts)


def test_a_row_that_diverged_has_a_cross_at_the_edge(table):
    left, right = rows_plot(table, "remedy", READINGS)
    (cross,) = [line for line in right.lines if line.get_marker() == "x"]
    assert cross.get_ydata().tolist() == [2]
    assert not [y for line in left.lines if line.get_marker() == "x" for y in line.get_ydata()]


def test_theory_and_levels_are_drawn_where_they_belong(table):
    theory = pd.DataFrame({"remedy": ["He", "skips"], "factor": [1.45, 1.02]})
    left, right = rows_plot(
        table, "remedy", READINGS, theory=theory, levels={"factor": 1, "accuracy": 0.1}, log=("factor",)
    )
    (dash,) = [line for line in left.lines if line.get_marker() == "|"]
    np.testing.assert_array_equal(dash.get_xdata(), [1.02, np.nan, 1.45])
    assert not [line for line in right.lines if line.get_marker() == "|"]
    assert [pane.get_xscale() for pane in (left, right)] == ["log", "linear"]
    for pane, level in ((left, 1), (right, 0.1)):
        assert [line.get_xdata()[0] for line in pane.lines if line.get_linestyle() == ":"] == [level]
    assert left.get_shared_x_axes().joined(left, right) is False


def test_messages(table):
    with pytest.raises(
        ValueError, match=r"readings must be a dict of 1 to 3 columns and the words under them; got \{\}"
    ):
        rows_plot(table, "remedy", {})
    with pytest.raises(ValueError, match="the table has no column 'loss'"):
        rows_plot(table, "remedy", {"loss": "loss"})
    many = pd.DataFrame({"remedy": range(30), "factor": 1.0})
    with pytest.raises(ValueError, match="at most 24 rows can be read; 'remedy' has 30 values: leave some out"):
        rows_plot(many, "remedy", {"factor": "factor"})
