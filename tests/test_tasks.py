"""The digits are scikit-learn's, split, standardized and reproducible."""

import numpy as np
import pytest
import torch

from vglab import tasks


def test_split():
    data = tasks.digits()
    assert [tuple(part.shape) for part in data] == [(1400, 64), (1400,), (397, 64), (397,)]
    assert [part.dtype for part in data] == [torch.float32, torch.int64] * 2
    assert data.x is data[0]
    assert data.y_test is data[3]
    assert set(data.y.tolist()) == set(data.y_test.tolist()) == set(range(10))
    small = tasks.digits(100)
    assert (len(small.x), len(small.x_test)) == (100, 1697)


def test_training_pixels_are_standardized():
    x = tasks.digits(seed=4).x.double()
    std = x.std(0, correction=0)
    constant = std == 0
    assert (x[:, constant] == 0).all()
    assert 0 < constant.sum() < 10
    assert x.mean(0).abs().max() < 1e-6
    assert (std[~constant] - 1).abs().max() < 1e-6
    assert 0.9 < x.square().mean() < 1


def test_nothing_of_the_test_images_is_used():
    """Undo the standardization of one image with the mean and spread of the training images alone."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0)).numpy()
    train = images[order[:1400]]
    spread = np.where(train.std(0) > 0, train.std(0), 1)
    data = tasks.digits()
    np.testing.assert_allclose(data.x_test.numpy() * spread + train.mean(0), images[order[1400:]], atol=1e-4)
    assert data.y.tolist() == labels[order[:1400]].tolist()


def test_seeds():
    state = torch.get_rng_state()
    first, again, other = tasks.digits(seed=1), tasks.digits(seed=1), tasks.digits(seed=2)
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.y, other.y)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("n", [0, -3, 1797, 5000, 0.8])
def test_messages(n):
    with pytest.raises(ValueError, match=f"n_train must leave images for both parts, 1 to 1796; got {n}"):
        tasks.digits(n)
