# %% [markdown]
r"""
# 90. Is it my gradients?

**Time** 38 minutes, and 19 for the exercises. **Needed first** Lesson 1, and better 2 and 3: decades, factor per layer.
**New words** update ratio, verdict, remedy, forget gate.
"""

# %% [markdown]
r"""
**You will be able to**

- see where a network of your own loses its gradient, with one `with` around the training step that you have;
- read a diagnosis, and judge the remedies that it tried on copies of the network;
- say what the verdict "healthy" rules out, and what it leaves open;
- name what a short trial on one batch cannot show.
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
images = data.x.view(-1, 1, 8, 8)

# %% [markdown] minutes=6
r"""
## The symptom

A network that somebody at work might have written: eighteen convolutions, a ReLU behind each as a call in `forward`,
and torch's own first weights. It is to read the digits of the lessons, this time as images.
"""

# %%
class DigitNet(nn.Module):
    """Convolutions of 16 channels with ReLU, and a read-out. images: (batch, 1, 8, 8)."""

    def __init__(self, depth=18, channels=16):
        super().__init__()
        first = nn.Conv2d(1, channels, 3, padding=1)
        others = [nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth - 1)]
        self.convs = nn.ModuleList([first, *others])
        self.head = nn.Linear(16 * channels, 10)

    def forward(self, images):
        h = F.max_pool2d(F.relu(self.convs[0](images)), 2)
        for conv in self.convs[1:]:
            h = F.relu(conv(h))
        return self.head(h.flatten(1))


# %%
def training_step(model, optimizer, x, y):
    """An ordinary step; returns the loss before it."""
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
def train(model, optimizer, steps=150, labels=data.y):
    """The loss at each step, on random batches of 64 digits: a table with step and loss."""
    batches, losses = torch.Generator().manual_seed(0), []
    for _ in range(steps):
        batch = torch.randint(len(images), (64,), generator=batches)
        losses.append(training_step(model, optimizer, images[batch], labels[batch]))
    return pd.DataFrame({"step": range(steps), "loss": losses})


# %% [markdown]
r"""
The training step is the ordinary one, and stays so through all of this page.
"""

# %%
def patient():
    """The network as its author starts it."""
    torch.manual_seed(1)
    return DigitNet()


# %% [markdown]
r"""
Its loss does not move. The first suspicions are the learning rate, the optimizer and the data, and each of them can be
put to the test in a line or two: three rates, Adam, and a linear model on the same images.
"""

# %%
sgd = lambda model, lr: torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
runs = []
for lr in (0.001, 0.01, 0.1):
    model = patient()
    runs += [train(model, sgd(model, lr)).assign(run=f"SGD, rate {lr}")]
model = patient()
runs += [train(model, torch.optim.Adam(model.parameters())).assign(run="Adam")]

# %%
linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
runs += [train(linear, sgd(linear, 0.01)).assign(run="linear model")]
vg.training_plot(pd.concat(runs), by="run", level=(np.log(10), "chance, ln 10"),
                 title="Neither the rate nor the optimizer nor the data");

# %% [markdown]
r"""
*Figure 90.1. Training loss over 150 steps. The eighteen convolutions stay at the loss of guessing, with SGD at three
learning rates and with Adam; a linear model learns from the same images at once.*

