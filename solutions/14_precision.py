# %% [markdown]
r"""
# 14. When does a gradient become zero?

**Time** 55 minutes, and 45 for the exercises. **Needed first** Lessons 1 to 3; lesson 4 for its update ratio.
**New words** underflow, subnormal, loss scaling, master weights.
"""

# %% [markdown]
r"""
**You will be able to**

- place a gradient on the ranges of float32, float16 and bfloat16, and predict which share of it survives;
- choose a **loss scaling**, and say what it repairs and what it cannot;
- find updates that are lost although no gradient is, and keep them with a float32 copy of the weights.
"""

# %%
import copy
import math

import pandas as pd
import torch
from torch.nn import functional as F

import vglab as vg
from vglab import check, tasks

digits = tasks.digits()
x, y = digits.x[:256], digits.y[:256]

# %% [markdown] minutes=16
r"""
## Three formats

"Gradients vanish because numbers get too small for the computer." Lesson 1 met gradients of a millionth of a
millionth in float32 that were perfectly good numbers, in networks that did not learn. But training is seldom done in
float32 alone any more, and the half-precision formats end much sooner. The next cell asks torch where: at the largest number,
at the smallest with all its digits, and at the smallest of all, a **subnormal**, whose leading digits are gone.
"""

# %% tags=["nbval-check-output"]
limits = {}
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    info = torch.finfo(dtype)
    subnormal = info.smallest_normal * info.eps
    limits[str(dtype)[6:]] = [info.max, info.smallest_normal, subnormal, info.eps]
names = ["largest", "least normal", "least subnormal", "gap above 1"]
pd.DataFrame(limits, index=names).map("{:.0e}".format)

# %% [markdown]
r"""
float16 and bfloat16 both spend two bytes and spend them differently: float16 on digits, bfloat16 on range, which is
float32's. What is less than half of the least subnormal is rounded to 0; that is **underflow**. For float16 the
limit is $2^{-25}$, three hundred-millionths.

Take the network of lesson 1 that loses its gradient, sigmoid with Xavier's weights, at eight layers. Here is the
gradient of its first layer's weights, computed in float64, and the share of it that becomes 0 when it is rounded to
float16 afterwards.
"""


# %%
def first_gradient(depth, dtype, *, scale=1.0, seed=0):
    """Gradient of layer 1's weights, (64, 64), of a sigmoid network in `dtype`, loss * `scale`."""
    model = vg.mlp(depth, act="sigmoid", sigma_w=1.0, seed=seed).to(dtype)
    (scale * F.cross_entropy(model(x.to(dtype)), y)).backward()
    return model.linear1.weight.grad


# %%
exact = first_gradient(8, torch.float64)
meant = exact != 0  # some pixels are always blank: their weights' gradient is 0 in any format
rounded_away = (exact.half()[meant] == 0).double().mean().item()
f"rms {exact[meant].square().mean().sqrt():.0e}, rounded to 0: {rounded_away:.0%}"

# %% [markdown]
r"""
About a fifth of the finished gradient is below the limit; the rest has at least a digit left.

**Predict.** Now let the whole network, forward and backward, run in float16, as on a GPU. Which share of the same
gradient is 0?
"""

# %% tags=["predict"]
guess_lost = 0.3  # share of the first layer's gradient that a float16 backward pass turns into 0

# %%
def share_lost(depth, dtype, seed):
    """Share of the gradient that is 0 when the network runs in `dtype`; None: rounded later."""
    full = first_gradient(depth, torch.float64, seed=seed)
    low = first_gradient(depth, dtype, seed=seed) if dtype else full.half()
    return (low[full != 0] == 0).double().mean().item()


# %% [markdown]
r"""
The answer, for all depths from four to ten, beside bfloat16 and beside the rounding of the finished gradient:
"""

# %%
hows = {
    "run in float16": torch.float16,
    "run in bfloat16": torch.bfloat16,
    "rounded to float16": None,
}
lost = pd.DataFrame([
    {"depth": depth, "how": how, "share": share_lost(depth, dtype, seed)}
    for depth in range(4, 11) for seed in range(3) for how, dtype in hows.items()
])

# %%
vg.scan_plot(lost, "depth", "share", by="how", guess=(8, guess_lost),
             labels={"depth": "depth of the sigmoid network", "share": "gradient that is 0"},
             title="How much of the first layer's gradient is lost");

# %% [markdown]
r"""
*Figure 14.1. Share of the first layer's weight gradient that is exactly 0, against depth. Run in float16 it goes from
hardly any at six layers to nearly all at eight; rounding a finished gradient to float16 puts the wall two layers
later; bfloat16 loses none. Medians and ranges of three seeds.*
"""

