# %% [markdown]
r"""
# 2. What does an activation do to a gradient?

**Time** 60 minutes, and 45 for the exercises. **Needed first** Lesson 1: the backward signal, decades per layer.
**New words** preactivation, rms slope, quadrature, per-layer factor, saturation, cosine.
"""

# %% [markdown]
r"""
**You will be able to**

- derive the slopes of sigmoid and tanh and average any slope over the values that a layer really sees;
- predict the **per-layer factor** of a network from its activation and its weights, and check it to a few per cent;
- tell two causes of a small *slope* apart, and say why only one of them makes the factor small;
- measure whether two different inputs are still different after some layers, and say why the sigmoid merges them.
"""

# %%
import numpy as np
import pandas as pd
import torch

import vglab as vg
from vglab import check, tasks

x, y = tasks.digits().x[:256], tasks.digits().y[:256]

# %% [markdown] minutes=14
r"""
## The slope a gradient meets

On its way back through a unit $h = \varphi(z)$ the gradient is multiplied by $\varphi'(z)$, the slope of the
activation at the **preactivation** $z$. For the two classics the slope can be written with the value alone. With
$\sigma(z) = 1/(1 + e^{-z})$ the chain rule gives

$$\sigma'(z) = \frac{e^{-z}}{(1 + e^{-z})^2} = \sigma(z)\,\bigl(1 - \sigma(z)\bigr) \le \tfrac14,$$

because $h(1-h)$ is largest at $h = \tfrac12$. In the same way $\tanh = \sinh/\cosh$ has the slope
$(\cosh^2 - \sinh^2)/\cosh^2 = 1 - \tanh^2 \le 1$.
"""

# %%
slope = {
    "sigmoid": lambda z: torch.sigmoid(z) * (1 - torch.sigmoid(z)),
    "tanh": lambda z: 1 - torch.tanh(z) ** 2,
    "ReLU": lambda z: (z > 0).to(z.dtype),
}

# %%
grid = torch.linspace(-6, 6, 1201)
curves = pd.concat(
    pd.DataFrame({"z": grid, "slope": f(grid), "activation": name}) for name, f in slope.items()
)
vg.scan_plot(curves, "z", "slope", by="activation", title="Where the gradient gets through");

# %% [markdown]
r"""
*Figure 2.1. Slopes of three activations. The sigmoid's is a low hill that never exceeds a quarter; the tanh's is a
narrow hill that reaches 1 at the origin only; the ReLU's is a step, 0 on the left and 1 on the right.*

A layer has many units and a batch has many examples, so the gradient meets not one slope but a whole distribution of
them. A preactivation is a sum of many terms with random weights, hence close to Gaussian: $z \sim N(0, q)$, normally
distributed with mean 0 and some variance $q$. Write $\mathbb{E}$ for an average over it. What counts for the *size*
of the backward signal is the root of the mean square, the **rms slope**, $\sqrt{\mathbb{E}[\varphi'(z)^2]}$.

**Predict.** What is the rms slope of tanh when $z$ has variance 1? Its slope at the origin is 1.
"""

# %% tags=["predict"]
guess_tanh = 0.9  # rms slope of tanh for z ~ N(0, 1)

# %% [markdown]
r"""
An average over a Gaussian is an integral, and **Gauss–Hermite quadrature** turns it into a weighted sum over a few
well-chosen points. With $n$ points it is exact for polynomials up to degree $2n - 1$, and excellent for smooth
functions that are not too narrow.
"""

# %%
points, weights = np.polynomial.hermite_e.hermegauss(100)
points, weights = torch.tensor(points), torch.tensor(weights / weights.sum())


# %%
def expectation(f, q=1.0):
    """E[f(z)] for z ~ N(0, q); f maps a tensor to a tensor of the same shape."""
    return (weights * f(q**0.5 * points)).sum()


# %% [markdown]
r"""
The rms slope of each of the three for $q = 1$:
"""

# %% tags=["nbval-check-output"]
{name: round(expectation(lambda z: f(z) ** 2).sqrt().item(), 3) for name, f in slope.items()}

# %%
check.prediction("2.1", guess_tanh, expectation(lambda z: slope["tanh"](z) ** 2).sqrt())

