"""What logs each training step, vglab's peers each in its usual way: functions of a model and its optimizer.

Each is a context manager: entering it sets up, which is not timed; it gives the function that is called with the loss
at the end of every step. What a peer needs is imported on entering, so that one that is missing can be named.
"""

import logging
import os
import tempfile
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

import torch


@contextmanager
def plain(model, optimizer):
    yield lambda loss: None


@contextmanager
def floor(model, optimizer):
    """The least a reading costs: one dot product per activation and per gradient, nothing kept."""

    def read(tensor):
        flat = tensor.detach().reshape(-1)
        torch.dot(flat, flat).item()

    def hook(module, args, output):
        read(h := _first(output))
        h.register_hook(read)

    with _removing([module.register_forward_hook(hook) for module in _leaves(model).values()]):
        yield lambda loss: None


@contextmanager
def naive(model, optimizer):
    """What one writes first: two hooks on every module, mean, standard deviation and norm."""
    rows, handles = [], []
    forward = lambda module, args, out: rows.append((_first(out).mean().item(), _first(out).std().item()))
    backward = lambda module, grad_in, grad_out: rows.append(grad_out[0].norm().item())
    for module in model.modules():
        handles += [module.register_forward_hook(forward), module.register_full_backward_hook(backward)]
    with _removing(handles):
        yield lambda loss: None


@contextmanager
def lightning(model, optimizer):
    """`grad_norm`, as Lightning's documentation calls it before each optimizer step: norms of the weight gradients."""
    from lightning.pytorch.utilities import grad_norm

    norms = []
    yield lambda loss: norms.append(grad_norm(model, norm_type=2))


@contextmanager
def fastai(model, optimizer):
    """`ActivationStats` with its own hooks and statistics, without fastai's training loop around it."""
    from fastai.callback.hook import ActivationStats, flatten_model, has_params

    stats = ActivationStats(modules=[module for module in flatten_model(model) if has_params(module)])
    stats.learn = SimpleNamespace(training=True, model=model)  # all that the callback asks of a Learner
    stats.before_fit()
    try:
        yield lambda loss: stats.after_batch()
    finally:
        stats.after_fit()


@contextmanager
def wandb(model, optimizer):
    """`watch(log="all")` at every step, offline; its service is a process of its own, whose time is not counted."""
    import wandb

    names = ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR")
    with _folder() as folder, patch.dict(os.environ, dict.fromkeys(names, folder) | {"WANDB_ERROR_REPORTING": "false"}):
        settings = wandb.Settings(console="off", silent=True, x_disable_stats=True, disable_git=True, save_code=False)
        run = wandb.init(mode="offline", dir=folder, settings=settings)
        try:
            run.watch(model, log="all", log_freq=1)
            yield lambda loss: run.log({"loss": loss.item()})
        finally:
            run.finish()


@contextmanager
def torchmortem(model, optimizer):
    """`Autopsy` as in its documentation, with the sampling it chooses itself."""
    from torchmortem import Autopsy

    logging.getLogger("torchmortem").setLevel(logging.ERROR)
    with Autopsy(model, optimizer=optimizer) as autopsy:
        yield lambda loss: autopsy.step(loss=loss.item())


@contextmanager
def tensorboard(model, optimizer):
    """`add_histogram` of every parameter, its gradient and every module's output."""
    from torch.utils.tensorboard import SummaryWriter

    step = 0

    def hook(name):
        return lambda module, args, output: writer.add_histogram(f"activation/{name}", _first(output), step)

    def log(loss):
        nonlocal step
        writer.add_scalar("loss", loss.item(), step)
        for name, parameter in model.named_parameters():
            writer.add_histogram(f"weight/{name}", parameter, step)
            writer.add_histogram(f"gradient/{name}", parameter.grad, step)
        step += 1

    handles = [module.register_forward_hook(hook(name)) for name, module in _leaves(model).items()]
    with _removing(handles), _folder() as folder, SummaryWriter(folder) as writer:
        yield log


NAMES = {
    "naive hooks, .std() and .norm()": naive,
    "Lightning grad_norm (weight gradients only)": lightning,
    "fastai ActivationStats (activations only)": fastai,
    'wandb.watch(log="all")': wandb,
    "torchmortem Autopsy": torchmortem,
    "TensorBoard add_histogram": tensorboard,
}
PACKAGES = ("lightning", "fastai", "wandb", "torchmortem", "tensorboard")


def _first(output):
    return output if isinstance(output, torch.Tensor) else output[0]


def _leaves(model):
    return {name: module for name, module in model.named_modules() if not any(module.children())}


@contextmanager
def _removing(handles):
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _folder():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield folder
