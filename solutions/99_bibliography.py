# %% [markdown]
r"""
# Bibliography

Every source that a lesson names under its heading *Sources*, once, in the order of first authors and years: what the
course takes from it, and in which lessons. Sections and equations stand in the lessons, at the claim.
"""

# %% [markdown]
r"""
### Ba, Kiros and Hinton 2016

J. L. Ba, J. R. Kiros and G. E. Hinton, [*Layer normalization*](https://arxiv.org/abs/1607.06450), arXiv.

The layer: each example is normalized over the units. Lesson [8](08_normalization.ipynb).
"""

# %% [markdown]
r"""
### Bachlechner et al. 2020

T. Bachlechner, B. P. Majumder, H. H. Mao, G. W. Cottrell and J. McAuley, [*ReZero is all you need: fast convergence
at large depth*](https://arxiv.org/abs/2003.04887), UAI 2021.

Branches that start at 0, so that no normalization is needed. Lessons [9](09_skips.ipynb) and [13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Balduzzi et al. 2017

D. Balduzzi, M. Frean, L. Leary, J. P. Lewis, K. W.-D. Ma and B. McWilliams, [*The shattered gradients problem: if
ResNets are the answer, then what is the question?*](https://arxiv.org/abs/1702.08591), ICML.

With depth, gradients at neighbouring inputs become unrelated, and skips slow this down. Lessons [9](09_skips.ipynb)
and [13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Bengio, Simard and Frasconi 1994

Y. Bengio, P. Simard and P. Frasconi, [*Learning long-term dependencies with gradient descent is
difficult*](https://www.iro.umontreal.ca/~lisa/pointeurs/ieeetrnn94.pdf), IEEE Transactions on Neural Networks 5,
157–166.

Why gradient descent gives distant steps exponentially less weight, and the latch. Lessons [1](01_depth.ipynb),
[5](05_memory.ipynb) and [90](90_your_own_model.ipynb).
"""

# %% [markdown]
r"""
### Bjorck et al. 2018

J. Bjorck, C. Gomes, B. Selman and K. Q. Weinberger, [*Understanding batch
normalization*](https://arxiv.org/abs/1806.02375), NeurIPS.

Larger learning rates as the reason why batch normalization helps. Lesson [8](08_normalization.ipynb).
"""

# %% [markdown]
r"""
### Carroll 1865

L. Carroll, [*Alice's Adventures in Wonderland*](https://www.gutenberg.org/ebooks/11), Macmillan; the text is Project
Gutenberg's.

The text of the tasks about direct speech, in the public domain. Lesson [5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### Chen, Pennington and Schoenholz 2018

M. Chen, J. Pennington and S. S. Schoenholz, [*Dynamical isometry and a mean field theory of RNNs: gating enables
signal propagation in recurrent neural networks*](https://arxiv.org/abs/1806.05394), ICML.

The factor per step of wide recurrent networks; that all steps share one matrix changes nothing in the limit. Lesson
[5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### Cho et al. 2014

K. Cho, B. van Merriënboer, C. Gulcehre, D. Bahdanau, F. Bougares, H. Schwenk and Y. Bengio, [*Learning phrase
representations using RNN encoder–decoder for statistical machine translation*](https://arxiv.org/abs/1406.1078),
EMNLP.

The GRU. Lesson [10](10_gates.ipynb).
"""

# %% [markdown]
r"""
### Choi et al. 2019

D. Choi, C. J. Shallue, Z. Nado, J. Lee, C. J. Maddison and G. E. Dahl, [*On empirical comparisons of optimizers for
deep learning*](https://arxiv.org/abs/1910.05446), arXiv.

Which optimizer wins depends on what each was allowed to tune. Lesson [11](11_clinic.ipynb).
"""

