"""A small transformer whose normalization stands before the branches, after the additions, or nowhere."""

import math
from collections import OrderedDict
from numbers import Integral, Real

import torch
from torch import nn
from torch.nn import functional as F

from ..activations import as_module
from .initial import seeded

PLACES = ("pre", "post", "deep", None)


def transformer(
    blocks,
    width=32,
    *,
    norm="pre",
    heads=4,
    vocab=None,
    d_in=None,
    d_out=None,
    hidden=4,
    act="relu",
    rms=False,
    scale=1.0,
    causal=True,
    seed=None,
):
    """Return a transformer: an `Embed`, `blocks` blocks of attention and a two-layer network, and a linear ``head``.

    The children are named ``embed, block1, block2, ..., head``, with a last ``norm`` before the head for
    ``norm="pre"``; a block's are ``attention`` and ``mlp``. Input: (batch, time) token numbers, or (batch, time, d_in)
    numbers; output: (batch, time, d_out). Weights are Xavier's, normal, and biases 0; no dropout.

    Parameters
    ----------
    blocks, width, heads, hidden : int
        Blocks of two branches each; features of the stream, an even multiple of `heads`; and the factor from `width`
        to the units of a two-layer network.
    norm : "pre", "post", "deep" or None
        ``"post"`` N(h + F(h)), as in Vaswani et al. (2017), arXiv:1706.03762, section 3.1; ``"pre"`` h + F(N(h));
        ``"deep"`` N(alpha h + F(h)) with the `deepnorm` constants, beta being the gain of F's weights; None h + F(h).
    vocab, d_in, d_out : int
        Number of tokens, or features of each input vector: one of the two. `d_out` is `vocab` unless given.
    act : as in `mlp`
    rms : bool
        RMSNorm in place of LayerNorm.
    scale : float
        Factor on every branch, 0 or more.
    causal : bool
        Whether a token attends to itself and earlier ones only.
    seed : int or None
        As in `mlp`.

    >>> transformer(2, 8, norm="post", vocab=5, seed=0)(torch.zeros(3, 7, dtype=torch.long)).shape
    torch.Size([3, 7, 5])
    """
    _check(norm, vocab, d_in, scale, blocks=blocks, width=width, heads=heads, hidden=hidden)
    d_out = vocab if d_out is None else d_out
    if not _whole(d_out):
        raise ValueError(f"d_out must be a whole number of at least 1; got {d_out!r}: give it, or vocab.")
    alpha, beta = deepnorm(blocks) if norm == "deep" else (1.0, 1.0)
    make_norm = {None: nn.Identity}.get(norm, nn.RMSNorm if rms else nn.LayerNorm)
    around = lambda branch: Around(branch, make_norm(width), first=norm == "pre", skip=alpha, scale=float(scale))
    with seeded(seed):
        layers = OrderedDict(embed=Embed(width, vocab=vocab, d_in=d_in))
        for i in range(1, blocks + 1):
            attention, mlp = Attention(width, heads, causal=causal), _two_layers(width, hidden * width, act)
            layers[f"block{i}"] = Block(around(attention), around(mlp))
        if norm == "pre":
            layers["norm"] = make_norm(width)
        layers["head"] = nn.Linear(width, d_out)
        return _draw(nn.Sequential(layers), beta)


def deepnorm(blocks):
    """Return alpha and beta of DeepNorm for a stack of `blocks` blocks: (2 blocks)**(1/4) and (8 blocks)**(-1/4).

    The norm of alpha h + F(h), where beta is the gain of Xavier's draw for the weights of value, output and the
    two-layer network. H. Wang et al. (2022), DeepNet: Scaling transformers to 1,000 layers, arXiv:2203.00555, for an
    encoder or a decoder alone; as in the authors' code, torchscale.
    """
    return (2 * blocks) ** 0.25, (8 * blocks) ** -0.25


class Embed(nn.Module):
    """Tokens (batch, time), or vectors (batch, time, d_in), as (batch, time, width), with their places added.

    The places are sines and cosines, Vaswani et al. (2017), section 3.5: nothing to learn, and no longest sequence.
    """

    def __init__(self, width, *, vocab=None, d_in=None):
        super().__init__()
        self.table = nn.Embedding(vocab, width) if vocab else nn.Linear(d_in, width)

    def forward(self, x):
        h = self.table(x)
        n, width = h.shape[-2:]
        rate = 10_000 ** (-torch.arange(0, width, 2, device=h.device, dtype=h.dtype) / width)
        angle = torch.arange(n, device=h.device, dtype=h.dtype)[:, None] * rate
        return h + torch.cat([angle.sin(), angle.cos()], dim=-1)


class Attention(nn.Module):
    """Scaled dot-product attention with several heads, h: (batch, time, width) to the same shape."""

    def __init__(self, width, heads, *, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, h):
        apart = lambda z: z.unflatten(-1, (self.heads, -1)).transpose(-2, -3)  # (batch, heads, time, width / heads)
        parts = (apart(layer(h)) for layer in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(*parts, is_causal=self.causal)
        return self.out(mixed.transpose(-2, -3).flatten(-2))


class Around(nn.Module):
    """A skip and a norm around a branch F: skip h + scale F(N(h)) with the norm `first`, or N(skip h + scale F(h))."""

    def __init__(self, branch, norm, *, first, skip=1.0, scale=1.0):
        super().__init__()
        self.branch, self.norm, self.first, self.skip, self.scale = branch, norm, first, skip, scale

    def forward(self, h):
        if self.first:
            return self.skip * h + self.scale * self.branch(self.norm(h))
        return self.norm(self.skip * h + self.scale * self.branch(h))


class Block(nn.Module):
    """Attention, then a network of two layers at every place; each is an `Around`. h: (batch, time, width)."""

    def __init__(self, attention, mlp):
        super().__init__()
        self.attention, self.mlp = attention, mlp

    def forward(self, h):
        return self.mlp(self.attention(h))


def _two_layers(width, hidden, act):
    return nn.Sequential(nn.Linear(width, hidden), as_module(act), nn.Linear(hidden, width))


def _draw(model, beta):
    """Xavier's normal weights, gain `beta` where DeepNorm has it; biases 0."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear):
            softened = name.startswith("block") and not name.endswith(("query", "key"))
            nn.init.xavier_normal_(layer.weight, gain=beta if softened else 1.0)
            nn.init.zeros_(layer.bias)
    return model


def _whole(size):
    return isinstance(size, Integral) and not isinstance(size, bool) and size >= 1


def _check(norm, vocab, d_in, scale, **sizes):
    for name, size in sizes.items():
        if not _whole(size):
            raise ValueError(f"{name} must be a whole number of at least 1; got {size!r}.")
    if sizes["width"] % (2 * sizes["heads"]):
        heads = sizes["heads"]
        raise ValueError(f"width must be an even multiple of heads={heads}; got {sizes['width']}: try {2 * heads * 4}.")
    if norm not in PLACES:
        raise ValueError(f"norm must be 'pre', 'post', 'deep' or None; got {norm!r}.")
    if (vocab is None) == (d_in is None):
        raise ValueError(f"give vocab for tokens or d_in for vectors, one of the two; got {vocab!r} and {d_in!r}.")
    if not _whole(vocab if d_in is None else d_in):
        raise ValueError(f"vocab and d_in are whole numbers of at least 1; got {vocab if d_in is None else d_in!r}.")
    if not isinstance(scale, Real) or not 0 <= scale < math.inf:
        raise ValueError(f"scale is a factor on the branches and must be 0 or more; got {scale!r}.")
