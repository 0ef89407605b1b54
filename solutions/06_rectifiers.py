# %% [markdown]
r"""
# 6. What does ReLU cure, and what does it cost?

**Time** 65 minutes, and 40 for the exercises. **Needed first** Lessons 2 and 3: the per-layer factor, He's start.
**New words** rectifier, leak, dead unit, born dead, revival.
"""

# %% [markdown]
r"""
**You will be able to**

- explain which cause of vanishing gradients ReLU removes, which it leaves, and what its variants change;
- compare activations fairly: each with its own start and its own learning rate, over several seeds;
- count dead units and tell three causes apart: too narrow, misleading biases, too large a step;
- predict which dead units can come back, and measure how many do.
"""

# %%
import numpy as np
import pandas as pd
import torch
from torch import nn

import vglab as vg
from vglab import check, tasks

data = tasks.digits()
x, y = data.x, data.y

# %% [markdown] minutes=11
r"""
## What ReLU removes

"ReLU does not suffer from vanishing gradients." The **rectifier** $\max(0, z)$ came into deep learning with [Nair and
Hinton (2010)](https://www.cs.toronto.edu/~fritz/absps/reluICML.pdf); the sentence is a short form of an argument of
[Glorot, Bordes and Bengio (2011)](https://proceedings.mlr.press/v15/glorot11a.html), which is narrower: along a path of
*active* units the network is linear, so that the nonlinearity itself takes nothing away from the gradient.

That is true of a unit that is on: its slope is 1 however large $z$ grows, and it never saturates on that side. But a
layer is a crowd. About half of its units are off and pass on nothing, so the rms slope is $1/\sqrt2$ and the factor
per layer $\sigma_w/\sqrt2$. With torch's weights that is the 0.41{#l3-default-relu-factor} of lesson 3.

The variants change the left half: a **leak**, a small slope $a$ below 0 ([Maas et al.
2013](https://ai.stanford.edu/~amaas/papers/relu_hybrid_icml2013_final.pdf)), which PReLU learns ([He et al.
2015](https://arxiv.org/abs/1502.01852)); an exponential that levels off at a negative value ([ELU,
2015](https://arxiv.org/abs/1511.07289), [SELU, 2017](https://arxiv.org/abs/1706.02515)); or a smooth bend ([GELU,
2016](https://arxiv.org/abs/1606.08415), and SiLU, also called swish, [2017](https://arxiv.org/abs/1710.05941)). What
do they do to the factor?
"""

# %%
five = {"ReLU": "relu", "leaky 0.25": nn.LeakyReLU(0.25), "ELU": "elu", "SELU": "selu",
        "GELU": "gelu"}
measured, theory = [], []
for name, act in five.items():
    for sigma_w in np.geomspace(0.5, 2.5, 7):
        row = {"activation": name, "sigma_w": sigma_w}
        for seed in range(3):
            network = vg.mlp(12, 128, act=act, sigma_w=sigma_w, seed=seed)
            signal = vg.gradient_profile(network, x[:256], y[:256]).dropna(subset="slope").grad_rms
            measured += [row | {"factor": (signal.iloc[4] / signal.iloc[11]) ** (1 / 7)}]
        q1 = sigma_w**2 * x[:256].square().mean().item()
        line = vg.theory.gradient_profile(act, 12, sigma_w, q0=q1)
        theory += [row | {"factor": line[4] ** (1 / 7)}]

# %% name="figure-factors"
words = {"sigma_w": "weight scale σ_w", "factor": "factor per layer"}
vg.scan_plot(pd.DataFrame(measured), "sigma_w", "factor", by="activation",
             theory=pd.DataFrame(theory), logx=True, level=(1, "level"), labels=words,
             title="No activation is right for every weight scale");

