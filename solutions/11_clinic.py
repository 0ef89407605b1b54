# %% [markdown]
r"""
# 11. What is wrong with this network?

**Time** 68 minutes, and 45 for the exercises. **Needed first** Lessons 1 to 3 and 6 to 9; lesson 4 for Adam.
**New words** single remedy, control, company, confusion table, case report.
"""

# %% [markdown]
r"""
**You will be able to**

- compare remedies fairly, each alone on the same sick network, and say which half of the illness each one treats;
- show by experiment whether a gradient of the right size is enough for learning, and whether it is needed;
- name what is wrong with an unknown network from a few probes, and say when it is not the gradient;
- choose the smallest change that cures it, and judge a diagnosis made by a machine.
"""

# %%
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import check, tasks

data = tasks.digits()
x, y = data.x[:256], data.y[:256]

# %% [markdown] minutes=14
r"""
## One patient, eighteen remedies

The course has met many remedies, each in a network that suited it. Here they all get the same patient, lesson 1's in
a narrower cut: twenty sigmoid layers of 32 units with Xavier's weights. A **single remedy** changes one thing in it,
or takes an activation together with the start that was derived for it, and leaves the rest.

Lesson 6 showed what makes such a comparison fair. Each remedy is tried with four learning rates and three seeds, and
keeps the rate with the lowest training *loss*; what is reported is accuracy, so that no one is picked by the number
that is shown. Which remedy looks best can depend on nothing but the rates that were tried ([Choi et al.
2019](https://arxiv.org/abs/1910.05446), for optimizers).
"""

# %%
he = 2**0.5
remedies = {
    "nothing": {}, "gain 4": {"sigma_w": 4.0}, "gain 10": {"sigma_w": 10.0}, "orthogonal": {},
    "LayerNorm": {"norm": "layer"}, "RMSNorm": {"norm": "rms"}, "BatchNorm": {"norm": "batch"},
    "skips": {"skip": True},
    "ReLU, torch's draw": {"act": "relu", "sigma_w": None}, "ReLU, Xavier": {"act": "relu"},
    "ReLU, He": {"act": "relu", "sigma_w": he}, "leaky, He": {"act": "leaky_relu", "sigma_w": he},
    "GELU, He": {"act": "gelu", "sigma_w": he}, "SiLU, He": {"act": "silu", "sigma_w": he},
    "tanh": {"act": "tanh"}, "tanh, orthogonal": {"act": "tanh"},
    "ELU": {"act": "elu"}, "SELU": {"act": "selu"}, "Adam": {},
}


# %%
def network(remedy, seed):
    """The sick network with one remedy: twenty layers of 32 units."""
    settings = {"act": "sigmoid", "sigma_w": 1.0} | remedies[remedy]
    model = vg.mlp(20, 32, seed=seed, **settings)
    return vg.init_(model, "orthogonal", seed=seed) if "orthogonal" in remedy else model


# %% [markdown]
r"""
**Predict.** Without a remedy the accuracy stays at 0.10{#l11-nothing}. Of the eighteen remedies, how many bring it
above 0.8{#set}, median of three seeds, within 200 steps?
"""

# %% tags=["predict"]
guess_remedies = 12  # single remedies with a training accuracy above 0.8, of 18

# %% [markdown]
r"""
Two functions keep the comparison fair: one trains every network at every rate, side by side, the other keeps of each
remedy the rate that did best.
"""


# %%
def trained(networks, rates, optimizer=torch.optim.SGD, **settings):
    """Train {name: function of a seed} with each rate and three seeds: a row per run."""
    grid = [(name, lr, seed) for name in networks for lr in rates for seed in range(3)]
    nets = [networks[name](seed) for name, _, seed in grid]
    result = vg.train_many(nets, data.x, data.y, lr=[lr for _, lr, _ in grid], steps=200,
                           batch_size=32, optimizer=optimizer, progress=len(grid) > 90, **settings)
    rows = pd.DataFrame(grid, columns=["remedy", "lr", "seed"])
    return rows.join(result.table[["loss", "accuracy"]].fillna({"loss": np.inf}))


# %%
def best_rate(runs):
    """Of each remedy the three runs at the rate whose median loss is lowest."""
    losses = runs.groupby(["remedy", "lr"]).loss.median()
    best = set(losses.groupby("remedy").idxmin())
    return runs[[pair in best for pair in zip(runs.remedy, runs.lr)]].copy()


