# %% [markdown]
r"""
# 8. What does normalization repair?

**Time** 62 minutes, and 40 for the exercises. **Needed first** Lessons 1 to 3: the per-layer factor, `sigma_w`, the cosine between inputs.
**New words** batch normalization, layer normalization, RMSNorm, common part, internal covariate shift, running statistics.
"""

# %% [markdown]
r"""
**You will be able to**

- write batch, layer and RMS normalization as formulas and as code, and say why a weight's gradient behind one of them
  is at a right angle to the weight;
- explain, and show by experiment, what batch and layer normalization each do for a deep sigmoid network;
- predict the per-layer factor of a normalized network from its activation, and say what batch normalization costs;
- tell what is known of *why* batch normalization helps from what is only told, and when a network in evaluation mode
  is not the one that was trained.
"""

# %%
from copy import deepcopy

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
## Three divisions

Initialization sets the scale of the signal once, and training is free to spoil it. A normalization layer sets it anew
at every forward pass. Write $z_{bj}$ for the preactivation of unit $j$ at example $b$.

**Batch normalization** (BN; [Ioffe and Szegedy 2015](https://arxiv.org/abs/1502.03167), Algorithm 1) takes one unit
and looks at all examples of the batch; **layer normalization** (LN; [Ba et al.
2016](https://arxiv.org/abs/1607.06450)) takes one example and looks at all units; **RMSNorm** ([Zhang and Sennrich
2019](https://arxiv.org/abs/1910.07467)) does the same and leaves out the mean:

$$\text{BN: } \frac{z_{bj} - \mu_j}{\sqrt{\sigma_j^2 + \epsilon}}, \qquad
\text{LN: } \frac{z_{bj} - \mu_b}{\sqrt{\sigma_b^2 + \epsilon}}, \qquad
\text{RMS: } \frac{z_{bj}}{\sqrt{\tfrac1n \sum_i z_{bi}^2 + \epsilon}} .$$

Each is followed by a learned scale $\gamma_j$ and, but for RMSNorm, a learned shift $\beta_j$, which start at 1 and
0.
"""

# %%
def batch_norm(z, gamma=1.0, beta=0.0, eps=1e-5):
    """Normalize each unit over the batch. z: (batch, units); the same shape comes back."""
    mean, variance = z.mean(0), z.var(0, correction=0)
    return gamma * (z - mean) / (variance + eps).sqrt() + beta


# %% tags=["nbval-check-output"]
z = 3 * x @ torch.randn(64, 64, generator=torch.Generator().manual_seed(0)) + 5
torch.allclose(batch_norm(z), nn.BatchNorm1d(64)(z), atol=1e-5)

# %% [markdown]
r"""
Mean and variance are computed from $z$, so gradient flows through them, too, and that is not a detail. Multiply all
weights into unit $j$ by a number $c > 0$: mean and standard deviation are multiplied as well, and nothing that
follows changes (but for $\epsilon$). So the loss is constant along the row $w_j$ of the weight matrix, and its
derivative in that direction is 0:

$$L(c\,w_j) = L(w_j) \quad\Longrightarrow\quad \Bigl\langle w_j, \frac{\partial L}{\partial w_j} \Bigr\rangle = 0 .$$

The gradient is at a right angle to its own weight. The cell takes layer 10 of a sigmoid network with BN and without,
and prints the largest cosine, up to sign, between a row of weights and its gradient.
"""

# %% tags=["nbval-check-output"]
cosines = {}
for norm in ("batch", None):
    model = vg.mlp(10, act="sigmoid", sigma_w=1.0, norm=norm, seed=0)
    F.cross_entropy(model(x), y).backward()
    w = model.linear10.weight
    cosines[norm] = F.cosine_similarity(w, w.grad, dim=1).abs().max().item()
{norm: round(cosine, 2) for norm, cosine in cosines.items()}

# %% [markdown]
r"""
With BN it is 0.00{#l8-right-angle}, without 0.3{#l8-no-right-angle}. (With LN the same argument holds for the weight
matrix as a whole, not for its rows.) A step at a right angle makes the row longer, by Pythagoras, and the longer the
row, the less a step turns it. So BN splits a weight into a length that hardly matters and a direction that is learned
([Kohler et al. 2019](https://arxiv.org/abs/1805.10694)).

> **Careful.** Code that treats the mean and the variance as constants on the way back, by a `detach` or a `no_grad`,
> computes the gradient of another function and loses the right angle. Section 2 of Ioffe and Szegedy shows what
> happens: a bias in front of the normalization grows at every step, the output does not change, and the loss stays
> where it is.
"""

# %% [markdown] minutes=13
r"""
## The sigmoid network, once more

Twenty sigmoid layers with Xavier's weights do not train: lesson 2 found a gradient that is multiplied by
0.24{#l8-sigmoid-plain-factor} at each layer, and inputs that have become one direction. Now a normalization is put
before every activation. All three make the signal's size right at every layer, with the same weights, the same
batches and 200 steps.

**Predict.** With BN the network gets 0.99{#l8-bn-accuracy} of the training digits right. What does it get with
*layer* normalization? (Guessing gives one in ten.)
"""

# %% tags=["predict"]
guess_layer = 0.9  # training accuracy of 20 sigmoid layers with LayerNorm, between 0 and 1

# %%
norms = {"none": None, "LayerNorm": "layer", "RMSNorm": "rms", "BatchNorm": "batch"}
grid = [(name, seed) for name in norms for seed in range(3)]
nets = [vg.mlp(20, act="sigmoid", sigma_w=1.0, norm=norms[name], seed=s) for name, s in grid]
result = vg.train_many(nets, data.x, data.y, lr=0.01, momentum=0.9, steps=200, batch_size=64)

# %% [markdown]
r"""
Accuracy on the training digits, median of three seeds:
"""

# %%
runs = pd.DataFrame(grid, columns=["norm", "seed"]).assign(accuracy=result.table.accuracy)
accuracy = runs.groupby("norm", sort=False).accuracy.median()
accuracy.round(2)

# %%
check.prediction("8.1", guess_layer, accuracy["LayerNorm"])

# %% [markdown]
r"""
Look at the same twelve networks before training. Lesson 2's cosine says whether two digits are still different:
"""

# %%
profiles = pd.concat([
    vg.gradient_profile(net, x, y).assign(norm=name, seed=seed)
    for net, (name, seed) in zip(nets, grid)
])
vg.depth_plot(profiles, "cosine", by="norm", title="Only batch normalization keeps inputs apart");

# %% [markdown]
r"""
*Figure 8.1. Mean cosine between the activations of two digits, in four sigmoid networks before training. Without a
norm, with LayerNorm and with RMSNorm it is 1 within a few layers; with BatchNorm it stays where one layer has put it.
Medians and ranges of three seeds.*

**What you see.** Nothing is learned, 0.10{#l8-ln-accuracy}, with RMSNorm neither, and not at ten times the learning
rate. Figure 8.1 says why. A sigmoid's outputs lie around one half, so all activation vectors share one long **common
part**. After the next weights the common part is a vector with a different number *for each unit*, the same for every
example.

LN subtracts from an example the mean over its units, *one* number, and most of the common part stays. BN subtracts
from each unit its mean over the examples: that *is* the common part, all of it. So BN treats the second disease of
lesson 2, and LN only the size.

With LN the factor is 0.39{#l8-sigmoid-ln-factor}, for the gradient and for the difference between two digits. Twenty
layers of it leave less than the last digit of float32. With BN the factor is 1.04{#l8-sigmoid-bn-factor}.
"""

# %% [markdown]
r"""
If that is the explanation, it can be tested: take BN apart. The layer below subtracts a mean over one axis and
divides by a root mean square over another, in any combination.
"""

# %%
class Mixed(nn.Module):
    """Subtract the mean over one axis, divide by the rms over another. 0: batch, 1: units."""

    def __init__(self, mean_over, rms_over):
        super().__init__()
        self.mean_over, self.rms_over = mean_over, rms_over

    def forward(self, z):
        z = z - z.mean(self.mean_over, keepdim=True)
        if self.rms_over is None:
            return z
        return z / (z.square().mean(self.rms_over, keepdim=True) + 1e-5).sqrt()


# %%
def train(model, steps=200, lr=0.01, momentum=0.9, seed=0):
    """Train in place with SGD on random batches of 64 digits; returns the list of losses."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    batches, losses = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        batch = torch.randint(len(data.x), (64,), generator=batches)
        loss = F.cross_entropy(model(data.x[batch]), data.y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% [markdown]
r"""
Each row is one network, its accuracy the median of three seeds after 200 steps.
"""

# %%
parts = {"batch, units": (0, 1), "batch, none": (0, None), "units, batch": (1, 0)}
reached = {}
for name, axes in parts.items():
    for seed in range(3):
        net = vg.mlp(20, act="sigmoid", sigma_w=1.0, norm="batch", seed=seed)
        net = nn.Sequential(*[Mixed(*axes) if isinstance(m, nn.BatchNorm1d) else m for m in net])
        train(net, seed=seed)
        reached[name, seed] = (net(data.x).argmax(1) == data.y).float().mean().item()

# %%
pd.Series(reached).groupby(level=0, sort=False).median().round(2).rename("mean over, rms over")

# %% [markdown]
r"""
Over which axis the *division* goes hardly matters: with the mean over the batch and the division over the units, the
network reaches 0.98{#l8-batch-units}, nearly as good as BN. The mean over the batch *alone*, without a division,
leaves it at chance, 0.10{#l8-batch-none}: the difference between digits still falls to a quarter at each layer.

LN's mean with BN's division is the telling one. Its gradient is nearly level, 0.98{#l8-units-batch-factor} per layer,
but its inputs stay at a cosine of 0.98{#l8-units-batch-cosine}, and it ends at 0.5{#l8-units-batch} or so, every seed
elsewhere. A healthy gradient alone is not enough. Two diseases, and each half of BN is the remedy of one.

**What it does not show.** That LN is worse. Transformers are built on LN and RMSNorm, and with good reason: they need
no batch. Their activations have a smaller mean for their size than a sigmoid, and skips carry the differences past
it.

**Modify.** Put `"tanh"` for `"sigmoid"` in the cell that makes `nets`. Its mean is 0, so nothing is common. Which
norms train now?
"""

# %% [markdown] minutes=13
r"""
## The price

Lesson 2's formula says what a normalized layer does to a gradient. Behind the norm, preactivations have mean square
1, $z \sim N(0, 1)$. The next layer's preactivations have the mean square $\sigma_w^2\,\mathbb{E}[\varphi^2]$, and LN
divides by its root. On the way back the gradient meets the slope, the weights and the same division:

$$\text{LN, RMS: } \sqrt{\frac{\mathbb{E}[\varphi'(z)^2]}{\mathbb{E}[\varphi(z)^2]}}, \qquad
\text{BN: } \sqrt{\frac{\mathbb{E}[\varphi'(z)^2]}{\mathrm{Var}[\varphi(z)]}}, \qquad z \sim N(0, 1).$$

The weights' scale cancels: at the start `sigma_w` no longer matters. BN divides by the spread over the *batch*, from
which the common part, $\mathbb{E}[\varphi]$, is gone: hence the variance. This is our derivation, for wide layers and
large batches, checked below; for ReLU the second is the $\sqrt{\pi/(\pi-1)}$ of [Yang et al.
(2019)](https://arxiv.org/abs/1902.08129).

**Predict.** Fifty ReLU layers with BN, before training. By what factor is the gradient at the first ReLU larger, or
smaller, than that at the last?
"""

# %% tags=["predict"]
guess_ratio = 1.0  # gradient rms at the first ReLU over the last, 50 layers with BN

# %%
def signal(model, examples=256):
    """The backward signal at each activation, from the input on: (layers,)."""
    table = vg.gradient_profile(model, data.x[:examples], data.y[:examples])
    return table.grad_rms[table.slope.notna()].to_numpy()


# %%
relu = {(name, seed): vg.mlp(50, 128, act="relu", sigma_w=2**0.5, norm=norms[name], seed=seed)
        for name in ("none", "LayerNorm", "BatchNorm") for seed in range(3)}
tables = [vg.gradient_profile(net, x, y).assign(norm=name, seed=seed)
          for (name, seed), net in relu.items()]
theory = {name: vg.theory.layer_factor("relu", 2**0.5, norm=norms[name]) for name, _ in relu}
vg.depth_plot(pd.concat(tables), by="norm", theory=theory, title="BatchNorm makes gradients grow");

# %% [markdown]
r"""
*Figure 8.2. Backward signal in networks of fifty ReLU layers with He's weights, relative to the last. With BatchNorm
it grows towards the input by 1.21{#l8-relu-theory} per layer, as theory (dashed) says; without a norm and with
LayerNorm it stays level and wanders. Medians and ranges of three seeds.*
"""

# %%
ratios = [s[0] / s[-1] for s in (signal(relu["BatchNorm", seed]) for seed in range(3))]
check.prediction("8.2", guess_ratio, np.median(ratios))

# %% [markdown]
r"""
**What you see.** A factor of about 9000{#l8-relu-ratio}: 1.20{#l8-relu-bn-factor} per layer, where theory has
1.21{#l8-relu-theory}, and over forty-nine steps half a per cent adds up. BN does not keep gradients level. In the
sigmoid network it traded a loss of 0.63{#l8-sigmoid-decades} decades per layer for almost nothing; here it turns a
level gradient into an explosion.

And it must. *For every activation BN's formula gives 1 or more*: none vanishes, and none but a straight line stays
level. Yang et al. found the same by another road: neither weights nor activation can take the explosion away
(abstract).

> **Deeper: a proof in three lines.** Expand the activation in Hermite polynomials, which are orthogonal under a
> Gaussian: $\varphi = \sum_k a_k\,\mathrm{He}_k/\sqrt{k!}$. Then $\mathrm{Var}[\varphi] = \sum_{k \ge 1} a_k^2$. The
> derivative of $\mathrm{He}_k$ is $k\,\mathrm{He}_{k-1}$, so $\mathbb{E}[\varphi'^2] = \sum_{k \ge 1} k\,a_k^2$,
> which is at least as much, term by term. Equal only if $a_k = 0$ for all $k \ge 2$: a straight line. This is the
> Gaussian Poincaré inequality.

Eight activations, thirty layers of 256 units, 64 digits; the measured factor is that between layers 6 and 21, away
from both ends, the median of three seeds.
"""

# %%
names = ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu"]
rows = []
for act in names:
    row = {"activation": act}
    for norm, batch in {"layer": None, "batch": 64}.items():
        nets = [vg.mlp(30, 256, act=act, sigma_w=1.0, norm=norm, seed=seed) for seed in range(3)]
        s = [signal(net, 64) for net in nets]
        row[f"{norm}, theory"] = vg.theory.layer_factor(act, norm=norm, batch=batch)
        row[f"{norm}, measured"] = np.median([(line[5] / line[20]) ** (1 / 15) for line in s])
    rows.append(row)

# %%
pd.DataFrame(rows).set_index("activation").round(2)

# %% [markdown]
r"""
One formula, sixteen kinds of network: within two per cent, but for one. SiLU with BN has 1.16{#l8-silu-measured}
where theory says 1.11{#l8-silu-theory}. The formula takes it that the examples of a batch are all equally alike.
Under SiLU they are not: by layer 30 a single direction carries 0.27{#l8-silu-direction} of the whole batch's spread,
under ReLU 0.09{#l8-relu-direction}. GELU leans the same way, less.
"""

# %% [markdown]
r"""
In that table theory knew the size of the batch. A small batch makes BN steeper: the mean and the spread are then
estimates from few examples, and each example's own share in them is large. `vg.theory.batch_factor` averages over the
batches exactly (from five examples on).
"""

# %%
sizes = [5, 8, 16, 32, 64, 128, 256]
measured = [{"batch": b, "factor": (s[0] / s[-1]) ** (1 / 29)} for b in sizes
            for s in (signal(vg.mlp(30, 128, act="relu", sigma_w=1.0, norm="batch", seed=seed), b)
                      for seed in range(3))]
exact = pd.DataFrame({"batch": sizes, "factor": [vg.theory.batch_factor("relu", b) for b in sizes]})
vg.scan_plot(pd.DataFrame(measured), "batch", "factor", theory=exact, logx=True,
             labels={"batch": "examples in the batch", "factor": "factor per ReLU layer"},
             title="Small batches, steeper gradients");

# %% [markdown]
r"""
*Figure 8.3. Factor per layer of ReLU networks with BatchNorm against the batch size: about one and a half for five
examples, falling towards 1.21{#l8-relu-theory}. Medians and ranges of three seeds, theory for a finite batch dashed.*

**What it does not show.** That LN is always level. Its factor is 1 for ReLU, whose mean square and mean square slope
are equal, and above or below 1 for the others; single networks wander about it, as Figure 8.2 shows.

**Modify.** Put `"tanh"` for both `"relu"` in this cell. Without a mean to take away, how much does BN cost at five
examples, and at 256{#set}?
"""

# %% [markdown] minutes=6
r"""
## One step later

All this was before training. Lesson 9 will train such networks; first, what becomes of their gradients. The network
of fifty ReLU layers, 64 units wide, is given plain gradient descent with a learning rate of 0.1{#set} and batches of
64 digits.

**Predict.** Before the first step the ratio of first to last layer is about 12000{#l8-before-step}. What is it after
*one* step?
"""

# %% tags=["predict"]
guess_settled = 10000.0  # the same ratio after one step of SGD

# %%
def after_steps(seed, steps=10, lr=0.1):
    """The ratio after each step, and how far layer 1 has moved, in units of its weights' norm."""
    model, rows = vg.mlp(50, act="relu", sigma_w=1.0, norm="batch", seed=seed), []
    w = model.linear1.weight.detach().clone()
    for step in range(steps + 1):
        s, change = signal(model), (model.linear1.weight - w).norm() / w.norm()
        rows.append({"step": step, "ratio": s[0] / s[-1], "moved": change.item(), "seed": seed})
        train(model, 1, lr, momentum=0, seed=100 * seed + step)
    return pd.DataFrame(rows)


# %%
settling = pd.concat([after_steps(seed) for seed in range(3)])
vg.training_plot(settling, "ratio", logy=True, labels={"ratio": "gradient, first layer over last"},
                 title="The explosion lasts a few steps");

# %% [markdown]
r"""
*Figure 8.4. Ratio of the gradient at the first ReLU to that at the last over ten steps of gradient descent,
logarithmic vertical axis: it falls more than tenfold in the first step and goes on falling for some more. Medians and
ranges of three seeds.*
"""

# %%
step_one = settling[settling.step == 1].median()
check.prediction("8.3", guess_settled, step_one.ratio)

# %%
f"in step 1 the first layer's weights moved by {step_one.moved:.0f} times their own norm"

# %% [markdown]
r"""
**What you see.** About 200{#l8-after-step}, from 12000{#l8-before-step}. Yang et al. report the same: after one step
the gradients span a far smaller range. So "BN explodes" is a statement about initialization.

But look at what the step did. A gradient that is thousands of times too large moved the first layer's weights by
150{#l8-moved} times their own norm. Nothing blows up, because BN does not care for the length; but what was drawn at
random there has been overwritten by one batch. Is *that* why the gradient settled? Keep the step in forty layers and
put the initial weights back in the lowest ten:
"""

# %%
ratios = []
for seed in range(3):
    model = vg.mlp(50, act="relu", sigma_w=1.0, norm="batch", seed=seed)
    first = deepcopy(model)
    train(model, 1, lr=0.1, momentum=0, seed=100 * seed)
    model[:30].load_state_dict(first[:30].state_dict())  # ten layers of three modules
    s = signal(model)
    ratios.append(s[0] / s[-1])
f"ratio: {np.median(ratios):.0f}"

# %% [markdown]
r"""
About 3500{#l8-put-back}: most of the explosion is back. It had settled because the lowest layers had been replaced.

**What it does not show.** That this does harm. It is a reason to start deep BN networks with a small learning rate,
and lesson 9 shows what skips make of it.

**Modify.** Give `after_steps` the learning rate `lr=0.01`. How much is left of the fall, and how far do the weights
move?
"""

# %% [markdown] minutes=3
r"""
## The switchboard

Activation, norm, batch size and depth, on a real network. Find an activation for which LN and BN agree, and one for
which they differ most; then take BN from 128{#set} examples down to 8{#set}.
"""

# %%
vg.widgets.norm_switchboard()

# %% [markdown]
r"""
*Figure 8.5. The norm switchboard: at the left the gradient's profile of a real network beside theory (dashed), at the
right theory's factor per layer for all four norms with the measured one of the chosen norm as a filled mark.*
"""

# %% [markdown] minutes=11
r"""
## Why does it help?

You have seen *what* BN does. *Why* it speeds up training is another question, and its first answer is the most
repeated sentence about it. Ioffe and Szegedy called the change of a layer's input distribution, while the layers
below it learn, **internal covariate shift**, and proposed BN to reduce it (abstract and section 2).

[Santurkar et al. (2018)](https://arxiv.org/abs/1805.11604) put that to the test. If a stable distribution is what
helps, then destroying it again must hurt. Their section 2.1 adds noise *behind* each BN, with a mean and a scale that
change at every step. Here every unit is moved by up to a half and stretched by up to a quarter, both drawn anew at
every forward pass:
"""

# %%
class Shift(nn.Module):
    """In training, move and stretch each unit at random, anew at each call. z: (batch, units)."""

    def forward(self, z):
        scale, shift = torch.rand(2, z.shape[1]) - 0.5
        return (1 + scale / 2) * z + shift if self.training else z


# %%
def build(kind, act="sigmoid", depth=10, seed=0):
    """An MLP with no norm, with BN, or with BN and noise behind each."""
    norm = None if kind == "none" else "batch"
    model = vg.mlp(depth, act=act, sigma_w=1.0, norm=norm, seed=seed)
    for i in range(1, depth + 1) if kind == "noisy BN" else ():
        setattr(model, f"norm{i}", nn.Sequential(getattr(model, f"norm{i}"), Shift()))
    return model


# %% [markdown]
r"""
Ten sigmoid layers, 200 steps of plain gradient descent at a learning rate of 0.3{#set}. Without BN the loss stays at
2.31{#l8-none-loss}, chance. With BN it falls to 0.15{#l8-bn-loss}, the mean over the last twenty steps.

**Predict.** And with noisy BN?
"""

# %% tags=["predict"]
guess_noisy = 1.5  # training loss of the sigmoid network with noisy BN after 200 steps

# %% [markdown]
r"""
Beside the loss, the shift itself. For a layer in the middle what counts is its gradient: compare it before a step
with the one after the layers *below* have made their step and it has not (section 2.2 of Santurkar et al.). A cosine
of 1 means that nothing has shifted for this layer; 0 that its gradient was aimed at a network that no longer exists.
"""

# %%
def gradient(model, batch, layer):
    """Gradient of one layer's weights on a batch, flat."""
    loss = F.cross_entropy(model(data.x[batch]), data.y[batch])
    return torch.autograd.grad(loss, model[layer].weight)[0].flatten()


# %%
def shift_cosine(model, lr, batch, layer):
    """Cosine of a layer's gradient before and after one step of the layers below it."""
    k = list(dict(model.named_children())).index(f"linear{layer}")
    moved = deepcopy(model)
    loss = F.cross_entropy(moved(data.x[batch]), data.y[batch])
    for p, g in zip(moved.parameters(), torch.autograd.grad(loss, list(moved.parameters()))):
        p.data -= lr * g
    moved[k:].load_state_dict(model[k:].state_dict())
    return F.cosine_similarity(gradient(model, batch, k), gradient(moved, batch, k), dim=0).item()


# %%
def experiment(kind, act, depth, lr, seed):
    """Train four times 50 steps; the last losses, and the median cosine over four batches each."""
    torch.manual_seed(seed)  # for the noise
    model, cosines = build(kind, act, depth, seed), []
    for leg in range(4):
        losses = train(model, 50, lr, momentum=0, seed=4 * seed + leg)
        batches = torch.arange(256).split(64)
        cosines += [shift_cosine(model, lr, batch, depth // 2) for batch in batches]
    return {"loss": np.mean(losses[-20:]), "cosine": np.median(cosines)}


# %% [markdown]
r"""
Beside the sigmoid network stands one of eight tanh layers, which needs no rescue, so that its shift without BN is
that of a network that learns.
"""

# %%
kinds = ("none", "BN", "noisy BN")
settings = {"sigmoid": ("sigmoid", 10, 0.3), "tanh": ("tanh", 8, 0.1)}
table = pd.DataFrame([
    {"network": name, "norm": kind, **experiment(kind, *setting, seed)}
    for name, setting in settings.items() for kind in kinds for seed in range(3)
])

# %%
median = table.groupby(["network", "norm"], sort=False).median()
median.round(2)

# %%
check.prediction("8.4", guess_noisy, median.loc["sigmoid", "noisy BN"].loss)

# %% [markdown]
r"""
**What you see.** The noisy network trains nearly as well as BN, to 0.18{#l8-noisy-loss}, where the one without a norm
does not train at all. And look at the cosines of the tanh networks: without BN 0.96{#l8-tanh-none-cosine}, with BN
0.80{#l8-tanh-bn-cosine}, with noisy BN 0.48{#l8-tanh-noisy-cosine}. In this measure BN does not reduce the shift; it
has more. Santurkar et al. found the same two things in larger networks.

The noise is not free: the tanh network ends at 0.10{#l8-tanh-noisy-loss} with it, at 0.05{#l8-tanh-bn-loss} with BN
and at 0.07{#l8-tanh-none-loss} with neither.

**What it does not show.** That no kind of shift matters. Random noise is not the shift that learning makes; the cosine
mixes the noise with the step, and it was taken at one learning rate, with which the networks make steps of different
length. It shows that a stable distribution is not *needed*, and that BN does not reliably give one.

> **Careful: what is known.** The shift was a conjecture that came to be repeated as a fact; [Lipton and Steinhardt
> (2018)](https://arxiv.org/abs/1807.03341) take it as an example of that. Proposed since: a smoother loss, with a
> theorem for specific settings (Santurkar et al.); larger usable learning rates ([Bjorck et al.
> 2018](https://arxiv.org/abs/1806.02375)); length and direction learned apart (Kohler et al.); representations that
> keep their rank ([Daneshmand et al. 2020](https://arxiv.org/abs/2003.01652)), close to what Figure 8.1 shows. None
> of them is generally accepted as *the* explanation.

**Modify.** In `Shift`, make the noise four times as large: `(1 + 2 * scale) * z + 4 * shift`. Does the sigmoid network
still train?
"""

# %% [markdown] minutes=6
r"""
## Two modes, two functions

In use a network may get one example, and a batch of one has no spread. So BN keeps **running statistics** while it
trains, a moving average of each mean and variance with a weight of 0.1{#set} for the newest batch, which starts at
mean 0 and variance 1. `model.eval()` makes it use those. The same weights then compute another function.

**Predict.** The sigmoid network with BN is trained for 20 steps. In training mode it gets 0.68{#l8-train-mode} of the
training digits right. Switch to evaluation mode, change nothing else: how many now?
"""

# %% tags=["predict"]
guess_eval = 0.65  # accuracy on the same digits in evaluation mode

# %% [markdown]
r"""
Both modes on the same digits, for three seeds:
"""

# %%
def score(model, training):
    """Accuracy on the training digits in one of the two modes; the model stays as it is."""
    model = deepcopy(model).train(training)
    return (model(data.x).argmax(1) == data.y).float().mean().item()


# %%
young = [vg.mlp(20, act="sigmoid", sigma_w=1.0, norm="batch", seed=seed) for seed in range(3)]
for seed, model in enumerate(young):
    train(model, steps=20, seed=seed)
modes = pd.DataFrame([{"training": score(m, True), "evaluation": score(m, False)} for m in young])
modes.round(2)

# %%
check.prediction("8.5", guess_eval, modes.evaluation.median())

# %% [markdown]
r"""
The weights are innocent. Measure the statistics anew, as a plain average over all training digits, and evaluate
again:
"""

# %%
def measured_anew(model):
    """A copy whose running statistics are those of all training digits."""
    model = deepcopy(model)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.reset_running_stats()
            norm.momentum = None  # a plain average
    model(data.x)
    return model


# %%
[round(score(measured_anew(model), False), 2) for model in young]

# %% [markdown]
r"""
**What you see.** Chance, 0.10{#l8-eval-mode}, and 0.68{#l8-train-mode} once the statistics are right. After 20 steps
a share of 0.12{#l8-start-share}, nine tenths to the power of twenty, of the running variance is still the 1 it
started with, while the true variance is 0.047{#l8-true-variance}; so each layer divides by about twice what it
should, and twenty layers do it twenty times. After 200 steps the two modes agree to one per cent.

With small batches the difference has the other sign. Five ReLU layers trained on batches of four digits get
0.46{#l8-small-train} of them right in training mode and 0.66{#l8-small-eval} in evaluation: four examples estimate a
mean badly.

So a bad test result of a young or deep BN network, or of one trained on small batches, need not be over-fitting.
Compare the two modes on the *training* data first. LN and RMSNorm have one mode only, and the question does not
arise.

**Modify.** Train the young networks for `steps=40`, then for `80`. When do the two modes agree?
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=15
r"""
### Exercise 8.1: batch normalization backwards ★★★ 15 minutes

Given the gradient with respect to the output of BN in training mode, $\gamma\,\hat z + \beta$, write the gradient
with respect to its input, by hand: no autograd. It has three parts, one along each path from $z_{bj}$ to the output:
straight, through the mean, through the variance.
"""

# %% exercise="8.1" tags=["nbval-check-output"]
def batch_norm_gradient(dy, z, gamma, eps):
    """dL/dz of y = gamma * (z - mean) / sqrt(var + eps). dy, z: (batch, n), gamma: (n,)."""
    ### BEGIN SOLUTION
    std = (z.var(0, correction=0) + eps).sqrt()
    normal = (z - z.mean(0)) / std
    d = gamma * dy
    return (d - d.mean(0) - normal * (d * normal).mean(0)) / std
    ### END SOLUTION


check.batch_norm_gradient(batch_norm_gradient)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Write $\hat z$ for the normalized input and $d = \gamma \cdot dL/dy$. The mean over the batch and the standard
deviation have $\partial \mu/\partial z_b = 1/B$ and $\partial s/\partial z_b = \hat z_b / B$, with $s =
\sqrt{\sigma^2 + \epsilon}$.
</details>

<details><summary>Hint 2</summary>

Geometry says the same: $\hat z$ cannot be moved along the vector of ones nor along itself. So take from $d$ its mean
over the batch, and its part along $\hat z$; then divide by $s$. Every sum over the batch becomes a mean.
</details>
"""

# %% [markdown] minutes=8
r"""
### Exercise 8.2: spot the flaw ★★ 8 minutes

A colleague writes: "LayerNorm is BatchNorm on the other axis; both subtract a mean and divide by a standard
deviation. So $\sqrt{\mathbb{E}[\varphi'^2]/\mathrm{Var}[\varphi]}$ holds for both, and only RMSNorm, which subtracts
nothing, has $\mathbb{E}[\varphi^2]$." Find the step that does not follow, and write the factor for all three.
"""

# %% exercise="8.2" tags=["nbval-check-output"]
def norm_factor(phi, kind):
    """The per-layer factor with a norm ("batch", "layer" or "rms") before phi, a function."""
    slope, square, mean = vg.theory.rms_slope(phi), vg.theory.mean_square(phi), vg.theory.mean(phi)
    ### BEGIN SOLUTION
    return slope / (square - (mean**2 if kind == "batch" else 0)) ** 0.5
    ### END SOLUTION


check.norm_factor(norm_factor)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

The norm stands behind random weights. Of a preactivation $\sum_i W_{ji} h_i$, which mean is it that becomes 0, if all
$h_i$ have the mean $m$: the one over $j$, or the one over examples?
</details>

<details><summary>Hint 2</summary>

$m \sum_i W_{ji}$ is a number per unit. Over the units its mean is about 0, so there is nothing for LN to subtract,
and its square is part of what LN divides by. Over the examples it is a constant, and BN removes it.
</details>
"""

# %% [markdown] minutes=7
r"""
### Exercise 8.3: what evaluation mode uses ★★ 7 minutes

Compute the running statistics of a BN layer after it has seen a list of batches. Torch starts at mean 0 and variance
1; each batch enters with the weight `momentum`. One thing is easy to miss: the running variance takes the batch's
*unbiased* variance (divided by $B - 1$), though training normalizes with the biased one. Try `nn.BatchNorm1d` if you
doubt it.
"""

# %% exercise="8.3" tags=["nbval-check-output"]
def running_statistics(batches, momentum):
    """Running mean and variance, stacked: (2, n). batches: a list of tensors (B, n)."""
    ### BEGIN SOLUTION
    mean, variance = torch.zeros_like(batches[0][0]), torch.ones_like(batches[0][0])
    for z in batches:
        mean = (1 - momentum) * mean + momentum * z.mean(0)
        variance = (1 - momentum) * variance + momentum * z.var(0, correction=1)
    return torch.stack([mean, variance])
    ### END SOLUTION


check.running_statistics(running_statistics)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

A moving average: what was there keeps the weight `1 - momentum`, the new batch gets `momentum`. (In the optimizer the
word means something else.)
</details>

<details><summary>Hint 2</summary>

`z.var(0)` in torch divides by $B - 1$ unless you say `correction=0`.
</details>
"""

# %% [markdown] minutes=10
r"""
### Exercise 8.4: five lines on a noisy network ★★★ 10 minutes, open

A blog says: "Noisy BN trains just as well, so internal covariate shift is a myth, and batch normalization works
because it smooths the loss." In five lines: what does the experiment of this lesson show, what does it not show, and
what would you measure next?
"""

# %% [markdown] tags=["solution"]
r"""
**What a good answer holds** (one point each). *Shows:* a distribution that is kept unstable on purpose does not undo
what BN does for a deep sigmoid network, so stability of the distribution is not necessary for the benefit. *Shows:*
measured by the cosine of a layer's gradient before and after the lower layers' step, BN had more shift, not less,
than the same network without. *Does not show:* that shift made by learning is harmless; the noise is random, has a
fixed size, and is not what the lower layers do; and where no rescue was needed (tanh) it cost something. *Does not
show:* anything about smoothness, which was not measured here; one explanation's failure does not prove another.
*Next:* measure smoothness itself, for example the loss along the gradient at several step lengths with and without
BN, over seeds, activations and learning rates; and try a remedy that has one property only, as with the layer
`Mixed`, which gave the benefit to a norm that is neither BN nor LN. *Also:* small networks, three seeds, 200 steps.
"""

# %% [markdown] minutes=2
r"""
## What we saw

- BN looks at one unit over the batch, LN at one example over the units, and RMSNorm leaves out the mean; with BN the
  gradient of each row of weights is at a right angle to the row.
- Twenty sigmoid layers: 0.99{#l8-bn-accuracy} with BN, 0.10{#l8-ln-accuracy} with LN. The mean over the batch takes
  away what all inputs share; the division, over either axis, keeps the size.
- The factor is $\sqrt{\mathbb{E}[\varphi'^2]/\mathrm{Var}[\varphi]}$ with BN, never below 1: 1.21{#l8-relu-theory}
  for ReLU, more for small batches, off by several per cent for SiLU. One step brought the ratio over fifty layers
  from 12000{#l8-before-step} to 200{#l8-after-step}, by overwriting the lowest layers.
- Noisy BN trains, to 0.18{#l8-noisy-loss}, so stability is not the reason, and which of the others is, is open. In
  evaluation mode a young network may score 0.10{#l8-eval-mode} instead of 0.68{#l8-train-mode}.

**Where next.** BN networks without skips start with an explosion. Lesson 9 adds the skips.
"""

# %% [markdown]
r"""
## In your own model

```python
acts = vg.gradient_profile(model.train(), x, y).dropna(subset="slope")
factor = (acts.grad_rms.iloc[0] / acts.grad_rms.iloc[-1]) ** (1 / (len(acts) - 1))   # above 1: BN's price
{"factor": factor, "cosine": acts.cosine.iloc[-1]}                # near 1: a common part that LN leaves
[loss_fn(model.train(mode)(x), y).item() for mode in (True, False)]     # two modes, one batch
```

The last line moves the running statistics once; do it on a copy if that matters. If the two losses differ much,
measure the statistics anew before you blame the weights.
"""

# %% [markdown]
r"""
## Sources

- S. Ioffe and C. Szegedy (2015), [*Batch normalization: accelerating deep network training by reducing internal
  covariate shift*](https://arxiv.org/abs/1502.03167), ICML: abstract, section 2, Algorithm 1.
- J. L. Ba, J. R. Kiros and G. E. Hinton (2016), [*Layer normalization*](https://arxiv.org/abs/1607.06450).
- B. Zhang and R. Sennrich (2019), [*Root mean square layer normalization*](https://arxiv.org/abs/1910.07467),
  NeurIPS.
- S. Santurkar, D. Tsipras, A. Ilyas and A. Mądry (2018), [*How does batch normalization help
  optimization?*](https://arxiv.org/abs/1805.11604), NeurIPS: sections 2.1 and 2.2.
- J. Bjorck, C. Gomes, B. Selman and K. Q. Weinberger (2018), [*Understanding batch
  normalization*](https://arxiv.org/abs/1806.02375), NeurIPS.
- Z. C. Lipton and J. Steinhardt (2018), [*Troubling trends in machine learning
  scholarship*](https://arxiv.org/abs/1807.03341).
- J. Kohler, H. Daneshmand, A. Lucchi, T. Hofmann, M. Zhou and K. Neymeyr (2019), [*Exponential convergence rates for
  batch normalization: the power of length-direction decoupling in non-convex
  optimization*](https://arxiv.org/abs/1805.10694), AISTATS.
- G. Yang, J. Pennington, V. Rao, J. Sohl-Dickstein and S. Schoenholz (2019), [*A mean field theory of batch
  normalization*](https://arxiv.org/abs/1902.08129), ICLR: abstract.
- H. Daneshmand, J. Kohler, F. Bach, T. Hofmann and A. Lucchi (2020), [*Batch normalization provably avoids rank
  collapse for randomly initialised deep networks*](https://arxiv.org/abs/2003.01652), NeurIPS.
- Torch's documentation of
  [`BatchNorm1d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.batchnorm.BatchNorm1d.html): which
  variance is used where.
"""
