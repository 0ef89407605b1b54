# %% [markdown]
r"""
# 4. Why does training stand still?

**Time** 60 minutes, and 42 for the exercises. **Needed first** Lessons 1 to 3: the backward signal, the per-layer factor, the cosine.
**New words** plateau, saddle, update ratio, freeze test, spread, conditioning.
"""

# %% [markdown]
r"""
**You will be able to**

- measure how long a network stands still before it learns, and how that grows with its depth;
- compute how far a step moves each layer, and say what a healthy-looking number does not prove;
- show with a freeze test whether the layers that learn least are needed;
- tell a gradient that is only small from a difference between inputs that is drowned, and predict which of them Adam helps.
"""

# %%
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import check, tasks

digits = tasks.digits()

# %% [markdown] minutes=13
r"""
## The plateau

Three lessons have measured networks at their start. Now one is trained: sigmoid layers of 32 units with Xavier's
weights, plain gradient descent with momentum 0.9{#set} and a rate of 0.3{#set}. `vg.train_many` trains many networks
side by side, each as it would learn alone; here are five depths with three seeds each.
"""

# %%
runs = [(depth, seed) for depth in (1, 2, 3, 4, 5) for seed in range(3)]
models = [vg.mlp(depth, 32, act="sigmoid", sigma_w=1.0, seed=seed) for depth, seed in runs]
sgd = {"lr": 0.3, "momentum": 0.9, "batch_size": 64, "progress": False}
trained = vg.train_many(models, digits.x, digits.y, steps=1500, every=1, **sgd)

# %% [markdown]
r"""
A network that knows nothing gives each of ten classes a probability of a tenth, which is a loss of $\ln 10$, about
2.3{#set}. Call the steps until a batch's loss is below 2{#set} the length of its **plateau**. With one layer the median is
6{#l4-plateau-1} steps, with two 18{#l4-plateau-2}, with three 57{#l4-plateau-3}.

**Predict.** How many steps does the plateau last with five layers?
"""

# %% tags=["predict"]
guess_plateau = 400  # steps until the loss of the five-layer network is below 2

# %%
curves = trained.curves.copy()
curves["depth"] = curves.model.map(lambda k: runs[k][0])
vg.training_plot(curves[curves.step % 10 == 0], "loss", by="depth", level=(2.3, "knows nothing"),
                 title="Each layer more, a longer wait");

# %% [markdown]
r"""
*Figure 4.1. Training loss of sigmoid networks of one to five layers over the steps. Each stands on a plateau where it
knows nothing, then falls in a fraction of the time that it has waited. Medians and ranges of three seeds.*
"""

# %%
plateau = pd.DataFrame(runs, columns=["depth", "seed"]).assign(steps=trained.steps_to(loss=2.0))
check.prediction("4.1", guess_plateau, plateau[plateau.depth == 5].steps.median())

# %% [markdown]
r"""
**What you see.** With four layers it lasts 260{#l4-plateau-4} steps and with five 1200{#l4-plateau-5}. Each layer
multiplies the wait by more than the one before did. This is **slow convergence**, the first effect of a vanishing gradient: nothing is
broken, and the time is spent waiting.

A flat stretch is not a minimum. At a minimum the loss could not fall, and here it falls in the end by itself. The place
is near a **saddle**, where the loss curves downward in a few directions, so gently that a step hardly notices. Along
such a direction the distance grows by a constant *factor* per step, out of sight for long and then at once. [Saxe et
al. (2014)](https://arxiv.org/abs/1312.6120) solve this exactly for linear networks, plateaus and sudden falls included.

**What it does not show.** That a longer training always ends a plateau: that is the last section. Nor a law. Other rates
and widths give other lengths.

**Modify.** Set `act="tanh"`. Which depth still has a plateau?
"""

