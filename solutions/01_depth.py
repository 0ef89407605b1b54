# %% [markdown]
r"""
# 1. How far does a gradient travel?

**Time** 60 minutes, and 45 for the exercises. **Needed first** Python, a first acquaintance with torch: `nn.Sequential`, `loss.backward()`.
**New words** backward signal, decade, saturated, singular value.
"""

# %% [markdown]
r"""
**You will be able to**

- measure the gradient at the output of every layer of a network and state its loss in **decades** (factors of ten)
  per layer;
- compute the gradient of a chain of layers by hand, as a product with one factor for each layer;
- explain why depth turns a harmless factor into a network whose first layers cannot learn, or explode;
- tell a gradient that is small because training is done from one that is small because it was lost on the way.
"""

# %%
import math

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import check, tasks

x, y = tasks.digits().x[:256], tasks.digits().y[:256]

# %% [markdown] minutes=10
r"""
## The first layer's share

Here is a network as anyone might write it: twenty layers of 64 sigmoid units and a last linear layer with ten
outputs, the **read-out**, to tell handwritten digits apart. Nothing in it is ours, and nothing in it is broken. You
will compare the gradient that reaches the weights of the first layer with the one that reaches the twentieth.

**Predict.** The twentieth layer's weight gradient has some norm. What is the norm of the first layer's, as a fraction
of it? Write a number; `1` means equal, `0.01` means a hundredth.
"""

# %% tags=["predict"]
guess_fraction = 1e-3  # first layer's gradient norm over the twentieth layer's

# %%
torch.manual_seed(0)
layers = [module for _ in range(20) for module in (nn.Linear(64, 64), nn.Sigmoid())]
model = nn.Sequential(*layers, nn.Linear(64, 10))
F.cross_entropy(model(x), y).backward()

linears = [layer for layer in model if isinstance(layer, nn.Linear)]
norms = torch.tensor([layer.weight.grad.norm().item() for layer in linears], dtype=torch.float64)

# %% [markdown]
r"""
The norms of layers 1, 5, 9, 13 and 17, of layer 20, and of the read-out:
"""

# %% tags=["nbval-check-output"]
[f"{norm:.0e}" for norm in norms[[0, 4, 8, 12, 16, 19, 20]]]

# %%
check.prediction("1.1", guess_fraction, norms[0] / norms[19])

# %% [markdown]
r"""
**What you see.** The read-out and the last hidden layers get gradients of an ordinary size. Going towards the input
they shrink steadily, and the first layer's is about 15.7{#l1-default-sigmoid-weight-decades} decades below the
twentieth's. This network does not have small gradients: it has good gradients at one end and none to speak of at the
other. At any learning rate of plain gradient descent that suits layer 20, layer 1 stands still.

**What it does not show.** Whether the sigmoid, the weights or the depth is to blame. The number mixes all three, and
it mixes in the size of each layer's *input* too, since a weight's gradient is the product of what comes back from the
loss and what came in from the layer below. The next round takes the first of these alone.

**Modify.** Replace `nn.Sigmoid` by `nn.Tanh` in the cell that builds the network, and run it and the next. How many
decades lie between layer 1 and layer 20 now? Put the sigmoid back before you go on.
"""

# %% [markdown] minutes=14
r"""
## A product with one factor per layer

Take the smallest deep network there is, one unit per layer: $h_l = \sigma(w_l h_{l-1})$ with preactivations
$z_l = w_l h_{l-1}$. With $\sigma$ for the sigmoid, the chain rule gives the gradient of the loss at the input as a
product,

$$\frac{\partial L}{\partial h_0} = \frac{\partial L}{\partial h_L}\,\prod_{l=1}^{L} \sigma'(z_l)\, w_l .$$

Each layer contributes one factor, the slope of the activation times the weight. With whole layers the factors become
matrices of partial derivatives, the **Jacobians** $J_l = \operatorname{diag}(\sigma'(z_l))\,W_l$, and the product
stays: this is equation 5 of [Pascanu, Mikolov and Bengio (2013)](https://arxiv.org/abs/1211.5063), written there for
recurrent networks, whose steps in time are layers here, and [Hochreiter
(1991)](https://people.idsia.ch/~juergen/SeppHochreiter1991ThesisAdvisorSchmidhuber.pdf) and, independently, Bengio,
Simard and Frasconi (1994) found what it does.

What travels back, $\partial L / \partial h_l$, is called the **backward signal**.

**Predict.** From the output of one sigmoid layer to the output of the layer below it, the backward signal is
multiplied by some factor, about the same at every layer. The slope of the sigmoid is $\tfrac14$ at its steepest. What
is the factor in this network?
"""