# %%
rates = (0.003, 0.01, 0.03, 0.1)
single = {name: partial(network, name) for name in remedies}
adam = {"Adam": single.pop("Adam")}
runs = pd.concat([
    trained(single, rates, momentum=0.9),
    trained(adam, (0.001, 0.003, 0.01), optimizer=torch.optim.Adam),
])
table = best_rate(runs)

# %% [markdown]
r"""
Beside the accuracy stands the factor per layer before training, measured over all twenty layers and predicted. Theory
follows the variance from layer to layer, as in lesson 2; the skips have no dash, for a sigmoid's branches add up a
mean that the formula of lesson 9 leaves out.
"""


# %%
def factor(model):
    """The factor per layer on the gradient, over all layers."""
    profile = vg.gradient_profile(model, x, y)
    blocks = profile[profile.kind == "Residual"]
    signal = (blocks if len(blocks) else profile.dropna(subset="slope")).grad_rms
    return (signal.iloc[0] / signal.iloc[-1]) ** (1 / (len(signal) - 1))


# %%
def predicted(act="sigmoid", sigma_w=1.0, norm=None):
    """Theory's factor per layer over twenty layers, on these digits."""
    sigma_w = sigma_w or vg.theory.TORCH_DEFAULT
    start = {} if norm else {"q0": sigma_w**2 * x.square().mean().item()}
    return vg.theory.gradient_profile(act, 20, sigma_w, norm=norm, **start)[0] ** (1 / 19)


# %%
table["factor"] = [factor(network(row.remedy, row.seed)) for row in table.itertuples()]
median = table.groupby("remedy")[["factor", "accuracy"]].median().sort_values("factor")
theory = pd.DataFrame([
    {"remedy": name, "factor": predicted(**change)}
    for name, change in remedies.items() if "skip" not in change
])
readings = {"factor": "factor per layer, before training", "accuracy": "accuracy, after 200 steps"}
levels = {"factor": 1, "accuracy": 0.1}
vg.rows_plot(table.set_index("remedy").loc[median.index].reset_index(), "remedy", readings,
             theory=theory, levels=levels, title="A level gradient is not enough");

# %% [markdown]
r"""
*Figure 11.1. One sick network under eighteen single remedies: at the left what each does to the gradient, dotted line
at 1; at the right what is learned, dotted line at chance. Skips, BatchNorm, tanh, ELU and SELU learn; `gain 10` and
He's ReLU level the gradient and learn little. Best of four rates (Adam: of three), three seeds.*
"""

# %%
check.prediction("11.1", guess_remedies, (median.accuracy > 0.8).sum())

# %% tags=["nbval-check-output"]
sorted(median.index[median.accuracy > 0.8])

# %% [markdown]
r"""
**What you see.** Six of eighteen. Below them lie three kinds of failure. *No repair at all*: orthogonal weights alone
(a quarter stays a quarter) and Adam, which changes no layer. *Half a repair*: `gain 4`, LayerNorm and RMSNorm raise the
factor from 0.24{#l11-nothing-factor} to 0.63{#l11-gain4-factor} and 0.39{#l11-ln-factor}, which over twenty layers
still leaves a few ten thousandths or less.

And *repair without learning*: `gain 10` has a factor of 0.95{#l11-gain10-factor} and reads 0.19{#l11-gain10} of the
digits; GELU with He's scale, 0.95{#l11-gelu-factor}, reads 0.35{#l11-gelu}; ReLU with He's own start is level and
reaches 0.5{#l11-he}. (GELU and SiLU are the two where theory misses: at this scale the draw decides whether their
variance grows or dies.)

**What it does not show.** That He's start is poor. Lesson 3 trained it past 0.95{#l3-he-accuracy} with twice the
width and twice the steps. This patient is narrow and the time short, and a ranking holds for its setting only.

**Modify.** In `network` make the layers 64 units wide; it takes half a minute. Which of the twelve cross the line?
"""

# %% [markdown] minutes=12
r"""
## The gradient alone

`gain 10` changes the weights, and with them everything. What would be needed is a treatment of the gradient *alone*.
`detach` makes one: the function below computes an activation, to the last bit, and multiplies the gradient that comes
back by a number of your choice.
"""

