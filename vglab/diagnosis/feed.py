"""Give a model its batch and get a loss back, or one sentence that says what went wrong on the way."""

from collections.abc import Mapping

import torch


def split(batch):
    """Return `batch` as ``(inputs, target)``; the target is None for a bare dict, whose model knows its own.

    Raises `TypeError` for anything but a dict or a pair ``(inputs, target)``.
    """
    if isinstance(batch, Mapping):
        return batch, None
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return tuple(batch)
    raise TypeError(
        f"batch must be a pair (inputs, target) or a dict of keyword arguments; got {_words(batch)}: pass "
        "(inputs, None) if there is no target, and several inputs as a tuple in the pair's first place."
    )


def describe(batch):
    """Return the shapes of `batch` in words, such as ``"inputs (64, 8) float32, target (64,) int64"``."""
    inputs, target = split(batch)
    return f"inputs {_words(inputs)}" + ("" if target is None else f", target {_words(target)}")


def loss_of(model, batch, loss_fn):
    """Return the loss of `model` on `batch`, a tensor with one number that needs a gradient; it may be inf or nan.

    The model is called as ``model(inputs)``, ``model(*inputs)`` or ``model(**inputs)``, the loss as
    ``loss_fn(output, target)``, ``loss_fn(output)`` without a target, or ``output.loss`` where `loss_fn` is None.
    Raises `ValueError` when the model or the loss fails on the batch (the error they raised is chained), when the
    loss is not one number or needs no gradient.
    """
    inputs, target = split(batch)
    try:
        output = call(model, inputs)
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} was called with {_words(inputs)} and raised {type(error).__name__}: "
            f"{_sentence(error)}. Pass a batch that the model takes as model({_stars(inputs)}inputs)."
        ) from error
    loss = own_loss(output) if loss_fn is None else _loss(loss_fn, output, target)
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or loss.is_complex():
        raise ValueError(
            f"the loss must be a tensor with one real number; got {_words(loss)} from output {_words(output)}: "
            "average or sum it in loss_fn."
        )
    if not loss.requires_grad:
        raise ValueError(
            f"a gradient of the loss was asked for, but the loss from output {_words(output)} needs none: every "
            "parameter it depends on is frozen, or it was computed under no_grad or from detached tensors. Set "
            "requires_grad on a parameter, or do not detach."
        )
    return loss.reshape(())


def run(model, batch, loss_fn):
    """Return the loss as `loss_of` does, and raise `ValueError` also where it is inf or nan."""
    loss = loss_of(model, batch, loss_fn)
    if not loss.isfinite():
        bad = [name for name, part in _parts(batch) if not part.isfinite().all()]
        cause = f"{' and '.join(bad)} hold inf or nan" if bad else "the numbers in the batch are finite"
        raise ValueError(
            f"a finite loss was asked for, and {type(model).__name__} on {describe(batch)} gave {loss.item()} before "
            f"any step; {cause}: " + ("clean the data." if bad else "look for a division, a log or an overflow in it.")
        )
    return loss


def call(model, inputs):
    """Return ``model(inputs)``, with a tuple or list spread as arguments and a dict as keywords."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, (tuple, list)) else model(inputs)


def mapped(change, batch):
    """Return `batch` with ``change(tensor)`` in place of every tensor in it, dicts and tuples kept as they are."""
    if isinstance(batch, torch.Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {key: mapped(change, item) for key, item in batch.items()}
    if isinstance(batch, (tuple, list)):
        items = [mapped(change, item) for item in batch]
        return type(batch)(*items) if hasattr(batch, "_fields") else type(batch)(items)
    return batch


def _stars(inputs):
    return "**" if isinstance(inputs, Mapping) else "*" if isinstance(inputs, (tuple, list)) else ""


def own_loss(output):
    """Return the loss that a model computed itself, ``output.loss`` or ``output["loss"]``."""
    loss = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if loss is None:
        raise ValueError(
            f"loss_fn=None asks for the model's own output.loss, and the output {_words(output)} has none: pass a "
            "loss_fn, or labels in the batch for a model that computes its own."
        )
    return loss


def _loss(loss_fn, output, target):
    try:
        return loss_fn(output) if target is None else loss_fn(output, target)
    except Exception as error:
        given = f"output {_words(output)}" + ("" if target is None else f" and target {_words(target)}")
        raise ValueError(
            f"loss_fn was called with {given} and raised {type(error).__name__}: {_sentence(error)}. Pass a target "
            "and a loss_fn that fit the model's output."
        ) from error


def _parts(batch):
    """The floating tensors of a batch, each with its name."""
    for name, part in zip(("inputs", "target"), split(batch), strict=True):
        found = []
        mapped(found.append, part)
        yield from ((name, tensor) for tensor in found if tensor.is_floating_point())


def _words(item):
    if isinstance(item, torch.Tensor):
        return f"{tuple(item.shape)} {str(item.dtype).removeprefix('torch.')}"
    if isinstance(item, Mapping):
        return "{" + ", ".join(f"{key}: {_words(value)}" for key, value in item.items()) + "}"
    if isinstance(item, (tuple, list)):
        return f"[{', '.join(map(_words, item))}]"
    return f"a {type(item).__name__}"


def _sentence(error):
    """The first line of an error, without its full stop."""
    text = str(error).strip() or "no message"
    return text.splitlines()[0].rstrip(".")