# %% tags=["predict"]
guess_factor = 0.25  # the backward signal's factor per layer

# %% [markdown]
r"""
To see the backward signal, ask torch to keep the gradient of every intermediate result.
"""

# %%
def backward_signal(model, x, y):
    """Root mean square of dL/dh behind each module of a Sequential, from input to output."""
    outputs = []
    for module in model:
        x = module(x)
        x.retain_grad()
        outputs.append(x)
    F.cross_entropy(x, y).backward()
    return [h.grad.double().square().mean().sqrt().item() for h in outputs]


# %% [markdown]
r"""
The squares are taken in double precision on purpose: in float32 the square of any number below about `3e-23` is
exactly zero, and a plain `.norm()` of a smaller gradient would call it gone when it is only small.
"""

# %% tags=["nbval-check-output"]
[f"{rms:.0e}" for rms in backward_signal(model, x, y)[1::8]]

# %% [markdown]
r"""
From here on `vg.probe` does what `backward_signal` did, for any torch model and without a loop of yours; it changes
no bit of the gradients. The table it returns has one row per module, with the backward signal as `grad_rms`, and as
`gain` its ratio to the next row of the same kind, which is the factor per layer. `vg.depth_plot` draws it.
"""

# %%
with vg.probe(model) as seen:
    F.cross_entropy(model(x), y).backward()
vg.depth_plot(seen.table, guess=guess_factor);

# %% [markdown]
r"""
*Figure 1.1. The backward signal falls in a straight line on a logarithmic axis, by the same factor at each of the
twenty layers, and by more than a factor of four at each. Read it from the right, where the loss is, to the left; the
decades stand at the right, and a guess, if you made one, is dotted.*
"""

# %%
factors = seen.table[seen.table.kind == "Sigmoid"].gain
check.prediction("1.2", guess_factor, factors.median())

# %% [markdown]
r"""
**What you see.** A straight line: the factor is 0.14{#l1-default-sigmoid-factor}, at every layer, which is
0.85{#l1-default-sigmoid-decades} decades per layer. It is *not* a quarter.

The units here work near $z = 0$, where the sigmoid is as steep as it gets, so its slope does cost nearly a factor of
four; but the weights multiply too. Torch draws them from $U(-1/\sqrt{n}, 1/\sqrt{n})$, where $n$ is the number of
inputs. Their variance is $1/(3n)$; a sum of $n$ signals with such weights has a third of one signal's mean square, so
a matrix of them passes on 0.58{#l1-default-weight-factor} of the signal's size, $1/\sqrt3$. Slope times weights gives
the line.

> **Careful.** "The gradient of a sigmoid network is $(1/4)^L$" forgets the weights. A quarter bounds the slope,
> not the factor: large enough weights make the factor larger than a quarter, the usual ones make it smaller.

**Modify.** `vg.mlp(20, act="sigmoid", sigma_w=4.0, seed=0)` is nearly the same network, with larger weights, Gaussian
and without biases: `sigma_w` is the standard deviation of a weight times $\sqrt{n}$, for torch's default
$1/\sqrt{3}$. In a new cell, draw `vg.depth_plot(vg.gradient_profile(..., x, y))` of it. Is the line steeper or
flatter?
"""

# %% [markdown] minutes=12
r"""
## Depth is an exponent

One factor per layer means that depth is an exponent. The same twenty lines of code, asked for other activations and
other weights, draw other lines. `vg.mlp` builds the network you wrote above: `depth` hidden layers and a read-out.
Two weight scales have names, after Xavier Glorot ([2010](https://proceedings.mlr.press/v9/glorot10a.html); `sigma_w`
of 1 where layers are square) and Kaiming He ([2015](https://arxiv.org/abs/1502.01852); $\sqrt2$).

**Predict.** A tanh network whose weights are all drawn from the standard normal distribution, $N(0, 1)$. With 64
inputs per unit that is `sigma_w = 8`: preactivations are huge and four units in five are **saturated**, that is, on
the flat parts of the curve. Over twenty layers, what is the backward signal at layer 1 as a fraction of that at layer
20?
"""

