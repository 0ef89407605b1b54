"""Sliders around a figure: each move computes the real network, theory is drawn beside it."""

from torch.nn.functional import cross_entropy

from .. import theory
from . import cascade, dead_units, microscope, ruler, thermometer
from . import forget_gate as _forget_gate
from . import gain_dial as _gain_dial
from . import memory_half_life as _memory_half_life
from . import norm_placement as _norm_placement
from . import norm_switchboard as _norm_switchboard
from . import phase_diagram as _phase_diagram
from . import skip_dial as _skip_dial
from . import training_strip as _training_strip
from . import training_watch as _training_watch
from . import ward_round as _ward_round
from .front import front

__all__ = [
    "dead_unit_map",
    "forget_gate",
    "gain_dial",
    "gradient_cascade",
    "memory_half_life",
    "norm_placement",
    "norm_switchboard",
    "phase_diagram",
    "precision_ruler",
    "skip_dial",
    "slope_microscope",
    "training_strip",
    "variance_thermometer",
    "ward_round",
    "watch",
]


def gradient_cascade(depth=30, *, act="sigmoid", init="normal", sigma_w=None, guess=None):
    """Show how much of the last layer's gradient arrives in each layer of a network 64 units wide.

    Parameters
    ----------
    depth : int
        Hidden layers, 2 to 60.
    act : str
        ``"sigmoid"``, ``"tanh"``, ``"relu"``, ``"gelu"`` or ``"selu"``.
    init : str
        ``"normal"``, W ~ N(0, sigma_w**2 / fan_in) without biases, or ``"default"``, what torch does, which fixes
        sigma_w at 1/sqrt(3).
    sigma_w : float
        0.2 to 4; by default 1, which in square layers is Xavier's.
    guess : float
        Your own prediction of the factor per layer, drawn dotted; ``...`` draws nothing.

    Every parameter but `guess` can be set later, ``w.depth = 50``; ``w.reset()`` goes back to the start and
    ``w.arrays`` holds the numbers behind the picture. Raises `ValueError` for a value outside its range.
    """
    if init == "default" and sigma_w not in (None, theory.TORCH_DEFAULT):
        raise ValueError(f"init='default' fixes sigma_w; got sigma_w={sigma_w}: use init='normal' to set it.")
    if sigma_w is None:
        sigma_w = theory.TORCH_DEFAULT if init == "default" else 1.0
    start = {"depth": depth, "sigma_w": sigma_w, "act": act, "init": init}
    return front(cascade, cascade.View(guess), start)


def slope_microscope(layer=5, *, act="sigmoid", sigma_w=1.0):
    """Show where the preactivations of one layer fall on an activation and on its slope.

    `layer` is 1 to 10 of a network 10 layers deep and 64 units wide, `sigma_w` 0.2 to 20 in W ~ N(0, sigma_w**2 /
    fan_in), `act` as in `gradient_cascade`, as are the rest.
    """
    return front(microscope, microscope.View(), {"sigma_w": sigma_w, "layer": layer, "act": act})


def variance_thermometer(sigma_w=theory.TORCH_DEFAULT, *, act="relu", depth=20):
    """Show the size of signals on their way forward beside that of gradients on their way back.

    `sigma_w` is 0.1 to 4 in W ~ N(0, sigma_w**2 / fan_in), `depth` 2 to 40 layers of 64 units, `act` as in
    `gradient_cascade`, as are the rest.
    """
    return front(thermometer, thermometer.View(), {"sigma_w": sigma_w, "act": act, "depth": depth})


def precision_ruler(scale=0, *, act="sigmoid", sigma_w=1.0, depth=8):
    """Show where the first layer's weight gradients lie on the ranges of float16, bfloat16 and float32.

    The loss is multiplied by 2**`scale`, 0 to 40; `depth` is 2 to 30 layers of 64 units, `sigma_w` 0.3 to 4 in
    W ~ N(0, sigma_w**2 / fan_in), `act` as in `gradient_cascade`, as are the rest.
    """
    return front(ruler, ruler.View(), {"depth": depth, "sigma_w": sigma_w, "act": act, "scale": scale})


def dead_unit_map(bias=0.0, *, sigma_w=2**0.5, leak=0.0):
    """Show for how many of 64 digits each unit of a rectifier network, 12 layers of 64 units, is on.

    `bias` is every bias, -1.5 to 1.5; `sigma_w` is 0.4 to 3 in W ~ N(0, sigma_w**2 / fan_in); `leak` is the slope
    below 0, 0 to 0.5. The rest is as in `gradient_cascade`.
    """
    return front(dead_units, dead_units.View(), {"bias": bias, "sigma_w": sigma_w, "leak": leak})


def skip_dial(alpha=1.0, *, blocks=40, skip="on", norm="none"):
    """Show signal, gradient and the gradient's paths in a residual network as the scale of its branches is turned.

    `alpha` is 0.1 to 1.5, `blocks` 5 to 60 of 64 units with He's weights, `skip` "on" or "off", `norm` "none" or
    "batch". The rest is as in `gradient_cascade`.
    """
    start = {"alpha": alpha, "blocks": blocks, "skip": skip, "norm": norm}
    return front(_skip_dial, _skip_dial.View(), start)


def gain_dial(sigma_w=1.0, *, act="tanh", depth=20):
    """Show what each layer does to signal and gradient at every weight scale, torch's, Xavier's and He's marked.

    `sigma_w` is 0.3 to 16 in W ~ N(0, sigma_w**2 / fan_in), `depth` 10 to 40 layers of 64 units; the factors are those
    of the deeper half. `act` is as in `gradient_cascade`, as are the rest.
    """
    return front(_gain_dial, _gain_dial.View(), {"sigma_w": sigma_w, "act": act, "depth": depth})


