# %% [markdown]
r"""
# 5. How far back does a network hear?

**Time** 60 minutes, and 40 for the exercises. **Needed first** Lessons 1 to 3: the per-layer factor, singular values.
**New words** recurrent network, hidden state, unrolling, backpropagation through time, lag, spectral radius, clipping.
"""

# %% [markdown]
r"""
**You will be able to**

- unroll a recurrent network, measure its gradient against the lag and predict it from the weights and the input;
- state what guarantees that the gradient vanishes, and what the spectral radius decides and what not;
- tell, on real speech and real text, a memory that the gradient cannot build from one that training builds by itself;
- clip a gradient by its global norm, and say what that cures and what it leaves as it was.
"""

# %%
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import check, tasks

# %% [markdown] minutes=14
r"""
## The same layer, a hundred times

A **recurrent network** reads a sequence step by step and keeps what it has read in a **hidden state** $h$, a vector
that each step renews:

$$h_t = \tanh(W h_{t-1} + V x_t + b) .$$

**Unrolling** it means writing these steps one after the other. What comes out is a deep network with a layer for each
step, in which every layer has the same $W$; backpropagation through it is called **backpropagation through time**. In
the next cell 32{#set} sequences of 100 steps go through such a network. The inputs are twelve random numbers a step, the loss
is asked at the end, and the gradient of every state is kept.
"""

# %%
torch.manual_seed(0)
x, y = torch.randn(32, 100, 12), torch.randint(9, (32,))
cell, head = nn.RNNCell(12, 64), nn.Linear(64, 9)

# %%
h, states = torch.zeros(32, 64), []
for t in range(100):
    h = cell(x[:, t], h)
    h.retain_grad()
    states.append(h)
F.cross_entropy(head(h), y).backward()

# %% [markdown]
r"""
The **lag** counts steps back from the loss: the last state has lag 0, the first one lag 99{#set}. Below is the rms of
$\partial L/\partial h_t$ at five lags.
"""

# %%
rms = [state.grad.double().square().mean().sqrt().item() for state in states[::-1]]
{lag: f"{rms[lag]:.1e}" for lag in (0, 1, 10, 50, 99)}

# %% [markdown]
r"""
Some 24{#l5-default-decades} decades lie between the first step and the last. Lesson 2 could have told: torch draws
$W$ with `sigma_w` $= 1/\sqrt3$, which passes on about 0.57{#l5-default-factor} of the gradient per layer, and a
hundred steps are a hundred layers. One thing is new. The layers of lesson 2 had weights of their own, so that errors
in one were nothing to the next; here one matrix acts a hundred times.

For equal layers lesson 1 ended on eigenvalues. The largest absolute eigenvalue of $W$ is its **spectral radius**
$\rho$; for a large matrix with entries from $N(0, \sigma_w^2/n)$ it is close to $\sigma_w$. Along its eigenvector
the $k$-th power of $W$ stretches by $\rho^k$.

**Predict.** Take `sigma_w = 1.5`, and with it $\rho$, the same noisy input, and 64 units. By how many decades
does the gradient *grow* over 98 steps back? (Write a negative number if you think it shrinks.)
"""

# %% tags=["predict"]
guess_growth = 17.0  # decades over 98 steps back, sigma_w = 1.5

# %% [markdown]
r"""
`vg.recurrent` builds torch's `nn.RNN` with such weights, zero biases, input weights from $N(0, 1/12)$ and a linear
read-out of the last state. `vg.gradient_profile` reads the gradient of each state where $W$ meets it, which is all but
the last: 99{#set} states, 98 steps.
"""

# %%
tables = [
    vg.gradient_profile(vg.recurrent("rnn", d_in=12, d_out=9, sigma_w=s, seed=k), x, y)
    .assign(sigma_w=s, seed=k)
    for s in (0.9, 1.5, 2.0, 2.5)
    for k in range(3)
]
lags = pd.concat(tables).query("layer == 'rnn.l0'")