# %% tags=["predict"]
guess_wild = 1e-6  # backward signal at layer 1 over layer 20, tanh, sigma_w = 8

# %%
depth = 20
nets = {
    "sigmoid, Xavier": {"act": "sigmoid", "sigma_w": 1.0},
    "ReLU, torch's default": {"act": "relu"},
    "tanh, torch's default": {"act": "tanh"},
    "ReLU, He": {"act": "relu", "sigma_w": 2**0.5},
    "tanh, N(0, 1) weights": {"act": "tanh", "sigma_w": 8.0},
}

# %% [markdown]
r"""
Three networks of each kind, with three seeds, and beside each the line that theory predicts from the activation and
`sigma_w` alone. Lesson 2 builds that theory; for now it is a second opinion.
"""

# %% name="figure-five-networks"
tables = [
    vg.gradient_profile(vg.mlp(depth, seed=seed, **net), x, y).assign(net=name, seed=seed)
    for name, net in nets.items()
    for seed in range(3)
]
scale = {"sigma_w": vg.theory.TORCH_DEFAULT}
theory = {
    name: vg.theory.gradient_profile(depth=depth, **{**scale, **net}) for name, net in nets.items()
}
vg.depth_plot(pd.concat(tables), by="net", theory=theory);

# %% [markdown]
r"""
*Figure 1.2. Five networks of the same shape: three lose the gradient, one keeps it, one lets it grow a millionfold.
Lines are medians over three seeds with their range, dashes are theory. All meet at the right, where the backward
signal is set to 1; the left end is what layer 1 receives.*
"""

# %% [markdown]
r"""
Decades per layer, towards the input, as the median over layers and seeds:
"""

# %% tags=["nbval-check-output"]
gains = pd.concat(tables).dropna(subset="slope").groupby("net", sort=False).gain.median()
gains.map(math.log10).round(2)

# %%
wild = pd.concat(tables).query("net == 'tanh, N(0, 1) weights' and seed == 0")
wild = wild[wild.kind == "Tanh"].grad_rms
check.prediction("1.3", guess_wild, wild.iloc[0] / wild.iloc[-1])

# %% [markdown]
r"""
**What you see.** Sigmoid with Xavier weights loses 0.63{#l1-xavier-sigmoid-decades} decades per layer, ReLU as torch
sets it up 0.40{#l1-default-relu-decades}, tanh 0.25{#l1-default-tanh-decades}; ReLU with He's weights keeps its
gradient. The network with $N(0, 1)$ weights is the surprise: four units in five are saturated, and the gradient
*grows* by 0.33{#l1-wild-tanh-decades} decades per layer, a millionfold over twenty. The units that are not saturated
carry the rms slope to 0.26{#l1-wild-slope}, and the weights multiply by eight.

So vanishing and exploding gradients are one phenomenon with two signs, and only a factor of 1 escapes both.
Saturation is neither necessary for vanishing (the sigmoids of Figure 1.1 were at their steepest) nor sufficient.

**What it does not show.** That a network with a flat line trains well, or that one with a falling line never does:
these are networks before their first step.

**Modify.** Double `depth` to forty layers. Which of the five slopes, in decades per layer, change?
"""

# %% [markdown] minutes=5
r"""
## Turn the knobs

The same measurement, live. Every move of a slider builds the network anew, runs 64 digits forward and the gradient
back, and draws both the measured signal and the theory. Choose the preset *ReLU, He*, set the depth to fifty, and
find out how far below $\sqrt{2}$ `sigma_w` may be before layer 1 receives less than a thousandth.
"""

# %%
vg.widgets.gradient_cascade(guess=guess_factor)

# %% [markdown]
r"""
*Figure 1.3. The gradient cascade: the backward signal at each layer of a real network, relative to the last, as
depth, weight scale and activation change; theory dashed, your guess dotted. A horizontal line marks where
half-precision numbers (fp16) end for this network's gradients; those of float32 end far below, long after a gradient
has become useless.*

> **Careful.** Vanishing is not underflow. A gradient of $10^{-18}$ is a perfectly good float32, whose smallest normal
> number is $2^{-126}$; it is useless because a step of that size changes nothing. Half precision does underflow, which
> makes a second, separate trouble.
"""