# %% [markdown]
r"""
### Clevert, Unterthiner and Hochreiter 2016

D.-A. Clevert, T. Unterthiner and S. Hochreiter, [*Fast and accurate deep network learning by exponential linear units
(ELUs)*](https://arxiv.org/abs/1511.07289), ICLR.

The activation ELU. Lesson [6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### CS231n, part 1

Stanford University, course CS231n, [*Neural networks, part 1*](https://cs231n.github.io/neural-networks-1/), course
notes.

What is commonly said of dying ReLUs. Lesson [6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### CS231n, part 3

Stanford University, course CS231n, [*Neural networks, part 3*](https://cs231n.github.io/neural-networks-3/#ratio),
course notes.

The rule of thumb for the update ratio, a thousandth. Lesson [4](04_convergence.ipynb).
"""

# %% [markdown]
r"""
### Daneshmand et al. 2020

H. Daneshmand, J. Kohler, F. Bach, T. Hofmann and A. Lucchi, [*Batch normalization provably avoids rank collapse for
randomly initialised deep networks*](https://arxiv.org/abs/2003.01652), NeurIPS.

Batch normalization keeps different inputs apart with depth. Lesson [8](08_normalization.ipynb).
"""

# %% [markdown]
r"""
### De and Smith 2020

S. De and S. L. Smith, [*Batch normalization biases residual blocks towards the identity function in deep
networks*](https://arxiv.org/abs/2002.10444), NeurIPS.

Batch normalization scales the branches down, which they take for its main service to deep residual networks. Lessons
[9](09_skips.ipynb) and [13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Dong, Cordonnier and Loukas 2021

Y. Dong, J.-B. Cordonnier and A. Loukas, [*Attention is not all you need: pure attention loses rank doubly
exponentially with depth*](https://arxiv.org/abs/2103.03404), ICML.

Without skips, attention makes all tokens alike with depth: rank collapse. Lesson [13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Gers, Schmidhuber and Cummins 2000

F. A. Gers, J. Schmidhuber and F. Cummins, [*Learning to forget: continual prediction with
LSTM*](https://doi.org/10.1162/089976600300015015), Neural Computation 12, 2451–2471.

The forget gate, and the bias that opens it at the start. Lessons [10](10_gates.ipynb) and
[90](90_your_own_model.ipynb).
"""

# %% [markdown]
r"""
### Glorot and Bengio 2010

X. Glorot and Y. Bengio, [*Understanding the difficulty of training deep feedforward neural
networks*](https://proceedings.mlr.press/v9/glorot10a.html), AISTATS.

Xavier's rule, what the standard initialization does to signal and gradient, and how sigmoid layers saturate in
training. Lessons [1](01_depth.ipynb), [2](02_activation.ipynb), [3](03_initialization.ipynb),
[4](04_convergence.ipynb) and [7](07_xavier_he.ipynb).
"""

# %% [markdown]
r"""
### Glorot, Bordes and Bengio 2011

X. Glorot, A. Bordes and Y. Bengio, [*Deep sparse rectifier neural
networks*](https://proceedings.mlr.press/v15/glorot11a.html), AISTATS.

Gradients flow along paths of active units, which are linear: what was claimed for ReLU. Lesson
[6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### Gupta et al. 2015

S. Gupta, A. Agrawal, K. Gopalakrishnan and P. Narayanan, [*Deep learning with limited numerical
precision*](https://arxiv.org/abs/1502.02551), ICML.

Stochastic rounding, which keeps small steps on average. Lesson [14](14_precision.ipynb).
"""

# %% [markdown]
r"""
### Hanin and Rolnick 2018

B. Hanin and D. Rolnick, [*How to start training: the effect of initialization and
architecture*](https://arxiv.org/abs/1803.01719), NeurIPS.

The second failure mode: the sum of the reciprocal widths must be bounded. Lesson [7](07_xavier_he.ipynb).
"""

# %% [markdown]
r"""
### Hanin and Nica 2020

B. Hanin and M. Nica, [*Products of many large random matrices and gradients in deep neural
networks*](https://arxiv.org/abs/1812.05994), Communications in Mathematical Physics 376, 287–322.

Sizes of signals and gradients are log-normal at a finite width, governed by depth over width. Lessons
[7](07_xavier_he.ipynb) and [12](12_chaos.ipynb).
"""

