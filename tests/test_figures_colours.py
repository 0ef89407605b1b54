"""Colours that everyone can tell apart, on white and on the dark ground, by simulation; and the dark figures."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb
from matplotlib.lines import Line2D
from matplotlib.text import Text
from torch.nn.functional import cross_entropy

import vglab as vg
from vglab.figures import dark, style

# Machado, Oliveira and Fernandes (2009), severity 1.0, for linear RGB; checked against the package colorspacious.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
APART = 0.06  # in OKLab, where black and white are 1 apart
DARK = [style.DARK[colour.lower()] for colour in style.COLOURS]
GROUND = style.DARK["#ffffff"]


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    """Ottosson (2020): linear sRGB to lightness and two axes of colour."""
    lms = np.cbrt(
        np.clip(rgb, 0, 1) @ np.array([[0.4122214708, 0.2119034982, 0.0883024619], [0.5363325363, 0.6806995451,
        0.2817188376], [0.0514459929, 0.1073969566, 0.6299787005]])
    )  # fmt: skip
    return lms @ np.array([[0.2104542553, 1.9779984951, 0.0259040371], [0.7936177850, -2.4285922050, 0.7827717662],
                           [-0.0040720468, 0.4505937099, -0.8086757660]])  # fmt: skip


def seen(colour, sight):
    return oklab(np.asarray(SIGHT[sight]) @ linear(colour))


def distance(a, b, sight):
    return np.linalg.norm(seen(a, sight) - seen(b, sight))


def contrast(a, b):
    high, low = sorted((linear(c) @ [0.2126, 0.7152, 0.0722] for c in (a, b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_simulation_knows_black_white_and_a_pair_that_is_known_to_be_bad():
    assert distance("black", "white", "normal") == pytest.approx(1, abs=1e-3)
    assert all(np.asarray(matrix).sum(axis=1) == pytest.approx(1, abs=1e-3) for matrix in SIGHT.values())
    red, green = "#C08000", "#84A000"
    assert distance(red, green, "normal") > APART
    assert distance(red, green, "deuteranopia") < APART


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("palette", [style.COLOURS, DARK], ids=["on white", "on dark"])
def test_every_pair_of_colours_can_be_told_apart(palette, sight):
    assert min(distance(a, b, sight) for a, b in combinations(palette, 2)) > APART


def test_lines_and_words_stand_out_from_either_ground():
    for palette, text, ground in (
        (style.COLOURS, (style.TEXT, style.GREY), style.BACKGROUND),
        (DARK, [style.DARK[c.lower()] for c in (style.TEXT, style.GREY)], GROUND),
    ):
        assert min(contrast(colour, ground) for colour in palette) >= 3
        assert min(contrast(colour, ground) for colour in text) >= 4.5


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("name", ["viridis", "cividis"])
def test_maps_grow_lighter_all_the_way(name, sight):
    lightness = [seen(colour, sight)[0] for colour in colormaps[name](np.linspace(0, 1, 33))[:, :3]]
    assert (np.diff(lightness) > 0).all()


@pytest.fixture
def gallery():
    """Figures with lines, bands, maps and reports, as the lessons draw them."""
    digits = vg.tasks.digits()
    model = vg.mlp(6, 16, act="tanh", seed=0)
    with vg.probe(model) as seen_by_probe:
        for _ in range(3):
            cross_entropy(model(digits.x[:16]), digits.y[:16]).backward()
    table = seen_by_probe.table
    runs = pd.concat([table.assign(run=run, grad_rms=table.grad_rms * (1 + run)) for run in range(5)])
    drawn = [vg.depth_plot(runs[runs.step == 0], y="h_rms", by="run"), vg.heat_plot(table)]
    grid = vg.theory.phase_diagram("tanh", np.linspace(0.5, 3, 8), np.linspace(0, 1, 6))
    drawn.append(vg.phase_plot(grid))
    yield drawn
    plt.close("all")


def test_no_line_is_told_by_its_colour_alone(gallery):
    for ax in gallery:
        lines = [line for line in ax.get_lines() if len(line.get_xdata()) > 2]
        for a, b in combinations(lines, 2):
            if to_hex(a.get_color()) != to_hex(b.get_color()):
                assert (a.get_marker(), a.get_linestyle()) != (b.get_marker(), b.get_linestyle())


def test_a_dark_figure_keeps_no_colour_of_the_light_one(gallery):
    for ax in gallery:
        assert dark(ax) is ax
        ax.figure.canvas.draw()
        assert to_hex(ax.figure.get_facecolor()) == GROUND
        for artist in ax.figure.findobj(lambda artist: isinstance(artist, (Text, Line2D)) and artist.get_visible()):
            colour = to_hex(artist.get_color())
            if isinstance(artist, Text) and colour == "#ffffff":
                continue  # on a map
            assert colour not in style.DARK, artist
            if isinstance(artist, Text) and artist.get_text():
                assert colour == "#000000" or contrast(colour, GROUND) >= 4.5, artist


def test_dark_refuses_what_is_no_figure():
    with pytest.raises(TypeError, match=r"dark\(\) takes a Figure or Axes; got str: give what the plot returned"):
        dark("figure")