# %% name="figure-lags"
theory = {s: vg.theory.recurrent_factor("tanh", s, sigma_x=1.0) for s in (0.9, 1.5, 2.0, 2.5)}
vg.time_plot(lags, by="sigma_w", theory=theory);

# %% [markdown]
r"""
*Figure 5.1. The gradient of each hidden state against its lag, relative to lag 0, for four weight scales. Straight
lines on a logarithmic axis: a factor per step. The line for `1.5` falls, although its spectral radius is `1.5`; those for
`2` and `2.5` rise. Medians and ranges of three seeds, theory dashed.*
"""

# %%
ends = lags[lags.call.isin([0, 98])].pivot_table("grad_rms", ["sigma_w", "seed"], "call")
growth = np.log10(ends[0] / ends[98]).groupby("sigma_w").median()
check.prediction("5.1", guess_growth, growth[1.5])

# %% [markdown]
r"""
**What you see.** A matrix that stretches by 1.5{#set} per step loses 6.2{#l5-loss-at-15} decades, since on its way
back the gradient also meets the slopes of tanh:

$$\frac{\partial h_t}{\partial h_{t-1}} = D_t W, \qquad D_t = \mathrm{diag}\bigl(1 - h_t^2\bigr) .$$

The input keeps the units away from 0, where the slope is 1. In a wide network the factor per step is that of lesson 2,
$\sigma_w \sqrt{\mathbb{E}[\varphi'(z)^2]}$ at $q = \sigma_w^2\,\mathbb{E}[\varphi(z)^2] + \sigma_x^2$, where
$\sigma_x$ is what the input adds at one unit; that all steps share one $W$ changes nothing in the limit of infinite
width ([Chen, Pennington and Schoenholz, 2018](https://arxiv.org/abs/1806.05394)).

What can be *proved* is one-sided. [Pascanu, Mikolov and Bengio (2013)](https://arxiv.org/abs/1211.5063), section 2.1:
let no slope exceed $\gamma$ (1 for tanh, $\tfrac14$ for the sigmoid). If the largest singular value of $W$ is below
$1/\gamma$, the gradient vanishes for certain. A larger one is *necessary* for an explosion and not sufficient. A
Gaussian $W$ has a largest singular value of about $2\sigma_w$, so the guarantee ends at `sigma_w = 0.5`; between there
and the explosion, near 1.9{#l5-turning-point} for this input, only a calculation or a measurement decides.

**What it does not show.** What happens without noise. Nor trained weights: this is the start.

**Modify.** In the cell that makes the tables, replace `x` by `0 * x`. The states stay at 0, every slope is 1, and the
powers of $W$ are alone. Now `sigma_w = 1.5` explodes, and theory is wrong: it does not know that the state is exactly
0.
"""

# %% [markdown] minutes=4
r"""
## The memory's half-life

Move `sigma_w` from `1` to `2` and watch the last step that is still felt at 1 %. Then hold `sigma_w` at `1.5` and turn the
*input* up: a louder input makes the memory shorter.
"""

# %%
vg.widgets.memory_half_life()

# %% [markdown]
r"""
*Figure 5.2. The gradient of a real recurrent network against the lag, theory dashed, with the lag beyond which less than
a hundredth of it is left. The line of text reads the factor per step, the half-life and that last lag.*
"""

# %% [markdown] minutes=9
r"""
## Does a vanished gradient prevent learning?

The simplest test is the **latch** of [Bengio, Simard and Frasconi
(1994)](https://www.iro.umontreal.ca/~lisa/pointeurs/ieeetrnn94.pdf), in a form of ours: the first step says up or down
in one channel, noise follows in another, and at the end the network says which it was. Two starts are compared: torch's
default, and an orthogonal $W$, all of whose singular values are 1. `vg.train_many` trains networks side by side, each
as it would learn alone, here by plain gradient descent.
"""

# %%
starts = {"torch's default": {}, "orthogonal": {"sigma_w": 1.0, "init": "orthogonal"}}


