"""The check of a residual block: a class of modules, with each slip that learners make told by its own sentence."""

import pytest
import torch
from torch import nn

from vglab import check


@pytest.fixture(autouse=True)
def _no_record(monkeypatch):
    monkeypatch.setenv("VGLAB_PROGRESS", "off")


class Right(nn.Module):
    """The answer of lesson 9; the slips below change one line of it."""

    def __init__(self, branch, n_in, n_out, alpha=1.0):
        super().__init__()
        self.branch, self.alpha = branch, alpha
        self.shortcut = nn.Identity() if n_in == n_out else nn.Linear(n_in, n_out, bias=False)

    def forward(self, h):
        return self.shortcut(h) + self.alpha * self.branch(h)


class AlwaysProjects(Right):
    def __init__(self, branch, n_in, n_out, alpha=1.0):
        super().__init__(branch, n_in, n_out, alpha)
        self.unused = nn.Linear(n_in, n_out, bias=False)


class WithBias(Right):
    def __init__(self, branch, n_in, n_out, alpha=1.0):
        super().__init__(branch, n_in, n_out, alpha)
        if n_in != n_out:
            self.shortcut = nn.Linear(n_in, n_out)


class Hidden(Right):
    def __init__(self, branch, n_in, n_out, alpha=1.0):
        super().__init__(branch, n_in, n_out, alpha)
        if n_in != n_out:
            linear = self.shortcut
            self.shortcut = None
            self.forward = lambda h: linear(h).detach() + self.alpha * self.branch(h)


class InAList(Right):
    def __init__(self, branch, n_in, n_out, alpha=1.0):
        super().__init__(branch, n_in, n_out, alpha)
        if n_in != n_out:
            self.kept = [self.shortcut]
            del self.shortcut
            self.shortcut = lambda h: self.kept[0](h)


class MadeAnew(Right):
    def forward(self, h):
        branch = self.branch(h)
        same = branch.shape == h.shape
        return (h if same else nn.Linear(h.shape[1], branch.shape[1], bias=False)(h)) + self.alpha * branch


class NothingLeft(Right):
    def forward(self, h):
        branch = self.branch(h)
        return (h if branch.shape == h.shape else 0) + self.alpha * branch


class LosesItsBranch(Right):
    def __init__(self, branch, n_in, n_out, alpha=1.0):
        super().__init__(None, n_in, n_out, alpha)
        self.branches = [branch]

    def forward(self, h):
        return self.shortcut(h) + self.alpha * self.branches[0](h)


class Stub(Right):
    def forward(self, h): ...


class NoAlpha(Right):
    def forward(self, h):
        return self.shortcut(h) + self.branch(h)


def test_the_right_class_passes_and_a_stub_is_not_attempted():
    assert check.ResidualBlock(Right).passed
    assert check.ResidualBlock(Stub).status == "not attempted"
    assert check.ResidualBlock(NoAlpha).status == "known mistake"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (AlwaysProjects, "the sizes agree, and the shortcut has 36 parameters"),
        (WithBias, "the shortcut is not linear: no bias"),
        (Hidden, "is that detached"),
        (InAList, "parameters that an optimizer would find"),
        (MadeAnew, "called twice with the same h the block gives two answers"),
        (NothingLeft, "nothing is left: the shortcut needs a linear map"),
        (LosesItsBranch, "the parameters of the branch are not among the block's"),
    ],
)
def test_each_slip_is_told_by_its_own_sentence(answer, words):
    verdict = check.ResidualBlock(answer)
    assert not verdict.passed
    assert words in verdict.message


def test_the_check_leaves_the_random_state_of_a_deterministic_answer():
    class Zero(Right):
        def __init__(self, branch, n_in, n_out, alpha=1.0):
            nn.Module.__init__(self)
            self.branch, self.alpha, self.shortcut = branch, alpha, nn.Identity()

    before = torch.get_rng_state()
    check.ResidualBlock(Zero)
    assert torch.equal(torch.get_rng_state(), before)


def test_shares_of_all_lengths_add_up():
    wrong_beyond_ten = lambda n, k, a: check.path_share.reference(n, k, a) * (1.0 if k <= 10 else 1.1)
    assert check.path_share(wrong_beyond_ten).status == "wrong"
