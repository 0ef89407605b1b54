# %% [markdown]
r"""
# 7. What do Xavier's and He's weights keep?

**Time** 60 minutes, and 50 for the exercises. **Needed first** Lessons 2 and 3: the per-layer factor, `sigma_w`.
**New words** fan-out, gain, critical, log-normal.
"""

# %% [markdown]
r"""
**You will be able to**

- derive Xavier's and He's rules from second moments, for layers of any shape, and say which moment they keep;
- read the gradient of the weights beside the backward signal, and say what each of them can hide;
- predict what tanh does at Xavier's scale and at the gain of $5/3$, and what `calculate_gain` promises;
- tell the typical network from the average one, and a start from a training.
"""

# %%
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import check, tasks

data = tasks.digits()
x, y = data.x[:256], data.y[:256]

# %% [markdown] minutes=14
r"""
## Two sums, two rules

A preactivation is a sum over the layer's $n_\text{in}$ inputs, $z_i = \sum_j W_{ij} h_j$; with independent weights of
mean 0 all cross terms average to 0. On the way back, input $j$ collects from the $n_\text{out}$ units that it feeds,
$\partial L / \partial h_j = \sum_i W_{ij}\, \partial L / \partial z_i$. Hence, averaged over the weights,

$$\mathbb{E}[z^2] = n_\text{in} \mathrm{Var}[W]\; \mathbb{E}[h^2], \qquad
\mathbb{E}\bigl[(\partial L / \partial h)^2\bigr] = n_\text{out} \mathrm{Var}[W]\; \mathbb{E}\bigl[(\partial L / \partial z)^2\bigr].$$

These are second moments, not variances: a ReLU's $h$ has a mean above 0, and $\mathbb{E}[h^2]$ is what enters. The
second needs lesson 2's assumption that the gradient from above is independent of these weights.

Two decisions remain: what the activation does to a second moment, and which of the two sums to keep.
"""

# %% [markdown]
r"""
**Activation.** [Glorot and Bengio (2010)](https://proceedings.mlr.press/v9/glorot10a.html) take it to be a straight
line of slope 1, as tanh is near 0. [He et al. (2015)](https://arxiv.org/abs/1502.01852) take ReLU, which keeps half of
either moment, so that the variance must be twice as large.

**Sum.** The way up wants $n_\text{in} \mathrm{Var}[W]$ to be 1, two for ReLU, the way back $n_\text{out} \mathrm{Var}[W]$.
Glorot and Bengio compromise, equation 12, $\mathrm{Var}[W] = 2 / (n_\text{in} + n_\text{out})$; this is Xavier's rule.
He et al. show that one sum is enough and take the first, $\mathrm{Var}[W] = 2 / n_\text{in}$, equation 10.

$n_\text{in}$ is the layer's fan-in and $n_\text{out}$ its **fan-out**. In a convolution they count channels times places of the
kernel, because that many products are added up. In square layers all of this is one number. So make the layers
anything but square.
"""

# %%
fan = {
    "fan-in": lambda n_in, n_out: n_in,
    "fan-out": lambda n_in, n_out: n_out,
    "mean of both": lambda n_in, n_out: (n_in + n_out) / 2,
}


# %%
def zigzag(rule, seed, widths=(64, *10 * (512, 64))):
    """Twenty ReLU layers of 512 and 64 units in turn, with Var[W] = 2 / fan."""
    torch.manual_seed(seed)
    layers = []
    for n_in, n_out in zip(widths, widths[1:]):
        layers += [nn.Linear(n_in, n_out, bias=False), nn.ReLU()]
        nn.init.normal_(layers[-2].weight, std=(2 / fan[rule](n_in, n_out)) ** 0.5)
    return nn.Sequential(*layers, nn.Linear(widths[-1], 10))


# %% [markdown]
r"""
The compromise lies between a scale that is right for the way up and one that is right for the way back: too large
for the one and too small for the other, by turns.

**Predict.** Take the compromise, `"mean of both"`. By what factor does the signal's rms change from layer 2 to layer
20, which both have 64 units?
"""

# %% tags=["predict"]
guess_zigzag = 0.8  # rms of the signal, layer 20 over layer 2

