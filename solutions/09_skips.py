# %% [markdown]
r"""
# 9. What does a skip connection repair?

**Time** 63 minutes, and 45 for the exercises. **Needed first** Lessons 1 to 3 and 8: the per-layer factor, `sigma_w`, batch normalization.
**New words** degradation, skip connection, residual block, branch, plain twin, projection, path.
"""

# %% [markdown]
r"""
**You will be able to**

- reproduce degradation, a *training* error that rises with depth, with linear layers and with a convolutional ResNet;
- design the measurement that tells "the gradient vanishes" from "the network is hard to train", and report its result;
- predict how signal and gradient grow through residual blocks, with and without a scale, and why "plus one" is no floor;
- expand a residual network into its paths and say through how many branches its gradient really comes.
"""

# %%
from math import comb

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import check, tasks
from vglab.nets import Residual

data = tasks.digits()
x, y = data.x[:256], data.y[:256]

# %% [markdown] minutes=11
r"""
## Deeper, and worse

Can more layers do harm? A thought experiment says no. Take a trained network of eight layers and put more layers on
top, each of which passes on what it gets. The deeper network computes the same function, so a deeper network *can* be
at least as good on its training data. Whether gradient descent finds such weights is another question.

The unit of this lesson is a **branch**: batch normalization (BN), ReLU, a linear layer. Stacked, branches make a plain
network. With a **skip connection**, each branch is added to its own input, $h + \alpha F(h)$; that is a **residual
block**, and $\alpha$ is the scale of its branch.
"""

# %%
def network(depth, skip, norm, width=32, seed=0):
    """`depth` linear layers and a read-out. skip: the branches' scale, None for a plain network."""
    bn = lambda: [nn.BatchNorm1d(width)] * norm
    part = lambda out: nn.Sequential(*bn(), nn.ReLU(), nn.Linear(width, out))
    branches = [part(width) for _ in range(depth - 1)]
    blocks = [branch if skip is None else Residual(branch, skip) for branch in branches]
    return vg.init_(nn.Sequential(nn.Linear(64, width), *blocks, part(10)), "he", seed=seed)


# %% [markdown]
r"""
All weights are He's. The three kinds differ in nothing else: same sizes, same draws, same batches.

**Predict.** Within 150 steps the plain network of 8 layers with BN brings its training loss from above 2.3{#set} down to
0.19{#l9-plain-8-loss}. To what does the plain network of 22 layers with BN bring it?
"""

# %% tags=["predict"]
guess_loss = 0.3  # training loss of 22 plain layers with BN after 150 steps

# %%
kinds = {"plain, BN": (None, True), "skip, BN": (1.0, True), "plain": (None, False)}
runs = [(kind, depth, seed) for kind in kinds for depth in (8, 22, 42) for seed in range(3)]
nets = [network(depth, *kinds[kind], seed=seed) for kind, depth, seed in runs]
trained = vg.train_many(nets, data.x, data.y, lr=0.02, momentum=0.9, steps=150,
                        batch_size=64, every=1, progress=False)

# %%
losses = trained.curves.query("step >= 120").groupby("model").loss.mean()
table = pd.DataFrame(runs, columns=["network", "layers", "seed"]).assign(loss=losses)
vg.scan_plot(table, "layers", "loss", by="network", guess=(22, guess_loss), logy=True,
             level=(np.log(10), "chance, ln 10"), labels={"loss": "training loss"},
             title="Deeper plain networks train worse");

# %% [markdown]
r"""
*Figure 9.1. Training loss, mean of the last thirty steps, against depth: it rises towards chance for plain networks, with and without
batch normalization, and does not depend on depth with skip connections. Medians and ranges of three seeds, logarithmic
vertical axis.*
"""

# %%
final = table.groupby(["network", "layers"]).loss.median()
check.prediction("9.1", guess_loss, final["plain, BN", 22])

