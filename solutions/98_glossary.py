# %% [markdown]
r"""
# Glossary

The words of the field as this course uses them, each explained once, in alphabetical order. Where a word first stands
bold in a lesson, a link leads here; the lesson behind each entry is the one that needs the word first. The formulas
are written with $h$ for activations, $z$ for preactivations, $W$ for weights, $\varphi$ for an activation function
and $\varphi'$ for its slope; $\mathbb{E}$ is an average over $z$.
"""

# %% [markdown]
r"""
### activation

The function that a layer applies to each of its preactivations, such as tanh or ReLU; also the value $h = \varphi(z)$
that comes out. [Lesson 1](01_depth.ipynb).

Also: activations, activation function.
"""

# %% [markdown]
r"""
### autocorrelation

How alike a curve and its own copy, shifted by a lag, are: the mean product of the two, each less the mean, over the
mean square. It is 1 at lag 0, and near 0 where values so far apart are unrelated. [Lesson 13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### backpropagation through time

Backpropagation through a recurrent network that has been unrolled, with a layer for each step. The weights are the
same at all steps, so their gradient is the sum of what each step contributes. [Lesson 5](05_memory.ipynb).

Also: BPTT.
"""

# %% [markdown]
r"""
### backward signal

The derivative of the loss with respect to what a layer puts out, $\partial L/\partial h_l$, measured as a root mean
square over units and examples. Whether a gradient vanishes is read from it, not from the gradients of the weights.
[Lesson 1](01_depth.ipynb).
"""

# %% [markdown]
r"""
### batch normalization

A layer that shifts and scales each unit to mean 0 and variance 1 over the examples of a batch, and then applies a
learned scale and shift. In evaluation mode its running statistics take the place of the batch's mean and variance.
[Lesson 8](08_normalization.ipynb).

Also: BatchNorm, BN.
"""

# %% [markdown]
r"""
### born dead

Said of a network in which all units of some layer are off for every input before training begins, so that its output
is a constant. [Lesson 6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### branch

The layers of a residual block that its skip connection passes by: $F$ in $h + \alpha F(h)$, where $\alpha$ is the
branch's scale. [Lesson 9](09_skips.ipynb).

Also: branches.
"""

# %% [markdown]
r"""
### Brownian path

The running sum of small independent jumps: a curve whose neighbouring values are close. [Lesson 13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### case report

An account of one sick network: what was measured, which diagnoses each reading excluded, the diagnosis, the cure and
its cost, and gradient profile and accuracy before and after. [Lesson 11](11_clinic.ipynb).
"""

# %% [markdown]
r"""
### cell

The second state of an LSTM, which each step changes by multiplying it by the forget gate and adding what the input
gate lets in. Along it the gradient meets forget gates only. [Lesson 10](10_gates.ipynb).

Also: cell state.
"""

# %% [markdown]
r"""
### central slope

The slope of an activation near 0, where preactivations lie at any ordinary initialization; a quarter at best for the
sigmoid. [Lesson 2](02_activation.ipynb).
"""

# %% [markdown]
r"""
### chaotic phase

The weight and bias scales with $\chi_1 > 1$: two inputs, however close, are driven apart by depth, and gradients grow
towards the input. [Lesson 12](12_chaos.ipynb).

Also: chaos.
"""

# %% [markdown]
r"""
### chi_1

The factor $\chi_1 = \sigma_w^2\,\mathbb{E}[\varphi'(z)^2]$ by which a layer multiplies the mean square of the
backward signal; also the slope of the correlation map at correlation 1. Its root is the per-layer factor. [Lesson
2](02_activation.ipynb).
"""

# %% [markdown]
r"""
### chrono initialization

A start for gates from the longest lag $T$: the forget gates' biases are drawn such that their time constants lie
between 1 and $T$ steps. A constant of $T$ is a gate of $1 - 1/T$, which is a bias of $\ln(T - 1)$. [Lesson
10](10_gates.ipynb).
"""

# %% [markdown]
r"""
### clipping

Multiplying all gradients by $c/\lVert g\rVert$ where the norm $\lVert g\rVert$ of all of them together exceeds a
threshold $c$. Their direction stays, and gradients below the threshold are left as they are. [Lesson
5](05_memory.ipynb).

Also: gradient clipping.
"""

# %% [markdown]
r"""
### common part

What the activation vectors of all examples share: their mean over the batch. Where it is long beside the differences,
all inputs point nearly the same way. [Lesson 8](08_normalization.ipynb).
"""

