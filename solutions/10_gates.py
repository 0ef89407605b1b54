# %% [markdown]
r"""
# 10. What does a gate keep?

**Time** 58 minutes, and 42 for the exercises. **Needed first** Lesson 5: lag, backpropagation through time, the latch; lesson 9: the identity path.
**New words** gate, cell, forget gate, half-life, update gate, chrono initialization.
"""

# %% [markdown]
r"""
**You will be able to**

- write the gradient along the cell of an LSTM as a product of its gates, and say what else the gradient can take;
- convert a forget bias into a half-life, and choose one for the memory that a task needs;
- set that bias in torch, where two vectors and an order of gates lie in wait;
- say what gates did for real speech and real text, and what they leave as it was.
"""

# %%
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import check, tasks

# %% [markdown] minutes=15
r"""
## A path through gates

Lesson 5 ended with a plain recurrent network that could not choose what to keep. The LSTM of [Hochreiter and Schmidhuber
(1997)](https://www.bioinf.jku.at/publications/older/2604.pdf) gives it a second state, the **cell** $c_t$, which is
changed by addition. A **gate** is a vector of sigmoids, computed from the input and the state, that multiplies entry by
entry what wants to pass. With three gates, input $i$, forget $f$ and output $o$, as torch has them:

$$c_t = f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh(c_t), \qquad g_t = \tanh(W_g h_{t-1} + V_g x_t + b_g) .$$

The first LSTM had no $f$: its cell kept everything, a carousel with a factor of exactly 1. The **forget gate** came
three years later ([Gers, Schmidhuber and Cummins, 2000](https://doi.org/10.1162/089976600300015015)), for a cell that never forgets overflows on a long stream.
Along the cell the gradient meets nothing but forget gates,

$$\frac{\partial c_T}{\partial c_t}\bigg|_{\text{cell path}} = \prod_{s=t+1}^{T} f_s ,$$

and if they all are $f = \sigma(b)$, half of it is left after $\ln 2 / {-\ln f}$ steps, the **half-life**. The
derivative in full has more terms, since every gate also looks at $h_{t-1}$, which depends on the cell.
"""

# %% tags=["nbval-check-output"]
gate = lambda b: 1 / (1 + np.exp(-b))
lives = {b: vg.theory.gate_half_life(b) for b in (0, 1, 3, 5)}
{f"b = {b}": f"f = {gate(b):.2f}, half-life {life:.1f}" for b, life in lives.items()}

# %% [markdown]
r"""
What $b$ does torch draw? Each gate has *two* bias vectors, which are added, both from $U(-1/\sqrt n, 1/\sqrt n)$. Their
sum is near 0, so $f$ begins near one half.

**Predict.** An LSTM of torch's with 64 units reads 100 steps of noise, as the plain network did in lesson 5, which lost 24{#set}
decades on the way back. How many decades does the gradient of the LSTM's *cell* lose over 98 steps?
"""

# %% tags=["predict"]
guess_decades = 3.0  # decades lost over 98 steps by torch's LSTM, in the cell

# %%
def cell_gradients(bias, seed, steps=100):
    """The rms of dL/dc_t against the lag, nn.LSTMCell, 64 units, noise for input."""
    torch.manual_seed(seed)
    cell, head = nn.LSTMCell(12, 64).double(), nn.Linear(64, 9).double()
    if bias is not None:
        with torch.no_grad():  # the biases lie in the order i, f, g, o
            cell.bias_ih[64:128], cell.bias_hh[64:128] = bias, 0.0
    h = c = torch.zeros(32, 64).double()
    cells = []
    for x_t in torch.randn(32, steps, 12).double().unbind(1):
        h, c = cell(x_t, (h, c))
        cells.append(c)
    gradients = torch.autograd.grad(F.cross_entropy(head(h), torch.randint(9, (32,))), cells[::-1])
    rms = [g.square().mean().sqrt().item() for g in gradients]
    return pd.DataFrame({"lag": range(steps), "gradient": np.array(rms) / rms[0]})


# %% [markdown]
r"""
Five starts, three seeds each: torch's own, and four forget biases. Dashed is the cell path alone, $f^{\text{lag}}$.
"""

# %%
biases = {"torch's": None, "0": 0.0, "1": 1.0, "3": 3.0, "5": 5.0}
measure = lambda name, seed: cell_gradients(biases[name], seed)
lags = vg.sweep(lambda bias: bias, measure, bias=list(biases), seed=range(3))
path = pd.concat(
    pd.DataFrame({"lag": range(100), "bias": name, "gradient": gate(b) ** np.arange(100)})
    for name, b in biases.items() if b is not None
)

