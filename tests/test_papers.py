"""The numbers of the papers, measured anew: each median over three seeds lies where `papers.CLAIMS` says."""

import numpy as np
import pytest

from . import papers


@pytest.mark.parametrize("claim", papers.CLAIMS, ids=lambda claim: f"{claim.paper}: {claim.what}")
def test_a_paper_s_number_comes_out(claim):
    ours = np.median([claim.measure(seed) for seed in papers.SEEDS])
    assert claim.low <= ours <= claim.high, claim


def test_the_table_has_a_row_for_each_claim():
    table = papers.table(papers.CLAIMS[:2])
    assert table.paper.tolist() == [claim.paper for claim in papers.CLAIMS[:2]]
    assert (table.least <= table.ours).all()
    assert (table.ours <= table.greatest).all()