def networks(start, width, d_in, d_out, seeds):
    """A list of recurrent networks that differ in their seed. start: settings for vg.recurrent."""
    shape = {"d_in": d_in, "d_out": d_out}
    return [vg.recurrent("rnn", width, seed=seed, **shape, **start) for seed in range(seeds)]


# %%
def train(models, data, steps=300, batch_size=64, **settings):
    """Train on random batches; the result's .table has each network's accuracies."""
    test = {"x_test": data.x_test, "y_test": data.y_test}
    settings |= {"steps": steps, "batch_size": batch_size, "progress": False}
    return vg.train_many(models, data.x, data.y, **test, **settings)


# %% [markdown]
r"""
Over 5 steps all eight networks with torch's weights learn the latch, to an accuracy of 1.

**Predict.** Over 20 steps, how many of the eight reach an accuracy above 0.95{#set}?
"""

# %% tags=["predict"]
guess_solved = 6.0  # of 8 networks with torch's default weights, latch over 20 steps

# %%
results = []
for steps in (5, 10, 20, 40):
    models = [m for start in starts.values() for m in networks(start, 16, 2, 2, seeds=8)]
    table = train(models, tasks.latch(steps, n_train=2000), lr=0.1).table
    results += [table.assign(start=np.repeat(list(starts), 8), length=steps)]
latch = pd.concat(results)

# %%
words = {"length": "steps to remember", "test_accuracy": "test accuracy"}
vg.scan_plot(latch, "length", "test_accuracy", by="start", level=(0.5, "chance"), labels=words,
             title="Remembering one bit");

# %% [markdown]
r"""
*Figure 5.3. Test accuracy on the latch against the number of steps to remember. From torch's default weights nothing is
left at 20 steps; from orthogonal weights nearly every network still remembers at forty. Medians and ranges of eight seeds.*
"""

# %%
default_20 = latch.query("start != 'orthogonal' and length == 20")
check.prediction("5.2", guess_solved, (default_20.test_accuracy > 0.95).sum())

# %% [markdown]
r"""
**What you see.** None of eight, 0{#l5-latch-default-20}, where the same network with the same optimizer and another
first matrix solves it eight times, or at worst seven. "Recurrent networks cannot learn long-term dependencies" is
therefore too strong: they can represent this one, and they can learn it. What Bengio and colleagues showed is that
gradient descent gives distant steps exponentially less weight. [Le, Jaitly and Hinton
(2015)](https://arxiv.org/abs/1504.00941) made the repair by a first matrix their method.

**What it does not show.** That the latch is hard. [Hochreiter and Schmidhuber
(1996)](https://papers.nips.cc/paper/1215-lstm-can-solve-hard-long-time-lag-problems) solved it by drawing weights at
random until some fitted, and called such tasks trivial. A network that is pushed about long enough may fall into a
solution that no gradient pointed to.

**Modify.** Pass `optimizer=torch.optim.Adam, lr=0.01` instead of `lr=0.1`, and a length of `80`. From the default
weights most of twenty decades are missing at that lag, and yet a part of the networks come to
remember.
"""

# %% [markdown] minutes=9
r"""
## Real speech, and silence after it

`tasks.speech` holds 640{#set} recordings of nine men saying two Japanese vowels, a row of twelve numbers every few
milliseconds; the question is who speaks. With `pad=30` the network is asked thirty silent frames after the sound.
With `pad=0` the default start gives an accuracy of 0.95{#l5-speech-0}.

**Predict.** What is the test accuracy with thirty frames of silence? Who guesses is right one time in nine. (Adam, a
rate of 0.001{#set}, 300 steps.)
"""

# %% tags=["predict"]
guess_speech = 0.7  # test accuracy with 30 silent frames after the speech, default start

# %%
adam = {"optimizer": torch.optim.Adam, "lr": 0.001, "batch_size": 32}
results = []
for pad in (0, 10, 20, 30):
    models = [m for start in starts.values() for m in networks(start, 32, 12, 9, seeds=4)]
    table = train(models, tasks.speech(pad), **adam).table
    results += [table.assign(start=np.repeat(list(starts), 4), pad=pad)]