# %% [markdown]
r"""
### company

The other examples of a batch, on which an example's output depends behind batch normalization in training mode. It is
measured as the share of that output that they decide. [Lesson 11](11_clinic.ipynb).
"""

# %% [markdown]
r"""
### conditioning

The ratio of the largest to the smallest curvature of the loss over directions. Where it is large, the steepest
direction bounds the learning rate, and at that rate the flattest makes hardly any progress. [Lesson
4](04_convergence.ipynb).
"""

# %% [markdown]
r"""
### confusion table

A table of counts with the true classes in its rows and what was said in its columns. What lies off the matching
column is an error. [Lesson 11](11_clinic.ipynb).
"""

# %% [markdown]
r"""
### control

The same treatment or the same test given to cases that do not need it. A diagnosis that also finds something wrong
with healthy networks has found nothing. [Lesson 11](11_clinic.ipynb).
"""

# %% [markdown]
r"""
### correlation map

The function that gives the correlation of two inputs' preactivations one layer on from their correlation now, in a
wide random network. [Lesson 12](12_chaos.ipynb).
"""

# %% [markdown]
r"""
### cosine

The cosine of the angle between a layer's activations for two different inputs, averaged over pairs: 1 where direction
no longer tells any two apart, 0 where on average they stand at right angles. [Lesson 2](02_activation.ipynb).
"""

# %% [markdown]
r"""
### critical

Said of a weight scale on the border between vanishing and exploding, where signals and gradients change like a power
of the depth instead of exponentially. [Lesson 7](07_xavier_he.ipynb).
"""

# %% [markdown]
r"""
### dead unit

A ReLU unit that is off for every example of the data: its output and its slope are 0, and no gradient reaches its
weights. [Lesson 6](06_rectifiers.ipynb).

Also: dead.
"""

# %% [markdown]
r"""
### decade

A factor of ten. Two decades are a factor of a hundred; half a decade a layer is a factor of about three a layer.
[Lesson 1](01_depth.ipynb).
"""

# %% [markdown]
r"""
### DeepNorm

A post-LN block whose input is multiplied by a number above 1 before the branch is added, and whose branch starts with
weights multiplied by one below 1. Both numbers follow from the count of blocks. [Lesson 13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### degradation

A *training* error that rises when layers are added to a network. So it is not over-fitting, and it is not by itself a
sign of vanishing gradients. [Lesson 9](09_skips.ipynb).
"""

# %% [markdown]
r"""
### depth scale

The number of layers over which the distance of a correlation from its fixed point shrinks by a factor $e$: $\xi =
-1/\ln \chi_{c^*}$. It is infinite on the edge of chaos only. [Lesson 12](12_chaos.ipynb).
"""

# %% [markdown]
r"""
### dynamical isometry

The state of a network whose Jacobian has all its singular values close to 1, not only the mean of their squares:
every direction of a gradient keeps its length. [Lesson 12](12_chaos.ipynb).

Also: isometry.
"""

# %% [markdown]
r"""
### edge of chaos

The weight and bias scales with $\chi_1 = 1$, between the ordered and the chaotic phase: on average over a wide random
network, gradients neither vanish nor grow exponentially. [Lesson 12](12_chaos.ipynb).
"""

# %% [markdown]
r"""
### fan-in

The number of inputs of a unit; for a convolution, input channels times the places of the kernel. [Lesson
3](03_initialization.ipynb).

Also: fan_in.
"""

# %% [markdown]
r"""
### fan-out

The number of units that one input of a layer feeds; for a convolution, output channels times the places of the kernel
(at stride 1). [Lesson 7](07_xavier_he.ipynb).

Also: fan_out.
"""

# %% [markdown]
r"""
### forget gate

The factor $f_t$ between 0 and 1 by which an LSTM multiplies each number of its cell at each step. What it remembers
for $k$ steps is multiplied by the product of $k$ such factors. [Lesson 10](10_gates.ipynb).
"""

# %% [markdown]
r"""
### freeze test

Training with some layers held exactly as they were drawn, to see whether their learning is needed. [Lesson
4](04_convergence.ipynb).
"""

# %% [markdown]
r"""
### gain

A factor on the standard deviation of a layer's weights that is to make up for what the activation takes, such as
$\sqrt2$ for ReLU; in square layers it is `sigma_w`. In the table of a probe, the column `gain` is another thing, the
factor on the backward signal from a layer to the one below. [Lesson 7](07_xavier_he.ipynb).
"""

# %% [markdown]
r"""
### gate

A vector of numbers between 0 and 1, computed by a sigmoid from the input and the state, that multiplies entry by
entry what wants to pass. [Lesson 10](10_gates.ipynb).

Also: gates.
"""