# %% [markdown]
r"""
*Figure 6.1. Factor on the gradient per layer against the weight scale, averaged over layers 5 to 12 of a network of
128 units a layer: every line rises through 1. SELU's crosses first and stays near it longest, GELU's is the lowest until
large weights, where it leaps up. Medians and ranges of three seeds, theory dashed.*

**What you see.** No activation escapes the scale. At torch's weights each of the five loses the gradient, ReLU
among them; above its own scale each lets it explode. A leak of torch's default size, 0.01{#set}, would not be seen in
the figure: it raises ReLU's factor by one part in 20000{#l6-leak-part}. What a leak is good for is further below.

ELU and SELU stay near 1 over a whole stretch of scales, as the levelling left side takes back what larger weights
add. GELU is the opposite: below some scale its signal sinks into the bend at 0, where the slope is only one half,
above it the signal grows until it looks like ReLU's. Between the two, chance decides, so GELU and SiLU have *no* scale
at which a deep plain network without biases is steady.

**What it does not show.** Why transformers use GELU all the same: their normalization layers set the scale anew at
every block, and then none of this matters as much.

**Modify.** Make the leak a whole one, `nn.LeakyReLU(1.0)`. What does that activation do, and which curve do you
expect? Put the quarter back before you go on.
"""

# %% [markdown] minutes=16
r"""
## A fair tournament

To compare activations, each must be given what suits it. Weights: for the rectifiers the scale that keeps the
preactivations' mean square at 1, which is $1/\sqrt{\mathbb{E}[\varphi(z)^2]}$ for $z \sim N(0, 1)$. For ReLU this is
He's start, for SELU the $1/n$ of its authors (LeCun's start), for a leak exercise 6.2. For GELU and SiLU it is the
best that theory offers, though their balance there is an unstable one. Tanh comes along with Xavier's start as the
reference.
"""

# %% tags=["nbval-check-output"]
entrants = {"tanh": "tanh"} | five | {"SiLU": "silu"}
start = {name: vg.theory.mean_square(act) ** -0.5 for name, act in entrants.items()}
start["tanh"] = 1.0
{name: round(float(scale), 2) for name, scale in start.items()}

# %% [markdown]
r"""
Learning rate: each takes part at every rate of a grid, and its best one counts. Budget: the same 300 steps on the
same batches of 64 digits, twenty layers of 32 units, three seeds. A network that diverges counts as chance,
0.1{#set}.
"""

# %%
def tournament(entrants, rates, **training):
    """Train each entrant at each rate from three seeds; one row per network, with its accuracy."""
    rows = []
    for name, act in entrants.items():
        grid = pd.DataFrame([(name, lr, s) for lr in rates for s in range(3)],
                            columns=["act", "lr", "seed"])
        models = [vg.mlp(20, 32, act=act, sigma_w=start[name], seed=s) for s in grid.seed]
        trained = vg.train_many(models, x, y, lr=list(grid.lr), steps=300, batch_size=64,
                                progress=False, **training)
        rows.append(grid.assign(accuracy=trained.table.accuracy.fillna(0.1)))
    return pd.concat(rows)


# %% [markdown]
r"""
**Predict.** Tanh saturates on both sides, ReLU on one. With SGD and momentum, by how much does the training accuracy
of ReLU exceed that of tanh, each at its best rate? (A difference of accuracies, such as 0.2{#set}.)
"""

# %% tags=["predict"]
guess_lead = 0.15  # accuracy of ReLU minus accuracy of tanh, twenty layers

# %%
sgd = {"optimizer": torch.optim.SGD, "momentum": 0.9}
table = tournament(entrants, [0.001, 0.003, 0.01, 0.03, 0.1], **sgd)

# %% name="figure-tournament"
shown = ["tanh", "ReLU", "leaky 0.25", "SELU", "GELU"]
vg.scan_plot(table.query("act in @shown"), "lr", "accuracy", by="act", logx=True,
             title="Each activation has a learning rate of its own",
             labels={"lr": "learning rate", "accuracy": "training accuracy"});

# %% [markdown]
r"""
*Figure 6.2. Training accuracy of twenty-layer networks after 300 steps of SGD with momentum, against the learning rate,
for five activations. SELU is the highest and wants the smallest rate; tanh and the leak of a quarter are close to it;
ReLU and GELU stay behind. Medians and ranges of three seeds.*
"""

# %%
def best(table):
    """The row of the best rate for each activation: its median, lowest and highest accuracy."""
    spread = table.groupby(["act", "lr"]).accuracy.agg(["median", "min", "max"])
    return spread.loc[spread.groupby("act")["median"].idxmax()].reset_index("lr").round(3)


# %%
result = best(table).sort_values("median", ascending=False)
result

# %%
check.prediction("6.1", guess_lead, result["median"]["ReLU"] - result["median"]["tanh"])