# %% [markdown] minutes=14
r"""
## How far does a step move a layer?

A gradient has no natural size; a step has. The **update ratio** of a layer is the rms of the change that a step makes to
its weights, divided by the rms of the weights. A much-repeated rule of thumb wants it near a thousandth ([Stanford's
CS231n notes](https://cs231n.github.io/neural-networks-3/#ratio)): much less is too slow, much more is too wild. Given
the optimizer, `vg.probe` reads it at every step.
"""


# %%
def watched(model, *, steps=400, every=10, seed=0):
    """Train by SGD with momentum; a probe's reading of every tenth step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    batches = torch.Generator().manual_seed(seed)
    with vg.probe(model, optimizer, every=every) as seen:
        for rows in torch.randint(len(digits.x), (steps, 64), generator=batches):
            optimizer.zero_grad()
            F.cross_entropy(model(digits.x[rows]), digits.y[rows]).backward()
            optimizer.step()
    return seen


# %% [markdown]
r"""
**Predict.** Four sigmoid layers again. After 50 steps their loss stands at 2.3{#set} and will for another
hundred and more. What is the update ratio of the first layer's weights there?
"""

# %% tags=["predict"]
guess_ratio = 1e-5  # update ratio of layer 1 in the middle of the plateau

# %%
nets = {"sigmoid": {"act": "sigmoid", "sigma_w": 1.0}, "tanh": {"act": "tanh", "sigma_w": 1.0}}
seen = {name: watched(vg.mlp(4, 32, seed=0, **net)) for name, net in nets.items()}
weights = {name: s.params[s.params.name.str.contains("weight")] for name, s in seen.items()}

# %%
vg.heat_plot(weights["sigmoid"], "update_ratio", title="A plateau, then every layer moves at once");

# %% [markdown]
r"""
*Figure 4.2. Update ratio of each weight matrix of four sigmoid layers and the read-out over 400 steps; brighter is
further, the colours are logarithmic. At first only the read-out moves; for over a hundred steps the layers under it
stay dark, the two lowest darkest; then all become bright within a few steps. One seed.*
"""

# %%
table = pd.concat([t.assign(net=name) for name, t in weights.items()])
first = table[(table.name == "linear1.weight") & (table.step == 50)].set_index("net").update_ratio
check.prediction("4.2", guess_ratio, first["sigmoid"])

# %%
at_50 = table[table.step == 50].pivot(index="name", columns="net", values="update_ratio")
at_50.map("{:.4f}".format)

# %% [markdown]
r"""
**What you see.** In the middle of the plateau the first layer moves by 0.001{#l4-ratio-sigmoid} of its weights per
step: just what the rule of thumb asks for, in a network that learns nothing. The tanh network, which is long past its
start, moves by 0.034{#l4-ratio-tanh}, thirty times more than the rule allows. A ratio says how far a layer moves and not
whether it gets anywhere. On the plateau its steps are the noise of the batches, which points somewhere else each time.

What is worth reading is the *comparison*: between layers of one network at one step, and between the steps. At the very
first step the sigmoid network's last hidden layer moves some 30{#l4-ratio-first-step} times as far as its first.

**What it does not show.** Which of the ratios is best. A good one depends on the optimizer, the schedule and on how long
one is ready to wait.

**Modify.** Pass `every=1` and `steps=100` to the tanh network and draw its map. Where is its plateau?
"""

# %% [markdown] minutes=5
r"""
## The training strip

The strip trains a small network anew at each move: the loss above, the update ratio of every layer below. Start with
the plateau of four layers. Raise the learning rate until the plateau is as short as it gets, and go on: what happens
beyond? Then choose Adam.
"""

# %%
vg.widgets.training_strip()

# %% [markdown]
r"""
*Figure 4.3. A training of 300 steps at a glance: the loss of each batch, and under it the update ratio of every layer,
brighter for further, step by step. The line of text reads the length of the plateau and the ratio of the first layer to
the last at the start.*

To watch a training of your own while it runs, and to turn its learning rate in mid-run: `vg.widgets.watch(model,
batches)`.
"""

# %% [markdown] minutes=11
r"""
## Are the first layers needed?

The first layers move least. Perhaps they matter least? A **freeze test** decides: leave them exactly as they were drawn
and train the rest.
"""


# %%
def train_the_rest(net, frozen, seed):
    """Train a four-layer network whose first `frozen` layers stay as they were drawn."""
    model = vg.mlp(4, 32, seed=seed, **nets[net])
    body, rest = model[: 2 * frozen], model[2 * frozen :]
    with torch.no_grad():
        x, x_test = body(digits.x), body(digits.x_test)
    test = {"x_test": x_test, "y_test": digits.y_test}
    return vg.train_many([rest], x, digits.y, steps=1000, **test, **sgd).table


# %% [markdown]
r"""
With all four layers trained, the sigmoid network reaches a training accuracy of 1.00{#l4-frozen-0} in 1000 steps.

**Predict.** And with its first three layers frozen, so that the last one and the read-out are trained?
"""

# %% tags=["predict"]
guess_frozen = 0.9  # training accuracy of the sigmoid network with three of four layers frozen

# %%
build, seeds = lambda net, frozen: (net, frozen), range(3)
frozen = vg.sweep(build, lambda what, seed: train_the_rest(*what, seed),
                  net=list(nets), frozen=[0, 1, 2, 3], seed=seeds)

# %%
words = {"frozen": "layers frozen, of 4", "accuracy": "training accuracy"}
vg.scan_plot(frozen, "frozen", "accuracy", by="net", labels=words,
             guess=(3, guess_frozen), title="What the idle layers were good for");

# %% [markdown]
r"""
*Figure 4.4. Training accuracy after 1000 steps when the first layers stay as they were drawn. The sigmoid network needs
the layers that seemed to do nothing, and with three of them frozen is at chance; the tanh network hardly notices. Medians and ranges of three seeds.*
"""

# %%
three = frozen[frozen.frozen == 3].groupby("net").accuracy.median()
check.prediction("4.3", guess_frozen, three["sigmoid"])

# %%
frozen.pivot_table("test_accuracy", "net", "frozen", aggfunc="median").round(2)

# %% [markdown]
r"""
**What you see.** With three layers frozen the sigmoid network stays near chance, 0.12{#l4-frozen-3}, and with two it gets
about half way, very differently from seed to seed. Small steps are not unimportant steps: the plateau ended when the first layers had moved. In the tanh network frozen
layers cost a little on new images, 0.92{#l4-tanh-test-2} with two of them instead of
0.94{#l4-tanh-test-0}. There the layers that were
only drawn hand on a usable picture of the input; many methods live from such *random features*.

**What it does not show.** That the layers learned something clever. The next section asks what the frozen ones do to the
signal.

**Modify.** Freeze the *last* layers instead: `body` becomes the part that is trained. (Train by hand, or think.)
"""

# %% [markdown] minutes=15
r"""
## Two networks that stand still

Here are two networks of ten layers. In one the activation is the sigmoid, with Xavier's weights; in the other tanh, with
weights so small that it loses the same factor per layer, 0.24{#l4-twin-factor}.
"""

# %%
twins = {"sigmoid": nets["sigmoid"], "tanh, small": {"act": "tanh", "sigma_w": 0.236}}
measure = lambda m: vg.gradient_profile(m, digits.x[:256].double(), digits.y[:256])
profiles = pd.concat(
    measure(vg.mlp(10, 32, seed=seed, **net).double()).assign(net=name, seed=seed)
    for name, net in twins.items() for seed in range(3)
)
vg.depth_plot(profiles, by="net", title="The same gradient");

# %% [markdown]
r"""
*Figure 4.5. The gradient of two networks of ten layers, rms, relative to the last layer. They lose it alike, nearly six decades over ten layers. Medians and ranges of three seeds.*

Gradient descent leaves both at chance, 0.10{#l4-twins-sgd}, whatever its rate: this is **stalled learning**. Adam
([Kingma and Ba, 2015](https://arxiv.org/abs/1412.6980), algorithm 1) divides the step of each weight by the root mean square of that weight's recent
gradients, so the *size* of a gradient drops out. Its constant `eps` is a floor under that division; it is set to
`1e-30`, so that even these gradients are divided away. With it the small tanh network reaches
0.66{#l4-twins-adam-tanh} in 1000 steps.

**Predict.** And the sigmoid network, whose gradient is as large, layer by layer?
"""

# %% tags=["predict"]
guess_adam = 0.7  # training accuracy of ten sigmoid layers, Adam, 1000 steps

# %%
adam = {"optimizer": torch.optim.Adam, "eps": 1e-30, "lr": 0.003, "batch_size": 64}
models = [vg.mlp(10, 32, seed=seed, **net) for net in twins.values() for seed in range(5)]
table = vg.train_many(models, digits.x, digits.y, steps=1000, progress=False, **adam).table
reached = table.assign(net=[name for name in twins for _ in range(5)]).groupby("net").accuracy
check.prediction("4.4", guess_adam, reached.median()["sigmoid"])

# %%
reached.agg(["min", "median", "max"]).round(2)

# %% [markdown]
r"""
The same gradients, and yet: 0.20{#l4-twins-adam-sigmoid}. What differs lies on the way *forward*. Lesson 2 found that
the sigmoid merges inputs. Write each layer's output as a part that is the same for all inputs, the mean over the batch,
and the rest, which differs. The share of the rest is the layer's **spread**:
"""


# %%
def spread(h):
    """rms of what differs between examples over the rms of all: 0 to 1. h: (batch, units)."""
    return ((h - h.mean(0)).norm() / h.norm()).item()


# %%
@torch.no_grad()
def spreads(net, seed):
    """The spread behind each of ten layers."""
    h, rows = digits.x.double(), []
    for module in vg.mlp(10, 32, seed=seed, **twins[net]).double()[:-1]:
        h = module(h)
        rows += [spread(h)] if not isinstance(module, nn.Linear) else []
    return pd.DataFrame({"layer": range(1, 11), "spread": rows})


# %%
forward = vg.sweep(lambda net: net, spreads, net=list(twins), seed=seeds)
vg.scan_plot(forward, "layer", "spread", by="net", logy=True, title="Not the same signal");

# %% [markdown]
r"""
*Figure 4.6. Spread of the signal behind each layer, the share of it that differs between inputs; logarithmic. In the
tanh network all of it differs, though it is small; in the sigmoid network all inputs become the same to one part in a
million. Medians and ranges of three seeds.*

Is the difference lost? It is said so often, and it can be tested. Take the last hidden layer as it was drawn, and train
only a read-out on it: once on its output as it comes, and once *standardized*, each unit minus its mean over
the examples and divided by its standard deviation.

**Predict.** Chance is 0.1{#set}. What accuracy does the read-out reach on the standardized output of ten untrained sigmoid
layers?
"""

# %% tags=["predict"]
guess_readout = 0.2  # training accuracy of a linear read-out of ten sigmoid layers, standardized

# %%
def read_out(standardize, seed):
    """Train a linear read-out on ten sigmoid layers that stay as they were drawn."""
    with torch.no_grad():
        h = vg.mlp(10, 32, seed=seed, **twins["sigmoid"]).double()[:-1](digits.x.double())
    if standardize:
        h = (h - h.mean(0)) / h.std(0)
    torch.manual_seed(seed)
    head = nn.Sequential(nn.Linear(32, 10)).double()
    return vg.train_many([head], h, digits.y, steps=1000, **sgd | {"lr": 0.1}).table


# %%
read = vg.sweep(lambda standardize: standardize, read_out, standardize=[False, True], seed=seeds)
by_kind = read.groupby("standardize").accuracy.median()
check.prediction("4.5", guess_readout, by_kind[True])

# %% [markdown]
r"""
**What you see.** The standardized read-out tells the digits apart, 0.79{#l4-readout-standard}; on the raw output it
stays at 0.10{#l4-readout-raw}. So ten sigmoid layers do not lose what is needed. They *drown* it: the difference is there, a millionth beside a
constant.

A drowned difference does not answer to step size. Along the common part the loss curves with the square of its size,
and a rate that is stable there is $1/s^2$ times too small for the differences, where $s$ is the spread: here a
million millions. This ratio of curvatures is the **conditioning** of the problem. Adam rescales each *weight*, and every
weight carries the common part and the difference alike; no rescaling of single weights can part them. Subtracting
the mean does.

**What it does not show.** That the two diseases never come together; mostly they do. Nor that Adam cures the first. It
took the tanh network to 0.66{#l4-twins-adam-tanh} where better weights would have needed a few dozen steps (lesson 3).

**Modify.** In the cell of the two networks, make the sigmoid's `sigma_w` `4`. What becomes of its spread, and of Adam?
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=12
r"""
### Exercise 4.1: how far does this step go? ★★ 12 minutes

The gradients of a model have just been computed. Take one step of the optimizer, and return the update ratio of each
weight *matrix*, first layer first. Biases, which start at 0, are left out.
"""

# %% exercise="4.1" tags=["nbval-check-output"]
def update_ratios(model, optimizer):
    """rms(change) / rms(weights before) of every parameter with two axes: a list of floats."""
    ### BEGIN SOLUTION
    matrices = [p for p in model.parameters() if p.ndim == 2]
    before = [p.detach().clone() for p in matrices]
    optimizer.step()
    return [((p - b).norm() / b.norm()).item() for p, b in zip(matrices, before)]
    ### END SOLUTION


check.update_ratios(update_ratios)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

A step changes the weights in place. What you want to compare with afterwards must be copied before: `p.detach().clone()`.
</details>

<details><summary>Hint 2</summary>

The ratio of two rms over the same number of entries is the ratio of the norms. Do not compute the step from the
learning rate: momentum and Adam make something else of it.
</details>
"""

# %% [markdown] minutes=9
r"""
### Exercise 4.2: the length of a plateau ★ 9 minutes

Near a saddle, in a direction in which the loss curves *down* with curvature $-\lambda$, the gradient is $-\lambda$ times the distance
from the saddle. How many steps of plain gradient descent take the distance from `start` to `end`? A real number
will do.
"""

# %% exercise="4.2" tags=["nbval-check-output"]
def escape_steps(lr, curvature, start, end):
    """Steps from a distance of start to one of end; curvature: lambda, above 0."""
    ### BEGIN SOLUTION
    return torch.tensor(end / start).log() / torch.tensor(1 + lr * curvature).log()
    ### END SOLUTION


check.escape_steps(escape_steps)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

One step makes of a distance $d$ the distance $d + \text{lr}\cdot\lambda\,d$.
</details>

<details><summary>Hint 2</summary>

That is a factor of $1 + \text{lr}\cdot\lambda$ per step. How many factors make `end / start`?
</details>

The answer explains the shape of Figure 4.1: ten times nearer the saddle at the start costs a constant number of steps
more, while half the curvature doubles them all.
"""

# %% [markdown] minutes=9
r"""
### Exercise 4.3: what the read-out can use ★★ 9 minutes

`spread` above mixes all units. Find out which unit of a layer helps most: return the spread of each unit by itself, the
standard deviation over the examples divided by the rms over the examples. A unit that is 0 for all has spread 0.
"""

# %% exercise="4.3" tags=["nbval-check-output"]
def unit_spreads(h):
    """Spread of every unit, (units,). h: (batch, units)."""
    ### BEGIN SOLUTION
    rms = h.square().mean(0).sqrt()
    return torch.where(rms > 0, h.std(0, correction=0) / rms, 0.0)
    ### END SOLUTION


check.unit_spreads(unit_spreads)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Means over the examples go along axis 0. The standard deviation here is that of the batch itself, `correction=0`.
</details>

<details><summary>Hint 2</summary>

`torch.where(condition, a, b)` picks entry by entry; it may compute `0 / 0` in the part that it then does not use.
</details>
"""

# %% [markdown] minutes=12
r"""
### Exercise 4.4: does Adam fix it? ★★★ 12 minutes, open

"Adam fixes vanishing gradients." Design a fair test: which networks, which rates for each optimizer, how many seeds, what
is measured, and what result would make you give the sentence up? Run a small version of it.
"""

# %%
trial = [vg.mlp(6, 32, act="sigmoid", sigma_w=1.0, seed=seed) for seed in range(3)]
rates = {torch.optim.SGD: 0.3, torch.optim.Adam: 0.01}
data = {"x": digits.x, "y": digits.y, "steps": 500, "batch_size": 64, "progress": False}
ends = {o: vg.train_many(trial, optimizer=o, lr=lr, **data).table for o, lr in rates.items()}
{o.__name__: f"{table.accuracy.median():.2f}" for o, table in ends.items()}

# %% [markdown] tags=["solution"]
r"""
**One answer.** A fair test gives each optimizer its best rate out of a grid of the same number of rates, chosen on the
training loss, with the same batches and the same number of steps, and at least five seeds, reported as a median with its range. It crosses two
things that the sentence mixes: networks that lose the gradient and keep the spread (small tanh), and networks that lose
both (sigmoid), at several depths. The sentence would be right if Adam reached with both what well-chosen weights
reach with SGD, in a comparable number of steps. It would have to be given up if one kind stays at chance for every rate, as ten
sigmoid layers do; what can be kept is "Adam moves the depth at which learning stalls by a few layers".
"""

# %% [markdown] minutes=2
r"""
## What we saw

- The plateau grows from 6{#l4-plateau-1} steps with one sigmoid layer to 1200{#l4-plateau-5} with five, by a factor that
  itself grows.
- On the plateau the first layer moves by 0.001{#l4-ratio-sigmoid} of its weights a step, which the rule of thumb calls
  right, and gets nowhere; compare layers and steps instead.
- Frozen, the three layers that move least cost the sigmoid network nearly everything, 0.12{#l4-frozen-3} instead of
  1.00{#l4-frozen-0}.
- Of two networks with the same gradient Adam trains one, 0.66{#l4-twins-adam-tanh}, and not the other,
  0.20{#l4-twins-adam-sigmoid}, in which the differences between inputs are drowned; standardized, they are there,
  0.79{#l4-readout-standard}.

**Where next.** Lesson 5 follows a gradient not through layers but through time.
"""

# %% [markdown]
r"""
## In your own model

```python
with vg.probe(model, optimizer, sample=None) as seen:
    loss_fn(model(x), y).backward()
    optimizer.step()
seen.params[["name", "update_ratio"]]  # far apart between layers?
seen.table[["layer", "cosine", "grad_rms"]]  # cosine near 1: drowned; grad_rms falling: vanished
```

A loss that stands still with a falling `grad_rms` and a moderate cosine may answer to Adam or to other weights. With a cosine that reaches
0.999{#set} and more, look for what removes the common part: centred activations, or a normalization over the batch.
"""

# %% [markdown]
r"""
## Sources

- A. Saxe, J. McClelland and S. Ganguli (2014), [*Exact solutions to the nonlinear dynamics of learning in deep linear
  neural networks*](https://arxiv.org/abs/1312.6120), ICLR.
- D. Kingma and J. Ba (2015), [*Adam: a method for stochastic optimization*](https://arxiv.org/abs/1412.6980), ICLR,
  algorithm 1.
- X. Glorot and Y. Bengio (2010), [*Understanding the difficulty of training deep feedforward neural
  networks*](https://proceedings.mlr.press/v9/glorot10a.html), AISTATS.
- S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein (2017), [*Deep information
  propagation*](https://arxiv.org/abs/1611.01232), ICLR: inputs that become indistinguishable cannot be learned apart.
- Stanford CS231n, [*Neural networks part 3*](https://cs231n.github.io/neural-networks-3/#ratio), "Ratio of
  weights:updates".
"""
