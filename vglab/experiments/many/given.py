"""What `train_many` is given, looked at before any training: one sentence for each thing that does not fit."""

from collections.abc import Sequence
from numbers import Integral, Real

import torch

from .losses import BY_NAME, NAMES
from .parts import read
from .stack import HALF, recurrent
from .updates import ELEMENTWISE


@torch.no_grad()
def _check_forward(model, plan, x):
    """The shape of x, and for a recurrent network that its forward is what its modules suggest."""
    if x.dim() != (3 if recurrent(plan) else 2):
        wanted = "(examples, time, features)" if recurrent(plan) else "(examples, features)"
        raise ValueError(f"x must be {wanted} for this network; got {tuple(x.shape)}.")
    if recurrent(plan):
        rnn = next(m for m in model.modules() if isinstance(m, torch.nn.RNNBase))
        head = next(m for m in model.modules() if type(m) is torch.nn.Linear)
        few = x[:2].to(head.weight) if rnn.batch_first else x[:2].to(head.weight).transpose(0, 1)
        wanted = head(rnn(few)[0][:, -1] if rnn.batch_first else rnn(few)[0][-1])
        given = model(few)
        if (
            not torch.is_tensor(given)
            or given.shape != wanted.shape
            or not torch.allclose(given, wanted, equal_nan=True)
        ):
            raise ValueError("a recurrent model must give head(output of the last time step); this one gives another.")


def batch_of(size, n):
    if size is not None and not (isinstance(size, Integral) and 1 <= size <= n):
        raise ValueError(f"batch_size must be None or 1 to {n}, the number of examples; got {size!r}.")
    return size


def check_data(data, loss):
    for key, value in data.items():
        if not isinstance(value, torch.Tensor | None):
            raise TypeError(f"{key} must be a tensor; got {type(value).__name__}: use torch.as_tensor.")
    if (data["x_test"] is None) != (data["y_test"] is None):
        raise ValueError("x_test and y_test belong together; only one of them came.")
    for x, y in (("x", "y"), ("x_test", "y_test")):
        if data[x] is not None and len(data[x]) != len(data[y]):
            raise ValueError(f"{x} and {y} need a row per example each; got {len(data[x])} and {len(data[y])}.")
        if data[y] is not None and data[y].dim() != (1 if loss == "cross_entropy" else 2):
            wanted = "class numbers, (examples,)" if loss == "cross_entropy" else "numbers, (examples, d_out)"
            raise ValueError(f"{y} for {loss} must be {wanted}; got the shape {tuple(data[y].shape)}.")
        if data[y] is not None and data[y].is_floating_point() != (loss == "mse"):
            wanted = "int64 class numbers" if loss == "cross_entropy" else "floating"
            raise ValueError(f"{y} for {loss} must be {wanted}; got {data[y].dtype}.")


def check_settings(optimizer, settings):
    try:
        optimizer([torch.zeros(1, requires_grad=True)], lr=0.1, **settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{optimizer.__name__} does not take the settings {settings}: {error}") from None


def check_sizes(i, plan, x, y, loss):
    """That the first matrix fits x and the last one y."""
    first = next(shape for part in (*plan.body, *plan.head) for shape in part.every("shapes") if len(shape) == 2)
    outputs = plan.head[0].shapes[0][0]
    if first[1] != x.shape[-1]:
        raise ValueError(f"models[{i}] takes {first[1]} features; x has {x.shape[-1]}.")
    if loss == "mse" and y.shape[1] != outputs:
        raise ValueError(f"models[{i}] gives {outputs} numbers; y has {y.shape[1]}.")
    if loss == "cross_entropy" and not 0 <= int(y.min()) <= int(y.max()) < outputs:
        raise ValueError(f"models[{i}] tells {outputs} classes apart; y holds {int(y.min())} to {int(y.max())}.")


def checked(models, loss, optimizer, precision, **whole):
    if not models:
        raise ValueError("train_many needs at least one model; got an empty list.")
    name = loss if isinstance(loss, str) else NAMES.get(loss)
    if name not in BY_NAME:
        raise ValueError(f"loss must be 'cross_entropy', 'mse' or torch's function of them; got {loss!r}.")
    if (
        getattr(optimizer, "__name__", None) not in ELEMENTWISE
        or getattr(torch.optim, optimizer.__name__) is not optimizer
    ):
        raise ValueError(f"optimizer must be one of torch.optim's {', '.join(ELEMENTWISE)}; got {optimizer!r}.")
    if precision not in HALF:
        raise ValueError(f"precision must be one of {', '.join(HALF)}; got {precision!r}.")
    for key, value in whole.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{key} must be a whole number of at least 1; got {value!r}.")
    return name


def per_model(name, value, n):
    """One number per model, float64 (n,), or None."""
    if value is None and name == "clip":
        return None
    if isinstance(value, Real):
        value = [value] * n
    if not isinstance(value, Sequence | torch.Tensor) or len(value) != n:
        raise ValueError(f"{name} must be a number or one per model, {n} here; got {value!r}.")
    values = torch.as_tensor(value, dtype=torch.float64)
    if not (values > 0).all():
        raise ValueError(f"{name} must be above 0; got {value!r}.")
    return values


def read_model(i, model, x):
    try:
        plan = read(model)
        _check_forward(model, plan, x)
    except ValueError as error:
        raise ValueError(f"models[{i}]: {error}") from None
    return plan
