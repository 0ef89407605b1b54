"""Layers of many networks at once, each with its backward pass: h is (nets, batch, width), g the gradient behind it.

Linear layers and the common activations are differentiated by hand, in a handful of kernels; everything else by
autograd, one layer at a time. A gradient goes to its `target` as ``target * keep + gradient * step``: with keep 0 and
step 1 the target holds gradients, with keep 1 and step -1 it is the parameter itself and gradient descent is done.
`rounded` is applied to parameters, to what a layer gives and to the gradients coming back; ``None`` rounds nothing.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .recurrent import last_output

aten = torch.ops.aten


def _tanh(z):
    """tanh; on the CPU by numpy, which takes a tenth of torch's time and is right to the last bit or so."""
    if not (z.is_cpu and z.dtype is torch.float32):
        return torch.tanh(z)
    h = torch.empty_like(z)
    np.tanh(z.numpy(), out=h.numpy())
    return h


# Activation modules by their output h: the gradient behind them from the one in front, written over it.
BY_HAND = {
    nn.Tanh: (_tanh, lambda g, h: aten.tanh_backward.grad_input(g, h, grad_input=g)),
    nn.Sigmoid: (torch.sigmoid, lambda g, h: aten.sigmoid_backward.grad_input(g, h, grad_input=g)),
    nn.ReLU: (torch.relu, lambda g, h: aten.threshold_backward.grad_input(g, h, 0, grad_input=g)),
}


class Rounding(torch.autograd.Function):
    """To half precision and back, forward and in the gradient: what storing both in `dtype` does to them."""

    @staticmethod
    def forward(ctx, x, dtype):
        ctx.dtype = dtype
        return x.to(dtype).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        return g.to(ctx.dtype).to(g.dtype), None


class Linear:
    """h W + b. W: (nets, width_in, width_out), b: (nets, 1, width_out)."""

    def __init__(self, parameters, targets, descent, rounded):
        self.parameters, self.targets, self.descent, self.rounded = parameters, targets, descent, rounded

    def forward(self, h, train=True):
        self.h, (self.w, *b) = h, [self.rounded(p) for p in self.parameters] if self.rounded else self.parameters
        z = torch.baddbmm(b[0], h, self.w) if b else torch.bmm(h, self.w)
        return self.rounded(z) if self.rounded else z

    def backward(self, g, further=True):
        keep, step = self.descent
        if self.rounded:
            g = self.rounded(g)
        before = torch.bmm(g, self.w.mT) if further else None  # first: the weights may be the target
        self.targets[0].baddbmm_(self.h.mT, g, beta=keep, alpha=step)
        if len(self.targets) > 1:
            _put(self.targets[1], g.sum(1, keepdim=True), self.descent)
        if self.rounded:
            for target in self.targets:
                target.copy_(self.rounded(target))
        self.h = self.w = None
        return before


class Activation:
    """tanh, sigmoid or ReLU."""

    def __init__(self, act, rounded):
        (self.function, self.slope), self.rounded = BY_HAND[type(act)], rounded

    def forward(self, z, train=True):
        self.h = self.function(z)
        return self.rounded(self.h) if self.rounded else self.h

    def backward(self, g, further=True):
        g = self.slope(self.rounded(g) if self.rounded else g, self.h)
        self.h = None
        return g


class Local:
    """Any other function of h and parameters, differentiated by autograd."""

    def __init__(self, function, parameters, targets, descent, rounded):
        self.function, self.parameters, self.targets, self.descent = function, parameters, targets, descent
        self.rounded = rounded or (lambda x: x)

    def forward(self, h, train=True):
        if not train:
            return self.rounded(self.function(h, [self.rounded(p) for p in self.parameters], train))
        with torch.enable_grad():
            # .data, not detach(): plain descent writes to other parts of the flat tensor before this backward pass.
            self.inputs = [h.detach().requires_grad_(), *(p.data.requires_grad_() for p in self.parameters)]
            parameters = [self.rounded(p) for p in self.inputs[1:]]
            self.out = self.rounded(self.function(self.inputs[0], parameters, train))
        return self.out.detach()

    def backward(self, g, further=True):
        inputs = self.inputs if further else self.inputs[1:]
        grads = torch.autograd.grad(self.out, inputs, g) if inputs else ()
        before = grads[0] if further else None
        for target, grad in zip(self.targets, grads[1:] if further else grads, strict=True):
            _put(target, grad, self.descent)
        self.out = self.inputs = None
        return before


class Residual:
    """h + scale * branch(h)."""

    def __init__(self, branch, scale, rounded):
        self.branch, self.scale, self.rounded = branch, scale, rounded

    def forward(self, h, train=True):
        out = h
        for layer in self.branch:
            out = layer.forward(out, train)
        out = torch.add(h, out, alpha=self.scale)
        return self.rounded(out) if self.rounded else out

    def backward(self, g, further=True):
        g = self.rounded(g) if self.rounded else g
        through = g * self.scale
        for layer in reversed(self.branch):
            through = layer.backward(through)
        return g + through


def normalize(kind, settings, statistics):
    """The function of a `Local` that normalizes as BatchNorm1d, LayerNorm or RMSNorm do; `statistics`: running ones."""

    def by_example(h, parameters, train):
        eps, width = settings
        h = F.rms_norm(h, (width,), eps=eps) if kind == "rms" else F.layer_norm(h, (width,), eps=eps)
        for apply, parameter in zip((torch.mul, torch.add), parameters, strict=False):
            h = apply(h, parameter)
        return h

    def by_batch(h, parameters, train):
        eps, momentum = settings
        columns = h.transpose(0, 1).flatten(1)  # (batch, nets * width): every unit of every network by itself
        mean, var, *affine = (p.flatten() for p in (*statistics, *parameters))
        columns = F.batch_norm(columns, mean, var, *(affine or (None, None)), train, momentum, eps)
        return columns.unflatten(1, (len(h), -1)).transpose(0, 1)

    return by_batch if kind == "batch" else by_example


def recur(settings, rounded):
    """The function of a `Local` that runs a recurrent part over x: (batch, time, features)."""
    kind, layers, bias, act = settings

    def run(x, parameters, train):
        return last_output(
            x, parameters, kind=kind, layers=layers, bias=bias, act=act, rounded=rounded or (lambda h: h)
        )

    return run


def _put(target, grad, descent):
    keep, step = descent
    grad = grad if grad.shape == target.shape else grad.view(target.shape)
    if keep:
        target.add_(grad, alpha=step)
    else:
        target.copy_(grad)