# %% [markdown]
r"""
### He et al. 2015

K. He, X. Zhang, S. Ren and J. Sun, [*Delving deep into rectifiers: surpassing human-level performance on ImageNet
classification*](https://arxiv.org/abs/1502.01852), ICCV.

He's rule and its argument that one direction is enough; PReLU. Lessons [1](01_depth.ipynb),
[3](03_initialization.ipynb), [6](06_rectifiers.ipynb), [7](07_xavier_he.ipynb) and [90](90_your_own_model.ipynb).
"""

# %% [markdown]
r"""
### He et al. 2016a

K. He, X. Zhang, S. Ren and J. Sun, [*Deep residual learning for image
recognition*](https://arxiv.org/abs/1512.03385), CVPR.

Degradation, the residual block, and that vanishing gradients were probably not the cause. Lesson [9](09_skips.ipynb).
"""

# %% [markdown]
r"""
### He et al. 2016b

K. He, X. Zhang, S. Ren and J. Sun, [*Identity mappings in deep residual networks*](https://arxiv.org/abs/1603.05027),
ECCV.

The activation moved into the branch, so that the skips are plain additions. Lesson [9](09_skips.ipynb).
"""

# %% [markdown]
r"""
### Hendrycks and Gimpel 2016

D. Hendrycks and K. Gimpel, [*Gaussian error linear units (GELUs)*](https://arxiv.org/abs/1606.08415), arXiv.

The activation GELU. Lesson [6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### Hochreiter 1991

S. Hochreiter, [*Untersuchungen zu dynamischen neuronalen
Netzen*](https://people.idsia.ch/~juergen/SeppHochreiter1991ThesisAdvisorSchmidhuber.pdf), diploma thesis, TU München,
in German.

The first analysis of the vanishing gradient. Lesson [1](01_depth.ipynb).
"""

# %% [markdown]
r"""
### Hochreiter and Schmidhuber 1996

S. Hochreiter and J. Schmidhuber, [*LSTM can solve hard long time lag
problems*](https://papers.nips.cc/paper/1215-lstm-can-solve-hard-long-time-lag-problems), NIPS 9, 473–479.

Some tasks thought to need a long memory are solved by guessing weights. Lesson [5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### Hochreiter and Schmidhuber 1997

S. Hochreiter and J. Schmidhuber, [*Long short-term memory*](https://www.bioinf.jku.at/publications/older/2604.pdf),
Neural Computation 9, 1735–1780.

The LSTM: a cell that is changed by addition, and gates. Lesson [10](10_gates.ipynb).
"""

# %% [markdown]
r"""
### Hochreiter et al. 2001

S. Hochreiter, Y. Bengio, P. Frasconi and J. Schmidhuber, [*Gradient flow in recurrent nets: the difficulty of
learning long-term dependencies*](https://www.bioinf.jku.at/publications/older/ch7.pdf), in J. Kolen and S. Kremer
(editors), A Field Guide to Dynamical Recurrent Neural Networks, IEEE Press.

The analysis of the thesis of 1991, in English. Lesson [1](01_depth.ipynb).
"""

# %% [markdown]
r"""
### IEEE 2019

IEEE, [*Standard for floating-point arithmetic*](https://doi.org/10.1109/IEEESTD.2019.8766229), IEEE 754-2019.

What the formats hold, subnormal numbers, and rounding. Lesson [14](14_precision.ipynb).
"""

# %% [markdown]
r"""
### Ioffe and Szegedy 2015

S. Ioffe and C. Szegedy, [*Batch normalization: accelerating deep network training by reducing internal covariate
shift*](https://arxiv.org/abs/1502.03167), ICML.

The layer, the word internal covariate shift, and why the statistics must not be left out of the gradient. Lessons
[8](08_normalization.ipynb), [11](11_clinic.ipynb) and [90](90_your_own_model.ipynb).
"""