# %% [markdown]
r"""
**What you see.** ReLU is *behind* tanh, by a tenth or more: tanh reaches 0.97{#l6-sgd-tanh}, ReLU in the median over
many seeds 0.82{#l6-sgd-relu}, and it scatters. A leak of a quarter closes the gap (0.97{#l6-sgd-leaky}). ELU and SELU
come first, with 0.99{#l6-sgd-elu} and more. GELU stays behind and SiLU scatters widely: the unstable balance of Figure
6.1. With a proper start the saturation of tanh, which ReLU was introduced to avoid, is not what limits this network.

Before you throw ReLU out, change one thing, the optimizer:
"""

# %%
four = {name: entrants[name] for name in ("tanh", "ReLU", "SELU", "GELU")}
best(tournament(four, [0.001, 0.003], optimizer=torch.optim.Adam))

# %% [markdown]
r"""
With Adam all four medians lie above 0.93{#l6-adam-least}: the order of the first table was one of activation *and*
optimizer.

**What it does not show.** Which activation is best. One task, one depth, a narrow network (with few units ReLU's
random factors scatter most), 300 steps, accuracy on the training set; no normalization, no skip connections, which
most networks of today have. Adam's grid holds two rates only. The best rate was chosen on the seeds that are shown,
which flatters every entrant a little.

**Modify.** In `tournament`, widen the networks from `32` to `64` units, and run its cell and those below it. How much
of ReLU's lag is left? Then go back to `32`.
"""

# %% [markdown] minutes=9
r"""
## Born dead

A ReLU unit that is off for every example is a **dead unit**: its output is 0, its slope is 0, and no gradient
reaches its weights. The crudest case needs no training. If all units of *one* layer are off, everything above is
constant, and the network is **born dead**.

For a single input and weights symmetric about 0, without biases, each of $w$ units is off with chance one half,
whatever comes in. So a layer is all off with chance $2^{-w}$, and one of $L$ layers is with chance
$1 - (1 - 2^{-w})^L$. For a set of inputs this is an upper bound, since a layer must be off for all of them;
[Lu et al. (2020)](https://arxiv.org/abs/1903.06733) prove that depth at a fixed width makes death certain.

**Predict.** Forty layers of 4 units each, He's start. Which share of such networks is dead for all of 64 digits?
"""

# %% tags=["predict"]
guess_born = 0.3  # share of networks born dead, width 4, depth 40


# %%
def share_born_dead(width, depth=40, nets=1000, seed=0):
    """Share of networks that are 0 for every one of 64 digits, after each layer: (depth,)."""
    generator, shares = torch.Generator().manual_seed(seed), []
    h = x[:64].expand(nets, -1, -1)  # (nets, digits, inputs)
    for _ in range(depth):
        n = h.shape[-1]
        weights = torch.randn(nets, n, width, generator=generator) * (2 / n) ** 0.5
        h = torch.relu(h @ weights)
        shares.append((h == 0).flatten(1).all(1).double().mean().item())
    return np.array(shares)


# %% [markdown]
r"""
Four widths and three seeds, with theory for a single digit beside them:
"""

# %%
layers = np.arange(1, 41)
frame = lambda width, share: pd.DataFrame(
    {"depth": layers, "width": f"width {width}", "share": share}
)
widths = (2, 4, 6, 8)
dead = pd.concat(frame(w, share_born_dead(w, seed=s)) for w in widths for s in range(3))
bound = pd.concat(frame(w, vg.theory.born_dead_probability(layers, w)) for w in widths)

# %%
vg.scan_plot(dead, "depth", "share", by="width", theory=bound, title="Narrow and deep is fatal",
             labels={"depth": "depth (layers)", "share": "share of networks born dead"});

# %% [markdown]
r"""
*Figure 6.3. Share of random ReLU networks whose output is 0 for all of 64 digits, against depth, for four widths:
with two units a layer nearly all are dead within ten layers, with eight few are after forty. Each point counts a
thousand networks; medians and ranges of three seeds. Dashed: theory for a single digit, an upper bound.*
"""

# %%
deepest = dead.query("depth == 40").groupby("width").share.median()
check.prediction("6.2", guess_born, deepest["width 4"])