# %% [markdown]
r"""
**What you see.** At 22 layers the plain network stands at 1.2{#l9-plain-22-loss}, at 42 layers at
2.1{#l9-plain-42-loss}, not far from chance. Its twin with skips, the same layers with the same first weights, is at
0.13{#l9-skip-42-loss}, as good as at any other depth. Without BN the plain one degrades in the same way, to
1.9{#l9-he-42-loss}.

[He et al. (2016)](https://arxiv.org/abs/1512.03385) gave this the name **degradation** and made the copying argument
of above (section 1). Their Figure 1 shows it on photographs, with convolutions: 56 layers have a higher *training*
error than 20 layers. So it is not over-fitting, which would show on the test data alone. The network that could be better is not
found.

**What it does not show.** That it is never found. These are 150 steps at one learning rate; we tried
half of it and up to five times as much, and the order stayed. He et al. tried three times as many
steps on theirs, to the same end (a footnote in section 4.1).

**Modify.** In `kinds`, give `"skip, BN"` the scale `0.1`, then `None`. Which of the two still deserves its name?
"""

# %% [markdown] minutes=10
r"""
## A real ResNet, and its twin

The network of that paper's section 4.2 is convolutional: a $3 \times 3$ convolution, then three stages of $n$ residual
blocks with two convolutions each, then the mean over the image and a linear layer, $6n + 2$ layers in all. At each new
stage the image is halved and the channels are doubled, so that a block's output no longer fits its input. Its shortcut
then takes every second pixel and fills up with zeros, or uses a **projection**, a $1 \times 1$ convolution.

`vg.convnet` builds it for images of any size. With `skip=False` it is the **plain twin**: every layer as before,
nothing added. With zeros as filling the twins have the same number of parameters, and for one seed the same weights.
"""

# %% tags=["nbval-check-output"]
images = data.x.reshape(-1, 1, 8, 8)
count = lambda model: sum(p.numel() for p in model.parameters())
twins = lambda n: [vg.convnet(n, 4, skip=skip) for skip in (False, True)]
{f"{6 * n + 2} layers": [count(model) for model in twins(n)] for n in (1, 3, 5)}


# %%
def train(model, steps=60, lr=0.05, seed=0):
    """Train on random batches of 64 digits; return the share of errors in the last 20 batches."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    batches, errors = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        batch = torch.randint(len(images), (64,), generator=batches)
        out = model(images[batch])
        optimizer.zero_grad()
        F.cross_entropy(out, data.y[batch]).backward()
        optimizer.step()
        errors.append((out.argmax(1) != data.y[batch]).float().mean().item())
    return np.mean(errors[-20:])


# %% [markdown]
r"""
Four kinds: plain and with skips, each with and without BN. Without BN the branches are scaled by one over the root of
their number, for a reason that comes below.
"""

# %%
convnets = {
    "plain, BN": lambda n, seed: vg.convnet(n, 4, skip=False, seed=seed),
    "skip, BN": lambda n, seed: vg.convnet(n, 4, seed=seed),
    "plain": lambda n, seed: vg.convnet(n, 4, skip=False, norm=None, seed=seed),
    "skip, scaled": lambda n, seed: vg.convnet(n, 4, skip=(3 * n) ** -0.5, norm=None, seed=seed),
}
sizes = [(n, seed) for n in (1, 3, 5) for seed in range(3)]

# %%
errors = {(kind, n, seed): train(convnets[kind](n, seed), seed=seed)
          for kind in list(convnets)[:2] for n, seed in sizes}

# %% [markdown]
r"""
Eighteen networks with BN are trained; now the eighteen without.
"""

# %%
errors |= {(kind, n, seed): train(convnets[kind](n, seed), seed=seed)
           for kind in list(convnets)[2:] for n, seed in sizes}

# %% name="figure-degradation"
rows = [{"network": kind, "layers": 6 * n + 2, "error": error}
        for (kind, n, _), error in errors.items()]
vg.scan_plot(pd.DataFrame(rows), "layers", "error", by="network", level=(0.9, "chance"),
             labels={"error": "training error"}, title="A small ResNet and its plain twin");

# %% [markdown]
r"""
*Figure 9.2. Training error of convolutional networks with eight to thirty-two layers, mean of the last twenty steps. Plain ones get worse with
depth, with BN by steps, without BN at once; those with skips keep their error or lower it. Medians and ranges of three
seeds.*