# %% [markdown]
r"""
**What you see.** The tanh passes on 0.68{#l2-tanh-rms-slope}, not 1: the origin is one point, and a Gaussian spends
most of its weight beside it. The sigmoid passes on 0.21{#l2-sigmoid-rms-slope}, close to its best, since its hill is
twice as wide as that of tanh. The ReLU passes on $1/\sqrt2$, because half of its units are off, whatever $q$ is.

**What it does not show.** What $q$ is. That depends on the weights, and on what the layers below have made of the
input; it is the next thing to find.

**Modify.** In the cell that prints the three, give `expectation` a second argument, `0.01` and then `4`. Which
activation does not care? Beyond $q \approx$ 10{#set} the hundred points are too far apart for so narrow a hill;
`vg.theory` uses a finer rule.
"""

# %% [markdown] minutes=16
r"""
## A factor you can predict

Write `sigma_w` for the scale of the weights, $W_{ij} \sim N(0, \sigma_w^2 / n)$ with $n$ inputs. A preactivation is a
sum of $n$ independent terms $W_{ij} h_j$, whose variances add up to $\sigma_w^2$ times the mean of $h^2$. On the way
back a unit collects $n$ terms from the layer above through the same weights, which again multiplies the mean square
by $\sigma_w^2$, and then multiplies by its own slope. Two short lines say so,

$$q_{l+1} = \sigma_w^2\,\mathbb{E}\bigl[\varphi(z)^2\bigr], \qquad
\text{factor}_l = \sigma_w \sqrt{\mathbb{E}\bigl[\varphi'(z)^2\bigr]}, \qquad z \sim N(0, q_l) .$$

The first is equation 3 of [Poole et al. (2016)](https://arxiv.org/abs/1606.05340), the second the square root of
$\chi_1$ in [Schoenholz et al. (2017)](https://arxiv.org/abs/1611.01232). They hold for wide layers with independent
weights, before training; the second also takes the weights that the gradient meets as independent of the signal that
went forward, an assumption that works far better than it deserves. No network is needed to evaluate them.
"""

# %%
def factor(phi, slope, sigma_w, q=1.0, layers=50):
    """The per-layer factor that a deep network of this activation settles at."""
    for _ in range(layers):
        q = sigma_w**2 * expectation(lambda z: phi(z) ** 2, q)
    return (sigma_w * expectation(lambda z: slope(z) ** 2, q).sqrt()).item()


# %% [markdown]
r"""
**Predict.** A tanh network with torch's default weight scale, $\sigma_w = 1/\sqrt3 \approx$ 0.58{#set}, and many
layers. You know its rms slope at variance 1. What factor per layer does it settle at?
"""

# %% tags=["predict"]
guess_factor = 0.4  # per-layer factor of tanh at sigma_w = 1 / sqrt(3)

# %% tags=["nbval-check-output"]
default = 3**-0.5  # torch's weight scale
phi = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}
{name: round(factor(phi[name], slope[name], default), 3) for name in phi}

# %%
check.prediction("2.2", guess_factor, factor(torch.tanh, slope["tanh"], default))

# %% [markdown]
r"""
Now the networks. `vg.theory` holds the same two lines for any activation; here they stand beside eight real networks
of ten layers with 128 units, on the digits of lesson 1, with zero biases. The numbers are decades lost per layer;
lesson 1's tanh and ReLU lost slightly more, because torch draws biases, too. `vg.sweep` calls two functions at every
point of a grid, one that builds a network and one that measures it, and returns one table.
"""

# %%
names = ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu"]
profile = lambda network: vg.gradient_profile(network, x, y)
grid = {"act": names, "seed": range(3)}
profiles = vg.sweep(vg.mlp, profile, depth=10, width=128, sigma_w=default, **grid)
q1 = default**2 * x.square().mean().item()  # the variance that the images give layer 1
theory = {name: vg.theory.gradient_profile(name, 10, default, q0=q1) for name in names}

# %% [markdown]
r"""
Decades are read from the two ends, layer 1 and layer 10, nine steps apart; three seeds are averaged.
"""