speech = pd.concat(results)

# %%
words = {"pad": "silent frames after the speech", "test_accuracy": "test accuracy"}
vg.scan_plot(speech, "pad", "test_accuracy", by="start", level=(1 / 9, "chance"), labels=words,
             title="Who was speaking?");

# %% [markdown]
r"""
*Figure 5.4. Accuracy on recorded speech against the silence before the question. From torch's default weights it falls
to chance at thirty frames; from orthogonal ones it falls a little. Medians and ranges of four seeds.*
"""

# %%
silent = speech.query("start != 'orthogonal' and pad == 30")
check.prediction("5.3", guess_speech, silent.test_accuracy.median())

# %%
data = tasks.speech(30)
tables = [
    vg.gradient_profile(model, data.x[:64], data.y[:64]).assign(start=name, seed=seed)
    for name, start in starts.items()
    for seed, model in enumerate(networks(start, 32, 12, 9, seeds=4))
]
vg.time_plot(pd.concat(tables).query("layer == 'rnn.l0'"), by="start", share=0.01,
             title="The gradient in the silence, before training");

# %% [markdown]
r"""
*Figure 5.5. The gradient at the start against the lag, on speech followed by thirty silent frames; the speech begins at
lag thirty. From the default weights it has lost some seven decades by then; from orthogonal weights it arrives whole, and
falls only among the loud frames, where the slopes are small. Medians and ranges of four seeds.*

**What you see.** The default networks end at 0.09{#l5-speech-30}, and their loss at $\ln 9$: learning has stalled,
as in lesson 4. The orthogonal start reaches 0.85{#l5-speech-30-orthogonal}. A falling accuracy alone would prove
nothing, because longer tasks may be harder for many reasons. Here the second line and the gradient rule the others
out: the recordings are the same, and only the first $W$ was changed.

**What it does not show.** That silence is like noise. Try it: pass `noise=0.3` to `tasks.speech`. Then *both* starts
fail the test, while their training loss falls: 270{#set} recordings are few enough to be known by the noise that
follows them, and what is near gets the larger gradient.

**Modify.** A larger step: `"lr": 0.01` in the cell of `adam`. What becomes of twenty frames, and of the spread at thirty?
"""

# %% [markdown] minutes=12
r"""
## Real text, and what stands between

In *Alice in Wonderland* direct speech stands between quotation marks. `tasks.quotation(40)` cuts windows of sixty
characters: is the last one inside direct speech? What decides is a mark 40{#set} to 49{#set} characters back, so the lag is longer
than the silence was. The gradient there, at torch's default start:
"""

# %%
text = tasks.quotation(40)
untrained = networks(starts["torch's default"], 32, 39, 2, seeds=3)
rows = [vg.gradient_profile(model, text.x[:200], text.y[:200]) for model in untrained]
rows = [r[r.layer == "rnn.l0"].grad_rms.to_numpy()[::-1] for r in rows]
[f"at lag 40: {np.log10(r[40] / r[0]):.1f} decades" for r in rows]

# %% [markdown]
r"""
**Predict.** From this start, after 600 steps of Adam at a rate of 0.001{#set}: what is the test accuracy? Half of the
windows are speech, and who sees only the last 40{#set} characters, without the mark, gets 0.77{#l5-style-alone} from the
style.
"""

# %% tags=["predict"]
guess_text = 0.6  # test accuracy, the mark 40 to 49 characters back, default start

# %%
whole = train(untrained, text, steps=600, **adam)
check.prediction("5.4", guess_text, whole.table.test_accuracy.median())

# %% [markdown]
r"""
About 0.9{#l5-text-whole}: a gradient that is nine decades down at the start did not prevent it. Why did thirty
frames of silence? In the text something stands *between* the mark and the end. The next cell blanks the last forty
characters, and leaves the mark and the question as they are.
"""

