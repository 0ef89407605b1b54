# %% [markdown]
r"""
# 3. Where should the weights start?

**Time** 50 minutes, and 45 for the exercises. **Needed first** Lessons 1 and 2: the per-layer factor, `sigma_w`.
**New words** initialization, fan-in, plateau, symmetry, rank.
"""

# %% [markdown]
r"""
**You will be able to**

- say exactly which numbers `nn.Linear` draws, for weights and for biases, and compute what they do to a ReLU network;
- predict the size of the signal after many layers, forwards and backwards;
- name four ways to start wrongly (zero, constant, too small, too large) and recognize each by a measurement;
- choose a weight scale with which a network of given depth trains, and check the choice before training.
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

# %% [markdown] minutes=8
r"""
## What does torch draw?

The **initialization** is the random draw that weights and biases start from. Many people take it that torch's layers
come with Kaiming He's, made for ReLU, whose weights have variance $2/n$ for $n$ inputs (the layer's **fan-in**) and
whose biases are 0. In the scale of lesson 2, `sigma_w`
with $\mathrm{Var}[W] = \sigma_w^2 / n$, that is $\sqrt2 \approx$ 1.41{#set}; the lessons so far have used
0.58{#l3-default-sigma} for torch's. Nobody has yet asked about the biases.

**Predict.** Draw a fresh `nn.Linear(64, 64)`. What is the standard deviation of its *biases*?
"""

# %% tags=["predict"]
guess_biases = 0.0  # standard deviation of the biases of a fresh nn.Linear(64, 64)

# %%
torch.manual_seed(0)
layer = nn.Linear(64, 64)
check.prediction("3.1", guess_biases, layer.bias.std())

# %% [markdown]
r"""
Smallest and largest weight and bias of the same layer, times $\sqrt{64}$:
"""

# %% tags=["nbval-check-output"]
{name: [f"{value * 8:.2f}" for value in p.aminmax()] for name, p in layer.named_parameters()}

# %% [markdown]
r"""
**What you see.** Weights *and* biases are uniform between $-1/\sqrt n$ and $1/\sqrt n$. A uniform distribution on
$\pm a$ has variance $a^2/3$, so $\mathrm{Var}[W] = 1/(3n)$ and $\sigma_w = 1/\sqrt3 \approx$ 0.58{#l3-default-sigma}.

This is not He's initialization. The weights are what [Glorot and Bengio
(2010)](https://proceedings.mlr.press/v9/glorot10a.html) call *standard* (their equation 1, there with biases of 0)
and wrote their paper against. Torch's source does call `kaiming_uniform_`, but with `a=math.sqrt(5)`, for which the
scale becomes $\sqrt{2/(1+5)} = 1/\sqrt3$: the old numbers under a new name, as its maintainers explain in [issue
57109](https://github.com/pytorch/pytorch/issues/57109); [issue
18182](https://github.com/pytorch/pytorch/issues/18182) asks for a better default.

For ReLU the rms slope is $1/\sqrt2$, and the per-layer factor follows without running anything:
$\sigma_w / \sqrt2 = \sqrt{1/6} \approx$ 0.41{#l3-default-relu-factor}.
"""

# %% [markdown] minutes=11
r"""
## Forwards and backwards

The weights act on the signal on its way up and on the gradient on its way down. For ReLU half of the mean square is
lost at each activation, so each layer multiplies the mean square by $\sigma_w^2/2$, in both directions.

**Predict.** Twenty ReLU layers with `sigma_w = 2`, only $\sqrt2$ times He's scale. By what factor is the output of
layer 20 larger than that of layer 1, in rms?
"""

# %% tags=["predict"]
guess_growth = 20.0  # rms of layer 20 over rms of layer 1, ReLU, sigma_w = 2

# %%
scales = {"σ_w = 2": 2.0, "σ_w = √2 (He)": 2**0.5, "σ_w = 1 (Xavier)": 1.0, "σ_w = 1/√3": 3**-0.5}
build = lambda start, seed: vg.mlp(20, act="relu", sigma_w=scales[start], seed=seed)
profile = lambda network: vg.gradient_profile(network, x, y)
profiles = vg.sweep(build, profile, start=list(scales), seed=range(3))

# %%
forward = {}
for name, scale in scales.items():
    q = vg.theory.variance_profile("relu", 20, scale, q0=scale**2 * x.square().mean().item())
    forward[name] = np.sqrt(vg.theory.mean_square("relu", q))
vg.depth_plot(profiles, "h_rms", by="start", theory=forward);

# %% [markdown]
r"""
*Figure 3.1. The size of the signal on its way up through twenty ReLU layers, for four weight scales: it grows, stays
or dies geometrically. Medians and ranges of three seeds, theory dashed. The ranges widen with depth: at 64 units each
layer adds its own random error, and the errors multiply.*
"""

# %%
loud = profiles.query("start == 'σ_w = 2' and seed == 0 and kind == 'ReLU'").h_rms
check.prediction("3.2", guess_growth, loud.iloc[-1] / loud.iloc[0])

# %%
backward = {name: vg.theory.gradient_profile("relu", 20, scale) for name, scale in scales.items()}
vg.depth_plot(profiles, "grad_rms", by="start", theory=backward);

# %% [markdown]
r"""
*Figure 3.2. The backward signal in the same networks, relative to layer 20: the mirror image of Figure 3.1. In these
ReLU networks what makes the signal die on the way up makes the gradient die on the way down.*

**What you see.** With `sigma_w = 2` theory says $\sqrt2^{\,19}$, a factor of 724{#l3-theory-growth}, and single
networks of this width scatter widely around it. With $1/\sqrt3$ the gradient loses 0.39{#l3-small-relu-decades}
decades per layer.

Only $\sqrt2$ keeps both, which is the argument of [He et al. (2015)](https://arxiv.org/abs/1502.01852), section 2.2.
It keeps the *mean* square: a single network of this width typically ends at 0.74{#l3-he-typical} of the rms expected,
and may well end at a third of it or half above it. The four bands look alike because each seed's weights are the same
four times, only rescaled.

> **Careful.** Equal fates in both directions are a gift of ReLU, for which $\mathbb{E}[\varphi^2] = q\,\mathbb{E}[\varphi'^2]$: a
> sigmoid's signal stays level while its gradient vanishes, a saturated tanh's while its gradient explodes. And they are a
> gift of square layers. With $n_{\text{in}}$ inputs and $n_{\text{out}}$ outputs the forward signal
> asks for $\mathrm{Var}[W] \propto 1/n_{\text{in}}$ and the gradient for $1/n_{\text{out}}$; Glorot and Bengio's equation 12
> takes $2/(n_{\text{in}} + n_{\text{out}})$, a compromise.

**What it does not show.** What biases do; these networks have none. Torch's default draws them, and the next cell
asks what they bring: the size of the signal in five layers of the default network, and the cosine of lesson 2.
"""

# %% tags=["nbval-check-output"]
biased = vg.gradient_profile(vg.mlp(20, act="relu", seed=0), x, y).query("kind == 'ReLU'")
biased.set_index("layer")[["h_rms", "cosine"]].iloc[[0, 4, 9, 14, 19]].round(2)

# %% [markdown]
r"""
The signal stops falling at a floor, because biases feed every layer anew. But what arrives at layer 20 is the biases'
own voice, the same for every digit: the cosine has gone to 1. A signal of healthy size is not yet a signal about the
input.
"""

# %% [markdown] minutes=10
r"""
## Does it matter for training?

A line in a figure is not an accuracy. Train both: twenty ReLU layers, once as torch draws them and once with He's
weights, with the same optimizer, the same batches and the same 400 steps.
"""

# %%
def train(model, steps, lr, momentum=0.0, seed=0):
    """The cross-entropy at each step of SGD on random batches of 128 digits: a list of floats."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    batches, losses = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        batch = torch.randint(len(data.x), (128,), generator=batches)
        loss = F.cross_entropy(model(data.x[batch]), data.y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% [markdown]
r"""
**Predict.** There are ten classes, so guessing is right one time in ten. After 400 steps, which fraction of the
training digits does the network with *torch's* weights get right?
"""

# %% tags=["predict"]
guess_accuracy = 0.7  # training accuracy of the default network, between 0 and 1

# %%
runs, accuracy = [], {}
for name, sigma_w in {"torch's default": None, "He": 2**0.5}.items():
    for seed in range(3):
        model = vg.mlp(20, act="relu", sigma_w=sigma_w, seed=seed)
        losses = train(model, steps=400, lr=0.01, momentum=0.9, seed=seed)
        runs += [pd.DataFrame({"loss": losses, "start": name, "seed": seed})]
        accuracy[name, seed] = (model(data.x).argmax(1) == data.y).float().mean().item()

# %% name="figure-two-starts"
chance = (np.log(10), "chance, ln 10")
runs = pd.concat(runs).rename_axis("step").reset_index()
vg.training_plot(runs, by="start", level=chance, title="Two draws of the first weights");

# %% [markdown]
r"""
*Figure 3.3. Training loss of a twenty-layer ReLU network from two starts. With torch's default weights it does not
move from the chance level; with He's it falls to nearly zero. Medians and ranges of three seeds.*
"""

# %%
default_accuracy = np.median([accuracy["torch's default", seed] for seed in range(3)])
check.prediction("3.3", guess_accuracy, default_accuracy)

# %%
{f"{name}, seed {seed}": round(value, 2) for (name, seed), value in accuracy.items()}

# %% [markdown]
r"""
**What you see.** The default network stays at 0.10{#l3-default-accuracy}, pure chance, and its loss at $\ln 10$: the
read-out's bias learns how frequent the classes are, and that is all that anyone learns. With He's weights the
accuracy is above 0.95{#l3-he-accuracy}. Same architecture, same optimizer; one line, `vg.init_(model, "he")`, is the
remedy.

The biases differ between the two as well, but they are not to blame: with the default's weights and zero biases the
accuracy stays at 0.10{#l3-no-bias-accuracy}, too.

**What it does not show.** That torch's default is bad. Networks of two or three layers train with it, as do deep ones
with batch normalization, which sets the scale itself, or skip connections, which carry the signal past the layers. It
is a default for shallow networks, and silent about it.

**Modify.** The next cell trains the default network alone. Give it ten times the learning rate, then four times the
steps, then `sigma_w=3**-0.5`, which is the default without its biases. Does any of it help?
"""

# %%
losses = train(vg.mlp(20, act="relu", seed=0), steps=400, lr=0.01, momentum=0.9)
f"loss after {len(losses)} steps: {losses[-1]:.2f}"

# %% [markdown]
r"""
With no gradient at the bottom and the same signal for every digit at the top, a larger step, or more of them, has
nothing to act on.
"""

# %% [markdown] minutes=8
r"""
## Two layers are enough

"To be safe, start with small random weights." Take a network nobody would call deep, two hidden ReLU layers and a
read-out, and start it with weights of standard deviation 0.01{#set}. He's value would be 0.18{#set}.

**Predict.** With He's weights plain SGD at a learning rate of 0.1{#set} brings the loss below 1 within about
15{#l3-he-plateau} steps. How many steps does it take from 0.01{#set}?
"""

# %% tags=["predict"]
guess_steps = 50  # steps until the loss is below 1, weights of standard deviation 0.01

# %%
runs = []
for std in (0.001, 0.01, 0.1, 0.18):
    for seed in range(3):
        model = vg.mlp(2, act="relu", sigma_w=8 * std, seed=seed)
        losses = train(model, steps=1500, lr=0.1, seed=seed)
        runs += [pd.DataFrame({"loss": losses, "start": f"std {std}", "seed": seed})]
runs = pd.concat(runs).rename_axis("step").reset_index()
vg.training_plot(runs, by="start", level=chance, title="Two hidden layers, four starts");

# %% [markdown]
r"""
*Figure 3.4. Training loss of a network with two hidden layers for four standard deviations of the first weights. The
smaller they are, the longer the loss stands still before it falls; at 0.001{#set} the plateau outlasts the figure.
Medians and ranges of three seeds.*
"""

# %%
steps = runs[runs.loss < 1].groupby(["start", "seed"]).step.min().groupby("start").median()
steps.to_dict()

# %%
check.prediction("3.4", guess_steps, steps["std 0.01"])

# %% [markdown]
r"""
**What you see.** It takes about 510{#l3-small-plateau} steps from 0.01{#set}, most of them on a **plateau**, and
about 4100{#l3-tiny-plateau} from 0.001{#set}, nearly three times as many as the figure shows. Three small matrices in
a row are enough: each one's gradient is a product with the other two, so that near zero all three gradients are tiny.
A tenth of the scale costs about ten times the steps.

So this failure needs no depth to speak of and no saturating activation, only a start too close to zero. At zero
itself no weight of a ReLU or tanh network ever moves, because every gradient contains a factor 0; only the read-out's
bias learns. The measurement that gives it away is the plainest of all: a probe's `params`, a table of all weights,
with a `grad_rms` of exactly 0.
"""

# %% [markdown] minutes=3
r"""
## The thermometer

Set the weight scale and watch both directions at once; marks on the dial show torch's default, Xavier and He. Choose
the preset of He on ReLU, change the activation to tanh, and say before you look which of the two lines moves.
"""

# %%
vg.widgets.variance_thermometer()

# %% [markdown]
r"""
*Figure 3.5. The variance thermometer: rms of the signal on its way up and of the gradient on its way down, layer by
layer in a real network, with theory dashed, as the weight scale moves over torch's default, Xavier's and He's.*
"""

# %% [markdown] minutes=7
r"""
## All the same

One way to start remains: every weight of a layer equal to the same constant, of a reasonable size. Nothing is small.

**Predict.** Train such a network with three hidden layers of 64 units for 200 steps. What is the **rank** of its
second weight matrix, the largest number of its rows of which none is a combination of the rest? It is $64 \times 64$.
"""

# %% tags=["predict"]
guess_rank = 64  # rank of the second layer's weights after training

# %%
equal = vg.init_(vg.mlp(3, act="tanh", seed=0), "constant", sigma_w=1.0)
losses = train(equal, steps=200, lr=0.1)
check.prediction("3.5", guess_rank, torch.linalg.matrix_rank(equal.linear2.weight))

# %% tags=["nbval-check-output"]
h = equal[:2](x)
different = int((h != h[:, :1]).any(0).sum())
f"units that differ from unit 1: {different}; loss: {losses[0]:.2f}, in the end {losses[-1]:.1f}"

# %% [markdown]
r"""
**What you see.** Rank 1{#l3-constant-rank}. Units that start equal get equal inputs and equal gradients, so they stay
equal, to the last bit: every layer is one unit, copied 64{#set} times. The loss does fall, to about
1.7{#l3-constant-loss}, because the ten read-outs get different gradients; it cannot fall far through a single number.
**Symmetry** has to be broken, and for that any random numbers will do. Their *scale* sets the factor per layer, and
their *structure*, Gaussian or orthogonal, how evenly it treats directions.

> **Careful.** "A constant start leaves the network with one effective parameter" goes too far: it leaves one effective
> *unit* per layer, with different weights into the first and out of the last.
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=7
r"""
### Exercise 3.1: read the scale off a layer ★ 7 minutes

Recover `sigma_w` and `sigma_b` from the numbers of a fresh linear layer of any shape. For `nn.Linear` both have the
same source and different values: say why.
"""

# %% exercise="3.1" tags=["nbval-check-output"]
def scales_of(layer):
    """(sigma_w, sigma_b) of a linear layer: Var[W] = sigma_w^2 / fan_in, Var[b] = sigma_b^2."""
    ### BEGIN SOLUTION
    fan_in = layer.weight.shape[1]
    return layer.weight.std() * fan_in**0.5, layer.bias.std()
    ### END SOLUTION


check.scales_of(scales_of)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`layer.weight` has the shape (outputs, inputs).
</details>

<details><summary>Hint 2</summary>

A standard deviation has a square root in it already: multiply it by $\sqrt{\texttt{fan\_in}}$.
</details>
"""

# %% [markdown] minutes=8
r"""
### Exercise 3.2: three patients ★★ 8 minutes

Three tanh networks of six layers were started with `sigma_w` of 0.3{#set}, 1.2{#set} and 6{#set}. Their activations
in layer 6 are drawn below. Which is which, and what will become of the gradient of each on its way down:
`"vanishes"`, `"level"` or `"explodes"`?
"""

# %%
secret = np.random.default_rng(5).permutation([0.3, 1.2, 6.0])
networks = {name: vg.mlp(6, act="tanh", sigma_w=s, seed=5) for name, s in zip("ABC", secret)}
activations = {name: network[:12](x).detach() for name, network in networks.items()}
vg.histogram_plot(activations, limits=(-1.05, 1.05), title="Three patients",
                  labels=("activation h in layer 6", "share of values"));

# %% [markdown]
r"""
*Figure 3.6. Histograms of the activations of layer 6 in three tanh networks. A fills the middle of the range from -1
to 1 in a bell shape, B piles up at both ends, C is a single spike at 0.*
"""

# %% exercise="3.2" tags=["nbval-check-output"]
def fates():
    """What becomes of each gradient, for example {"A": "level", "B": "level", "C": "level"}."""
    ### BEGIN SOLUTION
    return {"A": "level", "B": "explodes", "C": "vanishes"}
    ### END SOLUTION


check.fates(fates)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

A spike at 0 means that the signal has died on its way up. What does the mirror image of Figure 3.1 say?
</details>

<details><summary>Hint 2</summary>

Values at both ends are saturated. Lesson 1's network with $N(0, 1)$ weights was saturated, too; what did its gradient do?
</details>
"""

# %% [markdown] minutes=12
r"""
### Exercise 3.3: a start for any activation ★★ 12 minutes

Find the weight scale at which a deep network keeps its gradient, for an activation that you are given as a function.
`vg.theory.layer_factor(phi, sigma_w)` returns the factor of a very deep network, which for the activations tried here
crosses 1 once as `sigma_w` grows; search for that place. (Exercise 1.3 found a larger value for tanh, because thirty
layers are not very deep: at exactly 1 its signal is still sinking.)
"""

# %% exercise="3.3" tags=["nbval-check-output"]
def level_scale(phi):
    """The largest sigma_w between 0.1 and 20 at which the layer factor of phi does not exceed 1."""
    ### BEGIN SOLUTION
    low, high = 0.1, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if vg.theory.layer_factor(phi, middle) <= 1 else (low, middle)
    return low
    ### END SOLUTION


check.level_scale(level_scale)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Halve the interval from `0.1` to `20`: if the factor in the middle is above 1, the answer lies below it.
</details>

<details><summary>Hint 2</summary>

For tanh the factor is 1 up to rounding on one side of the answer and barely above 1 on the other, so compare with `> 1` and
halve forty times; ten halvings are not yet enough.
</details>
"""

# %% [markdown] minutes=18
r"""
### Exercise 3.4: advise a colleague ★★★ 18 minutes, open

"My forty-layer ReLU network does not train. I have set the biases to 0.1{#set} so that no unit is dead, and I start
with small weights, to be safe." Measure the colleague's network, and write the three sentences you would send back,
with a number in each.
"""

# %%
colleague = vg.mlp(40, act="relu", sigma_w=1.0, seed=0)
for linear in (layer for layer in colleague if isinstance(layer, nn.Linear)):
    nn.init.constant_(linear.bias, 0.1)

# %% [markdown] tags=["solution"]
r"""
**One answer.** "Your backward signal loses about three and a half decades over forty layers; without the biases it
would be six, because they switch more units on. They do it by making all inputs alike, though: the cosine between two
digits in layer 40 is 1 to many decimals. Set the biases to zero and call `vg.init_(model, 'he')`, which keeps the
gradient level; if it still does not train, look at the cosine again, for at forty layers ReLU alone has brought all
digits to within one per cent of one direction."
"""

# %% [markdown] minutes=3
r"""
## What we saw

- `nn.Linear` draws weights and biases from $U(-1/\sqrt n, 1/\sqrt n)$, a `sigma_w` of 0.58{#l3-default-sigma}; for
  ReLU that is a factor of 0.41{#l3-default-relu-factor} per layer.
- Signal and gradient share one fate in square ReLU layers, $\sigma_w^2/2$ per layer in the mean square; with other
  activations measure both.
- Twenty such layers stay at an accuracy of 0.10{#l3-default-accuracy} from torch's start, and pass
  0.95{#l3-he-accuracy} from He's.
- Two hidden layers are enough to take 510{#l3-small-plateau} steps over what He's start does in fifteen, if the
  weights start small; equal weights leave one unit per layer.

**Where next.** The causes are complete: depth, activation, initialization. Take the card below to a network of your
own.
"""

# %% [markdown]
r"""
## In your own model

```python
profile = vg.gradient_profile(model, x, y)      # before the first step
vg.depth_plot(profile, "h_rms")                 # does the signal reach the top?
vg.depth_plot(profile, "grad_rms")              # does the gradient reach the bottom?
```

If either line falls or rises by more than a tenth of a decade per layer, draw the weights anew with
`vg.init_(model, "he")` or a scale of your own, and measure again before you train.
"""

# %% [markdown]
r"""
## Sources

- X. Glorot and Y. Bengio (2010), [*Understanding the difficulty of training deep feedforward neural
  networks*](https://proceedings.mlr.press/v9/glorot10a.html), AISTATS, equations 1 and 12.
- K. He, X. Zhang, S. Ren and J. Sun (2015), [*Delving deep into rectifiers: surpassing human-level performance on
  ImageNet classification*](https://arxiv.org/abs/1502.01852), ICCV, section 2.2.
- PyTorch, [issue 57109](https://github.com/pytorch/pytorch/issues/57109) and [issue
  18182](https://github.com/pytorch/pytorch/issues/18182) on the default of `nn.Linear`.
- A. Saxe, J. McClelland and S. Ganguli (2014), [*Exact solutions to the nonlinear dynamics of learning in deep linear
  neural networks*](https://arxiv.org/abs/1312.6120), ICLR: why a start near zero leaves slowly.
"""