# %% tags=["nbval-check-output"]
signal = profiles.dropna(subset="slope").groupby(["act", "seed"]).grad_rms
measured = (np.log10(signal.last() / signal.first()) / 9).groupby("act").mean()
predicted = {name: -np.log10(line[0]) / 9 for name, line in theory.items()}
pd.DataFrame({"theory": predicted, "measured": measured}).round(2)

# %%
five = ["sigmoid", "silu", "relu", "tanh", "selu"]
vg.depth_plot(profiles.query("act in @five"), by="act", theory=theory);

# %% [markdown]
r"""
*Figure 2.2. Ten layers with torch's default weight scale and five activations: every one of them loses the gradient,
ReLU and SELU included, and theory (dashed) says by how much. Medians and ranges of three seeds; all lines end at 1 on
the right.*

**What you see.** The factor of the sigmoid is 0.14{#l2-sigmoid-default-factor}, that of tanh
0.58{#l2-tanh-default-factor}: as the signal shrinks, tanh's slope does go to 1, and what remains is the weights' own
$1/\sqrt3$. That tanh "cannot vanish because its slope is 1 at the origin" overlooks the other half of the factor. And
not one of the eight escapes: with these weights ReLU loses 0.39{#l2-relu-default-decades} decades per layer, GELU and
SiLU more.

**What it does not show.** The formulas are for infinitely wide layers. At 128 units ReLU scatters by some per cent
between seeds, most others by less.

**Modify.** Change the width from `128` to `32`, then to `512`. Only ReLU's band can be seen. What becomes of it, and
why is it ReLU's? (Its slope is 0 or 1, nothing between.)
"""

# %% [markdown] minutes=14
r"""
## Saturation, the usual suspect

"Sigmoids saturate, so gradients vanish." Saturation means that $|z|$ is large and the slope practically 0. But with
torch's weights the units of a sigmoid network sit near $z = 0$, where the slope is *largest*, and the gradient
vanishes all the same. To see saturation at work it has to be provoked, with large weights.

**Predict.** Sixteen times the Xavier scale, `sigma_w = 16`: almost three values in four are saturated, with a slope
under a tenth of the quarter that is possible. What is the per-layer factor of this sigmoid network?
"""

# %% tags=["predict"]
guess_saturated = 0.02  # per-layer factor of the sigmoid at sigma_w = 16

# %% [markdown]
r"""
The same for fifteen scales between a quarter of Xavier's and thirty-two times it. Of each network the layers in the
middle are read, which have settled and lie away from the read-out:
"""


# %%
def settled(network):
    """Median factor and rms slope of layers 5 to 11 of a network of twelve."""
    table = profile(network)
    deep = table[table.kind == "Sigmoid"].iloc[4:11]
    return {"per-layer factor": deep.gain.median(), "rms slope": deep.slope.median()}


# %%
grid = {"sigma_w": np.geomspace(0.25, 32, 15), "seed": range(3)}
scan = vg.sweep(vg.mlp, settled, depth=12, width=128, act="sigmoid", **grid)
scan = scan.melt(id_vars=["sigma_w", "seed"], value_vars=["per-layer factor", "rms slope"],
                 var_name="reading")

# %% name="figure-saturation"
dial = np.geomspace(0.25, 32, 60)
factors = vg.theory.layer_factor("sigmoid", dial)
theory = pd.concat([
    pd.DataFrame({"sigma_w": dial, "value": factors, "reading": "per-layer factor"}),
    pd.DataFrame({"sigma_w": dial, "value": factors / dial, "reading": "rms slope"}),
])
words = {"sigma_w": "weight scale σ_w", "value": "rms slope and factor"}
ax = vg.scan_plot(scan, "sigma_w", "value", by="reading", theory=theory, logx=True, logy=True,
                  guess=(16, guess_saturated), level=(1, "level"), labels=words,
                  title="The sigmoid's slope and factor")

# %% [markdown]
r"""
*Figure 2.3. The sigmoid's rms slope and its per-layer factor against the weight scale, both axes logarithmic. The
slope starts at a quarter and falls as units saturate; the factor, slope times scale, rises all the way and passes 1
near $\sigma_w = 10$. Medians and ranges of three seeds, theory dashed.*
"""

# %%
wide = vg.gradient_profile(vg.mlp(12, 128, act="sigmoid", sigma_w=16.0, seed=0), x, y)
wide = wide[wide.kind == "Sigmoid"].iloc[4:11]
check.prediction("2.3", guess_saturated, wide.gain.median())

