"""`vglab diagnose FILE.py:factory`: a report on the model that a function in a file of yours makes."""

import argparse
import contextlib
import copy
import math
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader

from . import feed
from .users_file import Refusal, UsersFile
from .verdict import writable

OPTIMIZERS = {
    "sgd": (torch.optim.SGD, 0.1, {}),
    "momentum": (torch.optim.SGD, 0.1, {"momentum": 0.9}),
    "adam": (torch.optim.Adam, 1e-3, {}),
    "adamw": (torch.optim.AdamW, 1e-3, {}),
}
LOSSES = {"cross_entropy": nn.functional.cross_entropy, "mse": nn.functional.mse_loss}
_HOW = "give it with --batch FILE.py:batch as (inputs, target), or return (model, batch)"
_ABOUT = """\
Measures the gradient of your model, says whether it vanishes, explodes or stops, why and
where, and tries remedies on copies. Your model is not changed and nothing is sent anywhere.
"""
_EXAMPLE = """\
example:
  # mynet.py
  def make():
      model = nn.Sequential(...)
      return model, (images, labels)

  vglab diagnose mynet.py:make --optimizer adam --html report.html

FACTORY may return the model alone, or (model, batch), (model, batch, loss) or
(model, batch, loss, optimizer). A batch is (inputs, target), a dict for model(**batch), or a
DataLoader, whose first batch is taken. Options come before what FACTORY returns.

exit code: 0 there is a verdict, whatever it is; 1 it failed; 2 it was called wrongly
"""


def add_to(commands):
    """Add ``diagnose`` to the subcommands of an argparse parser."""
    parser = commands.add_parser(
        "diagnose",
        help="find out why a model of yours does not train, and write a report",
        description=_ABOUT,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("factory", metavar="FILE.py:FACTORY", help="a function without arguments that makes the model")
    parser.add_argument("--batch", metavar="FILE.py:BATCH", help="one batch, or a function that makes it")
    parser.add_argument("--loss", metavar="LOSS", help="cross_entropy, mse or FILE.py:LOSS, a function(output, target)")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="what you train with; sgd when left out")
    rates = ", ".join(f"{rate:g} for {name}" for name, (_, rate, _) in OPTIMIZERS.items())
    parser.add_argument("--lr", type=_rate, help=f"its learning rate; when left out {rates}")
    parser.add_argument("--html", metavar="PATH", help="write a report to read")
    parser.add_argument("--json", metavar="PATH", help="write everything as JSON; - for the standard output")
    parser.add_argument("--no-remedies", action="store_true", help="say what is wrong and try nothing")
    return parser


def run(args):
    """Carry out ``vglab diagnose``; returns the exit code."""
    aside = contextlib.redirect_stdout(sys.stderr) if args.json == "-" else contextlib.nullcontext()
    try:
        html, json = (None if path in (None, "-") else _checked(path) for path in (args.html, args.json))
        if args.html == "-":
            raise Refusal("--html needs a path, such as --html report.html", code=2)
        with aside, UsersFile() as users:
            found = _diagnose(args, users)
            print(found)
            for path, write in ((html, found.to_html), (json, found.to_json)):
                if path is not None:
                    write(path)
                    print(f"wrote {path}", file=sys.stderr)
        if args.json == "-":
            print(found.to_json())
    except Refusal as refusal:
        return _say(str(refusal), refusal.code)
    except KeyboardInterrupt:
        return _say("stopped before there was a verdict; nothing was written", 1)
    except OSError as error:  # the report could not be written after all
        return _say(str(error), 1)
    return 0


def _diagnose(args, users):
    """The Diagnosis of what the command line names."""
    from . import diagnose

    model, batch, loss, optimizer = _made(users, args.factory)
    batch = _batch(users.get(args.batch, "batch") if args.batch else batch)
    loss = _loss(args.loss, users, loss, batch)
    _check_parameters(model)
    _check_fit(model, batch, loss, users)
    optimizer = _optimizer(model, optimizer, args.optimizer, args.lr)
    progress = _Progress(sys.stderr)
    try:
        remedies = not args.no_remedies
        return diagnose(model, batch, loss, optimizer=optimizer, remedies=remedies, progress=progress)
    except (ValueError, TypeError) as error:  # a sentence of the diagnosis, or something in the user's model
        raise Refusal(str(error).rstrip(".") + users.place(error.__cause__ or error)) from error
    except Exception as error:
        raise Refusal(f"the diagnosis stopped with {users.blame(error, anywhere=True)}") from error
    finally:
        progress.end()


# ---------------------------------------------------------------- what the user's file gives