# %% [markdown]
r"""
### grad_rms

The rms of a gradient, over all its entries, in the tables of this course: of the backward signal in a table of
layers, of a parameter's gradient in a table of parameters. [Lesson 1](01_depth.ipynb).
"""

# %% [markdown]
r"""
### h_rms

The rms of what a layer puts out, over units and examples: the size of the signal on its way forward. [Lesson
3](03_initialization.ipynb).
"""

# %% [markdown]
r"""
### half-life

The number of steps after which half of a gradient, or of a memory, is left. [Lesson 10](10_gates.ipynb).
"""

# %% [markdown]
r"""
### He initialization

Weights with mean 0 and variance $2/\text{fan-in}$. ReLU drops half of the mean square, and such a layer makes up for
it, on average over all draws of the weights. [Lesson 3](03_initialization.ipynb).

Also: He's initialization, He's weights, Kaiming initialization.
"""

# %% [markdown]
r"""
### hidden state

The vector that a recurrent network carries from one step to the next and renews at each: all that it keeps of what it
has read. [Lesson 5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### initialization

The first draw of the weights and biases, before any training. [Lesson 3](03_initialization.ipynb).

Also: start.
"""

# %% [markdown]
r"""
### internal covariate shift

The change of a layer's input distribution while the layers below it learn. It was the first explanation offered of
why batch normalization helps, and is contested. [Lesson 8](08_normalization.ipynb).
"""

# %% [markdown]
r"""
### Jacobian

The matrix of the derivatives of all outputs of a layer, or of a network, with respect to all inputs. The backward
signal is multiplied by one such matrix per layer. [Lesson 1](01_depth.ipynb).
"""

# %% [markdown]
r"""
### lag

The number of steps, counted back from the loss, to the place in a sequence where a gradient is read or where the
evidence stands. [Lesson 5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### latch

A task of remembering one bit: the first step of a sequence says up or down, noise follows, and at the end the network
says which it was. [Lesson 5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### layer normalization

A layer that shifts and scales each example to mean 0 and variance 1 over the units of the layer, and then applies a
learned scale and shift. It needs no batch. [Lesson 8](08_normalization.ipynb).

Also: LayerNorm, LN.
"""

# %% [markdown]
r"""
### leak

The small slope that a leaky ReLU keeps below 0 in place of ReLU's 0. [Lesson 6](06_rectifiers.ipynb).

Also: leaky ReLU.
"""

# %% [markdown]
r"""
### log-normal

Said of a positive random number whose logarithm is Gaussian. Its average lies above its median, because it is made by
few, very large draws. [Lesson 7](07_xavier_he.ipynb).
"""

# %% [markdown]
r"""
### long-term dependency

A dependence of what is asked now on something many steps earlier in the sequence. [Lesson 5](05_memory.ipynb).

Also: long-term dependencies.
"""

# %% [markdown]
r"""
### loss scaling

Multiplying the loss by a constant before the backward pass so that small gradients do not underflow, and dividing the
gradients by it before the step. [Lesson 14](14_precision.ipynb).
"""

# %% [markdown]
r"""
### master weights

A copy of the weights in float32 that collects the steps, while the network computes with weights rounded to a shorter
format. [Lesson 14](14_precision.ipynb).
"""

# %% [markdown]
r"""
### ordered phase

The weight and bias scales with $\chi_1 < 1$: all inputs end in one direction, and gradients vanish. [Lesson
12](12_chaos.ipynb).
"""

# %% [markdown]
r"""
### orthogonal initialization

Weights drawn as a random orthogonal matrix, all of whose singular values are 1, times a scale. [Lesson
12](12_chaos.ipynb).

Also: orthogonal weights.
"""

# %% [markdown]
r"""
### path

One way through all blocks of a residual network, which takes at each the branch or the skip. The gradient is the sum
over all paths. [Lesson 9](09_skips.ipynb).

Also: paths.
"""

# %% [markdown]
r"""
### per-layer factor

What one layer multiplies the backward signal by; in a wide network before training, the weights' scale times the rms
slope, $\sigma_w\sqrt{\mathbb{E}[\varphi'(z)^2]}$. [Lesson 2](02_activation.ipynb).

Also: factor per layer.
"""

# %% [markdown]
r"""
### phase diagram

The map of weight and bias scales, divided by the edge of chaos into the side on which gradients vanish and the side
on which they explode. [Lesson 12](12_chaos.ipynb).
"""