# %% [markdown]
r"""
### Jozefowicz, Zaremba and Sutskever 2015

R. Jozefowicz, W. Zaremba and I. Sutskever, [*An empirical exploration of recurrent network
architectures*](https://proceedings.mlr.press/v37/jozefowicz15.html), ICML.

A forget gate's bias of 1 closes the gap between LSTM and GRU. Lesson [10](10_gates.ipynb).
"""

# %% [markdown]
r"""
### Kalamkar et al. 2019

D. Kalamkar, D. Mudigere, N. Mellempudi and others, [*A study of BFLOAT16 for deep learning
training*](https://arxiv.org/abs/1905.12322), arXiv.

With float32's range no loss scaling is needed. Lesson [14](14_precision.ipynb).
"""

# %% [markdown]
r"""
### Karpathy 2019

A. Karpathy, [*A recipe for training neural networks*](https://karpathy.github.io/2019/04/25/recipe/), blog.

The order of examination: the data first. Lesson [11](11_clinic.ipynb).
"""

# %% [markdown]
r"""
### Kingma and Ba 2015

D. P. Kingma and J. Ba, [*Adam: a method for stochastic optimization*](https://arxiv.org/abs/1412.6980), ICLR.

The optimizer Adam. Lesson [4](04_convergence.ipynb).
"""

# %% [markdown]
r"""
### Klambauer et al. 2017

G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, [*Self-normalizing neural
networks*](https://arxiv.org/abs/1706.02515), NeurIPS.

The activation SELU, and the weights of variance one over fan-in that belong to it. Lesson [6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### Kohler et al. 2019

J. Kohler, H. Daneshmand, A. Lucchi, T. Hofmann, M. Zhou and K. Neymeyr, [*Exponential convergence rates for batch
normalization: the power of length-direction decoupling in non-convex
optimization*](https://arxiv.org/abs/1805.10694), AISTATS.

Length and direction of a weight are learned separately. Lesson [8](08_normalization.ipynb).
"""

# %% [markdown]
r"""
### Kudo, Toyama and Shimbo 1999

M. Kudo, J. Toyama and M. Shimbo, [*Japanese Vowels*](https://doi.org/10.24432/C5NS47), UCI Machine Learning
Repository; described in Multidimensional curve classification using passing-through regions, Pattern Recognition
Letters 20, 1103–1111.

The recorded speech; UCI gives its licence as CC BY 4.0. Lesson [5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### Le, Jaitly and Hinton 2015

Q. V. Le, N. Jaitly and G. E. Hinton, [*A simple way to initialize recurrent networks of rectified linear
units*](https://arxiv.org/abs/1504.00941), arXiv.

A memory made by the first matrix alone. Lesson [5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### LeCun et al. 1998

Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, [*Efficient
BackProp*](http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf), in Neural Networks: Tricks of the Trade, Springer.

Why a sigmoid should be symmetric about 0. Lesson [2](02_activation.ipynb).
"""

# %% [markdown]
r"""
### Li et al. 2018

H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein, [*Visualizing the loss landscape of neural
nets*](https://arxiv.org/abs/1712.09913), NeurIPS.

The loss surface is far rougher without skips. Lesson [9](09_skips.ipynb).
"""

# %% [markdown]
r"""
### Lipton and Steinhardt 2018

Z. C. Lipton and J. Steinhardt, [*Troubling trends in machine learning
scholarship*](https://arxiv.org/abs/1807.03341), arXiv.

How a conjecture is passed on as an explanation, and how gains are credited to the wrong part. Lessons
[8](08_normalization.ipynb) and [11](11_clinic.ipynb).
"""