# %% [markdown]
r"""
**What you see.** With four units it is 0.89{#l6-born-dead-4}; theory's bound for a single digit is
0.92{#l6-born-bound-4}. The share falls fast with width: 0.08{#l6-born-dead-8} at 8 units, and at 64 units the bound is
less than one in $10^{17}$. A dead network of ordinary width was not born so. The first answer to death at birth is
width.

**Modify.** In `share_born_dead`, put `nn.functional.leaky_relu` in place of `torch.relu`. Its leak is 0.01{#set}.
What is left of the four lines, and why?
"""

# %% [markdown] minutes=8
r"""
## Dead units in a fresh network

Count units now, not networks. A common finding, and a common argument against ReLU: take a deep network fresh from
torch, and a large part of its upper units are 0 for the whole training set.

**Predict.** Ten layers of 64 units, torch's default start. Which share of the units of layer 10 is off for all
1400 training digits?
"""

# %% tags=["predict"]
guess_default = 0.1  # share of dead units in layer 10, torch's default


# %%
def without_biases(model):
    """The same network with every bias set to 0."""
    for layer in model[::2]:
        nn.init.zeros_(layer.bias)
    return model


# %%
starts = {
    "torch's default": lambda seed: vg.mlp(10, act="relu", seed=seed),
    "default, no biases": lambda seed: without_biases(vg.mlp(10, act="relu", seed=seed)),
    "He": lambda seed: vg.mlp(10, act="relu", sigma_w=2**0.5, seed=seed),
}
profiles = pd.concat(
    vg.gradient_profile(make(seed), x, y).assign(start=name, seed=seed)
    for name, make in starts.items() for seed in range(3)
)
vg.depth_plot(profiles, "dead", by="start", title="Units that no digit turns on");

# %% [markdown]
r"""
*Figure 6.4. Share of units that are off for all 1400 training digits, layer by layer. With torch's default it climbs to
nearly one half by layer 10; the same weights without biases, and He's start, stay low. Medians and ranges of three
seeds.*
"""

# %%
tops = profiles.query("start == \"torch's default\" and layer == 'act10'").dead
check.prediction("6.3", guess_default, tops.median())

# %% [markdown]
r"""
And the other units of layer 10? The share of digits for which each is on:
"""

# %% tags=["nbval-check-output"]
on = (starts["torch's default"](0)[:-1](x) > 0).double().mean(0)
f"never on: {(on == 0).sum()} units, always: {(on == 1).sum()}, between: {(on % 1 > 0).sum()}"

# %% [markdown]
r"""
**What you see.** About half of the units are dead with the default (0.48{#l6-default-dead} over many seeds),
0.1{#l6-zero-bias-dead} with the same weights and no biases. So it is not ReLU, and not the weights.

Lesson 3 showed what happens: the signal of the digits dies out, and only the biases' own voice is left, the same for
every digit. Each unit's $z$ is then a constant; about half of the constants are negative. The units that are *not*
dead are on for every digit, so they are straight lines. Hardly a unit still makes a decision.

**What it does not show.** Dead on what? With He's start, of the units of layer 10 that are off for the first 64
digits, a good part is on for some later digit: 0.17{#l6-he-dead-batch} are off for the batch, but only
0.1{#l6-he-dead-data} for all digits. Count over the data, not over a batch (exercise 6.1).

**Modify.** In the figure's cell put `x[:16], y[:16]` for `x, y`. Two of the lines rise. Why not torch's?
"""

# %% [markdown] minutes=9
r"""
## Killed by the step

Training can kill. One large step may move a unit's $z$ below 0 for every example, and from then on its weights get
no gradient. Take the He networks of the last figure, which start with few dead units, and train them for 100 steps.

**Predict.** With Adam at a learning rate of 0.1{#set}, a hundred times its default, which share of all hidden units is
dead after 100 steps?
"""

# %% tags=["predict"]
guess_killed = 0.3  # share of dead units after 100 steps of Adam at 0.1


# %%
@torch.no_grad()
def dead_units(model):
    """Which units of each ReLU layer are 0 for every training digit: (layers, units), bool."""
    h, dead = x, []
    for layer in model[:-1]:
        h = layer(h)
        if isinstance(layer, nn.ReLU):
            dead.append((h == 0).all(0))
    return torch.stack(dead)


# %% [markdown]
r"""
Each rate from three seeds, for Adam and for plain SGD:
"""

