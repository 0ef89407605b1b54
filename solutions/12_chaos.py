# %% [markdown]
r"""
# 12. How deep can a plain network be?

**Time** 60 minutes, and 42 for the exercises. **Needed first** Lessons 1 to 3: the backward signal, the per-layer factor, `sigma_w`, the cosine.
**New words** correlation map, ordered phase, chaotic phase, edge of chaos, depth scale, Jacobian, dynamical isometry.
"""

# %% [markdown]
r"""
**You will be able to**

- follow the correlation of two inputs to its fixed point, and say which of two phases a network is in;
- compute a depth scale from the activation alone, and say where it does and does not tell how deep training reaches;
- measure all singular values of a network's Jacobian, and say what the size of a gradient leaves open;
- choose between Gaussian and orthogonal weights, and say for which activations the choice matters.
"""

# %%
import numpy as np
import pandas as pd
import torch

import vglab as vg
from vglab import check, tasks

digits = tasks.digits()
sigma_b = 0.05**0.5  # biases: variance 0.05, as in the paper that this lesson follows

# %% [markdown] minutes=16
r"""
## Order and chaos

Lesson 2 followed the variance $q$ of the preactivations to its fixed point $q^*$. Two inputs have a second number,
their correlation $c$, and it has a map of its own. If both have the variance $q^*$, then one layer on

$$c_{l+1} = \frac{\sigma_w^2\,\mathbb{E}\bigl[\varphi(z_1)\,\varphi(z_2)\bigr] + \sigma_b^2}{q^*}, \qquad
z_1, z_2 \sim N(0, q^*) \text{ with correlation } c_l .$$

This **correlation map** is equation 5 of [Poole et al. (2016)](https://arxiv.org/abs/1606.05340). At $c = 1$ the two
inputs are one, so the numerator is $q^*$ and $c = 1$ is a fixed point. Whether it holds what comes near depends on
the slope of the map there,

$$\chi_1 = \sigma_w^2\,\mathbb{E}\bigl[\varphi'(z)^2\bigr],$$

the square of lesson 2's per-layer factor. The number that decides whether gradients vanish on the way back decides
whether differences vanish on the way forward.

Below 1, every pair of inputs ends at $c = 1$: the **ordered phase**. Above 1, a small difference grows, and the map
has another fixed point $c^* < 1$, where all pairs end, near or far: the **chaotic phase**. Between them lies the
**edge of chaos**, $\chi_1 = 1$.

**Predict.** To each digit add noise of one hundredth of its length: a twin that no eye can tell apart, with a
correlation of `0.99995`. Send both through 60 tanh layers with $\sigma_w = 2$. What is their correlation at the end?
"""

# %% tags=["predict"]
guess_twins = 0.95  # correlation of a digit and its twin after 60 layers, sigma_w = 2

# %%
def twins(network, seed):
    """Mean cosine between the preactivations of 256 digits and of their twins, layer by layer."""
    a, draw = digits.x[:256], torch.Generator().manual_seed(seed)
    noise = torch.randn(a.shape, generator=draw)
    b, rows = a + 0.01 * noise * a.norm(dim=1, keepdim=True) / noise.norm(dim=1, keepdim=True), []
    for module in network[:-1]:
        a, b = module(a), module(b)
        if isinstance(module, torch.nn.Linear):
            rows.append(torch.cosine_similarity(a, b).mean().item())
    return pd.DataFrame({"layer": range(1, len(rows) + 1), "cosine": rows})


# %% [markdown]
r"""
Three weight scales, three seeds each, 256 units; beside them the map, iterated from the same start.
"""

# %%
scales = [1.0, 1.327, 2.0]
net = {"depth": 60, "width": 256, "act": "tanh", "sigma_b": sigma_b}
table = vg.sweep(vg.mlp, twins, sigma_w=scales, seed=range(3), **net)