# %%
vg.scan_plot(lags, "lag", "gradient", by="bias", theory=path, logy=True,
             labels={"gradient": "gradient of the cell", "lag": "lag (steps back from the loss)"},
             title="The forget bias is the memory");

# %% [markdown]
r"""
*Figure 10.1. The gradient of the cell of an LSTM against the lag, for five forget biases; dashed, the cell path alone.
Torch's default runs along bias 0 and loses twenty decades; with a bias of `3` nothing is lost, with `5` the gradient grows.
Every line lies above its dashed one. Medians and ranges of three seeds.*
"""

# %%
ends = lags[lags.lag == 98].groupby("bias").gradient.median()
check.prediction("10.1", guess_decades, -np.log10(ends["torch's"]))

# %% [markdown]
r"""
**What you see.** 19.5{#l10-default} decades: an LSTM as torch makes it vanishes nearly as fast as a plain network. "LSTMs have
no vanishing gradient" is a sentence about a cell whose gates are open, and by default they are half shut. [Gers and
colleagues](https://doi.org/10.1162/089976600300015015) began with positive biases; a bias of 1, which [Jozefowicz,
Zaremba and Sutskever (2015)](https://proceedings.mlr.press/v37/jozefowicz15.html) recommend for every LSTM, leaves 7.0{#l10-bias-1} decades to lose; with `3` the
gradient stays within a decade.

The cell path alone would lose 29.5{#l10-path-0} decades at bias 0. The rest comes through $h$: each gate listens to the
state, and what the cell lets go returns by that way. It is also why the gradient with bias `5` *grows*, by
1.4{#l10-bias-5} decades, and an LSTM can explode.

**What it does not show.** A trained network. Gates are learned, and a network may learn to open them, if a gradient
tells it to.

**Modify.** Give `cell_gradients` the argument `steps=300` in the sweep, and read the line of bias `5` at its end.
"""

# %% [markdown] minutes=5
r"""
## The half-life of a gate

Open the gate slowly. Which half-life has the measured gradient when the cell path says ten steps? Then take the GRU of
[Cho et al. (2014)](https://arxiv.org/abs/1406.1078), which has no separate cell: its **update gate** $z$ mixes,
$h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}$ in torch's convention, so that $z$ keeps.
"""

# %%
vg.widgets.forget_gate()

# %% [markdown]
r"""
*Figure 10.2. The gradient of a real LSTM's cell, or of a real GRU's state, against the lag, with the path through the
keeping gate alone dashed. The line of text reads both half-lives. One seed.*
"""

# %% [markdown] minutes=12
r"""
## How open must it be?

The latch of lesson 5 over 40 steps: one bit at the first step, noise, a question at the end. Adam at a rate of 0.01{#set}, under which a plain network with an orthogonal matrix learns it:
"""

# %%
def train(kind, data, width, *, steps=300, lr=0.005, **start):
    """Train three networks that differ in their seed by Adam: .table has their accuracies."""
    shape = {"d_in": data.x.shape[2], "d_out": int(data.y.max()) + 1}
    models = [vg.recurrent(kind, width, seed=seed, **shape, **start) for seed in range(3)]
    settings = {"optimizer": torch.optim.Adam, "lr": lr, "steps": steps, "batch_size": 32}
    test = {"x_test": data.x_test, "y_test": data.y_test}
    return vg.train_many(models, data.x, data.y, progress=False, **settings, **test)


# %%
latch = tasks.latch(40, n_train=2000)
plain = train("rnn", latch, 16, lr=0.01, sigma_w=1.0, init="orthogonal")
plain.table.test_accuracy.round(2).tolist()

# %% [markdown]
r"""
**Predict.** LSTMs with a forget bias of `0, 1, 2, 3, 4`. What is the smallest of these at which all three networks
learn the latch? (Write `5` if you think that none does.)
"""

# %% tags=["predict"]
guess_bias = 0.0  # smallest forget bias at which three of three LSTMs learn the latch over 40 steps

# %%
opened = pd.concat(
    train("lstm", latch, 16, lr=0.01, forget_bias=float(b)).table.assign(bias=b) for b in range(5)
)
words = {"bias": "forget bias", "test_accuracy": "test accuracy"}
vg.scan_plot(opened, "bias", "test_accuracy", level=(0.5, "chance"), labels=words,
             title="Half a gate remembers nothing");

# %% [markdown]
r"""
*Figure 10.3. Test accuracy of LSTMs on the latch over 40 steps against their forget bias. Below `2` nothing is learned, from `2` on everything, by every network. Medians and ranges of three seeds.*
"""