def memory_half_life(sigma_w=1.0, *, sigma_x=0.5, init="normal"):
    """Show how many steps back the gradient of a recurrent network is felt: tanh, 128 units, 100 steps of noise.

    `sigma_w` is 0.3 to 3 in W ~ N(0, sigma_w**2 / 128), or sigma_w times an orthogonal W for ``init="orthogonal"``;
    `sigma_x`, 0.1 to 2, is the standard deviation of what the input adds at one unit. The rest is as in
    `gradient_cascade`.
    """
    start = {"sigma_w": sigma_w, "sigma_x": sigma_x, "init": init}
    return front(_memory_half_life, _memory_half_life.View(), start)


def norm_switchboard(act="sigmoid", *, norm="batch", batch=64, depth=20):
    """Show the gradient's profile with a normalization before each activation, and every norm's factor per layer.

    `act` is ``"sigmoid"``, ``"tanh"``, ``"relu"``, ``"selu"``, ``"gelu"`` or ``"silu"``, `norm` "none", "batch",
    "layer" or "rms", `batch` 5 to 128 digits, `depth` 5 to 50 layers of 64 units. The rest is as in
    `gradient_cascade`.
    """
    start = {"act": act, "norm": norm, "batch": batch, "depth": depth}
    return front(_norm_switchboard, _norm_switchboard.View(), start)


def phase_diagram(sigma_w=1.0, *, sigma_b=0.2, act="tanh"):
    """Show where a network lies between order and chaos, and its gradient and cosine profiles: 30 layers of 64 units.

    `sigma_w` is 0.3 to 3 in W ~ N(0, sigma_w**2 / fan_in), `sigma_b` 0 to 1 in b ~ N(0, sigma_b**2), `act` is
    ``"tanh"``, ``"sigmoid"`` or ``"relu"``. The rest is as in `gradient_cascade`.
    """
    return front(_phase_diagram, _phase_diagram.View(), {"sigma_w": sigma_w, "sigma_b": sigma_b, "act": act})


def ward_round(number=1, *, probe="gradient", diagnosis="none"):
    """Show one probe of a patient, `vg.experiments.patient(number)`, beside what healthy patients show.

    `number` is 1 to 60; `probe` "gradient", "signal", "slope", "dead", "cosine", "company", "lean", "loss" or
    "neighbours"; `diagnosis` "none", a word of `vg.experiments.DIAGNOSES`, which is then judged, or "tell". The rest
    is as in `gradient_cascade`.
    """
    start = {"number": number, "probe": probe, "diagnosis": diagnosis}
    return front(_ward_round, _ward_round.View(), start)


def norm_placement(norm="post", *, scale=1.0, blocks=12):
    """Show gradient, size and cosine of the tokens along the stream of a transformer before training.

    `norm` is ``"post"``, ``"pre"`` or ``"deep"``, as in `vglab.transformer`; `scale`, 0.1 to 2, is a factor on every
    branch; `blocks` 2 to 16 of two branches each, 32 features wide. The rest is as in `gradient_cascade`.
    """
    return front(_norm_placement, _norm_placement.View(), {"norm": norm, "scale": scale, "blocks": blocks})


def training_strip(depth=3, *, lr=0.1, optimizer="sgd", act="sigmoid"):
    """Show a whole training at a glance: the loss, and how far each step moves each layer of a network 16 units wide.

    `depth` is 1 to 6, `lr` 0.001 to 10, `optimizer` ``"sgd"`` (momentum 0.9) or ``"adam"``, `act` ``"sigmoid"`` or
    ``"tanh"``. The rest is as in `gradient_cascade`.
    """
    start = {"depth": depth, "lr": lr, "optimizer": optimizer, "act": act}
    return front(_training_strip, _training_strip.View(), start)


def watch(model, batches, loss_fn=cross_entropy, *, steps=600, lr=0.1, optimizer="sgd"):
    """Watch any training while it runs: the loss, and how large each weight's updates or gradients are.

    Parameters
    ----------
    model, batches, loss_fn, steps
        As in `vglab.experiments.Trainer`; `batches` is a list or a DataLoader of (x, y).
    lr : float
        1e-5 to 10.
    optimizer : str
        ``"sgd"`` (momentum 0.9), ``"adam"`` or ``"adamw"``.

    In a notebook the buttons, or ``w.start(), w.pause(), w.cancel()``, answer within a step while the training runs;
    the kernel stays free, and ``w.lr`` and ``w.optimizer`` can be set in mid-run. ``w.run(100)`` takes 100 steps in
    any program. Cancelled, started again or reset, it goes back to the weights that `model` had. Raises `TypeError` or
    `ValueError` for a setting out of range.
    """
    return _training_watch.watch(model, batches, loss_fn, steps=steps, lr=lr, optimizer=optimizer)


def forget_gate(bias=0.0, *, kind="lstm", sigma_x=0.6):
    """Show how long the gate of an LSTM or a GRU keeps a gradient: 32 units, 100 steps of noise, torch's weights.

    `bias` is -2 to 6, that of the forget gate, or of the GRU's update gate; `kind` is ``"lstm"`` or ``"gru"``;
    `sigma_x`, 0.1 to 3, is the standard deviation of what the input adds at one gate. The rest is as in
    `gradient_cascade`.
    """
    start = {"bias": bias, "kind": kind, "sigma_x": sigma_x}
    return front(_forget_gate, _forget_gate.View(), start)
