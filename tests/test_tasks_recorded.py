"""Speech and text that ship with the package: what the sources say of them is so, and nothing leaks from the tests."""

import re

import numpy as np
import pytest
import torch

from vglab import tasks
from vglab.tasks.speech import LONGEST


def written(window):
    return "".join(tasks.ALPHABET[k] for k in window.argmax(-1))


def test_utterances_are_those_of_the_repository():
    data = tasks.speech()
    assert [tuple(part.shape) for part in data] == [(270, 29, 12), (270,), (370, 29, 12), (370,)]
    assert torch.bincount(data.y).tolist() == [30] * 9
    assert torch.bincount(data.y_test).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    spoken = torch.cat([data.x, data.x_test]).abs().sum(2) > 0
    lengths = spoken.sum(1)
    assert (lengths.min(), lengths.max()) == (7, 29)
    assert spoken[:, -1].all(), "every utterance ends at the last frame"
    assert (spoken.int().diff(dim=1) >= 0).all(), "silence comes before it only"


def test_frames_are_standardized_with_the_training_frames():
    data = tasks.speech()
    frames = data.x[data.x.abs().sum(2) > 0].double()
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(frames.std(0, correction=0), 1, atol=1e-5)
    assert data.x_test[data.x_test.abs().sum(2) > 0].mean(0).abs().max() > 0.05, "the test frames are not"


def test_padding_comes_after_the_speech():
    plain, padded = tasks.speech(), tasks.speech(pad=7)
    assert torch.equal(padded.x[:, :LONGEST], plain.x)
    assert (padded.x[:, LONGEST:] == 0).all()
    noisy = tasks.speech(pad=50, noise=0.3)
    assert noisy.x[:, LONGEST:].std().item() == pytest.approx(0.3, rel=0.01)
    assert torch.equal(noisy.x[:, LONGEST - 7 : LONGEST], plain.x[:, -7:]), "noise never covers speech"
    assert not torch.equal(noisy.x, tasks.speech(pad=50, noise=0.3, seed=1).x)


@pytest.mark.parametrize("pad", [-1, 2.5, "3"])
def test_a_bad_pad(pad):
    with pytest.raises(ValueError, match="pad is a number of frames and must be a whole number, 0 or more; got"):
        tasks.speech(pad)


@pytest.mark.parametrize("noise", [-0.1, float("nan"), None])
def test_bad_noise(noise):
    with pytest.raises(ValueError, match="noise is a standard deviation and must be 0 or more; got"):
        tasks.speech(noise=noise)


def test_the_book_is_whole():
    book = tasks.alice()
    assert book.split()[:6] == ["CHAPTER", "I", "Down", "the", "Rabbit-Hole", "Alice"]
    assert book.count("CHAPTER ") == 12
    assert book.rstrip().endswith("and the happy summer days.")


@pytest.mark.parametrize("lag", [1, 20, 100])
def test_what_decides_stands_lag_characters_back(lag):
    data = tasks.quotation(lag, n_train=200, n_test=100)
    assert data.x.shape == (200, lag + 20, 39)
    assert data.x_test.shape == (100, lag + 20, 39)
    for x, y in ((data.x, data.y), (data.x_test, data.y_test)):
        assert y.sum() == len(y) / 2
        assert (x.sum(2) == 1).all(), "one character at a time"
        for window, label in zip(x, y, strict=True):
            text = written(window)
            inner = {
                match.start() for match in re.finditer("(?<=[a-z])'(?=[a-z]|$)", text)
            }  # an apostrophe, or cut off
            marks = [i for i, character in enumerate(text) if character in "`'" and i not in inner]
            assert lag <= len(text) - 1 - marks[-1] < lag + 10
            assert text[marks[-1]] == ("`" if label else "'")


def test_test_windows_come_from_other_chapters():
    data, plain = tasks.quotation(30, n_train=400, n_test=400), " ".join(tasks.alice().lower().split())
    cut = plain.index("chapter x ")
    found = [(written(x)[-20:], part) for part, of in ((0, data.x), (1, data.x_test)) for x in of]
    places = [(plain.find(text), part) for text, part in found if plain.count(text) == 1]
    assert len(places) > 600
    assert all((place >= cut) == bool(part) for place, part in places)


def test_windows_are_drawn_from_the_seed():
    first, again, other = (tasks.quotation(20, n_train=50, n_test=50, seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.x, other.x)


@pytest.mark.parametrize("lag", [0, 101, 2.0, True])
def test_a_bad_lag(lag):
    with pytest.raises(ValueError, match="lag is a number of characters and must be a whole number from 1 to 100; got"):
        tasks.quotation(lag)


@pytest.mark.parametrize("size", [{"n_train": 3}, {"n_test": 0}])
def test_an_odd_number_of_windows(size):
    with pytest.raises(ValueError, match="half speech, half not, and must be even and at least 2; got"):
        tasks.quotation(**size)