# %% [markdown]
r"""
### plain twin

A residual network without its skip connections: the same layers and the same first weights, nothing added. [Lesson
9](09_skips.ipynb).
"""

# %% [markdown]
r"""
### plateau

A stretch of training over which the loss hardly moves before it falls. [Lesson 3](03_initialization.ipynb).
"""

# %% [markdown]
r"""
### post-LN

A transformer block that normalizes the sum of its input and its branch, $N(h + F(h))$, as in the first transformer.
[Lesson 13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### pre-LN

A transformer block that normalizes what enters its branch and leaves the sum alone, $h + F(N(h))$. [Lesson
13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### preactivation

The weighted sum $z = W h + b$ that a layer computes from its inputs $h$, before the activation. [Lesson
2](02_activation.ipynb).
"""

# %% [markdown]
r"""
### projection

A learned linear map, such as a convolution with windows of one pixel, on a skip connection whose two ends differ in
size. [Lesson 9](09_skips.ipynb).
"""

# %% [markdown]
r"""
### quadrature

An integral computed as a weighted sum over a few points. Gauss–Hermite quadrature averages over a Gaussian and is
exact, with $n$ points, for polynomials up to degree $2n - 1$. [Lesson 2](02_activation.ipynb).

Also: Gauss–Hermite quadrature.
"""

# %% [markdown]
r"""
### rank

The largest number of a matrix's rows of which none is a combination of the rest. After a layer whose weights have
rank 1 all inputs lie on one line. [Lesson 3](03_initialization.ipynb).
"""

# %% [markdown]
r"""
### rank collapse

The tokens of a sequence becoming more and more alike from layer to layer, until their vectors all point in nearly one
direction. [Lesson 13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### read-out

The last, linear layer of a network, which turns the last activations into its answer, here one number for each class.
[Lesson 1](01_depth.ipynb).

Also: head.
"""

# %% [markdown]
r"""
### rectifier

An activation that passes positive values and cuts off, or weakens, negative ones. ReLU, $\max(0, z)$, is the plain
one. [Lesson 6](06_rectifiers.ipynb).

Also: ReLU.
"""

# %% [markdown]
r"""
### recurrent network

A network that reads a sequence step by step, with the same weights at each step, and keeps what it has read in a
hidden state. [Lesson 5](05_memory.ipynb).

Also: RNN.
"""

# %% [markdown]
r"""
### remedy

A change to a network that is to repair its gradients or its signal; a diagnosis tries each one on a copy before it
recommends it. [Lesson 90](90_your_own_model.ipynb).

Also: remedies.
"""

# %% [markdown]
r"""
### residual block

A branch and the skip connection around it: a block that adds what its branch computes to its own input, $h + \alpha
F(h)$. [Lesson 9](09_skips.ipynb).
"""

# %% [markdown]
r"""
### revival

The return of a dead unit to life because its inputs, the outputs of the layers below it, have changed. [Lesson
6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### rms

Root mean square: the root of the average of the squares. Unlike a norm it does not grow with the number of entries,
so that layers of different widths can be compared. [Start page](00_start.ipynb).

Also: root mean square.
"""

# %% [markdown]
r"""
### rms slope

The root mean square of an activation's slopes over the preactivations that a layer really has,
$\sqrt{\mathbb{E}[\varphi'(z)^2]}$. [Lesson 2](02_activation.ipynb).
"""

# %% [markdown]
r"""
### RMSNorm

Layer normalization without the mean: each example is divided by the root mean square over its units, and a learned
scale follows. [Lesson 8](08_normalization.ipynb).

Also: RMS normalization.
"""

# %% [markdown]
r"""
### running statistics

The moving averages of mean and variance that batch normalization keeps while it trains and uses in evaluation mode.
[Lesson 8](08_normalization.ipynb).
"""

# %% [markdown]
r"""
### saddle

A place where the gradient is 0 and the loss curves upward in some directions and downward in others. Near one,
gradient descent stands still for long and then leaves, at first by a constant factor per step. [Lesson
4](04_convergence.ipynb).

Also: saddle point.
"""

# %% [markdown]
r"""
### saturation

The state of a unit whose preactivation lies where its activation is nearly flat, so that hardly any gradient passes.
A unit that is not saturated need not be sound: the sigmoid at its steepest passes a quarter. [Lesson
1](01_depth.ipynb).

Also: saturated.
"""

# %% [markdown]
r"""
### shattered gradient

A gradient that differs so much between neighbouring inputs that it resembles white noise, although its size may be
sound. [Lesson 13](13_modern.ipynb).

Also: shattered, shattered gradients.
"""