# %% tags=["nbval-check-output"]
f"saturated: {wide.saturated.mean():.2f} of all values; rms slope: {wide.slope.median():.2f}"

# %% [markdown]
r"""
**What you see.** With most of its values saturated the network's factor is 1.2{#l2-saturated-factor}: its gradient
*explodes*. Two things happen as weights grow. More units saturate, which lowers the rms slope, here to
0.08{#l2-saturated-slope}; and what the others pass on is multiplied by larger weights. The second wins. In the limit
the share of values close enough to 0 to pass anything on falls like $1/\sigma_w$ and the rms slope like its root, so
the factor grows like $\sqrt{\sigma_w}$ and there is no peak.

So two causes of a small slope must be kept apart. The **central slope**: a quarter at best, it does the damage at
every ordinary initialization. And **saturation**: it silences most units and leaves the signal to a few. Few units
with large weights mean large gradients, not small ones.

> **Careful.** All this is said of networks before training. During training [Glorot and Bengio
> (2010)](https://proceedings.mlr.press/v9/glorot10a.html), section 3.1, saw the top layer of sigmoid networks drift into
> saturation at 0 and stay there for a long time: a third mechanism, which needs a training run to be seen.
"""

# %% [markdown] minutes=5
r"""
## Under the microscope

The histogram at the top is measured: it holds the preactivations of one layer of eight real networks over 64 digits.
Below it lie the activation and its slope. Where values meet a high slope, gradient gets through. Move `sigma_w` and
watch the histogram spread out of the window; then take layer 1, 2 and 5 of a tanh network at `sigma_w = 0.58` and
watch it shrink into the origin.
"""

# %%
vg.widgets.slope_microscope()

# %% [markdown]
r"""
*Figure 2.4. The slope microscope: where the preactivations of a chosen layer lie, above the activation and its slope
on the same axis; hatching marks the values at which the activation is saturated. The line of text reads the measured
rms slope, the share of saturated values and the per-layer factor beside theory.*
"""

# %% [markdown] minutes=9
r"""
## The other thing that is lost

A gradient can be small. It can also be *useless*, because the network no longer knows which input it is looking at.
Take two different digits and follow the **cosine** of the angle between their activations, averaged over all pairs: 1
means that all point the same way, 0 that on average they stand at right angles. The images, each pixel shifted to
mean 0, start at 0.

**Predict.** After three sigmoid layers with Xavier's weights, what is the cosine between two different digits?
"""

# %% tags=["predict"]
guess_cosine = 0.3  # cosine between two digits after three sigmoid layers

# %%
start = {"sigmoid": 1.0, "ReLU": 2**0.5, "tanh": 1.0}
build = lambda act, seed: vg.mlp(10, act=act, sigma_w=start[act], seed=seed)
cosines = vg.sweep(build, profile, act=list(start), seed=range(3))
vg.depth_plot(cosines, "cosine", by="act");

# %% [markdown]
r"""
*Figure 2.5. Mean cosine between the activations of two different digits, layer by layer. Tanh leaves the mean where
it was, ReLU lets them drift together slowly, the sigmoid makes them nearly one within three layers. Medians and
ranges of three seeds.*
"""

# %%
third = cosines[(cosines.kind == "Sigmoid") & (cosines.layer == "act3")].cosine
check.prediction("2.4", guess_cosine, third.median())

