# %% [markdown]
r"""
# 0. Start here

A network can be built correctly, run without an error, and still not learn, because the gradient that should teach
its first layers has become a millionth of itself on the way to them. This course is about that one effect, the
**vanishing gradient problem**: what causes it, what it does, and what helps. You will not be told; you will predict,
measure, and now and then find a textbook wrong.
"""

# %% [markdown]
r"""
**You will be able to**

- run the course on this machine and know that it works;
- work through a round of *predict, run, explain, modify*, and through an exercise with its check.
"""

# %% [markdown]
r"""
## The lessons

| | question | minutes |
|---|---|---|
| [1. Depth](01_depth.ipynb) | How far does a gradient travel? | 105 |
| [2. Activation functions](02_activation.ipynb) | What does an activation do to a gradient? | 105 |
| [3. Initialization](03_initialization.ipynb) | Where should the weights start? | 95 |
| [4. Slow convergence, stalled learning](04_convergence.ipynb) | Why does training stand still? | 102 |
| [5. Memory](05_memory.ipynb) | How far back does a network hear? | 100 |
| [6. ReLU and its variants](06_rectifiers.ipynb) | What does ReLU cure, and what does it cost? | 105 |
| [7. Xavier and He](07_xavier_he.ipynb) | What do Xavier's and He's weights keep? | 110 |
| [8. Batch normalization](08_normalization.ipynb) | What does normalization repair? | 102 |
| [9. Skip connections and ResNets](09_skips.ipynb) | What does a skip connection repair? | 108 |
| [10. Gates: LSTM and GRU](10_gates.ipynb) | What does a gate keep? | 100 |
| [11. The gradient clinic](11_clinic.ipynb) | What is wrong with this network? | 113 |
| [12. Order and chaos](12_chaos.ipynb) | How deep can a plain network be? | 102 |
| [13. Depth in modern networks](13_modern.ipynb) | Why do deep transformers train? | 100 |
| [14. Precision](14_precision.ipynb) | When does a gradient become zero? | 100 |
| [90. Your own model](90_your_own_model.ipynb) | Is it my gradients? | 57 |

The minutes include the exercises. Lessons 1 to 3 are about the causes, lessons 4 and 5 about the effects, lessons 6 to 10
about what is done against them, and lesson 11 asks you for a diagnosis. Take them in this order; each uses what those
before it have found. Lessons 12 to 14 go further and can be read in any order after lesson 10. The page on your own model is for the day
when a network of yours does not learn; lesson 1 is enough for it. You need Python and a first acquaintance with torch:
what a layer, a loss and `backward()` are.

Each new word is explained where it stands **bold**, and again in the [glossary](98_glossary.ipynb); the
[bibliography](99_bibliography.ipynb) lists the papers.
"""

# %% [markdown] minutes=5
r"""
## A round, for practice

Every lesson goes in rounds. First you **predict**: a question with a number for an answer, and a line in which you
replace the `...` by your guess. Do write one down, even a bad one; a guess that turns out wrong is remembered better
than an answer that was read. Then you **run** the next cells, read what is **explained** below them, and **modify**
one thing.

Cells are run with Shift+Enter. Here is a round about a number you may know.

**Predict.** One sheet of paper is 0.1{#set} millimetres thick. Folded in half twenty times, how many metres high is
the stack?
"""

# %% tags=["predict"]
guess_height = 2.0  # metres

# %%
from vglab import check

height = 0.1e-3 * 2**20
check.prediction("0.1", guess_height, height)

# %% [markdown]
r"""
**What you see.** Doubling twenty times multiplies by a million: the stack is over a hundred metres high. Halving
twenty times divides by a million. A deep network multiplies its gradient once per layer, and twenty layers are not
many.
"""

# %% [markdown] minutes=5
r"""
## An exercise, for practice

### Exercise 0.1: shrink ★ 2 minutes

Replace the `...` and run the cell. The check says what is right or the first thing that is wrong; two hints are
folded below.
"""

# %% exercise="0.1" tags=["nbval-check-output"]
def shrink(factor, depth):
    """What is left of a gradient of size 1 after `depth` layers that each multiply by `factor`."""
    ### BEGIN SOLUTION
    return factor**depth
    ### END SOLUTION


check.shrink(shrink)

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

One layer multiplies by `factor`. Two layers multiply by `factor` twice.
</details>

<details><summary>Hint 2</summary>

In Python a power is written `base**exponent`; do not forget `return`.
</details>
"""

# %% [markdown]
r"""
## Does everything work?

Run the next cell. It builds a network of twenty layers and measures the gradient that reaches each of them.
"""

# %%
import vglab as vg

x, y, *_ = vg.tasks.digits()
vg.depth_plot(vg.gradient_profile(vg.mlp(20, act="tanh", seed=0), x[:64], y[:64]));

# %% [markdown]
r"""
*Figure 0.1. If you see a line that falls from the upper right to the lower left, the course runs on this machine. It
is the gradient of a twenty-layer network on its way from the loss, on the right, to the first layer; its size is
measured as a root mean square (rms), a kind of average, and a decade is a factor of ten.*
"""

# %% [markdown]
r"""
## Your record

Predictions made and exercises passed are kept in a small file on this machine, `.vglab/progress.json` in your home
folder. Nothing leaves the machine; delete the file to begin again. The table says how much each lesson has, and by which
factor your predictions were off: half of them by less than the number given, half by more.
"""

# %%
from vglab import progress

progress.table()

# %% [markdown]
r"""
Ready? Open [lesson 1](01_depth.ipynb).
"""
