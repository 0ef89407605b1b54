"""The checks of lesson 13: other right answers pass, and what only looks right does not."""

import math

import numpy as np
import pytest
import torch

from vglab import check
from vglab.nets import deepnorm


def estimate(g, lag):
    g = g - g.mean()
    return (g[lag:] * g[:-lag]).sum() / (g * g).sum()


def test_other_right_autocorrelations_pass():
    assert check.autocorrelation(lambda g, lag: estimate(g, lag).item()).passed

    def in_numpy(g, lag):
        g = np.asarray(g) - np.mean(np.asarray(g))
        return np.correlate(g, g, "full")[len(g) - 1 + lag] / (g @ g)

    assert check.autocorrelation(in_numpy).passed


def test_an_autocorrelation_at_lag_one_only_is_found():
    assert not check.autocorrelation(lambda g, lag: estimate(g, 1)).passed


def test_an_answer_that_knows_only_the_cases_fails_on_new_lines():
    verdict = check.autocorrelation(lambda g, lag: estimate(g, lag) if len(g) < 100 else torch.tensor(1.0))
    assert verdict.status == "wrong"
    assert "white noise" in verdict.message
    verdict = check.autocorrelation(lambda g, lag: estimate(g, lag) if len(g) < 100 else torch.tensor(0.0))
    assert verdict.status == "wrong"
    assert "Brownian path" in verdict.message
    offset = lambda g, lag: estimate(g, lag) + (0.01 if g.mean() > 50 else 0)
    assert "multiple" in check.autocorrelation(offset).message


def test_deepnorms_own_constants_pass_and_are_no_answer_for_another_alpha():
    assert check.branch_gain(lambda blocks, alpha: math.sqrt(alpha**2 / (4 * blocks))).passed
    for blocks in (1, 7, 500):
        alpha, beta = deepnorm(blocks)
        assert check.branch_gain.reference(blocks, alpha) == pytest.approx(beta)
    assert check.branch_gain(lambda blocks, alpha: deepnorm(blocks)[1]).status == "known mistake"
