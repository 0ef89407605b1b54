# %% [markdown]
r"""
# 13. Why do deep transformers train?

**Time** 60 minutes, and 40 for the exercises. **Needed first** Lessons 2, 4, 8, 9 and 12: the cosine, Adam, norms, branches.
**New words** shattered gradient, autocorrelation, white noise, Brownian path, stream, pre-LN, post-LN, DeepNorm, warm-up, rank collapse.
"""

# %% [markdown]
r"""
**You will be able to**

- compute the autocorrelation of a gradient along a line of inputs and say which ingredient shatters it;
- relate the scale of residual branches to what trains and what diverges, at any depth;
- measure gradients in transformers with pre-LN, post-LN and DeepNorm, before training and twenty steps into it;
- say whose explanation of post-LN's failure is whose, and test it against an experiment of your own.
"""

# %%
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import check, tasks
from vglab.nets import Residual, deepnorm

# %% [markdown] minutes=13
r"""
## A gradient that knows nothing of its neighbour

Lesson 9 ended on an open question: plain networks degrade with depth, and their gradients do not vanish. One answer that was
proposed concerns not the size of gradients but their *agreement*. A step of gradient descent helps beyond the examples in its
batch only if the gradient at one input resembles the gradient at the next. [Balduzzi et al.
(2017)](https://arxiv.org/abs/1702.08591) call a gradient **shattered** when it does not.

They looked at the simplest case, a network from one number to one number. Along a line of inputs its gradient is a curve.
With one hidden layer of ReLU the curve jumps a little wherever a unit turns on or off: a **Brownian path**, the running sum of small
independent jumps. A curve of independent numbers, where no point tells anything about the next, is **white noise**.
"""

# %%
points = torch.linspace(-2, 2, 256)[:, None]


def line_network(layers, skip, norm, seed=0, width=200):
    """`layers` linear layers from 1 number on, and a read-out; skip and norm as in lesson 9."""
    bn = lambda: [nn.BatchNorm1d(width)] * norm
    part = lambda out: nn.Sequential(*bn(), nn.ReLU(), nn.Linear(width, out))
    branches = [part(width) for _ in range(layers - 1)]
    blocks = [branch if skip is None else Residual(branch, skip) for branch in branches]
    model = vg.init_(nn.Sequential(nn.Linear(1, width), *blocks, part(1)), "he", seed=seed)
    nn.init.normal_(model[0].bias, generator=torch.Generator().manual_seed(seed + 1000))
    return model


# %% [markdown]
r"""
The biases of the first layer place its kinks along the line; all other biases are 0. With batch normalization the means
and variances are first taken over the whole line and then held, so that the network is one fixed function.
"""

# %%
def slopes(model):
    """Gradient of the output with respect to the input at each of the points, (256,)."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = None  # running statistics become those of the one pass below
    with torch.no_grad():
        model(points)
    x = points.clone().requires_grad_()
    return torch.autograd.grad(model.eval()(x).sum(), x)[0].flatten()


# %%
kinds = {"24 layers, He": (24, None, False), "24 layers, BN": (24, None, True),
         "24 layers, BN and skips": (24, 1.0, True)}
curves = pd.DataFrame([
    {"x": x, "slope": value + 7 * k, "network": name}
    for k, (name, net) in enumerate(kinds.items())
    for g in [slopes(line_network(*net))]
    for x, value in zip(points[:, 0].tolist(), ((g - g.mean()) / g.std()).tolist())
])
vg.scan_plot(curves, "x", "slope", by="network", title="Three gradients along a line of inputs",
             labels={"x": "input x", "slope": "gradient, standardized and set apart"});

# %% [markdown]
r"""
*Figure 13.1. The gradient of a random network's output with respect to its one input, at 256 inputs, for three networks of 24 layers;
each line standardized and shifted upwards for sight. One seed. The lowest goes in long stretches, the middle one jumps at every point, the
upper one lies between.*

The eye wants a number. The **autocorrelation** at lag $k$ compares the curve, less its mean, with itself $k$ points on,

$$r_k = \frac{\sum_i (g_i - \bar g)(g_{i+k} - \bar g)}{\sum_i (g_i - \bar g)^2} .$$