# %%
rates = {"Adam": [1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1], "SGD": [1e-2, 3e-2, 1e-1, 3e-1]}
rows = []
for name, grid in rates.items():
    models = [starts["He"](seed) for seed in range(3) for _ in grid]
    trained = vg.train_many(models, x, y, optimizer=getattr(torch.optim, name), lr=grid * 3,
                            steps=100, batch_size=64, progress=False)
    shares = [dead_units(model).double().mean().item() for model in trained.models]
    rows += [trained.table.assign(optimizer=name, lr=grid * 3, dead=shares)]
deaths = pd.concat(rows)

# %%
vg.scan_plot(deaths, "lr", "dead", by="optimizer", logx=True, title="Death by learning rate",
             guess=(0.1, guess_killed),
             labels={"lr": "learning rate", "dead": "share of dead units"});

# %% [markdown]
r"""
*Figure 6.5. Share of hidden units that are dead after 100 steps, against the learning rate. With Adam it is small up to
one hundredth and then climbs to four fifths; with SGD it stays low over the whole range in which training goes well.
Medians and ranges of three seeds.*
"""

# %%
killed = deaths.query("optimizer == 'Adam'").groupby("lr")[["dead", "accuracy"]].median()
check.prediction("6.4", guess_killed, killed.dead[0.1])

# %%
killed.round(2)

# %% [markdown]
r"""
**What you see.** 0.84{#l6-adam-killed} of all units are dead, and accuracy is down at chance. It is quick: a single step
of that size kills 0.44{#l6-one-step}.

Adam's first step moves practically *every* weight by the learning rate; 0.1{#set} is more than half of a weight's
standard deviation, and as the inputs of a hidden unit are never negative, the moves of its weights tend to add up.
SGD's steps shrink with the gradient; up to a rate of 0.1{#set} it even leaves fewer dead units than it found.

But look at the row of 0.01{#set}: 0.15{#l6-adam-some} of the units are dead, several times more than at the start,
and accuracy is 0.97{#l6-adam-some-accuracy}. Dead units are a symptom; some of them cost nothing here. The widely read
notes of [CS231n](https://cs231n.github.io/neural-networks-1/) tell of two fifths of a network dead, and name the cause
correctly, a learning rate set too high; at ordinary rates the disease is rare.

**Modify.** Add `1.0` to SGD's rates. Its networks end in another way than Adam's: look for `diverged` in
`deaths.tail(3)`.
"""

# %% [markdown] minutes=8
r"""
## Do the dead come back?

"A dead unit gets no gradient, so it never recovers"; the notes of [CS231n](https://cs231n.github.io/neural-networks-1/)
call death irreversible. The first half is exact. The second forgets that $z = w \cdot h + b$
has three parts: the unit's own weights and bias stand still, but its *inputs* $h$ are outputs of layers below, which
go on learning. In layer 1 the inputs are the data.

Kill half of the units of one layer on purpose: lower their biases until they are just off for every training digit.
"""

# %%
@torch.no_grad()
def kill(model, layer, units=32):
    """Lower the biases of the first units of a layer until they are dead on every digit."""
    before = model[: 2 * layer - 1](x)  # the preactivations of that layer
    highest = before[:, :units].amax(0)
    model[2 * layer - 2].bias[:units] -= highest + 0.1 * before.std()
    return model


# %% [markdown]
r"""
**Predict.** Six layers of 64 units, He's start, half of layer 5 killed so. After 300 steps of Adam at its default
rate, which share of the killed units is alive again?
"""

# %% tags=["predict"]
guess_alive = 0.0  # share of the killed units of layer 5 that come back

# %%
he = lambda seed: vg.mlp(6, act="relu", sigma_w=2**0.5, seed=seed)
runs = [(layer, seed) for layer in (1, 2, 5) for seed in range(3)]
victims = [kill(he(seed), layer) for layer, seed in runs]
trained = vg.train_many(victims, x, y, optimizer=torch.optim.Adam, lr=1e-3, steps=300,
                        batch_size=64, progress=False)
alive = [1 - dead_units(model)[layer - 1, :32].double().mean().item()
         for model, (layer, _) in zip(trained.models, runs)]
revived = pd.DataFrame(runs, columns=["layer", "seed"]).assign(alive=alive)