# %%
eight = lost[(lost.depth == 8) & (lost.how == "run in float16")]
check.prediction("14.1", guess_lost, eight.share.median())

# %% [markdown]
r"""
**What you see.** At eight layers 96 %{#l14-lost-8} of the gradient is gone, although rounding the true one would have
taken only 23 %{#l14-rounded-8}. A weight's gradient is a sum over the examples, and what is summed is far smaller
than the sum: the loss is a mean, so each of the 256{#set} examples carries its part of it and no more. The sum comes
too late; its terms have underflowed on their way down.

Two layers fewer, and 3 %{#l14-lost-6} is lost: the signal shrinks more than fourfold a layer, so the format's end is
met suddenly.

**What it does not show.** A cause of the vanishing. In float32 and bfloat16 every number is there, and the
network learns as little.

**Modify.** Give `first_gradient` half of the batch, `x[:128]` and `y[:128]`. Does the wall in float16 move towards more
layers or fewer? (Each example's share of the mean doubles.)
"""

# %% [markdown] minutes=18
r"""
## Loss scaling

If numbers are too small for the format, multiply them. Backpropagation is linear: a loss times $s$ gives gradients
times $s$, in every layer, and dividing the finished gradients by $s$ in float32 gives the ones wanted. **Loss
scaling** is this, proposed by [Micikevicius et al. (2018)](https://arxiv.org/abs/1710.03740), section 3.2. Measured on
the same eight layers, as the relative error of the first layer's gradient:
"""


# %%
def error(scale, dtype, seed=0):
    """Relative error of layer 1's gradient in `dtype`, by norm, with the loss times `scale`."""
    exact = first_gradient(8, torch.float64, seed=seed)
    low = first_gradient(8, dtype, scale=scale, seed=seed).double() / scale
    return ((low - exact).norm() / exact.norm()).item()


# %%
errors = pd.DataFrame([
    {"scale": 2.0**k, "error": error(2.0**k, dtype, seed), "format": name}
    for k in range(0, 23, 2)
    for seed in range(3)
    for name, dtype in {"float16": torch.float16, "bfloat16": torch.bfloat16}.items()
])
ax = vg.scan_plot(errors, "scale", "error", by="format", logx=True, logy=True,
                  labels={"scale": "loss scale", "error": "relative error of the gradient"},
                  title="Scaling brings the gradient back")

# %% [markdown]
r"""
*Figure 14.2. Relative error of the first layer's gradient against the factor on the loss, eight sigmoid layers, both
axes logarithmic. Unscaled float16 returns no gradient worth the name; a factor of a thousand brings the error to two
thousandths, less than bfloat16's, which does not depend on the scale. Where no point is drawn,
float16 overflowed. Medians and ranges of three seeds.*

With that factor the error falls to 0.0019{#l14-scaled-error}; bfloat16 has 0.007{#l14-bf16-error} at any
factor, since its range needs no help and its digits are fewer.

But a scale has an upper end as well: past 65504{#set} float16 overflows. A number that overflowed is infinite, the step
is skipped, and if every step is skipped nothing is learnt. Between the two ends lies a window.

**Predict.** A healthy network this time: six ReLU layers with He's weights, 100 steps of SGD in float16, with float32
copies of the weights. Its scale is varied in steps of $2^4$, from $2^{-24}$ to $2^{28}$. From the smallest scale at
which it learns to the largest, how many powers of two lie between?
"""

# %% tags=["predict"]
guess_window = 10  # powers of two between the smallest and the largest loss scale that work


# %%
def train(dtype, *, lr=0.03, steps=100, scale=1.0, seed=0, depth=6, act="relu", sigma_w=2**0.5):
    """Accuracy after SGD in `dtype`, float32 master weights; steps that overflow are skipped."""
    master = vg.mlp(depth, act=act, sigma_w=sigma_w, seed=seed)
    model, batches = copy.deepcopy(master).to(dtype), torch.Generator().manual_seed(seed)
    for rows in torch.randint(len(digits.x), (steps, 64), generator=batches):
        model.zero_grad()
        (scale * F.cross_entropy(model(digits.x[rows].to(dtype)), digits.y[rows])).backward()
        grads = [p.grad.float() / scale for p in model.parameters()]
        if all(g.isfinite().all() for g in grads):
            with torch.no_grad():
                for low, full, g in zip(model.parameters(), master.parameters(), grads):
                    full -= lr * g  # the step is taken in float32 ...
                    low.copy_(full)  # ... and the network works with the rounded weights
    return (master(digits.x).argmax(1) == digits.y).double().mean().item()


