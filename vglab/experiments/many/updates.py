"""The update of many networks at once by a torch optimizer, each network with its own learning rate and clipping."""

import torch
from torch import nn

# Optimizers that act on each entry by itself and step in proportion to the learning rate.
ELEMENTWISE = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam")


class Updates:
    """A torch optimizer over the flat parameters of a stack.

    With different learning rates it takes the step for the largest, of which each network then goes its own part:
    exact to rounding, because every optimizer of `ELEMENTWISE` steps in proportion to its rate. `lr`, `clip` and
    `scale` (of the loss) are tensors with a value per network; `half` says that a step with a gradient that is not
    finite is left out, as torch's GradScaler does.
    """

    def __init__(self, flat, layout, optimizer, settings, *, lr, clip, scale, half):
        self.layout, self.clip, self.half = layout, clip, half
        self.unscale = None if (scale == 1).all() else layout.spread(1 / scale)
        self.part = None if (lr == lr[0]).all() else layout.spread(lr / lr.max())
        self.parameter = nn.Parameter(flat)
        self.gradient = self.parameter.grad = torch.zeros_like(flat)
        self.optimizer = getattr(torch.optim, optimizer)([self.parameter], lr=float(lr.max()), **settings)

    def step(self):
        """One update of all networks. Returns which of them left it out, (nets,) bool, or None if none may."""
        if self.unscale is not None:
            self.gradient.mul_(self.unscale)
        norms = self._norms() if self.half or self.clip is not None else None
        skipped = ~norms.isfinite() if self.half else None
        if self.clip is not None:
            factor = (self.clip / (norms + 1e-6)).clamp(max=1.0)
            for gradient, n in zip(self.layout.views(self.gradient), self.layout.counts, strict=True):
                gradient.mul_(factor[:n].to(gradient.dtype).view(n, 1, 1))
        if skipped is not None and skipped.any():
            self._step_of_others(skipped)
        else:
            self._step()
        return skipped

    @torch.no_grad()
    def _step(self):
        flat = self.parameter.data
        before = None if self.part is None else flat.clone()
        self.optimizer.step()
        if before is not None:
            torch.lerp(before, flat, self.part, out=flat)

    def _step_of_others(self, skipped):
        """The step, with the parameters and the state of the networks that skip it put back afterwards."""
        mask = self.layout.spread(skipped)
        before = {key: value.clone() for key, value in self._state().items()}
        flat = self.parameter.data.clone()
        self._step()
        self.parameter.data.copy_(torch.where(mask, flat, self.parameter.data))
        for key, value in self._state().items():  # what this very step has made was 0 before
            value.copy_(torch.where(mask, before.get(key, torch.zeros_like(value)), value))

    def _state(self):
        state = self.optimizer.state.get(self.parameter, {})
        return {key: value for key, value in state.items() if _like(value, self.parameter)}

    def _norms(self):
        """The norm of each network's gradient, (nets,), summed in float64: no square underflows."""
        total = self.gradient.new_zeros(self.layout.counts[0], dtype=torch.float64)
        for gradient, n in zip(self.layout.views(self.gradient), self.layout.counts, strict=True):
            total[:n] += torch.linalg.vector_norm(gradient, dim=(1, 2), dtype=torch.float64).square()
        return total.sqrt()

    def move_to(self, other, where):
        """Give `other`, new updates of the entries `where` of these, the state reached here."""
        state = self.optimizer.state.get(self.parameter)
        if state:
            kept = {key: v[where] if _like(v, self.parameter) else v for key, v in state.items()}
            other.optimizer.state[other.parameter] = kept


def _like(value, parameter):
    return torch.is_tensor(value) and value.shape == parameter.shape