# %% [markdown]
r"""
### Liu et al. 2020

L. Liu, X. Liu, J. Gao, W. Chen and J. Han, [*Understanding the difficulty of training
transformers*](https://arxiv.org/abs/2004.08249), EMNLP.

Unbalanced gradients are not the root of post-LN's trouble: branches that weigh too much amplify small changes. Lesson
[13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Lu et al. 2020

L. Lu, Y. Shin, Y. Su and G. E. Karniadakis, [*Dying ReLU and initialization: theory and numerical
examples*](https://arxiv.org/abs/1903.06733), Communications in Computational Physics 28, 1671–1706.

At a fixed width, depth makes the death of a ReLU network certain. Lesson [6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### Maas, Hannun and Ng 2013

A. L. Maas, A. Y. Hannun and A. Y. Ng, [*Rectifier nonlinearities improve neural network acoustic
models*](https://ai.stanford.edu/~amaas/papers/relu_hybrid_icml2013_final.pdf), ICML, workshop on deep learning for
audio, speech and language processing.

Leaky ReLU. Lesson [6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### Micikevicius et al. 2018

P. Micikevicius, S. Narang, J. Alben and others, [*Mixed precision training*](https://arxiv.org/abs/1710.03740), ICLR.

Loss scaling and master weights. Lesson [14](14_precision.ipynb).
"""

# %% [markdown]
r"""
### Mishkin and Matas 2016

D. Mishkin and J. Matas, [*All you need is a good init*](https://arxiv.org/abs/1511.06422), ICLR.

LSUV: measure each layer's output on a batch, and divide its weights by the spread. Lesson [7](07_xavier_he.ipynb).
"""

# %% [markdown]
r"""
### Nair and Hinton 2010

V. Nair and G. E. Hinton, [*Rectified linear units improve restricted Boltzmann
machines*](https://www.cs.toronto.edu/~fritz/absps/reluICML.pdf), ICML.

The rectifier's way into deep learning. Lesson [6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### Nielsen 2015

M. A. Nielsen, [*Neural Networks and Deep Learning*](http://neuralnetworksanddeeplearning.com/chap5.html),
Determination Press, chapter 5.

Vanishing gradients as most people meet them: a product of slopes and weights. Lesson [2](02_activation.ipynb).
"""

# %% [markdown]
r"""
### Noci et al. 2022

L. Noci, S. Anagnostidis, L. Biggio, A. Orvieto, S. P. Singh and A. Lucchi, [*Signal propagation in transformers:
theoretical perspectives and the role of rank collapse*](https://arxiv.org/abs/2206.03126), NeurIPS.

Where tokens become alike, the gradients of queries and keys vanish; scaled branches prevent it. Lesson
[13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Northcutt, Athalye and Mueller 2021

C. G. Northcutt, A. Athalye and J. Mueller, [*Pervasive label errors in test sets destabilize machine learning
benchmarks*](https://arxiv.org/abs/2103.14749), NeurIPS, Datasets and Benchmarks.

How many labels of well-known test sets are wrong. Lesson [11](11_clinic.ipynb).
"""

# %% [markdown]
r"""
### Orhan and Pitkow 2018

A. E. Orhan and X. Pitkow, [*Skip connections eliminate singularities*](https://arxiv.org/abs/1701.09175), ICLR.

Redundant units slow plain networks down, and skips break the redundancy. Lesson [9](09_skips.ipynb).
"""

# %% [markdown]
r"""
### Pascanu, Mikolov and Bengio 2013

R. Pascanu, T. Mikolov and Y. Bengio, [*On the difficulty of training recurrent neural
networks*](https://arxiv.org/abs/1211.5063), ICML.

The gradient as a product of Jacobians, what bounds it, and clipping by the global norm. Lessons [1](01_depth.ipynb)
and [5](05_memory.ipynb).
"""

# %% [markdown]
r"""
### Pennington, Schoenholz and Ganguli 2017

J. Pennington, S. S. Schoenholz and S. Ganguli, [*Resurrecting the sigmoid in deep learning through dynamical
isometry: theory and practice*](https://arxiv.org/abs/1711.04735), NeurIPS.

Which activations can have dynamical isometry with orthogonal weights, and that ReLU cannot. Lesson
[12](12_chaos.ipynb).
"""

