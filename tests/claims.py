"""The claims register: every measured number in the lessons' text, with the experiment that recomputes it.

A number in the text carries its claim's name, `0.63{#l1-xavier-sigmoid-decades}`. Each experiment below is run with
`SEEDS`, none of which a lesson shows, and the median of each of its readings must lie within the tolerance of the
number as it is written. The tolerance is stated beside the name: `within` is absolute, `at_least` is one-sided. Each is
a little wider than the range of such medians over four other sets of three seeds, or than the rounding of the number.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vglab as vg
from vglab import tasks, theory

SEEDS = (11, 12, 13)
EXPERIMENTS = {}  # name -> (function of a seed returning {claim: reading}, {claim: test of (written, median)})


def within(tolerance):
    return lambda written, median: abs(written - median) <= tolerance


def at_least(written, median):
    return median >= written


def experiment(**tests):
    def register(function):
        EXPERIMENTS[function.__name__] = (function, {name.replace("_", "-"): test for name, test in tests.items()})
        return function

    return register


def digits(n=256):
    data = tasks.digits()
    return data.x[:n], data.y[:n]


def signal(depth, seed, **net):
    """The backward signal at each hidden layer of a network, (depth,)."""
    return backward(vg.mlp(depth, seed=seed, **net))


def backward(model):
    profile = vg.gradient_profile(model, *digits())
    return profile.grad_rms[profile.slope.notna()].to_numpy()


def decades(line):
    """Decades lost per layer, by least squares."""
    return np.polyfit(np.arange(len(line)), np.log10(line), 1)[0]


def train(model, steps, *, lr, seed, momentum=0.0):
    """Losses of SGD on random batches of 128 digits, as in lesson 3."""
    data = tasks.digits()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    batches, losses = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        batch = torch.randint(len(data.x), (128,), generator=batches)
        loss = F.cross_entropy(model(data.x[batch]), data.y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# ---------------------------------------------------------------- lesson 1


@experiment(
    l1_default_sigmoid_weight_decades=within(0.5),
    l1_default_sigmoid_factor=within(0.006),
    l1_default_sigmoid_decades=within(0.02),
    l1_default_weight_factor=within(0.01),
)
def torch_sigmoids_of_twenty_layers(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(*[m for _ in range(20) for m in (nn.Linear(64, 64), nn.Sigmoid())], nn.Linear(64, 10))
    x, y = digits()
    with vg.probe(model) as seen:
        F.cross_entropy(model(x), y).backward()
    norms = [layer.weight.grad.double().norm().item() for layer in model if isinstance(layer, nn.Linear)]
    sigmoids = seen.table[seen.table.kind == "Sigmoid"]
    return {
        "l1-default-sigmoid-weight-decades": np.log10(norms[19] / norms[0]),
        "l1-default-sigmoid-factor": sigmoids.gain.median(),
        "l1-default-sigmoid-decades": decades(sigmoids.grad_rms),
        "l1-default-weight-factor": model[2].weight.std().item() * 8,
    }


@experiment(
    l1_xavier_sigmoid_decades=within(0.02),
    l1_default_relu_decades=within(0.03),
    l1_default_tanh_decades=within(0.015),
    l1_wild_tanh_decades=within(0.02),
    l1_wild_slope=within(0.015),
)
def five_networks_of_twenty_layers(seed):
    loss = lambda line: np.median(np.diff(np.log10(line)))  # as the lesson's table: the median over layers
    wild = vg.gradient_profile(vg.mlp(20, act="tanh", sigma_w=8.0, seed=seed), *digits()).dropna(subset="slope")
    growth = wild.grad_rms.to_numpy()
    assert 0.75 < wild.saturated.mean() < 0.85, "the text says: four units in five are saturated"
    assert 3e5 < growth[0] / growth[-1] < 3e6, "the text says: a millionfold"
    return {
        "l1-xavier-sigmoid-decades": loss(signal(20, seed, act="sigmoid", sigma_w=1.0)),
        "l1-default-relu-decades": loss(signal(20, seed, act="relu")),
        "l1-default-tanh-decades": loss(signal(20, seed, act="tanh")),
        "l1-wild-tanh-decades": -loss(growth),
        "l1-wild-slope": wild.slope.median(),
    }


@experiment(l1_product_median=within(0.0005))
def product_of_twenty_matrices(seed):
    generator = torch.Generator().manual_seed(seed)
    matrices = torch.randn(20, 64, 64, generator=generator, dtype=torch.float64) / 8
    return {"l1-product-median": torch.linalg.svdvals(torch.linalg.multi_dot([*matrices])).median().item()}


@experiment(
    l1_trained_fall_first=within(15),
    l1_trained_fall_last=within(20),
    l1_trained_ratio=within(0.3),
    l1_untrained_ratio=within(0.15),
)
def healthy_network_after_training(seed):
    model, (x, y) = vg.mlp(5, act="relu", sigma_w=2**0.5, seed=seed), digits()
    reading = lambda: vg.gradient_profile(model, x, y).query("kind == 'ReLU'").grad_rms.to_numpy()
    before, optimizer = reading(), torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    after = reading()
    fall = before / after
    return {
        "l1-trained-fall-first": fall[0],
        "l1-trained-fall-last": fall[-1],
        "l1-trained-ratio": after[0] / after[-1],
        "l1-untrained-ratio": before[0] / before[-1],
    }


# ---------------------------------------------------------------- lesson 2


@experiment(l2_tanh_rms_slope=within(0.006), l2_sigmoid_rms_slope=within(0.006))
def slopes_by_drawing_a_million_numbers(seed):
    z = torch.randn(10**6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    sigmoid = torch.sigmoid(z)
    return {
        "l2-tanh-rms-slope": (1 - z.tanh() ** 2).square().mean().sqrt().item(),
        "l2-sigmoid-rms-slope": (sigmoid * (1 - sigmoid)).square().mean().sqrt().item(),
    }


@experiment(
    l2_sigmoid_default_factor=within(0.006), l2_tanh_default_factor=within(0.015), l2_relu_default_decades=within(0.02)
)
def factors_at_the_default_scale(seed):
    middle = lambda act: signal(10, seed, act=act, width=128, sigma_w=theory.TORCH_DEFAULT)
    return {
        "l2-sigmoid-default-factor": 10 ** -decades(middle("sigmoid")[4:]),
        "l2-tanh-default-factor": 10 ** -decades(middle("tanh")[4:]),
        "l2-relu-default-decades": decades(middle("relu")),
    }


@experiment(l2_saturated_factor=within(0.1), l2_saturated_slope=within(0.006))
def saturated_sigmoids(seed):
    profile = vg.gradient_profile(vg.mlp(12, width=128, act="sigmoid", sigma_w=16.0, seed=seed), *digits())
    deep = profile[profile.kind == "Sigmoid"].iloc[4:11]
    assert 0.68 < deep.saturated.mean() < 0.8, "the text says: three quarters of the values are saturated"
    return {"l2-saturated-factor": deep.gain.median(), "l2-saturated-slope": deep.slope.median()}


@experiment(l2_difference_factor=within(0.01))
def difference_between_digits_in_a_sigmoid_network(seed):
    h, spreads = digits()[0], []
    for module in vg.mlp(10, act="sigmoid", sigma_w=1.0, seed=seed)[:-1]:
        h = module(h)
        if isinstance(module, nn.Sigmoid):
            spreads.append((h - h.mean(0)).double().square().mean().sqrt().item())
    return {"l2-difference-factor": 10 ** -decades(spreads[::-1])}


@experiment(l2_sigmoid_cosine_1=within(0.02), l2_sigmoid_cosine_3=within(0.0002), l2_tanh_cosine=within(0.01))
def cosines_between_digits(seed):
    cosine = lambda act: (
        vg.gradient_profile(vg.mlp(10, act=act, sigma_w=1.0, seed=seed), *digits()).dropna(subset="slope").cosine
    )
    sigmoid, tanh = cosine("sigmoid").to_numpy(), cosine("tanh").to_numpy()
    return {"l2-sigmoid-cosine-1": sigmoid[0], "l2-sigmoid-cosine-3": sigmoid[2], "l2-tanh-cosine": tanh[-1]}


# ---------------------------------------------------------------- lesson 3


@experiment(
    l3_default_sigma=within(0.01),
    l3_default_relu_factor=within(0.02),
    l3_theory_growth=within(0.5),
    l3_small_relu_decades=within(0.03),
)
def scales_of_twenty_relu_layers(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = nn.Linear(64, 64)
    variance = theory.variance_profile("relu", 20, 2.0)
    return {
        "l3-default-sigma": fresh.weight.std().item() * 8,
        "l3-default-relu-factor": 10 ** -decades(signal(20, seed, act="relu", width=128)),
        "l3-theory-growth": (variance[-1] / variance[0]) ** 0.5,
        "l3-small-relu-decades": decades(signal(20, seed, act="relu", sigma_w=theory.TORCH_DEFAULT)),
    }


@experiment(l3_default_accuracy=within(0.01), l3_no_bias_accuracy=within(0.01), l3_he_accuracy=at_least)
def training_twenty_relu_layers(seed):
    data, readings = tasks.digits(), {}
    scales = {"l3-default-accuracy": None, "l3-no-bias-accuracy": theory.TORCH_DEFAULT, "l3-he-accuracy": 2**0.5}
    for name, sigma_w in scales.items():
        model = vg.mlp(20, act="relu", sigma_w=sigma_w, seed=seed)
        train(model, 400, lr=0.01, momentum=0.9, seed=seed)
        readings[name] = (model(data.x).argmax(1) == data.y).double().mean().item()
    return readings


@experiment(l3_small_plateau=within(40), l3_tiny_plateau=within(500), l3_he_plateau=within(5))
def plateaus_of_two_layers(seed):
    def plateau(std, steps):
        losses = train(vg.mlp(2, act="relu", sigma_w=8 * std, seed=seed), steps, lr=0.1, seed=seed)
        return next((step for step, loss in enumerate(losses, 1) if loss < 1), steps)

    small, tiny = plateau(0.01, 800), plateau(0.001, 6000)
    assert 6 < tiny / small < 14, "the text says: a tenth of the scale costs about ten times the steps"
    return {
        "l3-small-plateau": small,
        "l3-tiny-plateau": tiny,
        "l3-he-plateau": plateau(0.18, 100),
    }


@experiment(l3_he_typical=within(0.06))
def what_lesson_3_says_in_words(seed):
    x = digits()[0]
    theory_says = np.sqrt(0.5 * 2 * x.square().mean().item())  # He's networks keep the mean square
    ends = [
        vg.mlp(20, act="relu", sigma_w=2**0.5, seed=100 * seed + k)[:-1](x).square().mean() ** 0.5 for k in range(100)
    ]
    low, typical, high = np.quantile([end.item() / theory_says for end in ends], [0.05, 0.5, 0.95])
    assert 0.2 < low < 0.45, "the text says: a single network may end at a third"
    assert 1.2 < high < 2.3, "or half above it"
    colleague, plain = (vg.mlp(40, act="relu", sigma_w=1.0, seed=seed) for _ in range(2))
    for layer in colleague:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.bias, 0.1)
    lost = [np.log10(g[-1] / g[0]) for g in (backward(colleague), backward(plain))]
    assert 3 < lost[0] < 4, "the text says: about three and a half decades over forty layers"
    assert 5.3 < lost[1] < 6.7, "and six without the biases"
    return {"l3-he-typical": typical}


@experiment(l3_constant_rank=within(0), l3_constant_loss=within(0.1))
def equal_weights(seed):
    zero = vg.mlp(2, act="relu", sigma_w=0.0, seed=seed)
    with vg.probe(zero) as seen:
        F.cross_entropy(zero(digits()[0]), digits()[1]).backward()
    moving = seen.params[seen.params.grad_rms != 0].name.tolist()
    assert moving == ["head.bias"], "the text says: at zero only the read-out's bias learns"
    model = vg.init_(vg.mlp(3, act="tanh", seed=seed), "constant", sigma_w=1.0)
    losses = train(model, 200, lr=0.1, seed=seed)
    return {
        "l3-constant-rank": torch.linalg.matrix_rank(model.linear2.weight.detach()).item(),
        "l3-constant-loss": np.mean(losses[-20:]),
    }


# ---------------------------------------------------------------- on your own model


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
