"""One forward and backward pass, read whole, with nothing left changed."""

from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .readings import tensors_in
from .watch import probe


def gradient_profile(model, x, y, loss_fn=nn.functional.cross_entropy):
    """Return the `probe` table of one forward and backward pass of ``loss_fn(model(x), y)``.

    Nothing is left changed: not ``.grad``, not the buffers (batch statistics), not the random state. Raises
    `ValueError` if the loss is not one number or needs no gradient.
    """
    watch = probe(model, sample=None)
    devices = {p.device for p in model.parameters() if p.is_cuda}
    with torch.random.fork_rng(devices=devices), torch.enable_grad(), _on_copied_buffers(model), watch as seen:
        loss = loss_fn(model(x), y)
        _check_loss(loss)
        torch.autograd.grad(
            loss,
            [t for t in (*model.parameters(), *(t for _, t in tensors_in(x))) if t.requires_grad],
            allow_unused=True,
        )
    return seen.table


@contextmanager
def _on_copied_buffers(model):
    """Let `model` work on copies of its buffers, so that not even their version counters move."""
    slots = [(module._buffers, name) for module in model.modules() for name in module._buffers]
    kept = [(slot, name, slot[name]) for slot, name in slots if slot[name] is not None and not is_lazy(slot[name])]
    copies = {id(buffer): buffer.clone() for _, _, buffer in kept}  # shared buffers stay shared
    try:
        for slot, name, buffer in kept:
            slot[name] = copies[id(buffer)]
        yield
    finally:
        for slot, name, buffer in kept:
            slot[name] = buffer


def _check_loss(loss):
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        came = f"shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise ValueError(f"loss_fn must return a tensor with one number; got {came}: average or sum it first.")
    if not loss.requires_grad:
        raise ValueError(
            "a gradient was asked for, but the loss needs none: every parameter it depends on is frozen, or it was "
            "computed under no_grad or from detached tensors. Set requires_grad on a parameter or compute it anew."
        )