# %% [markdown]
r"""
### Poole et al. 2016

B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, [*Exponential expressivity in deep neural networks
through transient chaos*](https://arxiv.org/abs/1606.05340), NeurIPS.

The maps of variance and correlation from layer to layer; order and chaos. Lessons [2](02_activation.ipynb),
[7](07_xavier_he.ipynb) and [12](12_chaos.ipynb).
"""

# %% [markdown]
r"""
### PyTorch, documentation of BatchNorm1d

PyTorch, [*BatchNorm1d*](https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.batchnorm.BatchNorm1d.html),
reference manual.

Which variance is used in training and which in evaluation. Lesson [8](08_normalization.ipynb).
"""

# %% [markdown]
r"""
### PyTorch, documentation of LSTM

PyTorch, [*LSTM*](https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html), reference manual.

The order of the gates, the two biases, and how they are drawn. Lesson [10](10_gates.ipynb).
"""

# %% [markdown]
r"""
### PyTorch, issue 23854

PyTorch, [issue 23854](https://github.com/pytorch/pytorch/issues/23854), GitHub.

The fan-out of convolutions in groups is counted over all groups. Lesson [7](07_xavier_he.ipynb).
"""

# %% [markdown]
r"""
### PyTorch, issues 18182 and 57109

PyTorch, [issue 18182](https://github.com/pytorch/pytorch/issues/18182), [issue
57109](https://github.com/pytorch/pytorch/issues/57109), GitHub.

What `nn.Linear` draws by default, and why. Lesson [3](03_initialization.ipynb).
"""

# %% [markdown]
r"""
### PyTorch, issues 24991 and 53694

PyTorch, [issue 24991](https://github.com/pytorch/pytorch/issues/24991), [pull request
53694](https://github.com/pytorch/pytorch/pull/53694), GitHub.

Where the gain for SELU comes from. Lesson [7](07_xavier_he.ipynb).
"""

# %% [markdown]
r"""
### Ramachandran, Zoph and Le 2017

P. Ramachandran, B. Zoph and Q. V. Le, [*Searching for activation functions*](https://arxiv.org/abs/1710.05941),
arXiv.

The activation SiLU, there called swish. Lesson [6](06_rectifiers.ipynb).
"""

# %% [markdown]
r"""
### Santurkar et al. 2018

S. Santurkar, D. Tsipras, A. Ilyas and A. Mądry, [*How does batch normalization help
optimization?*](https://arxiv.org/abs/1805.11604), NeurIPS.

Noise behind batch normalization does not undo its effect: the test of internal covariate shift. Lesson
[8](08_normalization.ipynb).
"""

# %% [markdown]
r"""
### Saxe, McClelland and Ganguli 2014

A. M. Saxe, J. L. McClelland and S. Ganguli, [*Exact solutions to the nonlinear dynamics of learning in deep linear
neural networks*](https://arxiv.org/abs/1312.6120), ICLR.

Orthogonal weights, plateaus, and learning times in linear networks. Lessons [1](01_depth.ipynb),
[3](03_initialization.ipynb), [4](04_convergence.ipynb) and [12](12_chaos.ipynb).
"""

# %% [markdown]
r"""
### Schoenholz et al. 2017

S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, [*Deep information
propagation*](https://arxiv.org/abs/1611.01232), ICLR.

The per-layer factor, depth scales, and how deep a network can be trained. Lessons [2](02_activation.ipynb),
[4](04_convergence.ipynb) and [12](12_chaos.ipynb).
"""

# %% [markdown]
r"""
### Srivastava, Greff and Schmidhuber 2015

R. K. Srivastava, K. Greff and J. Schmidhuber, [*Highway networks*](https://arxiv.org/abs/1505.00387), ICML, workshop
on deep learning.

Gates over depth instead of time. Lesson [10](10_gates.ipynb).
"""