# %%
solved = opened.groupby("bias").test_accuracy.min() > 0.95
check.prediction("10.2", guess_bias, solved[solved].index.min())

# %% [markdown]
r"""
**What you see.** A bias of 2{#l10-latch-bias}. With 0, torch's default, the LSTM stays at chance, 0.53{#l10-latch-0}, on a task that a network without any gate solves; with 1 as well. A half-life of some five steps is enough for forty, for it is enough that *something* arrives:
Adam takes the size out of it.

A rule that asks for the lag instead of a guess: [Tallec and Ollivier (2018)](https://arxiv.org/abs/1804.11188) let a
gate's time constant be as long as the lag, $f = 1 - 1/T$, which is a bias of $\ln(T - 1)$, and draw it between 1 and
the longest lag for the units of one layer: **chrono initialization**. For $T = 40$ it reaches up to 3.7{#l10-chrono-40}.

**What it does not show.** That a larger bias is always better. A gate that never closes cannot make room, and a longer
stream fills the cell.

**Modify.** Make `latch` 80 steps long. Where does the border move? Then try the GRU, `train("gru", ...)`.
"""

# %% [markdown] minutes=13
r"""
## Real speech, and noise after it

In lesson 5 an orthogonal network bridged thirty frames of *silence* after a spoken vowel. Thirty frames of *noise* defeated it: it learned
the 270{#set} training recordings by their noise, and nothing of the speakers.
"""

# %%
speech = tasks.speech(30, noise=0.3)
starts = {
    "RNN, orthogonal": ("rnn", {"sigma_w": 1.0, "init": "orthogonal"}),
    "LSTM, torch's": ("lstm", {}),
    "LSTM, bias 3": ("lstm", {"forget_bias": 3.0}),
    "GRU, bias 3": ("gru", {"forget_bias": 3.0}),
}

# %% [markdown]
r"""
**Predict.** Chance is one in nine; the orthogonal network reaches 0.15{#l10-speech-orthogonal}. What does the LSTM with a forget bias
of `3` reach on new recordings?
"""

# %% tags=["predict"]
guess_speech = 0.5  # test accuracy, 30 frames of noise after the speech, LSTM with forget bias 3

# %%
trained = {name: train(kind, speech, 32, steps=250, **start)
           for name, (kind, start) in starts.items()}
heard = pd.concat(result.table.assign(network=name) for name, result in trained.items())
readings = {"accuracy": "training accuracy", "test_accuracy": "test accuracy"}
vg.rows_plot(heard, "network", readings, levels={"test_accuracy": 1 / 9},
             title="Who was speaking, before the noise?");

# %% [markdown]
r"""
*Figure 10.4. Accuracy on recorded speech followed by thirty frames of noise, of the recordings trained on and of new
ones; dotted, chance. All learn the first; only the networks whose gates begin open learn the speakers. Dots are medians,
lines ranges of three seeds.*
"""

# %%
by_network = heard.groupby("network").test_accuracy.median()
check.prediction("10.3", guess_speech, by_network["LSTM, bias 3"])

# %% [markdown]
r"""
**What you see.** 0.94{#l10-speech-3}, nearly as if there were no noise, and the GRU as well. Torch's own LSTM lies between, and far
from itself from seed to seed.

How do they do it? The story that is told is that gates *close* when noise begins. It can be looked at: with $f$ and $i$
averaged over all units and all new recordings, before and after the speech ends.
"""

# %%
@torch.no_grad()
def mean_gates(model, x):
    """Mean input and forget gate at every step: two lists. The LSTM's equations, by hand."""
    rnn = model.rnn
    bias, h, means = rnn.bias_ih_l0 + rnn.bias_hh_l0, torch.zeros(len(x), rnn.hidden_size), []
    c = torch.zeros_like(h)
    for x_t in x.unbind(1):
        i, f, g, o = (x_t @ rnn.weight_ih_l0.T + h @ rnn.weight_hh_l0.T + bias).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        means.append((i.sigmoid().mean().item(), f.sigmoid().mean().item()))
    return zip(*means)


# %%
parts = {"speech": slice(0, 7), "noise": slice(30, None)}  # the shortest recording has 7 frames
rows = [{f"{gate}, {part}": round(np.mean(means[where]), 2)
         for gate, means in zip(["input", "forget"], mean_gates(model, speech.x_test))
         for part, where in parts.items()}
        for model in trained["LSTM, bias 3"].models]
pd.DataFrame(rows)