# %%
def iterated(sigma_w, c=0.99995, layers=60):
    """The correlation map, layer by layer."""
    line = []
    for _ in range(layers):
        line.append({"layer": len(line) + 1, "cosine": c, "sigma_w": sigma_w})
        c = vg.theory.correlation_map("tanh", c, sigma_w, sigma_b)
    return pd.DataFrame(line)


# %% name="figure-twins"
vg.scan_plot(table, "layer", "cosine", by="sigma_w", theory=pd.concat(map(iterated, scales)),
             guess=(60, guess_twins), title="Twins in order and chaos");

# %% [markdown]
r"""
*Figure 12.1. Correlation between a digit and its twin, layer by layer, for three weight scales. At $\sigma_w = 1$ and
at 1.327{#l12-edge} the twins stay together; at $\sigma_w = 2$ they stay together for some thirty layers and then part. Medians and ranges of three seeds,
the iterated map dashed.*
"""

# %%
last = table.query("sigma_w == 2 and layer == 60").cosine.median()
check.prediction("12.1", guess_twins, last)

# %% [markdown]
r"""
**What you see.** The twins end at 0.19{#l12-twins}, near the fixed point $c^* =$ 0.165{#l12-c-star}: hardly more
alike than two digits of different classes, which end there as well. Each layer multiplies the *squared* difference by
$\chi_1 =$ 1.34{#l12-chi-chaos}, which is slow at first and then decides everything. At $\sigma_w = 1$ the opposite
happens: any two inputs become one.

Both phases forget. In order every input gives the same answer; in chaos no two inputs that should share an answer do.

**What it does not show.** A loss of information in the strict sense: the map from input to output stays one-to-one in
exact arithmetic. What is lost is the chance to generalize from one input to its neighbour.

**Modify.** Change the noise from `0.01` to `0.0001`. By how many layers does the parting move? (Its square is ten
thousand times smaller; take the logarithm of that to the base $\chi_1$.)
"""

# %% [markdown] minutes=16
r"""
## The depth scale

Near its fixed point a map is nearly straight, so the distance from it is multiplied by the slope at each layer: it
falls like $e^{-l/\xi}$ with

$$\xi = -\frac{1}{\ln \chi_{c^*}},$$

where $\chi_{c^*}$ is the slope of the correlation map at its end, $\chi_1$ itself in the ordered phase. This $\xi$ is
the **depth scale** of [Schoenholz et al. (2017)](https://arxiv.org/abs/1611.01232), in layers. Only on the edge is it
infinite. No network is needed to draw it.
"""

# %%
plane = vg.theory.phase_diagram("tanh", np.linspace(0.5, 3, 100), np.linspace(0, 1, 60))
vg.phase_plot(plane, title="Tanh, from order to chaos");

# %% [markdown]
r"""
*Figure 12.2. Depth scale of tanh networks over weight and bias scale, from theory alone. Depth scales are long only in
a band about the edge of chaos (thick line), which starts at $\sigma_w = 1$ without biases and bends to the right with
them.*

With biases of variance 0.05{#set} the edge lies at $\sigma_w =$ 1.327{#l12-edge}, not at Xavier's 1. Biases widen the
preactivations, wider ones meet smaller slopes, and the weights must make up for it.

The paper reports that networks train to a depth of about $6\xi$. It trained with a width of 300{#set} and for very
many steps. Here are 216{#set} small networks: nine depths, eight scales, three seeds, each with 32 units and 250{#set} steps
of plain SGD. Deep in chaos, at $\sigma_w = 2$, theory has $6\xi =$ 42{#l12-six-xi-chaos}.

**Predict.** Of the depths `4, 8, 12, 16, 20, 24, 32, 40, 48`, which is the deepest whose networks still learn
more than half of the digits at $\sigma_w = 2$?
"""

# %% tags=["predict"]
guess_deepest = 40  # deepest network that still learns, sigma_w = 2