# %% [markdown] minutes=11
r"""
## Which property of a matrix decides?

The factor per layer is an average. What a *particular* signal suffers depends on its direction, and a matrix treats
directions differently: along its singular vectors it multiplies lengths by its **singular values**. Multiply twenty
random matrices, each scaled so that it preserves length on average, and look at the product's singular values.

**Predict.** Half of the product's singular values lie below their *median*. What is it, for twenty Gaussian
$64 \times 64$ matrices?
"""

# %% tags=["predict"]
guess_median = 1.0  # median singular value of the product of twenty matrices

# %%
generator = torch.Generator().manual_seed(0)
matrices = torch.randn(20, 64, 64, generator=generator, dtype=torch.float64) / 64**0.5
rotations = torch.linalg.qr(matrices).Q

# %% [markdown]
r"""
`torch.linalg.multi_dot` multiplies them all; the rotations are orthogonal matrices made from the same numbers.
"""

# %% tags=["nbval-check-output"]
factors = {"Gaussian": matrices, "orthogonal": rotations}
products = {name: torch.linalg.multi_dot([*ws]) for name, ws in factors.items()}
singular = {name: torch.linalg.svdvals(product) for name, product in products.items()}
readings = {"largest": torch.max, "median": torch.median, "rms": lambda s: s.square().mean().sqrt()}
{name: [f"{what} {f(s):.2g}" for what, f in readings.items()] for name, s in singular.items()}

# %%
check.prediction("1.4", guess_median, singular["Gaussian"].median())

# %% [markdown]
r"""
**What you see.** Length is preserved on average (the rms is 1 up to the luck of the draw), and yet in a space of
32{#set} dimensions, half of all there are, every signal shrinks to less than about a thousandth,
0.001{#l1-product-median}. A random signal hardly notices, because it always has a share in the few directions that
are stretched severalfold; what is lost is whatever distinguishes one signal from another in the other dimensions.

Why so much? A random matrix has 64 dimensions for the first direction, and for each later one only those that the
directions before it have left: $65 - k$ for direction number $k$, which makes a factor of about $\sqrt{(65 - k)/64}$
per matrix. For direction number 32{#set} that is `0.72`, and `0.72**20` is about a thousandth.

A product of orthogonal matrices has every singular value equal to 1: no direction is lost. [Saxe, McClelland and
Ganguli (2014)](https://arxiv.org/abs/1312.6120) made this a reason to initialize with orthogonal matrices. It holds
for linear layers; activations between them undo part of it.

The largest singular value *bounds* what one layer can do: if slope times largest singular value stays below some
number less than 1 at every layer, the gradient vanishes for certain. Above 1 nothing is certain. Eigenvalues, the
factors along the directions that a matrix leaves unturned, decide neither one layer nor a product of different
layers. Both eigenvalues of the next matrix are one half; the numbers are the lengths of a signal after
`1, 2, 4, 8, 16` copies of it.
"""

# %% tags=["nbval-check-output"]
shear = torch.tensor([[0.5, 10.0], [0.0, 0.5]])
copies = [torch.linalg.matrix_power(shear, k) for k in (1, 2, 4, 8, 16)]
[round((product @ torch.tensor([0.0, 1.0])).norm().item(), 3) for product in copies]

# %% [markdown]
r"""
A signal through two copies of it is still ten times as long as it was; only after many *equal* layers do the
eigenvalues win, and the layers of a deep network are not equal. Look at the singular values, then, and at those of
the whole product.
"""

# %% [markdown] minutes=6
r"""
## Small is not vanished

One more network, a healthy one: five ReLU layers with He's weights, trained until it has learned its digits by heart.
Near a minimum every gradient is small.

**Predict.** After training, by what factor is the backward signal at layer 1 larger or smaller than at layer 5?
"""

# %% tags=["predict"]
guess_trained = 0.01  # backward signal at layer 1 over layer 5, after training

# %% [markdown]
r"""
The numbers shown say how many times smaller the backward signal has become, layer by layer.
"""