# %% [markdown]
r"""
They do not close. The input gates stand at 0.44{#l10-gate-speech} during speech and 0.44{#l10-gate-noise} in the noise, and
the forget gates at 0.95{#l10-forget} all the time. Noise comes in at every step. A likely reason why it does no harm: what is *added* to a cell that keeps averages out,
while what is passed through tanh after tanh, thirty times, does not. Here the open path does the work, and the choosing
is hardly used.

**What it does not show.** That gates never choose. Single units may, and tasks with something to discard make them; the mean over units cannot tell.

**Modify.** Look at single units: return `i.sigmoid().mean(0)` instead of the mean over everything. Do some of them close?
"""

# %% [markdown] minutes=11
r"""
## Real text, eighty characters back

`tasks.quotation(80)` asks whether the last of a hundred characters of *Alice in Wonderland* stands inside direct speech,
when the mark that decides is 80{#set} to 89{#set} characters back. Half of the windows are. Torch's LSTM, trained for 300 steps, reaches
0.7{#l10-text-default}.

**Predict.** And with a forget bias of `3`?
"""

# %% tags=["predict"]
guess_text = 0.7  # test accuracy, the mark 80 to 89 characters back, LSTM with forget bias 3

# %%
text = tasks.quotation(80)
read = {name: train("lstm", text, 32, **starts[name][1]).table for name in list(starts)[1:3]}
pd.DataFrame({name: table.test_accuracy.round(2) for name, table in read.items()})

# %%
check.prediction("10.4", guess_text, read["LSTM, bias 3"].test_accuracy.median())

# %% [markdown]
r"""
**What you see.** About 0.94{#l10-text-3}: one number in a bias, set before training, reads twice as far as the plain network of
lesson 5 could be brought to.

> **Careful.** More is not always better. A cell whose gates are wide open remembers everything and is slow to learn what
> to erase; the right bias belongs to a lag.

What is left? The path along the cell is lesson 9's identity path, with a valve in it. History went the other way: highway networks ([Srivastava,
Greff and Schmidhuber, 2015](https://arxiv.org/abs/1505.00387)) took the gates from the LSTM into deep feedforward
networks, and a residual connection is a highway whose gate is always open. What gates do not change: a gradient can
explode through them, so clipping stays in use; and each step still waits for the one before, which is why attention, in
lesson 13, replaced them where text is long.

**What it does not show.** Language. A bit that is held is the simplest memory; what a model of text must keep is not one bit.

**Modify.** Give the LSTM a forget bias of `4`. What becomes of its accuracy, and is it the same with other windows,
`tasks.quotation(80, seed=1)`?
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=12
r"""
### Exercise 10.1: set the forget bias ★★ 12 minutes

Set the forget bias of any `nn.LSTM` to `b`, in place: in every layer and in both directions the *sum* of torch's two
bias vectors is to be `b` at the forget gate, and nothing else may change. Return the LSTM.
"""

# %% exercise="10.1" tags=["nbval-check-output"]
def set_forget_bias(lstm, b):
    """lstm: an nn.LSTM with any num_layers, bidirectional or not."""
    ### BEGIN SOLUTION
    n = lstm.hidden_size
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            if name.startswith("bias"):
                parameter[n : 2 * n] = b if name.startswith("bias_ih") else 0.0
    return lstm
    ### END SOLUTION


check.set_forget_bias(set_forget_bias)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`named_parameters()` gives `bias_ih_l0`, `bias_hh_l0`, `bias_ih_l0_reverse`, `bias_ih_l1` and so on. Each has `4 * hidden_size` entries in the
order input, forget, cell, output.
</details>

<details><summary>Hint 2</summary>

Write `b` into one of the two vectors and 0 into the other, under `torch.no_grad()`.
</details>
"""

# %% [markdown] minutes=8
r"""
### Exercise 10.2: a bias for a lag ★ 8 minutes

Which bias gives a forget gate a half-life of `half_life` steps?
"""

# %% exercise="10.2" tags=["nbval-check-output"]
def bias_for(half_life):
    """b with sigmoid(b) ** half_life = 1/2. half_life: steps, above 0."""
    ### BEGIN SOLUTION
    f = 0.5 ** (1 / half_life)
    return np.log(f / (1 - f))
    ### END SOLUTION


check.bias_for(bias_for)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

First the gate: which $f$ gives one half after `half_life` factors?
</details>

<details><summary>Hint 2</summary>

The sigmoid's inverse is $\ln\bigl(f / (1 - f)\bigr)$.
</details>
"""

# %% [markdown] minutes=10
r"""
### Exercise 10.3: along the cell ★★ 10 minutes