# %%
blank = text._replace(x=text.x.clone(), x_test=text.x_test.clone())
blank.x[:, -40:] = 0
blank.x_test[:, -40:] = 0
both = untrained + networks(starts["orthogonal"], 32, 39, 2, seeds=3)
blanked = train(both, blank, steps=600, **adam)

# %% tags=["nbval-check-output"]
accuracy = blanked.table.test_accuracy
{"blank, torch's default": f"{accuracy[:3].median():.2f}",
 "blank, orthogonal": f"{accuracy[3:].median():.1f}"}

# %%
stages = {"start": (untrained, text), "after, blank": (blanked.models[:3], blank),
          "after, whole text": (whole.models, text)}
tables = [
    vg.gradient_profile(model, data.x[:200], data.y[:200]).assign(stage=stage, seed=seed)
    for stage, (models, data) in stages.items()
    for seed, model in enumerate(models)
]
vg.time_plot(pd.concat(tables).query("layer == 'rnn.l0'"), by="stage", share=0.01,
             title="Training on text builds a memory");

# %% [markdown]
r"""
*Figure 5.6. The gradient against the lag on real text, before training, after training with the last forty characters
blank, and after training on the whole text. The first two fall alike; after training on the whole text the line is level
over all sixty characters. Medians and ranges of three seeds.*

**What you see.** With the forty characters blank the same network stays at 0.50{#l5-text-blank}; from orthogonal
weights it reaches 0.98{#l5-text-blank-orthogonal}. So the task is learnable, the default gradient cannot carry it,
and what carried it in the whole text are the characters in between. They are weak evidence themselves (the style),
near enough to be learned, and whoever learns to collect evidence over ten characters has weights that reach further
back than ten. Training climbs that ladder until the gradient is level.

So two old sentences need care. "The gradient vanishes at this lag" is about the weights *now*, and training changes
them. And "accuracy falls with length, hence the gradient vanishes" confuses effect and cause: measure
$\partial L/\partial h_t$, and change one thing.

**What it does not show.** A level line at every learning rate. With a rate ten times as large these networks often
fail at this lag; three seeds are few.

**Modify.** Set `steps=100` in the first training cell and look at the figure again: the memory half built.
"""

# %% [markdown] minutes=10
r"""
## The exploding twin

A product that does not vanish may explode. Take `sigma_w = 3` and 32 units on the latch over 30 steps, by plain gradient
descent at a rate of 0.3{#set}. The norm of the whole first gradient, for eight networks:
"""

# %%
data = tasks.latch(30, n_train=2000)
large = networks({"sigma_w": 3.0}, 32, 2, 2, seeds=8)
norms = []
for model in large:
    F.cross_entropy(model(data.x[:64]), data.y[:64]).backward()
    norms += [nn.utils.get_total_norm([p.grad for p in model.parameters()]).item()]
[f"{norm:.0f}" for norm in norms]

# %% [markdown]
r"""
**Predict.** In how many of the eight does the loss become infinite or NaN within 300 such steps?
"""

# %% tags=["predict"]
guess_diverged = 8.0  # of 8 networks whose loss is no longer finite

# %%
runs = {"none": train(large, data, lr=0.3), "norm at most 1": train(large, data, lr=0.3, clip=1.0)}
check.prediction("5.5", guess_diverged, runs["none"].table.diverged.notna().sum())

# %% [markdown]
r"""
How many networks have learned the latch, and how many units of their last state sit where tanh is flat?
"""

# %%
@torch.no_grad()
def saturated(model):
    """Share of the last state's units with |h| > 0.99."""
    return (model.rnn(data.x_test)[0][:, -1].abs() > 0.99).float().mean().item()


# %%
pd.DataFrame({
    "clipping": list(runs),
    "solved, of 8": [(run.table.test_accuracy > 0.95).sum() for run in runs.values()],
    "saturated": [round(np.median([saturated(m) for m in run.models]), 2) for run in runs.values()],
})

