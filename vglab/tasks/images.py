"""Scikit-learn's handwritten digits."""

from typing import NamedTuple

import torch


class Split(NamedTuple):
    """Training and test tensors: x (n, features) float32, y (n,) int64."""

    x: torch.Tensor
    y: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor


def digits(n_train=1400, *, seed=0, device="cpu"):
    """Return scikit-learn's handwritten digits as a `Split`: 1797 images of 8 x 8 pixels, 10 classes.

    Each pixel is standardized with the mean and standard deviation of the training images (pixels that never
    change become 0), so that x: (n, 64) has mean 0 and a mean square just under 1. `seed` chooses the split.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository (its test part), CC BY 4.0; the copy is the one inside scikit-learn (BSD-3-Clause).
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    if not 1 <= n_train < len(images):
        raise ValueError(f"n_train must leave images for both parts, 1 to {len(images) - 1}; got {n_train!r}.")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    x, y = torch.tensor(images, dtype=torch.float64)[order], torch.tensor(labels)[order]
    std, mean = torch.std_mean(x[:n_train], dim=0, correction=0)
    x = ((x - mean) / torch.where(std > 0, std, 1.0)).float()
    return Split(*(part.to(device) for part in (x[:n_train], y[:n_train], x[n_train:], y[n_train:])))