It is 0 for white noise and nearly 1, at a short lag, for a Brownian path.
"""

# %%
def autocorrelation(g, lag):
    """How much a curve g: (n,) resembles itself `lag` points on, a number from -1 to 1."""
    g = g - g.mean()
    return ((g[lag:] * g[:-lag]).sum() / (g * g).sum()).item()


# %% [markdown]
r"""
Plain networks with He's weights and without a norm lose the resemblance slowly: at lag 1 it is 0.97{#l13-one-layer} for 2
layers and 0.84{#l13-he-24} for 24 layers.

**Predict.** Give each ReLU of the plain network a batch normalization, the remedy of lesson 8. What is the autocorrelation at lag 1 with
24 layers?
"""

# %% tags=["predict"]
guess_agreement = 0.95  # lag-1 autocorrelation of the gradient, 24 plain layers with BN

# %%
kinds = {"He": (None, False), "BN": (None, True), "BN, skips": (1.0, True),
         "BN, skips / 10": (0.1, True)}
rows = [{"layers": layers, "seed": seed, "network": kind,
         "agreement": autocorrelation(slopes(line_network(layers, *net, seed)), 1)}
        for kind, net in kinds.items() for layers in (2, 5, 10, 24, 50) for seed in range(3)]
table = pd.DataFrame(rows)
vg.scan_plot(table, "layers", "agreement", by="network", guess=(24, guess_agreement),
             level=(0, "white noise"), labels={"agreement": "autocorrelation at lag 1"},
             title="Batch normalization shatters the gradient");

# %% [markdown]
r"""
*Figure 13.2. Autocorrelation at lag 1 of the gradient along 256 inputs against the number of layers. With batch normalization it falls to 0 within 24
layers; without a norm and with skips it falls slowly, and with light branches least. Medians and ranges of three seeds.*
"""

# %%
agreement = table.groupby(["network", "layers"]).agreement.median()
check.prediction("13.1", guess_agreement, agreement["BN", 24])

# %% [markdown]
r"""
**What you see.** White noise: 0.00{#l13-bn-24}, after 0.86{#l13-bn-5} with 5 layers and 0.43{#l13-bn-10} with 10 layers. The remedy that
holds the signal is the ingredient that shatters the gradient. With skips around the same branches 0.74{#l13-skip-24} is left, at 50
layers still 0.68{#l13-skip-50}, and with branches at a tenth 0.88{#l13-light-50}: what comes past the branches does not shatter.

Why BN? The gradient changes along the line where units switch. Without a norm deep layers see all inputs nearly as one (lesson 2's cosine), and
few of their units ever switch. BN centres every unit on the batch, so each is on for about half of the points and switches somewhere:
"""

# %%
def switching(model):
    """Share of the last layer's units that are on at some of the points and off at others."""
    slopes(model)
    with torch.no_grad():
        on = model[-1][:-2](model[:-1](points)) > 0  # what the last ReLU is given
    share = on.float().mean(0)
    return ((share > 0) & (share < 1)).float().mean().item()


# %% tags=["nbval-check-output"]
share = lambda kind: [switching(line_network(24, *kinds[kind], seed)) for seed in range(3)]
{kind: f"{np.median(share(kind)):.1f}" for kind in ("He", "BN")}

# %% [markdown]
r"""
0.19{#l13-he-on} of the units against all, 1.00{#l13-bn-on}.

> **Careful.** "Gradients of deep plain ReLU networks are white noise, their agreement falls as $2^{-L}$." The law supposes that in every
> layer a unit is on for half of the inputs, and for two inputs at once like two coins. BN brings that about, as the authors say; retellings often
> leave it out. Without a norm two inputs share ever more units with depth, and at 50 layers 0.80{#l13-he-50} is left.

**What it does not show.** That shattering is *why* plain networks degrade. Lesson 9's plain network without a norm degraded as
well, and its gradient is hardly shattered. Nor that a shattered gradient cannot be followed: the curve is that of a network before training, in one dimension.

**Modify.** In `line_network`, write `nn.Tanh()` for `nn.ReLU()` and `"xavier"` for `"he"`. A smooth activation has no kinks. Does BN still shatter?
"""

# %% [markdown] minutes=9
r"""
## How much may a branch weigh?

Light branches keep neighbours alike, and lesson 9 found that $\alpha = 1/\sqrt L$ keeps the signal's growth below
$e$. Those were statements about networks before training. Now train: residual networks without any norm, 10{#set}, 40{#set} and 80{#set} blocks, with the
branches' scale from a thousandth upwards.
"""

# %%
def residual(blocks, alpha, seed):
    """Blocks h + alpha W relu(h) with He's weights, between a first and a last layer."""
    branch = lambda: nn.Sequential(nn.ReLU(), nn.Linear(32, 32))
    layers = [Residual(branch(), alpha) for _ in range(blocks)]
    model = nn.Sequential(nn.Linear(64, 32), *layers, nn.ReLU(), nn.Linear(32, 10))
    return vg.init_(model, "he", seed=seed)


# %% [markdown]
r"""
**Predict.** At α = 0.1{#set}, near $1/\sqrt{80}$, 80{#set} blocks come within 100 steps to a training loss of
0.10{#l13-best-80}; chance is 2.3{#set}. To what do they come at α = 0.001{#set}, where each branch adds a thousandth?
"""

# %% tags=["predict"]
guess_silent = 1.5  # training loss of 80 blocks after 100 steps, alpha = 0.001

# %%
digits, scales = tasks.digits(), (0.001, 0.01, 0.1, 0.2, 0.3, 0.5)
runs = [(blocks, alpha, seed) for blocks in (10, 40, 80) for alpha in scales for seed in range(3)]
trained = vg.train_many([residual(*run) for run in runs], digits.x, digits.y, lr=0.02,
                        momentum=0.9, steps=100, batch_size=64, every=1, progress=False)
table = pd.DataFrame(runs, columns=["blocks", "alpha", "seed"])
table["loss"] = trained.curves.query("step >= 80").groupby("model").loss.mean()
table["weight"] = table.alpha * table.blocks**0.5
table["net"] = table.blocks.map("{} blocks".format)

# %%
vg.scan_plot(table.dropna(), "weight", "loss", by="net", logx=True, logy=True,
             guess=(0.001 * 80**0.5, guess_silent), level=(np.log(10), "chance, ln 10"),
             labels={"weight": "α √blocks", "loss": "training loss"},
             title="The weight of all branches together decides");

# %% [markdown]
r"""
*Figure 13.3. Training loss after 100 steps against the scale of the branches times the root of their number, both axes logarithmic. The three depths
share one shape: level on the left, best near 1, then up to chance. Medians and ranges of three seeds; runs that diverged, at the right, are left out.*
"""

# %%
losses = table.groupby(["blocks", "alpha"]).loss.median()
check.prediction("13.2", guess_silent, losses[80, 0.001])

# %% [markdown]
r"""
**What you see.** 0.16{#l13-silent-loss}, little worse than the best. Branches that are silent at the start are no obstacle: the first
and the last layer see the digits undisturbed, and branches grow as they learn. Branches that are too heavy are: at α =
0.3{#set} 80{#set} blocks are half way back to chance or at it, at 0.5{#set} they diverge, where 10{#set} blocks do well.

On the axis $\alpha\sqrt L$ the depths fall together, which is $1/\sqrt L$ once more. ReZero ([Bachlechner et al.
2020](https://arxiv.org/abs/2003.04887)), SkipInit ([De and Smith 2020](https://arxiv.org/abs/2002.10444)) and Fixup ([Zhang et al.
2019](https://arxiv.org/abs/1901.09321)) go to the left end, a branch that starts at 0, and need no norm. De and Smith's account of BN in a ResNet is the same: it divides
block $l$'s branch, measured against its stream, by about $\sqrt l$.

**What it does not show.** That 0 is the best start. Here the best lies near 1 on the axis; on large tasks the schemes differ in ways that
hundred steps on digits do not tell.

**Modify.** Give `train_many` the rate `lr=0.05`. Which end of the figure moves?
"""

# %% [markdown] minutes=13
r"""
## Three places for a norm

A transformer is a residual network over the places of a sequence, two branches to a block. Attention gives each place a weighted mean of linear images, the *values*, of itself and the places before;
the weights compare its *query* with their *keys*, two more linear images. Then a network of two layers works at every place alone. What the skips carry along is called the **stream**. Where does
layer normalization $N$ go?

| | each branch does | from |
|---|---|---|
| **post-LN** | $N(h + F(h))$ | [Vaswani et al. 2017](https://arxiv.org/abs/1706.03762) |
| **pre-LN** | $h + F(N(h))$, and one $N$ at the end | most language models since 2019 |
| **DeepNorm** | $N(\alpha h + F(h))$, weights of $F$ times $\beta$ | [Wang et al. 2022](https://arxiv.org/abs/2203.00555) |

For a stack of $L$ blocks DeepNorm takes $\alpha = (2L)^{1/4}$ and $\beta = (8L)^{-1/4}$ (exercise 13.2 asks why); `vg.transformer` builds all three.
"""

# %%
transformer = lambda norm, seed=0, blocks=8, scale=1.0: vg.transformer(
    blocks, 32, norm=norm, scale=scale, vocab=16, hidden=2, seed=seed)
transformer("post").block1.mlp

# %% tags=["nbval-check-output"]
[f"{constant:.2f}" for constant in deepnorm(8)]  # alpha, beta

# %% [markdown]
r"""
The task: at each place of a random sequence of 16{#set} tokens, say the token that stood two places before. Guessing costs
$\ln 16$, which is 2.77{#set}. Every token is predicted at once, so the loss is a mean over places.
"""

# %%
data = tasks.copy_back(2, n_train=2000)
x, y = data.x_test[:64], data.y_test[:64]
loss_fn = lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten())


def stream(model):
    """The rows of the probe's table where a branch of a block ends, two to a block."""
    table = vg.gradient_profile(model, x, y, loss_fn)
    branch = table.layer.str.extract(r"(block\d+\.\w+)")[0]
    return table.groupby(branch, sort=False).tail(1)


# %% [markdown]
r"""
A sentence met in many texts: "post-LN transformers suffer from vanishing gradients, and pre-LN repairs that."

**Predict.** In a post-LN transformer of 8{#set} blocks before training, what is the gradient after the first branch, divided by that after the last?
"""

# %% tags=["predict"]
guess_post = 0.01  # gradient rms after the first branch over that after the last, post-LN, 8 blocks

# %%
names = {"post": "post-LN", "pre": "pre-LN", "deep": "DeepNorm"}
profiles = pd.concat([stream(transformer(norm, seed)).assign(norm=name, seed=seed)
                      for norm, name in names.items() for seed in range(3)])
vg.depth_plot(profiles, by="norm", title="Before training nothing vanishes");

# %% [markdown]
r"""
*Figure 13.4. Gradient of the loss along the stream of transformers of 8{#set} blocks, a point after each of the 16{#set} branches, relative to the last, before training. It is about
level for post-LN and DeepNorm, and twice as large at the input for pre-LN. Medians and ranges of three seeds.*
"""

# %%
def first_over_last(model):
    """Gradient rms after the first branch over that after the last."""
    gradient = stream(model).grad_rms
    return gradient.iloc[0] / gradient.iloc[-1]


# %%
ratios = {name: np.median([first_over_last(transformer(norm, seed)) for seed in range(3)])
          for norm, name in names.items()}
check.prediction("13.3", guess_post, ratios["post-LN"])

# %% [markdown]
r"""
**What you see.** 1.3{#l13-post-ratio}: nothing vanishes. With DeepNorm it is 0.95{#l13-deep-ratio}, with pre-LN
2.3{#l13-pre-ratio}; there the stream grows with each addition, every $N$ divides by a larger number, and later branches hear less.

What was claimed, by [Xiong et al. (2020)](https://arxiv.org/abs/2002.04745), is another thing: with post-LN the gradients of the weights *near the
output* are large, whatever the depth, and with pre-LN they fall like one over the root of it. That can be measured.
"""

# %%
def last_gradient(model):
    """Norm of the gradient of the last weight matrix of the last block."""
    weight = model[-3 if "norm" in dict(model.named_children()) else -2].mlp.branch[2].weight
    return torch.autograd.grad(loss_fn(model(x), y), weight)[0].norm().item()


# %%
table = pd.DataFrame([
    {"blocks": blocks, "norm": name, "gradient": last_gradient(transformer(norm, seed, blocks))}
    for norm, name in names.items() for blocks in (4, 8, 16, 32) for seed in range(3)
])
vg.scan_plot(table, "blocks", "gradient", by="norm", logx=True, logy=True,
             labels={"gradient": "gradient of the last block's weights"},
             title="Post-LN keeps the last block's gradient large");

# %% [markdown]
r"""
*Figure 13.5. Norm of the gradient of the last weight matrix of the last block, before training, against the number of blocks, both axes logarithmic. Level for post-LN, falling
for pre-LN and DeepNorm. Medians and ranges of three seeds.*

From 8{#set} blocks to 32{#set} blocks it goes from 0.31{#l13-pre-last} to 0.15{#l13-pre-last-32} with pre-LN, a half for four times the depth, and with post-LN it
stays near 1: 0.74{#l13-post-last} and 1.2{#l13-post-last-32}. Xiong et al.'s law holds; it concerns the top of the network, and it is no vanishing.

**What it does not show.** That this is why post-LN is hard to train.

**Modify.** In `transformer`, give `vg.transformer` the argument `rms=True`, the norm of most recent language models. Does anything change?
"""

# %% [markdown] minutes=14
r"""
## Twenty steps later

So train them. Adam at a rate of 0.003{#set}, batches of 8{#set} sequences, for all three the same. With a **warm-up**, as the first transformers
needed it, the rate would rise linearly over the first steps; begin without.
"""

# %%
def train(model, lr=0.003, warmup=0, steps=300, seed=0):
    """Losses of Adam on batches of 8 sequences; the rate rises over the first `warmup` steps."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    batches, losses = torch.Generator().manual_seed(seed), []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * min(1, (step + 1) / max(1, warmup))
        rows = torch.randint(len(data.x), (8,), generator=batches)
        loss = loss_fn(model(data.x[rows]), data.y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
def three(name, norm, warmup=0, scale=1.0):
    """Train three seeds; a table with the columns step, loss, seed, net."""
    runs = []
    for seed in range(3):
        losses = train(transformer(norm, seed, scale=scale), warmup=warmup, seed=seed)
        runs += [pd.DataFrame({"step": range(300), "loss": losses, "seed": seed, "net": name})]
    return pd.concat(runs)


# %%
trained = pd.concat([three("post-LN", "post"), three("pre-LN", "pre")])

# %% [markdown]
r"""
Six networks are trained; now DeepNorm's three.
"""

# %%
trained = pd.concat([trained, three("DeepNorm", "deep")])
smooth = lambda table: table.assign(step=table.step // 20 * 20).groupby(
    ["net", "seed", "step"], as_index=False, sort=False).loss.mean()
vg.training_plot(smooth(trained), by="net", level=(np.log(16), "chance, ln 16"),
                 title="Post-LN stays at chance");

# %% [markdown]
r"""
*Figure 13.6. Loss on the copy task while training transformers of 8{#set} blocks, each point the mean of 20 steps. Post-LN does not leave chance, pre-LN descends, DeepNorm
comes close to 0. Medians and ranges of three seeds.*

Post-LN ends at 2.7{#l13-post-loss}, pre-LN at 1.26{#l13-pre-loss}, DeepNorm below 0.6{#l13-deep-below}. Before training post-LN's gradient was level. Look
again, early:

**Predict.** After 20 steps, what is the post-LN gradient after the first branch, divided by that after the last?
"""

# %% tags=["predict"]
guess_later = 1.0  # the same ratio as before, post-LN, 20 steps into training

# %%
early = {(name, seed): transformer(norm, seed)
         for norm, name in names.items() for seed in range(3)}
for (name, seed), model in early.items():
    train(model, steps=20, seed=seed)
profiles = pd.concat([stream(model).assign(norm=name, seed=seed)
                      for (name, seed), model in early.items()])
vg.depth_plot(profiles, by="norm", title="After twenty steps post-LN's gradient has vanished");

# %% [markdown]
r"""
*Figure 13.7. As Figure 13.4, after 20 steps of training. With post-LN the gradient at the first branch is about a hundredth of that at the last; with DeepNorm it is a quarter;
with pre-LN it is still larger at the input. Medians and ranges of three seeds.*
"""

# %%
after = {name: np.median([first_over_last(early[name, seed]) for seed in range(3)])
         for name in names.values()}
check.prediction("13.4", guess_later, after["post-LN"])

# %% [markdown]
r"""
**What you see.** 0.009{#l13-post-after}. So the sentence is wrong about the network that was built and right about what the first steps make of
it. DeepNorm stands at 0.26{#l13-deep-after}, pre-LN at 1.3{#l13-pre-after}.

And what of the other disease, inputs that can no longer be told apart? Here the inputs of the later layers are the tokens of one sequence. When their vectors align one speaks
of **rank collapse** ([Dong et al. 2021](https://arxiv.org/abs/2103.03404)): attention is an average, and averages resemble each other.
"""

# %%
def token_cosine(model):
    """Mean cosine between the vectors of two tokens of one sequence, at the end of the stream."""
    h = x
    for name, part in model.named_children():
        h = part(h) if name.startswith(("embed", "block")) else h
    h = F.normalize(h.detach(), dim=-1)
    n = h.shape[1]
    return (((h @ h.mT).mean(0).sum() - n) / (n * n - n)).item()


# %%
alike = lambda models: f"{np.median([token_cosine(model) for model in models]):.3f}"
pd.DataFrame({"before": {name: alike([transformer(norm, seed) for seed in range(3)])
                         for norm, name in names.items()},
              "after 20 steps": {name: alike([early[name, seed] for seed in range(3)])
                                 for name in names.values()}})

# %% [markdown]
r"""
Post-LN begins with tokens at a cosine of 0.96{#l13-post-cosine}, and twenty steps later there is one token: 1.000{#l13-post-alike}. Attention to equal
tokens is a mean of equals, queries and keys get next to no gradient, and the loss cannot say where the missing token stood.

Pre-LN goes
from 0.66{#l13-pre-cosine} to 0.97{#l13-pre-alike}, DeepNorm from 0.21{#l13-deep-cosine} to 0.91{#l13-deep-alike}. These two stop short of 1, what is left of the difference still has a gradient, and
Figure 13.6 shows them learn: as in lesson 9, a cosine near 1 says that a difference is small, not that it is lost.

[Noci et al. (2022)](https://arxiv.org/abs/2206.03126) saw this alignment in post-LN transformers trained with Adam, the worse the deeper, and traced vanishing gradients of queries and keys to it.

**Modify.** In `transformer`, set `blocks=4`. Which of the three curves of Figure 13.6 changes most?
"""

# %% [markdown] minutes=6
r"""
## Whose explanation?

Two accounts of why post-LN needs care were published within months. *Large gradients at the top*: [Xiong et al. (2020)](https://arxiv.org/abs/2002.04745) hold that steps taken on them at a full rate
do the harm, which a warm-up avoids. *Heavy branches*: [Liu et al. (2020)](https://arxiv.org/abs/2004.08249) hold that unbalanced gradients are not the root
cause, for Adam divides them out; post-LN leans heavily on its branches, which amplifies every change of the weights in the output.

The accounts suggest different cures: a gentler beginning, or lighter branches with the norm where it is, $N(h + s F(h))$ with $s = 1/\sqrt{16}$ for 16{#set} branches.

**Predict.** Post-LN with these branches, the same rate, no warm-up, 300 steps. Its loss?
"""

# %% tags=["predict"]
guess_light = 2.0  # loss of post-LN with branches at a quarter

# %%
cures = pd.concat([trained[trained.net == "post-LN"],
                   three("post-LN, warm-up", "post", warmup=150),
                   three("post-LN, s = 1/4", "post", scale=0.25)])
vg.training_plot(smooth(cures), by="net", level=(np.log(16), "chance, ln 16"),
                 title="Lighter branches do more than a warm-up");

# %% [markdown]
r"""
*Figure 13.8. Loss of post-LN transformers of 8{#set} blocks: as they are, with a warm-up of 150 steps, and with branches at a quarter and no warm-up. Both leave chance,
the light branches by more. Means of 20 steps, medians and ranges of three seeds.*
"""

# %%
end = cures.query("step >= 280").groupby(["net", "seed"]).loss.mean()
check.prediction("13.5", guess_light, end["post-LN, s = 1/4"].median())

# %% [markdown]
r"""
**What you see.** The warm-up brings 2.1{#l13-warm-loss}; light branches get below 1.3{#l13-light-below}, and some seeds near 0. DeepNorm's $\alpha$ and
$\beta$ are another way to make branches light. The norm never moved. This speaks for Liu et al.'s account.

It does not settle the matter. How far the outputs move in Adam's very first step, relative to their size, is 1.3{#l13-post-moved} for
post-LN, 1.0{#l13-pre-moved} for pre-LN and 0.45{#l13-deep-moved} for DeepNorm: the order is as predicted, but pre-LN, which trains, stands within
post-LN's wide spread over seeds. The collapse adds up over steps, and what sets its pace is not known to us.

> **Deeper: what is contested.** Whether warm-up acts through the top's gradients, through Adam's poor first estimates, or by keeping the network away from collapse. Whether pre-LN, safe at the start, wastes
> its later blocks as the stream outgrows them. Eight blocks and 300 steps on a toy task decide neither.
"""

# %% [markdown] minutes=3
r"""
## Move the norm

Move the norm, and turn the scale of the branches. Begin with post-LN at a scale of 1: which pane tells of trouble, the gradient's or the
tokens'? Then find the scale at which post-LN's tokens stay as far apart as DeepNorm's.
"""

# %%
vg.widgets.norm_placement()

# %% [markdown]
r"""
*Figure 13.9. A transformer before training: gradient relative to the end, size of the stream and mean cosine between the tokens of a sequence, a point after each
branch. Dashed: theory for wide networks whose attention looks at all earlier tokens alike; it leaves out the gradient through queries and keys, and so falls short where pre-LN's gradient grows.*
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=10
r"""
### Exercise 13.1: white or brown ★ 10 minutes

Write the autocorrelation of a curve at any lag, from the formula of the first section, before you look back at the code there. The check tries white noise and Brownian paths.
"""

# %% exercise="13.1" tags=["nbval-check-output"]
def autocorrelation(g, lag):
    """Sum of products of deviations `lag` apart over their sum of squares; g: (n,), lag >= 1."""
    ### BEGIN SOLUTION
    g = g - g.mean()
    return (g[lag:] * g[:-lag]).sum() / (g * g).sum()
    ### END SOLUTION


check.autocorrelation(autocorrelation)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

One mean for the whole curve, subtracted once. Then `g[lag:]` and `g[:-lag]` are the two ends of every pair.
</details>

<details><summary>Hint 2</summary>

A sum over a sum: the upper has `lag` terms fewer, and that is meant so. It keeps $r_k$ between -1 and 1.
</details>
"""

# %% [markdown] minutes=12
r"""
### Exercise 13.2: count the branches ★★ 12 minutes

In $N(\alpha h + F(h))$ let both weight matrices of every branch have the gain $\beta$. A change of the weights moves the stream by
$\sqrt{\beta^2 + \beta^2}/\alpha$ per unit, for each matrix is seen through the other; a gradient step is as large as the gradient, which has the same factor. So one
branch moves the stream by $2\beta^2/\alpha^2$. Demand that all branches of a stack together move it by 1, in the worst case that they agree. Which $\beta$ belongs to a given $\alpha$?
"""

# %% exercise="13.2" tags=["nbval-check-output"]
def branch_gain(blocks, alpha):
    """The gain beta with which all branches of `blocks` blocks move the stream by 1."""
    ### BEGIN SOLUTION
    return alpha / (2 * blocks**0.5)
    ### END SOLUTION


check.branch_gain(branch_gain)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

How many branches are there in $L$ blocks? Each adds $2\beta^2/\alpha^2$.
</details>

<details><summary>Hint 2</summary>

$2L \cdot 2\beta^2/\alpha^2 = 1$. Solve for $\beta$, put in $\alpha = (2L)^{1/4}$, and compare with `deepnorm(L)`.
</details>

The count follows Wang et al.'s argument in outline. It fixes $\beta/\alpha$ and not both; DeepNorm shares the burden between a heavier skip and lighter weights.
"""

# %% [markdown] minutes=18
r"""
### Exercise 13.3: an experiment between two accounts ★★★ 18 minutes, open

Design one more experiment on which the two accounts of post-LN's failure disagree, run it over three seeds, and write ten lines: what each account predicts, what
you measured, what remains. Change one thing at a time. For example, take the top's large gradients away and leave the branches heavy.
"""

# %%
def clipped(model, largest=0.1):
    """Have each gradient of the last block shrink to a norm of at most `largest`."""
    for p in model[-2].parameters():
        p.register_hook(lambda g: g * min(1.0, largest / (g.norm().item() + 1e-12)))
    return model


# %% [markdown] tags=["solution"]
r"""
**One answer.** `train(clipped(transformer("post", seed)), seed=seed)` for three seeds. If large gradients at the top did the harm, this should train. With Adam a
gradient's size hardly matters, so the step at the top stays what it was, and the loss stays at or near chance on all seeds: large *gradients* are not it, though large *steps* may
be. So lower the steps instead, by a parameter group with a tenth of the rate. For the last block alone the loss
stays near chance; for the last four it leaves chance, about as with a warm-up. So steps at the top do part of the harm, if "the top" is half of the network, and heavy branches remain as
suspects. Neither experiment says how a heavy branch leads to the collapse of the tokens.
"""

# %% [markdown] minutes=2
r"""
## What we saw

- Batch normalization takes the gradient's autocorrelation at lag 1 from 0.86{#l13-bn-5} with 5 layers to 0.00{#l13-bn-24} with 24 layers; without a norm 0.84{#l13-he-24} is left, with skips
  0.74{#l13-skip-24}.
- What counts is $\alpha\sqrt L$: near 1 is best, a thousandth does no harm, and too much diverges.
- Before training post-LN's gradient is level, 1.3{#l13-post-ratio}, and large at the top; after 20 steps it is 0.009{#l13-post-after}, and the tokens are one.
- Xiong et al. blame the top's large gradients, Liu et al. heavy branches; branches at a quarter cured post-LN where it stood, without a warm-up.

**Where next.** Numbers can also vanish for a machine's reasons: lesson 14.
"""

# %% [markdown]
r"""
## In your own model

```python
table = vg.gradient_profile(model, x, y, loss_fn)                          # now, and again after twenty steps
ends = table.groupby(table.layer.str.extract(r"(layers?\.\d+)")[0], sort=False).tail(1)
ends.grad_rms.iloc[0] / ends.grad_rms.iloc[-1], ends.cosine.iloc[-1]
```

Fit the pattern to the names of your blocks. A ratio that falls a hundredfold in the first steps, or a cosine that goes to 1, asks for lighter branches, a longer warm-up or the norm inside.
"""

# %% [markdown]
r"""
## Sources

- D. Balduzzi, M. Frean, L. Leary, J. Lewis, K. Ma and B. McWilliams (2017), [*The shattered gradients
  problem*](https://arxiv.org/abs/1702.08591), ICML.
- A. Vaswani et al. (2017), [*Attention is all you need*](https://arxiv.org/abs/1706.03762), NeurIPS.
- H. Zhang, Y. Dauphin and T. Ma (2019), [*Fixup initialization*](https://arxiv.org/abs/1901.09321), ICLR.
- S. De and S. Smith (2020), [*Batch normalization biases residual blocks towards the identity function in deep
  networks*](https://arxiv.org/abs/2002.10444), NeurIPS.
- T. Bachlechner et al. (2020), [*ReZero is all you need*](https://arxiv.org/abs/2003.04887), UAI 2021.
- R. Xiong et al. (2020), [*On layer normalization in the transformer architecture*](https://arxiv.org/abs/2002.04745), ICML: abstract.
- L. Liu, X. Liu, J. Gao, W. Chen and J. Han (2020), [*Understanding the difficulty of training
  transformers*](https://arxiv.org/abs/2004.08249), EMNLP: abstract and introduction.
- Y. Dong, J.-B. Cordonnier and A. Loukas (2021), [*Attention is not all you need*](https://arxiv.org/abs/2103.03404), ICML: abstract.
- L. Noci, S. Anagnostidis, L. Biggio, A. Orvieto, S. Singh and A. Lucchi (2022), [*Signal propagation in
  transformers*](https://arxiv.org/abs/2206.03126), NeurIPS: Figure 1.
- H. Wang, S. Ma, L. Dong, S. Huang, D. Zhang and F. Wei (2022), [*DeepNet: scaling transformers to 1,000
  layers*](https://arxiv.org/abs/2203.00555), TPAMI 2024; the constants as in the authors' code.
"""
