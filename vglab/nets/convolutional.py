"""A small convolutional residual network and its plain twin: the same layers, with and without the additions."""

from collections import OrderedDict
from numbers import Integral, Real

from torch import nn
from torch.nn import functional as F

from ..activations import as_module
from .initial import init_, seeded

_NORMS = {None: nn.Identity, "batch": nn.BatchNorm2d}


def convnet(blocks, width=8, *, skip=True, norm="batch", shortcut="pad", act="relu", channels=1, d_out=10, seed=None):
    """Return the residual network of He et al. (2016), arXiv:1512.03385, section 4.2, at any size, or its plain twin.

    A 3x3 convolution, three stages of `blocks` blocks with two 3x3 convolutions each, the average over the image and
    a linear ``head``: 6 * blocks + 2 layers with weights. The second and the third stage begin with a stride of 2
    and double the channels. Children: ``conv, norm, act, block1, ..., pool, head``. Input: (batch, channels, rows,
    columns), output: (batch, d_out). Weights are He's, N(0, 2 / fan_in), and biases 0.

    Parameters
    ----------
    blocks, width : int
        Blocks in each of the three stages and channels in the first, at least 1.
    skip : bool or float
        Add each block's input to its branch, before the last activation; a number scales the branch. ``False`` is
        the plain twin: the same layers and, with ``shortcut="pad"``, the same weights for the same seed.
    norm : None or "batch"
        Normalization after each convolution; the convolutions have biases only without it.
    shortcut : "pad" or "projection"
        How a shortcut changes its shape: every second pixel and new channels of 0, which takes no parameters (the
        paper's option A), or a 1x1 convolution of stride 2 (option B).
    seed : int or None
        As in `mlp`.

    >>> convnet(3, seed=0)(torch.zeros(5, 1, 8, 8)).shape  # 20 layers
    torch.Size([5, 10])
    """
    _check(blocks=blocks, width=width, channels=channels, d_out=d_out)
    if norm not in _NORMS:
        raise ValueError(f"norm must be None or 'batch'; got {norm!r}.")
    if shortcut not in ("pad", "projection"):
        raise ValueError(f"shortcut must be 'pad' or 'projection'; got {shortcut!r}.")
    if not isinstance(skip, Real):
        raise ValueError(f"skip must be True, False or a number that scales the branch; got {skip!r}.")
    with seeded(seed):
        layers = OrderedDict(conv=_conv(channels, width, norm), norm=_NORMS[norm](width), act=as_module(act))
        for i in range(3 * blocks):
            before, after = (width * 2 ** (max(k, 0) // blocks) for k in (i - 1, i))
            layers[f"block{i + 1}"] = ConvBlock(before, after, skip=skip, norm=norm, shortcut=shortcut, act=act)
        layers |= {"pool": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), "head": nn.Linear(4 * width, d_out)}
        return init_(nn.Sequential(layers), "he")


class ConvBlock(nn.Module):
    """act(shortcut(h) + scale * branch(h)), the building block of He et al. (2016), Figure 2; plain without `skip`.

    h: (batch, before, rows, columns) to (batch, after, rows, columns); where after differs from before, rows and
    columns are halved, rounded up.
    """

    def __init__(self, before, after, *, skip=True, norm="batch", shortcut="pad", act="relu"):
        super().__init__()
        stride = 1 if after == before else 2
        self.conv1, self.norm1 = _conv(before, after, norm, stride), _NORMS[norm](after)
        self.act1 = as_module(act)
        self.conv2, self.norm2 = _conv(after, after, norm), _NORMS[norm](after)
        self.act2 = as_module(act)
        self.scale = None if skip is False else float(skip)
        self.shortcut = None if skip is False else _shortcut(before, after, norm, shortcut)

    def forward(self, h):
        z = self.norm2(self.conv2(self.act1(self.norm1(self.conv1(h)))))
        return self.act2(z if self.shortcut is None else self.shortcut(h) + self.scale * z)


class Pad(nn.Module):
    """Every second pixel, and channels of 0 up to `channels`: a shortcut without parameters."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, h):
        return F.pad(h[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.channels - h.shape[1]))


def _shortcut(before, after, norm, kind):
    if after == before:
        return nn.Identity()
    if kind == "pad":
        return Pad(after)
    return nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=norm is None), _NORMS[norm](after))


def _conv(before, after, norm, stride=1):
    return nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=norm is None)


def _check(**sizes):
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be a whole number of at least 1; got {size!r}.")