def _made(users, named):
    """What the factory returns, as (model, batch, loss, optimizer) with None for what is left out."""
    made = users.get(named, "factory")
    parts = tuple(made) if isinstance(made, (tuple, list)) else (made,)
    if not 1 <= len(parts) <= 4:
        raise Refusal(f"{named} returned {len(parts)} things; it must return {_RETURNS}")
    model, batch, loss, optimizer = parts + (None,) * (4 - len(parts))
    if not isinstance(model, nn.Module):
        raise Refusal(f"{named} returned a {type(model).__name__} as the model; it must return {_RETURNS}")
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise Refusal(f"{named} returned a {type(optimizer).__name__} as the optimizer; it must be a torch.optim one")
    if loss is not None and not callable(loss):
        raise Refusal(f"{named} returned a {type(loss).__name__} as the loss; it must be a function(output, target)")
    return model, batch, loss, optimizer


_RETURNS = "a torch nn.Module, or (model, batch), (model, batch, loss) or (model, batch, loss, optimizer)"


def _batch(batch):
    if isinstance(batch, DataLoader):
        batch = next(iter(batch), None)
    if batch is None:
        raise Refusal(f"there is no batch to measure with; {_HOW}", code=2)
    try:
        feed.split(batch)
    except TypeError as error:
        raise Refusal(str(error)) from error
    return batch


def _loss(asked, users, returned, batch):
    """The loss function: the one asked for, the one returned, or the one that fits the target."""
    if asked in LOSSES:
        return LOSSES[asked]
    if asked is not None:
        if ":" not in asked:
            raise Refusal(f"--loss must be {', '.join(LOSSES)} or FILE.py:LOSS; got {asked}", code=2)
        return users.get(asked, "loss", call=False)
    target = feed.split(batch)[1]
    if returned is not None or target is None:
        return returned
    if not isinstance(target, torch.Tensor):
        raise Refusal(
            f"the target is a {type(target).__name__}; say with --loss FILE.py:LOSS what to do with it", code=2
        )
    name = "mse" if target.is_floating_point() else "cross_entropy"
    kind = "real" if name == "mse" else "whole"
    print(f"The target holds {kind} numbers, so the loss is {name}; choose with --loss.", file=sys.stderr)
    return LOSSES[name]


def _optimizer(model, returned, name, rate):
    """The optimizer asked for, else the one returned with the learning rate asked for; None where nothing is said."""
    if name is None and returned is not None:
        for group in returned.param_groups if rate is not None else ():
            group["lr"] = rate
        return returned
    if name is None and rate is None:
        return None
    kind, usual, settings = OPTIMIZERS[name or "sgd"]
    return kind([p for p in model.parameters() if p.requires_grad], lr=usual if rate is None else rate, **settings)


def _check_parameters(model):
    parameters, name = list(model.parameters()), type(model).__name__
    if not parameters:
        raise Refusal(f"this {name} has no parameters, so there is nothing to learn; return the whole model")
    if not any(one.requires_grad for one in parameters):
        raise Refusal(f"every parameter of this {name} is frozen; set requires_grad on those that are to learn")


def _check_fit(model, batch, loss, users):
    """Run the model once, on a copy where it can be copied, so that what does not fit is named before the work."""
    if not any(map(is_lazy, model.parameters())):
        with contextlib.suppress(Exception):  # a model that cannot be copied is run itself
            model = copy.deepcopy(model)
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            feed.loss_of(model, batch, loss)
    except (ValueError, TypeError) as error:
        raise Refusal(str(error).rstrip(".") + users.place(error.__cause__ or error)) from error


# ---------------------------------------------------------------- the terminal


class _Progress:
    """A line that says which remedy is being tried: rewritten on a terminal, else one line after another."""

    def __init__(self, stream):
        self.stream, self.live, self.width = stream, stream.isatty(), 0

    def __call__(self, done, total, name):
        line = f"remedies: {done} of {total}" + (f", trying {name}" if done < total and name else "")
        if self.live:
            self.stream.write("\r" + line[:78].ljust(self.width))
            self.width = len(line[:78])
        else:
            self.stream.write(line + "\n")
        self.stream.flush()

    def end(self):
        if self.live and self.width:
            self.stream.write("\r" + " " * self.width + "\r")
            self.stream.flush()


def _rate(text):
    """A learning rate as the command line gives it."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"a learning rate is a positive number; got {text}")


def _checked(path):
    try:
        writable(path)
    except (OSError, ValueError) as error:
        raise Refusal(str(error), code=2) from error
    return Path(path)


def _say(message, code):
    message = message.rstrip(".")
    print(f"vglab: {message}" + "." * (message[-1] not in "?!"), file=sys.stderr)
    return code