# %%
healthy = vg.mlp(5, act="relu", sigma_w=2**0.5, seed=0)
before = vg.gradient_profile(healthy, x, y)
optimizer = torch.optim.SGD(healthy.parameters(), lr=0.1)
for _ in range(200):
    optimizer.zero_grad()
    F.cross_entropy(healthy(x), y).backward()
    optimizer.step()
after = vg.gradient_profile(healthy, x, y)

# %%
signal = pd.DataFrame({"before": before.grad_rms, "after": after.grad_rms})
signal = signal[before.kind == "ReLU"]
(signal.before / signal.after).round().tolist()

# %%
check.prediction("1.5", guess_trained, signal.after.iloc[0] / signal.after.iloc[-1])

# %% [markdown]
r"""
**What you see.** Training made every layer's signal some 50{#l1-trained-fall-first} to 100{#l1-trained-fall-last}
times smaller, and layer 1 hears about 2.4{#l1-trained-ratio} times as much as layer 5, where it was
1.1{#l1-untrained-ratio} before: training turned the ends by a factor of two, and the sizes by a hundred.

A small gradient means that there is little left to learn, or that the way is blocked; the number alone cannot tell.
Compare it *across layers*, and look at the loss: small everywhere at a small loss is a finished network, small at one
end is a vanishing gradient. Small everywhere at a *large* loss exists, too: that is a plateau, and lesson 3 meets
one.
"""

# %% [markdown]
r"""
## Exercises

Write over the `...` and run the cell. Each check says the first thing that is wrong.
"""

# %% [markdown] minutes=6
r"""
### Exercise 1.1: a chain by hand ★ 6 minutes

One sigmoid unit per layer, as in the second section. Compute $\partial h_L / \partial h_0$ from the weights and the
preactivations, without autograd.
"""

# %% exercise="1.1" tags=["nbval-check-output"]
def chain_gradient(w, z):
    """dh_L/dh_0 of the chain h_l = sigmoid(z_l), z_l = w_l h_(l-1): a number. w, z: (layers,)."""
    ### BEGIN SOLUTION
    h = torch.sigmoid(z)
    return (w * h * (1 - h)).prod()
    ### END SOLUTION


check.chain_gradient(chain_gradient)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

The slope of the sigmoid can be written with its value alone: $\sigma'(z) = \sigma(z)\,(1 - \sigma(z))$.
</details>

<details><summary>Hint 2</summary>

One factor per layer, slope times weight; `tensor.prod()` multiplies them.
</details>
"""

# %% [markdown] minutes=14
r"""
### Exercise 1.2: a probe of your own ★★ 14 minutes

`backward_signal` needs a `Sequential` and leaves gradients behind in the parameters. Write a version that works for
any model whose children are each called once (a residual block is such a child), and that leaves nothing behind.
"""

# %% exercise="1.2" tags=["nbval-check-output"]
def grad_profile(model, x, y):
    """Root mean square of dL/d(output) of each child of `model`, input to output: a list of floats.

    L is the cross-entropy of model(x), (batch, classes), with y. Leaves no hook and no .grad.
    """
    ### BEGIN SOLUTION
    outputs = []
    hook = lambda module, args, output: outputs.append(output)
    handles = [child.register_forward_hook(hook) for child in model.children()]
    loss = F.cross_entropy(model(x), y)
    for handle in handles:
        handle.remove()
    return [g.double().square().mean().sqrt().item() for g in torch.autograd.grad(loss, outputs)]
    ### END SOLUTION


check.grad_profile(grad_profile)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`child.register_forward_hook(f)` calls `f(module, args, output)` after each forward call and returns a handle with a
method `remove()`.
</details>

<details><summary>Hint 2</summary>

`torch.autograd.grad(loss, outputs)` returns the gradients without storing any of them in `.grad`.
</details>
"""

# %% [markdown] minutes=10
r"""
### Exercise 1.3: a line without slope ★★ 10 minutes

Find a `sigma_w` for which the backward signal of a tanh network with 30 layers of 64 units neither vanishes nor
explodes: less than `0.01` decades per layer, on networks that you do not know. The widget helps,
`vg.gradient_profile` is quicker.
"""

# %% exercise="1.3" tags=["nbval-check-output"]
def flat_scale():
    """A sigma_w that keeps the backward signal of the tanh network level, as a number."""
    ### BEGIN SOLUTION
    return 1.12
    ### END SOLUTION


check.flat_scale(flat_scale)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

