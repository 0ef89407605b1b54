"""The claims of the page on your own model."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import tasks

from .register import decades, experiment, within


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(a, 16, 3, padding=1) for a in [1] + 17 * [16])
        self.head = nn.Linear(256, 10)

    def forward(self, images):
        h = F.max_pool2d(F.relu(self.convs[0](images)), 2)
        for conv in self.convs[1:]:
            h = F.relu(conv(h))
        return self.head(h.flatten(1))


def patient(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DigitNet()


def cured(seed):
    model = patient(seed)
    for i in range(18):
        model.convs[i] = nn.Sequential(model.convs[i], nn.BatchNorm2d(16))
    return model


def images():
    data = tasks.digits()
    return data.x.view(-1, 1, 8, 8), data.y


def momentum(model, lr=0.01):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def last_loss(model, optimizer, seed, *, steps=150, labels=None):
    """Median loss of the last 20 of `steps` steps on random batches of 64 images."""
    (x, y), batches, losses = images(), torch.Generator().manual_seed(seed), []
    y = y if labels is None else labels
    for _ in range(steps):
        batch = torch.randint(len(x), (64,), generator=batches)
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.median(losses[-20:])


@experiment(
    l90_stuck_loss=within(0.01),
    l90_linear_accuracy=within(0.02),
    l90_he_loss=within(0.15),
)
def training_eighteen_convolutions(seed):
    model = patient(seed)
    stuck = [last_loss(model, torch.optim.Adam(model.parameters()), seed)]
    for lr in (0.001, 0.01, 0.1):
        model = patient(seed)
        stuck.append(last_loss(model, momentum(model, lr), seed))
    assert max(stuck) - min(stuck) < 0.03, "the text says: whatever the rate, and with Adam"
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    last_loss(linear, momentum(linear), seed)
    he = vg.init_(patient(seed), "he", seed=seed)
    x, y = images()
    return {
        "l90-stuck-loss": min(stuck),
        "l90-linear-accuracy": (linear(x).argmax(1) == y).double().mean().item(),
        "l90-he-loss": last_loss(he, momentum(he), seed),
    }


@experiment(l90_factor=within(0.03), l90_conv_decades=within(0.04), l90_trial_batchnorm=within(0.002))
def diagnosing_eighteen_convolutions(seed):
    model, (x, y) = patient(seed), images()
    optimizer, batch = momentum(model), (x[:64], y[:64])
    with vg.probe(model, optimizer) as seen:
        last_loss(model, optimizer, seed, steps=1)
    relu = seen.table[seen.table.kind == "relu"]
    lost = np.log10(relu.grad_rms.iloc[-1] / relu.grad_rms.iloc[0])
    assert lost > 7, "the caption says: more than seven decades"
    moved = seen.params.set_index("name").update_ratio
    assert moved["convs.0.weight"] < 1e-9 < 1e-4 < moved["head.weight"] < 9e-4, "the text says: a few ten-thousandths"
    found = vg.diagnose(model, batch, F.cross_entropy, optimizer, seconds=120)
    assert (found.state, found.cause) == ("vanishing", "weights too small")
    tried = found.remedies.set_index("remedy")
    assert found.remedies.remedy[0] == "BatchNorm before each activation", "the text says: normalization wins"
    assert abs(tried.gradient_after["He initialization"]) < 1.5, "the text says: He's start keeps most of it"
    return {
        "l90-factor": relu.gain.median(),
        "l90-conv-decades": decades(relu.grad_rms),
        "l90-trial-batchnorm": tried.loss_after["BatchNorm before each activation"],
    }


@experiment(
    l90_batchnorm_loss=within(0.06),
    l90_cured_decades=within(0.15),
    l90_sound_update=within(0.002),
    l90_slow_update=within(1e-5),
    l90_shuffled_loss=within(0.04),
)
def healthy_and_not_learning(seed):
    x, y = images()
    shuffled = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))]
    found, update, losses = [], [], []
    for labels, lr, steps in ((y, 1e-2, 150), (shuffled, 1e-2, 150), (y, 1e-5, 51)):
        model = cured(seed)
        optimizer = momentum(model, lr)
        found.append(vg.diagnose(model, (x[:64], labels[:64]), F.cross_entropy, optimizer))
        with vg.probe(model, optimizer, every=25) as seen:
            losses.append(last_loss(model, optimizer, seed, steps=steps, labels=labels))
        update.append(seen.params.update_ratio[seen.params.name.str.endswith("0.weight")].median())
    assert [one.state for one in found] == 3 * ["healthy"], "the text says: all three"
    assert losses[0] < 0.3 < 2 < losses[2], "one of them learns"
    return {
        "l90-batchnorm-loss": losses[0],
        "l90-cured-decades": found[0].evidence.value[0],
        "l90-sound-update": update[0],
        "l90-slow-update": update[2],
        "l90-shuffled-loss": losses[1],
    }


class Latch(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(2, 16, batch_first=True), nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def latch(size, generator):
    y, x = torch.randint(2, (size,), generator=generator), torch.zeros(size, 60, 2)
    x[:, :, 0] = 0.3 * torch.randn(size, 60, generator=generator)
    x[:, 0, 1] = 2.0 * y - 1
    return x, y


def remembered(seed, bias=None):
    """Median loss of the last 20 of 150 steps of Adam, on new sequences each."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Latch()
    if bias is not None:
        with torch.no_grad():
            model.rnn.bias_ih_l0[16:32], model.rnn.bias_hh_l0[16:32] = bias, 0.0
    optimizer, new, losses = torch.optim.Adam(model.parameters(), lr=0.01), torch.Generator().manual_seed(seed), []
    for _ in range(150):
        x, y = latch(64, new)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.median(losses[-20:])


@experiment(
    l90_latch_stuck=within(0.01),
    l90_latch_bias_one=within(0.01),
    l90_latch_factor=within(0.06),
    l90_latch_by_heart=within(0.2),
)
def an_lstm_that_is_to_remember(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Latch()
    (x, y), adam = latch(32, torch.Generator().manual_seed(seed)), torch.optim.Adam(model.parameters(), lr=0.01)
    found = vg.diagnose(model, (x, y), F.cross_entropy, adam, remedies=False)
    assert (found.state, found.cause) == ("vanishing", "recurrence")
    lost = found.evidence.set_index("reading").value["decades of gradient"]
    for _ in range(60):
        loss = F.cross_entropy(model(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert min(remembered(seed, 3.0), remembered(seed, 5.0)) < 0.05, "an open gate learns"
    return {
        "l90-latch-stuck": remembered(seed),
        "l90-latch-bias-one": remembered(seed, 1.0),
        "l90-latch-factor": 10 ** (lost / (len(found.profile) - 1)),
        "l90-latch-by-heart": loss.item(),
    }