# %% [markdown]
r"""
**What you see.** None, 0{#l5-diverged}: tanh is bounded, so the loss stays finite. (With ReLU it would not.) Yet hardly
any learns; over three other sets of eight the median is 2{#l5-solved-unclipped}. A step along a gradient of several hundred throws the weights so far that
nearly all units saturate, and a saturated network has no gradient to come back with: *the explosion ends as a vanished
gradient*. With the gradient cut to a norm of 1 the
median is 7{#l5-solved-clipped} of eight.

That is **clipping** by the global norm: if the norm $\lVert g\rVert$ of all gradients together is above a threshold
$c$, multiply every one of them by $c/\lVert g\rVert$, which is algorithm 1 of [Pascanu and
colleagues](https://arxiv.org/abs/1211.5063). The direction stays, and a small gradient is untouched. Why the gradient
is so large at some places, and where, shows one single unit. Their equation 8 has no input:

$$x_t = w\,\sigma(x_{t-1}) + b, \qquad x_0 = \tfrac12, \qquad L = \bigl(\sigma(x_T) - \tfrac{7}{10}\bigr)^2 .$$
"""

# %%
def one_unit(b, steps=50, w=5.0):
    """The loss of a single sigmoid unit after so many steps; b: tensor of any shape."""
    x = torch.full_like(b, 0.5)
    for _ in range(steps):
        x = w * torch.sigmoid(x) + b
    return (torch.sigmoid(x) - 0.7) ** 2


# %%
b = torch.linspace(-3.2, -2.2, 1001, dtype=torch.float64)
losses = {f"{steps} steps": one_unit(b, steps) for steps in (5, 15, 50)}
curves = [pd.DataFrame({"b": b, "loss": loss, "after": after}) for after, loss in losses.items()]
vg.scan_plot(pd.concat(curves), "b", "loss", by="after", title="A slope becomes a cliff",
             labels={"b": "bias b"});

# %% [markdown]
r"""
*Figure 5.7. The loss of one unit with $w = 5$ against its bias, after five, fifteen and fifty steps. The same slope becomes
steeper with every step, until at fifty it is a wall: to its left the unit falls to a low state, to its right it rises to a high
one, and on the wall it hesitates between the two.*
"""

# %%
def descend(b, clip=float("inf"), lr=0.1, steps=200):
    """Where gradient descent on b ends. clip: the largest gradient that is used as it is."""
    b = torch.tensor(b, dtype=torch.float64, requires_grad=True)
    for _ in range(steps):
        (g,) = torch.autograd.grad(one_unit(b), b)
        with torch.no_grad():
            b -= lr * g.clamp(-clip, clip)
    return b.item()


# %%
{f"clip {clip}": f"b = {descend(-2.3, clip):.1f}" for clip in (float("inf"), 1.0)}

# %% [markdown]
r"""
Unclipped, one step at the wall throws the bias to where the unit is saturated for good; clipped, it stays beside the wall,
where the loss is lowest.

> **Careful.** Clipping shortens long gradients. It lengthens no short one: the default networks of the latch over 20 steps
> stay at 0{#l5-clipping-vanished} of eight with it. And it changes a direction if it cuts each entry by itself
> (`clip_grad_value_`), which by the global norm it does not.

**What it does not show.** That clipping is only a brake. [Zhang and colleagues
(2020)](https://arxiv.org/abs/1905.11881) give conditions under which it is provably faster than any fixed step.

**Modify.** Give `train` in the exploding networks a `clip` of `10`, then of `0.01`. How wide is the window?
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=12
r"""
### Exercise 5.1: the gradient, lag by lag ★★ 12 minutes

