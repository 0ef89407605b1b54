"""Checks of lesson 9: a residual block whose sizes may differ, the share of the paths of one length, a scale of branches."""

import math

import torch
from torch import nn

from .engine import Exercise

__all__ = ["ResidualBlock", "branch_scale", "path_share"]


class _OfModules(Exercise):
    """An exercise whose answer is a class of modules: it is built with all but the last argument, called with that."""

    def _judge(self, answer):
        return super()._judge(_Built(answer) if isinstance(answer, type) else answer)


class _Built:
    def __init__(self, kind):
        self.kind = kind

    def __call__(self, *case):
        return self.kind(*case[:-1])(case[-1])


def _cases():
    generator = torch.Generator().manual_seed(19)
    cases = []
    for n, alpha in ((6, 1.0), (3, 0.25), (9, -0.5), (4, 0.0)):
        branch = _branch(n, n, generator)
        cases.append((branch, n, n, alpha, torch.randn(5, n, generator=generator)))
    return cases


def _branch(n_in, n_out, generator):
    """A small branch; built without a draw from the global random state."""
    linear = nn.utils.skip_init(nn.Linear, n_in, n_out)
    for p in linear.parameters():
        nn.init.normal_(p, generator=generator)
    return nn.Sequential(linear, nn.Tanh())


def _block_properties(answer):
    """What fails, or None: parameters, a change of size, the gradient of the shortcut."""
    if not isinstance(answer, _Built):
        return None
    count = lambda module: sum(p.numel() for p in module.parameters())
    generator = torch.Generator().manual_seed(20)
    same = _branch(6, 6, generator)
    if (extra := count(answer.kind(same, 6, 6, 1.0)) - count(same)) != 0:
        if extra < 0:
            return "the parameters of the branch are not among the block's: keep it as an attribute, `self.branch`."
        return f"the sizes agree, and the shortcut has {extra} parameters: there the input itself is the shortcut."
    for n_in, n_out in ((6, 4), (3, 8)):
        branch = _branch(n_in, n_out, generator)
        block = answer.kind(branch, n_in, n_out, 0.0)
        h, other = torch.randn(2, 5, n_in, generator=generator)
        problem = _shortcut(block, h, other, n_out) or _gradient(answer.kind(branch, n_in, n_out, 1e-3), h)
        if problem:
            return problem
        extra, wanted = count(block) - count(branch), n_in * n_out
        if extra != wanted:
            return f"from {n_in} to {n_out} numbers the shortcut has {extra} parameters that an optimizer would find, and {wanted} were wanted."
    return None


def _shortcut(block, h, other, n_out):
    with torch.no_grad():
        out = block(h)
        if out.shape != (len(h), n_out):
            return (
                f"where the sizes differ the output has shape {tuple(out.shape)}, and {(len(h), n_out)} was asked for."
            )
        if not torch.equal(out, block(h)):
            return "called twice with the same h the block gives two answers: make the shortcut in `__init__`."
        if not out.abs().max() > 0:
            return "with alpha = 0 and sizes that differ nothing is left: the shortcut needs a linear map there."
        if not torch.allclose(block(h + other), out + block(other), atol=1e-4):
            return (
                "the shortcut is not linear: no bias and no activation there, or every block shifts what it passes on."
            )
    return None


def _gradient(block, h):
    h = h.clone().requires_grad_()
    out = block(h)
    (gradient,) = torch.autograd.grad(out.sum(), h) if out.requires_grad else (torch.zeros(1),)
    if gradient.abs().max() < 0.01:
        return "for a small alpha hardly any gradient arrives at h: does it pass the shortcut, or is that detached?"
    return None