# %%
window = pd.DataFrame([
    {"scale": 2.0**k, "accuracy": train(torch.float16, scale=2.0**k, seed=seed)}
    for k in range(-24, 29, 4)
    for seed in range(3)
])
vg.scan_plot(window, "scale", "accuracy", logx=True,
             labels={"scale": "loss scale", "accuracy": "accuracy after 100 steps"},
             title="The window of loss scales");

# %% [markdown]
r"""
*Figure 14.3. Training accuracy of a healthy six-layer ReLU network in float16 against the loss scale, logarithmic. It
is at chance on the left, where gradients underflow, and on the right, where every step overflows; between them the
scale makes no difference at all. Medians and ranges of three seeds.*
"""

# %%
works = window[window.accuracy > 0.5].scale
check.prediction("14.2", guess_window, math.log2(works.max() / works.min()))

# %% [markdown]
r"""
**What you see.** The window is 28{#l14-window} powers of two wide on this grid, and a scale of 1, no scaling, lies well
inside it: this network has no need of any. Between the ends the accuracy does not change, because powers of two change
no digit. So a scale is not tuned; it is doubled now and then and halved when something overflows, which is what
torch's `GradScaler` does and you will do in exercise 14.2.

Where scaling is needed, does it make the network learn? The eight sigmoid layers again, 300 steps:
"""

# %%
ways = {
    "float32": (torch.float32, 1.0),
    "float16": (torch.float16, 1.0),
    "float16, scaled": (torch.float16, 2.0**12),
}
sigmoids = {"depth": 8, "act": "sigmoid", "sigma_w": 1.0, "lr": 0.3, "steps": 300}
pd.Series({name: train(dtype, scale=s, **sigmoids) for name, (dtype, s) in ways.items()}).round(2)

# %% [markdown]
r"""
All three stay at chance, 0.10{#l14-sigmoid-accuracy}. Scaling multiplies every layer's gradient by the same number and
division takes it away again: the first layer still hears as little relative to the last as before. **Underflow** is
what a number format does to small gradients; the vanishing gradient is what the network does, in any format.

**What it does not show.** That scaling is idle. Gradients of a large network spread over many decades within one
tensor, and the paper reports models whose accuracy was lost without it (section 4).

**Modify.** Set `dtype` of the window to `torch.bfloat16`. Which of the two ends disappears?
"""

# %% [markdown] minutes=14
r"""
## The step that is not taken

bfloat16 never lost a gradient above. So may all of training be done in it, weights included?

A step adds `-lr * gradient` to a weight. Near 1 two neighbours in bfloat16 are 0.008{#set} apart, and near any other
number in the same proportion. An update that is less than half of that gap is rounded away: not the gradient vanishes
but the *step*. Six ReLU layers with He's weights, all in bfloat16, and one step of SGD at a rate of 0.003{#set}.

**Predict.** Which share of the first layer's weights does not move?
"""

# %% tags=["predict"]
guess_still = 0.2  # share of first-layer weights that one step leaves exactly where they were


# %%
def still(dtype, lr, seed=0):
    """Share of layer 1's weights with a gradient that one step of SGD in `dtype` does not move."""
    model = vg.mlp(6, act="relu", sigma_w=2**0.5, seed=seed).to(dtype)
    F.cross_entropy(model(x[:64].to(dtype)), y[:64]).backward()
    weight = model.linear1.weight
    moved = weight - (lr * weight.grad.float()).to(dtype) != weight
    return 1 - moved[weight.grad != 0].double().mean().item()


# %%
formats = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
stuck = pd.DataFrame([
    {"lr": lr, "share": still(dtype, lr, seed), "format": name}
    for lr in [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]
    for seed in range(3)
    for name, dtype in formats.items()
])
vg.scan_plot(stuck, "lr", "share", by="format", logx=True, guess=(0.003, guess_still),
             labels={"lr": "learning rate", "share": "weights that do not move"},
             title="Updates lost to rounding");

# %% [markdown]
r"""
*Figure 14.4. Share of the first layer's weights that one step of SGD leaves exactly where they were, against the
learning rate, for three formats of the weights. In bfloat16 nine in ten stay at a rate of three thousandths; in
float16 about half; in float32 hardly any. Medians and ranges of three seeds.*
"""

# %%
at_guess = stuck[(stuck.format == "bfloat16") & (stuck.lr == 0.003)]
check.prediction("14.3", guess_still, at_guess.share.median())

