"""Many networks side by side: their parameters in one flat tensor, the deeper networks first.

A part that only the first n networks have works on the first n rows, so nothing is padded.
"""

import torch

from .layers import BY_HAND, Activation, Linear, Local, Residual, Rounding, normalize, recur

HALF = {"float32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Layout:
    """Where the tensors of many networks lie in a flat one: slot after slot, in each the first `counts[slot]` networks.

    A matrix (out, in) is kept as (in, out), a vector as (1, n), so that a slot is (nets, in, out) or (nets, 1, n).
    """

    def __init__(self, shapes, counts):
        self.matrix = [len(shape) == 2 for shape in shapes]
        self.shapes = [shape[::-1] if len(shape) == 2 else (1, *shape) for shape in shapes]
        self.counts = counts
        self.sizes = [n * a * b for n, (a, b) in zip(counts, self.shapes, strict=True)]

    def views(self, flat):
        pieces = zip(flat.split(self.sizes), self.counts, self.shapes, strict=True)
        return [piece.view(n, *shape) for piece, n, shape in pieces]

    def flatten(self, nets, like):
        """The flat tensor of `nets`, each a list of tensors in torch's shapes, in the order of the slots."""
        slots = [[net[slot] for net in nets[:n]] for slot, n in enumerate(self.counts)]
        pieces = [(t.mT if t.dim() == 2 else t).reshape(-1) for slot in slots for t in slot]
        return torch.cat([like.new_empty(0), *(t.to(like) for t in pieces)])

    def net(self, flat, i):
        """Copies of the tensors of network `i`, in torch's shapes."""
        own = [(view[i], m) for view, n, m in zip(self.views(flat), self.counts, self.matrix, strict=True) if i < n]
        return [(v.mT if m else v[0]).clone(memory_format=torch.contiguous_format) for v, m in own]

    def spread(self, values):
        """One value per network, repeated for each of its entries in the flat tensor."""
        pieces = zip(self.counts, self.shapes, strict=True)
        return torch.cat([values[:n].repeat_interleave(a * b) for n, (a, b) in pieces])

    def where(self, keep, device):
        """Indices into the flat tensor of the entries of the networks `keep`, in the order of their own layout."""
        places = self.views(torch.arange(sum(self.sizes), device=device))
        pieces = [place[[i for i in keep if i < len(place)]].flatten() for place in places]
        return torch.cat([torch.arange(0, device=device), *pieces])


class Stack:
    """Networks of `plans` (the deeper first, each body the beginning of the one before) as layers over all of them.

    `flat` holds the parameters and `statistics` the running ones of BatchNorm, as `layouts` of the plans say; gradients
    go to `target`, a flat tensor too, by the rule `descent` of `layers`.
    """

    def __init__(self, plans, flat, statistics, *, target, descent, half=None):
        self.plans, self.descent = plans, descent
        self.rounded = (lambda x: Rounding.apply(x, half)) if half else None
        layout, buffers = layouts(plans)
        pairs = zip(layout.views(flat), layout.views(target), strict=True)
        slots, statistics = iter(pairs), iter(buffers.views(statistics))
        self.counts, self.recurrent = counts(plans), recurrent(plans[0])
        build = lambda part: self._layer(part, slots, statistics)
        self.head = [build(part) for part in plans[0].head]
        self.body = [build(part) for part in plans[0].body]

    def _layer(self, part, slots, statistics):
        if part.kind == "residual":
            return Residual(
                [self._layer(inner, slots, statistics) for inner in part.inner], *part.settings, self.rounded
            )
        if part.kind == "activation" and type(part.act) in BY_HAND:
            return Activation(part.act, self.rounded)
        own = [next(slots) for _ in part.shapes]
        weights = [w for w, _ in own], [t for _, t in own], self.descent, self.rounded
        if part.kind == "linear":
            return Linear(*weights)
        if part.kind == "norm":
            kind, *settings = part.settings
            function = normalize(kind, settings, [next(statistics) for _ in part.buffers])
        elif part.kind == "recurrent":
            function = recur(part.settings, self.rounded)
        else:
            function = lambda h, parameters, train: part.act(h.clone() if getattr(part.act, "inplace", False) else h)
        return Local(function, *weights)

    def forward(self, x, train=True):
        """What the networks give for x, (batch, ...): (nets, batch, outputs). With `train`, `backward` may follow."""
        h = x if self.recurrent else x.expand(len(self.plans), *x.shape)
        if self.rounded:
            h = self.rounded(h)
        ended = [h[self.counts[0] :]] if not self.recurrent else []
        for layer, n, after in zip(self.body, self.counts, self.counts[1:], strict=False):
            h = layer.forward(h if self.recurrent or len(h) == n else h[:n], train)
            if after < n:
                ended.append(h[after:])
        ended = [rows for rows in ended[::-1] if len(rows)]
        h = torch.cat(ended) if len(ended) > 1 else ended[0]
        for layer in self.head:
            h = layer.forward(h, train)
        return h

    def backward(self, g):
        """Send the gradient g of the output, (nets, batch, outputs), which is written over, back to the parameters."""
        for i, layer in reversed([*enumerate(self.head)]):
            g = layer.backward(g, further=i > 0 or bool(self.body))
        at_head, g = g, None
        for i, layer in reversed([*enumerate(self.body)]):
            n, after = self.counts[i], self.counts[i + 1]
            if after < n:
                g = at_head[after:n] if after == 0 else torch.cat([g, at_head[after:n]])
            g = layer.backward(g, further=i > 0)


def recurrent(plan):
    """Whether a network runs over time, so that its x is (batch, time, features)."""
    return bool(plan.body) and plan.body[0].kind == "recurrent"


def counts(plans):
    """How many of the networks have each part of the longest body, and 0 for the part after it."""
    lengths = [len(plan.body) for plan in plans]
    return [sum(length > i for length in lengths) for i in range(lengths[0] + 1)]


def layouts(plans):
    """The `Layout` of the parameters and that of the running statistics of a stack of these networks."""
    parts = [(part, len(plans)) for part in plans[0].head] + list(zip(plans[0].body, counts(plans), strict=False))
    return [
        Layout(*zip(*rows, strict=True)) if rows else Layout((), ())
        for rows in ([(s, n) for part, n in parts for s in part.every(what)] for what in ("shapes", "statistics"))
    ]