**What you see.** The picture of the paper's Figure 1 in miniature. Plain with BN: from 0.11{#l9-conv-plain-8} at
8 layers to 0.65{#l9-conv-plain-32} at 32 layers. With skips: 0.07{#l9-conv-skip-8} and 0.12{#l9-conv-skip-32}. Plain without BN is at chance from 20
layers on; with scaled skips it learns, more slowly than with BN.

**What it does not show.** That skips make depth free: with BN the error creeps up from 8 layers to 32 layers, and deeper
residual networks need more steps still. And the training error of digits after seconds says nothing about the test
error of photographs.
"""

# %% [markdown] minutes=13
r"""
## Do the gradients vanish?

Many texts say that ResNets were invented against vanishing gradients. Their authors said the opposite. Section 4.1: the
difficulty is *unlikely* to be caused by vanishing gradients, because the plain networks are trained with BN, which
keeps the forward signal's variance from dying, and because the gradients, which they had looked at, had healthy norms.
They conjectured that plain deep networks may have *exponentially low convergence rates* and left the reason open.

You have the instrument to check this on the networks that just degraded: the backward signal at the first ReLU over
that at the last.

**Predict.** The plain network of 42 layers with BN, before its first step, stuck at chance later. What is its gradient
at the first ReLU, divided by that at the last?
"""

# %% tags=["predict"]
guess_ratio = 0.001  # gradient rms at the first ReLU over the last, 42 plain layers with BN

# %%
profiles = pd.concat([
    vg.gradient_profile(network(42, *kinds[kind], seed=seed), x, y).assign(network=kind, seed=seed)
    for kind in kinds
    for seed in range(3)
])
grown = vg.theory.layer_factor("relu", norm="batch")
vg.depth_plot(profiles, by="network", theory={"plain, BN": grown, "plain": 1.0},
              title="Degraded, and nothing vanishes");

# %% [markdown]
r"""
*Figure 9.3. Backward signal at each ReLU of networks of 42 layers before training, relative to the last. Plain with
BN it grows towards the input by theory's factor of lesson 8 (dashed); without BN, and with skips, it stays within
little more than a factor of ten. (The step at the right end: the last ReLU alone stands outside the blocks.) Medians
and ranges of three seeds.*
"""

# %%
def end_to_end(model, inputs=x):
    """Gradient rms at the first ReLU over that at the last."""
    profile = vg.gradient_profile(model, inputs, y)
    signal = profile.grad_rms[profile.slope.notna()]
    return signal.iloc[0] / signal.iloc[-1]


# %%
deep = [i for i, run in enumerate(runs) if run[:2] == ("plain, BN", 42)]
check.prediction("9.2", guess_ratio, np.median([end_to_end(nets[i]) for i in deep]))

# %% [markdown]
r"""
The same networks after their 150 steps, and the convolutional ones before training, median of three seeds:
"""

# %%
print("after training:", np.round([end_to_end(trained.models[i]) for i in deep], 1))
ratios = {(kind, 6 * n + 2, seed): end_to_end(convnets[kind](n, seed), images[:256])
          for kind in convnets for n, seed in sizes}
pd.Series(ratios).groupby(level=[0, 1]).median().unstack().map("{:.1e}".format)

# %% [markdown]
r"""
**What you see.** With BN the gradient does not vanish: it *explodes*, to about 3200{#l9-plain-bn-ratio} times, as
lesson 8's factor of 1.21{#l9-bn-factor} per layer demands. After training it is nearly level, at 3{#l9-plain-bn-after},
and the network still stands near chance. (That gradients settle within a step of training was seen by [Yang et al.
(2019)](https://arxiv.org/abs/1902.08129), who also found the explosion.) The convolutional twin of 32 layers starts
at 44{#l9-conv-bn-ratio}, mild beside it, and degrades as well.

Without BN the linear layers keep the gradient level within a factor of ten or so over 42 layers, and degrade. Theirs
is the other disease of lesson 2: in the last layer the cosine between two digits is 0.98{#l9-he-cosine}.

One row does vanish: plain convolutions without BN lose a factor of 0.80{#l9-conv-he-factor} at each ReLU, a
thousandfold over 32 layers. Neither ReLU nor He's variance is to blame, but the border. A window at the edge of an image
sees zeros, and on a $2 \times 2$ image five of its nine weights do. He's formula counts all nine. So here is a cure for the
gradient alone: let the windows see the far edge instead.
"""

# %%
def around(model):
    """Pad each convolution with the image's far edge instead of zeros; returns the model."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "circular"
    return model


# %%
cured = [around(convnets["plain"](5, seed)) for seed in range(3)]
level_now = [end_to_end(model, images[:256]) for model in cured]
{"gradient ratio": np.round(level_now, 2), "training error": np.round([train(m) for m in cured], 2)}

# %% [markdown]
r"""
The gradient is back, 0.95{#l9-around-factor} per ReLU, which these narrow networks scatter about. The error is
0.90{#l9-around-error}, chance, as before.

So degradation stands beside three different profiles, growing, level and vanishing, and repairing the profile does not repair
the training. Skips change all of them. *Vanishing is one way to fail, and in these networks not the one that
counts.*

> **Deeper: what is contested.** Why depth degrades is not settled. Proposed: gradients of neighbouring inputs become
> unrelated, *shattered* ([Balduzzi et al. 2017](https://arxiv.org/abs/1702.08591), lesson 13); plain layers lie near
> singular points where units are redundant, and skips move them away ([Orhan and Pitkow
> 2018](https://arxiv.org/abs/1701.09175)); the loss surface is far rougher without skips ([Li et al.
> 2018](https://arxiv.org/abs/1712.09913)); skips with BN start the network near the identity ([De and Smith
> 2020](https://arxiv.org/abs/2002.10444)). They do not exclude each other, and no experiment here decides between
> them.

**Modify.** Give `train(m)` in the last cell five times the steps, `steps=300`. Does chance give way?
"""

# %% [markdown] minutes=11
r"""
## One term more

A block $h_{l+1} = h_l + \alpha F(h_l)$ has the Jacobian $I + \alpha J_l$, and the gradient at the bottom of $L$ blocks
is the gradient at the top times the product $\prod_l (I + \alpha J_l)$. The identity in each factor is the whole
invention.

What does it do to sizes? The branch's weights are random with mean 0, so that on average the branch is at right angles
to its input, and squares add: $\lvert h + \alpha F(h)\rvert^2 \approx \lvert h\rvert^2 + \alpha^2 \lvert F(h)\rvert^2$.
With He's weights and ReLU, $F$ keeps the mean square. Each block multiplies it by $1 + \alpha^2$, and on the way back
the gradient's mean square likewise. For $\alpha = 1$ that is $2^L$: no vanishing, but an explosion.

**Predict.** Scale each of a hundred branches by $\alpha = 1/\sqrt{100}$, without BN. By what factor does the mean square of
the signal grow from the first block's input to the last block's output?
"""

# %% tags=["predict"]
guess_growth = 10.0  # growth of the mean square through 100 blocks with alpha = 1 / sqrt(100)

# %%
scales = {"α = 1": ("plain", lambda L: (1.0, False)), "α = 1, BN": ("batch", lambda L: (1.0, True)),
          "α = 1/√L": ("scaled", lambda L: (L**-0.5, False))}
lengths = {kind: (5, 10) if kind == "α = 1" else (5, 10, 20, 50, 100, 200) for kind in scales}
growth = lambda model: (model[:-1](x).square().mean() / model[0](x).square().mean()).item()
measured = pd.DataFrame([
    {"blocks": L, "growth": growth(network(L + 1, *skip(L), width=128, seed=seed)), "kind": kind}
    for kind, (_, skip) in scales.items() for L in lengths[kind] for seed in range(3)
])

# %%
q0 = 2 * x.square().mean().item()  # the mean square that He's first layer makes of the digits
theory = pd.DataFrame([
    {"blocks": L, "growth": vg.theory.residual_variance(name, L, q0=q0)[-1] / q0, "kind": kind}
    for kind, (name, _) in scales.items() for L in range(5, lengths[kind][-1] + 1)
])
vg.scan_plot(measured, "blocks", "growth", by="kind", theory=theory, logx=True, logy=True,
             guess=(100, guess_growth), labels={"growth": "growth of the mean square"},
             title="What residual blocks do to the signal");

# %% [markdown]
r"""
*Figure 9.4. Growth of the signal's mean square from the first block's input to the last's output, both axes
logarithmic. It doubles with every block for α = 1 (drawn up to ten), grows in proportion to the number of blocks
with BN in the branch, and stays below e with α = 1/√L. Medians and ranges of three seeds, theory dashed.*
"""

# %%
scaled = measured.query("kind == 'α = 1/√L' and blocks == 100").growth.median()
check.prediction("9.3", guess_growth, scaled)

# %% [markdown]
r"""
**What you see.** 2.7{#l9-scaled-growth}, at a hundred blocks as at twenty: $(1 + 1/L)^L$ approaches $e$. Without the
scale it is some $10^{29}$ at a hundred, and training ends before it begins.

With BN each branch has the same size whatever the
stream's, so the mean square grows by the same *amount* each time, to 50{#l9-bn-growth} times. Measured against the
stream, block $l$ therefore counts for about $1/l$: BN scales the branches down by itself, and [De and Smith
(2020)](https://arxiv.org/abs/2002.10444) take this for its main service to a ResNet.

Fixup ([Zhang et al. 2019](https://arxiv.org/abs/1901.09321)) and ReZero ([Bachlechner et al.
2020](https://arxiv.org/abs/2003.04887)) start the branches at 0 and need no BN either.

**What it does not show.** A guarantee. "The plus one keeps the gradient from vanishing" is true of the average over random
weights, not of a matrix: $I + \alpha J$ can be singular. Here is a block that stops every gradient, and beside it the largest
and smallest **singular value** of a block with He's weights at one digit:
"""

# %%
cancel = Residual(nn.Linear(8, 8, bias=False))
cancel.branch.weight.data = -torch.eye(8)
h = torch.randn(4, 8, requires_grad=True)
stopped = torch.autograd.grad(cancel(h).square().sum() + cancel(h).sum(), h)[0].abs().max().item()

# %% tags=["nbval-check-output"]
model = network(20, 1.0, False)
jacobian = torch.autograd.functional.jacobian(model[1], model[0](x[0]))
stopped, [f"{value:.2f}" for value in torch.linalg.svdvals(jacobian)[[0, -1]]]

# %% [markdown]
r"""
In a typical block the smallest is 0.07{#l9-smallest-singular}: some direction of the gradient loses more in one block
than a sigmoid layer takes. What a skip guarantees is that *one* term of the product, the identity, arrives whole; others can
cancel it. (In `vg.convnet`, as in the first ResNet, not even that: a ReLU follows each addition. [He et al., in
their second paper of 2016](https://arxiv.org/abs/1603.05027), moved it into the branch, where our linear blocks have it.)
"""

# %% [markdown] minutes=10
r"""
## Through how many branches?

Multiply the product out. For three blocks, with $\alpha$ inside $J$,

$$(I + J_1)(I + J_2)(I + J_3) = I + J_1 + J_2 + J_3 + J_1J_2 + J_1J_3 + J_2J_3 + J_1J_2J_3 .$$

Each term is a **path**: a choice, at each block, of the branch or the skip ([Veit et al.
2016](https://arxiv.org/abs/1605.06431)). There are $2^n$ paths, $\binom{n}{k}$ of them through $k$ branches. Most paths of 54{#set}
blocks go through about 27{#set}. But a path through more branches carries less.

**Predict.** Take 54{#set} blocks with $\alpha = 1/\sqrt{54}$. Weigh each path by the mean square of the gradient that it carries. Through
how many branches does the gradient come on average?
"""

# %% tags=["predict"]
guess_length = 27.0  # mean number of branches, 54 blocks with alpha = 1 / sqrt(54)

# %% [markdown]
r"""
`detach` can single out a path. It leaves a value as it is and lets no gradient through; so each block either lets the
gradient into its branch only, or past it only.
"""

# %%
def along(model, h, path):
    """What `model` makes of h; the backward pass takes the branches in `path` and no other."""
    for i, block in enumerate(model[1:-1]):
        branch = block.scale * block.branch(h)
        h = h.detach() + branch if i in path else h + branch.detach()
    return model[-1](h)


# %%
def carried(model, path):
    """Sum of squares of the gradient that reaches the stream's beginning along `path`."""
    h = model[0](x).detach().requires_grad_()
    loss = F.cross_entropy(along(model, h, path), y)
    return torch.autograd.grad(loss, h)[0].double().square().sum().item()


# %% [markdown]
r"""
First the paths through a single branch, one for each block, relative to the path through none: what does branch
$l$ multiply the mean square by? Call it $a_l$.
"""

# %%
scales = {"α = 1/√54": ("scaled", 54**-0.5, False), "α = 1, BN": ("batch", 1.0, True)}
a, models = {}, {}
for kind, (_, *skip) in scales.items():
    for seed in range(3):
        model = models[kind, seed] = network(55, *skip, width=64, seed=seed)
        a[kind, seed] = np.array([carried(model, {i}) for i in range(54)]) / carried(model, set())

# %% [markdown]
r"""
If a longer path carries the product of its branches' factors, all paths together carry $\prod_l (1 + a_l)$, and those
of length $k$ the coefficient of $t^k$ in $\prod_l (1 + a_l t)$. Does it? Twenty random paths through five branches,
measured over the product, give a median near 1: 1.1{#l9-path-of-five}.
"""

# %%
model, factors, draw = models["α = 1, BN", 0], a["α = 1, BN", 0], np.random.default_rng(0)
fives = [draw.choice(54, 5, replace=False) for _ in range(20)]
past = carried(model, set())
ratios = [carried(model, {*five}) / past / factors[five].prod() for five in fives]
f"{np.median(ratios):.2f}"


# %%
def by_length(a):
    """Share of the gradient's mean square by the number of branches on the path, 0 to 12."""
    product = np.ones(1)
    for factor in a:
        product = np.convolve(product, [1, factor])
    return pd.DataFrame({"branches": range(13), "share": product[:13] / product.sum()})


# %% [markdown]
r"""
The same from the measured $a_l$ of three networks of each kind and from theory's:
"""

# %%
shares = pd.concat([by_length(a[kind, seed]).assign(network=kind) for kind, seed in a])
theory = []
for kind, (name, *_) in scales.items():
    through = vg.theory.residual_gradient(name, 54, q0=q0)
    theory += [by_length(through[:-1] / through[1:] - 1).assign(network=kind)]
# %%
vg.scan_plot(shares, "branches", "share", by="network", theory=pd.concat(theory),
             labels={"branches": "branches on the path", "share": "share of the gradient²"},
             title="The gradient comes by short paths");

# %% [markdown]
r"""
*Figure 9.5. Share of the gradient's mean square that comes by paths through a given number of the 54{#set} branches. With α
= 1/√54{#set} most comes through none or one; with BN through three to seven, and practically nothing through more than
twelve. Medians and ranges of three seeds, theory dashed.*
"""

# %%
length = {kind: np.median([(f / (1 + f)).sum() for (k, _), f in a.items() if k == kind])
          for kind in scales}
check.prediction("9.4", guess_length, length["α = 1/√54"])

# %% [markdown]
r"""
**What you see.** One branch: 0.98{#l9-scaled-length}. The number of paths grows like a binomial coefficient, what each
carries falls like $54^{-k}$, and the product peaks at none and one. With BN the mean is 4.3{#l9-bn-length}. As gradients flow,
these networks of 54{#set} blocks are shallow at the start; the longer paths exist, and carry nothing.

Veit et al. measured this on a trained ResNet of 110 layers and found that most of the gradient comes by paths of 10{#set}
to 34{#set} layers. They added up norms, not squares; as if the paths all pointed the same way, which favours the longer ones.
Random paths are nearly at right angles, and squares add.

**What it does not show.** That depth is an illusion. These are networks before training, and the *forward* function of a long path
may matter where its gradient is small.

**Modify.** In `scales`, give the first kind the scale `1.0`, still without BN. It leaves the figure, and theory's line
for `"scaled"` no longer belongs to it; `length` says where it went. Why there?
"""

# %% [markdown] minutes=4
r"""
## Where a skip does cure vanishing

There are networks whose gradient does vanish; lesson 1 began with one. Take twenty sigmoid layers with Xavier's scale and
do nothing but add the skips.
"""

# %%
sigmoids = [vg.mlp(20, act="sigmoid", sigma_w=1.0, skip=skip, seed=seed)
            for skip in (False, True) for seed in range(3)]
result = vg.train_many(sigmoids, data.x, data.y, lr=0.1, momentum=0.9, steps=200,
                       batch_size=64, progress=False)
result.table.accuracy.round(2).to_list()

# %% [markdown]
r"""
Plain, all three seeds stay at an accuracy of 0.10{#l9-sigmoid-plain}; with skips they reach 0.99{#l9-sigmoid-skip}. The
factor per layer goes from 0.235{#l9-sigmoid-factor} to 1.007{#l9-sigmoid-skip-factor}: what arrives has come past all
branches, which add next to nothing, and nothing is lost on the way. So the other half of the truth: *skips do repair
vanishing gradients, where there are any.*

And a surprise. In the last layer of the network that trains, the cosine between two digits is
0.9995{#l9-sigmoid-cosine}, worse than anything in lesson 2. Every sigmoid adds its one half to the stream, so the common part grows;
but the *difference* between two digits is no longer multiplied by a quarter at each layer. It arrives, and the read-out finds
it. A cosine near 1 says that a difference is small beside the whole, not that it is lost.
"""

# %% [markdown] minutes=2
r"""
## The skip dial

Turn the scale of the branches from a tenth to one and a half, with and without BN, with and without the skip. Begin with `alpha = 1`
without BN: which alpha brings the growth of forty blocks below three? Then take the skip away and do it again.
"""

# %%
vg.widgets.skip_dial()

# %% [markdown]
r"""
*Figure 9.6. The skip dial: the signal's mean square after each block, the gradient's before each block relative to the
end, and the share of the gradient by the number of branches on its path; measured in a real network, theory dashed.*
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=14
r"""
### Exercise 9.1: a block whose sizes differ ★★ 14 minutes

Write the residual block $s(h) + \alpha F(h)$. Where the sizes agree the shortcut $s(h)$ is $h$ itself and costs no
parameters; where they differ it is a learned linear map without bias, as in equation 2 of [He et
al. (2016)](https://arxiv.org/abs/1512.03385).
"""

# %% exercise="9.1" tags=["nbval-check-output"]
class ResidualBlock(nn.Module):
    """shortcut(h) + alpha * branch(h), h: (batch, n_in), branch(h): (batch, n_out)."""

    def __init__(self, branch, n_in, n_out, alpha=1.0):
        super().__init__()
        self.branch, self.alpha = branch, alpha
        ### BEGIN SOLUTION
        self.shortcut = nn.Identity() if n_in == n_out else nn.Linear(n_in, n_out, bias=False)
        ### END SOLUTION

    def forward(self, h):
        ### BEGIN SOLUTION
        return self.shortcut(h) + self.alpha * self.branch(h)
        ### END SOLUTION


check.ResidualBlock(ResidualBlock)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`nn.Identity()` is a module that returns its input. What should the shortcut be for other sizes, and in which of the two
functions is it made once and for all?
</details>

<details><summary>Hint 2</summary>

Test it as the check does: with `alpha = 0` and equal sizes the block is the identity; with different sizes its output is linear
in `h`, and it has exactly `n_in * n_out` parameters more than its branch.
</details>
"""

# %% [markdown] minutes=10
r"""
### Exercise 9.2: paths of one length ★★ 10 minutes

In $n$ blocks each branch multiplies the gradient's mean square by $a$, and a skip leaves it. Which share of the whole
comes by the paths through exactly $k$ branches?
"""

# %% exercise="9.2" tags=["nbval-check-output"]
def path_share(n, k, a):
    """Share of the gradient's mean square on the paths through k of n branches, a number."""
    ### BEGIN SOLUTION
    return comb(n, k) * a**k / (1 + a) ** n
    ### END SOLUTION


check.path_share(path_share)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

How many paths go through `k` of `n` branches (`math.comb`), and what does one of them carry?
</details>

<details><summary>Hint 2</summary>

All paths together carry $(1 + a)^n$; by the binomial theorem that is the sum of what you found over all $k$. Divide by it.
</details>

Then find the mean of $k$: the shares are a binomial distribution with $p = a/(1+a)$, hence $na/(1+a)$ branches.
"""

# %% [markdown] minutes=7
r"""
### Exercise 9.3: a scale to order ★ 7 minutes

Choose the scale $\alpha$ for residual blocks with He's ReLU branches and no normalization such that the mean square
grows by a given factor, exactly, over all blocks.
"""

# %% exercise="9.3" tags=["nbval-check-output"]
def branch_scale(blocks, growth):
    """The alpha > 0 with which `blocks` blocks multiply the mean square by `growth` > 1."""
    ### BEGIN SOLUTION
    return (growth ** (1 / blocks) - 1) ** 0.5
    ### END SOLUTION


check.branch_scale(branch_scale)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

One block multiplies the mean square by $1 + \alpha^2$. What do all of them multiply it by?
</details>

<details><summary>Hint 2</summary>

Solve $(1 + \alpha^2)^{\text{blocks}} = \text{growth}$ for $\alpha$. For a growth of $e$ and many blocks it should come close to the
$1/\sqrt L$ of the text.
</details>
"""

# %% [markdown] minutes=14
r"""
### Exercise 9.4: is it vanishing? ★★★ 14 minutes, open

Write a laboratory report of one page on the network below, which does not train: the claim ("its gradients vanish"),
the measurements that could refute it, their numbers over three seeds, and your conclusion. Use at least the gradient's
profile, the cosine, the profile after ten steps of training, and one repair that changes only the gradient's size.
"""

# %%
suspect = lambda seed: network(60, None, True, seed=seed)
f"gradient, first over last: {np.median([end_to_end(suspect(seed)) for seed in range(3)]):.0e}"

# %% [markdown] tags=["solution"]
r"""
**One answer.** *Claim*: the gradients vanish. *Refuted*: before training the first layer's signal is some hundred thousand
times the last's, on every seed, as the factor of plain BN layers says. *Cosine*: far from 1, the inputs are
distinct. *After ten steps* of SGD (rate 0.02{#set}, momentum 0.9{#set}) the ratio is below ten, and after 400 steps the loss is still near
chance. *Repair of the size alone*: Adam, which divides each weight's step by the size of its gradient, at a rate of 0.003{#set}: chance
after 400 steps, too. The skip, one symbol, brings the loss down within 150 steps. *Conclusion*: not vanishing, and not exploding
alone, for levelling the steps does not help either. What remains is a network that is hard to optimize, and "why" is open.
"""

# %% [markdown] minutes=2
r"""
## What we saw

- Plain networks of 42 layers train to a loss of 2.1{#l9-plain-42-loss}, their twins with skips to
  0.13{#l9-skip-42-loss}; a small convolutional ResNet and its twin part in the same way.
- Degradation came with gradients that grow 3200{#l9-plain-bn-ratio} times, that are level, and that vanish; where they
  vanished, making them level did not help.
- Squares add: $1 + \alpha^2$ per block, $2^L$ for $\alpha = 1$, under $e$ for $1/\sqrt L$; and $I + \alpha J$ may be singular.
- With that scale the gradient of 54{#set} blocks comes through 0.98{#l9-scaled-length} branches on average, with BN through
  4.3{#l9-bn-length}.

**Where next.** Gates are skips that learn when to open: lesson 10 goes back to sequences.
"""

# %% [markdown]
r"""
## In your own model

```python
profile = vg.gradient_profile(model, x, y)
stream = profile[profile.kind.isin(["add", "Residual"])]        # the additions, block by block
stream.h_rms.iloc[-1] / stream.h_rms.iloc[0], stream.grad_rms.iloc[0] / stream.grad_rms.iloc[-1]
```

Both ratios should be of the order of one to the root of the number of blocks. If they double every two blocks, scale the branches by
one over the root of their number, or begin each with its last layer at zero.
"""

# %% [markdown]
r"""
## Sources

- K. He, X. Zhang, S. Ren and J. Sun (2016a), [*Deep residual learning for image
  recognition*](https://arxiv.org/abs/1512.03385), CVPR: sections 1, 4.1 (with footnote 3) and 4.2, equations 1 and 2,
  Figure 1.
- K. He, X. Zhang, S. Ren and J. Sun (2016b), [*Identity mappings in deep residual
  networks*](https://arxiv.org/abs/1603.05027), ECCV.
- A. Veit, M. Wilber and S. Belongie (2016), [*Residual networks behave like ensembles of relatively shallow
  networks*](https://arxiv.org/abs/1605.06431), NeurIPS.
- D. Balduzzi, M. Frean, L. Leary, J. Lewis, K. Ma and B. McWilliams (2017), [*The shattered gradients
  problem*](https://arxiv.org/abs/1702.08591), ICML.
- A. E. Orhan and X. Pitkow (2018), [*Skip connections eliminate singularities*](https://arxiv.org/abs/1701.09175), ICLR.
- H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein (2018), [*Visualizing the loss landscape of neural
  nets*](https://arxiv.org/abs/1712.09913), NeurIPS.
- G. Yang, J. Pennington, V. Rao, J. Sohl-Dickstein and S. Schoenholz (2019), [*A mean field theory of batch
  normalization*](https://arxiv.org/abs/1902.08129), ICLR.
- H. Zhang, Y. Dauphin and T. Ma (2019), [*Fixup initialization: residual learning without
  normalization*](https://arxiv.org/abs/1901.09321), ICLR.
- S. De and S. Smith (2020), [*Batch normalization biases residual blocks towards the identity function in deep
  networks*](https://arxiv.org/abs/2002.10444), NeurIPS.
- T. Bachlechner, B. Majumder, H. Mao, G. Cottrell and J. McAuley (2020), [*ReZero is all you
  need: fast convergence at large depth*](https://arxiv.org/abs/2003.04887), UAI 2021.
"""