# %% [markdown]
r"""
**What you see.** 92 %{#l14-still-bf16} of the weights stay exactly where they were, and in float16, with three more
bits for digits, 56 %{#l14-still-fp16}. It gets worse as training goes well: smaller gradients, smaller steps. The
remedy is in `train` above: **master weights**, a float32 copy that collects the steps, while the network works with
rounded weights ([Micikevicius et al. (2018)](https://arxiv.org/abs/1710.03740), section 3.1). Then a step that is too
small to be seen at once is not lost; it adds up. Does it matter for training?
"""


# %%
def train_without_master(dtype, lr, *, steps=400, seed=0):
    """Accuracy after SGD whose weights are themselves in `dtype`."""
    model = vg.mlp(6, act="relu", sigma_w=2**0.5, seed=seed).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    batches = torch.Generator().manual_seed(seed)
    for rows in torch.randint(len(digits.x), (steps, 64), generator=batches):
        optimizer.zero_grad()
        F.cross_entropy(model(digits.x[rows].to(dtype)), digits.y[rows]).backward()
        optimizer.step()
    return (model(digits.x.to(dtype)).argmax(1) == digits.y).double().mean().item()


# %%
slow = {"lr": 0.003, "steps": 400}
pd.DataFrame({
    "float32": [train_without_master(torch.float32, seed=s, **slow) for s in range(3)],
    "bfloat16, float32 master": [train(torch.bfloat16, seed=s, **slow) for s in range(3)],
    "bfloat16 alone": [train_without_master(torch.bfloat16, seed=s, **slow) for s in range(3)],
}).round(2)

# %% [markdown]
r"""
With a master copy bfloat16 gives the accuracies of float32 to within a hundredth, after 400 slow steps a median of
0.76{#l14-master-accuracy}. Alone it reaches 0.39{#l14-alone-accuracy}, with the same gradients. Stochastic rounding,
which rounds up or down at random in proportion, is the other known way out ([Gupta et al.
(2015)](https://arxiv.org/abs/1502.02551)).

**What it does not show.** That a low rate is wrong. At a rate ten times as large the loss of steps is smaller; but a
schedule that lets the rate fall passes through the region in which they are lost.

**Modify.** Set the `lr` of the last cell to `0.03`. What becomes of the difference?
"""

# %% [markdown] minutes=5
r"""
## On the ruler

The histogram holds the gradient of the first layer of a real network, times the loss scale, on a ruler of powers of
ten. Below it lie the three formats: full colour where all digits are kept, pale where they fade. Move the
scale and watch the histogram slide without changing its shape.
"""

# %%
vg.widgets.precision_ruler()

# %% [markdown]
r"""
*Figure 14.5. The precision ruler: the sizes of the first layer's weight gradients, times the loss scale, above the
ranges of float16, bfloat16 and float32. The line of text says which share of them is rounded to 0, kept with fewer
digits, or overflows in float16, beside what theory expects of a Gaussian of the same rms.*
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=10
r"""
### Exercise 14.1: how much is lost? ★ 10 minutes

Write the measurement of this lesson for any gradient, format and scale. Zeros that were zeros before do not count as
lost.
"""

# %% exercise="14.1" tags=["nbval-check-output"]
def underflow_fraction(gradient, dtype, scale):
    """Share of the nonzero entries that are 0 after scaling and rounding."""
    ### BEGIN SOLUTION
    nonzero = gradient[gradient != 0]
    return ((nonzero * scale).to(dtype) == 0).double().mean()
    ### END SOLUTION


check.underflow_fraction(underflow_fraction)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`tensor.to(dtype)` does the rounding; there is no limit to look up. Scale before you round.
</details>

<details><summary>Hint 2</summary>

Pick the entries that count first: `gradient[gradient != 0]`. The mean of a comparison, as a double, is a share.
</details>
"""

# %% [markdown] minutes=12
r"""
### Exercise 14.2: a scale that finds itself ★★ 12 minutes

Write one step of a dynamic loss scaler. After a step with an infinite or undefined gradient it halves the scale and
starts counting anew; after `patience` good steps in a row it doubles the scale and starts counting anew.
"""

# %% exercise="14.2" tags=["nbval-check-output"]
def next_scale(scale, good, finite, patience):
    """[scale, good] for the next step; `good` counts good steps since the last change."""
    ### BEGIN SOLUTION
    if not finite:
        return [scale / 2, 0]
    if good + 1 == patience:
        return [scale * 2, 0]
    return [scale, good + 1]
    ### END SOLUTION