Write the measurement of the first section as a function. `cell(x_t, h)` is any module that makes the next state, such as
`nn.RNNCell`; the first state is zero, and the loss is the *sum* of the last state.
"""

# %% exercise="5.1" tags=["nbval-check-output"]
def lag_profile(cell, x):
    """The rms of dL/dh_t, lag 0 first: (time,). x: (batch, time, d); L: the last state, summed."""
    ### BEGIN SOLUTION
    h, states = x.new_zeros(len(x), cell.hidden_size), []
    for x_t in x.unbind(1):
        h = cell(x_t, h)
        states.append(h)
    gradients = torch.autograd.grad(h.sum(), states[::-1])
    return torch.stack([g.square().mean().sqrt() for g in gradients])
    ### END SOLUTION


check.lag_profile(lag_profile)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Keep the states in a list. `torch.autograd.grad(h.sum(), states)` returns one gradient for each of them.
</details>

<details><summary>Hint 2</summary>

`states[::-1]` begins with the last state, which is lag 0. Start from `x.new_zeros(len(x), cell.hidden_size)`: it has
the type of `x`.
</details>
"""

# %% [markdown] minutes=7
r"""
### Exercise 5.2: one factor for all ★ 7 minutes

By which factor does clipping by the global norm multiply every gradient? Parameters that took no part in the loss have
`None` for a gradient.
"""

# %% exercise="5.2" tags=["nbval-check-output"]
def clip_factor(grads, max_norm):
    """The factor, at most 1. grads: a list of tensors of any shapes, some of them None."""
    ### BEGIN SOLUTION
    norm = sum(g.double().square().sum() for g in grads if g is not None) ** 0.5
    return min(1.0, max_norm / norm)
    ### END SOLUTION


check.clip_factor(clip_factor)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

The global norm is the norm of all entries of all gradients written in one long vector: squares add up, norms do not.
</details>

<details><summary>Hint 2</summary>

`min(1.0, ...)` leaves short gradients alone. A tensor of 0 in the denominator gives infinity, and `min` does the rest.
</details>
"""

# %% [markdown] minutes=9
r"""
### Exercise 5.3: first it grows ★★ 9 minutes

Both eigenvalues of $W = \begin{pmatrix} r & c \\ 0 & r \end{pmatrix}$ with $r = 9/10$ are below 1, so
the gradient of a linear recurrent network with it vanishes in the end. Choose $c$ such that before that, at some lag, a gradient in the
most favourable direction is ten times as long as at lag 0.
"""

# %% exercise="5.3" tags=["nbval-check-output"]
def hump():
    """The number c."""
    ### BEGIN SOLUTION
    w = torch.tensor([[0.9, 1e3], [0.0, 0.9]])  # for a large c the stretch is proportional to it
    powers = [torch.linalg.matrix_power(w, k) for k in range(100)]
    return 1e3 * 10 / max(torch.linalg.matrix_norm(power, 2) for power in powers)
    ### END SOLUTION


check.hump(hump)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

The most that $W^k$ can stretch a vector is its largest singular value, `torch.linalg.matrix_norm(power, 2)`. Compute it
for `k` from `0` to `100` and look at the largest.
</details>

<details><summary>Hint 2</summary>

$W^k$ has $k\,c\,r^{k-1}$ in its corner, and for a large $c$ that entry is nearly all. Where is its maximum?
</details>

Such a matrix is called non-normal: its eigenvectors are not at right angles, and it can stretch what its eigenvalues say it
shrinks. A spectral radius below 1 is no promise for any finite number of steps.
"""

# %% [markdown] minutes=12
r"""
### Exercise 5.4: a sequence of your own ★★★ 12 minutes, open

Take a sequence task: `tasks.adding(30)` (add two marked numbers; train with `loss="mse"` and `d_out=1`),
`tasks.digits_by_row(pad=20)`, or data of yours as `(examples, time, features)`. Find a length at which the default start
fails, and show with two controls that it is the gradient, or that it is not.
"""

# %%
rows = tasks.digits_by_row(pad=20)
mine = networks(starts["torch's default"], 32, 8, 10, seeds=3)
profile = vg.gradient_profile(mine[0], rows.x[:64], rows.y[:64]).query("layer == 'rnn.l0'").grad_rms
f"decades lost over {len(profile) - 1} steps: {np.log10(profile.iloc[-1] / profile.iloc[0]):.1f}"