# %%
tables = [
    vg.gradient_profile(zigzag(rule, seed), x, y).assign(rule=rule, seed=seed)
    for rule in fan
    for seed in range(5)
]
profiles = pd.concat(tables).query("kind == 'ReLU'")

# %%
n_in, n_out = np.array([64, *9 * (512, 64), 512]), np.array(10 * (512, 64))
forward = {rule: np.cumprod(n_in / f(n_in, n_out)) for rule, f in fan.items()}
forward = {rule: (x.square().mean().item() * line) ** 0.5 for rule, line in forward.items()}
vg.depth_plot(profiles, "h_rms", by="rule", theory=forward, title="Up a zigzag network");

# %% [markdown]
r"""
*Figure 7.1. Size of the signal in twenty ReLU layers of 512{#set} and 64 units in turn. Either pure rule keeps it, apart
from the zigzag of fan-out; the compromise loses it layer by layer. Medians and ranges of five seeds, theory dashed.*
"""

# %%
mean = profiles[profiles.rule == "mean of both"]
sizes = mean.pivot(index="order", columns="seed", values="h_rms")
check.prediction("7.1", guess_zigzag, (sizes.iloc[19] / sizes.iloc[1]).median())

# %%
kept = {rule: np.cumprod((n_out / f(n_in, n_out))[:0:-1])[::-1] for rule, f in fan.items()}
backward = {rule: np.append(line, 1) ** 0.5 for rule, line in kept.items()}
vg.depth_plot(profiles, "grad_rms", by="rule", theory=backward, title="Down the same networks");

# %% [markdown]
r"""
*Figure 7.2. The backward signal in the same networks, relative to layer 20. Now fan-in makes the zigzag and fan-out
is level, and neither drifts; the compromise loses the gradient as it lost the signal. Five seeds, theory dashed.*

**What you see.** The compromise leaves 0.013{#l7-zigzag} of the signal, where theory has 0.015{#l7-zigzag-theory}, and as
little of the gradient. Where widths change by a factor $r$, a widening and a narrowing layer multiply the mean
square by

$$\frac{2}{1+r} \cdot \frac{2r}{1+r} = \frac{4r}{(1+r)^2} \le 1,$$

in *both* directions; for $r = 8$ that is 0.40{#l7-zigzag-pair}. A pure rule makes no such loss. With fan-in the
gradient's mean square changes by $n_\text{out}/n_\text{in}$ per layer, and in the product over layers all widths
cancel but the first and the last: its *norm*, the sum over units, is what stays. This is He et al.'s argument that one
sum is enough.

**What it does not show.** That Xavier's rule is bad for ordinary shapes: an hourglass pays for each ratio once, and
for $r = 2$ the fraction is $8/9$.

**Modify.** Replace the compromise by the geometric mean, `(n_in * n_out) ** 0.5`, and run down to Figure 7.2 (its
theory follows). Which way of averaging would you have chosen?
"""

# %% [markdown] minutes=8
r"""
## What the optimizer sees

An optimizer gets neither of the two signals, but their product: for one example $\partial L / \partial W_{ij} =
(\partial L / \partial z_i)\, h_j$, what comes down times what came up.

Take twenty square ReLU layers with Xavier's weights. Both signals lose a factor $1/\sqrt2$ per layer, the one on its
way down, the other on its way up; the backward signal of layer 2 is about a five-hundredth of that of layer 20.

**Predict.** What is the rms of the *weights' gradient* in layer 2, divided by that in layer 20?
"""

# %% tags=["predict"]
guess_weights = 0.002  # rms gradient of the weights, layer 2 over layer 20

# %% [markdown]
r"""
A probe reads both: its `table` has the backward signal, its `params` the gradients of the weights.
"""


# %%
def layer_2_over_20(model):
    """The backward signal dL/dz and the gradient of the weights, each of layer 2 over layer 20."""
    with vg.probe(model) as seen:
        F.cross_entropy(model(x), y).backward()
    signal = seen.table[seen.table.kind == "Linear"].grad_rms.to_numpy()
    weights = seen.params[seen.params.name.str.endswith("weight")].grad_rms.to_numpy()
    return {"backward signal": signal[1] / signal[19], "weight gradient": weights[1] / weights[19]}