At torch's default, $1/\sqrt{3}$, the line falls; at `8` it rises. Halve the interval.
</details>

<details><summary>Hint 2</summary>

The slope in decades per layer is the title of `vg.depth_plot`; in code, it is minus the `log10` of the median `gain` of the rows
whose `kind` is `Tanh`.
</details>
"""

# %% [markdown] minutes=15
r"""
### Exercise 1.4: spot the flaw ★★★ 15 minutes, open

A colleague draws the gradient norm of every parameter tensor of `model`, in order, and concludes: "Only the last
three layers get a gradient, all others get none, and the zigzag shows that it comes and goes." Run the cell, name
three flaws of the picture or the conclusion, and draw a better one.
"""

# %%
model.zero_grad()
F.cross_entropy(model(x), y).backward()
norms = [parameter.grad.norm().item() for parameter in model.parameters()]
pd.Series(norms).plot(xlabel="parameter tensor", ylabel="gradient norm");

# %% [markdown]
r"""
*Figure 1.4. The colleague's plot: gradient norms of 42 parameter tensors in order. A line along the bottom, then a
steep zigzag at the right end.*
"""

# %% [markdown] tags=["solution"]
r"""
**One answer.** The axis is linear, so everything below a hundredth of the largest value is drawn as zero: the fall is
as steep in the last layers as in the first, as a logarithmic axis shows at once. Weights and biases are joined by one
line, tensors of different shape with different norms, and that alone makes the zigzag. And a norm grows with the
number of entries, so tensors of different size are not comparable: take the root mean square. A fourth flaw is the
quantity itself: a weight's gradient contains the size of the layer's input; the backward signal does not.
"""

# %% [markdown] minutes=2
r"""
## What we saw

- Measured behind every layer, the backward signal of a twenty-layer sigmoid network falls by
  0.85{#l1-default-sigmoid-decades} decades per layer with torch's own weights and by 0.63{#l1-xavier-sigmoid-decades}
  with Xavier's.
- The gradient of a chain is a product with one factor per layer, slope times weight.
- Depth is the exponent of that factor: $N(0, 1)$ weights turn a tanh network's twenty layers into a millionfold
  *growth*, though four units in five are saturated.
- A trained network's gradients are small everywhere, a sick one's at one end: compare across layers, and look at the
  loss.

**Where next.** Lesson 2 takes the factor apart and predicts it, from the activation's slope, before anything is run.
"""

# %% [markdown]
r"""
## In your own model

```python
with vg.probe(model) as seen:
    loss_fn(model(x), y).backward()
vg.depth_plot(seen.table)
```

A line that falls towards the left by more than a tenth of a decade per layer deserves a look; one that rises, too.
Compare the ends before you compare sizes.
"""

# %% [markdown]
r"""
## Sources

- S. Hochreiter (1991), [*Untersuchungen zu dynamischen neuronalen
  Netzen*](https://people.idsia.ch/~juergen/SeppHochreiter1991ThesisAdvisorSchmidhuber.pdf), diploma thesis, TU
  München: the first analysis of the effect, in German. Summarized in S. Hochreiter, Y. Bengio, P. Frasconi and J.
  Schmidhuber (2001), *Gradient flow in recurrent nets: the difficulty of learning long-term dependencies*.
- Y. Bengio, P. Simard and P. Frasconi (1994), *Learning long-term dependencies with gradient descent is difficult*,
  IEEE Transactions on Neural Networks 5, 157–166.
- X. Glorot and Y. Bengio (2010), [*Understanding the difficulty of training deep feedforward neural
  networks*](https://proceedings.mlr.press/v9/glorot10a.html), AISTATS.
- R. Pascanu, T. Mikolov and Y. Bengio (2013), [*On the difficulty of training recurrent neural
  networks*](https://arxiv.org/abs/1211.5063), ICML.
- A. Saxe, J. McClelland and S. Ganguli (2014), [*Exact solutions to the nonlinear dynamics of learning in deep linear
  neural networks*](https://arxiv.org/abs/1312.6120), ICLR.
- K. He, X. Zhang, S. Ren and J. Sun (2015), [*Delving deep into rectifiers: surpassing human-level performance on
  ImageNet classification*](https://arxiv.org/abs/1502.01852), ICCV.
"""