# %%
def amplified(act, by):
    """An activation with the values of `act` and `by` times its slope."""

    def activation(z):
        h = act(z)
        return h.detach() + by * (h - h.detach())

    return activation


# %% [markdown]
r"""
With `by = 1 / 0.235` each layer gives back what it takes: the factor per layer becomes 1. The steps of the first
layers become as large as those of the last, and each layer's step keeps its direction.

**Predict.** The sick network, its gradient levelled in this way, gets the same four rates. What accuracy does it
reach?
"""

# %% tags=["predict"]
guess_levelled = 0.8  # training accuracy of the sigmoid network with its gradient levelled

# %% [markdown]
r"""
The mirror image belongs to it: a tanh network, whose signal is sound, with its gradient *muffled* to a quarter behind
each layer, so that it vanishes as fast as the patient's. Nothing else is touched.
"""

# %%
mlp = lambda act: lambda seed: vg.mlp(20, 32, act=act, sigma_w=1.0, seed=seed)
halves = {
    "sigmoid": mlp("sigmoid"),
    "sigmoid, levelled": mlp(amplified(torch.sigmoid, 1 / 0.235)),
    "tanh, muffled": mlp(amplified(torch.tanh, 0.25)),
    "tanh": mlp("tanh"),
}
both = best_rate(trained(halves, rates, momentum=0.9))

# %%
both["factor"] = [factor(halves[row.remedy](row.seed)) for row in both.itertuples()]
both.groupby("remedy", sort=False)[["factor", "accuracy"]].median().round(2)

# %%
levelled = both[both.remedy == "sigmoid, levelled"]
check.prediction("11.2", guess_levelled, levelled.accuracy.median())

# %% [markdown]
r"""
**What you see.** With a factor of 1.00{#l11-levelled-factor} the patient stays at chance, 0.10{#l11-levelled}. With a
factor of 0.24{#l11-muffled-factor}, the patient's own, the tanh network reads 0.47{#l11-muffled} of the digits. What
decides is the way forward.

In the sigmoid network the difference between two digits shrinks by the same quarter at each layer; at the top it lies far below the last digit of float32, and a gradient, however large, is that
of a network that sees one and the same image.

In the tanh network only the last layers learn, but what reaches them are random features in which the digits are
still different. So "vanishing gradient" names one symptom of the sigmoid network, and not the one that stops it.
Lesson 2 spoke of two diseases; here each network has one of them and is free of the other.

**What it does not show.** That the gradient does not matter: muffled, tanh falls from 0.90{#l11-tanh} to half of it.
Nor that float32 is to blame: in float64, where the difference would still be there, the levelled network stays at
chance, too.

**Modify.** Level `torch.tanh`, muffled by `0.25`, with a further factor of `4`: write the two as one `by`. What must
come out, to the last digit?
"""

# %% [markdown] minutes=10
r"""
## Is more better?

If one remedy is good, two should be better. BatchNorm alone brought the patient to 0.93{#l11-bn}, ReLU with He's start
to 0.5{#l11-he}, skips to 0.99{#l11-skips}. Put them together and keep everything else: the same rates, the same steps.

**Predict.** BatchNorm *and* ReLU with He's start. What accuracy?
"""

# %% tags=["predict"]
guess_stack = 0.96  # training accuracy with BatchNorm, ReLU and He's weights

# %% [markdown]
r"""
Five stacks, the last with another optimizer as well:
"""

# %%
relu = {"act": "relu", "sigma_w": he}
remedies |= {
    "BatchNorm, He": relu | {"norm": "batch"},
    "skips, He": relu | {"skip": True},
    "skips, BatchNorm": {"norm": "batch", "skip": True},
    "skips, BatchNorm, He": relu | {"norm": "batch", "skip": True},
    "all of it, and Adam": relu | {"norm": "batch", "skip": True},
}
stacks = {name: partial(network, name) for name in list(remedies)[-5:]}

# %%
everything = {"all of it, and Adam": stacks.pop("all of it, and Adam")}
more = pd.concat([
    table[table.remedy.isin(["skips", "BatchNorm", "ReLU, He"])],
    best_rate(trained(stacks, rates, momentum=0.9)),
    best_rate(trained(everything, (0.001, 0.003, 0.01), optimizer=torch.optim.Adam)),
])