**What you see.** Whatever the rate, and with Adam at its usual one, the loss ends at 2.30{#l90-stuck-loss}, which is
$\ln 10$, the loss of one who guesses. The data are innocent: the linear model, the smallest network there is, is right
for 0.95{#l90-linear-accuracy} of the digits after the same steps. (With other first weights Adam now and then begins to
move after a hundred steps.) So more layers have made it worse, and that is the moment to look at gradients.
"""

# %% [markdown] minutes=6
r"""
## Where the signal is lost

Nothing about the model or the training step has to change. Put `with vg.probe(model, optimizer)` around the code that
is there; calls such as `F.relu` are seen as well, and named after the layer before them.

**Predict.** From the last convolution down to the first, how many decades does the gradient lose? A decade is a
factor of ten, and the signal passes seventeen layers.
"""

# %% tags=["predict"]
guess_decades = 3.0  # decades of gradient lost from convs.17 to convs.0

# %%
model = patient()
optimizer = sgd(model, 0.01)
with vg.probe(model, optimizer) as seen:
    train(model, optimizer, steps=1)
columns = ["layer", "kind", "h_rms", "slope", "dead", "grad_rms", "gain"]
seen.table[columns].iloc[[0, 1, 2, 3, 18, 19, 34, 35, 36]]

# %%
vg.depth_plot(seen.table);

# %% [markdown]
r"""
*Figure 90.2. Gradient of the loss with respect to the output of each ReLU call, relative to the last one, on a
logarithmic axis. It falls evenly towards the input, layer after layer, over more than seven decades.*
"""

# %%
relu = seen.table[seen.table.kind == "relu"]
check.prediction("90.1", guess_decades, np.log10(relu.grad_rms.iloc[-1] / relu.grad_rms.iloc[0]))

# %% [markdown]
r"""
A row of the table is a call, in the order of the calls. The same in words, with what the optimizer made of it:
"""

# %%
seen.report()

# %%
weights = seen.params[seen.params.name.str.endswith("weight")]
weights[["name", "grad_rms", "update_ratio"]].iloc[[0, 4, 9, 14, 18]]

# %% [markdown]
r"""
**What you see.** Each layer leaves about 0.35{#l90-factor} of the gradient, so that 0.46{#l90-conv-decades} decades
are lost per layer. No single layer is at fault; the line is straight. The **update ratio** is what a step moves a
weight by, over the weight itself. At the read-out it is a few ten-thousandths, in the first convolution next to
nothing: the change is smaller than the last bit of the weight, and is lost in rounding.

**What it costs.** The probe changes no bit of the training, but it reads every tensor, and in a network as small as this
one that takes a good part of the time. In a long run write `every="auto"`: it measures its own cost and looks as
often as fits into `overhead`, two per cent of the time; of a run of a second that may be the first step alone.

**What it does not show.** Why, and what helps. The table is a measurement, not a judgement.
"""

# %% [markdown] minutes=2
r"""
The thermometer of lesson 3 has the same illness in its first setting, in eighteen fully connected layers. Which
`sigma_w` brings both lines to the level, and how does the preset of He look?
"""

# %%
vg.widgets.variance_thermometer(depth=18)

# %% [markdown]
r"""
*Figure 90.3. The variance thermometer at torch's weight scale: the signal on its way up and the gradient on its way
down fall together, layer by layer, in a ReLU network of eighteen layers; theory dashed.*
"""

# %% [markdown] minutes=8
r"""
## The verdict, and what was tried

`vg.diagnose` takes what the training step has: model, batch, loss function, optimizer. It measures on copies, before
the first step and after a few, gives a **verdict** that names state and cause, and then tries the **remedies** that
this structure allows, each on a copy of its own, for sixty steps on the one batch. Your model stays as it is.

**Predict.** It will try He's initialization, the textbook's answer for ReLU, and orthogonal weights, a start scaled
layer by layer (LSUV), LayerNorm and BatchNorm. Which one will win? Then a number: the loss starts at 2.30{#l90-stuck-loss};
to what does *He's initialization* bring it in sixty steps?
"""

# %% tags=["predict"]
guess_he = 0.5  # loss on the batch after sixty steps from He's initialization

# %%
batch = images[:64], data.y[:64]
found = vg.diagnose(model, batch, F.cross_entropy, optimizer, seconds=120)
found

# %% [markdown]
r"""
What the object shows it also holds, for a script or a test of yours: state, cause and bound in decades, and the
tables `evidence`, `remedies` and `profile`.
"""

# %% tags=["nbval-check-output"]
found.state, found.cause, round(found.settings["threshold"])

# %%
found.plot();

# %% [markdown]
r"""
*Figure 90.4. The diagnosis as a picture: the gradient at each ReLU call relative to the last, the healthy band of two
decades on either side shaded, the layers named by the verdict marked. A diamond at the first layer says where the
gradient arrives with the best remedy, well inside the band.*
"""

# %%
remedies = found.remedies.set_index("remedy")
check.prediction("90.2", guess_he, remedies.loc["He initialization", "loss_after"])

# %% [markdown]
r"""
**What you see.** The state is *vanishing*, the cause *weights too small*: the slope of ReLU is what it should be, and
what the weights do to the gradient is too little to make up for it. The first table holds every number that the
verdict rests on beside its limit.

In the second, normalization wins by far: BatchNorm brings the loss of the batch to
0.003{#l90-trial-batchnorm}. He's start saves nearly the whole gradient, and in sixty steps at this rate it gets nowhere.
A gradient that arrives is a condition for learning, not learning itself, so "helps" is decided by the loss.

> **Note.** The diagnosis finds a third of a decade less than the probe did. It compares lengths and not root mean
> squares, because a length does not change when a layer merely spreads the same gradient over more numbers; the first
> layer, before the pooling, has four times as many.

The lines of code under the tables are the ones that were run. Paste them between the model and its optimizer:
"""

# %%
def cured():
    """The patient with BatchNorm before each activation, as the diagnosis writes it."""
    model = patient()
    for name in [f"convs.{i}" for i in range(18)]:
        parent, _, child = name.rpartition(".")
        parent = model.get_submodule(parent)
        setattr(parent, child, nn.Sequential(parent.get_submodule(child), nn.BatchNorm2d(16)))
    return model


# %% [markdown]
r"""
And the textbook's favourite once more, in a training that deserves the name, on all the digits:
"""

# %%
starts = {"as it was": patient(), "He": vg.init_(patient(), "he", seed=1), "BatchNorm": cured()}
runs = [train(model, sgd(model, 0.01)).assign(start=name) for name, model in starts.items()]
vg.training_plot(pd.concat(runs), by="start", level=(np.log(10), "chance, ln 10"),
                 title="Both cures work, one of them later");

# %% [markdown]
r"""
*Figure 90.5. Training loss over 150 steps on batches of all digits. As it was, the network stays at chance; with
BatchNorm the loss falls at once; from He's start it falls late and with jumps back up, and arrives nearly as low.*

**What you see.** With BatchNorm the loss goes to 0.13{#l90-batchnorm-loss}, from He's start to 0.3{#l90-he-loss} with
the same rate and the same batches. The trial had called He's start no help, and sixty steps were too few for it. Take
a tick as a sign from one batch, look at the size of the loss beside it, and read a row without one as *not shown to help*.

**Modify.** Give the cell `0.1` as a rate, then `0.001`. Which of the two cures minds more?
"""

# %% [markdown] minutes=6
r"""
## When it is not the gradients

A week later the network, with BatchNorm now, does not learn again. In one copy the loader shuffles the images and not
the labels; in another, somebody typed `1e-5` for `1e-2`. A third copy is sound.

**Predict.** How many of the three will `vg.diagnose` call healthy?
"""

# %% tags=["predict"]
guess_healthy = 1  # of the three networks

# %%
shuffled = data.y[torch.randperm(len(data.y), generator=torch.Generator().manual_seed(0))]
copies = {"sound": (data.y, 1e-2), "labels shuffled": (shuffled, 1e-2), "rate 1e-5": (data.y, 1e-5)}
rows = {}
for name, (labels, lr) in copies.items():
    model = cured()
    optimizer = sgd(model, lr)
    verdict = vg.diagnose(model, (batch[0], labels[:64]), F.cross_entropy, optimizer)
    with vg.probe(model, optimizer, every=25) as seen:
        losses = train(model, optimizer, labels=labels).loss
    updates = seen.params[seen.params.name.str.endswith("0.weight")].update_ratio
    rows[name] = {"verdict": verdict.state, "decades": verdict.evidence.value[0],
                  "update ratio": updates.median(), "loss": losses[-20:].median()}
copies = pd.DataFrame.from_dict(rows, orient="index")
copies

# %%
check.prediction("90.3", guess_healthy, (copies.verdict == "healthy").sum())

# %% [markdown]
r"""
**What you see.** All three, and rightly. In each the gradient grows by 1.1{#l90-cured-decades} decades towards the
input, which is BatchNorm's own habit in a network without skips ([Yang et al.,
2019](https://arxiv.org/abs/1902.08129)) and well inside two. A gradient does not know whether its labels are true, and it
is measured before the rate multiplies it.

What tells the three apart lies elsewhere. The convolutions of the sound copy move by
0.009{#l90-sound-update} of their size in a step, at the tiny rate by 0.00003{#l90-slow-update}. With shuffled labels
every reading is that of a network at work. What is wrong with it is nothing that a gradient could show, and the loss of
2.30{#l90-shuffled-loss} says so only if you know that it ought to fall.

**What it does not show.** "Healthy" ends one suspicion, that the gradient does not arrive. It says nothing on labels,
leaks, a loss that asks for the wrong thing, a rate that is merely too small, or a network too weak for its task. It is
worth having all the same: you can stop changing initializations, and look at the data.
"""

# %% [markdown] minutes=5
r"""
## A second patient, in time

An LSTM is to remember for sixty steps whether its first input was 1 or -1, through noise: the latch of [Bengio et al.
(1994)](https://www.iro.umontreal.ca/~lisa/pointeurs/ieeetrnn94.pdf).
"""

# %%
class Latch(nn.Module):
    """An LSTM of 16 units, read out after the last step. x: (batch, steps, 2)."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(2, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


# %%
def latch(size, generator, steps=60):
    """(x, y): noise in channel 0, and in channel 1 at the first step -1 or 1, which y tells."""
    y = torch.randint(2, (size,), generator=generator)
    x = torch.zeros(size, steps, 2)
    x[:, :, 0] = 0.3 * torch.randn(size, steps, generator=generator)
    x[:, 0, 1] = 2.0 * y - 1
    return x, y


# %%
def remember(model, steps=150, lr=0.01):
    """Median loss of the last 20 steps of Adam, each on 64 new sequences."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    new, losses = torch.Generator().manual_seed(0), []
    for _ in range(steps):
        losses.append(training_step(model, optimizer, *latch(64, new)))
    return float(np.median(losses[-20:]))


# %% [markdown]
r"""
Its loss ends where it began, at $\ln 2$, that is 0.69{#l90-latch-stuck}. The probe by itself says what it cannot see:
"""

# %% tags=["nbval-check-output"]
torch.manual_seed(4)
model = Latch()
x, y = latch(256, torch.Generator().manual_seed(4))
with vg.probe(model) as seen:
    F.cross_entropy(model(x), y).backward()
seen.notes

# %% [markdown]
r"""
**Predict.** Over sixty time steps of an LSTM with torch's weights, built so that gradients would not vanish: how many
decades are lost?
"""

# %% tags=["predict"]
guess_latch = 1.0  # decades of gradient lost over sixty time steps

# %%
adam = torch.optim.Adam(model.parameters(), lr=0.01)
found = vg.diagnose(model, (x, y), F.cross_entropy, adam, seconds=120)
found.plot();

# %% [markdown]
r"""
*Figure 90.6. The gradient of the loss with respect to the LSTM's state, against the time step: it falls evenly from the
last step to the first. With the best remedy it arrives inside the healthy band.*
"""

# %%
check.prediction("90.4", guess_latch, -found.evidence.value[0])

# %%
found.remedies[["remedy", "loss_before", "loss_after", "helps"]].round(2)

# %% [markdown]
r"""
**What you see.** Each step back leaves about 0.65{#l90-latch-factor} of the gradient. The **forget gate** decides what stays
of the cell from one step to the next, and torch starts it half open: $\sigma(0) = \tfrac12$. A bias of 3{#set} opens it, as
[Gers et al. (2000)](https://doi.org/10.1162/089976600300015015) advised. In an LSTM of torch's it is the second quarter
of the biases. A bias of 1{#set}, the usual advice, is not enough for sixty steps: on new sequences such an LSTM stays at
0.69{#l90-latch-bias-one}.
"""

# %%
open_gate = Latch()
open_gate.load_state_dict(model.state_dict())
with torch.no_grad():
    open_gate.rnn.bias_ih_l0[16:32] = 3.0
    open_gate.rnn.bias_hh_l0[16:32] = 0.0
{"as it was": round(remember(model), 2), "forget-gate bias of 3": round(remember(open_gate), 2)}

# %% [markdown] minutes=2
r"""
## From the command line

Where there is no notebook, the same runs on a file. A function in it returns the model and a batch, and, if you like, a
loss and an optimizer. Here somebody took over a rate of 2{#set} from a shallower network:
"""

# %%
FILE = '''
import torch
import vglab as vg

def build():
    model = vg.mlp(8, act="relu", sigma_w=2**0.5, seed=1)
    digits = vg.tasks.digits()
    batch = digits.x[:128], digits.y[:128]
    return model, batch, None, torch.optim.SGD(model.parameters(), lr=2.0)
'''

# %%
import subprocess
import sys
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
(folder / "my_model.py").write_text(FILE)
command = [sys.executable, "-m", "vglab", "diagnose", "my_model.py:build", "--html", "report.html"]
run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
print(run.stdout)

# %% [markdown]
r"""
In a terminal that is `vglab diagnose my_model.py:build --html report.html`. Here nothing is wrong with the gradient at the
start; the first steps of this optimizer break the network, and a hundredth of its rate does not. The report is one page without a script or
an address outside, to be attached to a ticket: the verdict and its meaning, the gradient layer by layer as a figure, the
numbers with their limits, every remedy with its loss and its code, the notes, and all that was measured.
"""

# %% [markdown] minutes=2
r"""
## What it tells apart, and what it cannot

| vanishing or dead | what gives it away |
|---|---|
| weights too small | usual slopes, weights' factor too low |
| activation without unit gain | unsaturated, rms slope under a half |
| saturating activation | values at the flat ends |
| depth | every factor near 1 |
| recurrence | lost over time steps |
| dead ReLUs | off for every example |
| precision | returns when the loss is scaled |
| normalization eps | returns with small eps |

| exploding | what gives it away |
|---|---|
| weights too large | weights' factor too high |
| normalization without skips | growth in spite of norms |
| residual without normalization | growth from block to block |
| recurrence | growth over time steps |
| learning rate | sound at first, broken after a few steps |

The verdict rests on one batch, and so do the trials. One batch can be learnt by heart:
on 32{#set} sequences in place of 256{#set} the LSTM as it was brings the loss to 0.5{#l90-latch-by-heart} in sixty
steps, and on new sequences it stays at 0.69{#l90-latch-stuck}. Then every remedy looks smaller than it is, and some look
larger. Give `diagnose` the largest batch that you can spare the time for.

Nor do sixty steps show what comes late: a plateau that ends, a rate that breaks the network in its second epoch, what
generalizes. The bounds, two decades for SGD and three for Adam, come from families of small networks of known illness;
at the border the confidence is near a half, and means it. What `torch.compile` made is one piece to autograd: the probe
sees its ends only, and the diagnosis says in a note that it measured a copy without it.
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=7
r"""
### Exercise 90.1: four patients ★ 7 minutes

Four fully connected networks were trained for sixty steps. One has a vanishing gradient, one a rate that is far too
small, one labels that belong to other images, and one is sound. Which is which: `"gradient"`, `"rate"`, `"data"` or
`"nothing"`?
"""

# %%
def readings(act, sigma_w, lr, labels):
    """What a probe reads in sixty steps of a network of eight layers."""
    model = nn.Sequential(nn.Flatten(), vg.mlp(8, act=act, sigma_w=sigma_w, seed=0))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    with vg.probe(model, optimizer) as seen:
        losses = train(model, optimizer, steps=60, labels=labels).loss
    signal = seen.table[(seen.table.step == 0) & seen.table.slope.notna()].grad_rms
    updates = seen.params[seen.params.name.str.endswith("weight")].update_ratio
    return {"decades": np.log10(signal.iloc[0] / signal.iloc[-1]),
            "log10 of update": np.log10(updates.median()), "loss": losses[-10:].median()}


# %% tags=["nbval-check-output"]
he = 2**0.5
secret = {"A": ("relu", he, 0.05, shuffled), "B": ("relu", he, 0.05, data.y),
          "C": ("sigmoid", 1.0, 0.05, data.y), "D": ("relu", he, 1e-5, data.y)}
pd.DataFrame({name: readings(*settings) for name, settings in secret.items()}).T.round(1)

# %% exercise="90.1" tags=["nbval-check-output"]
def suspects():
    """What is wrong with each, for example {"A": "rate", "B": "rate", "C": "rate", "D": "rate"}."""
    ### BEGIN SOLUTION
    return {"A": "data", "B": "nothing", "C": "gradient", "D": "rate"}
    ### END SOLUTION


check.suspects(suspects)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

One network changes its gradient by several decades. Among the other three, whose weights hardly move?
</details>

<details><summary>Hint 2</summary>

The two that are left have the same decades and nearly the same updates. Only the loss tells them apart, and a probe does not know what it should be.
</details>
"""

# %% [markdown] minutes=12
r"""
### Exercise 90.2: a patient of your own ★★★ 12 minutes, open

Take a network of yours that learns badly, or the one below, and write the report that you would send to its author in
four sentences: the verdict with its most telling number, the remedy you would try and the loss it reached in the trial,
what the trial cannot have seen, and an experiment that could prove you wrong.
"""

# %%
mine = vg.mlp(25, act="gelu", seed=0)
report = vg.diagnose(mine, (data.x[:128], data.y[:128]), F.cross_entropy, seconds=120)
report.state, report.cause

# %% [markdown] tags=["solution"]
r"""
**One answer.** "The gradient loses far more than the two decades that SGD can stand between the last GELU and the
first, evenly, because torch's weights are too small for it. LayerNorm or BatchNorm before each activation brings the
loss on one batch close to zero in sixty steps. The trial used one batch and one rate, so that I cannot say whether the
network generalizes, nor whether the starts that came out worse would have caught up. Train it with and without the norm
on all the data for an epoch, with three seeds each: should the plain one catch up at some rate, I was wrong about the
cause."
"""

# %% [markdown] minutes=1
r"""
## What we saw

- A probe around the training step showed eighteen convolutions that leave 0.35{#l90-factor} of the gradient each, after
  rate, optimizer and data had been cleared.
- The diagnosis named the cause and tried the remedies; BatchNorm won, and He's start, no help in sixty steps, came to
  0.3{#l90-he-loss} in a longer training.
- Shuffled labels and a rate a thousand times too small are both "healthy": the verdict ends one suspicion only.
- One batch can be learnt by heart, and sixty steps end before a plateau does.

**Where next.** To the network that made you open this page.
"""

# %% [markdown]
r"""
## In your own model

```python
with vg.probe(model, optimizer, every="auto") as seen:   # around the training that you have
    train()
print(seen.report())

found = vg.diagnose(model, (inputs, targets), loss_fn, optimizer)
found.to_html("report.html")
```

Say before you look what you expect. If the verdict is "healthy", believe it, and look elsewhere; if a remedy helps in
the trial, try it in a training.
"""

# %% [markdown]
r"""
## Sources

- Y. Bengio, P. Simard and P. Frasconi (1994), [*Learning long-term dependencies with gradient descent is
  difficult*](https://www.iro.umontreal.ca/~lisa/pointeurs/ieeetrnn94.pdf), IEEE Transactions on Neural Networks 5.
- F. Gers, J. Schmidhuber and F. Cummins (2000), [*Learning to forget: continual prediction with
  LSTM*](https://doi.org/10.1162/089976600300015015), Neural Computation 12.
- K. He, X. Zhang, S. Ren and J. Sun (2015), [*Delving deep into rectifiers*](https://arxiv.org/abs/1502.01852), ICCV,
  equations 10 and 14.
- S. Ioffe and C. Szegedy (2015), [*Batch normalization*](https://arxiv.org/abs/1502.03167), ICML, algorithm 1.
- G. Yang, J. Pennington, V. Rao, J. Sohl-Dickstein and S. Schoenholz (2019), [*A mean field theory of batch
  normalization*](https://arxiv.org/abs/1902.08129), ICLR.
"""