# %%
cases = {"relu": 1.0, "tanh": 3**-0.5, "sigmoid": 1.0}
ratios = pd.DataFrame([
    {"act": act} | layer_2_over_20(vg.mlp(20, 128, act=act, sigma_w=sigma_w, seed=seed))
    for act, sigma_w in cases.items()
    for seed in range(5)
])
ratios.groupby("act").median().map("{:.1e}".format)

# %%
check.prediction("7.2", guess_weights, ratios[ratios.act == "relu"]["weight gradient"].median())

# %% [markdown]
r"""
**What you see.** About 1{#l7-weight-ratio}. Going up a layer, the signal shrinks by a factor and what comes down grows
by the same factor, so their product is the same everywhere. Tanh at torch's scale behaves alike. Glorot and Bengio
met this with surprise (their Figure 8) and explained it.

So in this ReLU network the layers near the input are no worse off than those near the output: *all* of them have
gradients of one size, less than a thousandth of those at He's scale. The sigmoid is the other case: its signal stays level
on the way up, so its weight gradients vanish exactly as the backward signal does.

> **Careful.** Equal weight gradients in all layers do not prove that the gradient arrives. Plot
> $\partial L / \partial z$ or $\partial L / \partial h$, as `vg.depth_plot` does.

**Modify.** Set ReLU's `sigma_w` to `0.7`. Say first which of its two columns will change, and which way.
"""

# %% [markdown] minutes=12
r"""
## Two hundred tanh layers

At Xavier's scale, $\sigma_w = 1$, the textbook says: the variance is kept and the network is fine. The images give
the first layer preactivations of variance 0.77{#set}.

**Predict.** What is the variance of the preactivations in layer 50 of a tanh network with Xavier's weights?
"""

# %% tags=["predict"]
guess_variance = 0.25  # variance of the preactivations in layer 50

# %% [markdown]
r"""
A **gain** is a factor on the standard deviation of the weights, `sigma_w` in square layers. Torch's `calculate_gain`
recommends $5/3$ for tanh. Here are both, for two hundred layers:
"""

# %%
gains = {"Xavier, gain 1": 1.0, "gain 5/3": 5 / 3}
tables = [
    vg.gradient_profile(vg.mlp(200, 256, act="tanh", sigma_w=gain, seed=seed), x[:64], y[:64])
    .assign(gain_of=name, seed=seed)
    for name, gain in gains.items()
    for seed in range(3)
]
deep = pd.concat(tables)