Given the forget gates of all steps, return the cell path: $\partial c_T / \partial c_t$ for every step $t$, the last one
included.
"""

# %% exercise="10.3" tags=["nbval-check-output"]
def cell_path(f):
    """The factor from each step to the last cell: (time, units). f: forget gates, same shape."""
    ### BEGIN SOLUTION
    after = torch.cat([f[1:], torch.ones_like(f[:1])])
    return after.flip(0).cumprod(0).flip(0)
    ### END SOLUTION


check.cell_path(cell_path)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

The last cell is itself: its factor is 1, whatever $f_T$ is. The one before meets $f_T$ only.
</details>

<details><summary>Hint 2</summary>

`torch.cumprod` multiplies from the front. Turn the order around before and after, with `flip(0)`.
</details>
"""

# %% [markdown] minutes=12
r"""
### Exercise 10.4: how far can you reach? ★★★ 12 minutes, open

Within half a minute of computing, find the longest latch that an LSTM of 16 units learns from three of three seeds. Say
what you tried, how the failures were spread over seeds, and what you would need to claim that a longer one is impossible.
"""

# %%
longer = train("lstm", tasks.latch(80, n_train=2000), 16, lr=0.01, forget_bias=4.0)
longer.table.test_accuracy.round(2).tolist()

# %% [markdown] tags=["solution"]
r"""
**One answer.** With a bias of `4` some seeds fail at eighty steps; with $\ln(T - 1)$, which is `4.4`, all that were tried succeed. Failures come all or nothing: a network either has the bit or is
at chance, so a mean over seeds describes no network, and the number of solved seeds is the thing to report. Nothing here could
show that a length is impossible. A failure within a budget shows a budget; for more one would have to show that the gradient that
arrives is below the noise of the batches at every point of training, for every rate.
"""

# %% [markdown] minutes=2
r"""
## What we saw

- The cell's gradient is a product of forget gates and what comes back through $h$: torch's default loses
  19.5{#l10-default} decades over 98 steps, where the gates alone say 29.5{#l10-path-0}.
- A forget bias is a half-life. On the latch over 40 steps the border between nothing and everything lies at
  2{#l10-latch-bias}; torch's default is 0 and fails.
- In torch the bias is the sum of two vectors, in the order input, forget, cell, output; a GRU's update gate keeps.
- Speech under thirty frames of noise: 0.94{#l10-speech-3} against 0.15{#l10-speech-orthogonal} without gates; text eighty
  characters back: 0.94{#l10-text-3}. The gates do it by staying open, and explosion remains possible.

**Where next.** Lesson 11 gives you networks that someone else has broken.
"""

# %% [markdown]
r"""
## In your own model

```python
for name, bias in model.lstm.named_parameters():  # a half-life as long as your lag
    if name.startswith("bias_ih"):
        bias.data[bias.numel() // 4 : bias.numel() // 2] = vg.theory.gate_bias(half_life=40)
with torch.backends.mkldnn.flags(enabled=False), vg.probe(model) as seen:  # a row per time step
    loss_fn(model(x), y).backward()
vg.time_plot(seen.table, share=0.01)
```

Without the flag a CPU runs the LSTM as one piece and shows no time steps; the probe's report says so, and what to switch off.
"""

# %% [markdown]
r"""
## Sources

- S. Hochreiter and J. Schmidhuber (1997), [*Long short-term
  memory*](https://www.bioinf.jku.at/publications/older/2604.pdf), Neural Computation 9, 1735–1780.
- F. Gers, J. Schmidhuber and F. Cummins (2000), [*Learning to forget: continual prediction with
  LSTM*](https://doi.org/10.1162/089976600300015015), Neural Computation 12, 2451–2471.
- K. Cho and others (2014), [*Learning phrase representations using RNN encoder–decoder for statistical machine
  translation*](https://arxiv.org/abs/1406.1078), EMNLP.
- R. Jozefowicz, W. Zaremba and I. Sutskever (2015), [*An empirical exploration of recurrent network
  architectures*](https://proceedings.mlr.press/v37/jozefowicz15.html), ICML.
- R. Srivastava, K. Greff and J. Schmidhuber (2015), [*Highway networks*](https://arxiv.org/abs/1505.00387).
- C. Tallec and Y. Ollivier (2018), [*Can recurrent neural networks warp time?*](https://arxiv.org/abs/1804.11188), ICLR.
- Torch's documentation of [`nn.LSTM`](https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html): the order of the
  gates, the two biases and how they are drawn.
- Data: as in lesson 5.
"""