# %%
depths = [4, 8, 12, 16, 20, 24, 32, 40, 48]
variances = [0.6, 0.9, 1.2, 1.76, 2.2, 2.8, 3.2, 4.0]
runs = [(v**0.5, d, seed) for v in variances for d in depths for seed in range(3)]
models = [vg.mlp(d, 32, act="tanh", sigma_w=s, sigma_b=sigma_b, seed=seed) for s, d, seed in runs]
trained = vg.train_many(models, digits.x, digits.y, lr=0.05, steps=250, batch_size=16)

# %%
grid = pd.DataFrame(runs, columns=["sigma_w", "depth", "seed"])
grid["accuracy"] = trained.table.accuracy
reach = vg.theory.phase_diagram("tanh", np.linspace(0.72, 2.05, 200), sigma_b)
vg.trainability_plot(grid, theory=reach);

# %% [markdown]
r"""
*Figure 12.3. Training accuracy of 216{#set} tanh networks by weight scale and depth, with six depth scales dashed. On the
left the dashed line is the border between bright and dark; at the edge and on the right training stops far below it.
Medians of three seeds.*
"""

# %%
learned = grid.groupby(["sigma_w", "depth"]).accuracy.median() > 0.5
deepest = learned[learned].reset_index().groupby("sigma_w").depth.max()
check.prediction("12.2", guess_deepest, deepest.iloc[-1])

# %%
xi = vg.theory.depth_scales("tanh", deepest.index.to_numpy(), sigma_b)[1]
pd.DataFrame({"deepest": deepest, "6 xi": (6 * xi).round()})

# %% [markdown]
r"""
**What you see.** On the ordered side theory is quantitative: at $\sigma_w =$ 0.95{#set} it has
$6\xi =$ 17{#l12-six-xi-order}, and 16{#l12-deepest-order} layers still learn. On the edge, where $\xi$ is infinite, the
border is 24{#l12-deepest-edge}; at $\sigma_w = 2$ it is 16{#l12-deepest-chaos} instead of 42{#l12-six-xi-chaos}. Only
the shape is left: a peak near the edge, a slower fall on the right.

Two things that $\xi$ leaves out set the border there. One is the budget: a deep network at the edge learns slowly,
and this one has 250{#set} steps. The other is the width: a network of width $n$ and depth $L$ differs from the
infinite one by an amount that grows with $L/n$
([Hanin and Nica (2020)](https://arxiv.org/abs/1812.05994)), and with 32 units that is near 1 at the top.

**What it does not show.** Which of the two it is. And it speaks of one learning rate for all; on the chaotic side the
gradient explodes, so a smaller one might reach deeper.

**Modify.** Change `lr=0.05` to `0.02`, then `steps=250` to `500`. Which side of the picture moves?
"""

# %% [markdown] minutes=6
r"""
## Walk the plane

The map at the left is theory; the two profiles at the right are one real network of 30 layers at the place of the
cursor. Walk along $\sigma_b = 0$ from order to chaos and watch both profiles change at the same place. Then raise
$\sigma_b$ on the edge: which way must $\sigma_w$ go to stay on it?
"""

# %%
vg.widgets.phase_diagram()

# %% [markdown]
r"""
*Figure 12.4. The phase diagram with a cursor, and beside it the gradient on its way back and the cosine between
different digits on their way forward in one real network at that point (one seed, theory dashed). In order one falls
and the other rises to 1; in chaos the gradient grows towards the input and the cosine stays below 1.*
"""

# %% [markdown] minutes=20
r"""
## Isometry: every direction, not the average

On the edge a gradient keeps its *average* size. The **Jacobian** $J$ of the network, the matrix of all slopes
$\partial h_L / \partial h_0$, has as many singular values as directions, and $\chi_1^L$ is only the mean of their
squares. One long direction and many dead ones can have the mean 1, too.

Take the plainest case, no activation and no biases: a product of 32 Gaussian matrices of 200 units, $\sigma_w = 1$.
The mean square of its singular values is 1.

**Predict.** What is the median singular value of this product?
"""

# %% tags=["predict"]
guess_median = 0.5  # median singular value of a product of 32 Gaussian matrices