# %%
z = deep[(deep.kind == "Linear") & (deep.layer != "head")]
variance = z.assign(layer=z.order // 2 + 1, variance=z.h_rms**2)
q0 = x[:64].square().mean().item()
layers = np.arange(1, 201)
lines = {name: vg.theory.variance_profile("tanh", 200, g, q0=g**2 * q0)
         for name, g in gains.items()}

# %%
theory = pd.concat(
    pd.DataFrame({"layer": layers, "variance": line, "gain_of": name})
    for name, line in lines.items()
)
vg.scan_plot(variance, "layer", "variance", by="gain_of", theory=theory, logx=True, logy=True,
             guess=(50, guess_variance), title="One of the two variances settles",
             labels={"variance": "Variance of the preactivations", "layer": "layer, logarithmic"});

# %% [markdown]
r"""
*Figure 7.3. Variance of the preactivations in 200 tanh layers of 256 units, both axes logarithmic. At gain
$5/3$ it settles; at Xavier's scale it falls along a straight line, a power of the depth, from which single networks
stray in the end. Medians and ranges of three seeds, theory dashed.*
"""

# %%
fifty = variance.query("layer == 50 and gain_of == 'Xavier, gain 1'").variance
check.prediction("7.3", guess_variance, fifty.median())

# %% [markdown]
r"""
**What you see.** About 0.010{#l7-tanh-50} in layer 50, and still falling. Near 0 the square of tanh is $z^2 - \frac23
z^4$, and for a Gaussian $\mathbb{E}[z^4] = 3q^2$. So one layer makes of $q$

$$q' \approx q - 2q^2, \qquad \frac{1}{q'} \approx \frac{1}{q} + 2, \qquad q_l \approx \frac{1}{2l}.$$

It settles at no value above 0: tanh is not the straight line of Glorot and Bengio's derivation, and its bend takes a
little away at every layer. At gain $5/3$, torch's for tanh, the variance does settle, at 1.18{#l7-gain-variance}.

Which of them is better for the gradient?
"""

# %%
backward = {name: vg.theory.gradient_profile("tanh", 200, g, q0=g**2 * q0)
            for name, g in gains.items()}
vg.depth_plot(deep, by="gain_of", theory=backward, title="A level signal, an exploding gradient");

# %% [markdown]
r"""
*Figure 7.4. The backward signal of the same networks, relative to layer 200. Where the variance settled, the gradient
grows by eight decades; at Xavier's scale it falls by one decade in 200 layers. Three seeds, theory dashed.*

**What you see.** At gain $5/3$ the gradient grows by a factor of 1.10{#l7-gain-factor} per layer, which is $10^8$ over
200 layers: the phase that [Poole et al. (2016)](https://arxiv.org/abs/1606.05340) call chaos. At Xavier's scale the
factor is $\sqrt{1 - 2q_l} \approx \sqrt{1 - 1/l}$, and the product of $1 - 1/l$ over the layers is no exponential but
a power: about $1/\sqrt L$ for rms. Xavier's tanh is **critical**, on the border between vanishing and exploding, and
slow powers are the price.
"""

# %% [markdown]
r"""
What do torch's gains do in a very deep network?
"""

# %% tags=["nbval-check-output"]
gain = {act: nn.init.calculate_gain(act) for act in ["sigmoid", "tanh", "relu", "selu"]}
settles = {act: vg.theory.q_star(act, gain[act]) for act in gain}
factor = {act: vg.theory.layer_factor(act, gain[act]) for act in gain}
table = {"torch's gain": gain, "variance in the end": settles, "gradient per layer": factor}
pd.DataFrame(table).round(2)

# %% [markdown]
r"""
One name, four meanings. ReLU's keeps both signals. Tanh's keeps the signal and lets the gradient grow. The sigmoid's,
1, leaves the gradient 0.24{#l7-sigmoid-factor} per layer, as if no gain had been set;
lesson 3 found its level scale near 10{#l7-sigmoid-level}, where most units are saturated. SELU's was found by trial
([issue 24991](https://github.com/pytorch/pytorch/issues/24991)) and keeps the gradient by shrinking the signal to a
variance of 0.02{#l7-selu-variance}, where SELU is nearly two straight lines; its authors ask for 1
([discussion](https://github.com/pytorch/pytorch/pull/53694)).

**What it does not show.** Biases: with $\sigma_b > 0$ the critical scale moves, which is lesson 12's subject.

**Modify.** In the cell with `gains` replace `5 / 3` by `1.1` (its line keeps the name). Does the variance still
settle, and what becomes of the eight decades?
"""

# %% [markdown] minutes=4
r"""
## The gain dial

Both factors for every weight scale: forward and backward, in the deeper half of the network. The place of an
activation is the weight scale at which both curves pass 1 together. Find an activation whose place is a mark, one whose
place lies between two marks, and one whose gradient shrinks at all four of them.
"""

# %%
vg.widgets.gain_dial(5 / 3, act="tanh")

# %% [markdown]
r"""
*Figure 7.5. The gain dial: factor per layer on signal (solid) and gradient (dashed) against the weight scale, with
torch's, Xavier's, He's and $5/3$ marked; the points are measured in three networks at the dial's place.*
"""

# %% [markdown] minutes=10
r"""
## The average network and the typical one

He's rule keeps the mean square *averaged over all draws of the weights*. You draw once. Give an input of mean square
1 to a thousand networks, 40 ReLU layers of only 16 units each, and look at the mean square of their last layers. The
average over infinitely many draws is exactly 1.
"""


# %%
def mean_squares(width, depth, networks, seed=0):
    """Mean square of each layer's output in many He ReLU networks: (depth, networks)."""
    draw = torch.Generator().manual_seed(seed)
    h, sizes = torch.ones(networks, 1, width), []
    for _ in range(depth):
        W = torch.randn(networks, width, width, generator=draw) * (2 / width) ** 0.5
        h = torch.relu(h @ W)
        sizes.append(h.square().mean((1, 2)))
    return torch.stack(sizes)


# %% [markdown]
r"""
**Predict.** What is the *median* over the thousand networks?
"""

# %% tags=["predict"]
guess_median = 0.7  # median mean square of layer 40, width 16

# %%
ends = mean_squares(16, 40, networks=1000)[-1]
check.prediction("7.4", guess_median, ends.median())

# %% [markdown]
r"""
Now three widths, and every depth up to two and a half times the width:
"""

# %%
rows = []
for width, depth in {16: 40, 32: 80, 48: 120}.items():
    for seed in range(3):
        sizes = mean_squares(width, depth, networks=300, seed=seed).median(1).values
        sizes = sizes[width // 8 - 1 :: width // 8]
        places = np.arange(1, len(sizes) + 1) / 8
        rows.append(pd.DataFrame({"L/n": places, "median": sizes, "width": f"{width} units"}))
medians = pd.concat(rows)

# %%
law = [pd.DataFrame({"L/n": p, "median": np.exp(-2.5 * p), "width": w})
       for w, p in medians.groupby("width")["L/n"].unique().items()]
vg.scan_plot(medians, "L/n", "median", by="width", theory=pd.concat(law), logy=True,
             level=(1, "the average"), title="What counts is depth over width",
             labels={"L/n": "layers over units", "median": "Median of the mean square"});

# %% [markdown]
r"""
*Figure 7.6. Median over 300{#set} He ReLU networks of the mean square of a layer's output, against depth divided by width.
Three widths fall on nearly one line, which sinks while the average stays at 1. Three seeds; dashed: the law below.*

**What you see.** The typical network ends at 0.001{#l7-narrow-median}, not at 1. Given $h$, the $n$ new preactivations
are independent Gaussians, so each layer multiplies the mean square by a random number $X$ of mean 1 and variance
$5/n$ (a ReLU's square, doubled, has second moment $4 \cdot \frac12 \cdot 3 = 6$; less 1). Factors multiply, so logarithms add, and
$\mathbb{E}[\ln X] \approx -\frac12 \mathrm{Var}[X] = -5/(2n)$. After $L$ layers

$$\text{median} \approx e^{-5L/(2n)}, \qquad \mathrm{Var}[\ln] \approx 5L/n .$$

A number whose logarithm is Gaussian is **log-normal**: its average is made by few, very large draws. At this shape
even the average over a thousand networks usually stays below 1, its expectation.

The gradient shares this fate: [Hanin and Rolnick (2018)](https://arxiv.org/abs/1803.01719) name it the second failure mode and ask
for a bounded sum of $1/n$ over the layers; [Hanin and Nica (2020)](https://arxiv.org/abs/1812.05994) prove the log-normal law.

**What it does not show.** That 64 units are too few for ten layers: there $5L/n$ is below 1. And where the logarithm
varies much the law is rough: at 16 units the median lies at half of it.

**Modify.** In the prediction's cell change the width from `16` to `64`. Work out the median from the law before you run.

> **Deeper.** What a formula cannot promise for one draw, a measurement can: divide each layer's weights by the rms
> that a batch gives, from the input on. That is the idea of LSUV ([Mishkin and Matas
> 2016](https://arxiv.org/abs/1511.06422)), and exercise 7.2.
"""

# %% [markdown] minutes=11
r"""
## From the start to the training

He et al. trained convolutional networks of 22 layers and of 30 layers from both starts: with 22{#set} both converged,
He's earlier; with 30{#set} Xavier's stalled (their Figure 2 and Figure 3). Here are ten and thirty ReLU layers of 64
units, two learning rates and three seeds, all at once.
"""

# %%
starts = {"Xavier": 1.0, "He": 2**0.5}
names = ["depth", "start", "lr", "seed"]
grid = [(depth, start, lr, seed) for depth in (10, 30) for start in starts
        for lr in (0.002, 0.004) for seed in range(3)]
models = [vg.mlp(depth, act="relu", sigma_w=starts[start], seed=seed)
          for depth, start, _, seed in grid]

# %%
runs = pd.DataFrame(grid, columns=names).rename_axis("model").reset_index()
trained = vg.train_many(models, data.x, data.y, lr=runs.lr.to_list(), steps=600, batch_size=32,
                        momentum=0.9, every=25, progress=False)
runs["accuracy"] = trained.table.accuracy

# %%
curves = trained.curves.merge(runs[["model", *names]]).query("lr == 0.004 and step > 0")
curves["network"] = curves.depth.astype(str) + " layers, " + curves.start
vg.training_plot(curves, by="network", level=(np.log(10), "chance, ln 10"),
                 title="Slow at ten layers, stalled at thirty");

# %% [markdown]
r"""
*Figure 7.7. Loss on the batch over 600 steps of SGD with momentum at a rate of 0.004{#set}. The first step is left out:
there some of He's networks are loud by chance. Ten layers: He's start is through early, Xavier's after a plateau. Thirty
layers: He's start learns, Xavier's stays at chance. Medians and ranges of three seeds.*
"""

# %%
table = runs.groupby(["depth", "start", "lr"]).accuracy.median()
table.unstack("lr").round(2)

# %% [markdown]
r"""
At ten layers Xavier's start costs time and nothing else: at the higher rate it ends at an accuracy of
0.98{#l7-ten-xavier}, He's at 1.00{#l7-ten-he}. At thirty it stays at 0.10{#l7-thirty-xavier}, chance, where He's reaches
0.8{#l7-thirty-he}.

So much for what a start decides. Now look at Xavier's ten-layer networks again. Before training the backward signal
of layer 1 was a twentieth of that of layer 10; He's was level.

**Predict.** What is that ratio in Xavier's networks *after* the training?
"""

# %% tags=["predict"]
guess_after = 0.05  # backward signal, layer 1 over layer 10, after training

# %%
ten = runs.query("depth == 10 and lr == 0.004")
tables = [
    vg.gradient_profile(network[i], x, y).assign(network=f"{start}, {when}", seed=seed)
    for i, start, seed in zip(ten.model, ten.start, ten.seed)
    for when, network in {"before": models, "after": trained.models}.items()
]
vg.depth_plot(pd.concat(tables), by="network", title="A start is not a promise");

# %% [markdown]
r"""
*Figure 7.8. The backward signal in ten ReLU layers before and after 600 steps, relative to layer 10. Before: He's is
level, Xavier's falls towards the input. After: both rise towards the input. Medians and ranges of three seeds.*
"""

# %%
after = pd.concat(tables).query("network == 'Xavier, after' and kind == 'ReLU'")
after = after.groupby("seed").grad_rms
check.prediction("7.5", guess_after, (after.first() / after.last()).median())

# %% [markdown]
r"""
A hundredfold, and past level. How far have the weights moved for that? Rms of the weights in layer 5, and of the signal
in layer 10, of the first of these networks:
"""

# %%
first = ten.model.iloc[0]
{when: [round(network[first].linear5.weight.std().item(), 3),
        round(network[first][:-1](x).square().mean().sqrt().item(), 2)]
 for when, network in {"before": models, "after": trained.models}.items()}

# %% [markdown]
r"""
**What you see.** The ratio has gone from 0.045{#l7-before} to about 5{#l7-after}, while the weights of layer 5 have grown
by 3{#l7-growth} % in rms. They are hardly larger, but no longer independent of what passes through them: each layer has
moved a little in the directions that the digits take, all layers together, and the signal in layer 10 has gone
from 0.03{#l7-signal-before} to about 4{#l7-signal-after}. He's networks end at such a profile as well.

Every formula above adds up independent random weights. They stop being that with the first step. What a good start
gives is a *first* step that reaches all layers; nothing in it promises the hundredth.

**What it does not show.** Which profile is good to have in the middle of a training. Nobody has a rule for that; a
network that learns may be far from level.

**Modify.** Set `steps=100` and run the section again. Whose line in Figure 7.8 has moved by then, He's or
Xavier's?
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=12
r"""
### Exercise 7.1: both rules, any layer ★★ 12 minutes

Draw uniform weights for a linear layer or a convolution so that $\mathrm{Var}[W] = \text{gain}^2 / \text{fan}$.
Convolutions may have groups: then an input reaches the outputs of its own group only.
"""

# %% exercise="7.1" tags=["nbval-check-output"]
def draw_weights(layer, gain, mode):
    """Uniform weights, shape of layer.weight. mode: "fan_in", "fan_out" or "mean" (of both)."""
    ### BEGIN SOLUTION
    outputs, inputs, *kernel = layer.weight.shape
    fan_in = inputs * int(np.prod(kernel))
    fan_out = outputs * int(np.prod(kernel)) / getattr(layer, "groups", 1)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "mean": (fan_in + fan_out) / 2}[mode]
    bound = gain * (3 / fan) ** 0.5
    return torch.empty_like(layer.weight).uniform_(-bound, bound)
    ### END SOLUTION


check.draw_weights(draw_weights)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`layer.weight` has the shape (outputs, inputs of one group, rows, columns); a linear layer has no rows and columns, and no `groups`:
`getattr(layer, "groups", 1)`.
</details>

<details><summary>Hint 2</summary>

A uniform distribution on $\pm a$ has the variance $a^2/3$. Which $a$ has the variance asked for?
</details>

The check finds a slip that `torch.nn.init` makes, too ([issue 23854](https://github.com/pytorch/pytorch/issues/23854)).
"""

# %% [markdown] minutes=12
r"""
### Exercise 7.2: level by measuring ★★ 12 minutes

Scale each linear layer of an `nn.Sequential` in place, from the input on and the read-out included, until its output
on the batch `x` has an rms of 1. Biases are 0. No formula, no fan, any activation.
"""

# %% exercise="7.2" tags=["nbval-check-output"]
def level_layers(model, x):
    """Scale the weights in place; return the factors, a list with one for each linear layer."""
    ### BEGIN SOLUTION
    factors = []
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.Linear):
                factors.append(1 / module(x).square().mean().sqrt().item())
                module.weight *= factors[-1]
            x = module(x)
    return factors
    ### END SOLUTION


check.level_layers(level_layers)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Send `x` through the modules one by one, `x = module(x)`, under `torch.no_grad()`.
</details>

<details><summary>Hint 2</summary>

When you have scaled a layer, run its input through it *again*, so that the next layer is measured on what it will get.
</details>
"""

# %% [markdown] minutes=10
r"""
### Exercise 7.3: six sentences ★★ 10 minutes

All six have been taught. Which hold? Measure where you are not sure; a line of `vg.theory` or of this lesson is
enough for each.

- **A** With Xavier's weights the variance in a deep tanh network settles at a quarter.
- **B** In square ReLU layers He's weights keep the second moment of the preactivations, averaged over draws.
- **C** They keep the *variance* of the outputs at 1 if the input has mean square 1.
- **D** Weight gradients of one size in all layers show that the gradient does not vanish.
- **E** In wide layers, uniform weights of the same variance give the same factors as normal ones.
- **F** In layers that widen and narrow in turn, Xavier's rule loses on the way up what it gains on the way back.
"""

# %% exercise="7.3" tags=["nbval-check-output"]
def six_sentences():
    """A dict from "A" to "F", each "holds" or "fails"."""
    ### BEGIN SOLUTION
    return {"A": "fails", "B": "holds", "C": "fails", "D": "fails", "E": "holds", "F": "fails"}
    ### END SOLUTION


check.six_sentences(six_sentences)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

For A print `vg.theory.variance_profile("tanh", 400, 1.0)[[99, 199, 399]]`. For C: mean square = variance + mean², and
a ReLU's mean is not 0.
</details>

<details><summary>Hint 2</summary>

For E draw both with `vg.init_(model, "uniform", sigma_w=...)` and `"normal"`. For F look at Figure 7.1 and Figure 7.2
once more.
</details>
"""

# %% [markdown] minutes=16
r"""
### Exercise 7.4: repeat a paper ★★★ 16 minutes, open

He et al. reported that Xavier's start is slower with 22 layers and stalls with 30 layers. Do you find the same here, with
dense layers on the digits? Vary what you like: rate, steps, width, momentum. Write down what you find in three
sentences, and in a fourth what differs from the paper's experiment.
"""

# %%
mine = [vg.mlp(22, act="relu", sigma_w=s, seed=seed) for s in starts.values() for seed in range(3)]
result = vg.train_many(mine, data.x, data.y, lr=0.004, steps=600, batch_size=32, momentum=0.9,
                       every=25, progress=False)
result.table.assign(start=np.repeat([*starts], 3))[["start", "loss", "accuracy"]].round(2)

# %% [markdown] tags=["solution"]
r"""
**One answer.** "With 22 layers He's start passes nine in ten within 600 steps for most seeds, Xavier's stays
at two in ten or less. With 30 layers Xavier's stays at chance at every rate tried, while He's learns and wants a small rate.
The order is the paper's; but its network of 22 layers was only slower and ours is all but stalled, so that
the border between slow and stalled depends on patience as well as on depth." What differs: dense layers of 64 units, not
convolutions with hundreds of channels; digits, not ImageNet; hundreds of steps, not hundreds of thousands.
"""

# %% [markdown] minutes=1
r"""
## What we saw

- Both rules keep a second moment, averaged over draws, before the first step. In layers of 512{#set} and 64 units in
  turn the compromise of both fans leaves 0.013{#l7-zigzag} of signal and gradient; either fan alone loses neither.
- The weights' gradient is a product of both signals: in a stalled ReLU network it is flat,
  about 1{#l7-weight-ratio} from end to end.
- Tanh at Xavier's scale is critical: variance $1/(2l)$, 0.010{#l7-tanh-50} in layer 50. At $5/3$ the variance settles and
  the gradient grows by 1.10{#l7-gain-factor} per layer. The sigmoid is cured by neither.
- The typical narrow network ends at 0.001{#l7-narrow-median} where the average is 1; and a training that began at a ratio
  of 0.045{#l7-before} ended at about 5{#l7-after}.

**Where next.** A start cannot hold a scale that training moves. Lesson 8 sets it anew at every step. How scales and
learning rates should change together with the width is the subject of
[Tensor Programs V](https://arxiv.org/abs/2203.03466) (muP).
"""

# %% [markdown]
r"""
## In your own model

```python
vg.init_(model, "he")                            # or "xavier", or "normal" with a sigma_w of your own
profile = vg.gradient_profile(model, x, y)       # before the first step; again after a hundred
vg.depth_plot(profile, "h_rms")                  # level? then the next line
vg.depth_plot(profile, "grad_rms")
```

Read both lines, from several seeds: one level line does not make the other level, and in narrow layers one draw says
little about the next.
"""

# %% [markdown]
r"""
## Sources

- X. Glorot and Y. Bengio (2010), [*Understanding the difficulty of training deep feedforward neural
  networks*](https://proceedings.mlr.press/v9/glorot10a.html), AISTATS, section 4.2, equation 12 and Figure 8.
- K. He, X. Zhang, S. Ren and J. Sun (2015), [*Delving deep into rectifiers: surpassing human-level performance on
  ImageNet classification*](https://arxiv.org/abs/1502.01852), ICCV, section 2.2, equations 10 and 14.
- B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli (2016), [*Exponential expressivity in deep neural
  networks through transient chaos*](https://arxiv.org/abs/1606.05340), NeurIPS.
- D. Mishkin and J. Matas (2016), [*All you need is a good init*](https://arxiv.org/abs/1511.06422), ICLR, algorithm 1.
- B. Hanin and D. Rolnick (2018), [*How to start training: the effect of initialization and
  architecture*](https://arxiv.org/abs/1803.01719), NeurIPS.
- B. Hanin and M. Nica (2020), [*Products of many large random matrices and gradients in deep neural
  networks*](https://arxiv.org/abs/1812.05994), Communications in Mathematical Physics 376, 287-322.
- G. Yang et al. (2022), [*Tensor Programs V*](https://arxiv.org/abs/2203.03466): only as a pointer here.
- PyTorch, [issue 24991](https://github.com/pytorch/pytorch/issues/24991) and [pull request
  53694](https://github.com/pytorch/pytorch/pull/53694) on the gain of SELU, [issue
  23854](https://github.com/pytorch/pytorch/issues/23854) on the fan-out of grouped convolutions.
"""