# %%
check.prediction("6.5", guess_alive, revived[revived.layer == 5].alive.median())

# %% [markdown]
r"""
The same for layers 1, 2 and 5, seed by seed:
"""

# %%
revived.pivot(index="layer", columns="seed", values="alive").round(2)

# %% [markdown]
r"""
**What you see.** **Revival** is common higher up: in layer 5 about 0.7{#l6-revived-5} come back, in layer 2 about
0.35{#l6-revived-2}. In layer 1 it is exactly none, as neither inputs nor weights have moved. Weight decay does not help
there, though one might hope so: AdamW's shrinks $w$ and $b$ by the same share, so $z$ shrinks and keeps its sign. We
count 0{#l6-decay-revived} of them alive again after 300 steps with strong decay.

**What it does not show.** That death can be waited out. These units were *just* dead. The networks that Adam at
0.1{#set} had killed, trained on at the default rate, revive 0.00{#l6-revived-after-adam} of their units: where a
layer has no unit alive, the layers below get no gradient and those above get inputs that never change. After
a rate of 0.03{#set} about 0.47{#l6-dead-after-003} are dead and few of them return, yet accuracy recovers to
0.96{#l6-recovered}: the living half is enough.

**Modify.** Give `kill` a larger distance, `1.0` in place of `0.1`. Which layer suffers more, the second or the fifth?
"""

# %% [markdown] minutes=2
r"""
## The map

Each cell is one unit of a real network of twelve layers; its colour says for how many of 64 digits it is on. Lower
the bias from 0 in small steps and watch the dark grow, in the last layers first; then add a leak and read what
becomes of the gradient.
"""

# %%
vg.widgets.dead_unit_map()

# %% [markdown]
r"""
*Figure 6.6. The dead-unit map: units, the busiest on top, against layers; the colour runs from never on to always on.
The line of text gives the share of dead units and the factor on the gradient from layer 12 to layer 1.*
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=12
r"""
### Exercise 6.1: count the dead ★★ 12 minutes

The share of dead units of one layer over a whole data set that comes in batches. The model may hold batch
normalization, so it has to be measured in eval mode and given back in the mode it came in.
"""

# %% exercise="6.1" tags=["nbval-check-output"]
def dead_fraction(model, k, batches):
    """Share of the units of model[k] whose output is 0 for every row of every batch."""
    ### BEGIN SOLUTION
    mode, ever_on = model.training, False
    model.eval()
    with torch.no_grad():
        for batch in batches:
            ever_on = ever_on | (model[: k + 1](batch) != 0).any(0)
    model.train(mode)
    return 1 - ever_on.double().mean()
    ### END SOLUTION


check.dead_fraction(dead_fraction)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Keep one flag per unit, "was on at least once", and update it from batch to batch; the batches differ in size.
</details>

<details><summary>Hint 2</summary>

`model[: k + 1]`, called with a batch, gives the output of `model[k]`. Remember `model.training` before `model.eval()` and restore it at
the end. </details>
"""

# %% [markdown] minutes=8
r"""
### Exercise 6.2: the gain of a leak ★ 8 minutes

Which $\sigma_w$ keeps the mean square of the preactivations for a leaky ReLU with slope $a$ below 0? Beware of a
shortcut that is sometimes taught: the mean of $\varphi(z)$ is not 0, so its variance is not its mean square.
"""

# %% exercise="6.2" tags=["nbval-check-output"]
def leaky_gain(a):
    """The sigma_w with sigma_w^2 E[phi(z)^2] = 1 for z ~ N(0, 1) and phi of slope a below 0."""
    ### BEGIN SOLUTION
    return (2 / (1 + a**2)) ** 0.5
    ### END SOLUTION


check.leaky_gain(leaky_gain)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Split $\mathbb{E}[\varphi(z)^2]$ into the two halves of the Gaussian. Each half of $z^2$ has the mean one half.
</details>

<details><summary>Hint 2</summary>

Two cases that you know: $a = 0$ is ReLU, and $a = 1$ is a straight line, which needs $\sigma_w = 1$.
</details>
"""

# %% [markdown] minutes=20
r"""
### Exercise 6.3: choose, and defend it ★★★ 20 minutes, open