# %% [markdown]
r"""
Beside it stand three more networks on the edge of chaos. Automatic differentiation gives the whole Jacobian of each at
one input.
"""

# %%
kinds = {  # activation, weights, sigma_w on the edge of chaos
    "linear, Gaussian": ("linear", "normal", 1.0),
    "linear, orthogonal": ("linear", "orthogonal", 1.0),
    "tanh, orthogonal": ("tanh", "orthogonal", 1.0),
    "ReLU, orthogonal": ("relu", "orthogonal", 2**0.5),
}


# %%
def spectrum(kind, seed):
    """The 200 singular values of the Jacobian of 32 layers at one small random input."""
    act, scheme, sigma_w = kinds[kind]
    network = vg.mlp(32, 200, act=act, d_in=200, seed=seed)[:-1].double()
    vg.init_(network, scheme, sigma_w=sigma_w, seed=seed)
    h = 0.1 * torch.randn(200, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    jacobian = torch.autograd.functional.jacobian(lambda h: network(h[None])[0], h)
    return pd.DataFrame({"singular_value": torch.linalg.svdvals(jacobian).clamp(min=1e-9)})


# %%
build, run = lambda kind, seed: kind, lambda kind, seed: spectrum(kind, seed)
spectra = vg.sweep(build, run, kind=list(kinds), seed=range(3))
vg.spectrum_plot(spectra, by="kind", title="Which directions survive 32 layers");

# %% [markdown]
r"""
*Figure 12.5. Singular values of the Jacobian of 32 layers, sorted, for four kinds of network on the edge of chaos;
values below a billionth are drawn at the bottom. Orthogonal linear and tanh networks keep every direction; the
Gaussian product and ReLU lose most. Three seeds pooled.*
"""

# %%
middle = spectra.groupby("kind").singular_value.median()
check.prediction("12.3", guess_median, middle["linear, Gaussian"])

# %% [markdown]
r"""
**What you see.** The median of the Gaussian product is 1.3e-5{#l12-gaussian-median}; half of all directions are
shrunk a hundred-thousandfold or more, while the longest is stretched 8{#l12-gaussian-largest}-fold to keep the mean.
Theory for infinite width has 1.6e-5{#l12-gaussian-median-theory} for the median. An orthogonal matrix turns and never
stretches, and so does a product of them.

A network whose singular values are all near 1 has **dynamical isometry**. Tanh comes close with orthogonal weights: its
slopes are near 1 as long as the variance is small. ReLU does not: its slope is 0 for half of the units, each layer
cuts directions off, and no weights bring them back. [Pennington et al.
(2017)](https://arxiv.org/abs/1711.04735) prove that ReLU networks cannot be isometric.

> **Careful.** "Orthogonal initialization keeps gradients" is true of the linear and the nearly linear case. In
> ReLU networks more than half of the singular values are 0 with either kind of weights.

Does it matter for learning? Linear networks of 32 units, the best of five learning rates for each, and the first step
at which the loss of a batch is below one half. The orthogonal network of 4 layers takes 6{#l12-orthogonal-4} steps.

**Predict.** How many steps does the orthogonal network of 32 layers take?
"""

# %% tags=["predict"]
guess_steps = 100  # steps of the orthogonal linear network of 32 layers

# %%
rates, schemes = [0.01, 0.03, 0.1, 0.2, 0.4], {"Gaussian": "normal", "orthogonal": "orthogonal"}
runs = [(w, d, lr, s) for w in schemes for d in [4, 8, 16, 32] for lr in rates for s in range(3)]
start = lambda w, d, s: vg.init_(vg.mlp(d, 32, act="linear", seed=s), schemes[w], seed=s)
raced = vg.train_many([start(w, d, s) for w, d, _, s in runs], digits.x, digits.y, steps=200,
                      lr=[lr for *_, lr, _ in runs], batch_size=128, every=1)

# %%
race = pd.DataFrame(runs, columns=["weights", "depth", "lr", "seed"])
race["steps"] = raced.steps_to(loss=0.5).to_numpy()
best = race.groupby(["weights", "depth", "seed"], as_index=False).steps.min()
vg.scan_plot(best, "depth", "steps", by="weights", logx=True, logy=True,
             guess=(32, guess_steps), title="Time to learn against depth");

# %% [markdown]
r"""
*Figure 12.6. Steps until the loss of a batch is below one half, against depth, both axes logarithmic, linear networks.
With Gaussian weights the time grows faster than the depth; with orthogonal ones it hardly grows. Best of five
learning rates; medians and ranges of three seeds.*
"""

# %%
deep = best[best.depth == 32].groupby("weights").steps.median()
check.prediction("12.4", guess_steps, deep["orthogonal"])

# %% [markdown]
r"""
**What you see.** With orthogonal weights 32 layers take 11{#l12-orthogonal-32} steps, a few more than four layers; with Gaussian
ones 107{#l12-gaussian-32}. [Saxe et al. (2014)](https://arxiv.org/abs/1312.6120) found this for linear
networks: learning time that does not grow with depth.

**What it does not show.** That orthogonal weights speed up every network. These are linear, and a linear network of 32
layers computes nothing that one layer could not. All theory of this lesson is of the start of training: wide layers,
independent weights. For GELU and SiLU it fails even there, between $\sigma_w = \sqrt2$ and $2$: the variance then has
two ends and chance decides (`vg.theory.bistable`).

**Modify.** Change `act="linear"` to `"tanh"`. Does the advantage stay, and does the orthogonal time still not grow?
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=14
r"""
### Exercise 12.1: the number that decides ★★ 14 minutes

Compute $\chi_1$ for any smooth activation: first the fixed point of the variance, then the mean square slope there.
"""

# %%
points, weights = np.polynomial.hermite_e.hermegauss(100)
points, weights = torch.tensor(points), torch.tensor(weights / weights.sum())


# %% exercise="12.1" tags=["nbval-check-output"]
def chi1(phi, sigma_w, sigma_b):
    """sigma_w^2 E[phi'(z)^2], z ~ N(0, q*). phi maps a tensor to a tensor of the same shape."""
    ### BEGIN SOLUTION
    q = 1.0
    for _ in range(300):
        q = sigma_w**2 * (weights * phi(q**0.5 * points) ** 2).sum().item() + sigma_b**2
    z = (q**0.5 * points).requires_grad_()
    (slopes,) = torch.autograd.grad(phi(z).sum(), z)
    return sigma_w**2 * (weights * slopes**2).sum()
    ### END SOLUTION


check.chi1(chi1)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

The variance map is $q \mapsto \sigma_w^2\,\mathbb{E}[\varphi(z)^2] + \sigma_b^2$. Start at 1 and apply it some hundred
times.
</details>

<details><summary>Hint 2</summary>

For the slopes take `torch.autograd.grad(phi(z).sum(), z)`, as in exercise 2.1, at points scaled by $\sqrt{q^*}$.
</details>
"""

# %% [markdown] minutes=12
r"""
### Exercise 12.2: find the edge ★★ 12 minutes

For a given bias scale, find the weight scale between `0.5` and `4` at which $\chi_1 = 1$. In that range it rises with
$\sigma_w$ for the activations of the check.
"""

# %% exercise="12.2" tags=["nbval-check-output"]
def critical_scale(phi, sigma_b):
    """The sigma_w between 0.5 and 4 with chi_1 = 1."""
    ### BEGIN SOLUTION
    low, high = 0.5, 4.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if chi1(phi, middle, sigma_b) < 1 else (low, middle)
    return low
    ### END SOLUTION


check.critical_scale(critical_scale)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Halve the interval: if $\chi_1$ in its middle is below 1, the edge lies in the upper half. Use your own `chi1`, or
`vg.theory.chi(phi, sigma_w, sigma_b)`.
</details>

<details><summary>Hint 2</summary>

Twenty halvings leave a millionth of the interval. Keep `low` and `high` in two variables and replace one at each turn.
</details>
"""

# %% [markdown] minutes=16
r"""
### Exercise 12.3: what dropout does to the edge ★★★ 16 minutes, open

Dropout sets each unit to 0 with probability $1 - p$ and divides the others by $p$, with new draws for each input. What
becomes of $\mathbb{E}[h^2]$, and of $\mathbb{E}[h_1 h_2]$ for two copies of *one* input with separate draws? Is
$c = 1$ still a fixed point, and is there still an edge of chaos? The cell below follows the correlation of two copies.
"""

# %%
a = b = digits.x[:256]
with torch.no_grad():
    for module in vg.mlp(30, 256, act="tanh", sigma_w=1.327, sigma_b=sigma_b, seed=0)[:-1]:
        a, b = (torch.nn.functional.dropout(module(h), 0.1 * isinstance(module, torch.nn.Tanh))
                for h in (a, b))
f"after 30 layers: {torch.cosine_similarity(a, b).mean():.2f}"

# %% [markdown] tags=["solution"]
r"""
**One answer.** The mask has mean square $1/p$ and, for two separate draws, mean product 1. So the variance map becomes
$q = \sigma_w^2\,\mathbb{E}[\varphi^2]/p + \sigma_b^2$ while the numerator of the correlation map stays without the
$1/p$. At $c = 1$ the map now gives $1 - \sigma_w^2\,\mathbb{E}[\varphi^2](1/p - 1)/q^* < 1$: two copies of one input are
driven apart in every phase, and $c = 1$ is no fixed point. The depth scale is then finite everywhere, with no critical
point at which it diverges, as Schoenholz et al. (2017) found: dropout limits the depth of a plain network.
"""

# %% [markdown] minutes=2
r"""
## What we saw

- In chaos twins with a correlation of `0.99995` end at 0.19{#l12-twins}; in order all inputs become one. The number
  that decides is $\chi_1$, the square of the per-layer factor.
- Six depth scales predict the trainable depth in order (17{#l12-six-xi-order} against 16{#l12-deepest-order} layers),
  not at the edge and not in chaos (42{#l12-six-xi-chaos} against 16{#l12-deepest-chaos}).
- A product of 32 Gaussian layers has a mean square singular value of 1 and a median of 1.3e-5{#l12-gaussian-median}.
- Orthogonal weights keep every direction in linear networks, nearly every one with tanh, and not with ReLU: 32 linear
  layers learn in 11{#l12-orthogonal-32} steps instead of 107{#l12-gaussian-32}.

**Where next.** No one trains plain networks of a hundred layers today. Lesson 13 takes the same questions to residual
networks and transformers.
"""

# %% [markdown]
r"""
## In your own model

```python
vg.theory.depth_scales("tanh", sigma_w, sigma_b)  # (xi of the variance, xi of the correlation)
vg.init_(model, "orthogonal", sigma_w=vg.theory.critical_line("tanh", sigma_b), sigma_b=sigma_b)
```

The first says how deep a plain network of this kind can be expected to see; more than six times the second number is
deep. The second line puts a tanh network on the edge with orthogonal weights.
"""

# %% [markdown]
r"""
## Sources

- B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli (2016), [*Exponential expressivity in deep neural
  networks through transient chaos*](https://arxiv.org/abs/1606.05340), NeurIPS, equation 5.
- S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein (2017), [*Deep information
  propagation*](https://arxiv.org/abs/1611.01232), ICLR.
- A. Saxe, J. McClelland and S. Ganguli (2014), [*Exact solutions to the nonlinear dynamics of learning in deep linear
  neural networks*](https://arxiv.org/abs/1312.6120), ICLR.
- J. Pennington, S. Schoenholz and S. Ganguli (2017), [*Resurrecting the sigmoid in deep learning through dynamical
  isometry*](https://arxiv.org/abs/1711.04735), NeurIPS.
- B. Hanin and M. Nica (2020), [*Products of many large random matrices and gradients in deep neural
  networks*](https://arxiv.org/abs/1812.05994), Communications in Mathematical Physics.
"""