# %%
more["factor"] = [factor(network(row.remedy, row.seed)) for row in more.itertuples()]
order = more.groupby("remedy", sort=False).accuracy.median().fillna(0).sort_values().index
vg.rows_plot(more.set_index("remedy").loc[order].reset_index(), "remedy", readings,
             levels=levels, title="No stack beats the skips alone");

# %% [markdown]
r"""
*Figure 11.2. Single remedies and stacks of them on the same patient, ordered by accuracy. A cross: all runs diverged.
He's ReLU spoils what BatchNorm repaired and makes skips explode; with all three, and with Adam as well, the network
learns about as well as with skips alone. Best of four rates (Adam: of three), three seeds.*
"""

# %%
stacked = more.groupby("remedy").accuracy.median()
check.prediction("11.3", guess_stack, stacked["BatchNorm, He"])

# %% [markdown]
r"""
**What you see.** Together they reach 0.6{#l11-bn-he}, far less than BatchNorm alone. Under BatchNorm the sigmoid has a
factor of 1.04{#l11-bn-factor}, the ReLU one of 1.2{#l11-bn-he-factor}: lesson 8's price, paid for nothing. With
skips, He's branches double the variance at each block, as lesson 9 computed, and all twelve runs diverge. All three
together are sound again, 0.97{#l11-all}, because BatchNorm tames the branches; with Adam on top 0.98{#l11-all-adam}.
One symbol, the skip, had given 0.99{#l11-skips}.

A remedy is derived for a network without the others: He's scale for plain ReLU layers, for instance. In a stack each
one changes what the next one was made for, so the *profile* of the stack has to be measured anew. And whoever adds
five at once cannot say which one did it: [Lipton and Steinhardt (2018)](https://arxiv.org/abs/1807.03341), section
3.2, count that among the troubling habits of the field.

**What it does not show.** That stacks are bad: modern networks are stacks whose parts were fitted to one another.

**Modify.** Give `"skips, He"` the scaled branches of lesson 9: `"skip": 20**-0.5`. Where does it land now?
"""

# %% [markdown] minutes=16
r"""
## The ward

So far you knew what was wrong. `vg.experiments.patients` draws networks for the digits with one fault each, or none;
what the fault is, a patient tells on demand only. A patient has a `model`, its data `x` and `y`, a learning rate and
a batch size; `chart()` is the profile of a forward and a backward pass, `train()` trains a copy for 150 steps.
"""

# %%
ward = vg.experiments.patients(40, seed=1)
ward[:4]

# %% tags=["nbval-check-output"]
pd.Series(vg.experiments.DIAGNOSES).index.to_list()


# %% [markdown]
r"""
The ten diagnoses come equally often. The faults are strong: trained as it is, a sick patient reads less than
0.55{#set} of the test digits after 150 steps, and more than 0.65{#set} once its one fault is mended (nothing mends
shuffled labels). The four healthy ones are the **control**: whoever finds a fault in them finds faults everywhere.

**Predict.** So 36{#set} of the 40{#set} do not train. In how many of these does the gradient arrive at the first
layer within a factor of ten of its size at the last?
"""

# %% tags=["predict"]
guess_level = 6  # sick patients, of 36, whose gradient changes by less than a factor of ten

# %% [markdown]
r"""
Five numbers say what a chart shows. They are taken behind the activations: decades of gradient from the last layer to
the first, the median layer's rms slope and share of saturated values, the largest share of dead units, and the cosine
between two digits at the end.
"""


# %%
def reading(patient):
    """What one pass over 128 digits shows: a dict of five numbers."""
    acts = patient.chart().dropna(subset="slope")
    first, last = acts.grad_rms.clip(lower=1e-30).iloc[[0, -1]]
    typical = acts[["slope", "saturated"]].median().to_dict()
    cosine = acts.cosine.fillna(1).iloc[-1]  # all zero: nothing is told apart
    return {"decades": np.log10(first / last), **typical, "dead": acts.dead.max(), "cosine": cosine}


# %%
charts = pd.DataFrame([{"diagnosis": one.reveal(), **reading(one)} for one in ward])
charts.groupby("diagnosis").median().round(2)

