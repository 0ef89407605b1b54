"""Tasks that ask for memory: two classics drawn from a seed, and digits read row by row."""

from numbers import Integral, Real

import torch

from .images import Split, digits


def latch(steps=40, *, n_train=1000, n_test=500, noise=0.3, seed=0, device="cpu"):
    """Return sequences as a `Split`: was the first input up or down?

    x: (n, steps, 2) holds -1 or 1 in channel 1 at the first step, 0 there afterwards, and noise of standard deviation
    `noise` in channel 0 at every step; y: (n,) is 1 for up. After the latching problem of Y. Bengio, P. Simard and
    P. Frasconi (1994), Learning long-term dependencies with gradient descent is difficult, IEEE Transactions on Neural
    Networks 5, 157-166, where the class is told by the first few values of one noisy channel.
    """
    _check(noise=noise, steps=steps, n_train=n_train, n_test=n_test)
    generator, parts = torch.Generator().manual_seed(seed), []
    for n in (n_train, n_test):
        y = torch.randint(2, (n,), generator=generator)
        x = torch.zeros(n, steps, 2)
        x[:, :, 0] = noise * torch.randn(n, steps, generator=generator)
        x[:, 0, 1] = 2.0 * y - 1
        parts += [x.to(device), y.to(device)]
    return Split(*parts)


def adding(steps=40, *, n_train=1000, n_test=500, seed=0, device="cpu"):
    """Return sequences as a `Split`: add the two marked numbers.

    x: (n, steps, 2) holds numbers from U(0, 1) in channel 0, and in channel 1 a 1 at one step of the first half and at
    one of the second, else 0; y: (n, 1) float is their sum. Who always answers 1 has a mean squared error of 1/6.
    After S. Hochreiter and J. Schmidhuber (1997), Long short-term memory, Neural Computation 9, section 5.4, in the
    form of Q. Le, N. Jaitly and G. Hinton (2015), arXiv:1504.00941, section 4.1. `steps` is 2 or more.
    """
    _check(steps=steps, n_train=n_train, n_test=n_test)
    if steps < 2:
        raise ValueError(f"steps must leave room for two numbers; got {steps}.")
    generator, parts, half = torch.Generator().manual_seed(seed), [], steps // 2
    for n in (n_train, n_test):
        x = torch.stack([torch.rand(n, steps, generator=generator), torch.zeros(n, steps)], dim=2)
        for low, high in ((0, half), (half, steps)):
            x[torch.arange(n), torch.randint(low, high, (n,), generator=generator), 1] = 1
        parts += [x.to(device), x.prod(2).sum(1, keepdim=True).to(device)]
    return Split(*parts)


def digits_by_row(pad=0, *, noise=0.0, n_train=1400, seed=0, device="cpu"):
    """Return `digits` as sequences of eight rows of eight pixels, and `pad` rows of noise (0: nothing) after them.

    x: (n, 8 + pad, 8), y: (n,). `noise` is the standard deviation in the rows after the digit, drawn from `seed`,
    which also chooses the split.
    """
    if not isinstance(pad, Integral) or isinstance(pad, bool) or pad < 0:
        raise ValueError(f"pad is a number of rows and must be a whole number, 0 or more; got {pad!r}.")
    _check(noise=noise)
    data, generator = digits(n_train, seed=seed), torch.Generator().manual_seed(seed)
    after = lambda x: noise * torch.randn(len(x), pad, 8, generator=generator)
    x, x_test = (torch.cat([images.reshape(-1, 8, 8), after(images)], dim=1) for images in (data.x, data.x_test))
    return Split(*(part.to(device) for part in (x, data.y, x_test, data.y_test)))


def _check(noise=0.0, **wholes):
    for name, value in wholes.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}.")
    if not isinstance(noise, Real) or not noise >= 0:
        raise ValueError(f"noise is a standard deviation and must be 0 or more; got {noise!r}.")