check.next_scale(next_scale)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Three cases: not finite; finite and the last of `patience` good steps; finite and any other.
</details>

<details><summary>Hint 2</summary>

With `patience = 3` the scale doubles after the third good step: when it comes, `good` is `2`.
</details>
"""

# %% [markdown] minutes=11
r"""
### Exercise 14.3: the least step that is taken ★★ 11 minutes

Which learning rate does plain SGD need so that a weight $w > 0$ with gradient $g > 0$ moves at all, when the weight
is stored in a format with `digits` bits after the leading one (`7` in bfloat16, `10` in float16)? Numbers between
$2^k$ and $2^{k+1}$ lie $2^{k - \text{digits}}$ apart, and a result is rounded to the nearest; take $w$ inside such an
interval, not at its lower end.
"""

# %% exercise="14.3" tags=["nbval-check-output"]
def least_rate(w, g, digits):
    """Rate above which rounding w - rate * g moves w, for w > 0 (no power of two) and g > 0."""
    ### BEGIN SOLUTION
    gap = 2.0 ** (math.floor(math.log2(w)) - digits)
    return gap / 2 / g
    ### END SOLUTION


check.least_rate(least_rate)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

An update is lost while it is smaller than half the gap between neighbours.
</details>

<details><summary>Hint 2</summary>

The $k$ with $2^k \le w < 2^{k+1}$ is `math.floor(math.log2(w))`.
</details>
"""

# %% [markdown] minutes=12
r"""
### Exercise 14.4: what to store where ★★★ 12 minutes, open

You may give half precision to each of: the weights the network works with, its activations, its gradients, the master
weights, the two averages of Adam. For each, choose float16, bfloat16 or "no, float32", with a reason from this
lesson's measurements (range, digits, or what accumulates), and say which measurement would change your mind.
"""

# %% [markdown] tags=["solution"]
r"""
**One answer.** Working weights and activations: bfloat16 where the hardware has it, since nothing accumulates in them
and range saves thinking about scales; float16 with dynamic scaling is more exact (Figure 14.2). Gradients: the same,
but reduced in float32 where many are summed, across examples or machines, because small terms added to a large sum
are lost just as small steps are. Master weights: float32, by Figure 14.4. Adam's averages: they accumulate, at rates
of 0.1{#set} and 0.001{#set}, so the second one changes by about a thousandth per step, less than bfloat16 can show;
float32. A measurement that would change it: `still` applied to the averages rather than the weights, or a training
with stochastic rounding that ends where float32 ends.
"""

# %% [markdown] minutes=2
r"""
## What we saw

- An eight-layer sigmoid network run in float16 loses 96 %{#l14-lost-8} of its first layer's gradient to underflow,
  where rounding the finished gradient would have lost 23 %{#l14-rounded-8}; bfloat16 loses none.
- A loss scale brings the error down to 0.0019{#l14-scaled-error}, anywhere in a window of 28{#l14-window} powers of
  two for a healthy network, and leaves a vanishing gradient vanished: accuracy 0.10{#l14-sigmoid-accuracy} in every
  format.
- In bfloat16 one small step moves only 8 %{#l14-moved-bf16} of the weights; a float32 master copy restores the
  training (0.76{#l14-master-accuracy} against 0.39{#l14-alone-accuracy}).

**Where next.** Back to your own network: [Is it my gradients?](90_your_own_model.ipynb)
"""

# %% [markdown]
r"""
## In your own model

```python
with vg.probe(model, optimizer) as seen:
    loss_fn(model(x), y).backward()
    optimizer.step()
seen.params[["name", "grad_rms", "update_ratio"]]
```

A `grad_rms` under about a millionth is at risk in float16 (remember that the terms of its sum are smaller than it);
an `update_ratio` under a few thousandths is at risk where weights are stored in bfloat16. A gradient that falls from
layer to layer is a matter of the network, whatever the format.
"""

# %% [markdown]
r"""
## Sources

- P. Micikevicius and others (2018), [*Mixed precision training*](https://arxiv.org/abs/1710.03740), ICLR, sections
  3.1, 3.2 and 4.
- D. Kalamkar and others (2019), [*A study of BFLOAT16 for deep learning training*](https://arxiv.org/abs/1905.12322).
- S. Gupta, A. Agrawal, K. Gopalakrishnan and P. Narayanan (2015), [*Deep learning with limited numerical
  precision*](https://arxiv.org/abs/1502.02551), ICML.
- IEEE (2019), *Standard for floating-point arithmetic*, IEEE 754.
"""