# %%
sick = charts[charts.diagnosis != "healthy"]
check.prediction("11.4", guess_level, (sick.decades.abs() < 1).sum())

# %% [markdown]
r"""
**What you see.** In 16{#l11-level}. Read the rows of the others first. *Decades* far below 0 mean a vanishing
gradient, and the next columns say why: a small slope without saturation (weak activation), with saturation
(saturated), a slope near its best and a cosine that is sound (weights too small). With dead units the gradient is 0,
which stands there as a loss of 27{#set} decades. Far above 0 the weights are too large.

The other 16{#l11-level}, four diagnoses, have the chart of a healthy network. "It does not train, so its gradients
vanish" fails here in four faults of nine; the mix is ours, the faults are everybody's.
"""

# %% [markdown]
r"""
What tells them apart is another probe each. First the training itself, three patients of each kind:
"""

# %%
kinds = ["healthy", "detached statistics", "shuffled labels", "batch too small", "rate too high"]
losses = pd.DataFrame([
    {"diagnosis": kind, "seed": seed, "step": step // 5 * 5, "loss": loss}
    for kind in kinds for seed in range(3)
    for step, loss in enumerate(vg.experiments.patient(seed, among=kind).train()[1])
]).groupby(["diagnosis", "seed", "step"], sort=False).loss.apply(np.median).reset_index()
vg.training_plot(losses, by="diagnosis", logy=True, level=(2.303, "chance"),
                 title="Five patients whose gradient is level");

# %% [markdown]
r"""
*Figure 11.3. Loss over 150 steps, medians of five steps each, logarithmic: the healthy ones learn (one, with skips,
from a bad start), those with shuffled labels and with small batches stay near chance, those with detached statistics
begin to learn and lose it again, and where the rate is too high all three are gone within ten steps (cross). Medians
and ranges of three patients.*

A rate that is too high shows itself at once. The others can be found before training. Two of the probes ask what
lesson 8 said of BatchNorm. Behind it a weight's gradient must stand at a right angle to the weight. And in training
mode the output of a digit depends on its **company**, the other digits of the batch: how much?
"""

# %%
@torch.no_grad()
def company(patient, digits=16, companies=4):
    """Share of the outputs' variance that is due to the other digits of the batch."""
    draw = torch.Generator().manual_seed(0)
    shape = digits, companies, patient.batch_size
    batches = torch.randint(len(patient.x), shape, generator=draw)
    batches[:, :, 0] = torch.arange(digits)[:, None]  # the first is the one that is looked at
    out = torch.stack([patient.model(patient.x[b])[0] for b in batches.flatten(0, 1)])
    by_company = out.unflatten(0, (digits, companies)).var(1).mean()
    return (by_company / out.var(0).mean()).item()


# %%
def lean(patient):
    """The largest cosine between a row of the second matrix and its gradient, up to sign."""
    batch = slice(patient.batch_size)
    weight = [p for p in patient.model.parameters() if p.dim() == 2][1]
    loss = F.cross_entropy(patient.model(patient.x[batch]), patient.y[batch])
    (gradient,) = torch.autograd.grad(loss, weight)
    return F.cosine_similarity(weight, gradient, dim=1).abs().max().item()


# %% [markdown]
r"""
The last needs no network at all: do digits that look alike have the same label? All three for eight patients of each
kind, as medians:
"""


# %%
def neighbours(patient):
    """Share of the digits whose nearest other digit has the same label."""
    distance = torch.cdist(patient.x, patient.x).fill_diagonal_(torch.inf)
    return (patient.y[distance.argmin(1)] == patient.y).float().mean().item()


# %%
probes = pd.DataFrame([
    {"diagnosis": one.reveal(), "company": company(one), "lean": lean(one),
     "neighbours": neighbours(one)}
    for one in (vg.experiments.patient(seed, among=kind) for kind in kinds for seed in range(8))
])
probes.groupby("diagnosis").median().round(2)

# %% [markdown]
r"""
What a network says of a digit in a batch of four is decided nearly whole, 0.97{#l11-company-small}, by the three that
happen to stand beside it; the healthy patients with a BatchNorm have 0.12{#l11-company-healthy}, those without it 0.
Detached statistics *lean*, 0.4{#l11-lean}, where a right angle is due (without a BatchNorm that column says nothing).
And of shuffled labels the neighbours know nothing: 0.10{#l11-neighbours} instead of 0.98{#l11-neighbours-healthy}.

**What it does not show.** That bad labels keep a network from learning. Trained ten times longer, a patient with
shuffled labels begins to learn them by heart:
"""

# %%
parrot = vg.experiments.patient(2, among="shuffled labels")
model, _ = parrot.train(1500)
right = (model(parrot.x).argmax(1) == parrot.y).float().mean().item()
f"of its own labels: {right:.2f}; of new digits: {parrot.score(model):.2f}"

# %% [markdown]
r"""
Half of them, 0.5{#l11-memorized}, and of new digits what guessing gives. [Zhang et al.
(2017)](https://arxiv.org/abs/1611.03530) did the same with image networks of full size, which fitted random labels
easily. So a falling training loss is no certificate of health either. Labels that are wrong here and there are
common: [Northcutt et al. (2021)](https://arxiv.org/abs/2103.14749) estimate at least 3.3 %{#set} in the *test* sets of ten
well-known collections.

**Modify.** Give the patients with small batches `one.copy(batch_size=64)` in the cell that makes `probes`. What becomes of
their company? (They do train then.)
"""

# %% [markdown] minutes=9
r"""
## A second opinion

`vg.diagnose` (lesson 90) makes such a diagnosis by rule. It looks at the gradient behind each layer, before the first
step and after a few steps of the given optimizer on the one batch. A change of two decades or more between the ends
is a finding (three with Adam), and so is a layer that lets nothing through.

The *cause* is then read from what the gradient meets: rms slope, saturation, the weights' part of the factor. If the
gradient is sound at the start and the first steps break the network, the learning rate is blamed.

**Predict.** It sees the 40{#set} patients of the ward, each with 128 digits and its own learning rate. How many does
it name rightly, the healthy ones included?
"""

# %% tags=["predict"]
guess_right = 34  # right diagnoses of 40

# %% [markdown]
r"""
Its causes have names of their own; a small dictionary translates them.
"""

# %%
words = {
    "": "healthy", "activation without unit gain": "weak activation",
    "saturating activation": "saturated", "dead ReLUs": "dead units",
    "learning rate": "rate too high", "normalization without skips": "batch too small",
}


# %%
def second_opinion(patient):
    """What `vg.diagnose` says, in the words of the ward."""
    sgd = torch.optim.SGD(patient.model.parameters(), lr=patient.lr, momentum=0.9)
    batch = patient.x[:128], patient.y[:128]
    found = vg.diagnose(patient.model, batch, F.cross_entropy, sgd, remedies=False)
    return words.get(found.cause, found.cause)


# %% [markdown]
r"""
The answers in a **confusion table**: the truth in its rows, what was said in its columns.
"""

# %%
opinions = pd.DataFrame([(p.reveal(), second_opinion(p)) for p in ward], columns=["true", "said"])
pd.crosstab(opinions.true, opinions.said)

# %%
check.prediction("11.5", guess_right, (opinions.true == opinions.said).sum())

# %% [markdown]
r"""
**What you see.** 25{#l11-right} of 40{#set}. Every patient whose gradient vanishes or whose units are dead is named
rightly, and no healthy one is called sick: what lies off the matching column lies in two places.

It says *healthy* to every patient with shuffled labels, detached statistics and small batches, for of the gradient
that is true. A verdict "healthy" means: not the gradient, look elsewhere. And where weights that are too large change
the gradient by less than two decades, it blames the learning rate, since the first steps are what breaks. (Not without
reason: a tenth of the rate saves one or the other of them.)

**What it does not show.** How it does on networks unlike these; its rules were made on others, and are tested on
families that were set aside.

**Modify.** In `second_opinion` change `128` to `patient.batch_size`, twice. Which rows move?
"""

# %% [markdown] minutes=5
r"""
## The ward round

Pick a patient, look at one probe at a time, and name your diagnosis when you are sure; it is judged at once, and told
when you ask. Try to be right within two probes. The buttons are a first ward of five.
"""

# %%
vg.widgets.ward_round()

# %% [markdown]
r"""
*Figure 11.4. The ward round: one probe of one patient, layer by layer or step by step, and shaded the range of six
healthy patients of the same build. Here a gradient that fades towards the input. The line of text reads the probe in
words; the truth stays hidden until it is asked for.*
"""

# %% [markdown]
r"""
## Exercises
"""

# %% [markdown] minutes=18
r"""
### Exercise 11.1: the diagnosis ★★★ 18 minutes

Write the diagnosis as a function. It is tried on twenty patients that you have not seen, two of each kind, sealed:
they do not know what they have. You pass with 17{#set} right and no healthy patient called sick. Whatever this lesson
has defined may be used; keep it quick, some forty steps of training at most.
"""

# %% exercise="11.1" tags=["nbval-check-output"]
def diagnose(patient):
    """One of the ten words of vg.experiments.DIAGNOSES for a patient with model, x, y, lr..."""
    ### BEGIN SOLUTION
    seen, losses = reading(patient), patient.train(36)[1]
    decades, slope, saturated = (seen[name] for name in ("decades", "slope", "saturated"))
    findings = {
        "shuffled labels": neighbours(patient) < 0.5, "dead units": decades < -20,
        "weights too large": decades > 1,
        "weights too small": decades < -1 and slope > 0.5,
        "saturated": decades < -1 and saturated > 0.6, "weak activation": decades < -1,
        "batch too small": company(patient) > 0.6,
        "detached statistics": hasattr(patient.model, "norm1") and lean(patient) > 0.05,
        "rate too high": not np.mean(losses[-6:]) < 0.8 * losses[0],
    }
    return next((name for name, found in findings.items() if found), "healthy")
    ### END SOLUTION


check.diagnose(diagnose)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Begin with the probe that needs no network, then the decades of `reading`. A ReLU counts as saturated where it is off, and half of
its values are.
</details>

<details><summary>Hint 2</summary>

Four diagnoses are left with a level gradient and real labels: `company` finds one, `lean` another (only where the model has a
norm), three dozen steps of training the third: has the loss fallen by a fifth? What is left is healthy.
</details>
"""

# %% [markdown] minutes=13
r"""
### Exercise 11.2: the smallest cure ★★ 13 minutes

Now the diagnosis is known: `patient.reveal()`. Return a cured `patient.copy()` in which *at most one kind of thing*
is changed, as counted by `patient.changes(cured)`: weights, biases, activations, normalization, skips, the learning
rate, the batch size. After 150 steps it must read 0.65{#set} of new digits. A patient that needs nothing, or whom no
change of the network can help, is to come back as it is.
"""

# %% exercise="11.2" tags=["nbval-check-output"]
def cure(patient):
    """A copy of the patient with at most one kind of change, after which it trains."""
    ### BEGIN SOLUTION
    cured, sickness = patient.copy(), patient.reveal()
    for name, layer in list(cured.model.named_children()):
        if sickness == "weak activation" and name.startswith("act"):
            setattr(cured.model, name, nn.Tanh())
        if sickness == "detached statistics" and name.startswith("norm"):
            setattr(cured.model, name, nn.BatchNorm1d(32))
        if sickness in ("saturated", "dead units") and isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
    if sickness.startswith("weights"):
        vg.init_(cured.model, sigma_w=he if "ReLU" in repr(cured.model) else 1.0, seed=0)
    settings = {"batch too small": {"batch_size": 64}, "rate too high": {"lr": 0.02}}
    return cured.copy(**settings.get(sickness, {}))
    ### END SOLUTION


check.cure(cure)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

The layers are children of `cured.model`, named `linear1`, `norm1`, `act1` and so on: `setattr(cured.model, "act1", nn.Tanh())`
exchanges one. `cured.lr` and `cured.batch_size` can be set.
</details>

<details><summary>Hint 2</summary>

`vg.init_(cured.model, sigma_w=...)` draws all weights anew and sets all biases to 0. Which patients have biases other than 0? Those
would be changed in two things.
</details>
"""

# %% [markdown] minutes=14
r"""
### Exercise 11.3: a case report ★★★ 14 minutes, open

Write the **case report** of the patient below, on one page: what was measured, which diagnoses each reading excluded, the
diagnosis, the cure with its cost, and gradient profile and accuracy before and after. Say what would have made you
change your mind. The control belongs to it: apply the same cure to a healthy patient.
"""

# %%
case = vg.experiments.patient(314)
case

# %% [markdown] tags=["solution"]
r"""
**One answer.** *Complaint*: after 150 steps the patient reads 0.11{#l11-case-before} of new digits. *Chart*: the gradient
loses 5.7{#l11-case-decades} decades from layer 9 to layer 1, so not one of the four with a level gradient; no layer stops
it altogether, so not dead units; it falls, so not weights too large. The rms slope is 0.22{#l11-case-slope} where tanh may
have 1: not weights too small, which would leave tanh near its origin. A sigmoid would explain such a slope, but the
activation is tanh, and 0.81{#l11-case-saturated} of its values are saturated: *saturated*. The cosine of
1.0000{#l11-case-cosine} says that the inputs are lost, too. *Which weights or biases?* The matrices have `sigma_w` 1, the
biases a standard deviation of about 9{#l11-case-biases}. *Cure*: biases to 0, one kind of change. *After it*: a loss of
0.4{#l11-case-after-decades} decades, a slope of 0.92{#l11-case-after-slope}, and 0.9{#l11-case-after} of new digits.
*Control*: a healthy patient whose biases are set to 0 is unchanged, for they were 0. *What would have changed our mind*: a
patient still sick after the cure, or biases near 0 to begin with.
"""

# %% [markdown] minutes=2
r"""
## What we saw

- Of eighteen single remedies six healed the patient. `gain 4`, LayerNorm and RMSNorm raised its gradient and left it
  vanishing; `gain 10` levelled it, 0.95{#l11-gain10-factor} per layer, and still it read 0.19{#l11-gain10}.
- The gradient levelled by force: 0.10{#l11-levelled}. A sound signal with the gradient muffled: 0.47{#l11-muffled}.
  Deep sigmoids lose the way forward, too, and that is what stops them.
- In four of nine faults the gradient was sound; company, right angles, neighbours' labels and the first steps told
  them apart.
- BatchNorm and He's ReLU together did worse, 0.6{#l11-bn-he}, than BatchNorm alone, 0.93{#l11-bn}; and `vg.diagnose`
  was right about 25{#l11-right} patients of 40{#set}, blind to what is no matter of gradients.

**Where next.** Your own network: [Is it my gradients?](90_your_own_model.ipynb) Lessons 12 to 14 go deeper, into
plain networks at the edge of chaos, modern architectures and number formats.
"""

# %% [markdown]
r"""
## In your own model

```python
(y[torch.cdist(x, x).fill_diagonal_(torch.inf).argmin(1)] == y).float().mean()  # labels of neighbours
losses = [training_step(model, x, y) for _ in range(36)]     # finite, and falling on one batch?
profile = vg.gradient_profile(model, x, y, loss_fn)          # level? then it is not the gradient
```

In this order, the data first, as [Karpathy (2019)](https://karpathy.github.io/2019/04/25/recipe/) advises. `torch.cdist`
needs x as (examples, features), and a distance that means something. If you change the network, change one thing, and
measure again before you change the next.
"""

# %% [markdown]
r"""
## Sources

- S. Ioffe and C. Szegedy (2015), [*Batch normalization*](https://arxiv.org/abs/1502.03167), ICML: section 2 on
  statistics that the gradient step ignores.
- C. Zhang, S. Bengio, M. Hardt, B. Recht and O. Vinyals (2017), [*Understanding deep learning requires rethinking
  generalization*](https://arxiv.org/abs/1611.03530), ICLR.
- Z. Lipton and J. Steinhardt (2018), [*Troubling trends in machine learning
  scholarship*](https://arxiv.org/abs/1807.03341), section 3.2.
- D. Choi, C. Shallue, Z. Nado, J. Lee, C. Maddison and G. Dahl (2019), [*On empirical comparisons of optimizers for
  deep learning*](https://arxiv.org/abs/1910.05446).
- C. Northcutt, A. Athalye and J. Mueller (2021), [*Pervasive label errors in test sets destabilize machine learning
  benchmarks*](https://arxiv.org/abs/2103.14749), NeurIPS, Datasets and Benchmarks.
- A. Karpathy (2019), [*A recipe for training neural networks*](https://karpathy.github.io/2019/04/25/recipe/): the
  order of examination, data first.
"""