# %% [markdown]
r"""
### Tallec and Ollivier 2018

C. Tallec and Y. Ollivier, [*Can recurrent neural networks warp time?*](https://arxiv.org/abs/1804.11188), ICLR.

Gates as time constants, and chrono initialization. Lesson [10](10_gates.ipynb).
"""

# %% [markdown]
r"""
### Vaswani et al. 2017

A. Vaswani, N. Shazeer, N. Parmar and others, [*Attention is all you need*](https://arxiv.org/abs/1706.03762),
NeurIPS.

The transformer, with post-LN and a warm-up. Lesson [13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Veit, Wilber and Belongie 2016

A. Veit, M. Wilber and S. Belongie, [*Residual networks behave like ensembles of relatively shallow
networks*](https://arxiv.org/abs/1605.06431), NeurIPS.

A residual network as a sum over paths, and which of them carry gradient. Lesson [9](09_skips.ipynb).
"""

# %% [markdown]
r"""
### Wang et al. 2022

H. Wang, S. Ma, L. Dong, S. Huang, D. Zhang and F. Wei, [*DeepNet: scaling transformers to 1,000
layers*](https://arxiv.org/abs/2203.00555), IEEE Transactions on Pattern Analysis and Machine Intelligence 46, 2024.

DeepNorm and its two constants. Lesson [13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Xiong et al. 2020

R. Xiong, Y. Yang, D. He, K. Zheng, S. Zheng, C. Xing, H. Zhang, Y. Lan, L. Wang and T.-Y. Liu, [*On layer
normalization in the transformer architecture*](https://arxiv.org/abs/2002.04745), ICML.

At initialization the gradients of post-LN are large near the output, and pre-LN needs no warm-up. Lesson
[13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Yang et al. 2019

G. Yang, J. Pennington, V. Rao, J. Sohl-Dickstein and S. S. Schoenholz, [*A mean field theory of batch
normalization*](https://arxiv.org/abs/1902.08129), ICLR.

Gradients explode with depth under batch normalization, at initialization and for any activation. Lessons
[8](08_normalization.ipynb), [9](09_skips.ipynb) and [90](90_your_own_model.ipynb).
"""

# %% [markdown]
r"""
### Yang et al. 2022

G. Yang, E. J. Hu, I. Babuschkin and others, [*Tensor Programs V: tuning large neural networks via zero-shot
hyperparameter transfer*](https://arxiv.org/abs/2203.03466), arXiv; NeurIPS 2021.

A pointer on: scales for the weights and rates with which settings carry over from narrow to wide networks. Lesson
[7](07_xavier_he.ipynb).
"""

# %% [markdown]
r"""
### Zhang and Sennrich 2019

B. Zhang and R. Sennrich, [*Root mean square layer normalization*](https://arxiv.org/abs/1910.07467), NeurIPS.

The layer RMSNorm. Lesson [8](08_normalization.ipynb).
"""

# %% [markdown]
r"""
### Zhang et al. 2017

C. Zhang, S. Bengio, M. Hardt, B. Recht and O. Vinyals, [*Understanding deep learning requires rethinking
generalization*](https://arxiv.org/abs/1611.03530), ICLR.

Networks learn random labels by heart. Lesson [11](11_clinic.ipynb).
"""

# %% [markdown]
r"""
### Zhang, Dauphin and Ma 2019

H. Zhang, Y. N. Dauphin and T. Ma, [*Fixup initialization: residual learning without
normalization*](https://arxiv.org/abs/1901.09321), ICLR.

Branches that start at 0, and what else it takes to train them. Lessons [9](09_skips.ipynb) and [13](13_modern.ipynb).
"""

# %% [markdown]
r"""
### Zhang et al. 2020

J. Zhang, T. He, S. Sra and A. Jadbabaie, [*Why gradient clipping accelerates training: a theoretical justification
for adaptivity*](https://arxiv.org/abs/1905.11881), ICLR.

Conditions under which clipping is faster than any fixed step. Lesson [5](05_memory.ipynb).
"""
