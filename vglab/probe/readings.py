"""Numbers read from tensors: cheap, right to seven digits, and never lost to underflow.

On the CPU a reading is a Python number at once; elsewhere it stays a tensor of one number until somebody asks, so
that looking does not make the device wait.
"""

import ctypes
import dataclasses
from collections.abc import Mapping

import numpy as np
import torch

CHUNK = 1 << 13  # a float32 dot product over more may lose the seventh digit, and BLAS would share it among threads
# Below this mean square some squares were too small for float32, which shows in the seventh digit.
SAFE_SQUARE, SAFE_TOTAL = 1.2e-31, 1e38


def readable(t):
    """Whether `t` is a plain tensor of real or complex numbers that are there to be read."""
    return (
        (type(t) is torch.Tensor or type(t) is torch.nn.Parameter)
        and (t.is_floating_point() or t.is_complex())
        and (t.layout == torch.strided and not t.is_nested and t.numel() > 0 and t.device.type != "meta")
        and not torch._C._are_functorch_transforms_active()
    )


def tensors_in(output, where=""):
    """The readable tensors in what a module returned, each with its place in tuples, dicts and dataclasses."""
    if readable(output):
        yield where, output
    elif isinstance(output, Mapping):
        for key, item in output.items():
            yield from tensors_in(item, f"{where}[{key}]")
    elif isinstance(output, (tuple, list)):
        for key, item in enumerate(output):
            yield from tensors_in(item, f"{where}[{key}]")
    elif dataclasses.is_dataclass(output):
        for field in dataclasses.fields(output):
            yield from tensors_in(getattr(output, field.name, None), f"{where}[{field.name}]")


def moments(t):
    """Mean and root mean square of all entries; the mean is right to seven digits of the rms.

    Of complex numbers the mean of all real and imaginary parts, and the rms of |z|.
    """
    n, flat = t.numel(), _entries(t)
    if flat is not None:
        total, square = _sums(flat, n)
        if SAFE_SQUARE * n < square < SAFE_TOTAL:  # else squares may have been lost
            return total / n, (square / n) ** 0.5
    double, factor = _double(t)
    return number(double.mean() * factor), number(torch.linalg.vector_norm(double) * (factor / n**0.5))


def rms(t):
    """Root mean square over all entries, those that a sparse tensor leaves out included; of complex numbers |z|."""
    n, flat = t.numel(), _entries(t)
    if flat is not None:
        square = _square(flat, n)
        if SAFE_SQUARE * n < square < SAFE_TOTAL:
            return (square / n) ** 0.5
    if t.layout is not torch.strided:
        t = t.coalesce().values() if t.layout is torch.sparse_coo else t.to_dense()
    if not t.numel():
        return 0.0 if n else float("nan")
    double, factor = _double(t)
    return number(torch.linalg.vector_norm(double) * (factor / n**0.5))


def floats(t):
    """The entries of a float32 tensor that lies in one piece on the CPU, as a numpy vector; None for any other.

    Numpy's dot product takes less time than torch's. Not by ``numpy()``: after it the storage can not be resized
    any more, by which some programs free what they compute again.
    """
    if not (t.dtype is torch.float32 and t.layout is torch.strided and t.is_cpu and t.is_contiguous()) or t.is_neg():
        return None
    n = t.numel()
    if n not in _ARRAYS:
        if len(_ARRAYS) > 1024:
            _ARRAYS.clear()
        _ARRAYS[n] = ctypes.c_float * n
    return np.frombuffer(_ARRAYS[n].from_address(t.data_ptr()), np.float32) if n else None


_ONES = np.ones(CHUNK, np.float32)
_ARRAYS = {}  # length -> class of such an array: making one costs more than a reading


def _entries(t):
    """`floats` in any order, so also those of a dense tensor that was permuted."""
    flat = floats(t)
    if flat is None and t.dtype is torch.float32 and t.layout is torch.strided and t.is_cpu and t.ndim > 1:
        strides = t.stride()
        flat = floats(t.permute(sorted(range(t.ndim), key=lambda d: -strides[d])))
    return flat


@np.errstate(over="ignore")  # infinite, they are taken again in float64
def _sums(flat, n):
    """Sum and sum of squares."""
    if n <= CHUNK:
        return float(flat.dot(_ONES[:n])), float(flat.dot(flat))
    rows, rest = flat[: n - n % CHUNK].reshape(-1, CHUNK), flat[n - n % CHUNK :]
    total, square = float(np.vecdot(rows, _ONES).sum(dtype=float)), float(np.vecdot(rows, rows).sum(dtype=float))
    return total + float(rest.dot(_ONES[: len(rest)])), square + float(rest.dot(rest))


@np.errstate(over="ignore")
def _square(flat, n):
    if n <= CHUNK:
        return float(flat.dot(flat))
    rows, rest = flat[: n - n % CHUNK].reshape(-1, CHUNK), flat[n - n % CHUNK :]
    return float(np.vecdot(rows, rows).sum(dtype=float)) + float(rest.dot(rest))


def _double(t):
    """The numbers of `t` in float64, and a factor taken out where they were float64: squares below 1e-323 are 0."""
    t = t.detach()
    t = torch.view_as_real(t.resolve_conj()) if t.is_complex() else t
    if t.dtype is not torch.float64:
        return (t.cpu() if t.device.type == "mps" else t).double(), 1.0  # mps has no float64
    peak = t.abs().amax()
    peak = torch.where((peak > 0) & peak.isfinite(), peak, 1.0)
    return t / peak, peak


def cosine(h):
    """Mean cosine between two different examples of h: (batch, ...), those left out that are all zero.

    Over all pairs of n unit vectors it is (|their sum|**2 - n) / (n (n - 1)).
    """
    double, _ = _double(h)
    rows = double.flatten(1) if h.ndim > 1 else double.reshape(1, -1)
    norms = torch.linalg.vector_norm(rows, dim=1)
    total, alive = norms.clamp_min(1e-300).reciprocal() @ rows, norms.count_nonzero()
    pairs = alive * (alive - 1)
    return number(torch.where(pairs > 0, (total @ total - alive) / pairs, float("nan")))


def number(t):
    """A tensor of one number as a Python number where that costs no waiting."""
    return t.item() if t.device.type == "cpu" else t


def inference(t):
    """Whether autograd can do nothing with `t`, because it was or would be made in inference mode."""
    return t.is_inference() or torch.is_inference_mode_enabled()