# %% [markdown]
r"""
### sigma_w

The scale of the weights: the standard deviation of a weight times the root of its layer's fan-in, $W_{ij} \sim N(0,
\sigma_w^2/n)$; torch's default corresponds to $1/\sqrt3$. In the same way $\sigma_b$ is the standard deviation of the
biases. [Lesson 1](01_depth.ipynb).

Also: weight scale.
"""

# %% [markdown]
r"""
### single remedy

One change to a sick network, everything else left as it was: one component, or an activation together with the start
that was derived for it. Only so can a cure be credited to it. [Lesson 11](11_clinic.ipynb).
"""

# %% [markdown]
r"""
### singular value

The factor by which a matrix stretches one of its principal directions. The largest bounds what a layer can do to a
gradient; the root of the mean of their squares says what it does to a random direction on average. [Lesson
1](01_depth.ipynb).
"""

# %% [markdown]
r"""
### skip connection

An addition that hands the input of a layer or block on past it, unchanged. [Lesson 9](09_skips.ipynb).

Also: residual connection, shortcut.
"""

# %% [markdown]
r"""
### slow convergence

The first effect of a vanishing gradient: training that learns in the end, after a wait that grows with every layer.
[Lesson 4](04_convergence.ipynb).
"""

# %% [markdown]
r"""
### spectral radius

The largest absolute value of a matrix's eigenvalues. It says how fast high powers of the matrix grow or shrink in the
end, and not what the first few do. [Lesson 5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### spread

The share of a layer's output that differs between examples: the rms of what is left after the mean over the batch is
subtracted, over the rms of all of it. [Lesson 4](04_convergence.ipynb).
"""

# %% [markdown]
r"""
### stalled learning

Training that stays at the level of guessing for as long as anyone waits, whatever the learning rate of plain gradient
descent. A vanished gradient is one cause, inputs that can no longer be told apart another. [Lesson
4](04_convergence.ipynb).

Also: stalled.
"""

# %% [markdown]
r"""
### stream

What the skip connections of a residual network carry from block to block, and what each branch adds to. [Lesson
13](13_modern.ipynb).

Also: residual stream.
"""

# %% [markdown]
r"""
### subnormal

A number below the smallest that a floating-point format can hold with all its digits, and not yet 0. The smaller it
is, the fewer digits it has left. [Lesson 14](14_precision.ipynb).
"""

# %% [markdown]
r"""
### symmetry

Units of a layer with equal weights in and equal weights out get equal gradients, and stay equal for ever. Random
first weights break it. [Lesson 3](03_initialization.ipynb).
"""

# %% [markdown]
r"""
### underflow

The rounding of a number to 0 because it is too small for its format. A gradient may be useless long before it
underflows, and may underflow in half precision while it is still useful. [Lesson 14](14_precision.ipynb).
"""

# %% [markdown]
r"""
### unrolling

Writing the steps of a recurrent network one after the other, as the layers of a deep network that all have the same
weights. [Lesson 5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### update gate

The gate $z$ by which a GRU mixes its old state with a new one, $h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}$ in
torch's convention, so that an open gate keeps. Other texts exchange the two. [Lesson 10](10_gates.ipynb).
"""

# %% [markdown]
r"""
### update ratio

How far a step moves a parameter relative to its own size, $\lVert\Delta W\rVert / \lVert W \rVert$. It says how far a
layer moves, not whether that gets it anywhere. [Lesson 4](04_convergence.ipynb).

Also: update ratios.
"""

# %% [markdown]
r"""
### vanishing gradient problem

The backward signal shrinks so much on its way through layers, or through time steps, that the first of them hardly
learn. Where each layer multiplies by a factor below 1, depth is the exponent. [Start page](00_start.ipynb).

Also: vanishing gradient, vanishing gradients.
"""

# %% [markdown]
r"""
### verdict

What a diagnosis says of a network: its state, the cause, where it lies, and on what evidence. "Healthy" means that
the gradient is not at fault, and no more. [Lesson 90](90_your_own_model.ipynb).
"""

# %% [markdown]
r"""
### warm-up

Raising the learning rate from near 0 over the first steps of a training. [Lesson 13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### white noise

A curve of independent values, where no point tells anything about the next. [Lesson 13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Xavier initialization

Weights with mean 0 and variance $2/(\text{fan-in} + \text{fan-out})$, derived for activations of slope 1: a
compromise between keeping the signal on its way forward and the gradient on its way back. [Lesson
2](02_activation.ipynb).

Also: Xavier's weights, Xavier's rule, Glorot initialization.
"""