# %% [markdown]
r"""
**What you see.** After one layer the cosine is 0.87{#l2-sigmoid-cosine-1}, after three it is
0.9996{#l2-sigmoid-cosine-3}. A sigmoid's outputs lie around one half, so every activation vector is one and the same
long vector plus a small difference. Each layer renews the long vector and multiplies the difference by
0.24{#l2-difference-factor}: the very factor by which the gradient shrinks on its way back, as [Schoenholz et al.
(2017)](https://arxiv.org/abs/1611.01232) found in general.

ReLU's outputs are never negative, so they share a direction, too, only a shorter one.

Tanh is the same curve, moved and stretched so that its mean is 0 (exercise 2.2 finds the numbers), and its cosine
stays at 0.00{#l2-tanh-cosine}. [LeCun et al. (1998)](http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf), section
4.4, asked for activations that are centred for a related reason.

Keep the two diseases apart. A gradient that is small but still tells inputs apart can be rescaled, and an optimizer
that rescales each weight's step, such as Adam, can help. Where the inputs have become nearly one direction, a larger
step does not help: the common part has to be subtracted first, which is what batch normalization does.

**What it does not show.** That the digits are lost for good. A cosine of 0.9996{#l2-sigmoid-cosine-3} is not 1: the
difference is still there, in the last decimals, and a method that looked for it would find it. Gradient descent has
to find it first.

**Modify.** Give the sigmoid a `sigma_w` of `4.0` in the figure's cell. After how many layers does its cosine pass
`0.99` now? With a `sigma_w` of 1 it took two.
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=12
r"""
### Exercise 2.1: the rms slope of anything ★★ 12 minutes

