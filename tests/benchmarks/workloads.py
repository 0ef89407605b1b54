"""Four networks of the usual kinds at the sizes of a laptop; each with one batch, trained by SGD with momentum.

No module works in place, although a ReLU often does: full backward hooks, which several peers use, fail on it.
"""

from typing import NamedTuple

import torch
from torch import nn

CLASSES = 10


class Workload(NamedTuple):
    title: str
    model: nn.Module
    inputs: torch.Tensor
    target: torch.Tensor


class Block(nn.Module):
    """The basic block of a residual net (He et al., 2016)."""

    def __init__(self, d_in, d_out, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(d_in, d_out, 3, stride, 1, bias=False), nn.BatchNorm2d(d_out)
        self.conv2, self.norm2 = nn.Conv2d(d_out, d_out, 3, 1, 1, bias=False), nn.BatchNorm2d(d_out)
        self.act1, self.act2, self.skip = nn.ReLU(), nn.ReLU(), nn.Identity()
        if d_in != d_out:
            self.skip = nn.Sequential(nn.Conv2d(d_in, d_out, 1, stride, bias=False), nn.BatchNorm2d(d_out))

    def forward(self, x):
        h = self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x)))))
        return self.act2(h + self.skip(x))


class Recurrent(nn.Module):
    def __init__(self, d_in, hidden, layers):
        super().__init__()
        self.lstm, self.head = nn.LSTM(d_in, hidden, layers, batch_first=True), nn.Linear(hidden, CLASSES)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Transformer(nn.Module):
    def __init__(self, words, width, heads, layers):
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True)
        self.embed, self.head = nn.Embedding(words, width), nn.Linear(width, CLASSES)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


def mlp(depth=50, width=256, batch=128):
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        nn.init.xavier_normal_(linear.weight)  # torch's default would let the gradient vanish into slow denormals
        layers += [linear, nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(width, CLASSES))
    return _with_target(f"MLP, {depth} layers of {width}, tanh, batch {batch}", model, torch.randn(batch, width))


def resnet(widths=(8, 8, 8, 16, 16, 16, 32, 32), batch=32):
    first, blocks = widths[0], []
    for d_in, d_out in zip((first, *widths), widths, strict=False):
        blocks.append(Block(d_in, d_out, 1 if d_in == d_out else 2))
    stem = [nn.Conv2d(3, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU()]
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], CLASSES))
    title = f"ResNet with BatchNorm, {len(widths)} blocks, 32x32 images, batch {batch}"
    return _with_target(title, model, torch.randn(batch, 3, 32, 32))


def lstm(hidden=128, steps=50, batch=32, d_in=64):
    title = f"LSTM, 2 layers of {hidden}, {steps} time steps, batch {batch}"
    return _with_target(title, Recurrent(d_in, hidden, 2), torch.randn(batch, steps, d_in))


def transformer(width=128, heads=4, length=64, batch=16, words=1000):
    title = f"Transformer encoder, 6 layers of {width}, {heads} heads, length {length}, batch {batch}"
    return _with_target(title, Transformer(words, width, heads, 6), torch.randint(words, (batch, length)))


def _with_target(title, model, inputs):
    return Workload(title, model, inputs, torch.randint(CLASSES, (len(inputs),)))


ALL = (mlp, resnet, lstm, transformer)