ResidualBlock = _OfModules(
    "9.1 block",
    lambda branch, n_in, n_out, alpha, h: h + alpha * branch(h),
    _cases(),
    mistakes=[
        (lambda branch, n_in, n_out, alpha, h: h + branch(h), "alpha has no effect: it scales the branch."),
        (lambda branch, n_in, n_out, alpha, h: alpha * branch(h), "that is the branch alone: the shortcut is missing."),
        (lambda branch, n_in, n_out, alpha, h: alpha * (h + branch(h)), "alpha scales the shortcut, too: with alpha = 0 nothing would be left, and the block should then be the identity."),
        (lambda branch, n_in, n_out, alpha, h: alpha * h + branch(h), "alpha scales the shortcut; it belongs to the branch."),
        (lambda branch, n_in, n_out, alpha, h: (1 - alpha) * h + alpha * branch(h), "that is a gate as in a highway network, which closes the shortcut as alpha grows; here h is added whole."),
        (lambda branch, n_in, n_out, alpha, h: torch.relu(h + alpha * branch(h)), "an activation after the addition stands in the way of the shortcut: with alpha = 0 the block should be the identity."),
    ],
    extra=_block_properties,
    rtol=1e-4,
    atol=1e-6,
    praise="right: alpha = 0 leaves the shortcut alone, which costs parameters only where the sizes differ.",
)  # fmt: skip


def _path_share(n, k, a):
    return math.comb(n, k) * a**k / (1 + a) ** n


path_share = Exercise(
    "9.2 paths",
    _path_share,
    [(3, 0, 0.5), (3, 2, 0.5), (10, 4, 0.3), (54, 1, 1 / 54), (54, 20, 0.6), (7, 7, 1.0)],
    rtol=1e-4,
    atol=0,
    mistakes=[
        (lambda n, k, a: math.comb(n, k) * a**k, "what the paths of length k carry, but not yet as a share: divide by what all paths carry together."),
        (lambda n, k, a: a**k, "that is one path; how many of length k are there?"),
        (lambda n, k, a: a**k / (1 + a) ** n, "that is the share of one path; how many of length k are there?"),
        (lambda n, k, a: math.comb(n, k) / 2**n, "that counts paths as if each carried the same: weigh each with a for every branch."),
        (lambda n, k, a: math.comb(n, k) * a**k * (1 - a) ** (n - k), "as a share a path past a block counts 1, not 1 - a: the sum over all paths is (1 + a)**n."),
        (lambda n, k, a: math.perm(n, k) * a**k / (1 + a) ** n, "a path is a set of branches: the order is given by the network, so divide by k!."),
        (lambda n, k, a: math.comb(n, k) * a ** (2 * k) / (1 + a**2) ** n, "a is already the factor on the mean square: do not square it."),
    ],
    praise="right: a binomial coefficient for their number, a power for what each carries, and all shares add up to 1.",
)  # fmt: skip


def _branch_scale(blocks, growth):
    return math.sqrt(growth ** (1 / blocks) - 1)


branch_scale = Exercise(
    "9.3 scale",
    _branch_scale,
    [(1, 2.0), (10, 2.0), (50, math.e), (200, 1.5), (4, 30.0)],
    rtol=1e-5,
    atol=0,
    mistakes=[
        (lambda blocks, growth: growth ** (1 / blocks) - 1, "that is alpha squared: variances add, so the branch enters with alpha**2."),
        (lambda blocks, growth: blocks**-0.5, "the rule of thumb; it lets the variance grow (1 + 1/L)**L-fold, whatever growth was asked for."),
        (lambda blocks, growth: math.sqrt((growth - 1) / blocks), "close for a growth near 1, but blocks multiply: solve (1 + alpha**2)**blocks = growth."),
        (lambda blocks, growth: math.sqrt(math.log(growth) / blocks), "close for many blocks, where (1 + c/L)**L is nearly e**c; solve it exactly."),
        (lambda blocks, growth: growth ** (1 / blocks), "that is a block's factor, 1 + alpha**2: solve for alpha."),
        (lambda blocks, growth: math.sqrt(growth ** (2 / blocks) - 1), "that is for a growth of the rms; the mean square was asked for."),
    ],
    praise="right: exact for one block, and sqrt(ln(growth) / blocks) for many.",
)  # fmt: skip