Generalize the first section: for any smooth activation and any variance, by quadrature, with the slope from autograd.
"""

# %% exercise="2.1" tags=["nbval-check-output"]
def rms_slope(phi, q):
    """sqrt(E[phi'(z)^2]), z ~ N(0, q), as one number. phi maps a tensor to a tensor."""
    ### BEGIN SOLUTION
    z = (q**0.5 * points).requires_grad_()
    (slopes,) = torch.autograd.grad(phi(z).sum(), z)
    return (weights * slopes**2).sum().sqrt()
    ### END SOLUTION


check.rms_slope(rms_slope)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`points` are for variance 1. Values with variance $q$ are $\sqrt q$ times as large. Call `.requires_grad_()` on them before you
apply `phi`.
</details>

<details><summary>Hint 2</summary>

For an elementwise function, `torch.autograd.grad(phi(z).sum(), z)` is the vector of slopes: each $z$ enters one term
of the sum.
</details>
"""

# %% [markdown] minutes=5
r"""
### Exercise 2.2: one curve, moved ★ 5 minutes

Write tanh with the sigmoid alone. Then say, in a sentence to yourself, which of the numbers you put in bring the
slope to 1, and which the mean to 0.
"""

# %% exercise="2.2" tags=["nbval-check-output"]
def tanh_from_sigmoid(z):
    """tanh(z), computed with torch.sigmoid and arithmetic. z: any shape."""
    ### BEGIN SOLUTION
    return 2 * torch.sigmoid(2 * z) - 1
    ### END SOLUTION


check.tanh_from_sigmoid(tanh_from_sigmoid)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

The sigmoid runs from 0 to 1, tanh from $-1$ to 1: stretch it upwards first, then move it down.
</details>

<details><summary>Hint 2</summary>

The slope at the origin is still only half of tanh's. What does a factor inside the sigmoid do to it?
</details>
"""

# %% [markdown] minutes=12
r"""
### Exercise 2.3: how wide is the healthy window? ★★ 12 minutes

One sigmoid unit with one input $a$ passes the gradient on undiminished where $|w\,\sigma'(wa + b)| \ge 1$. For which
inputs is that so? Compute the width of that interval of $a$; it does not depend on $b$.
"""

# %% exercise="2.3" tags=["nbval-check-output"]
def healthy_width(w):
    """Width of the interval of a with |w sigmoid'(w a + b)| >= 1, 0.0 if there is none. w != 0."""
    ### BEGIN SOLUTION
    if abs(w) <= 4:
        return 0.0
    h = (1 + (1 - 4 / abs(w)) ** 0.5) / 2
    return 2 * np.log(h / (1 - h)) / abs(w)
    ### END SOLUTION


check.healthy_width(healthy_width)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

With $h = \sigma(z)$ the condition is $|w|\,h(1-h) \ge 1$, a quadratic inequality in $h$. When has it no solution?
</details>

<details><summary>Hint 2</summary>

Go back from $h$ to $z = \ln\frac{h}{1-h}$, and from $z$ to $a$: an interval of $z$ is $|w|$ times as wide as one of $a$.
</details>

The problem is from chapter 5 of [Nielsen (2015)](http://neuralnetworksanddeeplearning.com/chap5.html). When it is
solved, look for the $w$ with the widest window: it is less than half a unit of $a$.
"""

# %% [markdown] minutes=16
r"""
### Exercise 2.4: an activation of your own ★★★ 16 minutes, open

Choose numbers $\lambda$ and $a$ such that $\varphi(z) = \lambda \tanh(a z)$ keeps both the variance and the gradient
at $\sigma_w = 1$: $\mathbb{E}[\varphi^2] = 1$ and $\mathbb{E}[\varphi'^2] = 1$ for $z \sim N(0, 1)$. Is there such a
pair? If not, what is the best compromise, and by which measure?

The cell below prints both for one choice at variance 1, and the factor at the variance `q*` that a deep network of it
settles at. (For plain tanh that is 0: its signal dies, and a dead signal meets slope 1.) `vg.mlp` takes a function as
`act`, too.
"""

# %%
mine = lambda z: 1.0 * torch.tanh(1.0 * z)
print(f"at q = 1: mean square {vg.theory.mean_square(mine):.3f}, ", end="")
print(f"rms slope {vg.theory.rms_slope(mine):.3f}")
print(f"at q* = {vg.theory.q_star(mine, 1.0):.3f}: factor {vg.theory.layer_factor(mine, 1.0):.3f}")

# %% [markdown] tags=["solution"]
r"""
**One answer.** $\mathbb{E}[\varphi'^2] \ge \mathrm{Var}[\varphi]$ for every function of a Gaussian (the Gaussian
Poincaré inequality), with equality only for a straight line; tanh has mean 0, so both can be 1 only as $a \to 0$ and
$\lambda = 1/a$. Any curved choice with *mean 0* and mean square 1 has a factor above 1 and lets gradients grow a
little: [LeCun et al. (1998)](http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf) took `1.7159 tanh(2z/3)`: at
variance 1 its mean square is three quarters, so the signal sinks to a smaller variance, at which the factor is just
above 1. A small $a$ gets as close to 1 as you like and gives up the curvature, which is what the layer is there for.
SELU makes the same trade for an activation with a kink.
"""

# %% [markdown] minutes=2
r"""
## What we saw

- The slope that counts is averaged over a Gaussian: 0.21{#l2-sigmoid-rms-slope} for the sigmoid and
  0.68{#l2-tanh-rms-slope} for tanh at variance 1.
- Slope times `sigma_w` predicts the per-layer factor of a real network to a few per cent. With torch's default
  weights none of the eight keeps its gradient.
- The sigmoid's gradient vanishes while its units are *not* saturated; provoked by weights of sixteen times the usual
  size, saturation goes with a factor of 1.2{#l2-saturated-factor}, an explosion.
- Three sigmoid layers bring two digits to a cosine of 0.9996{#l2-sigmoid-cosine-3}: the inputs have become hard to
  tell apart, which a larger gradient does not repair.

**Where next.** Half of the factor is the weights'. Lesson 3 asks where they should start.
"""

# %% [markdown]
r"""
## In your own model

```python
with vg.probe(model, sample=None) as seen:  # reads every value; without it there is no cosine
    loss_fn(model(x), y).backward()
seen.table[["layer", "kind", "slope", "saturated", "cosine", "gain"]].dropna(subset="slope")
```

A slope far below 1 with few saturated values is a matter of the activation; many saturated values are a matter of the
weights or the learning rate; a cosine near 1 in the middle of the network means that it has stopped telling inputs
apart.
"""

# %% [markdown]
r"""
## Sources

- Y. LeCun, L. Bottou, G. Orr and K.-R. Müller (1998), [*Efficient
  BackProp*](http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf), section 4.4.
- X. Glorot and Y. Bengio (2010), [*Understanding the difficulty of training deep feedforward neural
  networks*](https://proceedings.mlr.press/v9/glorot10a.html), AISTATS, section 3.1.
- B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli (2016), [*Exponential expressivity in deep neural
  networks through transient chaos*](https://arxiv.org/abs/1606.05340), NeurIPS, equation 3.
- S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein (2017), [*Deep information
  propagation*](https://arxiv.org/abs/1611.01232), ICLR, equation 5 and section 4.
- M. Nielsen (2015), [*Neural Networks and Deep Learning*](http://neuralnetworksanddeeplearning.com/chap5.html),
  chapter 5.
"""