# %% [markdown] tags=["solution"]
r"""
**One answer.** Digits read row by row, with blank rows after them. First control: the same data from orthogonal weights. If it
learns, the task is within reach of the network and of the optimizer. Second control: ask directly after the digit
(`pad=0`) from the default start. If that learns, the classes are no obstacle. With both, and a gradient profile that is
decades down at the digit's rows, "it is the gradient" is an argument. If the orthogonal start fails as well, it is not: the
adding task from torch's default and from orthogonal weights with a small rate is a case in which both are slow, for a
reason of another kind, since two numbers have to be picked out and everything else ignored.
"""

# %% [markdown] minutes=2
r"""
## What we saw

- A recurrent network of torch's loses 24{#l5-default-decades} decades over a hundred steps, a factor per step that
  the theory of lesson 2 predicts with the input's strength in it.
- A largest singular value below $1/\gamma$ guarantees vanishing; a spectral radius of 1.5{#set} did not explode but
  lost 6.2{#l5-loss-at-15} decades, because the input moves the units away from slope 1.
- On speech, thirty silent frames left 0.09{#l5-speech-30} of 0.95{#l5-speech-0} until $W$ began orthogonal; on text,
  training itself built a memory of forty characters, and could not once they were blank.
- Clipping by the global norm took the latch from 2{#l5-solved-unclipped} networks in eight to 7{#l5-solved-clipped}; it
  does nothing for a vanished gradient.

**Where next.** Speech with noise after it defeats even the orthogonal start, since a plain network cannot choose what to
keep. Lesson 10 gives it gates.
"""

# %% [markdown]
r"""
## In your own model

```python
with vg.probe(model) as seen:  # nn.RNN, nn.LSTM, nn.GRU: a row per time step
    loss_fn(model(x), y).backward()
vg.time_plot(seen.table, share=0.01)  # how many steps back is the loss still heard?
```

Compare the lag at the mark with the lag your task needs. If it is shorter, ask whether weaker evidence lies in between; if
none does, change the start or the architecture. `nn.utils.clip_grad_norm_` returns the norm before clipping: log it, and
set the threshold from what you see.
"""

# %% [markdown]
r"""
## Sources

- Y. Bengio, P. Simard and P. Frasconi (1994), [*Learning long-term dependencies with gradient descent is
  difficult*](https://www.iro.umontreal.ca/~lisa/pointeurs/ieeetrnn94.pdf), IEEE Transactions on Neural Networks 5, 157–166.
- S. Hochreiter and J. Schmidhuber (1996), [*LSTM can solve hard long time lag
  problems*](https://papers.nips.cc/paper/1215-lstm-can-solve-hard-long-time-lag-problems), NIPS 9, section 1.
- R. Pascanu, T. Mikolov and Y. Bengio (2013), [*On the difficulty of training recurrent neural
  networks*](https://arxiv.org/abs/1211.5063), ICML: section 2.1, equations 6 to 8, Figure 6, algorithm 1.
- Q. Le, N. Jaitly and G. Hinton (2015), [*A simple way to initialize recurrent networks of rectified linear
  units*](https://arxiv.org/abs/1504.00941).
- M. Chen, J. Pennington and S. Schoenholz (2018), [*Dynamical isometry and a mean field theory of
  RNNs*](https://arxiv.org/abs/1806.05394), ICML.
- J. Zhang, T. He, S. Sra and A. Jadbabaie (2020), [*Why gradient clipping accelerates
  training*](https://arxiv.org/abs/1905.11881), ICLR.
- Data: M. Kudo, J. Toyama and M. Shimbo (1999), Japanese Vowels, [UCI Machine Learning
  Repository](https://doi.org/10.24432/C5NS47), CC BY 4.0; L. Carroll (1865), *Alice's Adventures in Wonderland*, Project
  Gutenberg.
"""