Thirty layers of 32 units, no normalization, 200 steps of SGD with momentum, and one learning rate that you must name
before you see a result. Choose activation, start and rate; then defend the choice in three sentences with a number in
each, one of which says what your evidence does not cover. The cell tries one choice on three seeds.
"""

# %%
act, scale, lr = "relu", 2**0.5, 0.01
models = [vg.mlp(30, 32, act=act, sigma_w=scale, seed=seed) for seed in range(3)]
trained = vg.train_many(models, x, y, lr=lr, steps=200, batch_size=64, progress=False, **sgd)
trained.table.accuracy.fillna(0.1).round(2).tolist()

# %% [markdown] tags=["solution"]
r"""
**One answer.** "SELU with LeCun's start at a rate of 0.003{#set}: over three seeds it reached a median of
0.95{#l6-thirty-selu} where ReLU with He's start at its best rate of the tournament, 0.01{#set}, reached
0.45{#l6-thirty-relu}. Its factor stays near 1 over a whole range of weight scales (Figure 6.1), so thirty layers
neither kill nor inflate the gradient, and its slope is nowhere exactly 0. I tried one data set and three
seeds; with Adam, or with normalization, I would expect the difference to shrink, as it did in the tournament."
"""

# %% [markdown] minutes=2
r"""
## What we saw

- ReLU removes saturation from a unit that is on; half of the units are off, and the scale still decides: no
  activation of Figure 6.1 is level at every scale.
- In a fair tournament of twenty layers with SGD, tanh reached 0.97{#l6-sgd-tanh} and ReLU 0.82{#l6-sgd-relu}; with Adam the
  differences all but vanished.
- Units die at birth in narrow networks (0.89{#l6-born-dead-4} of those with 4 units a layer), are silenced by the default's
  biases, about half of those on top, and are killed by a step too large (0.84{#l6-adam-killed} by Adam at 0.1{#set}).
- Of units just killed in layer 5, 0.7{#l6-revived-5} came back, because their inputs moved; in layer 1 none did.

**Where next.** The start has decided much of this lesson. Lesson 7 derives Xavier's and He's, and finds their limits.
"""

# %% [markdown]
r"""
## In your own model

```python
profile = vg.gradient_profile(model, x, y)      # x: as much of the training set as fits
vg.depth_plot(profile, "dead")                  # share of units off for every row of x
```

A share that grows with depth before training points to the biases or a narrow layer; one that jumps in the first
steps, to the learning rate. A few per cent that stay are ordinary.
"""

# %% [markdown]
r"""
## Sources

- V. Nair and G. Hinton (2010), [*Rectified linear units improve restricted Boltzmann
  machines*](https://www.cs.toronto.edu/~fritz/absps/reluICML.pdf), ICML.
- X. Glorot, A. Bordes and Y. Bengio (2011), [*Deep sparse rectifier neural
  networks*](https://proceedings.mlr.press/v15/glorot11a.html), AISTATS.
- A. Maas, A. Hannun and A. Ng (2013), [*Rectifier nonlinearities improve neural network acoustic
  models*](https://ai.stanford.edu/~amaas/papers/relu_hybrid_icml2013_final.pdf): the leak.
- K. He, X. Zhang, S. Ren and J. Sun (2015), [*Delving deep into rectifiers*](https://arxiv.org/abs/1502.01852), ICCV:
  PReLU and the start for it.
- D.-A. Clevert, T. Unterthiner and S. Hochreiter (2016), [*Fast and accurate deep network learning by exponential linear
  units*](https://arxiv.org/abs/1511.07289), ICLR.
- D. Hendrycks and K. Gimpel (2016), [*Gaussian error linear units*](https://arxiv.org/abs/1606.08415).
- G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter (2017), [*Self-normalizing neural
  networks*](https://arxiv.org/abs/1706.02515), NeurIPS.
- P. Ramachandran, B. Zoph and Q. Le (2017), [*Searching for activation functions*](https://arxiv.org/abs/1710.05941).
- L. Lu, Y. Shin, Y. Su and G. Karniadakis (2020), [*Dying ReLU and initialization: theory and numerical
  examples*](https://arxiv.org/abs/1903.06733), Communications in Computational Physics 28.
- CS231n, [*Neural networks, part 1*](https://cs231n.github.io/neural-networks-1/): on dying ReLUs.
"""
